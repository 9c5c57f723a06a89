"""The plugin itself: its forms of configuration, its commands, and what it says when it fails."""
import json
import os

import objects
from multus import Sandbox
from scenario import expect, expect_equal, scenario
from scenarios.attach import CONFIGURED, TRY_AGAIN, attach, start
from servers import eventually

VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")


def pods(world, daemon, *networks):
    """A published pod for each; their names."""
    for i, network in enumerate(networks):
        world.pod("p%d" % i, network)
    for i in range(len(networks)):
        world.guid("p%d" % i)
    return ["p%d" % i for i in range(len(networks))]


@scenario()
def every_form_of_a_network_definition(world):
    """The delegate gets the same from each: its own fields, what multus put beside them, what the service decided."""
    sriov = objects.plugin_config("0x5", name="list", rdmaIsolation=True)
    forms = {
        "object": objects.plugin_config("0x5", name="object", rdmaIsolation=True),
        "flat": objects.plugin_config("0x5", name="flat", flat=True, rdmaIsolation=True),
        "capable": objects.plugin_config("0x5", name="capable", capability=True, rdmaIsolation=True),
        "list": objects.conflist({k: sriov[k] for k in ("type", "delegate")}, {"type": "chained", "x": 1}, name="list"),
        "nameless": {k: v for k, v in objects.plugin_config("0x5", rdmaIsolation=True).items() if k != "name"},
    }
    for name, config in forms.items():
        world.nad(name, config)
    daemon = world.serve()
    node = world.node(daemon)
    for name in forms:
        world.pod(name, [{"name": name, "cni-args": {"mine": "kept"}}])
        sandbox = attach(world, node, name)
        guid = objects.guid_of(world.published(name))
        config = node.notes("ADD", "ib-sriov", container=sandbox.id)[0]["config"]
        expect_equal({k: config[k] for k in ("type", "name", "cniVersion", "pkey", "link_state", "ibKubernetesEnabled",
                                             "rdmaIsolation", "deviceID", "pciBusID")},
                     {"type": "ib-sriov", "name": name, "cniVersion": "0.3.1", "pkey": "0x5", "link_state": "enable",
                      "ibKubernetesEnabled": True, "rdmaIsolation": True, "deviceID": "0000:3b:00.1",
                      "pciBusID": "0000:3b:00.1"}, name)
        expect_equal(config["args"]["cni"], {"mine": "kept", "guid": guid, "pkey": "0x5", CONFIGURED: "configured"}, name)
        expect_equal(config["runtimeConfig"]["infinibandGUID"], guid, name)
        expect("delegate" not in config, "%s: %r" % (name, config))
        if name == "list":
            chained = node.notes("ADD", "chained")[0]["config"]
            expect_equal(chained["prevResult"]["interfaces"][0]["name"], "net1", "the chained plugin's prevResult")
        sandbox.delete()
        expect_equal(node.notes("DEL", "ib-sriov", container=sandbox.id)[0]["config"]["type"], "ib-sriov", name)


@scenario()
def values_that_are_no_strings_are_dropped(world):
    """ib-sriov fails on them, whoever wrote them."""
    daemon, node = start(world)
    world.pod("p", [{"name": "ib", "cni-args": {"mtu": 4092, "flag": True, "deep": {"a": [1]}, "none": None,
                                                "mine": "kept"}}])
    sandbox = attach(world, node, "p")
    expect_equal(sorted(node.notes("ADD")[0]["config"]["args"]["cni"]), sorted(["mine", "guid", "pkey", CONFIGURED]), "args")
    sandbox.delete()


@scenario()
def every_version_of_cni(world):
    daemon = None
    for i, version in enumerate(VERSIONS):
        world.nad("v%d" % i, objects.plugin_config("0x5", name="v%d" % i, version=version))
    daemon = world.serve()
    node = world.node(daemon)
    for i, version in enumerate(VERSIONS):
        world.pod("p%d" % i, "v%d" % i)
        sandbox = Sandbox(node, "p%d" % i)
        result = sandbox.add()[0]
        expect_equal(result["cniVersion"], version, "version of the result")
        if version not in ("0.3.1",):
            for call in sandbox.check():
                call.result()
            check = node.notes("CHECK", container=sandbox.id)[0]["config"]
            expect_equal((check["cniVersion"], check["prevResult"]), (version, result), "what CHECK is given")
        for call in sandbox.delete() + sandbox.delete():
            expect_equal((call.code, call.out), (0, ""), "DEL, and once more")
        expect_equal(len(node.notes("DEL", container=sandbox.id)), 2, "DELs of the delegate")
    said = node.run("VERSION", {"cniVersion": "1.0.0"}).result()
    expect_equal([v for v in said["supportedVersions"] if v in VERSIONS], list(VERSIONS), "VERSION")
    for version, code in (("0.1.0", 1), ("2.0.0", 1), ("", 1), (7, 6)):
        call = node.run("ADD", dict(objects.plugin_config("0x5"), cniVersion=version), **an_interface())
        expect_equal(call.error()["code"], code, call.out)


