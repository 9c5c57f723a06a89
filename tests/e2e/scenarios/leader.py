"""Two replicas, and the one that leads is lost in every way.  mock-ufm's log tells which of them wrote when."""
import http.client
import json
import signal
import socket
import ssl
import threading
import time

import objects
from relay import Relay
from scenario import expect, expect_equal, long, scenario
from servers import always, eventually
from world import CORE, LEASES

SHORT = {"UFMSYNC_LEASE_DURATION": "6s", "UFMSYNC_LEASE_RENEW_DEADLINE": "5s", "UFMSYNC_LEASE_RETRY": "500ms",
         "UFM_TIMEOUT": "1s"}
DEFAULT = {"UFMSYNC_LEASE_DURATION": None, "UFMSYNC_LEASE_RENEW_DEADLINE": None, "UFMSYNC_LEASE_RETRY": None,
           "UFM_TIMEOUT": None}
SECONDS = {"6s": 6, "1s": 1, ("UFMSYNC_LEASE_DURATION", None): 15, ("UFM_TIMEOUT", None): 10}
BUSY = 6  # how much later than promised a busy machine may be; tests/bench/run measures it on an idle one
PODS = 200


def seconds(settings, name):
    return SECONDS.get(settings[name]) or SECONDS[(name, settings[name])]


class Annotations(threading.Thread):
    """Follows the pods of a namespace and notes what was ever published."""

    def __init__(self, world, ns="a"):
        super().__init__(daemon=True)
        self.problems, self.guids, self.live = [], {}, {}
        client = world.client
        path = "%s/namespaces/%s/pods" % (CORE, world.ns(ns))
        version = client.call("GET", path)["metadata"]["resourceVersion"]
        context = client.context or ssl.create_default_context()
        self.connection = http.client.HTTPSConnection(client.host, client.port, timeout=300, context=context)
        self.connection.request("GET", "%s?watch=1&resourceVersion=%s&timeoutSeconds=280" % (path, version),
                                headers=client.headers)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.start()

    def run(self):
        try:
            for line in self.answer:
                self.note(json.loads(line))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed

    def note(self, event):
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return
        name = event["object"]["metadata"]["name"]
        text = event["object"]["metadata"]["annotations"][objects.NETWORKS]
        elements = json.loads(text) if text.startswith("[") else []  # before, it is as its owner wrote it
        guids = [e["cni-args"]["guid"] for e in elements if e.get("cni-args", {}).get("guid")]
        if event["type"] == "DELETED":
            self.live.pop(name, None)
            return
        for guid in guids:
            if self.guids.setdefault(name, guid) != guid:
                self.problems.append("%s was %s and became %s" % (name, self.guids[name], guid))
            self.problems += ["%s: %s and %s" % (guid, name, other) for other, theirs in self.live.items()
                              if other != name and guid in theirs]
        self.live[name] = guids

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)


