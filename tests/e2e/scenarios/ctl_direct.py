"""ufmsyncctl --direct: what it says without the service, and what it says is different."""
import base64
import json
import os
import subprocess

import objects
from scenario import Skip, expect, expect_equal, long, scenario
from servers import eventually
from tool import direct


def guid(n, top=0x02):
    return "%02x%014x" % (top, n)


def colons(hexadecimal):
    return ":".join(hexadecimal[i:i + 2] for i in range(0, 16, 2))


def served(world, *names, **more):
    """Pods that a service has served before it stopped."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**more)
    guids = []
    for name in names:
        world.pod(name, "ib")
        guids.append(world.guid(name))
    daemon.stop()
    return guids


def writes(world):
    return len(world.ufm.writes())


@scenario()
def nothing_differs_when_all_is_well(world):
    served(world, "p", "q")
    before = writes(world)
    result = direct(world).run("diff")
    expect_equal(result.code, 0, result)
    expect_equal(result.out, "", "differences")
    expect_equal(result.err, "note: UFMSYNC_RECORD_KEY is not set: what pods' records say is believed unverified\n"
                 "0 differences, 2 right\n", "what is said besides")
    expect_equal(writes(world), before, "writes to UFM")


@scenario()
def diff_names_exactly_what_was_put_wrong(world):
    """Each kind once: nothing else, and nothing of it is written."""
    good, lost, limited, twice = served(world, "good", "lost", "limited", "twice")
    world.ufm.forget("0x5", lost)
    world.ufm.add("0x5", limited, membership="limited", index0=False)
    world.ufm.add("0x7", twice)
    world.ufm.add("0x5", guid(0x99))
    world.ufm.add("0x5", guid(1, top=0x03))
    world.ufm.add("0x100", guid(0x77))
    before, annotations = writes(world), world.get_pod("lost")["metadata"]["annotations"]
    tool = direct(world, UFM_PKEY_RANGE="0x1-0xff")
    result = tool.run("diff")
    expect_equal(result.code, 4, result)
    ns = world.ns("a")
    expect_equal(sorted(result.rows()), sorted([
        ["no pod", "0x0005", colons(guid(0x99)), "full", "-", "-"],
        ["not a member", "0x0005", colons(lost), "-", "full,index0", ns + "/lost"],
        ["membership", "0x0005", colons(limited), "limited", "full,index0", ns + "/limited"],
        ["other PKey", "0x0007", colons(twice), "full", "in 0x0005", ns + "/twice"],
        ["foreign", "0x0100", colons(guid(0x77)), "full", "-", "-"],
    ]), "differences")
    expect(result.err.endswith("5 differences, 2 right; 1 members outside our range of GUIDs are not looked at\n"), result)
    items = json.loads(tool.run("diff", "-o", "json").out)
    expect_equal([items["differs"], len(items["items"])], [True, 5], "as JSON")
    expect_equal([row[0] for row in tool.run("diff", "0x7").rows()], ["other PKey"], "of one PKey")
    expect_equal(writes(world), before, "writes to UFM")
    expect_equal(world.get_pod("lost")["metadata"]["annotations"], annotations, "annotations")
    expect(colons(good) not in result.out, "what is right is not named")


@scenario()
def orphans_are_listed_and_never_removed(world):
    served(world, "p")
    world.ufm.add("0x5", guid(0x99))
    tool = direct(world)
    result = tool.run("orphans")
    expect_equal([result.code] + [row[:4] for row in result.rows()],
                 [0, [colons(guid(0x99)), "0x0005", "orphan", "full"]], result)
    expect_equal(tool.run("orphans", "-o", "name").out, colons(guid(0x99)) + "\n", "as names")
    result = tool.run("orphans", "--remove", "--yes")
    expect_equal(result.code, 2, result)
    expect((5, guid(0x99)) in world.members(), "it is still there")


@scenario()
def without_records_the_annotations_are_believed(world):
    served(world, "p", UFMSYNC_RECORD_KEY=None)
    result = direct(world).run("diff")
    expect_equal([result.code, result.out], [0, ""], result)


def forge(record, old, new):
    """The same record with another GUID, under the signature of before."""
    version, payload, signature = record.split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    expect(old in text, "the record names the GUID: " + text)
    forged = base64.urlsafe_b64encode(text.replace(old, new).encode()).decode().rstrip("=")
    return ".".join((version, forged, signature))


@scenario()
def with_the_key_a_forged_record_is_worth_nothing(world):
    """Who has no key is told that what is on the pod is believed."""
    member, = served(world, "p")
    record = world.get_pod("p")["metadata"]["annotations"][objects.RECORD]
    world.annotate_pod("p", {objects.RECORD: forge(record, colons(member), colons(guid(0x55)))})

    def guid_of(tool):
        result = tool.run("pods", "-A", "-o", "json")
        item, = [i for i in json.loads(result.out)["items"] if i["pod"] == "p"]
        return item["guid"], "believed unverified" in result.err
    expect_equal(guid_of(direct(world)), (colons(guid(0x55)), True), "without the key")
    key = world.settings()["UFMSYNC_RECORD_KEY"]
    expect_equal(guid_of(direct(world, UFMSYNC_RECORD_KEY=key)), (colons(member), False), "with it")


@scenario()
def the_read_commands_answer_without_the_service(world):
    member, = served(world, "p")
    world.nad("bad", objects.ib_config("0x0"))
    world.pod("b", "bad")
    ns, tool = world.ns("a"), direct(world)
    result = tool.run("pods", "-n", ns)
    rows = {row[0]: row[1:] for row in result.rows()}
    expect_equal(rows["p"][:4], ["ib", "0x0005", colons(member), "published"], result)
    expect("BadPKey" in rows["b"], result)
    row, = [row for row in tool.run("pkeys").rows() if row[0] == "0x0005"]
    expect(row, "the PKey is listed")
    result = tool.run("pkey", "0x5")
    expect(result.code == 0 and colons(member) in result.out and "p" in result.out, result)
    result = tool.run("guid", member)
    expect(result.code == 0 and "p" in result.out and "0x0005" in result.out and "not seen" in result.out, result)
    world.ufm.control.call("POST", "/control/switches", {"vports": True, "vports_lag_ms": 0})
    world.ufm.control.call("PUT", "/control/systems", {"systems": [{"name": "gpu1", "ports": ["0c42a10300000001"]}]})
    world.ufm.control.call("POST", "/control/vports", {"guid": member, "node": "gpu1", "port": 0, "lid": 77})
    result = tool.run("guid", member)
    expect("Active at gpu1 mlx5_0/1 of gpu1, LID 77" in result.out, result)
    result = tool.run("pod", ns + "/p")
    expect(result.code == 0 and colons(member) in result.out, result)
    result = tool.run("pool")
    expect_equal(result.code, 0, result)
    result = tool.run("status")
    expect_equal(result.code, 0, result)
    expect("Leader" in result.out and "none" in result.out, result)
    result = tool.run("audit")
    expect_equal(result.code, 1, result)
    expect("--direct only looks" in result.err, result)


@scenario()
def what_is_in_the_way_is_said_in_a_line(world):
    served(world, "p")
    result = direct(world, UFM_PASSWORD="wrong").run("diff")
    expect_equal([result.code, result.out], [1, ""], result)
    expect("UFM" in result.err and "401" in result.err, result)
    result = direct(world, UFM_ADDRESS=None).run("diff")
    expect_equal(result.code, 1, result)
    expect("--direct takes ufmsyncd's settings from the environment: UFM_ADDRESS" in result.err, result)
    result = direct(world, DAEMON_SM_PLUGIN="noop").run("diff")
    expect_equal(result.code, 1, result)
    expect("only the service knows who is a member" in result.err, result)
    world.ufm.latency(read_ms=3000)
    result = direct(world).run("diff", "--request-timeout", "500ms")
    expect_equal(result.code, 1, result)
    expect("did not come in whole within" in result.err and "--request-timeout" in result.err, result)
    world.ufm.latency()


@scenario("mock")
def an_api_server_that_is_down_is_named(world):
    served(world, "p")
    world.kube.down()
    try:
        result = direct(world).run("pods", "-A")
    finally:
        world.kube.up()
    expect_equal([result.code, result.out], [1, ""], result)
    expect("API server" in result.err, result)


@scenario()
def wait_ends_when_all_networks_are_members(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start()
    tool, ns = direct(world), world.ns("a")
    world.pod("p", "ib,ib")
    result = tool.run("wait", ns + "/p", "--timeout", "20s")
    expect_equal([result.code, result.out], [0, "%s/p: 2 networks are ready\n" % ns], result)
    result = tool.run("wait", "no-such-pod", "-n", ns)
    expect_equal(result.code, 3, result)
    expect("there is no pod no-such-pod in namespace " + ns in result.err, result)
    world.pod("plain")
    result = tool.run("wait", "plain", "-n", ns)
    expect_equal([result.code, result.out], [0, "%s/plain: asks for no network\n" % ns], result)


@scenario()
def wait_says_why_when_its_time_is_over(world):
    world.start()
    ns = world.ns("a")
    world.pod("p", "nowhere")
    result = direct(world).run("wait", ns + "/p", "--timeout", "5s")
    expect_equal([result.code, result.out], [124, ""], result)
    expect("%s/p, network %s/nowhere: waits for NetworkAttachmentDefinition %s/nowhere" % (ns, ns, ns) in result.err, result)
    eventually("the service goes on", lambda: world.daemons[-1].get("/healthz")[0] == 200)



PARTITIONS = """Default=0x7fff,ipoib : ALL=limited, SELF=full ;
# BEGIN ufmsync: written by ufmsyncd; what is changed between these two lines is lost
ufmsync_0005=0x0005 :
0x%s=full ;
# END ufmsync
"""


@scenario("mock")
def with_opensm_the_file_is_read_and_left_as_it_is(world):
    """Beside the service's own writing: nothing is reloaded, and its temporary file is not tidied up."""
    world.start_ufm()
    path, told = os.path.join(world.folder, "partitions.conf"), os.path.join(world.folder, "told")
    script, leftover = os.path.join(world.folder, "reload"), os.path.join(world.folder, ".partitions.conf.ufmsync")
    for name, text in ((path, PARTITIONS % guid(3)), (leftover, "half"), (script, "#!/bin/sh\ntouch %s\n" % told)):
        with open(name, "w") as f:
            f.write(text)
    os.chmod(script, 0o755)
    tool = direct(world, DAEMON_SM_PLUGIN="opensm", OPENSM_PARTITIONS_FILE=path, OPENSM_VERIFY="none",
                  OPENSM_RELOAD="command:" + script)
    result = tool.run("orphans")
    expect_equal([result.code] + [row[:4] for row in result.rows()],
                 [0, [colons(guid(3)), "0x0005", "orphan", "full"]], result)
    result = tool.run("diff")
    expect_equal([result.code, [row[:3] for row in result.rows()]], [4, [["no pod", "0x0005", colons(guid(3))]]], result)
    items = json.loads(tool.run("doctor", "-o", "json").out)["items"]
    expect_equal([item["state"] for item in items if item["check"] == "OpenSM"], ["ok"], "what doctor says: %r" % items)
    with open(path) as f, open(leftover) as g:
        expect_equal([f.read(), g.read(), os.path.exists(told)], [PARTITIONS % guid(3), "half", False], "the files")


