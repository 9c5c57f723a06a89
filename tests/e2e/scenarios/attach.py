"""The CNI plugin asks and waits: its delegate is started only when the fabric manager lists the GUID.

That it never is before (and never gets a GUID that another interface has) is asserted by Node at each of its starts."""
import time

import objects
from ask import Ask, question
from multus import Refused, Sandbox
from relay import Relay
from scenario import expect, expect_equal, long, scenario
from servers import always, eventually

CONFIGURED = "mellanox.infiniband.app"
TRY_AGAIN, DENIED, REFUSED = 11, 101, 103
PATIENT = {"UFMSYNC_LEASE_DURATION": "20s", "UFMSYNC_LEASE_RENEW_DEADLINE": "10s"}  # allows a UFM_TIMEOUT of as much


def start(world, pkey="0x5", **more):
    """A network, a service, a node."""
    world.nad("ib", objects.plugin_config(pkey))
    daemon = world.serve(**more)
    return daemon, world.node(daemon)


def given(node, sandbox, interface="net1"):
    """The GUID that the delegate of this interface was given last, as 16 hexadecimal digits."""
    note = node.notes("ADD", "ib-sriov", interface, sandbox.id)[-1]
    return objects.hex_guid(note["config"]["args"]["cni"]["guid"])


def attach(world, node, name, **more):
    """A pod's first ADD, which must go well; the sandbox."""
    sandbox = Sandbox(node, name, **more)
    sandbox.add()
    return sandbox


def waiting(daemon):
    return daemon.metric("ufmsync_attach_waiting")


def eventually_waits(daemon, n=1):
    eventually("%d requests wait" % n, lambda: waiting(daemon) == n)


def delegate_never_ran(node):
    expect_equal(node.notes("ADD"), [], "ADDs of the delegate")


@scenario()
def add_right_at_the_creation_of_the_pods(world):
    """Each ADD comes before or after the watch shows its pod, as it happens."""
    daemon, node = start(world)
    sandboxes = []
    for i in range(8):
        world.pod("p%d" % i, "ib")
        sandboxes.append(Sandbox(node, "p%d" % i))
        sandboxes[-1].running = sandboxes[-1].begin()
    for sandbox in sandboxes:
        sandbox.running.end()
        expect_equal(given(node, sandbox), world.guid(sandbox.name), "the GUID is the one that is published")
    expect_equal(set(world.members(5)), {given(node, s) for s in sandboxes}, "members")
    eventually("nothing waits any more", lambda: waiting(daemon) == 0)


@scenario("mock")
def add_before_the_watch_shows_the_pod(world):
    daemon, node = start(world)
    world.kube.control.call("POST", "/control/faults", {"match": {"verb": "watch", "resource": "pods"}, "action": "hang"})
    world.kube.control.call("POST", "/control/watches/drop?resource=pods")
    eventually("no pod is watched", lambda: not [w for w in world.kube.control.call("GET", "/control/watches")["watches"]
                                                 if w["resource"] == "pods"])
    world.pod("p", "ib")
    sandbox = attach(world, node, "p")
    expect(given(node, sandbox) in world.members(5), "a member")


@scenario()
def slow_ufm_is_waited_for(world):
    daemon, node = start(world, UFM_TIMEOUT="10s", **PATIENT)
    world.ufm.latency(write_ms=5000)
    world.pod("p", "ib")
    sandbox = attach(world, node, "p")
    expect(sandbox.current.seconds > 4.5, "the ADD took %.1f s" % sandbox.current.seconds)
    expect_equal(len(node.notes("ADD")), 1, "the delegate ran once")


@scenario()
def add_after_it_is_published_and_once_more(world):
    """A sandbox that is made anew gets what its pod has."""
    daemon, node = start(world)
    world.pod("p", "ib")
    guid, before = world.guid("p"), len(world.ufm.writes())
    first = attach(world, node, "p")
    first.delete()
    second = attach(world, node, "p")
    expect_equal({given(node, first), given(node, second)}, {guid}, "the published GUID")
    expect_equal(len(world.ufm.writes()), before, "writes to UFM")
    eventually("waiting", lambda: daemon.metric("ufmsync_attach_waiting") == 0)


