#!/usr/bin/env python3
"""What pkey/umad sees of a fabric, held against infiniband-diags and the topology: real OpenSM on ibsim."""
import argparse
import os
import sys
import time

import fabric
from fabric import Fabric, Failed, guid_of_host


class Probe:
    def __init__(self, program, where):
        self.program, self.fabric = program, where

    def __call__(self, *words, host=None):
        return self.fabric.tool(self.program, *words, host=host).split()

    def fails(self, *words, host=None):
        """The error's text."""
        try:
            got = self(*words, host=host)
        except Failed as error:
            return str(error)
        raise Failed("%s: succeeded: %s" % (" ".join(words), got))


def expect(what, got, wanted):
    if got != wanted:
        raise Failed("%s: %s instead of %s" % (what, got, wanted))


def same_tables_as_smpquery(f, probe):
    f.write(fabric.DEFAULT + "p=0x1234 : 0x%x=full, 0x%x ;\n" % (guid_of_host(2), guid_of_host(3)))
    f.reload()
    for guid, lid in f.lids().items():
        got = {int(word, 16) & 0x7fff: int(word, 16) > 0x7fff for word in probe("pkeys", str(lid))[1:]}
        expect("P_Keys of %x" % guid, got, f.pkeys(lid))


def the_whole_table_is_read(f, probe):
    keys = range(0x100, 0x100 + 62)
    f.write(fabric.DEFAULT + "".join("p%x=0x%x : 0x%x=full ;\n" % (key, key, guid_of_host(2)) for key in keys))
    f.reload()
    table = probe("pkeys", str(f.lids()[guid_of_host(2)]))
    expect("size", table[0], "64")
    expect("keys", {int(word, 16) for word in table[1:]}, {key | 0x8000 for key in keys} | {0x7fff})


def our_own_port_and_its_master(f, probe):
    port = probe("port", host=2)
    expect("our port", (int(port[2], 16), int(port[3]), int(port[4])),
           (guid_of_host(2), f.lids()[guid_of_host(2)], f.lids()[guid_of_host(1)]))
    expect("master", (int(probe("master", host=2)[0], 16), probe("master", host=2)[2]), (guid_of_host(1), "3"))
    expect("subnet managers", probe("managers"), ["1"])


def ports_are_found_by_guid_and_by_looking_at_all(f, probe):
    lids = f.lids()
    expect("by GUID", probe("find", "0x%016x" % guid_of_host(3)), [str(lids[guid_of_host(3)])])
    words = probe("scan", host=3)
    expect("all", {int(guid, 16): int(lid) for guid, lid in zip(words[::2], words[1::2])}, lids)
    if "gone" not in probe.fails("find", "0x0200000000000001"):
        raise Failed("a GUID of nobody is found")


def a_limited_member_is_shown_nobody_by_the_sa_and_finds_all_by_itself(f, probe):
    if "gone" not in probe.fails("find", "0x%016x" % guid_of_host(4), host=3):
        raise Failed("the subnet administrator shows more than it used to")
    expect("its own table", probe("pkeys", "0", host=3), ["64", "7fff"])


def a_wrong_sm_key_is_told_from_silence(f, probe):
    expect("right", probe("--sm-key", "1", "sm-key"), ["good"])
    for key in ("0", "77"):
        if "auth" not in probe.fails("--sm-key", key, "sm-key"):
            raise Failed("key %s passes" % key)


def a_trap_makes_the_sm_sweep_again_and_again(f, probe):
    for _ in range(3):
        before = f.sweeps()
        probe("trap", host=2)
        f.wait_sweep(before)


def without_an_sm_it_says_so(f, probe):
    f.stop_opensm()
    text = probe.fails("master")
    f.start_opensm()
    if "does not answer" not in text:
        raise Failed("not said: " + text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe", default="build/tests/fabric_probe")
    options = parser.parse_args()
    failed = 0
    tests = [same_tables_as_smpquery, the_whole_table_is_read, our_own_port_and_its_master,
             ports_are_found_by_guid_and_by_looking_at_all,
             a_limited_member_is_shown_nobody_by_the_sa_and_finds_all_by_itself, a_wrong_sm_key_is_told_from_silence,
             a_trap_makes_the_sm_sweep_again_and_again, without_an_sm_it_says_so]
    for test in tests:
        where = Fabric(6)
        begin = time.monotonic()
        try:
            test(where, Probe(os.path.abspath(options.probe), where))
            print("ok     %-72s %5.1f s" % (test.__name__, time.monotonic() - begin))
        except Failed as error:
            failed += 1
            print("FAILED %s: %s" % (test.__name__, error))
        finally:
            where.close()
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
