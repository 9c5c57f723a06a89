"""Rows of tests/bench/run: what the questions of operators cost."""
import json
import time
import urllib.parse

import objects
from measure import SLOW, Turns, cpu_ms, is_published, median, status_mb
from scenarios.api import Operator
from scenarios.https import https_client
from servers import eventually

ROWS = []


def row(function):
    ROWS.append(function)
    return function


def filled(bench, pkeys, pods):
    """A service with so many pods in each of these PKeys, all of them published."""
    world = bench.world()
    for k in range(pkeys):
        world.nad("ib%d" % k, objects.ib_config(hex(k + 1)))
    world.pod("template", "ib0")
    world.run_pod("template")
    template = world.get_pod("template")
    world.vanish_pod("template")
    for key in ("uid", "resourceVersion", "creationTimestamp", "name", "managedFields"):
        template["metadata"].pop(key, None)
    for k in range(pkeys):
        template["metadata"]["annotations"][objects.NETWORKS] = "ib%d" % k
        world.kube.control.call("POST", "/control/populate", {
            "resource": "pods", "namespace": world.ns(), "start": k * pods, "count": pods, "name": "p%05d", "pod": template})
    daemon = world.serve(**SLOW)
    eventually("everything is published", lambda: is_published(daemon, pkeys * pods), 180)
    return world, daemon


def walk(client, path, limit):
    """All pages, without a look at what they say; how many items."""
    n, more = 0, ""
    while True:
        status, data = client.raw("GET", "%s?limit=%d%s" % (path, limit, more))
        if status != 200:
            raise RuntimeError("%s: HTTP %d %r" % (path, status, data[:200]))
        page = json.loads(data)
        n += len(page["items"])
        if page["continue"] is None:
            return n
        more = "&continue=" + urllib.parse.quote(page["continue"])


@row
def operators(bench):
    """Questions of operators: 100 PKeys with 50,000 members"""
    pkeys, pods, times = (20, 100, 5) if bench.quick else (100, 500, 20)
    world, daemon = filled(bench, pkeys, pods)
    client = https_client(world, daemon, Operator(world, daemon).token)
    pid = daemon.process.child.pid
    world.ufm.control.call("POST", "/control/members", {"pkey": "0x700", "first": "0300000000000000", "count": pkeys * pods})
    client.call("GET", "/v1/status")  # the connection, and who we are
    for name, path, limit, wanted in (
            ("/v1/pkeys", "/v1/pkeys", 5000, pkeys),
            ("/v1/pkeys/0x5, %d members" % pods, "/v1/pkeys/0x5", 5000, pods),
            ("/v1/attachments, all %d" % (pkeys * pods), "/v1/attachments", 5000, pkeys * pods),
            ("/v1/pkeys/0x700, %d members of others" % (pkeys * pods), "/v1/pkeys/0x700", 5000, pkeys * pods)):
        turns, taken, spent = Turns(daemon), [], cpu_ms(pid)
        tries = times if wanted < 5000 else 3
        for _ in range(tries):
            begin = time.monotonic()
            n = walk(client, path, limit)
            taken.append((time.monotonic() - begin) * 1000)
            if n != wanted:
                raise RuntimeError("%s: %d items, wanted %d" % (path, n, wanted))
        bench.report("GET %s, of %d PKeys with %d members" % (name, pkeys, pkeys * pods),
                     "%.1f ms median, the client's reading included; %.1f ms of processor time; %s; peak memory %.0f MB" % (
                         median(taken), (cpu_ms(pid) - spent) / tries, turns.said(), status_mb(pid, "VmHWM")),
                     "< 1 s, no turn over 2 ms" if path == "/v1/pkeys" else "no turn over 2 ms")