def kilobytes(tool, rows):
    """The most memory that it had until it had printed so many PKeys."""
    child = subprocess.Popen(tool.argv("pkeys", "--no-headers", "--watch"), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=tool.environment)
    try:
        for _ in range(rows):
            expect(child.stdout.readline(), "it ended early")
        with open("/proc/%d/status" % child.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
    finally:
        child.kill()
        child.communicate()


@long
@scenario("mock")
def the_list_of_a_big_fabric_is_never_held_whole(world):
    """50,000 members are 3 MB as UFM writes them, and some 30 MB as JSON values."""
    with open(os.path.join(world.binaries, "ufmsyncctl"), "rb") as f:
        if b"__asan_init" in f.read() or world.wrapper:
            raise Skip("memory is not what it is without a sanitizer")
    world.start_ufm()
    world.ufm.add("0x5", guid(1, top=0x03))
    tool = direct(world, UFM_TIMEOUT="10s", UFMSYNC_LEASE_DURATION="30s")
    few = kilobytes(tool, 1)
    for i in range(100):
        world.ufm.add(hex(0x100 + i), *[guid(500 * i + j, top=0x03) for j in range(500)])
    many = kilobytes(tool, 101)
    expect_equal(len(tool.run("pkeys").rows()), 101, "all PKeys")
    expect(many - few < 1500, "%d KB with one member, %d KB with 50,000" % (few, many))


@scenario()
def a_slow_ufm_is_given_up_in_time(world):
    """The list of all is quick, that of one PKey is not."""
    served(world, "p")
    tool = direct(world, UFM_TIMEOUT="2s")
    world.ufm.fault("hang", match={"operation": "get"})
    result = tool.run("pkey", "0x5", "--request-timeout", "700ms")
    expect_equal([result.code, result.out], [1, ""], result)
    expect("the fabric manager did not answer within" in result.err, result)
    result = tool.run("pkeys")
    expect_equal([result.code] + [row[0] for row in result.rows()], [0, "0x0005"], result)
    world.ufm.heal()
