#!/usr/bin/env python3
"""Compares our parser of partitions.conf with OpenSM itself: random files, valid and broken, are read by both, OpenSM
from a known-good state each time.

    compare_partitions.py [--files 300] [--blocks 60] [--seed 1] [--eval build/tests/partitions_eval] [--jobs 2]

Fails when our parser accepts what OpenSM refuses, when the members of a port differ where both accept, and when ours
refuses what OpenSM accepts for another reason than those that are listed as stricter on purpose (they are counted).

Then our own part is put into random files of operators (--blocks: a fifth of the files when not said), changed, and
taken out again: OpenSM must accept each, its ports must show our members and no others, and what the operator has
defined must be as it is without us, byte for byte in the file."""
import argparse
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import fabric

# enum partitions_refusal of pkey/partitions.h: OpenSM reads these, in a way that nobody would expect.
STRICTER = {5: "bare semicolon", 6: "long line", 7: "control character", 8: "odd number", 9: "no PKey", 10: "colon",
            11: "mgid"}
HOSTS = 4
SEEN = [1, 2, 3]  # hosts whose tables are compared, besides the switch


class Writer:
    """Random partition files: mostly well-formed, with the oddities that operators and editors leave, of one kind a file:
    the first thing that is refused hides all behind it."""
    KINDS = ("", "pkey", "guid", "level", "flag", "head", "mgid", "mgid", "end", "long", "damage", "damage", "keyword")

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.kind = self.random.choice(self.KINDS)

    def pick(self, *choices):
        return self.random.choice(choices)

    def chance(self, of_hundred):
        return self.random.randrange(100) < of_hundred

    def odd(self, kind, of_hundred):
        return self.kind == kind and self.chance(of_hundred)

    def blank(self):
        return self.pick("", "", "", " ", "  ", "\t", " \t")

    def pkey(self):
        n = self.pick(1, 2) if self.kind == "pkey" and self.chance(50) else self.pick(1, 2, 5, 0x10, 0x1234, 0x2345, 0x7ffe, self.random.randrange(1, 0x7fff))
        return self.pick("0x%x" % n, "0x%04x" % n, "0X%04X" % n, "%d" % n, "0%o" % n, "0x%x" % (n | 0x8000))

    def odd_pkey(self):
        return self.pick(*["0", "0x8000"] * 4, "-1", "0x12345", "", "0x", "x", "0x12g", "09", "+5", "1 2", "0xffff", "65541",
                         "18446744073709551621", "5tenant", "'5'", "0x5.0")

    def guid(self):
        n = fabric.guid_of_host(self.pick(*range(1, HOSTS + 3)))
        if self.chance(10):  # nearly one of the fabric's
            n ^= self.pick(1, 1 << 32, 1 << 63, 0xff << 32, 1 << 4 << 28)
        return self.pick("0x%016x" % n, "0x%x" % n, "0X%X" % n, "%d" % n, "0%o" % n, "0x%x" % n)

    def odd_guid(self):
        n = fabric.guid_of_host(2)
        text = "%016x" % n
        return self.pick(text, ":".join(text[i:i + 2] for i in range(0, 16, 2)), *["0", "0x0", "00"] * 3, "0x", "-1", "+%d" % n,
                         "0x1%016x" % n, "0x%x %x" % (n, n), "99999999999999999999999", "08", "x", "ALLX", "all", "All",
                         "SELFISH", "0x%xg" % n, "0x%x\r" % n, "\v0x%x" % n, "N0", "NON", "ALL_CA", "ALL_", "AL", "S",
                         "ALL_SWITCHES_", "0x%x:" % n)

    def level(self):
        if self.odd("level", 4):
            return self.pick("full\0", "full\r", "full\v", "\tfull", "=full")
        return self.pick("full", "limited", "both", "full", "limited", "f", "l", "b", "", "FULL", "xyz", "fullx", "li m")

    def port(self):
        if self.odd("guid", 15):
            word = self.odd_guid()
        elif self.chance(60 if self.kind == "keyword" else 25):
            word = self.pick("ALL", "ALL_CAS", "ALL_SWITCHES", "ALL_ROUTERS", "SELF", "NONE", "A", "ALL_", "ALL_C", "ALL_S", "ALL_R",
                             "SE", "N", "")
        else:
            word = self.guid()
        if self.chance(15 if self.kind == "flag" else 60):
            word += self.blank() + "=" + self.blank() + self.level()
        return self.blank() + word + self.blank()

    def mgid(self):
        gid = self.pick("ff12:401b::0707", "ff12::1", "ff12:401b::ffff:ffff") if self.chance(65) else self.pick(
            "fe80::1", "", "x", "ff12")
        if self.chance(30):
            return self.pick("mg", "m", "mgidx", " mgid ") + "=" + gid + self.pick("", ",sl=1")
        return "mgid=" + gid + self.pick(",sl=1", ",mtu=4,rate=3", ",Q_Key=0x123,scope=2", ",sl=0x1", ",0x%x=full" % fabric.guid_of_host(2), "")

    def flag(self):
        return self.pick("ipoib", "ipoib", "defmember=full", "defmember=limited", "defmember=both", "defmember=", "defmember",
                         "defmember=full,defmember=limited", "defmember=full,defmember=x", "defmember=full,defmember",
                         "defmember=l", "defmember=x", "d=full", "def=f", "mtu=4", "rate=3", "sl=0", "scope=2", "Q_Key=0x1b", "i", "m",
                         "unknown", "unknown=3", "", " ipoib ", "mtu=x", "TClass=1", "FlowLabel=2", "defmember = full")

    def name(self):
        return self.pick("p", "tenant_a", "Default", "x-y", "", "name with blanks", "d\u00fcsseldorf", "tenant", "pkey5",
                         "5", "0x77") if self.chance(40) else "part%d" % self.random.randrange(8)

    def head(self):
        if self.odd("head", 15):
            text = self.pick("Default", "Defaul", "p", "0x5", "17", "8", "09", "0xfx", "tenant", "", "5=0x5", "0x2c90300000021=0x5")
        else:
            text = self.name() + self.blank() + "=" + self.blank() + (self.odd_pkey() if self.odd("pkey", 20) else self.pkey())
        for _ in range(self.pick(1, 2, 3, 4) if self.kind == "flag" else self.pick(0, 0, 1, 1, 2)):
            text += "," + self.flag()
        return self.blank() + text + self.blank()

    def end(self):
        return self.pick("\n", "\n", "\n", "\n\n", "  # a comment, with ; and :\n", "\n# comment\n", " \n", "\t\n")

    def definition(self):
        text = self.head() + (self.pick("", " ", "=", "::") if self.odd("head", 10) else ":") + self.blank()
        ports = [self.port() for _ in range(self.pick(0, 1, 1, 2, 3, 6))]
        for i, port in enumerate(ports):
            text += port
            if i + 1 < len(ports):
                text += self.pick(",", ",", "," + self.end(), self.end())
        if self.odd("mgid", 60):
            text += self.end() + self.mgid()
        if self.odd("end", 6):
            return text + self.end()  # no ';'
        if self.odd("end", 8):
            return text + self.pick(";;", "\n;", " ;;", "\r\n;") + self.end()
        return text + self.blank() + (";" if text.strip()[-1:] not in ("\n",) else "") + self.pick(
            "", "", " ", "") + self.pick(self.end(), self.end(), self.end(), "")

    def file(self):
        text = ""
        if self.chance(80):
            text += fabric.DEFAULT if self.chance(70) else self.pick(
                "Default=0x7fff : ALL=full ;\n", "Default : ALL=limited, SELF=full ;\n", "Default=0x7fff : ;\n",
                "0x7fff : SELF=full, ALL_SWITCHES=full ;\n", "Default=0x7fff,ipoib,defmember=full : ALL, 0x2c90300000031=limited ;\n")
        for _ in range(self.pick(0, 1, 1, 2, 3, 4)):
            text += self.definition()
        data = text.encode()
        if self.odd("long", 80):
            data = self.stretched(data)
        if self.odd("damage", 80):
            data = self.damaged(data)
        return data

    def stretched(self, data):
        """One line as long as OpenSM reads at once, or a byte more or less."""
        lines = data.split(b"\n")
        at = self.random.randrange(len(lines))
        missing = self.pick(4094, 4095, 4095, 4095, 4096, 5000) - len(lines[at]) - 1  # its line feed counts
        lines[at] += self.pick(b" " * missing, b"#" + b"x" * (missing - 1), b"#" + b" " * (missing - 2) + b",")
        return b"\n".join(lines)

    def members(self):
        """Ours: (PKey, GUID, level), each GUID once a PKey."""
        found = {}
        for _ in range(self.pick(0, 1, 2, 5, 12)):
            n = fabric.guid_of_host(self.pick(*range(1, HOSTS + 3)))
            found[self.pick(0x5 if self.chance(10) else 0x78, 0x77, 0x3331, 0x4442, 0x7ff0, 0x7ffc), n] = self.pick("full", "limited")
        return [(pkey, guid, level) for (pkey, guid), level in found.items()]

    def damaged(self, data):
        data = bytearray(data)
        for _ in range(self.pick(1, 1, 2)):
            kind = self.random.randrange(8)
            at = self.random.randrange(len(data) + 1)
            if kind == 0:
                del data[at:]
            elif kind == 1:
                del data[at:at + self.pick(1, 1, 2, 10)]
            elif kind == 2:
                data[at:at] = self.pick(b";", b":", b",", b"=", b"#", b"\n", b"\r\n", b"\0", b" ", b"\t", b"0", b"\xff", b"\v")
            elif kind == 3:
                data = data.replace(b"\n", b"\r\n")
            elif kind == 4:
                data = bytearray(b"\xef\xbb\xbf") + data
            elif kind == 5:
                data[at:at] = b" " * self.pick(100, 4000, 4093, 5000)
            elif kind == 6:
                data[at:at] = b"# " + b"x" * self.pick(100, 4092, 5000) + b"\n"
            else:
                line = bytes(data).split(b"\n")
                line.insert(self.random.randrange(len(line) + 1), self.pick(*line))
                data = bytearray(b"\n".join(line))
        return bytes(data)


