"""A node of the cluster: the plugin with its node file and token, and the folder of CNI plugins that multus is given."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import objects
from servers import SERVER_NAME, Failed

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGURED = "mellanox.infiniband.app"
GUID = re.compile(r"([0-9a-f]{2}:){7}[0-9a-f]{2}")
RBAC = "/apis/rbac.authorization.k8s.io/v1"
EXTRA = "authentication.kubernetes.io/"


class Access:
    """The service account of the node installer, and its tokens; one a scenario."""
    ACCOUNT = "ufmsync-cni"

    def __init__(self, world):
        self.world, self.namespace = world, world.ns("ufmsync")
        self.identities = []
        if world.kube.kind == "real":
            self.make_account(self.ACCOUNT)
            self.allow(self.ACCOUNT)

    def make_account(self, name):
        self.world.client.call("POST", "/api/v1/namespaces/%s/serviceaccounts" % self.namespace,
                               {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})

    def allow(self, name):
        role = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io",
                "name": "attach-%s-%s" % (name, self.world.tag)}
        self.world.client.call("POST", RBAC + "/clusterroles", {"metadata": {"name": role["name"]}, "rules": [
            {"nonResourceURLs": ["/v1/attach"], "verbs": ["get", "post"]}]})
        self.world.client.call("POST", RBAC + "/clusterrolebindings", {
            "metadata": {"name": role["name"]}, "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}]})

    def token(self, node, account=ACCOUNT, allowed=True, audience="ufmsync", bound=True, says_node=True):
        """A token of the account, bound to the installer's pod on `node`.  mock-kube also plays newer API servers, which
        say the node themselves (`says_node`); the real one is 1.20 and does not."""
        installer = self.installer(node, account) if bound else None
        if self.world.kube.kind == "real":
            token = self.request_token(account, audience, installer)
            self.identities.append({"token": token})
        else:
            token = "node-token-%s-%d" % (self.world.tag, len(self.identities))
            extra = {}
            if installer:
                extra = {EXTRA + "pod-name": [installer["metadata"]["name"]],
                         EXTRA + "pod-uid": [installer["metadata"]["uid"]]}
                if says_node:
                    extra[EXTRA + "node-name"] = [node]
            self.identities.append({
                "token": token, "user": "system:serviceaccount:%s:%s" % (self.namespace, account), "uid": "account",
                "groups": ["system:serviceaccounts", "system:authenticated"], "extra": extra, "audiences": [audience],
                "access": [{"verb": "get", "path": "/v1/attach"}, {"verb": "post", "path": "/v1/attach"}] if allowed
                else []})
            self.world.kube.control.call("PUT", "/control/identities", self.identities)
        self.world.secrets.append(token)
        return token

    def installer(self, node, account):
        """The installer's pod on that node."""
        return self.world.client.call("POST", "/api/v1/namespaces/%s/pods" % self.namespace, objects.pod(
            self.namespace, "installer-%d" % len(self.identities), node=node, account=account))

    def request_token(self, account, audience, installer):
        spec = {"audiences": [audience], "expirationSeconds": 600}
        if installer:
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": installer["metadata"]["name"],
                                      "uid": installer["metadata"]["uid"]}
        answer = self.world.client.call(
            "POST", "/api/v1/namespaces/%s/serviceaccounts/%s/token" % (self.namespace, account),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return answer["status"]["token"]


class Call:
    """One run of the plugin, from its start on."""

    def __init__(self, node, command, config, environment, prefix=(), plugin=None):
        node.calls += 1
        self.command, self.config, self.environment = command, config, environment
        number = node.calls
        self.path = lambda end: os.path.join(node.world.folder, "plugin.%s.%d.%s" % (node.name, number, end))
        with open(self.path("in"), "w") as f:
            f.write(config if isinstance(config, str) else json.dumps(config))
        self.begin = time.monotonic()
        with open(self.path("in"), "rb") as given, open(self.path("out"), "wb") as out, open(self.path("err"), "wb") as err:
            self.child = subprocess.Popen(list(prefix) + [plugin or node.plugin], stdin=given, stdout=out, stderr=err,
                                          env=environment, cwd="/")

    def wait(self, timeout=90):
        try:
            self.code = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("the plugin's %s did not end within %g s" % (self.command, timeout))
        self.seconds = time.monotonic() - self.begin
        with open(self.path("out")) as out, open(self.path("err"), errors="replace") as err:
            self.out, self.err = out.read(), err.read()
        if "Sanitizer" in self.err or "runtime error" in self.err:
            raise Failed("a sanitizer's report:\n" + self.err)
        return self

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def result(self):
        """What it printed when all went well."""
        if self.code != 0:
            raise Failed("%s failed with %d: %s %s" % (self.command, self.code, self.out, self.err))
        return json.loads(self.out) if self.out else None

    def error(self):
        """The CNI error that it must have ended with."""
        if self.code != 1:
            raise Failed("%s was to fail with 1, ended with %d: %s %s" % (self.command, self.code, self.out, self.err))
        error = json.loads(self.out)
        if not isinstance(error.get("code"), int) or not error.get("msg") or not error.get("cniVersion"):
            raise Failed("no CNI error: %s" % self.out)
        return error


class Node:
    def __init__(self, world, daemon, name="node1", token=None, **more):
        """`more`: other values of the node file; None leaves a key out."""
        self.world, self.name, self.calls = world, name, 0
        self.folder = os.path.join(world.folder, name)
        self.cni_path = os.path.join(self.folder, "bin")
        self.notes_folder = os.path.join(self.folder, "notes")
        os.makedirs(self.notes_folder)
        os.makedirs(self.cni_path)
        self.plugin = os.path.join(self.cni_path, "ufmsync")
        os.symlink(os.path.join(world.binaries, "ufmsync-cni"), self.plugin)
        self.orders = {"ufm": world.ufm.control.port, "notes": self.notes_folder, "says": {}}
        self.write_orders()
        for plugin in ("ib-sriov", "chained"):
            shutil.copy(os.path.join(HERE, "delegate.py"), os.path.join(self.cni_path, plugin))
        self.seen, self.live = set(), {}
        self.file = os.path.join(self.folder, "ufmsync.conf")
        self.settings = dict({"ca": "ca.crt", "token": "token", "serverName": SERVER_NAME, "node": name, "timeout": "70s",
                              "connectTimeout": "10s", "log": os.path.join(world.folder, "plugin.%s.log" % name)}, **more)
        self.put_ca(world.certificate.ca)
        self.put_token(world.access.token(name) if token is None else token)
        self.ask(daemon)
        self.asserted = True  # an ADD's GUID must be listed when the delegate runs
        self.lock = threading.Lock()

    def ask(self, daemon, **more):
        """From now on this daemon is asked, and other values of the node file hold."""
        self.settings.update({"server": "127.0.0.1:%d" % daemon.https}, **more)
        write_whole(self.file, json.dumps({k: v for k, v in self.settings.items() if v is not None}))

    def put_ca(self, path):
        shutil.copy(path, os.path.join(self.folder, "ca.crt"))

    def put_token(self, token):
        write_whole(os.path.join(self.folder, "token"), token + "\n")

    # --- the delegate ---

    def write_orders(self):
        write_whole(os.path.join(self.cni_path, "delegate.json"), json.dumps(self.orders))

    def delegate_says(self, command, out=None, code=1, **more):
        """What the next delegates print and exit with; `out` None: they behave as ib-sriov does."""
        if out is None:
            self.orders["says"].pop(command, None)
        else:
            self.orders["says"][command] = dict({"out": out if isinstance(out, str) else json.dumps(out), "code": code},
                                                **more)
        self.write_orders()

    def notes(self, command=None, plugin=None, interface=None, container=None):
        """What the delegates noted, oldest first."""
        found = []
        for name in sorted(os.listdir(self.notes_folder)):
            if name.endswith(".json"):
                with open(os.path.join(self.notes_folder, name)) as f:
                    found.append(dict(json.load(f), file=name))
        found.sort(key=lambda entry: entry["time"])
        return [e for e in found if (command in (None, e["command"]) and plugin in (None, e["plugin"]) and
                                     interface in (None, e["environment"].get("CNI_IFNAME")) and
                                     container in (None, e["environment"].get("CNI_CONTAINERID")))]

    def check_notes(self):
        """What must hold whenever ib-sriov is started: the fabric manager lists its GUID in its PKey, it gets texts only,
        and no two interfaces that live at a time get one GUID."""
        with self.lock:
            for entry in self.notes(plugin="ib-sriov"):
                if entry["file"] not in self.seen:
                    self.seen.add(entry["file"])
                    self.check_note(entry)

    def check_note(self, entry):
        environment, config = entry["environment"], entry["config"]
        who = (environment.get("CNI_CONTAINERID"), environment.get("CNI_IFNAME"))
        given = config.get("args", {}).get("cni", {})
        if any(not isinstance(value, str) for value in given.values()):
            raise Failed("args.cni has values that are no strings: %r" % given)
        if entry["command"] == "DEL":
            self.live.pop(who, None)
        if entry["command"] != "ADD":
            return
        ours = os.path.basename(entry["parent"][0]) == "ufmsync"
        if given.get(CONFIGURED) != "configured":
            if ours:
                raise Failed("the delegate is not told that it is configured: %r" % given)
            return  # multus itself started it before the pod was annotated, which ib-sriov refuses
        guid, runtime = given.get("guid", ""), config.get("runtimeConfig", {}).get("infinibandGUID")
        if not GUID.fullmatch(guid) or runtime not in ((guid,) if ours else (guid, None)):
            raise Failed("the delegate got no GUID: %r %r" % (given, runtime))
        if guid in [other for key, other in self.live.items() if key != who]:
            raise Failed("GUID %s is given to %r though another interface has it: %r" % (guid, who, self.live))
        self.live[who] = guid
        pkey = given.get("pkey")
        if self.asserted and pkey and guid.replace(":", "") not in entry["listed"].get(str(number_of(pkey)), []):
            raise Failed("the delegate ran with GUID %s, which UFM does not list in %s: %r" % (guid, pkey, entry["listed"]))

    # --- the plugin ---

    def environment(self, command, **more):
        environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_PATH": self.cni_path,
                       "UFMSYNC_NODE_FILE": self.file}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                environment[name] = os.environ[name]
        environment.update(more)
        return {name: value for name, value in environment.items() if value is not None}

    def start(self, command, config, prefix=(), plugin=None, **environment):
        call = Call(self, command, config, self.environment(command, **environment), prefix, plugin)
        self.world.plugins.append(call)
        return call

    def run(self, command, config, timeout=90, **environment):
        call = self.start(command, config, **environment).wait(timeout)
        self.check_notes()
        return call


def number_of(pkey):
    return int(pkey, 16) if pkey.lower().startswith("0x") else int(pkey)


def write_whole(path, text):
    """Never half of it is seen, and only its owner may read it."""
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(text)
    os.replace(path + ".new", path)
