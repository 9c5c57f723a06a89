"""The life of pods."""
import objects
from scenario import expect, expect_equal, scenario
from servers import always, eventually


@scenario()
def start_work_stop(world):
    """A whole life: also run under valgrind, so in no hurry."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFM_TIMEOUT="10s", UFMSYNC_LEASE_DURATION="15s", UFMSYNC_LEASE_RENEW_DEADLINE="10s")
    world.pod("p", "ib,ib")
    guids = {objects.hex_guid(e["cni-args"]["guid"]) for e in objects.networks_of(world.published("p", timeout=60))}
    expect_equal(set(world.members(5)), guids, "members")
    world.delete_pod("p")
    for guid in guids:
        world.gone_from_ufm(guid, timeout=60)
    daemon.stop()
    expect_equal(world.lease()["spec"].get("holderIdentity", ""), "", "the Lease is given back")


@scenario()
def host_network_pod_is_left_alone(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("host", "ib", host_network=True)
    world.pod("p", "ib")
    world.guid("p")
    world.stays_untouched("host", seconds=0.5)
    expect_equal(len(world.members()), 1, "members")


@scenario()
def unbound_pod_waits_until_it_is_scheduled(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib", node=None)
    world.pod("q", "ib")
    world.guid("q")
    expect(world.is_untouched("p"), "not bound yet")
    world.client.call("POST", world.pod_path("p") + "/binding", {
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "node2"}})
    world.guid("p")


@scenario()
def finished_pod_gives_back(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_GUID_REST_UNSURE="1h")
    guids = []
    for name, phase in (("done", "Succeeded"), ("broken", "Failed")):
        world.pod(name, "ib")
        guids.append(world.guid(name))
        world.run_pod(name)
        world.finish_pod(name, phase=phase)
    for guid in guids:
        world.gone_from_ufm(guid)
    eventually("a finished pod's GUID rests for the usual time only",
               lambda: daemon.metric("ufmsync_pool_resting_guids") == 0)


@scenario()
def deleted_pod_gives_back(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_GUID_REST_UNSURE="1h")
    world.pod("p", "ib")
    guid = world.guid("p")
    world.run_pod("p")
    world.delete_pod("p")
    world.gone_from_ufm(guid)
    eventually("its GUID rests for the usual time only", lambda: daemon.metric("ufmsync_pool_resting_guids") == 0)


@scenario()
def terminating_pod_keeps_its_membership(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib")
    guid = world.guid("p")
    world.run_pod("p")
    world.terminate_pod("p")
    always("it stays a member while it terminates", lambda: guid in world.members(5), 2.5)
    world.finish_pod("p")
    world.gone_from_ufm(guid)


@scenario()
def vanished_pod_rests_longer(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_GUID_REST_UNSURE="1h")
    world.pod("p", "ib")
    guid = world.guid("p")
    world.run_pod("p")
    world.vanish_pod("p")
    world.gone_from_ufm(guid)
    eventually("it rests", lambda: daemon.metric("ufmsync_pool_resting_guids") == 1)
    always("it goes on resting", lambda: daemon.metric("ufmsync_pool_resting_guids") == 1, 2.5)


@scenario()
def pod_that_vanishes_during_its_join_leaves_nothing(world):
    """Nor is it left to the removal of orphans."""
    world.nad("ib", objects.ib_config("0x5"))
    world.start(UFMSYNC_ORPHANS="keep")
    world.ufm.latency(write_ms=500)
    world.pod("p", "ib")
    eventually("its join is under way", lambda: world.ufm.requests(operation="add"))
    world.vanish_pod("p")
    world.pod("q", "ib")
    q = world.guid("q")
    eventually("only the other one is a member", lambda: set(world.members(5)) == {q})


@scenario()
def pod_recreated_during_its_join_gets_a_guid_of_its_own(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start(UFMSYNC_ORPHANS="keep")
    world.ufm.latency(write_ms=500)
    world.pod("p", "ib")
    eventually("its join is under way", lambda: world.ufm.requests(operation="add"))
    world.vanish_pod("p")
    new = world.pod("p", "ib")
    guid = world.guid("p")
    eventually("only the new one is a member", lambda: set(world.members(5)) == {guid})
    expect_equal(world.get_pod("p")["metadata"]["uid"], new["metadata"]["uid"], "the pod")


@scenario()
def pod_recreated_under_its_name(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib")
    old = world.guid("p")
    world.run_pod("p")
    world.delete_pod("p")
    world.pod("p", "ib")
    new = world.guid("p")
    expect(new != old, "another GUID")
    world.gone_from_ufm(old)
    expect_equal(set(world.members(5)), {new}, "members")


@scenario()
def pod_that_stops_asking_gives_back(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib")
    guid = world.guid("p")
    world.annotate_pod("p", {objects.NETWORKS: None})
    world.gone_from_ufm(guid)


@scenario()
def two_hundred_pods_at_once(world):
    world.nad("ib", objects.ib_config("0x5"))
    # A machine that is busy with other things must not cost the Lease: what was joined meanwhile would be orphans then.
    world.start(UFMSYNC_LEASE_DURATION="15s", UFMSYNC_LEASE_RENEW_DEADLINE="10s", UFMSYNC_LEASE_RETRY="2s")
    names = ["p%03d" % i for i in range(200)]
    for name in names:
        world.pod(name, "ib")
    guids = {world.guid(name, timeout=60) for name in names}
    expect_equal(len(guids), 200, "different GUIDs")
    expect_equal(set(world.members(5)), guids, "members")
    expect_equal(world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")
