"""What is in deploy/, used as its comments say: the node installer and its manifests, the example networks."""
import copy
import json
import os
import subprocess
import sys

import objects
from multus import Sandbox
from node import write_whole
from scenario import expect, expect_equal, scenario
from servers import SERVER_NAME, Client, eventually
from world import CORE, NADS, RECORD_KEY

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.append(os.path.join(ROOT, "tests/deploy"))

import manifests  # noqa: E402

APIS = {
    "ServiceAccount": CORE + "/namespaces/%s/serviceaccounts",
    "Pod": CORE + "/namespaces/%s/pods",
    "Service": CORE + "/namespaces/%s/services",
    "DaemonSet": "/apis/apps/v1/namespaces/%s/daemonsets",
    "Deployment": "/apis/apps/v1/namespaces/%s/deployments",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
    "NetworkAttachmentDefinition": NADS + "/namespaces/%s/network-attachment-definitions",
}


# --- the node installer ------------------------------------------------------------------------------------------------

class Installer:
    """ufmsync-cni-install on a node of the scenario, with volumes as its pod has them."""

    def __init__(self, world, node, daemon):
        self.world, self.node = world, node
        self.path = lambda name: os.path.join(node.folder, "installer", name)
        for name in ("bin", "conf", "volume"):
            os.makedirs(self.path(name))
        self.installed, self.conf = self.path("bin/ufmsync"), self.path("conf/ufmsync.d/ufmsync.conf")
        self.env = {"PATH": os.environ["PATH"], "NODE_NAME": node.name, "UFMSYNC_CNI_SERVER": "127.0.0.1:%d" % daemon.https,
                    "UFMSYNC_CNI_SERVER_NAME": SERVER_NAME, "UFMSYNC_CNI_TOKEN": self.path("volume/token"),
                    "UFMSYNC_CNI_CA": world.certificate.ca, "UFMSYNC_CNI_HOST_BIN": self.path("bin"),
                    "UFMSYNC_CNI_HOST_CONF": self.path("conf"), "UFMSYNC_CNI_LOG_FORMAT": "json",
                    "UFMSYNC_CNI_PLUGIN": os.path.join(world.binaries, "ufmsync-cni")}

    def put_token(self, token):
        write_whole(self.path("volume/token"), token)

    def run(self, *words, code=0):
        done = subprocess.run([os.path.join(self.world.binaries, "ufmsync-cni-install"), *words], env=self.env,
                              capture_output=True, text=True, timeout=60)
        with open(os.path.join(self.world.folder, "ufmsyncd.installer.log"), "a") as f:
            f.write(done.stdout + done.stderr)  # searched for secrets, as the daemons' logs are
        expect_equal(done.returncode, code, "ufmsync-cni-install %s: %s%s" % (words, done.stdout, done.stderr))
        return done.stdout + done.stderr

    def arm(self):
        """From now on the node's plugin is what the installer put there."""
        os.replace(self.installed, self.node.plugin)
        os.symlink(self.node.plugin, self.installed)
        self.node.file = self.conf


@scenario()
def a_node_that_the_installer_armed_attaches_its_pods(world):
    """Plugin, node file, CA and token of a pod are all the installer's work; a new token is taken from the next call on."""
    world.nad("ib", {"cniVersion": "1.0.0", "name": "ib", "type": "ufmsync", "delegate": {"type": "ib-sriov", "pkey": "0x5"}})
    daemon = world.serve()
    node = world.node(daemon, token="none-yet")
    installer = Installer(world, node, daemon)
    installer.put_token(world.access.token(node.name))
    installer.run("--check", code=1)
    installer.run("--once")
    installer.run("--check")
    installer.arm()
    world.pod("p", "ib")
    Sandbox(node, "p").add()
    world.published("p")

    installer.put_token("token-of-nobody")
    installer.env["UFMSYNC_CNI_HOST_BIN"] = installer.path("volume")  # the plugin stays where it is
    installer.run("--once")
    world.pod("q", "ib")
    expect_equal(Sandbox(node, "q").refused()["code"], 101, "the service knows no such token")
    installer.put_token(world.access.token(node.name))
    installer.run("--once")
    Sandbox(node, "q").add()
    status = node.run("STATUS", {"cniVersion": "1.1.0", "name": "x", "type": "ufmsync", "delegate": "ib-sriov"})
    expect_equal(status.code, 0, "STATUS, as the page on moving a site has it: " + status.out)

    installer.run("--remove")
    installer.run("--remove", "--check")
    expect(not os.path.exists(installer.conf), "the node file is gone")
    expect_equal(Sandbox(node, "q").refused()["code"], 100, "the node file is missing, and the error says so")


