"""Settings, credentials, certificates: the published examples work as written, mistakes are told."""
import base64
import os
import subprocess

import objects
from scenario import expect, expect_equal, scenario
from servers import eventually, kubeconfig
from world import RECORD_KEY


def refused(world, *words, **settings):
    """Starts a daemon that must end with 2 and one line that holds all of `words`; the line."""
    daemon = world.start(wait=False, **settings)
    code = daemon.process.child.wait(20)
    world.daemons.remove(daemon)
    lines = [line for line in daemon.process.output().splitlines() if line.strip()]
    expect_equal(code, 2, "exit code of %r: %r" % (settings, lines))
    text = lines[-1]
    for word in words:
        expect(word in text, "'%s' is missing in: %s" % (word, text))
    return text


@scenario("mock")
def bad_settings_are_one_clear_error(world):
    world.start_ufm()
    refused(world, "UFMSYNC_NO_SUCH", UFMSYNC_NO_SUCH="1")
    refused(world, "UFM_TYPO", UFM_TYPO="1")
    refused(world, "OPENSM_TYPO", OPENSM_TYPO="1")
    refused(world, "GUID_POOL_RANGE_END", "reversed", GUID_POOL_RANGE_START="02:00:00:00:00:00:00:10",
            GUID_POOL_RANGE_END="02:00:00:00:00:00:00:0f")
    refused(world, "GUID_POOL_RANGE_START", "zz", GUID_POOL_RANGE_START="zz")
    refused(world, "GUID_POOL_RANGE_START", GUID_POOL_RANGE_START="00:00:00:00:00:00:00:00")
    refused(world, "UFM_PKEY_RANGE", "0x7fff", UFM_PKEY_RANGE="0x1-0x7fff")
    refused(world, "DEFAULT_LIMITED_PARTITION", DEFAULT_LIMITED_PARTITION="0x0")
    refused(world, "DAEMON_SM_PLUGIN", "ufm", DAEMON_SM_PLUGIN="ufmm")
    refused(world, "DAEMON_SM_PLUGIN", DAEMON_SM_PLUGIN=None)
    refused(world, "UFM_TIMEOUT", "10x", UFM_TIMEOUT="10x")
    refused(world, "UFM_TIMEOUT", "UFMSYNC_LEASE_DURATION", UFM_TIMEOUT="1h")
    refused(world, "UFM_PORT", "70000", UFM_PORT="70000")
    refused(world, "UFM_ADDRESS", UFM_ADDRESS=None)
    refused(world, "UFM_PASSWORD", UFM_PASSWORD=None)
    refused(world, "UFM_CERTIFICATE", UFM_CERTIFICATE="not a certificate")
    text = refused(world, "UFMSYNC_RECORD_KEY", UFMSYNC_RECORD_KEY="dG9vIHNob3J0")
    expect("dG9vIHNob3J0" not in text, "the key is shown: " + text)
    refused(world, "UFMSYNC_PKEY_POLICY", "namespace, annotated or any", UFMSYNC_PKEY_POLICY="open")
    refused(world, "UFMSYNC_TLS_KEY is not set", UFMSYNC_TLS_CERT=world.ufm.cert)
    refused(world, "UFMSYNC_TLS_CERT is not set", UFMSYNC_TLS_KEY=world.ufm.cert)
    refused(world, "UFMSYNC_ATTACH_TIMEOUT", "1s to 5m", UFMSYNC_ATTACH_TIMEOUT="6m")
    refused(world, "UFMSYNC_ATTACH_SERVICE_ACCOUNTS", "namespace/name", UFMSYNC_ATTACH_SERVICE_ACCOUNTS="ufmsync-cni")
    refused(world, "UFMSYNC_SECRET_DIR", UFMSYNC_SECRET_DIR="/no/such/folder")


