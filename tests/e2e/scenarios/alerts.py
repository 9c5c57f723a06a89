"""deploy/monitoring on what the service really answers: a healthy one raises no alert, and whatever alerts and dashboard look for
is there under that name and with that label."""
import json
import os
import re
import sys

import objects
from exposition import ROOT, parse
from scenario import expect, expect_equal, scenario
from scenarios.metrics import PATIENT
from servers import eventually

sys.path.append(os.path.join(ROOT, "tests/deploy"))
import monitoring  # noqa: E402

MINUTES = 130
SELECTOR = re.compile(r"\b((?:ufmsync|process)_\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*=(~?)\s*"([^"]*)"')
OF_PROMETHEUS = {"cluster", "namespace", "pod", "job", "instance"}


def read(daemon):
    return parse(daemon.get("/metrics")[1].decode())


def target(daemon, number):
    return 'namespace="kube-system",pod="ufmsync-%d",job="ufmsync",instance="127.0.0.1:%d"' % (number, daemon.health)


def as_targets(scrapes):
    """[(daemon, at first, later on)] as Prometheus would have it: the first scrape, and from then on the second."""
    found = []
    for number, (daemon, first, later) in enumerate(scrapes):
        labels = target(daemon, number)
        found.append({"series": "up{%s}" % labels, "values": "1x%d" % MINUTES})
        for sample, value in later.items():
            name, _, own = sample.rstrip("}").partition("{")
            values = "%s %rx%d" % (repr(first[sample]) if sample in first else "_", value, MINUTES)
            found.append({"series": "%s{%s}" % (name, ",".join(filter(None, [labels, own]))), "values": values})
    return found


def played(world, series, expected):
    """What the rules make of it, every five minutes; `expected`: what fires in the end."""
    checks = [{"expr": "ALERTS{alertstate='firing',alertname!~'UfmsyncCertificate.*'}", "eval_time": "%dm" % minute,
               "exp_samples": []} for minute in range(0, MINUTES, 5)]
    checks.append({"expr": "count by (alertname, certificate) (ALERTS{alertstate='firing'})", "eval_time": "%dm" % MINUTES,
                   "exp_samples": [{"labels": '{alertname="%s",certificate="%s"}' % one, "value": 1} for one in expected]})
    for name, content in (("rules.json", monitoring.rules()), ("played.json", {
            "rule_files": ["rules.json"], "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": checks}]})):
        with open(os.path.join(world.folder, name), "w") as f:
            json.dump(content, f)
    return monitoring.promtool("test", "rules", os.path.join(world.folder, "played.json"))


@scenario("mock")
def healthy_service_raises_none(world):
    """Two replicas from their start on, a pod that comes and one that goes.  The certificates of these tests are valid for a few
    days, and that is told."""
    world.nad("ib", objects.ib_config("0x5"))
    leader = world.serve(**PATIENT)
    first = read(leader)
    standby = world.serve(wait=False, POD_UID="uid-2", **PATIENT)
    eventually("the standby is ready", lambda: standby.get("/readyz")[0] == 200)
    first_of_standby = read(standby)
    for name in ("p", "gone"):
        world.pod(name, "ib")
        world.guid(name)
    world.delete_pod("gone")
    eventually("it is out", lambda: leader.metric("ufmsync_queue_oldest_seconds") == 0)
    later = read(leader)
    days = {kind: (expiry - later["process_start_time_seconds"]) / 86400 for kind in ("https", "ufm") for expiry in [
        later['ufmsync_certificate_expiry_timestamp_seconds{certificate="%s"}' % kind]]}
    expect(0 < days["https"] < 7, "days: %s" % days)
    series = as_targets([(leader, first, later), (standby, first_of_standby, read(standby))])
    now = int(later["process_start_time_seconds"])
    for one in series:  # promtool's clock begins in 1970
        if "expiry" in one["series"]:
            one["values"] = "%dx%d" % (float(one["values"].split()[-1].partition("x")[0]) - now, MINUTES)
    told = [(alert, kind) for kind in days for alert, below in (("UfmsyncCertificateNotRenewed", 21), ("UfmsyncCertificateExpires", 7))
            if days[kind] < below]
    content, said = played(world, series, told)
    expect(content, said)


@scenario("mock")
def whatever_is_looked_for_is_there(world):
    """With the labels and the values that are asked for.  Of OpenSM: tests/opensm."""
    daemon = world.serve()
    found = {}
    for sample in read(daemon):
        name, _, labels = sample.rstrip("}").partition("{")
        for label, _, value in MATCHER.findall(labels):
            found.setdefault((name, label), set()).add(value)
        found.setdefault(name, True)
    expressions = [alert["expr"] for alert in monitoring.alerts()]
    expressions += [expression for _, expression in monitoring.expressions(monitoring.dashboard())]
    looked_for, wrong = 0, set()
    for expression in expressions:
        for name, matchers in SELECTOR.findall(expression):
            if "_opensm_" in name:
                continue
            if name not in found:
                wrong.add(name)
            for label, _, values in MATCHER.findall(matchers):
                if label not in OF_PROMETHEUS and label != "le":
                    looked_for += 1
                    wrong |= {"%s{%s=%s}" % (name, label, value) for value in values.split("|")
                              if value not in found.get((name, label), ())}
    expect(looked_for > 10, "selectors were found: %d" % looked_for)
    expect_equal(sorted(wrong), [], "looked for, and not there")
