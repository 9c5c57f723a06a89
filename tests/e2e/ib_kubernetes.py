"""A player of Mellanox ib-kubernetes: writes to UFM and into pods what that writes, and forgets what that forgets."""
import base64
import json
import re
import ssl

import objects
from servers import Client
from world import CORE, NADS

CONFIGURED = "mellanox.infiniband.app"


def colons(digits):
    return ":".join(digits[i:i + 2] for i in range(0, len(digits), 2))


class IbKubernetes:
    """Its leader, by hand: add() and delete() are one turn of its two loops for one pod each.  The pool is in memory; a
    generated GUID is the next of the range that it does not know as used."""

    def __init__(self, world, first="0200000000000000"):
        self.world, self.first = world, int(first, 16)
        user = base64.b64encode(("%s:%s" % (world.ufm.USER, world.ufm.PASSWORD)).encode()).decode()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as without UFM_CERTIFICATE
        self.ufm = Client("127.0.0.1", world.ufm.port, context, {"Authorization": "Basic " + user})
        self.used, self.cursor = set(), 0
        self.calls = 0

    # --- UFM, by the two calls that it makes ---

    def join(self, pkey, guids):
        self.calls += 1
        self.ufm.call("POST", "/ufmRest/resources/pkeys", {"pkey": "0x%04X" % int(pkey, 16), "index0": True,
                                                           "ip_over_ib": True, "membership": "full", "guids": guids})

    def leave(self, pkey, guids):
        self.calls += 1
        self.ufm.call("POST", "/ufmRest/actions/remove_guids_from_pkey", {"pkey": "0x%04X" % int(pkey, 16), "guids": guids})

    # --- pods ---

    def generate(self):
        while self.first + self.cursor in self.used:
            self.cursor += 1
        self.used.add(self.first + self.cursor)
        return "%016x" % (self.first + self.cursor)

    def definition(self, namespace, name):
        """The ib-sriov plugin of the definition's config, flat or in a list; None: of another type."""
        config = json.loads(self.world.client.call("GET", "%s/namespaces/%s/network-attachment-definitions/%s" % (
            NADS, namespace, name))["spec"]["config"])
        return next((p for p in config.get("plugins", [config]) if p["type"] == "ib-sriov"), None)

    def elements(self, pod):
        """Of the one annotation that it reads; its short form becomes JSON."""
        text = pod["metadata"]["annotations"][objects.NETWORKS]
        if text.lstrip().startswith("["):
            return json.loads(text)
        found = []
        for part in text.split(","):
            namespace, name, interface = re.fullmatch(r"\s*(?:([^/]+)/)?([^@/]+)(?:@(\S+))?\s*", part).groups()
            element = {"name": name, "namespace": namespace or pod["metadata"]["namespace"]}
            if interface:
                element["interface"] = interface
            found.append(element)
        return found

    def add(self, name, ns="a", publish=True, pod=None):
        """Joins the pod's networks one by one, then patches what it makes of the annotations as they were: `publish` False is
        a crash between the two; `pod`: as its watch showed it a while ago."""
        pod = pod or self.world.get_pod(name, ns)
        if pod["spec"].get("hostNetwork") or objects.NETWORKS not in pod["metadata"].get("annotations", {}):
            return []
        elements, guids = self.elements(pod), []
        for element in elements:
            plugin = self.definition(element.get("namespace", pod["metadata"]["namespace"]), element["name"])
            arguments = element.setdefault("cni-args", {})
            if plugin is None or arguments.get(CONFIGURED) == "configured":
                if not arguments:
                    del element["cni-args"]
                continue
            guid = objects.hex_guid(arguments["guid"]) if "guid" in arguments else self.generate()
            if plugin.get("pkey"):
                self.join(plugin["pkey"], [guid])
                arguments["pkey"] = plugin["pkey"]
            arguments.update({"guid": colons(guid), CONFIGURED: "configured"})
            element["cni-args"] = dict(sorted(arguments.items()))  # as Go writes a map
            if plugin.get("capabilities", {}).get("infinibandGUID"):
                element["infiniband-guid"] = colons(guid)
            guids.append(guid)
        if publish:
            notes = dict(pod["metadata"]["annotations"], **{objects.NETWORKS: json.dumps(elements, separators=(",", ":"))})
            self.world.annotate_pod(name, notes, ns)  # all of them, by name alone
        return guids

    def delete(self, name, ns="a"):
        """The pod is gone: its GUIDs leave the PKeys that the definitions name now."""
        pod = self.world.get_pod(name, ns)
        self.world.delete_pod(name, ns)
        for element in self.elements(pod):
            arguments = element.get("cni-args", {})
            plugin = self.definition(element.get("namespace", pod["metadata"]["namespace"]), element["name"])
            if arguments.get(CONFIGURED) == "configured" and "guid" in arguments and plugin and plugin.get("pkey"):
                guid = objects.hex_guid(arguments["guid"])
                self.leave(plugin["pkey"], [guid])
                self.used.discard(int(guid, 16))

    # --- life ---

    def restart(self, forgetting=False):
        """It reads what configured pods say, then its pool becomes what UFM lists.  `forgetting`: in a cluster without PKeys
        that is nothing.  Its cursor begins anew."""
        self.used, self.cursor = set(), 0
        for namespace in self.world.namespaces.values():
            for pod in self.world.client.call("GET", "%s/namespaces/%s/pods" % (CORE, namespace))["items"]:
                if pod["spec"].get("hostNetwork") or objects.NETWORKS not in pod["metadata"].get("annotations", {}):
                    continue
                for element in self.elements(pod):
                    arguments = element.get("cni-args", {})
                    if arguments.get(CONFIGURED) == "configured" and "guid" in arguments:
                        assert isinstance(arguments.get("pkey", ""), str)  # anything else ends it, for ever
                        guid = int(objects.hex_guid(arguments["guid"]), 16)
                        assert forgetting or guid not in self.used, "two pods with one GUID: it does not start"
                        self.used.add(guid)
        self.used = set() if forgetting else {int(guid, 16) for _, guid in self.world.members()}
