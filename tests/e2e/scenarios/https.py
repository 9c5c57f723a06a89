"""The https port as such: certificate and key at the start, what is not there, a clean end."""
import http.client
import json
import os
import socket
import ssl
import threading

import objects
from scenario import expect, expect_equal, scenario
from scenarios.settings import refused
from servers import Client, ServiceCertificate, eventually, free_port


def https_client(world, daemon, token=None):
    context = ssl.create_default_context(cafile=world.certificate.ca)
    context.check_hostname = False
    return Client("127.0.0.1", daemon.https, context, {"Authorization": "Bearer " + token} if token else {})


@scenario("mock")
def certificate_that_cannot_be_used_is_one_clear_error(world):
    world.start_ufm()
    own = world.certificate
    other = ServiceCertificate(os.path.join(world.folder, "other"))
    listen = "127.0.0.1:%d" % free_port()
    nonsense = os.path.join(world.folder, "nonsense")
    with open(nonsense, "w") as f:
        f.write("no PEM\n")
    for cert, key, word in (("/no/such/tls.crt", own.key, "/no/such/tls.crt"), (own.cert, "/no/such/tls.key", "/no/such/tls.key"),
                            (nonsense, own.key, nonsense), (own.cert, nonsense, nonsense),
                            (own.cert, other.key, "not that of the first certificate"), (world.folder, own.key, world.folder)):
        refused(world, "UFMSYNC_TLS_CERT", word, UFMSYNC_LISTEN=listen, UFMSYNC_TLS_CERT=cert, UFMSYNC_TLS_KEY=key)
    refused(world, "UFMSYNC_LISTEN=nowhere:1", UFMSYNC_LISTEN="nowhere:1", UFMSYNC_TLS_CERT=own.cert, UFMSYNC_TLS_KEY=own.key)


@scenario("mock")
def without_a_certificate_the_port_stays_closed_and_all_else_works(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFMSYNC_LISTEN="127.0.0.1:%d" % free_port())
    expect(daemon.said("HTTPS_OFF"), "it is said")
    try:
        https_client(world, daemon).raw("GET", "/v1/attach")
        raise AssertionError("the port is open")
    except ConnectionRefusedError:
        pass
    world.pod("p", "ib")
    world.guid("p")


@scenario("mock")
def unknown_paths_and_plain_http_get_nowhere(world):
    daemon = world.serve()
    client = https_client(world, daemon)
    for path in ("/", "/v1", "/v1/attach/", "/v1/pkeys/", "/v1/pkeys/0x5/x", "/metrics", "/v2/attach"):
        status, body = client.raw("GET", path)
        expect_equal((status, json.loads(body)["error"]["code"]), (404, "NotFound"), path)
    try:
        status = Client("127.0.0.1", daemon.https).raw("GET", "/v1/attach")[0]
    except (OSError, http.client.HTTPException):
        status = None
    expect_equal(status, None, "an answer to plain http")


def ask(world, daemon, token, pod, answers):
    """Asks for the pod's interface net1 beside us; what came is appended to `answers`."""
    body = {"pod": {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}, "interface": "net1",
            "networkName": "ib", "containerID": "c", "node": "node1"}
    client = https_client(world, daemon, token)
    thread = threading.Thread(target=lambda: answers.append(client.raw("POST", "/v1/attach", body)), daemon=True)
    thread.start()
    return thread


@scenario("mock")
def who_waits_is_answered_before_a_clean_end(world):
    """So that its kubelet asks another replica at once; the Lease is given back after that."""
    daemon, token, answers = world.serve(), world.access.token("node1"), []
    pod = world.pod("p", "ib@net1")
    thread = ask(world, daemon, token, pod, answers)
    eventually("it waits", lambda: daemon.metric("ufmsync_attach_waiting") == 1)
    daemon.stop()
    thread.join(10)
    expect_equal([status for status, _ in answers], [503], "answers")
    expect("error" in json.loads(answers[0][1]), "as JSON: %r" % answers)
    expect_equal(world.lease()["spec"]["holderIdentity"], "", "who holds the Lease")
    world.daemons.remove(daemon)


