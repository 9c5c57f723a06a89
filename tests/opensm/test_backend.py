#!/usr/bin/env python3
"""The backend for OpenSM against real OpenSM on ibsim.  What it claims is checked from outside, with smpquery."""
import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time

import fabric
from fabric import DEFAULT, Fabric, Failed, guid_of_host, wait_for

CANARIES = {0x7ffc, 0x7ffd}


class Drive:
    """The backend alone, as a program that takes commands."""

    def __init__(self, program, where, *options, host=1, way=None):
        self.fabric = where
        self.child = subprocess.Popen([program, where.partitions, way or where.pidfile_way()] + list(options),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      cwd=os.path.join(where.folder, "clients"), env=where.environment(host))

    def __call__(self, line):
        self.send(line)
        return self.answer()

    def send(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def answer(self):
        answer = self.child.stdout.readline().strip()
        if not answer:
            raise Failed("the backend ended: status %s" % self.child.wait(10))
        return answer

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
    wait_for("the key is in the port", lambda: guid_of_host(3) in f.lids() and table(f, 3) == {5: True}, 15)


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


def opensm_restarts(f, drive):
    d = drive()
    d.ok("join 0x5 full " + guids(2))
    f.stop_opensm()
    f.start_opensm()
    expect("members", d.members(), {"0005:%016x:full" % guid_of_host(2)})
    d.ok("join 0x5 full " + guids(3))
    expect("host 3", table(f, 3), {5: True})


def what_opensm_has_not_read_is_no_member(f, drive):
    d = drive("--prove", "500")
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
    f.opensm.send_signal(signal.SIGCONT)
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
    f.reload()
    f.opensm.send_signal(signal.SIGSTOP)  # the good file is back, and nobody reads it
    f.write(good)
    answer = d("list")
    f.opensm.send_signal(signal.SIGCONT)
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
    if "7ffc" not in text_of(f.partitions):
        raise Failed("no canary")


def a_port_that_was_replaced_gets_a_canary_of_its_own(f, drive):
    d = drive(host=2)
    d.ok("join 0x5 full " + guids(3))
    d.end()
    d = drive(host=4)
    expect("members", d.members(), {"0005:%016x:full" % guid_of_host(3)})
    expect("host 2", f.pkeys(f.lids()[guid_of_host(2)]).keys() & CANARIES, set())


TESTS = [join_and_leave_show_in_the_ports, two_pkeys_full_and_limited, a_guid_whose_port_appears_later, every_way_to_reload,
         a_command_that_fails_says_why, opensm_restarts, what_opensm_has_not_read_is_no_member,
         a_reload_that_is_lost_is_repeated, a_file_that_opensm_refuses_is_put_back,
         an_operators_broken_line_is_said_with_its_number, a_fabric_that_is_open_is_seen_without_the_log, the_operators_changes_are_kept,
         a_hostile_foreign_part_is_not_written_over, a_full_table_takes_what_it_can, many_writes_at_once_are_few_reloads,
         killed_at_any_point_the_file_is_good, without_proof_it_is_faster_and_trusts,
         a_port_that_was_replaced_gets_a_canary_of_its_own]


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
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
