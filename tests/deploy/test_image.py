#!/usr/bin/env python3
"""What the Dockerfile copies is there, and is all that the programs need.

usage: test_image.py SOURCE-FOLDER BUILD-FOLDER CMAKE"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, BUILD, CMAKE = sys.argv[1:4]


def instructions():
    """[(stage, instruction, arguments)] with continued lines joined."""
    with open(os.path.join(ROOT, "deploy/Dockerfile")) as f:
        lines = [line for line in f if not line.startswith("#")]
    stage, found = None, []
    for line in "".join(lines).replace("\\\n", " ").splitlines():
        name, _, arguments = line.strip().partition(" ")
        if name == "FROM":
            stage = arguments.rpartition(" ")[2]
        if name:
            found.append((stage, name, arguments.strip()))
    return found


def image_roots():
    """{root: [programs]} of the calls of deploy/image-root."""
    return {root: programs.split() for _, name, arguments in instructions() if name == "RUN"
            for root, programs in re.findall(r"deploy/image-root /installed (\S+) ((?:/\S+\s*)+)", arguments)}


ENTER = [shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin") or "chroot"]
if os.geteuid() != 0:
    ENTER = [shutil.which("unshare") or "unshare", "-r"] + ENTER
try:
    CAN_ENTER = subprocess.run(ENTER + ["/", "/bin/true"], capture_output=True).returncode == 0
except OSError:
    CAN_ENTER = False


class Image(unittest.TestCase):
    roots = {}

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="test-image-")
        cls.installed = os.path.join(cls.top, "installed")
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, DESTDIR=cls.installed))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def fill(self, programs):
        """Filled once: finding each library's package takes its time."""
        name = "root-%d" % len(self.roots)
        root = self.roots.setdefault(tuple(programs), os.path.join(self.top, name))
        if not os.path.exists(root):
            subprocess.run([os.path.join(ROOT, "deploy/image-root"), self.installed, root, *programs], check=True)
        return root

    def files(self, root):
        return {"/" + os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names}

    def test_each_target_copies_what_its_build_made(self):
        made = set(image_roots())
        self.assertEqual(made, {"/root-node", "/root-service"})
        for stage in ("node", "service"):
            copied = [a.split() for s, name, a in instructions() if s == stage and name == "COPY"]
            self.assertEqual(copied[0], ["--from=build", "/root-%s/" % stage, "/"])
            for _, source, target in copied[1:]:
                self.assertEqual(source, target)
            entry, = [a for s, name, a in instructions() if s == stage and name == "ENTRYPOINT"]
            self.assertIn(entry.strip('[]"'), image_roots()["/root-" + stage])

    def test_every_program_is_installed(self):
        for programs in image_roots().values():
            for program in programs:
                self.assertTrue(os.access(self.installed + program, os.X_OK), program)

    def test_what_is_copied_from_our_tree_exists(self):
        for stage, name, arguments in instructions():
            if stage == "build" and name == "COPY":
                for source in arguments.split()[:-1]:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)

    def test_the_node_image_is_two_programs_and_two_libraries(self):
        files = self.files(self.fill(image_roots()["/root-node"]))
        libraries = {os.path.basename(f) for f in files if ".so" in f}
        self.assertEqual({name.split(".so")[0] for name in libraries if not name.startswith("ld-")}, {"libc", "libjansson"})
        self.assertEqual(len(libraries), 3, libraries)
        programs = {f for f in files if f.startswith("/usr/bin/") or f.startswith("/usr/lib/cni/") or f.startswith("/bin/")}
        self.assertEqual(programs, {"/usr/bin/ufmsync-cni-install", "/usr/lib/cni/ufmsync"})

    def test_each_library_says_of_which_package_it_is(self):
        for programs in image_roots().values():
            root = self.fill(programs)
            notes = os.path.join(root, "var/lib/dpkg/status.d")
            packages = set(os.listdir(notes))
            self.assertIn("libc6", packages)
            for package in packages:
                with open(os.path.join(notes, package)) as f:
                    text = f.read()
                self.assertRegex(text, r"(?m)^Package: %s$" % re.escape(package))
                self.assertRegex(text, r"(?m)^Version: ")
                self.assertTrue(os.path.exists(os.path.join(root, "usr/share/doc", package, "copyright")))

    @unittest.skipUnless(CAN_ENTER, "no chroot here")
    def test_programs_run_with_nothing_else(self):
        for programs in image_roots().values():
            root = self.fill(programs)
            for program in programs:
                said = subprocess.run(ENTER + [root, program, "--version"], capture_output=True, text=True)
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertIn(os.path.basename(program), said.stdout)

    @unittest.skipUnless(CAN_ENTER, "no chroot here")
    def test_the_installer_works_with_nothing_else(self):
        """It puts the image's own plugin on a node, and resolves a name with nothing but /etc/hosts."""
        root = os.path.join(self.top, "node")
        shutil.copytree(self.fill(image_roots()["/root-node"]), root)
        for folder in ("host/opt/cni/bin", "host/etc/cni/net.d", "run/ufmsync/token", "run/ufmsync/ca"):
            os.makedirs(os.path.join(root, folder))
        for name, text in (("run/ufmsync/token/token", "a.b.c"), ("etc/hosts", "192.0.2.5 ufmsync.test\n"),
                           ("run/ufmsync/ca/ca.crt", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")):
            with open(os.path.join(root, name), "w") as f:
                f.write(text)
        installer = ENTER + [root, "/usr/bin/ufmsync-cni-install", "--server=ufmsync.test:8443"]
        done = subprocess.run(installer + ["--once"], capture_output=True, text=True, env={})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(subprocess.run(installer + ["--check"], env={}).returncode, 0)
        with open(os.path.join(root, "host/etc/cni/net.d/ufmsync.d/ufmsync.conf")) as f:
            self.assertIn("192.0.2.5:8443", f.read())
        self.assertTrue(os.access(os.path.join(root, "host/opt/cni/bin/ufmsync"), os.X_OK))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
