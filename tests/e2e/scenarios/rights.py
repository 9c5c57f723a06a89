"""Each right of deploy/base is needed: where one is missing the log names it, the metrics count it, `doctor` says it."""
import objects
from ask import Ask, question
from scenario import expect, expect_equal, long, scenario
from scenarios.ctl_doctor import doctor
from servers import eventually
from tool import direct

NADS = ("k8s.cni.cncf.io", "network-attachment-definitions")


def words_of(right):
    """As the API server says it."""
    group, resource, verb, _ = right
    return 'cannot %s resource "%s" in API group "%s"' % (verb, resource, group)


def is_named(daemon, words, message_id="KUBE_FORBIDDEN", timeout=30):
    """The log says what is missing.  In the API server's words where we ask again and again; else in our own, since now and
    then that server cuts off what it says (--goaway-chance)."""
    eventually("the log has %s: %s" % (message_id, words),
               lambda: [line for line in daemon.said(message_id) if words in line["message"]], timeout)


def is_counted(daemon, metric):
    eventually("%s is counted" % metric, lambda: daemon.metric(metric) > 0)


def call(operation):
    return 'ufmsync_kube_request_duration_seconds_count{operation="%s",outcome="forbidden"}' % operation


def watch(resource):
    return 'ufmsync_watch_ends_total{resource="%s",outcome="forbidden"}' % resource


def doctor_names(world, right):
    lines = doctor(world, direct(world)).of("rights of the service")
    expect(any(state != "ok" and "%s %s" % (right[2], right[1]) in text for state, text in lines), "%r: %r" % (right, lines))


# --- those that the service needs to begin: it starts without one ---

LEASE = ("coordination.k8s.io", "leases")
AT_THE_START = {
    ("", "pods", "list", None): call("list"),
    ("", "pods", "watch", None): watch("pods"),
    ("", "namespaces", "list", None): call("list"),
    ("", "namespaces", "watch", None): watch("namespaces"),
    (*NADS, "list", None): call("list"),
    (*NADS, "watch", None): watch("networks"),
    (*LEASE, "create", None): call("write_lease"),
    (*LEASE, "get", "ufmsync-leader"): call("read_lease"),
    (*LEASE, "update", "ufmsync-leader"): call("write_lease"),
}


@scenario("real")
def each_right_that_a_start_needs(world):
    """The right to create comes first: later the Lease is there."""
    for right in sorted(AT_THE_START, key=lambda right: right[:3] != (*LEASE, "create")):
        world.rights.put(without=right)
        daemon = world.start(wait=False)
        is_named(daemon, words_of(right))
        is_counted(daemon, AT_THE_START[right])
        doctor_names(world, right)
        if right[2] == "list":
            expect_equal(daemon.get("/readyz")[0], 503, "whoever does not see everything is not ready")
        world.rights.put()
        daemon.wait_listed()
        daemon.stop()


# --- those that it needs later: taken away while it works, and given back ---

def a_pod_waits(world, daemon):
    world.pod("waits", "ib")


def a_pod_is_told(world, daemon):
    world.pod("told", "bad")


def a_plugin_asks(world, daemon):
    """Each time with another token: answers about one are kept for a minute."""
    code, _, answer = Ask(world, daemon, question(world, "asks"), world.access.token("node1")).answer()
    expect_equal((code, answer["error"]["code"]), (503, "Unavailable"), "%r" % answer)


PATCH, GET = ("", "pods", "patch", None), ("", "pods", "get", None)
EVENT, REPEATED = (("events.k8s.io", "events", verb, None) for verb in ("create", "patch"))
EVENTS = "events of events.k8s.io"
ACCESS = "the service's own account lacks the right to "
LATER = {
    PATCH: (a_pod_waits, call("patch_pod"), words_of(PATCH), "KUBE_FORBIDDEN"),
    EVENT: (a_pod_is_told, call("write_event"), EVENTS, "KUBE_FORBIDDEN"),
    ("authentication.k8s.io", "tokenreviews", "create", None): (
        a_plugin_asks, call("review"), ACCESS + "create tokenreviews.authentication.k8s.io", "ATTACH_UNAVAILABLE"),
    ("authorization.k8s.io", "subjectaccessreviews", "create", None): (
        a_plugin_asks, call("review"), ACCESS + "create subjectaccessreviews.authorization.k8s.io", "ATTACH_UNAVAILABLE"),
    GET: (a_plugin_asks, call("get_pod"), ACCESS + "get pods", "ATTACH_UNAVAILABLE"),
}


@scenario("real")
def each_right_that_the_work_needs(world):
    world.nad("ib", objects.plugin_config("0x5"))
    world.nad("bad", objects.plugin_config("5x", name="bad"))
    daemon = world.serve()
    world.pod("asks", "ib")
    world.guid("asks")
    for right, (use, metric, words, message_id) in LATER.items():
        world.rights.put(without=right)
        use(world, daemon)
        is_named(daemon, words, message_id)
        is_counted(daemon, metric)
        doctor_names(world, right)
    world.rights.put()
    world.guid("waits", timeout=60)
    world.pod("told-again", "bad")
    world.event("told-again", "BadPKey", timeout=60)
    code, _, answer = Ask(world, daemon, question(world, "asks"), world.access.token("node1")).answer()
    expect_equal((code, objects.hex_guid(answer["guid"])), (200, world.guid("asks")), "%r" % answer)


# --- the one that it needs a minute later ---

@long
@scenario("real")
def the_right_to_say_an_event_again(world):
    """What is said again is written on the first Event, a minute later at the earliest."""
    daemon = world.start()
    world.pod("p", "comes-and-goes")
    world.event("p", "NetworkNotFound")
    world.nad("comes-and-goes", objects.ib_config("5x"))
    world.event("p", "BadPKey")
    world.rights.put(without=REPEATED)
    world.delete_nad("comes-and-goes")
    is_named(daemon, EVENTS, timeout=100)
    is_counted(daemon, call("write_event"))
    doctor_names(world, REPEATED)


@scenario("real")
def there_is_no_other_right(world):
    """One that is given and needed by nothing, or is needed and proven by nothing, stands here."""
    expect_equal(world.rights.all(), sorted(list(AT_THE_START) + list(LATER) + [REPEATED], key=str), "rights of deploy/base")
