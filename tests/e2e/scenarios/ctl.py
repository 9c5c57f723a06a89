"""ufmsyncctl as operators use it: through the API server's service proxy, or asking the service itself."""
import json
import os
import signal
import subprocess

import objects
from scenario import expect, expect_equal, long, scenario
from servers import Failed, client_of_kubeconfig, eventually, free_port
from tool import Tool, endpoint, plain, proxy, serve, server


def colons(hexadecimal):
    return ":".join(hexadecimal[i:i + 2] for i in range(0, 16, 2))


def guid(n):
    return "%016x" % (0x02 << 56 | n)


def lines(text, world):
    """With the scenario's own names for its namespaces, and ages and times as X."""
    return plain(text, world).splitlines()


def two_pods(world, daemon):
    """One that is served, and one whose network does not exist."""
    world.nad("ib", objects.ib_config("0x5"))
    world.pod("good", "ib@net1")
    world.pod("bad", "gone@net1")
    found = world.guid("good")
    world.event("bad", "NetworkNotFound")
    eventually("the service knows both", lambda: daemon.metric("ufmsync_listed") == 1)
    return colons(found)


@scenario()
def pods_says_of_each_network_how_far_it_is(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool = proxy(world, daemon)
    result = tool.run("pods", "-n", world.ns("a"))
    expect_equal((result.code, result.err), (0, ""), "%s" % result)
    expect_equal(lines(result.out, world), [
        "POD  NETWORK  PKEY  GUID  STATE  AGE",
        "bad  gone@net1  -  -  NetworkNotFound  X",
        "good  ib@net1  0x0005  %s  published  X" % found], "pods")
    wide = tool.run("pods", "-A", "-o", "wide")
    expect_equal(lines(wide.out, world), [
        "NAMESPACE  POD  NETWORK  PKEY  GUID  STATE  AGE  NODE  MEMBERSHIPS  WAITS FOR",
        "a  bad  gone@net1  -  -  NetworkNotFound  X  node1  -  "
        "network a/gone does not exist",
        "a  good  ib@net1  0x0005  %s  published  X  node1  0x0005 full index0  -" % found], "wide")
    expect_equal(sorted(tool.run("pods", "-A", "-o", "name").out.split()), ["%s/%s" % (world.ns("a"), name)
                                                                            for name in ("bad", "good")], "names")
    expect_equal(lines(tool.run("pods", "-A", "--state", "published", "--no-headers").out, world),
                 ["a  good  ib@net1  0x0005  %s  published  X" % found], "one state")
    none = tool.run("pods", "-n", "nowhere")
    expect_equal((none.code, none.out, none.err), (0, "", "no pod with an InfiniBand network\n"), "of no pod")


@scenario()
def json_and_yaml_are_what_the_service_says(world):
    daemon = serve(world)
    two_pods(world, daemon)
    tool = proxy(world, daemon)
    document = json.loads(tool.run("pods", "-A", "-o", "json").out)
    expect_equal(sorted(document), ["authoritative", "items", "revision"], "what the list says of itself")
    expect_equal({item["pod"] for item in document["items"]}, {"bad", "good"}, "its items")
    text = tool.run("status", "-o", "yaml").out
    expect("brake: \"off\"" in text and "\nattachments:\n  wanted: 1\n" in text, "yaml:\n" + text)
    expect_equal(json.loads(tool.run("pods", "-n", "nowhere", "-o", "json").out)["items"], [], "an empty list")


@scenario()
def a_pkey_shows_whose_its_members_are(world):
    daemon = serve(world, UFMSYNC_ORPHANS="keep")
    found = two_pods(world, daemon)
    world.ufm.add("0x5", guid(0x99), membership="limited", index0=False)
    world.ufm.add("0x5", "0300000000000001")
    tool = proxy(world, daemon)
    eventually("the orphan is seen", lambda: json.loads(tool.run("status", "-o", "json").out)["orphans"] == 1)
    for spelling in ("0x5", "0X0005", "5"):
        result = tool.run("pkey", spelling)
        expect_equal((result.code, result.err), (0, ""), "%s" % result)
        expect_equal(lines(result.out, world), [
            "PKey  0x0005",
            "Members  3: 2 full, 1 limited",
            "Of which  1 of pods, 1 orphan, 0 unexpected, 0 foreign, 1 outside our range",
            "Listed  X ago",
            "",
            "GUID  MEMBERSHIP  POD  NETWORK  STATE  AGE",
            "%s  full index0  a/good  ib@net1  published  X" % found,
            "02:00:00:00:00:00:00:99  limited  -  -  orphan  -",
            "03:00:00:00:00:00:00:01  full  -  -  outside  -"], "pkey " + spelling)
    expect_equal(lines(tool.run("pkeys").out, world), [
        "PKEY  FULL  LIMITED  LISTED  MISSING  ORPHANS  FOREIGN  WRITABLE",
        "0x0005  1  0  3  0  1  0  yes"], "pkeys")
    expect_equal(tool.run("pkey", "5", "-o", "name").out.split(), [found, colons(guid(0x99)), "03:00:00:00:00:00:00:01"],
                 "names")
    gone = tool.run("pkey", "0x77")
    expect_equal((gone.code, gone.out), (3, ""), "a PKey that is not: %s" % gone)


@scenario()
def a_guid_leads_to_its_pod(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool = proxy(world, daemon)
    for spelling in (found, found.replace(":", ""), "0x" + found.replace(":", "").upper()):
        result = tool.run("guid", spelling)
        expect_equal(result.code, 0, "%s" % result)
        expect_equal(lines(result.out, world), [
            "GUID  " + found,
            "Owner  pod a/good",
            "Network  a/ib@net1",
            "PKey  0x0005",
            "Node  node1",
            "State  published: it is ready",
            "In the fabric  a member of 1 PKey",
            "Virtual port  not seen: the fabric manager knows no virtual port at all: looking for them may be switched off "
            "there",
            "Asked  X ago",
            "",
            "PKEY  MEMBERSHIP  WHAT IT IS",
            "0x0005  full index0  as its pod wants it"], "guid " + spelling)
    expect_equal(tool.run("guid", "02:00:00:00:00:00:12:34").code, 3, "one that nobody has")


@scenario()
def a_guid_shows_its_virtual_port(world):
    """Discovery off, on, too early, up, down, refused: what is not known is not claimed, and the rest is answered all the same."""
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool = proxy(world, daemon)

    def port(of=None):
        result = (of or tool).run("guid", found)
        expect_equal(result.code, 0, "%s" % result)
        expect("Owner  pod a/good" in lines(result.out, world), "the owner: %s" % result)
        shown, = [line for line in lines(result.out, world) if line.startswith("Virtual port  ")]
        return shown[len("Virtual port  "):]
    world.ufm.control.call("POST", "/control/switches", {"vports": True, "vports_lag_ms": 0, "vports_unknown_members": True})
    expect_equal(port(), "not seen: the fabric manager knows no virtual port at all: looking for them may be switched off there",
                 "a member that no port has")
    world.ufm.control.call("PUT", "/control/systems", {"systems": [
        {"name": "gpu1", "ip": "192.0.2.1", "guid": "0c42a10300000001", "ports": ["0c42a10300000001", "0c42a10300000002"]}]})
    other = {"guid": guid(0x77), "node": "gpu1", "port": 1}
    world.ufm.control.call("POST", "/control/vports", other)
    expect_equal(port(), "not seen: the fabric manager looks for virtual ports now and then: one that has just come up is not known "
                 "yet", "another's port is there")
    mine = {"guid": found.replace(":", ""), "node": "gpu1", "port": 1, "lid": 77}
    world.ufm.control.call("POST", "/control/vports", mine)
    expect_equal(port(), "Active at gpu1 mlx5_1/1 of gpu1, LID 77", "it is up")
    expect_equal(port(server(world, daemon)), port(), "by the service itself")
    document = json.loads(tool.run("guid", found, "-o", "json").out)
    expect_equal(document["port"], {"seen": True, "state": "Active", "lid": 77, "node": "gpu1", "port": "gpu1 mlx5_1/1",
                                    "note": None}, "json")
    world.ufm.control.call("POST", "/control/vports", dict(mine, state="Down"))
    expect_equal(port(), "Down at gpu1 mlx5_1/1 of gpu1, LID 77", "it is down")
    for fault, why in ((("html", 404), "HTTP 404: this UFM does not tell its virtual ports"),
                       (("status", 403), "HTTP 403, UFM does not allow this")):
        world.ufm.heal()
        world.ufm.fault(fault[0], code=fault[1], match={"operation": "vports"})
        expect(port().startswith("unknown: list the virtual ports: " + why), "refused: " + port())
    world.ufm.heal()
    world.ufm.fault("cut_json", match={"operation": "vports"})
    expect(port().startswith("unknown: list the virtual ports: not a whole list"), "cut: " + port())


@scenario()
def pod_says_why_it_waits_and_what_happened(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool = proxy(world, daemon)
    result = tool.run("pod", world.ns("a") + "/bad")
    expect_equal((result.code, result.err), (0, ""), "%s" % result)
    shown = lines(result.out, world)
    expect_equal(shown[:-2] + sorted(shown[-2:]), [  # the last two are of nearly the same time
        "Pod  a/bad",
        "Node  node1",
        "Phase  Pending",
        "InfiniBand  gone@net1 waits for NetworkAttachmentDefinition a/gone, which does not exist: create it, or correct the "
        "pod's annotation",
        "",
        "NETWORK  PKEY  GUID  STATE  AGE  DEFINITION",
        "gone@net1  -  -  wanted  X  does not exist",
        "",
        "TIME  AGE  WHAT HAPPENED",
        "T  X  created",
        "T  X  NetworkNotFound, ufmsync.io/ufmsyncd: network a/gone does not exist; create it, or correct the pod's "
        "annotation; the pod goes on by itself",
        "T  X  a/gone@net1: wanted"], "bad")
    good = tool.run("pod", "good", "-n", world.ns("a"))
    text = lines(good.out, world)
    expect("InfiniBand  ib@net1 is ready" in text, "good: %s" % good)
    expect("ib@net1  0x0005  %s  published  X  pkey 0x5" % found in text, "good: %s" % good)
    none = tool.run("pod", "nobody", "-n", world.ns("a"))
    expect_equal((none.code, none.out, plain(none.err, world)), (3, "", "ufmsyncctl: there is no pod a/nobody\n"), "no pod")


@scenario()
def pool_audit_and_status_tell_how_it_is(world):
    daemon = serve(world)
    two_pods(world, daemon)
    tool = proxy(world, daemon)
    expect_equal(lines(tool.run("pool").out, world), [
        "Range  02:00:00:00:00:00:00:00 - 02:00:00:00:00:00:ff:ff",
        "Size  65536",
        "Held  1 by attachments",
        "Resting  0 until no stale path reaches a new pod",
        "Blocked  0 by others who use them",
        "Free  65535"], "pool")
    audit = tool.run("audit")
    expect_equal(audit.code, 0, "%s" % audit)
    expect_equal([line.split()[:2] for line in audit.out.splitlines()[1:]],
                 [["Missing", "0"], ["Orphans", "0"], ["Foreign", "0"]], "audit")
    status = lines(tool.run("status").out, world)
    for line in ("Fabric manager  ufm", "Has read  pods, networks and the fabric manager's members",
                 "Brake  off", "Attachments  1 wanted, 0 joining, 0 member, 1 published, 0 leaving, 0 resting",
                 "Blocked  1: pods -A says which, and what they wait for"):
        expect(line in status, "%r in %r" % (line, status))


@scenario("mock")
def what_is_in_the_way_is_said_with_the_next_step(world):
    """One line on stderr each, and nothing on stdout."""
    daemon = serve(world)
    tool = proxy(world, daemon)
    ns = world.ns("ufmsync")

    def fails(code, *parts, words=("status",), way=None, **environment):
        result = (way or tool).run(*words, **environment)
        text = plain(result.err, world)
        expect_equal((result.code, result.out, text.count("\n")), (code, "", 1), "%s" % result)
        for part in parts:
            expect(part in text, "%r in %r" % (part, text))

    def refused(resource, subresource, status, reason, **more):
        world.kube.control.call("POST", "/control/faults", dict({
            "action": "status", "code": status, "reason": reason, "message": "no", "times": 0,
            "match": {"resource": resource, "subresource": subresource, "namespace": ns}}, **more))

    refused("serviceaccounts", "token", 403, "Forbidden")
    fails(1, "verb create on serviceaccounts/token, name ufmsync-reader, in namespace ufmsync")
    world.kube.control.call("DELETE", "/control/faults")
    refused("services", "proxy", 403, "Forbidden")
    fails(1, "verb get on services/proxy, name https:ufmsync:8443, in namespace ufmsync", "--direct")
    world.kube.control.call("DELETE", "/control/faults")
    fails(1, "there is no service account nowhere/ufmsync-reader", "--service-namespace",
          way=Tool(world, ["--service-namespace", "nowhere"]))
    base = "/api/v1/namespaces/%s/" % ns
    endpoints = world.client.call("GET", base + "endpoints/ufmsync")
    world.client.call("PUT", base + "endpoints/ufmsync", dict(endpoints, subsets=[]))
    fails(1, "no replica of the service is ready", "kubectl -n ufmsync get pods", "--direct")
    nobody = {"addresses": [endpoint(world)], "ports": [{"name": "https", "port": free_port()}]}
    world.client.call("PUT", base + "endpoints/ufmsync", {"metadata": {"name": "ufmsync"}, "subsets": [nobody]})
    fails(1, "the API server does not reach the service")
    world.client.call("DELETE", base + "services/ufmsync")
    fails(1, "there is no Service ufmsync/ufmsync")
    fails(1, "API server: ", "connect", KUBECONFIG=unreachable(world))
    fails(1, "/nowhere/config", KUBECONFIG="/nowhere/config")
    fails(2, "'0x8005' is not a PKey", words=("pkey", "0x8005"))
    fails(2, "'12' is not a GUID", words=("guid", "12"))
    fails(2, "unknown command 'pkyes': is pkeys meant?", words=("pkyes",))


def unreachable(world):
    path = os.path.join(world.folder, "unreachable")
    with open(path, "w") as f:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                   "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:%d" % free_port()}}],
                   "users": [], "contexts": [{"name": "c", "context": {"cluster": "c"}}]}, f)
    return path


