#!/usr/bin/env python3
"""deploy/monitoring/alerts.yaml by promtool's own rule tests: each alert fires when it should, after its `for`, alone; and
what belongs to the life of a healthy service fires nothing.

usage: test_alerts.py
"""
import json
import os
import re
import sys
import tempfile
import unittest

import monitoring

PODS = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3", "d": "10.0.0.4"}
DAY = 86400
OUTCOMES = {
    "ufmsync_fabric_writes_total": ("ok", "failed"), "ufmsync_fabric_lists_total": ("ok", "failed"),
    "ufmsync_pod_patches_total": ("ok", "stale", "refused", "failed"),
    "ufmsync_attach_requests_total": ("attached", "refused", "timed_out", "unauthenticated", "forbidden", "bad_request",
                                      "node_busy", "busy", "unavailable", "client_left"),
    "ufmsync_events_total": ("sent", "series", "dropped", "closed", "refused", "failed"),
}
NONE = ("ufmsync_brake", "ufmsync_orphans", "ufmsync_foreign_members", "ufmsync_members_missing", "ufmsync_members_unexpected",
        "ufmsync_attachments_blocked", "ufmsync_attach_waiting", "ufmsync_queue_oldest_seconds",
        "ufmsync_nodes_over_pkey_limit", "ufmsync_loop_long_turns_total",
        "ufmsync_pool_resting_guids", "ufmsync_pool_blocked_guids")
OPENSM = ("ufmsync_opensm_files_refused_total", "ufmsync_opensm_files_unproven_total", "ufmsync_opensm_drifted",
          "ufmsync_opensm_findings", "ufmsync_opensm_reloads_total")


def healthy(pods="ab", leader="a"):
    """{series: values}: a leader that works and a standby, for ever.  A series is `name{pod,label="value"}`."""
    found = {}
    for pod in pods:
        leads = pod == leader
        found.update({"%s{%s}" % (name, pod): "0x10000" for name in NONE})
        for name, outcomes in OUTCOMES.items():
            found.update({'%s{%s,outcome="%s"}' % (name, pod, outcome): "0x10000" for outcome in outcomes})
        found.update({'ufmsync_watch_connected{%s,resource="%s"}' % (pod, resource): "1x10000"
                      for resource in ("pods", "networks", "namespaces")})
        found.update({
            "up{%s}" % pod: "1x10000", "process_start_time_seconds{%s}" % pod: "100x10000",
            "process_open_fds{%s}" % pod: "30x10000", "process_max_fds{%s}" % pod: "1000x10000",
            "ufmsync_leader{%s}" % pod: "1x10000" if leads else "0x10000",
            "ufmsync_listed{%s}" % pod: "1x10000" if leads else "0x10000",
            "ufmsync_pool_guids{%s}" % pod: "1000x10000",
            "ufmsync_pool_held_guids{%s}" % pod: "100x10000" if leads else "0x10000",
            'ufmsync_certificate_expiry_timestamp_seconds{%s,certificate="https"}' % pod: "%dx10000" % (90 * DAY),
            'ufmsync_certificate_expiry_timestamp_seconds{%s,certificate="ufm"}' % pod: "%dx10000" % (300 * DAY),
            'ufmsync_kube_request_duration_seconds_count{%s,operation="lease",outcome="ok"}' % pod: "0+30x10000",
        })
    found.update({
        'ufmsync_fabric_lists_total{%s,outcome="ok"}' % leader: "0+1x10000",
        'ufmsync_fabric_writes_total{%s,outcome="ok"}' % leader: "0+5x10000",
        'ufmsync_ufm_request_duration_seconds_count{%s,operation="add",outcome="ok"}' % leader: "0+5x10000",
        'ufmsync_attachment_member_seconds_bucket{%s,le="1"}' % leader: "0+5x10000",
        'ufmsync_attachment_member_seconds_bucket{%s,le="60"}' % leader: "0+5x10000",
        'ufmsync_attachment_member_seconds_bucket{%s,le="+Inf"}' % leader: "0+5x10000",
    })
    return found


