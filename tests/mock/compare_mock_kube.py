#!/usr/bin/env python3
"""Asks mock-kube and a real kube-apiserver the same questions and shows where their answers differ.

    compare_mock_kube.py FOLDER_OF_MOCK_KUBE      exit 77 when KUBE_APISERVER names no real one

Compared are status, reason, the fields that a refusal names, and what a step's own check picks out of the answer; never
texts, times or versions."""

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from servers import MockKube, RealKube  # noqa: E402

JSON, MERGE, JSON_PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"
NS, PODS = "/api/v1/namespaces", "/api/v1/namespaces/t/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/t/leases"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/t/network-attachment-definitions"
EVENTS = "/apis/events.k8s.io/v1/namespaces/t/events"


def pod(name, node=None, **metadata):
    spec = {"containers": [{"name": "c", "image": "x"}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": dict(name=name, **metadata), "spec": spec}


def lease(name="l", **spec):
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": dict({"holderIdentity": "me", "leaseDurationSeconds": 15}, **spec)}


def event(**more):
    return dict({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"generateName": "e-"},
                 "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reportingController": "ufmsync.io/x",
                 "reportingInstance": "i", "action": "Join", "reason": "R", "note": "n",
                 "regarding": {"kind": "Pod", "namespace": "t", "name": "p"}}, **more)


class Session:
    def __init__(self, kube):
        self.kube = kube
        self.results = []

    def ask(self, label, method, path, body=None, kind=JSON, pick=None):
        status, text = self.kube.client.raw(method, path, body, kind)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
        causes = sorted({c.get("field") or "" for c in (answer.get("details") or {}).get("causes") or []})
        picked = None
        if pick and status < 300:
            try:
                picked = pick(answer)
            except (KeyError, IndexError, TypeError) as error:
                picked = repr(error)
        self.results.append((label, status, answer.get("reason") if status >= 300 else None,
                             causes if status == 422 else None, picked))
        return answer

    def watch(self, label, path, lines):
        """The first so many events: type, name, phase."""
        connection = self.kube.client.open()
        connection.request("GET", path, headers=self.kube.client.headers)
        answer = connection.getresponse()
        seen = []
        while len(seen) < lines:
            line = answer.readline()
            if not line:
                seen.append("end")
                break
            item = json.loads(line)
            thing = item["object"]
            seen.append((item["type"], thing["metadata"].get("name"), (thing.get("status") or {}).get("phase")
                         if thing["kind"] == "Pod" else thing.get("reason"), thing.get("code")))
        connection.close()
        self.results.append((label, answer.status, seen, None, None))


def ask_objects(s):
    s.ask("namespace", "POST", NS, {"metadata": {"name": "t"}}, pick=lambda o: o["status"])
    s.ask("namespace again", "POST", NS, {"metadata": {"name": "t"}})
    s.ask("pod of no namespace", "POST", "/api/v1/namespaces/none/pods", pod("a"))
    made = s.ask("pod", "POST", PODS, pod("a", annotations={"x/y": "1"}),
                 pick=lambda o: (o["status"]["phase"], o["spec"]["restartPolicy"], o["spec"]["schedulerName"],
                                 o["spec"]["terminationGracePeriodSeconds"], list(o)[:3]))
    s.ask("pod again", "POST", PODS, pod("a"))
    s.ask("bad name", "POST", PODS, pod("Bad_Name"))
    s.ask("no name", "POST", PODS, pod(None))
    s.ask("no containers", "POST", PODS, {"metadata": {"name": "b"}, "spec": {}})
    s.ask("other namespace", "POST", PODS, pod("b", namespace="other"))
    s.ask("version at creation", "POST", PODS, pod("b", resourceVersion="5"))
    s.ask("not JSON", "POST", PODS, "{")
    s.ask("wrong kind", "POST", PODS, dict(pod("b"), kind="Node"))
    s.ask("annotation no string", "POST", PODS, pod("b", annotations={"a": 1}))
    s.ask("annotation key", "POST", PODS, pod("b", annotations={"a b": "1"}))
    s.ask("label value", "POST", PODS, pod("b", labels={"a": "b c"}))
    s.ask("get", "GET", PODS + "/a")
    s.ask("get none", "GET", PODS + "/none")
    s.ask("unknown resource", "GET", "/api/v1/nonsense")
    s.ask("unknown group", "GET", "/apis/nonsense.io/v1/x")
    s.ask("put of none", "PUT", PODS + "/none", pod("none"))
    s.ask("post to object", "POST", PODS + "/a", pod("a"))
    s.ask("all-namespaces create", "POST", "/api/v1/pods", pod("a"))
    s.ask("dry run", "POST", PODS + "?dryRun=All", pod("dry"))
    s.ask("dry run left nothing", "GET", PODS + "/dry")
    return made


def ask_patches(s, made):
    uid, rv = made["metadata"]["uid"], made["metadata"]["resourceVersion"]

    def patch(label, *operations):
        s.ask("json patch: " + label, "PATCH", PODS + "/a", list(operations), JSON_PATCH,
              pick=lambda o: o["metadata"].get("annotations"))

    def merge(label, body, sub="", pick=lambda o: o["metadata"].get("annotations")):
        return s.ask("merge patch: " + label, "PATCH", PODS + "/a" + sub, body, MERGE, pick=pick)

    patch("uid", {"op": "test", "path": "/metadata/uid", "value": uid})
    patch("other uid", {"op": "test", "path": "/metadata/uid", "value": "x"})
    patch("missing is null", {"op": "test", "path": "/metadata/annotations/no", "value": None})
    patch("missing is not text", {"op": "test", "path": "/metadata/annotations/no", "value": "x"})
    patch("missing container", {"op": "test", "path": "/metadata/labels/no", "value": None})
    patch("escaped", {"op": "test", "path": "/metadata/annotations/x~1y", "value": "1"},
          {"op": "replace", "path": "/metadata/annotations/x~1y", "value": "2"})
    patch("add", {"op": "add", "path": "/metadata/annotations/n", "value": "3"})
    patch("add into missing", {"op": "add", "path": "/metadata/labels/n", "value": "3"})
    patch("remove missing", {"op": "remove", "path": "/metadata/annotations/none"})
    patch("replace missing", {"op": "replace", "path": "/metadata/annotations/none", "value": "1"})
    patch("remove", {"op": "remove", "path": "/metadata/annotations/n"})
    patch("copy", {"op": "copy", "from": "/metadata/annotations/x~1y", "path": "/metadata/annotations/c"})
    patch("value no string", {"op": "add", "path": "/metadata/annotations/n", "value": 3})
    patch("null value", {"op": "add", "path": "/metadata/annotations/nul", "value": None})
    patch("unknown operation", {"op": "what", "path": "/metadata"})
    s.ask("json patch: an object", "PATCH", PODS + "/a", {}, JSON_PATCH)
    s.ask("json patch: not JSON", "PATCH", PODS + "/a", "[", JSON_PATCH)
    patch("other version", {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"})
    patch("rename", {"op": "replace", "path": "/metadata/name", "value": "z"})
    s.ask("patch of none", "PATCH", PODS + "/none", [], JSON_PATCH)
    s.ask("patch as JSON", "PATCH", PODS + "/a", {}, JSON)
    now = merge("set", {"metadata": {"annotations": {"m": "1"}}})
    again = merge("no change", {"metadata": {"annotations": {"m": "1"}}})
    s.results.append(("no change keeps the version", now["metadata"]["resourceVersion"] ==
                      again["metadata"]["resourceVersion"], None, None, None))
    merge("null", {"metadata": {"annotations": {"m": None}}})
    merge("stale version", {"metadata": {"resourceVersion": rv, "annotations": {"m": "2"}}})
    merge("other uid", {"metadata": {"uid": "x"}})
    merge("other creation time", {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}})
    merge("deletion time", {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}},
          pick=lambda o: "deletionTimestamp" in o["metadata"])
    merge("node", {"spec": {"nodeName": "x"}})
    merge("status by the pod", {"status": {"phase": "Running"}}, pick=lambda o: o["status"]["phase"])
    merge("status and annotation", {"status": {"phase": "Running"}, "metadata": {"annotations": {"s": "1"}}}, "/status",
          pick=lambda o: (o["status"]["phase"], o["metadata"]["annotations"].get("s")))
    merge("spec by status", {"spec": {"nodeName": "x"}}, "/status", pick=lambda o: o["spec"].get("nodeName"))
    merge("annotations full", {"metadata": {"annotations": {"f": "x" * 262144}}})
    merge("an array", [1])
    merge("annotation no string", {"metadata": {"annotations": {"a": 1}}})
    merge("annotations no map", {"metadata": {"annotations": "a"}})
    s.ask("body too large", "PATCH", PODS + "/a", "x" * ((3 << 20) + 1), MERGE)


def ask_deletes(s, made):
    s.ask("bind", "POST", PODS + "/a/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"},
                                               "target": {"kind": "Node", "name": "n"}})
    s.ask("bind again", "POST", PODS + "/a/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"},
                                                     "target": {"kind": "Node", "name": "n"}})
    life = lambda o: (o.get("kind"), o["metadata"].get("deletionGracePeriodSeconds"), "deletionTimestamp" in o["metadata"])
    s.ask("delete other uid", "DELETE", PODS + "/a", {"preconditions": {"uid": "x"}})
    s.ask("delete other version", "DELETE", PODS + "/a", {"preconditions": {"resourceVersion": "1"}})
    s.ask("delete bound", "DELETE", PODS + "/a", pick=life)
    s.ask("delete again", "DELETE", PODS + "/a", pick=life)
    s.ask("delete sooner", "DELETE", PODS + "/a?gracePeriodSeconds=5", pick=life)
    s.ask("still there", "GET", PODS + "/a", pick=life)
    s.ask("delete now", "DELETE", PODS + "/a?gracePeriodSeconds=0", pick=life)
    s.ask("gone", "GET", PODS + "/a")
    s.ask("delete none", "DELETE", PODS + "/a")
    s.ask("unbound", "POST", PODS, pod("free"))
    s.ask("delete unbound", "DELETE", PODS + "/free", pick=life)
    s.ask("gone at once", "GET", PODS + "/free")
    s.ask("with finalizer", "POST", PODS, pod("held", node="n", finalizers=["x.y/z"]))
    s.ask("delete held", "DELETE", PODS + "/held?gracePeriodSeconds=0", pick=life)
    s.ask("held", "GET", PODS + "/held", pick=life)
    s.ask("let go", "PATCH", PODS + "/held", {"metadata": {"finalizers": None}}, MERGE, pick=life)
    s.ask("held gone", "GET", PODS + "/held")


