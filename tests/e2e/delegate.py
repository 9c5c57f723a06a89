#!/usr/bin/python3 -IS
"""Stands for a CNI plugin (ib-sriov and others) in a test's CNI_PATH, under the name that it is called by.

Notes what it was started with, and what mock-ufm lists at that moment; then behaves like ib-sriov, or as delegate.json
beside it says: {"ufm": control port, "notes": folder, "says": {"ADD": {"out": text, "code": 1, "wait": file}}}.
"""
import http.client
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(sys.argv[0]))
CONFIGURED = "mellanox.infiniband.app"


def fail(config, code, message):
    print(json.dumps({"cniVersion": config.get("cniVersion", "1.0.0"), "code": code, "msg": message}))
    sys.exit(1)


def listed(port):
    """{pkey: [guid, ...]} as the fabric manager has it now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/control/state")
    partitions = json.loads(connection.getresponse().read())["partitions"]
    return {str(int(p["pkey"], 16)): [member["guid"] for member in p["members"]] for p in partitions}


def note(orders, entry):
    name = os.path.join(orders["notes"], "delegate.%d-%d.json" % (time.monotonic_ns(), os.getpid()))
    with open(name + ".part", "w") as f:
        json.dump(entry, f, indent=1)
    os.rename(name + ".part", name)


def as_ib_sriov_checks(config):
    """What makes the real one refuse its config, in its words."""
    given = config.get("args", {}).get("cni", {})
    if any(not isinstance(value, str) for value in given.values()):
        fail(config, 999, "infiniBand SRI-OV CNI failed to load netconf: json: cannot unmarshal into Go struct field "
             "NetConf.args.cni of type string")
    if not config.get("deviceID"):
        fail(config, 999, "infiniBand SRI-OV CNI failed to load netconf: deviceID is required")
    if config.get("ibKubernetesEnabled") and given.get(CONFIGURED) != "configured":
        fail(config, 999, 'infiniBand SRIOV-CNI failed, InfiniBand status "%s" is not "configured" please check '
             'mellanox ib-kubernetes' % CONFIGURED)


def result(config):
    if "prevResult" in config:
        return config["prevResult"]
    interface = {"name": os.environ["CNI_IFNAME"], "mac": "00:00:10:49:fe:80:00:00:00:00:00:00:02:00:00:00:00:00:00:00",
                 "sandbox": os.environ["CNI_NETNS"]}
    return {"cniVersion": config["cniVersion"], "interfaces": [interface], "dns": {}}


def main():
    begin, text = time.monotonic(), sys.stdin.read()
    with open(os.path.join(HERE, "delegate.json")) as f:
        orders = json.load(f)
    command, config = os.environ["CNI_COMMAND"], json.loads(text)
    with open("/proc/%d/cmdline" % os.getppid(), errors="replace") as f:
        parent = f.read().split("\0")
    note(orders, {"plugin": os.path.basename(sys.argv[0]), "command": command, "config": config, "time": begin,
                  "environment": dict(os.environ), "arguments": sys.argv, "parent": parent,
                  "listed": listed(orders["ufm"])})
    said = orders["says"].get(command)
    if said:
        while "wait" in said and not os.path.exists(said["wait"]):
            time.sleep(0.01)
        sys.stdout.write(said.get("out", ""))
        sys.stderr.write(said.get("err", ""))
        sys.stdout.flush()
        sys.exit(said.get("code", 0))
    if command == "ADD":
        if os.path.basename(sys.argv[0]) == "ib-sriov":
            as_ib_sriov_checks(config)
        print(json.dumps(result(config)))


main()