def opensm(series):
    """The same where OpenSM is in UFM's place: one replica, and nothing of UFM."""
    found = {name: values for name, values in series.items() if "{a" in name and "_ufm_" not in name and '"ufm"' not in name}
    found.update({"%s{a}" % name: "0x10000" for name in OPENSM})
    return found


class Case:
    """`changed` replaces series of a healthy service; from minute `begin` on something is wrong, and the alert fires `for`
    later, not a minute earlier.  `value`: as its text shows it; `along`: other alerts that the same fault raises."""

    def __init__(self, alert, changed, begin=10, value="", labels=None, base=dict, along=()):
        self.alert, self.changed, self.begin, self.value, self.base = alert, changed, begin, value, base
        self.labels = labels or {}
        self.along = along


def from_then(before, after, begin=10):
    return "%sx%d %sx10000" % (before, begin - 1, after)


def grows(begin=10, by=1):
    return "0x%d %d+%dx10000" % (begin - 1, by, by)


def target(letter):
    return {"pod": "ufmsync-" + letter, "job": "ufmsync", "instance": PODS[letter] + ":8080"}


FABRIC_LISTS = 'ufmsync_fabric_lists_total{a,outcome="%s"}'
EXPIRY = 'ufmsync_certificate_expiry_timestamp_seconds{%s,certificate="%s"}'
BUCKET = 'ufmsync_attachment_member_seconds_bucket{a,le="%s"}'

