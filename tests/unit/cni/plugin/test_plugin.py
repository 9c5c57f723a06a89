#!/usr/bin/env python3
"""Runs the real plugin binary as a container runtime does, with a delegate that records what it is given.

usage: test_plugin.py UFMSYNC-CNI [-v] [TEST...]

The service is a few lines of Python here: what it decides is another test's business.
"""
import http.server
import json
import os
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

PLUGIN = None
GUID = "02:00:00:00:00:00:00:1a"
TOKEN = "the-nodes-own-token-0123456789"
DEVICE = "0000:3b:00.2"

DELEGATE = """#!/bin/sh
folder=%s
n=$(ls "$folder/calls" | wc -l)
cat > "$folder/calls/$n"
env > "$folder/environment.$n"
echo "noise of the delegate" >&2
[ ! -e "$folder/answer.$CNI_COMMAND" ] || cat "$folder/answer.$CNI_COMMAND"
[ ! -e "$folder/end.$CNI_COMMAND" ] || eval "$(cat "$folder/end.$CNI_COMMAND")"
"""


class Service:
    """Answers /v1/attach over TLS with what a test says."""

    def __init__(self, folder):
        self.asked, self.status, self.before = [], 200, lambda: None
        self.answer = {"guid": GUID, "pkey": "0x5", "memberships": [{"pkey": "0x5", "membership": "full", "index0": True}]}
        cert, key = os.path.join(folder, "ca.crt"), os.path.join(folder, "tls.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-subj", "/CN=test", "-days", "2",
                        "-addext", "subjectAltName=DNS:ufmsync.kube-system.svc"], check=True, capture_output=True)
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                service.before()
                service.asked.append((self.command, self.path, dict(self.headers), json.loads(body or b"null")))
                answer = json.dumps(service.answer).encode()
                self.send_response(service.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = reply

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


class Case(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="ufmsync-test-plugin-")
        self.addCleanup(place.cleanup)
        self.folder = place.name
        os.mkdir(self.path("calls"))
        os.mkdir(self.path("bin"))
        self.write("bin/ib-sriov", DELEGATE % self.folder, 0o755)
        self.write("token", TOKEN + "\n", 0o600)
        self.write("ca.crt", "-----BEGIN CERTIFICATE-----\n")  # enough where nobody is asked
        self.write_node()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def write_node(self, port=9, **more):
        node = {"server": "127.0.0.1:%d" % port, "serverName": "ufmsync.kube-system.svc", "ca": "ca.crt", "token": "token",
                "node": "gpu-17", "timeout": "5s", "connectTimeout": "200ms", "log": self.path("log"),
                "sysfs": self.path("sys")}
        node.update(more)
        self.write("node.conf", json.dumps(node))

    def serve(self, **more):
        service = Service(self.folder)
        self.addCleanup(service.close)
        self.write_node(service.port, **more)
        return service

    def environment(self, command, **variables):
        environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": "0a1b2c",
                       "CNI_NETNS": "/proc/self/ns/net", "CNI_IFNAME": "net1", "CNI_PATH": self.path("bin"),
                       "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=team;K8S_POD_NAME=job-0;K8S_POD_UID=7f-1",
                       "UFMSYNC_NODE_FILE": self.path("node.conf")}
        environment.update(variables)
        return {key: value for key, value in environment.items() if value is not None}

    def run_plugin(self, command, config, arguments=(), **variables):
        environment = self.environment(command, **variables)
        text = config if isinstance(config, bytes) else json.dumps(config).encode()
        done = subprocess.run([PLUGIN, *arguments], env=environment, input=text, capture_output=True, timeout=60)
        self.assertNotIn(TOKEN.encode(), done.stdout + done.stderr)
        return done

    def config(self, version="1.0.0", **more):
        config = {"cniVersion": version, "name": "ib", "type": "ufmsync", "delegate": {"type": "ib-sriov", "pkey": "0x5"},
                  "deviceID": DEVICE}
        config.update(more)
        return config

    def calls(self):
        """What the delegate was given: (command, config, environment) of each call."""
        result = []
        for n in range(len(os.listdir(self.path("calls")))):
            with open(self.path("calls/%d" % n)) as f:
                config = f.read()
            with open(self.path("environment.%d" % n)) as f:
                environment = dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)
            self.assertNotIn(TOKEN, config + str(environment))
            result.append((environment["CNI_COMMAND"], json.loads(config), environment))
        return result

    def log(self):
        if not os.path.exists(self.path("log")):
            return []
        with open(self.path("log")) as f:
            text = f.read()
        self.assertNotIn(TOKEN, text)
        return [json.loads(line) for line in text.splitlines()]

    def assert_error(self, done, code, *words, version="1.0.0"):
        self.assertEqual(done.returncode, 1)
        error = json.loads(done.stdout)
        self.assertEqual(error["code"], code, error)
        self.assertEqual(error["cniVersion"], version)
        for word in words:
            self.assertIn(word, error["msg"] + error.get("details", ""))
        return error


