"""The API server goes, comes back, forgets its history, and lets us in in several ways."""
import os
import signal

import objects
from scenario import expect, expect_equal, scenario
from servers import always, client_of_kubeconfig, eventually, kubeconfig

PATIENT = {"UFMSYNC_LEASE_DURATION": "300s", "UFMSYNC_LEASE_RENEW_DEADLINE": "200s"}  # outlives a restart


def burst(world, names, network="ib"):
    for name in names:
        world.pod(name, network)


def end_as_wanted(world, names):
    """Exactly these pods are members, each with a GUID of its own."""
    guids = {world.guid(name, timeout=60) for name in names}
    expect_equal(len(guids), len(names), "different GUIDs")
    eventually("exactly the pods are members", lambda: set(world.members(5)) == guids, 30)
    expect_equal(world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")
    return guids


@scenario()
def restart_of_the_api_server_during_a_burst_loses_nothing(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PATIENT)
    world.pod("leaves", "ib")
    leaves = world.guid("leaves")
    world.ufm.latency(write_ms=300)
    names = ["p%02d" % i for i in range(60)]
    burst(world, names)
    world.delete_pod("leaves")
    eventually("UFM is busy with it", lambda: world.ufm.requests(operation="add"))
    world.kube.down()
    eventually("it is missed", lambda: daemon.said("KUBE_UNREACHABLE"))
    expect_equal(daemon.get("/healthz")[0], 200, "an outage is no reason to restart us")
    world.kube.up()
    end_as_wanted(world, names)
    world.gone_from_ufm(leaves)
    expect_equal(daemon.said("LEADER_LOST"), [], "shorter than the Lease")
    expect(daemon.process.alive(), "the process lives")


@scenario()
def outage_longer_than_the_lease_loses_nothing(world):
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    names = ["p%d" % i for i in range(10)]
    burst(world, names)
    before = {name: world.guid(name) for name in names}
    world.kube.down()
    eventually("it stops leading", lambda: daemon.said("LEADER_LOST"))
    writes = len(world.ufm.writes())
    world.ufm.forget("0x5", before["p0"])
    always("nothing is written while nobody leads", lambda: len(world.ufm.writes()) == writes, 1.5)
    world.kube.up()
    world.pod("later", "ib")
    end_as_wanted(world, names + ["later"])
    expect_equal({name: world.guid(name) for name in names}, before, "GUIDs of the pods that were there")


@scenario()
def history_forgotten_while_we_stood_still_is_listed_anew(world):
    """The API server restarts twice while we stand still.  The first time it cuts our watches, the second time it
    forgets what happened in between: resuming is answered with 410, and only a list tells."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start(**PATIENT)
    for name in ("stays", "leaves"):
        world.pod(name, "ib")
    stays, leaves = world.guid("stays"), world.guid("leaves")
    daemon.process.child.send_signal(signal.SIGSTOP)
    try:
        world.kube.down()
        world.kube.up()
        world.delete_pod("leaves")
        world.pod("comes", "ib")
        world.nad("new", objects.ib_config("0x6"))
        world.pod("other", "new")
        world.kube.down()
        world.kube.up()
    finally:
        daemon.process.child.send_signal(signal.SIGCONT)
    world.gone_from_ufm(leaves)
    comes, other = world.guid("comes"), world.guid("other")
    expect_equal(set(world.members()), {(5, stays), (5, comes), (6, other)}, "members")


@scenario()
def api_server_away_at_the_start_is_waited_for(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.pod("p", "ib")
    settings = world.settings()
    world.kube.down()
    try:
        daemon = world.start(wait=False, **settings)
        eventually("it is missed", lambda: daemon.said("KUBE_UNREACHABLE"))
        expect_equal(daemon.get("/readyz")[0], 503, "not ready")
    finally:
        world.kube.up()
    world.guid("p", timeout=60)
    expect_equal(daemon.get("/readyz")[0], 200, "ready")


@scenario()
def client_certificate_of_the_kubeconfig(world):
    """With files, and with the same in base64; without it nobody is let in."""
    kube = world.kube
    world.nad("ib", objects.ib_config("0x5"))
    for name, user in (("files", kube.certificate_user()), ("data", kube.certificate_user(inline=True))):
        path = os.path.join(world.folder, "kubeconfig." + name)
        with open(path, "w") as f:
            f.write(kubeconfig(kube.port, kube.ca, user))
        daemon = world.start(KUBECONFIG=path)
        world.pod(name, "ib")
        world.guid(name)
        daemon.stop()
    with open(path, "w") as f:
        f.write(kubeconfig(kube.port, kube.ca, "token: wrong"))
    daemon = world.start(wait=False, KUBECONFIG=path)
    eventually("it is refused", lambda: daemon.said("KUBE_FORBIDDEN"))


@scenario()
def impostor_of_the_api_server_gets_no_token(world):
    """Another CA in the kubeconfig: the server is not spoken to."""
    from servers import make_ca
    world.start_ufm()
    make_ca(lambda name: os.path.join(world.folder, name))
    path = os.path.join(world.folder, "kubeconfig.other-ca")
    with open(path, "w") as f:
        f.write(kubeconfig(world.kube.port, os.path.join(world.folder, "ca.crt"), "token: " + world.kube.TOKEN))
    daemon = world.start(wait=False, KUBECONFIG=path)
    eventually("it is refused", lambda: any("certificate" in line["message"] for line in
                                            daemon.said("KUBE_UNREACHABLE") + daemon.said("KUBE_FORBIDDEN")))
    expect_equal(daemon.get("/readyz")[0], 503, "not ready")
