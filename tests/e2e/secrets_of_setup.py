"""What ufmsync-setup makes: running it, its objects, and such as somebody else made or as they were years ago."""
import base64
import datetime
import json
import os
import signal
import subprocess

from scenario import expect_equal
from servers import Failed, Process, make_ca, make_certificate, run_openssl
from world import CORE

RECORD, CA_KEY, TLS, CA = "secrets/ufmsync-record-key", "secrets/ufmsync-ca-key", "secrets/ufmsync-tls", "configmaps/ufmsync-ca"
OBJECTS = (RECORD, CA_KEY, TLS, CA)
SINCE = "ufmsync.io/ca-since"


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


class Setup:
    """ufmsync-setup of one namespace; `kubeconfig` as the pod of another user."""

    def __init__(self, world, name="ufmsync", kubeconfig=None):
        self.world, self.namespace = world, world.ns(name)
        self.folder = os.path.join(world.folder, "setup-%d" % len(os.listdir(world.folder)))
        os.mkdir(self.folder)
        self.env = {"PATH": os.environ["PATH"], "POD_NAMESPACE": self.namespace, "UFMSYNC_SETUP_LOG_FORMAT": "json",
                    "KUBECONFIG": kubeconfig or world.kube.kubeconfig}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.server_name = "ufmsync.%s.svc" % self.namespace
        self.runs = 0

    # --- the program ---

    def start(self, *words):
        """Its output goes where leaked secrets are looked for."""
        self.runs += 1
        log = os.path.join(self.folder, "ufmsyncd.setup.%d.log" % self.runs)
        process = Process("ufmsync-setup", self.world.wrapper + [os.path.join(self.world.binaries, "ufmsync-setup"), *words], log,
                          self.env)
        self.world.others.append(process)
        return process

    def run(self, *words, code=0):
        process = self.start(*words)
        try:
            ended = process.child.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed("ufmsync-setup %s did not end" % (words,))
        self.world.others.remove(process)
        self.note_secrets()
        expect_equal(ended, code, "ufmsync-setup %s: %s" % (words, process.output()))
        return process.output()

    def start_and_end(self, *words, code=1):
        """As run(), where no API server can be asked what is secret."""
        process = self.start(*words)
        self.world.others.remove(process)
        expect_equal(process.child.wait(60), code, process.output())
        return process.output()

    def note_secrets(self):
        for name in (RECORD, CA_KEY, TLS):
            for key in ("UFMSYNC_RECORD_KEY", "tls.key"):
                text = self.text(name, key)
                lines = [line for line in text.splitlines() if len(line) > 30 and "-----" not in line]
                self.world.secrets += [line for line in lines if line not in self.world.secrets]

    # --- the objects ---

    def path(self, name):
        return "%s/namespaces/%s/%s" % (CORE, self.namespace, name)

    def get(self, name):
        status, body = self.world.client.raw("GET", self.path(name))
        return json.loads(body) if status == 200 else None

    def all(self):
        return {name: self.get(name) for name in OBJECTS}

    def text(self, name, key):
        value = ((self.get(name) or {}).get("data") or {}).get(key, "")
        return value if name == CA else base64.b64decode(value).decode()

    def put(self, name, kind=None, annotations=None, **data):
        """Makes the object or replaces what is in it; dots of keys are written as __."""
        data = {key.replace("__", "."): value for key, value in data.items()}
        if name != CA:
            data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        there = self.get(name)
        o = there or {"apiVersion": "v1", "kind": "ConfigMap" if name == CA else "Secret",
                      "metadata": {"name": name.rpartition("/")[2], "namespace": self.namespace}}
        o["data"] = data
        if kind:
            o["type"] = kind
        if annotations:
            o["metadata"].setdefault("annotations", {}).update(annotations)
        if there:
            return self.world.client.call("PUT", self.path(name), o)
        return self.world.client.call("POST", self.path(name.partition("/")[0]), o)

    def delete(self, name):
        self.world.client.call("DELETE", self.path(name), expect=(200, 404))

    def published_since(self, hours):
        """The CA is published for so long."""
        since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.world.client.call("PATCH", self.path(CA), {"metadata": {"annotations": {SINCE: since}}},
                               "application/merge-patch+json")

    # --- what they are good for ---

    def files(self, folder=None):
        """As the kubelet mounts them: what the service and the nodes read."""
        folder = folder or self.folder
        path = lambda name: os.path.join(folder, name)
        for name, source, key in (("tls.crt", TLS, "tls.crt"), ("tls.key", TLS, "tls.key"), ("ca.crt", CA, "ca.crt"),
                                  ("UFMSYNC_RECORD_KEY", RECORD, "UFMSYNC_RECORD_KEY")):
            write(path(name + ".new"), self.text(source, key))
            os.replace(path(name + ".new"), path(name))
        return path

    def verify(self, *strict):
        """The certificate is good for whoever trusts what is published, and its key is beside it."""
        path = self.files()
        done = subprocess.run(["openssl", "verify", *strict, "-CAfile", path("ca.crt"), "-purpose", "sslserver",
                               "-verify_hostname", self.server_name, path("tls.crt")], capture_output=True, text=True)
        expect_equal(done.returncode, 0, "openssl verify: " + done.stdout + done.stderr)
        of_cert, of_key = (subprocess.run(["openssl", *words], capture_output=True, text=True, check=True).stdout for words in (
            ("x509", "-in", path("tls.crt"), "-noout", "-pubkey"), ("pkey", "-in", path("tls.key"), "-pubout")))
        expect_equal(of_key, of_cert, "the key's public half")