@long
@scenario("mock")
def networks_that_are_not_read_yet_are_waited_for(world):
    """The service starts, or has lost the Lease, while the API server is ill: it does not know what the pod asks for."""
    world.nad("ib", objects.plugin_config("0x5"))
    world.kube.control.call("POST", "/control/faults", {"match": {"verb": "list", "resource": "network-attachment-definitions"},
                                                        "action": "status", "code": 503, "times": 0})
    world.start_ufm()
    daemon = world.serve(wait=False)
    node = world.node(daemon)
    eventually("it leads", lambda: daemon.said("LEADING"))
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    always("it is waited for", lambda: not running.over(), 8)  # longer than for a network of which nothing is heard
    world.kube.control.call("DELETE", "/control/faults")
    running.end()
    expect_equal(given(node, running.sandbox), world.guid("p"), "GUID")


@scenario("mock")
def no_leader_is_told_with_who_held_it_last(world):
    """The Lease is that of a replica that is gone, and cannot be taken."""
    world.nad("ib", objects.plugin_config("0x5"))
    foreign_lease(world, seconds=1)
    world.kube.control.call("POST", "/control/faults", {"match": {"verb": "update", "resource": "leases"},
                                                        "action": "status", "code": 503})
    world.start_ufm()
    daemon = world.serve(wait=False, UFMSYNC_ATTACH_TIMEOUT="2s")
    node = world.node(daemon)
    world.pod("p", "ib")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], TRY_AGAIN, "code of %r" % error)
    expect("NoLeader" in error["msg"] and "node9_uid-9" in error["msg"] + error.get("details", ""), repr(error))
    delegate_never_ran(node)


@scenario("mock")
def who_waits_for_any_leader_hears_of_another_replica_that_leads(world):
    """Only a leader can tell these interfaces apart; who asked here goes there, and not at its deadline."""
    world.nad("ib", objects.plugin_config("0x5"))
    world.nad("other", {"type": "macvlan", "name": "other"})
    foreign_lease(world, seconds=1)
    world.kube.control.call("POST", "/control/faults", {"match": {"verb": "update", "resource": "leases"},
                                                        "action": "status", "code": 503})
    world.start_ufm()
    daemon = world.serve(wait=False)
    eventually("the standby has read all", lambda: daemon.get("/readyz")[0] == 200)
    token = world.access.token("node1")
    eventually("nobody leads", lambda: not Ask(world, daemon, method="GET", token=token).answer()[2]["ready"])
    world.pod("p", "ib,other,ib")
    ask = Ask(world, daemon, question(world, "p", interface="net9"), token)
    eventually_waits(daemon)
    world.client.call("PATCH", "/apis/coordination.k8s.io/v1/namespaces/%s/leases/ufmsync-leader" % world.ns("ufmsync"),
                      {"spec": {"holderIdentity": "node8_uid-8", "leaseDurationSeconds": 60}}, "application/merge-patch+json")
    code, _, answer = ask.answer()
    expect_equal((code, answer["error"]["code"]), (200, "NotLeader"), "answer")
    expect("node8_uid-8" in answer["error"]["message"], repr(answer))


@scenario()
def leader_that_is_gone_is_waited_for(world):
    world.nad("ib", objects.plugin_config("0x5"))
    foreign_lease(world, seconds=2)
    world.start_ufm()
    daemon = world.serve(wait=False)
    node = world.node(daemon)
    world.pod("p", "ib")
    sandbox = attach(world, node, "p")
    expect(given(node, sandbox) in world.members(5), "a member")


def foreign_lease(world, seconds):
    stamp = "2026-01-01T00:00:00.000000Z"
    world.client.call("POST", "/apis/coordination.k8s.io/v1/namespaces/%s/leases" % world.ns("ufmsync"), {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "ufmsync-leader"},
        "spec": {"holderIdentity": "node9_uid-9", "leaseDurationSeconds": seconds, "acquireTime": stamp,
                 "renewTime": stamp, "leaseTransitions": 3}})


def start_pair(world, **more):
    """A leader and a standby that has read all."""
    world.nad("ib", objects.plugin_config("0x5"))
    first = world.serve(**more)
    second = world.serve(wait=False, POD_UID="uid-2", K8S_NODE="node2", **more)
    eventually("the standby has read all", lambda: second.get("/readyz")[0] == 200)
    return first, second


@scenario()
def standby_waits_for_the_leaders_record(world):
    first, second = start_pair(world)
    node = world.node(second)
    world.ufm.latency(write_ms=500)
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    running.end()
    expect_equal(given(node, running.sandbox), world.guid("p"), "the GUID")
    world.pod("q", "ib")
    world.guid("q")
    again = attach(world, node, "q")
    expect_equal(given(node, again), world.guid("q"), "the GUID of one that was published before")
    expect_equal(second.metric("ufmsync_leader"), 0, "the standby leads")


