"""What the owners of pods are told: once, on the pod, and what to do."""
import json
import subprocess

import objects
from scenario import expect, expect_equal, long, scenario
from servers import eventually
from rights import manifests

SLOW = {"UFM_TIMEOUT": "30s", "UFMSYNC_LEASE_DURATION": "60s", "UFMSYNC_LEASE_RENEW_DEADLINE": "40s"}
CORE_EVENTS = "/api/v1/namespaces/%s/events"


def notes(world, name, reason=None, ns="a"):
    return sorted(event["note"] for event in world.events(name, ns, reason))


def kubectl(world, *words):
    """Debian's kubectl, of 1.20."""
    return subprocess.run([manifests.kubectl(), "--kubeconfig", world.kube.kubeconfig] + list(words), check=True,
                          capture_output=True, text=True, timeout=60).stdout


def start(world, **more):
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("six", objects.ib_config("0x6"))
    return world.start(**more)


@scenario()
def all_interfaces_of_a_pod_share_one_event(world):
    start(world)
    world.pod("p", "ib,six")
    first, second = (objects.guid_of(world.published("p"), index) for index in (0, 1))
    event = world.event("p", "Member")
    ns = world.ns("a")
    parts = {"%s/ib: GUID %s in PKey 0x0005" % (ns, first), "%s/six: GUID %s in PKey 0x0006" % (ns, second)}
    expect_equal(set(event["note"].split("; ")), parts, "the note")
    pod = world.get_pod("p")["metadata"]
    expect_equal({key: event["regarding"][key] for key in ("kind", "apiVersion", "name", "namespace", "uid")},
                 {"kind": "Pod", "apiVersion": "v1", "name": "p", "namespace": ns, "uid": pod["uid"]}, "whom it regards")
    expect_equal((event["type"], event["reportingController"], event["action"]), ("Normal", "ufmsync.io/ufmsyncd", "Attach"))
    world.finish_pod("p")
    released = world.event("p", "Released")
    expect(parts < set(released["note"].split("; ")), released["note"])
    expect_equal(sorted(e["reason"] for e in world.events("p")), ["Member", "Released"], "Events of the pod")


@scenario()
def each_reason_says_what_to_do(world):
    """Those that need no trouble of UFM or of the pool; they are in faults.py and guids.py."""
    daemon = start(world)
    ns = world.ns("a")
    world.nad("bad", objects.ib_config("5x"))
    world.nad("text", "{no JSON")
    world.nad("foreign", objects.ib_config("0x5"), ns="b")
    guid = "03:00:00:00:00:00:00:01"
    for name, network in (("missing", "none"), ("bad", "bad"), ("text", "text"), ("foreign", world.ns("b") + "/foreign"),
                          ("outside", [{"name": "ib", "cni-args": {"guid": guid}}]), ("unread", "[no list")):
        world.pod(name, network)
    for name, reason, *words in (
            ("missing", "NetworkNotFound", "network %s/none does not exist" % ns, "create it, or correct the pod's annotation"),
            ("bad", "BadPKey", "network %s/bad: pkey 5x is not one of 0x1-0x7ffe" % ns, "correct pkey in the network definition"),
            ("text", "NetworkUnreadable", "network %s/text: " % ns, "correct spec.config of the network definition"),
            ("foreign", "PKeyNotAllowed", "/foreign, PKey 0x0005: ", "ufmsync.io/pkeys", "UFMSYNC_SHARED_NETWORK_NAMESPACES"),
            ("outside", "GUIDOutOfRange", "GUID %s is outside" % guid, "ask for a GUID of the range"),
            ("unread", "BadAnnotation", objects.NETWORKS, "correct this annotation")):
        event = world.event(name, reason)
        for word in words:
            expect(word in event["note"], "%s says %r: %s" % (reason, word, event["note"]))
        expect_equal((event["type"], len(world.events(name))), ("Warning", 1), reason)
    eventually("Events that were counted", lambda: daemon.metric('ufmsync_events_total{outcome="sent"}') == 6)


@scenario()
def repeated_event_is_counted_and_not_multiplied(world):
    """The definition goes and comes: the same is wrong a second time."""
    daemon = start(world)
    world.pod("p", "comes")
    first = world.event("p", "NetworkNotFound")
    expect(not first.get("series"), "the first is no series: %r" % first)
    world.nad("comes", objects.ib_config("5x"))
    world.event("p", "BadPKey")
    world.delete_nad("comes")

    def counted():
        events = world.events("p", reason="NetworkNotFound")
        expect_equal(len(events), 1, "Events")
        return (events[0].get("series") or {}).get("count") == 2 and events[0]
    event = eventually("it is counted", counted, 30)
    expect_equal(event["metadata"]["name"], first["metadata"]["name"], "the Event")
    expect(len(event["series"]["lastObservedTime"]) == 27, "a MicroTime: %r" % event["series"])
    eventually("repetitions that were counted", lambda: daemon.metric('ufmsync_events_total{outcome="series"}') == 1)
    if world.kube.kind != "real":
        return
    old = [e for e in world.client.call("GET", CORE_EVENTS % world.ns("a"))["items"] if e["reason"] == "NetworkNotFound"]
    expect_equal([e["series"]["count"] for e in old], [2], "in the view of v1")
    wide = kubectl(world, "-n", world.ns("a"), "get", "events", "-o", "wide").splitlines()
    row = [line for line in wide if "NetworkNotFound" in line]
    count = wide[0].index("COUNT")
    # 1.20 did not count the first with its series, and adds it.
    expect([line[count:].split()[0] for line in row] in (["2"], ["3"]), "\n".join(wide))