class Ours:
    """Our parser, as a program that answers file names."""

    def __init__(self, program, ports):
        self.child = subprocess.Popen([program] + ports, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, path):
        self.child.stdin.write(path + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise fabric.Failed("our parser ended: status %s" % self.child.wait())
        words = line.split()
        if words[0] == "refused":
            return int(words[1]), line.strip(), None
        tables = {}
        for word in words[1:]:
            guid, pkey, level = word.split(":")
            tables.setdefault(int(guid, 16), {})[int(pkey, 16)] = level == "full"
        return 0, "accepted", tables

    def replace(self, path, out, members):
        self.child.stdin.write("replace %s %s %s\n" % (path, out, " ".join("%x:%x:%s" % member for member in members)))
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise fabric.Failed("our writer ended: status %s" % self.child.wait())
        return line.startswith("replaced")

    def close(self):
        self.child.stdin.close()
        self.child.wait(10)


class Comparison:
    def __init__(self, program):
        self.fabric = fabric.Fabric(HOSTS)
        lids = self.fabric.lids()
        switch = [guid for guid in lids if guid >> 32 == 0x0002c904][0]
        self.ports = {fabric.guid_of_host(i): lids[fabric.guid_of_host(i)] for i in SEEN}
        self.ports[switch] = lids[switch]
        self.ours = Ours(program, ["%016x:%s%s" % (guid, "switch" if guid == switch else "ca",
                                                    ":sm" if guid == fabric.guid_of_host(1) else "") for guid in self.ports])
        self.restarts = 0

    def close(self):
        self.ours.close()
        self.fabric.close()

    def theirs(self, data):
        """Whether OpenSM accepts it, and the ports' tables then; None: it died of it."""
        if self.fabric.opensm is None:
            self.fabric.write(fabric.DEFAULT)
            self.fabric.start_opensm()
        self.fabric.write(fabric.DEFAULT)
        if not self.fabric.reload():
            raise fabric.Failed("OpenSM refuses the file that is good")
        self.fabric.write(data)
        try:
            accepted = self.fabric.reload()
        except fabric.Failed:
            if self.fabric.opensm.poll() is None:
                raise
            self.fabric.opensm = None
            self.restarts += 1
            return None, None
        return accepted, {guid: self.fabric.pkeys(lid) for guid, lid in self.ports.items()} if accepted else None

    def compare(self, seed):
        """(what is wrong or None, the reason of a stricter refusal or None, whether both accepted)"""
        data = Writer(seed).file()
        why, text, tables = self.ours.read(self.put(data))
        accepted, theirs = self.theirs(data)
        if accepted is None:
            return ("seed %d: OpenSM died of what ours accepts" % seed if why == 0 else None), why or None, False
        if why == 0 and not accepted:
            return "seed %d: OpenSM refuses what ours accepts" % seed, None, False
        if why and accepted:
            if why not in STRICTER or not is_justified(why, text):
                return "seed %d: OpenSM accepts, ours: %s" % (seed, text), None, False
            return None, why, False
        if why == 0:
            for guid in self.ports:
                if tables.get(guid, {}) != theirs[guid]:
                    return "seed %d: port %x: ours %s, OpenSM %s" % (seed, guid, shown(tables.get(guid, {})),
                                                                   shown(theirs[guid])), None, True
        return None, None, why == 0

    def tables(self, data):
        """What the ports show of a file that OpenSM has to accept; None: it does not."""
        accepted, tables = self.theirs(data)
        return tables if accepted else None

    def replace(self, data, members):
        """The text with our part as it should be; None: ours refuses to."""
        out = os.path.join(self.fabric.folder, "conf", "replaced")
        if not self.ours.replace(self.put(data), out, members):
            return None
        with open(out, "rb") as f:
            return f.read()

    def compare_block(self, seed):
        """(what is wrong or None, whether our part was put in)"""
        writer = Writer(1000003 * seed)
        foreign = (fabric.DEFAULT.encode() if writer.chance(80) else b"") + writer.file()
        first, second = writer.members(), writer.members()
        text = self.replace(foreign, first)
        if text is None:
            return None, False
        problem = self.check_block(foreign, b"", text, first)
        if problem:
            return "block %d: %s" % (seed, problem), True
        head = text[:text.index(b"# BEGIN ufmsync")]
        tail = b"".join(writer.definition().encode() for _ in range(writer.pick(0, 0, 1, 2)))
        text = self.replace(text + tail, second)  # the operator went on behind our part
        if text is None:
            return None, True
        problem = self.check_block(head, tail, text, second) or self.check_empty(head, tail, text)
        return problem and "block %d, changed: %s" % (seed, problem), True

    def check_block(self, head, tail, text, members):
        begin, end = text.index(b"# BEGIN ufmsync"), text.index(b"# END ufmsync\n") + len(b"# END ufmsync\n")
        if text[:begin] not in (head, head + b"\n") or text[end:] != tail:
            return "the operator's text is not what it was"
        alone, both = self.tables(text[:begin] + text[end:]), self.tables(text)
        if both is None:
            return "OpenSM refuses it"
        if alone is None:
            return "OpenSM refuses the operator's part, ours does not"
        pkeys = {pkey for pkey, _, _ in members}
        for guid in self.ports:
            ours = {pkey: level == "full" for pkey, of, level in members if of == guid}
            if {pkey: full for pkey, full in both[guid].items() if pkey in pkeys} != ours:
                return "port %x: %s instead of %s" % (guid, shown(both[guid]), shown(ours))
            if {pkey: full for pkey, full in both[guid].items() if pkey not in pkeys} != alone[guid]:
                return "port %x: %s, without us %s" % (guid, shown(both[guid]), shown(alone[guid]))
        return None

    def check_empty(self, head, tail, text):
        """The last member goes: nothing of ours is left in the ports."""
        empty = self.replace(text, [])
        if empty is None:
            return "ours refuses to empty it"
        return self.check_block(text[:text.index(b"# BEGIN ufmsync")], tail, empty, [])

    def put(self, data):
        path = os.path.join(self.fabric.folder, "conf", "compared")
        with open(path, "wb") as f:
            f.write(data)
        return path


def is_justified(why, text):
    """Where it is easily seen whether the reason that ours names is there at all."""
    word = re.search(r'line \d+: "([^"]*)": a partition without a PKey', text)
    if STRICTER[why] != "no PKey" or not word or not word[1][:1].isdigit():
        return True
    return re.fullmatch(r"(0[xX]0*8?0*|0[0-7]*|\d+)", word[1]) is not None and value_of(word[1]) & 0x7fff == 0


def value_of(text):
    return int(text, 16) if text[:2].lower() == "0x" else int(text, 8 if text[0] == "0" else 10)


def shown(table):
    return " ".join("0x%04x=%s" % (pkey, "full" if full else "limited") for pkey, full in sorted(table.items()))


def compare_some(program, seeds, blocks):
    comparison = Comparison(program)
    problems, stricter, agreed, refused, put_in = [], {}, 0, 0, 0
    try:
        for seed in blocks:
            problem, done = comparison.compare_block(seed)
            problems += [problem] if problem else []
            put_in += done
        for seed in seeds:
            problem, why, both = comparison.compare(seed)
            if problem:
                problems.append(problem)
            elif why:
                stricter[why] = stricter.get(why, 0) + 1
            elif both:
                agreed += 1
            else:
                refused += 1
    finally:
        comparison.close()
    return problems, stricter, agreed, refused, comparison.restarts, put_in


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--blocks", type=int, help="files that our part is put into")
    parser.add_argument("--seed", type=int, default=1, help="of the first file; the others follow")
    parser.add_argument("--eval", default="build/tests/partitions_eval")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, help="print the file of this seed and end")
    options = parser.parse_args()
    if options.show is not None:
        sys.stdout.buffer.write(Writer(options.show).file())
        return 0
    program = os.path.abspath(options.eval)
    blocks_wanted = options.files // 5 if options.blocks is None else options.blocks
    seeds = range(options.seed, options.seed + options.files)
    blocks = range(options.seed, options.seed + blocks_wanted)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda i: compare_some(program, seeds[i::options.jobs], blocks[i::options.jobs]), range(options.jobs)))
    problems, stricter, restarts = [], {}, 0
    agreed = refused = put_in = 0
    for more, reasons, both, neither, deaths, done in results:
        put_in += done
        problems += more
        agreed, refused, restarts = agreed + both, refused + neither, restarts + deaths
        for why, n in reasons.items():
            stricter[why] = stricter.get(why, 0) + n
    for problem in problems:
        print(problem)
    print("both accept, same members: %d; both refuse: %d; stricter: %s; OpenSM died: %d" % (
        agreed, refused, ", ".join("%s %d" % (STRICTER.get(why, why), n) for why, n in sorted(stricter.items())) or "0",
        restarts))
    print("our part put into %d of %d files" % (put_in, blocks_wanted))
    if put_in < blocks_wanted // 3:
        problems.append("our part is refused too often")
    print("%d passed, %d failed" % (options.files + blocks_wanted - len(problems), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
