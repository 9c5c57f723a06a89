"""What the rows of tests/bench/run measure with."""
import os
import platform


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) >> 20
    return "%s, %d cores, %d GB, Linux %s" % (model, os.cpu_count(), memory, platform.release())


def status_mb(pid, field):
    """A line of /proc/PID/status that is in kB: VmRSS, VmHWM."""
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_ms(pid):
    """Processor time of the process's first thread, which is the loop's."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e6


def run_queue_ms(pid):
    """How long that thread was ready to run and had no core: other processes' doing."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[1]) / 1e6


def median(values):
    return sorted(values)[len(values) // 2]


def tenth(values, which):
    return sorted(values)[len(values) * which // 10]


# Settings of a cluster that is not in a hurry, unlike the tests'.
SLOW = dict(UFMSYNC_AUDIT_INTERVAL="60s", UFMSYNC_LEASE_DURATION="15s", UFMSYNC_LEASE_RENEW_DEADLINE="10s", UFM_TIMEOUT="10s",
            UFMSYNC_LEASE_RETRY="2s", UFMSYNC_LOG_LEVEL="info", GUID_POOL_RANGE_END="02:00:00:00:ff:ff:ff:ff")


class Turns:
    """Of the daemon's loop from now on, in words."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.before = self.read()

    def read(self):
        return tuple(int(self.daemon.metric("ufmsync_loop_%s_total" % name)) for name in ("long_turns", "turns"))

    def said(self):
        long, turns = (now - before for now, before in zip(self.read(), self.before))
        return "%d of %d turns of the loop over 2 ms (longest ever %.1f ms)" % (
            long, turns, self.daemon.metric("ufmsync_loop_turn_seconds_max") * 1000)


def all_turns(daemon):
    turns = Turns(daemon)
    turns.before = (0, 0)
    return turns.said()


def populate(world, pods, networks, ns="a"):
    """Pods that stand there when the service comes: copies of one that the API server took, so that they are complete."""
    world.pod("template", networks, ns)
    world.run_pod("template", ns)
    template = world.get_pod("template", ns)
    world.vanish_pod("template", ns)
    for key in ("uid", "resourceVersion", "creationTimestamp", "name", "managedFields"):
        template["metadata"].pop(key, None)
    for first in range(0, pods, 10000):
        world.kube.control.call("POST", "/control/populate", {
            "resource": "pods", "namespace": world.ns(ns), "start": first, "count": min(10000, pods - first),
            "name": "p%05d", "pod": template})


def is_published(daemon, attachments):
    return daemon.metric('ufmsync_attachments{state="published"}') == attachments
