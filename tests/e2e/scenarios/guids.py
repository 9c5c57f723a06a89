"""GUIDs that pods ask for, and the pool."""
import objects
from scenario import expect, expect_equal, scenario
from servers import always, eventually

OWN = "02:00:00:00:00:00:ab:cd"


def asks(guid, **more):
    return [dict({"name": "ib", "cni-args": {"guid": guid}}, **more)]


@scenario()
def own_guid_in_either_letter_case(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("lower", asks(OWN))
    world.pod("upper", asks("02:00:00:00:00:00:CD:EF"))
    world.pod("field", [{"name": "ib", "infiniband-guid": "02:00:00:00:00:00:00:99"}])
    expect_equal(world.guid("lower"), "020000000000abcd", "as asked for")
    upper = world.guid("upper")
    expect_equal(upper, "020000000000cdef", "as asked for")
    expect_equal(world.guid("field"), "0200000000000099", "as asked for by infiniband-guid")
    expect_equal(len(world.members(5)), 3, "members")
    world.delete_pod("upper")
    world.gone_from_ufm(upper)


@scenario()
def own_guid_outside_the_range_is_refused(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    for name, guid in (("outside", "03:00:00:00:00:00:00:01"), ("zero", "00:00:00:00:00:00:00:00"),
                       ("ones", "ff:ff:ff:ff:ff:ff:ff:ff"), ("no-guid", "hello")):
        world.pod(name, asks(guid))
    for name in ("outside", "zero", "ones", "no-guid"):
        event = world.event(name, "GUIDOutOfRange")
        expect_equal(event["type"], "Warning", name)
    expect_equal(world.members(), {}, "UFM's members")


@scenario()
def held_guid_is_refused_and_given_when_freed(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("first", asks(OWN))
    world.guid("first")
    world.pod("second", asks(OWN))
    world.event("second", "GUIDTaken")
    expect(objects.RECORD not in world.get_pod("second")["metadata"]["annotations"], "nothing is published")
    world.delete_pod("first")
    expect_equal(world.guid("second", timeout=20), "020000000000abcd", "given once it had rested")
    expect_equal(set(world.members(5)), {"020000000000abcd"}, "one member")


@scenario()
def resting_guid_is_refused_until_its_rest_is_over(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_GUID_REST="4s")
    world.pod("first", asks(OWN))
    world.guid("first")
    world.delete_pod("first")
    eventually("it rests", lambda: daemon.metric('ufmsync_attachments{state="resting"}') == 1)
    world.pod("second", asks(OWN))
    event = world.event("second", "GUIDTaken")
    expect("rest" in event["note"], "the note says that it rests: " + event["note"])
    world.guid("second", timeout=20)


@scenario()
def guid_that_ufm_lists_elsewhere_is_refused(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.add("0x9", objects.hex_guid(OWN))
    world.start(UFM_PKEY_RANGE="0x1-0x8")
    world.pod("p", asks(OWN))
    world.event("p", "GUIDTaken")
    expect_equal(world.members(), {(9, objects.hex_guid(OWN)): {"membership": "full", "index0": False}}, "UFM is as it was")


@scenario()
def forged_guid_of_another_pod_gets_nothing_and_hurts_nobody(world):
    world.nad("ib", objects.ib_config("0x5"), ns="a")
    world.nad("ib", objects.ib_config("0x6"), ns="evil")
    world.start()
    world.pod("owner", "ib")
    owner = world.published("owner")
    guid = objects.guid_of(owner)
    world.pod("forger", [{"name": "ib", "cni-args": {"guid": guid, "pkey": "0x5", "mellanox.infiniband.app": "configured"}}],
              ns="evil", annotations={objects.RECORD: owner["metadata"]["annotations"][objects.RECORD]})
    event = world.event("forger", "GUIDTaken", ns="evil")
    expect_equal(event["type"], "Warning", "type")
    expect_equal(world.members(), {(5, objects.hex_guid(guid)): {"membership": "full", "index0": True}}, "only the owner")
    expect_equal(world.get_pod("owner")["metadata"]["annotations"], owner["metadata"]["annotations"], "the owner's annotations")
    world.terminate_pod("forger", ns="evil", grace=0)
    always("the owner stays a member", lambda: objects.hex_guid(guid) in world.members(5), 1.5)


@scenario()
def pool_of_four_with_six_pods(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(GUID_POOL_RANGE_START="02:00:00:00:00:00:00:10", GUID_POOL_RANGE_END="02:00:00:00:00:00:00:13")
    names = ["p%d" % i for i in range(6)]
    for name in names:
        world.pod(name, "ib")

    def published():
        return [name for name in names if world.pod_exists(name) and not world.is_untouched(name)]
    eventually("four pods have a GUID", lambda: len(published()) == 4, 30)
    waiting = [name for name in names if name not in published()]
    for name in waiting:
        world.event(name, "PoolExhausted")
    expect_equal(set(world.members(5)), {"02000000000000%02x" % i for i in range(0x10, 0x14)}, "all four are members")
    for name in [n for n in names if n not in waiting][:2]:
        world.delete_pod(name)
    for name in waiting:
        world.published(name, timeout=30)
    guids = [world.guid(name) for name in published()]
    expect_equal(len(guids), len(set(guids)), "no GUID twice")
    expect_equal(set(world.members(5)), set(guids), "exactly these are members")
    expect(daemon.metric("ufmsync_pool_guids") == 4, "the pool's size")


@scenario()
def freed_guid_is_not_given_at_once(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    seen = set()
    for i in range(5):
        name = "p%d" % i
        world.pod(name, "ib")
        guid = world.guid(name)
        expect(guid not in seen, "GUID %s was given again" % guid)
        seen.add(guid)
        world.delete_pod(name)
        world.gone_from_ufm(guid)


@scenario()
def migration_target_waits_for_its_source(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("source", asks(OWN))
    world.guid("source")
    world.pod("target", asks(OWN), labels={"kubevirt.io/migrationJobUID": "x"})
    event = world.event("target", "GUIDTaken")
    expect("migration" in event["note"].lower(), "the note says so: " + event["note"])
    world.delete_pod("source")
    world.guid("target", timeout=20)
