#!/usr/bin/env python3
"""The manifests on a real kube-apiserver, by real kubectl: every object is taken as it was sent, and the service runs as the
pod that they describe, with the rights of its own service account.

usage: test_apply.py BINARIES [TEST ...]      KUBE_APISERVER names another API server than the one that is kept

As root, in a network namespace of its own: UFM answers at port 443 there, and the service listens at its own ports."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/deploy"), os.path.join(ROOT, "tests/e2e")]

import kubelet  # noqa: E402
import page  # noqa: E402
import manifests  # noqa: E402
import objects  # noqa: E402
from ib_kubernetes import IbKubernetes  # noqa: E402
from servers import MockUfm, RealKube, eventually  # noqa: E402
from world import World  # noqa: E402

BINARIES = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
OTHERS = {  # kinds of others' that our manifests hold: {plural: (group, version, kind)}
    "securitycontextconstraints": ("security.openshift.io", "v1", "SecurityContextConstraints"),
    "issuers": ("cert-manager.io", "v1", "Issuer"),
    "certificates": ("cert-manager.io", "v1", "Certificate"),
    "prometheusrules": ("monitoring.coreos.com", "v1", "PrometheusRule"),
    "podmonitors": ("monitoring.coreos.com", "v1", "PodMonitor"),
    "servicemonitors": ("monitoring.coreos.com", "v1", "ServiceMonitor"),
}
OWN_NETWORK = "UFMSYNC_OWN_NETWORK"  # set: this is one
kube = top = None


def setUpModule():
    global kube, top
    top = tempfile.mkdtemp(prefix="ufmsync-apply-")
    os.chmod(top, 0o711)  # the service's user is another
    for name in ("kube", "setup"):
        os.mkdir(os.path.join(top, name))
    kube = RealKube(os.path.join(top, "kube"))
    for plural, (group, version, kind) in OTHERS.items():
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        kube.client.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "%s.%s" % (plural, group)},
            "spec": {"group": group, "scope": "Cluster" if kind.startswith("Security") else "Namespaced",
                     "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
                     "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}]}})
    for plural, (group, version, _) in OTHERS.items():
        eventually("%s are served" % plural, lambda: kube.client.raw("GET", "/apis/%s/%s/%s" % (group, version, plural))[0] == 200, 30)


def tearDownModule():
    if kube:
        kube.end()
    shutil.rmtree(top)


def kubectl(*words, given=None, fails=False):
    done = subprocess.run([manifests.kubectl(), "--cache-dir", os.path.join(top, "cache"), *words], input=given, text=True,
                          capture_output=True, env={"PATH": os.environ["PATH"], "KUBECONFIG": kube.kubeconfig, "HOME": top})
    if (done.returncode != 0) != fails:
        raise AssertionError("kubectl %s: %d\n%s%s" % (" ".join(words), done.returncode, done.stdout[-2000:], done.stderr))
    return done.stderr if fails else done.stdout


def folder_of(name):
    return os.path.join(ROOT, "deploy", name)


def as_of_1_20(found):
    """What our manifests have that this old API server does not know yet: the same changes as in deploy/old-kubernetes."""
    for o in found:
        if o["kind"] == "PodDisruptionBudget":
            o["apiVersion"] = "policy/v1beta1"
        if o["kind"] == "DaemonSet" and o["spec"]["updateStrategy"]["rollingUpdate"].pop("maxSurge", None):
            o["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] = 1
    return found


def missing(sent, got, where):
    """What was sent and is not in what the server made of it: it drops fields that it does not know."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            if isinstance(got, dict) and key in got:
                yield from missing(value, got[key], where + "." + key)
            elif value not in ({}, [], ""):  # what is empty is as good as absent to it
                yield "%s.%s is unknown to the API server" % (where, key)
    elif isinstance(sent, list):
        if where.endswith(".tolerations"):
            got = got[:len(sent)]  # it adds its own to a pod's
        if len(got) != len(sent):
            yield "%s: %r instead of %r" % (where, got, sent)
        else:
            for i, value in enumerate(sent):
                yield from missing(value, got[i], "%s[%d]" % (where, i))
    elif got != sent:
        yield "%s: %r instead of %r" % (where, got, sent)