def an_interface(**more):
    """An environment for runs that fail before anything is asked."""
    return dict({"CNI_CONTAINERID": "c0", "CNI_NETNS": "/proc/self/ns/net", "CNI_IFNAME": "net1",
                 "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=p;K8S_POD_UID=u"}, **more)


@scenario()
def results_and_errors_of_the_delegate_pass_unchanged(world):
    world.nad("ib", objects.plugin_config("0x5", version="0.4.0"))
    daemon = world.serve()
    node = world.node(daemon)
    name, = pods(world, daemon, "ib")
    sandbox = Sandbox(node, name)
    said = '{ "cniVersion":"0.4.0",\n  "interfaces": [{"name":"net1", "later": [1e3, "\\u00e4"]}], "x":{}}  \n'
    node.delegate_says("ADD", said, 0, err="a word on stderr\n")
    sandbox.add()
    expect_equal(sandbox.current.out, said, "result")
    expect("a word on stderr" in sandbox.current.err, "stderr")
    node.delegate_says("ADD")
    error = '{"cniVersion":"0.4.0","code":4711,"msg":"no \\"VF\\" left","details":"see\\nthere", "more":1}\n'
    for command, run in (("ADD", lambda: sandbox.add_one(sandbox.attachments[0])), ("CHECK", sandbox.check),
                         ("DEL", sandbox.delete)):
        node.delegate_says(command, error, 1)
        try:
            run()
        except AssertionError:
            pass
        expect_equal((sandbox.current.command, sandbox.current.code, sandbox.current.out), (command, 1, error), command)
        node.delegate_says(command)
    node.delegate_says("ADD", "no JSON at all", 3)
    try:
        sandbox.add_one(sandbox.attachments[0])
    except AssertionError:
        pass
    expect(sandbox.current.code != 0, "a delegate that dies is no success: %s" % sandbox.current.out)


@scenario()
def deletion_needs_nothing_but_the_delegate(world):
    """No service, no node file, no network namespace, no pod."""
    daemon, node = start(world)
    name, = pods(world, daemon, "ib")
    sandbox = attach(world, node, name)
    daemon.stop()
    os.remove(node.file)
    world.vanish_pod(name)
    sandbox.netns = ""
    for call in sandbox.delete() + sandbox.delete():
        expect_equal((call.code, call.out), (0, ""), "DEL")
    expect_equal([n["environment"]["CNI_NETNS"] for n in node.notes("DEL")], ["", ""], "DELs of the delegate")
    for call in sandbox.check():
        expect_equal(call.command, "CHECK", "command")


@scenario()
def gc_reaches_the_delegate(world):
    daemon, node = start(world)
    valid = [{"containerID": "c1", "ifname": "net1"}]
    config = dict(objects.plugin_config("0x5", version="1.1.0"), **{"cni.dev/valid-attachments": valid})
    expect_equal(node.run("GC", config).code, 0, "GC")
    expect_equal([n["config"]["cni.dev/valid-attachments"] for n in node.notes("GC", "ib-sriov")], [valid], "its config")
    node.delegate_says("GC", {"cniVersion": "1.1.0", "code": 5, "msg": "cannot"})
    expect_equal(node.run("GC", config).error()["code"], 5, "GC that fails")


@scenario()
def status_tells_whether_the_service_answers(world):
    daemon, node = start(world)
    config = objects.plugin_config("0x5", version="1.1.0")
    call = node.run("STATUS", config)
    expect_equal((call.code, call.out), (0, ""), "STATUS")
    daemon.stop()
    node.ask(daemon, connectTimeout="300ms")
    error = node.run("STATUS", config).error()
    expect_equal(error["code"], 50, repr(error))
    expect("127.0.0.1:%d" % daemon.https in error["msg"] + error.get("details", ""), repr(error))
    os.remove(node.file)
    expect(node.run("STATUS", config).error()["code"] in (50, 100), "without a node file")


@scenario()
def service_away_is_a_reason_to_try_again(world):
    daemon, node = start(world)
    name, = pods(world, daemon, "ib")
    daemon.stop()
    node.ask(daemon, connectTimeout="500ms")
    sandbox = Sandbox(node, name)
    error = sandbox.refused()
    expect_equal(error["code"], TRY_AGAIN, repr(error))
    expect("127.0.0.1:%d" % daemon.https in error["msg"], repr(error))
    expect_equal(node.notes("ADD"), [], "ADDs of the delegate")


@scenario("mock")
def node_file_that_cannot_be_used_is_named(world):
    daemon, node = start(world)
    name, = pods(world, daemon, "ib")
    good = open(node.file).read()

    def told(*words):
        error = Sandbox(node, name).refused()
        expect_equal(error["code"], 100, repr(error))
        for word in words:
            expect(word in error["msg"], "%s: %r" % (word, error))
    for change, words in (({"server": "name:1"}, ["server"]), ({"server": None}, ["server"]), ({"ca": "no-ca"}, ["no-ca"]),
                          ({"token": "no-token"}, ["no-token"]), ({"timeout": "soon"}, ["timeout"]),
                          ({"unknown": 1}, ["unknown"])):
        with open(node.file, "w") as f:
            json.dump({k: v for k, v in dict(json.loads(good), **change).items() if v is not None}, f)
        told(node.file, *words) if "no-" not in words[0] else told(*words)
    with open(node.file, "w") as f:
        f.write("{")
    told(node.file)
    os.remove(node.file)
    told(node.file)
    expect_equal(node.notes("ADD"), [], "ADDs of the delegate")


