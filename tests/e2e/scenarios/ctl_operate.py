"""ufmsyncctl's diff, orphans, wait and doctor at work beside the service."""
import base64
import json
import os
import pty
import subprocess

import objects
from scenario import expect, expect_equal, scenario
from servers import always, eventually
from tool import proxy, serve

# What a test puts wrong stays wrong: no audit, and the second look of a new leader, UFM_TIMEOUT after its first, is far away.
CALM = {"UFMSYNC_AUDIT_INTERVAL": "1h", "UFMSYNC_ORPHANS": "keep", "UFM_TIMEOUT": "30s", "UFMSYNC_LEASE_DURATION": "60s",
        "UFMSYNC_LEASE_RENEW_DEADLINE": "40s"}


def guid(n, top=0x02):
    return "%02x%014x" % (top, n)


def colons(hexadecimal):
    return ":".join(hexadecimal[i:i + 2] for i in range(0, 16, 2))


def pods(world, *names):
    world.nad("ib", objects.ib_config("0x5"))
    for name in names:
        world.pod(name, "ib")
    return [world.guid(name) for name in names]


@scenario()
def diff_asks_the_service_and_names_what_is_wrong(world):
    daemon = serve(world, **CALM)
    good, lost, limited, twice = pods(world, "good", "lost", "limited", "twice")
    tool, ns = proxy(world, daemon), world.ns("a")
    result = tool.run("diff")
    expect_equal([result.code, result.out, result.err], [0, "", "0 differences, 4 right\n"], result)
    world.ufm.forget("0x5", lost)
    world.ufm.add("0x5", limited, membership="limited", index0=False)
    world.ufm.add("0x7", twice)
    world.ufm.add("0x5", guid(0x99))
    world.ufm.add("0x5", guid(1, top=0x03))
    result = tool.run("diff", "-o", "wide")
    expect_equal(result.code, 4, result)
    expect_equal(sorted(row[:6] for row in result.rows()), sorted([
        ["no pod", "0x0005", colons(guid(0x99)), "full", "-", "-"],
        ["not a member", "0x0005", colons(lost), "-", "full,index0", ns + "/lost"],
        ["membership", "0x0005", colons(limited), "limited", "full,index0", ns + "/limited"],
    ]), "of the PKeys that the service knows of")
    expect_equal([row[:6] for row in tool.run("diff", "0x7").rows()],
                 [["other PKey", "0x0007", colons(twice), "full", "in 0x0005", ns + "/twice"]], "of another one")
    expect(result.err.endswith("3 differences, 2 right; 1 members outside our range of GUIDs are not looked at\n"), result)
    expect(colons(good) not in result.out, "what is right is not named")
    world.ufm.fault("status", code=500, body="broken")
    result = tool.run("diff", "--request-timeout", "5s")
    expect_equal([result.code, result.out], [1, ""], result)
    expect("FabricUnavailable" in result.err, result)
    world.ufm.heal()


@scenario()
def diff_goes_through_many_members_page_by_page(world):
    daemon = serve(world, **CALM)
    member, = pods(world, "p")
    for i in range(0, 6000, 1000):
        world.ufm.add("0x5", *[guid(i + j, top=0x03) for j in range(1000)])
    tool = proxy(world, daemon)
    result = tool.run("diff")
    expect_equal([result.code, result.out, result.err],
                 [0, "", "0 differences, 1 right; 6000 members outside our range of GUIDs are not looked at\n"], result)
    world.ufm.forget("0x5", member)
    expect_equal(tool.run("diff").rows(), [["not a member", "0x0005", colons(member), "-", "full,index0",
                                            world.ns("a") + "/p"]], "the one among them")


def unsettled(world, *orphans, **more):
    """A service that finds members of its range that nobody owns, and brakes."""
    world.start_ufm()
    world.ufm.add("0x5", *orphans)
    daemon = serve(world, **more)
    tool = proxy(world, daemon)

    def removable():
        items = json.loads(tool.run("orphans", "-o", "json").out)["items"]
        return len(items) == len(orphans) and all(item["removable"] for item in items)
    eventually("they may be removed", removable)
    return daemon, tool


