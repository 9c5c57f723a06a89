"""A scenario's world: namespaces of its own, a UFM of its own, daemons, and helpers that speak as operators do."""
import base64
import json
import os
import shutil
import time

import objects
from node import Access, Node
from rights import Rights
from servers import Daemon, Failed, MockUfm, always, eventually, free_port

CORE, NADS, LEASES = "/api/v1", "/apis/k8s.cni.cncf.io/v1", "/apis/coordination.k8s.io/v1"
RECORD_KEY = base64.b64encode(b"a record key of 32 bytes or more").decode()


class World:
    """Namespaces are made with unique names, since a real API server without its controllers cannot finish deleting
    them: self.ns("a") is this scenario's namespace `a`."""
    counter = 0

    def __init__(self, kube, binaries, folder, wrapper=()):
        World.counter += 1
        self.kube, self.binaries, self.folder, self.wrapper = kube, binaries, folder, list(wrapper)
        self.tag = "s%d-%d" % (os.getpid(), World.counter)
        self.client = kube.client
        self.namespaces, self.daemons = {}, []
        self.daemons_started = 0
        self.ufm = None
        self.others = []  # servers that a scenario started besides: ended with it
        self.plugins = []  # runs of the CNI plugin: none outlives the scenario
        self.secrets = []  # tokens that were made for this scenario: shown nowhere
        self._access = self._certificate = self._rights = None

    # --- servers ---

    def start_ufm(self, **more):
        self.ufm = MockUfm(self.binaries, self.folder, **more)
        return self.ufm

    def settings(self, **more):
        """Of a daemon in a hurry: short rests and intervals, everything else as in a cluster."""
        with open(self.ufm.cert) as f:
            certificate = f.read()
        settings = {
            "DAEMON_SM_PLUGIN": "ufm", "UFM_ADDRESS": "127.0.0.1", "UFM_PORT": self.ufm.port,
            "UFM_USERNAME": self.ufm.USER, "UFM_PASSWORD": self.ufm.PASSWORD, "UFM_CERTIFICATE": certificate,
            "UFM_TIMEOUT": "1s", "UFMSYNC_LEASE_DURATION": "2s", "UFMSYNC_LEASE_RENEW_DEADLINE": "1500ms",
            "UFMSYNC_LEASE_RETRY": "200ms", "UFMSYNC_GUID_REST": "1s", "UFMSYNC_GUID_REST_UNSURE": "3s",
            "UFMSYNC_ORPHAN_GRACE": "1s", "UFMSYNC_AUDIT_INTERVAL": "1s", "UFMSYNC_RECORD_KEY": RECORD_KEY,
            "GUID_POOL_RANGE_START": "02:00:00:00:00:00:00:00", "GUID_POOL_RANGE_END": "02:00:00:00:00:00:ff:ff",
            "UFMSYNC_HEALTH_LISTEN": "127.0.0.1:%d" % free_port(), "KUBECONFIG": self.rights.kubeconfig(),
            "POD_NAMESPACE": self.ns("ufmsync"), "POD_UID": "uid-1", "K8S_NODE": "node1",
            "UFMSYNC_LOG_LEVEL": "debug",
        }
        settings.update(more)
        return settings

    def start(self, wait=True, **more):
        """Starts a daemon; settings given as None are left out."""
        if self.ufm is None:
            self.start_ufm()
        daemon = Daemon(self, self.settings(**more))
        self.daemons.append(daemon)
        if wait:
            daemon.wait_listed()
        return daemon

    def serve(self, wait=True, **more):
        """The same, and CNI plugins may ask it."""
        certificate = self.certificate
        return self.start(wait, **dict({"UFMSYNC_LISTEN": "127.0.0.1:%d" % free_port(),
                                        "UFMSYNC_TLS_CERT": certificate.cert, "UFMSYNC_TLS_KEY": certificate.key}, **more))

    @property
    def certificate(self):
        """The service's, made once for all scenarios; one that wants to replace it makes its own."""
        if self._certificate is None:
            self._certificate = self.kube.service_certificate()
        return self._certificate

    @certificate.setter
    def certificate(self, certificate):
        self._certificate = certificate

    @property
    def access(self):
        if self._access is None:
            self._access = Access(self)
        return self._access

    @property
    def rights(self):
        """What the API server lets the daemons of this scenario do."""
        if self._rights is None:
            self._rights = Rights(self)
        return self._rights

    def node(self, daemon, name="node1", **more):
        """A node whose plugin asks this daemon."""
        return Node(self, daemon, name, **more)

    def note_what_is_shown(self):
        """Everything of a daemon's that others can read besides its log: kept beside it, and searched for secrets."""
        shown = [self.client.call("GET", "%s/namespaces/%s/%s" % (group, namespace, kind))
                 for namespace in self.namespaces.values()
                 for group, kind in ((CORE, "pods"), ("/apis/events.k8s.io/v1", "events"), (LEASES, "leases"))]
        for daemon in self.daemons:
            if daemon.process.alive():
                with open("/proc/%d/cmdline" % daemon.process.child.pid, errors="replace") as f:
                    shown.append(f.read().split("\0"))
                try:
                    shown.append(daemon.get("/metrics")[1].decode(errors="replace"))
                except Failed:
                    pass  # not listening yet
        with open(os.path.join(self.folder, "ufmsyncd.shown"), "w") as f:
            json.dump(shown, f, indent=1)

    def close(self):
        problems = []
        try:
            self.note_what_is_shown()
        except (Failed, OSError) as problem:
            problems.append(str(problem))
        for plugin in self.plugins:
            if plugin.child.poll() is None:
                plugin.kill()
        for daemon in self.daemons:
            try:
                if not daemon.killed:
                    daemon.stop()
            except Failed as problem:
                problems.append(str(problem))
        for server in self.others + ([self.ufm] if self.ufm else []):
            try:
                server.end()
            except Failed as problem:
                problems.append(str(problem))
        if self._rights:
            self._rights.close()
        if self.kube.kind == "mock":
            self.kube.control.call("DELETE", "/control/faults")  # what this scenario did not use up is not the next one's
        self.remove_everything()
        if problems:
            raise Failed("\n".join(problems))

    def remove_everything(self):
        for namespace in self.namespaces.values():
            for path in ("%s/namespaces/%s/pods" % (CORE, namespace),
                         "%s/namespaces/%s/network-attachment-definitions" % (NADS, namespace)):
                for item in self.client.call("GET", path)["items"]:
                    name = item["metadata"]["name"]
                    if item["metadata"].get("finalizers"):
                        self.client.call("PATCH", path + "/" + name, {"metadata": {"finalizers": None}},
                                         "application/merge-patch+json")
                    self.client.raw("DELETE", path + "/" + name + "?gracePeriodSeconds=0")

    # --- objects ---

    def ns(self, name="a", annotations=None):
        """The real name of this scenario's namespace `name`, created at its first use."""
        if name not in self.namespaces:
            real = "%s-%s" % (name, self.tag)
            metadata = {"name": real}
            if annotations:
                metadata["annotations"] = annotations
            self.client.call("POST", CORE + "/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                                            "metadata": metadata})
            self.namespaces[name] = real
        return self.namespaces[name]

    def annotate_namespace(self, name, annotations):
        self.client.call("PATCH", "%s/namespaces/%s" % (CORE, self.ns(name)), {"metadata": {"annotations": annotations}},
                         "application/merge-patch+json")

    def nad(self, name, config, ns="a"):
        return self.client.call("POST", "%s/namespaces/%s/network-attachment-definitions" % (NADS, self.ns(ns)),
                                objects.nad(self.ns(ns), name, config))

    def change_nad(self, name, config, ns="a"):
        text = config if isinstance(config, str) else json.dumps(config)
        self.client.call("PATCH", self.nad_path(name, ns), {"spec": {"config": text}}, "application/merge-patch+json")

    def nad_path(self, name, ns="a"):
        return "%s/namespaces/%s/network-attachment-definitions/%s" % (NADS, self.ns(ns), name)

    def delete_nad(self, name, ns="a"):
        self.client.call("DELETE", self.nad_path(name, ns))

    def pod_path(self, name, ns="a"):
        return "%s/namespaces/%s/pods/%s" % (CORE, self.ns(ns), name)

    def pod(self, name, networks=None, ns="a", **more):
        """Creates a pod that is bound to a node, as the scheduler leaves it."""
        return self.client.call("POST", "%s/namespaces/%s/pods" % (CORE, self.ns(ns)),
                                objects.pod(self.ns(ns), name, networks, **more))

    def get_pod(self, name, ns="a"):
        return self.client.call("GET", self.pod_path(name, ns))

    def pod_exists(self, name, ns="a"):
        return self.client.raw("GET", self.pod_path(name, ns))[0] == 200

    def annotate_pod(self, name, annotations, ns="a"):
        self.client.call("PATCH", self.pod_path(name, ns), {"metadata": {"annotations": annotations}},
                         "application/merge-patch+json")

    def set_status(self, name, status, ns="a"):
        self.client.call("PATCH", self.pod_path(name, ns) + "/status", {"status": status}, "application/merge-patch+json")

    def run_pod(self, name, ns="a"):
        """What the kubelet reports of a running pod."""
        self.set_status(name, {"phase": "Running", "containerStatuses": [container(True)]}, ns)

    def finish_pod(self, name, ns="a", phase="Succeeded"):
        self.set_status(name, {"phase": phase, "containerStatuses": [container(False)]}, ns)

    def terminate_pod(self, name, ns="a", grace=30):
        """kubectl delete: the grace period begins."""
        self.client.call("DELETE", self.pod_path(name, ns) + "?gracePeriodSeconds=%d" % grace)

    def delete_pod(self, name, ns="a"):
        """A normal end: the grace period begins, the kubelet reports its containers ended, the pod goes."""
        self.terminate_pod(name, ns)
        self.set_status(name, {"phase": "Running", "containerStatuses": [container(False)]}, ns)
        self.vanish_pod(name, ns)

    def vanish_pod(self, name, ns="a"):
        """kubectl delete --force --grace-period=0."""
        self.client.call("DELETE", self.pod_path(name, ns) + "?gracePeriodSeconds=0")

    # --- what came of it ---

    def members(self, pkey=None):
        """{(pkey, guid): {"membership", "index0"}} as UFM has it; guid as 16 hexadecimal digits."""
        found = {}
        for partition in self.ufm.control.call("GET", "/control/state")["partitions"]:
            for member in partition["members"]:
                found[(int(partition["pkey"], 16), member["guid"])] = {"membership": member["membership"],
                                                                       "index0": member["index0"]}
        if pkey is not None:
            return {guid: value for (key, guid), value in found.items() if key == pkey}
        return found

    def published(self, name, ns="a", timeout=15):
        """Waits until the pod's first network is configured; the pod."""
        def check():
            pod = self.get_pod(name, ns)
            elements = objects.networks_of(pod)
            return pod if all("mellanox.infiniband.app" in e.get("cni-args", {}) for e in elements) else None
        return eventually("pod %s is published" % name, check, timeout)

    def guid(self, name, ns="a", index=0, timeout=15):
        """The published GUID as 16 hexadecimal digits."""
        return objects.hex_guid(objects.guid_of(self.published(name, ns, timeout), index))

    def events(self, name, ns="a", reason=None):
        items = self.client.call("GET", "/apis/events.k8s.io/v1/namespaces/%s/events" % self.ns(ns))["items"]
        found = [e for e in items if e.get("regarding", {}).get("name") == name]
        return [e for e in found if reason is None or e["reason"] == reason]

    def event(self, name, reason, ns="a", timeout=15):
        """Waits for an Event of that reason on the pod; the Event."""
        return eventually("an Event %s on pod %s" % (reason, name),
                          lambda: self.events(name, ns, reason), timeout)[0]

    def is_untouched(self, name, ns="a"):
        """The pod carries nothing of ours."""
        text = json.dumps(self.get_pod(name, ns)["metadata"].get("annotations", {}))
        return "mellanox.infiniband.app" not in text and objects.RECORD not in text

    def stays_untouched(self, name, ns="a", seconds=1.0):
        always("pod %s is left alone" % name, lambda: self.is_untouched(name, ns), seconds)

    def gone_from_ufm(self, guid, timeout=15):
        eventually("GUID %s is in no partition" % guid,
                   lambda: all(member != guid for _, member in self.members()), timeout)

    def kept_by_another_writer(self, pkey, guid, daemon):
        """Somebody else writes an orphan again whenever it was removed, until the service lets it be.  Not just once: back
        before the read-back of its removal, it looks like a removal that did not count."""
        def kept():
            if (int(pkey, 16), guid) not in self.members():
                self.ufm.add(pkey, guid)
            return daemon.metric("ufmsync_foreign_members") == 1
        eventually("GUID %s is known as foreign" % guid, kept)

    def lease(self):
        return self.client.call("GET", "%s/namespaces/%s/leases/ufmsync-leader" % (LEASES, self.ns("ufmsync")))

    def annotate_lease(self, value):
        self.client.call("PATCH", "%s/namespaces/%s/leases/ufmsync-leader" % (LEASES, self.ns("ufmsync")),
                         {"metadata": {"annotations": {"ufmsync.io/settled": value}}}, "application/merge-patch+json")


def container(running):
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}} if running else {
        "terminated": {"exitCode": 0, "reason": "Completed", "startedAt": "2026-01-01T00:00:00Z",
                       "finishedAt": "2026-01-01T00:01:00Z"}}
    return {"name": "c", "image": "example.invalid/rdma:1", "imageID": "x", "ready": running, "restartCount": 0,
            "state": state, "lastState": {}}


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)


def now():
    return time.monotonic()