CASES = [
    Case("UfmsyncDown", {"up{a}": from_then(1, 0), "up{b}": from_then(1, 0)}, along=("UfmsyncOneReplica",)),
    Case("UfmsyncDown", {name: values.replace("x10000", "x8 stale") for name, values in healthy().items()}, begin=9),
    Case("UfmsyncOneReplica", {"up{b}": "1x9 stale"}),
    Case("UfmsyncOneReplica", {"up{b}": from_then(1, 0)}),
    Case("UfmsyncNoLeader", {"ufmsync_leader{a}": from_then(1, 0)}),
    Case("UfmsyncTwoLeaders", {"ufmsync_leader{b}": from_then(0, 1), "ufmsync_listed{b}": from_then(0, 1)}, value="2"),
    Case("UfmsyncRestarts", {"process_start_time_seconds{b}": "100x5 200x5 300x5 400x5 500x10000"}, begin=24, value="4",
         labels=target("b")),
    Case("UfmsyncLoopBlocked", {"ufmsync_loop_long_turns_total{a}": grows(by=301)}, labels={"pod": "ufmsync-a"}),
    Case("UfmsyncFilesLimit", {"process_open_fds{a}": from_then(30, 900)}, labels=target("a")),
    Case("UfmsyncFabricLoginRefused", {
        'ufmsync_ufm_request_duration_seconds_count{a,operation="list",outcome="unauthorized"}': grows()}),
    Case("UfmsyncFabricLoginRefused", {  # counted for the first time: there was no such series
        'ufmsync_ufm_request_duration_seconds_count{a,operation="list",outcome="untrusted"}': "_x9 1+1x10000"}),
    Case("UfmsyncFabricNotListed", {"ufmsync_listed{a}": "0x10000", 'ufmsync_pool_held_guids{a}': "0x10000"}, begin=0),
    Case("UfmsyncFabricUnreachable", {FABRIC_LISTS % "ok": "0+1x9 9x10000", FABRIC_LISTS % "failed": grows()}, begin=14),
    Case("UfmsyncFabricWritesFailing", {'ufmsync_fabric_writes_total{a,outcome="failed"}': grows()}),
    Case("UfmsyncPodsWait", {"ufmsync_attach_waiting{a}": from_then(0, 3), "ufmsync_attach_waiting{b}": from_then(0, 1)},
         value="4"),
    Case("UfmsyncQueueOld", {"ufmsync_queue_oldest_seconds{a}": from_then(0, 150)}, value="2m 30s"),
    Case("UfmsyncJoinsSlow", {BUCKET % "1": "0x10000"}, begin=1, value="59.41s"),
    Case("UfmsyncPatchesFailing", {'ufmsync_pod_patches_total{a,outcome="failed"}': grows()}),
    Case("UfmsyncPatchesFailing", {'ufmsync_pod_patches_total{a,outcome="refused"}': grows()}),
    Case("UfmsyncAttachmentsBlocked", {"ufmsync_attachments_blocked{a}": from_then(0, 7)}, value="7"),
    Case("UfmsyncAttachBusy", {'ufmsync_attach_requests_total{b,outcome="node_busy"}': grows()}),
    Case("UfmsyncAttachBusy", {'ufmsync_attach_requests_total{a,outcome="unavailable"}': grows()}),
    Case("UfmsyncAttachDenied", {'ufmsync_attach_requests_total{a,outcome="unauthenticated"}': grows()}),
    Case("UfmsyncAttachDenied", {'ufmsync_attach_requests_total{b,outcome="forbidden"}': grows()}),
    Case("UfmsyncBrake", {"ufmsync_brake{a}": from_then(0, 2)}),
    Case("UfmsyncMembersMissing", {"ufmsync_members_missing{a}": from_then(0, 12)}, value="12"),
    Case("UfmsyncMembersUnexpected", {"ufmsync_members_unexpected{a}": from_then(0, 2)}, value="2"),
    Case("UfmsyncMembersForeign", {"ufmsync_foreign_members{a}": from_then(0, 1)}, value="1"),
    Case("UfmsyncMembersLost", {'ufmsync_audit_repairs_total{a,kind="joined"}': grows()}),
    Case("UfmsyncNodePkeysFull", {"ufmsync_nodes_over_pkey_limit{a}": from_then(0, 2)}, value="2"),
    Case("UfmsyncPoolLow", {"ufmsync_pool_held_guids{a}": from_then(100, 850), "ufmsync_pool_resting_guids{a}":
                            from_then(0, 80)}, value="7%"),
    Case("UfmsyncPoolRunsOut", {"ufmsync_pool_held_guids{a}": "500+1x10000"}, begin=1),
    Case("UfmsyncPoolExhausted", {"ufmsync_pool_held_guids{a}": from_then(100, 990),
                                  "ufmsync_pool_blocked_guids{a}": from_then(0, 10)}, along=("UfmsyncPoolLow",)),
    Case("UfmsyncCertificateNotRenewed", {EXPIRY % ("b", "https"): "%dx10000" % (20 * DAY)}, begin=0,
         labels={"certificate": "https"}, value="19d 23h 0m 0s"),
    Case("UfmsyncCertificateExpires", {EXPIRY % ("a", "ufm_client"): "%dx10000" % (6 * DAY)}, begin=0,
         labels={"certificate": "ufm_client"}, value="5d 23h 0m 0s",
         along=("UfmsyncCertificateNotRenewed",)),
    Case("UfmsyncCertificateExpires", {EXPIRY % ("a", "ufm"): "0x10000"}, begin=0,  # long over
         labels={"certificate": "ufm"}, value="-1h 0m 0s",
         along=("UfmsyncCertificateNotRenewed",)),
    Case("UfmsyncKubeForbidden", {
        'ufmsync_kube_request_duration_seconds_count{a,operation="patch_pod",outcome="forbidden"}': "_x9 1+1x10000"},
        labels={"operation": "patch_pod"}),
    Case("UfmsyncKubeFailing", {
        'ufmsync_kube_request_duration_seconds_count{a,operation="list",outcome="unavailable"}': "0x9 60+60x10000"}, begin=11,
        value="50%"),
    Case("UfmsyncWatchDown", {'ufmsync_watch_connected{b,resource="networks"}': from_then(1, 0)},
         labels={"pod": "ufmsync-b", "resource": "networks"}),
    Case("UfmsyncEventsLost", {'ufmsync_events_total{a,outcome="dropped"}': grows()}),
    Case("UfmsyncEventsLost", {'ufmsync_events_total{a,outcome="refused"}': grows()}),
    Case("UfmsyncOpensmFileRefused", {"ufmsync_opensm_files_refused_total{a}": from_then(0, 1)}, base=opensm),
    Case("UfmsyncOpensmFileUnproven", {"ufmsync_opensm_files_unproven_total{a}": grows()}, base=opensm),
    Case("UfmsyncOpensmDrift", {"ufmsync_opensm_drifted{a}": from_then(0, 4)}, value="4", base=opensm),
    Case("UfmsyncOpensmFinding", {"ufmsync_opensm_findings{a}": from_then(0, 1)}, value="1", base=opensm),
]