@scenario()
def unverified_api_server_is_warned_of(world):
    """A kubeconfig that says so is obeyed, and the log says what it means at each start."""
    path = os.path.join(world.folder, "unverified-kubeconfig")
    text = kubeconfig(world.kube.port, "CA", "token: " + world.kube.TOKEN)
    with open(path, "w") as f:
        f.write(text.replace("certificate-authority: CA", "insecure-skip-tls-verify: true"))
    for _ in range(2):
        daemon = world.start(KUBECONFIG=path)
        line, = daemon.said("KUBE_INSECURE")
        expect_equal((line["level"], path in line["from"]), ("warn", True), repr(line))
        daemon.stop()


@scenario("mock")
def bad_kubeconfig_is_one_clear_error(world):
    world.start_ufm()
    path = os.path.join(world.folder, "bad-kubeconfig")
    base = "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://127.0.0.1:1\n%s" \
           "users:\n- name: u\n  user: {token: t}\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n%s"
    for text, words in ((base % ("", ""), ("context",)), (base % ("", "current-context: nope\n"), ("nope",)),
                        (base % ("    certificate-authority: /no/such/ca.crt\n", "current-context: x\n"), ("/no/such/ca.crt",)),
                        ("{", ()), ("", ())):
        with open(path, "w") as f:
            f.write(text)
        refused(world, path, *words, KUBECONFIG=path)
    refused(world, "/no/such/file", KUBECONFIG="/no/such/file")


@scenario("mock")
def empty_values_and_service_links_are_ignored(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFM_PREFIX="", UFM_TLS_NAME="", DEFAULT_LIMITED_PARTITION="", DAEMON_PERIODIC_UPDATE="5",
                         DAEMON_SM_PLUGIN_PATH="/plugins", UFMSYNC_SERVICE_HOST="10.0.0.1",
                         UFMSYNC_PORT_8443_TCP_ADDR="10.0.0.1", UFMSYNC_PORT="tcp://10.0.0.1:8443")
    notices = " ".join(line["message"] for line in daemon.said("SETTING"))
    for word in ("DAEMON_PERIODIC_UPDATE", "DAEMON_SM_PLUGIN_PATH", "UFMSYNC_SERVICE_HOST", "UFMSYNC_PORT"):
        expect(word in notices, word + " is named in a notice: " + notices)
    world.pod("p", "ib")
    world.guid("p")


@scenario("mock")
def print_config_shows_origins_and_hides_secrets(world):
    world.start_ufm()
    env = {k: str(v) for k, v in world.settings().items()}
    out = subprocess.run([os.path.join(world.binaries, "ufmsyncd"), "--print-config", "--ufm-pkey-range=0x1-0x10"],
                         env=dict(os.environ, **env), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    expect_equal(out.returncode, 0, "exit code: " + out.stderr)
    rows = {line.split()[0]: line.split()[1:] for line in out.stdout.splitlines()}
    expect_equal(rows["UFM_PASSWORD"], ["<set>", "environment"], "password")
    expect_equal(rows["UFM_TOKEN"], ["<unset>"], "token")
    expect_equal(rows["UFM_PKEY_RANGE"], ["0x1-0x10", "flag"], "a flag")
    expect_equal(rows["UFMSYNC_GATE"], ["member", "default"], "a default")
    expect(world.ufm.PASSWORD not in out.stdout + out.stderr, "the password is not shown")


@scenario("mock")
def secrets_have_no_flags(world):
    out = subprocess.run([os.path.join(world.binaries, "ufmsyncd"), "--ufm-password=x"], env={"PATH": os.environ["PATH"]},
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    expect_equal(out.returncode, 2, "exit code")
    expect("UFM_PASSWORD" in out.stderr and "argument list" in out.stderr, out.stderr)


def mounted_secret(world, name, files):
    """A folder as kubelet mounts a Secret."""
    folder = os.path.join(world.folder, "secret")
    generation = os.path.join(folder, ".." + name)
    os.makedirs(generation)
    for key, value in files.items():
        with open(os.path.join(generation, key), "w") as f:
            f.write(value)
        if not os.path.islink(os.path.join(folder, key)):
            os.symlink("..data/" + key, os.path.join(folder, key))
    os.symlink(".." + name, os.path.join(folder, "..data_tmp"))
    os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))
    return folder


