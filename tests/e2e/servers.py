"""The real processes that a scenario talks to, each ended by its own id."""
import base64
import collections
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

POLL = 0.01
SERVER_NAME = "ufmsync.kube-system.svc"  # what plugins expect in the service's certificate


class Failed(AssertionError):
    pass


def eventually(what, check, timeout=15.0):
    """Waits until check() is true and returns what it gave; says what was last seen when it never is."""
    end = time.monotonic() + timeout
    seen = None
    while True:
        try:
            seen = check()
            if seen:
                return seen
        except (KeyError, IndexError, ValueError, Failed) as problem:
            seen = repr(problem)
        if time.monotonic() > end:
            raise Failed("never came true within %g s: %s (last: %.600s)" % (timeout, what, seen))
        time.sleep(POLL)


def always(what, check, seconds):
    """Fails as soon as check() is false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not check():
            raise Failed("did not stay true for %g s: %s" % (seconds, what))
        time.sleep(POLL)


promised = collections.deque(maxlen=1000)


def free_port():
    """A port for a server that is started soon: below those that the kernel gives to outgoing connections, and none that
    another one of ours may still be about to take."""
    while True:
        port = random.randint(12000, 32000)
        if port in promised:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                promised.append(port)
                return port
            except OSError:
                continue


class Process:
    """A child whose output goes to a file; killed with us."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)

    def alive(self):
        return self.child.poll() is None

    def end(self, timeout=15):
        """SIGTERM; the exit code."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed("%s did not end within %d s of SIGTERM" % (self.name, timeout))

    def end_well(self):
        """SIGTERM, or long ended; anything but success is a failure, a report of a sanitizer or of valgrind too."""
        code = self.end()
        if code != 0:
            raise Failed("%s ended with %d:\n%s" % (self.name, code, self.output()[-6000:]))

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()


def wait_for_file(process, path, timeout=60):
    end = time.monotonic() + timeout
    while not os.path.exists(path) or os.path.getsize(path) == 0:
        if not process.alive():
            raise Failed("%s ended at its start:\n%s" % (process.name, process.output()[-2000:]))
        if time.monotonic() > end:
            raise Failed("%s did not write %s" % (process.name, path))
        time.sleep(POLL)
    with open(path) as f:
        return f.read().strip()


class Client:
    """A small JSON client; one connection, opened anew when it broke.  Threads may share it."""

    def __init__(self, host, port, context=None, headers=None):
        self.host, self.port, self.context, self.headers = host, port, context, headers or {}
        self.connection, self.lock = None, threading.Lock()

    def open(self):
        if self.context:
            return http.client.HTTPSConnection(self.host, self.port, timeout=30, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def raw(self, *request, **more):
        with self.lock:
            return self.exchange(*request, **more)

    def exchange(self, method, path, body=None, content_type="application/json"):
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = content_type
            if not isinstance(body, (str, bytes)):
                body = json.dumps(body)
        for again in (True, False):
            if self.connection is None:
                self.connection = self.open()
            try:
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.connection = None
                if not again:
                    raise

    def call(self, method, path, body=None, content_type="application/json", expect=(200, 201, 202)):
        status, data = self.raw(method, path, body, content_type)
        if expect and status not in expect:
            raise Failed("%s %s: HTTP %d: %.400s" % (method, path, status, data.decode(errors="replace")))
        try:
            return json.loads(data) if data else None
        except ValueError:
            return data.decode(errors="replace")


class MockUfm:
    """mock-ufm; the truth about the fabric's partitions is asked from its control endpoint."""
    USER, PASSWORD, TOKEN = "admin", "ufm-password-7391", "ufm-token-5512"

    def __init__(self, binaries, folder, name="ufm", schema="https", arguments=(), listen="127.0.0.1:0"):
        self.cert = os.path.join(folder, name + ".crt")
        port_file, control_file = (os.path.join(folder, name + end) for end in (".port", ".control"))
        env = dict(os.environ, MOCK_UFM_USERNAME=self.USER, MOCK_UFM_PASSWORD=self.PASSWORD, MOCK_UFM_TOKEN=self.TOKEN)
        argv = [os.path.join(binaries, "mock-ufm"), "--listen", listen, "--port-file", port_file,
                "--control-listen", "127.0.0.1:0", "--control-port-file", control_file, "--exit-with-parent"]
        argv += ["--write-cert", self.cert] if schema == "https" else ["--http"]
        self.schema = schema
        self.process = Process("mock-ufm", argv + list(arguments), os.path.join(folder, name + ".log"), env)
        self.port = int(wait_for_file(self.process, port_file).split()[-1])
        self.control = Client("127.0.0.1", int(wait_for_file(self.process, control_file).split()[-1]))

    def end(self):
        self.process.end_well()

    def add(self, pkey, *guids, **more):
        """Somebody else adds members behind our back."""
        self.control.call("POST", "/control/members", dict({"pkey": pkey, "guids": list(guids)}, **more))

    def forget(self, pkey, *guids):
        self.control.call("DELETE", "/control/members", {"pkey": pkey, "guids": list(guids)})

    def fault(self, action, times=0, match=None, **more):
        """The next `times` matching requests (0: all until heal()) go wrong; see mock-ufm --help."""
        rule = dict({"action": action, "times": times}, **more)
        if match:
            rule["match"] = match
        self.control.call("POST", "/control/faults", rule)

    def heal(self):
        self.control.call("DELETE", "/control/faults")

    def requests(self, **query):
        """The log of requests, oldest first; writes="true" for writes only."""
        path = "/control/log?limit=20000&" + urllib.parse.urlencode(query)
        return self.control.call("GET", path)["requests"]

    def writes(self):
        return self.requests(writes="true")

    def stats(self):
        return self.control.call("GET", "/control/stats")

    def latency(self, write_ms=0, read_ms=0):
        self.control.call("POST", "/control/latency", {"write_ms": write_ms, "read_ms": read_ms})