def path_of(o):
    kind, metadata = o["kind"].lower(), o["metadata"]
    plural = kind if kind.endswith("s") else kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
    where = "/namespaces/" + metadata["namespace"] if "namespace" in metadata else ""
    return "%s/%s%s/%s/%s" % ("/apis" if "/" in o["apiVersion"] else "/api", o["apiVersion"], where, plural, metadata["name"])


def templates(found):
    for o in found:
        template = o.get("spec", {}).get("template")
        if template:
            yield o["metadata"]["namespace"], "of-" + o["metadata"]["name"], template


def fill(quota):
    """As the controller would that is not here: nothing is used."""
    path = "/api/v1/namespaces/%(namespace)s/resourcequotas/%(name)s/status" % quota["metadata"]
    hard = quota["spec"]["hard"]
    kube.client.call("PATCH", path, {"status": {"hard": hard, "used": {key: "0" for key in hard}}},
                     "application/merge-patch+json")


class Applied(unittest.TestCase):
    """kubectl apply -k of every folder."""

    def test_every_object_is_taken_as_it_was_sent(self):
        for name in manifests.folders():
            if os.path.basename(name) == "base":  # not applied by itself
                continue
            with self.subTest(folder=name):
                self.apply(name)

    def apply(self, name):
        sent = manifests.build(folder_of(name))
        given = as_of_1_20(manifests.build(folder_of(name)))
        how, text = (["-k", folder_of(name)], None) if given == sent else (["-f", "-"], json.dumps({
            "apiVersion": "v1", "kind": "List", "items": given}))
        for o in given:
            if o["kind"] == "Namespace":  # the objects in it come in whatever order kubectl likes
                kubectl("apply", "-f", "-", given=json.dumps(o))
        got = json.loads(kubectl("apply", "-o", "json", *how, given=text))
        stored = {(o["kind"], o["metadata"]["name"]): o for o in got.get("items", [got])}
        problems = [p for o in given for p in missing(o, stored[o["kind"], o["metadata"]["name"]], o["kind"])]
        self.assertEqual(problems, [])
        again = kubectl("apply", *how, given=text).splitlines()
        self.assertEqual([line for line in again if not line.endswith(" unchanged")], [], "applied again, nothing is different")
        self.make_pods(given)
        for o in stored.values():
            if o["kind"] != "Namespace":  # whose end waits for a controller that is not there
                kube.client.call("DELETE", path_of(o))

    def make_pods(self, found):
        """The pods of its workloads are taken too, with all that admission has to say."""
        for quota in (o for o in found if o["kind"] == "ResourceQuota"):
            fill(quota)
        for namespace, name, template in templates(found):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": dict(template["metadata"], name=name), "spec": template["spec"]}
            made = kube.client.call("POST", "/api/v1/namespaces/%s/pods?dryRun=All" % namespace, pod)
            self.assertEqual(list(missing(pod, made, name)), [])
            if "priorityClassName" in pod["spec"]:
                self.assertGreaterEqual(made["spec"]["priority"], 2000000000)

    def test_what_this_kubernetes_is_too_old_for_is_refused_not_dropped(self):
        said = kubectl("apply", "--dry-run=server", "-k", folder_of("ufm"), fails=True)
        self.assertIn('no matches for kind "PodDisruptionBudget" in version "policy/v1"', said)
        said = kubectl("apply", "--dry-run=server", "-k", folder_of("node"), fails=True)
        self.assertIn('unknown field "maxSurge"', said)


def deployment(name, namespace="kube-system"):
    return kube.client.call("GET", "/apis/apps/v1/namespaces/%s/deployments/%s" % (namespace, name))


def literal(name, value):
    return "--from-literal=%s=%s" % (name, value)


