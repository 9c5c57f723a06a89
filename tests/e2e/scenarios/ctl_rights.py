"""With the rights that deploy/operator gives and no others, through the service proxy of a real API server."""
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios

import objects
from scenario import expect, expect_equal, scenario
from servers import eventually, kubeconfig
from tool import RBAC, Tool, apply, direct, plain, proxy, serve, server
from world import CORE

LOOK = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-look"}, "rules": [
    {"apiGroups": ["", "events.k8s.io", "k8s.cni.cncf.io"], "verbs": ["get", "list"],
     "resources": ["pods", "events", "network-attachment-definitions"]}]}


def binding(kind, name, to, account):
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind + "Binding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": to},
            "subjects": [{"kind": "ServiceAccount", "name": account}]}


def with_token(world, token):
    """The tool of somebody who has this token of the API server."""
    path = os.path.join(world.folder, "kubeconfig-%d" % len(os.listdir(world.folder)))
    with open(path, "w") as f:
        f.write(kubeconfig(world.kube.port, world.kube.ca, "token: " + token))
    return Tool(world, ["--service-namespace", world.ns("ufmsync")], KUBECONFIG=path)


def person(world, name, role=None):
    """Somebody who has that role, and may look at pods."""
    path = "%s/namespaces/%s/serviceaccounts" % (CORE, world.ns("ufmsync"))
    apply(world, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    apply(world, dict(LOOK, metadata={"name": name}))
    apply(world, binding("ClusterRole", name, name, name))
    if role:
        apply(world, binding("Role", name, role, name))
    answer = world.client.call("POST", "%s/%s/token" % (path, name), {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
    world.secrets.append(answer["status"]["token"])
    return with_token(world, answer["status"]["token"])


def colons(digits):
    return ":".join(digits[i:i + 2] for i in range(0, len(digits), 2))


def some_pods(world):
    """GUIDs of two pods that are members, as people write them; a third pod waits for its network."""
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("other", objects.ib_config("0x6"))
    world.pod("first", "ib")
    world.pod("second", "other")
    world.pod("third", "later")
    world.event("third", "NetworkNotFound")
    return colons(world.guid("first")), colons(world.guid("second"))


def works(result):
    expect_equal((result.code, result.err), (0, ""), repr(result))
    return result.out


def fails(result, code, *words):
    """One line on stderr that says all of `words`, nothing on stdout."""
    expect_equal((result.code, result.out, result.err.count("\n")), (code, "", 1), repr(result))
    for word in words:
        expect(word in result.err, "'%s' in %r" % (word, result))


@scenario("real")
def read_commands_say_through_the_proxy_what_the_service_says(world):
    daemon = serve(world, UFMSYNC_AUDIT_INTERVAL="5m")
    first, second = some_pods(world)
    proxy(world, daemon)
    alice, namespace = person(world, "alice", "ufmsyncctl"), world.ns()
    rows = {row[0]: row[1:] for row in alice.run("pods", "-n", namespace).rows()}
    expect_equal(sorted(rows), ["first", "second", "third"], "pods")
    expect_equal(rows["first"][1:4], ["0x0005", first, "published"], "first")
    expect("NetworkNotFound" in rows["third"], "third: %r" % rows["third"])
    expect("waits for NetworkAttachmentDefinition %s/later" % namespace in works(alice.run("pod", namespace + "/third")), "why")
    expect(first in works(alice.run("pkey", "0x5")), "a member of 0x5")
    out = works(alice.run("guid", second.upper()))
    expect("%s/second" % namespace in out and "0x0006" in out, "guid: " + out)
    expect_equal([row[0] for row in alice.run("pkeys").rows()], ["0x0005", "0x0006"], "pkeys")
    expect("node1_uid-1" in works(alice.run("status")), "the leader")
    expect("65536" in works(alice.run("pool")), "the range")
    expect_equal(json.loads(works(alice.run("pods", "-A", "-o", "json")))["authoritative"], True, "whose words")
    works(alice.run("wait", namespace + "/first"))
    expect_equal(alice.run("guid", "02:00:00:00:00:00:fe:fe").code, 3, "a GUID that is nobody's")
    fails(alice.run("pod", namespace + "/none"), 3, "there is no pod %s/none" % namespace)
    directly = server(world, daemon)
    for words in (["pods", "-A"], ["pods", "-A", "-o", "name"], ["pkeys"], ["pkey", "6", "-o", "wide"], ["guid", first],
                  ["pool", "-o", "yaml"], ["orphans"], ["diff"]):
        here, there = (plain(repr(tool.run(*words)), world) for tool in (alice, directly))
        expect_equal(here, there, " ".join(words))


@scenario("real")
def who_may_look_may_not_operate(world):
    """Each right that deploy/operator gives is needed, and the error names the one that is missing."""
    proxy(world, serve(world, UFMSYNC_ORPHANS="keep", UFMSYNC_ORPHAN_GRACE="100ms", UFMSYNC_AUDIT_INTERVAL="5m"))
    stranger, alice = person(world, "stranger"), person(world, "alice", "ufmsyncctl")
    bob, orphan = person(world, "bob", "ufmsyncctl-operate"), "02:00:00:00:00:00:00:99"
    fails(stranger.run("status"), 1, "serviceaccounts/token", "name ufmsync-reader", "verb create")
    fails(alice.run("audit"), 1, "serviceaccounts/token", "name ufmsync-operator")
    world.ufm.add("0x5", objects.hex_guid(orphan))

    def may_be_removed():
        works(bob.run("audit"))  # it must be seen twice
        return "1 GUID would be removed" in alice.run("orphans", "--remove", "--dry-run").err
    eventually("the orphan was seen twice", may_be_removed)
    expect(orphan in works(alice.run("orphans")), "alice sees it")
    refused = alice.run("orphans", "--remove", "--yes")
    expect(refused.code == 1 and "name ufmsync-operator" in refused.err, "alice may not: %r" % refused)
    expect_equal(len(world.members(5)), 1, "members")
    removed = bob.run("orphans", "--remove", "--yes")
    expect_equal(removed.code, 0, "bob may: %r" % removed)
    eventually("it is gone", lambda: not world.members(5))
    fails(with_token(world, "wrong").run("status"), 1, "the API server does not know you")


@scenario("real")
def each_right_of_the_accounts_is_needed(world):
    """Taken away one after the other, the service refuses the path, and its name is in the error."""
    proxy(world, serve(world))
    bob = person(world, "bob", "ufmsyncctl-operate")
    for account, words, path in (("ufmsync-operator", ["audit"], "POST /v1/audit"),
                                 ("ufmsync-reader", ["pool"], "GET /v1/pool")):
        works(bob.run(*words))
        bindings = RBAC + "/clusterrolebindings/%s-%s" % (account, world.tag)
        world.client.call("DELETE", bindings)
        # What the service knows of a token it keeps a minute; the tool has a new one each time.
        refused = eventually("it is refused", lambda: next((r for r in [bob.run(*words)] if r.code), None))
        fails(refused, 1, "%s may not %s" % (account, path), "nonResourceURL", "deploy/operator")


@scenario("real")
def when_the_service_is_down_the_error_leads_to_direct_which_answers(world):
    daemon = serve(world)
    first, _ = some_pods(world)
    proxy(world, daemon)
    alice, base = person(world, "alice", "ufmsyncctl"), "%s/namespaces/%s/" % (CORE, world.ns("ufmsync"))
    daemon.stop()
    fails(alice.run("pods", "-A", "--request-timeout", "5s"), 1, "the API server does not reach the service", "--direct")
    world.client.call("PUT", base + "endpoints/ufmsync", {"metadata": {"name": "ufmsync"}, "subsets": []})
    fails(alice.run("pods", "-A"), 1, "no replica of the service is ready", "--direct")
    world.client.call("DELETE", base + "services/ufmsync")
    fails(alice.run("pods", "-A"), 1, "there is no Service %s/ufmsync" % world.ns("ufmsync"), "--direct")
    result = direct(world).run("pods", "-n", world.ns())
    expect_equal(result.code, 0, repr(result))
    expect(first in result.out, repr(result))


@scenario("real")
def a_service_that_stands_still_is_given_up_in_time(world):
    daemon = serve(world, UFMSYNC_LEASE_DURATION="60s", UFMSYNC_LEASE_RENEW_DEADLINE="40s")
    proxy(world, daemon)
    alice = person(world, "alice", "ufmsyncctl")
    works(alice.run("status"))
    daemon.process.child.send_signal(signal.SIGSTOP)
    try:
        fails(alice.run("status", "--request-timeout", "2s", timeout=25), 1)
    finally:
        daemon.process.child.send_signal(signal.SIGCONT)
    works(alice.run("status"))


@scenario("real")
def a_pkey_of_thousands_comes_whole_into_a_pipe_and_fits_a_terminal(world):
    proxy(world, serve(world, UFMSYNC_ORPHANS="keep"))
    guids = ["03%014x" % i for i in range(5000)]
    for i in range(0, len(guids), 500):
        world.ufm.add("0x5", *guids[i:i + 500])
    alice = person(world, "alice", "ufmsyncctl")
    expect_equal(set(works(alice.run("pkey", "0x5", "-o", "name")).split()), {colons(guid) for guid in guids}, "members")
    rows = [row for row in alice.run("pkey", "0x5").rows() if len(row) > 1 and row[0].startswith("03:")]
    expect_equal(len(rows), len(guids), "rows")
    lines = on_terminal(alice, 80, "pkey", "0x5", "--no-headers").splitlines()
    expect(max(len(line) for line in lines) <= 80, "80 columns: %r" % max(lines, key=len))
    expect_equal(len([line for line in lines if colons(guids[7]) in line]), 1, "no GUID is cut")


def on_terminal(tool, columns, *words):
    """What is written on a terminal of that width."""
    outer, inner = os.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(tool.argv(*words), stdin=subprocess.DEVNULL, stdout=inner, stderr=subprocess.STDOUT,
                             env=dict(tool.environment, NO_COLOR="1", TERM="xterm"))
    os.close(inner)
    data = b""
    while True:
        try:
            chunk = os.read(outer, 65536)
        except OSError:
            break  # its end
        if not chunk:
            break
        data += chunk
    os.close(outer)
    expect_equal(child.wait(60), 0, "exit code: %r" % data[-500:])
    return data.decode().replace("\r\n", "\n")
