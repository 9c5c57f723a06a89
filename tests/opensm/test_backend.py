#!/usr/bin/env python3
"""The backend for OpenSM against real OpenSM on ibsim.  What it claims is checked from outside, with smpquery."""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))

import fabric  # noqa: E402
import produced  # noqa: E402
from fabric import DEFAULT, Fabric, Failed, guid_of_host, wait_for  # noqa: E402

CANARIES = {0x7ffc, 0x7ffd}


class Drive:
    """The backend alone, as a program that takes commands."""
    ids = set()  # of all that any of them said

    def __init__(self, program, where, *options, host=1, way=None, environment=None, user=None):
        self.fabric, self.said = where, []  # [level, id, text] of what it said by itself
        self.set_pkeys_program = os.path.join(os.path.dirname(program), "set_pkeys")
        self.child = subprocess.Popen([program, where.partitions, way or where.pidfile_way()] + list(options),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      cwd=os.path.join(where.folder, "clients"), env=dict(where.environment(host), **(environment or {})), user=user)

    def __call__(self, line):
        self.send(line)
        return self.answer()

    def send(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def answer(self):
        while True:
            answer = self.child.stdout.readline().strip()
            if not answer:
                raise Failed("the backend ended: status %s" % self.child.wait(10))
            if not answer.startswith("said "):
                return answer
            self.said.append(answer.split(" ", 3)[1:])
            self.ids.add(self.said[-1][1])

    def ok(self, line):
        answer = self(line)
        if answer.split()[-1:] != ["ok"]:
            raise Failed("%s: %s" % (line, answer))
        return answer.split()[:-1]

    def fails(self, line, *words):
        answer = self(line)
        for word in words:
            if word not in answer:
                raise Failed("%s: not \"%s\": %s" % (line, word, answer))
        return answer

    def members(self):
        return set(self.ok("list"))

    def counts(self):
        return {name: int(value) for name, value in (word.split("=") for word in self.ok("counts"))}

    def preflight(self):
        """{id: (level, text)}"""
        self.said = []
        self.ok("preflight")
        return {word: (level, text) for level, word, text in self.said}

    def end(self):
        if self.child.poll() is None:
            self.child.stdin.close()
            status = self.child.wait(20)
            if status:
                raise Failed("the backend ended with status %d" % status)


def guids(*hosts):
    return " ".join("0x%016x" % guid_of_host(host) for host in hosts)


def table(f, host):
    """What stands in a host's port, without the default partition and the canaries."""
    found = f.pkeys(f.lids()[guid_of_host(host)])
    return {pkey: full for pkey, full in found.items() if pkey != 0x7fff and pkey not in CANARIES}


def shows(f, host, wanted):
    """Of a port that comes up: it may have its LID, and no link yet."""
    try:
        return guid_of_host(host) in f.lids() and table(f, host) == wanted
    except Failed:
        return False


def go_on(f, d):
    """OpenSM goes on.  What it answers late has to be heard: ibsim's shim does not survive an answer to a port that was closed."""
    f.opensm.send_signal(signal.SIGCONT)
    d("probe")


def expect(what, got, wanted):
    if got != wanted:
        raise Failed("%s: %s instead of %s" % (what, got, wanted))


def text_of(path):
    with open(path) as f:
        return f.read()


# --- the tests: each gets a fabric and a maker of drives ---

def join_and_leave_show_in_the_ports(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2, 3))
    expect("host 2", table(f, 2), {5: True})
    expect("host 3", table(f, 3), {5: True})
    d.ok("leave 0x5 " + guids(2))
    expect("host 2", table(f, 2), {})
    expect("host 3", table(f, 3), {5: True})
    d.ok("leave 0x5 " + guids(3))
    expect("host 3", table(f, 3), {})
    expect("members", d.members(), set())


