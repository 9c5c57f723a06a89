"""Rows of tests/bench/run: what an attach costs the service, and the plugin."""
import json
import os
import subprocess
import time

import objects
from measure import SLOW, Turns, cpu_ms, is_published, median, populate, run_queue_ms, status_mb
from servers import eventually

ROWS = []


def row(function):
    ROWS.append(function)
    return function


def write(world, name, text):
    path = os.path.join(world.folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def bodies(world, pods):
    """One attach request a pod, as the plugin sends it."""
    items, more = [], ""
    while True:
        page = world.client.call("GET", "/api/v1/namespaces/%s/pods?limit=500%s" % (world.ns(), more))
        items += page["items"]
        if not page["metadata"].get("continue"):
            break
        more = "&continue=" + page["metadata"]["continue"]
    assert len(items) == pods, len(items)
    return write(world, "bodies", "".join(json.dumps({
        "pod": {key: item["metadata"][key] for key in ("namespace", "name", "uid")}, "interface": "net1", "networkName": "ib",
        "containerID": "%064x" % i, "node": "node1"}, separators=(",", ":")) + "\n" for i, item in enumerate(items)))


def serve(bench, **more):
    world = bench.world()
    return world, lambda: world.serve(**dict(SLOW, UFMSYNC_ATTACH_PER_NODE_MAX="100000", UFMSYNC_ATTACH_TIMEOUT="5m", **more))


def client_words(bench, world, daemon, mode, bodies_file, *words):
    """A token of the size that service accounts' have; all pods of these rows are on one node, so one will do."""
    token = write(world, "token", world.access.token("node1"))
    return [os.path.join(bench.binaries, "bench_attach"), mode, "127.0.0.1", str(daemon.https), world.certificate.ca, token,
            bodies_file] + [str(word) for word in words]


def run_client(bench, world, daemon, *words):
    found = subprocess.run(client_words(bench, world, daemon, *words), stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=300)
    if found.returncode != 0:
        raise RuntimeError("bench_attach ended with %d: %s" % (found.returncode, found.stderr[-300:]))
    return json.loads(found.stdout)


def checked(found, wanted):
    if found["good"] != wanted:
        raise RuntimeError("not all were answered well: %r" % found)
    return found


def members(bench, pods):
    """A service whose pods are all published."""
    world, start = serve(bench)
    world.nad("ib", objects.ib_config("0x5"))
    populate(world, pods, "ib@net1")
    daemon = start()
    eventually("everything is published", lambda: is_published(daemon, pods), 120)
    return world, daemon, bodies(world, pods)


@row
def attach_known(bench):
    """2000 attaches a second, already members"""
    pods, seconds, tries = (200, 3, 1) if bench.quick else (2000, 10, 3)
    world, daemon, file = members(bench, pods)
    pid, found = daemon.process.child.pid, []
    for _ in range(tries):
        floor = checked(run_client(bench, world, daemon, "floor", file, 64, 2000, seconds), 2000 * seconds)
        before, late, turns = cpu_ms(pid), run_queue_ms(pid), Turns(daemon)
        one = checked(run_client(bench, world, daemon, "rate", file, 64, 2000, seconds), 2000 * seconds)
        found.append((one["p99_ms"], floor, one, (cpu_ms(pid) - before) / one["answered"], run_queue_ms(pid) - late,
                      turns.said()))
    p99, floor, one, spent, late, turns = sorted(found, key=lambda f: f[0])[len(found) // 2]
    bench.report("2000 attaches a second, already members, over 64 kept-alive TLS connections, %d s" % seconds,
                 "p50 %.2f ms, p99 %.2f ms, longest %.1f ms, each from when it was due; the same requests to a path that is "
                 "none: p50 %.2f ms, p99 %.2f ms; %.3f ms of the service's processor time and %.3f ms of the client's an "
                 "attach; the service waited %.0f ms in all for a core; %s" % (
                     one["p50_ms"], p99, one["max_ms"], floor["p50_ms"], floor["p99_ms"], spent,
                     one["own_cpu_ms"] / one["answered"], late, turns), "p99 < 5 ms")
    for rate in (200, 500) if bench.quick else (200, 500, 2000):
        before, late = cpu_ms(pid), run_queue_ms(pid)
        one = run_client(bench, world, daemon, "rate", file, 0, rate, seconds)
        bench.report("%d attaches a second, each with a TLS connection of its own, %d s" % (rate, seconds),
                     "%.0f a second were answered; p50 %.2f ms, p99 %.2f ms; %.2f ms of the service's processor time and "
                     "%.2f ms of the client's an attach; the service waited %.0f ms in all for a core%s" % (
                         one["good"] / one["seconds"], one["p50_ms"], one["p99_ms"],
                         (cpu_ms(pid) - before) / one["answered"], one["own_cpu_ms"] / one["answered"],
                         run_queue_ms(pid) - late,
                         "" if one["bad"] + one["broken"] == 0 else "; %d not well: %s" % (
                             one["bad"] + one["broken"], one["first_bad"])), "reported, no target")


@row
def attach_waiting(bench):
    """10,000 attaches wait over TLS, then all are answered"""
    waiting = 1000 if bench.quick else 10000
    world, start = serve(bench)
    world.ufm.latency(write_ms=200)
    populate(world, waiting, "ib@net1")
    daemon = start()
    pid = daemon.process.child.pid
    eventually("all wait for their network", lambda: daemon.metric("ufmsync_attachments_blocked") == waiting, 120)
    file, before = bodies(world, waiting), status_mb(pid, "VmRSS")
    spent = cpu_ms(pid)
    client = subprocess.Popen(client_words(bench, world, daemon, "wait", file, waiting), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True)
    try:
        took = float(client.stdout.readline().split()[1])
        eventually("all wait", lambda: daemon.metric("ufmsync_attach_waiting") == waiting, 60)
        rss = status_mb(pid, "VmRSS")
        bench.report("%d attaches wait, each on its own TLS connection" % waiting,
                     "%.0f MB resident, %.0f MB before (%d pods known): %.1f KB a connection; %.0f a second came in, with "
                     "%.2f ms of processor time each" % (
                         rss, before, waiting, (rss - before) * 1024 / waiting, waiting / took,
                         (cpu_ms(pid) - spent) / waiting), "10,000 in 200 MB")
        turns, begin = Turns(daemon), time.monotonic()
        world.nad("ib", objects.ib_config("0x5"))
        found = checked(json.loads(client.communicate(timeout=300)[0]), waiting)
    finally:
        client.kill()
        client.wait()
    writes, last = len(world.ufm.writes()), found["last_ns"] / 1e9 - begin
    listed = (world.ufm.requests()[-1]["time_us"] - world.ufm.writes()[0]["time_us"]) / 1e6
    bench.report("their network appears: %d joins, 200 ms a write, until the last attach is answered" % waiting,
                 "%.2f s; %.2f s from the first of %d writes to the last read-back at mock-ufm; %.0f MB at its peak; %s" % (
                     last, listed, writes, status_mb(pid, "VmHWM"), turns.said()), "with the last read-back")


def spawn_ms(argv, environment, text):
    """Wall time of a program from before its start to its end, and its own and its children's processor time."""
    begin = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    child.stdin.write(text)
    child.stdin.close()
    out = child.stdout.read()
    _, status, use = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError("%s ended with %d: %s" % (argv[0], child.returncode, out[-300:]))
    return (time.monotonic() - begin) * 1000, (use.ru_utime + use.ru_stime) * 1000


@row
def attach_plugin(bench):
    """The CNI plugin's own time"""
    runs = 30 if bench.quick else 200
    world, daemon, file = members(bench, 1)
    node = world.node(daemon)
    delegate = os.path.join(node.cni_path, "ib-sriov")
    os.unlink(delegate)
    os.symlink(os.path.join(bench.binaries, "bench_delegate"), delegate)
    with open(file) as f:
        pod = json.loads(f.readline())["pod"]
    config = json.dumps({"cniVersion": "1.0.0", "name": "ib", "type": "ufmsync", "deviceID": "0000:03:00.2",
                         "delegate": {"type": "ib-sriov", "link_state": "enable"}}).encode()
    environment = node.environment(
        "ADD", CNI_IFNAME="net1", CNI_CONTAINERID="c" * 64, CNI_NETNS="/proc/self/ns/net",
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_UID=%s;K8S_POD_INFRA_CONTAINER_ID=%s" % (
            pod["namespace"], pod["name"], pod["uid"], "c" * 64))
    spawn_ms([node.plugin], environment, config)
    both = [spawn_ms([node.plugin], environment, config) for _ in range(runs)]
    alone = [spawn_ms([delegate], environment, config) for _ in range(runs)]
    wall, cpu = ([run[i] for run in both] for i in (0, 1))
    wall_alone, cpu_alone = ([run[i] for run in alone] for i in (0, 1))
    bench.report("ufmsync-cni ADD, the pod a member already, %d runs" % runs,
                 "%.1f ms median with its start, the TLS connection and the service's answer; the delegate alone, started the "
                 "same way, %.1f ms: %.1f ms of its own; %.1f ms of processor time" % (
                     median(wall), median(wall_alone), median(wall) - median(wall_alone),
                     median(cpu) - median(cpu_alone)), "< 10 ms")
