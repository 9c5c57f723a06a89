"""Reading what is in deploy/monitoring, and Debian's promtool."""
import json
import os
import re
import subprocess

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "deploy/monitoring")
METRIC = re.compile(r"\b((?:ufmsync|process)_[a-z0-9_]+)\b")
PARTS = re.compile(r"_(?:bucket|sum|count)$")


def debian_tool(package, program):
    return subprocess.run([os.path.join(ROOT, "tests/debian-tool"), package, program], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def promtool(*argv):
    """(whether it was content, what it said)"""
    done = subprocess.run([debian_tool("prometheus", "promtool"), *argv], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode == 0, done.stdout + done.stderr


def rules():
    """The spec of the PrometheusRule: what a rule file of Prometheus holds."""
    with open(os.path.join(FOLDER, "alerts.yaml")) as f:
        return yaml.safe_load(f)["spec"]


def alerts():
    return [rule for group in rules()["groups"] for rule in group["rules"] if "alert" in rule]


def dashboard():
    with open(os.path.join(FOLDER, "dashboard/ufmsync.json")) as f:
        return json.load(f)


def panels(board):
    """All panels, those in collapsed rows too."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions(board):
    """[(title of the panel, expression)], with what Grafana puts in place of its variables."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield panel["title"], (target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1h")
                                   .replace("$__interval", "1m").replace("$namespace", "kube-system")
                                   .replace("$cluster", "").replace("$pod", ".*"))


def metrics_of(expression):
    """Names of our metrics in an expression; of histograms without what their parts add."""
    names = set(METRIC.findall(re.sub(r"\w+:\w+:\w+", "", expression)))
    return {PARTS.sub("", name) if name.endswith(("_seconds_bucket", "_seconds_sum", "_seconds_count")) else name
            for name in names}


def section(title):
    """A section of README.md."""
    with open(os.path.join(ROOT, "README.md")) as f:
        return f.read().partition("\n## %s\n" % title)[2].partition("\n## ")[0]