@scenario("mock")
def who_waits_outlives_a_lost_lease(world):
    """What the service knew is read anew when it leads again; whoever waits is not forgotten over that."""
    daemon, token, answers = world.serve(), world.access.token("node1"), []
    pod = world.pod("p", "ib@net1")
    thread = ask(world, daemon, token, pod, answers)
    eventually("it waits", lambda: daemon.metric("ufmsync_attach_waiting") == 1)
    world.kube.down()
    eventually("it stops leading", lambda: daemon.said("LEADER_LOST"))
    world.kube.up()
    eventually("it leads again", lambda: len(daemon.said("READY")) == 2)
    world.nad("ib", objects.ib_config("0x5"))
    thread.join(20)
    expect_equal([status for status, _ in answers], [200], "answers")
    guid = objects.hex_guid(json.loads(answers[0][1])["guid"])
    expect(guid in world.members(5), "it is a member by then")
    expect_equal(world.guid("p"), guid, "what is published")


@scenario("mock")
def without_a_record_key_a_standby_says_why_it_cannot_answer(world):
    world.nad("ib", objects.ib_config("0x5"))
    token, answers = world.access.token("node1"), []
    leader = world.serve(UFMSYNC_RECORD_KEY=None, POD_UID="uid-a")
    expect(any("UFMSYNC_RECORD_KEY" in line["message"] and "CNI plugin" in line["message"] for line in leader.said("SETTING")),
           "a notice at the start")
    standby = world.serve(wait=False, UFMSYNC_RECORD_KEY=None, POD_UID="uid-b", UFMSYNC_ATTACH_TIMEOUT="1s")
    eventually("it is ready", lambda: standby.get("/readyz")[0] == 200)
    pod = world.pod("p", "ib@net1")
    world.guid("p")
    ask(world, standby, token, pod, answers).join(10)
    ask(world, leader, token, pod, answers).join(10)
    expect_equal([status for status, _ in answers], [200, 200], "answers")
    error = json.loads(answers[0][1])["error"]
    expect(error["code"] == "NotLeader" and error["retry"] and "UFMSYNC_RECORD_KEY" in error["message"], "standby: %r" % error)
    expect("guid" in json.loads(answers[1][1]), "leader: %r" % answers[1][1])


@scenario("mock")
def what_is_refused_is_in_the_log_once_in_a_while(world):
    daemon, token = world.serve(), world.access.token("node1")
    wrong, right = https_client(world, daemon, "none"), https_client(world, daemon, token)
    expect_equal({wrong.raw("GET", "/v1/attach")[0] for _ in range(50)}, {401}, "no such token")
    expect_equal(right.raw("POST", "/v1/attach", "{")[0], 400, "no JSON")
    expect_equal(right.raw("POST", "/v1/attach", "x" * 17000)[0], 413, "a long body")
    right.headers["X-Long"] = "x" * 8000
    expect_equal(right.raw("GET", "/v1/attach")[0], 431, "a long header")
    # Some of it is told once the answer has gone out, which its client may see before.
    for name in ("ATTACH_UNAUTHENTICATED", "ATTACH_BAD_REQUEST", "HTTPS_BODY_TOO_LARGE", "HTTPS_HEADERS_TOO_LARGE"):
        eventually(name + " is said", lambda: 0 < len(daemon.said(name)) < 10)
    counted = {outcome: daemon.metric('ufmsync_attach_requests_total{outcome="%s"}' % outcome)
               for outcome in ("unauthenticated", "bad_request")}
    expect_equal(counted, {"unauthenticated": 50, "bad_request": 1}, "counted")
    expect_equal([daemon.metric('ufmsync_https_refused_total{why="%s"}' % why) for why in ("body", "headers")], [1, 1], "refused")


@scenario("mock")
def flood_of_connections_leaves_the_service_what_it_needs(world):
    """Few open files, and somebody opens connections until no more are taken: pods are served all the same."""
    world.nad("ib", objects.ib_config("0x5"))
    world.wrapper = ["prlimit", "--nofile=600:600"] + world.wrapper
    daemon = world.serve()
    expect(daemon.said("FILES_LIMIT"), "it is said")
    flood = []
    try:
        for _ in range(500):
            flood.append(socket.create_connection(("127.0.0.1", daemon.https)))
        eventually("the log says so", lambda: daemon.said("HTTPS_CONNECTIONS"))
        world.pod("p", "ib")
        world.guid("p")
    finally:
        for connection in flood:
            connection.close()
    expect_equal(https_client(world, daemon).raw("GET", "/none")[0], 404, "an answer when they have left")
    expect(len(daemon.said("HTTPS_CONNECTIONS")) < 10, "not for each of them")