def later(series, minutes):
    """The same, begun `minutes` later."""
    return {name: "_x%d %s" % (minutes, values) for name, values in series.items()}


def ended(series, minutes):
    """The same, gone after `minutes`."""
    return {name: values.replace("x10000", "x%d stale" % minutes) for name, values in series.items()}


def fresh():
    """A new installation with pods that wait for it: its first minutes, and then it works."""
    return dict(healthy(), **{
        "up{a}": "0x0 1x10000", "up{b}": "0x1 1x10000", "ufmsync_leader{a}": "0x0 1x10000",
        "ufmsync_listed{a}": "0x2 1x10000", 'ufmsync_watch_connected{a,resource="pods"}': "0x3 1x10000", "ufmsync_brake{a}": "1x2 0x10000", "ufmsync_attach_waiting{a}": "400x3 0x10000",
        "ufmsync_attachments_blocked{a}": "5x8 0x10000", "ufmsync_pool_held_guids{a}": "0x2 100 300 500 700x10000",
        "ufmsync_members_missing{a}": "20x3 0x10000", "ufmsync_queue_oldest_seconds{a}": "0 60 120 90 0x10000",
        "ufmsync_loop_long_turns_total{a}": "0 200 400x10000"})


def update():
    """Two pods with the leader, replaced by two others: their series end and begin, one replica for some minutes."""
    return {**ended(healthy(), 30), **later(healthy("cd", "c"), 36)}


def takeover():
    """The leader is killed; the standby leads, and the killed one is started again as a standby."""
    first = {name: values.replace("x10000", "x29 stale") for name, values in healthy().items() if "{a" in name}
    again = {name: "_x2 " + values for name, values in healthy("a", "b").items()}
    return {**healthy("b", "b"), **{name: "%s %s" % (values, again.get(name, "")) for name, values in first.items()},
            "up{a}": "1x29 0x2 1x10000", "process_start_time_seconds{a}": "100x29 stale _x2 132x10000",
            "ufmsync_leader{b}": "0x30 1x10000", "ufmsync_listed{b}": "0x31 1x10000"}


def blips():
    """Each thing that may go wrong once did, and not again."""
    once = "0x40 1x10000"
    counters = ['ufmsync_fabric_writes_total{a,outcome="failed"}', 'ufmsync_fabric_lists_total{a,outcome="failed"}',
                'ufmsync_ufm_request_duration_seconds_count{a,operation="list",outcome="unauthorized"}',
                'ufmsync_pod_patches_total{a,outcome="refused"}', 'ufmsync_pod_patches_total{a,outcome="failed"}',
                'ufmsync_attach_requests_total{a,outcome="busy"}', 'ufmsync_attach_requests_total{a,outcome="unauthenticated"}',
                'ufmsync_attach_requests_total{a,outcome="forbidden"}', 'ufmsync_audit_repairs_total{a,kind="joined"}',
                'ufmsync_kube_request_duration_seconds_count{a,operation="lease",outcome="forbidden"}',
                'ufmsync_kube_request_duration_seconds_count{a,operation="lease",outcome="timeout"}',
                'ufmsync_events_total{a,outcome="dropped"}', "ufmsync_loop_long_turns_total{a}"]
    return dict(healthy(), **{counter: once for counter in counters})