def ask_leases(s):
    for time in ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00Z",
                 "2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.123456789Z", "soon"):
        s.ask("lease " + time, "POST", LEASES + "?dryRun=All", lease(renewTime=time))
    made = s.ask("lease", "POST", LEASES, lease(), pick=lambda o: o["spec"])
    s.ask("lease again", "POST", LEASES, lease())
    s.ask("lease no duration", "POST", LEASES, lease("m", leaseDurationSeconds=0))
    s.ask("put without version", "PUT", LEASES + "/l", lease())
    made["spec"]["holderIdentity"] = "you"
    s.ask("put", "PUT", LEASES + "/l", made, pick=lambda o: o["spec"]["holderIdentity"])
    s.ask("put stale", "PUT", LEASES + "/l", made)
    s.ask("put other uid", "PUT", LEASES + "/l", dict(made, metadata=dict(made["metadata"], uid="x")))
    s.ask("put bad time", "PUT", LEASES + "/l", lease(renewTime="soon"))
    s.ask("put new", "PUT", LEASES + "/new", lease("new"))
    s.ask("put of none with version", "PUT", LEASES + "/none", dict(lease("none"), metadata=dict(
        name="none", resourceVersion=made["metadata"]["resourceVersion"])))
    s.ask("patch lease time", "PATCH", LEASES + "/l", {"spec": {"renewTime": "soon"}}, MERGE)
    s.ask("patch lease type", "PATCH", LEASES + "/l", {"spec": {"leaseDurationSeconds": "x"}}, MERGE)
    s.ask("patch lease", "PATCH", LEASES + "/l", {"metadata": {"annotations": {"a": "b"}}}, MERGE,
          pick=lambda o: o["metadata"]["annotations"])
    s.ask("delete lease", "DELETE", LEASES + "/l", pick=lambda o: (o["kind"], o["status"], sorted(o["details"])))