class Kube:
    """What both API servers have: a CA of their clients, in self.pki."""
    service = None

    def certificate_user(self, inline=False):
        """Lines of a kubeconfig for a user who has a client certificate."""
        path = lambda name: os.path.join(self.pki, name)
        if not os.path.exists(path("client.crt")):
            make_certificate(path, "client", "/O=system:masters/CN=by-certificate")
        if not inline:
            return "client-certificate: %s\nclient-key: %s" % (path("client.crt"), path("client.key"))
        data = []
        for name in ("client.crt", "client.key"):
            with open(path(name), "rb") as f:
                data.append(base64.b64encode(f.read()).decode())
        return "client-certificate-data: %s\nclient-key-data: %s" % tuple(data)


    def service_certificate(self):
        """Of ufmsyncd's https port, for all scenarios of this API server."""
        if self.service is None:
            self.service = ServiceCertificate(os.path.join(self.folder, "service"))
        return self.service


class MockKube(Kube):
    """mock-kube."""
    kind = "mock"
    TOKEN = "kube-token-8121"

    def __init__(self, binaries, folder):
        self.folder = folder
        self.kubeconfig = os.path.join(folder, "kubeconfig")
        self.ca = os.path.join(folder, "kube.ca")
        self.pki = os.path.join(folder, "pki")
        os.makedirs(self.pki)
        make_ca(lambda name: os.path.join(self.pki, name))
        port_file, control_file = (os.path.join(folder, "kube" + end) for end in (".port", ".control"))
        env = dict(os.environ, MOCK_KUBE_TOKEN=self.TOKEN)
        argv = [os.path.join(binaries, "mock-kube"), "--listen", "127.0.0.1:0", "--port-file", port_file,
                "--control-listen", "127.0.0.1:0", "--control-port-file", control_file, "--exit-with-parent",
                "--write-kubeconfig", self.kubeconfig, "--write-ca", self.ca, "--client-ca", os.path.join(self.pki, "ca.crt")]
        self.process = Process("mock-kube", argv, os.path.join(folder, "kube.log"), env)
        self.port = int(wait_for_file(self.process, port_file).split()[-1])
        self.control = Client("127.0.0.1", int(wait_for_file(self.process, control_file).split()[-1]))
        wait_for_file(self.process, self.kubeconfig)
        self.client = client_of_kubeconfig(self.kubeconfig)

    def down(self):
        """No request is answered and no watch is open, until up(); only the control endpoint still works."""
        self.control.call("POST", "/control/faults", {"action": "reset_before", "times": 0})
        self.control.call("POST", "/control/restart")

    def up(self):
        self.control.call("DELETE", "/control/faults")

    def end(self):
        self.process.end_well()


def client_of_kubeconfig(path):
    """Reads only what the servers of these tests write: one cluster, one user, JSON or plain YAML lines."""
    fields = {}
    with open(path) as f:
        for line in f:
            key, colon, value = line.strip().lstrip("- ").partition(":")
            if colon and value.strip():
                fields.setdefault(key.strip().strip('"'), value.strip().strip('",'))
    url = urllib.parse.urlparse(fields["server"])
    context = None
    if url.scheme == "https":
        context = ssl.create_default_context()
        if "certificate-authority" in fields:
            context.load_verify_locations(fields["certificate-authority"])
        else:
            context.load_verify_locations(cadata=base64.b64decode(fields["certificate-authority-data"]).decode())
    headers = {"User-Agent": "e2e"}
    if "token" in fields:
        headers["Authorization"] = "Bearer " + fields["token"]
    return Client(url.hostname, url.port, context, headers)


