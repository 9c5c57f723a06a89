"""A scenario's world without UFM: real OpenSM on a simulated fabric of its own, and ufmsyncd with its backend for it.
Everything else is tests/e2e/world.py's."""
import http.server
import json
import os
import re
import subprocess
import threading

import fabric as fabrics
from servers import eventually, free_port
from world import RECORD_KEY, World

BEGIN = "# BEGIN ufmsync: written by ufmsyncd; what is changed between these two lines is lost\n"
END = "# END ufmsync\n"
HEADER = re.compile(r"ufmsync_[0-9a-f]{4}=0x([0-9a-f]{4})(,ipoib)?(,indx0)? :")
MEMBER = re.compile(r"0x([0-9a-f]{16})=(full|limited)( ;|,)")
CANARIES = (0x7ffc, 0x7ffd)


class Block:
    """Our part of a partition file: {pkey: {guid: membership}} in the order of the file, and what stands around it."""

    def __init__(self, text):
        self.before, begin, rest = text.partition(BEGIN)
        inside, end, self.after = rest.partition(END)
        if begin and not end:
            raise fabrics.Failed("no end of our part: " + text)
        self.partitions, self.flags, pkey = {}, {}, None
        for line in inside.splitlines():
            header, member = HEADER.fullmatch(line), MEMBER.fullmatch(line)
            if header:
                pkey = int(header.group(1), 16)
                self.partitions[pkey] = {}
                self.flags[pkey] = (header.group(2) or "") + (header.group(3) or "")
            elif member and pkey is not None:
                self.partitions[pkey][member.group(1)] = member.group(2)
            else:
                raise fabrics.Failed("not as we write it: %r in %s" % (line, text))

    def text(self):
        out = [self.before, BEGIN]
        for pkey, members in self.partitions.items():
            if members:
                out.append("ufmsync_%04x=0x%04x%s :\n" % (pkey, pkey, self.flags.get(pkey, ",ipoib")))
                out.append(",\n".join("0x%s=%s" % item for item in sorted(members.items())) + " ;\n")
        return "".join(out + [END, self.after])


