#!/usr/bin/env python3
"""deploy/monitoring: README.md has the same alerts, what is asked of Prometheus exists, can be asked, and is scraped.

usage: test_monitoring.py
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

import manifests
import monitoring

FOLDER = monitoring.FOLDER
SEVERITIES = ("critical", "warning", "info")


def without_templates(text):
    """Summaries end with what only the firing alert knows: "... ({{ $value }} nodes)"."""
    return re.sub(r" \([^()]*\{\{.*\}\}[^()]*\)$", "", text)


def one(objects, kind):
    found, = [o for o in objects if o["kind"] == kind]
    return found


class Alerts(unittest.TestCase):
    maxDiff = None

    def test_promtool_takes_the_rules(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rules.yaml")
            with open(path, "w") as f:
                yaml.safe_dump(monitoring.rules(), f)
            content, said = monitoring.promtool("check", "rules", path)
        self.assertTrue(content, said)
        self.assertNotIn("duplicate", said)

    def test_readme_has_the_same_list(self):
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")]
                for line in monitoring.section("Metrics").splitlines() if line.startswith("| `Ufmsync")]
        self.assertEqual(rows, [
            ["`%s`" % alert["alert"], alert["labels"]["severity"], alert.get("for", "").replace("m", " m").replace("h", " h"),
             without_templates(alert["annotations"]["summary"]), alert["annotations"]["description"]]
            for alert in monitoring.alerts()])

    def test_each_says_how_bad_it_is_what_it_is_and_what_to_do(self):
        for alert in monitoring.alerts():
            self.assertIn(alert["labels"]["severity"], SEVERITIES, alert["alert"])
            self.assertEqual(set(alert["annotations"]), {"summary", "description"}, alert["alert"])
            self.assertNotIn("{{", without_templates(alert["annotations"]["summary"]), alert["alert"])
            self.assertNotIn("{{", alert["annotations"]["description"], "README has it too: " + alert["alert"])
            self.assertNotRegex(" ".join(alert["annotations"].values()), r"\|(?! humanize)", "it would end README's cell")

    def test_what_they_speak_of_is_documented(self):
        with open(os.path.join(monitoring.ROOT, "README.md")) as f:
            readme = f.read()
        for alert in monitoring.alerts():
            for name in re.findall(r"\b(?:[A-Z]{2,}_[A-Z_]+\b(?!\*)|Fabric[A-Z]\w+|RecordRefused)", alert["annotations"]["description"]):
                self.assertIn("`%s`" % name, readme, alert["alert"])


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.board = monitoring.dashboard()

    def test_promtool_can_read_every_expression(self):
        expressions = list(monitoring.expressions(self.board))
        self.assertGreater(len(expressions), 50)
        rules = [{"record": "panel:%d" % number, "expr": expression, "labels": {"panel": title}}
                 for number, (title, expression) in enumerate(expressions)]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rules.yaml")
            with open(path, "w") as f:
                yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, f)
            content, said = monitoring.promtool("check", "rules", path)
        self.assertTrue(content, said)
        self.assertNotIn("$", " ".join(expression for _, expression in expressions), "a variable that nobody fills in")

    def test_it_can_be_shown_wherever_it_is_imported(self):
        for panel in monitoring.panels(self.board):
            for part in [panel] + panel.get("targets", []):
                self.assertEqual(part.get("datasource", {"uid": "${datasource}"})["uid"], "${datasource}", panel["title"])
        self.assertEqual([v["name"] for v in self.board["templating"]["list"]], ["datasource", "cluster", "namespace", "pod"])
        self.assertIn("ufmsync", self.board["uid"])
        self.assertNotIn("id", self.board, "the one of another Grafana")
        ids = [panel["id"] for panel in monitoring.panels(self.board)]
        self.assertEqual(len(ids), len(set(ids)))

    def test_every_series_is_chosen_by_cluster_and_namespace(self):
        for panel in monitoring.panels(self.board):
            for t in panel.get("targets", []):
                named = re.findall(r"\b(?:ufmsync_|process_|up\{)\w*", t["expr"])
                self.assertEqual(t["expr"].count('cluster="$cluster",namespace="$namespace"'), len(named), t["expr"])

    def test_no_panel_covers_another(self):
        places = [panel["gridPos"] for panel in monitoring.panels(self.board)]
        for i, a in enumerate(places):
            self.assertLessEqual(a["x"] + a["w"], 24)
            for b in places[:i]:
                apart = (a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or
                         a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])
                self.assertTrue(apart, (a, b))


class Both(unittest.TestCase):
    def test_every_metric_is_documented(self):
        known = set(monitoring.METRIC.findall(re.sub(r"^\| `Ufmsync.*$", "", monitoring.section("Metrics"), flags=re.M)))
        asked = {name for alert in monitoring.alerts() for name in monitoring.metrics_of(alert["expr"])}
        asked |= {name for _, expression in monitoring.expressions(monitoring.dashboard())
                  for name in monitoring.metrics_of(expression)}
        self.assertGreater(len(asked), 40)
        self.assertEqual(sorted(asked - known), [])
        # What nobody looks at is not worth its line, except for what every exporter has.
        self.assertEqual(sorted(known - asked), ["process_virtual_memory_bytes"])


class Kustomizations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tools = {monitoring.debian_tool("kubernetes-client", "kubectl")} | set(filter(os.path.exists, ["/usr/bin/kubectl"]))
        cls.built = {tool: cls.build(tool, FOLDER) for tool in tools}

    @staticmethod
    def build(tool, folder):
        out = subprocess.run([tool, "kustomize", folder], check=True, capture_output=True, text=True).stdout
        return list(yaml.safe_load_all(out))

    def test_old_and_new_kubectl_make_the_same_of_them(self):
        expected = [monitoring.dashboard(), *(manifests.documents(os.path.join(FOLDER, name))[0]
                                              for name in ("podmonitor.yaml", "alerts.yaml"))]
        for objects in self.built.values():
            config = one(objects, "ConfigMap")
            self.assertEqual((config["metadata"]["name"], config["metadata"]["namespace"]), ("ufmsync-dashboard", "kube-system"))
            self.assertEqual(config["metadata"]["labels"]["grafana_dashboard"], "1")
            self.assertEqual([json.loads(config["data"]["ufmsync.json"]), one(objects, "PodMonitor"),
                              one(objects, "PrometheusRule")], expected)
            self.assertEqual(len(objects), 3)
        for tool in self.built:
            self.assertEqual([o["kind"] for o in self.build(tool, os.path.join(FOLDER, "dashboard"))], ["ConfigMap"])

    def test_it_is_small_enough_for_kubectl_apply(self):
        for objects in self.built.values():
            for o in objects:
                self.assertLess(len(yaml.safe_dump(o)), 256 * 1024, "it must fit into an annotation of itself")

    def test_what_is_scraped_is_what_runs(self):
        monitor = manifests.documents(os.path.join(FOLDER, "podmonitor.yaml"))[0]
        endpoint, = monitor["spec"]["podMetricsEndpoints"]
        for deployment in glob.glob(os.path.join(monitoring.ROOT, "deploy/base/deployment.yaml")):
            template = manifests.documents(deployment)[0]["spec"]["template"]
            labels = monitor["spec"]["selector"]["matchLabels"]
            self.assertEqual({key: template["metadata"]["labels"][key] for key in labels}, labels)
            self.assertIn(endpoint["port"], [port["name"] for container in template["spec"]["containers"]
                                             for port in container["ports"]])
        job, = {relabeling["replacement"] for relabeling in endpoint["relabelings"] if relabeling["targetLabel"] == "job"}
        with open(os.path.join(FOLDER, "alerts.yaml")) as f:
            self.assertEqual(set(re.findall(r'job="(\w+)"', f.read())), {job})


class WithoutTheOperator(unittest.TestCase):
    """README.md beside it, as it is written."""

    @classmethod
    def setUpClass(cls):
        with open(os.path.join(FOLDER, "README.md")) as f:
            text = f.read()
        cls.blocks = re.findall(r"```(\w+)\n(.*?)```", text.partition("## Without it")[2], re.S)
        cls.scrape = next(body for kind, body in cls.blocks if kind == "yaml")
        cls.shell = next(body for kind, body in cls.blocks if kind == "sh")

    def test_the_rules_are_taken_out_and_the_job_is_one(self):
        command, = [line for line in self.shell.splitlines() if line.startswith("sed ")]
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["sh", "-c", command.replace("deploy/monitoring", FOLDER)], check=True, cwd=folder)
            with open(os.path.join(folder, "ufmsync.rules.yaml")) as f:
                self.assertEqual(yaml.safe_load(f), monitoring.rules())
            config = yaml.safe_load(self.scrape)
            for job in config["scrape_configs"]:  # Debian's Prometheus is built without Kubernetes
                self.assertEqual(job.pop("kubernetes_sd_configs"), [{"role": "pod", "namespaces": {"names": ["kube-system"]}}])
            with open(os.path.join(folder, "prometheus.yml"), "w") as f:
                yaml.safe_dump(config, f)
            content, said = monitoring.promtool("check", "config", os.path.join(folder, "prometheus.yml"))
        self.assertTrue(content, said)
        self.assertIn("SUCCESS", said)

    def test_the_job_has_the_name_and_the_labels_that_alerts_look_for(self):
        job, = yaml.safe_load(self.scrape)["scrape_configs"]
        self.assertEqual(job["job_name"], "ufmsync")
        self.assertEqual({relabel.get("target_label") for relabel in job["relabel_configs"]} - {None}, {"namespace", "pod"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
