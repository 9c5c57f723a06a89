#!/usr/bin/env python3
"""The service's manifests, as kubectl builds them: what they promise in every overlay.

usage: test_service.py SOURCE-FOLDER      UFMSYNC_OTHER_KUBECTL: a newer kubectl, which must build the same (else that of
the machine, if it has one)"""

import json
import os
import re
import shutil
import sys
import tempfile
import textwrap
import unittest

import manifests

ROOT = sys.argv[1]
OTHER_KUBECTL = os.environ.get("UFMSYNC_OTHER_KUBECTL") or shutil.which("kubectl")
WITH_UFM = ("ufm", "strict-cni", "another-namespace", "network-policy", "old-kubernetes/ufm", "old-kubernetes/strict-cni")
WITH_OPENSM = ("opensm/host", "opensm/host-device-plugin", "opensm/pod")
RESTRICTED = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
OURS = {"app.kubernetes.io/name": "ufmsync"}


def build(folder):
    return manifests.build(os.path.join(ROOT, "deploy", folder))


def find(objects, kind, name="ufmsync"):
    found, = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def by_name(objects):
    return {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o for o in objects}


def pods_of(objects):
    """{workload: pod template}, whatever makes the pods."""
    found = {}
    for o in objects:
        spec = o.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            found["%s/%s" % (o["kind"], o["metadata"]["name"])] = template
    return found


def anchors_of(page):
    """Its headings, as links to them are written."""
    with open(page) as f:
        headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^ *```.*?^ *```$", "", f.read()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Everywhere(unittest.TestCase):
    @unittest.skipUnless(OTHER_KUBECTL, "there is no newer kubectl, and UFMSYNC_OTHER_KUBECTL names none")
    def test_a_newer_kubectl_builds_the_same(self):
        for folder in manifests.folders():
            path = os.path.join(ROOT, "deploy", folder)
            self.assertEqual(by_name(manifests.build(path)),
                             by_name(manifests.build(path, OTHER_KUBECTL)), folder)

    def test_every_folder_is_on_the_page(self):
        with open(os.path.join(ROOT, "deploy/README.md")) as f:
            page = f.read()
        for folder in manifests.folders():
            if not folder.startswith("opensm/"):  # which has a page of its own
                self.assertTrue("`%s`" % folder in page or "(%s/" % folder in page, folder)

    def test_links_of_the_pages_lead_somewhere(self):
        pages = [os.path.join(ROOT, "README.md")]
        for folder, _, names in os.walk(os.path.join(ROOT, "deploy")):
            pages += [os.path.join(folder, name) for name in names if name.endswith(".md")]
        self.assertGreater(len(pages), 4)
        for page in pages:
            with open(page) as f:
                links = re.findall(r"\]\(([^)\s]+)\)", f.read())
            for link in links:
                path, _, anchor = link.partition("#")
                if ":" not in path:
                    there = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
                    self.assertTrue(os.path.exists(there), "%s: %s" % (page, link))
                    self.assertTrue(not anchor or anchor in anchors_of(there), "%s: %s" % (page, link))

    def test_a_site_names_its_images_in_a_kustomization_of_its_own(self):
        """As the page has it."""
        with open(os.path.join(ROOT, "deploy/README.md")) as f:
            text, = re.findall(r"```yaml\n(.*?)```", f.read(), re.S)
        with tempfile.TemporaryDirectory(prefix="test-service-") as site:
            os.symlink(os.path.realpath(ROOT), os.path.join(site, "ufmsync"))
            with open(os.path.join(site, "kustomization.yaml"), "w") as f:
                f.write(textwrap.dedent(text))
            images = {c["image"] for t in pods_of(manifests.build(site)).values() for c in t["spec"]["containers"]}
        self.assertEqual(images, {"images.example.com/ufmsync:0.1.0", "images.example.com/ufmsync-node:0.1.0"})


