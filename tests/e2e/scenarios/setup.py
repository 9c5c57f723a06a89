"""ufmsync-setup: record key, CA and certificate are made in the cluster, and stay fresh."""
import os
import random

import objects
from multus import Sandbox
from scenario import expect, expect_equal, scenario
from secrets_of_setup import CA, CA_KEY, OBJECTS, RECORD, TLS, Foreign, Old, Setup, kill
from servers import ServiceCertificate, eventually, kubeconfig
from tool import ROOT, apply
from world import CORE

import manifests


class Mounted(ServiceCertificate):
    """The files of the pods: what the kubelet would have mounted from the Secrets and the ConfigMap."""

    def __init__(self, setup):
        self.setup, path = setup, setup.files()
        self.ca, self.cert, self.key = path("ca.crt"), path("tls.crt"), path("tls.key")


def serve(world, setup):
    """A service and a node that have nothing but what was made."""
    world.nad("ib", {"cniVersion": "1.0.0", "name": "ib", "type": "ufmsync", "delegate": {"type": "ib-sriov", "pkey": "0x5"}})
    world.certificate = Mounted(setup)
    secret = os.path.join(world.folder, "secret")
    os.mkdir(secret)
    os.symlink(setup.files()("UFMSYNC_RECORD_KEY"), os.path.join(secret, "UFMSYNC_RECORD_KEY"))
    daemon = world.serve(UFMSYNC_SECRET_DIR=secret, UFMSYNC_RECORD_KEY=None)
    return daemon, world.node(daemon, serverName=setup.server_name)


def attach(world, node, name):
    world.pod(name, "ib")
    Sandbox(node, name).add()


@scenario()
def what_is_made_is_all_that_service_and_plugin_need(world):
    setup = Setup(world)
    expect("make a CA" in setup.run("--dry-run"), "it is said what would be done")
    expect_equal(setup.all(), dict.fromkeys(OBJECTS), "and nothing is made")
    setup.run("--check", code=4)
    setup.run()
    setup.verify("-x509_strict")
    made = setup.all()
    setup.run("--check")
    setup.run()
    expect_equal(setup.all(), made, "a second run changes nothing")
    daemon, node = serve(world, setup)
    attach(world, node, "p")
    record = world.published("p")["metadata"]["annotations"][objects.RECORD]
    expect(record.startswith("1."), "records are signed: " + record)


@scenario()
def an_old_certificate_is_replaced_under_a_running_service(world):
    setup = Setup(world)
    Old(setup, ca_age=300, server_age=300).put()
    before = setup.all()
    daemon, node = serve(world, setup)
    attach(world, node, "old")
    expect("issue a certificate" in setup.run("--check", code=4), "it is due")
    setup.run()
    expect({name for name in OBJECTS if setup.get(name) != before[name]} == {TLS}, "nothing else was written")
    setup.verify()
    setup.files()
    eventually("the service takes it up", lambda: daemon.said("TLS_RENEWED"))
    attach(world, node, "new")


@scenario()
def a_new_ca_reaches_the_nodes_a_day_before_its_certificate(world):
    setup = Setup(world)
    old = Old(setup, ca_age=2500, server_age=10)
    old.put()
    daemon, node = serve(world, setup)
    attach(world, node, "before")
    certificate = setup.get(TLS)

    setup.run()
    expect(setup.text(CA_KEY, "tls.crt") != old.read("ca.crt"), "there is a new CA")
    expect_equal(setup.text(CA, "ca.crt"), old.read("ca.crt") + setup.text(CA_KEY, "tls.crt"), "the nodes get both")
    expect_equal(setup.get(TLS), certificate, "the certificate stays")
    expect("a day after" in setup.run("--check"), "it is said what is waited for")
    setup.published_since(23)
    setup.run()
    expect_equal(setup.get(TLS), certificate, "not after 23 hours")
    setup.verify()

    setup.published_since(25)
    node.put_ca(setup.files()("ca.crt"))
    setup.run()
    expect(setup.text(TLS, "tls.crt") != old.read("tls.crt"), "a certificate of the new CA")
    setup.verify()
    setup.files()
    eventually("the service takes it up", lambda: daemon.said("TLS_RENEWED"))
    attach(world, node, "after")
    expect(old.read("ca.crt") in setup.text(CA, "ca.crt"), "the old CA stays for another day")


@scenario("mock")
def a_former_ca_is_withdrawn_from_the_nodes(world):
    setup = Setup(world)
    former, old = Old(setup, ca_age=2500, server_age=300), Old(setup, ca_age=300, server_age=10)
    old.put()
    site = Foreign(setup)
    setup.put(CA, ca__crt=former.read("ca.crt") + site.ca + old.read("ca.crt"))
    expect("withdraw" in setup.run("--check", code=4), "it is due")
    setup.run()
    expect_equal(setup.text(CA, "ca.crt"), site.ca + old.read("ca.crt"), "what the site added stays")
    setup.verify()


