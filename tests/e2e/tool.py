"""ufmsyncctl as an operator runs it: words in, exit code and both outputs out."""
import copy
import os
import re
import subprocess
import sys
import threading

import objects
from scenario import Skip
from servers import SERVER_NAME, free_port
from world import CORE

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SECRETS = ("UFMSYNC_RECORD_KEY",)
SERVICE_ONLY = ("UFMSYNC_LISTEN", "UFMSYNC_TLS_CERT", "UFMSYNC_TLS_KEY", "UFMSYNC_HEALTH_LISTEN", "POD_UID", "K8S_NODE",
                "UFMSYNC_LOG_LEVEL")
AGE = re.compile(r"\b(\d+[smhd])+\b")


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return "exit code %d\n--- out\n%s--- err\n%s" % (self.code, self.out, self.err)

    def rows(self):
        """The table's rows as lists of words, without the titles; two blanks part the cells."""
        return [re.split(r"  +", line.strip()) for line in self.out.splitlines()[1:]]


class Tool:
    """`way`: the flags that say how it reaches things."""
    lock = threading.Lock()

    def __init__(self, world, way=(), **environment):
        self.world, self.way = world, list(way)
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": world.folder, "LC_ALL": "C.UTF-8",
                            "KUBECONFIG": world.kube.kubeconfig}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.environment.update({name: str(value) for name, value in environment.items() if value is not None})

    def argv(self, *words):
        return self.world.wrapper + [os.path.join(self.world.binaries, "ufmsyncctl")] + list(words) + self.way

    def run(self, *words, timeout=60, **environment):
        child = subprocess.run(self.argv(*words), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                               env=dict(self.environment, **environment))
        result = Result(child.returncode, child.stdout.decode(), child.stderr.decode())
        with Tool.lock, open(os.path.join(self.world.folder, "ufmsyncctl.shown"), "a") as f:
            f.write("%s\n%s\n" % (" ".join(words), result))
        return result


def direct(world, **more):
    """--direct with the service's settings, as far as an operator has them."""
    settings = world.settings(**dict({name: None for name in SECRETS + SERVICE_ONLY}, KUBECONFIG=world.kube.kubeconfig,
                                     **more))
    return Tool(world, ["--direct"], **settings)


sys.path.append(os.path.join(ROOT, "tests/deploy"))

import manifests  # noqa: E402

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def apply(world, o):
    """An object of deploy/operator, or like those, in the service's namespace; the cluster's own get names of their own."""
    namespace, o = world.ns("ufmsync"), copy.deepcopy(o)
    if o["kind"].startswith("Cluster"):
        o["metadata"]["name"] += "-" + world.tag
        if "roleRef" in o:
            o["roleRef"]["name"] += "-" + world.tag
    else:
        o["metadata"]["namespace"] = namespace
    for subject in o.get("subjects", []):
        subject["namespace"] = namespace
    group = CORE if o["apiVersion"] == "v1" else RBAC
    where = "" if o["kind"].startswith("Cluster") else "/namespaces/" + namespace
    world.client.call("POST", "%s%s/%ss" % (group, where, o["kind"].lower()), o)


def rights(account):
    """What deploy/operator lets this account do at the service: [{"verb", "path"}]."""
    found = manifests.build(os.path.join(ROOT, "deploy/operator"))
    roles = {o["metadata"]["name"]: o["rules"] for o in found if o["kind"] == "ClusterRole"}
    bound = [roles[o["roleRef"]["name"]] for o in found if o["kind"] == "ClusterRoleBinding"
             and account in (subject["name"] for subject in o["subjects"])]
    return [{"verb": verb, "path": path} for rules in bound for rule in rules for verb in rule["verbs"]
            for path in rule["nonResourceURLs"]]