@scenario("real")
def kubectl_describe_shows_them(world):
    start(world)
    world.pod("p", "ib,none")
    world.event("p", "Member")
    world.event("p", "NetworkNotFound")
    shown = kubectl(world, "-n", world.ns("a"), "describe", "pod", "p").splitlines()
    events = [line.split(None, 4) for line in shown[shown.index(next(s for s in shown if s.startswith("Events:"))) + 3:]]
    expect_equal({(e[0], e[1], e[3]) for e in events}, {("Normal", "Member", "ufmsync.io/ufmsyncd"),
                                                       ("Warning", "NetworkNotFound", "ufmsync.io/ufmsyncd")}, "\n".join(shown))
    expect(all(e[2] != "<unknown>" for e in events), "they have an age: %r" % events)
    expect(any("create it, or correct the pod's annotation" in e[4] for e in events), "what to do: %r" % events)


@scenario()
@long
def pod_that_waits_for_a_slow_ufm_is_told_so_once(world):
    daemon = start(world, **SLOW)
    world.pod("fast", "ib")
    world.guid("fast")
    world.ufm.latency(write_ms=6500)
    world.pod("slow", "ib,ib")
    event = world.event("slow", "Assigned", timeout=30)
    expect("is a member" not in event["note"] and "nothing needs to be done" in event["note"], event["note"])
    world.published("slow", timeout=60)
    world.event("slow", "Member")
    for index in (0, 1):
        part = "%s/ib: GUID %s in PKey 0x0005" % (world.ns("a"), objects.guid_of(world.get_pod("slow"), index))
        expect(part in event["note"].split("; "), "%s: %s" % (part, event["note"]))
    expect_equal(sorted(e["reason"] for e in world.events("slow")), ["Assigned", "Member"], "Events of the slow one")
    expect_equal([e["reason"] for e in world.events("fast")], ["Member"], "Events of the fast one")
    expect_equal(daemon.said("LEADER_LOST"), [], "the Lease")


