"""/metrics: what Prometheus can read at any time, with names and labels that nobody outside can add to, and figures that agree
with what happened."""
import os
import ssl
import subprocess
import threading
import time

import objects
from exposition import lint, parse, scrape, total
from scenario import expect, expect_equal, scenario
from servers import eventually, make_ca, make_certificate

# Nobody else leads meanwhile, and no request fails because the machine is busy.
PATIENT = {"UFMSYNC_LEASE_DURATION": "300s", "UFMSYNC_LEASE_RENEW_DEADLINE": "200s", "UFM_TIMEOUT": "60s"}
UFM, KUBE = "ufmsync_ufm_request_duration_seconds", "ufmsync_kube_request_duration_seconds"
GOOD_AUDITS = 'ufmsync_audits_total{outcome="ok"}'
MEMBER, PUBLISHED = "ufmsync_attachment_member_seconds", "ufmsync_attachment_published_seconds"


def outcomes(daemon, name, outcome, **labels):
    return total(parse(daemon.get("/metrics")[1].decode()), name + "_count", outcome=outcome, **labels)


class Scrapers:
    """Some Prometheuses that scrape all the time."""

    def __init__(self, daemon, n=3):
        self.daemon, self.over, self.texts, self.problems = daemon, threading.Event(), [], []
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.over.wait(0.1):
            try:
                status, body = self.daemon.get("/metrics")[:2]
                self.texts.append(body.decode())
                if status != 200:
                    self.problems.append(status)
            except Exception as problem:
                self.problems.append(problem)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        expect_equal(self.problems, [], "scrapes that failed")
        return self.texts


def counted(daemon, n):
    return lambda: daemon.metric(PUBLISHED + "_count") == n