@long
@scenario()
def ufm_away_for_twenty_seconds(world):
    """One ADD outlasts it."""
    daemon, node = start(world)
    world.ufm.control.call("POST", "/control/failover", {"down_ms": 20000, "answer": "reset"})
    world.pod("p", "ib")
    sandbox = attach(world, node, "p")
    expect(sandbox.current.seconds > 15, "the ADD took %.1f s" % sandbox.current.seconds)
    expect_equal(set(world.members(5)), {given(node, sandbox)}, "members")


@scenario()
def not_a_member_in_time_is_an_error_that_says_why(world):
    daemon, node = start(world, UFMSYNC_ATTACH_TIMEOUT="1s")
    world.ufm.fault("html", code=503, match={"operation": "any"})
    world.pod("p", "ib")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], TRY_AGAIN, "code of %r" % error)
    expect("FabricUnavailable" in error["msg"] and "503" in error["msg"], repr(error))
    delegate_never_ran(node)
    expect_equal([n["environment"]["CNI_IFNAME"] for n in node.notes("DEL")], ["net1"], "what multus undid")
    world.ufm.heal()
    world.guid("p")
    attach(world, node, "p")


@scenario()
def membership_that_is_lost_shuts_the_gate(world):
    """Somebody removed the GUID behind our back: the next sandbox waits until it is back."""
    daemon, node = start(world)
    world.pod("p", "ib")
    guid = world.guid("p")
    world.ufm.fault("html", code=503, match={"operation": "write"})
    world.ufm.forget("0x5", guid)
    eventually("the loss is seen", lambda: daemon.metric("ufmsync_members_missing") == 1)
    running = Sandbox(node, "p").begin()
    eventually_waits(daemon)
    always("it waits", lambda: not running.over(), 0.3)
    world.ufm.heal()
    running.end()
    expect_equal(given(node, running.sandbox), guid, "GUID")


@scenario()
def pod_of_another_node_is_refused(world):
    daemon, node = start(world)
    world.pod("p", "ib", node="node2")
    world.guid("p")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], DENIED, "code of %r" % error)
    expect("node2" not in error["msg"] or "node1" in error["msg"], repr(error))
    delegate_never_ran(node)
    attach(world, world.node(daemon, "node2"), "p")


@scenario("mock")
def node_is_known_by_the_installers_pod_where_the_token_does_not_say_it(world):
    """As with API servers before 1.29."""
    world.nad("ib", objects.plugin_config("0x5"))
    daemon = world.serve()
    node = world.node(daemon, token=world.access.token("node1", says_node=False))
    world.pod("p", "ib")
    attach(world, node, "p")
    world.pod("q", "ib", node="node2")
    expect_equal(Sandbox(node, "q").refused()["code"], DENIED, "code")
    world.vanish_pod("installer-0", ns="ufmsync")
    unbound = world.node(daemon, "unbound", token=world.access.token("node1", bound=False))
    expect_equal(Sandbox(unbound, "p").refused()["code"], DENIED, "a token of no pod")


@scenario()
def stale_guid_hint_is_not_believed(world):
    """The annotation that multus has read named another pod's GUID."""
    daemon, node = start(world)
    world.pod("other", "ib")
    other = objects.guid_of(world.published("other"))
    attach(world, node, "other")

    def stale(attachment, config):
        return dict(config, args={"cni": {"guid": other, CONFIGURED: "configured", "pkey": "0x9"}},
                    runtimeConfig={"infinibandGUID": other})
    world.pod("p", "ib")
    sandbox = attach(world, node, "p", change=stale)
    expect_equal(given(node, sandbox), world.guid("p"), "its own GUID")
    expect_equal(node.notes("ADD", container=sandbox.id)[0]["config"]["args"]["cni"]["pkey"], "0x5", "PKey")
    sandbox.delete()
    nobodys = attach(world, node, "p", change=lambda attachment, config: dict(
        config, args={"cni": {"guid": "02:00:00:00:00:00:ee:ee"}}))
    expect_equal(given(node, nobodys), world.guid("p"), "its own GUID")


@scenario()
def two_interfaces_without_names_get_different_guids(world):
    daemon, node = start(world)
    world.pod("p", "ib,ib")
    sandbox = attach(world, node, "p")
    found = {given(node, sandbox, "net1"), given(node, sandbox, "net2")}
    expect_equal(found, {world.guid("p", index=0), world.guid("p", index=1)}, "GUIDs")
    sandbox.delete()
    again = attach(world, node, "p")  # with the hints of the annotation now
    expect_equal([given(node, again, i) for i in ("net1", "net2")], [world.guid("p", index=i) for i in (0, 1)], "by hints")


