"""Without our plugin: multus and ib-sriov as they are, which go by the annotations alone."""
import objects
from multus import Sandbox
from scenario import expect, expect_equal, scenario


def start(world, **config):
    world.nad("ib", objects.ib_config("0x5", **config))
    daemon = world.start()
    return daemon, world.node(daemon)


@scenario()
def ib_sriov_is_started_with_what_was_published(world):
    """A pod whose annotation is not there yet fails its first sandbox, and never starts with a GUID that is no member."""
    daemon, node = start(world)
    world.ufm.latency(write_ms=300)
    world.pod("p", "ib,ib@rdma0", default_network="%s/ib" % world.ns())
    error = Sandbox(node, "p").refused()
    expect('is not "configured"' in error["msg"], repr(error))
    world.published("p")
    sandbox = Sandbox(node, "p")
    sandbox.add()
    guids = [n["config"]["args"]["cni"]["guid"] for n in node.notes("ADD", container=sandbox.id)]
    expect_equal({objects.hex_guid(g) for g in guids}, set(world.members(5)), "GUIDs")
    expect_equal(len(set(guids)), 3, "different GUIDs")


@scenario()
def guid_reaches_ib_sriov_as_runtime_config_where_the_network_asks_for_it(world):
    daemon, node = start(world, capability=True)
    world.pod("p", "ib")
    guid = objects.guid_of(world.published("p"))
    sandbox = Sandbox(node, "p")
    sandbox.add()
    config = node.notes("ADD")[0]["config"]
    expect_equal(config["runtimeConfig"], {"infinibandGUID": guid}, "runtimeConfig")
    expect_equal(config["args"]["cni"], {"guid": guid, "pkey": "0x5", "mellanox.infiniband.app": "configured"}, "args")