def outage():
    """UFM is away for four minutes, pods wait meanwhile; and once more an hour later."""
    twice = "0x29 %s 0x59 %s 0x10000"
    return dict(healthy(), **{
        'ufmsync_fabric_lists_total{a,outcome="ok"}': "0+1x29 29x3 30+1x10000",
        'ufmsync_fabric_lists_total{a,outcome="failed"}': "0x29 2+2x3 8x10000",
        'ufmsync_fabric_writes_total{a,outcome="failed"}': "0x29 2+2x3 8x10000",
        "ufmsync_queue_oldest_seconds{a}": twice % ("60 120 180 240", "60 120 180 240"),
        "ufmsync_attach_waiting{a}": twice % ("9x3", "9x3"), "ufmsync_members_missing{a}": twice % ("1x9", "1x9")})


def others_troubles():
    """What a standby shows is not what the cluster has; what others do alone is no alert."""
    standby = ("ufmsync_brake", "ufmsync_members_missing", "ufmsync_members_unexpected", "ufmsync_foreign_members",
               "ufmsync_attachments_blocked", "ufmsync_queue_oldest_seconds", "ufmsync_nodes_over_pkey_limit")
    shown = {"%s{b}" % name: "200x10000" for name in standby}
    shown["ufmsync_pool_held_guids{b}"] = "1000x10000"
    return {**healthy(), **shown, 'ufmsync_attach_requests_total{a,outcome="refused"}': "0+9x10000",
            'ufmsync_attach_requests_total{a,outcome="timed_out"}': "0+1x10000",
            'ufmsync_attach_requests_total{a,outcome="client_left"}': "0+9x10000",
            'ufmsync_pod_patches_total{a,outcome="stale"}': "0+9x10000",
            'ufmsync_kube_request_duration_seconds_count{a,operation="patch_pod",outcome="conflict"}': "0+9x10000",
            'ufmsync_kube_request_duration_seconds_count{a,operation="read_pod",outcome="not_found"}': "0+9x10000",
            'ufmsync_ufm_request_duration_seconds_count{a,operation="list",outcome="not_found"}': "0+9x10000"}


def busy():
    """Many pods come all day: interfaces wait, others get in meanwhile; GUIDs rest and come back."""
    return dict(healthy(), **{
        "ufmsync_attach_waiting{a}": "40x10000", 'ufmsync_attach_requests_total{a,outcome="attached"}': "0+50x10000",
        "ufmsync_queue_oldest_seconds{a}": "2x10000", "ufmsync_pool_resting_guids{a}": "50x10 90x10 50x10 20x10000",
        "ufmsync_loop_long_turns_total{a}": "0+30x10000"})


def burst():
    """Pods come at once and take half of the range; then no more come."""
    return dict(healthy(), **{"ufmsync_pool_held_guids{a}": "100x60 150+50x9 600x10000"})


QUIET = {
    "healthy": healthy(), "with OpenSM": opensm(healthy()), "fresh": fresh(), "update": update(), "takeover": takeover(),
    "blips": blips(), "outage": outage(), "others' troubles": others_troubles(), "busy": busy(),
    "without https": {name: values for name, values in healthy().items() if "certificate" not in name},
}


def minutes(text):
    number, unit = re.fullmatch(r"(\d+)([mhd])", text).groups()
    return int(number) * {"m": 1, "h": 60, "d": 1440}[unit]


def series_of(cluster, name, values, last):
    """`name{pod,label="value"}` as a target of Prometheus has it, until minute `last`."""
    name, letter, more = re.fullmatch(r"(\w+)\{(\w)(,.*)?\}", name).groups()
    labels = ",".join('%s="%s"' % item for item in dict(target(letter), namespace="kube-system", cluster=cluster).items())
    return {"series": "%s{%s%s}" % (name, labels, more or ""), "values": values.replace("x10000", "x%d" % (last + 1))}