@scenario()
def second_interface_asks_the_other_replica(world):
    first, second = start_pair(world)
    node = world.node(first)
    world.pod("p", "ib,ib")
    sandbox = Sandbox(node, "p")
    sandbox.read_pod()
    sandbox.add_one(sandbox.attachments[0])
    node.ask(second)
    outcome = retried(sandbox, 1, lambda: node.ask(first))
    expect(outcome in world.members(5), "a member")
    expect(given(node, sandbox, "net1") != given(node, sandbox, "net2"), "different GUIDs")


def retried(sandbox, i, change):
    """The i-th interface's ADD; one that is told to try again is repeated by the kubelet, elsewhere perhaps."""
    try:
        sandbox.add_one(sandbox.attachments[i])
    except Refused as refused:
        expect_equal(refused.call.error()["code"], TRY_AGAIN, "code of %s" % refused.call.out)
        change()
        sandbox.add_one(sandbox.attachments[i])
    return given(sandbox.node, sandbox, sandbox.attachments[i].interface)


@scenario()
def service_restarts_between_two_interfaces(world):
    daemon, node = start(world)
    world.pod("p", "ib,ib")
    sandbox = Sandbox(node, "p")
    sandbox.read_pod()
    sandbox.add_one(sandbox.attachments[0])
    world.published("p")
    daemon.stop()
    node.ask(world.serve())
    sandbox.add_one(sandbox.attachments[1])
    expect_equal({given(node, sandbox, i) for i in ("net1", "net2")}, {world.guid("p", index=i) for i in (0, 1)}, "GUIDs")


@scenario()
def requested_interface_names(world):
    daemon, node = start(world)
    world.pod("p", "ib@rdma1,ib@rdma0")
    sandbox = attach(world, node, "p")
    for i, interface in enumerate(("rdma1", "rdma0")):
        expect_equal(given(node, sandbox, interface), world.guid("p", index=i), "GUID of " + interface)


@scenario()
def networks_whose_configs_have_one_name(world):
    """Users copy them.  All that tells them apart is which interface comes for which of the pod's networks; one of another
    type stands before, and is none of our business."""
    world.nad("other", {"cniVersion": "0.3.1", "name": "ib", "type": "chained"})
    for name, pkey in (("five", "0x5"), ("six", "0x6")):
        world.nad(name, objects.plugin_config(pkey, name="ib"))
    daemon = world.serve()
    node = world.node(daemon)
    world.pod("p", "other,five,six")
    sandbox = attach(world, node, "p")
    expect_equal(set(world.members()), {(5, given(node, sandbox, "net2")), (6, given(node, sandbox, "net3"))}, "members")
    world.pod("q", "five,six")
    behind = attach(world, node, "q", cluster_networks=1)
    for interface, pkey in (("net2", 5), ("net3", 6)):
        expect(given(node, behind, interface) in world.members(pkey), "%s behind a network of the cluster's" % interface)


@scenario()
def networks_of_the_cluster_come_first(world):
    """Multus counts them, and we know nothing of them."""
    daemon, node = start(world)
    world.pod("p", "ib,ib,ib")
    sandbox = attach(world, node, "p", cluster_networks=2)
    found = [given(node, sandbox, interface) for interface in ("net3", "net4", "net5")]
    expect_equal(set(found), {world.guid("p", index=i) for i in range(3)}, "GUIDs")
    sandbox.delete()
    again = attach(world, node, "p", cluster_networks=2)
    expect_equal({given(node, again, interface) for interface in ("net3", "net4", "net5")}, set(found), "once more")


@scenario()
def default_network(world):
    """Its GUID travels as args.cni.guid, for multus gives it no runtimeConfig; and one network beside it."""
    daemon, node = start(world, "1000")
    world.nad("other", objects.plugin_config("0x6", name="other", capability=True))
    world.pod("p", "other", default_network="%s/ib" % world.ns())
    sandbox = attach(world, node, "p")
    expect_equal(set(world.members()), {(1000, given(node, sandbox, "eth0")), (6, given(node, sandbox))}, "members")
    expect_equal(node.notes("ADD", interface="eth0")[0]["config"]["args"]["cni"]["pkey"], "1000", "PKey as written")


@scenario()
def static_pod(world):
    """The runtime knows it by the hash of its manifest, the API server by the mirror's UID."""
    daemon, node = start(world)
    config_hash = "0123456789abcdef0123456789abcdef"
    world.pod("p", "ib", annotations={"kubernetes.io/config.hash": config_hash, "kubernetes.io/config.source": "file",
                                      "kubernetes.io/config.mirror": config_hash})
    sandbox = attach(world, node, "p")
    expect_equal(sandbox.uid, config_hash, "UID that the plugin was given")
    expect_equal(given(node, sandbox), world.guid("p"), "GUID")


