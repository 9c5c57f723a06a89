#!/usr/bin/env python3
"""What README's tables name and what the tests made the real programs write are the same: each log id, each reason of an
Event, each metric.

usage: check_produced.py SOURCE-FOLDER PRODUCED...

PRODUCED: files that tests/e2e/run, tests/opensm and tests/unit/cni/installer wrote with TESTS_PRODUCED=FILE; tests/run does all
of it.
"""
import os
import re
import sys

NAME = {"log": r"[A-Z][A-Z0-9_]+", "event": r"[A-Z][A-Za-z]+", "metric": r"(?:ufmsync|process)_[a-z0-9_]+"}
TITLE = {"log": "Log ids", "event": "Events", "metric": "Metrics"}


def sections(readme):
    """{title: [(number of the line, line)]}"""
    found, title = {}, ""
    for number, line in enumerate(readme.splitlines(), 1):
        if line.startswith("## "):
            title = line[3:]
        found.setdefault(title, []).append((number, line))
    return found


def documented(readme):
    """{(kind, name): line}: ids and reasons stand in the first column of their tables; metrics anywhere in their section."""
    found = {}
    for kind, title in TITLE.items():
        for number, line in sections(readme)[title]:
            if kind != "metric":
                line = line.split(" | ")[0] if line.startswith("| `") else ""
            for name in re.findall(r"`(%s)`" % NAME[kind] if kind != "metric" else r"\b(%s)\b" % NAME[kind], line):
                found.setdefault((kind, name), number)
    return found


def main():
    root, *files = sys.argv[1:]
    with open(os.path.join(root, "README.md")) as f:
        known = documented(f.read())
    produced = set()
    for path in files:
        with open(path) as f:
            produced |= {tuple(line.split()) for line in f}
    problems = ["README.md:%d: no test produced the %s %s" % (line, *one)
                for one, line in sorted(known.items(), key=lambda item: item[1]) if one not in produced]
    problems += ["a test produced the %s %s, which README.md does not name" % one for one in sorted(produced - set(known))]
    for kind in TITLE:
        names = [name for k, name in known if k == kind]
        print("%d of %s, %d produced" % (len(names), TITLE[kind], sum((kind, name) in produced for name in names)))
        if len(names) < 5:
            problems.append("the check itself finds next to nothing of %s" % TITLE[kind])
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
