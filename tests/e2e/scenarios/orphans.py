"""Members of our range that no pod owns, and the brake."""
import objects
from scenario import expect, expect_equal, scenario
from servers import always, eventually


def guid(n, top=0x02):
    return "%02x%014x" % (top, n)


def settle(world, **more):
    """A cluster that has found an empty UFM once."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**more)
    eventually("settled is on the Lease", lambda: world.lease()["metadata"]["annotations"]["ufmsync.io/settled"])
    return daemon


@scenario()
def orphans_are_removed_and_others_are_never_touched(world):
    settle(world, UFM_PKEY_RANGE="0x1-0xff")
    world.pod("p", "ib")
    owner = world.guid("p")
    others = {(5, guid(1, top=0x03)), (0x100, guid(2)), (0x6, "b8cef60300aa0001")}
    for pkey, member in others:
        world.ufm.add(hex(pkey), member)
    world.ufm.add("0x5", guid(3))
    world.ufm.add("0x7", guid(4))
    world.gone_from_ufm(guid(3))
    world.gone_from_ufm(guid(4))
    always("the others stay", lambda: set(world.members()) == others | {(5, owner)}, 2)


@scenario()
def orphan_is_not_removed_at_first_sight(world):
    settle(world, UFMSYNC_ORPHAN_GRACE="3s")
    world.ufm.add("0x5", guid(3))
    eventually("it is seen", lambda: world.daemons[-1].metric("ufmsync_orphans") == 1)
    always("it stays during its grace", lambda: (5, guid(3)) in world.members(), 2)
    world.gone_from_ufm(guid(3))


@scenario()
def unsettled_cluster_removes_nothing_until_confirmed(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.add("0x5", guid(3))
    daemon = world.start()
    expect(daemon.said("ORPHANS_BRAKE"), "the log says so")
    world.pod("p", "ib")
    owner = world.guid("p")
    always("nothing is removed", lambda: (5, guid(3)) in world.members(), 4)
    eventually("the metric says so", lambda: daemon.metric("ufmsync_brake") == 1)
    world.annotate_lease("confirm")
    world.gone_from_ufm(guid(3))
    expect_equal(set(world.members()), {(5, owner)}, "members")
    eventually("the Lease remembers", lambda: world.lease()["metadata"]["annotations"]["ufmsync.io/settled"]
               .startswith("02:00:00:00:00:00:00:00-"))


@scenario()
def many_orphans_latch_the_brake_until_confirmed(world):
    daemon = settle(world)
    world.ufm.add("0x5", *[guid(0x100 + i) for i in range(11)])
    eventually("the brake latches", lambda: daemon.metric("ufmsync_brake") == 2)
    always("nothing is removed", lambda: len(world.members()) == 11, 3)
    world.annotate_lease("confirm")
    eventually("all are removed", lambda: not world.members())


@scenario()
def latched_brake_stays_though_few_orphans_are_left(world):
    daemon = settle(world)
    world.ufm.add("0x5", *[guid(0x100 + i) for i in range(12)])
    eventually("the brake latches", lambda: daemon.metric("ufmsync_brake") == 2)
    world.ufm.forget("0x5", *[guid(0x100 + i) for i in range(9)])
    eventually("fewer are seen", lambda: daemon.metric("ufmsync_orphans") == 3)
    always("nothing is removed", lambda: len(world.members()) == 3, 3)
    world.annotate_lease("confirm")
    eventually("all are removed", lambda: not world.members())


@scenario()
def more_than_ten_orphans_are_removed_where_they_are_few_among_many(world):
    settle(world)
    names = ["p%d" % i for i in range(40)]
    for name in names:
        world.pod(name, "ib")
    owners = {world.guid(name) for name in names}
    world.ufm.add("0x5", *[guid(0xff00 + i) for i in range(12)])
    eventually("exactly the orphans are removed", lambda: set(world.members(5)) == owners)


@scenario()
def settled_is_remembered_for_this_range_alone(world):
    daemon = settle(world)
    daemon.stop()
    world.ufm.add("0x5", guid(3))
    daemon = world.start()
    world.gone_from_ufm(guid(3))
    daemon.stop()
    world.ufm.add("0x5", guid(0x10003))
    daemon = world.start(GUID_POOL_RANGE_END="02:00:00:00:00:01:ff:ff")
    always("another range is not settled", lambda: (5, guid(0x10003)) in world.members(), 3)
    eventually("the brake", lambda: daemon.metric("ufmsync_brake") == 1)


@scenario()
def mode_keep_removes_nothing(world):
    daemon = settle(world, UFMSYNC_ORPHANS="keep")
    world.ufm.add("0x5", guid(3))
    eventually("it is seen", lambda: daemon.metric("ufmsync_orphans") == 1)
    always("it stays", lambda: (5, guid(3)) in world.members(), 3)


@scenario()
def mode_remove_needs_no_settling(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.add("0x5", *[guid(0x100 + i) for i in range(20)])
    world.start(UFMSYNC_ORPHANS="remove")
    eventually("all are removed", lambda: not world.members())


@scenario()
def one_that_comes_back_belongs_to_another_writer(world):
    daemon = settle(world)
    world.kept_by_another_writer("0x5", guid(3), daemon)
    always("it is left alone", lambda: (5, guid(3)) in world.members(), 3)


@scenario()
def two_clusters_that_share_a_range_do_not_strip_each_other(world):
    """The second cluster's first list shows the first one's members: it is not settled and touches none."""
    settle(world)
    names = ["p%d" % i for i in range(20)]
    for name in names:
        world.pod(name, "ib")
    members = {(5, world.guid(name)) for name in names}
    other = world.start(POD_NAMESPACE=world.ns("other-cluster"), UFMSYNC_SHARED_NETWORK_NAMESPACES="none",
                        KUBECONFIG=empty_cluster(world), POD_UID="uid-2")
    eventually("the other cluster brakes", lambda: other.metric("ufmsync_brake") > 0)
    always("nobody loses a member", lambda: set(world.members()) >= members, 4)


def empty_cluster(world):
    from servers import MockKube
    import os
    folder = os.path.join(world.folder, "other")
    os.makedirs(folder)
    kube = MockKube(world.binaries, folder)
    world.others.append(kube)
    kube.client.call("POST", "/api/v1/namespaces", {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.ns("other-cluster")}})
    return kube.kubeconfig
