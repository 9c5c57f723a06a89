"""What a kubelet does with a pod that the API server has stored, as far as our manifests need: environment, volumes with their
owners and modes, the mounted token, and the container with the rights that the manifest says (container.py).

The pod is on the test's own network: one at a time, since they all listen at the same ports."""

import base64
import os
import re
import stat
import sys

from servers import Client, Failed, Process, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = "/api/v1/namespaces/"
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
NODE = "node1"


class NotYet(Exception):
    """The pod waits in ContainerCreating; the text is that of its Event."""


class Pod:
    """Of a workload of the cluster, as its controller would make it."""

    def __init__(self, kube, workload, folder, container=0):
        self.kube, self.folder, self.process = kube, folder, None
        self.namespace = workload["metadata"]["namespace"]
        template = workload["spec"]["template"]
        name = "%s-%d" % (workload["metadata"]["name"], len(os.listdir(folder)))
        self.object = kube.client.call("POST", CORE + self.namespace + "/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": dict(template["metadata"], name=name),
            "spec": dict(template["spec"], nodeName=NODE)})
        self.metadata, self.spec = self.object["metadata"], self.object["spec"]
        self.container = self.spec["containers"][container]
        self.path = lambda *names: os.path.join(folder, name, *names)
        os.makedirs(self.path("volumes"))

    # --- objects that it refers to ---

    def get(self, kind, name, optional):
        status, body = self.kube.client.raw("GET", "%s%s/%s/%s" % (CORE, self.namespace, kind, name))
        if status == 404 and not optional:
            raise NotYet("%s \"%s\" not found" % (kind[:-1], name))
        return None if status == 404 else self.kube.client.call("GET", "%s%s/%s/%s" % (CORE, self.namespace, kind, name))

    def data(self, kind, reference):
        """{key: bytes} of a Secret or ConfigMap; None: it may be missing, and is."""
        found = self.get(kind, reference.get("name") or reference["secretName"], reference.get("optional", False))
        if found is None:
            return None
        decode = base64.b64decode if kind == "secrets" else str.encode
        return {key: decode(value) for key, value in found.get("data", {}).items()}

    def field(self, path):
        return {"metadata.name": self.metadata["name"], "metadata.namespace": self.namespace,
                "metadata.uid": self.metadata["uid"], "spec.nodeName": self.spec["nodeName"],
                "spec.serviceAccountName": self.spec["serviceAccountName"]}[path]

    # --- environment ---

    def environment(self):
        """Nothing of this machine's; what runtime and kubelet give to every container, then what the manifest says."""
        assert self.spec["enableServiceLinks"] is False, "one variable a Service: not played here"
        host, port = self.kube.client.host, str(self.kube.client.port)
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self.metadata["name"],
               "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "KUBERNETES_SERVICE_PORT_HTTPS": port,
               "KUBERNETES_PORT": "tcp://%s:%s" % (host, port)}
        for source in self.container.get("envFrom", []):
            (kind, reference), = ((k, v) for k, v in source.items() if k != "prefix")
            data = self.data({"configMapRef": "configmaps", "secretRef": "secrets"}[kind], reference) or {}
            for key, value in data.items():
                if re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", key):
                    env[source.get("prefix", "") + key] = value.decode()
        for variable in self.container.get("env", []):
            value = self.value(variable)
            if value is not None:
                env[variable["name"]] = re.sub(r"\$\(([^)]+)\)", lambda m: env.get(m.group(1), m.group(0)), value)
        return env

    def value(self, variable):
        source = variable.get("valueFrom")
        if source is None:
            return variable.get("value", "")
        (kind, reference), = source.items()
        if kind == "fieldRef":
            return self.field(reference["fieldPath"])
        data = self.data({"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"}[kind], reference)
        if data is None or reference["key"] not in data:
            if reference.get("optional"):
                return None
            raise NotYet("couldn't find key %s in %s" % (reference["key"], kind))
        return data[reference["key"]].decode()

    # --- volumes ---

    def volume_files(self, volume):
        """({path: (bytes, mode)}) of a volume that is made of the API server's objects."""
        (kind, source), = ((k, v) for k, v in volume.items() if k != "name")
        if kind == "projected":
            parts = [next(iter(one.items())) for one in source["sources"]]
        else:
            parts = [(kind, source)]
        files = {}
        for part, reference in parts:
            mode = source.get("defaultMode", 0o644)
            if part == "serviceAccountToken":
                files[reference["path"]] = (self.token(reference).encode(), mode)
                continue
            data = self.data({"secret": "secrets", "configMap": "configmaps"}[part], reference)
            if data is None:
                continue
            items = reference.get("items") or [{"key": key, "path": key} for key in data]
            for item in items:
                if item["key"] not in data:
                    raise NotYet("references non-existent %s key: %s" % (part, item["key"]))
                files[item["path"]] = (data[item["key"]], item.get("mode", mode))
        return files

    def token(self, source):
        spec = {"expirationSeconds": source.get("expirationSeconds", 3600), "boundObjectRef": {
            "kind": "Pod", "apiVersion": "v1", "name": self.metadata["name"], "uid": self.metadata["uid"]}}
        if "audience" in source:
            spec["audiences"] = [source["audience"]]
        return self.kube.client.call(
            "POST", "%s%s/serviceaccounts/%s/token" % (CORE, self.namespace, self.spec["serviceAccountName"]),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})["status"]["token"]

    def automounted(self):
        """What admission adds to a pod that asks for the API server's token, and nothing to one that does not."""
        account = self.get("serviceaccounts", self.spec["serviceAccountName"], False)
        if not self.spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
            return {}
        with open(self.kube.ca, "rb") as f:
            ca = f.read()
        return {"token": (self.token({"expirationSeconds": 3607}).encode(), 0o644), "ca.crt": (ca, 0o644),
                "namespace": (self.namespace.encode(), 0o644)}

    def put(self, name, files):
        """A new generation of a volume's files, in one step; root's, and the pod's group's to read."""
        folder = self.path("volumes", name)
        os.makedirs(folder, exist_ok=True)
        group = self.spec.get("securityContext", {}).get("fsGroup")
        generation = "..%d" % len(os.listdir(folder))
        os.makedirs(os.path.join(folder, generation))
        for path, (data, mode) in files.items():
            whole = os.path.join(folder, generation, path)
            with open(whole, "wb") as f:
                f.write(data)
            os.chmod(whole, mode | (0o440 if group is not None else 0))
            if not os.path.islink(os.path.join(folder, path)):
                os.symlink("..data/" + path, os.path.join(folder, path))
        os.symlink(generation, os.path.join(folder, "..data_tmp"))
        for place, folders, names in os.walk(folder):
            for one in [place] + [os.path.join(place, n) for n in names]:
                if not os.path.islink(one):
                    os.chown(one, 0, group or 0)
            if group is not None:
                os.chmod(place, stat.S_IMODE(os.stat(place).st_mode) | 0o2050)
        os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))
        return folder

    def sync(self):
        """Brings the volumes up to date: what a kubelet does every minute."""
        for volume in self.spec.get("volumes", []):
            self.put(volume["name"], self.volume_files(volume))

    # --- the container ---

    def start(self, root):
        """Runs it in that file system; raises NotYet as long as something is missing."""
        self.sync()
        wanted = self.container.get("volumeMounts", [])
        assert all(m.get("readOnly") for m in wanted), "only read-only ones are played here"
        mounts = ["%s:%s" % (self.path("volumes", m["name"]), m["mountPath"]) for m in wanted]
        token = self.automounted()
        if token:
            mounts.append("%s:%s" % (self.put("token", token), TOKEN_FOLDER))
        security = dict(self.spec["securityContext"], **self.container["securityContext"])
        assert security["runAsNonRoot"] and security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]} and security["runAsUser"] == security["runAsGroup"]
        argv = [sys.executable, os.path.join(HERE, "container.py"), "--uid", str(security["runAsUser"])]
        for mount in mounts:
            argv += ["--bind", mount]
        command = self.container.get("command") or ["/usr/bin/ufmsyncd"]  # the image's entry point
        self.process = Process(self.metadata["name"], argv + [root] + command + self.container.get("args", []), self.path("log"),
                               self.environment())
        return self

    def probe(self, which):
        probe = self.container[which]["httpGet"]
        port, = (p["containerPort"] for p in self.container["ports"] if p["name"] == probe["port"])
        client = Client("127.0.0.1", port)
        try:
            return client.raw("GET", probe["path"])[0]
        except OSError as problem:
            raise Failed(str(problem))
        finally:
            if client.connection:
                client.connection.close()

    def wait_ready(self):
        for which in ("startupProbe", "livenessProbe", "readinessProbe"):
            def passes():
                if not self.process.alive():
                    raise RuntimeError("it ended:\n" + self.process.output()[-3000:])
                return self.probe(which) == 200
            eventually("the %s of %s passes" % (which, self.metadata["name"]), passes, 60)

    def stop(self):
        """The end of a pod: SIGTERM, and in its time it ends well."""
        try:
            if self.process:
                self.process.end_well()
        finally:
            self.kube.client.raw("DELETE", "%s%s/pods/%s?gracePeriodSeconds=0" % (CORE, self.namespace, self.metadata["name"]))
