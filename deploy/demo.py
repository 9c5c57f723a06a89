"""The demonstration behind deploy/demo: real ufmsyncd, mock UFM, mock API server, all on 127.0.0.1."""
import json
import os
import shutil
import signal
import ssl
import sys
import tempfile
import threading
import time

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(root, "tests", "e2e"))

import objects  # noqa: E402
from multus import Sandbox  # noqa: E402
from node import Access, Node  # noqa: E402
from servers import Client, Daemon, MockKube, MockUfm, eventually, free_port  # noqa: E402
from tool import proxy  # noqa: E402

CORE, NADS = "/api/v1", "/apis/k8s.cni.cncf.io/v1"
RDMA = {"spidernet.io/mellanoxibsriov": 1}


def say(text=""):
    print(text, flush=True)


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        say("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


class Demo:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ufmsync-demo-")
        self.binaries = os.path.join(root, "build", "bin")
        self.wrapper, self.daemons_started, self.plugins, self.secrets, self.tag = [], 0, [], [], "demo"
        self.kube = MockKube(self.binaries, self.folder)
        self.client, self.certificate = self.kube.client, self.kube.service_certificate()
        self.ufm = MockUfm(self.binaries, self.folder)
        self.ufm.latency(write_ms=200)
        with open(self.ufm.cert) as f:
            certificate = f.read()
        for namespace in ("kube-system", "tenant-a", "tenant-b", "ufmsync"):
            self.client.raw("POST", CORE + "/namespaces", json.dumps(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
        self.daemon = Daemon(self, {
            "DAEMON_SM_PLUGIN": "ufm", "UFM_ADDRESS": "127.0.0.1", "UFM_PORT": self.ufm.port, "UFM_USERNAME": self.ufm.USER,
            "UFM_PASSWORD": self.ufm.PASSWORD, "UFM_CERTIFICATE": certificate, "KUBECONFIG": self.kube.kubeconfig,
            "GUID_POOL_RANGE_START": "02:00:00:00:00:00:00:00", "GUID_POOL_RANGE_END": "02:00:00:00:00:ff:ff:ff",
            "UFMSYNC_RECORD_KEY": "ZGVtb25zdHJhdGlvbiBrZXkgb2YgMzIgYnl0ZXMgb3IgbW9yZQ==", "K8S_NODE": "10-20-1-10",
            "POD_UID": "demo", "UFMSYNC_HEALTH_LISTEN": "127.0.0.1:%d" % free_port(),
            "UFMSYNC_LISTEN": "127.0.0.1:%d" % free_port(), "UFMSYNC_TLS_CERT": self.certificate.cert,
            "UFMSYNC_TLS_KEY": self.certificate.key, "POD_NAMESPACE": "ufmsync"})
        context = ssl.create_default_context(cafile=self.ufm.cert)
        context.check_hostname = False
        import base64
        login = base64.b64encode(("%s:%s" % (self.ufm.USER, self.ufm.PASSWORD)).encode()).decode()
        self.ufm_api = Client("127.0.0.1", self.ufm.port, context, {"Authorization": "Basic " + login})
        self.created, self.published = {}, {}

    # --- Kubernetes, as its users see it ---

    def create(self, path, item):
        return self.kube.client.call("POST", path, item)

    def network(self, namespace, name, config):
        self.create("%s/namespaces/%s/network-attachment-definitions" % (NADS, namespace),
                    objects.nad(namespace, name, config, "spidernet.io/mellanoxibsriov"))

    def pod(self, namespace, name, **more):
        item = objects.pod(namespace, name, **more)
        item["spec"]["containers"][0]["resources"] = {"limits": RDMA}
        self.created[namespace, name] = time.monotonic()
        self.create("%s/namespaces/%s/pods" % (CORE, namespace), item)

    def ns(self, name):
        return name

    def get_pod(self, name, ns):
        return self.get(ns, name)

    def pod_exists(self, name, ns):
        return self.client.raw("GET", "%s/namespaces/%s/pods/%s" % (CORE, ns, name))[0] == 200

    def set_status(self, name, status, ns):
        self.client.call("PATCH", "%s/namespaces/%s/pods/%s/status" % (CORE, ns, name), {"status": status},
                         "application/merge-patch+json")

    def get(self, namespace, name):
        return self.kube.client.call("GET", "%s/namespaces/%s/pods/%s" % (CORE, namespace, name))

    def end_pod(self, namespace, name):
        """kubectl delete, and the kubelet's part of it."""
        path = "%s/namespaces/%s/pods/%s" % (CORE, namespace, name)
        ended = {"name": "c", "ready": False, "restartCount": 0, "image": "x", "imageID": "x",
                 "state": {"terminated": {"exitCode": 0}}}
        self.kube.client.call("DELETE", path)
        self.kube.client.call("PATCH", path + "/status", {"status": {"containerStatuses": [ended]}},
                              "application/merge-patch+json")
        self.kube.client.call("DELETE", path + "?gracePeriodSeconds=0")

    def watch_times(self):
        """Notes when each pod's annotation first says `configured`."""
        client = Client(self.kube.client.host, self.kube.client.port, self.kube.client.context, self.kube.client.headers)
        connection = client.open()
        connection.request("GET", CORE + "/pods?watch=1&resourceVersion=0&timeoutSeconds=600", headers=client.headers)
        answer = connection.getresponse()
        for line in answer:
            item = json.loads(line)["object"]["metadata"]
            key = (item["namespace"], item["name"])
            if "configured" in json.dumps(item.get("annotations", {})) and key not in self.published:
                self.published[key] = time.monotonic()

    # --- what there is to see ---

    def elements(self, namespace, name):
        """The interfaces that the pod's annotations name, JSON by now."""
        notes = self.get(namespace, name)["metadata"].get("annotations", {})
        for key, otherwise in ((objects.DEFAULT_NETWORK, "kube-system"), (objects.NETWORKS, namespace)):
            if notes.get(key, "").startswith("["):
                for element in json.loads(notes[key]):
                    yield element, "%s/%s" % (element.get("namespace", otherwise), element["name"])

    def show_pods(self, pods):
        rows = []
        for namespace, name in pods:
            node = self.get(namespace, name)["spec"]["nodeName"]
            took = self.published.get((namespace, name))
            took = "%d ms" % round((took - self.created[namespace, name]) * 1000) if took else "-"
            elements = [(e["cni-args"], network) for e, network in self.elements(namespace, name)
                        if "mellanox.infiniband.app" in e.get("cni-args", {})]
            for i, (written, network) in enumerate(elements):
                rows.append((namespace + "/" + name if i == 0 else "", node if i == 0 else "", network, written["pkey"],
                             written["guid"], took if i == 0 else ""))
            if not elements:
                rows.append((namespace + "/" + name, node, "not ib-sriov: left alone", "-", "-", "-"))
        table(("POD", "NODE", "NETWORK", "PKEY", "GUID", "CREATED TO ANNOTATED"), rows)

    def partitions(self):
        return self.ufm_api.call("GET", "/ufmRest/resources/pkeys?guids_data=true")

    def show_ufm(self):
        rows = []
        for pkey, partition in sorted(self.partitions().items(), key=lambda item: int(item[0], 16)):
            for member in partition["guids"]:
                rows.append((pkey, member["guid"], member["membership"], "yes" if member["index0"] else "no"))
        if rows:
            table(("PKEY", "GUID", "MEMBERSHIP", "INDEX 0"), rows)
        else:
            say("  no partition but the management partition, no member")

    def members(self):
        return sum(len(p["guids"]) for p in self.partitions().values())

    def stop(self):
        for process in (self.daemon.process, self.ufm.process, self.kube.process):
            process.end()


def run(demo):
    say("\nufmsyncd runs against a mock UFM (https, self-made certificate that is pinned, 200 ms a write) and a mock\n"
        "Kubernetes API server. Everything is on 127.0.0.1.\n")
    demo.daemon.wait_listed()
    threading.Thread(target=demo.watch_times, daemon=True).start()

    say("Network definitions:")
    # What Spiderpool renders of a SpiderMultusConfig with cniType ib-sriov and `pkey: 1000`.
    demo.network("kube-system", "ib-sriov", objects.conflist(
        {"type": "ib-sriov", "pkey": "1000", "link_state": "enable", "rdmaIsolation": True, "ibKubernetesEnabled": True,
         "ipam": {"type": "spiderpool"}}, {"type": "coordinator"}, name="ib-sriov"))
    demo.network("tenant-a", "ib", objects.ib_config("0x5", capability=True))
    demo.network("tenant-b", "ib", objects.ib_config("0x6"))
    demo.network("tenant-a", "gated", objects.plugin_config("0x7", name="gated"))
    demo.network("kube-system", "ipoib", {"cniVersion": "0.3.1", "name": "ipoib", "type": "ipoib", "master": "ibs5f0"})
    table(("NETWORK", "TYPE", "PKEY"), [("kube-system/ib-sriov", "ib-sriov (conflist)", "1000"),
                                        ("tenant-a/ib", "ib-sriov", "0x5"), ("tenant-b/ib", "ib-sriov", "0x6"),
                                        ("tenant-a/gated", "ufmsync around ib-sriov", "0x7"),
                                        ("kube-system/ipoib", "ipoib", "-")])

    pods = []

    def pod(namespace, name, **more):
        pods.append((namespace, name))
        demo.pod(namespace, name, **more)
    for i, node in enumerate(("10-20-1-10", "10-20-1-20", "10-20-1-10", "10-20-1-20")):
        pod("kube-system", "ib-sriov-%s" % "wxyz"[i], node=node, default_network="kube-system/ib-sriov")
    pod("tenant-a", "own-guid", node="10-20-1-10", networks=[
        {"name": "ib", "cni-args": {"guid": "02:00:00:00:00:AB:CD:EF"}, "mtu": 4092}])
    pod("tenant-b", "two-interfaces", node="10-20-1-20", networks="ib@net1,ib@net2")
    pod("kube-system", "ipoib-f1", node="10-20-1-10", default_network="kube-system/ipoib")
    before = demo.get("tenant-b", "two-interfaces")["metadata"]["annotations"].get(objects.NETWORKS)
    wanted = [key for key in pods if key[1] != "ipoib-f1"]
    eventually("all pods are annotated", lambda: all(key in demo.published for key in wanted), 30)

    say("\nSeven pods were created. Each ib-sriov interface got a GUID, became a member of its PKey in UFM (read back),\n"
        "and only then was the pod annotated for multus and ib-sriov-cni:")
    demo.show_pods(pods)
    say("\nThe annotation %s of tenant-b/two-interfaces\n  before: %s\n  after:" % (objects.NETWORKS, before))
    for element, _ in demo.elements("tenant-b", "two-interfaces"):
        say("    " + json.dumps(element))
    say("and of tenant-a/own-guid, whose own GUID and unknown field were kept:")
    for element, _ in demo.elements("tenant-a", "own-guid"):
        say("    " + json.dumps(element))
    attach(demo, pods)
    say("\nMembers in UFM, as its REST API lists them:")
    demo.show_ufm()
    stats = demo.ufm.stats()
    say("  %d writes for %d GUIDs, never two at once (%d overlapped)" % (
        stats["writes"], stats["guids_per_write"]["guids"], stats["overlapping_writes"]))
    operate(demo, pods)
    return pods


def ask(demo, *words):
    """What the operator's tool says, as it is run by hand."""
    result = demo.tool.run(*words)
    say("\n  $ ufmsyncctl " + " ".join(words))
    for line in (result.out + result.err).splitlines():
        say(("  " + line).rstrip())
    if result.code:
        say("  (exit code %d)" % result.code)


def operate(demo, pods):
    say("\nThe operator's tool, ufmsyncctl or kubectl ufmsync, asks the service through the API server, with rights from\n"
        "deploy/operator. One more pod was created, whose network does not exist:")
    pods.append(("tenant-b", "waits"))
    demo.pod("tenant-b", "waits", node="10-20-1-20", networks="later")
    demo.tool = proxy(demo, demo.daemon)
    eventually("the service knows it", lambda: "waits" in demo.tool.run("pods", "-n", "tenant-b").out)
    ask(demo, "pods", "-A")
    ask(demo, "audit")
    ask(demo, "pkeys")
    ask(demo, "pkey", "0x5")
    ask(demo, "guid", "02:00:00:00:00:ab:cd:ef")
    ask(demo, "pod", "tenant-b/waits")
    ask(demo, "diff")


def attach(demo, pods):
    """What kubelet and multus do for a pod on a network of type ufmsync, the moment that it is created."""
    demo.access = Access(demo)
    node = Node(demo, demo.daemon, "10-20-1-10")
    pods.append(("tenant-a", "attached"))
    demo.pod("tenant-a", "attached", node=node.name, networks="gated,gated@rdma0")
    demo.sandbox = Sandbox(node, "attached", "tenant-a")
    demo.sandbox.add()
    say("\nA pod of network tenant-a/gated is attached by the CNI plugin: multus starts it as soon as the pod is created, and\n"
        "it starts ib-sriov (here a stand-in that notes what it is given) only when UFM lists the membership:")
    rows = []
    for call, note in zip(demo.sandbox.calls, node.notes("ADD")):
        config = note["config"]
        given, guid = config["args"]["cni"], config["runtimeConfig"]["infinibandGUID"]
        listed = guid.replace(":", "") in note["listed"].get(str(int(given["pkey"], 16)), [])
        rows.append((note["environment"]["CNI_IFNAME"], "%d ms" % round((note["time"] - call.begin) * 1000), guid,
                     given["pkey"], given["mellanox.infiniband.app"], "yes" if listed else "NO"))
    table(("INTERFACE", "WAITED", "GUID GIVEN TO ib-sriov", "PKEY", "STATE", "LISTED BY UFM THEN"), rows)


def take_down(demo, pods):
    say("\nThe pods are deleted:")
    begin = time.monotonic()
    demo.sandbox.delete()
    for namespace, name in pods:
        demo.end_pod(namespace, name)
    eventually("UFM is empty", lambda: demo.members() == 0, 30)
    demo.show_ufm()
    say("  empty %d ms after the first deletion; the GUIDs rest for 60 s before anybody gets them again" % (
        (time.monotonic() - begin) * 1000))
    say("and the tool says:")
    ask(demo, "audit")
    ask(demo, "pkeys")
    ask(demo, "pods", "-A")
    ask(demo, "pool")
    ask(demo, "diff")


def keep(demo):
    say("\nIt goes on running. To look around:")
    say("  kubectl --kubeconfig %s get pods -A -o yaml" % demo.kube.kubeconfig)
    say("  build/bin/ufmsyncctl --kubeconfig %s --service-namespace ufmsync status" % demo.kube.kubeconfig)
    say("  curl -s http://127.0.0.1:%d/metrics" % demo.daemon.health)
    say("  curl -sk -u %s:%s 'https://127.0.0.1:%d/ufmRest/resources/pkeys?guids_data=true'" % (
        demo.ufm.USER, demo.ufm.PASSWORD, demo.ufm.port))
    say("  curl -s http://127.0.0.1:%d/control          what the mock UFM can be told to do wrong" % demo.ufm.control.port)
    say("  echo '%s' | CNI_COMMAND=STATUS \\\n      UFMSYNC_NODE_FILE=%s CNI_PATH=%s build/bin/ufmsync-cni && echo ready" % (
        json.dumps(objects.plugin_config("0x7", version="1.1.0")), demo.sandbox.node.file, demo.sandbox.node.cni_path))
    say("  tail -f %s" % demo.daemon.log)
    say("To stop it: Ctrl-C here, or kill %d" % os.getpid())
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


def main():
    demo = Demo()
    try:
        pods = run(demo)
        if "--keep" in sys.argv[1:]:
            keep(demo)
        take_down(demo, pods)
        demo.stop()
        shutil.rmtree(demo.folder)
        say("\nEverything is stopped.")
    except BaseException:
        for process in (demo.daemon.process, demo.ufm.process, demo.kube.process):
            process.kill()
        raise


told_to_end = []


def end(*_):
    """Remembered too: Python drops an exception, this one as well, that comes while it tidies an object away."""
    told_to_end.append(True)
    sys.exit(1)


def in_a_group_of_its_own():
    """Ctrl-C then comes to the one process that stays behind, which has this one end all the others in order."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, end)
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xff)


if __name__ == "__main__":
    in_a_group_of_its_own()
    main()
    sys.exit(1 if told_to_end else 0)