@scenario()
def orphans_are_removed_by_name_after_asking(world):
    names = [guid(n) for n in (3, 4, 5)]
    _, tool = unsettled(world, *names)
    world.ufm.add("0x5", guid(1, top=0x03))
    rows = tool.run("orphans").rows()
    expect_equal(sorted(row[:4] + row[5:] for row in rows),
                 [[colons(name), "0x0005", "orphan", "full", "possible"] for name in names], "listed")
    result = tool.run("orphans", "--remove", "--dry-run")
    expect_equal(result.code, 0, result)
    expect(result.err.endswith("3 GUIDs would be removed; nothing was changed\n"), result)
    result = tool.run("orphans", "--remove")
    expect_equal(result.code, 1, result)
    expect("there is no terminal to ask on; add --yes" in result.err, result)
    result = tool.run("orphans", "--remove", guid(0x77), "--yes")
    expect_equal([result.code, result.out], [3, ""], result)
    expect(colons(guid(0x77)) + " is no orphan that can be removed" in result.err, result)
    result = tool.run("orphans", "--remove", guid(1, top=0x03), "--yes")
    expect_equal(result.code, 3, "not of our range: %s" % result)
    expect_equal(len(world.members()), 4, "so far nothing was removed")
    result = tool.run("orphans", "--remove", names[0], "--yes")
    expect_equal(result.code, 0, result)
    expect("1 GUID is being removed" in result.err, result)
    world.gone_from_ufm(names[0])
    always("the others stay: the brake is on", lambda: len(world.members()) == 3, 1.5)
    eventually("the others are still offered", lambda: len(tool.run("orphans").rows()) == 2)
    result = tool.run("orphans", "--remove", "--yes")
    expect_equal(result.code, 0, result)
    eventually("all of them are gone", lambda: set(world.members()) == {(5, guid(1, top=0x03))})


@scenario("mock")
def on_a_terminal_no_is_the_answer_to_anything_but_yes(world):
    _, tool = unsettled(world, guid(3))

    def answers(text):
        ours, theirs = pty.openpty()
        child = subprocess.Popen(tool.argv("orphans", "--remove"), stdin=theirs, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=tool.environment)
        os.close(theirs)
        os.write(ours, text.encode())
        _, err = child.communicate(timeout=60)
        os.close(ours)
        return child.returncode, err.decode()
    for text in ("n\n", "\n", "yess\n"):
        code, err = answers(text)
        expect_equal(code, 1, err)
        expect("loses the partition. [y/N]" in err and "nothing was changed" in err, err)
    expect_equal(len(world.members()), 1, "nothing was removed")
    code, err = answers("y\n")
    expect_equal(code, 0, err)
    world.gone_from_ufm(guid(3))


@scenario()
def confirmed_orphans_are_removed_and_the_brake_is_off(world):
    daemon, tool = unsettled(world, *[guid(n) for n in range(20, 40)])
    result = tool.run("orphans", "--confirm", "--dry-run")
    expect_equal([result.code, result.err], [0, "20 orphans would be confirmed and then removed; nothing was changed\n"],
                 result)
    expect_equal(daemon.metric("ufmsync_brake") > 0, True, "the brake")
    result = tool.run("orphans", "--confirm", "--yes")
    expect_equal(result.code, 0, result)
    expect("20 orphans confirmed" in result.err, result)
    eventually("all of them are gone", lambda: not world.members())
    eventually("the brake is off", lambda: daemon.metric("ufmsync_brake") == 0)
    result = tool.run("orphans")
    expect_equal([result.code, result.err], [0, "no orphans\n"], result)
    expect_equal(tool.run("orphans", "--remove", "--yes").err, "nothing to remove\n", "nothing is left")