# --- the manifests -----------------------------------------------------------------------------------------------------

def is_part(sent, got, where=""):
    """Nothing that was sent is missing in what the server made of it: it drops fields that it does not know."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            expect(isinstance(got, dict) and key in got, "%s.%s is unknown to the API server" % (where, key))
            is_part(value, got[key], where + "." + key)
    elif isinstance(sent, list):
        if where.endswith(".tolerations"):
            got = got[:len(sent)]  # it adds its own to a pod's
        expect_equal(len(got), len(sent), where)
        for i, value in enumerate(sent):
            is_part(value, got[i], "%s[%d]" % (where, i))
    else:
        expect_equal(got, sent, where)


def post(world, o, namespace, query=""):
    o = copy.deepcopy(o)
    if "namespace" in o["metadata"]:
        o["metadata"]["namespace"] = namespace
    for subject in o.get("subjects", []):
        subject["namespace"] = namespace
    path = APIS[o["kind"]]
    made = world.client.call("POST", (path % namespace if "%s" in path else path) + query, o)
    is_part(o, made, o["kind"])
    return made


@scenario()
def settings_of_the_manifests_are_accepted(world):
    """As the pod would get them: every name is known, every value is one that is accepted."""
    secret = os.path.join(world.folder, "secret")
    os.mkdir(secret)
    with open(os.path.join(secret, "UFMSYNC_RECORD_KEY"), "w") as f:
        f.write(RECORD_KEY)
    here = {"UFMSYNC_SECRET_DIR": secret, "UFMSYNC_TLS_CERT": world.certificate.cert, "UFMSYNC_TLS_KEY": world.certificate.key}
    for folder in ("host", "host-device-plugin", "pod"):
        deployment, = [o for o in manifests.build(os.path.join(ROOT, "deploy/opensm", folder))
                       if (o["kind"], o["metadata"]["name"]) == ("Deployment", "ufmsync")]
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        env = {e["name"]: here.get(e["name"], e.get("value", "x")) for e in container["env"]}
        done = subprocess.run([os.path.join(world.binaries, "ufmsyncd"), "--print-config"], env=env, capture_output=True,
                              text=True, timeout=60)
        expect_equal((done.returncode, done.stderr), (0, ""), "ufmsyncd with the settings of " + folder)
        for name in ("DAEMON_SM_PLUGIN", "OPENSM_RELOAD", "OPENSM_PARTITIONS_FILE"):
            expect(env[name] in done.stdout, "%s is in force" % name)
        expect("UFMSYNC_RECORD_KEY" in done.stdout and RECORD_KEY not in done.stdout, "secrets stay secret")


def may(world, user, verb, path=None, resource=None):
    spec = {"user": user, "groups": ["system:authenticated", "system:serviceaccounts"]}
    if path:
        spec["nonResourceAttributes"] = {"verb": verb, "path": path}
    else:
        spec["resourceAttributes"] = {"verb": verb, "resource": resource, "namespace": "kube-system"}
    return world.client.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})["status"]["allowed"]


@scenario("real")
def the_nodes_account_may_ask_the_service_and_nothing_else(world):
    namespace, made = world.ns("node"), []
    try:
        for o in manifests.documents(os.path.join(ROOT, "deploy/node/rbac.yaml")):
            if o["kind"].startswith("Cluster"):
                o["metadata"]["name"] += "-" + world.tag
            if "roleRef" in o:
                o["roleRef"]["name"] += "-" + world.tag
            post(world, o, namespace)
            made.append(o)
        user = "system:serviceaccount:%s:ufmsync-cni" % namespace
        eventually("it may attach", lambda: may(world, user, "post", path="/v1/attach"))
        expect(may(world, user, "get", path="/v1/attach"), "it may ask whether the service is ready")
        for verb, path in (("get", "/v1/pkeys"), ("post", "/v1/audit"), ("delete", "/v1/attach"), ("get", "/metrics")):
            expect(not may(world, user, verb, path=path), "not %s %s" % (verb, path))
        for verb, resource in (("get", "pods"), ("list", "secrets"), ("get", "nodes"), ("create", "pods")):
            expect(not may(world, user, verb, resource=resource), "not %s %s" % (verb, resource))
        token_is_for_the_service_alone(world, namespace, user)
    finally:
        for o in made:
            if o["kind"].startswith("Cluster"):
                world.client.raw("DELETE", APIS[o["kind"]] + "/" + o["metadata"]["name"])


def token_is_for_the_service_alone(world, namespace, user):
    daemon_set, = [o for o in manifests.build(os.path.join(ROOT, "deploy/node")) if o["kind"] == "DaemonSet"]
    source, = [v["projected"]["sources"][0]["serviceAccountToken"] for v in daemon_set["spec"]["template"]["spec"]["volumes"]
               if "projected" in v]
    token = world.client.call("POST", "%s/namespaces/%s/serviceaccounts/ufmsync-cni/token" % (CORE, namespace), {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": [source["audience"]], "expirationSeconds": source["expirationSeconds"]}})["status"]["token"]
    world.secrets.append(token)
    review = world.client.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["ufmsync"]}})["status"]
    expect_equal((review.get("authenticated"), review["user"]["username"]), (True, user), "the service knows who it is")
    api = Client(world.client.host, world.client.port, world.client.context, {"Authorization": "Bearer " + token})
    expect_equal(api.raw("GET", "/version")[0], 401, "the API server does not take it")


# --- the example networks ----------------------------------------------------------------------------------------------

NAMESPACES = {"tenant-a": "a", "tenant-b": "b", "kube-system": "shared"}


def here(world, o):
    """An example's object in this scenario's namespaces."""
    text = json.dumps(o)
    for name, ours in NAMESPACES.items():
        text = text.replace('"namespace": "%s"' % name, '"namespace": "%s"' % world.ns(ours))
        text = text.replace('"%s/' % name, '"%s/' % world.ns(ours))
    o = json.loads(text)
    if o.get("kind") == "Pod":
        o["spec"]["nodeName"] = "node1"
    return o


def example_objects():
    """[(file, object)]: definitions as the operators that own them make them, and the examples' own pods."""
    for name in manifests.EXAMPLES:
        for o in manifests.documents(os.path.join(ROOT, "deploy/networks", name)):
            definition = manifests.definition_of(o)
            if definition:
                definition.update(apiVersion="k8s.cni.cncf.io/v1", kind="NetworkAttachmentDefinition")
            yield name, definition or o