@scenario()
def burst_of_200_pods_is_counted_while_others_scrape(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.latency(write_ms=200)
    daemon = world.serve(**PATIENT)
    before, began = scrape(daemon), time.monotonic()
    expect_equal(before[MEMBER + "_count"], 0, "members timed at rest")
    scrapers = Scrapers(daemon)
    for i in range(200):
        world.pod("p%03d" % i, "ib")
    eventually("all are published", counted(daemon, 200), 60)
    texts, took = scrapers.end(), time.monotonic() - began
    after = scrape(daemon)
    expect(len(texts) > 8, "%d scrapes under load" % len(texts))
    for text in texts[:: max(1, len(texts) // 4)]:
        lint(text)
    expect_equal({frozenset(parse(text)) for text in texts}, {frozenset(before)}, "series of each scrape")
    expect_equal(set(after), set(before), "series afterwards")
    expect_equal([after[MEMBER + "_count"], after[PUBLISHED + "_count"]], [200, 200], "timed")
    expect(200 * 0.2 <= after[MEMBER + "_sum"] <= after[PUBLISHED + "_sum"] <= 200 * took,
           "%g s until members, %g s until published, in %g s" % (after[MEMBER + "_sum"], after[PUBLISHED + "_sum"], took))
    writes = len(world.ufm.writes())
    expect_equal(total(after, UFM + "_count", operation="join"), writes, "joins that were measured")
    expect(total(after, UFM + "_sum", operation="join") >= 0.2 * writes, "UFM's own time is in them")
    expect_equal(total(after, KUBE + "_count", operation="patch_pod", outcome="ok"), 200, "patches that were measured")
    expect_equal(after["ufmsync_members_wanted"], 200, "members wanted")
    expect_equal(after["ufmsync_node_pkeys_max"], 2, "0x5 and the default partition")
    expect_equal(after["ufmsync_queue_oldest_seconds"], 0, "nothing is on its way")
    expect_equal(total(after, "ufmsync_queue_length"), 0, "nothing waits")
    expect(0 < after["process_cpu_seconds_total"] < took + 60, "processor time")
    expect(abs(time.time() - after["process_start_time_seconds"]) < 600, "start of the process")
    expect(10 < after["process_open_fds"] < after["process_max_fds"], "open files")
    expect(1 << 20 < after["process_resident_memory_bytes"] < after["process_virtual_memory_bytes"], "memory")


@scenario()
def what_tenants_write_is_no_label(world):
    world.ns("a", {"ufmsync.io/pkeys": '0x5"} 1\nevil{x="'})
    daemon = world.start(**PATIENT)
    before = scrape(daemon)
    world.nad("evil", objects.ib_config('0x5"} 1\nufmsync_leader{x="'))
    world.nad("ib", objects.ib_config("0x5", name='ib"} 1\nufmsync_leader{x="'))
    world.pod("bad-pkey", "evil", labels={"evil": "x"})
    world.event("bad-pkey", "BadPKey")
    world.pod("not-allowed", "ib")
    world.event("not-allowed", "PKeyNotAllowed")
    world.pod("odd", [{"name": 'ib"} 1\nevil{x="', "interface": 'net"1\\', "cni-args": {"guid": '"\n'}}])
    world.annotate_namespace("a", {"ufmsync.io/pkeys": "0x5"})
    eventually("what was refused for a while is timed from then on", counted(daemon, 1))
    expect_equal(set(scrape(daemon)), set(before), "series")


@scenario("mock")
def faults_are_told_apart(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**dict(PATIENT, UFM_TIMEOUT="1s"))
    before = scrape(daemon)
    world.ufm.fault("hang", match={"operation": "write"})
    world.pod("p", "ib")
    eventually("it has waited a while", lambda: daemon.metric("ufmsync_queue_oldest_seconds") > 0.3)
    eventually("no answer came in time", lambda: outcomes(daemon, UFM, "timeout", operation="join") >= 1)
    world.ufm.heal()
    world.guid("p", timeout=40)
    for fault, outcome in (({"action": "status", "code": 503}, "unavailable"), ({"action": "unauthorized"}, "unauthorized"),
                           ({"action": "html", "code": 404}, "unreadable")):
        had, well = outcomes(daemon, UFM, outcome), daemon.metric(GOOD_AUDITS)
        world.ufm.fault(times=1, match={"operation": "read"}, **fault)
        eventually("%s is %s" % (fault, outcome), lambda: outcomes(daemon, UFM, outcome) > had)
        eventually("and passes", lambda: daemon.metric(GOOD_AUDITS) > well)
    expect_equal(set(scrape(daemon)), set(before), "series")
    expect(daemon.metric('ufmsync_audits_total{outcome="failed"}') >= 3, "audits that could not be done")
    world.kube.down()
    eventually("the watches are broken", lambda: not total(scrape(daemon), "ufmsync_watch_connected"))
    eventually("nobody answers", lambda: outcomes(daemon, KUBE, "unavailable") > 0)
    world.kube.up()
    eventually("all watches are open", lambda: total(scrape(daemon), "ufmsync_watch_connected") == 3, 40)
    world.pod("q", "ib")
    world.guid("q", timeout=40)
    eventually("nothing is on its way", lambda: daemon.metric("ufmsync_queue_oldest_seconds") == 0)
    after = scrape(daemon)
    expect_equal(set(after), set(before), "series")
    expect(total(after, "ufmsync_watch_ends_total") >= 3, "watches that ended")


@scenario("mock")
def rights_that_are_missing_show_as_forbidden(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PATIENT)
    fault = lambda match, code: world.kube.control.call("POST", "/control/faults", {
        "match": match, "action": "status", "code": code, "times": 1})
    forbidden = lambda operation: lambda: outcomes(daemon, KUBE, "forbidden", operation=operation) == 1
    for match, operation in (({"method": "PATCH", "resource": "pods"}, "patch_pod"),
                             ({"method": "POST", "resource": "events"}, "write_event")):
        fault(match, 403)
        world.pod(operation.replace("_", "-"), "ib")
        eventually("%s is forbidden" % operation, forbidden(operation))
    fault({"verb": "watch", "resource": "pods"}, 410)
    fault({"verb": "list", "resource": "pods"}, 403)
    fault({"verb": "watch", "resource": "namespaces"}, 403)
    world.kube.control.call("POST", "/control/watches/drop", {})
    eventually("so is a list", forbidden("list"))
    name = 'ufmsync_watch_ends_total{resource="namespaces",outcome="forbidden"}'
    eventually("and a watch", lambda: daemon.metric(name) == 1)
    eventually("all is well again", lambda: total(scrape(daemon), "ufmsync_watch_connected") == 3)
    expect(daemon.metric('ufmsync_watch_expired_total{resource="pods"}') >= 1, "a version that was too old")


@scenario()
def both_replicas_tell_their_part(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.pod("there", "ib")
    first = world.start(**PATIENT)
    world.guid("there")
    second = world.start(wait=False, POD_UID="uid-2", **PATIENT)
    eventually("it knows the pods", lambda: second.get("/readyz")[0] == 200)
    world.pod("p", "ib")
    eventually("the leader counts it", counted(first, 1))
    leader, standby = scrape(first), scrape(second)
    expect_equal(set(leader), set(standby), "series")
    expect_equal([leader["ufmsync_leader"], standby["ufmsync_leader"]], [1, 0], "leader")
    expect_equal([leader["ufmsync_members_wanted"], standby["ufmsync_members_wanted"]], [2, 0], "members wanted")
    expect_equal(standby[PUBLISHED + "_count"], 0, "the standby publishes nothing")
    expect_equal(total(standby, KUBE + "_count", operation="patch_pod"), 0, "nor does it patch")
    expect(total(standby, KUBE + "_count", operation="read_lease", outcome="ok") > 0, "it looks at the Lease")
    first.stop()
    eventually("the other leads", lambda: second.metric("ufmsync_leader") == 1 and second.metric("ufmsync_listed") == 1, 30)
    eventually("it knows what there is", lambda: second.metric("ufmsync_members_wanted") == 2)
    world.pod("q", "ib")
    world.guid("q", timeout=30)
    eventually("only what it saw from its beginning is timed", counted(second, 1))
    expect_equal(scrape(second)[MEMBER + "_count"], 1, "members timed")


@scenario("mock")
def repairs_are_counted(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PATIENT)
    world.pod("p", "ib")
    guid = world.guid("p")
    eventually("settled", lambda: daemon.metric("ufmsync_settled") == 1)
    world.ufm.forget("0x5", guid)
    eventually("put back", lambda: daemon.metric('ufmsync_audit_repairs_total{kind="joined"}') == 1)
    world.ufm.add("0x5", "020000000000fff0")
    eventually("removed", lambda: daemon.metric('ufmsync_audit_repairs_total{kind="removed"}') == 1)
    world.ufm.add("0x6", guid)
    eventually("its GUID is where it should not be", lambda: daemon.metric("ufmsync_members_unexpected") == 1)
    eventually("removed as well", lambda: daemon.metric('ufmsync_audit_repairs_total{kind="removed"}') == 2)
    series = scrape(daemon)
    expect_equal(set(world.members()), {(5, guid)}, "members")
    expect(series[GOOD_AUDITS] >= 3, "audits")
    expect(abs(time.time() - series["ufmsync_last_audit_timestamp_seconds"]) < 600, "the last of them")


def end_of(path):
    done = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], check=True, text=True, capture_output=True)
    return ssl.cert_time_to_seconds(done.stdout.strip().partition("=")[2])


@scenario("mock")
def certificates_show_when_they_end(world):
    path = lambda name: os.path.join(world.folder, name)
    make_ca(path)
    make_certificate(path, "client", "/CN=ufmsync")
    texts = {}
    for name in ("client.crt", "client.key"):
        with open(path(name)) as f:
            texts[name] = f.read()
    name = "ufmsync_certificate_expiry_timestamp_seconds"
    plain = scrape(world.start())
    expect_equal([one for one in plain if one.startswith(name)], [name + '{certificate="ufm"}'], "without https")
    world.daemons[-1].stop()
    daemon = world.serve(wait=False, UFM_AUTH="mtls", UFM_USERNAME=None, UFM_PASSWORD=None,
                         UFM_CLIENT_CERT=texts["client.crt"], UFM_CLIENT_KEY=texts["client.key"])
    eventually("it answers", lambda: daemon.get("/healthz")[0] == 200)
    series = scrape(daemon)
    for label, file in (("https", world.certificate.cert), ("ufm", world.ufm.cert), ("ufm_client", path("client.crt"))):
        expect_equal(series['%s{certificate="%s"}' % (name, label)], end_of(file), label)
