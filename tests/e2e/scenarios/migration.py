"""From ib-kubernetes and back: what it left is foretold, taken over without an interruption, and found again by it."""
import json
import os
import subprocess

import objects
from ib_kubernetes import IbKubernetes, colons
from scenario import expect, expect_equal, scenario
from servers import always, eventually
from world import CORE, LEASES

ADOPT = {"UFMSYNC_ADOPT": "annotation"}
KEPT, JOINED, GIVEN, WAITS = "kept", "joined", "given", "waits"


# --- ufmsyncd --dry-run --------------------------------------------------------------------------------------------------

class DryRun:
    def __init__(self, world, form="json", **more):
        environment = {"PATH": os.environ["PATH"], "HOME": world.folder}
        environment.update({name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
                            if name in os.environ})
        environment.update({name: str(value) for name, value in world.settings(**more).items() if value is not None})
        done = subprocess.run(world.wrapper + [os.path.join(world.binaries, "ufmsyncd"), "--dry-run", "-o", form],
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        with open(os.path.join(world.folder, "ufmsyncd.dry-run.log"), "a") as f:
            f.write(self.out + self.err)  # searched for secrets, as the daemons' logs are
        if form == "json" and self.code in (0, 4):
            self.said = json.loads(self.out)
            self.summary = self.said["summary"]

    def __repr__(self):
        return "exit code %d\n--- out\n%s--- err\n%s" % (self.code, self.out, self.err)

    def fates(self):
        """{(pod, index): fate}"""
        return {(i["pod"], i["index"]): i["fate"] for i in self.said["interfaces"]}

    def of(self, pod):
        return [i for i in self.said["interfaces"] if i["pod"] == pod]

    def joins(self):
        """{pkey: how many}"""
        return {int(p["pkey"], 16): p["joined"] for p in self.said["pkeys"] if p["joined"]}

    def orphans(self):
        return {(int(s["pkey"], 16), objects.hex_guid(s["guid"])) for s in self.said["strays"] if s["kind"] == "orphan"}

    def warns(self, *words):
        return any(all(word in warning for word in words) for warning in self.said["warnings"])


def foretold(world, code=4, **more):
    run = DryRun(world, **more)
    expect_equal(run.code, code, repr(run))
    return run


# --- what ib-kubernetes leaves -------------------------------------------------------------------------------------------

class Site:
    """A cluster after a year of ib-kubernetes."""

    def __init__(self, world):
        self.world = world
        world.start_ufm()
        world.nad("ib", objects.ib_config("0x5"))
        world.nad("storage", objects.ib_config("0x6", capability=True))
        world.nad("chained", objects.conflist(objects.ib_config("0xa"), {"type": "tuning"}))
        world.nad("macvlan", {"cniVersion": "0.3.1", "type": "macvlan"})
        world.nad("moved", objects.ib_config("0x7"))
        self.ib_kubernetes = ibk = IbKubernetes(world)
        self.running = {}  # what must not be touched: {pod: its GUIDs}

        for name, networks in (("one", "ib"), ("two", "ib@net1,storage@net2"), ("same", "ib,ib"), ("list", "chained"),
                               ("mixed", "macvlan,ib"), ("edited", "moved")):
            world.pod(name, networks)
            self.running[name] = ibk.add(name)
            world.run_pod(name)
        world.change_nad("moved", objects.ib_config("0x8"))  # which it does not notice

        world.pod("lost", "ib")  # UFM was restored from a backup
        self.lost = ibk.add("lost")[0]
        world.run_pod("lost")
        world.ufm.forget("0x5", self.lost)

        self.leaked = set()  # what nobody owns
        for name, networks in (("deleted", "ib"), ("cut", "ib,storage")):
            world.pod(name, networks)
            guids = ibk.add(name)
            self.leaked |= set(zip((5, 6), guids))
            world.delete_pod(name)  # while it was down
        world.pod("crashed", "ib")  # between UFM and the annotation
        self.leaked.add((5, ibk.add("crashed", publish=False)[0]))

        world.pod("finished", "ib")
        self.leaked.add((5, ibk.add("finished")[0]))
        world.finish_pod("finished")

        world.pod("host", "ib", host_network=True)
        world.pod("default", default_network="%s/ib" % world.ns())  # which it does not read
        world.pod("legacy", [{"name": "ib", "cni-args": {"mellanox.infiniband.app": "configured"}}])
        for name in ("host", "default", "legacy"):
            if name != "legacy":
                ibk.add(name)
            world.run_pod(name)
        self.before = world.members()
        self.seats = {(pkey, guid) for pkey, guid in self.before if (pkey, guid) not in self.leaked}

    def annotations(self):
        return {name: self.world.get_pod(name)["metadata"]["annotations"] for name in self.running}

    def never_left(self):
        """No request to UFM ever removed a running pod from anywhere, nor joined it anew."""
        mine = {guid for guids in self.running.values() for guid in guids}
        for request in self.world.ufm.writes():
            if request["seq"] > self.seen:
                told = request["path"] + request.get("body", "")
                expect(not any(guid in told for guid in mine), "a running pod's membership is touched: %r" % request)

    def look(self):
        """From now on their members are watched."""
        log = self.world.ufm.requests()
        self.seen = log[-1]["seq"] if log else 0


def joined_since(site):
    """{pkey: how many}"""
    joined = [pkey for pkey, guid in site.world.members() if (pkey, guid) not in site.before]
    return {pkey: joined.count(pkey) for pkey in joined}


def versions(world):
    return {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in
            world.client.call("GET", "%s/namespaces/%s/pods" % (CORE, world.ns()))["items"]}


def takes_over(world, site, **more):
    """Starts the service as the page on going over says, and waits until it has nothing left to do."""
    before = site.annotations()
    site.look()
    daemon = world.start(**dict(ADOPT, **more))
    for name in ("crashed", "default", "legacy", "lost"):
        eventually("%s is recorded" % name, lambda: objects.RECORD in world.get_pod(name)["metadata"]["annotations"])
    for name in site.running:
        eventually("%s is recorded" % name, lambda: objects.RECORD in world.get_pod(name)["metadata"]["annotations"])
    for name, notes in site.annotations().items():
        del notes[objects.RECORD]
        expect_equal(notes, before[name], "what pod %s was given by ib-kubernetes" % name)
    return daemon


@scenario()
def what_is_foretold_is_what_happens(world):
    """The dry run's words against the deeds of the same program, started on the same site."""
    site = Site(world)
    run = foretold(world, **ADOPT)
    fates = run.fates()
    kept = {(name, i) for name, guids in site.running.items() for i in range(len(guids))} - {("mixed", 0)} | {("mixed", 1)}
    expect_equal({place for place, fate in fates.items() if fate == KEPT}, kept, "kept")
    expect_equal({place: fate for place, fate in fates.items() if place not in kept},
                 {("lost", 0): JOINED, ("crashed", 0): GIVEN, ("default", -1): GIVEN, ("legacy", 0): GIVEN}, "the others")
    expect_equal(run.orphans(), site.leaked, "orphans")
    expect_equal(run.joins(), {5: 4}, "joins")
    expect_equal((run.summary["removals"], run.summary["brake"]), (0, "unsettled"), "removals, brake")
    expect_equal((run.summary["patches"], run.summary["patchesOfRecordAlone"]), (10, 7), "patches")
    expect(run.warns("running pods that would be given a GUID: 2."), "of default and legacy: %r" % run)
    expect(run.warns("orphans that the brake holds", ": 5."), "of orphans: %r" % run)

    before = versions(world)
    daemon = takes_over(world, site, UFMSYNC_PKEY_POLICY="any")
    eventually("the leaked are known", lambda: daemon.metric("ufmsync_orphans") == len(site.leaked))
    expect_equal(joined_since(site), run.joins(), "joined")
    expect_equal(set(site.before) - set(world.members()), set(), "removed")
    eventually("the brake is not settled", lambda: daemon.metric("ufmsync_brake") == 1)
    patched = {name for name, version in versions(world).items() if version != before[name]}
    expect_equal(len(patched), run.summary["patches"], "patched pods")
    site.never_left()
    daemon.stop()
    expect_equal(foretold(world, code=0).summary["patches"], 0, "when it has been done there is nothing left to do")


@scenario()
def what_is_foretold_of_a_careless_start_happens_too(world):
    """Without adoption and without the brake: the dry run says who would be stripped of what, and it comes so."""
    site = Site(world)
    more = {"UFMSYNC_ORPHANS": "remove"}
    run = foretold(world, **more)
    expect_equal(run.joins(), {5: 4, 8: 1}, "the edited definition's pod is moved as soon as its GUID has rested")
    removed = {(int(s["pkey"], 16), objects.hex_guid(s["guid"])) for s in run.said["strays"] if s["removed"]}
    expect_equal(removed, site.leaked | {(7, site.running["edited"][0])}, "removed")
    expect_equal(run.summary["removals"], len(removed), repr(run))
    expect(run.warns("UFMSYNC_ORPHANS=remove") and run.warns("would not keep it: 1"), repr(run))
    world.start(**more)
    eventually("all that was named is gone", lambda: not removed & set(world.members()))
    eventually("all that was counted has joined", lambda: joined_since(site) == run.joins())
    expect_equal(set(site.before) - set(world.members()), removed, "nothing else is gone")
    reasons = {e["reason"]: e["objects"] for e in run.said["events"]}
    eventually("its Events are those", lambda: {reason: len({e["regarding"]["name"] for e in world.client.call(
        "GET", "/apis/events.k8s.io/v1/namespaces/%s/events" % world.ns())["items"] if e["reason"] == reason})
        for reason in reasons} == reasons)


@scenario()
def what_to_look_at_first_is_named(world):
    """Settings that do not fit the site, and who else writes there."""
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("open", objects.ib_config("0x6", gated=False))
    world.nad("far", objects.ib_config("0x700"))
    ibk = IbKubernetes(world, "0300000000000000")
    world.pod("outside", "ib")
    ibk.add("outside")
    world.pod("ungated", "open")
    world.pod("far", "far")
    world.pod("stranger", "%s/theirs" % world.ns("b"))
    world.nad("theirs", objects.ib_config("0x5"), "b")
    pod = objects.pod(world.ns("ufmsync"), "ib-kubernetes-7f")
    pod["spec"]["containers"][0]["image"] = "example.invalid/mellanox/ib-kubernetes:v1.2"
    world.client.call("POST", "%s/namespaces/%s/pods" % (CORE, world.ns("ufmsync")), pod)
    run = foretold(world, UFM_PKEY_RANGE="0x1-0xff", UFMSYNC_RECORD_KEY=None, GUID_POOL_RANGE_START=None,
                   GUID_POOL_RANGE_END=None, UFMSYNC_PKEY_POLICY="namespace", **ADOPT)
    for words in (("wait for GUIDOutOfRange: 1", "those of ib-kubernetes"), ("wait for BadPKey: 1", "UFM_PKEY_RANGE"),
                  ("wait for PKeyNotAllowed: 1", "UFMSYNC_PKEY_POLICY=any"), ("before they are members: 1", "ibKubernetesEnabled"),
                  ("ib-kubernetes runs", "%s/ib-kubernetes-7f" % world.ns("ufmsync")), ("UFMSYNC_RECORD_KEY is not set",),
                  ("GUID_POOL_RANGE_START and GUID_POOL_RANGE_END are not both set",)):
        expect(run.warns(*words), "%r in %r" % (words, run))


@scenario()
def without_adoption_it_says_whom_adoption_would_keep(world):
    """A definition that was edited under its pods is where annotation and definition differ."""
    site = Site(world)
    run = foretold(world)
    expect_equal(run.of("edited")[0]["fate"], WAITS, repr(run))
    expect_equal((run.of("edited")[0]["reason"], run.summary["stripped"]), ("GUIDTaken", 1), "why")
    expect(run.warns("would not keep it: 1, of which UFMSYNC_ADOPT=annotation would keep 1.", "Confirm no orphans"), repr(run))
    stray = [s for s in run.said["strays"] if s["pod"]]
    expect_equal([(s["pod"], objects.hex_guid(s["guid"])) for s in stray],
                 [(world.ns() + "/edited", site.running["edited"][0])], "an orphan that a pod carries")
    table = DryRun(world, form="table")
    expect_equal(table.code, 4, repr(table))
    for words in ("nothing was changed", "get none: GUIDTaken", "carried by pod %s/edited" % world.ns()):
        expect(words in table.out, "%r in %r" % (words, table))


@scenario()
def a_year_of_ib_kubernetes_is_taken_over(world):
    """Nobody loses a membership at any moment; what was leaked is held by the brake, and goes when an operator has looked; the
    next start needs no adoption."""
    site = Site(world)
    daemon = takes_over(world, site)
    always("the brake holds what was leaked", lambda: site.leaked <= set(world.members()), 2.5)
    world.annotate_lease("confirm")
    eventually("what was leaked is gone", lambda: not site.leaked & set(world.members()))
    expect(site.seats <= set(world.members()), "and nothing else is")
    daemon.stop()
    members, before = world.members(), versions(world)
    daemon = world.start()
    always("the next start changes nothing", lambda: world.members() == members, 2)
    expect_equal(versions(world), before, "pods")
    site.never_left()
    eventually("orphans", lambda: daemon.metric("ufmsync_orphans") == 0)
    world.delete_pod("two")  # what was taken over is given back as everything else
    for guid in site.running["two"]:
        world.gone_from_ufm(guid)


@scenario()
def what_runs_twice_by_mistake_strips_nobody(world):
    """ib-kubernetes was not stopped: it goes on with its own pods, and restarts, while the service has taken over."""
    site = Site(world)
    daemon = takes_over(world, site)
    ibk = site.ib_kubernetes
    for i in range(3):
        ibk.join("0x5", [ibk.generate()])  # of pods that it saw first
    ibk.restart()
    world.pod("new", "ib")
    guid = world.guid("new")
    expect_equal(ibk.add("new"), [], "it skips what is configured")
    stale = world.pod("raced", "ib")
    ours = world.guid("raced")
    theirs, = ibk.add("raced", pod=stale)  # it saw it before, and overwrites what the service has published
    eventually("the pod says again what was decided", lambda: objects.hex_guid(objects.guid_of(world.get_pod("raced"))) == ours)
    always("nobody who runs loses anything", lambda: site.seats | {(5, guid), (5, ours), (5, theirs)} <= set(world.members()), 2.5)
    site.never_left()
    eventually("what belongs to no pod stays until somebody has looked", lambda: daemon.metric("ufmsync_brake") == 1)
    ibk.delete("one")  # both take it back
    world.gone_from_ufm(site.running["one"][0])


@scenario()
def ib_kubernetes_finds_what_it_needs_when_it_comes_back(world):
    """Going back: annotations are its own form, the record is one more annotation that it carries along."""
    site = Site(world)
    daemon = takes_over(world, site)
    world.pod("ours", "ib@net1,storage")
    ours = [objects.hex_guid(objects.guid_of(world.published("ours"), i)) for i in range(2)]
    element = objects.networks_of(world.get_pod("ours"))[1]
    expect_equal(element, {"name": "storage", "namespace": world.ns(), "infiniband-guid": colons(ours[1]), "cni-args": {
        "guid": colons(ours[1]), "mellanox.infiniband.app": "configured", "pkey": "0x6"}}, "as it writes it")
    daemon.stop()
    members, before = world.members(), versions(world)

    ibk = site.ib_kubernetes
    ibk.restart()  # it reads all pods, and does not stumble
    expect({int(guid, 16) for guid in ours} <= ibk.used, "it knows our GUIDs as used")
    for name in list(site.running) + ["ours", "lost", "crashed"]:
        expect_equal(ibk.add(name), [], "pod %s is configured" % name)
    expect_equal((world.members(), {n: v for n, v in versions(world).items() if n not in site.running}.keys()),
                 (members, {n: v for n, v in before.items() if n not in site.running}.keys()), "nothing has moved")
    expect(objects.RECORD in world.get_pod("ours")["metadata"]["annotations"], "the record came through its patch")
    world.pod("after", "ib")
    fresh = ibk.add("after")[0]
    expect(fresh not in {guid for _, guid in members}, "a free one is given")
    ibk.delete("ours")
    expect_equal({key for key in members if key not in world.members()}, {(5, ours[0]), (6, ours[1])}, "it found both")

    daemon = world.start(**ADOPT)  # and once more forth
    eventually("both kinds are recorded", lambda: objects.RECORD in world.get_pod("after")["metadata"]["annotations"])
    expect_equal(world.guid("after"), fresh, "what it gave meanwhile is kept")
    site.never_left()


@scenario()
def one_guid_given_twice_is_kept_by_the_one_that_is_a_member(world):
    """A restart of ib-kubernetes where networks have no PKey begins its pool anew."""
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("nokey", objects.ib_config())
    ibk = IbKubernetes(world)
    world.pod("z-first", "ib")
    guid = ibk.add("z-first")[0]
    world.run_pod("z-first")
    ibk.restart(forgetting=True)
    world.pod("a-second", "nokey")
    expect_equal(ibk.add("a-second"), [guid], "given twice")
    world.run_pod("a-second")
    run = foretold(world, **ADOPT)
    expect_equal(len(run.said["carriedTwice"]), 1, repr(run))
    expect(run.warns(colons(guid), "a-second", "z-first"), repr(run))
    expect_equal((run.of("z-first")[0]["fate"], run.of("a-second")[0]["fate"]), (KEPT, WAITS), repr(run))
    log = world.ufm.requests()[-1]["seq"]
    world.start(**ADOPT)
    world.event("a-second", "GUIDTaken")
    eventually("the member is recorded", lambda: objects.RECORD in world.get_pod("z-first")["metadata"]["annotations"])
    expect_equal([r for r in world.ufm.writes() if r["seq"] > log], [], "writes to UFM")


# --- it changes nothing ---------------------------------------------------------------------------------------------------

def leases(world):
    return world.client.call("GET", "%s/namespaces/%s/leases" % (LEASES, world.ns("ufmsync")))["items"]


def everything(world):
    """Of pods, Events and Leases, as the API server has it; and UFM's members."""
    namespace = world.ns()
    return [world.client.call("GET", path)["items"] for path in (
        "%s/namespaces/%s/pods" % (CORE, namespace), "/apis/events.k8s.io/v1/namespaces/%s/events" % namespace,
        "%s/namespaces/%s/leases" % (LEASES, world.ns("ufmsync")))] + [world.members()]


@scenario("mock")
def dry_run_sends_nothing_but_get(world):
    """By the logs of both servers, though there is much to do."""
    Site(world)
    before = everything(world)
    seen = world.ufm.requests()[-1]["seq"]
    world.kube.control.call("DELETE", "/control/log")
    for more in (ADOPT, {}, {"UFMSYNC_ORPHANS": "remove", "UFMSYNC_LISTEN": "127.0.0.1:1"}):
        foretold(world, **more)
    methods = {r["method"] for r in world.ufm.requests() if r["seq"] > seen}
    expect_equal(methods, {"GET"}, "to UFM")
    sent = [r for r in world.kube.control.call("GET", "/control/log")["requests"]]
    expect_equal({r["method"] for r in sent}, {"GET"}, "to the API server")
    expect(not any("watch=" in r["path"] for r in sent), "no watch is begun")
    expect_equal(everything(world), before, "nothing has changed")


@scenario()
def dry_run_beside_a_leader_disturbs_nobody(world):
    """It takes no Lease, opens no port, and says what a restart would do: nothing."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    for i in range(5):
        world.pod("p%d" % i, "ib")
    guids = [world.guid("p%d" % i) for i in range(5)]
    eventually("settled", lambda: world.lease()["metadata"]["annotations"]["ufmsync.io/settled"])
    holder = world.lease()["spec"]["holderIdentity"]
    run = foretold(world, code=0, UFMSYNC_HEALTH_LISTEN="127.0.0.1:%d" % daemon.health, POD_UID="uid-2")
    expect_equal(run.summary["fates"]["kept"], 5, repr(run))
    expect(run.warns("a service runs already", holder), repr(run))
    expect_equal((world.lease()["spec"]["holderIdentity"], set(world.members(5))), (holder, set(guids)), "all is as it was")


@scenario()
def dry_run_says_why_it_cannot_tell(world):
    world.start_ufm()
    world.nad("ib", objects.ib_config("0x5"))
    for code, words, more in ((1, "fabric manager", {"UFM_PASSWORD": "wrong"}),
                              (1, "fabric manager", {"UFM_PORT": 1}),
                              (2, "UFMSYNC_GATE", {"UFMSYNC_GATE": "later"}),
                              (2, "kubeconfig", {"KUBECONFIG": os.path.join(world.folder, "none/kubeconfig")})):
        run = DryRun(world, **more)
        expect_equal((run.code, run.out), (code, ""), repr(run))
        expect(words in run.err, "%r in %r" % (words, run))
    expect_equal(leases(world), [], "Leases")


@scenario()
def dry_run_reads_the_partition_file_of_opensm(world):
    """And writes nothing beside it either."""
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()  # unused: settings() names it
    world.pod("p", "ib")
    folder = os.path.join(world.folder, "opensm")
    os.makedirs(folder)
    path = os.path.join(folder, "partitions.conf")
    with open(path, "w") as f:
        f.write("Default=0x7fff,ipoib : ALL=limited, SELF=full ;\n# BEGIN ufmsync\n# END ufmsync\n")
    before = os.stat(path)
    run = foretold(world, DAEMON_SM_PLUGIN="opensm", OPENSM_PARTITIONS_FILE=path, OPENSM_VERIFY="none",
                   OPENSM_RELOAD="command:/bin/false", UFM_TIMEOUT=None, **{name: None for name in (
                       "UFM_ADDRESS", "UFM_PORT", "UFM_USERNAME", "UFM_PASSWORD", "UFM_CERTIFICATE")})
    expect_equal((run.joins(), run.fates()), ({5: 1}, {("p", 0): GIVEN}), repr(run))
    after = os.stat(path)
    expect_equal((after.st_ino, after.st_mtime_ns, os.listdir(folder)), (before.st_ino, before.st_mtime_ns, ["partitions.conf"]),
                 "the file")
