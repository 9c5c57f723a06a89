#!/usr/bin/env python3
"""mock-ufm as its users meet it: over HTTP, started as a process.  Usage: test_mock_ufm.py PATH_OF_MOCK_UFM"""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

MOCK_UFM = ""
G1, G2, G3 = "0200000000000001", "0200000000000002", "0200000000000003"
PKEYS = "/ufmRest/resources/pkeys"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    def json(self):
        return json.loads(self.text)


class Mock:
    """One running mock-ufm; ends with its `with` block, and must end cleanly."""

    def __init__(self, *options, environment=None, tls=False):
        self.folder = tempfile.TemporaryDirectory()
        port, control = os.path.join(self.folder.name, "port"), os.path.join(self.folder.name, "control")
        self.cert = os.path.join(self.folder.name, "cert.pem")
        self.tls = tls
        kind = ["--write-cert", self.cert] if tls else ["--http"]
        self.process = subprocess.Popen(
            [MOCK_UFM, "--exit-with-parent", "--port-file", port, "--control-port-file", control, *kind, *options],
            stdout=subprocess.PIPE, env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline().decode()  # written when all is ready
        if "control http port" not in line:
            raise RuntimeError("mock-ufm did not start: " + line)
        with open(port) as file:
            self.port = int(file.read())
        with open(control) as file:
            self.control_port = int(file.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.folder.cleanup()
        if code != 0:
            raise RuntimeError(f"mock-ufm ended with {code}")

    def connect(self, timeout=20, context=None):
        if self.tls:
            context = context or ssl.create_default_context(cafile=self.cert)
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, user="admin:123456", headers=None, timeout=20, connection=None,
            context=None):
        headers = dict(headers or {})
        if user is not None:
            headers.setdefault("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        own = connection is None
        connection = connection or self.connect(timeout, context)
        try:
            connection.request(method, path, json.dumps(body) if isinstance(body, (dict, list)) else body, headers)
            return Answer(connection.getresponse())
        finally:
            if own:
                connection.close()

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=20)
        connection.request(method, "/control" + path, json.dumps(body) if body is not None else None)
        answer = Answer(connection.getresponse())
        connection.close()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {answer.text}")
        return answer.json() if path else answer.text

    def add(self, pkey, *guids, **more):
        return self.ask("POST", PKEYS, {"pkey": pkey, "guids": list(guids), "index0": True, "ip_over_ib": True,
                                        "membership": "full", **more})

    def members(self, pkey, view="model"):
        state = self.control("GET", f"/state?view={view}")["partitions"]
        for partition in state:
            if partition["pkey"] == pkey:
                return [(m["guid"], m["membership"], m["index0"]) for m in partition["members"]]
        return None

    def wait_for(self, pkey, guids):
        """Watches the state until the partition has exactly these members (None: is not there)."""
        while True:
            revision = self.control("GET", "/state?members=false")["revision"]
            members = self.members(pkey)
            if (members and [m[0] for m in members]) == guids:
                return
            self.control("GET", f"/state?members=false&after={revision}&wait_ms=10000")

    def fault(self, action, operation="any", **more):
        return self.control("POST", "/faults", {"match": {"operation": operation}, "action": action, "times": 1, **more})

    def switch(self, **switches):
        self.control("POST", "/switches", switches)


class Shared(unittest.TestCase):
    """One mock for all tests of a class, put back before each."""

    @classmethod
    def setUpClass(cls):
        cls.mock = Mock("--switch", "last_updated_zone_min=120")

    @classmethod
    def tearDownClass(cls):
        cls.mock.__exit__()

    def setUp(self):
        self.mock.control("POST", "/reset")


class HappyPath(Shared):
    def test_post_creates_and_adds_and_reads_show_it(self):
        self.assertEqual(self.mock.add("0x02FB", G1, "0x" + G2.upper()[0:]).status, 200)
        one = self.mock.ask("GET", PKEYS + "/0x02fB?guids_data=true&qos_conf=true").json()
        self.assertEqual(one, {"partition": "api_pkey_0x2fb", "ip_over_ib": True,
                               "guids": [{"guid": g, "membership": "full", "index0": True} for g in (G1, G2)],
                               "qos_conf": {"mtu_limit": 2, "rate_limit": 2.5, "service_level": 0}})
        self.assertIsInstance(one["qos_conf"]["rate_limit"], float)
        listed = self.mock.ask("GET", PKEYS + "/?guids_data=true").json()
        self.assertEqual(listed["0x7fff"], {"partition": "management", "ip_over_ib": True, "index0": False,
                                            "membership": "limited", "guids": []})
        self.assertEqual([g["guid"] for g in listed["0x2fb"]["guids"]], [G1, G2])
        self.assertEqual(self.mock.ask("GET", PKEYS).json(), ["0x2fb", "0x7fff"])

    def test_put_replaces_and_honours_memberships(self):
        self.mock.add("0x5", G1, G2)
        self.mock.ask("PUT", PKEYS + "/", {"pkey": "0x5", "guids": [G2, G3], "memberships": ["limited", "full"]})
        self.assertEqual(self.mock.members("0x5"), [(G2, "limited", False), (G3, "full", False)])

    def test_all_ways_of_removing(self):
        self.mock.add("0x5", G1, G2, G3)
        self.assertEqual(self.mock.ask("DELETE", f"{PKEYS}/0x5/guids/{G1},{G1}").status, 200)
        self.assertEqual(self.mock.ask("POST", "/ufmRest/actions/remove_guids_from_pkey",
                                       {"pkey": "0x5", "guids": [G2]}).status, 200)
        self.assertEqual(self.mock.members("0x5"), [(G3, "full", True)])
        self.assertEqual(self.mock.ask("DELETE", f"{PKEYS}/0x5").status, 200)
        self.assertIsNone(self.mock.members("0x5"))
        self.assertEqual(self.mock.ask("DELETE", f"{PKEYS}/0x5").status, 404)
        self.assertEqual(self.mock.ask("DELETE", f"{PKEYS}/0x5/guids/{G1}").status, 404)
        self.assertEqual(self.mock.ask("POST", "/ufmRest/actions/remove_guids_from_pkey",
                                       {"pkey": "0x5", "guids": [G2]}).status, 200)

    def test_the_last_member_takes_the_partition_and_its_settings_along(self):
        self.mock.add("0x5", G1)
        self.assertEqual(self.mock.ask("PUT", PKEYS + "/qos_conf", {"pkey": "0x5", "rate_limit": 100, "mtu_limit": 4,
                                                                    "service_level": 1}).status, 200)
        self.mock.ask("DELETE", f"{PKEYS}/0x5/guids/{G1}")
        self.assertEqual(self.mock.ask("GET", PKEYS + "/0x5").json(), {})
        self.mock.add("0x5", G1)
        self.assertEqual(self.mock.ask("GET", PKEYS + "/0x5?qos_conf=true").json()["qos_conf"]["rate_limit"], 2.5)

    def test_head_of_the_version_has_a_date(self):
        answer = self.mock.ask("HEAD", "/ufmRest/app/ufm_version")
        self.assertEqual((answer.status, answer.text), (200, ""))
        self.assertIn("GMT", answer.headers["Date"])
        self.mock.switch(version_body="short", version="6.23.1-6")
        self.assertEqual(self.mock.ask("GET", "/ufmRest/app/ufm_version").json(), {"ufm_release_version": "6.23.1-6"})

    def test_hosts_and_jobs(self):
        self.mock.switch(hosts="job")
        answer = self.mock.ask("POST", PKEYS + "/hosts", {"pkey": "0x5", "hosts_names": "node1,node2"})
        self.assertEqual((answer.status, answer.headers["Location"]), (202, "/ufmRest/jobs/1"))
        self.assertEqual(len(self.mock.members("0x5")), 2)
        self.assertEqual(self.mock.ask("GET", "/ufmRest/jobs/1").json()["Status"], "Completed")
        self.assertEqual(self.mock.ask("GET", "/ufmRest/jobs/7").json(), [])
        self.mock.ask("DELETE", PKEYS + "/0x5/hosts/node1,node2")
        self.assertIsNone(self.mock.members("0x5"))

    def test_virtual_ports_show_when_discovery_is_on(self):
        self.mock.control("POST", "/vports", {"guid": G1, "node": "node1"})
        self.assertEqual(self.mock.ask("GET", "/ufmRest/resources/vports").json(), [])
        self.mock.switch(vports=True, vports_lag_ms=0)
        listed = self.mock.ask("GET", "/ufmRest/resources/vports").json()
        self.assertEqual([(v["virtual_port_guid"], v["system_name"]) for v in listed], [(G1, "node1")])
        self.mock.switch(vports_lag_ms=60000)
        self.assertEqual(self.mock.ask("GET", "/ufmRest/resources/vports").json(), [])


class Authentication(Shared):
    def test_each_prefix_takes_its_own_credentials(self):
        self.assertEqual(self.mock.ask("GET", "/ufmRest/app/ufm_version", user=None).status, 401)
        self.assertEqual(self.mock.ask("GET", "/ufmRest/app/ufm_version", user="admin:wrong").status, 401)
        self.assertEqual(self.mock.ask("GET", "/ufmRestV3/app/ufm_version").status, 401)
        token = self.mock.ask("POST", "/ufmRest/app/tokens").json()["access_token"]
        raw = {"Authorization": "Basic " + token}
        self.assertEqual(self.mock.ask("GET", "/ufmRestV3/app/ufm_version", user=None, headers=raw).status, 200)
        self.assertEqual(self.mock.ask("GET", "/ufmRest/app/ufm_version", user=None, headers=raw).status, 401)
        form = f'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n--x--\r\n'
        self.assertEqual(self.mock.ask("POST", "/ufmRest/app/tokens/revoke", form).status, 200)
        self.assertEqual(self.mock.ask("GET", "/ufmRestV3/app/ufm_version", user=None, headers=raw).status, 401)

    def test_a_session_is_lost_in_a_failover_and_a_token_is_not(self):
        self.mock.control("POST", "/credentials", {"token": "secret-token"})
        login = self.mock.ask("POST", "/dologin", "httpd_username=admin&httpd_password=12345%36", user=None)
        cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}
        raw = {"Authorization": "Basic secret-token"}
        self.assertEqual(self.mock.ask("GET", "/ufmRestV2/app/ufm_version", user=None, headers=cookie).status, 200)
        self.mock.control("POST", "/failover", {"down_ms": 0})
        self.assertEqual(self.mock.ask("GET", "/ufmRestV2/app/ufm_version", user=None, headers=cookie).status, 401)
        self.assertEqual(self.mock.ask("GET", "/ufmRestV3/app/ufm_version", user=None, headers=raw).status, 200)

    def test_rotation_ends_the_old_password(self):
        self.mock.control("POST", "/credentials", {"password": "new1"})
        self.assertEqual(self.mock.ask("GET", PKEYS).status, 401)
        self.assertEqual(self.mock.ask("GET", PKEYS, user="admin:new1").status, 200)

    def test_no_credential_is_in_the_log(self):
        self.mock.ask("POST", "/dologin", "httpd_username=admin&httpd_password=123456", user=None)
        token = self.mock.ask("POST", "/ufmRest/app/tokens").json()["access_token"]
        self.mock.ask("POST", "/ufmRest/app/tokens/revoke", f'name="token"\r\n\r\n{token}\r\n')
        text = json.dumps(self.mock.control("GET", "/log"))
        for secret in ("123456", token, base64.b64encode(b"admin:123456").decode()):
            self.assertNotIn(secret, text)


