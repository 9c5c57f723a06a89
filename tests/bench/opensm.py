"""Rows of tests/bench/run: the backend for OpenSM, with real OpenSM on ibsim."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "opensm"))

from fabric import Fabric, guid_of_host  # noqa: E402
from measure import median  # noqa: E402

ROWS = []
FIRST_PKEY, OURS, FLOORS = 0x100, 0x60, 0x61


def row(function):
    ROWS.append(function)
    return function


@row
def partitions(bench):
    """OpenSM's partition configuration: the writer and its checks"""
    rounds = "5" if bench.quick else "40"
    found = [json.loads(bench.program("bench_partitions", str(count), "512", rounds)) for count in (40, 80, 160)]
    once = found[0]
    bench.report("partitions.conf of 40 partitions of 512 GUIDs, %d bytes" % once["bytes"],
                 "%.1f ms of processor time to make and check the whole new file (it is parsed twice), %.1f ms to read our "
                 "part; the parser alone %.1f ms, %.0f MB/s; %.0f ms to put it on disk (fsync of file and folder, read "
                 "back)" % (once["replace_ms"], once["read_ms"], once["parse_ms"], once["parse_mb_s"], once["write_ms"]), "")
    bench.report("the same with 80 and 160 partitions", "%s to make and check, %s to parse: %s of it a GUID" % (
        " and ".join("%.1f ms" % f["replace_ms"] for f in found[1:]),
        " and ".join("%.1f ms" % f["parse_ms"] for f in found[1:]),
        ", ".join("%.2f us" % (f["replace_ms"] * 1e3 / f["partitions"] / f["guids"]) for f in found)), "linear")


class Program:
    """A child that answers line by line."""

    def __init__(self, where, host, *argv):
        self.child = subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      cwd=os.path.join(where.folder, "clients"), env=where.environment(host))

    def send(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def answer(self):
        answer = self.child.stdout.readline().strip()
        if not answer:
            raise RuntimeError("%s ended with %s" % (self.child.args[0], self.child.wait(10)))
        return answer

    def must(self, line):
        self.send(line)
        answer = self.answer()
        if answer != "ok":
            raise RuntimeError("%s: %s" % (line[:60], answer))

    def end(self):
        self.child.stdin.close()
        self.child.wait(30)


def prepare(drive, hosts, count):
    """What a busy site has: so many partitions with all hosts in each."""
    guids = ["0x%016x" % guid_of_host(host) for host in range(1, hosts + 1)]
    for i in range(count):
        for first in range(0, hosts, 500):
            drive.send("join 0x%x full %s" % (FIRST_PKEY + i, " ".join(guids[first:first + 500])))
        for _ in range(0, hosts, 500):
            if drive.answer() != "ok":
                raise RuntimeError("the partitions before could not be written")


def seen(poll, lid, pkey, there, action):
    """Milliseconds from the beginning of `action` until the port has the key, or has it no more."""
    poll.send("%d %x %s" % (lid, pkey, "yes" if there else "no"))
    begin = time.monotonic()
    action()
    answer = poll.answer()
    if answer == "never":
        raise RuntimeError("the key did not come to the port")
    return (float(answer) - begin) * 1000


def by_hand(where, text):
    """The least that must be done: the new file in its place, and the signal."""
    new = where.partitions + ".hand"
    with open(new, "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.rename(new, where.partitions)
    where.opensm.send_signal(signal.SIGHUP)


def measure(bench, hosts, count, rounds):
    where = Fabric(hosts)
    programs = []
    try:
        drive = Program(where, 1, os.path.join(os.path.dirname(bench.binaries), "tests", "opensm_drive"), where.partitions,
                        where.pidfile_way())
        poll = Program(where, 2, os.path.join(bench.binaries, "bench_fabric"))
        programs += [drive, poll]
        poll.answer()
        prepare(drive, hosts, count)
        size = os.path.getsize(where.partitions)
        lids, joins, proofs, floors = where.lids(), [], [], []
        for i in range(rounds):
            guid = guid_of_host(3 + i * (hosts - 4) // rounds)
            begin = time.monotonic()
            joins.append(seen(poll, lids[guid], OURS, True, lambda: drive.send("join 0x%x full 0x%016x" % (OURS, guid))))
            if drive.answer() != "ok":
                raise RuntimeError("a join failed")
            proofs.append((time.monotonic() - begin) * 1000)
            drive.must("leave 0x%x 0x%016x" % (OURS, guid))
            with open(where.partitions) as f:
                old = f.read()
            new = old.replace("# BEGIN", "hand=0x%x,ipoib : 0x%x=full ;\n# BEGIN" % (FLOORS, guid), 1)
            floors.append(seen(poll, lids[guid], FLOORS, True, lambda: by_hand(where, new)))
            seen(poll, lids[guid], FLOORS, False, lambda: by_hand(where, old))
        return size, joins, proofs, floors
    finally:
        for program in programs:
            program.end()
        where.close()


def report(bench, hosts, count, rounds):
    size, joins, proofs, floors = measure(bench, hosts, count, rounds)
    bench.report("%d joins one after the other, real OpenSM on %d simulated hosts, %s" % (
        rounds, hosts, "%d partitions of all hosts in the file (%.1f MB)" % (count, size / 1e6) if count else
        "nothing else in the file"),
        "join -> P_Key in the port %.0f ms median, %.0f ms the slowest; by hand (write, fsync, rename, SIGHUP) %.0f and "
        "%.0f ms: %.2fx; until the backend has proof and says so %.0f ms" % (
            median(joins), max(joins), median(floors), max(floors), median(joins) / median(floors), median(proofs)), "")


@row
def opensm_512(bench):
    """From join to P_Key in the port: OpenSM with 512 hosts"""
    report(bench, 512, 0, 5 if bench.quick else 30)
    report(bench, 512, 40, 5 if bench.quick else 30)


@row
def opensm_1536(bench):
    """The same with 1536 hosts"""
    if not bench.quick:
        report(bench, 1536, 40, 15)
