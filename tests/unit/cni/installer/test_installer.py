#!/usr/bin/env python3
"""ufmsync-cni-install on folders that play a node.  Usage: test_installer.py PATH_OF_UFMSYNC_CNI_INSTALL"""

import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "e2e"))
import produced  # noqa: E402

INSTALLER = ""
TOKEN, TOKEN2 = "eyJhbGciOi.first-4711.sig", "eyJhbGciOi.second-4712.sig"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
OURS = ("token", "ca.crt", "ufmsync.conf", ".turn")


def write(path, content, mode=0o644):
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class Running:
    """An installer that stays; its log is read line by line, and that is how tests wait for what it does."""

    def __init__(self, argv, logs, **more):
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, **more)
        self.logs = logs

    def until(self, *ids):
        """Until each of them was said, in whatever order; the last message."""
        wanted = set(ids)
        watch = threading.Timer(30, self.process.kill)  # what it never says must not hold the test for ever
        watch.start()
        try:
            for line in self.process.stderr:
                self.logs.append(line)
                message = json.loads(line)
                wanted.discard(message["id"])
                if not wanted:
                    return message
        finally:
            watch.cancel()
        raise AssertionError("it did not say %s:\n%s" % (", ".join(wanted), "".join(self.logs)))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.logs.append(self.process.stderr.read())
        return self.process.wait(30)

    def clean(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class Node(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="test-installer-")
        self.addCleanup(shutil.rmtree, self.top)
        self.logs = []
        for name in ("bin", "conf", "image", "ca"):
            os.mkdir(self.path(name))
        write(self.path("image/plugin"), b"\x7fELF first", 0o755)
        write(self.path("ca/ca.crt"), CERTIFICATE % "Rmlyc3Q=")
        self.volumes = 0
        self.rotate(TOKEN)
        self.installed, self.folder = self.path("bin/ufmsync"), self.path("conf/ufmsync.d")

    def tearDown(self):
        if produced.FILE:
            produced.add(produced.FILE, produced.of_log("\n".join(self.logs)))
        for text in self.logs:
            self.assertNotIn("4711", text, "the token is in the log")
            self.assertNotIn("4712", text, "the token is in the log")

    def path(self, name):
        return os.path.join(self.top, name)

    def rotate(self, token):
        """As the kubelet does it: a new folder, ..data turned to it in one step, the old folder gone."""
        self.volumes += 1
        volume, old = "..2026_%d" % self.volumes, "..2026_%d" % (self.volumes - 1)
        os.makedirs(self.path("token/" + volume))
        write(self.path("token/%s/token" % volume), token)
        os.symlink(volume, self.path("token/..data_tmp"))
        os.rename(self.path("token/..data_tmp"), self.path("token/..data"))
        if self.volumes == 1:
            os.symlink("..data/token", self.path("token/token"))
        else:
            shutil.rmtree(self.path("token/" + old))

    def argv(self, *words, server="192.0.2.7:8443"):
        return [INSTALLER, "--plugin=" + self.path("image/plugin"), "--ca=" + self.path("ca/ca.crt"),
                "--token=" + self.path("token/token"), "--host-bin=" + self.path("bin"),
                "--host-conf=" + self.path("conf"), "--server=" + server, "--server-name=ufmsync.kube-system.svc",
                "--node=gpu-17", "--log-format=json", "--interval=20ms", *words]

    def run_one(self, *words, code=0, **more):
        """Runs it to its end; its log and output."""
        server = {"server": more.pop("server")} if "server" in more else {}
        done = subprocess.run(self.argv(*words, **server), capture_output=True, text=True, timeout=60, **more)
        self.logs += [done.stdout, done.stderr]
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def start(self, *words, **more):
        running = Running(self.argv(*words, **more), self.logs)
        self.addCleanup(running.clean)
        return running

    def conf(self):
        return json.loads(read(os.path.join(self.folder, "ufmsync.conf")))

    def token(self):
        return read(os.path.join(self.folder, "token")).decode()

    def temporary_files(self):
        folders = [self.path("bin")] + ([self.folder] if os.path.exists(self.folder) else [])
        return [name for folder in folders for name in os.listdir(folder) if name.endswith(".new")]


class Installs(Node):
    def test_everything_is_there_and_private_whatever_the_umask(self):
        for umask in (0, 0o77, 0o777):
            self.run_one("--once", umask=umask)
            self.assertEqual(self.run_one("--check"), "")
            self.assertEqual((mode(self.installed), mode(self.folder)), (0o755, 0o700))
            self.assertEqual({name: mode(os.path.join(self.folder, name)) for name in os.listdir(self.folder)},
                             dict.fromkeys(OURS, 0o600))
            self.assertEqual(read(self.installed), b"\x7fELF first")
            self.assertEqual(self.token(), TOKEN)
            self.assertEqual(self.conf(), {
                "server": "192.0.2.7:8443", "serverName": "ufmsync.kube-system.svc", "ca": "ca.crt", "token": "token",
                "node": "gpu-17"})
            os.remove(self.installed)
            shutil.rmtree(self.folder)

    def test_what_is_right_already_is_left_alone(self):
        files = [self.installed] + [os.path.join(self.folder, name) for name in OURS if name != ".turn"]
        self.run_one("--once")
        before = [os.stat(path).st_ino for path in files]
        said = self.run_one("--once")
        self.assertEqual([os.stat(path).st_ino for path in files], before)
        self.assertNotIn("NODE_FILE", said)
        self.assertNotIn("PLUGIN_INSTALLED", said)

    def test_a_running_plugin_is_replaced_and_runs_on(self):
        shutil.copy("/bin/sleep", self.path("image/plugin"))
        installer = self.start()
        installer.until("NODE_RIGHT")
        plugin = subprocess.Popen([self.installed, "1000"])
        self.addCleanup(plugin.wait)
        self.addCleanup(plugin.kill)
        shutil.copy("/bin/echo", self.path("image/next"))
        os.rename(self.path("image/next"), self.path("image/plugin"))
        installer.until("PLUGIN_INSTALLED")
        self.assertEqual(subprocess.check_output([self.installed, "new"]), b"new\n")
        self.assertIsNone(plugin.poll(), "the old one still runs")
        self.assertEqual(installer.end(), 0)

    def test_somebody_elses_change_is_undone(self):
        installer = self.start()
        installer.until("NODE_RIGHT")
        write(self.installed, "tampered", 0o755)
        installer.until("PLUGIN_INSTALLED")
        self.assertEqual(read(self.installed), b"\x7fELF first")
        os.chmod(os.path.join(self.folder, "token"), 0o644)
        installer.until("NODE_TOKEN")
        self.assertEqual(mode(os.path.join(self.folder, "token")), 0o600)
        os.rename(self.folder, self.path("away"))
        installer.until("NODE_TOKEN", "NODE_CA", "NODE_FILE")
        self.assertEqual(installer.end(), 0)
        self.run_one("--check")

    def test_rotated_token_and_ca_are_on_the_node_at_once(self):
        installer = self.start()
        installer.until("NODE_RIGHT")
        self.rotate(TOKEN2)
        installer.until("NODE_TOKEN")
        self.assertEqual(self.token(), TOKEN2)
        write(self.path("ca/next"), CERTIFICATE % "U2Vjb25k")
        os.rename(self.path("ca/next"), self.path("ca/ca.crt"))
        installer.until("NODE_CA")
        self.assertEqual(installer.end(), 0)
        self.assertEqual(self.run_one("--check"), "")

    def test_check_says_what_is_not_up_to_date(self):
        self.assertIn("missing", self.run_one("--check", code=1))
        self.assertFalse(os.path.exists(self.folder), "it changes nothing")
        self.run_one("--once")
        self.rotate(TOKEN2)
        self.assertIn("token", self.run_one("--check", code=1))
        self.run_one("--once")
        self.assertIn("ufmsync.conf", self.run_one("--check", "--timeout=9s", code=1))
        write(self.path("image/plugin"), b"\x7fELF later")
        self.assertIn("ufmsync on the node", self.run_one("--check", code=1))
        os.symlink(self.path("image/plugin"), self.path("bin/next"))
        os.rename(self.path("bin/next"), self.installed)
        self.assertIn("ufmsync on the node", self.run_one("--check", code=1))


class Updates(Node):
    """A DaemonSet's update with maxSurge: for a while there are two on one node, each with a token of its own."""

    def older_and_newer(self):
        older = self.start()
        older.until("NODE_RIGHT")
        write(self.path("newer-token"), TOKEN2)
        newer = self.start("--token=" + self.path("newer-token"))
        newer.until("NODE_RIGHT")
        return older, newer

    def test_the_newer_one_works_and_the_older_one_stands_back(self):
        older, newer = self.older_and_newer()
        self.assertEqual(self.token(), TOKEN2)
        older.until("STANDING_BACK")
        os.remove(os.path.join(self.folder, "token"))
        newer.until("NODE_TOKEN")
        self.assertEqual(self.token(), TOKEN2)
        self.assertEqual(older.end(), 0)
        self.assertNotIn("NODE_TOKEN", self.logs[-1])
        self.run_one("--check", "--token=" + self.path("newer-token"))
        self.assertEqual(newer.end(), 0)

    def test_the_older_one_goes_on_however_the_newer_one_ends(self):
        for end in (lambda process: process.terminate(), lambda process: process.kill()):
            older, newer = self.older_and_newer()
            older.until("STANDING_BACK")
            end(newer.process)
            newer.process.wait()
            older.until("NODE_TOKEN")
            older.until("NODE_RIGHT")
            self.assertEqual(self.token(), TOKEN)
            self.assertEqual(older.end(), 0)


class Fails(Node):
    def test_a_missing_token_keeps_nothing_else_back(self):
        os.rename(self.path("token"), self.path("away"))
        installer = self.start()
        message = installer.until("INSTALL_FAILED")
        self.assertIn(self.path("token/token"), message["message"])
        installer.until("PLUGIN_INSTALLED")
        self.assertTrue(os.path.exists(os.path.join(self.folder, "ca.crt")))
        self.assertIn("token", self.run_one("--check", code=1))
        os.rename(self.path("away"), self.path("token"))
        installer.until("NODE_RIGHT")
        self.assertEqual(installer.end(), 0)

    def test_bad_sources_never_replace_good_files(self):
        self.run_one("--once")
        self.rotate("two\nlines")
        write(self.path("ca/ca.crt"), (CERTIFICATE % "x") + "-----BEGIN PRIVATE KEY-----\n")
        write(self.path("image/plugin"), "")
        said = self.run_one("--once", code=1)
        for text in ("is not a token", "private key", "is empty"):
            self.assertIn(text, said)
        self.assertEqual(self.token(), TOKEN)
        self.assertEqual(read(self.installed), b"\x7fELF first")
        self.assertIn("Rmlyc3Q=", read(os.path.join(self.folder, "ca.crt")).decode())

    def test_a_missing_folder_says_what_to_do(self):
        os.rmdir(self.path("bin"))
        os.rmdir(self.path("conf"))
        said = self.run_one("--once", code=1)
        for text in ("--host-bin", "--host-conf", self.path("bin"), self.path("conf")):
            self.assertIn(text, said)

    def test_a_planted_link_leads_nowhere(self):
        os.mkdir(self.path("elsewhere"))
        os.symlink(self.path("elsewhere"), self.folder)
        self.assertIn("remove it", self.run_one("--once", code=1))
        self.assertEqual(os.listdir(self.path("elsewhere")), [])
        os.remove(self.folder)
        os.mkdir(self.folder)
        os.remove(self.installed)
        write(self.path("elsewhere/file"), "precious")
        for name in OURS:
            os.symlink(self.path("elsewhere/file"), os.path.join(self.folder, name))
            os.symlink(self.path("elsewhere/file"), os.path.join(self.folder, ".%s.new" % name))
        os.symlink(self.path("elsewhere/file"), self.installed)
        self.run_one("--once")
        self.assertEqual(read(self.path("elsewhere/file")), b"precious")
        self.run_one("--check")

    def test_two_do_not_work_at_once(self):
        held = os.open(self.path("bin"), os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        self.assertIn("another installer", self.run_one("--once", code=1))
        os.close(held)
        self.run_one("--once")

    def test_bad_options_exit_2(self):
        for words in (["--server=nowhere"], ["--whatever"], ["--server=a:1", "--interval=never"]):
            done = subprocess.run([INSTALLER, *words], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("ufmsync-cni-install: ", done.stderr)
        for word in ("--help", "--version"):
            self.assertIn("ufmsync-cni-install", subprocess.check_output([INSTALLER, word], text=True))

    def test_a_full_disk_leaves_the_old_files(self):
        self.run_one("--once")
        write(self.path("image/plugin"), os.urandom(200000))
        # A limit on the size of files, whose signal is ignored: write(2) fails as it does on a full disk.
        said = self.run_one("--once", code=1, restore_signals=False, preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))))
        self.assertIn("/.ufmsync.new", said)
        self.assertEqual(read(self.installed), b"\x7fELF first")
        self.assertEqual(self.temporary_files(), [])