class WithoutService(Case):
    """Nothing listens at the node file's address."""

    def test_del_check_and_gc_are_passed_on_and_ask_nobody(self):
        for command, version in (("DEL", "0.3.1"), ("CHECK", "0.4.0"), ("GC", "1.1.0")):
            done = self.run_plugin(command, self.config(version, args={"cni": {"n": 1, "s": "x"}}, prevResult={"ips": []}))
            self.assertEqual((done.returncode, done.stdout), (0, b""), done)
            called, given, environment = self.calls()[-1]
            self.assertEqual(called, command)
            self.assertEqual(given, {"cniVersion": version, "name": "ib", "type": "ib-sriov", "pkey": "0x5",
                                     "deviceID": DEVICE, "args": {"cni": {"s": "x"}}, "prevResult": {"ips": []}})
            self.assertEqual(environment["CNI_IFNAME"], "net1")
            self.assertEqual(environment["CNI_CONTAINERID"], "0a1b2c")
        self.assertEqual([line["command"] for line in self.log()], ["DEL", "CHECK", "GC"])

    def test_gc_hands_on_which_attachments_are_valid(self):
        valid = [{"containerID": "0a", "ifname": "net1"}]
        self.run_plugin("GC", self.config("1.1.0", **{"cni.dev/valid-attachments": valid}), CNI_CONTAINERID=None,
                        CNI_NETNS=None, CNI_IFNAME=None, CNI_ARGS=None)
        self.assertEqual(self.calls()[0][1]["cni.dev/valid-attachments"], valid)

    def test_del_twice_and_with_nothing_but_what_it_needs(self):
        os.unlink(self.path("node.conf"))
        for _ in range(2):
            done = self.run_plugin("DEL", self.config(), CNI_NETNS=None, CNI_ARGS=None)
            self.assertEqual((done.returncode, done.stdout), (0, b""), done)
        self.assertEqual([call[0] for call in self.calls()], ["DEL", "DEL"])
        self.assertEqual(self.log(), [])

    def test_del_of_what_could_never_be_added_lets_the_pod_go(self):
        """Multus says DEL with what it kept of the definition: an error would hold the pod until it is deleted by force."""
        for bad, code in (({"delegate": None}, 7), ({"delegate": "../sh"}, 7), ({"delegate": {"type": "ufmsync"}}, 7),
                          ({"name": "a/b"}, 7), ({"cniVersion": ""}, 1), ({"cniVersion": "0.2.0"}, 1),
                          ({"cniVersion": "1.0"}, 1), ({"cniVersion": 1}, 6), ({"deep": json.loads("[" * 99 + "]" * 99)}, 6),
                          ({"filler": "x" * (1 << 20)}, 6)):
            done = self.run_plugin("DEL", self.config(**bad))
            self.assertEqual((done.returncode, done.stdout), (0, b""), done)
            self.assertEqual((self.log()[-1]["outcome"], self.log()[-1]["code"]), ("nothing to undo", code))
            self.assert_error(self.run_plugin("ADD", self.config(**bad)), code)
        self.assertEqual(self.calls(), [])

    def test_a_bad_verify_does_not_keep_del_from_the_delegate(self):
        done = self.run_plugin("DEL", self.config(verifyTimeout=7))
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(len(self.calls()), 1)
        self.assert_error(self.run_plugin("ADD", self.config(verifyTimeout=7)), 7, "verifyTimeout")

    def test_a_verify_in_the_wrong_place_is_not_just_off(self):
        for field in ({"verify": True}, {"verifyTimeout": "5s"}):
            config = self.config(delegate={"type": "ib-sriov", **field})
            self.assert_error(self.run_plugin("ADD", config), 7, "must stand beside delegate")
            self.assertEqual(self.run_plugin("DEL", config).returncode, 0)
        self.assertEqual([call[0] for call in self.calls()], ["DEL", "DEL"])

    def test_a_flat_delegate(self):
        self.run_plugin("DEL", self.config(delegate="ib-sriov", link_state="enable", verify=True))
        self.assertEqual(self.calls()[0][1], {"cniVersion": "1.0.0", "name": "ib", "type": "ib-sriov",
                                              "link_state": "enable", "deviceID": DEVICE})

    def test_what_the_delegate_says_and_how_it_ends_is_passed_through_unchanged(self):
        for answer, end, status in (("{ \"code\" :  999,\n\t\"msg\":\"own\\u00e4\"}  \n\n", "exit 1", 1), ("x" * 300000, "exit 77", 77),
                                    ("{\"ips\": []}", "", 0)):
            self.write("answer.CHECK", answer)
            self.write("end.CHECK", end)
            done = self.run_plugin("CHECK", self.config())
            self.assertEqual(done.returncode, status)
            self.assertEqual(done.stdout.decode(), answer)
            self.assertIn(b"noise of the delegate", done.stderr)

    def test_a_delegate_that_dies_or_fails_without_a_word_is_an_error_of_ours(self):
        self.write("end.DEL", "kill -11 $$")
        self.assert_error(self.run_plugin("DEL", self.config()), 5, "ib-sriov was killed by signal 11")
        self.write("end.DEL", "exit 3")
        self.assert_error(self.run_plugin("DEL", self.config()), 5, "exit status 3", "ib-sriov")
        self.assertEqual([line["outcome"] for line in self.log()], ["failed", "failed"])

    def test_a_delegate_that_is_not_there(self):
        error = self.assert_error(self.run_plugin("DEL", self.config(delegate={"type": "absent"})), 104,
                                  "absent is not in CNI_PATH=" + self.path("bin"))
        self.assertIn("Install absent", error["details"])

    def test_it_does_not_run_itself_under_another_name(self):
        os.symlink(os.path.abspath(PLUGIN), self.path("bin/other"))
        self.assert_error(self.run_plugin("DEL", self.config(delegate="other")), 104, "is this plugin itself")

    def test_versions_are_told(self):
        supported = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]
        for text, version in ((b"", "1.1.0"), (b"{}", "1.1.0"), (b"{\"cniVersion\":\"0.4.0\"}", "0.4.0"),
                              (b"{\"cniVersion\":\"9.9.9\"}", "9.9.9"), (b"{\"cniVersion\":\"\\\"\"}", "1.1.0"), (b"[", "1.1.0")):
            done = self.run_plugin("VERSION", text, CNI_CONTAINERID=None, CNI_PATH=None, CNI_IFNAME=None)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(json.loads(done.stdout), {"cniVersion": version, "supportedVersions": supported})

    def test_each_version_says_which_commands_it_has(self):
        for version in ("0.3.1", "0.4.0", "1.0.0", "1.1.0"):
            for command, least in (("CHECK", "0.4.0"), ("GC", "1.1.0")):
                done = self.run_plugin(command, self.config(version))
                if version >= least:
                    self.assertEqual(done.returncode, 0, done)
                else:
                    self.assert_error(done, 1, "does not allow " + command, version=version)
        self.assert_error(self.run_plugin("STATUS", self.config("1.0.0")), 1, "does not allow STATUS")
        for config in (self.config("0.2.0"), self.config("2.0.0"), self.config(""), {"name": "ib"}):
            for command in ("ADD", "CHECK", "GC", "STATUS"):
                error = self.assert_error(self.run_plugin(command, config), 1, "accepted are 0.3.1, 0.4.0, 1.0.0 and 1.1.0")
                self.assertIn(config.get("cniVersion") or "0.1.0 (as none is given)", error["msg"])

    def test_bad_input_has_its_code(self):
        self.assert_error(self.run_plugin("ADD", b""), 6, "not JSON")
        self.assert_error(self.run_plugin("ADD", b"{}{}"), 6, "not JSON")
        self.assert_error(self.run_plugin("ADD", b" " * (1 << 20) + b"{}"), 6, "larger than 1048576")
        self.assert_error(self.run_plugin("ADD", self.config(), CNI_NETNS=None, CNI_IFNAME=None), 4, "CNI_NETNS CNI_IFNAME")
        self.assert_error(self.run_plugin("REMOVE", self.config()), 4, "REMOVE")
        self.assert_error(self.run_plugin("ADD", self.config(), CNI_ARGS="K8S_POD_NAME=a"), 4, "K8S_POD_NAMESPACE")
        self.assertEqual(self.calls(), [])

    def test_add_without_node_file_or_token_names_the_file(self):
        os.unlink(self.path("token"))
        self.assert_error(self.run_plugin("ADD", self.config()), 100, self.path("token"))
        os.unlink(self.path("node.conf"))
        self.assert_error(self.run_plugin("ADD", self.config()), 100, self.path("node.conf"))
        self.assert_error(self.run_plugin("STATUS", self.config("1.1.0")), 100, self.path("node.conf"), version="1.1.0")
        self.assertEqual(self.calls(), [])

    def test_add_while_the_service_is_away_can_be_tried_again(self):
        self.serve().close()
        error = self.assert_error(self.run_plugin("ADD", self.config()), 11, "127.0.0.1")
        self.assertTrue(error["details"])
        self.assert_error(self.run_plugin("STATUS", self.config("1.1.0")), 50, version="1.1.0")
        self.assertEqual(self.calls(), [])
        add, status = self.log()
        self.assertEqual((add["command"], add["outcome"], add["code"]), ("ADD", "failed", 11))
        self.assertGreaterEqual(add["waited_ms"], 1)

    def test_by_hand_it_says_what_it_is(self):
        done = self.run_plugin(None, b"", ["--version"])
        self.assertRegex(done.stdout.decode(), r"^ufmsync-cni [0-9.]+\n$")
        self.assertIn(b"CNI_COMMAND", self.run_plugin(None, b"", ["--help"]).stdout)
        self.assertEqual(self.run_plugin(None, b"", ["--sudo"]).returncode, 2)
        self.assert_error(self.run_plugin(None, b""), 4, "CNI_COMMAND is not set")

    def test_closed_standard_streams_do_not_become_pipes_of_the_delegate(self):
        command = "exec %s 2>&- <&- >&-" % PLUGIN
        environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": "VERSION"}
        self.assertEqual(subprocess.run(["sh", "-c", command], env=environment, timeout=60).returncode, 0)
        with open(self.path("config"), "w") as f:
            json.dump(self.config(), f)
        environment.update(CNI_COMMAND="DEL", CNI_CONTAINERID="a", CNI_IFNAME="net1", CNI_PATH=self.path("bin"))
        self.write("end.DEL", "readlink /proc/self/fd/2 > " + self.path("stderr"))
        subprocess.run(["sh", "-c", "exec %s 2>&- < %s" % (PLUGIN, self.path("config"))], env=environment, check=True, timeout=60)
        with open(self.path("stderr")) as f:
            self.assertEqual(f.read(), "/dev/null\n")

    def test_a_log_that_cannot_be_written_fails_nothing(self):
        os.mkfifo(self.path("fifo"))
        os.symlink(self.path("elsewhere"), self.path("link"))
        for destination in ("/nonexistent/log", self.path("fifo"), self.path("link"), self.folder, "/dev/null"):
            self.write_node(log=destination)
            done = self.run_plugin("DEL", self.config())
            self.assertEqual(done.returncode, 0)
            self.assertIn(destination.encode(), done.stderr)
        self.assertFalse(os.path.exists(self.path("elsewhere")))


