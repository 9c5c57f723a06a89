"""Network definitions, PKeys and who may use them."""
import objects
from scenario import expect, expect_equal, scenario
from servers import eventually

BAD_PKEYS = ["0x0", "0x7fff", "0x8005", "5x", "0x", "0x12345", " 0x5", "0x5 ", "+5", "-5", "005", "0x5g", 0, 32767, 65535,
             1.5, True, ["0x5"], "0xffff"]


@scenario()
def each_bad_pkey_is_told_and_delays_nobody(world):
    world.nad("good", objects.ib_config("0x5"))
    world.start()
    for i, pkey in enumerate(BAD_PKEYS):
        world.nad("bad%d" % i, objects.ib_config(pkey))
        world.pod("bad%d" % i, "bad%d" % i)
    world.pod("good", "good")
    guid = world.guid("good")
    for i, pkey in enumerate(BAD_PKEYS):
        world.event("bad%d" % i, "BadPKey")
        expect(world.is_untouched("bad%d" % i), "nothing is published for pkey %r" % (pkey,))
    expect_equal(set(world.members()), {(5, guid)}, "only the good one is a member")
    expect_equal(len(world.ufm.writes()), 1, "writes to UFM")


@scenario()
def decimal_and_upper_case_pkeys(world):
    for name, pkey in (("text", "1000"), ("number", 1000), ("upper", "0X3E8"), ("padded", "0x03e8")):
        world.nad(name, objects.ib_config(pkey))
    world.start()
    for name, text in (("text", "1000"), ("number", "1000"), ("upper", "0X3E8"), ("padded", "0x03e8")):
        world.pod(name, name)
        expect_equal(objects.networks_of(world.published(name))[0]["cni-args"]["pkey"], text, name)
    expect_equal(len(world.members(1000)), 4, "all in the same partition")


@scenario()
def pkey_outside_our_range_is_refused(world):
    world.nad("ib", objects.ib_config("0x50"))
    world.start(UFM_PKEY_RANGE="0x1-0x4f")
    world.pod("p", "ib")
    world.event("p", "BadPKey")
    expect_equal(world.members(), {}, "UFM's members")


@scenario()
def policy_namespace_allows_own_and_shared_definitions(world):
    world.nad("ib", objects.ib_config("0x5"), ns="a")
    world.nad("ib", objects.ib_config("0x6"), ns="shared")
    world.nad("ib", objects.ib_config("0x7"), ns="b")
    world.start(UFMSYNC_SHARED_NETWORK_NAMESPACES=world.ns("shared"))
    world.pod("own", "ib")
    world.pod("shared", world.ns("shared") + "/ib")
    world.pod("foreign", world.ns("b") + "/ib")
    own, shared = world.guid("own"), world.guid("shared")
    world.event("foreign", "PKeyNotAllowed")
    expect_equal(set(world.members()), {(5, own), (6, shared)}, "members")
    expect(world.is_untouched("foreign"), "nothing is published")


@scenario()
def namespace_annotation_narrows_its_pkeys(world):
    world.ns("a", annotations={"ufmsync.io/pkeys": "0x5,0x10-0x1f"})
    for pkey in ("0x5", "0x1f", "0x6"):
        world.nad("ib" + pkey, objects.ib_config(pkey))
    world.start()
    for pkey in ("0x5", "0x1f", "0x6"):
        world.pod("p" + pkey, "ib" + pkey)
    world.guid("p0x5")
    world.guid("p0x1f")
    world.event("p0x6", "PKeyNotAllowed")
    world.annotate_namespace("a", {"ufmsync.io/pkeys": "0x5,0x6"})
    world.guid("p0x6")


@scenario()
def policy_annotated_allows_nothing_without_the_annotation(world):
    world.ns("b", annotations={"ufmsync.io/pkeys": "0x5"})
    world.nad("ib", objects.ib_config("0x5"), ns="a")
    world.nad("ib", objects.ib_config("0x5"), ns="b")
    world.start(UFMSYNC_PKEY_POLICY="annotated")
    world.pod("p", "ib", ns="a")
    world.pod("p", "ib", ns="b")
    world.guid("p", ns="b")
    world.event("p", "PKeyNotAllowed", ns="a")
    world.annotate_namespace("a", {"ufmsync.io/pkeys": "0x1-0x10"})
    world.guid("p", ns="a")


