#!/usr/bin/env python3
"""The demonstration shows what it says, and leaves nothing behind: neither when it is through, nor when it is ended in the
middle.

usage: tests/deploy/test_demo.py [--opensm] [--command "deploy/demo --opensm"]"""
import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAYS = {
    "ufm": [r"tenant-a/own-guid .* 02:00:00:00:00:ab:cd:ef", r"UFM is empty|no partition but the management partition",
            r"ufmsyncctl guid 02:00:00:00:00:ab:cd:ef\n(?s:.*)pod tenant-a/own-guid",
            r"waits for NetworkAttachmentDefinition tenant-b/later", r"0 differences, 9 right(?s:.*)no PKey is in use",
            r"Everything is stopped\."],
    "opensm": [r"\| storage=0x7000,ipoib : ALL=full ;", r"\| # BEGIN ufmsync", r"\| 0x0002c90300000031=full",
               r"host 3 .* 0x8005\n", r"host 5 .* 0x8006\n", r"Owner +pod tenant-b/b1",
               r"0 differences, 4 right(?s:.*)no PKey is in use", r"The pods are deleted:(?s:.*)host 3 .* 0x7fff 0xf000\n",
               r"Everything is stopped\."],
}


def left(folder):
    """Processes that name the demonstration's folder: each of its programs has a file in it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            about = b""
            for name in ("cmdline", "environ"):
                with open("/proc/%s/%s" % (pid, name), "rb") as f:
                    about += f.read()
            if folder.encode() in about and int(pid) != os.getpid():
                found.append("%s %s" % (pid, about.split(b"\0")[0].decode(errors="replace")))
        except OSError:
            pass  # it has just ended, or is none of ours
    return found


def expect_nothing_left(folder):
    end = time.monotonic() + 10
    while left(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left(folder), left(folder)


def start(command, folder):
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env=dict(os.environ, TMPDIR=folder))


def shows_all(command, folder, wanted):
    child = start(command, folder)
    said, _ = child.communicate(timeout=900)
    assert child.returncode == 0, said
    for pattern in wanted:
        assert re.search(pattern, said), "%s is not in:\n%s" % (pattern, said)
    expect_nothing_left(folder)
    assert not os.listdir(folder), os.listdir(folder)


def ends_in_the_middle(command, folder):
    child = start(command, folder)
    for line in child.stdout:
        if "pods were created" in line:
            break
    child.send_signal(signal.SIGTERM)
    child.stdout.read()
    assert child.wait(60) != 0
    expect_nothing_left(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opensm", action="store_true")
    parser.add_argument("--command")
    options = parser.parse_args()
    command = shlex.split(options.command or "deploy/demo" + (" --opensm" if options.opensm else ""))
    folder = tempfile.mkdtemp(prefix="ufmsync-test-demo-")
    try:
        shows_all(command, folder, SAYS["opensm" if options.opensm else "ufm"])
        ends_in_the_middle(command, folder)
        print("2 passed")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