def without_verify(attachment, config):
    """There is no hardware here; `verify` has scenarios of its own."""
    return {key: value for key, value in config.items() if key not in ("verify", "verifyTimeout")}


@scenario()
def each_example_network_attaches_as_it_says(world):
    found = [(name, here(world, o)) for name, o in example_objects()]
    definitions = [(name, o) for name, o in found if o["kind"] != "Pod"]
    pods = [o for _, o in found if o["kind"] == "Pod"]
    for _, o in definitions:
        post(world, o, o["metadata"]["namespace"])
    daemon = world.serve(UFMSYNC_SHARED_NETWORK_NAMESPACES=world.ns("shared"))
    node = world.node(daemon)
    for plugin in ("tuning", "coordinator", "ipoib"):
        os.symlink("chained", os.path.join(node.cni_path, plugin))
    names = {real: name for name, real in world.namespaces.items()}
    for o in pods:
        post(world, o, o["metadata"]["namespace"])
        Sandbox(node, o["metadata"]["name"], names[o["metadata"]["namespace"]], change=without_verify).add()
    for name, o in definitions:
        attach_to(world, node, name, o)
    expect_equal(daemon.metric("ufmsync_networks_ungated"), 0, "none lets a pod start early")


def attach_to(world, node, name, definition):
    """A pod on that network alone; plain multus, and ib-sriov where the example has it so."""
    network = definition["metadata"]["name"]
    kind, pkey, _ = manifests.EXAMPLES[name][network]
    pod = "on-" + name.split(".")[0] + "-" + network
    world.pod(pod, "%s/%s" % (definition["metadata"]["namespace"], network), ns="b" if name.startswith("sriov") else "a")
    ns = "b" if name.startswith("sriov") else "a"
    if network in manifests.BY_ANNOTATION:
        world.published(pod, ns)
    sandbox = Sandbox(node, pod, ns, change=without_verify)
    sandbox.add()
    if kind != "ib":
        expect(world.is_untouched(pod, ns), "none of our business: " + network)
        return
    given = node.notes("ADD", "ib-sriov", container=sandbox.id)[0]["config"]
    guid = objects.hex_guid(given["args"]["cni"]["guid"])
    expect(guid in world.members(pkey), "%s of %s joins 0x%x" % (network, name, pkey))
    for field in ("link_state", "ipam"):
        expect(field in given, "%s reaches ib-sriov" % field)


