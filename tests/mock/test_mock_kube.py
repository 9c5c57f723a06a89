#!/usr/bin/env python3
"""mock-kube as its users meet it: over HTTP, started as a process.  Usage: test_mock_kube.py PATH_OF_MOCK_KUBE"""

import http.client
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

MOCK_KUBE = ""
TOKEN = "token-4711"
PODS = "/api/v1/namespaces/default/pods"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
JSON, MERGE, JSON_PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"


def pod(name, node=None, **metadata):
    spec = {"containers": [{"name": "c", "image": "x"}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": dict(name=name, **metadata), "spec": spec}


class Watch:
    """A stream of events on a connection of its own."""

    def __init__(self, mock, path):
        self.connection = mock.connection()
        self.connection.request("GET", path, headers=mock.headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def next(self):
        line = self.answer.readline()
        return json.loads(line) if line else None

    def brief(self):
        event = self.next()
        return event and (event["type"], event["object"]["metadata"]["name"])

    def close(self):
        self.answer.close()
        self.connection.close()


class Mock:
    """One running mock-kube; ends with its `with` block, and must end cleanly."""

    def __init__(self, *options, tls=False):
        self.folder = tempfile.TemporaryDirectory()
        path = lambda name: os.path.join(self.folder.name, name)
        self.kubeconfig = path("kubeconfig")
        kind = ["--write-ca", path("ca")] if tls else ["--http"]
        self.process = subprocess.Popen(
            [MOCK_KUBE, "--exit-with-parent", "--port-file", path("port"), "--control-port-file", path("control"),
             "--write-kubeconfig", self.kubeconfig, *kind, *options],
            stdout=subprocess.PIPE, env={**os.environ, "MOCK_KUBE_TOKEN": TOKEN})
        line = self.process.stdout.readline().decode()  # written when all is ready
        if "control http" not in line:
            raise RuntimeError("mock-kube did not start: " + line)
        with open(path("port")) as file:
            self.port = int(file.read())
        with open(path("control")) as file:
            self.control_port = int(file.read())
        self.headers = {"Authorization": "Bearer " + TOKEN, "User-Agent": "test"}
        self.context = ssl.create_default_context(cafile=path("ca")) if tls else None
        self.kept = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.kept:
            self.kept.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.folder.cleanup()
        if code != 0:
            raise RuntimeError("mock-kube ended with %d" % code)

    def connection(self):
        if self.context:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method, path, body=None, content_type=JSON, headers=None):
        """Status and object."""
        if self.kept is None:
            self.kept = self.connection()
        headers = dict(self.headers if headers is None else headers)
        if body is not None:
            headers["Content-Type"] = content_type
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        try:
            self.kept.request(method, path, body, headers)
            answer = self.kept.getresponse()
            self.retry_after = answer.getheader("Retry-After")
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.kept.close()
            self.kept = None
            raise
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode()

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=30)
        connection.request(method, "/control" + path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise RuntimeError("%d %s" % (answer.status, text))
        return json.loads(text) if text.startswith("{") else text

    def create(self, item, path=PODS):
        status, result = self.call("POST", path, item)
        assert status == 201, result
        return result

    def set_phase(self, name, phase):
        return self.call("PATCH", PODS + "/" + name + "/status", {"status": {"phase": phase}}, MERGE)


class Objects(unittest.TestCase):
    def test_a_pod_is_created_with_what_the_server_adds(self):
        with Mock() as mock:
            made = mock.create(pod("a", status={"phase": "Running"}))
            self.assertEqual(made["status"]["phase"], "Pending")
            self.assertEqual(made["spec"]["terminationGracePeriodSeconds"], 30)
            for key in ("uid", "creationTimestamp", "resourceVersion"):
                self.assertTrue(made["metadata"][key])
            self.assertEqual(mock.call("GET", PODS + "/a"), (200, made))
            self.assertEqual(mock.call("POST", PODS, pod("a"))[1]["reason"], "AlreadyExists")
            generated = mock.create(pod(None, generateName="g-"))["metadata"]["name"]
            self.assertRegex(generated, r"^g-[a-z0-9]{5}$")
            status, error = mock.call("GET", PODS + "/none")
            self.assertEqual((status, error["reason"], error["kind"]), (404, "NotFound", "Status"))
            self.assertEqual(error["message"], 'pods "none" not found')
            self.assertEqual(mock.call("POST", "/api/v1/namespaces/nowhere/pods", pod("a"))[0], 404)
            self.assertEqual(mock.call("POST", PODS, {"metadata": {"name": "b"}})[0], 422)
            self.assertEqual(mock.call("POST", PODS, pod("Not_A_Name"))[0], 422)
            self.assertEqual(mock.call("POST", PODS, "{")[0], 400)
            self.assertEqual(mock.call("PATCH", PODS + "/a", {"spec": {"nodeName": "x"}}, MERGE)[0], 422)
            self.assertEqual(mock.call("PATCH", PODS + "/a", {}, JSON)[0], 415)
            self.assertEqual(mock.call("GET", "/api/v1/limitranges")[1]["reason"], "NotFound")
            self.assertEqual(mock.call("GET", "/apis/apps/v1/x"), (404, "404 page not found\n"))
            self.assertEqual(mock.call("GET", "/version")[1]["gitVersion"], "v1.20.2")
            self.assertEqual(mock.call("GET", "/readyz"), (200, "ok"))

    def test_a_patch_tests_and_changes_or_does_nothing(self):
        with Mock() as mock:
            made = mock.create(pod("a", annotations={"x/y": "1"}))
            uid, rv = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
            patch = lambda *operations: mock.call("PATCH", PODS + "/a", list(operations), JSON_PATCH)
            is_uid = {"op": "test", "path": "/metadata/uid", "value": uid}
            # a missing member tests as null
            status, now = patch(is_uid, {"op": "test", "path": "/metadata/annotations/new", "value": None},
                                {"op": "test", "path": "/metadata/annotations/x~1y", "value": "1"},
                                {"op": "add", "path": "/metadata/annotations/new", "value": "n"},
                                {"op": "remove", "path": "/metadata/annotations/x~1y"})
            self.assertEqual((status, now["metadata"]["annotations"]), (200, {"new": "n"}))
            self.assertGreater(int(now["metadata"]["resourceVersion"]), int(rv))
            # a failing test is a bare 422
            status, error = patch({"op": "test", "path": "/metadata/uid", "value": "other"},
                                  {"op": "add", "path": "/metadata/annotations/new", "value": "m"})
            self.assertEqual((status, error["reason"], error["details"]), (422, "Invalid", {}))
            self.assertEqual(patch({"op": "add", "path": "/metadata/labels/a", "value": "m"})[0], 422)
            self.assertEqual(patch({"op": "remove", "path": "/metadata/annotations/none"})[0], 422)
            self.assertEqual(patch({"op": "what", "path": "/metadata"})[0], 422)
            self.assertEqual(mock.call("PATCH", PODS + "/a", {}, JSON_PATCH)[0], 400)
            self.assertEqual(mock.call("GET", PODS + "/a"), (200, now))
            # no change: the same resourceVersion
            merge = lambda body: mock.call("PATCH", PODS + "/a", body, MERGE)
            self.assertEqual(merge({"metadata": {"annotations": {"new": "n"}}}), (200, now))
            self.assertEqual(merge({"status": {"phase": "Running"}}), (200, now))
            # optimistic lock, identity, null
            self.assertEqual(merge({"metadata": {"resourceVersion": rv, "annotations": {"b": "2"}}})[0], 409)
            self.assertEqual(merge({"metadata": {"uid": "other"}})[0], 422)
            self.assertNotIn("annotations", merge({"metadata": {"annotations": {"new": None}}})[1]["metadata"])
            # annotations in all at most 262144 bytes
            self.assertEqual(merge({"metadata": {"annotations": {"b": "x" * 262143}}})[0], 200)
            status, error = merge({"metadata": {"annotations": {"c": ""}}})
            self.assertEqual((status, error["details"]["causes"][0]["field"]), (422, "metadata.annotations"))
            self.assertEqual(merge("x" * (3 << 20) + "y")[0], 413)

    def test_an_update_needs_the_version_where_the_real_one_does(self):
        with Mock() as mock:
            lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15,
                                                         "renewTime": "2026-01-01T00:00:00.000000Z"}}
            for wrong in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.123456789Z"):
                self.assertEqual(mock.call("POST", LEASES, {**lease, "spec": {"renewTime": wrong}})[0], 400)
            made = mock.create(lease, LEASES)
            self.assertEqual(mock.call("POST", LEASES, lease)[0], 409)
            self.assertEqual(mock.call("PUT", LEASES + "/l", lease)[0], 422)
            made["spec"]["holderIdentity"] = "you"
            status, now = mock.call("PUT", LEASES + "/l", made)
            self.assertEqual((status, now["spec"]["holderIdentity"]), (200, "you"))
            self.assertEqual(mock.call("PUT", LEASES + "/l", made)[1]["reason"], "Conflict")
            self.assertEqual(mock.call("PUT", LEASES + "/m", {**lease, "metadata": {"name": "m"}})[0], 201)
            self.assertEqual(mock.call("DELETE", LEASES + "/l")[1]["status"], "Success")
            self.assertEqual(mock.call("DELETE", LEASES + "/l")[0], 404)

    def test_a_bound_pod_is_given_its_grace_period(self):
        with Mock() as mock:
            mock.create(pod("free"))
            self.assertEqual(mock.call("DELETE", PODS + "/free")[1]["kind"], "Pod")
            self.assertEqual(mock.call("GET", PODS + "/free")[0], 404)
            made = mock.create(pod("a"))
            bind = {"target": {"kind": "Node", "name": "node1"}}
            self.assertEqual(mock.call("POST", PODS + "/a/binding", bind)[0], 201)
            self.assertEqual(mock.call("POST", PODS + "/a/binding", bind)[0], 409)
            wrong = {"preconditions": {"uid": "other"}}
            self.assertEqual(mock.call("DELETE", PODS + "/a", wrong)[1]["reason"], "Conflict")
            status, leaving = mock.call("DELETE", PODS + "/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
            self.assertEqual((status, leaving["metadata"]["deletionGracePeriodSeconds"]), (200, 30))
            self.assertTrue(leaving["metadata"]["deletionTimestamp"])
            self.assertEqual(mock.call("DELETE", PODS + "/a"), (200, leaving))
            self.assertEqual(mock.call("DELETE", PODS + "/a?gracePeriodSeconds=0")[0], 200)
            self.assertEqual(mock.call("GET", PODS + "/a")[0], 404)
            mock.create(pod("done", node="n"))
            mock.set_phase("done", "Succeeded")
            mock.call("DELETE", PODS + "/done")
            self.assertEqual(mock.call("GET", PODS + "/done")[0], 404)

    def test_a_finalizer_keeps_a_pod(self):
        with Mock() as mock:
            mock.create(pod("a", node="n", finalizers=["x/y"]))
            status, held = mock.call("DELETE", PODS + "/a?gracePeriodSeconds=0")
            self.assertEqual(held["metadata"]["deletionGracePeriodSeconds"], 0)
            self.assertEqual(mock.call("GET", PODS + "/a")[0], 200)
            self.assertEqual(mock.call("PATCH", PODS + "/a", {"metadata": {"finalizers": None}}, MERGE)[0], 200)
            self.assertEqual(mock.call("GET", PODS + "/a")[0], 404)

    def test_a_namespace_goes_with_the_last_pod_in_it(self):
        with Mock() as mock:
            mock.create({"metadata": {"name": "team"}}, "/api/v1/namespaces")
            mock.create(pod("a", node="n"), "/api/v1/namespaces/team/pods")
            self.assertEqual(mock.call("DELETE", "/api/v1/namespaces/team")[1]["status"]["phase"], "Terminating")
            self.assertEqual(mock.call("POST", "/api/v1/namespaces/team/pods", pod("b"))[0], 403)
            self.assertEqual(mock.call("GET", "/api/v1/namespaces/team")[0], 200)
            mock.call("DELETE", "/api/v1/namespaces/team/pods/a?gracePeriodSeconds=0")
            self.assertEqual(mock.call("GET", "/api/v1/namespaces/team")[0], 404)

    def test_an_event_is_checked(self):
        with Mock() as mock:
            event = {"metadata": {"generateName": "e-"}, "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal",
                     "reportingController": "ufmsync.io/x", "reportingInstance": "i", "action": "Join", "reason": "R",
                     "note": "n", "regarding": {"kind": "Pod", "namespace": "default", "name": "p"}}
            mock.create(event, EVENTS)
            self.assertEqual(mock.call("POST", EVENTS, {**event, "eventTime": "2026-01-01T00:00:00Z"})[0], 400)
            for wrong in ({"eventTime": None}, {"action": ""}, {"note": "x" * 1025}, {"type": "Odd"},
                          {"metadata": {"generateName": "e."}}):
                self.assertEqual(mock.call("POST", EVENTS, {**event, **wrong})[0], 422, wrong)


class Lists(unittest.TestCase):
    def test_pages_show_one_state_and_end(self):
        with Mock() as mock:
            for i in range(7):
                mock.create(pod("p%d" % i, labels={"odd": str(i % 2)}))
            first = mock.call("GET", "/api/v1/pods?limit=3")[1]
            self.assertEqual([i["metadata"]["name"] for i in first["items"]], ["p0", "p1", "p2"])
            self.assertEqual(first["metadata"]["remainingItemCount"], 4)
            self.assertNotIn("kind", first["items"][0])
            mock.call("DELETE", PODS + "/p5")
            mock.create(pod("p55"))
            second = mock.call("GET", "/api/v1/pods?limit=3&continue=" + first["metadata"]["continue"])[1]
            third = mock.call("GET", "/api/v1/pods?limit=3&continue=" + second["metadata"]["continue"])[1]
            self.assertEqual([i["metadata"]["name"] for i in second["items"] + third["items"]], ["p3", "p4", "p5", "p6"])
            self.assertNotIn("continue", third["metadata"])
            self.assertEqual(third["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"])
            self.assertEqual(len(mock.call("GET", "/api/v1/pods?limit=3&resourceVersion=0")[1]["items"]), 7)
            odd = mock.call("GET", PODS + "?labelSelector=odd%3D1")[1]["items"]
            self.assertEqual([i["metadata"]["name"] for i in odd], ["p1", "p3"])
            mock.control("POST", "/compact")
            status, error = mock.call("GET", "/api/v1/pods?limit=3&continue=" + first["metadata"]["continue"])
            self.assertEqual((status, error["reason"]), (410, "Expired"))
            rest = mock.call("GET", "/api/v1/pods?continue=" + error["metadata"]["continue"])[1]["items"]
            self.assertEqual([i["metadata"]["name"] for i in rest], ["p3", "p4", "p55", "p6"])

    def test_selectors_and_bad_questions(self):
        with Mock() as mock:
            mock.create(pod("free"))
            mock.create(pod("bound", node="n1"))
            names = lambda query: [i["metadata"]["name"] for i in mock.call("GET", "/api/v1/pods?" + query)[1]["items"]]
            self.assertEqual(names("fieldSelector=spec.nodeName%21%3D"), ["bound"])
            self.assertEqual(names("fieldSelector=spec.nodeName=n1,status.phase!=Succeeded"), ["bound"])
            self.assertEqual(names("fieldSelector=metadata.name=free"), ["free"])
            self.assertEqual(mock.call("GET", "/api/v1/pods?fieldSelector=spec.hostNetwork=true")[0], 400)
            self.assertEqual(mock.call("GET", "/api/v1/pods?resourceVersion=abc")[0], 500)
            self.assertEqual(mock.call("GET", "/api/v1/pods?resourceVersion=99999999")[0], 504)
            self.assertEqual(mock.call("GET", NADS)[1]["metadata"]["continue"], "")
            made = mock.create({"metadata": {"name": "ib"}, "spec": {"config": "{}"}}, NADS)
            item = mock.call("GET", NADS)[1]["items"][0]
            self.assertEqual(item, made)
            self.assertEqual(item["kind"], "NetworkAttachmentDefinition")


class Watches(unittest.TestCase):
    def test_what_leaves_the_selector_is_deleted_with_its_old_state(self):
        with Mock() as mock:
            rv = mock.call("GET", "/api/v1/pods")[1]["metadata"]["resourceVersion"]
            watch = Watch(mock, "/api/v1/pods?watch=1&resourceVersion=%s"
                                "&fieldSelector=spec.nodeName!=,status.phase!=Succeeded" % rv)
            mock.create(pod("a"))
            mock.call("POST", PODS + "/a/binding", {"target": {"name": "n"}})
            self.assertEqual(watch.brief(), ("ADDED", "a"))
            mock.set_phase("a", "Running")
            self.assertEqual(watch.brief(), ("MODIFIED", "a"))
            finished = mock.set_phase("a", "Succeeded")[1]
            event = watch.next()
            self.assertEqual((event["type"], event["object"]["status"]["phase"]), ("DELETED", "Running"))
            self.assertEqual(event["object"]["metadata"]["resourceVersion"], finished["metadata"]["resourceVersion"])
            mock.set_phase("a", "Running")
            self.assertEqual(watch.brief(), ("ADDED", "a"))
            for path in ("", "?gracePeriodSeconds=0"):
                mock.call("DELETE", PODS + "/a" + path)
            self.assertEqual([watch.brief() for _ in range(3)], [("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")])
            watch.close()

    def test_a_watch_resumes_until_its_history_is_gone(self):
        with Mock("--history", "5") as mock:
            first = mock.create(pod("a"))["metadata"]["resourceVersion"]
            mock.create(pod("b"))
            watch = Watch(mock, PODS + "?watch=1&resourceVersion=" + first)
            self.assertEqual(watch.brief(), ("ADDED", "b"))
            watch.close()
            for i in range(5):
                mock.create(pod("c%d" % i))
            watch = Watch(mock, PODS + "?watch=1&resourceVersion=" + first)
            event = watch.next()
            self.assertEqual((watch.status, event["type"], event["object"]["code"], event["object"]["reason"]),
                             (200, "ERROR", 410, "Expired"))
            self.assertIsNone(watch.next())
            # without a version: all that is there, then what happens
            watch = Watch(mock, PODS + "?watch=1")
            self.assertEqual([watch.brief()[1] for _ in range(7)], ["a", "b", "c0", "c1", "c2", "c3", "c4"])
            mock.create(pod("d"))
            self.assertEqual(watch.brief(), ("ADDED", "d"))
            watch.close()

    def test_bookmarks_and_the_end(self):
        with Mock() as mock:
            watch = Watch(mock, PODS + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion=0")
            rv = mock.create(pod("a"))["metadata"]["resourceVersion"]
            self.assertEqual(watch.brief(), ("ADDED", "a"))
            event = watch.next()  # two seconds before the end
            self.assertEqual((event["type"], event["object"]["metadata"]["resourceVersion"]), ("BOOKMARK", rv))
            self.assertIsNone(watch.next())
            quiet = Watch(mock, PODS + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion=" + rv)
            self.assertEqual(mock.control("POST", "/bookmark"), {"watches": 1})
            self.assertEqual(quiet.next()["type"], "BOOKMARK")
            self.assertIsNone(quiet.next())

    def test_watch_list_is_known_to_the_newer_only(self):
        query = "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        with Mock() as mock:
            self.assertEqual(mock.call("GET", PODS + query)[0], 422)
        with Mock("--behave-as", "0.36") as mock:
            mock.create(pod("a"))
            watch = Watch(mock, PODS + query)
            self.assertEqual(watch.brief(), ("ADDED", "a"))
            metadata = watch.next()["object"]["metadata"]
            self.assertEqual(metadata["annotations"], {"k8s.io/initial-events-end": "true"})
            mock.create(pod("b"))
            self.assertEqual(watch.brief(), ("ADDED", "b"))
            watch.close()

    def test_a_large_watch_reaches_a_slow_reader_whole(self):
        with Mock() as mock:
            count = 20000
            template = pod("x", node="n", annotations={"a": "x" * 2000})
            mock.control("POST", "/populate", {"namespace": "many", "count": count, "name": "p%06d", "pod": template})
            watch = Watch(mock, "/api/v1/pods?watch=1")
            mock.create(pod("last"))
            for i in range(count):
                self.assertEqual(watch.brief(), ("ADDED", "p%06d" % i))
            self.assertEqual(watch.brief(), ("ADDED", "last"))
            watch.close()


class Faults(unittest.TestCase):
    def test_watches_are_dropped_in_three_ways(self):
        with Mock() as mock:
            for how, last in (("end", None), ("gone", "ERROR"), ("cut", None)):
                watch = Watch(mock, PODS + "?watch=1")
                self.assertEqual(mock.control("POST", "/watches/drop?how=" + how), {"watches": 1})
                if how == "cut":
                    with self.assertRaises((OSError, http.client.HTTPException)):
                        watch.answer.read()
                    continue
                event = watch.next()
                self.assertEqual(event and event["type"], last)
                if event:
                    self.assertIsNone(watch.next())

    def test_an_expired_history_is_410(self):
        with Mock() as mock:
            rv = mock.create(pod("a"))["metadata"]["resourceVersion"]
            mock.create({"metadata": {"name": "n1"}}, "/api/v1/nodes")
            mock.control("POST", "/history/expire?resource=pods")
            watch = Watch(mock, PODS + "?watch=1&resourceVersion=" + rv)
            self.assertEqual(watch.next()["object"]["code"], 410)
            mock.control("POST", "/restart")

    def test_rules_decide_what_goes_wrong(self):
        with Mock() as mock:
            mock.create(pod("a"))
            annotate = lambda value: mock.call("PATCH", PODS + "/a", {"metadata": {"annotations": {"k": value}}}, MERGE)
            match = {"verb": "patch", "resource": "pods", "name": "a"}
            rule = {"match": match, "skip": 1, "times": 1, "action": "status", "code": 429, "reason": "TooManyRequests",
                    "retry_after": 7}
            mock.control("POST", "/faults", rule)
            self.assertEqual(annotate("1")[0], 200)
            self.assertEqual((annotate("2")[1]["reason"], mock.retry_after), ("TooManyRequests", "7"))
            self.assertEqual(annotate("3")[0], 200)
            mock.control("POST", "/faults", {"match": match, "times": 1, "action": "reset_after_apply"})
            with self.assertRaises((OSError, http.client.HTTPException)):
                annotate("4")
            self.assertEqual(mock.call("GET", PODS + "/a")[1]["metadata"]["annotations"], {"k": "4"})
            mock.control("POST", "/faults", {"match": match, "times": 1, "action": "reset_before"})
            with self.assertRaises((OSError, http.client.HTTPException)):
                annotate("5")
            mock.control("POST", "/faults", {"match": {"verb": "list"}, "times": 1, "action": "cut_stream"})
            with self.assertRaises(http.client.IncompleteRead):
                mock.call("GET", "/api/v1/pods")
            mock.control("POST", "/faults", {"action": "late_answer", "delay_ms": 20})
            mock.control("POST", "/latency", {"write_ms": 20, "read_ms": 1})
            self.assertEqual(annotate("6")[0], 200)
            self.assertEqual(mock.control("GET", "/faults")["faults"][-1]["used"], 1)
            mock.control("DELETE", "/faults")
            self.assertEqual(mock.control("GET", "/faults"), {"faults": []})
            for wrong in ({}, {"action": "nonsense"}, {"action": "hang", "oops": 1}, {"action": "hang", "match": {"x": 1}}):
                with self.assertRaises(RuntimeError):
                    mock.control("POST", "/faults", wrong)

    def test_requests_are_logged_and_counted(self):
        with Mock() as mock:
            mock.create(pod("a"))
            mock.call("GET", PODS + "?fieldSelector=metadata.name%3Da&limit=5")
            last = mock.control("GET", "/log")["requests"][-1]
            self.assertEqual((last["method"], last["path"], last["query"], last["user_agent"], last["status"]),
                             ("GET", PODS, "fieldSelector=metadata.name=a&limit=5", "test", 200))
            self.assertEqual(mock.control("GET", "/log?after=%d" % last["seq"]), {"requests": []})
            mock.set_phase("a", "Running")
            stats = mock.control("GET", "/stats")
            self.assertEqual(stats["requests"], {"create pods": 1, "list pods": 1, "patch pods/status": 1})
            self.assertEqual((stats["patches_max"], stats["objects"]["pods"]), (1, 1))
            mock.control("POST", "/faults", {"match": {"verb": "patch"}, "action": "hang"})
            hanging = mock.connection()
            hanging.request("PATCH", PODS + "/a", "{}", {**mock.headers, "Content-Type": MERGE})
            while mock.control("GET", "/stats")["patches_in_flight"] != 1:
                pass
            hanging.close()
            while mock.control("GET", "/stats")["patches_in_flight"] != 0:
                pass
            self.assertIn("/control/faults", mock.control("GET", ""))


class Access(unittest.TestCase):
    def test_who_has_no_token_is_not_let_in(self):
        with Mock() as mock:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic " + TOKEN}):
                status, error = mock.call("GET", PODS, headers=headers)
                self.assertEqual((status, error["reason"]), (401, "Unauthorized"))

    def test_reviews_answer_what_they_were_told(self):
        with Mock() as mock:
            mock.control("PUT", "/identities", [{"token": "t", "user": "u", "groups": ["g"], "audiences": ["ufmsync"],
                                                 "access": [{"verb": "get", "path": "/v1/*"}]}])
            review = lambda spec: mock.create({"spec": spec}, "/apis/authentication.k8s.io/v1/tokenreviews")["status"]
            self.assertEqual(review({"token": "t", "audiences": ["ufmsync"]}),
                             {"authenticated": True, "user": {"username": "u", "groups": ["g"]}, "audiences": ["ufmsync"]})
            self.assertNotIn("authenticated", review({"token": "t"}))
            self.assertNotIn("authenticated", review({"token": "x", "audiences": ["ufmsync"]}))
            for verb, path, allowed in (("get", "/v1/pool", True), ("post", "/v1/pool", False), ("get", "/v2", False)):
                spec = {"user": "u", "nonResourceAttributes": {"verb": verb, "path": path}}
                answer = mock.create({"spec": spec}, "/apis/authorization.k8s.io/v1/subjectaccessreviews")
                self.assertEqual(answer["status"]["allowed"], allowed)

    def test_what_one_token_of_a_user_may_all_may(self):
        with Mock() as mock:
            mock.control("PUT", "/identities", [{"token": "s", "user": "u"}, {"token": "t", "user": "u", "access": [
                {"verb": "post", "path": "/v1/attach"}]}])
            spec = {"user": "u", "nonResourceAttributes": {"verb": "post", "path": "/v1/attach"}}
            answer = mock.create({"spec": spec}, "/apis/authorization.k8s.io/v1/subjectaccessreviews")
            self.assertTrue(answer["status"]["allowed"])

    def test_a_token_of_a_service_account_is_known_to_reviews(self):
        with Mock() as mock:
            accounts = "/api/v1/namespaces/default/serviceaccounts"
            request = {"spec": {"audiences": ["ufmsync"], "expirationSeconds": 600}}
            self.assertEqual(mock.call("POST", accounts + "/reader/token", request)[0], 404)
            mock.create({"metadata": {"name": "reader"}}, accounts)
            token = mock.create(request, accounts + "/reader/token")["status"]["token"]
            review = mock.create({"spec": {"token": token, "audiences": ["ufmsync"]}},
                                 "/apis/authentication.k8s.io/v1/tokenreviews")
            self.assertEqual(review["status"]["user"]["username"], "system:serviceaccount:default:reader")

    def test_the_service_proxy_goes_to_an_endpoint_without_authorization(self):
        seen = []

        class Service(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append((self.path, self.headers["Authorization"], self.headers["X-Ufmsync-Token"], body))
                self.send_response(409)
                self.end_headers()
                self.wfile.write(b'{"error":{}}')

            def log_message(self, *_):
                pass
        service = http.server.HTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        base = "/api/v1/namespaces/default/"
        with Mock() as mock:
            mock.create({"metadata": {"name": "s"}, "spec": {"ports": [{"name": "p", "port": 80}]}}, base + "services")
            pod_object = mock.create(pod("backing"))
            mock.call("PUT", base + "pods/backing/status", dict(pod_object, status={"podIP": "127.0.0.1"}))
            mock.create({"metadata": {"name": "s"}, "subsets": [{
                "addresses": [{"ip": "127.0.0.1", "targetRef": {"kind": "Pod", "namespace": "default", "name": "backing"}}],
                "ports": [{"name": "p", "port": service.server_port}]}]}, base + "endpoints")
            connection = mock.connection()
            connection.request("POST", base + "services/http:s:80/proxy/v1/x?a=b%26c", b"body",
                               dict(mock.headers, **{"X-Ufmsync-Token": "t", "Authorization": "Bearer " + TOKEN}))
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (409, b'{"error":{}}'))
            connection.close()
            service.shutdown()
            service.server_close()
            self.assertEqual(seen, [("/v1/x?a=b%26c", None, "t", b"body")])
            self.assertEqual(mock.call("GET", base + "services/http:s:80/proxy/")[0], 503)  # nobody is there any more

    def test_https_with_the_kubeconfig_it_wrote(self):
        with Mock(tls=True) as mock:
            mock.create(pod("a"))
            watch = Watch(mock, PODS + "?watch=1")
            self.assertEqual(watch.brief(), ("ADDED", "a"))
            watch.close()
            with open(mock.kubeconfig) as file:
                text = file.read()
            self.assertIn("server: https://127.0.0.1:%d\n" % mock.port, text)
            self.assertIn("token: " + TOKEN, text)
            self.assertIn("certificate-authority-data: ", text)


if __name__ == "__main__":
    MOCK_KUBE = sys.argv.pop(1)
    unittest.main()