def run_openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_ca(path):
    """A CA at path("ca.crt") and path("ca.key")."""
    run_openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
                "-subj", "/CN=test-ca", "-keyout", path("ca.key"), "-out", path("ca.crt"))


def make_certificate(path, name, subject, *more):
    """A certificate of that CA, at path(name + ".crt") and path(name + ".key")."""
    run_openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                "-keyout", path(name + ".key"), "-out", path(name + ".csr"))
    run_openssl("x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"),
                "-CAcreateserial", "-days", "3", "-out", path(name + ".crt"), *more)


class ServiceCertificate:
    """Of the service's https port, with a CA of its own; `names` as in a certificate's subjectAltName."""

    def __init__(self, folder, names="DNS:" + SERVER_NAME):
        os.makedirs(folder, exist_ok=True)
        self.path = lambda name: os.path.join(folder, name)
        make_ca(self.path)
        self.issue(names)
        self.ca, self.cert, self.key = (self.path(name) for name in ("ca.crt", "service.crt", "service.key"))

    def issue(self, names="DNS:" + SERVER_NAME):
        """Another certificate of the same CA, put in the place of the old one as cert-manager does."""
        with open(self.path("san"), "w") as f:
            f.write("subjectAltName=%s\n" % names)
        make_certificate(self.path, "next", "/CN=ufmsync", "-extfile", self.path("san"))
        for end in (".key", ".crt"):
            os.replace(self.path("next" + end), self.path("service" + end))


def folder_in_memory(least=1 << 30):
    """A new folder in memory, where `least` bytes are free there: etcd waits for its disk at every write."""
    shm = "/dev/shm"
    try:
        roomy = shutil.disk_usage(shm).free >= least and os.access(shm, os.W_OK)
    except OSError:
        roomy = False
    return tempfile.mkdtemp(prefix="ufmsync-etcd-", dir=shm if roomy else None)


def find_apiserver():
    """KUBE_APISERVER, or the one that is kept, which may have to be built first."""
    if not os.environ.get("KUBE_APISERVER"):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kube-apiserver")
        os.environ["KUBE_APISERVER"] = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return os.environ["KUBE_APISERVER"]


