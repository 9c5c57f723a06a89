#!/usr/bin/env python3
"""The manifests of deploy/ ask for what they say they ask for.  Usage: test_manifests.py SOURCE-FOLDER"""

import os
import sys
import unittest

import manifests

ROOT = sys.argv[1]
NODE = os.path.join(ROOT, "deploy/node")
VARIANTS = os.path.join(ROOT, "deploy/node-variants")


def one(objects, kind):
    found = [o for o in objects if o["kind"] == kind]
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


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
