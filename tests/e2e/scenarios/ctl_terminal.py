"""ufmsyncctl on a terminal of 80 columns, in a pipe, with much to show, and with a service that takes its time."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time

import objects
from scenario import expect, expect_equal, scenario
from scenarios.ctl import colons, two_pods
from servers import Failed, eventually
from tool import proxy, serve

MANY = 5000
COLOUR = re.compile("\x1b\\[[0-9;]*[mK]")


def on_terminal(tool, *words, columns=80, timeout=60, **environment):
    """(exit code, what the terminal got); both outputs are it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(tool.argv(*words), stdin=slave, stdout=slave, stderr=slave,
                             env=dict(tool.environment, TERM="xterm", **environment))
    os.close(slave)
    got, end = b"", time.monotonic() + timeout
    try:
        while chunk := os.read(master, 65536):
            got += chunk
            if time.monotonic() > end:
                child.kill()
                raise Failed("it did not end on a terminal: %r" % got[-500:])
    except OSError:
        pass  # the other end is closed: it has ended
    os.close(master)
    return child.wait(10), got.decode().replace("\r\n", "\n")


@scenario("mock")
def tables_fit_the_terminal_and_guids_are_whole(world):
    daemon = serve(world)
    world.nad("a-network-with-quite-a-long-name", objects.ib_config("0x5"))
    name = "a-pod-with-quite-a-long-name-" + "x" * 40
    world.pod(name, "a-network-with-quite-a-long-name@net1")
    found = colons(world.guid(name))
    tool = proxy(world, daemon)
    for words in (("pods", "-A"), ("pkey", "5"), ("pods", "-n", world.ns("a"))):
        code, text = on_terminal(tool, *words)
        expect_equal(code, 0, text)
        expect("\x1b[32m" in text, "colours: %r" % text)
        plain = COLOUR.sub("", text)
        expect(max(map(len, plain.splitlines())) <= 80, "80 columns:\n" + plain)
        expect(found in plain and "..." in plain and "0x0005" in plain, "what is whole, and what is cut:\n" + plain)
    code, text = on_terminal(tool, "pods", "-A", NO_COLOR="1")
    expect("\x1b" not in text, "NO_COLOR: %r" % text)
    code, text = on_terminal(tool, "pods", "-A", columns=300)
    expect(name in text and "..." not in text, "where there is room: %r" % text)
    piped = tool.run("pods", "-A").out
    expect(name in piped and "..." not in piped and "\x1b" not in piped, "in a pipe: %r" % piped)


@scenario("mock")
def a_pkey_of_thousands_is_shown_whole(world):
    daemon = serve(world)
    found = two_pods(world, daemon)
    world.ufm.add("0x5", *["03%014x" % i for i in range(1, MANY + 1)])
    tool = proxy(world, daemon)
    result = tool.run("pkey", "0x5")
    expect_equal((result.code, result.err), (0, ""), result.err)
    lines = result.out.splitlines()
    expect_equal(lines[1], "Members   %d: %d full, 0 limited" % (MANY + 1, MANY + 1), "counted")
    expect_equal(len(lines), 6 + MANY + 1, "lines")
    shown = {line.split()[0] for line in lines[6:]}
    expect_equal(shown, {found} | {colons("03%014x" % i) for i in range(1, MANY + 1)}, "GUIDs")
    items = json.loads(tool.run("pkey", "0x5", "-o", "json").out)["items"]
    expect_equal(len(items), MANY + 1, "of both pages")
    expect_equal(tool.run("pkey", "0x5", "-o", "yaml").out.count("\n- guid: "), MANY + 1, "in YAML")
    expect_equal(len(tool.run("pkey", "0x5", "-o", "name").out.split()), MANY + 1, "by name")


@scenario("mock")
def who_waits_long_sees_that_and_not_for_ever(world):
    daemon = serve(world)
    tool = proxy(world, daemon)
    slow = {"action": "latency", "delay_ms": 1700, "times": 1, "match": {"resource": "services", "subresource": "proxy"}}
    world.kube.control.call("POST", "/control/faults", slow)
    code, text = on_terminal(tool, "status")
    expect_equal(code, 0, text)
    expect("asking the service ... 1 s" in text, "progress: %r" % text)
    expect(text.rindex("asking the service") < text.index("Version"), "and it is taken away: %r" % text)
    world.kube.control.call("POST", "/control/faults", slow)
    result = tool.run("status")
    expect_equal((result.code, result.err), (0, ""), "in a pipe nothing of that: %s" % result)
    world.kube.control.call("POST", "/control/faults", dict(slow, action="hang"))
    result = tool.run("status", "--request-timeout", "500ms")
    expect_equal((result.code, result.out, result.err.count("\n")), (1, "", 1), "%s" % result)
    expect("API server: " in result.err and "no complete answer within" in result.err, "%s" % result)


@scenario("mock")
def who_stops_reading_is_no_disaster(world):
    """A pipe into head, and a full disk: an exit code, no signal, and no half of a line as if it were all."""
    daemon = serve(world)
    world.nad("ib", objects.ib_config("0x5"))
    world.ufm.add("0x5", *["03%014x" % i for i in range(1, MANY + 1)])
    tool = proxy(world, daemon)
    eventually("it is known", lambda: tool.run("pkey", "5").code == 0)
    with open("/dev/full", "wb") as full:
        child = subprocess.run(tool.argv("pkey", "5"), stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                               env=tool.environment, timeout=60)
    expect_equal((child.returncode, child.stderr), (1, b"ufmsyncctl: not all could be written to standard output\n"),
                 "a full disk")
    reader, writer = os.pipe()
    child = subprocess.Popen(tool.argv("pkey", "5"), stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE,
                             env=tool.environment)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    expect_equal((child.wait(60), child.stderr.read()), (1, b""), "a reader that left")
    child.stderr.close()