def with_plugin(world, **more):
    """A kubeconfig whose user is made by a credential plugin, which is a file beside it."""
    path = os.path.join(world.folder, "by-plugin")
    known = client_of_kubeconfig(world.kube.kubeconfig)
    scheme = "https" if known.context else "http"
    execute = dict({"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "IfAvailable",
                    "args": ["a b"], "env": [{"name": "FOR_PLUGIN", "value": "x"}]}, **more)
    with open(path, "w") as f:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                   "clusters": [{"name": "c", "cluster": {"server": "%s://%s:%d" % (scheme, known.host, known.port),
                                                          "certificate-authority": world.kube.ca}}],
                   "users": [{"name": "u", "user": {"exec": execute}}],
                   "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": world.ns("a")}}]}, f)
    return path


def write_plugin(world, body):
    path = os.path.join(world.folder, "plugin")
    with open(path + ".new", "w") as f:
        f.write("#!/bin/sh\n" + body)
    os.chmod(path + ".new", 0o755)
    os.replace(path + ".new", path)


@scenario()
def credential_plugins_are_run_as_kubectl_runs_them(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool, config = proxy(world, daemon), with_plugin(world)
    given = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": world.kube.TOKEN}}
    write_plugin(world, """[ "$1" = "a b" ] && [ "$FOR_PLUGIN" = x ] || exit 7
case "$KUBERNETES_EXEC_INFO" in
*'"kind":"ExecCredential"'*'"apiVersion":"client.authentication.k8s.io/v1"'*'"interactive":false'*) ;;
*) exit 8 ;;
esac
cat <<END
%s
END
""" % json.dumps(given))
    result = tool.run("pods", "--no-headers", "--state", "published", KUBECONFIG=config)
    expect_equal((result.code, lines(result.out, world)), (0, ["good  ib@net1  0x0005  %s  published  X" % found]), "%s" % result)

    def fails(says, body, **more):
        write_plugin(world, body)
        failed = tool.run("status", KUBECONFIG=with_plugin(world, **more))
        expect_equal((failed.code, failed.out), (1, ""), "%s" % failed)
        expect("credential plugin" in failed.err and says in failed.err, "%r in %s" % (says, failed))
        expect(world.kube.TOKEN not in failed.err, "what it printed is not repeated")
    fails("it failed with exit code 9", "exit 9\n")
    fails("no ExecCredential", "echo %s\n" % world.kube.TOKEN)
    fails("of another apiVersion", "echo '%s'\n" % json.dumps(given), apiVersion="client.authentication.k8s.io/v1beta1")
    fails("standard input is no terminal", "exit 0\n", interactiveMode="Always")
    fails("install it from there", "exit 0\n", command="/no/such/plugin", installHint="install it from there")
    fails("exec.apiVersion", "exit 0\n", apiVersion="client.authentication.k8s.io/v1alpha1")


@scenario()
def with_server_it_asks_there_and_believes_its_certificate_only(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool = server(world, daemon)
    result = tool.run("pods", "-A", "--no-headers", "--state", "published")
    expect_equal(lines(result.out, world), ["a  good  ib@net1  0x0005  %s  published  X" % found], "%s" % result)
    other = server(world, daemon, ca=world.ufm.cert).run("status")
    expect_equal(other.code, 1, "with another CA: %s" % other)
    expect("certificate" in other.err, "with another CA: %s" % other)
    wrong = server(world, daemon, token="none").run("status")
    expect_equal(wrong.code, 1, "%s" % wrong)
    expect("does not take the token of --token-file" in wrong.err, "with a wrong token: %s" % wrong)
    daemon.stop()
    world.daemons.remove(daemon)
    down = tool.run("status")
    expect_equal((down.code, down.out), (1, ""), "when it is down: %s" % down)
    expect("service at https://" in down.err, "when it is down: %s" % down)


@scenario()
def the_leader_answers_whichever_replica_is_asked_first(world):
    """The proxy takes any; only the leader knows what waits."""
    leader = serve(world, POD_UID="uid-a")
    two_pods(world, leader)
    standby = serve(world, wait=False, POD_UID="uid-b")
    eventually("it is ready", lambda: standby.get("/readyz")[0] == 200)
    tool = proxy(world, leader, standby)
    for _ in range(8):
        result = tool.run("pods", "-A", "-o", "json")
        expect_equal((result.code, result.err, json.loads(result.out)["authoritative"]), (0, "", True), "%s" % result)
    expect_equal(tool.run("audit").code, 0, "only the leader audits")
    alone = proxy(world, standby).run("pods", "-A", "-o", "name")
    expect_equal((alone.code, alone.out), (1, ""), "%s" % alone)
    expect("the replica that leads was not reached" in alone.err and "uid-a" in alone.err, "it is said: %s" % alone)
    asked = proxy(world, standby).run("status")
    expect("(but another replica answered this)" in asked.out, "status says who leads: %s" % asked)


@long
@scenario()
def watch_prints_what_changes(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    tool = proxy(world, daemon)
    path = os.path.join(world.folder, "ufmsyncctl.watch")
    with open(path, "wb") as out:
        child = subprocess.Popen(tool.argv("pods", "-n", world.ns("a"), "--watch"), stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, env=tool.environment)
    world.others.append(Ending(child))

    def shown():
        with open(path) as f:
            return lines(f.read(), world)
    eventually("the list is there", lambda: len(shown()) == 3)
    world.nad("gone", objects.ib_config("0x6"))
    other = colons(world.guid("bad"))
    eventually("what changed is printed", lambda: any("0x0006" in line and "published" in line for line in shown()))
    world.vanish_pod("good")
    eventually("what is gone, too", lambda: any(line.endswith("(gone)") for line in shown()), 20)
    expect(any(line.startswith("bad ") and other in line for line in shown()), "the changed one: %r" % shown())
    expect_equal(sum(found in line and "published" in line and not line.endswith("(gone)") for line in shown()), 1,
                 "what did not change is printed once: %r" % shown())
    if world.kube.kind == "mock":
        an_outage_is_said_once(world, shown)


def an_outage_is_said_once(world, shown):
    def asked():
        return sum("/proxy/v1/attachments" in one["path"] for one in world.kube.control.call("GET", "/control/log")["requests"])
    world.kube.control.call("POST", "/control/faults", {
        "action": "status", "code": 403, "reason": "Forbidden", "message": "no", "times": 0,
        "match": {"resource": "services", "subresource": "proxy", "namespace": world.ns("ufmsync")}})
    before = asked()
    eventually("it has asked twice", lambda: asked() >= before + 3)
    expect_equal(sum("you may not use the service proxy" in line for line in shown()), 1, "said once: %r" % shown())
    world.kube.control.call("DELETE", "/control/faults")
    world.pod("late", "gone@net1")
    eventually("it goes on", lambda: any(line.startswith("late ") and "published" in line for line in shown()))
    expect_equal(sum(line.startswith("bad ") and "0x0006" in line for line in shown()), 1, "nothing is printed anew: %r" % shown())


class Ending:
    def __init__(self, child):
        self.child = child

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed("ufmsyncctl --watch did not end within 10 s of SIGTERM")