@scenario()
def a_site_moves_to_the_plugin_and_back_with_its_pods_running(world):
    """deploy/networks/README.md: the definition is edited in place; old and new pods live side by side and end well."""
    old = objects.ib_config("0x5", gated=False)
    world.nad("ib", old)
    daemon = world.serve()
    node = world.node(daemon)
    node.asserted = False  # ungated: that is what is wrong with it
    world.pod("old", "ib")
    world.guid("old")
    before = Sandbox(node, "old")
    before.add()
    event = eventually("it is said that the network is ungated", lambda: world.events("ib", reason="UngatedNetwork"))[0]
    expect("ufmsync" in event["note"], event["note"])
    eventually("and counted", lambda: daemon.metric("ufmsync_networks_ungated") == 1)

    node.asserted = True
    world.change_nad("ib", run_jq("migrate.jq", old))
    eventually("no longer", lambda: daemon.metric("ufmsync_networks_ungated") == 0)
    world.pod("new", "ib")
    after = Sandbox(node, "new")
    after.add()
    guids = {world.guid("old"), world.guid("new")}
    expect_equal(set(world.members(5)), guids, "the old pod's membership is as it was")
    expect_equal(len(guids), 2, "GUIDs")

    world.change_nad("ib", run_jq("rollback.jq", json.loads(run_jq("migrate.jq", old))))
    world.pod("late", "ib")
    world.published("late")
    late = Sandbox(node, "late")
    late.add()
    expect_equal(os.path.basename(node.notes("ADD", container=late.id)[0]["parent"][0]) == "ufmsync", False,
                 "multus started ib-sriov itself")
    for sandbox in (before, after, late):
        for call in sandbox.delete():
            expect_equal(call.code, 0, "DEL of %s: %s" % (sandbox.name, call.out))
        world.delete_pod(sandbox.name)
    eventually("all leave", lambda: not world.members())


def run_jq(program, config):
    """The text of the config that kubectl would put back."""
    definition = {"spec": {"config": json.dumps(config)}}
    done = subprocess.run(["jq", "-f", os.path.join(ROOT, "deploy/networks", program)], input=json.dumps(definition),
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["spec"]["config"]
