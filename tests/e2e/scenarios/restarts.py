"""What is believed after a restart, and what a crash may leave behind: nothing."""
import base64
import hashlib
import hmac
import json

import objects
from scenario import expect, expect_equal, scenario
from servers import always, eventually
from world import RECORD_KEY


def members_of(world, names):
    return {world.guid(name, timeout=60) for name in names}


def configured(guid, pkey):
    return [{"name": "ib", "cni-args": {"guid": guid, "pkey": pkey, "mellanox.infiniband.app": "configured"}}]


@scenario()
def restart_changes_nothing(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    names = ["p%d" % i for i in range(5)]
    for name in names:
        world.pod(name, "ib")
    guids = members_of(world, names)
    versions = {name: world.get_pod(name)["metadata"]["resourceVersion"] for name in names}
    daemon.stop()
    writes = len(world.ufm.writes())
    world.start()
    always("UFM is as it was", lambda: set(world.members(5)) == guids, 2)
    expect_equal(len(world.ufm.writes()), writes, "writes to UFM")
    expect_equal({name: world.get_pod(name)["metadata"]["resourceVersion"] for name in names}, versions, "pods")


@scenario()
def record_is_believed_though_the_definition_has_changed(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.pod("p", "ib")
    guid = world.guid("p")
    daemon.stop()
    world.change_nad("ib", objects.ib_config("0x6"))
    world.start()
    always("it stays in 0x5", lambda: set(world.members()) == {(5, guid)}, 2)
    world.pod("q", "ib")
    expect(world.guid("q") in world.members(6), "a new pod joins 0x6")
    world.delete_pod("p")
    world.gone_from_ufm(guid)


@scenario()
def forged_record_is_worth_nothing(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.pod("owner", "ib")
    guid = objects.guid_of(world.published("owner"))
    daemon.stop()
    pod = world.pod("forger", configured(guid, "0x5"))
    payload = base64.urlsafe_b64encode(json.dumps({
        "uid": pod["metadata"]["uid"], "since": 99999999999999, "attachments": [{
            "network": world.ns() + "/ib", "index": 0, "interface": "", "guid": guid,
            "memberships": [{"pkey": "0x5", "membership": "full", "index0": True}]}]}).encode()).decode().rstrip("=")
    mac = hmac.new(b"not the key of this cluster, alas", ("1." + payload).encode(), hashlib.sha256).digest()
    record = "1.%s.%s" % (payload, base64.urlsafe_b64encode(mac).decode().rstrip("="))
    world.annotate_pod("forger", {objects.RECORD: record})
    world.start()
    world.event("forger", "GUIDTaken")
    expect_equal(set(world.members(5)), {objects.hex_guid(guid)}, "the owner's membership")
    world.pod("q", "ib")
    expect(world.guid("q") != objects.hex_guid(guid), "the owner holds it still")


@scenario()
def replayed_record_of_another_pod_is_worth_nothing(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.pod("owner", "ib")
    owner = world.published("owner")
    daemon.stop()
    world.pod("thief", configured(objects.guid_of(owner), "0x5"),
              annotations={objects.RECORD: owner["metadata"]["annotations"][objects.RECORD]})
    world.start()
    world.event("thief", "GUIDTaken")
    always("the owner is undisturbed", lambda: world.get_pod("owner")["metadata"]["annotations"] ==
           owner["metadata"]["annotations"], 1)


@scenario()
def rotated_record_key_verifies_old_records(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.pod("p", "ib")
    guid = world.guid("p")
    daemon.stop()
    world.change_nad("ib", objects.ib_config("0x6"))
    new = base64.b64encode(b"the next record key, also 32 bytes").decode()
    world.start(UFMSYNC_RECORD_KEY=new + "," + RECORD_KEY)
    always("the old record is believed", lambda: set(world.members()) == {(5, guid)}, 1.5)


@scenario()
def without_a_record_key_the_annotation_is_a_wish(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_RECORD_KEY=None)
    world.pod("p", "ib")
    guid = world.guid("p")
    daemon.stop()
    world.start(UFMSYNC_RECORD_KEY=None)
    always("the same GUID in the same PKey", lambda: set(world.members()) == {(5, guid)}, 1.5)
    world.delete_pod("p")
    world.gone_from_ufm(guid)


@scenario()
def annotations_of_ib_kubernetes_are_adopted_where_ufm_agrees(world):
    """The definition has changed since: only adoption keeps the pod where it is."""
    world.nad("ib", objects.ib_config("0x6"))
    world.start_ufm()
    world.ufm.add("0x5", "0200000000000077", index0=True)
    world.pod("old", configured("02:00:00:00:00:00:00:77", "0x5"))
    daemon = world.start(UFMSYNC_ADOPT="annotation")
    always("it stays in 0x5", lambda: set(world.members()) == {(5, "0200000000000077")}, 2)
    eventually("a record is written", lambda: world.get_pod("old")["metadata"]["annotations"].get(objects.RECORD))
    eventually("attachments", lambda: daemon.metric('ufmsync_attachments{state="published"}') == 1)
    world.delete_pod("old")
    world.gone_from_ufm("0200000000000077")


@scenario()
def annotation_that_ufm_does_not_confirm_is_not_adopted(world):
    world.nad("ib", objects.ib_config("0x6"))
    world.start_ufm()
    world.ufm.add("0x5", "0200000000000077", index0=True)
    world.pod("liar", configured("02:00:00:00:00:00:00:77", "0x9"))
    world.start(UFMSYNC_ADOPT="annotation")
    world.event("liar", "GUIDTaken")
    always("it joins neither", lambda: set(world.members()) == {(5, "0200000000000077")}, 2)


@scenario()
def without_adoption_a_listed_guid_of_the_same_pkey_is_a_wish_granted(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.add("0x5", "0200000000000077", index0=True)
    world.pod("old", configured("02:00:00:00:00:00:00:77", "0x5"))
    world.start()
    eventually("a record is written", lambda: world.get_pod("old")["metadata"]["annotations"].get(objects.RECORD))
    expect_equal(set(world.members()), {(5, "0200000000000077")}, "members")


@scenario()
def pods_that_ended_while_we_were_away_give_back(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    for name in ("a", "b"):
        world.pod(name, "ib")
    a, b = world.guid("a"), world.guid("b")
    eventually("settled", lambda: world.lease()["metadata"]["annotations"]["ufmsync.io/settled"])
    daemon.kill()
    world.delete_pod("a")
    world.start()
    world.gone_from_ufm(a)
    expect_equal(set(world.members(5)), {b}, "members")


@scenario()
def old_record_of_the_pod_itself_is_worth_less_than_the_holders(world):
    """Both are signed by us and neither is another pod's: the later one counts."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_GUID_REST="0s")
    wish = [{"name": "ib", "cni-args": {"guid": "02:00:00:00:00:00:ab:cd"}}]
    world.pod("once", wish)
    once = world.published("once")["metadata"]["annotations"]
    world.annotate_pod("once", {objects.NETWORKS: None, objects.RECORD: None})
    world.gone_from_ufm("020000000000abcd")
    world.pod("now", wish)
    world.guid("now")
    daemon.stop()
    world.annotate_pod("once", {name: once[name] for name in (objects.NETWORKS, objects.RECORD)})
    now = world.get_pod("now")["metadata"]["annotations"]
    world.start()
    world.event("once", "GUIDTaken")
    always("the holder is undisturbed", lambda: world.get_pod("now")["metadata"]["annotations"] == now, 1)
    world.delete_pod("once")
    always("and stays a member", lambda: set(world.members()) == {(5, "020000000000abcd")}, 1.5)


def adds_under_way(world):
    return [r for r in world.ufm.requests(operation="add") if r["outcome"] == "open"]


@scenario()
def kill_during_a_burst_loses_nothing(world):
    """200 pods arrive, the process is killed four times, each time within a write of its own, and started anew."""
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.latency(write_ms=300)
    settings = {"UFMSYNC_ORPHANS": "remove", "UFMSYNC_GUID_REST": "0s", "UFM_TIMEOUT": "500ms"}
    daemon = world.start(**settings)
    names = ["p%03d" % i for i in range(200)]
    cut = []
    for i, name in enumerate(names):
        world.pod(name, "ib")
        if i % 50 == 20:  # what is sent now is never answered, and takes effect after the kill
            world.ufm.fault("late_after_timeout", match={"operation": "add"}, times=1, delay_ms=700)
        if i % 50 == 25:
            cut += eventually("a write is under way", lambda: adds_under_way(world), 30)
            daemon.kill()
            daemon = world.start(wait=False, **settings)
    guids = [world.guid(name, timeout=90) for name in names]
    expect_equal(len(set(guids)), 200, "no GUID twice")
    eventually("exactly the pods are members", lambda: set(world.members(5)) == set(guids), 30)
    always("and stay so", lambda: set(world.members(5)) == set(guids), 2)
    expect_equal(world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")
    expect_equal(len(cut), 4, "writes that a kill cut off")
    for write in cut:
        then = [w["time_ms"] for w in world.ufm.writes() if w["seq"] > write["seq"]][0]
        expect(then - write["time_ms"] >= 500, "UFM may work on a dead leader's write for UFM_TIMEOUT, and %d ms after "
               "it came the next" % (then - write["time_ms"]))
    for name in names:
        world.client.raw("DELETE", world.pod_path(name) + "?gracePeriodSeconds=0")
    eventually("UFM is empty at the end", lambda: not world.members(), 30)


@scenario()
def stop_during_a_burst_finishes_its_write(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.ufm.latency(write_ms=500)
    names = ["p%d" % i for i in range(20)]
    for name in names:
        world.pod(name, "ib")
    eventually("a write is under way", lambda: adds_under_way(world))
    daemon.stop()
    expect_equal({r["outcome"] for r in world.ufm.writes()}, {"answered"}, "how its writes ended")
    expect_equal(world.lease()["spec"].get("holderIdentity", ""), "", "the Lease is given back")
    world.start()
    guids = members_of(world, names)
    expect_equal(len(guids), 20, "different GUIDs")
    eventually("exactly the pods are members", lambda: set(world.members(5)) == guids)
    expect_equal(world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")


@scenario()
def second_replica_waits_and_takes_over(world):
    world.nad("ib", objects.ib_config("0x5"))
    first = world.start()
    second = world.start(wait=False, POD_UID="uid-2", K8S_NODE="node2")
    world.pod("p", "ib")
    p = world.guid("p")
    eventually("the standby has read all and does not lead", lambda: second.get("/readyz")[0] == 200 and
               second.metric("ufmsync_leader") == 0)
    first.kill()
    second.wait_listed()
    world.pod("q", "ib")
    q = world.guid("q", timeout=30)
    expect_equal(set(world.members(5)), {p, q}, "members")
    expect_equal(world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")
