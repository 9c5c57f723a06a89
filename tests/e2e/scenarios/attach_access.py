"""Who may ask for an attachment, how many at a time, and over what connection."""
import hashlib
import os
import socket
import ssl

import objects
from ask import Ask, connect, question, tls
from multus import Sandbox
from scenario import Skip, expect, expect_equal, long, scenario
from scenarios.attach import DENIED, TRY_AGAIN, attach, delegate_never_ran, eventually_waits, start, waiting
from servers import Failed, ServiceCertificate, always, eventually, free_port


def status(world, daemon, **more):
    return Ask(world, daemon, **more).answer()[0]


def is_told(ask, wanted, *headers):
    """Its status is `wanted`, and its body an error."""
    code, found, body = ask.answer()
    expect_equal(code, wanted, "status (%r)" % body)
    expect(body["error"]["code"] and body["error"]["message"], repr(body))
    for header in headers:
        expect(header in found, "header %s in %r" % (header, found))
    return body["error"]


@scenario()
def only_those_who_may(world):
    """In the list of service accounts, and allowed by the API server, and on the pod's node."""
    listed = ["%s/%s" % (world.ns("ufmsync"), account) for account in ("ufmsync-cni", "powerless")]
    daemon, node = start(world, UFMSYNC_ATTACH_SERVICE_ACCOUNTS=",".join(listed))
    world.pod("p", "ib")
    world.guid("p")
    access, body = world.access, question(world, "p")
    good = access.token("node1")
    is_told(Ask(world, daemon, body), 401)
    is_told(Ask(world, daemon, body, "wrong"), 401)
    is_told(Ask(world, daemon, body, headers=["Authorization: Basic " + good]), 401)
    is_told(Ask(world, daemon, body, "x" * 3000), 401)
    if world.kube.kind == "real":
        access.make_account("stranger")
        access.make_account("powerless")
        access.allow("stranger")
    is_told(Ask(world, daemon, body, access.token("node1", account="stranger")), 403)
    is_told(Ask(world, daemon, body, access.token("node1", account="powerless", allowed=False)), 403)
    is_told(Ask(world, daemon, body, access.token("node1", bound=False)), 403)
    is_told(Ask(world, daemon, body, access.token("node2")), 403)
    code, _, answer = Ask(world, daemon, body, good).answer()
    expect_equal((code, objects.hex_guid(answer["guid"]), answer["pkey"], answer["memberships"]),
                 (200, world.guid("p"), "0x5", [{"pkey": "0x5", "membership": "full", "index0": True}]), "the answer")
    code, _, answer = Ask(world, daemon, body, headers=["X-Ufmsync-Token: " + good]).answer()
    expect_equal(code, 200, "where a proxy strips Authorization: %r" % answer)
    own = "https://kubernetes.default.svc"
    code, _, answer = Ask(world, daemon, body, access.token("node1", audience=own)).answer()
    expect_equal(code, 200, "a token of the API server's own audience: %r" % answer)
    expect_equal(status(world, daemon, path="/v1/attach", method="GET"), 401, "GET without a token")
    code, _, answer = Ask(world, daemon, method="GET", token=good).answer()
    expect_equal((code, answer["ready"], answer["leader"]), (200, True, "node1_uid-1"), "GET")
    expect(daemon.metric("ufmsync_attach_waiting") == 0, "waiting")


@scenario("real")  # mock-kube goes on to answer whose a token is
def nobody_is_let_in_while_the_api_server_does_not_say_who_it_is(world):
    """Neither a plugin nor an operator, whose token may be the right one; both are told to come again."""
    daemon, _ = start(world)
    world.pod("p", "ib")
    world.guid("p")
    body, token = question(world, "p"), world.access.token("node1")
    world.kube.down()
    is_told(Ask(world, daemon, body, token), 503)
    is_told(Ask(world, daemon, method="GET", path="/v1/pool", token=token), 503)
    for message in ("ATTACH_UNAVAILABLE", "API_UNAVAILABLE"):
        expect_equal({line["level"] for line in daemon.said(message)}, {"warn"}, message)
    expect(daemon.metric('ufmsync_attach_requests_total{outcome="unavailable"}') == 1, "counted")
    world.kube.up()
    eventually("it is known again who asks, who may not ask this", lambda: status(
        world, daemon, method="GET", path="/v1/pool", token=token) == 403)