@scenario()
def pod_that_was_recreated_under_its_name_is_unknown_by_its_old_uid(world):
    daemon, node = start(world, UFMSYNC_ATTACH_TIMEOUT="1s")
    old = world.pod("p", "ib")["metadata"]["uid"]
    world.guid("p")
    world.vanish_pod("p")
    world.pod("p", "ib")
    error = Sandbox(node, "p", uid=old).refused()
    expect("UnknownPod" in error["msg"], repr(error))
    delegate_never_ran(node)


@scenario()
def refusals_of_the_service_end_the_add(world):
    """Nothing of it gets better by waiting."""
    daemon, node = start(world, "5x")
    world.nad("foreign", objects.plugin_config("0x6"), ns="b")
    world.pod("bad", "ib")
    error = Sandbox(node, "bad").refused()
    expect_equal(error["code"], REFUSED, "code of %r" % error)
    expect("BadPKey" in error["msg"], repr(error))
    world.pod("intruder", "%s/foreign" % world.ns("b"))
    error = Sandbox(node, "intruder").refused()
    expect_equal(error["code"], REFUSED, "code of %r" % error)
    expect("PKeyNotAllowed" in error["msg"], repr(error))
    delegate_never_ran(node)
    expect_equal(world.members(), {}, "members")
    world.change_nad("ib", objects.plugin_config("0x5"))
    world.pod("good", "ib")
    attach(world, node, "good")


@scenario()
def guid_that_another_has_is_not_given(world):
    daemon, node = start(world, UFMSYNC_ATTACH_TIMEOUT="1s")
    wish = [{"name": "ib", "cni-args": {"guid": "02:00:00:00:00:00:ab:cd"}}]
    world.pod("owner", wish)
    world.guid("owner")
    world.pod("thief", wish)
    error = Sandbox(node, "thief").refused()
    expect("GUIDTaken" in error["msg"], repr(error))
    delegate_never_ran(node)


@scenario()
def pod_deleted_while_its_add_waits(world):
    daemon, node = start(world)
    world.ufm.latency(write_ms=700)
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    eventually_waits(daemon)
    world.vanish_pod("p")
    error = running.refused()
    expect(error["code"] in (TRY_AGAIN, REFUSED), repr(error))
    delegate_never_ran(node)
    eventually("nothing waits any more", lambda: waiting(daemon) == 0)
    eventually("UFM is empty", lambda: not world.members())


@scenario()
def service_restarts_while_an_add_waits(world):
    """The plugin asks again."""
    daemon, node = start(world)
    world.ufm.fault("html", code=503, match={"operation": "write"})
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    eventually_waits(daemon)
    daemon.kill()
    time.sleep(0.3)  # nobody listens for a moment
    world.ufm.heal()
    world.serve(UFMSYNC_LISTEN="127.0.0.1:%d" % daemon.https, UFMSYNC_HEALTH_LISTEN="127.0.0.1:%d" % daemon.health)
    running.end()
    expect_equal(given(node, running.sandbox), world.guid("p"), "GUID")


@scenario()
def leader_that_stops_hands_over_those_who_wait(world):
    """A rolling update: the Service's address leads to the other replica, and the plugin asks again by itself."""
    first, second = start_pair(world)
    service = Relay(first.https)
    world.others.append(service)
    node = world.node(service)
    world.ufm.fault("html", code=503, match={"operation": "write"})
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    eventually_waits(first)
    service.target = second.https
    first.stop()
    world.ufm.heal()
    running.end()
    expect_equal(given(node, running.sandbox), world.guid("p"), "GUID")


@scenario()
def add_that_waits_goes_before_others(world):
    """600 pods wait for UFM, which takes 500 GUIDs at a time, when another comes whose ADD waits already."""
    daemon, node = start(world)
    world.ufm.fault("html", code=503, match={"operation": "write"})
    for i in range(600):
        world.pod("p%03d" % i, "ib")
    world.pod("last", "ib")
    running = Sandbox(node, "last").begin()
    eventually_waits(daemon)
    world.ufm.latency(write_ms=700)
    world.ufm.heal()
    running.end()
    taken = [r for r in world.ufm.requests(operation="add") if r["status"] == 200]
    expect(given(node, running.sandbox) in taken[0]["body"], "it was in the first request that UFM took")
