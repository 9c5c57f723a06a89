#!/usr/bin/env python3
"""README must name every setting with its default, every log id, every metric, every Event's reason and every error code of
the CNI plugin that the sources have.

usage: check_readme.py SOURCE-FOLDER UFMSYNCD
"""
import os
import re
import subprocess
import sys

# A log id stands in the sources as "UPPER_CASE" right behind a level; a reason as the text of an Event.
LOG_ID = re.compile(r'(?:log_say|log_limited)\((?:[^"]*?)"([A-Z][A-Z_]+)"|(?:\?|:|= \{|\] =)\s*"([A-Z]+(?:_[A-Z]+)+)"')
REASON = re.compile(r'"((?:Assigned|Bad|GUID|PKey|Pool|Network|Fabric|Record|Member|Released|Ungated)[A-Za-z]*)"')
METRIC = re.compile(r'"((?:ufmsync|process)_[a-z0-9_]+)(?=[ {"])')
FINDING = re.compile(r'OPENSM_(?:FINE|WARNING|FAILURE),\s*"(OPENSM_[A-Z_]+)"')
CNI_CODE = re.compile(r'^\tCNI_[A-Z_]+ = (\d+),', re.M)


def sources(root, folder="ufmsync"):
    folder = os.path.join(root, folder)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".c"):
            with open(os.path.join(folder, name)) as f:
                yield name, f.read()


def main():
    root, program = sys.argv[1:3]
    with open(os.path.join(root, "README.md")) as f:
        readme = f.read()
    missing = []
    shown = subprocess.run([program, "--print-config", "--daemon-sm-plugin=noop"], env={}, capture_output=True, text=True,
                           check=True).stdout
    settings = 0
    for line in shown.splitlines():
        name, value, *origin = line.split()
        settings += 1
        row = next((r for r in readme.splitlines() if r.startswith("| `%s`" % name)), None)
        if row is None:
            missing.append("setting " + name)
        elif origin == ["default"] and "`%s`" % value not in row:
            missing.append("default %s of %s" % (value, name))
    ids, reasons, metrics = set(), set(), set()
    for name, text in sources(root):
        if name.startswith(("service", "main")):
            ids |= {a or b for a, b in LOG_ID.findall(text)}
        metrics |= set(METRIC.findall(text))
        if name.startswith("engine"):
            reasons |= set(REASON.findall(text))
    for _, text in [*sources(root, "cni/installer"), *sources(root, "ufmsync/setup")]:
        ids |= {a or b for a, b in LOG_ID.findall(text)}
    for name, text in sources(root, "pkey"):
        if name.startswith("opensm"):
            ids |= set(FINDING.findall(text))
    missing += ["log id " + i for i in sorted(ids) if "`%s`" % i not in readme]
    missing += ["metric " + m for m in sorted(metrics) if not re.search(r"\b%s\b" % m, readme)]
    missing += ["reason " + r for r in sorted(reasons) if "`%s`" % r not in readme]
    with open(os.path.join(root, "cni", "plugin", "cni_error.h")) as f:
        codes = CNI_CODE.findall(f.read())
    missing += ["CNI code " + code for code in codes if "\n| %s | " % code not in readme]
    print("%d settings, %d log ids, %d reasons, %d CNI codes, %d metrics" % (
        settings, len(ids), len(reasons), len(codes), len(metrics)))
    if min(settings, len(ids), len(reasons), len(codes), len(metrics)) < 5:
        missing.append("the check itself finds next to nothing")
    for what in missing:
        print("README lacks " + what)
    return 1 if missing else 0


sys.exit(main())