class Pair:
    """A leader and a standby, and a burst of pods in two PKeys of which the second half comes when the leader is lost."""

    def __init__(self, world, settings=SHORT, leader=None):
        # What the lost one joined and did not publish is too much for the brake, in a cluster that has nothing else.
        self.world, self.settings = world, dict(settings, UFMSYNC_ORPHANS="remove")
        for pkey in ("0x5", "0x6"):
            world.nad("ib" + pkey, objects.ib_config(pkey))
        if world.ufm is None:
            world.start_ufm()
        self.annotations = Annotations(world)
        self.replicas = [world.start(**dict(self.settings, **(leader or {})))]
        self.add_replica()
        self.names, self.lost_at = [], None
        world.ufm.latency(write_ms=200)

    def add_replica(self, **more):
        n = str(len(self.replicas) + 1)
        self.replicas.append(self.world.start(wait=False, POD_UID="uid-" + n, K8S_NODE="node" + n,
                                              **dict(self.settings, **more)))
        eventually("replica %s has read all" % n, lambda: self.replicas[-1].get("/readyz")[0] == 200)
        return self.replicas[-1]

    def pods(self, count=PODS // 2):
        for _ in range(count):
            i = len(self.names)
            self.names.append("p%03d" % i)
            self.world.pod(self.names[-1], "ib0x%d" % (5 + i % 2))

    def adds_under_way(self):
        return [r for r in self.world.ufm.requests(operation="add", bodies="false") if r["outcome"] == "open"]

    def half_of_the_burst(self):
        self.pods()
        eventually("the leader is writing", self.adds_under_way, 30)

    def the_leader_is_lost(self):
        self.lost_at = time.time()

    def patience(self):
        return seconds(self.settings, "UFMSYNC_LEASE_DURATION") + seconds(self.settings, "UFM_TIMEOUT") + 2

    def writes(self):
        """[(who, begun, until when UFM may work on it)], in seconds since 1970."""
        found = []
        for w in self.world.ufm.requests(writes="true", bodies="false"):
            begun = w["time_us"] / 1e6
            lasts = w["duration_ms"] / 1e3 if w["outcome"] == "answered" else seconds(self.settings, "UFM_TIMEOUT")
            found.append((w["client"].partition("(")[2].rstrip(")"), begun, begun + lasts))
        return found

    def writers(self):
        """Who wrote, in turn: never one while another one's write may still be worked on, nor one whose time was over."""
        turns = []
        for who, begun, end in self.writes():
            if turns and turns[-1][0] == who:
                turns[-1][2] = max(turns[-1][2], end)
                continue
            if turns:
                expect(begun >= turns[-1][2], "%s wrote at %.3f, when a write of %s could go on until %.3f" % (
                    who, begun, turns[-1][0], turns[-1][2]))
            turns.append([who, begun, end])
        expect_equal(self.world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")
        return turns

    def first_write_after(self, moment, by):
        return eventually("%s writes" % by, lambda: [begun for who, begun, _ in self.writes()
                                                     if begun > moment and who == by], self.patience() + 30)[0]

    def is_written_again(self, within=None, by="node2_uid-2"):
        took = self.first_write_after(self.lost_at, by) - self.lost_at
        within = within or self.patience()
        print("    %s wrote %.2f s after the leader was lost (promised: %g s)" % (by, took, within), flush=True)
        expect(took <= within + BUSY, "it took %.2f s until the next leader wrote" % took)

    def ends_as_wanted(self, *writers):
        """All is published, once, and as UFM has it; then all goes, and nothing is left behind."""
        world = self.world
        guids = {name: world.guid(name, timeout=90) for name in self.names}
        expect_equal(len(set(guids.values())), len(self.names), "different GUIDs")
        wanted = {(5 + i % 2, guids[name]) for i, name in enumerate(self.names)}
        eventually("exactly the pods are members", lambda: set(world.members()) == wanted, 30)
        expect_equal([who for who, _, _ in self.writers()], list(writers), "writers in turn")
        for name in self.names:
            world.client.raw("DELETE", world.pod_path(name) + "?gracePeriodSeconds=0")
        eventually("UFM is empty at the end", lambda: not world.members(), 60)
        expect_equal([who for who, _, _ in self.writers()], list(writers), "writers in turn, at the end")
        expect_equal(self.annotations.problems, [], "what the pods' annotations ever said")
        expect(len(self.annotations.guids) == len(self.names), "every pod was seen with its GUID")
        self.annotations.close()


FIRST, SECOND, THIRD = "node1_uid-1", "node2_uid-2", "node3_uid-3"


@long
@scenario()
def leader_killed_during_a_burst(world):
    pair = Pair(world)
    pair.half_of_the_burst()
    pair.replicas[0].kill()
    pair.the_leader_is_lost()
    pair.pods()
    pair.is_written_again()
    pair.ends_as_wanted(FIRST, SECOND)


@long
@scenario("real")
def leader_killed_during_a_burst_with_the_default_times(world):
    pair = Pair(world, DEFAULT)
    pair.half_of_the_burst()
    pair.replicas[0].kill()
    pair.the_leader_is_lost()
    pair.pods()
    pair.is_written_again()
    pair.ends_as_wanted(FIRST, SECOND)


@scenario()
def leader_told_to_stop_during_a_burst(world):
    """A clean end costs nobody more than the two seconds that it takes to be noticed."""
    pair = Pair(world, DEFAULT)
    pair.half_of_the_burst()
    pair.the_leader_is_lost()
    pair.replicas[0].stop()
    pair.pods()
    pair.is_written_again(within=2)
    pair.ends_as_wanted(FIRST, SECOND)


def stopped(pair, for_seconds):
    """The leader stands still within a write, until long after another one has begun to write."""
    process = pair.replicas[0].process.child
    pair.half_of_the_burst()
    process.send_signal(signal.SIGSTOP)
    pair.the_leader_is_lost()
    pair.pods()
    pair.is_written_again()
    time.sleep(max(0, pair.lost_at + for_seconds - time.time()))
    process.send_signal(signal.SIGCONT)
    eventually("it notices", lambda: pair.replicas[0].said("LEADER_LOST"))
    pair.pods(20)
    pair.ends_as_wanted(FIRST, SECOND)


@long
@scenario("mock")
def leader_that_stood_still_during_a_burst_writes_no_more(world):
    stopped(Pair(world), 0)


@long
@scenario("real")
def leader_that_stood_still_for_half_a_minute_writes_no_more(world):
    stopped(Pair(world, DEFAULT), 30)


def cut_off(world, how):
    """Only the leader does not reach the API server any more; UFM it still does."""
    world.start_ufm()
    relay = Relay(world.kube.port)
    world.others.append(relay)
    pair = Pair(world, leader={"KUBECONFIG": world.rights.kubeconfig(relay.https)})
    pair.half_of_the_burst()
    how(relay)
    pair.the_leader_is_lost()
    pair.pods()
    pair.is_written_again()
    expect(pair.replicas[0].said("LEADER_LOST"), "it noticed before the other one wrote")
    expect_equal(pair.replicas[0].get("/healthz")[0], 200, "it is alive all the same")
    return pair, relay


@long
@scenario()
def leader_whose_api_server_refuses_connections(world):
    pair, _ = cut_off(world, Relay.end)
    pair.ends_as_wanted(FIRST, SECOND)


@long
@scenario()
def leader_whose_packets_to_the_api_server_get_lost(world):
    """When they arrive after all, they are too late: the Lease is another's, and pods are not as they were."""
    pair, relay = cut_off(world, Relay.hold)
    relay.go_on()
    pair.pods(20)
    pair.ends_as_wanted(FIRST, SECOND)


@scenario("mock")
def leader_that_does_not_reach_ufm_stays_the_leader(world):
    world.start_ufm()
    relay = Relay(world.ufm.port)
    world.others.append(relay)
    pair = Pair(world, leader={"UFM_PORT": relay.https})
    pair.half_of_the_burst()
    relay.hold()
    eventually("it is missed", lambda: pair.replicas[0].said("FABRIC_UNREACHABLE"))
    expect_equal([pair.replicas[0].get(path)[0] for path in ("/healthz", "/readyz")], [200, 200], "alive and ready")
    before = world.lease()["spec"]
    eventually("its Lease is renewed", lambda: world.lease()["spec"]["renewTime"] != before["renewTime"])
    expect_equal(world.lease()["spec"]["holderIdentity"], FIRST, "holder")
    relay.go_on()
    pair.pods()
    pair.ends_as_wanted(FIRST)


def just_taken_over(world):
    """Of three replicas the first was killed: the pair, who leads now, and the identity of the one that is left."""
    pair = Pair(world)
    third = pair.add_replica()
    pair.half_of_the_burst()
    pair.replicas[0].kill()
    eventually("the second or third leads", lambda: pair.replicas[1].said("LEADING") or third.said("LEADING"), 30)
    second, last = (pair.replicas[1], THIRD) if pair.replicas[1].said("LEADING") else (third, SECOND)
    return pair, second, last


@long
@scenario("mock")
def leader_killed_right_after_it_took_over(world):
    """Twice in a row; the second time before it has written anything, within the time that it owes the first one."""
    pair, second, last = just_taken_over(world)
    second.kill()
    pair.the_leader_is_lost()
    pair.pods()
    pair.is_written_again(by=last)
    pair.ends_as_wanted(FIRST, last)


@long
@scenario("mock")
def leader_told_to_stop_right_after_it_took_over(world):
    """What it owes to the one before it, its successor owes too."""
    pair, second, last = just_taken_over(world)
    pair.the_leader_is_lost()
    second.stop()
    pair.pods()
    pair.is_written_again(by=last)
    pair.ends_as_wanted(FIRST, last)


# --- the Lease in the hands of others ---

def lease_path(world):
    return "%s/namespaces/%s/leases/ufmsync-leader" % (LEASES, world.ns("ufmsync"))


def renewals(world):
    return {"method": "PUT", "resource": "leases", "namespace": world.ns("ufmsync")}


def edit_lease(world, spec):
    world.client.call("PATCH", lease_path(world), {"spec": spec}, "application/merge-patch+json")


def meddled(world, meddle, is_noticed=lambda pair: pair.replicas[0].said("LEADER_LOST")):
    """Somebody changes the Lease under its holder, in the middle of a burst."""
    pair = Pair(world)
    pair.half_of_the_burst()
    meddle()
    pair.pods()
    eventually("it is noticed", lambda: is_noticed(pair))
    for name in pair.names:
        world.guid(name, timeout=60)
    pair.ends_as_wanted(*[who for who, _, _ in pair.writers()])  # whoever of them; but never both


@long
@scenario()
def lease_deleted_under_its_holder(world):
    # A renewal may put it back before anybody has noticed, since API servers create a Lease that is updated.
    meddled(world, lambda: world.client.call("DELETE", lease_path(world)),
            lambda pair: world.client.raw("GET", lease_path(world))[0] == 200 and world.lease()["spec"]["holderIdentity"])


@long
@scenario("mock")
def lease_whose_holder_somebody_erased(world):
    meddled(world, lambda: edit_lease(world, {"holderIdentity": ""}))


@long
@scenario("mock")
def lease_that_somebody_gave_to_a_third_one_for_a_second(world):
    meddled(world, lambda: edit_lease(world, {"holderIdentity": "somebody", "leaseDurationSeconds": 1}))


@scenario("mock")
def clocks_of_others_do_not_matter(world):
    """A Lease renewed in the year 1970 or 2100, as by a machine whose clock is wrong, is left alone for its duration and
    no longer."""
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    for renewed in ("1970-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"):
        spec = {"holderIdentity": "somebody", "leaseDurationSeconds": 3, "renewTime": renewed}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "ufmsync-leader"}, "spec": spec}
        world.client.call("POST", "%s/namespaces/%s/leases" % (LEASES, world.ns("ufmsync")), lease)
        begun = time.monotonic()
        daemon = world.start(wait=False, **SHORT)
        eventually("it leads", lambda: daemon.said("LEADING"))
        expect(time.monotonic() - begun >= 3, "it waited")
        daemon.stop()
        world.client.call("DELETE", lease_path(world))


