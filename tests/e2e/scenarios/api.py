"""What operators ask at the https port: every answer is as ufmsync/openapi.json says, and true."""
import json
import os
import re
import urllib.parse

import objects
import schema
from ask import Ask
from scenario import expect, expect_equal, scenario
from scenarios.orphans import guid
from servers import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1"
READS = ["/v1/status", "/v1/pool", "/v1/pkeys", "/v1/pkeys/*", "/v1/attachments", "/v1/guids/*", "/v1/orphans",
         "/v1/openapi.json"]
WRITES = ["/v1/audit", "/v1/orphans/remove", "/v1/orphans/confirm"]
SOURCE = os.path.join(os.path.dirname(schema.DOCUMENT), "api.c")


def colons(text):
    return ":".join(text[i:i + 2] for i in range(0, 16, 2))


class Operator:
    """Asks a daemon with a token of that service account, and holds each answer against the document."""
    document = schema.load()

    def __init__(self, world, daemon, account="ufmsync-operator", writes=True):
        self.world, self.daemon = world, daemon
        self.account = "system:serviceaccount:%s:%s" % (world.ns("ufmsync"), account)
        rules = [("get", path) for path in READS] + [("post", path) for path in WRITES if writes]
        access = world.access
        if world.kube.kind == "real":
            access.make_account(account)
            role = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": "%s-%s" % (account, world.tag)}
            world.client.call("POST", RBAC + "/clusterroles", {"metadata": {"name": role["name"]}, "rules": [
                {"nonResourceURLs": [path], "verbs": [verb]} for verb, path in rules]})
            world.client.call("POST", RBAC + "/clusterrolebindings", {
                "metadata": {"name": role["name"]}, "roleRef": role,
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": world.ns("ufmsync")}]})
            self.token = access.request_token(account, "ufmsync", None)
        else:
            self.token = "operator-token-%s-%s" % (world.tag, account)
            access.identities.append({
                "token": self.token, "user": self.account, "uid": "operator", "groups": ["system:authenticated"],
                "audiences": ["ufmsync"], "access": [{"verb": verb, "path": path} for verb, path in rules]})
            world.kube.control.call("PUT", "/control/identities", access.identities)
        world.secrets.append(self.token)

    def raw(self, path, method="GET", body=None, headers=None, token=None, daemon=None):
        status, headers, answer = Ask(self.world, daemon or self.daemon, body, token if headers else self.token, method, path,
                                      headers or ()).answer()
        if headers.get("transfer-encoding") == "chunked":
            answer = json.loads(unchunked(answer))
        return status, answer

    def ask(self, path, method="GET", body=None, wanted=None, daemon=None):
        """The answer; its status is `wanted`, else any success."""
        status, answer = self.raw(path, method, body, daemon=daemon)
        if path.split("?")[0] != "/v1/openapi.json":
            wrong = schema.judge(self.document, method, path, status, answer)
            expect(not wrong, "\n".join(wrong))
        if wanted is None:
            expect(200 <= status < 300, "%s %s: %d %r" % (method, path, status, answer))
        else:
            expect_equal(status, wanted, "%s %s (%r)" % (method, path, answer))
        return answer

    def code(self, path, method="GET", body=None, wanted=400, daemon=None):
        return self.ask(path, method, body, wanted, daemon)["error"]["code"]

    def all(self, path):
        """Every item, page by page."""
        items, more = [], ""
        while True:
            page = self.ask(path + more)
            items += page["items"]
            if page["continue"] is None:
                return items
            more = ("&" if "?" in path else "?") + "continue=" + urllib.parse.quote(page["continue"])


def unchunked(data):
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        n = int(size, 16)
        if n == 0:
            return whole
        whole, data = whole + data[:n], data[n + 2:]
    raise AssertionError("the answer breaks off")


def site(world, **more):
    """Two pods, an orphan, one in a PKey that is not ours, and somebody else's; the brake is on."""
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("other", objects.ib_config("0x6"))
    world.start_ufm()
    world.ufm.add("0x5", guid(3))
    world.ufm.add("0x200", guid(4))
    world.ufm.add("0x5", guid(9, top=0x03))
    daemon = world.serve(UFM_PKEY_RANGE="0x1-0xff", **more)
    world.pod("p", "ib")
    world.pod("q", "ib,other")
    world.guid("p")
    world.published("q")
    return daemon


@scenario()
def every_answer_is_as_documented(world):
    daemon = site(world)
    world.pod("waits", "nowhere")
    world.event("waits", "NetworkNotFound")
    operator = Operator(world, daemon)
    expect_equal(operator.ask("/v1/openapi.json"), operator.document, "the document")
    served = set(re.findall(r'\{ "(GET|POST)", "(/v1/[a-z/]*)"', open(SOURCE).read()))
    documented = {(method.upper(), re.sub(r"\{[a-z]+\}", "", path)) for path, methods in operator.document["paths"].items()
                  for method in methods if path != "/v1/openapi.json"}
    expect_equal(served, documented, "paths served and documented")

    status = operator.ask("/v1/status")
    expect_equal((status["leader"], status["backend"], status["brake"], status["orphans"], status["attachments"]["published"]),
                 ({"identity": "node1_uid-1", "held": True, "here": True}, {"name": "ufm", "error": None}, "unsettled", 1, 3),
                 "status")
    pool = operator.ask("/v1/pool")
    expect_equal((pool["size"], pool["held"], pool["blocked"]), (65536, 3, 2), "pool")
    pkeys = {item["pkey"]: item for item in operator.ask("/v1/pkeys")["items"]}
    expect_equal([pkeys["0x5"][key] for key in ("writable", "full", "orphans", "missing")], [True, 2, 1, 0], "0x5")
    expect_equal([pkeys["0x200"][key] for key in ("writable", "full", "listed", "orphans", "foreign")], [False, 0, 1, 0, 1], "0x200")

    members = operator.ask("/v1/pkeys/0x0005")
    kinds = {item["guid"]: (item["kind"], item["right"], item["owner"] and item["owner"]["pod"]) for item in members["items"]}
    q = {e["name"]: e["cni-args"]["guid"] for e in objects.networks_of(world.get_pod("q"))}
    expect_equal(kinds, {colons(guid(3)): ("orphan", None, None), colons(guid(9, top=0x03)): ("outside", None, None),
                         colons(world.guid("p")): ("attachment", True, "p"), q["ib"]: ("attachment", True, "q")}, "0x5's members")
    expect_equal((members["counts"]["members"], members["counts"]["orphan"], members["authoritative"]), (4, 1, True), "counts")

    one = operator.ask("/v1/attachments?pod=waits")["items"][0]
    expect_equal((one["state"], one["guid"], one["blocked"]["reason"]), ("wanted", None, "NetworkNotFound"), "it waits")
    found = operator.ask("/v1/attachments?namespace=%s&pkey=0x6&state=published&node=node1" % world.ns())["items"]
    expect_equal([(item["pod"], item["network"], item["memberships"]) for item in found],
                 [("q", world.ns() + "/other", [{"pkey": "0x6", "membership": "full", "index0": True}])], "filtered")
    expect_equal(operator.ask("/v1/attachments?node=elsewhere")["items"], [], "on another node")

    owner = operator.ask("/v1/guids/" + world.guid("p"))
    expect_equal((owner["owner"]["pod"], [item["pkey"] for item in owner["listed"]], owner["inRange"]), ("p", ["0x5"], True), "p's GUID")
    nobody = operator.ask("/v1/guids/" + colons(guid(3)))
    expect_equal((nobody["owner"], [item["kind"] for item in nobody["listed"]]), (None, ["orphan"]), "nobody's GUID")
    expect_equal(sorted((item["guid"], item["kind"]) for item in operator.ask("/v1/orphans")["items"]),
                 [(colons(guid(3)), "orphan"), (colons(guid(4)), "foreign")], "orphans")
    before = operator.ask("/v1/audit", "POST")["lastAudit"]
    eventually("an audit ends", lambda: operator.ask("/v1/status")["lastAudit"] > before)


@scenario()
def questions_that_are_wrong_are_refused(world):
    operator = Operator(world, site(world))
    for path in ("/v1/status?x=1", "/v1/pkeys?limit=0", "/v1/pkeys?limit=5001", "/v1/pkeys?limit=+1", "/v1/pkeys?limit=1&limit=1",
                 "/v1/pkeys/0x8005", "/v1/pkeys/x", "/v1/guids/x", "/v1/guids/00:00:00:00:00:00:00:00", "/v1/attachments?pkey=x",
                 "/v1/attachments?state=lost", "/v1/attachments?continue=x", "/v1/orphans?continue=1.x", "/v1/pkeys?continue=1.99999"):
        expect_equal(operator.code(path), "BadRequest", path)
    good = {"guids": [guid(3)], "revision": 0}
    for body in (b"", b"{", b"[]", b"{}", {"guids": [], "revision": 0}, {"guids": ["x"], "revision": 0}, dict(good, revision="0"),
                 dict(good, revision=-1), dict(good, more=1), {"guids": [guid(3)] * 501, "revision": 0}):
        expect_equal(operator.code("/v1/orphans/remove", "POST", body), "BadRequest", repr(body)[:80])
    expect_equal(operator.code("/v1/audit", "POST", {"x": 1}), "BadRequest", "a body that says something")
    expect_equal(operator.code("/v1/pkeys/0x77", wanted=404), "NotFound", "a PKey that nobody knows")
    expect_equal(operator.code("/v1/guids/03:00:00:00:00:00:00:01", wanted=404), "NotFound", "a GUID that nobody knows")
    for path in ("/v1/pkeys/0x5?continue=999.0", "/v1/attachments?continue=1.0.no-such-uid", "/v1/orphans?continue=999.5.1"):
        expect_equal(operator.code(path, wanted=410), "Expired", path)


@scenario()
def who_may_ask_is_for_the_api_server_to_say(world):
    daemon = site(world)
    reader, operator = Operator(world, daemon, "ufmsync-reader", writes=False), Operator(world, daemon)
    body = {"guids": [colons(guid(3))], "revision": reader.ask("/v1/orphans")["revision"]}
    for path in WRITES:
        expect_equal(reader.code(path, "POST", body if path.endswith("remove") else None, 403), "Forbidden", path)
    expect(daemon.said("API_FORBIDDEN"), "it is in the log")
    expect_equal(operator.raw("/v1/status", headers=["X-Ufmsync-Token: " + operator.token])[0], 200, "through the service proxy")
    for headers in (["X-Ufmsync-Token: wrong"], ["Authorization: Basic " + operator.token], ["X-Other: x"]):
        status, answer = operator.raw("/v1/status", headers=headers)
        expect_equal((status, answer["error"]["code"]), (401, "Unauthorized"), repr(headers)[:40])
    counts = [daemon.metric('ufmsync_api_requests_total{outcome="%s"}' % name) for name in ("answered", "refused", "failed")]
    expect_equal(counts, [2, 6, 0], "counted")
    operator.ask("/v1/audit", "POST")


@scenario()
def orphans_that_are_named_are_removed_behind_the_brake(world):
    daemon = site(world)
    world.ufm.add("0x6", guid(5))
    operator = Operator(world, daemon)

    def removable():
        page = operator.ask("/v1/orphans")
        return page if sum(item["removable"] for item in page["items"]) == 2 else None
    page = eventually("both are seen for long enough", removable)
    for named in (guid(4), world.guid("p"), guid(77)):
        body = {"guids": [guid(3), named], "revision": page["revision"]}
        expect_equal(operator.code("/v1/orphans/remove", "POST", body, 409), "Changed", named)
    body = {"guids": [guid(3)], "revision": page["revision"] + 1}
    expect_equal(operator.code("/v1/orphans/remove", "POST", body, 409), "Changed", "another revision")
    body["revision"] = page["revision"]
    expect_equal(operator.ask("/v1/orphans/remove", "POST", body)["accepted"], 1, "accepted")
    world.gone_from_ufm(guid(3))
    line = daemon.said("ORPHANS_REMOVED")[0]
    expect_equal((line["user"], line["guids"]), (operator.account, "1"), "the log")
    expect((6, guid(5)) in world.members(), "the other one stays")
    expect_equal(operator.ask("/v1/status")["brake"], "unsettled", "the brake")
    eventually("one is left", lambda: operator.ask("/v1/status")["orphans"] == 1)
    expect_equal(operator.ask("/v1/orphans/confirm", "POST")["orphans"], 1, "confirmed")
    world.gone_from_ufm(guid(5))
    expect_equal(daemon.said("ORPHANS_CONFIRMED")[0]["user"], operator.account, "the log")
    expect_equal(operator.ask("/v1/status")["settled"], True, "settled")


@scenario()
def pages_hold_together_what_one_answer_would(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.serve(UFMSYNC_ORPHANS="keep")
    names = ["p%02d" % i for i in range(40)]
    for name in names:
        world.pod(name, "ib,ib")
    eventually("all are members", lambda: len(world.members(5)) == 80, 30)
    world.ufm.add("0x5", *[guid(i, top=0x03) for i in range(20)])
    world.ufm.add("0x7", *[guid(0x9000 + i) for i in range(7)])
    operator = Operator(world, daemon)
    eventually("strays are seen", lambda: operator.ask("/v1/status")["orphans"] == 7)
    eventually("all are published", lambda: operator.ask("/v1/status")["attachments"]["published"] == 80, 30)
    key = lambda item: json.dumps([item.get(k) for k in ("uid", "index", "guid", "pkey")])
    for path in ("/v1/attachments", "/v1/pkeys/0x5", "/v1/pkeys", "/v1/orphans"):
        whole = [key(item) for item in operator.all(path)]
        expect_equal(len(set(whole)), {"/v1/attachments": 80, "/v1/pkeys/0x5": 100, "/v1/pkeys": 2, "/v1/orphans": 7}[path], path)
        for limit in (1, 3, 33):
            expect_equal([key(item) for item in operator.all("%s?limit=%d" % (path, limit))], whole, "%s by %d" % (path, limit))


@scenario()
def standby_sends_on_to_the_leader(world):
    first = site(world)
    second = world.serve(wait=False, POD_UID="uid-2")
    eventually("the second is ready", lambda: second.get("/readyz")[0] == 200)
    operator = Operator(world, first)
    for path in ("/v1/attachments", "/v1/pkeys/0x5", "/v1/pkeys", "/v1/orphans", "/v1/pool", "/v1/guids/" + guid(3)):
        expect_equal(operator.code(path, wanted=503, daemon=second), "NotLeader", path)
    expect_equal(operator.code("/v1/audit", "POST", wanted=503, daemon=second), "NotLeader", "audit")
    status = operator.ask("/v1/status", daemon=second)
    expect_equal((status["leader"]["identity"], status["leader"]["here"]), ("node1_uid-1", False), "who leads")
    expect("node1_uid-1" in operator.ask("/v1/pkeys", wanted=503, daemon=second)["error"]["message"], "it is named")


@scenario()
def fabric_manager_that_is_away_is_said(world):
    daemon = site(world)
    operator = Operator(world, daemon)
    world.ufm.fault("html", code=503)
    for path in ("/v1/pkeys/0x5", "/v1/guids/" + guid(3)):
        expect_equal(operator.code(path, wanted=503), "FabricUnavailable", path)
    eventually("status says why", lambda: operator.ask("/v1/status")["backend"]["error"])
    expect_equal(len(operator.ask("/v1/attachments")["items"]), 3, "what is known is answered")