def two_pkeys_full_and_limited(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2, 3))
    d.ok("join 0x6 limited " + guids(2))
    d.ok("join 0x6 full " + guids(3))
    expect("host 2", table(f, 2), {5: True, 6: False})
    expect("host 3", table(f, 3), {5: True, 6: True})
    d.ok("join 0x6 full " + guids(2))
    expect("host 2", table(f, 2), {5: True, 6: True})


def a_guid_whose_port_appears_later(f, drive):
    d = drive()
    f.console('Unlink "H-0003"')
    f.reload()
    d.ok("join 0x5 full " + guids(3))
    f.console('ReLink "H-0003"')

    wait_for("the key is in the port", lambda: shows(f, 3, {5: True}), 15)


def every_way_to_reload(f, drive):
    pidfile = f.pidfile_way()
    script = os.path.join(f.folder, "reload")
    with open(script, "w") as out:
        out.write("#!/bin/sh\nkill -HUP %d\n" % f.opensm.pid)
    os.chmod(script, 0o755)
    for i, way in enumerate(["process", pidfile, "trap", "command:" + script, "console:127.0.0.1:%d" % f.console_port]):
        d = drive(way=way)
        d.ok("join 0x%x full %s" % (0x20 + i, guids(2)))
        expect(way, table(f, 2)[0x20 + i], True)
        d.end()


def a_command_that_fails_says_why(f, drive):
    script = os.path.join(f.folder, "reload")
    with open(script, "w") as out:
        out.write("#!/bin/sh\necho no such container >&2\nexit 3\n")
    os.chmod(script, 0o755)
    drive(way="command:" + script).fails("join 0x5 full " + guids(2), "retry", "status 3", "no such container")


def what_is_in_the_file_was_not_refused(f, drive):
    """A signal that is forbidden: OpenSM reads the file nevertheless, at the next link that comes up.  "auth" would mean
    that nothing was done."""
    if os.geteuid() != 0:
        return
    os.chmod(f.folder, 0o755)
    for path in (f.partitions, os.path.dirname(f.partitions), os.path.join(f.folder, "clients")):
        shutil.chown(path, "nobody")
    d = drive("--no-verify", user="nobody")
    d.fails("join 0x5 full " + guids(2), "retry", "may not be signalled")
    expect("in the file", "0x%016x" % guid_of_host(2) in text_of(f.partitions), True)


