#!/usr/bin/env python3
"""The images hold what the Dockerfile says, and nothing else; their files are packed as engines take them.

usage: test_image.py SOURCE-FOLDER BUILD-FOLDER CMAKE"""

import hashlib
import json
import os
import re
import stat
import sys
import tarfile
import unittest

from image_roots import Roots

ROOT, BUILD, CMAKE = sys.argv[1:4]
TARGETS = {"service": "ufmsync", "node": "ufmsync-node"}
LABEL = "org.opencontainers.image."


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def version():
    return re.search(r"(?m)^project\(ufmsync VERSION (\S+) ", read("CMakeLists.txt"))[1]


def instructions():
    """[(stage, instruction, arguments)] with continued lines joined."""
    lines = [line for line in read("deploy/Dockerfile").splitlines(True) if not line.startswith("#")]
    stage, found = None, []
    for line in "".join(lines).replace("\\\n", " ").splitlines():
        name, _, arguments = line.strip().partition(" ")
        if name == "FROM":
            stage = arguments.rpartition(" ")[2]
        if name:
            found.append((stage, name, arguments.strip()))
    return found


def image_programs():
    """{target: [programs]} of the calls of deploy/image-root."""
    return {target: programs.split() for _, name, arguments in instructions() if name == "RUN"
            for target, programs in re.findall(r"deploy/image-root /installed /root-(\S+) ((?:/\S+\s*)+)", arguments)}


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Roots(ROOT, BUILD, CMAKE)
        cls.said = cls.made.make("--output", cls.made.top)

    @classmethod
    def tearDownClass(cls):
        cls.made.remove()

    def test_each_target_copies_what_its_build_made(self):
        self.assertEqual(set(image_programs()), set(TARGETS))
        for stage in TARGETS:
            copied = [a.split() for s, name, a in instructions() if s == stage and name == "COPY"]
            self.assertEqual(copied[0], ["--from=build", "/root-%s/" % stage, "/"])
            for _, source, target in copied[1:]:
                self.assertEqual(source, target)
            entry, = [a for s, name, a in instructions() if s == stage and name == "ENTRYPOINT"]
            self.assertIn(entry.strip('[]"'), image_programs()[stage])

    def test_what_is_copied_from_our_tree_exists(self):
        for stage, name, arguments in instructions():
            if stage == "build" and name == "COPY":
                for source in arguments.split()[:-1]:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)

    def test_one_version_everywhere(self):
        found = {"label": set(re.findall(re.escape(LABEL) + r'version="([^"]*)"', read("deploy/Dockerfile"))),
                 "comment": set(re.findall(r"-t ufmsync(?:-node)?:(\S+)", read("deploy/Dockerfile")))}
        for folder, _, names in os.walk(os.path.join(ROOT, "deploy")):
            for name in names:
                if name.endswith(".yaml"):
                    path = os.path.join(folder, name)
                    tags = re.findall(r'(?m)^\s*newName: ufmsync\S*\n\s*newTag: "?([^"\s]+)', read(path))
                    tags += re.findall(r"\bimage: ufmsync(?:-node)?:(\S+)", read(path))
                    if tags:
                        found[os.path.relpath(path, ROOT)] = set(tags)
        self.assertIn("deploy/node/kustomization.yaml", found)
        self.assertEqual(found, {where: {version()} for where in found})

    def test_labels(self):
        for target, title in TARGETS.items():
            labels = {name: value for stage, word, arguments in instructions() if (stage, word) == (target, "LABEL")
                      for name, value in re.findall(r'(\S+)="([^"]*)"', arguments)}
            self.assertEqual(labels[LABEL + "title"], title)
            self.assertEqual(labels[LABEL + "licenses"], "Apache-2.0")
            self.assertEqual(labels[LABEL + "revision"], "${REVISION}")

    def test_each_image_holds_its_programs_and_no_other(self):
        """No shell, no package manager, nothing to download with."""
        for target, programs in image_programs().items():
            files = self.made.files(target)
            found = {f for f in files if re.search(r"/s?bin/|/libexec/|/lib/cni/", f)}
            self.assertEqual(found, set(programs))
            self.assertEqual({f for f in files if f.endswith((".py", ".sh", ".pl"))}, set())

    def test_what_manifests_start_is_there(self):
        started = set()
        for folder, _, names in os.walk(os.path.join(ROOT, "deploy")):
            for name in names:
                if name.endswith(".yaml"):
                    started |= set(re.findall(r'command: \["(/[^"]*/ufmsync[^"]*)"', read(os.path.join(folder, name))))
        self.assertIn("/usr/bin/ufmsync-cni-install", started)
        self.assertLessEqual(started, {program for programs in image_programs().values() for program in programs})

    def test_the_node_image_needs_two_libraries(self):
        libraries = {os.path.basename(f) for f in self.made.files("node") if ".so" in f}
        self.assertEqual({name.split(".so")[0] for name in libraries if not name.startswith("ld-")}, {"libc", "libjansson"})
        self.assertEqual(len(libraries), 3, libraries)

    def test_nothing_is_setuid_or_writable_by_others(self):
        for target in TARGETS:
            for folder, folders, names in os.walk(self.made.root(target)):
                for path in [folder] + [os.path.join(folder, name) for name in folders + names]:
                    about = os.lstat(path)
                    kind = stat.S_IFMT(about.st_mode)
                    self.assertIn(kind, (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK), path)
                    if kind != stat.S_IFLNK:
                        self.assertEqual(about.st_mode & 0o7022, 0, path)
                        self.assertEqual(about.st_mode & 0o004, 0o004, path)
                    else:
                        self.assertTrue(os.path.exists(self.made.root(target) + os.readlink(path)), path)

    def test_our_user_has_a_name(self):
        user, = {a for s, name, a in instructions() if s == "service" and name == "USER"}
        uid, gid = user.split(":")
        for target in TARGETS:
            with open(self.made.root(target) + "/etc/passwd") as f:
                self.assertIn(["ufmsync", "x", uid, gid], [line.split(":")[:4] for line in f])
            with open(self.made.root(target) + "/etc/group") as f:
                self.assertIn("ufmsync:x:%s:\n" % gid, f.readlines())

    def test_each_library_says_of_which_package_it_is(self):
        for target in TARGETS:
            root = self.made.root(target)
            notes = os.path.join(root, "var/lib/dpkg/status.d")
            packages = set(os.listdir(notes))
            self.assertIn("libc6", packages)
            for package in packages:
                with open(os.path.join(notes, package)) as f:
                    text = f.read()
                self.assertRegex(text, r"(?m)^Package: %s$" % re.escape(package))
                self.assertRegex(text, r"(?m)^Version: ")
                self.assertTrue(os.path.exists(os.path.join(root, "usr/share/doc", package, "copyright")))
        self.assertLessEqual({"libssl-dev", "libjansson-dev"}, set(os.listdir(
            self.made.root("node") + "/var/lib/dpkg/status.d")), "what is inside the static plugin")

    def archive(self, target, folder=None):
        return os.path.join(folder or self.made.top, "%s-%s.tar" % (TARGETS[target], version()))

    def test_an_archive_is_as_engines_take_it(self):
        for target, title in TARGETS.items():
            with tarfile.open(self.archive(target)) as tar:
                manifest, = json.load(tar.extractfile("manifest.json"))
                config_text = tar.extractfile(manifest["Config"]).read()
                layer_name, = manifest["Layers"]
                layer = tar.extractfile(layer_name)
                digest = hashlib.sha256(layer.read()).hexdigest()
                layer.seek(0)
                with tarfile.open(fileobj=layer) as files:
                    entries = {"/" + entry.name: entry for entry in files}
            self.assertEqual(manifest["RepoTags"], ["%s:%s" % (title, version())])
            self.assertEqual(manifest["Config"], hashlib.sha256(config_text).hexdigest() + ".json")
            image = json.loads(config_text)
            self.assertEqual(image["rootfs"], {"type": "layers", "diff_ids": ["sha256:" + digest]})
            self.assertEqual(image["created"], "2023-11-14T22:13:20Z")
            self.check_config(target, image["config"])
            self.assertEqual({name for name, entry in entries.items() if not entry.isdir()}, self.made.files(target))
            self.assertEqual({(entry.uid, entry.gid, entry.mtime) for entry in entries.values()}, {(0, 0, 1700000000)})
            self.assertTrue(all(entry.isreg() or entry.isdir() or entry.issym() for entry in entries.values()))
            self.assertEqual(entries[config_of(target)["ENTRYPOINT"].strip('[]"')].mode, 0o755)

    def check_config(self, target, config):
        said = config_of(target)
        self.assertEqual(config["User"], said["USER"])
        self.assertEqual(json.dumps(config["Entrypoint"]), said["ENTRYPOINT"])
        self.assertEqual(set(config.get("ExposedPorts", {})), {port + "/tcp" for port in said.get("EXPOSE", "").split()})
        self.assertEqual(config["Labels"][LABEL + "version"], version())
        self.assertRegex(config["Labels"].get(LABEL + "revision", "0" * 40), r"^[0-9a-f]{40}$")  # none without git

    def test_the_same_again_is_the_same_to_the_byte(self):
        again = os.path.join(self.made.top, "again")
        self.made.make("--output", again, "node")
        with open(self.archive("node"), "rb") as first, open(self.archive("node", again), "rb") as second:
            self.assertEqual(hashlib.sha256(first.read()).digest(), hashlib.sha256(second.read()).digest())

    def test_sizes_are_told(self):
        print(self.said, end="")
        for title in TARGETS.values():
            self.assertRegex(self.said, r"(?m)^%s:%s  [0-9.]+ MB  /" % (title, re.escape(version())))


def config_of(target):
    return {name: arguments for stage, name, arguments in instructions() if stage == target}


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
