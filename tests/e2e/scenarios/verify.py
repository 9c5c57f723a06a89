"""`verify`: the pod is held back until the VF's own P_Key table shows the membership."""
import os

import objects
from multus import Sandbox
from namespaces import Namespace
from scenario import Skip, expect, expect_equal, scenario
from servers import always, eventually

NOT_VERIFIED, INVALID_CONFIG = 105, 7


class Sysfs:
    """The part of a host's sysfs that belongs to its VFs."""

    def __init__(self, folder):
        self.folder = folder

    def device(self, address):
        return os.path.join(self.folder, "bus/pci/devices", address)

    def vf(self, address, *keys, name="mlx5_2"):
        """A VF with these P_Keys; its table has 8 places."""
        pkeys = os.path.join(self.device(address), "infiniband", name, "ports/1/pkeys")
        os.makedirs(pkeys, exist_ok=True)
        self.driver(address, "mlx5_core")
        for i, key in enumerate(list(keys) + ["0x0000"] * (8 - len(keys))):
            with open(os.path.join(pkeys, str(i)) + ".new", "w") as f:
                f.write(key + "\n")
            os.replace(os.path.join(pkeys, str(i)) + ".new", os.path.join(pkeys, str(i)))

    def driver(self, address, name):
        os.makedirs(self.device(address), exist_ok=True)
        os.makedirs(os.path.join(self.folder, "bus/pci/drivers", name), exist_ok=True)
        link = os.path.join(self.device(address), "driver")
        if os.path.islink(link):
            os.remove(link)
        os.symlink("../../drivers/" + name, link)


VF = "0000:3b:00.1"  # of a pod's first interface


def start(world, more=None, **settings):
    """Verifying network, service, node with a sysfs of its own."""
    world.nad("ib", objects.plugin_config("0x5", more=dict({"verify": True}, **(more or {}))))
    daemon = world.serve(**settings)
    sysfs = Sysfs(os.path.join(world.folder, "sysfs"))
    return daemon, world.node(daemon, sysfs=sysfs.folder), sysfs


@scenario()
def key_that_comes_late_is_waited_for(world):
    """Limited membership is not enough, nor another key."""
    daemon, node, sysfs = start(world)
    sysfs.vf(VF, "0x7fff", "0x8006", "0x0005")
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    eventually("the delegate ran", lambda: node.notes("ADD"))
    always("it is waited for", lambda: not running.over(), 0.5)
    sysfs.vf(VF, "0x7fff", "0x8006", "0x0005", "0x8005")
    running.end()
    expect_equal([n["command"] for n in node.notes()], ["ADD"], "runs of the delegate")


@scenario()
def key_that_does_not_come_undoes_the_add(world):
    daemon, node, sysfs = start(world, {"verifyTimeout": "500ms"})
    sysfs.vf(VF, "0x7fff", "0x8006")
    world.pod("p", "ib")
    sandbox = Sandbox(node, "p")
    error = sandbox.refused()
    expect_equal(error["code"], NOT_VERIFIED, repr(error))
    for word in ("0x8005", "0x7fff", "0x8006"):
        expect(word in error["msg"] + error.get("details", ""), "%s: %r" % (word, error))
    expect_equal([n["command"] for n in node.notes()], ["ADD", "DEL", "DEL"], "by the plugin, and by multus")
    undone = node.notes("DEL")[0]
    expect_equal(undone["environment"]["CNI_IFNAME"], "net1", "what was undone")
    expect_equal(undone["parent"][0], node.plugin, "who undid it")


@scenario()
def device_of_vfio_cannot_be_verified(world):
    daemon, node, sysfs = start(world)
    sysfs.driver(VF, "vfio-pci")
    world.pod("p", "ib")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], INVALID_CONFIG, repr(error))
    expect("vf" in error["msg"].lower(), repr(error))


@scenario()
def namespace_of_the_pod_is_looked_into(world):
    """In RDMA exclusive mode the host does not show the VF's InfiniBand device.  This machine has none either, but what
    is said of a PCI device that it has can only come from the kernel's own sysfs, mounted in the pod's namespace."""
    devices = os.path.isdir("/sys/bus/pci/devices") and os.listdir("/sys/bus/pci/devices")
    if not devices:
        raise Skip("this machine has no PCI device")
    pod = Namespace()
    world.others.append(pod)
    daemon, node, sysfs = start(world, {"verifyTimeout": "300ms"})
    sysfs.driver(VF, "mlx5_core")
    sysfs.driver(devices[0], "mlx5_core")
    world.pod("p", "ib")

    def told(device, netns):
        error = Sandbox(node, "p", netns=netns, change=lambda _, config: dict(config, deviceID=device)).refused()
        expect_equal(error["code"], NOT_VERIFIED, repr(error))
        return error["msg"]
    expect("neither on the node nor in the pod" in told(devices[0], pod.path), "a device without InfiniBand")
    expect("no such PCI device" in told(VF, pod.path), "a device that only the test's sysfs has")
    expect("/dev/null" in told(VF, "/dev/null"), "what is no namespace")


@scenario()
def limited_partition_is_verified_too(world):
    daemon, node, sysfs = start(world, {"verifyTimeout": "300ms"}, DEFAULT_LIMITED_PARTITION="0x9")
    sysfs.vf(VF, "0x8005")
    world.pod("p", "ib")
    sandbox = Sandbox(node, "p")
    error = sandbox.refused()
    expect_equal(error["code"], NOT_VERIFIED, repr(error))
    sysfs.vf(VF, "0x8005", "0x0009")
    sandbox.add()
    guid = world.guid("p")
    expect_equal([guid in note["listed"].get(pkey, []) for note in node.notes("ADD") for pkey in ("5", "9")], [True] * 4,
                 "listed in both whenever the delegate ran")


@scenario()
def gate_assigned_leaves_it_to_verify(world):
    """UFM refuses GUIDs that no port has: the VF must come up first, then it is joined, then its table shows it."""
    world.start_ufm(arguments=("--switch", "unknown_guid=reject", "--switch", "vports=true", "--switch", "vports_lag_ms=0"))
    daemon, node, sysfs = start(world, UFMSYNC_GATE="assigned")
    node.asserted = False
    sysfs.vf(VF, "0x7fff")
    world.pod("p", "ib")
    running = Sandbox(node, "p").begin()
    note = eventually("the delegate runs though UFM does not list it", lambda: node.notes("ADD"))[0]
    guid = objects.hex_guid(note["config"]["args"]["cni"]["guid"])
    expect_equal((note["listed"].get("5", []), world.members(5)), ([], {}), "members")
    world.ufm.control.call("PUT", "/control/systems", {"systems": [
        {"name": "node1", "ip": "192.0.2.1", "guid": "0c42a10300000001", "ports": ["0c42a10300000001"]}]})
    world.ufm.control.call("POST", "/control/vports", {"guid": guid, "node": "node1", "port": 0})
    eventually("it is joined when its port is up", lambda: guid in world.members(5), 30)
    expect(not running.over(), "held back by verify")
    sysfs.vf(VF, "0x7fff", "0x8005")
    running.end()