class Strictness(Shared):
    def test_what_the_schema_refuses(self):
        good = {"pkey": "0x5", "guids": [G1]}
        for change in ({"pkey": "0x0"}, {"pkey": "0x7fff"}, {"pkey": "0x8005"}, {"pkey": "5x"}, {"pkey": 5}, {"guids": []},
                       {"guids": G1}, {"guids": [G1[1:]]}, {"guids": ["0" * 21]}, {"guids": ["02:00:00:00:00:00:00:01"]},
                       {"membership": ["full"]}, {"membership": "both"}, {"membership": "full", "memberships": ["full"]},
                       {"memberships": ["full", "full"]}, {"index0": "true"}, {"hosts_names": "n1"}, {"mtu_limit": 2}):
            answer = self.mock.ask("POST", PKEYS, {**good, **change})
            self.assertEqual(answer.status, 400, change)
        self.assertIn("additionalProperties", self.mock.ask("POST", PKEYS, {**good, "x": 1}).text)
        self.assertEqual(self.mock.ask("POST", PKEYS, "{").status, 400)
        self.assertEqual(self.mock.ask("POST", PKEYS, good).status, 200)

    def test_pages_of_the_web_server_are_html(self):
        for method, path, status in (("GET", "/nowhere", 404), ("GET", "/ufmRest/resources/x", 404),
                                     ("PATCH", PKEYS, 405), ("GET", PKEYS + "/0x5/guids/" + G1, 405)):
            answer = self.mock.ask(method, path)
            self.assertEqual((answer.status, answer.text[:9]), (status, "<!DOCTYPE"), path)

    def test_a_request_line_has_8190_bytes_at_most(self):
        def remove(line_bytes):
            fixed = len("DELETE " + PKEYS + "/0x5/guids/" + " HTTP/1.1")
            guids = ",".join([G1] * ((line_bytes - fixed) // 17 - 1))
            rest = line_bytes - fixed - len(guids) - 1  # one GUID padded to the byte
            return self.mock.ask("DELETE", f"{PKEYS}/0x5/guids/{guids},{G1.zfill(rest)}").status

        self.mock.add("0x5", G1, G2)
        self.assertIn(remove(8190), (200, 400))
        self.assertEqual(remove(8191), 414)


class Versions(Shared):
    def test_a_missing_pkey(self):
        self.assertEqual(self.mock.ask("GET", PKEYS + "/0x9").json(), {})
        self.mock.switch(missing_pkey="404")
        self.assertEqual(self.mock.ask("GET", PKEYS + "/0x9").status, 404)

    def test_memberships_on_post(self):
        body = {"pkey": "0x5", "guids": [G1, G2], "memberships": ["limited", "full"]}
        self.mock.ask("POST", PKEYS, body)
        self.assertEqual([m[1] for m in self.mock.members("0x5")], ["full", "full"])
        self.mock.switch(memberships_on_post="honoured")
        self.mock.ask("POST", PKEYS, body)
        self.assertEqual([m[1] for m in self.mock.members("0x5")], ["limited", "full"])

    def test_a_list_with_both_flags(self):
        self.mock.add("0x5", G1)
        for value, keys in (("guids_missing", {"qos_conf"}), ("qos_missing", {"guids"}), ("fine", {"guids", "qos_conf"})):
            self.mock.switch(list_both_flags=value)
            listed = self.mock.ask("GET", PKEYS + "?guids_data=true&qos_conf=true").json()["0x5"]
            self.assertEqual(set(listed) & {"guids", "qos_conf"}, keys)

    def test_last_updated(self):
        def last():
            return self.mock.ask("GET", PKEYS + "/last_updated").json()["last_updated"]

        self.assertIsNone(last())
        self.mock.add("0x5", G1)
        self.assertRegex(last(), r"^\d\d-\d\d-\d{4}, \d\d:\d\d:\d\d$")
        self.mock.switch(last_updated_format="asctime")
        self.assertRegex(last(), r"^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}$")

    def test_answers_to_writes_and_unknown_guids(self):
        self.mock.switch(post_status=201, post_body="", unknown_guid="reject")
        self.assertEqual(self.mock.add("0x5", G1).status, 404)
        self.mock.control("POST", "/vports", {"guid": G1, "node": "node1"})
        answer = self.mock.add("0x5", G1)
        self.assertEqual((answer.status, answer.text), (201, ""))

    def test_a_route_that_does_not_exist_there(self):
        self.mock.add("0x5", G1, G2)
        self.mock.switch(remove_routes="action")
        answer = self.mock.ask("DELETE", f"{PKEYS}/0x5/guids/{G1}")
        self.assertEqual((answer.status, answer.text[:9]), (404, "<!DOCTYPE"))

    def test_a_bad_switch_changes_nothing(self):
        with self.assertRaisesRegex(ValueError, "missing_pkey takes empty|404"):
            self.mock.switch(version="1", missing_pkey="perhaps")
        self.assertEqual(self.mock.control("GET", "/switches")["version"], "6.19.3-1")


class Faults(Shared):
    def test_answers_of_somebody_else(self):
        self.mock.fault("status", "add", code=500, body="database is locked")
        answer = self.mock.add("0x5", G1)
        self.assertEqual((answer.status, answer.text), (500, "database is locked"))
        self.mock.fault("html", "add")
        self.assertEqual((self.mock.add("0x5", G1).status, self.mock.members("0x5")), (503, None))
        self.mock.fault("unauthorized", "write")
        self.assertEqual(self.mock.add("0x5", G1).status, 401)
        self.mock.fault("status", "add", code=202, location="/ufmRest/jobs/1", apply=True)
        self.assertEqual(self.mock.add("0x5", G1).headers["Location"], "/ufmRest/jobs/1")
        self.assertEqual(self.mock.members("0x5"), [(G1, "full", True)])

    def test_connections_that_break(self):
        for action, members in (("reset_before", None), ("reset_after_apply", [(G1, "full", True)])):
            self.mock.fault(action, "add")
            with self.assertRaises((http.client.HTTPException, OSError)):
                self.mock.add("0x5", G1)
            self.assertEqual(self.mock.members("0x5"), members)
        self.mock.fault("cut_stream", "get")
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.mock.ask("GET", PKEYS + "/0x5?guids_data=true")

    def test_a_hang_lasts_until_the_client_leaves(self):
        self.mock.fault("hang", "add")
        with self.assertRaises(OSError):
            self.mock.ask("POST", PKEYS, {"pkey": "0x5", "guids": [G1]}, timeout=0.3)
        entry = self.mock.control("GET", "/log?operation=add")["requests"][0]
        while entry["outcome"] == "open":
            entry = self.mock.control("GET", "/log?operation=add")["requests"][0]
        self.assertEqual((entry["outcome"], entry["fault"], entry["status"]), ("gone", "hang", None))
        self.assertIsNone(self.mock.members("0x5"))

    def test_what_takes_effect_late_or_never(self):
        self.mock.fault("apply_late", "add", delay_ms=50)
        self.assertEqual(self.mock.add("0x5", G1).status, 200)
        self.mock.wait_for("0x5", [G1])
        self.mock.fault("forget", "add")
        self.assertEqual(self.mock.add("0x5", G2).status, 200)
        self.assertEqual(len(self.mock.members("0x5")), 1)
        self.mock.fault("late_after_timeout", "add", delay_ms=400)
        with self.assertRaises(OSError):
            self.mock.ask("POST", PKEYS, {"pkey": "0x6", "guids": [G3]}, timeout=0.1)
        self.mock.wait_for("0x6", [G3])

    def test_bodies_that_are_not_what_they_should_be(self):
        self.mock.add("0x5", G1)
        self.mock.fault("cut_json", "get")
        with self.assertRaises(json.JSONDecodeError):
            self.mock.ask("GET", PKEYS + "/0x5?guids_data=true").json()
        self.mock.fault("wrong_content_type", "get")
        self.assertEqual(self.mock.ask("GET", PKEYS + "/0x5").headers["Content-Type"], "text/html")
        self.mock.fault("slow_body", "get", chunk_bytes=40, delay_ms=1)
        self.assertEqual(len(self.mock.ask("GET", PKEYS + "/0x5?guids_data=true").json()["guids"]), 1)

    def test_rules_count_match_and_go(self):
        self.mock.control("POST", "/faults", {"match": {"pkey": "0x5", "method": "POST"}, "skip": 1, "times": 2,
                                              "action": "status", "code": 500})
        self.assertEqual([self.mock.add("0x5", G1).status for _ in range(4)], [200, 500, 500, 200])
        rule = self.mock.control("POST", "/faults", {"match": {"pkey": "0x5"}, "action": "status"})["id"]
        self.assertEqual((self.mock.add("0x6", G1).status, self.mock.add("0x5", G1).status), (200, 500))
        self.mock.control("DELETE", f"/faults?id={rule}")
        self.assertEqual(self.mock.add("0x5", G1).status, 200)
        for bad in ({"action": "explode"}, {"match": {}}, {"action": "html", "match": {"pkey": 5}}, {"action": "html", "x": 1}):
            with self.assertRaises(ValueError):
                self.mock.control("POST", "/faults", bad)

    def test_one_guid_spoils_the_requests_that_name_it(self):
        self.mock.control("POST", "/faults", {"match": {"guid": G2, "operation": "add"}, "action": "status", "code": 404})
        self.assertEqual([self.mock.add("0x5", *guids).status for guids in ((G1, G2), (G1,), (G2,))], [404, 200, 404])
        self.assertEqual([m[0] for m in self.mock.members("0x5")], [G1])

    def test_a_failover_answers_503_and_keeps_the_state(self):
        self.mock.add("0x5", G1)
        self.mock.control("POST", "/failover", {"down_ms": 60000})
        answer = self.mock.ask("GET", PKEYS)
        self.assertEqual((answer.status, answer.text[:9]), (503, "<!DOCTYPE"))
        self.mock.control("POST", "/failover", {"down_ms": 0})
        self.assertEqual(self.mock.ask("GET", PKEYS).status, 200)
        self.assertIsNone(self.mock.ask("GET", PKEYS + "/last_updated").json()["last_updated"])


class Semantics(Shared):
    def test_a_write_takes_effect_at_its_end_and_overlaps_are_counted(self):
        self.mock.switch(parse_error_on_overlap=True)
        self.mock.control("POST", "/latency", {"write_ms": 600})
        threads = [threading.Thread(target=self.mock.add, args=("0x5", guid)) for guid in (G1, G2)]
        threads[0].start()
        self.mock.control("GET", "/log?operation=add&wait_ms=10000")
        self.assertIsNone(self.mock.members("0x5"))
        threads[1].start()
        for thread in threads:
            thread.join()
        self.assertEqual([m[0] for m in self.mock.members("0x5")], [G1, G2])
        stats = self.mock.control("GET", "/stats")
        self.assertEqual((stats["overlapping_writes"], stats["max_overlap"], stats["parse_errors"]), (1, 2, 1))

    def test_writes_one_after_the_other_do_not_overlap(self):
        connection = self.mock.connect()
        for guid in (G1, G2, G3):
            self.mock.ask("POST", PKEYS, {"pkey": "0x5", "guids": [guid]}, connection=connection)
        connection.close()
        stats = self.mock.control("GET", "/stats")
        self.assertEqual((stats["overlapping_writes"], stats["max_overlap"], stats["writes"]), (0, 1, 3))
        self.assertEqual(stats["guids_per_write"], {"writes": 3, "guids": 3, "min": 1, "max": 1})

    def test_the_fabric_follows_later_or_never(self):
        self.mock.switch(fabric_delay_ms=-1)
        self.mock.add("0x5", G1)
        self.assertIsNone(self.mock.members("0x5", "fabric"))
        self.mock.switch(fabric_delay_ms=30)
        while not self.mock.control("GET", "/state?members=false")["fabric_current"]:
            revision = self.mock.control("GET", "/state?members=false")["revision"]
            self.mock.control("GET", f"/state?members=false&after={revision}&wait_ms=200")
        self.assertEqual(self.mock.members("0x5", "fabric"), [(G1, "full", True)])

    def test_two_index0_partitions_of_a_guid_are_accepted_and_noted(self):
        self.mock.add("0x5", G1)
        self.mock.add("0x6", G1)
        stats = self.mock.control("GET", "/stats")
        self.assertEqual((stats["index0_violations"], stats["index0_conflicts"]), (1, 1))
        self.mock.ask("DELETE", f"{PKEYS}/0x5/guids/{G1}")
        self.assertEqual(self.mock.control("GET", "/stats")["index0_conflicts"], 0)

    def test_somebody_else_adds_and_ufm_forgets(self):
        self.mock.control("POST", "/members", {"pkey": "0x5", "first": G1, "count": 3, "membership": "limited"})
        self.assertEqual(self.mock.members("0x5"), [(g, "limited", False) for g in (G1, G2, G3)])
        self.mock.control("DELETE", "/members", {"pkey": "0x5", "guid": G2})
        self.assertEqual([m[0] for m in self.mock.members("0x5")], [G1, G3])
        state = self.mock.control("GET", "/state")
        self.mock.control("PUT", "/state", {"partitions": []})
        self.assertIsNone(self.mock.members("0x5"))
        self.mock.control("PUT", "/state", state)
        self.assertEqual(self.mock.control("GET", "/state")["partitions"], state["partitions"])

    def test_a_list_of_16_mb(self):
        self.mock.control("POST", "/members", {"pkey": "0x5", "first": G1, "count": 250000})
        answer = self.mock.ask("GET", PKEYS + "?guids_data=true")
        self.assertGreater(len(answer.text), 16 << 20)
        self.assertEqual(len(answer.json()["0x5"]["guids"]), 250000)

    def test_the_log_tells_what_came(self):
        self.mock.add("0x5", G1)
        entry = self.mock.control("GET", "/log?writes=true")["requests"][-1]
        self.assertEqual((entry["method"], entry["path"], entry["auth"], entry["status"], entry["guids"], entry["pkey"]),
                         ("POST", PKEYS, "basic", 200, 1, "0x5"))
        self.assertEqual(json.loads(entry["body"])["guids"], [G1])
        self.mock.control("DELETE", "/log")
        self.assertEqual(self.mock.control("GET", "/log")["requests"], [])


class Start(unittest.TestCase):
    def test_https_with_its_own_certificate(self):
        with Mock(tls=True) as mock:
            context = ssl.create_default_context(cafile=mock.cert)
            context.check_hostname = False  # a bare common name: the published way
            answer = mock.ask("GET", PKEYS, context=context)
            self.assertEqual(answer.status, 200)
            with self.assertRaises(ssl.SSLCertVerificationError):
                mock.ask("GET", PKEYS)

    def test_an_expired_certificate(self):
        with Mock("--cert-days", "-3", tls=True) as mock:
            context = ssl.create_default_context(cafile=mock.cert)
            context.check_hostname = False
            with self.assertRaisesRegex(ssl.SSLCertVerificationError, "expired"):
                mock.ask("GET", PKEYS, context=context)

    def test_a_client_certificate_lets_in(self):
        with Mock(tls=True) as first:
            # any self-signed pair will do as a client's: take one that openssl makes
            folder = first.folder.name
            key, cert = os.path.join(folder, "client.key"), os.path.join(folder, "client.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=operator", "-days", "2",
                            "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
            with Mock("--client-ca", cert, tls=True) as mock:
                context = ssl.create_default_context(cafile=mock.cert)
                context.check_hostname = False
                self.assertEqual(mock.ask("GET", PKEYS, user=None, context=context).status, 401)
                context.load_cert_chain(cert, key)
                self.assertEqual(mock.ask("GET", PKEYS, user=None, context=context).status, 200)
                self.assertEqual(mock.control("GET", "/log")["requests"][-1]["auth"], "certificate")

    def test_credentials_and_seed_from_outside(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as seed:
            json.dump({"partitions": [{"pkey": "0x9", "members": [G1]}]}, seed)
            seed.flush()
            with Mock("--seed", seed.name, "--switch", "write_ms=0",
                      environment={"MOCK_UFM_USERNAME": "ops", "MOCK_UFM_PASSWORD": "p:w", "MOCK_UFM_TOKEN": "t0ken"}) as mock:
                self.assertEqual(mock.members("0x9"), [(G1, "full", False)])
                self.assertEqual(mock.ask("GET", PKEYS, user="ops:p:w").status, 200)
                token = {"Authorization": "Basic t0ken"}
                self.assertEqual(mock.ask("GET", "/ufmRestV3/resources/pkeys", user=None, headers=token).status, 200)

    def test_bad_options_are_named(self):
        for options, text in ((["--switch", "missing_pkey=x"], "empty|404"), (["--cert", "x"], "--key"),
                              (["--control-listen", "0.0.0.0:0"], "loopback"), (["x"], "--help")):
            done = subprocess.run([MOCK_UFM, *options], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)

    def test_help_names_everything(self):
        text = subprocess.run([MOCK_UFM, "--help"], capture_output=True, text=True, timeout=20).stdout
        for word in ("missing_pkey", "late_after_timeout", "/control/state", "MOCK_UFM_PASSWORD", "--write-cert"):
            self.assertIn(word, text)

    def test_a_stop_with_requests_open_is_clean(self):
        with Mock() as mock:
            mock.fault("hang", "get", times=0)
            mock.fault("apply_late", "add", times=0, delay_ms=60000)
            mock.add("0x5", G1)
            request = f"GET {PKEYS}/0x5 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            sockets = [socket.create_connection(("127.0.0.1", mock.port)) for _ in range(3)]
            for each in sockets:
                each.sendall(request)
            mock.control("GET", "/log?operation=get&wait_ms=10000")
        for each in sockets:  # only now
            each.close()


if __name__ == "__main__":
    MOCK_UFM = sys.argv.pop(1)
    unittest.main(verbosity=1)
