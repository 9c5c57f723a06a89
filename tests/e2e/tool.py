"""ufmsyncctl as an operator runs it: words in, exit code and both outputs out."""
import os
import re
import subprocess
import threading

SECRETS = ("UFMSYNC_RECORD_KEY",)
SERVICE_ONLY = ("UFMSYNC_LISTEN", "UFMSYNC_TLS_CERT", "UFMSYNC_TLS_KEY", "UFMSYNC_HEALTH_LISTEN", "POD_UID", "K8S_NODE",
                "UFMSYNC_LOG_LEVEL")
AGE = re.compile(r"\b(\d+[smhd])+\b")


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return "exit code %d\n--- out\n%s--- err\n%s" % (self.code, self.out, self.err)

    def rows(self):
        """The table's rows as lists of words, without the titles; two blanks part the cells."""
        return [re.split(r"  +", line.strip()) for line in self.out.splitlines()[1:]]


class Tool:
    """`way`: the flags that say how it reaches things."""
    lock = threading.Lock()

    def __init__(self, world, way=(), **environment):
        self.world, self.way = world, list(way)
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": world.folder, "LC_ALL": "C.UTF-8",
                            "KUBECONFIG": world.kube.kubeconfig}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.environment.update({name: str(value) for name, value in environment.items() if value is not None})

    def run(self, *words, timeout=60, **environment):
        argv = self.world.wrapper + [os.path.join(self.world.binaries, "ufmsyncctl")] + list(words) + self.way
        child = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                               env=dict(self.environment, **environment))
        result = Result(child.returncode, child.stdout.decode(), child.stderr.decode())
        with Tool.lock, open(os.path.join(self.world.folder, "ufmsyncctl.shown"), "a") as f:
            f.write("%s\n%s\n" % (" ".join(words), result))
        return result


def direct(world, **more):
    """--direct with the service's settings, as far as an operator has them."""
    settings = world.settings(**dict({name: None for name in SECRETS + SERVICE_ONLY}, **more))
    return Tool(world, ["--direct"], **settings)