def make_accounts(world):
    """The service accounts that the tool asks as, once a scenario, and what they may: deploy/operator."""
    namespace = world.ns("ufmsync")
    if namespace in getattr(world, "accounts_of_tool", ()):
        return
    world.accounts_of_tool = {namespace}
    for o in manifests.build(os.path.join(ROOT, "deploy/operator")):
        if world.kube.kind == "real" or o["kind"] == "ServiceAccount":
            apply(world, o)
    if world.kube.kind == "mock":
        for account in ("ufmsync-reader", "ufmsync-operator"):
            # What its tokens may, whichever is issued: this one is nobody's.
            world.access.identities.append({
                "token": "unused-%s-%s" % (account, world.tag), "user": "system:serviceaccount:%s:%s" % (namespace, account),
                "audiences": [], "access": rights(account)})
        world.kube.control.call("PUT", "/control/identities", world.access.identities)


def address(world):
    """Where a daemon listens that the service proxy is to reach."""
    if world.kube.kind == "mock":
        return "127.0.0.1"
    if "UFMSYNC_E2E_ADDRESS" not in os.environ:
        raise Skip("no network namespace with an address that the API server's service proxy goes to")
    return os.environ["UFMSYNC_E2E_ADDRESS"]


def serve(world, **more):
    return world.serve(**dict({"UFMSYNC_LISTEN": "%s:%d" % (address(world), free_port())}, **more))


def make_pod(world, namespace):
    """The service's own, as the API server wants it behind an endpoint."""
    if not world.pod_exists("ufmsync-0", "ufmsync"):
        world.client.call("POST", "/api/v1/namespaces/%s/pods" % namespace, objects.pod(namespace, "ufmsync-0"))
        world.set_status("ufmsync-0", {"phase": "Running", "podIP": address(world), "podIPs": [{"ip": address(world)}]},
                         "ufmsync")


def endpoint(world):
    return {"ip": address(world), "targetRef": {"kind": "Pod", "namespace": world.ns("ufmsync"), "name": "ufmsync-0"}}


def proxy(world, *daemons):
    """Through the API server's service proxy, to any of these daemons."""
    namespace = world.ns("ufmsync")
    make_pod(world, namespace)
    make_accounts(world)
    base = "/api/v1/namespaces/%s/" % namespace
    world.client.raw("DELETE", base + "services/ufmsync")
    world.client.raw("DELETE", base + "endpoints/ufmsync")
    world.client.call("POST", base + "services", {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "ufmsync"},
        "spec": {"ports": [{"name": "https", "port": 8443}]}})
    world.client.call("POST", base + "endpoints", {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "ufmsync"},
        "subsets": [{"addresses": [endpoint(world)], "ports": [{"name": "https", "port": daemon.https}]}
                    for daemon in daemons]})
    return Tool(world, ["--service-namespace", namespace])


def server(world, daemon, ca=None, token=None, account="ufmsync-operator"):
    """Asks the service itself, with a token in a file."""
    namespace = world.ns("ufmsync")
    make_accounts(world)
    if token is None:
        token = world.client.call("POST", "/api/v1/namespaces/%s/serviceaccounts/%s/token" % (namespace, account), {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": ["ufmsync"], "expirationSeconds": 600}})["status"]["token"]
        world.secrets.append(token)
    path = os.path.join(world.folder, "token-%d" % len(os.listdir(world.folder)))
    with open(path, "w") as f:
        f.write(token + "\n")
    return Tool(world, ["--server", "https://%s:%d" % (address(world), daemon.https), "--ca", ca or world.certificate.ca,
                        "--token-file", path, "--tls-server-name", SERVER_NAME])


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
AGE_CELL = re.compile(r"(?<=[ ])(?:\d+[smhd]){1,2}(?=$|  +| ago)", re.M)


def plain(text, world):
    """What a test can compare: the scenario's own names of its namespaces, ages as X, times as T, and cells two blanks apart,
    since how wide they are comes from what was taken out."""
    for name, real in world.namespaces.items():
        text = text.replace(real, name)
    text = AGE_CELL.sub("X", TIME.sub("T", text))
    return re.sub("(?<=[^ \n])  +", "  ", text)