def run_several(setup):
    processes = [setup.start() for _ in range(4)]
    for process in processes:
        expect_equal(process.child.wait(60), 0, process.output())
    setup.verify()
    made = setup.all()
    setup.run()
    expect_equal(setup.all(), made, "it is as it should be")


@scenario()
def several_at_once_make_one_of_each(world):
    for i in range(3):
        setup = Setup(world, "at-once-%d" % i)
        run_several(setup)
        expect_equal(setup.text(CA, "ca.crt"), setup.text(CA_KEY, "tls.crt"), "one CA")


@scenario()
def several_at_once_renew_one_of_each(world):
    for i in range(3):
        setup = Setup(world, "at-once-%d" % i)
        old = Old(setup, ca_age=2500, server_age=400)
        old.put()
        run_several(setup)
        expect_equal(setup.text(CA, "ca.crt"), old.read("ca.crt") + setup.text(CA_KEY, "tls.crt"), "the old CA and one new")


def is_consistent(setup):
    """Nothing that a node could be refused for: a certificate only where its CA is published."""
    if setup.get(TLS):
        setup.verify()


@scenario()
def killed_at_any_time_it_leaves_nothing_broken(world):
    setup, dice = Setup(world), random.Random(1)
    for i in range(12):
        for name in OBJECTS[:dice.randrange(5)]:
            setup.delete(name)
        process = setup.start()
        try:
            process.child.wait(dice.uniform(0, 0.05))
        except Exception:
            pass
        kill(process)
        is_consistent(setup)
        if i % 4 == 3:
            setup.run()
            setup.verify()


@scenario("mock")
def a_lost_answer_to_any_write_is_no_harm(world):
    """The API server has carried it out, and the connection breaks before the answer."""
    for n in range(4):
        setup = Setup(world, "lost-%d" % n)
        world.kube.control.call("POST", "/control/faults", {"action": "reset_after_apply", "times": 1, "skip": n,
                                                            "match": {"method": "POST", "namespace": setup.namespace}})
        setup.run()
        setup.verify()
        expect_equal(setup.text(CA, "ca.crt"), setup.text(CA_KEY, "tls.crt"), "one CA")


@scenario()
def it_stays_and_puts_back_what_was_deleted(world):
    setup = Setup(world)
    process = setup.start("--stay", "--interval=200ms")
    eventually("everything is there", lambda: all(setup.all().values()))
    key = setup.text(RECORD, "UFMSYNC_RECORD_KEY")
    setup.delete(TLS)
    eventually("the certificate is back", lambda: setup.get(TLS))
    setup.delete(CA)
    eventually("the nodes' CA is back", lambda: setup.get(CA))
    world.kube.down()
    eventually("an outage is said", lambda: "SETUP_FAILED" in process.output())
    world.kube.up()
    setup.delete(CA)
    eventually("and over", lambda: setup.get(CA), 60)
    eventually("said once more", lambda: setup.run("--check"))
    setup.verify()
    expect_equal(setup.text(RECORD, "UFMSYNC_RECORD_KEY"), key, "the record key")
    expect_equal(process.end(), 0, process.output())


@scenario()
def without_an_api_server_it_gives_up_in_time(world):
    setup = Setup(world)
    world.kube.down()
    try:
        expect("SETUP_FAILED" in setup.start_and_end("--timeout=1s"), "it is said")
        expect("SETUP_FAILED" in setup.start_and_end("--check"), "at once")
        process = setup.start("--timeout=10m")
        eventually("it tries", lambda: "SETUP_FAILED" in process.output())
        expect_equal(process.end(), 1, "a Job whose pod is evicted meanwhile is not done")
    finally:
        world.kube.up()