@scenario()
@long
def pods_that_wait_for_ufm_get_one_event_each(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm().fault("html", match={"operation": "any"}, code=503)
    daemon = world.start(wait=False)
    early, late = ["early%d" % i for i in range(5)], ["late%d" % i for i in range(5)]
    for name in early:
        world.pod(name, "ib")
    for name in early:
        event = world.event(name, "FabricUnavailable", timeout=30)
        expect("no GUID is given before" in event["note"] and "503" in event["note"], event["note"])
    world.ufm.heal()
    for name in early:
        world.guid(name, timeout=30)
    world.ufm.fault("html", match={"operation": "write"}, code=503)
    for name in late:
        world.pod(name, "ib")
    for name in late:
        event = world.event(name, "FabricUnavailable", timeout=30)
        expect("cannot be written to" in event["note"] and "kubectl ufmsync status" in event["note"], event["note"])
    world.ufm.heal()
    for name in late:
        world.guid(name, timeout=60)
        world.event(name, "Member")
    for name in early + late:
        expect_equal(sorted(e["reason"] for e in world.events(name)), ["FabricUnavailable", "Member"], name)
    expect(daemon.process.alive(), "the process lives")


@scenario()
def storm_of_mistakes_in_one_namespace_delays_its_own_events_only(world):
    """It has half of the burst and of the rate: of 150 Events the last comes some twenty seconds later."""
    daemon = start(world)
    world.nad("ib", objects.ib_config("0x5"), ns="calm")
    for i in range(150):
        world.pod("storm%03d" % i, "missing%03d" % i)
    world.pod("wrong", "missing", ns="calm")
    world.pod("right", "ib", ns="calm")
    wrong, right = world.event("wrong", "NetworkNotFound", ns="calm"), world.event("right", "Member", ns="calm")
    storm = [e for e in world.client.call("GET", "/apis/events.k8s.io/v1/namespaces/%s/events" % world.ns("a"))["items"]
             if e["reason"] == "NetworkNotFound"]
    expect(50 <= len(storm) < 150, "the storm is not over yet: %d" % len(storm))
    expect(daemon.process.alive() and wrong and right, "everybody else was told")


@scenario()
def nothing_is_tried_again_in_a_namespace_that_is_being_deleted(world):
    daemon = start(world)
    world.nad("ib", objects.ib_config("0x5"), ns="ends")
    world.pod("p", "ib", ns="ends")
    world.pod("q", "ib", ns="ends")
    guids = [world.guid(name, ns="ends") for name in ("p", "q")]
    for name in ("p", "q"):
        world.event(name, "Member", ns="ends")
    world.client.call("DELETE", "/api/v1/namespaces/" + world.ns("ends"))
    for name in ("p", "q"):
        world.finish_pod(name, ns="ends")
    for guid in guids:
        world.gone_from_ufm(guid)
    eventually("both are given up", lambda: daemon.metric('ufmsync_events_total{outcome="closed"}') == 2)
    world.pod("r", "ib")
    world.event("r", "Member")
    for outcome in ("refused", "dropped", "failed"):
        expect_equal(daemon.metric('ufmsync_events_total{outcome="%s"}' % outcome), 0, outcome)
    expect_equal(daemon.said("KUBE_FORBIDDEN") + daemon.said("EVENT_REFUSED"), [], "no trouble of ours")


@scenario()
def new_leader_tells_those_who_wait_and_only_those(world):
    first = start(world)
    world.pod("done", "ib")
    world.pod("waits", "none")
    world.guid("done")
    world.event("done", "Member")
    world.event("waits", "NetworkNotFound")
    standby = world.start(wait=False, POD_UID="uid-2")
    eventually("the standby watches", lambda: standby.get("/readyz")[0] == 200)
    first.stop()
    standby.wait_listed()
    events = eventually("the new leader tells it too", lambda: len(world.events("waits")) == 2 and world.events("waits"), 30)
    expect_equal(sorted(e["reportingInstance"] for e in events), ["node1_uid-1", "node1_uid-2"], "who told it")
    expect_equal(notes(world, "waits")[0], notes(world, "waits")[1], "the notes")
    world.pod("comes", "ib")
    world.event("comes", "Member")
    expect_equal(len(world.events("done")), 1, "Events of the one that has what it needs")


@scenario()
def recreated_pod_has_events_of_its_own(world):
    start(world)
    for number in (1, 2):
        world.pod("p", "none")
        eventually("each life is told", lambda: len({e["regarding"]["uid"] for e in world.events("p")}) == number)
        world.vanish_pod("p")
    expect_equal([bool(e.get("series")) for e in world.events("p")], [False, False], "no series of two lives")


@scenario()
def text_of_a_tenant_in_a_note_is_harmless(world):
    daemon = start(world)
    world.nad("forged", objects.ib_config('5"\n\x1b[31mWarning\u202e\u009b\t'))
    world.nad("huge", objects.ib_config("\u20ac" * 5000))
    world.pod("forged", "forged")
    world.pod("huge", "huge")
    world.pod("list", json.dumps([{"name": "x" * 253 + "\n" * 5}] * 3))
    for name in ("forged", "huge", "list"):
        event = eventually("%s is told" % name, lambda: world.events(name))[0]
        expect(len(event["note"].encode()) <= 1024, "its length: %d" % len(event["note"]))
        expect(not any(ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e" for c in event["note"]), repr(event["note"]))
    expect("correct pkey in the network definition" in notes(world, "huge")[0], notes(world, "huge"))
    expect_equal(daemon.said("EVENT_REFUSED"), [], "the API server takes them")


@scenario("mock")
def event_that_the_api_server_refuses_is_told_in_the_log(world):
    daemon = start(world)
    world.kube.control.call("POST", "/control/faults", {
        "match": {"verb": "create", "resource": "events"}, "times": 1, "action": "status", "code": 422,
        "reason": "Invalid", "message": "an admission rule of the site"})
    world.pod("p", "ib")
    world.guid("p")
    lines = eventually("the log says so", lambda: daemon.said("EVENT_REFUSED"))
    expect("an admission rule of the site" in lines[0]["message"], lines)
    eventually("counted", lambda: daemon.metric('ufmsync_events_total{outcome="refused"}') == 1)
    world.pod("q", "ib")
    world.event("q", "Member")
    expect_equal(world.events("p"), [], "it is not tried again")


@scenario("real")
def missing_right_to_write_events_is_told_once_and_hurts_nobody(world):
    daemon = start(world)
    world.rights.put(without=("events.k8s.io", "events", "create", None))
    for name in ("p", "q"):
        world.pod(name, "ib")
        world.guid(name)
    eventually("both were refused", lambda: daemon.metric('ufmsync_events_total{outcome="refused"}') == 2)
    said = [line["message"] for line in daemon.said("KUBE_FORBIDDEN") if "Events" in line["message"]]
    expect(len(said) == 1 and "ClusterRole" in said[0], said)
    world.rights.put()
    world.pod("r", "ib")
    world.event("r", "Member")
    eventually("it is over", lambda: any("Events" in line["message"] for line in daemon.said("KUBE_BACK")))
