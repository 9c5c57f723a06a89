#!/usr/bin/env python3
"""The manifests of deploy/ ask for what they say they ask for.  Usage: test_manifests.py SOURCE-FOLDER"""

import json
import os
import re
import sys
import unittest

import manifests

ROOT = sys.argv[1]
NODE = os.path.join(ROOT, "deploy/node")
VARIANTS = os.path.join(ROOT, "deploy/node-variants")
OPENSM = {name: os.path.join(ROOT, "deploy/opensm", name) for name in ("host", "host-device-plugin", "pod")}


def one(objects, kind, name=None):
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, kind
    return found[0]


def pod_of(objects):
    return one(objects, "DaemonSet")["spec"]["template"]["spec"]


def host_paths(pod):
    return {v["name"]: v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}


class Manifests(unittest.TestCase):
    def test_every_file_is_yaml_of_known_kinds(self):
        files = list(manifests.yaml_files(ROOT))
        self.assertGreater(len(files), 10)
        for path in files:
            for o in manifests.documents(path):
                self.assertIn("apiVersion", o, path)
                self.assertIn("kind", o, path)
                if o["kind"] != "Kustomization":
                    self.assertTrue(o["metadata"]["name"], path)

    def test_the_node_pod_may_do_only_what_it_must(self):
        pod = pod_of(manifests.build(NODE))
        self.assertEqual(host_paths(pod), {"cni-bin": "/opt/cni/bin", "cni-conf": "/etc/cni/net.d"})
        for name in ("hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"):
            self.assertNotIn(name, pod)
        self.assertIs(pod["automountServiceAccountToken"], False)
        self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertEqual(pod["tolerations"], [{"operator": "Exists"}])
        self.assertEqual(pod["priorityClassName"], "system-node-critical")
        container, = pod["containers"]
        self.assertEqual(container["securityContext"], {
            "runAsUser": 0, "runAsGroup": 0, "privileged": False, "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
        self.assertNotIn("command", container, "there is no shell to run it")
        writable = {m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
        self.assertEqual(writable, {"cni-bin", "cni-conf"})

    def test_the_token_is_short_lived_and_for_the_service_alone(self):
        objects = manifests.build(NODE)
        volume, = [v for v in pod_of(objects)["volumes"] if "projected" in v]
        source, = volume["projected"]["sources"]
        self.assertEqual(source, {"serviceAccountToken": {"audience": "ufmsync", "expirationSeconds": 3600, "path": "token"}})
        self.assertEqual(one(objects, "ClusterRole")["rules"],
                         [{"nonResourceURLs": ["/v1/attach"], "verbs": ["get", "post"]}])
        subject, = one(objects, "ClusterRoleBinding")["subjects"]
        account = one(objects, "ServiceAccount")
        self.assertEqual((subject["name"], subject["namespace"]),
                         (account["metadata"]["name"], account["metadata"]["namespace"]))
        self.assertEqual(pod_of(objects)["serviceAccountName"], account["metadata"]["name"])

    def test_what_the_installer_reads_is_mounted_where_it_looks(self):
        container, = pod_of(manifests.build(NODE))["containers"]
        mounted = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
        self.assertEqual(mounted, {"cni-bin": "/host/opt/cni/bin", "cni-conf": "/host/etc/cni/net.d",
                                   "token": "/run/ufmsync/token", "ca": "/run/ufmsync/ca"})
        with open(os.path.join(ROOT, "cni/installer/options.c")) as f:
            options = f.read()
        for default in ("/host/opt/cni/bin", "/host/etc/cni/net.d", "/run/ufmsync/token/token", "/run/ufmsync/ca/ca.crt"):
            self.assertIn('"%s"' % default, options)
        for variable in container["env"]:
            self.assertTrue(variable["name"] == "POD_NAMESPACE" or '"%s"' % variable["name"] in options or
                            'PREFIX "%s"' % variable["name"].removeprefix("UFMSYNC_CNI_") in options, variable)

    def test_variants_change_what_they_say(self):
        paths = {name: host_paths(pod_of(manifests.build(os.path.join(VARIANTS, name)))) for name in os.listdir(VARIANTS)}
        self.assertEqual({name: path["cni-bin"] for name, path in paths.items()}, {
            "k3s": "/var/lib/rancher/k3s/data/cni", "openshift": "/var/lib/cni/bin", "remove": "/opt/cni/bin"})
        self.assertEqual({path["cni-conf"] for path in paths.values()}, {"/etc/cni/net.d"})
        container, = pod_of(manifests.build(os.path.join(VARIANTS, "remove")))["containers"]
        self.assertEqual(container["args"], ["--remove", "--stay"])
        self.assertIn("--remove", container["readinessProbe"]["exec"]["command"])

    def test_openshift_constraints_allow_just_the_pod(self):
        objects = manifests.build(os.path.join(VARIANTS, "openshift"))
        constraints, pod = one(objects, "SecurityContextConstraints"), pod_of(objects)
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        self.assertEqual(set(constraints["volumes"]), kinds)
        self.assertEqual([k for k in constraints if k.startswith("allow") and constraints[k]], ["allowHostDirVolumePlugin"])


class Operator(unittest.TestCase):
    """deploy/operator: what may be asked is what the API's document names, and no right is wider than that."""

    @classmethod
    def setUpClass(cls):
        cls.objects = manifests.build(os.path.join(ROOT, "deploy/operator"))
        with open(os.path.join(ROOT, "ufmsync/openapi.json")) as f:
            cls.paths = json.load(f)["paths"]

    def rules(self, kind, name):
        found, = [o["rules"] for o in self.objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
        return found

    def asked(self, method):
        return sorted(re.sub(r"\{\w+\}", "*", path) for path, methods in self.paths.items() if method in methods)

    def test_the_accounts_may_ask_what_there_is(self):
        for name, method in (("ufmsync-reader", "get"), ("ufmsync-operator", "post")):
            rule, = self.rules("ClusterRole", name)
            self.assertEqual((sorted(rule["nonResourceURLs"]), rule["verbs"]), (self.asked(method), [method]))

    def test_people_may_use_just_the_accounts_and_the_proxy_of_one_service(self):
        for role, accounts, verbs in (("ufmsyncctl", ["ufmsync-reader"], ["get"]),
                                      ("ufmsyncctl-operate", ["ufmsync-reader", "ufmsync-operator"], ["get", "create"])):
            self.assertEqual(self.rules("Role", role), [
                {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": accounts, "verbs": ["create"]},
                {"apiGroups": [""], "resources": ["services/proxy"], "resourceNames": ["https:ufmsync:8443"],
                 "verbs": verbs}])

    def test_what_is_named_is_there_and_no_pod_runs_as_them(self):
        accounts = {o["metadata"]["name"]: o for o in self.objects if o["kind"] == "ServiceAccount"}
        self.assertEqual(set(accounts), {"ufmsync-reader", "ufmsync-operator"})
        for account in accounts.values():
            self.assertIs(account["automountServiceAccountToken"], False)
        roles = {o["metadata"]["name"] for o in self.objects if o["kind"] == "ClusterRole"}
        for o in self.objects:
            if o["kind"] == "ClusterRoleBinding":
                self.assertIn(o["roleRef"]["name"], roles)
                self.assertLessEqual({s["name"] for s in o["subjects"]}, set(accounts))


class OpenSM(unittest.TestCase):
    """deploy/opensm: what is given, and that it is enough for the way that OpenSM is told."""

    @classmethod
    def setUpClass(cls):
        cls.objects = {name: manifests.build(folder) for name, folder in OPENSM.items()}
        cls.deployments = {name: one(objects, "Deployment", "ufmsync")["spec"] for name, objects in cls.objects.items()}
        cls.pods = {name: spec["template"]["spec"] for name, spec in cls.deployments.items()}

    def container(self, name, which="ufmsyncd"):
        return next(c for c in self.pods[name]["containers"] if c["name"] == which)

    def env(self, name):
        return {e["name"]: e.get("value") for e in self.container(name)["env"]}

    def test_one_writer_on_the_node_that_has_the_file(self):
        for name, spec in self.deployments.items():
            self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}), name)
            self.assertIn("ufmsync.io/subnet-manager", self.pods[name]["nodeSelector"])
            self.assertIs(self.pods[name]["enableServiceLinks"], False)

    def test_the_folder_is_shared_never_the_file(self):
        for name, pod in self.pods.items():
            folder = os.path.dirname(self.env(name)["OPENSM_PARTITIONS_FILE"])
            self.assertEqual(host_paths(pod)["opensm"], "/etc/opensm")
            self.assertEqual([v["hostPath"]["type"] for v in pod["volumes"] if v["name"] == "opensm"], ["Directory"])
            for container in pod["containers"]:
                mount, = [m for m in container["volumeMounts"] if m["name"] == "opensm"]
                self.assertEqual(mount["mountPath"], folder)
                self.assertFalse(any("subPath" in m or "subPathExpr" in m for m in container["volumeMounts"]))
            mount, = [m for m in self.container(name)["volumeMounts"] if m["name"] == "opensm"]
            self.assertNotIn("readOnly", mount)

    def test_each_way_has_the_rights_that_it_needs_and_no_other(self):
        expected = {  # hostPID, shareProcessNamespace, privileged, how OpenSM is told
            "host": (True, False, True, "process"),
            "host-device-plugin": (False, False, False, "trap"),
            "pod": (False, True, True, "process"),
        }
        for name, pod in self.pods.items():
            security = self.container(name)["securityContext"]
            self.assertEqual((pod.get("hostPID", False), pod.get("shareProcessNamespace", False),
                              security.get("privileged", False), self.env(name)["OPENSM_RELOAD"]), expected[name], name)
            for right in ("hostNetwork", "hostIPC"):
                self.assertNotIn(right, pod)
            self.assertTrue(security["readOnlyRootFilesystem"])
            self.assertEqual(security["allowPrivilegeEscalation"], security.get("privileged", False), "or it is refused")
            self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
            # The whole folder of devices only where all of them may be opened.
            self.assertEqual(set(host_paths(pod)) - {"opensm-cache"},
                             {"opensm", "infiniband"} if security.get("privileged") else {"opensm"})
        self.assertEqual(list(self.container("host-device-plugin")["resources"]["limits"]),
                         ["memory", "rdma/hca_shared_devices_a"])

    def test_opensm_beside_it_reads_that_file_and_logs_where_it_is_looked_for(self):
        opensm, ours = self.container("pod", "opensm"), self.container("pod")
        words = opensm["command"]
        self.assertEqual(words[words.index("-P") + 1], self.env("pod")["OPENSM_PARTITIONS_FILE"])
        self.assertEqual(words[words.index("-f") + 1], self.env("pod")["OPENSM_LOG"])
        where = {c["name"]: {m["mountPath"] for m in c["volumeMounts"] if m["name"] == "opensm-log"} for c in (opensm, ours)}
        self.assertEqual(where["opensm"], where["ufmsyncd"])
        self.assertEqual(opensm["securityContext"]["runAsUser"], ours["securityContext"]["runAsUser"], "or no signal")

    def test_every_setting_exists(self):
        with open(os.path.join(ROOT, "ufmsync/settings.c")) as f:
            settings = set(re.findall(r'= \{ "([A-Z0-9_]+)"', f.read()))
        for name in OPENSM:
            self.assertLessEqual(set(self.env(name)), settings, name)

    def test_what_is_named_is_there(self):
        for name, objects in self.objects.items():
            accounts = {(o["metadata"]["name"], o["metadata"]["namespace"]) for o in objects if o["kind"] == "ServiceAccount"}
            self.assertEqual(self.pods[name]["serviceAccountName"], "ufmsync")
            self.assertIn(("ufmsync", "kube-system"), accounts)
            for o in objects:
                for subject in o.get("subjects", []):
                    self.assertIn((subject["name"], subject["namespace"]), accounts)
            labels = self.deployments[name]["template"]["metadata"]["labels"]
            for key, value in one(objects, "Service")["spec"]["selector"].items():
                self.assertEqual(labels[key], value)
            ports = {p["name"] for p in self.container(name)["ports"]}
            self.assertEqual({one(objects, "Service")["spec"]["ports"][0]["targetPort"], "health"}, ports)
            volumes = {v["name"] for v in self.pods[name]["volumes"]}
            for container in self.pods[name]["containers"]:
                self.assertLessEqual({m["name"] for m in container["volumeMounts"]}, volumes)
                self.assertRegex(container["image"], r":[^:]+$", "a tag")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