@scenario("mock")
def nothing_in_a_network_definition_chooses_whom_we_trust(world):
    """A tenant writes servers, files and credentials into it: they are not ours, and no delegate runs by path."""
    wishes = {"server": "127.0.0.1:1", "serverName": "evil", "ca": "/etc/passwd", "token": "/etc/shadow",
              "nodeFile": "/tmp/evil.conf", "UFMSYNC_NODE_FILE": "/tmp/evil.conf", "sysfs": "/tmp", "log": "/etc/evil"}
    world.nad("ib", objects.plugin_config("0x5", more=wishes, **wishes))
    daemon = world.serve()
    node = world.node(daemon)
    name, = pods(world, daemon, "ib")
    attach(world, node, name)
    for delegate in ("../bin/ib-sriov", "/bin/sh", "ufmsync", "", ".", "..", 7, None, [], "a/b"):
        for config in (objects.plugin_config("0x5", type=delegate), dict(objects.plugin_config("0x5"), delegate=delegate)):
            call = node.run("ADD", config, **an_interface())
            expect_equal(call.error()["code"], 7, "%r: %s" % (delegate, call.out))
    call = node.run("ADD", objects.plugin_config("0x5"), **an_interface(
        CNI_ARGS=an_interface()["CNI_ARGS"] + ";UFMSYNC_NODE_FILE=/tmp/evil"))
    expect(call.error()["code"] != 100, call.out)
    expect(not os.path.exists("/etc/evil"), "a log was written where a tenant wanted it")


@scenario("mock")
def what_is_wrong_with_a_call_is_told_in_cnis_codes(world):
    daemon, node = start(world)
    good = objects.plugin_config("0x5")
    for code, config, environment in (
            (6, "{", {}), (6, "", {}), (6, "[]", {}), (6, json.dumps(dict(good, filler="x" * (1 << 20))), {}),
            (4, good, {"CNI_CONTAINERID": None}), (4, good, {"CNI_IFNAME": ""}), (4, good, {"CNI_IFNAME": "a/b"}),
            (4, good, {"CNI_NETNS": None}), (4, good, {"CNI_PATH": None}), (4, good, {"CNI_COMMAND": "MOVE"}),
            (4, good, {"CNI_ARGS": "K8S_POD_NAME"}), (7, dict(good, verify="yes"), {}),
            (7, dict(good, verifyTimeout="soon"), {})):
        call = node.run("ADD", config, **dict(an_interface(), **environment))
        error = call.error()
        expect(error["code"] == code or (code == 6 and error["code"] == 7), "%d wanted for %.60r %r: %r" % (
            code, config, environment, error))
    node.orders["says"].clear()
    os.remove(os.path.join(node.cni_path, "ib-sriov"))
    world.pod("p", "ib")
    error = Sandbox(node, "p").refused()
    expect_equal(error["code"], 104, repr(error))
    expect("ib-sriov" in error["msg"] and node.cni_path in error["msg"] + error.get("details", ""), repr(error))


@scenario()
def pod_without_a_pkey_gets_a_guid(world):
    daemon, node = start(world, None)
    world.pod("p", "ib")
    sandbox = attach(world, node, "p")
    config = node.notes("ADD")[0]["config"]
    expect_equal(objects.hex_guid(config["args"]["cni"]["guid"]), world.guid("p"), "GUID")
    expect("pkey" not in config["args"]["cni"], "no pkey: %r" % config["args"])


@scenario()
def ungated_network_is_told_once(world):
    """Plain ib-sriov without ibKubernetesEnabled: its pods start whenever they like."""
    world.nad("plain", objects.ib_config("0x5", name="plain", gated=False))
    world.nad("gated", objects.ib_config("0x5", name="gated"))
    world.nad("ours", objects.plugin_config("0x5", name="ours", ibKubernetesEnabled=False))
    daemon = world.serve()
    for network in ("plain", "gated", "ours"):
        for i in range(2):
            world.pod("%s%d" % (network, i), network)
            world.guid("%s%d" % (network, i))
    events = eventually("an Event UngatedNetwork", lambda: world.events("plain", reason="UngatedNetwork"))
    expect_equal([(e["regarding"]["kind"], e.get("deprecatedCount", 1)) for e in events],
                 [("NetworkAttachmentDefinition", 1)], "Events")
    for network in ("gated", "ours"):
        expect_equal(world.events(network, reason="UngatedNetwork"), [], network)
    eventually("metric", lambda: daemon.metric("ufmsync_networks_ungated") == 1)