def published_secret(world, password=None):
    """`kubectl create secret generic ... --from-literal=UFM_USER=... --from-file=UFM_CERTIFICATE=ufmlocalhost.crt`."""
    with open(world.ufm.cert) as f:
        certificate = f.read()
    return {"UFM_USER": world.ufm.USER, "UFM_PASSWORD": password or world.ufm.PASSWORD, "UFM_ADDRESS": "127.0.0.1",
            "UFM_HTTP_SCHEMA": "", "UFM_CERTIFICATE": certificate, "UFM_PORT": str(world.ufm.port)}


NO_UFM = {"UFM_USERNAME": None, "UFM_PASSWORD": None, "UFM_ADDRESS": None, "UFM_CERTIFICATE": None, "UFM_PORT": None}


@scenario()
def published_ufm_example_works_as_written(world):
    """A self-made certificate with only a CN, given by --from-file; the address is an IP."""
    text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", world.start_ufm().cert], capture_output=True,
                          text=True, check=True).stdout
    expect("Subject Alternative Name" not in text, "the certificate has only a CN")
    world.nad("ib", objects.ib_config("1000"))
    world.start(UFMSYNC_SECRET_DIR=mounted_secret(world, "1", published_secret(world)), **NO_UFM)
    world.pod("p", "ib")
    expect(world.guid("p") in world.members(1000), "a member")


@scenario("mock")
def certificate_in_base64_works_too(world):
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    with open(world.ufm.cert, "rb") as f:
        world.start(UFM_CERTIFICATE=base64.b64encode(f.read()).decode())
    world.pod("p", "ib")
    world.guid("p")


@scenario()
def server_with_any_other_certificate_is_refused(world):
    from servers import MockUfm
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    impostor = MockUfm(world.binaries, world.folder, name="impostor")
    world.others.append(impostor)
    daemon = world.start(wait=False, UFM_PORT=impostor.port)
    eventually("it is refused", lambda: daemon.said("FABRIC_LOGIN_REFUSED"))
    world.pod("p", "ib")
    world.stays_untouched("p", seconds=1.5)
    expect_equal(impostor.requests(), [], "requests that the impostor saw")
    expect(daemon.process.alive(), "the process lives")


@scenario("mock")
def system_cas_do_not_trust_a_self_made_certificate(world):
    world.start_ufm()
    daemon = world.start(wait=False, UFM_CERTIFICATE=None)
    eventually("it is refused", lambda: daemon.said("FABRIC_LOGIN_REFUSED"))
    expect_equal(world.ufm.requests(), [], "requests")


