#!/usr/bin/env python3
"""ufmsyncd with OpenSM in the place of UFM: the scenarios of this folder, and those of tests/e2e that say nothing of UFM.

usage: tests/opensm/test_service.py --binaries build/bin [--asan --tools build/tests] [--jobs N] [--only TEXT] [--list] [--keep]
                                    [--produced FILE]
"""
import argparse
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import sys
import tempfile
import time
import traceback

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, os.pardir, "e2e")]

import produced  # noqa: E402
import scenario  # noqa: E402
import scenarios  # noqa: E402
import service_scenarios  # noqa: E402
from play import FAILED, PASSED, SKIPPED, play  # noqa: E402
from servers import MockKube  # noqa: E402
from service_world import OpensmWorld  # noqa: E402
from world import RECORD_KEY  # noqa: E402

SECRETS = (MockKube.TOKEN, RECORD_KEY.rstrip("="), OpensmWorld.SM_KEY.replace("0x", ""))

# Of tests/e2e: those that do not speak of UFM, in the modules that are about pods and their partitions.
MODULES = ("annotations", "apiserver", "attach", "drop_in", "faults", "guids", "networks", "orphans", "pods", "restarts")
OF_UFM = re.compile(r"world\.ufm\.(?!add\b|forget\b)|MockUfm|\bUFM_(?!PKEY_RANGE|TIMEOUT)")
NOT_HERE = {
    "annotations.limited_partition_is_joined_besides": "UFM's index 0",
    "orphans.one_that_comes_back_belongs_to_another_writer": "it comes back before it is known to be gone: there is another",
}


def of_the_main_suite():
    for module in sorted(m.name for m in pkgutil.iter_modules(scenarios.__path__)):
        if module in MODULES:
            importlib.import_module("scenarios." + module)
    for name, function, kinds in scenario.SCENARIOS:
        source = inspect.getsource(function)
        if "mock" in kinds and not OF_UFM.search(source) and "index0" not in source and \
                name not in NOT_HERE and not name.startswith(("faults.ufm_", "faults.database_")):
            yield name, function


def leaked(world):
    for folder, _, names in os.walk(world.folder):
        for name in names:
            if name.startswith(("ufmsyncd.", "plugin.", "delegate.")):
                with open(os.path.join(folder, name), errors="replace") as f:
                    text = f.read()
                yield from ("%s shows %s..." % (name, secret[:8]) for secret in list(SECRETS) + world.secrets if secret in text)


def run_one(name, function, kube, options):
    """Its verdict."""
    folder = tempfile.mkdtemp(prefix="ufmsync-service-")
    world = OpensmWorld(kube, options.binaries, folder)
    begin, problem, skipped = time.monotonic(), None, None
    try:
        function(world)
    except scenario.Skip as reason:
        skipped = str(reason)
    except Exception:
        problem = traceback.format_exc(limit=-6)
    text = ""
    if problem and world.ufm:
        with open(world.fabric.partitions) as f:
            text = f.read()
    try:
        world.close()
    except Exception:
        problem = problem or traceback.format_exc(limit=-6)
    if options.produced:
        produced.add(options.produced, produced.of_folder(folder))
    problem = problem or "; ".join(leaked(world))
    print("%s %s (%.1f s)%s" % ("FAILED" if problem else "skip  " if skipped else "ok    ", name, time.monotonic() - begin,
                                ": " + skipped if skipped and not problem else ""), flush=True)
    if problem:
        print(problem, text, sep="\n", flush=True)
        for daemon in world.daemons:
            print("--- end of %s\n%s" % (daemon.log, daemon.process.output()[-4000:]), flush=True)
        print("files are in " + folder, flush=True)
    elif not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return FAILED if problem else SKIPPED if skipped else PASSED


def work(some, verdict, options):
    folder = tempfile.mkdtemp(prefix="ufmsync-kube-")
    kube = MockKube(options.binaries, folder)
    try:
        for name, function in some:
            verdict(run_one(name, function, kube, options))
    finally:
        kube.end()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--asan", action="store_true", help="they are built with AddressSanitizer")
    parser.add_argument("--tools", help="where the tests' own programs are, built without (default: tests beside the binaries)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--produced", default=produced.FILE, help="a file to note log ids, Events and metrics in")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.binaries = os.path.abspath(options.binaries)
    options.produced = options.produced and os.path.abspath(options.produced)
    OpensmWorld.asan = options.asan
    OpensmWorld.tools = os.path.abspath(options.tools or os.path.join(options.binaries, os.pardir, "tests"))
    wanted = [("opensm." + one.__name__, one) for one in service_scenarios.SCENARIOS] + list(of_the_main_suite())
    wanted = [one for one in wanted if options.only in one[0]]
    if options.list:
        print("\n".join(name for name, _ in wanted))
        return 0
    if not wanted:
        print("no scenario is named like '%s'" % options.only, file=sys.stderr)
        return 2
    return play(wanted, options.jobs, lambda some, verdict: work(some, verdict, options))


if __name__ == "__main__":
    sys.exit(main())
