#!/usr/bin/env python3
"""Runs a program as a container engine runs it in a pod with restricted rights: a root file system of its own that is
read-only, /proc and a small /dev, the given uid, no capability, no new privilege.  It becomes that program: signals reach it,
and its exit status is this one's.

usage: container.py [--uid UID] [--bind FOLDER[:INSIDE]]... ROOT PROGRAM [ARGUMENT ...]

A bound folder is writable where the uid may write, under the same path inside unless another is given; mount points are made
in ROOT, as an engine does.  The network is the caller's.  Without root's rights the uid is the caller's own.
"""
import argparse
import ctypes
import errno
import os
import sys

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWIPC, CLONE_NEWUTS = 0x20000, 0x10000000, 0x8000000, 0x4000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, LAST_CAPABILITY = 24, 38, 63
libc = ctypes.CDLL(None, use_errno=True)


def call(what, result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))


def mount(source, target, flags, kind=None, options=None):
    call("mount " + target, libc.mount(source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags),
                                       options and options.encode()))


def own_namespaces():
    if os.geteuid() == 0:
        return call("unshare", libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS))
    uid, gid = os.getuid(), os.getgid()
    call("unshare", libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS))
    for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
        with open("/proc/self/" + name, "w") as f:
            f.write(text)


def set_up(root, folders):
    own_namespaces()
    mount("none", "/", MS_REC | MS_PRIVATE)
    mount(root, root, MS_BIND | MS_REC)
    for bind in ["/proc"] + folders:
        folder, _, inside = bind.partition(":")
        os.makedirs(root + (inside or folder), exist_ok=True)
        mount(folder, root + (inside or folder), MS_BIND | MS_REC)
    os.makedirs(root + "/dev", exist_ok=True)
    mount("tmpfs", root + "/dev", MS_NOSUID, "tmpfs", "mode=755,size=64k")
    for name in ("null", "zero", "full", "random", "urandom"):
        open(root + "/dev/" + name, "w").close()
        mount("/dev/" + name, root + "/dev/" + name, MS_BIND)
    mount("none", root + "/dev", MS_REMOUNT | MS_RDONLY | MS_NOSUID, None)
    mount("none", root, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def give_up_rights(uid):
    call("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for capability in range(LAST_CAPABILITY + 1):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() == errno.EINVAL:
            break  # the kernel knows no further ones
    if os.getuid() == 0 and os.stat("/proc/self").st_uid == 0 and is_mapped(uid):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def is_mapped(uid):
    with open("/proc/self/uid_map") as f:
        return any(int(first) <= uid < int(first) + int(count) for first, _, count in map(str.split, f))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--uid", type=int, default=65532)
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("root")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    root = os.path.realpath(options.root)
    set_up(root, options.bind)
    os.chroot(root)
    os.chdir("/")
    give_up_rights(options.uid)
    os.execve(options.program, [options.program, *options.arguments], dict(os.environ))


try:
    main()
except OSError as problem:
    sys.exit("container.py: %s" % problem)