@scenario("mock")
def skipping_verification_is_possible_and_warned_of(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(UFM_CERTIFICATE=None, UFM_INSECURE_SKIP_VERIFY="true")
    expect(any("UFM_INSECURE_SKIP_VERIFY" in line["message"] for line in daemon.said("SETTING")), "a warning")
    world.pod("p", "ib")
    world.guid("p")


@scenario("mock")
def token_authentication(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.start(UFM_AUTH="token", UFM_TOKEN=world.ufm.TOKEN, UFM_USERNAME=None, UFM_PASSWORD=None)
    world.pod("p", "ib")
    world.guid("p")
    expect(all(r["path"].startswith("/ufmRestV3/") for r in world.ufm.requests()), "the prefix of tokens")


@scenario("mock")
def client_certificate_authentication(world):
    """mtls: no password is sent; the certificate of another CA is refused, the right one is taken up when it comes."""
    from servers import make_ca, make_certificate
    path = lambda name: os.path.join(world.folder, name)
    other = lambda name: os.path.join(world.folder, "other", name)
    os.makedirs(other(""))
    for place in (path, other):
        make_ca(place)
        make_certificate(place, "client", "/CN=ufmsync")
    world.start_ufm(arguments=("--client-ca", path("ca.crt")))
    world.nad("ib", objects.ib_config("0x5"))

    def secret(place):
        files = published_secret(world)
        del files["UFM_USER"], files["UFM_PASSWORD"]
        for key, name in (("UFM_CLIENT_CERT", "client.crt"), ("UFM_CLIENT_KEY", "client.key")):
            with open(place(name)) as f:
                files[key] = f.read()
        return files

    folder = mounted_secret(world, "1", secret(other))
    daemon = world.start(wait=False, UFM_AUTH="mtls", UFMSYNC_SECRET_DIR=folder, **NO_UFM)
    eventually("the wrong one is refused", lambda: daemon.said("FABRIC_LOGIN_REFUSED"))
    mounted_secret(world, "2", secret(path))
    world.pod("p", "ib")
    world.guid("p", timeout=40)
    expect(all(r["path"].startswith("/ufmRest/") for r in world.ufm.requests()), "the prefix")


@scenario("mock")
def certificate_authority_and_the_name_to_expect(world):
    from servers import make_ca, make_certificate
    path = lambda name: os.path.join(world.folder, name)
    make_ca(path)
    with open(path("san"), "w") as f:
        f.write("subjectAltName=DNS:ufm.example\n")
    make_certificate(path, "server", "/CN=ufm.example", "-extfile", path("san"))
    world.start_ufm(arguments=("--cert", path("server.crt"), "--key", path("server.key")))
    world.nad("ib", objects.ib_config("0x5"))
    with open(path("ca.crt")) as f:
        ca = f.read()
    daemon = world.start(wait=False, UFM_CERTIFICATE=ca)
    eventually("127.0.0.1 is not its name", lambda: daemon.said("FABRIC_LOGIN_REFUSED"))
    expect_equal(world.ufm.requests(), [], "requests")
    daemon.stop()
    world.start(UFM_CERTIFICATE=ca, UFM_TLS_NAME="ufm.example")
    world.pod("p", "ib")
    world.guid("p")


@scenario()
def rotated_secret_is_taken_up_without_a_restart(world):
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    folder = mounted_secret(world, "1", published_secret(world))
    daemon = world.start(UFMSYNC_SECRET_DIR=folder, **NO_UFM)
    world.ufm.control.call("POST", "/control/credentials", {"password": "rotated-password-4410"})
    world.pod("p", "ib")
    eventually("the old password is refused", lambda: daemon.said("FABRIC_LOGIN_REFUSED"))
    mounted_secret(world, "2", published_secret(world, "rotated-password-4410"))
    world.guid("p", timeout=40)
    expect(daemon.said("SECRET_ROTATED"), "the log says so")
    expect("rotated-password-4410" not in daemon.process.output(), "the new password is not shown")


@scenario("mock")
def rotated_secret_without_its_record_key_is_refused(world):
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    files = dict(published_secret(world), UFMSYNC_RECORD_KEY=RECORD_KEY)
    folder = mounted_secret(world, "1", files)
    daemon = world.start(UFMSYNC_SECRET_DIR=folder, UFMSYNC_RECORD_KEY=None, **NO_UFM)
    mounted_secret(world, "2", published_secret(world))
    eventually("refused, with what to do", lambda: daemon.said("SECRET_BAD"), 15)
    expect("UFMSYNC_RECORD_KEY is missing" in daemon.process.output(), "what is missing is named")
    world.pod("p", "ib")
    world.guid("p")
    expect(world.get_pod("p")["metadata"]["annotations"].get("ufmsync.io/record"), "records are written on")
    mounted_secret(world, "3", dict(files, UFM_ADDRESS="192.0.2.1"))
    eventually("what needs a restart is named", lambda: daemon.said("RESTART_NEEDED"), 15)


@scenario("mock")
def noop_gives_guids_only(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start(DAEMON_SM_PLUGIN="noop")
    world.pod("p", "ib")
    world.guid("p")
    expect_equal(world.ufm.requests(), [], "requests to UFM")
