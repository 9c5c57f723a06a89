"""What is read from a pod's network annotations and what is written there."""
import json

import objects
from scenario import expect, expect_equal, scenario
from servers import eventually


def cni_args(world, name, index=0, ns="a"):
    return objects.networks_of(world.published(name, ns))[index]["cni-args"]


@scenario()
def short_form_becomes_what_ib_kubernetes_writes(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib@net7")
    pod = world.published("p")
    guid = objects.guid_of(pod)
    expect_equal(objects.networks_of(pod), [{
        "name": "ib", "namespace": world.ns(), "interface": "net7",
        "cni-args": {"guid": guid, "pkey": "0x5", "mellanox.infiniband.app": "configured"}}], "the annotation")
    expect_equal(world.members(), {(5, objects.hex_guid(guid)): {"membership": "full", "index0": True}}, "UFM's members")


@scenario()
def json_form_keeps_unknown_fields_in_order_and_spelling(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    text = '[{"zeta":1.50,"name":"ib","ips":["10.0.0.1/24"],"huge":18446744073709551617,"cni-args":{"b":"2","a":"1"},"alpha":{"y":1,"x":[2]}}]'
    world.pod("p", text)
    written = world.published("p")["metadata"]["annotations"][objects.NETWORKS]
    for piece in ('"zeta":1.50', '"huge":18446744073709551617', '"ips":["10.0.0.1/24"]', '"alpha":{"y":1,"x":[2]}', '"b":"2"'):
        expect(piece in written, "%s is gone from %s" % (piece, written))
    order = [written.index('"%s"' % key) for key in ("zeta", "name", "ips", "huge", "cni-args", "alpha")]
    expect_equal(order, sorted(order), "the order of fields in " + written)
    expect_equal(list(json.loads(written)[0]["cni-args"])[:2], ["b", "a"], "the order inside cni-args")


@scenario()
def conflist_definition(world):
    world.nad("ib", objects.conflist({"type": "tuning"}, dict(objects.ib_config("0x6"), name=None), {"type": "sbr"}))
    world.start()
    world.pod("p", "ib")
    expect_equal(cni_args(world, "p")["pkey"], "0x6", "pkey")
    expect_equal(len(world.members(6)), 1, "members of 0x6")


@scenario()
def definition_without_pkey_gets_a_guid_and_joins_nothing(world):
    world.nad("ib", objects.ib_config())
    world.nad("empty", objects.ib_config(""))
    world.start()
    for name in ("ib", "empty"):
        world.pod("p-" + name, name)
        args = cni_args(world, "p-" + name)
        expect("guid" in args and "pkey" not in args, "cni-args of a pod without pkey: %r" % args)
    expect_equal(world.members(), {}, "UFM's members")


@scenario()
def two_interfaces_on_one_definition_are_two_attachments(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib,ib")
    guids = {objects.hex_guid(e["cni-args"]["guid"]) for e in objects.networks_of(world.published("p"))}
    expect_equal(len(guids), 2, "different GUIDs")
    expect_equal(set(world.members(5)), guids, "members of 0x5")
    world.delete_pod("p")
    for guid in guids:
        world.gone_from_ufm(guid)


@scenario()
def one_definition_name_in_two_namespaces_stays_apart(world):
    world.nad("ib", objects.ib_config("0xa"), ns="a")
    world.nad("ib", objects.ib_config("0xb"), ns="b")
    world.start(UFMSYNC_SHARED_NETWORK_NAMESPACES=world.ns("b"))
    world.pod("p", "%s/ib@net1,%s/ib@net2" % (world.ns("a"), world.ns("b")))
    elements = objects.networks_of(world.published("p"))
    expect_equal([e["cni-args"]["pkey"] for e in elements], ["0xa", "0xb"], "pkeys in order")
    expect_equal(set(world.members(0xa)), {objects.hex_guid(elements[0]["cni-args"]["guid"])}, "members of 0xa")
    expect_equal(set(world.members(0xb)), {objects.hex_guid(elements[1]["cni-args"]["guid"])}, "members of 0xb")


@scenario()
def default_network_annotation_in_both_forms(world):
    world.nad("ib", objects.ib_config(1000, capability=True))
    world.start()
    world.pod("short", default_network="%s/ib" % world.ns())
    world.pod("json", default_network=[{"name": "ib", "namespace": world.ns(), "keep": "me"}])
    for name in ("short", "json"):
        def written():
            return json.loads(world.get_pod(name)["metadata"]["annotations"][objects.DEFAULT_NETWORK])[0]
        args = eventually(name + " is configured", lambda: written()["cni-args"])
        expect_equal(args["mellanox.infiniband.app"], "configured", name)
        expect_equal(args["pkey"], "1000", name + ": the definition's own text")
        expect("infiniband-guid" not in written(), "multus drops it there")
        expect(objects.hex_guid(args["guid"]) in world.members(1000), name + " is a member")
    expect_equal(written()["keep"], "me", "unknown field")


@scenario()
def default_network_and_networks_of_one_pod(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("storage", objects.ib_config("0x6"))
    world.start()
    world.pod("p", "storage", default_network="%s/ib" % world.ns())
    world.published("p")
    notes = world.get_pod("p")["metadata"]["annotations"]
    first = json.loads(notes[objects.DEFAULT_NETWORK])[0]["cni-args"]
    second = json.loads(notes[objects.NETWORKS])[0]["cni-args"]
    expect_equal((first["pkey"], second["pkey"]), ("0x5", "0x6"), "pkeys")
    expect_equal(set(world.members(5)) | set(world.members(6)),
                 {objects.hex_guid(first["guid"]), objects.hex_guid(second["guid"])}, "members")


@scenario()
def capability_infiniband_guid_is_written_too(world):
    world.nad("ib", objects.ib_config("0x5", capability=True))
    world.start()
    world.pod("p", "ib")
    element = objects.networks_of(world.published("p"))[0]
    expect_equal(element["infiniband-guid"], element["cni-args"]["guid"], "infiniband-guid")


@scenario()
def numeric_pkey_in_cni_args_with_configured_harms_nobody(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.pod("bad", [{"name": "ib", "cni-args": {"pkey": 5, "guid": "02:00:00:00:00:00:00:77",
                                                  "mellanox.infiniband.app": "configured"}}])
    world.pod("good", "ib")
    world.published("good")
    args = eventually("the wish is granted", lambda: [
        a for a in [objects.networks_of(world.get_pod("bad"))[0]["cni-args"]] if a["pkey"] == "0x5"])[0]
    expect_equal(args["guid"], "02:00:00:00:00:00:00:77", "GUID")
    expect(daemon.process.alive(), "the service lives")


@scenario()
def annotation_that_cannot_be_read_is_told_to_the_pod(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    for name, text in (("cut", '[{"name":"ib"'), ("word", "[1]"), ("slash", "a/b/c"), ("empty", "[{}]")):
        world.pod(name, text)
    world.pod("good", "ib")
    world.published("good")
    for name in ("cut", "word", "slash", "empty"):
        event = world.event(name, "BadAnnotation")
        expect(objects.NETWORKS in event["note"], "the note names the annotation: " + event["note"])
        expect(world.is_untouched(name), name + " is left alone")


@scenario()
def foreign_annotation_edited_at_the_same_time_is_kept(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.ufm.latency(write_ms=300)
    world.pod("p", "ib", annotations={"other": "old"})
    eventually("a write to UFM", lambda: world.ufm.requests(operation="add"))
    world.annotate_pod("p", {"other": "new", "third": "party"})
    notes = world.published("p")["metadata"]["annotations"]
    expect_equal((notes["other"], notes["third"]), ("new", "party"), "others' annotations")


@scenario()
def annotations_full_is_told_and_retried_when_the_pod_changes(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib", annotations={"filler": "x" * (262144 - 200)})
    world.event("p", "RecordRefused")
    expect_equal(len(world.members(5)), 1, "the membership stays")
    world.annotate_pod("p", {"filler": None})
    guid = world.guid("p")
    expect_equal(set(world.members(5)), {guid}, "the same member")


@scenario()
def record_is_written_and_signed(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    world.pod("p", "ib")
    record = world.published("p")["metadata"]["annotations"][objects.RECORD]
    version, payload, mac = record.split(".")
    import base64
    import hashlib
    import hmac
    from world import RECORD_KEY
    decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    expect_equal(version, "1", "version")
    expect_equal(decode(mac), hmac.new(base64.b64decode(RECORD_KEY), ("1." + payload).encode(), hashlib.sha256).digest(), "HMAC")
    content = json.loads(decode(payload))
    pod = world.get_pod("p")
    expect_equal(content["uid"], pod["metadata"]["uid"], "uid")
    expect_equal(content["attachments"], [{
        "network": world.ns() + "/ib", "index": 0, "interface": "", "guid": objects.guid_of(pod),
        "memberships": [{"pkey": "0x5", "membership": "full", "index0": True}]}], "attachments")


@scenario()
def without_a_record_key_no_record_is_written(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_RECORD_KEY=None)
    world.pod("p", "ib")
    expect(objects.RECORD not in world.published("p")["metadata"]["annotations"], "no record")
    expect(any("UFMSYNC_RECORD_KEY" in line["message"] for line in daemon.said("SETTING")), "a warning says so")


@scenario()
def limited_partition_is_joined_besides(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("nopkey", objects.ib_config())
    world.nad("shared", objects.ib_config("0x7"))
    world.start(DEFAULT_LIMITED_PARTITION="0x7", ENABLE_INDEX0_FOR_PRIMARY_PKEY="false")
    world.pod("p", "ib")
    world.pod("q", "nopkey")
    world.pod("r", "shared")
    p, r = world.guid("p"), world.guid("r")
    world.published("q")
    expect_equal(world.members(), {
        (5, p): {"membership": "full", "index0": False}, (7, p): {"membership": "limited", "index0": False},
        (7, r): {"membership": "full", "index0": False}}, "UFM's members")
    world.delete_pod("p")
    world.gone_from_ufm(p)