@scenario()
def lease_without_content_is_taken(world):
    """Somebody made an object of that name and said nothing in it."""
    world.nad("ib", objects.ib_config("0x5"))
    world.client.call("POST", "%s/namespaces/%s/leases" % (LEASES, world.ns("ufmsync")), {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "ufmsync-leader"}})
    world.start()
    world.pod("p", "ib")
    world.guid("p")


@scenario()
def lease_taken_away_from_a_leader_that_nobody_knows(world):
    """The Lease is deleted while its holder stands still, and another one starts that never saw it: where UFM has members of
    ours it waits for a leader that it has not heard of."""
    world.nad("ib", objects.ib_config("0x5"))
    first = world.start(**SHORT)
    world.pod("p", "ib")
    world.guid("p")
    first.process.child.send_signal(signal.SIGSTOP)
    world.client.call("DELETE", lease_path(world))
    begun = time.time()
    world.start(POD_UID="uid-2", K8S_NODE="node2", **SHORT)
    world.pod("q", "ib")
    world.guid("q", timeout=30)
    write = world.ufm.writes()[-1]
    expect(SECOND in write["client"], "the second one wrote")
    expect(write["time_us"] / 1e6 - begun >= 7, "it waited for the duration of a Lease and UFM_TIMEOUT")
    first.process.child.send_signal(signal.SIGCONT)
    eventually("the first one notices", lambda: first.said("LEADER_LOST"))


