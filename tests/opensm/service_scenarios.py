"""What the service does with OpenSM that it does not do with UFM; checked in the ports with smpquery."""
import os
import signal
import time

import objects
from exposition import scrape, total
from fabric import DEFAULT, guid_of_host
from scenario import expect, expect_equal
from servers import always, eventually
from service_world import CANARIES, PORTS, Block, guid_text


def asks(host, network="ib"):
    return [{"name": network, "infiniband-guid": guid_text(host)}]


def text_of(world):
    with open(world.fabric.partitions) as f:
        return f.read()


def a_pods_whole_life(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    world.pod("p", asks(3))
    expect_equal(world.guid("p"), "%016x" % guid_of_host(3), "the GUID that it asked for")
    expect_equal(world.table(3), {5: True}, "in the port as soon as it is published")
    world.run_pod("p")
    world.delete_pod("p")
    world.port_shows(3, {})
    daemon.stop()
    expect_equal(Block(text_of(world)).before, DEFAULT, "the operator's part")
    expect_equal(world.lease()["spec"].get("holderIdentity", ""), "", "the Lease is given back")


def two_hundred_pods_at_once_are_one_file(world):
    world.nad("ib", objects.ib_config("0x5"))
    names = ["p%03d" % i for i in range(200)]
    for name in names:
        world.pod(name, "ib")
    daemon = world.start()
    guids = {world.guid(name, timeout=60) for name in names}
    expect_equal(set(world.members(5)), guids, "members")
    expect_equal(len(guids), 200, "different GUIDs")
    expect(daemon.metric("ufmsync_opensm_files_written_total") <= 2, "files: %s" %
           daemon.metric("ufmsync_opensm_files_written_total"))
    expect(daemon.metric("ufmsync_opensm_reloads_total") <= 3, "reloads: %s" % daemon.metric("ufmsync_opensm_reloads_total"))
    series = scrape(daemon)
    expect_equal(total(series, "ufmsync_opensm_job_duration_seconds_count", operation="join", outcome="ok"),
                 series['ufmsync_fabric_writes_total{outcome="ok"}'], "joins that were measured")
    expect(total(series, "ufmsync_opensm_job_duration_seconds_sum", operation="join") > 0.01, "OpenSM's time is in them")


def two_pkeys_and_the_limited_partition(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("ib6", objects.ib_config("0x6", name="ib6"))
    world.start(DEFAULT_LIMITED_PARTITION="0x7", **PORTS)
    world.pod("p", asks(3) + asks(4, "ib6"))
    world.published("p")
    expect_equal(world.table(3), {5: True, 7: False}, "host 3")
    expect_equal(world.table(4), {6: True, 7: False}, "host 4")
    world.delete_pod("p")
    world.port_shows(3, {})
    world.port_shows(4, {})


def index_0_only_where_it_is_asked_for(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    world.pod("p", asks(3))
    world.published("p")
    expect_equal(list(world.fabric.pkeys(world.fabric.lids()[guid_of_host(3)])), [0x7fff, 5], "the order in the port")
    daemon.stop()
    world.start(ENABLE_INDEX0_FOR_PRIMARY_PKEY="true", **PORTS)
    world.pod("q", asks(4))
    world.published("q")
    expect_equal(list(world.fabric.pkeys(world.fabric.lids()[guid_of_host(4)])), [5, 0x7fff], "the order in the port")


def restart_of_ours_changes_no_member(world):
    """One new file: what another process has seen OpenSM read is not taken for granted."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    world.pod("p", asks(3))
    world.guid("p")
    daemon.stop()
    members = world.members()
    daemon = world.start(**PORTS)
    after = text_of(world)
    always("members and port are as they were", lambda: world.members() == members and world.table(3) == {5: True}, 2)
    expect_equal(daemon.metric("ufmsync_opensm_files_written_total"), 1, "files")
    expect_equal(text_of(world), after, "the file")
    world.delete_pod("p")
    world.port_shows(3, {})


def killed_again_and_again_it_leaves_no_bad_file(world):
    """kill -9 while pods come and go: whatever is left, OpenSM takes it, and the next one goes on."""
    world.nad("ib", objects.ib_config("0x5"))
    refused = world.fabric.refusals()
    for i in range(6):
        daemon = world.start(wait=False, UFMSYNC_LEASE_DURATION="2s", UFMSYNC_LEASE_RENEW_DEADLINE="1500ms", **PORTS)
        for j in range(8):
            world.pod("p%d-%d" % (i, j), "ib")
        eventually("it writes", lambda: daemon.said("WRITTEN"), 30)
        time.sleep(0.007 * i)
        daemon.kill()
        world.fabric.free_slots()
        expect(world.fabric.reload(), "OpenSM takes what was left: " + text_of(world))
    world.start(UFMSYNC_ORPHANS="remove", **PORTS)  # those whose pods were not told before the end
    guids = {world.guid("p%d-%d" % (i, j), timeout=30) for i in range(6) for j in range(8)}
    eventually("each pod's GUID, and no other, is a member", lambda: set(world.members(5)) == guids)
    expect_equal(len(guids), 48, "different GUIDs")
    expect_equal(world.fabric.refusals(), refused, "refused files")
    expect_equal([name for name in os.listdir(os.path.dirname(world.fabric.partitions)) if "ufmsync" in name], [], "left-overs")


def opensm_stopped_is_waited_for(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    world.pod("before", asks(2))
    world.guid("before")
    world.fabric.stop_opensm()
    world.pod("p", asks(3))
    event = world.event("p", "FabricUnavailable", timeout=30)
    expect("OpenSM" in event["note"] or "subnet manager" in event["note"] or "process" in event["note"], event["note"])
    expect(world.is_untouched("p"), "the pod waits")
    eventually("it is said", lambda: daemon.said("FABRIC_UNREACHABLE") and daemon.said("OPENSM_SM_SILENT"), 30)
    world.fabric.start_opensm()
    world.guid("p", timeout=60)
    expect_equal(world.table(3), {5: True}, "host 3")
    expect_equal(world.table(2), {5: True}, "host 2")
    eventually("it is over", lambda: daemon.said("FABRIC_BACK") and daemon.said("OPENSM_MENDED"), 30)
    over = {line["was"] for line in daemon.said("OPENSM_MENDED")}
    expect(over <= {"OPENSM_SM_SILENT", "OPENSM_CANNOT_RELOAD", "OPENSM_UNCHECKED"}, "what could not be looked at is not over: %s" % over)


def opensm_that_hangs_costs_no_lease(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    world.fabric.opensm.send_signal(signal.SIGSTOP)
    world.pod("p", asks(3))
    always("the leader stays the leader", lambda: daemon.metric("ufmsync_leader") == 1, 8)
    expect(world.is_untouched("p"), "the pod waits")
    world.fabric.opensm.send_signal(signal.SIGCONT)
    world.guid("p", timeout=30)
    expect_equal(world.table(3), {5: True}, "host 3")
    expect_equal(daemon.said("LEADER_LOST"), [], "lost leases")


def orphans_leave_file_and_port(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.add("0x5", "%016x" % guid_of_host(3), "b8cef60300aa0001")
    expect_equal(world.table(3), {5: True}, "it is in the port")
    world.start(UFMSYNC_ORPHANS="remove", **PORTS)
    world.port_shows(3, {})
    expect_equal(set(world.members(5)), {"b8cef60300aa0001"}, "outside our range it stays")


def orphan_that_comes_back_belongs_to_another_writer(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    eventually("it is settled", lambda: daemon.metric("ufmsync_settled") == 1)
    world.ufm.add("0x5", "0200000000000003")
    world.gone_from_ufm("0200000000000003")
    lists = daemon.metric('ufmsync_fabric_lists_total{outcome="ok"}')
    eventually("it is known to be gone", lambda: daemon.metric('ufmsync_fabric_lists_total{outcome="ok"}') >= lists + 2)
    world.ufm.add("0x5", "0200000000000003")
    eventually("it is known as another's", lambda: daemon.metric("ufmsync_foreign_members") == 1)
    always("it is left alone", lambda: (5, "0200000000000003") in world.members(), 3)


def member_that_was_taken_away_is_put_back(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start(**PORTS)
    world.pod("p", asks(3))
    world.guid("p")
    world.ufm.forget("0x5", "%016x" % guid_of_host(3))
    world.port_shows(3, {5: True})


def hostile_foreign_part_is_told_with_its_line(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    for name, host, line, words in (("claimed", 3, "tenant=0x5 : ALL=full ;\n", ("line", "0x0005", "UFM_PKEY_RANGE")),
                                    ("broken", 4, "oops\n", ("line", "oops"))):
        good = text_of(world)
        bad = good + line
        world.fabric.write(bad)
        world.pod(name, asks(host))
        event = world.event(name, "FabricUnavailable", timeout=30)
        for word in words:
            expect(word in event["note"], "%s in: %s" % (word, event["note"]))
        expect(world.is_untouched(name), "the pod waits")
        expect_equal(text_of(world), bad, "nothing is written over it")
        if name == "broken":
            eventually("it is a finding, too", lambda: daemon.said("OPENSM_FILE"), 30)
        world.fabric.write(good)
        world.guid(name, timeout=60)
        expect_equal(world.table(host), {5: True}, name)


def the_operators_changes_meanwhile_are_kept(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start(**PORTS)
    lines = []
    for i in range(12):
        world.pod("p%d" % i, "ib")
        lines.append("mine%d=0x%x : 0x%016x=full ;\n" % (i, 0x300 + i, guid_of_host(2)))
        while True:  # as an editor that looks whether the file is still the one that was opened
            text = text_of(world)
            block = Block(text)
            block.before = DEFAULT + "".join(lines)
            if text_of(world) == text:
                world.fabric.write(block.text() if "BEGIN" in text else block.before)
                break
    guids = {world.guid("p%d" % i, timeout=60) for i in range(12)}
    eventually("all are members", lambda: set(world.members(5)) == guids, 30)
    expect_equal(Block(text_of(world)).before, DEFAULT + "".join(lines), "the operator's part")
    world.fabric.reload()
    expect_equal(world.table(2), {0x300 + i: True for i in range(12)}, "host 2")


def drift_behind_opensms_back_is_found_and_nothing_loops(world):
    """It has to last for half a minute before it is believed."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PORTS)
    for host in (2, 3):
        world.pod("p%d" % host, asks(host))
        world.guid("p%d" % host)
    reloads = daemon.metric("ufmsync_opensm_reloads_total")
    lid = world.fabric.lids()[guid_of_host(3)]
    world.fabric.set_pkeys(os.path.join(world.tools, "set_pkeys"), lid, 0x7fff, 0, 0x8abc)
    eventually("it is found", lambda: daemon.metric("ufmsync_opensm_drifted") == 1, 60)
    said = daemon.said("OPENSM_DRIFT")
    expect_equal(len(said), 1, "how often it is said")
    expect(guid_text(3) in said[0]["message"] and "0x0005" in said[0]["message"], said[0]["message"])
    expect_equal(daemon.metric("ufmsync_opensm_reloads_total"), reloads, "reloads")
    expect(not world.is_untouched("p3") and len(world.members(5)) == 2, "the pods are as they were")
    world.fabric.console('Unlink "H-0003"')
    world.fabric.reload()
    world.fabric.console('ReLink "H-0003"')
    world.port_shows(3, {5: True}, 30)
    eventually("it is over", lambda: daemon.metric("ufmsync_opensm_drifted") == 0, 30)


def file_that_cannot_be_used_is_a_bad_setting(world):
    world.start_ufm()
    folder = os.path.join(world.fabric.folder, "conf")
    link = os.path.join(folder, "link.conf")
    os.symlink(world.fabric.partitions, link)
    for value, words in ((None, "not set"), ("", "not set"), ("p.conf", "/"), (os.path.join(folder, "none"), "does not exist"),
                         (link, "symbolic link"), (folder, "regular file")):
        daemon = world.start(wait=False, OPENSM_PARTITIONS_FILE=value)
        expect_equal(daemon.process.child.wait(10), 2, "exit code with %s" % value)
        expect("OPENSM_PARTITIONS_FILE" in daemon.process.output() and words in daemon.process.output(),
               "%s in: %s" % (words, daemon.process.output()))
        daemon.killed = True


def without_a_device_the_service_runs_and_says_what_it_needs(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(wait=False, LD_PRELOAD=None)
    eventually("it says what it needs", lambda: daemon.said("OPENSM_NO_DEVICE") and daemon.said("FABRIC_UNREACHABLE"), 30)
    expect("/dev/infiniband" in daemon.said("OPENSM_NO_DEVICE")[0]["message"], daemon.said("OPENSM_NO_DEVICE"))
    world.pod("p", "ib")
    eventually("it is ready all the same", lambda: daemon.get("/readyz")[0] == 200)
    world.stays_untouched("p")
    expect_equal(text_of(world), DEFAULT, "the file")


def fabric_that_nobody_manages_is_told(world):
    """No subnet manager has ever been here: our port is not active, and knows nobody to ask.  (What the simulator tells a
    process of its port is what it was at the process' start.)"""
    world.start_ufm(start=False)
    daemon = world.start(wait=False, **PORTS)
    eventually("it is said", lambda: daemon.said("OPENSM_PORT_DOWN") and daemon.said("OPENSM_NO_SM"), 30)
    expect_equal({line["level"] for line in daemon.said("OPENSM_PORT_DOWN") + daemon.said("OPENSM_NO_SM")}, {"error"}, "levels")
    world.nad("ib", objects.ib_config("0x5"))
    world.pod("p", asks(3))
    world.stays_untouched("p")
    daemon.stop()
    world.fabric.start_opensm()
    world.start(**PORTS)
    world.guid("p")
    world.port_shows(3, {5: True})


def limited_port_and_silent_switch_are_told(world):
    """From another host than the subnet manager's, behind a switch that does not say whether it enforces partitions."""
    world.start_ufm()
    world.fabric.console('Error "S-leaf01" 100 0x15')  # it answers no question for a PortInfo
    daemon = world.start(host=2)
    eventually("it is said", lambda: daemon.said("OPENSM_LIMITED_PORT") and daemon.said("OPENSM_UNCHECKED"), 30)
    limited, unchecked = daemon.said("OPENSM_LIMITED_PORT")[0], daemon.said("OPENSM_UNCHECKED")[0]
    expect_equal((limited["level"], unchecked["level"]), ("warn", "warn"), "levels")
    expect("0x%016x=full" % guid_of_host(2) in limited["message"], limited["message"])
    expect("enforce" in unchecked["message"], unchecked["message"])


def what_the_site_lacks_is_said_once(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm(partitions="Default=0x7fff,ipoib : ALL=full ;\n")
    daemon = world.start()
    world.pod("p", "ib")
    world.guid("p")
    eventually("it is said", lambda: daemon.said("OPENSM_DEFAULT_FULL"))
    expect_equal(daemon.said("OPENSM_DEFAULT_FULL")[0]["level"], "warn", "level")
    for message in ("OPENSM_PORT", "OPENSM_NO_VPORTS", "OPENSM_NOT_ENFORCED"):
        expect_equal(len(daemon.said(message)), 1, message)
    expect_equal(daemon.said("OPENSM_WRONG_SM_KEY"), [], "the SM_Key is right")
    expect_equal(daemon.metric("ufmsync_opensm_findings"), 3, "findings")


def sm_key_comes_from_the_mounted_secret_and_may_be_rotated(world):
    folder = os.path.join(world.folder, "secret")
    os.mkdir(folder)

    def mount(text):
        with open(os.path.join(folder, ".new"), "w") as f:
            f.write(text + "\n")
        os.replace(os.path.join(folder, ".new"), os.path.join(folder, "OPENSM_SM_KEY"))
    mount("4711")
    daemon = world.start(OPENSM_SM_KEY=None, UFMSYNC_SECRET_DIR=folder)
    eventually("the wrong one is noticed", lambda: daemon.said("OPENSM_WRONG_SM_KEY"), 30)
    mount("not a number")
    eventually("nonsense is not taken up", lambda: daemon.said("SECRET_BAD"), 30)
    mount(world.SM_KEY)
    eventually("the right one is taken up", lambda: daemon.said("SECRET_ROTATED"), 30)
    eventually("and that is over", lambda: [line for line in daemon.said("OPENSM_MENDED")
                                            if line["was"] == "OPENSM_WRONG_SM_KEY"], 30)


def guid_whose_port_comes_later_is_a_member_at_once(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start(**PORTS)
    world.fabric.console('Unlink "H-0003"')
    world.fabric.reload()
    world.pod("p", asks(3))
    world.guid("p")
    world.fabric.console('ReLink "H-0003"')
    world.port_shows(3, {5: True}, 30)


def without_proof_it_works_too(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(OPENSM_VERIFY="none", LD_PRELOAD=None, **PORTS)
    world.pod("p", asks(3))
    world.guid("p")
    world.port_shows(3, {5: True})
    expect(any("OPENSM_VERIFY=none" in line["message"] for line in daemon.said("SETTING")), "a notice")
    expect(not any("%04x" % canary in text_of(world) for canary in CANARIES), "no canary")


def each_way_to_reload(world):
    fabric = world.fabric
    script = os.path.join(fabric.folder, "reload")
    with open(script, "w") as out:
        out.write("#!/bin/sh\nread pid < %s/opensm.pid\nkill -HUP $pid\n" % fabric.folder)
    os.chmod(script, 0o755)
    world.nad("ib", objects.ib_config("0x5"))
    for host, way in ((2, "trap"), (3, "command:" + script), (4, "console:127.0.0.1:%d" % fabric.console_port), (5, "process")):
        daemon = world.start(OPENSM_RELOAD=way, **PORTS)
        world.pod("p%d" % host, asks(host))
        world.guid("p%d" % host)
        expect_equal(world.table(host), {5: True}, way)
        daemon.stop()


SCENARIOS = [
    drift_behind_opensms_back_is_found_and_nothing_loops,  # the longest first
    fabric_that_nobody_manages_is_told, limited_port_and_silent_switch_are_told,
    a_pods_whole_life, two_hundred_pods_at_once_are_one_file, two_pkeys_and_the_limited_partition,
    index_0_only_where_it_is_asked_for, restart_of_ours_changes_no_member, killed_again_and_again_it_leaves_no_bad_file,
    opensm_stopped_is_waited_for, opensm_that_hangs_costs_no_lease, orphans_leave_file_and_port,
    orphan_that_comes_back_belongs_to_another_writer, member_that_was_taken_away_is_put_back, hostile_foreign_part_is_told_with_its_line,
    the_operators_changes_meanwhile_are_kept, file_that_cannot_be_used_is_a_bad_setting,
    without_a_device_the_service_runs_and_says_what_it_needs, what_the_site_lacks_is_said_once,
    sm_key_comes_from_the_mounted_secret_and_may_be_rotated, guid_whose_port_comes_later_is_a_member_at_once,
    without_proof_it_works_too, each_way_to_reload]