class Control(http.server.ThreadingHTTPServer):
    """Answers as mock-ufm's control endpoint does when it is asked who is in which partition."""
    daemon_threads = True

    def __init__(self, block):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                partitions = [{"pkey": hex(pkey), "members": [{"guid": guid, "membership": level, "index0": False}
                                                              for guid, level in members.items()]}
                              for pkey, members in block().partitions.items() if pkey not in CANARIES]
                body = json.dumps({"partitions": partitions}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass
        super().__init__(("127.0.0.1", 0), Answer)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class OpensmStand:
    """What scenarios call world.ufm: whoever else changes the members, and the end of it all."""

    def __init__(self, fabric):
        self.fabric, self.control = fabric, Control(self.block)

    def block(self):
        with open(self.fabric.partitions) as f:
            return Block(f.read())

    def change(self, change):
        block = self.block()
        change(block.partitions)
        self.fabric.write(block.text())
        if self.fabric.opensm:
            self.fabric.reload()

    def add(self, pkey, *guids, membership="full"):
        self.change(lambda partitions: partitions.setdefault(int(pkey, 16), {}).update(
            {guid.replace("0x", ""): membership for guid in guids}))

    def forget(self, pkey, *guids):
        def remove(partitions):
            for guid in guids:
                partitions.get(int(pkey, 16), {}).pop(guid.replace("0x", ""), None)
        self.change(remove)

    def end(self):
        self.control.shutdown()
        self.control.server_close()
        self.fabric.close()


class OpensmWorld(World):
    HOSTS = 6
    SM_KEY = "0x73917391cafe"
    asan = False  # ufmsyncd is built with it
    tools = None  # where the programs of these tests are

    @property
    def fabric(self):
        return self.start_ufm().fabric

    def start_ufm(self, **more):
        if self.ufm is None:
            self.ufm = OpensmStand(fabrics.Fabric(self.HOSTS, sa_key=self.SM_KEY, **more))
            # The shim keeps files in the folder where its program runs.
            self.wrapper = ["env", "-C", os.path.join(self.fabric.folder, "clients")] + self.wrapper
        return self.ufm

    def settings(self, **more):
        fabric = self.fabric
        settings = {
            "DAEMON_SM_PLUGIN": "opensm", "OPENSM_PARTITIONS_FILE": fabric.partitions,
            "OPENSM_RELOAD": "pidfile:" + os.path.join(fabric.folder, "opensm.pid"), "OPENSM_LOG": fabric.log,
            "OPENSM_SM_KEY": self.SM_KEY, "UFMSYNC_LEASE_DURATION": "4s", "UFMSYNC_LEASE_RENEW_DEADLINE": "3s",
            "UFMSYNC_LEASE_RETRY": "200ms", "UFMSYNC_GUID_REST": "1s", "UFMSYNC_GUID_REST_UNSURE": "3s",
            "UFMSYNC_ORPHAN_GRACE": "1s", "UFMSYNC_AUDIT_INTERVAL": "1s", "UFMSYNC_RECORD_KEY": RECORD_KEY,
            "GUID_POOL_RANGE_START": "02:00:00:00:00:00:00:00", "GUID_POOL_RANGE_END": "02:00:00:00:00:00:ff:ff",
            "UFMSYNC_HEALTH_LISTEN": "127.0.0.1:%d" % free_port(), "KUBECONFIG": self.kube.kubeconfig,
            "POD_NAMESPACE": self.ns("ufmsync"), "POD_UID": "uid-1", "K8S_NODE": "node1", "UFMSYNC_LOG_LEVEL": "debug",
        }
        if fabric.opensm:
            fabric.pidfile_way()
        shim = fabric.environment(more.pop("host", 1))
        settings.update({name: shim[name] for name in ("LD_PRELOAD", "SIM_HOST", "IBSIM_SOCKNAME")})
        settings.update(more)
        if self.asan:
            # Its library must come first.  The shim reads behind the end of its own buffers, with library calls alone.
            settings["LD_PRELOAD"] = " ".join(filter(None, (asan_library(), settings["LD_PRELOAD"])))
            settings["ASAN_OPTIONS"] = "replace_intrin=0:detect_leaks=1"
        return settings

    def members(self, pkey=None):
        """As the file says: {(pkey, guid): {"membership", "index0"}}."""
        block = self.ufm.block()
        found = {(key, guid): {"membership": level, "index0": level == "full" and "indx0" in block.flags[key]}
                 for key, members in block.partitions.items() if key not in CANARIES for guid, level in members.items()}
        if pkey is not None:
            return {guid: value for (key, guid), value in found.items() if key == pkey}
        return found

    # --- the ports themselves, from outside ---

    def table(self, host):
        """{pkey: full} of a host's port, without the default partition and the canaries."""
        found = self.fabric.pkeys(self.fabric.lids()[fabrics.guid_of_host(host)])
        return {pkey: full for pkey, full in found.items() if pkey != 0x7fff and pkey not in CANARIES}

    def port_shows(self, host, wanted, timeout=15):
        def shows():
            try:
                return self.table(host) == wanted
            except (KeyError, fabrics.Failed):
                return False  # nobody can ask it
        eventually("host %d's port shows %s" % (host, wanted), shows, timeout)


def asan_library():
    return subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()


def guid_text(host):
    """A host's port GUID, as pods ask for it."""
    digits = "%016x" % fabrics.guid_of_host(host)
    return ":".join(digits[i:i + 2] for i in range(0, 16, 2))


# Pods may ask for the ports of the fabric.
PORTS = {"GUID_POOL_RANGE_START": "00:02:c9:03:00:00:00:00", "GUID_POOL_RANGE_END": "00:02:c9:03:00:00:ff:ff"}