class Service(unittest.TestCase):
    def test_what_it_may_is_least_with_ufm(self):
        for folder in WITH_UFM:
            pod = find(build(folder), "Deployment")["spec"]["template"]["spec"]
            self.assertEqual(pod["securityContext"], {
                "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"}}, folder)
            container, = pod["containers"]
            self.assertEqual(container["securityContext"], {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, folder)
            for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "initContainers"):
                self.assertNotIn(field, pod, folder)
            self.assertNotIn("command", container, "there is no shell to run it")
            self.assertLessEqual({kind for v in pod["volumes"] for kind in v if kind != "name"}, RESTRICTED)
            self.assertTrue(all(m["readOnly"] for m in container["volumeMounts"]), folder)
            self.assertFalse(any("hostPort" in p for p in container["ports"]))

    def test_mounted_secrets_can_be_read_by_its_group_alone(self):
        pod = find(build("ufm"), "Deployment")["spec"]["template"]["spec"]
        self.assertEqual([(v.get("secret") or v["projected"])["defaultMode"] for v in pod["volumes"]], [0o440, 0o440])

    def test_a_standby_is_always_there(self):
        for folder in WITH_UFM:
            objects = build(folder)
            spec = find(objects, "Deployment")["spec"]
            self.assertGreaterEqual(spec["replicas"], 2)
            self.assertEqual(spec["strategy"], {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
            self.assertEqual(find(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1)
            affinity = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
            self.assertEqual(list(affinity), ["preferredDuringSchedulingIgnoredDuringExecution"], "one node is enough")
            self.assertEqual([term["podAffinityTerm"]["topologyKey"] for term in list(affinity.values())[0]],
                             ["kubernetes.io/hostname", "topology.kubernetes.io/zone"])

    def test_with_opensm_nothing_of_that_is_left(self):
        for folder in WITH_OPENSM:
            objects = build(folder)
            spec = find(objects, "Deployment")["spec"]
            self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}))
            self.assertNotIn("affinity", spec["template"]["spec"])
            self.assertNotIn("PodDisruptionBudget", [o["kind"] for o in objects])
            self.assertEqual(spec["template"]["spec"]["securityContext"], {"seccompProfile": {"type": "RuntimeDefault"}})

    def test_only_its_own_pods_are_selected(self):
        for folder in WITH_UFM + WITH_OPENSM:
            objects = build(folder)
            selectors = [find(objects, "Service")["spec"]["selector"],
                         find(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
                         find(objects, "Deployment")["spec"]["selector"]["matchLabels"]]
            selectors += [o["spec"]["selector"]["matchLabels"] for o in objects if o["kind"] == "PodDisruptionBudget"]
            self.assertEqual([s for s in selectors if s != OURS], [], folder)
            for name, template in pods_of(objects).items():
                labelled = template["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "ufmsync"
                self.assertEqual(labelled, name == "Deployment/ufmsync", "%s: %s" % (folder, name))

    def test_every_setting_exists(self):
        with open(os.path.join(ROOT, "ufmsync/settings.c")) as f:
            settings = set(re.findall(r'= \{ "([A-Z0-9_]+)"', f.read()))
        for folder in WITH_UFM + WITH_OPENSM:
            container = find(build(folder), "Deployment")["spec"]["template"]["spec"]["containers"]
            env = {e["name"] for c in container if c["name"] == "ufmsyncd" for e in c["env"]}
            self.assertLessEqual(env, settings, folder)

    def test_ports_are_those_that_are_listened_at(self):
        for folder in WITH_UFM + WITH_OPENSM:
            objects = build(folder)
            containers = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
            container, = (c for c in containers if c["name"] == "ufmsyncd")
            self.assertEqual({p["name"]: p["containerPort"] for p in container["ports"]}, {"https": 8443, "health": 8080})
            rules = find(objects, "NetworkPolicy")["spec"]["ingress"]
            self.assertEqual([p["port"] for rule in rules for p in rule["ports"]], [8443, 8080], folder)
            for rule in rules:  # no rule of ours may keep pods from starting until a site has named its own addresses
                self.assertEqual("from" in rule, folder == "network-policy", folder)

    def test_a_site_of_ib_kubernetes_keeps_what_it_has(self):
        for folder in WITH_UFM + WITH_OPENSM:
            for o in build(folder):
                self.assertFalse(o["metadata"]["name"].startswith("ib-kubernetes"), o)
                self.assertNotEqual((o["kind"], o["metadata"]["name"]), ("ConfigMap", "ufmsync-config"))


class AnotherNamespace(unittest.TestCase):
    def test_nothing_is_left_in_the_old_one(self):
        there, here = build("another-namespace"), build("ufm")
        for o in there:
            text = json.dumps(o)
            self.assertNotIn("kube-system", text)
        moved = json.loads(json.dumps(here).replace("kube-system", "ufmsync"))
        new = {key: o for key, o in by_name(there).items() if key[0] not in ("Namespace", "ResourceQuota")}
        self.assertEqual(new, by_name(moved))

    def test_its_pods_may_be_in_it(self):
        objects = build("another-namespace")
        self.assertEqual(find(objects, "Namespace")["metadata"]["labels"], {"pod-security.kubernetes.io/enforce": "restricted"})
        quota, = [o["spec"] for o in objects if o["kind"] == "ResourceQuota"]
        classes = quota["scopeSelector"]["matchExpressions"][0]["values"]
        for template in pods_of(objects).values():
            self.assertIn(template["spec"]["priorityClassName"], classes, "or others' pods could take its place")
        self.assertEqual(quota["hard"]["pods"], "100k", "no cluster is too large for two pods a node")

    def test_each_of_them_passes_the_level_that_the_namespace_enforces(self):
        """`restricted` of the Pod Security Standards, as far as a manifest could miss it."""
        for name, template in pods_of(build("another-namespace")).items():
            pod = template["spec"]
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True, name)
            self.assertGreater(pod["securityContext"]["runAsUser"], 0, name)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
            self.assertLessEqual({kind for v in pod.get("volumes", []) for kind in v if kind != "name"}, RESTRICTED)
            for container in pod["containers"]:
                self.assertIs(container["securityContext"]["allowPrivilegeEscalation"], False, name)
                self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]}, name)
                self.assertNotIn("hostPort", json.dumps(container))
            for field in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(field, pod, name)


class OldKubernetes(unittest.TestCase):
    def test_it_differs_in_what_is_missing_there_and_in_nothing_else(self):
        for folder, same in (("old-kubernetes/ufm", "ufm"), ("old-kubernetes/strict-cni", "strict-cni")):
            old, new = by_name(build(folder)), by_name(build(same))
            self.assertEqual(set(old), set(new))
            different = {key for key in old if old[key] != new[key]}
            expected = {("PodDisruptionBudget", "kube-system", "ufmsync")}
            if same == "strict-cni":
                expected.add(("DaemonSet", "kube-system", "ufmsync-node"))
            self.assertEqual(different, expected)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
