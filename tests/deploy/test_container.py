#!/usr/bin/env python3
"""The images' programs run with nothing but their image: read-only, as its user, without capabilities, in a network that has
only loopback.  A library that is missing there fails a test, and each that is there is needed.

usage: test_container.py SOURCE-FOLDER BUILD-FOLDER CMAKE"""

import ctypes
import fcntl
import glob
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import unittest

from image_roots import Roots

ROOT, BUILD, CMAKE = sys.argv[1:4]
sys.path.append(os.path.join(ROOT, "tests/e2e"))

import objects  # noqa: E402
from servers import MockKube, Process, eventually, kubeconfig, make_ca, make_certificate  # noqa: E402
from world import World  # noqa: E402

CONTAINER = [sys.executable, os.path.join(ROOT, "tests/deploy/container.py")]
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # where every pod has its own
CAS = "/etc/ssl/certs/ca-certificates.crt"
NAME = "ufm.fabric.test"


def own_network():
    """This process's from now on: loopback alone.  False where that is not permitted."""
    if ctypes.CDLL(None).unshare(0x40000000) != 0:  # CLONE_NEWNET
        return False
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    return True


class NameServer(threading.Thread):
    """Knows one name."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.wire_name = b"".join(bytes([len(word)]) + word.encode() for word in name.split(".")) + b"\0"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.start()

    def run(self):
        while True:
            question, asker = self.socket.recvfrom(512)
            asked = question[12:question.index(b"\0", 12) + 1]
            kind = question[12 + len(asked):][:4]
            known = asked.lower() == self.wire_name
            has = known and kind == b"\0\1\0\1"
            answer = question[:2] + (b"\x85\x80" if known else b"\x85\x83") + b"\0\1" + (b"\0\1" if has else b"\0\0") + 4 * b"\0"
            answer += asked + kind + (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if has else b"")
            self.socket.sendto(answer, asker)


def run(root, *command, binds=(), env=None, uid=65532):
    words = ["--uid=%d" % uid] + ["--bind=" + bind for bind in binds]
    return subprocess.run(CONTAINER + words + [root, *command], capture_output=True, text=True, env=env or {}, timeout=60)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Roots(ROOT, BUILD, CMAKE)
        cls.addClassCleanup(cls.made.remove)
        cls.service, cls.node = (cls.made.root(target) for target in ("service", "node"))
        entered = run(cls.service, "/usr/bin/ufmsyncd", "--version")
        if re.search(r"container.py: (unshare|mount .*): Operation not permitted", entered.stderr):
            raise unittest.SkipTest("this machine permits no mount namespaces")


class Container(Case):

    def programs(self):
        return [(root, "/" + os.path.relpath(path, root)) for root in (self.service, self.node)
                for folder in ("usr/bin", "usr/lib/cni") for path in glob.glob(os.path.join(root, folder, "*"))]

    def test_programs_run_with_nothing_else(self):
        found = self.programs()
        self.assertGreaterEqual(len(found), 4)
        for root, program in found:
            said = run(root, program, "version" if program.endswith("ctl") else "--version")
            self.assertEqual((said.returncode, said.stderr), (0, ""))
            self.assertIn(os.path.basename(program), said.stdout)

    def test_every_library_is_missed_when_it_is_not_there(self):
        """Which shows that this test finds a missing one, and that none is there for nothing."""
        for root, program in ((self.service, "/usr/bin/ufmsyncd"), (self.node, "/usr/bin/ufmsync-cni-install")):
            libraries = [path for folder in ("lib", "lib64") for path in glob.glob(os.path.join(root, folder, "**/*.so*"),
                                                                                  recursive=True)]
            self.assertTrue(libraries)
            for library in libraries:
                os.rename(library, library + ".away")
                done = run(root, program, "--version")
                os.rename(library + ".away", library)
                self.assertNotEqual(done.returncode, 0, library)

    def test_what_is_loaded_for_a_device_has_its_libraries(self):
        drivers = [path[len(self.service):] for path in glob.glob(self.service + "/usr/lib/*/libibverbs/*.so")]
        self.assertEqual({re.sub(r"-rdmav.*", "", os.path.basename(driver)) for driver in drivers}, {"libmlx4", "libmlx5"})
        for driver in drivers:
            done = run(self.service, "/usr/bin/ufmsyncd", "--version", env={"LD_PRELOAD": driver, "LD_BIND_NOW": "1"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), driver)
        missing = run(self.service, "/usr/bin/ufmsyncd", "--version", env={"LD_PRELOAD": "/no/such.so"})
        self.assertNotEqual(missing.stderr, "", "the loader says what it cannot load")

    def test_settings_are_read_and_shown(self):
        done = run(self.service, "/usr/bin/ufmsyncd", "--print-config", env={"DAEMON_SM_PLUGIN": "noop"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^DAEMON_SM_PLUGIN +noop +environment")

    def test_opensm_without_a_device_says_so(self):
        """The subnet manager's host, but without its InfiniBand port."""
        folder = os.path.join(self.made.top, "opensm")
        os.makedirs(folder)
        with open(os.path.join(folder, "partitions.conf"), "w") as f:
            f.write("Default=0x7fff,ipoib : ALL=limited, SELF=full ;\n")
        with open(os.path.join(folder, "kubeconfig"), "w") as f:
            f.write(kubeconfig(1, "/etc/ssl/certs/ca-certificates.crt", "token: x"))
        daemon = Process("ufmsyncd", CONTAINER + ["--uid=0", "--bind=%s:/etc/opensm" % folder, self.service,
                                                  "/usr/bin/ufmsyncd"], folder + "/log", {
            "DAEMON_SM_PLUGIN": "opensm", "OPENSM_PARTITIONS_FILE": "/etc/opensm/partitions.conf",
            "KUBECONFIG": "/etc/opensm/kubeconfig"})
        self.addCleanup(daemon.kill)
        eventually("it says what it has not", lambda: "no InfiniBand device" in daemon.output() or not daemon.alive(), 60)
        self.assertIn("no InfiniBand device", daemon.output())

    def test_the_installer_puts_the_plugin_on_a_node(self):
        """It resolves a name with nothing but /etc/hosts; the plugin runs on the node, where nothing else is."""
        host, volumes = (os.path.join(self.made.top, name) for name in ("host", "volumes"))
        for path, text in (("token/token", "a.b.c"), ("ca/ca.crt", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")):
            os.makedirs(os.path.dirname(os.path.join(volumes, path)))
            with open(os.path.join(volumes, path), "w") as f:
                f.write(text)
        for folder in ("opt/cni/bin", "etc/cni/net.d"):
            os.makedirs(os.path.join(host, folder))
        with open(self.node + "/etc/hosts", "w") as f:
            f.write("192.0.2.5 ufmsync.test\n")
        binds = [os.path.join(host, folder) + ":/host/" + folder for folder in ("opt/cni/bin", "etc/cni/net.d")]
        binds += [volumes + "/token:/run/ufmsync/token", volumes + "/ca:/run/ufmsync/ca"]
        installer = ["/usr/bin/ufmsync-cni-install", "--server=ufmsync.test:8443"]
        os.makedirs(self.node + "/host/opt/cni/bin")
        os.makedirs(self.node + "/host/etc/cni/net.d")
        unbound = run(self.node, *installer, "--once", uid=0, binds=binds[2:])
        self.assertNotEqual(unbound.returncode, 0)
        self.assertIn("Read-only file system", unbound.stderr)
        done = run(self.node, *installer, "--once", uid=0, binds=binds)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run(self.node, *installer, "--check", uid=0, binds=binds).returncode, 0)
        with open(os.path.join(host, "etc/cni/net.d/ufmsync.d/ufmsync.conf")) as f:
            self.assertIn("192.0.2.5:8443", f.read())
        said = run(host, "/opt/cni/bin/ufmsync", uid=0, env={"CNI_COMMAND": "VERSION"})
        self.assertIn('"supportedVersions"', said.stdout)


@unittest.skipUnless(own_network(), "this machine permits no network of a test's own")
class Life(Case):
    """The service in its image as a pod has it: the API server by the environment and the mounted service account, UFM by a
    name that the name server knows and a certificate of a CA that the system trusts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        NameServer(NAME)
        with open(cls.service + "/etc/resolv.conf", "w") as f:
            f.write("nameserver 127.0.0.1\noptions ndots:5 timeout:5\nsearch kube-system.svc.cluster.local\n")

    def setUp(self):
        path = lambda name: os.path.join(self.made.top, name)
        for name in ("kube", "world", "account", "tls"):
            os.makedirs(path(name))
        self.kube = MockKube(os.path.join(BUILD, "bin"), path("kube"))
        self.addCleanup(self.kube.end)
        with open(path("account/token"), "w") as f:
            f.write(self.kube.TOKEN)
        shutil.copyfile(self.kube.ca, path("account/ca.crt"))
        self.world = World(self.kube, os.path.join(BUILD, "bin"), path("world"))
        make_ca(lambda name: path("tls/" + name))
        with open(path("tls/san"), "w") as f:
            f.write("subjectAltName=DNS:%s\n" % NAME)
        make_certificate(lambda name: path("tls/" + name), "ufm", "/CN=ufm", "-extfile", path("tls/san"))
        self.world.start_ufm(arguments=("--cert", path("tls/ufm.crt"), "--key", path("tls/ufm.key")))
        self.addCleanup(self.world.close)
        self.world.binaries = "/usr/bin"  # inside
        self.world.wrapper = CONTAINER + ["--bind=%s:%s" % (path("account"), ACCOUNT), self.service]

    def start(self, **more):
        return self.world.start(UFM_ADDRESS=NAME, UFM_CERTIFICATE=None, KUBECONFIG=None, KUBERNETES_SERVICE_HOST="127.0.0.1",
                                KUBERNETES_SERVICE_PORT=self.kube.port, **more)

    def trust(self, ca):
        with open(self.service + CAS) as f:
            trusted = f.read()
        with open(ca) as f:
            trusted += f.read()
        with open(self.service + CAS, "w") as f:
            f.write(trusted)

    def test_a_whole_life(self):
        daemon = self.start(wait=False)
        eventually("UFM's certificate is of no CA that the system trusts", lambda: daemon.said("FABRIC_LOGIN_REFUSED"), 60)
        self.assertIn("certificate", daemon.said("FABRIC_LOGIN_REFUSED")[0]["message"])
        daemon.stop()
        self.trust(os.path.join(self.made.top, "tls/ca.crt"))
        daemon = self.start()
        self.check_rights(daemon)
        world = self.world
        world.nad("ib", objects.ib_config("0x5"))
        world.pod("p", "ib")
        guid = world.guid("p")
        self.assertIn(guid, world.members(5))
        # What kubectl exec runs.
        told = run(self.service, "/usr/bin/ufmsyncctl", "pods", "-A", "--direct", "-o", "name", env=daemon.env,
                   binds=[os.path.join(self.made.top, "account") + ":" + ACCOUNT])
        self.assertIn("/p", told.stdout, told.stderr)
        world.delete_pod("p")
        world.gone_from_ufm(guid)
        daemon.stop()

    def check_rights(self, daemon):
        with open("/proc/%d/status" % daemon.process.child.pid) as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        if os.geteuid() == 0:
            self.assertEqual((status["Uid"], status["Gid"], status["Groups"].strip()),
                             ("\t".join(4 * ["65532"]), "\t".join(4 * ["65532"]), ""))
        self.assertEqual(status["NoNewPrivs"], "1")
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
