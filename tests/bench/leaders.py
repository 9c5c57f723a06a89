"""Rows of tests/bench/run: how long nobody writes when the leader is lost."""
import signal

from measure import median
from relay import Relay
from scenarios.leader import DEFAULT, SECOND, SHORT, Pair

ROWS = []


def row(function):
    ROWS.append(function)
    return function


def kill(pair, relay):
    pair.replicas[0].kill()


def stop(pair, relay):
    pair.replicas[0].stop()


def stand_still(pair, relay):
    pair.replicas[0].process.child.send_signal(signal.SIGSTOP)


def cut_off(pair, relay):
    relay.hold()


def lose(bench, settings, how):
    """Seconds from then until the other replica's first write."""
    world = bench.world()
    world.start_ufm()
    relay = Relay(world.kube.port) if how is cut_off else None
    if relay:
        world.others.append(relay)
    pair = Pair(world, settings, leader={"KUBECONFIG": world.rights.kubeconfig(relay.https)} if relay else None)
    pair.half_of_the_burst()
    pair.the_leader_is_lost()
    how(pair, relay)
    pair.pods()
    took = pair.first_write_after(pair.lost_at, SECOND) - pair.lost_at
    pair.writers()
    if how is stand_still:
        pair.replicas[0].process.child.send_signal(signal.SIGCONT)
    return took


@row
def leaders(bench):
    """The leader is lost in the middle of a burst"""
    settings = SHORT if bench.quick else DEFAULT
    promised = 9 if bench.quick else 27
    for how, name, times, within in ((kill, "killed", 3, promised), (stand_still, "stopped (SIGSTOP)", 2, promised),
                                     (cut_off, "cut off from the API server, packets lost", 2, promised),
                                     (stop, "told to stop (SIGTERM)", 5, 2)):
        took = sorted(lose(bench, settings, how) for _ in range(1 if bench.quick else times))
        bench.report("the leader %s in a burst, %s" % (name, "short times" if bench.quick else "default times"),
                     "the next one writes after %.2f s median, %.2f s at most of %d" % (median(took), took[-1], len(took)),
                     "lease + UFM_TIMEOUT + 2 s = %d s" % within if within == promised else "2 s")