@scenario()
def service_accounts_are_those_of_the_setting(world):
    world.nad("ib", objects.plugin_config("0x5"))
    daemon = world.serve(UFMSYNC_ATTACH_SERVICE_ACCOUNTS="elsewhere/x,%s/other" % world.ns("ufmsync"))
    if world.kube.kind == "real":
        world.access.make_account("other")
        world.access.allow("other")
    world.pod("p", "ib")
    node = world.node(daemon)
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], DENIED, "code of %r" % error)
    expect("403" in error["msg"] + error.get("details", ""), repr(error))
    node.put_token(world.access.token("node1", account="other"))
    attach(world, node, "p")
    node.put_token("wrong")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], DENIED, "code of %r" % error)
    expect("401" in error["msg"] + error.get("details", ""), repr(error))


@scenario()
def bad_requests_are_refused_at_once(world):
    daemon, node = start(world)
    world.pod("p", "ib")
    body, token = question(world, "p"), world.access.token("node1")
    for bad in (b"", b"{", b"[]", b"{}", dict(body, pod="p"), dict(body, interface=7), dict(body, interface=""),
                dict(body, pod={"name": "p"}), b"\xff" * 100):
        is_told(Ask(world, daemon, bad, token), 400)
    expect_equal(status(world, daemon, body=dict(body, interface="x" * (1 << 20)), token=token), 413, "a long body")
    is_told(Ask(world, daemon, body, token, method="DELETE"), 405)
    is_told(Ask(world, daemon, body, token, path="/v1/nothing"), 404)
    code = status(world, daemon, body=body, token=token, headers=["X-Long: " + "x" * 100000])
    expect(code in (413, 431), "headers too long: %d" % code)
    expect_equal(status(world, daemon, body=body, token=token), 200, "a good one")
    expect_equal(waiting(daemon), 0, "waiting")


@scenario()
def places_to_wait_are_limited_and_free_again(world):
    """Two of a node, three in all; those who leave make room."""
    daemon, node = start(world, UFMSYNC_ATTACH_PER_NODE_MAX="2", UFMSYNC_ATTACH_WAITING_MAX="3", UFMSYNC_ATTACH_TIMEOUT="4s")
    world.ufm.fault("html", code=503, match={"operation": "write"})
    tokens = {name: world.access.token(name) for name in ("node1", "node2")}
    asks = {}

    def ask(node_name, i):
        name = "%s-%d" % (node_name, i)
        if not world.pod_exists(name):
            world.pod(name, "ib", node=node_name)
        asks[name] = Ask(world, daemon, question(world, name, node=node_name), tokens[node_name])
        return asks[name]
    ask("node1", 0)
    ask("node1", 1)
    eventually_waits(daemon, 2)
    is_told(ask("node1", 2), 429, "retry-after")
    ask("node2", 0)
    eventually_waits(daemon, 3)
    is_told(ask("node2", 1), 503, "retry-after")
    asks["node1-0"].leave()
    asks["node1-1"].leave()
    asks["node2-0"].leave()
    eventually("their places are free", lambda: waiting(daemon) == 0)
    again = [ask("node1", 0), ask("node1", 1), ask("node2", 0)]
    eventually_waits(daemon, 3)
    world.ufm.heal()
    expect_equal([a.answer()[0] for a in again], [200, 200, 200], "when UFM is back")
    expect_equal(waiting(daemon), 0, "waiting")


@scenario()
def plugin_that_gives_up_frees_its_place(world):
    """Because its own time is over, or the runtime killed it; the next one gets what it would have got."""
    daemon, node = start(world)
    world.ufm.fault("html", code=503, match={"operation": "write"})
    world.pod("p", "ib")
    node.ask(daemon, timeout="1s")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], TRY_AGAIN, repr(error))
    eventually("its place is free", lambda: waiting(daemon) == 0)
    node.ask(daemon, timeout="70s")
    running = Sandbox(node, "p").begin()
    eventually_waits(daemon)
    running.sandbox.current.kill()
    eventually("its place is free", lambda: waiting(daemon) == 0)
    delegate_never_ran(node)
    world.ufm.heal()
    attach(world, node, "p")
    try:
        running.end()
    except Failed:
        pass  # multus says that it failed


