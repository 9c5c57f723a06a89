"""A fabric of its own: ibsim plays the nodes, real OpenSM manages them.  No root, no hardware; everything lives in one
folder and ends with close()."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SHIM = "/usr/lib/%s/umad2sim/libumad2sim.so"
DEFAULT = "Default=0x7fff,ipoib : ALL=limited, SELF=full ;\n"
READY_S, RELOAD_S = 10, 10


class Failed(Exception):
    pass


def shim():
    triplet = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    return SHIM % triplet


def guid_of_host(i):
    """The port GUID of host i: ibsim makes it the node's GUID and the port's number."""
    return 0x0002c90300000000 + (i << 4) + 1


def topology(hosts, per_leaf=16):
    """Text of a network: hosts on leaves, leaves on one spine."""
    leaves = (hosts + per_leaf - 1) // per_leaf
    out = []
    for i in range(1, hosts + 1):
        leaf, port = (i - 1) // per_leaf + 1, (i - 1) % per_leaf + 1
        out.append('caguid=0x%016x\nCa 1 "H-%04d"\t# "host%04d HCA-1"\n[1](%x) "S-leaf%02d"[%d]\t# lid 0 lmc 0 "leaf%02d" '
                   'lid 0 4xQDR\n' % (guid_of_host(i) - 1, i, i, guid_of_host(i), leaf, port, leaf))
    for leaf in range(1, leaves + 1):
        links = ['[%d] "H-%04d"[1]\t# "host%04d HCA-1" lid 0 4xQDR' % ((i - 1) % per_leaf + 1, i, i)
                 for i in range((leaf - 1) * per_leaf + 1, min(leaf * per_leaf, hosts) + 1)]
        if leaves > 1:
            links.append('[%d] "S-spine"[%d]\t# "spine" lid 0 4xQDR' % (per_leaf + 1, leaf))
        out.append('switchguid=0x%016x\nSwitch %d "S-leaf%02d"\t# "leaf%02d" base port 0 lid 0 lmc 0\n%s\n' % (
            0x0002c90400000000 + leaf, per_leaf + 1, leaf, leaf, "\n".join(links)))
    if leaves > 1:
        out.append('switchguid=0x%016x\nSwitch %d "S-spine"\t# "spine" base port 0 lid 0 lmc 0\n%s\n' % (
            0x0002c90400001000, leaves, "\n".join('[%d] "S-leaf%02d"[%d]\t# "leaf%02d" lid 0 4xQDR' % (
                leaf, leaf, per_leaf + 1, leaf) for leaf in range(1, leaves + 1))))
    return "\n".join(out)


class Fabric:
    def __init__(self, hosts=6, partitions=DEFAULT, sm_host=1, start=True, sa_key=None):
        self.folder = tempfile.mkdtemp(prefix="ufmsync-opensm-")
        self.name = os.path.basename(self.folder)  # ibsim's sockets are named by it: nobody else's
        self.hosts, self.sm_host = hosts, sm_host
        self.partitions = os.path.join(self.folder, "conf", "partitions.conf")
        self.log = os.path.join(self.folder, "osm.log")
        self.ibsim = self.opensm = self.commands = None
        self.console_port = free_port()
        self.sa_key = sa_key
        for part in ("conf", "cache", "tmp", "clients"):
            os.mkdir(os.path.join(self.folder, part))
        self.write(partitions)
        try:
            self.start_ibsim()
            if start:
                self.start_opensm()
        except BaseException:
            self.close()
            raise

    def environment(self, host):
        return dict(os.environ, IBSIM_SOCKNAME=self.name, SIM_HOST="H-%04d" % host, LD_PRELOAD=shim(),
                    OSM_CACHE_DIR=os.path.join(self.folder, "cache"), OSM_TMP_DIR=os.path.join(self.folder, "tmp"))

    def start_ibsim(self):
        net, out = os.path.join(self.folder, "net"), os.path.join(self.folder, "ibsim.out")
        with open(net, "w") as f:
            f.write(topology(self.hosts))
        # Without -n it takes commands, from a pipe that stays open (at the end of its input it would spin).
        read_end, self.commands = os.pipe()
        with open(out, "w") as f:
            self.ibsim = subprocess.Popen(["ibsim", "-s", net], stdin=read_end, stdout=f, stderr=f,
                                          cwd=self.folder, env=dict(os.environ, IBSIM_SOCKNAME=self.name))
        os.close(read_end)

        def ready():
            if self.ibsim.poll() is not None:
                raise Failed("ibsim ended: " + open(out).read())
            return "Network simulator ready" in open(out).read()
        wait_for("ibsim is ready", ready, READY_S)

    def start_opensm(self):
        before = self.sweeps()
        settings = os.path.join(self.folder, "opensm.conf")
        with open(settings, "w") as f:
            f.write("sa_key %s\n" % self.sa_key if self.sa_key else "")
        with open(os.path.join(self.folder, "osm.out"), "a") as f:
            self.opensm = subprocess.Popen(
                ["opensm", "-F", settings, "-p", "10", "-d", "2", "-q", "loopback", "-C", str(self.console_port), "-P", self.partitions, "-f", self.log, "-g", "0x%x" % guid_of_host(self.sm_host)],
                stdin=subprocess.DEVNULL, stdout=f, stderr=f, cwd=self.folder, env=self.environment(self.sm_host))
        self.wait_sweep(before)
        if os.path.exists(os.path.join(self.folder, "opensm.pid")):
            self.pidfile_way()

    def start_second_opensm(self, host):
        """Another subnet manager, which becomes the standby; the caller ends it."""
        with open(os.path.join(self.folder, "osm2.out"), "a") as f:
            return subprocess.Popen(["opensm", "-d", "2", "-P", self.partitions, "-f", self.log + ".2", "-g", "0x%x" % guid_of_host(host)],
                                    stdin=subprocess.DEVNULL, stdout=f, stderr=f, cwd=self.folder, env=self.environment(host))

    def console(self, command):
        """A command to ibsim: Unlink "H-0003", ReLink ..."""
        os.write(self.commands, (command + "\n").encode())

    def free_slots(self):
        """ibsim has ten slots for clients, and keeps those of killed ones."""
        for client in range(1, 10):
            self.console("X %d" % client)

    def pidfile_way(self):
        path = os.path.join(self.folder, "opensm.pid")
        with open(path, "w") as f:
            f.write("%d\n" % self.opensm.pid)
        return "pidfile:" + path

    def stop_opensm(self):
        if self.opensm and self.opensm.poll() is None:
            self.opensm.send_signal(signal.SIGCONT)
            self.opensm.send_signal(signal.SIGTERM)
            self.opensm.wait(10)
        self.opensm = None

    def close(self):
        self.stop_opensm()
        if self.ibsim and self.ibsim.poll() is None:
            self.ibsim.terminate()
            self.ibsim.wait(10)
        if self.commands is not None:
            os.close(self.commands)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- partitions ---

    def write(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        with open(self.partitions + ".new", "wb") as f:
            f.write(data)
        os.rename(self.partitions + ".new", self.partitions)

    def log_text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def sweeps(self):
        return self.log_text().count("SUBNET UP")

    def refusals(self):
        return self.log_text().count("Partition configuration in error")

    def wait_sweep(self, before):
        def swept():
            if self.opensm.poll() is not None:
                raise Failed("opensm ended: " + open(os.path.join(self.folder, "osm.out")).read()[-2000:])
            return self.sweeps() > before
        wait_for("opensm has swept", swept, RELOAD_S)

    def reload(self):
        """Has OpenSM read the file as it is now; whether it accepted it."""
        before, refused = self.sweeps(), self.refusals()
        self.opensm.send_signal(signal.SIGHUP)
        self.wait_sweep(before)
        return self.refusals() == refused

    def set_pkeys(self, program, lid, *pkeys, block=0):
        """Somebody writes a port's table behind OpenSM's back."""
        self.tool(program, str(lid), str(block), *["%x" % pkey for pkey in pkeys])

    def tool(self, *words, host=None):
        """Runs an InfiniBand tool on a host; its output."""
        done = subprocess.run(["timeout", "10"] + list(words), capture_output=True, text=True,
                              cwd=os.path.join(self.folder, "clients"), env=self.environment(host or self.sm_host))
        if done.returncode != 0:
            raise Failed("%s: %s" % (" ".join(words), done.stderr or done.stdout))
        return done.stdout

    def lids(self):
        """{port GUID: LID}, as OpenSM has given them."""
        found = {}
        with open(os.path.join(self.folder, "cache", "guid2lid")) as f:
            for line in f:
                words = line.split()
                if len(words) >= 2:
                    found[int(words[0], 16)] = int(words[1], 16)
        return found

    def pkeys(self, lid):
        """The P_Key table of a port, as it stands in the port: {pkey: full}."""
        text = self.tool("smpquery", "pkeys", str(lid), "0" if self.is_switch(lid) else "1") if self.is_switch(lid) else \
            self.tool("smpquery", "pkeys", str(lid))
        found = {}
        for word in re.findall(r"0x([0-9a-f]{4})\b", text):
            value = int(word, 16)
            if value & 0x7fff:
                found[value & 0x7fff] = bool(value & 0x8000)
        return found

    def is_switch(self, lid):
        return any(guid >> 32 == 0x0002c904 and number == lid for guid, number in self.lids().items())


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(what, check, seconds):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise Failed("waited %d s in vain: %s" % (seconds, what))
        time.sleep(0.005)