def ask_secrets(s):
    secrets, maps = NS + "/t/secrets", NS + "/t/configmaps"

    def secret(kind="Opaque", version=None, **data):
        metadata = dict({"name": "s"}, **({"resourceVersion": version} if version else {}))
        return {"metadata": metadata, "type": kind, "data": {key.replace("__", "."): value for key, value in data.items()}}

    tls = {"tls__crt": "", "tls__key": "YQ=="}
    s.ask("secret no base64", "POST", secrets, secret(a="a"))
    s.ask("secret no text", "POST", secrets, secret(a=1))
    s.ask("tls secret without key", "POST", secrets, secret("kubernetes.io/tls", tls__crt="YQ=="))
    made = s.ask("tls secret", "POST", secrets, secret("kubernetes.io/tls", **tls), pick=lambda o: (o["type"], o["data"]))
    s.ask("secret again", "POST", secrets, secret())
    changed = s.ask("secret put", "PUT", secrets + "/s", secret("kubernetes.io/tls", made["metadata"]["resourceVersion"],
                                                               more="Yg==", **tls), pick=lambda o: o["data"])
    s.ask("secret put of an old version", "PUT", secrets + "/s", secret("kubernetes.io/tls", made["metadata"]["resourceVersion"],
                                                                       **tls))
    s.ask("secret put without a version", "PUT", secrets + "/s", secret("kubernetes.io/tls", **tls), pick=lambda o: o["data"])
    s.ask("secret put of none", "PUT", secrets + "/none", dict(changed, metadata={"name": "none"}))
    s.ask("secret delete", "DELETE", secrets + "/s", pick=lambda o: o.get("status"))
    s.ask("map no text", "POST", maps, {"metadata": {"name": "m"}, "data": {"a": 1}})
    s.ask("map", "POST", maps, {"metadata": {"name": "m"}, "data": {"a": "b"}}, pick=lambda o: o["data"])
    s.ask("map patch", "PATCH", maps + "/m", {"data": {"a": None, "c": "d"}}, MERGE, pick=lambda o: o["data"])
    s.ask("map get", "GET", maps + "/m", pick=lambda o: o["data"])