# --- as they were years ago, and other people's ------------------------------------------------------------------------

CONFIG = """[ca]
default_ca = d
[d]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = p
unique_subject = no
[p]
organizationName = optional
organizationalUnitName = optional
commonName = supplied
[ca_extensions]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical,%(permitted)s,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::
[server_extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = %(names)s
"""


class Old:
    """A CA and a certificate as ufmsync-setup would have made them so many days ago; made by the openssl program."""

    def __init__(self, setup, ca_age, server_age, ca_days=3650, server_days=365):
        self.setup = setup
        self.folder = os.path.join(setup.folder, "old-%d-%d" % (ca_age, server_age))
        os.mkdir(self.folder)
        names = ["ufmsync.%s.svc" % setup.namespace, "ufmsync.%s.svc.cluster.local" % setup.namespace,
                 "ufmsync." + setup.namespace, "ufmsync"]
        write(self.path("config"), CONFIG % {"permitted": ",".join("permitted;DNS:" + name for name in names),
                                             "names": ",".join("DNS:" + name for name in names)})
        write(self.path("index"), "")
        write(self.path("serial"), "01\n")
        self.make("ca", "/O=ufmsync/OU=%s/CN=ufmsync CA %d" % (setup.namespace, ca_age), "ca_extensions", ca_age, ca_days)
        self.make("tls", "/O=ufmsync/CN=ufmsync server", "server_extensions", server_age, server_days)

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def make(self, name, subject, extensions, age, days):
        begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=age)
        end = begin + datetime.timedelta(days=days)
        run_openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                    "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        signer = ["-selfsign", "-keyfile", self.path("ca.key")] if name == "ca" else \
            ["-cert", self.path("ca.crt"), "-keyfile", self.path("ca.key")]
        subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", "config", "-extensions", extensions, *signer,
                        "-startdate", begin.strftime("%Y%m%d%H%M%SZ"), "-enddate", end.strftime("%Y%m%d%H%M%SZ"),
                        "-in", self.path(name + ".csr"), "-out", self.path(name + ".crt")], cwd=self.folder, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def put(self):
        """Into the cluster, with everything else that belongs to it."""
        managed = {"app.kubernetes.io/managed-by": "ufmsync-setup"}
        self.setup.run("--only=record-key")
        self.setup.put(CA_KEY, "kubernetes.io/tls", tls__crt=self.read("ca.crt"), tls__key=self.read("ca.key"))
        self.setup.put(TLS, "kubernetes.io/tls", tls__crt=self.read("tls.crt"), tls__key=self.read("tls.key"),
                       ca__crt=self.read("ca.crt"))
        self.setup.put(CA, ca__crt=self.read("ca.crt"))
        self.setup.world.client.call("PATCH", self.setup.path(CA), {"metadata": {"labels": managed}},
                                     "application/merge-patch+json")
        self.setup.published_since(24 * 365)


class Foreign:
    """A certificate of a CA that is the site's own."""

    def __init__(self, setup, names=None):
        self.folder = os.path.join(setup.folder, "foreign-%d" % len(os.listdir(setup.folder)))
        os.mkdir(self.folder)
        path = lambda name: os.path.join(self.folder, name)
        make_ca(path)
        write(path("san"), "subjectAltName=DNS:%s\nauthorityKeyIdentifier=keyid\n" % (names or setup.server_name))
        make_certificate(path, "tls", "/CN=of-the-site", "-extfile", path("san"))
        self.ca, self.cert, self.key = (open(path(name)).read() for name in ("ca.crt", "tls.crt", "tls.key"))


def kill(process):
    process.child.send_signal(signal.SIGKILL)
    process.child.wait()
