#!/usr/bin/env python3
"""Each network definition of deploy/networks is read as its comments say, by the service and by the plugin.

usage: test_networks.py SOURCE-FOLDER READ_NETWORK"""

import json
import os
import shutil
import subprocess
import sys
import unittest

import manifests

ROOT, READ_NETWORK = sys.argv[1:3]
FOLDER = os.path.join(ROOT, "deploy/networks")

WANTED, BY_ANNOTATION = manifests.EXAMPLES, manifests.BY_ANNOTATION


def definitions(name):
    found = [manifests.definition_of(o) for o in manifests.documents(os.path.join(FOLDER, name))]
    return {d["metadata"]["name"]: d for d in found if d}


def run(argv, value):
    return subprocess.run(argv, input=json.dumps(value), capture_output=True, text=True)


def read(definition):
    done = run([READ_NETWORK], definition)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def plugins_of(definition):
    """The configurations as a plugin gets them: with the list's version and name."""
    config = json.loads(definition["spec"]["config"])
    head = {"cniVersion": config["cniVersion"], "name": config["name"]}
    return [dict(plugin, **head) for plugin in config.get("plugins", [config])]


def all_definitions():
    for name in WANTED:
        for definition in definitions(name).values():
            yield name, definition


class Networks(unittest.TestCase):
    def test_each_example_is_here(self):
        self.assertEqual({n for n in os.listdir(FOLDER) if n.endswith(".yaml")}, set(WANTED))
        with open(os.path.join(FOLDER, "README.md")) as f:
            readme = f.read()
        for name in os.listdir(FOLDER):
            if name != "README.md":
                self.assertIn("](%s)" % name, readme)

    def test_the_service_reads_them_as_meant(self):
        for name, wanted in WANTED.items():
            seen = {d: read(definition) for d, definition in definitions(name).items()}
            self.assertEqual({d: (r["kind"], r["pkey"], r["gated"]) for d, r in seen.items()}, wanted, name)
            for d, r in seen.items():
                self.assertEqual(r["configName"], d, "the config's name is the definition's: plugins know no other")
                self.assertIsNone(r["problem"], name)

    def test_the_plugin_runs_ib_sriov_with_what_it_was_given(self):
        for name, definition in all_definitions():
            ours = [p for p in plugins_of(definition) if p["type"] == "ufmsync"]
            self.assertEqual(bool(ours), read(definition)["gated"] and definition["metadata"]["name"] not in BY_ANNOTATION)
            for plugin in ours:
                done = run([READ_NETWORK, "--plugin"], plugin)
                self.assertEqual(done.returncode, 0, name + ": " + done.stderr)
                said = json.loads(done.stdout)
                self.assertEqual(said["delegateType"], "ib-sriov")
                self.assertEqual(said["delegate"]["type"], "ib-sriov")
                self.assertEqual(said["delegate"]["args"]["cni"]["guid"], "02:00:00:00:00:00:00:07")
                self.assertEqual(said["delegate"]["args"]["cni"]["mellanox.infiniband.app"], "configured")
                self.assertEqual(said["verify"], name.startswith("rdma-"), name)
                for field in ("link_state", "ipam"):
                    self.assertIn(field, said["delegate"], name)
                for field in ("verify", "verifyTimeout", "delegate"):
                    self.assertNotIn(field, said["delegate"], name)

    def test_devices_are_named(self):
        for name, definition in all_definitions():
            if read(definition)["kind"] == "ib":
                self.assertIn("k8s.v1.cni.cncf.io/resourceName", definition["metadata"]["annotations"], name)


