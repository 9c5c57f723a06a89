#!/usr/bin/env python3
"""A program that runs on nodes needs no dynamic linker and no library there: no PT_INTERP, no DT_NEEDED.

usage: check_static.py PROGRAM        exit 1 and what it needs when it needs anything
       check_static.py --shared FILE  the other way round: shows that the check can fail
"""
import struct
import sys

PT_DYNAMIC, PT_INTERP = 2, 3
DT_NULL, DT_NEEDED = 0, 1


def needs(path):
    with open(path, "rb") as f:
        elf = f.read()
    if elf[:5] != b"\x7fELF\x02":
        sys.exit("%s: not a 64-bit ELF file" % path)
    order = "<" if elf[5] == 1 else ">"
    table, = struct.unpack_from(order + "Q", elf, 32)
    size, count = struct.unpack_from(order + "HH", elf, 54)
    found = []
    for i in range(count):
        kind, _, offset, _, _, length = struct.unpack_from(order + "IIQQQQ", elf, table + i * size)
        if kind == PT_INTERP:
            found.append("the dynamic linker " + elf[offset:offset + length].rstrip(b"\0").decode())
        elif kind == PT_DYNAMIC:
            for at in range(offset, offset + length, 16):
                tag, _ = struct.unpack_from(order + "QQ", elf, at)
                if tag == DT_NULL:
                    break
                if tag == DT_NEEDED:
                    found.append("a shared library")
    return found


def main():
    shared = sys.argv[1] == "--shared"
    found = needs(sys.argv[-1])
    print("%s needs %s" % (sys.argv[-1], ", ".join(found) or "nothing"))
    return bool(found) != shared


sys.exit(main())
