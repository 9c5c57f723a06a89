"""Network namespaces of a scenario's own: one that plays the node's, others for pods."""
import json
import os
import subprocess

from scenario import Skip
from servers import Failed, eventually


class Namespace:
    """Lives as long as a process in it, which ends when our end of its pipe is closed, or we are gone."""

    def __init__(self):
        self.child = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE)
        self.path = "/proc/%d/ns/net" % self.child.pid
        own = os.readlink("/proc/self/ns/net")

        def entered():
            if self.child.poll() is not None:
                raise Skip("network namespaces are not permitted here: " + self.child.stderr.read().decode().strip())
            return os.readlink(self.path) != own
        eventually("a network namespace", entered)
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *argv):
        return ["nsenter", "--net=" + self.path, *argv]

    def run(self, *argv):
        done = subprocess.run(self.command(*argv), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Failed("%s: %s" % (" ".join(argv), done.stderr))
        return done.stdout

    def links(self):
        """{name: {"mac", "addresses"}}"""
        return {link["ifname"]: {"mac": link.get("address"), "addresses": [a["local"] for a in link["addr_info"]]}
                for link in json.loads(self.run("ip", "-j", "addr"))}

    def end(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stderr.close()