@scenario("mock")
def renewals_that_fail_for_less_than_the_deadline(world):
    """The API server refuses, is too busy, is slow, or knows a newer version: for the Lease alone, and not for long."""
    pair = Pair(world, dict(SHORT, UFMSYNC_LEASE_DURATION="15s", UFMSYNC_LEASE_RENEW_DEADLINE="10s"))
    for fault in ({"action": "status", "code": 500}, {"action": "status", "code": 429}, {"action": "hang"},
                  {"action": "status", "code": 409}):
        world.kube.control.call("POST", "/control/faults", dict(fault, times=1, match=renewals(world)))
        before = world.lease()["spec"]["renewTime"]
        eventually("it is renewed again", lambda: world.lease()["spec"]["renewTime"] != before)
    expect_equal(pair.replicas[0].said("LEADER_LOST"), [], "lost")
    pair.pods(20)
    pair.ends_as_wanted(FIRST)


@long
@scenario("mock")
def renewals_alone_that_fail_for_too_long(world):
    """Everything else still works, pods can be read and patched: all the same nothing is written any more."""
    pair = Pair(world)
    pair.half_of_the_burst()
    world.kube.control.call("POST", "/control/faults", {"action": "status", "code": 500, "times": 0,
                                                             "match": renewals(world)})
    eventually("it stops leading", lambda: pair.replicas[0].said("LEADER_LOST"))
    quiet = len(pair.writes())
    pair.pods()
    always("nobody writes", lambda: len(pair.writes()) == quiet, 2)
    world.kube.control.call("DELETE", "/control/faults")
    for name in pair.names:
        world.guid(name, timeout=60)
    pair.ends_as_wanted(*[who for who, _, _ in pair.writers()])