@scenario()
def each_policy_with_own_shared_and_foreign_definitions(world):
    """Pods of "free" (no annotation) and of "bound" (0x5 and 0x7 only) use definitions of four namespaces."""
    world.ns("bound", annotations={"ufmsync.io/pkeys": "0x5,0x7"})
    for ns, pkey in (("free", "0x5"), ("bound", "0x5"), ("shared", "0x6"), ("foreign", "0x7")):
        world.nad("ib", objects.ib_config(pkey), ns=ns)
    allowed = {"namespace": {"free own", "free shared", "bound own"}, "annotated": {"bound own"},
               "any": {a + b for a in ("free", "bound") for b in (" own", " shared", " foreign")}}
    for policy in ("namespace", "annotated", "any"):
        daemon = world.start(UFMSYNC_PKEY_POLICY=policy, UFMSYNC_SHARED_NETWORK_NAMESPACES=world.ns("shared"))
        for ns in ("free", "bound"):
            for kind, place in (("own", ns), ("shared", "shared"), ("foreign", "foreign")):
                world.pod(policy + "-" + kind, world.ns(place) + "/ib", ns=ns)
        for ns in ("free", "bound"):
            for kind in ("own", "shared", "foreign"):
                name = policy + "-" + kind
                if ns + " " + kind in allowed[policy]:
                    world.guid(name, ns=ns)
                else:
                    world.event(name, "PKeyNotAllowed", ns=ns)
                    expect(world.is_untouched(name, ns=ns), "nothing is published on %s of %s" % (name, ns))
        expect_equal(len(world.members()), len(allowed[policy]), "members under " + policy)
        for ns in ("free", "bound"):
            for kind in ("own", "shared", "foreign"):
                world.delete_pod(policy + "-" + kind, ns=ns)
        eventually("all leave", lambda: not world.members())
        daemon.stop()


@scenario()
def policy_any_is_as_ib_kubernetes_and_warned_of(world):
    world.nad("ib", objects.ib_config("0x7"), ns="b")
    daemon = world.start(UFMSYNC_PKEY_POLICY="any")
    world.pod("foreign", world.ns("b") + "/ib")
    world.guid("foreign")
    expect(any("UFMSYNC_PKEY_POLICY" in line["message"] for line in daemon.said("SETTING")), "a warning at the start")


@scenario()
def missing_definition_delays_nobody_and_may_come_late(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    for i in range(20):
        world.pod("early%d" % i, "late")
    world.event("early0", "NetworkNotFound")
    world.pod("p", "ib")
    world.guid("p", timeout=5)
    world.nad("late", objects.ib_config("0x6"))
    for i in range(20):
        world.published("early%d" % i)
    expect_equal(len(world.members(6)), 20, "members of 0x6")


@scenario()
def definition_deleted_before_its_pods(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib")
    guid = world.guid("p")
    world.delete_nad("ib")
    world.delete_pod("p")
    world.gone_from_ufm(guid)


@scenario()
def changed_definition_counts_for_new_pods_only(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("old", "ib")
    old = world.guid("old")
    world.change_nad("ib", objects.ib_config("0x6"))

    def new_pods_join_the_new_one():
        world.pod("new", "ib")
        world.guid("new")
        if world.guid("new") in world.members(6):
            return True
        world.delete_pod("new")
        return False
    eventually("new pods join 0x6", new_pods_join_the_new_one)
    expect(old in world.members(5), "the old pod stays where it was")
    world.delete_pod("old")
    world.gone_from_ufm(old)


@scenario()
def recreated_definition_with_another_pkey(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("old", "ib")
    old = world.guid("old")
    world.delete_nad("ib")
    world.nad("ib", objects.ib_config("0x6"))
    world.pod("new", "ib")
    new = world.guid("new")
    expect(new in world.members(5) or new in world.members(6), "a member")
    expect(old in world.members(5), "the old pod stays where it was")
    world.pod("newer", "ib")
    expect(world.guid("newer") in world.members(6), "later pods join 0x6")


@scenario()
def definition_that_is_no_json_is_told_to_its_pods(world):
    world.nad("broken", '{"type": "ib-sriov", "pkey": ')
    world.nad("good", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "broken")
    world.pod("q", "good")
    world.guid("q")
    event = world.event("p", "NetworkUnreadable")
    expect("JSON" in event["note"], "the note says what is wrong: " + event["note"])
    world.change_nad("broken", objects.ib_config("0x6"))
    world.guid("p")


@scenario()
def other_network_types_are_left_alone(world):
    world.nad("ipoib", {"type": "ipoib", "master": "ib0", "pkey": "0x5"})
    world.nad("macvlan", {"type": "macvlan", "master": "eth0"})
    world.nad("sriov", objects.conflist({"type": "sriov"}))
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    for name in ("ipoib", "macvlan", "sriov"):
        world.pod(name, name)
    world.pod("mixed", "macvlan,ib")
    elements = eventually("the ib-sriov one is configured", lambda: [
        e for e in [objects.networks_of(world.get_pod("mixed"))] if "cni-args" in e[1]])[0]
    expect_equal(elements[0], {"name": "macvlan", "namespace": world.ns()}, "the macvlan element")
    for name in ("ipoib", "macvlan", "sriov"):
        world.stays_untouched(name, seconds=0.3)
        expect_equal(world.events(name), [], "Events on " + name)
    eventually("attachments", lambda: daemon.metric('ufmsync_attachments{state="published"}') == 1)


@scenario()
def ufmsync_plugin_around_ib_sriov_counts(world):
    world.nad("object", {"type": "ufmsync", "name": "x", "delegate": {"type": "ib-sriov", "pkey": "0x5"}})
    world.nad("flat", {"type": "ufmsync", "name": "y", "delegate": "ib-sriov", "pkey": "0x6"})
    world.start()
    world.pod("object", "object")
    world.pod("flat", "flat")
    expect(world.guid("object") in world.members(5), "with a delegate object")
    expect(world.guid("flat") in world.members(6), "with the delegate's name")