class Ends(Node):
    def test_sigterm_ends_it(self):
        for words in ((), ("--interval=1h",), ("--remove", "--stay", "--interval=1h")):
            installer = self.start(*words)
            installer.until("NODE_RIGHT")
            self.assertEqual(installer.end(), 0)
            self.assertIn("STOPPED", self.logs[-1])

    def test_killed_in_the_middle_of_a_write_the_old_file_stays(self):
        self.run_one("--once")
        write(self.path("image/plugin"), os.urandom(200000))
        killed = subprocess.run(self.argv("--once"), capture_output=True, preexec_fn=lambda: (
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)),
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))))
        self.assertEqual(killed.returncode, -signal.SIGXFSZ)
        self.assertEqual(self.temporary_files(), [".ufmsync.new"])
        self.assertEqual(read(self.installed), b"\x7fELF first")
        self.run_one("--once")
        self.assertEqual(self.temporary_files(), [])
        self.assertEqual(read(self.installed), read(self.path("image/plugin")))

    def test_killed_anywhere_each_file_is_the_old_or_the_new_one(self):
        chance = random.Random(20260101)
        plugins = [chance.randbytes(4 << 20) for _ in range(2)]
        tokens = [TOKEN, TOKEN2]
        self.rotate(tokens[0])
        write(self.path("image/plugin"), plugins[0])
        self.run_one("--once")
        for i in range(1, 41):
            self.rotate(tokens[i % 2])
            write(self.path("image/plugin"), plugins[i % 2])
            installer = subprocess.Popen(self.argv("--once"), stderr=subprocess.DEVNULL)
            try:
                installer.wait(chance.uniform(0.0, 0.03))
            except subprocess.TimeoutExpired:
                installer.kill()
                installer.wait()
            self.assertIn(read(self.installed), plugins)
            self.assertIn(self.token(), tokens)
            self.assertEqual(self.conf()["server"], "192.0.2.7:8443")
        self.run_one("--once")
        self.assertEqual(self.run_one("--check"), "")
        self.assertEqual(self.temporary_files(), [])