# --- the standby, and health ---

@scenario("mock")
def standby_keeps_what_it_has_read(world):
    """At the take-over the pods are listed once more, since the last patches of the leader may not have come through the
    watch yet; nothing else is, and no watch of networks and namespaces begins anew."""
    pair = Pair(world)
    pair.pods(20)
    for name in pair.names:
        world.guid(name)
    expect_equal(pair.replicas[1].metric("ufmsync_leader"), 0, "the standby leads")
    log = lambda: world.kube.control.call("GET", "/control/log")["requests"]
    seen = log()[-1]["seq"]
    pair.replicas[0].stop()
    pair.replicas[1].wait_listed()
    pair.pods(2)
    world.guid(pair.names[-1])
    asked = [r for r in log() if r["seq"] > seen and r["method"] == "GET" and "ufmsyncd" in r["user_agent"]]
    lists = [r["path"] for r in asked if "watch=" not in r["query"] and "/leases/" not in r["path"]]
    expect_equal(lists, ["/api/v1/pods"], "what is listed at the take-over")
    pair.ends_as_wanted(FIRST, SECOND)


@scenario()
def health_means_that_the_loop_turns(world):
    """A process that stands still gives a probe no answer, and has one when it goes on."""
    daemon = world.start()
    expect_equal(daemon.get("/healthz")[0], 200, "health")
    daemon.process.child.send_signal(signal.SIGSTOP)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.health, timeout=1)
        connection.request("GET", "/healthz")
        try:
            answer = connection.getresponse().status
        except OSError:
            answer = None
        expect_equal(answer, None, "the answer of a process that stands still")
        connection.close()
    finally:
        daemon.process.child.send_signal(signal.SIGCONT)
    eventually("it answers again", lambda: daemon.get("/healthz")[0] == 200)


@scenario("mock")
def health_without_ufm_and_without_the_api_server(world):
    """Neither makes a process dead; a replica that has read everything stays ready, and one that has not is not."""
    daemon = world.start()
    standby = world.start(wait=False, POD_UID="uid-2", K8S_NODE="node2")
    eventually("the standby is ready", lambda: standby.get("/readyz")[0] == 200)
    world.ufm.fault("hang")
    eventually("UFM is missed", lambda: daemon.said("FABRIC_UNREACHABLE"))
    health = lambda one: (one.get("/healthz")[0], one.get("/readyz")[0])
    expect_equal((health(daemon), health(standby)), ((200, 200), (200, 200)), "without UFM")
    settings = world.settings(POD_UID="uid-3", K8S_NODE="node3")
    world.kube.down()
    try:
        eventually("the leader has lost", lambda: daemon.said("LEADER_LOST"))
        late = world.start(wait=False, **settings)
        eventually("it is missed", lambda: late.said("KUBE_UNREACHABLE"))
        expect_equal(health(late), (200, 503), "what has not read anything yet")
        expect_equal(health(standby), (200, 200), "the standby without the API server")
        expect_equal(daemon.get("/healthz")[0], 200, "who led before is alive")
    finally:
        world.kube.up()
        world.ufm.heal()
    eventually("all are ready again", lambda: all(health(one) == (200, 200) for one in (daemon, standby, late)), 60)