OLD = {  # as sites have them now
    "gated": {"cniVersion": "0.3.1", "name": "ib", "type": "ib-sriov", "pkey": "0x7", "link_state": "enable",
              "ibKubernetesEnabled": True, "capabilities": {"infinibandGUID": True}, "ipam": {"type": "host-local"}},
    "ungated": {"cniVersion": "0.3.1", "type": "ib-sriov", "pkey": 7, "rdmaIsolation": True, "ipam": {}},
    "list": {"cniVersion": "0.3.1", "name": "ib", "plugins": [
        {"type": "ib-sriov", "pkey": "0x7", "capabilities": {"mac": True}}, {"type": "coordinator"}]},
}
OTHERS = {"macvlan": {"cniVersion": "0.3.1", "name": "m", "type": "macvlan", "master": "eth0", "ipam": {}}}


def definition(config):
    return {"metadata": {"namespace": "a", "name": "n"}, "spec": {"config": json.dumps(config)} if config else {}}


@unittest.skipUnless(shutil.which("jq"), "no jq")
class Moving(unittest.TestCase):
    def jq(self, program, value):
        done = run(["jq", "-f", os.path.join(FOLDER, program + ".jq")], value)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_migrate_gates_and_keeps_the_pkey(self):
        for name, config in OLD.items():
            moved = self.jq("migrate", definition(config))
            seen = read(moved)
            self.assertEqual((seen["kind"], seen["pkey"], seen["gated"]), ("ib", 7, True), name)
            plugin = [p for p in plugins_of(dict(moved, spec={"config": json.dumps(
                dict(json.loads(moved["spec"]["config"]), name="n"))})) if p["type"] == "ufmsync"][0]
            said = run([READ_NETWORK, "--plugin"], plugin)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertNotIn("capabilities", plugin["delegate"])
            old = config.get("plugins", [config])[0]
            self.assertEqual(plugin.get("capabilities"), old.get("capabilities"))
            self.assertEqual(plugin["delegate"],
                             {k: v for k, v in old.items() if k not in ("capabilities", "cniVersion", "name")})
            self.assertEqual(self.jq("migrate", moved), moved, "a second time changes nothing")

    def test_a_version_that_the_plugin_does_not_take_becomes_one_that_it_takes(self):
        """ib-sriov, and with it a running site, does with less: none, or older ones."""
        sriov = {"type": "ib-sriov", "pkey": "0x7"}
        for version in (None, "", "0.1.0", "0.2.0", "0.3.0"):
            said = {} if version is None else {"cniVersion": version}
            for config in (dict(sriov, **said), dict(said, plugins=[sriov, {"type": "tuning"}])):
                moved = json.loads(self.jq("migrate", definition(config))["spec"]["config"])
                self.assertEqual(moved["cniVersion"], "0.3.1", config)
        for version in ("0.3.1", "0.4.0", "1.0.0", "1.1.0", "1.2.0"):
            moved = json.loads(self.jq("migrate", definition(dict(sriov, cniVersion=version)))["spec"]["config"])
            self.assertEqual(moved["cniVersion"], version)

    def test_rollback_is_gated_as_under_ib_kubernetes(self):
        for name, config in OLD.items():
            back = self.jq("rollback", self.jq("migrate", definition(config)))
            self.assertEqual(read(back)["gated"], True)
            first = dict(config.get("plugins", [config])[0], ibKubernetesEnabled=True)
            wanted = dict(config, plugins=[first] + config["plugins"][1:]) if "plugins" in config else first
            self.assertEqual(json.loads(back["spec"]["config"]), wanted, name)
            self.assertEqual(self.jq("rollback", back), back)

    def test_rollback_of_each_example(self):
        for name, o in all_definitions():
            back = self.jq("rollback", o)
            seen, was = read(back), read(o)
            self.assertEqual([seen[k] for k in ("kind", "pkey", "gated")], [was[k] for k in ("kind", "pkey", "gated")], name)
            self.assertNotIn("ufmsync", back["spec"]["config"])
            self.assertNotIn("verify", back["spec"]["config"])

    def test_others_are_left_alone(self):
        for config in list(OTHERS.values()) + [None]:
            for program in ("migrate", "rollback"):
                self.assertEqual(json.loads(self.jq(program, definition(config))["spec"].get("config", "null")), config)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