@scenario()
def plugin_waits_for_a_place(world):
    """429 is a reason to try again, within the time that the plugin has."""
    daemon, node = start(world, UFMSYNC_ATTACH_PER_NODE_MAX="1")
    world.ufm.fault("html", code=503, match={"operation": "write"})
    world.pod("p", "ib")
    world.pod("q", "ib")
    first = Sandbox(node, "p").begin()
    eventually_waits(daemon)
    second = Sandbox(node, "q").begin()
    eventually("the second is refused a place", lambda: daemon.said("ATTACH_NODE_BUSY") or second.over())
    world.ufm.heal()
    first.end()
    try:
        second.end()
    except Failed:
        error = second.refused()
        expect_equal(error["code"], TRY_AGAIN, repr(error))
        attach(world, node, "q")


def fingerprint(daemon, ca):
    with connect(daemon.https, tls(ca)) as connection:
        return hashlib.sha256(connection.getpeercert(True)).hexdigest()


@long
@scenario()
def certificate_is_replaced_without_a_restart(world):
    """By half of one, which is not taken up; by one of the same CA, while somebody waits; by one of another CA, which the
    node file names only later."""
    world.certificate = ServiceCertificate(os.path.join(world.folder, "own"))
    daemon, node = start(world)
    before = fingerprint(daemon, world.certificate.ca)
    with open(world.certificate.cert, "w") as f:
        f.write("-----BEGIN CERTIFICATE-----\n")
    eventually("it is told", lambda: daemon.said("TLS_FILES_BAD"), 30)
    world.ufm.fault("html", code=503, match={"operation": "write"})
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    eventually_waits(daemon)
    world.certificate.issue()
    eventually("the new certificate is shown", lambda: fingerprint(daemon, world.certificate.ca) != before, 30)
    expect_equal(waiting(daemon), 1, "still waiting")
    world.ufm.heal()
    other = ServiceCertificate(os.path.join(world.folder, "other"))
    for name in ("service.key", "service.crt"):
        os.replace(other.path(name), world.certificate.path(name))
    running.end()

    def shown():
        try:
            return fingerprint(daemon, other.ca)
        except ssl.SSLError:
            return None
    eventually("that of the other CA is shown", shown, 30)
    world.pod("q", "ib")
    error = Sandbox(node, "q").refused()
    expect_equal(error["code"], 102, "code of %r" % error)
    node.put_ca(other.ca)
    attach(world, node, "q")


@scenario("mock")
def half_a_handshake_keeps_nobody_busy(world):
    """Of twenty strangers: what the service computes meanwhile is next to nothing, and it goes on answering."""
    daemon, node = start(world)
    strangers = [socket.create_connection(("127.0.0.1", daemon.https)) for _ in range(20)]
    for stranger in strangers:
        stranger.sendall(b"\x16\x03\x01\x02\x00\x01")
    before = daemon.processor_seconds()
    world.pod("p", "ib")
    attach(world, node, "p")
    always("the service lives", daemon.process.alive, 1.5)
    spent = daemon.processor_seconds() - before
    expect(spent < 0.7, "%.2f s of processor time" % spent)
    for stranger in strangers:
        stranger.close()


@scenario("mock")
def service_with_an_ipv6_address(world):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as problem:
            raise Skip("no IPv6 on this machine: %s" % problem)
    port = free_port()
    daemon, node = start(world, UFMSYNC_LISTEN="[::1]:%d" % port)
    node.ask(daemon, server="[::1]:%d" % port)
    world.pod("p", "ib")
    attach(world, node, "p")


@scenario()
def nothing_older_than_tls_1_2(world):
    daemon, node = start(world)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(daemon.https, tls(world.certificate.ca, version)) as connection:
            expect_equal(connection.version(), {ssl.TLSVersion.TLSv1_2: "TLSv1.2",
                                                ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version], "version")
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        try:
            connect(daemon.https, tls(world.certificate.ca, version)).close()
        except ssl.SSLError as problem:
            expect(problem.reason not in ("NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL"), "our own side: %s" % problem)
        else:
            raise Failed("%s is taken" % version)
