"""What the API server lets the service do: on a real one its service account and the rules of deploy/base, nothing else."""
import copy
import os
import sys

from servers import eventually, kubeconfig

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests/deploy"))

import manifests  # noqa: E402

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ACCOUNT = "ufmsync"


def objects_of_base():
    return manifests.documents(os.path.join(ROOT, "deploy/base/rbac.yaml"))


def single(rule):
    """[(group, resource, verb, name or None)] that it allows."""
    return [(group, resource, verb, name) for group in rule["apiGroups"] for resource in rule["resources"]
            for verb in rule["verbs"] for name in rule.get("resourceNames", [None])]


def parts(rule):
    """The same rule, a single right in each."""
    for group, resource, verb, name in single(rule):
        part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        yield dict(part, resourceNames=[name]) if name else part


class Rights:
    """Of one scenario, whose namespace "ufmsync" is the one that the service is installed in."""

    def __init__(self, world):
        self.world, self.namespace = world, world.ns("ufmsync")
        self.made = {}  # path of the object: what was sent
        self.user = "system:serviceaccount:%s:%s" % (self.namespace, ACCOUNT)
        if world.kube.kind == "real":
            for o in objects_of_base():
                self.apply(o)
            eventually("its rights count", lambda: all(self.may(*right) for right in self.all()))
            self.token = self.request_token()

    def apply(self, o):
        """As `kubectl apply -k` does, but the cluster's own objects get names of this scenario."""
        o = copy.deepcopy(o)
        metadata = o["metadata"]
        if o["kind"].startswith("Cluster"):
            metadata["name"] += "-" + self.world.tag
        else:
            metadata["namespace"] = self.namespace
        if o.get("roleRef", {}).get("kind") == "ClusterRole":
            o["roleRef"]["name"] += "-" + self.world.tag
        for subject in o.get("subjects", []):
            subject["namespace"] = self.namespace
        where = "/namespaces/" + self.namespace if "namespace" in metadata else ""
        path = "%s%s/%ss" % ("/api/v1" if o["apiVersion"] == "v1" else RBAC, where, o["kind"].lower())
        self.world.client.call("POST", path, o)
        self.made[path + "/" + metadata["name"]] = o

    def all(self):
        """Each single right: (group, resource, verb, name or None)."""
        return sorted({right for o in self.made.values() for rule in o.get("rules", []) for right in single(rule)}, key=str)

    def may(self, group, resource, verb, name=None):
        attributes = {"namespace": self.namespace, "group": group, "resource": resource, "verb": verb}
        if name:
            attributes["name"] = name
        return self.world.client.call("POST", REVIEWS, {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": self.user, "resourceAttributes": attributes}})["status"]["allowed"]

    def request_token(self):
        answer = self.world.client.call(
            "POST", "/api/v1/namespaces/%s/serviceaccounts/%s/token" % (self.namespace, ACCOUNT),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})
        self.world.secrets.append(answer["status"]["token"])
        return answer["status"]["token"]

    def kubeconfig(self, port=None):
        """Of the service; `port`: of a relay to the API server."""
        kube = self.world.kube
        if kube.kind != "real" and not port:
            return kube.kubeconfig
        path = os.path.join(self.world.folder, "kubeconfig.ufmsync%s" % (".%d" % port if port else ""))
        with open(path, "w") as f:
            f.write(kubeconfig(port or kube.port, kube.ca, "token: " + (self.token if kube.kind == "real" else kube.TOKEN)))
        return path

    def put(self, without=None):
        """All rights of deploy/base, or all but this one: (group, resource, verb, name or None)."""
        for path, o in self.made.items():
            if "rules" in o:
                self.world.client.call("PUT", path, dict(o, rules=[rule for whole in o["rules"] for rule in parts(whole)
                                                                   if without not in single(rule)]))
        for right in self.all():
            eventually("it is known whether %r is allowed" % (right,), lambda: self.may(*right) == (right != without))

    def close(self):
        for path in self.made:
            if "/cluster" in path:
                self.world.client.raw("DELETE", path)