class Removes(Node):
    def test_nothing_is_left(self):
        write(self.path("bin/ib-sriov"), "theirs")
        write(self.path("conf/00-multus.conf"), "theirs")
        self.run_one("--once")
        self.assertIn("still on the node", self.run_one("--remove", "--check", code=1))
        write(self.path("bin/.ufmsync.new"), "left over")
        self.run_one("--remove")
        self.assertEqual((os.listdir(self.path("bin")), os.listdir(self.path("conf"))), (["ib-sriov"], ["00-multus.conf"]))
        self.assertEqual(self.run_one("--remove", "--check"), "")
        self.run_one("--remove")

    def test_others_files_stay(self):
        self.run_one("--once")
        write(os.path.join(self.folder, "notes"), "theirs")
        self.assertIn("not ours", self.run_one("--remove", code=1))
        self.assertEqual(os.listdir(self.folder), ["notes"])


# --- names: in a network and a mount namespace of our own, where /etc/hosts and the name server are ours ---------------

UNSHARE = ["unshare", "-rmn"]
CAN_UNSHARE = shutil.which("unshare") and subprocess.run(UNSHARE + ["true"], capture_output=True).returncode == 0


def inside(folder, argv):
    """What runs there before the installer: it becomes the installer."""
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        subprocess.run(["mount", "--bind", os.path.join(folder, name), "/etc/" + name], check=True)
    with socket.socket() as s:  # "ip link set lo up"
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
    if os.path.exists(os.path.join(folder, "silent")):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 53))  # takes questions and answers none
        server.set_inheritable(True)
    os.execv(argv[0], argv)