@scenario()
def a_foreign_member_is_never_offered(world):
    """Removed once and back again: somebody else writes it."""
    daemon = serve(world)
    pods(world, "p")
    world.kept_by_another_writer("0x5", guid(3), daemon)
    tool = proxy(world, daemon)
    row, = tool.run("orphans").rows()
    expect_equal(row[:4] + row[5:], [colons(guid(3)), "0x0005", "foreign", "full", "never"], "it is shown")
    result = tool.run("orphans", "--remove", "--yes")
    expect_equal([result.code, result.err], [0, "nothing to remove\n"], result)
    expect_equal(tool.run("orphans", "--remove", guid(3), "--yes").code, 3, "by name neither")
    result = tool.run("diff")
    expect_equal([result.code, [row[:3] for row in result.rows()]], [4, [["foreign", "0x0005", colons(guid(3))]]], result)


@scenario()
def wait_is_over_when_a_slow_ufm_has_listed_the_pod(world):
    daemon = serve(world, UFM_TIMEOUT="2s")
    tool, ns = proxy(world, daemon), world.ns("a")
    world.nad("ib", objects.ib_config("0x5"))
    world.ufm.latency(write_ms=700)
    world.pod("p", "ib")
    result = tool.run("wait", ns + "/p", "--timeout", "200ms")
    expect_equal([result.code, result.out], [124, ""], result)
    result = tool.run("wait", "p", "-n", ns)
    expect_equal([result.code, result.out, result.err], [0, "%s/p: 1 network is ready\n" % ns, ""], result)
    expect(world.members(5), "it is a member")


@scenario()
def wait_ends_with_a_sentence_and_never_before_its_time(world):
    daemon = serve(world)
    tool, ns = proxy(world, daemon), world.ns("a")
    world.pod("p", "nowhere")
    world.event("p", "NetworkNotFound")
    result = tool.run("wait", ns + "/p", "--timeout", "4s")
    expect_equal([result.code, result.out], [124, ""], result)
    expect_equal(result.err, "%s/p, network %s/nowhere: waits for NetworkAttachmentDefinition %s/nowhere, which does not exist: "
                 "create it, or correct the pod's annotation\n" % (ns, ns, ns), "why")
    expect_equal(tool.run("wait", ns + "/never", "--timeout", "1s").code, 3, "no such pod")
    daemon.stop()
    result = tool.run("wait", ns + "/p", "--timeout", "1s")
    expect_equal([result.code, result.out], [124, ""], "the service is down: %s" % result)


@scenario()
def doctor_finds_a_service_in_good_health(world):
    daemon = serve(world)
    pods(world, "p")
    tool = proxy(world, daemon)
    if world.kube.kind == "real":
        with open(world.certificate.cert, "rb") as cert, open(world.certificate.key, "rb") as key:
            data = {"tls.crt": base64.b64encode(cert.read()).decode(), "tls.key": base64.b64encode(key.read()).decode()}
        world.client.call("POST", "/api/v1/namespaces/%s/secrets" % world.ns("ufmsync"), {
            "metadata": {"name": "ufmsync-tls"}, "type": "kubernetes.io/tls", "data": data})
    result = tool.run("doctor", "-o", "json")
    items = {item["check"]: (item["state"], item["text"]) for item in json.loads(result.out)["items"]}
    for check, text in (("API server", "answers"), ("Lease", "node1_uid-1 leads"), ("service", "version "),
                        ("fabric manager", "answers the service (ufm)"), ("orphans", "0, and the brake is off"),
                        ("records", "all of 1 published networks are on valid records"),
                        ("PKeys a node", "at most 2 (node node1), of 128")):
        expect(items.get(check, ("",))[0] == "ok" and text in items[check][1], "%s: %r" % (check, items))
    if world.kube.kind == "real":
        expect(items["https certificate"][0] in ("ok", "warning") and " 20" in items["https certificate"][1], items)
    world.ufm.fault("status", code=401, body="no")
    eventually("the service's trouble is a failure",
               lambda: "failure" in [item["state"] for item in json.loads(tool.run("doctor", "-o", "json").out)["items"]
                                     if item["check"] == "fabric manager"])
    world.ufm.heal()
