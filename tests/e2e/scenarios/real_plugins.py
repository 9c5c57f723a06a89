"""Delegates that others wrote: bridge, ptp and host-local of Debian's containernetworking-plugins, in network namespaces.

The service sees an ib-sriov network; only what the plugin reads on stdin has another delegate, which is all the same to it."""
import json
import os
import shutil
import subprocess

import objects
from multus import Refused, Sandbox
from namespaces import Namespace
from relay import Relay
from scenario import Skip, expect, expect_equal, scenario

PLUGINS = "/usr/lib/cni"


class Stage:
    """A node's network namespace in which the plugin runs; the service is reached from there."""

    def __init__(self, world):
        if not os.path.exists(os.path.join(PLUGINS, "bridge")) or not shutil.which("ip"):
            raise Skip("containernetworking-plugins or iproute2 is not installed: deploy/packages test")
        self.world = world
        world.nad("ib", objects.plugin_config("0x5", version="0.4.0"))
        self.host = self.namespace()
        relay = Relay(world.serve().https, self.host)
        world.others.append(relay)
        self.node = world.node(relay)

    def namespace(self):
        namespace = Namespace()
        self.world.others.append(namespace)
        return namespace

    def ipam(self, subnet="192.0.2.0/24"):
        return {"type": "host-local", "subnet": subnet, "dataDir": os.path.join(self.world.folder, "addresses")}

    def sandbox(self, pod, delegate):
        """An ADD of this pod will run `delegate`."""
        self.world.pod(pod, "ib")
        namespace = self.namespace()
        sandbox = Sandbox(self.node, pod, netns=namespace.path, prefix=self.host.command(),
                          change=lambda attachment, config: dict(config, delegate=delegate),
                          CNI_PATH="%s:%s" % (self.node.cni_path, PLUGINS))
        sandbox.namespace = namespace
        return sandbox

    def direct(self, sandbox, command, delegate, previous=None):
        """The same plugin with the same config and environment, run without ours."""
        config = dict(delegate, cniVersion="0.4.0", name="ib")
        if previous:
            config["prevResult"] = previous
        environment = self.node.environment(command, **sandbox.environment(sandbox.attachments[0]))
        return subprocess.run(self.host.command(os.path.join(PLUGINS, delegate["type"])), input=json.dumps(config),
                              env=environment, capture_output=True, text=True)


def shape(result):
    """What does not differ between two ADDs of one configuration."""
    result = json.loads(result) if isinstance(result, str) else json.loads(json.dumps(result))
    for interface in result["interfaces"]:
        interface["mac"] = len(interface["mac"])
        interface["name"] = interface["name"][:4]
        interface["sandbox"] = "sandbox" in interface
    for ip in result["ips"]:
        del ip["address"]
    return result


def life_of_a_pod(world, delegate):
    stage = Stage(world)
    delegate = dict(delegate, ipam=stage.ipam())
    sandbox = stage.sandbox("p", delegate)
    result = sandbox.add()[0]
    expect(world.guid("p") in world.members(5), "a member")
    links = sandbox.namespace.links()
    expect_equal(links["net1"]["addresses"][0], result["ips"][0]["address"].split("/")[0], "address in the pod")
    expect_equal(links["net1"]["mac"], [i["mac"] for i in result["interfaces"] if i.get("sandbox")][0], "its MAC address")

    other = stage.sandbox("q", delegate)
    other.read_pod()
    plain = stage.direct(other, "ADD", delegate)
    expect_equal(plain.returncode, 0, plain.stdout)
    expect_equal(shape(sandbox.current.out), shape(plain.stdout), "the result, and that of the plugin alone")
    expect_equal(sandbox.current.out[:20], plain.stdout[:20], "even its blanks")

    for call in sandbox.check():
        expect_equal((call.code, call.out), (0, ""), "CHECK")
    for call in sandbox.delete() + sandbox.delete():
        expect_equal((call.code, call.out), (0, ""), "DEL, and once more")
    expect("net1" not in sandbox.namespace.links(), "the interface is gone")
    broken = sandbox.check()[0]
    alone = stage.direct(sandbox, "CHECK", delegate, result)
    expect_equal((broken.code, broken.out), (1, alone.stdout), "CHECK of what is gone")
    stage.direct(other, "DEL", delegate)


@scenario()
def bridge_with_addresses_of_host_local(world):
    life_of_a_pod(world, {"type": "bridge", "bridge": "cni0", "isGateway": True})


@scenario()
def ptp_with_addresses_of_host_local(world):
    life_of_a_pod(world, {"type": "ptp"})


@scenario()
def errors_of_a_real_plugin_pass_unchanged(world):
    """And what a failed ADD began is undone."""
    stage = Stage(world)
    for name, delegate in (("no-range", {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}}),
                           ("no-ipam", {"type": "ptp"}),
                           ("no-such-ipam", {"type": "ptp", "ipam": {"type": "no-such"}}),
                           ("too-small", {"type": "ptp", "ipam": stage.ipam("192.0.2.0/32")})):
        sandbox = stage.sandbox(name, delegate)
        try:
            sandbox.add()
        except Refused as refused:
            said = refused.call
        else:
            raise AssertionError("%s was to fail" % name)
        expect_equal(sorted(sandbox.namespace.links()), ["lo"], "interfaces in the pod")
        alone = stage.direct(sandbox, "ADD", delegate)
        expect_equal((said.code, said.out), (alone.returncode, alone.stdout), name)
        expect(json.loads(said.out)["msg"], name)