@unittest.skipUnless(OWN_NETWORK in os.environ, "no network namespace of its own is permitted here")
class Runs(unittest.TestCase):
    """The service as the pod of the manifests; UFM is at its usual port."""

    @classmethod
    def setUpClass(cls):
        cls.root = os.path.join(top, "root")
        installed = os.path.join(top, "installed")
        programs = ("ufmsyncd", "ufmsync-setup")
        os.makedirs(installed + "/usr/bin")
        for name in programs:
            shutil.copy(os.path.join(BINARIES, name), installed + "/usr/bin/")
        subprocess.run([folder_of("image-root"), installed, cls.root] + ["/usr/bin/" + name for name in programs], check=True)
        kubectl("apply", "-k", folder_of("old-kubernetes/ufm"))
        cls.make_what_setup_makes("kube-system")

    @classmethod
    def make_what_setup_makes(cls, namespace):
        """Record key and certificate come from the pod that the manifests have for it."""
        setup = kubelet.Pod(kube, deployment("ufmsync-setup", namespace), os.path.join(top, "setup"))
        setup.start(cls.root)
        try:
            for kind, name in (("secrets", "ufmsync-record-key"), ("secrets", "ufmsync-tls"), ("configmaps", "ufmsync-ca")):
                eventually("%s is made" % name, lambda: kube.client.raw(
                    "GET", "/api/v1/namespaces/%s/%s/%s" % (namespace, kind, name))[0] == 200, 30)
        finally:
            setup.stop()

    def setUp(self):
        folder = os.path.join(top, self.id().rpartition(".")[2])
        os.makedirs(os.path.join(folder, "pods"))
        os.chmod(folder, 0o711)
        self.world = World(kube, BINARIES, folder)
        self.pods = []

    def tearDown(self):
        for pod in self.pods:
            pod.stop()
        self.world.close()
        kubectl("-n", "kube-system", "delete", "--ignore-not-found", "secret", "ib-kubernetes-ufm-secret")
        kubectl("-n", "kube-system", "delete", "--ignore-not-found", "configmap", "ib-kubernetes-config", "ufmsync-config")
        kubectl("-n", "kube-system", "delete", "--ignore-not-found", "lease", "ufmsync-leader")

    def start_ufm(self, port=443, **more):
        self.world.start_ufm(listen="127.0.0.1:%d" % port, **more)
        return self.world.ufm

    def create_secret(self, namespace="kube-system", **more):
        """As deploy/README.md has it."""
        settings = dict({"UFM_USERNAME": MockUfm.USER, "UFM_PASSWORD": MockUfm.PASSWORD, "UFM_ADDRESS": "127.0.0.1"}, **more)
        kubectl("-n", namespace, "create", "secret", "generic", "ib-kubernetes-ufm-secret",
                "--from-file=UFM_CERTIFICATE=" + self.world.ufm.cert, *(literal(k, v) for k, v in settings.items()))

    def pod(self, namespace="kube-system"):
        pod = kubelet.Pod(kube, deployment("ufmsync", namespace), os.path.join(self.world.folder, "pods"))
        self.pods.append(pod)
        return pod

    def run_service(self, namespace="kube-system"):
        pod = self.pod(namespace).start(self.root)
        pod.wait_ready()
        return pod

    def attached(self, name="p", pkey="1000", number=1000):
        """A pod of a tenant gets its GUID, and UFM lists it."""
        self.world.nad("ib-" + name, objects.ib_config(pkey, name="ib-" + name))
        self.world.pod(name, "ib-" + name)
        guid = self.world.guid(name)
        self.assertIn(guid, self.world.members(number))
        return guid

    def answer_as_a_node_asks(self, namespace):
        """By the service's name, trusting just the CA that the nodes get; without a token."""
        ca = kube.client.call("GET", "/api/v1/namespaces/%s/configmaps/ufmsync-ca" % namespace)["data"]["ca.crt"]
        context, name = ssl.create_default_context(cadata=ca), "ufmsync.%s.svc" % namespace
        with socket.create_connection(("127.0.0.1", 8443)) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
            tls.sendall(b"GET /v1/attach HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name.encode())
            return int(tls.makefile("rb").readline().split()[1])

    def said(self, pod, message_id):
        return [line for line in map(json.loads, pod.process.output().splitlines()) if line["id"] == message_id]

    def test_it_works_with_its_own_rights_and_takes_up_what_changes(self):
        ufm = self.start_ufm()
        waits = self.pod()
        with self.assertRaisesRegex(kubelet.NotYet, '"ib-kubernetes-ufm-secret" not found'):
            waits.start(self.root)
        self.create_secret()
        kubectl("-n", "kube-system", "create", "configmap", "ufmsync-config", literal("UFMSYNC_GUID_REST", "1s"))
        pod = waits.start(self.root)
        pod.wait_ready()
        self.assertEqual(self.answer_as_a_node_asks("kube-system"), 401)
        guid = self.attached()
        self.assertTrue(self.world.get_pod("p")["metadata"]["annotations"]["ufmsync.io/record"])
        lease = kube.client.call("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/ufmsync-leader")
        self.assertEqual(lease["spec"]["holderIdentity"], "node1_" + pod.metadata["uid"])

        ufm.control.call("POST", "/control/credentials", {"password": "another-password-5561"})
        kubectl("-n", "kube-system", "patch", "secret", "ib-kubernetes-ufm-secret", "-p",
                json.dumps({"stringData": {"UFM_PASSWORD": "another-password-5561"}}))
        pod.sync()
        eventually("the new password is in use", lambda: self.said(pod, "SECRET_ROTATED"), 30)
        self.world.delete_pod("p")
        eventually("it leaves", lambda: guid not in self.world.members(1000), 30)
        self.attached("q", "0x10", 0x10)
        for trouble in ("KUBE_FORBIDDEN", "KUBE_UNREACHABLE", "SECRET_BAD", "HTTPS_OFF"):
            self.assertEqual(self.said(pod, trouble), [])

    def test_it_works_in_another_namespace(self):
        """All that has the namespace in its name follows: account, Lease, certificate."""
        self.addCleanup(kubectl, "apply", "-k", folder_of("old-kubernetes/ufm"))  # there is one of the cluster's own roles
        self.start_ufm()
        given = as_of_1_20(manifests.build(folder_of("another-namespace")))
        kubectl("apply", "-f", "-", given=json.dumps(next(o for o in given if o["kind"] == "Namespace")))
        kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": given}))
        fill(next(o for o in given if o["kind"] == "ResourceQuota"))
        self.create_secret("ufmsync")
        self.make_what_setup_makes("ufmsync")
        pod = self.run_service("ufmsync")
        self.attached()
        self.assertEqual(self.answer_as_a_node_asks("ufmsync"), 401)
        lease = kube.client.call("GET", "/apis/coordination.k8s.io/v1/namespaces/ufmsync/leases/ufmsync-leader")
        self.assertEqual(lease["spec"]["holderIdentity"], "node1_" + pod.metadata["uid"])
        self.assertEqual(self.said(pod, "KUBE_FORBIDDEN"), [])

    # --- what is published for ib-kubernetes, as written ---

    def test_published_secret_by_kubectl_create(self):
        """The certificate is UFM's own, with a bare name; no port, no schema, UFM_USER."""
        ufm = self.start_ufm()
        shutil.copy(ufm.cert, os.path.join(self.world.folder, "ufmlocalhost.crt"))
        text = kubectl("create", "secret", "generic", "ib-kubernetes-ufm-secret", "--namespace=kube-system",
                       literal("UFM_USER", ufm.USER), literal("UFM_PASSWORD", ufm.PASSWORD), literal("UFM_ADDRESS", "127.0.0.1"),
                       "--from-file=UFM_CERTIFICATE=" + os.path.join(self.world.folder, "ufmlocalhost.crt"), "--dry-run", "-o", "yaml")
        kubectl("create", "-f", "-", given=text)
        self.run_service()
        self.attached()

    SECRET = """
apiVersion: v1
kind: Secret
metadata:
  name: ib-kubernetes-ufm-secret
  namespace: kube-system
stringData:
  UFM_USERNAME: "%s"  # UFM username
  UFM_PASSWORD: "%s"  # UFM password
  UFM_ADDRESS: "127.0.0.1"  # UFM admin address
  UFM_HTTP_SCHEMA: "%s"  # http/https. Default: https
  UFM_PORT: ""  # UFM REST API port. Defaults: 443(https), 80(http)
string:
  UFM_CERTIFICATE: "%s"  # UFM Certificate in base64 format. (if not provided client will not verify)
"""

    def create_published_yaml(self, schema="", certificate=""):
        text = self.SECRET % (MockUfm.USER, MockUfm.PASSWORD, schema, certificate)
        self.assertIn('unknown field "string"', kubectl("create", "-f", "-", given=text, fails=True), "as for ib-kubernetes")
        return text

    CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: ib-kubernetes-config
  namespace: kube-system
data:
"""

    def create_config(self, **data):
        kubectl("create", "-f", "-", given=self.CONFIG + "".join('  %s: "%s"\n' % one for one in data.items()))

    def test_published_yaml_and_config_map(self):
        """Empty values; the certificate where it was meant to be; GUIDs from the ConfigMap's range."""
        ufm = self.start_ufm()
        with open(ufm.cert, "rb") as f:
            certificate = kubelet.base64.b64encode(f.read()).decode()
        kubectl("create", "-f", "-", given=self.create_published_yaml(certificate=certificate).replace("string:\n", ""))
        self.create_config(DAEMON_SM_PLUGIN="ufm", DAEMON_PERIODIC_UPDATE="5", GUID_POOL_RANGE_START="02:00:00:00:0A:00:00:00",
                           GUID_POOL_RANGE_END="02:00:00:00:0A:00:FF:FF")
        self.run_service()
        self.assertTrue(self.attached().startswith("020000000a00"))

    def test_published_yaml_with_http(self):
        """Without encryption, at port 80; and the keys of early ConfigMaps."""
        self.start_ufm(80, schema="http")
        kubectl("create", "--validate=false", "-f", "-", given=self.create_published_yaml(schema="http"))
        self.create_config(SM_PLUGIN="ufm", PERIODIC_UPDATE="5", RANGE_START="02:00:00:00:0B:00:00:00",
                           RANGE_END="02:00:00:00:0B:00:FF:FF")
        self.run_service()
        self.assertTrue(self.attached().startswith("020000000b00"))

    # --- from ib-kubernetes and back, by the page ---

    IB_KUBERNETES = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ib-kubernetes"}, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": "ib-kubernetes"}}, "template": {
            "metadata": {"labels": {"app": "ib-kubernetes"}},
            "spec": {"hostNetwork": True, "containers": [{"name": "ib-kubernetes", "image": "example.invalid/ib-kubernetes:1"}]}}}}

    def replicas(self, name):
        return deployment(name)["spec"]["replicas"]

    def follow(self, step):
        """The commands of a step, as written; what only a kubelet, a controller or the tool answers is left to the caller."""
        for words in page.commands("From ib-kubernetes", step):
            if words[:2] == ["kubectl", "apply"] and words[-1] == "deploy/ufm":
                words[-1] = "deploy/old-kubernetes/ufm"  # for this API server
            if words[0] == "kubectl" and not set(words) & {"logs", "rollout", "exec", "ufmsync"}:
                words[-1] = os.path.join(ROOT, words[-1]) if words[-2] == "-k" else words[-1]
                yield words
                kubectl(*words[1:])

    def dry_run(self):
        """The Job's pod, to its end: (exit code, what its log shows)."""
        job = kube.client.call("GET", "/apis/batch/v1/namespaces/kube-system/jobs/ufmsync-dry-run")
        pod = kubelet.Pod(kube, job, os.path.join(self.world.folder, "pods")).start(self.root)
        code = pod.process.child.wait(60)
        kube.client.raw("DELETE", "%skube-system/pods/%s?gracePeriodSeconds=0" % (kubelet.CORE, pod.metadata["name"]))
        return code, pod.process.output()

    def records(self, *names):
        return all("ufmsync.io/record" in self.world.get_pod(name)["metadata"]["annotations"] for name in names)

    def test_going_over_from_ib_kubernetes_and_back_by_the_page(self):
        ufm, world = self.start_ufm(), self.world
        self.create_secret()
        self.create_config(DAEMON_SM_PLUGIN="ufm", DAEMON_PERIODIC_UPDATE="5", GUID_POOL_RANGE_START="02:00:00:00:0C:00:00:00",
                           GUID_POOL_RANGE_END="02:00:00:00:0C:00:FF:FF", UFMSYNC_ORPHAN_GRACE="1s", UFMSYNC_AUDIT_INTERVAL="1s")
        kube.client.call("POST", "/apis/apps/v1/namespaces/kube-system/deployments", self.IB_KUBERNETES)
        ib_kubernetes = IbKubernetes(world, "020000000c000000")
        world.nad("ib", objects.ib_config("0x5"))
        guids = {}
        for name in ("a", "b", "leaked"):
            world.pod(name, "ib")
            guids[name], = ib_kubernetes.add(name)
            world.run_pod(name)
        world.delete_pod("leaked")
        theirs = world.client.call("POST", kubelet.CORE + "kube-system/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ib-kubernetes-0"},
            "spec": dict(self.IB_KUBERNETES["spec"]["template"]["spec"], nodeName="node1")})["metadata"]["name"]

        for words in self.follow(1):
            if "delete" in words:
                code, log = self.dry_run()
        self.assertEqual(code, 4, log)
        for said in ("2: 2 kept as they are", "2 pods; 2 of them only get their record", "Orphans     1, 0 of them carried",
                     "ib-kubernetes runs (pod kube-system/ib-kubernetes-0)", guids["leaked"][-2:] + "  0x0005"):
            self.assertIn(said, log)
        self.assertFalse(self.records("a") or self.records("b"))
        seen = len(ufm.writes())

        list(self.follow(2))
        self.assertEqual(self.replicas("ib-kubernetes"), 0)
        world.client.raw("DELETE", "%skube-system/pods/%s?gracePeriodSeconds=0" % (kubelet.CORE, theirs))
        world.pod("waits", "ib")

        list(self.follow(3))
        self.assertEqual(self.replicas("ufmsync"), 2)
        pod = self.run_service()
        eventually("the running pods are recorded", lambda: self.records("a", "b"), 30)
        guids["waits"] = world.guid("waits")
        eventually("the brake holds", lambda: self.said(pod, "ORPHANS_BRAKE"), 30)
        self.assertIn((5, guids["leaked"]), world.members())

        list(self.follow(4))
        world.gone_from_ufm(guids.pop("leaked"), 30)
        self.assertTrue(self.said(pod, "ORPHANS_CONFIRMED"))

        list(self.follow(5))
        self.pods.remove(pod)
        pod.stop()
        members, pod = world.members(), self.run_service()
        self.assertEqual({guid for _, guid in members}, set(guids.values()))
        eventually("it leads", lambda: self.said(pod, "READY"), 30)
        kubectl("apply", "-k", folder_of("dry-run"))
        code, log = self.dry_run()
        kubectl("delete", "-k", folder_of("dry-run"))
        self.assertEqual(code, 0, log)
        for write in ufm.writes()[seen:]:
            self.assertFalse(any(guids[name] in write["path"] + write.get("body", "") for name in ("a", "b")), write)

        list(self.follow("Going back"))
        self.assertEqual((self.replicas("ufmsync"), self.replicas("ib-kubernetes")), (0, 2))
        self.pods.remove(pod)
        pod.stop()
        ib_kubernetes.restart()
        self.assertEqual(ib_kubernetes.add("waits"), [], "it is configured")
        ib_kubernetes.delete("waits")
        self.assertEqual(world.members(), {key: value for key, value in members.items() if key[1] != guids["waits"]})

        list(self.follow(6))
        self.assertEqual(kube.client.raw("GET", "/apis/apps/v1/namespaces/kube-system/deployments/ib-kubernetes")[0], 404)
        kubectl("-n", "kube-system", "scale", "deployment/ufmsync", "--replicas=2")

    def test_the_dry_run_may_do_nothing_but_read(self):
        kubectl("apply", "-k", folder_of("dry-run"))
        account = "--as=system:serviceaccount:kube-system:ufmsync-dry-run"
        listed = kubectl("auth", "can-i", "--list", account, "-n", "kube-system").splitlines()[1:]
        ours = [line.split("[")[-1].rstrip("]") for line in listed if not line.startswith((" ", "self"))]
        self.assertEqual({verb for verbs in ours for verb in verbs.split()}, {"get", "list"}, listed)
        kubectl("auth", "can-i", "patch", "pods", account, fails=True)
        kubectl("delete", "-k", folder_of("dry-run"))


def in_own_network():
    """Begins anew in one, where that is permitted; else the service is not run."""
    unshare = ["unshare", "--net"]
    if OWN_NETWORK not in os.environ and subprocess.run(unshare + ["ip", "-V"], capture_output=True).returncode == 0:
        os.environ[OWN_NETWORK] = "yes"
        os.execvp(unshare[0], unshare + ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable] + sys.argv)


if __name__ == "__main__":
    in_own_network()
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2, warnings="ignore")
