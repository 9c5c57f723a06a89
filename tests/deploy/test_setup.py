#!/usr/bin/env python3
"""deploy/setup and deploy/cert-manager: what may be done there, and that names and settings are those of the program.

usage: test_setup.py SOURCE-FOLDER"""

import os
import re
import sys
import unittest

import manifests

ROOT = sys.argv[1]
SECRETS = {"ufmsync-record-key", "ufmsync-ca-key", "ufmsync-tls"}


def build(folder):
    return manifests.build(os.path.join(ROOT, "deploy", folder))


def find(objects, kind, name):
    found, = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def container_of(objects):
    container, = find(objects, "Deployment", "ufmsync-setup")["spec"]["template"]["spec"]["containers"]
    return container


def rights(objects):
    return {(resource, verb, name) for rule in find(objects, "Role", "ufmsync-setup")["rules"] for resource in rule["resources"]
            for verb in rule["verbs"] for name in rule.get("resourceNames", [None])}


class Setup(unittest.TestCase):
    def test_it_is_in_every_overlay_with_the_service(self):
        for folder in ("ufm", "strict-cni", "another-namespace", "cert-manager", "opensm/host", "opensm/pod", "old-kubernetes/ufm"):
            self.assertEqual(container_of(build(folder))["image"], "ufmsync:0.1.0", folder)

    def test_what_it_may_is_least(self):
        for folder, read in (("setup", SECRETS), ("cert-manager", SECRETS - {"ufmsync-ca-key"})):
            may = rights(build(folder))
            self.assertEqual({(r, n) for r, v, n in may if v == "create"}, {("secrets", None), ("configmaps", None)}, folder)
            self.assertEqual({n for r, v, n in may if (r, v) == ("secrets", "get")}, read, folder)
            self.assertEqual({n for r, v, n in may if (r, v) == ("secrets", "update")},
                             SECRETS - {"ufmsync-record-key"} if folder == "setup" else set(), folder)
            self.assertEqual({(v, n) for r, v, n in may if r == "configmaps" and n}, {("get", "ufmsync-ca"), ("update", "ufmsync-ca")})
            self.assertEqual({v for _, v, _ in may}, {"create", "get", "update"}, folder)

    def test_nobody_else_has_these_rights(self):
        objects = build("strict-cni")
        for o in objects:
            if o["kind"] in ("Role", "ClusterRole") and o["metadata"]["name"] != "ufmsync-setup":
                for rule in o.get("rules", []):
                    self.assertFalse({"secrets", "configmaps", "*"} & set(rule.get("resources", [])), o["metadata"]["name"])

    def test_what_service_and_nodes_mount_is_what_is_made(self):
        objects = build("strict-cni")
        volumes = [v for kind, name in (("Deployment", "ufmsync"), ("DaemonSet", "ufmsync-node"))
                   for v in find(objects, kind, name)["spec"]["template"]["spec"]["volumes"]]
        text = repr(volumes)
        for name in ("ufmsync-record-key", "ufmsync-tls", "ufmsync-ca"):
            self.assertIn("'%s'" % name, text)
        self.assertNotIn("ufmsync-ca-key", text, "the CA's key is mounted nowhere")

    def test_every_setting_exists(self):
        with open(os.path.join(ROOT, "ufmsync/setup/options.c")) as f:
            options = f.read()
        with open(os.path.join(ROOT, "deploy/setup/deployment.yaml")) as f:
            names = set(re.findall(r"name: (UFMSYNC_\w+|POD_NAMESPACE)", f.read()))
        for folder in ("setup", "cert-manager"):
            names |= {e["name"] for e in container_of(build(folder))["env"]}
        self.assertEqual(len(names), 5)
        for name in names:
            known = '"%s"' % name in options or 'PREFIX "%s"' % name.removeprefix("UFMSYNC_SETUP_") in options
            self.assertTrue(known, name)

    def test_cert_manager_makes_what_would_be_made_here(self):
        objects = build("cert-manager")
        certificate, ca = (find(objects, "Certificate", name)["spec"] for name in ("ufmsync-tls", "ufmsync-ca"))
        self.assertEqual(certificate["dnsNames"], ["ufmsync.kube-system.svc" + end for end in ("", ".cluster.local")] +
                         ["ufmsync.kube-system", "ufmsync"])
        self.assertEqual(certificate["secretName"], "ufmsync-tls")
        issuer = find(objects, "Issuer", certificate["issuerRef"]["name"])["spec"]
        self.assertEqual(issuer["ca"]["secretName"], ca["secretName"])
        self.assertNotIn(ca["secretName"], SECRETS)
        self.assertIn("selfSigned", find(objects, "Issuer", ca["issuerRef"]["name"])["spec"])
        for one in (certificate, ca):
            self.assertEqual(int(one["duration"][:-1]), 3 * int(one["renewBefore"][:-1]))
        env = {e["name"]: e.get("value") for e in container_of(objects)["env"]}
        self.assertEqual(env["UFMSYNC_SETUP_ONLY"], "record-key,trust")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