class WithService(Case):
    def setUp(self):
        super().setUp()
        self.service = self.serve()

    def test_add_asks_waits_and_gives_the_delegate_what_was_decided(self):
        self.write("answer.ADD", "{\"cniVersion\":\"1.0.0\", \"ips\":[]}\n")
        done = self.run_plugin("ADD", self.config(args={"cni": {"guid": "02:00:00:00:00:00:00:ff", "pkey": "0x9", "n": 5}},
                                                  runtimeConfig={"infinibandGUID": "02:00:00:00:00:00:00:ff"}))
        self.assertEqual((done.returncode, done.stdout), (0, b"{\"cniVersion\":\"1.0.0\", \"ips\":[]}\n"), done)
        (method, path, headers, question), = self.service.asked
        self.assertEqual((method, path, headers["Authorization"]), ("POST", "/v1/attach", "Bearer " + TOKEN))
        self.assertEqual(question, {"pod": {"namespace": "team", "name": "job-0", "uid": "7f-1"}, "interface": "net1",
                                    "networkName": "ib", "guid": "02:00:00:00:00:00:00:ff", "pkey": "0x5", "containerID": "0a1b2c",
                                    "node": "gpu-17"})
        (command, given, environment), = self.calls()
        self.assertEqual(command, "ADD")
        self.assertEqual(given, {"cniVersion": "1.0.0", "name": "ib", "type": "ib-sriov", "pkey": "0x5", "deviceID": DEVICE,
                                 "args": {"cni": {"guid": GUID, "pkey": "0x5", "mellanox.infiniband.app": "configured"}},
                                 "runtimeConfig": {"infinibandGUID": GUID}})
        line, = self.log()
        self.assertEqual({key: line[key] for key in ("command", "outcome", "container", "interface", "pod", "network",
                                                     "delegate", "guid", "pkey")},
                         {"command": "ADD", "outcome": "attached", "container": "0a1b2c", "interface": "net1",
                          "pod": "team/job-0", "network": "ib", "delegate": "ib-sriov", "guid": GUID, "pkey": "0x5"})
        self.assertGreaterEqual(line["took_ms"], line["waited_ms"])
        self.assertEqual(os.stat(self.path("log")).st_mode & 0o777, 0o600)

    def start(self, argv, **more):
        """With leave to write a core as far as this machine gives it."""
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        return subprocess.Popen(argv, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (most, most)), **more)

    def leaves_a_core(self, child):
        child.stdin.close()
        status = os.waitpid(child.pid, 0)[1]
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, -signal.SIGABRT)
        return os.WCOREDUMP(status)

    def test_a_crash_leaves_no_core_with_the_token_in_it(self):
        other = self.start(["sleep", "60"])
        other.send_signal(signal.SIGABRT)
        if not self.leaves_a_core(other):
            self.skipTest("nothing leaves a core here")
        self.service.before = lambda: child.send_signal(signal.SIGABRT)
        child = self.start([PLUGIN], env=self.environment("ADD"))
        child.stdin.write(json.dumps(self.config()).encode())
        self.assertFalse(self.leaves_a_core(child))

    def test_nothing_is_attached_for_a_runtime_that_is_gone(self):
        """Killed while its ADD waits, it has said DEL by now, or says it to a sandbox that nobody knows of."""
        child = subprocess.Popen([PLUGIN], env=self.environment("ADD"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.service.before = child.stdout.close
        with child.stdin:
            child.stdin.write(json.dumps(self.config()).encode())
        self.assertEqual(child.wait(60), 1)
        self.assertEqual(self.calls(), [])
        line, = self.log()
        self.assertEqual((line["outcome"], line["guid"]), ("failed", GUID))
        self.assertIn("is gone", line["message"])

    def test_a_refusal_reaches_the_runtime_and_not_the_delegate(self):
        self.service.answer = {"error": {"code": "BadPKey", "message": "0x0 is none", "retry": False}}
        self.assert_error(self.run_plugin("ADD", self.config()), 103, "BadPKey: 0x0 is none")
        self.service.answer = {"error": {"code": "NotMember", "message": "not in time", "retry": True}}
        self.assert_error(self.run_plugin("ADD", self.config()), 11, "NotMember: not in time")
        self.service.status, self.service.answer = 403, {"error": {"code": "Forbidden", "message": "another node's pod"}}
        self.assert_error(self.run_plugin("ADD", self.config()), 101, "another node's pod")
        self.assertEqual(self.calls(), [])

    def test_what_is_wrong_on_the_node_is_said_before_anybody_is_asked(self):
        self.assert_error(self.run_plugin("ADD", self.config(delegate="absent")), 104)
        self.assert_error(self.run_plugin("ADD", self.config(verify=1)), 7)
        self.assert_error(self.run_plugin("ADD", self.config(verify=True, deviceID=None)), 7, "deviceID")
        self.assert_error(self.run_plugin("ADD", self.config(verify=True, deviceID="../../x")), 7, "../../x")
        os.makedirs(self.path("sys/bus/pci/devices/" + DEVICE))
        os.symlink("../../../bus/pci/drivers/vfio-pci", self.path("sys/bus/pci/devices/%s/driver" % DEVICE))
        self.assert_error(self.run_plugin("ADD", self.config(verify=True)), 7, "VFIO", DEVICE)
        self.assertEqual((self.service.asked, self.calls()), ([], []))

    def test_a_failed_add_is_the_delegates_own_error(self):
        self.write("answer.ADD", "{\"code\":100,\"msg\":\"VF not found\"}")
        self.write("end.ADD", "exit 1")
        done = self.run_plugin("ADD", self.config(verify=True))
        self.assertEqual((done.returncode, done.stdout), (1, b"{\"code\":100,\"msg\":\"VF not found\"}"))
        self.assertEqual([call[0] for call in self.calls()], ["ADD"])
        self.assertEqual(self.log()[0]["outcome"], "the delegate failed")

    def pkeys(self, *values):
        table = self.path("sys/bus/pci/devices/%s/infiniband/mlx5_7/ports/1/pkeys" % DEVICE)
        os.makedirs(table, exist_ok=True)
        os.makedirs(self.path("sys/bus/pci/drivers/mlx5_core"), exist_ok=True)
        for i, value in enumerate(values):
            with open(os.path.join(table, str(i)), "w") as f:
                f.write(value + "\n")

    def test_verify_lets_a_key_pass_that_is_there(self):
        self.pkeys("0x8005", "0x7fff")
        self.write("answer.ADD", "{\"ips\":[]}")
        done = self.run_plugin("ADD", self.config(verify=True))
        self.assertEqual((done.returncode, done.stdout), (0, b"{\"ips\":[]}"), done)
        self.assertEqual([call[0] for call in self.calls()], ["ADD"])

    def test_a_key_that_does_not_come_undoes_the_add(self):
        self.pkeys("0x7fff", "0x0000")
        self.write("answer.ADD", "{\"cniVersion\":\"1.0.0\",\"ips\":[]}")
        self.write("end.DEL", "exit 1")  # changes nothing
        error = self.assert_error(self.run_plugin("ADD", self.config(verify=True, verifyTimeout="100ms")), 105, "0x7fff")
        self.assertRegex(error["msg"], "0x8?0*5")
        add, undo = self.calls()
        self.assertEqual((add[0], undo[0]), ("ADD", "DEL"))
        self.assertEqual(undo[1], {"cniVersion": "1.0.0", "name": "ib", "type": "ib-sriov", "pkey": "0x5",
                                   "deviceID": DEVICE, "prevResult": {"cniVersion": "1.0.0", "ips": []}})
        self.assertEqual({**undo[2], "CNI_COMMAND": ""}, {**add[2], "CNI_COMMAND": ""})
        self.assertEqual([(line["command"], line["outcome"]) for line in self.log()],
                         [("DEL", "could not undo ADD"), ("ADD", "failed")])

    def test_status_is_the_services(self):
        self.service.answer = {"ready": True, "leader": "ufmsync-0", "message": ""}
        done = self.run_plugin("STATUS", self.config("1.1.0"), CNI_CONTAINERID=None, CNI_IFNAME=None, CNI_ARGS=None)
        self.assertEqual((done.returncode, done.stdout), (0, b""), done)
        self.assertEqual(self.service.asked[0][:2], ("GET", "/v1/attach"))
        self.service.answer = {"ready": False, "leader": "", "message": "nobody leads"}
        self.assert_error(self.run_plugin("STATUS", self.config("1.1.0")), 50, "nobody leads", version="1.1.0")
        self.assert_error(self.run_plugin("STATUS", self.config("1.1.0", delegate="absent")), 104, version="1.1.0")
        self.assertEqual(self.calls(), [])
        self.assertEqual([line["outcome"] for line in self.log()], ["failed", "failed"])  # it asks too often to log what is well


if __name__ == "__main__":
    PLUGIN = sys.argv.pop(1)
    unittest.main()