def ask_events(s):
    s.ask("event", "POST", EVENTS, event(), pick=lambda o: o["reason"])
    for label, more in (("no time", {"eventTime": None}), ("time", {"eventTime": "2026-01-01T00:00:00Z"}),
                        ("no action", {"action": ""}), ("no reason", {"reason": ""}), ("type", {"type": "Odd"}),
                        ("note", {"note": "x" * 1025}), ("namespace", {"regarding": {"kind": "Pod", "namespace": "o"}}),
                        ("controller", {"reportingController": ""}), ("instance", {"reportingInstance": ""}),
                        ("dot", {"metadata": {"generateName": "e."}}), ("node", {"regarding": {"kind": "Node", "name": "x"}}),
                        ("controller name", {"reportingController": "x"}), ("deprecated", {"deprecatedCount": 1}),
                        ("series time", {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00Z"}}),
                        ("series", {"series": {"count": 1, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}})):
        s.ask("event " + label, "POST", EVENTS, event(**more))
    s.ask("nad", "POST", NADS, {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                                "metadata": {"name": "ib"}, "spec": {"config": "{}"}}, pick=lambda o: o["spec"])
    s.ask("nads", "GET", NADS, pick=lambda o: (list(o), o["metadata"]["continue"], list(o["items"][0])[:2]))
    s.ask("nad fields", "GET", NADS + "?fieldSelector=spec.config%3Dx")


def ask_lists(s):
    for i in range(5):
        s.ask("p%d" % i, "POST", PODS, pod("p%d" % i, node="n" if i % 2 else None, labels={"i": str(i)}))
    names = lambda o: sorted(i["metadata"]["name"] for i in o["items"])
    for query in ("", "?fieldSelector=spec.nodeName!%3D", "?fieldSelector=spec.nodeName%3Dn",
                  "?fieldSelector=metadata.name%3Dp1", "?fieldSelector=status.phase%3DRunning",
                  "?fieldSelector=spec.nodeName!%3D,status.phase!%3DSucceeded", "?labelSelector=i%3D2",
                  "?labelSelector=i!%3D2", "?labelSelector=i", "?labelSelector=!i", "?limit=2",
                  "?limit=2&resourceVersion=0", "?fieldSelector=spec.hostNetwork%3Dtrue", "?fieldSelector=x",
                  "?resourceVersion=abc", "?continue=abc", "?resourceVersion=99999999"):
        s.ask("list " + query, "GET", PODS + query, pick=names)
    first = s.ask("page", "GET", PODS + "?limit=2", pick=lambda o: (sorted(o), sorted(o["metadata"]),
                                                                    sorted(set(map(lambda i: "kind" in i, o["items"])))))
    token = first["metadata"]["continue"]
    s.ask("behind", "POST", PODS, pod("p9"))
    second = s.ask("page 2", "GET", PODS + "?limit=2&continue=" + token, pick=names)
    s.ask("page 3", "GET", PODS + "?limit=2&continue=" + second["metadata"]["continue"],
          pick=lambda o: (names(o), "continue" in o["metadata"]))
    s.ask("continue and version", "GET", PODS + "?resourceVersion=5&continue=" + token)
    s.ask("filtered page", "GET", PODS + "?limit=1&fieldSelector=spec.nodeName%3Dn", pick=lambda o: (
        names(o), "remainingItemCount" in o["metadata"]))


def ask_watches(s):
    rv = s.ask("list", "GET", PODS)["metadata"]["resourceVersion"]
    status = lambda phase: s.ask("phase " + phase, "PATCH", PODS + "/p1/status", {"status": {"phase": phase}}, MERGE)
    status("Running")
    status("Succeeded")
    status("Running")
    # Another one: just after a pod left Succeeded the real server may still delete it at once, from its cache.
    s.ask("delete", "DELETE", PODS + "/p3")
    s.ask("delete now", "DELETE", PODS + "/p3?gracePeriodSeconds=0")
    watch = PODS + "?watch=1&timeoutSeconds=5&resourceVersion="
    s.watch("watch", watch + rv, 7)
    s.watch("watch of running", watch + rv + "&fieldSelector=status.phase%3DRunning", 5)
    s.watch("watch without succeeded", watch + rv + "&fieldSelector=status.phase!%3DSucceeded", 5)
    s.watch("watch from nothing", PODS + "?watch=1&timeoutSeconds=5&labelSelector=i%3D2", 1)
    s.ask("watch-list", "GET", PODS + "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                                      "&allowWatchBookmarks=true&timeoutSeconds=1")
    s.ask("watch of a bad version", "GET", PODS + "?watch=1&resourceVersion=abc")
    s.ask("watch of a bad field", "GET", PODS + "?watch=1&fieldSelector=a%3Db")


def ask_proxy(s):
    """Tokens of service accounts, and each way that the service proxy fails."""
    base = NS + "/t/"
    token = lambda name, **spec: s.ask("token of %s %s" % (name, spec), "POST", base + "serviceaccounts/%s/token" % name,
                                       {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
                                       pick=lambda o: (o["kind"], o["spec"]["audiences"], bool(o["status"]["token"])))
    proxied = lambda label, name: s.ask("proxy " + label, "GET", base + "services/%s/proxy/v1/x" % name)
    token("nobody", audiences=["ufmsync"])
    s.ask("service account", "POST", base + "serviceaccounts", {"metadata": {"name": "sa"}})
    token("sa", audiences=["ufmsync"], expirationSeconds=600)
    token("sa", audiences=["ufmsync"], expirationSeconds=599)
    s.ask("token is not got", "GET", base + "serviceaccounts/sa/token")
    proxied("no service", "https:svc:8443")
    s.ask("service", "POST", base + "services", {"metadata": {"name": "svc"}, "spec": {"ports": [
        {"name": "https", "port": 8443}]}})
    proxied("no endpoints object", "https:svc:8443")
    s.ask("endpoints", "POST", base + "endpoints", {"metadata": {"name": "svc"}})
    proxied("no endpoint", "https:svc:8443")
    proxied("no such port", "https:svc:8444")
    proxied("no such scheme", "ftp:svc:8443")
    s.ask("an endpoint of no pod", "PUT", base + "endpoints/svc", {"metadata": {"name": "svc"}, "subsets": [
        {"addresses": [{"ip": "192.0.2.7"}], "ports": [{"name": "https", "port": 8443}]}]})
    proxied("an endpoint of no pod", "https:svc:8443")


def session(kube):
    s = Session(kube)
    made = ask_objects(s)
    ask_patches(s, made)
    ask_deletes(s, made)
    ask_leases(s)
    ask_secrets(s)
    ask_events(s)
    ask_lists(s)
    ask_watches(s)
    ask_proxy(s)
    return s.results


def main():
    if not os.environ.get("KUBE_APISERVER"):
        print("KUBE_APISERVER names no real kube-apiserver: nothing compared")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for name, make in (("mock", lambda f: MockKube(sys.argv[1], f)), ("real", RealKube)):
            path = os.path.join(folder, name)
            os.mkdir(path)
            kube = make(path)
            try:
                results.append(session(kube))
            finally:
                kube.end()
    differences = [(mock, real) for mock, real in zip(*results) if mock != real]
    for mock, real in differences:
        print("%s\n    mock %s\n    real %s" % (mock[0], mock[1:], real[1:]))
    print("%d questions, %d answered differently" % (len(results[0]), len(differences)))
    return 1 if differences or len(results[0]) != len(results[1]) else 0


if __name__ == "__main__":
    sys.exit(main())
