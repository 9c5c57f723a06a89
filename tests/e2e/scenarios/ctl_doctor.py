"""ufmsyncctl doctor: each thing that is not in order is a line that says what to do."""
import json

import objects
from scenario import expect, expect_equal, scenario
from tool import direct


class Lines:
    def __init__(self, result):
        self.result = result
        self.items = json.loads(result.out)["items"]

    def of(self, check):
        return [(item["state"], item["text"]) for item in self.items if item["check"] == check]

    def expect(self, check, state, text=""):
        expect(any(state == s and text in t for s, t in self.of(check)), "%s: %s ... %s ...: %r" % (
            check, state, text, self.of(check) or self.items))


def doctor(world, tool):
    return Lines(tool.run("doctor", "-o", "json", "--service-namespace", world.ns("ufmsync")))


def served(world):
    """A service was there, and is no more."""
    world.nad("ib", objects.ib_config("0x5"))
    daemon = world.start()
    world.pod("p", "ib")
    world.guid("p")
    daemon.stop()


@scenario()
def doctor_looks_at_settings_and_fabric_without_the_service(world):
    served(world)
    lines = doctor(world, direct(world))
    expect_equal(lines.result.code, 4, "the service is down")
    lines.expect("settings", "ok")
    lines.expect("UFM_CERTIFICATE", "ok", "valid until 20")
    lines.expect("record key", "warning", "openssl rand -base64 32")
    lines.expect("UFM", "ok", "answers and lets us in, version 6.")
    lines.expect("default partition", "ok", "limited")
    lines.expect("enforcement", "ok", "enforces")
    lines.expect("API server", "ok", "answers, version v")
    lines.expect("networks", "ok", "InfiniBand")
    lines.expect("Lease", "failure", "nobody leads")
    lines.expect("service", "failure")
    lines.expect("PKeys a node", "ok", "of 128")
    lines.expect("https certificate", "warning", "no Secret ufmsync-tls")


@scenario()
def doctor_names_what_people_wrote_wrong(world):
    served(world)
    world.nad("zero", objects.ib_config("0x0"))
    world.nad("broken", "{")
    world.nad("early", {"cniVersion": "0.3.1", "name": "early", "type": "ib-sriov", "pkey": "0x6"})
    world.ns("odd", {"ufmsync.io/pkeys": "0x5-"})
    lines = doctor(world, direct(world))
    lines.expect("networks", "failure", "%s/zero (0x0)" % world.ns("a"))
    lines.expect("networks", "warning", "%s/broken (" % world.ns("a"))
    lines.expect("networks", "warning", "%s/early" % world.ns("a"))
    lines.expect("namespaces", "failure", "%s (0x5-)" % world.ns("odd"))
    table = direct(world).run("doctor", "--service-namespace", world.ns("ufmsync"))
    expect_equal([table.out.split("\n")[0].split()[:2], table.code], [["STATE", "CHECK"], 4], table)
    expect("failures, " in table.err, table)


@scenario()
def doctor_says_why_ufm_does_not_let_us_in(world):
    served(world)
    lines = doctor(world, direct(world, UFM_PASSWORD="wrong"))
    lines.expect("UFM", "failure", "401")
    expect_equal(lines.of("default partition"), [], "not asked in vain")
    lines = doctor(world, direct(world, UFM_ADDRESS=None))
    lines.expect("settings", "failure", "UFM_ADDRESS")
    lines.expect("API server", "ok")
    world.ufm.control.call("POST", "/control/switches", {"management_membership": "full", "no_partition_enforcement": True})
    lines = doctor(world, direct(world))
    lines.expect("default partition", "failure", "default_membership = limited")
    lines.expect("enforcement", "failure", "no_partition_enforcement = false")
    world.ufm.control.call("POST", "/control/switches", {"management_membership": "absent"})
    world.ufm.fault("status", match={"operation": "smconf"}, code=403, body="no")
    lines = doctor(world, direct(world))
    lines.expect("default partition", "warning", "6.19")
    lines.expect("enforcement", "warning", "not to this user")
    world.ufm.heal()


@scenario("real")
def doctor_asks_what_the_service_may(world):
    served(world)
    user, check = world.rights.user, "rights of the service"
    lines = doctor(world, direct(world))
    lines.expect(check, "ok", "%s may do all that it needs" % user)
    lines.expect("your rights", "ok", "change things through it")
    world.rights.put(without=("", "pods", "patch", None))
    doctor(world, direct(world)).expect(check, "failure", "%s may not: patch pods: apply" % user)
