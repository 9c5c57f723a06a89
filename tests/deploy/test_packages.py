#!/usr/bin/env python3
"""The Debian packages hold what they should, Debian's own checker finds nothing, they are the same when they are made again,
and installing and purging them leaves nothing behind.

usage: test_packages.py SOURCE-FOLDER BUILD-FOLDER CPACK"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, BUILD, CPACK = sys.argv[1:4]
DOC = {"usr/share/doc/%s/" + name for name in ("changelog.gz", "copyright")}
FILES = {
    "ufmsync": {"etc/ufmsync/ufmsyncd.env", "lib/systemd/system/ufmsyncd.service", "usr/bin/ufmsyncd", "usr/bin/ufmsync-setup",
                "usr/share/lintian/overrides/ufmsync", "usr/share/man/man7/ufmsyncd-settings.7.gz",
                "usr/share/man/man8/ufmsyncd.8.gz", "usr/share/man/man8/ufmsync-setup.8.gz"},
    "ufmsyncctl": {"usr/bin/ufmsyncctl", "usr/bin/kubectl-ufmsync", "usr/share/bash-completion/completions/ufmsyncctl",
                   "usr/share/fish/vendor_completions.d/ufmsyncctl.fish", "usr/share/zsh/vendor-completions/_ufmsyncctl",
                   "usr/share/man/man1/ufmsyncctl.1.gz", "usr/share/man/man1/kubectl-ufmsync.1.gz"},
    "ufmsync-cni": {"usr/bin/ufmsync-cni-install", "usr/lib/cni/ufmsync", "usr/share/lintian/overrides/ufmsync-cni",
                    "usr/share/man/man8/ufmsync-cni.8.gz", "usr/share/man/man8/ufmsync-cni-install.8.gz"},
}


def out(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def read(path):
    with open(path) as f:
        return f.read()


def make(folder):
    """{package: file}"""
    done = subprocess.run([CPACK, "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", folder], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000"))
    if done.returncode:
        raise RuntimeError(done.stdout)
    return {os.path.basename(path).partition("_")[0]: path for path in glob.glob(os.path.join(folder, "*.deb"))}


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="test-packages-")
        cls.addClassCleanup(shutil.rmtree, cls.top)
        os.chmod(cls.top, 0o755)
        cls.made = make(os.path.join(cls.top, "made"))
        cls.trees = {}
        for package, path in cls.made.items():
            cls.trees[package] = os.path.join(cls.top, "tree-" + package)
            out("dpkg-deb", "-R", path, cls.trees[package])

    def control(self, package, field):
        return out("dpkg-deb", "-f", self.made[package], field).strip()

    def test_three_packages_with_their_files(self):
        self.assertEqual(set(self.made), set(FILES))
        for package, tree in self.trees.items():
            found = {os.path.relpath(os.path.join(folder, name), tree) for folder, _, names in os.walk(tree) for name in names}
            wanted = FILES[package] | {path % package for path in DOC}
            self.assertEqual({path for path in found if not path.startswith("DEBIAN/")}, wanted)
            for path in wanted:
                mode = os.lstat(os.path.join(tree, path)).st_mode & 0o7777
                if path == "etc/ufmsync/ufmsyncd.env":
                    self.assertEqual(mode, 0o600)
                elif not os.path.islink(os.path.join(tree, path)):
                    self.assertEqual(mode, 0o755 if "/bin/" in path or "/cni/" in path else 0o644, path)

    def test_control_fields(self):
        version = re.search(r"(?m)^project\(ufmsync VERSION (\S+) ", read(os.path.join(ROOT, "CMakeLists.txt")))[1]
        self.assertTrue(read(os.path.join(ROOT, "deploy/debian/changelog")).startswith("ufmsync (%s) " % version))
        for package in self.made:
            self.assertEqual(self.control(package, "Version"), version)
            self.assertEqual(self.control(package, "Architecture"), out("dpkg", "--print-architecture").strip())
            self.assertRegex(self.control(package, "Depends"), r"(^|, )libc6 \(>= ")
        self.assertRegex(self.control("ufmsync", "Depends"), r"(^|, )libmicrohttpd12\b")
        self.assertNotIn("libssl", self.control("ufmsync-cni", "Depends"), "it is inside the plugin")

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed (tests/run without --quick installs it)")
    def test_debians_checker_finds_nothing(self):
        done = subprocess.run(["lintian", "--allow-root", "--display-info", "--tag-display-limit", "0", "--fail-on",
                               "error,warning,info", *self.made.values()], capture_output=True, text=True)
        self.assertEqual((done.stdout + done.stderr, done.returncode), ("", 0))

    def test_the_same_again_is_the_same_to_the_byte(self):
        again = make(os.path.join(self.top, "again"))
        for package, path in self.made.items():
            with open(path, "rb") as first, open(again[package], "rb") as second:
                self.assertEqual(hashlib.sha256(first.read()).hexdigest(), hashlib.sha256(second.read()).hexdigest(), package)

    def test_programs_run_as_installed(self):
        for package, tree in self.trees.items():
            for path in FILES[package]:
                if "/bin/" in path or "/cni/" in path:
                    word = "version" if path.endswith(("ctl", "kubectl-ufmsync")) else "--version"
                    self.assertIn(" 0.", out(os.path.join(tree, path), word, env={}), path)
        settings = {line for line in read(self.trees["ufmsync"] + "/etc/ufmsync/ufmsyncd.env").splitlines()
                    if line and not line.startswith("#")}
        shown = out(self.trees["ufmsync"] + "/usr/bin/ufmsyncd", "--print-config",
                    env=dict(line.split("=", 1) for line in settings))
        self.assertRegex(shown, r"(?m)^OPENSM_PARTITIONS_FILE +/etc/opensm/partitions.conf +environment")

    def test_completions_are_for_their_shell(self):
        tree = self.trees["ufmsyncctl"]
        self.assertEqual(subprocess.run(["bash", "-n", tree + "/usr/share/bash-completion/completions/ufmsyncctl"]).returncode, 0)
        self.assertTrue(read(tree + "/usr/share/zsh/vendor-completions/_ufmsyncctl").startswith("#compdef ufmsyncctl"))
        self.assertIn("complete -c ufmsyncctl", read(tree + "/usr/share/fish/vendor_completions.d/ufmsyncctl.fish"))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd here")
    def test_the_unit_is_as_systemd_wants_it(self):
        tree = os.path.join(self.top, "unit")
        shutil.copytree(self.trees["ufmsync"], tree)
        for word in ("sysinit.target", "basic.target", "shutdown.target", "network-online.target", "-.mount"):
            with open(os.path.join(tree, "lib/systemd/system", word), "w") as f:
                f.write("[Unit]\n" + ("[Mount]\nWhat=x\nWhere=/\n" if word == "-.mount" else ""))
        done = subprocess.run(["systemd-analyze", "verify", "--root=" + tree, "--man=no", "ufmsyncd.service"],
                              capture_output=True, text=True)
        self.assertEqual((done.stdout + done.stderr, done.returncode), ("", 0))

    @unittest.skipIf(os.geteuid(), "dpkg wants root")
    def test_install_and_purge_leave_nothing(self):
        """Into a root file system of its own, where the packages that they depend on are not: the scripts run outside of it,
        and find no such unit."""
        root = os.path.join(self.top, "root")
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log", "usr/bin", "etc"):
            os.makedirs(os.path.join(root, folder))
        for name in ("status", "available"):
            open(os.path.join(root, "var/lib/dpkg", name), "w").close()

        def files():
            return {os.path.relpath(os.path.join(folder, name), root) for folder, folders, names in os.walk(root)
                    for name in names + folders if not folder.startswith(root + "/var/")}

        def dpkg(*words):
            done = subprocess.run(["dpkg", "--root=" + root, "--force-depends", "--force-script-chrootless", "--log=/dev/null",
                                   *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

        before = files()
        dpkg("--install", *self.made.values())
        for package, wanted in FILES.items():
            self.assertLessEqual(wanted, files(), package)
        dpkg("--install", *self.made.values())  # again, as an update does
        dpkg("--remove", *self.made)
        self.assertEqual({path for path in files() - before if not path.startswith(("usr", "lib"))},
                         {"etc/ufmsync", "etc/ufmsync/ufmsyncd.env"}, "settings stay until they are purged")
        dpkg("--purge", *self.made)
        self.assertLessEqual(files(), before)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
