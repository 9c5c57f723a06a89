"""UFM and the API server misbehave; nothing is lost and nobody else waits."""
import objects
from scenario import expect, expect_equal, scenario
from servers import always, eventually


def start(world, **more):
    world.nad("ib", objects.ib_config("0x5"))
    world.nad("other", objects.ib_config("0x6"))
    return world.start(**more)


def survives(world, action, times, match=None, **more):
    """Pods created while UFM misbehaves are all members when it has healed; pods deleted meanwhile are gone."""
    daemon = start(world)
    world.pod("old", "ib")
    old = world.guid("old")
    world.ufm.fault(action, times=times, match=match or {"operation": "write"}, **more)
    names = ["p%d" % i for i in range(5)]
    for name in names:
        world.pod(name, "ib")
    world.delete_pod("old")
    if not times:
        always("nothing is published that is not a member", lambda: all(
            world.is_untouched(n) or world.guid(n) in world.members(5) for n in names), 1.5)
        world.ufm.heal()
    guids = {world.guid(name, timeout=40) for name in names}
    world.gone_from_ufm(old, timeout=40)
    eventually("exactly the pods are members", lambda: set(world.members(5)) == guids, 20)
    expect(daemon.process.alive(), "the process lives")
    expect_equal(len(guids), 5, "different GUIDs")
    return daemon


@scenario()
def ufm_answers_503_for_a_while(world):
    survives(world, "html", 0, code=503, match={"operation": "any"})


@scenario()
def ufm_hangs(world):
    survives(world, "hang", 2)


@scenario()
def ufm_resets_after_it_applied(world):
    survives(world, "reset_after_apply", 3)


@scenario()
def ufm_resets_before_it_applied(world):
    survives(world, "reset_before", 3)


@scenario()
def ufm_refuses_our_password_for_a_while(world):
    daemon = survives(world, "unauthorized", 0, match={"operation": "any"})
    expect(daemon.said("FABRIC_LOGIN_REFUSED"), "told apart from an outage")


@scenario()
def ufm_answers_html_with_404(world):
    survives(world, "html", 0, code=404, match={"operation": "any"})


@scenario()
def ufm_answers_html_with_200_to_reads(world):
    survives(world, "status", 4, code=200, body="<html><body>login</body></html>", content_type="text/html",
             match={"operation": "read"})


@scenario()
def ufm_cuts_its_lists(world):
    survives(world, "cut_json", 4, match={"operation": "read"})


@scenario()
def ufm_accepts_and_forgets(world):
    survives(world, "forget", 2)


@scenario()
def ufm_applies_late(world):
    survives(world, "apply_late", 3, delay_ms=400)


@scenario()
def ufm_applies_after_our_timeout(world):
    survives(world, "late_after_timeout", 2, delay_ms=1300)


@scenario()
def database_is_locked(world):
    survives(world, "status", 3, code=500, body="database is locked")


@scenario()
def other_pkeys_go_on_while_one_is_refused(world):
    start(world)
    world.ufm.fault("status", match={"operation": "add", "pkey": "0x5"}, code=400, body="bad pkey")
    world.pod("refused", "ib")
    world.event("refused", "FabricRefused")
    for i in range(5):
        world.pod("p%d" % i, "other")
    for i in range(5):
        world.guid("p%d" % i, timeout=5)
    expect(world.is_untouched("refused"), "not published")
    world.ufm.heal()
    world.guid("refused", timeout=90)


@scenario()
def other_pkeys_go_on_while_one_answers_503(world):
    start(world)
    world.ufm.fault("status", match={"operation": "add", "pkey": "0x5"}, code=503, body="busy")
    world.pod("stuck", "ib")
    for i in range(5):
        world.pod("p%d" % i, "other")
        world.guid("p%d" % i, timeout=5)
    world.ufm.heal()
    world.guid("stuck", timeout=60)


@scenario()
def other_pkeys_go_on_while_one_hangs(world):
    start(world)
    world.ufm.fault("hang", match={"operation": "add", "pkey": "0x5"})
    world.pod("stuck", "ib")
    for i in range(3):
        world.pod("p%d" % i, "other")
        world.guid("p%d" % i, timeout=10)
    expect(world.is_untouched("stuck"), "not published")
    world.ufm.heal()
    world.guid("stuck", timeout=60)


@scenario()
def ufm_that_quotes_our_credentials_is_not_quoted(world):
    import base64
    daemon = start(world)
    basic = base64.b64encode(("%s:%s" % (world.ufm.USER, world.ufm.PASSWORD)).encode()).decode()
    world.ufm.fault("status", match={"operation": "add"}, code=400,
                    body="bad request by admin: Authorization: Basic %s (%s)" % (basic, world.ufm.PASSWORD))
    world.pod("p", "ib")
    event = world.event("p", "FabricRefused")
    expect("400" in event["note"] and "withheld" in event["note"], "the note says so: " + event["note"])
    for secret in (basic, world.ufm.PASSWORD):
        expect(secret not in event["note"] + daemon.process.output(), "the credentials are shown")
    world.ufm.heal()