class RealKube(Kube):
    """kube-apiserver 1.20 and etcd of Debian on loopback."""
    kind = "real"
    TOKEN = "kube-token-8121"
    PLAIN_TOKEN = "kube-token-8122"  # of the user "plain", who may nothing

    def __init__(self, folder):
        apiserver = find_apiserver()
        etcd = os.environ.get("ETCD") or shutil.which("etcd") or "/usr/bin/etcd"
        self.folder = folder
        self.pki = os.path.join(folder, "pki")
        os.makedirs(self.pki)
        path = lambda name: os.path.join(self.pki, name)
        self.ca = path("ca.crt")
        self.make_certificates(path)
        client_port, peer_port, self.port = free_port(), free_port(), free_port()
        etcd_url = "http://127.0.0.1:%d" % client_port
        peer_url = "http://127.0.0.1:%d" % peer_port
        quiet = dict(os.environ, ETCD_UNSUPPORTED_ARCH="")
        self.data = folder_in_memory()
        self.etcd = Process("etcd", [etcd, "--data-dir", self.data, "--listen-client-urls", etcd_url,
                                     "--advertise-client-urls", etcd_url, "--listen-peer-urls", peer_url,
                                     "--initial-advertise-peer-urls", peer_url, "--initial-cluster",
                                     "default=" + peer_url], os.path.join(folder, "etcd.log"), quiet)
        self.argv = [
            apiserver, "--etcd-servers=" + etcd_url, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            "--secure-port=%d" % self.port, "--tls-cert-file=" + path("server.crt"),
            "--tls-private-key-file=" + path("server.key"), "--client-ca-file=" + path("ca.crt"),
            "--token-auth-file=" + path("tokens"), "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-signing-key-file=" + path("sa.key"), "--service-account-key-file=" + path("sa.key"),
            "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=Node,RBAC",
            "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount", "--cert-dir=" + self.pki,
            "--profiling=false", "--allow-privileged=true",  # as every installer of clusters has it
            "--goaway-chance=0.02"]  # the most it takes: one HTTP/2 request in 50 ends its connection
        self.kubeconfig = os.path.join(folder, "kubeconfig")
        with open(self.kubeconfig, "w") as f:
            f.write(kubeconfig(self.port, self.ca, "token: " + self.TOKEN))
        self.client = client_of_kubeconfig(self.kubeconfig)
        self.process = None
        try:
            self.up()
            self.install_crd()
        except Exception:
            self.end()
            raise

    def make_certificates(self, path):
        with open(path("san"), "w") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\n")
        make_ca(path)
        make_certificate(path, "server", "/CN=kube-apiserver", "-extfile", path("san"))
        run_openssl("genrsa", "-out", path("sa.key"), "2048")
        with open(path("tokens"), "w") as f:
            f.write('%s,admin,1,"system:masters"\n%s,plain,2\n' % (self.TOKEN, self.PLAIN_TOKEN))

    def down(self):
        """kill -9, as when its machine is lost; etcd keeps everything."""
        self.process.kill()

    def up(self):
        self.process = Process("kube-apiserver", self.argv, os.path.join(self.folder, "kube-apiserver.log"))
        self.wait_ready()

    def wait_ready(self):
        def ready():
            if not self.process.alive() or not self.etcd.alive():
                raise RuntimeError("kube-apiserver or etcd ended:\n%s\n%s" % (self.process.output()[-3000:],
                                                                               self.etcd.output()[-1000:]))
            try:
                return self.client.raw("GET", "/readyz")[0] == 200
            except OSError:
                return False
        eventually("kube-apiserver is ready", ready, 60)

    def install_crd(self):
        self.client.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
            "spec": {"group": "k8s.cni.cncf.io", "scope": "Namespaced",
                     "names": {"plural": "network-attachment-definitions", "singular": "network-attachment-definition",
                               "kind": "NetworkAttachmentDefinition", "shortNames": ["net-attach-def"]},
                     "versions": [{"name": "v1", "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": {
                                       "type": "object", "properties": {"spec": {
                                           "type": "object", "properties": {"config": {"type": "string"}}}}}}}]}})
        eventually("the NAD definition is served", lambda: self.client.raw(
            "GET", "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions")[0] == 200, 30)

    def end(self):
        if self.process:
            self.process.kill()
        self.etcd.kill()
        shutil.rmtree(self.data, ignore_errors=True)


def kubeconfig(port, ca, user):
    """Text of a kubeconfig; `user` is a YAML line like "token: x", or several."""
    return ("apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://127.0.0.1:%d\n"
            "    certificate-authority: %s\nusers:\n- name: u\n  user:\n    %s\ncontexts:\n- name: x\n  context:\n"
            "    cluster: c\n    user: u\ncurrent-context: x\n" % (port, ca, user.replace("\n", "\n    ")))


class Daemon:
    """One ufmsyncd."""

    def __init__(self, world, settings):
        self.world = world
        self.env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env.update({name: str(value) for name, value in settings.items() if value is not None})
        self.health = int(self.env["UFMSYNC_HEALTH_LISTEN"].rpartition(":")[2])
        self.https = int(self.env.get("UFMSYNC_LISTEN", "0").rpartition(":")[2])
        world.daemons_started += 1
        self.log = os.path.join(world.folder, "ufmsyncd.%d.log" % world.daemons_started)
        argv = world.wrapper + [os.path.join(world.binaries, "ufmsyncd")]
        self.killed = False
        self.process = Process("ufmsyncd", argv, self.log, self.env)

    def get(self, path):
        client = Client("127.0.0.1", self.health)
        try:
            return client.raw("GET", path)
        except OSError as problem:
            raise Failed("GET %s: %s" % (path, problem))
        finally:
            if client.connection:
                client.connection.close()

    def metric(self, name):
        """Value of a metric line, its labels included in the name."""
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.rpartition(" ")[0] == name:
                return float(line.rpartition(" ")[2])
        raise KeyError(name)

    def processor_seconds(self):
        """How long it has been computing so far."""
        with open("/proc/%d/stat" % self.process.child.pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_listed(self, timeout=30):
        def listed():
            if not self.process.alive():
                raise RuntimeError("ufmsyncd ended:\n" + self.process.output()[-3000:])
            return self.metric("ufmsync_listed") == 1
        eventually("ufmsyncd knows pods and members", listed, timeout)

    def lines(self):
        found = []
        for line in self.process.output().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"id": "", "message": line})
        return found

    def said(self, message_id):
        return [line for line in self.lines() if line.get("id") == message_id]

    def stop(self):
        self.process.end_well()

    def kill(self):
        self.killed = True
        self.process.kill()
