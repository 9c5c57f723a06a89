"""Multus, as far as a plugin can tell: what it makes of a pod's annotations and network definitions, and how it calls."""
import copy
import json
import os
import secrets
import threading

import objects
from servers import Failed

class Refused(Failed):
    """An ADD failed; `call` is the one that did."""

    def __init__(self, attachment, call):
        super().__init__("ADD of %s (%s) failed: %s%s" % (attachment.interface, attachment.network, call.out, call.err))
        self.attachment, self.call = attachment, call


class Attachment:
    """One interface: a list of plugins (a flat definition is a list of one) with what multus puts into each."""

    def __init__(self, namespace, element, config, interface, default, device):
        self.network = "%s/%s" % (namespace, element["name"])
        self.interface, self.default = interface, default
        config = json.loads(config)
        self.name = config.get("name") or element["name"]
        self.version = config.get("cniVersion", "0.3.1")
        self.flat = "plugins" not in config
        self.plugins = [copy.deepcopy(p) for p in config.get("plugins", [config])]
        for plugin in self.plugins:
            plugin.update(deviceID=device, pciBusID=device)
            if element.get("cni-args"):
                arguments = plugin.setdefault("args", {}).setdefault("cni", {})
                arguments.update(element["cni-args"])
            # Multus passes no runtimeConfig of the element to the default network's plugins.
            if element.get("infiniband-guid") and not default and plugin.get("capabilities", {}).get("infinibandGUID"):
                plugin.setdefault("runtimeConfig", {})["infinibandGUID"] = element["infiniband-guid"]
        self.result = None  # of the last ADD, as libcni caches it

    def config(self, i, previous, more):
        """libcni's: of the i-th plugin."""
        plugin = dict(self.plugins[i], name=self.name, cniVersion=self.version, **more)
        if previous is not None:
            plugin["prevResult"] = previous
        return plugin


def elements_of(text, namespace):
    """Of an annotation, JSON or short form: "ns/name@interface,name"."""
    if text.lstrip().startswith("["):
        return [dict(e, namespace=e.get("namespace", namespace)) for e in json.loads(text)]
    found = []
    for part in text.split(","):
        name, _, interface = part.strip().partition("@")
        ns, slash, name = name.rpartition("/")
        element = {"name": name, "namespace": ns if slash else namespace}
        if interface:
            element["interface"] = interface
        found.append(element)
    return found


class Sandbox:
    """One sandbox of a pod: ADD reads the pod once; DEL and CHECK go by what ADD left, as from multus' cache."""

    def __init__(self, node, name, ns="a", netns="/proc/self/ns/net", uid=None, prefix=(), change=None,
                 cluster_networks=0, **environment):
        """`change`: makes a plugin's config another one just before it is called (Attachment, config).
        `cluster_networks`: how many multus itself gives to every pod; they come first, and are left out here."""
        self.node, self.world, self.name, self.ns = node, node.world, name, ns
        self.id, self.netns, self.uid = secrets.token_hex(32), netns, uid
        self.prefix, self.change, self.more_environment = list(prefix), change, environment
        self.cluster_networks = cluster_networks
        self.attachments, self.calls, self.current = [], [], None

    # --- what is asked for ---

    def read_pod(self):
        """One GET of the pod and one of each of its definitions."""
        pod = self.world.get_pod(self.name, self.ns)
        notes = pod["metadata"].get("annotations", {})
        self.uid = self.uid or notes.get("kubernetes.io/config.hash") or pod["metadata"]["uid"]
        found = [(e, True) for e in elements_of(notes.get(objects.DEFAULT_NETWORK, ""), "kube-system")
                 if e["name"]]
        found += [(e, False) for e in elements_of(notes.get(objects.NETWORKS, ""), pod["metadata"]["namespace"])
                  if e["name"]]
        self.attachments, position = [], self.cluster_networks
        for i, (element, default) in enumerate(found):
            position += not default
            interface = "eth0" if default else element.get("interface", "net%d" % position)
            nad = self.world.client.call("GET", "/apis/k8s.cni.cncf.io/v1/namespaces/%s/network-attachment-definitions/%s"
                                         % (element["namespace"], element["name"]))
            self.attachments.append(Attachment(element["namespace"], element, nad["spec"]["config"], interface, default,
                                               "0000:3b:00.%d" % (i + 1)))

    def environment(self, attachment):
        arguments = {"IgnoreUnknown": "true", "K8S_POD_NAMESPACE": self.world.ns(self.ns), "K8S_POD_NAME": self.name,
                     "K8S_POD_INFRA_CONTAINER_ID": self.id, "K8S_POD_UID": self.uid}
        return dict({"CNI_CONTAINERID": self.id, "CNI_NETNS": self.netns, "CNI_IFNAME": attachment.interface,
                     "CNI_ARGS": ";".join("%s=%s" % pair for pair in arguments.items())}, **self.more_environment)

    # --- how it is called ---

    def call(self, command, attachment, i, previous, more=None):
        config = attachment.config(i, previous, more or {})
        if self.change:
            config = self.change(attachment, config)
        environment = self.environment(attachment)
        plugin = os.path.join(self.node.cni_path, config["type"])
        self.current = self.node.start(command, config, self.prefix, plugin, **environment)
        self.calls.append(self.current)
        self.current.wait()
        self.node.check_notes()
        return self.current

    def call_all(self, command, attachment, order, previous=None):
        """Each plugin of the list in turn; the last Call."""
        call = None
        for i in order:
            call = self.call(command, attachment, i, previous)
            if call.code != 0:
                break
            if command == "ADD":
                previous = call.result()
        return call

    def add_one(self, attachment):
        call = self.call_all("ADD", attachment, range(len(attachment.plugins)))
        if call.code != 0:
            raise Refused(attachment, call)
        attachment.result = call.result()
        return attachment.result

    def add(self):
        """The results of all interfaces; the first that fails is undone with those before it."""
        self.read_pod()
        results = []
        for i, attachment in enumerate(self.attachments):
            try:
                results.append(self.add_one(attachment))
            except Refused:
                for undone in reversed(self.attachments[:i + 1]):
                    self.delete_one(undone)
                raise
        return results

    def delete_one(self, attachment):
        previous = attachment.result if attachment.version not in ("0.3.0", "0.3.1") else None
        return self.call_all("DEL", attachment, reversed(range(len(attachment.plugins))), previous)

    def delete(self):
        """The Calls, last interface first."""
        return [self.delete_one(attachment) for attachment in reversed(self.attachments)]

    def check(self):
        return [self.call_all("CHECK", attachment, range(len(attachment.plugins)), attachment.result)
                for attachment in self.attachments]

    # --- in short ---

    def begin(self):
        """An ADD that goes on beside the test; to be ended with end()."""
        return Running(self)

    def refused(self):
        """Runs an ADD that must fail; the CNI error."""
        return refusal(self.add)


class Running:
    def __init__(self, sandbox):
        self.sandbox, self.results, self.problem = sandbox, None, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            self.results = self.sandbox.add()
        except Exception as problem:
            self.problem = problem

    def over(self):
        return not self.thread.is_alive()

    def end(self, timeout=90):
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise Failed("the ADD of pod %s did not end within %g s" % (self.sandbox.name, timeout))
        if self.problem:
            raise self.problem
        return self.results

    def refused(self, timeout=90):
        return refusal(lambda: self.end(timeout))


def refusal(add):
    try:
        results = add()
    except Refused as refused:
        return refused.call.error()
    raise Failed("the ADD was to be refused: %r" % results)