@scenario()
def one_bad_guid_does_not_hold_up_its_batch(world):
    start(world)
    bad = "02:00:00:00:00:00:ba:ad"
    world.ufm.latency(write_ms=600)
    world.ufm.fault("status", match={"operation": "add", "guid": objects.hex_guid(bad)}, code=400, body="bad GUID")
    world.pod("first", "ib")
    eventually("the first write is under way", lambda: world.ufm.requests(operation="add"))
    world.pod("bad", [{"name": "ib", "cni-args": {"guid": bad}}])
    for i in range(6):
        world.pod("p%d" % i, "ib")
    guids = {world.guid("p%d" % i) for i in range(6)} | {world.guid("first")}
    world.event("bad", "FabricRefused")
    expect_equal(set(world.members(5)), guids, "members")
    refused = [r for r in world.ufm.writes() if r["status"] == 400]
    expect(any(r["guids"] > 1 for r in refused), "the bad GUID went out in one request with others: %r" % refused)
    expect(world.is_untouched("bad"), "the bad one is not published")


@scenario()
def fabric_that_knows_no_unborn_guid_is_recognised(world):
    start(world)
    world.ufm.control.call("POST", "/control/switches", {"unknown_guid": "reject"})
    world.pod("p", "ib")
    event = world.event("p", "FabricRefused", timeout=20)
    expect("UFMSYNC_GATE=assigned" in event["note"], "the note names the setting: " + event["note"])
    expect(world.is_untouched("p"), "not published")


@scenario()
def gate_assigned_publishes_before_the_membership(world):
    start(world, UFMSYNC_GATE="assigned")
    world.ufm.control.call("POST", "/control/switches", {"unknown_guid": "reject"})
    world.pod("p", "ib")
    guid = world.guid("p")
    expect_equal(world.members(5), {}, "not a member yet")
    world.ufm.control.call("POST", "/control/switches", {"unknown_guid": "accept"})
    eventually("it is joined once UFM takes it", lambda: guid in world.members(5), 60)


@scenario()
def member_that_ufm_lost_is_put_back(world):
    start(world)
    world.pod("p", "ib")
    world.pod("q", "other")
    p, q = world.guid("p"), world.guid("q")
    world.ufm.forget("0x5", p)
    eventually("it is put back", lambda: p in world.members(5))
    world.ufm.control.call("PUT", "/control/state", {"partitions": []})
    eventually("all are put back", lambda: set(world.members()) == {(5, p), (6, q)})


@scenario()
def never_two_writes_at_once(world):
    start(world)
    world.ufm.latency(write_ms=50)
    for i in range(20):
        world.pod("p%d" % i, "ib")
        world.pod("q%d" % i, "other")
    guids = {world.guid("p%d" % i) for i in range(20)} | {world.guid("q%d" % i) for i in range(20)}
    for i in range(20):
        world.delete_pod("p%d" % i)
    eventually("they left", lambda: len(world.members(5)) == 0, 20)
    expect_equal(len(guids), 40, "different GUIDs")
    expect_equal(world.ufm.stats()["overlapping_writes"], 0, "overlapping writes")
    expect_equal(world.ufm.stats()["index0_violations"], 0, "two index-0 PKeys for a GUID")


@scenario()
def version_switches_of_ufm_make_no_difference(world):
    world.nad("ib", objects.ib_config("0x5"))
    world.start_ufm()
    world.ufm.control.call("POST", "/control/switches", {"missing_pkey": "empty", "post_status": 201, "post_body": "empty"})
    world.start()
    world.pod("p", "ib")
    guid = world.guid("p")
    world.delete_pod("p")
    world.gone_from_ufm(guid)


@scenario("mock")
def watches_that_break_lose_nothing(world):
    start(world)
    control = world.kube.control
    world.pod("p0", "ib")
    world.guid("p0")
    control.call("POST", "/control/watches/drop", {})
    world.pod("p1", "ib")
    world.guid("p1")
    control.call("POST", "/control/history/expire", {})
    control.call("POST", "/control/watches/drop", {})
    world.pod("p2", "ib")
    gone = world.guid("p1")
    world.delete_pod("p1")
    world.guid("p2")
    world.gone_from_ufm(gone)


@scenario("mock")
def patches_that_fail_are_done_again(world):
    start(world)
    for action in ("reset_after_apply", "status"):
        world.kube.control.call("POST", "/control/faults", {
            "match": {"method": "PATCH", "resource": "pods"}, "times": 2, "action": action, "code": 500})
        world.pod("p-" + action.replace("_", "-"), "ib")
        guid = world.guid("p-" + action.replace("_", "-"))
        expect(guid in world.members(5), "a member")


@scenario("mock")
def slow_patches_do_not_cost_the_lease(world):
    """As many as may be under way take longer than the Lease lasts; its renewal must not wait behind them."""
    daemon = start(world)
    world.kube.control.call("POST", "/control/faults", {
        "match": {"method": "PATCH", "resource": "pods"}, "times": 100, "action": "latency", "delay_ms": 4000})
    names = ["p%d" % i for i in range(80)]
    for name in names:
        world.pod(name, "ib")
    guids = {world.guid(name, timeout=40) for name in names}
    expect_equal(set(world.members(5)), guids, "members")
    expect(not daemon.said("LEADER_LOST"), "the Lease was renewed all the time")


@scenario("mock")
def patch_under_way_ends_before_a_clean_release(world):
    daemon = start(world)
    world.kube.control.call("POST", "/control/faults", {
        "match": {"method": "PATCH", "resource": "pods"}, "times": 1, "action": "latency", "delay_ms": 700})
    world.pod("p", "ib")
    eventually("joined, the patch is under way", lambda: daemon.metric('ufmsync_attachments{state="member"}') == 1)
    daemon.stop()
    expect(world.guid("p", timeout=0.1) in world.members(5), "published by the one that stopped")