@scenario()
def what_cannot_be_used_is_said_and_left_alone(world):
    setup = Setup(world)
    setup.run()
    good = setup.all()
    for name, data, word in ((RECORD, {"UFMSYNC_RECORD_KEY": "c2hvcnQ="}, "at least 32"), (RECORD, {"other": "x"}, "not there"),
                             (CA_KEY, {"tls__crt": "x", "tls__key": "x"}, "delete it"),
                             (TLS, {"tls__crt": "", "tls__key": ""}, "ufmsync-tls cannot be used"),
                             (CA, {"ca__crt": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"}, "correct ca.crt")):
        setup.put(name, **data)
        broken = setup.get(name)
        said = setup.run(code=1)
        expect("SETUP_TROUBLE" in said and word in said, said)
        expect(word in setup.run("--check", code=1), "--check says the same")
        expect_equal(setup.get(name), broken, "it is left as it is")
        fresh = setup.get(name)
        fresh["data"] = good[name]["data"]
        world.client.call("PUT", setup.path(name), fresh)
        setup.run()


@scenario()
def a_certificate_of_the_site_is_left_alone(world):
    setup = Setup(world)
    foreign = Foreign(setup)
    setup.put(TLS, "kubernetes.io/tls", tls__crt=foreign.cert, tls__key=foreign.key)
    before = setup.get(TLS)
    said = setup.run(code=1)
    expect("the nodes lack the CA" in said, said)
    setup.put(CA, ca__crt=foreign.ca)
    published = setup.get(CA)
    expect("not made here" in setup.run(), "it is said")
    expect_equal((setup.get(TLS), setup.get(CA), setup.get(CA_KEY)), (before, published, None), "nothing of the site's is touched")
    expect(setup.get(RECORD), "a record key is made all the same")
    other = Foreign(setup, "ufmsync.elsewhere.svc")
    setup.put(TLS, tls__crt=other.cert, tls__key=other.key)
    said = setup.run(code=1)
    expect("not for the name" in said, said)


@scenario()
def with_cert_manager_its_ca_reaches_the_nodes(world):
    """deploy/cert-manager: it fills the Secret at some time, and renews it."""
    setup = Setup(world)
    process = setup.start("--stay", "--only=record-key,trust", "--interval=200ms")
    eventually("it waits for cert-manager", lambda: "SETUP_WAITS" in process.output())
    expect("Waits" in setup.run("--check", "--only=record-key,trust", code=4), "and says so")
    for _ in range(2):
        foreign = Foreign(setup)
        setup.put(TLS, "kubernetes.io/tls", tls__crt=foreign.cert, tls__key=foreign.key, ca__crt=foreign.ca)
        eventually("the nodes have its CA", lambda: foreign.ca in setup.text(CA, "ca.crt"))
        setup.verify()
    expect_equal(setup.get(CA_KEY), None, "no CA is made")
    setup.run("--check", "--only=record-key,trust")
    daemon, node = serve(world, setup)
    attach(world, node, "p")
    expect_equal(process.end(), 0, process.output())


# --- rights ------------------------------------------------------------------------------------------------------------

def as_the_pod(world, folder="setup", change=None):
    """ufmsync-setup with the rights of a folder of deploy/ and no others; `change` alters the Role's rules."""
    for o in manifests.build(os.path.join(ROOT, "deploy", folder)):
        if o["kind"] in ("ServiceAccount", "Role", "RoleBinding") and o["metadata"]["name"] == "ufmsync-setup":
            apply(world, o)
    answer = world.client.call("POST", "%s/namespaces/%s/serviceaccounts/ufmsync-setup/token" % (CORE, world.ns("ufmsync")), {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
    world.secrets.append(answer["status"]["token"])
    path = os.path.join(world.folder, "kubeconfig-setup")
    with open(path, "w") as f:
        f.write(kubeconfig(world.kube.port, world.kube.ca, "token: " + answer["status"]["token"]))
    return Setup(world, kubeconfig=path)


def role_path(world):
    return "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles/ufmsync-setup" % world.ns("ufmsync")


def single_rights(rules):
    for rule in rules:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [None]):
                    yield {"apiGroups": [""], "resources": [resource], "verbs": [verb], **({"resourceNames": [name]} if name else {})}


def begin_from(setup, verb, old):
    """A state in which everything that this verb is for has to be done."""
    for name in OBJECTS:
        setup.delete(name)
    if verb == "update":
        setup.put(CA_KEY, "kubernetes.io/tls", tls__crt=old.read("ca.crt"), tls__key=old.read("ca.key"))
        setup.put(TLS, "kubernetes.io/tls", tls__crt=old.read("tls.crt"), tls__key=old.read("tls.key"))
        setup.put(CA, ca__crt=old.read("ca.crt"))


@scenario("real")
def the_rights_of_deploy_setup_are_enough_and_none_is_too_many(world):
    setup = as_the_pod(world)
    admin = Setup(world)
    old = Old(admin, ca_age=2500, server_age=400)
    role = world.client.call("GET", role_path(world))
    rights = list(single_rights(role["rules"]))
    expect_equal(len(rights), 9, "single rights")

    def set_rules(rules):
        role = world.client.call("GET", role_path(world))
        world.client.call("PUT", role_path(world), dict(role, rules=rules))

    def works():
        for verb in ("create", "update"):
            begin_from(admin, verb, old)
            setup.run("--timeout=500ms")
            admin.verify()
        return True

    def is_refused(right):
        begin_from(admin, right["verbs"][0], old)
        process = setup.start("--timeout=100ms")
        code = process.child.wait(60)
        named = right.get("resourceNames", [""])[0]
        return code == 1 and "forbidden" in process.output() and named in process.output()

    works()
    for i, right in enumerate(rights):
        set_rules(rights[:i] + rights[i + 1:])
        eventually("missing is noticed: %s" % right, lambda: is_refused(right))
    set_rules(rights)
    eventually("with all of them it works", lambda: works())


@scenario("real")
def with_cert_manager_no_key_but_the_record_key_can_be_read(world):
    setup = as_the_pod(world, "cert-manager")
    admin = Setup(world)
    foreign = Foreign(admin)
    admin.put(TLS, "kubernetes.io/tls", tls__crt=foreign.cert, tls__key=foreign.key, ca__crt=foreign.ca)
    setup.run("--only=record-key,trust", "--timeout=5s")
    admin.verify()
    said = setup.run("--timeout=100ms", code=1)
    expect("forbidden" in said and "ufmsync-ca-key" in said, said)