@unittest.skipUnless(CAN_UNSHARE, "no namespaces here")
class Resolves(Node):
    NAME = "ufmsync.kube-system.svc"

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("etc"))
        write(self.path("etc/resolv.conf"), "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
        write(self.path("etc/nsswitch.conf"), "hosts: files dns\n")
        self.hosts()

    def hosts(self, *addresses):
        """In place: the file is mounted."""
        with open(self.path("etc/hosts"), "w") as f:
            f.write("".join("%s %s\n" % (address, self.NAME) for address in addresses))

    def argv(self, *words, server=NAME + ":8443"):
        wrapper = UNSHARE + [sys.executable, os.path.abspath(__file__), "--inside", self.path("etc")]
        return wrapper + super().argv("--resolve-interval=20ms", *words, server=server)

    def test_the_node_follows_the_service_and_stays_while_it_can(self):
        self.hosts("192.0.2.1", "192.0.2.2")
        installer = self.start()
        self.assertEqual(installer.until("SERVER_ADDRESS")["address"], "192.0.2.1")
        installer.until("NODE_RIGHT")
        self.assertEqual(self.conf()["server"], "192.0.2.1:8443")
        self.assertEqual(self.conf()["serverName"], self.NAME)
        self.hosts("192.0.2.9", "192.0.2.3")
        self.assertEqual(installer.until("SERVER_ADDRESS")["address"], "192.0.2.9")
        installer.until("NODE_FILE")
        self.assertEqual(self.conf()["server"], "192.0.2.9:8443")
        self.assertEqual(installer.end(), 0)
        self.hosts("192.0.2.3", "192.0.2.9")
        self.run_one("--once")
        self.assertEqual(self.conf()["server"], "192.0.2.9:8443", "kept over a restart")

    def test_a_name_server_that_fails_leaves_the_last_address(self):
        self.hosts("192.0.2.1")
        self.run_one("--once")
        self.hosts()
        installer = self.start("--timeout=9s")
        self.assertEqual(installer.until("SERVER_UNRESOLVED")["kept"], "192.0.2.1")
        installer.until("NODE_RIGHT")
        self.assertEqual((self.conf()["server"], self.conf()["timeout"]), ("192.0.2.1:8443", "9s"))
        self.hosts("192.0.2.2")
        self.assertEqual(installer.until("SERVER_ADDRESS")["address"], "192.0.2.2")
        self.assertEqual(installer.end(), 0)

    def test_without_any_address_there_is_no_node_file_but_everything_else(self):
        said = self.run_one("--once", code=1)
        self.assertIn("no node file can be written", said)
        self.assertEqual((sorted(os.listdir(self.folder)), self.token()), ([".turn", "ca.crt", "token"], TOKEN))
        self.assertTrue(os.path.exists(self.installed))

    def test_sigterm_ends_it_while_a_name_server_is_silent(self):
        write(self.path("etc/silent"), "")
        installer = self.start()
        installer.until("NODE_CA")  # from here on it asks; that it does not end in 30 s shows that it was waiting
        self.assertEqual(installer.end(), 0)


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "--inside":
        inside(sys.argv[2], sys.argv[3:])
    INSTALLER = os.path.abspath(sys.argv.pop(1))
    unittest.main()