def opensm_restarts(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    f.stop_opensm()
    f.start_opensm()
    expect("members", d.members(), {"0005:%016x:full" % guid_of_host(2)})
    d.ok("join 0x5 full " + guids(3))
    expect("host 3", table(f, 3), {5: True})


def what_opensm_has_not_read_is_no_member(f, drive):
    d = drive("--prove", "1500")
    d.ok("join 0x5 full " + guids(2))
    f.stop_opensm()
    d.fails("join 0x5 full " + guids(3), "retry")
    d.fails("list", "retry")
    d.fails("join 0x5 full " + guids(4), "retry")  # nor is another file written before that one is read
    expect("in the file", "0x%016x" % guid_of_host(4) in text_of(f.partitions), False)
    d.fails("leave 0x5 " + guids(2), "retry")
    f.start_opensm()
    expect("members", d.members(), {"0005:%016x:full" % guid_of_host(host) for host in (2, 3)})
    d.ok("join 0x5 full " + guids(4))
    expect("host 4", table(f, 4), {5: True})


def restart_opensm_with(f, text):
    """The subnet manager from now on has a file of its own, as one that takes over on another host has."""
    good, other = f.partitions, os.path.join(f.folder, "conf", "other.conf")
    with open(other, "w") as out:
        out.write(text)
    f.stop_opensm()
    f.partitions = other
    try:
        f.start_opensm()
    finally:
        f.partitions = good


def two_that_write_at_once_lose_nothing_that_they_called_done(f, drive):
    """Two leaders for a moment: each may fail, but what either said is there."""
    refused, done = f.refusals(), set()

    def work(d, first):
        for pkey in range(first, first + 12):
            if d("join 0x%x full %s" % (pkey, guids(2))) == "ok":
                done.add(pkey)
            d("list")
    workers = [threading.Thread(target=work, args=(drive("--prove", "2000"), first)) for first in (0x100, 0x200)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    members = {int(word.split(":")[0], 16) for word in drive().members()}
    expect("lost", done - members, set())
    expect("in the port", set(table(f, 2)), members)
    expect("refusals", f.refusals(), refused)
    if len(done) < 12:
        raise Failed("only %d of 24 got through" % len(done))


def a_stale_copy_is_no_proof_however_its_canary_looks(f, drive):
    """Another subnet manager takes over with a copy of the file as it was some writes ago."""
    d = drive("--prove", "1000")
    copies = []
    for pkey in range(0x10, 0x16):
        d.ok("join 0x%x full %s" % (pkey, guids(3)))
        copies.append(text_of(f.partitions))
    for copy in copies[:-1]:
        restart_opensm_with(f, copy)
        d.fails("list", "retry")
        f.stop_opensm()
        f.start_opensm()
        expect("members", len(d.members()), 6)


def an_older_file_put_back_by_somebody_is_not_taken_for_read(f, drive):
    """Its canary may be the one that the port still shows from a later file."""
    d = drive()
    old = []
    for host in (2, 3, 4, 5, 6):
        d.ok("join 0x5 full " + guids(host))
        old.append(text_of(f.partitions))
    for i, text in enumerate(old):
        f.write(text)  # and nobody tells OpenSM
        members = d.members()
        expect("members", len(members), i + 1)
        for host in range(2, 7):
            expect("host %d" % host, table(f, host), {5: True} if host < i + 3 else {})
        d.ok("join 0x5 full " + guids(2, 3, 4, 5, 6))


def what_a_dead_one_left_is_not_taken_for_read(f, drive):
    """The file was changed while no service ran, its canary was not."""
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    d.end()
    f.write(text_of(f.partitions).replace("0x%016x=full ;\n# END" % guid_of_host(2), "0x%016x=full ;\n# END" % guid_of_host(3)))
    expect("changed", "0x%016x=full ;\n# END" % guid_of_host(3) in text_of(f.partitions), True)
    expect("members", drive().members(), {"0005:%016x:full" % guid_of_host(3)})
    expect("host 3", table(f, 3), {5: True})
    expect("host 2", table(f, 2), {})


def the_first_file_is_taken_back_when_the_fabric_stays_open(f, drive):
    """No canary was there before: a port that is open, with a subnet manager that is well, is enough."""
    restart_opensm_with(f, "oops\n")
    d = drive("--prove", "1000")
    answer = d.fails("join 0x5 full " + guids(2), "retry", "back in its place")
    expect("the file", text_of(f.partitions), DEFAULT)
    d.fails("join 0x5 full " + guids(2), "retry", "for a while")


def a_canary_that_the_operator_uses_is_said_before_anything_is_written(f, drive):
    for canary in (0x7ffc, 0x7ffd):
        text = DEFAULT + "mine=0x%x : 0x%x=full ;\n" % (canary, guid_of_host(1))
        f.write(text)
        f.reload()
        drive("--prove", "1000").fails("join 0x5 full " + guids(2), "retry", "0x%04x is defined" % canary)
        expect("the file", text_of(f.partitions), text)


def a_reload_that_is_lost_is_repeated(f, drive):
    """OpenSM hangs for a while: the first signal has no effect in time."""
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    f.opensm.send_signal(signal.SIGSTOP)
    timer = threading.Timer(3, lambda: f.opensm.send_signal(signal.SIGCONT))
    timer.start()
    d.ok("join 0x5 full " + guids(3))
    timer.join()
    expect("host 3", table(f, 3), {5: True})


def a_file_that_opensm_refuses_is_put_back(f, drive):
    """Ours would never write one: so OpenSM is made to refuse it, by a file that it cannot read."""
    d = drive("--log", f.log, "--prove", "4000")
    d.ok("join 0x5 full " + guids(2))
    before = text_of(f.partitions)

    def refuse():
        """What OpenSM writes when it refuses, as soon as there is a new file."""
        wait_for("a new file", lambda: text_of(f.partitions) != before, 10)
        with open(f.log, "a") as log:
            log.write("Nov 23 00:00:00 [X] 0x01 -> Partition configuration in error; retrying with default config\n")
    f.opensm.send_signal(signal.SIGSTOP)  # what it says now is the test's
    said = threading.Thread(target=refuse)
    said.start()
    answer = d("join 0x5 full " + guids(3))
    said.join()
    go_on(f, d)
    if "retry" not in answer or "back in its place" not in answer:
        raise Failed(answer)
    expect("the file", text_of(f.partitions), before)
    d.fails("join 0x5 full " + guids(3), "retry", "for a while")  # each try would open the fabric again
    expect("the file", text_of(f.partitions), before)


def an_operators_broken_line_is_said_with_its_number(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    f.write(text_of(f.partitions) + "oops\n")
    f.reload()
    expect("the fabric is open", table(f, 2), {})
    d.fails("list", "retry", "line 8", "oops")


def a_fabric_that_is_open_is_seen_without_the_log(f, drive):
    """Another file than ours is what OpenSM reads: it refuses it, and ours cannot be proven."""
    d = drive("--prove", "3000")
    d.ok("join 0x5 full " + guids(2))
    good = text_of(f.partitions)
    f.write("oops\n")
    f.reload()  # the sweep that was seen may be that of the join
    wait_for("the fabric is open", lambda: table(f, 2) == {}, 10)
    f.opensm.send_signal(signal.SIGSTOP)  # the good file is back, and nobody reads it
    f.write(good)
    answer = d("list")
    go_on(f, d)
    if "the fabric is open" not in answer:
        raise Failed(answer)


def the_operators_changes_are_kept(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    text = text_of(f.partitions)
    mine = text.replace(DEFAULT, DEFAULT + "# my own\nmine=0x77 : 0x%x=full ;\n" % guid_of_host(4)) + "# tail\n"
    f.write(mine)
    d.ok("join 0x5 full " + guids(3))
    now = text_of(f.partitions)
    for part in ("# my own\nmine=0x77 : 0x%x=full ;\n" % guid_of_host(4), "# END ufmsync\n# tail\n"):
        if part not in now:
            raise Failed("lost: %r in %r" % (part, now))
    expect("host 4", table(f, 4), {0x77: True})


def a_hostile_foreign_part_is_not_written_over(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    good = text_of(f.partitions)
    for bad, said in ((good + "tenant=0x5 : ALL=full ;\n", "0x0005"), (good + "oops\n", "oops"),
                      (good.replace(DEFAULT, ""), "Default=0x7fff"), (good.replace("# END", "# end"), "END"),
                      (good.replace(" ;\n# BEGIN", "\n# BEGIN"), "")):
        f.write(bad)
        d.fails("join 0x5 full " + guids(3), "retry", said)
        expect("the file", text_of(f.partitions), bad)
    f.write(good)
    d.ok("join 0x5 full " + guids(3))


def a_full_table_takes_what_it_can(f, drive):
    d = drive()
    for pkey in range(0x100, 0x100 + 66):
        d.send("join 0x%x full %s" % (pkey, guids(2)))
    for _ in range(66):
        answer = d.answer()
        if answer != "ok":
            raise Failed(answer)
    found = table(f, 2)
    expect("keys in the port", len(found), 63)
    expect("members", len(d.members()), 66)


def many_writes_at_once_are_few_reloads(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    before = f.sweeps()
    for i in range(40):
        d.send("join 0x%x full %s" % (0x100 + i, guids(2, 3)))
    for _ in range(40):
        if d.answer() != "ok":
            raise Failed("a join failed")
    if f.sweeps() - before > 4:
        raise Failed("%d sweeps for 40 joins" % (f.sweeps() - before))


def killed_at_any_point_the_file_is_good(f, drive):
    """kill -9 while it writes, again and again: OpenSM never sees a file that it refuses, and ours goes on."""
    rng = random.Random(7)
    refused = f.refusals()
    for i in range(25):
        d = drive("--prove", "1000")
        for j in range(20):
            d.send("join 0x%x full %s" % (0x200 + j, guids(2, 3, 4)))
            d.send("leave 0x%x %s" % (0x200 + j, guids(2, 3, 4)))
        time.sleep(rng.random() * 0.15)
        d.child.kill()
        d.child.wait()
        f.free_slots()
        if not f.reload():
            raise Failed("OpenSM refuses what was left: %s" % text_of(f.partitions))
    expect("refusals", f.refusals(), refused)
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    expect("host 2", table(f, 2)[5], True)
    leftovers = [name for name in os.listdir(os.path.dirname(f.partitions)) if "ufmsync" in name]
    expect("leftovers", leftovers, [])


def without_proof_it_is_faster_and_trusts(f, drive):
    d = drive("--no-verify")
    d.ok("join 0x5 full " + guids(2))
    wait_for("the key is in the port", lambda: table(f, 2) == {5: True}, 5)
    if "7ffc" in text_of(f.partitions):
        raise Failed("a canary though nobody looks")
    expect("members", drive().members(), {"0005:%016x:full" % guid_of_host(2)})  # and one that looks gets its canary
    if "7ffc" not in text_of(f.partitions) and "7ffd" not in text_of(f.partitions):
        raise Failed("no canary")


def a_port_that_was_replaced_gets_a_canary_of_its_own(f, drive):
    d = drive(host=2)
    d.ok("join 0x5 full " + guids(3))
    d.end()
    d = drive(host=4)
    expect("members", d.members(), {"0005:%016x:full" % guid_of_host(3)})
    expect("host 2", f.pkeys(f.lids()[guid_of_host(2)]).keys() & CANARIES, set())


def preflight_of_a_good_site_says_what_it_sees(f, drive):
    found = drive().preflight()
    level, text = found.pop("OPENSM_PORT")
    expect("level", level, "fine")
    for part in ("ibsim0 port 1", "00:02:c9:03:00:00:00:11", "holds 1 of 64: 0xffff"):
        if part not in text:
            raise Failed("not %r: %s" % (part, text))
    expect("the rest: ibsim's switches do not enforce", set(found), {"OPENSM_NOT_ENFORCED"})


def preflight_names_what_the_file_lacks(f, drive):
    d = drive()
    f.write("Default=0x7fff,ipoib : ALL=full ;\n")
    level, text = d.preflight()["OPENSM_DEFAULT_FULL"]
    expect("level", level, "warning")
    expect("says what to write", "ALL=limited, SELF=full" in text, True)
    f.write("Default=0x7fff : ALL=limited, ALL_CAS=full ;\n")
    expect("adapters alone", "OPENSM_DEFAULT_FULL" in d.preflight(), True)
    f.write("Default=0x7fff : ALL=full, ALL=limited, SELF=full ;\n")  # the last one counts
    expect("limited after all", "OPENSM_DEFAULT_FULL" in d.preflight(), False)
    for bad, said in (("mine=0x77 : 0x%x=full ;\n" % guid_of_host(4), "Default=0x7fff"), (DEFAULT + "oops\n", "line 2"),
                      (DEFAULT + "mine=0x7ffc : ALL=full ;\n", "0x7ffc")):
        f.write(bad)
        level, text = d.preflight()["OPENSM_FILE"]
        expect("level", level, "failure")
        expect("says %s: %s" % (said, text), said in text, True)


def preflight_of_a_limited_port(f, drive):
    d = drive(host=2)
    level, text = d.preflight()["OPENSM_LIMITED_PORT"]
    expect("level", level, "warning")
    line = "0x%016x=full" % guid_of_host(2)
    expect("says which line: " + text, line in text, True)
    f.write(DEFAULT.replace(" ;", ", %s ;" % line))
    f.reload()
    expect("full", "OPENSM_LIMITED_PORT" in d.preflight(), False)


def preflight_of_a_wrong_sm_key(f, drive):
    level, text = drive("--sm-key", "0x4711").preflight()["OPENSM_WRONG_SM_KEY"]
    expect("level", level, "warning")
    expect("says what to set", "sa_key" in text, True)
    expect("the right one", "OPENSM_WRONG_SM_KEY" in drive().preflight(), False)


def preflight_without_a_subnet_manager(f, drive):
    d = drive()
    expect("SM", "OPENSM_SM_SILENT" in d.preflight(), False)
    f.opensm.send_signal(signal.SIGSTOP)
    level, text = d.preflight()["OPENSM_SM_SILENT"]
    f.opensm.send_signal(signal.SIGCONT)
    expect("level", level, "failure")
    expect("SM", "OPENSM_SM_SILENT" in d.preflight(), False)


def preflight_of_a_port_that_is_down(f, drive):
    f.console('Unlink "H-0003"')
    f.reload()
    found = drive(host=3).preflight()
    expect("all that is said of it", set(found), {"OPENSM_PORT_DOWN"})
    expect("level", found["OPENSM_PORT_DOWN"][0], "failure")
    f.console('ReLink "H-0003"')


def preflight_of_a_fabric_that_nobody_manages(f, drive):
    f.close()
    f.__init__(2, start=False)
    d = drive(way="trap")
    found = d.preflight()
    expect("findings", set(found), {"OPENSM_PORT_DOWN", "OPENSM_NO_SM"})
    d.fails("probe", "retry", "is OpenSM running?")


def preflight_when_opensm_cannot_be_told(f, drive):
    script = os.path.join(f.folder, "reload")
    d, command = drive(), drive(way="command:" + script)
    expect("by its number", "OPENSM_CANNOT_RELOAD" in d.preflight(), False)
    level, text = command.preflight()["OPENSM_CANNOT_RELOAD"]
    expect("level", level, "failure")
    expect("says what: " + text, script + " cannot be run" in text, True)
    with open(script, "w") as out:
        out.write("#!/bin/sh\n")
    os.chmod(script, 0o755)
    expect("by a command", "OPENSM_CANNOT_RELOAD" in command.preflight(), False)
    f.stop_opensm()
    expect("gone: ", "is gone" in d.preflight()["OPENSM_CANNOT_RELOAD"][1], True)


def preflight_without_any_device(f, drive):
    d = drive(environment={"LD_PRELOAD": ""})
    level, text = d.preflight()["OPENSM_NO_DEVICE"]
    expect("level", level, "failure")
    expect("says what it needs: " + text, "/dev/infiniband" in text, True)
    d.fails("list", "/dev/infiniband")
    d.fails("join 0x5 full " + guids(2), "/dev/infiniband")
    expect("nothing was written", text_of(f.partitions), DEFAULT)


def preflight_of_two_subnet_managers(f, drive):
    """The shim has no time limits: a master that asks the second before that one listens waits for ever, and another try
    is made on a new fabric."""
    for attempt in range(10):
        second = f.start_second_opensm(4)
        d = drive()
        try:
            for _ in range(15):
                f.opensm.send_signal(signal.SIGHUP)  # a sweep finds it
                time.sleep(0.1)
                found = d.preflight().get("OPENSM_MANY_SMS")
                if found:
                    expect("level", found[0], "warning")
                    expect("says how many: " + found[1], found[1].startswith("2 "), True)
                    return
        finally:
            d.end()
            second.terminate()
            second.wait(10)
        f.close()
        f.__init__(6)
    raise Failed("never seen")


def preflight_knows_an_upstream_opensm_by_its_log(f, drive):
    expect("upstream", drive("--log", f.log).preflight()["OPENSM_NO_VPORTS"][0], "warning")
    expect("not known, and these adapters have none", "OPENSM_NO_VPORTS" in drive().preflight(), False)
    nvidia = os.path.join(f.folder, "nvidia.log")
    with open(nvidia, "w") as log:
        log.write("Nov 23 00:00:00 1 [X] 0x80 -> OpenSM 3.3.23\nNov 23 00:00:01 1 [X] 0x03 -> OpenSM 5.17.0.MLNX20231105.d437ae0a\n")
    expect("NVIDIA's", "OPENSM_NO_VPORTS" in drive("--log", nvidia).preflight(), False)


def drift_is_said_once_and_not_reloaded(f, drive):
    d = drive("--drift", "300")
    d.ok("join 0x5 full " + guids(2, 3) + " 0x00000000deadbeef")
    lid = f.lids()[guid_of_host(2)]

    def listed(check, what):
        def look():
            d.members()
            return check(d.counts())
        wait_for(what, look, 10)
    listed(lambda c: c["checked"] >= 4 and c["absent"] >= 2, "some ports were looked at")
    expect("drift", d.counts()["drifted"], 0)
    f.set_pkeys(d.set_pkeys_program, lid, 0x7fff, 0, 0x8abc)
    expect("host 2", table(f, 2), {0xabc: True})
    reloads = d.counts()["reloads"]
    listed(lambda c: c["drifted"] == 1, "the drift was seen")
    for _ in range(20):
        d.members()
    said = [(level, text) for level, word, text in d.said if word == "OPENSM_DRIFT"]
    expect("said once", len(said), 1)
    expect("which port and key: " + said[0][1], "00:02:c9:03:00:00:00:21 lacks PKey 0x0005 (full)" in said[0][1], True)
    expect("reloads", d.counts()["reloads"], reloads)
    expect("a member nevertheless", len(d.members()), 3)
    f.console('Unlink "H-0002"')
    f.reload()
    f.console('ReLink "H-0002"')
    wait_for("OpenSM repairs a port that comes up", lambda: shows(f, 2, {5: True}), 15)
    listed(lambda c: c["drifted"] == 0, "it is over")
    expect("said", [word for _, word, _ in d.said if word == "OPENSM_DRIFT_OVER"] in ([], ["OPENSM_DRIFT_OVER"]), True)


def drift_is_seen_through_a_limited_port_too(f, drive):
    """The SA hides the others from it; every node is asked instead."""
    d = drive("--drift", "200", host=3)
    d.ok("join 0x5 full " + guids(2))
    f.set_pkeys(d.set_pkeys_program, f.lids()[guid_of_host(2)], 0x7fff)

    def drifted():
        d.members()
        return d.counts()["drifted"] == 1
    wait_for("the drift is seen", drifted, 10)
    f.set_pkeys(d.set_pkeys_program, f.lids()[guid_of_host(2)], 0x7fff, 0x0005)
    d.members()
    time.sleep(0.01)
    expect("a limited one is not what was asked for", d.counts()["drifted"], 1)
    f.set_pkeys(d.set_pkeys_program, f.lids()[guid_of_host(2)], 0x7fff, 0x8005)

    def over():
        d.members()
        return "OPENSM_DRIFT_OVER" in [word for _, word, _ in d.said]
    wait_for("it is over", over, 10)


def a_full_table_is_drift_that_names_its_reason(f, drive):
    d = drive("--drift", "1")
    for pkey in range(0x100, 0x100 + 64):
        d.send("join 0x%x full %s" % (pkey, guids(2)))
    for _ in range(64):
        expect("join", d.answer(), "ok")

    def full():
        d.members()
        return [text for _, word, text in d.said if word == "OPENSM_DRIFT"]
    wait_for("it is said", full, 10)
    expect("the reason: " + full()[0], "its table is full (64 keys)" in full()[0], True)


def a_change_that_comes_too_late_is_not_written(f, drive):
    d = drive("--prove", "1500")
    d.ok("join 0x5 full " + guids(2))
    f.opensm.send_signal(signal.SIGSTOP)
    before = text_of(f.partitions)
    d.send("join 0x5 full " + guids(3))  # written, and not proven within 1500 ms
    wait_for("it is written", lambda: text_of(f.partitions) != before, 10)
    d.send("list")
    d.send("join 0x5 full " + guids(4))  # has waited for longer than that when its turn comes
    threading.Timer(1.7, lambda: f.opensm.send_signal(signal.SIGCONT)).start()
    answers = [d.answer() for _ in range(3)]
    expect("the last one: %s" % answers, "in time" in answers[2], True)
    expect("in the file", "0x%016x" % guid_of_host(4) in text_of(f.partitions), False)


TESTS = [join_and_leave_show_in_the_ports, two_pkeys_full_and_limited, a_guid_whose_port_appears_later, every_way_to_reload,
         a_command_that_fails_says_why, what_is_in_the_file_was_not_refused, opensm_restarts, what_opensm_has_not_read_is_no_member,
         two_that_write_at_once_lose_nothing_that_they_called_done, a_stale_copy_is_no_proof_however_its_canary_looks, an_older_file_put_back_by_somebody_is_not_taken_for_read,
         what_a_dead_one_left_is_not_taken_for_read, the_first_file_is_taken_back_when_the_fabric_stays_open,
         a_canary_that_the_operator_uses_is_said_before_anything_is_written,
         a_reload_that_is_lost_is_repeated, a_file_that_opensm_refuses_is_put_back,
         an_operators_broken_line_is_said_with_its_number, a_fabric_that_is_open_is_seen_without_the_log, the_operators_changes_are_kept,
         a_hostile_foreign_part_is_not_written_over, a_full_table_takes_what_it_can, many_writes_at_once_are_few_reloads,
         killed_at_any_point_the_file_is_good, without_proof_it_is_faster_and_trusts,
         a_port_that_was_replaced_gets_a_canary_of_its_own,
         preflight_of_a_good_site_says_what_it_sees, preflight_names_what_the_file_lacks, preflight_of_a_limited_port,
         preflight_of_a_wrong_sm_key, preflight_without_a_subnet_manager, preflight_of_a_port_that_is_down, preflight_of_a_fabric_that_nobody_manages,
         preflight_when_opensm_cannot_be_told, preflight_without_any_device, preflight_of_two_subnet_managers, preflight_knows_an_upstream_opensm_by_its_log,
         drift_is_said_once_and_not_reloaded, drift_is_seen_through_a_limited_port_too,
         a_full_table_is_drift_that_names_its_reason, a_change_that_comes_too_late_is_not_written]


def run(test, program):
    where, drives = Fabric(6), []

    def drive(*options, **more):
        drives.append(Drive(program, where, *options, **more))
        return drives[-1]
    try:
        test(where, drive)
        for one in drives:
            one.end()
    finally:
        for one in drives:
            if one.child.poll() is None:
                one.child.kill()
                one.child.wait()
        where.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drive", default="build/tests/opensm_drive")
    parser.add_argument("--only", help="tests whose name has this in it")
    parser.add_argument("--produced", default=produced.FILE, help="a file to note log ids in")
    options = parser.parse_args()
    failed, tests = 0, [test for test in TESTS if not options.only or options.only in test.__name__]
    for test in tests:
        begin = time.monotonic()
        try:
            run(test, os.path.abspath(options.drive))
            print("ok     %-60s %5.1f s" % (test.__name__, time.monotonic() - begin), flush=True)
        except Failed as error:
            failed += 1
            print("FAILED %s: %s" % (test.__name__, error), flush=True)
    if options.produced:
        produced.add(options.produced, {("log", message_id) for message_id in Drive.ids})
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
