"""The demonstration behind deploy/demo --opensm: real ufmsyncd, real OpenSM on a simulated fabric, a mock API server, all on
this machine.  What stands in the ports is shown by infiniband-diags."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in ("tests/e2e", "tests/opensm"):
    sys.path.insert(0, os.path.join(root, folder))

import objects  # noqa: E402
from demo import Demo, ask, in_a_group_of_its_own, say, table, told_to_end  # noqa: E402
from fabric import Fabric, guid_of_host  # noqa: E402
from node import Access  # noqa: E402
from servers import Daemon, MockKube, eventually, free_port  # noqa: E402
from tool import proxy  # noqa: E402

HOSTS, OURS = 6, 2  # ufmsyncd has the port of host 2, OpenSM that of host 1
PARTITIONS = """# of the operator
Default=0x7fff,ipoib : ALL=limited, SELF=full, 0x%016x=full ;
storage=0x7000,ipoib : ALL=full ;
""" % guid_of_host(OURS)
CANARIES = (0x7ffc, 0x7ffd)


def guid_text(host):
    digits = "%016x" % guid_of_host(host)
    return ":".join(digits[i:i + 2] for i in range(0, 16, 2))


class OpensmDemo(Demo):
    def __init__(self, binaries):  # not Demo's own: there is no UFM
        self.folder = tempfile.mkdtemp(prefix="ufmsync-demo-")
        self.binaries, self.daemons_started, self.created, self.published = binaries, 0, {}, {}
        self.secrets, self.tag = [], "demo"
        self.fabric = self.kube = self.daemon = None

    def start(self):
        self.fabric = Fabric(HOSTS, partitions=PARTITIONS)
        self.kube = MockKube(self.binaries, self.folder)
        self.client, certificate = self.kube.client, self.kube.service_certificate()
        for namespace in ("tenant-a", "tenant-b", "ufmsync"):
            self.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        # The simulated port is used through a library that keeps files in the folder where its program runs.
        self.wrapper = ["env", "-C", os.path.join(self.fabric.folder, "clients")]
        shim = self.fabric.environment(OURS)
        settings = {name: shim[name] for name in ("LD_PRELOAD", "SIM_HOST", "IBSIM_SOCKNAME")}
        settings.update({
            "DAEMON_SM_PLUGIN": "opensm", "OPENSM_PARTITIONS_FILE": self.fabric.partitions,
            "OPENSM_RELOAD": self.fabric.pidfile_way(), "OPENSM_LOG": self.fabric.log, "KUBECONFIG": self.kube.kubeconfig,
            "GUID_POOL_RANGE_START": "00:02:c9:03:00:00:00:00", "GUID_POOL_RANGE_END": "00:02:c9:03:00:00:ff:ff",
            "UFM_PKEY_RANGE": "0x1-0x6fff", "UFMSYNC_RECORD_KEY": "ZGVtb25zdHJhdGlvbiBrZXkgb2YgMzIgYnl0ZXMgb3IgbW9yZQ==",
            "K8S_NODE": "10-20-1-10", "POD_UID": "demo", "UFMSYNC_HEALTH_LISTEN": "127.0.0.1:%d" % free_port(),
            "UFMSYNC_LISTEN": "127.0.0.1:%d" % free_port(), "UFMSYNC_TLS_CERT": certificate.cert,
            "UFMSYNC_TLS_KEY": certificate.key, "POD_NAMESPACE": "ufmsync"})
        self.daemon = Daemon(self, settings)
        self.daemon.wait_listed()
        threading.Thread(target=self.watch_times, daemon=True).start()

    def end(self):
        """Whatever was started, in whatever state it is."""
        for process in (self.daemon and self.daemon.process, self.kube and self.kube.process):
            if process:
                process.kill()
        if self.fabric:
            self.fabric.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what there is to see ---

    def keys(self, host):
        return self.fabric.pkeys(self.fabric.lids()[guid_of_host(host)])

    def show_ports(self):
        rows = []
        for host in range(1, HOSTS + 1):
            keys = " ".join("0x%04x" % (key | 0x8000 * full) + ("*" if key in CANARIES else "")
                            for key, full in sorted(self.keys(host).items(), reverse=True))
            whose = {1: "OpenSM's", OURS: "ufmsyncd's"}.get(host, "")
            rows.append(("host %d" % host, guid_text(host), self.fabric.lids()[guid_of_host(host)], keys, whose))
        table(("PORT OF", "PORT GUID", "LID", "smpquery pkeys LID", ""), rows)

    def show_file(self):
        with open(self.fabric.partitions) as f:
            for line in f:
                say("  | " + line.rstrip())

    def want(self, what, tables):
        """Waits until the ports of these hosts hold just these keys besides those that everybody has."""
        def holds():
            return all({key: full for key, full in self.keys(host).items() if key not in (0x7000, 0x7fff)} == wanted
                       for host, wanted in tables.items())
        eventually(what, holds, 30)


def run(demo):
    say("ufmsyncd runs beside real OpenSM, on a simulated fabric of %d hosts (ibsim), with a mock Kubernetes API server.\n"
        "The partition file holds what the operator wrote:" % HOSTS)
    demo.show_file()
    say("\nand so the ports hold (bit 0x8000: full member):")
    demo.show_ports()

    demo.network("tenant-a", "ib", objects.ib_config("0x5"))
    demo.network("tenant-b", "ib", objects.ib_config("0x6"))
    pods = [("tenant-a", "a1", 3), ("tenant-a", "a2", 4), ("tenant-b", "b1", 5), ("tenant-b", "b2", None)]
    for namespace, name, host in pods:
        element = {"name": "ib"}
        if host:
            element["cni-args"] = {"guid": guid_text(host)}
        demo.pod(namespace, name, node="10-20-1-10", networks=[element])
    keys = [(namespace, name) for namespace, name, _ in pods]
    eventually("all pods are annotated", lambda: all(key in demo.published for key in keys), 30)
    demo.want("the members' ports hold their keys", {3: {5: True}, 4: {5: True}, 5: {6: True}, 6: {}})

    say("\nFour pods were created on networks with PKey 0x5 and 0x6; three ask for the GUIDs of ports of hosts 3 to 5, one gets a\n"
        "GUID whose port is not there yet. Each was annotated when OpenSM had read the file that it stands in:")
    demo.show_pods(keys)
    say("\nThe partition file, OpenSM told to read it:")
    demo.show_file()
    say("\nThe ports (0x7ffc or 0x7ffd is the canary in ufmsyncd's own port, which shows which file OpenSM has read: *):")
    demo.show_ports()
    say("\nThe operator's tool asks the service, through the API server:")
    demo.access = Access(demo)
    demo.tool = proxy(demo, demo.daemon)
    ask(demo, "pods", "-A")
    ask(demo, "pkey", "0x5")
    ask(demo, "guid", guid_text(5))
    ask(demo, "diff")
    return keys


def take_down(demo, keys):
    say("\nThe pods are deleted:")
    begin = time.monotonic()
    for namespace, name in keys:
        demo.end_pod(namespace, name)
    demo.want("no port holds a key of theirs", {3: {}, 4: {}, 5: {}, 6: {}})
    took = (time.monotonic() - begin) * 1000
    demo.show_file()
    demo.show_ports()
    say("  no port holds a key of theirs %d ms after the first deletion; what the operator wrote is as it was" % took)
    say("and the tool says:")
    ask(demo, "audit")
    ask(demo, "pkeys")
    ask(demo, "pods", "-A")
    ask(demo, "diff")


def keep(demo):
    at = "cd %s && IBSIM_SOCKNAME=%s SIM_HOST=H-%04d LD_PRELOAD=%s" % (
        os.path.join(demo.fabric.folder, "clients"), demo.fabric.name, OURS, demo.fabric.environment(OURS)["LD_PRELOAD"])
    say("\nIt goes on running. To look around:")
    say("  cat %s" % demo.fabric.partitions)
    say("  (%s smpquery pkeys %d)" % (at, demo.fabric.lids()[guid_of_host(3)]))
    say("  (%s ibnetdiscover)" % at)
    say("  tail -f %s" % demo.fabric.log)
    say("  tail -f %s" % demo.daemon.log)
    say("  curl -s http://127.0.0.1:%d/metrics" % demo.daemon.health)
    say("  kubectl --kubeconfig %s get pods -A -o yaml" % demo.kube.kubeconfig)
    say("  build/bin/ufmsyncctl --kubeconfig %s --service-namespace ufmsync status" % demo.kube.kubeconfig)
    say("To stop it: Ctrl-C here, or kill %d" % os.getpid())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--binaries", default=os.path.join(root, "build", "bin"))
    options = parser.parse_args()
    in_a_group_of_its_own()
    demo = OpensmDemo(os.path.abspath(options.binaries))
    try:
        demo.start()
        keys = run(demo)
        if options.keep:
            keep(demo)
        take_down(demo, keys)
        demo.daemon.stop()
    except BaseException:
        if demo.daemon:
            say(demo.daemon.process.output()[-3000:])
        raise
    finally:
        demo.end()
    say("\nEverything is stopped.")


main()
sys.exit(1 if told_to_end else 0)