def rendered(text, labels, value):
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match.group(1)], text)
    return re.sub(r"\{\{ \$value[^}]*\}\}", value, text)


def firing(*matchers):
    return "ALERTS{%s}" % ",".join(('alertstate="firing"',) + matchers)


class Alerts(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.alerts = {alert["alert"]: alert for alert in monitoring.alerts()}

    def check(self, case, cluster):
        """(tests of the alert with its text, tests of all that fires)"""
        alert = self.alerts[case.alert]
        fires = case.begin + minutes(alert.get("for", "0m"))
        labels = dict(case.labels, **alert["labels"])
        if case.alert != "UfmsyncDown":  # which knows nothing of what is not there
            labels["cluster"] = cluster
        if case.alert not in ("UfmsyncDown", "UfmsyncTwoLeaders"):
            labels["namespace"] = "kube-system"
        shown = {"exp_labels": labels, "exp_annotations": {
            key: rendered(text, labels, case.value) for key, text in alert["annotations"].items()}}
        series = ",".join('%s="%s"' % item for item in dict(labels, alertname=case.alert, alertstate="firing").items())
        expression = firing('alertname!~"%s"' % "|".join(case.along), *['cluster="%s"' % cluster] * ("cluster" in labels))
        before = [{"expr": expression, "eval_time": "%dm" % (fires - 1), "exp_samples": []}] if fires else []
        return {"eval_time": "%dm" % fires, "alertname": case.alert, "exp_alerts": [shown]}, before + [
            {"expr": expression, "eval_time": "%dm" % fires, "exp_samples": [{"labels": "ALERTS{%s}" % series, "value": 1}]}]

    def play(self, name, worlds, last, texts=(), expressions=()):
        return {"name": name, "interval": "1m", "alert_rule_test": texts, "promql_expr_test": expressions, "input_series": [
            series_of(cluster, *one, last) for cluster, series in worlds.items() for one in series.items()]}

    def of_cases(self, name, cases):
        """All at a time, each in a cluster of its own."""
        worlds, texts, expressions = {}, {}, []
        for number, case in enumerate(cases):
            cluster = "case-%d" % number
            worlds[cluster] = {**case.base(healthy()), **case.changed}
            text, more = self.check(case, cluster)
            # promtool wants all alerts of a name and a time together.
            texts.setdefault((text["eval_time"], text["alertname"]), dict(text, exp_alerts=[]))["exp_alerts"] += text["exp_alerts"]
            expressions += more
        return self.play(name, worlds, 150, list(texts.values()), expressions)

    def quiet(self, name, worlds, last):
        """Nothing fires, whenever one looks."""
        return self.play(name, worlds, last, expressions=[
            {"expr": firing(), "eval_time": "%dm" % minute, "exp_samples": []} for minute in range(0, last, 3)])

    def test_each_alert_fires_when_it_should_and_quiet_times_are_quiet(self):
        down = [case for case in CASES if case.alert == "UfmsyncDown"]
        played = [self.of_cases("down", [case]) for case in down]
        cases = [case for case in CASES if case not in down]
        played += [self.of_cases("alone", [case for case in cases if not case.along])]
        played += [self.of_cases("in company", [case for case in cases if case.along])]
        played += [self.quiet("quiet", QUIET, 200), self.quiet("a burst", {"burst": burst()}, 540)]
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (("rules.yaml", monitoring.rules()),
                                  ("test.yaml", {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": played})):
                with open(os.path.join(folder, name), "w") as f:
                    json.dump(content, f)  # which is YAML too
            content, said = monitoring.promtool("test", "rules", os.path.join(folder, "test.yaml"))
        self.assertTrue(content, said)

    def test_every_alert_has_a_case(self):
        self.assertEqual(sorted(self.alerts), sorted({case.alert for case in CASES}))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
