#!/usr/bin/env python3
"""The man pages forget no command, flag, setting, field or error code, name none that is not there, and render without a
warning.

usage: check_manual.py SOURCE-FOLDER FOLDER-OF-PROGRAMS FOLDER-OF-PAGES
"""
import os
import re
import shutil
import subprocess
import sys

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
VARIABLE = re.compile(r"\b(?:UFMSYNC_(?:CNI|SETUP)_[A-Z_]+|NODE_NAME|POD_NAMESPACE|KUBECONFIG)\b")
NOT_OURS = {"--audience"}  # kubectl's, in an example


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


class Page:
    """A page as its reader sees it, but for the breaks of lines."""

    def __init__(self, folder, name):
        self.name, self.path = name, os.path.join(folder, name)
        lines = [line for line in read(self.path).splitlines() if not re.match(r"\.(?!TH|SH)|\\\"", line)]
        text = re.sub(r"\\f[BIRP]|\\f\[[BIR]\]|\\&", "", "\n".join(lines))
        text = text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\").replace("\\~", " ")
        self.lines = text.splitlines()
        self.text = " ".join(text.split())

    def lacks(self, things):
        """Those of `things` (texts of several words too) that do not stand in it as a word of their own."""
        return ["%s lacks %s" % (self.name, thing) for thing in things
                if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(" ".join(thing.split())), self.text)]

    def section(self, title):
        begin = next(i for i, line in enumerate(self.lines) if line == ".SH " + title)
        end = next((i for i in range(begin + 1, len(self.lines)) if self.lines[i].startswith(".SH ")), len(self.lines))
        return [line for line in self.lines[begin + 1:end] if line]


def says(programs, *argv):
    """What a program says to --help and the like."""
    return subprocess.run([os.path.join(programs, argv[0]), *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True, env={"PATH": os.environ["PATH"]}).stdout


def not_there(page, known):
    return ["%s names %s, which is not there" % (page.name, flag) for flag in sorted(set(FLAG.findall(page.text)) - known)]


# --- the pages ---------------------------------------------------------------------------------------------------------

def check_service(programs, folder):
    shown = says(programs, "ufmsyncd", "--help")
    flags = set(FLAG.findall(shown))
    page, settings = Page(folder, "ufmsyncd.8"), Page(folder, "ufmsyncd-settings.7")
    names = [line.split()[0] for line in says(programs, "ufmsyncd", "--print-config", "--daemon-sm-plugin=noop").splitlines()]
    # What --help says of each setting: its text, what is accepted, the default.
    table = settings.section("SETTINGS")
    problems = page.lacks(["--print-config", "--dry-run", "--help", "--version", "0", "1", "2", "4"]) + not_there(page, flags)
    problems += ["%s lacks %s" % (settings.name, name) for name in names if not any(line.split()[0] == name for line in table)]
    for line in says(programs, "ufmsyncd", "--print-config", "--daemon-sm-plugin=noop").splitlines():
        name, value, *origin = line.split()
        if origin == ["default"] and value not in settings.text:
            problems.append("%s lacks the default %s of %s" % (settings.name, value, name))
    return problems + not_there(settings, flags | {"--direct"}), len(names)


def check_tool(root, programs, folder):
    page, found, readme = Page(folder, "ufmsyncctl.1"), 0, read(root, "README.md").partition("\n## The operator's tool\n")[2]
    shown = says(programs, "ufmsyncctl", "--help")
    commands = re.findall(r"^  ([a-z]+) ", shown.partition("Commands:\n")[2].partition("\n\n")[0], re.M)
    codes = re.findall(r"\b(\d+) ", shown.partition("Exit codes:")[2])
    known = set(FLAG.findall(shown))
    table = [line.split()[0] for line in page.section("COMMANDS")]
    problems = ["%s lacks the command %s" % (page.name, command) for command in commands if command not in table]
    problems += ["README lacks the command " + command for command in commands
                 if not re.search(r"^\| .*`%s[ `].* \|" % command, readme, re.M)]
    problems += page.lacks(sorted(known))
    problems += ["%s lacks the exit code %s" % (page.name, code) for code in codes if code not in page.section("EXIT STATUS")]
    for command in commands:
        text = says(programs, "ufmsyncctl", command, "--help")
        usage, _, description = text.partition("\n\n")[2].partition("\n\n")
        own = description.partition("Flags of %s:\n" % command)[2].partition("\n\n")[0]
        problems += page.lacks([usage.removeprefix("usage: ufmsyncctl ").removesuffix("[FLAG ...]").strip(),
                                description.partition("\n\n")[0].strip().rstrip(".")])
        problems += page.lacks(re.sub(r"\s+", " ", line) for line in re.findall(r"^ +(--.*)$", own, re.M))
        known |= set(FLAG.findall(text))
        found += 1
    return problems + not_there(page, known | NOT_OURS), found


def check_plugin(root, programs, folder):
    page = Page(folder, "ufmsync-cni.8")
    shown = says(programs, "ufmsync-cni", "--help")
    versions = re.search(r"CNI versions: (.*)", shown).group(1).split()
    fields = re.findall(r'"(\w+)"', re.search(r"ours\[\] = \{(.*?)NULL", read(root, "cni/plugin/netconf.c"), re.S).group(1))
    keys = re.findall(r'^\t\{ "(\w+)", (?:true|false), take_', read(root, "cni/plugin/node_file.c"), re.M)
    codes = re.findall(r"^\tCNI_[A-Z_]+ = (\d+),", read(root, "cni/plugin/cni_error.h"), re.M)
    problems = page.lacks(versions + re.findall(r"\bUFMSYNC_\w+|/etc/\S+(?<!\))", shown) + ["--help", "--version"])
    for title, wanted in (("NETWORK CONFIGURATION", fields), ("NODE FILE", keys), ("ERRORS", codes)):
        there = page.section(title)
        problems += ["%s lacks %s in %s" % (page.name, one, title) for one in wanted if one not in there]
        dead = [line for line in there if re.fullmatch(r"\d+|[a-z]+[A-Za-z]*", line) and line not in wanted]
        problems += ["%s names %s in %s, which is not there" % (page.name, one, title) for one in dead]
    return problems + not_there(page, {"--help", "--version"}), min(len(fields), len(keys), len(codes))


def check_options(programs, folder, program):
    page = Page(folder, program + ".8")
    shown = says(programs, program, "--help")
    flags, variables = set(FLAG.findall(shown)), set(VARIABLE.findall(shown))
    problems = page.lacks(sorted(flags | variables)) + not_there(page, flags | {"--flag"})
    problems += ["%s names %s, which is not there" % (page.name, name)
                 for name in sorted(set(VARIABLE.findall(page.text)) - variables)]
    for flag, default in re.findall(r"^  (--\S+) .*\n.*; default (\S+)$", shown, re.M):
        row = page.text.partition(" %s (" % flag)[2]
        if not re.search(r"^[^)]*\).*?Default: %s\." % re.escape(default), row):
            problems.append("%s lacks the default %s of %s" % (page.name, default, flag))
    return problems, len(variables)


def check_rendering(folder, pages):
    man = shutil.which("man")
    if not man or "man " not in subprocess.run([man, "--version"], capture_output=True, text=True).stdout:
        print("man-db is not installed: rendering is not checked")
        return []
    problems = []
    for name in pages:
        done = subprocess.run([man, "--warnings", "-l", os.path.join(folder, name)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, env=dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8"))
        if done.returncode or done.stderr or len(done.stdout) < 1000:
            problems.append("%s: %d: %s" % (name, done.returncode, done.stderr))
    return problems


def main():
    root, programs, folder = sys.argv[1:4]
    problems, counts = [], []
    for found, count in (check_service(programs, folder), check_tool(root, programs, folder), check_plugin(root, programs, folder),
                         check_options(programs, folder, "ufmsync-cni-install"),
                         check_options(programs, folder, "ufmsync-setup")):
        problems += found
        counts.append(count)
    pages = sorted(name for name in os.listdir(folder) if re.search(r"\.[1-8]$", name))
    problems += check_rendering(folder, pages)
    print("%d pages; %d settings, %d commands, at least %d fields or codes, %d options of the installer, %d of the setup" % (
        len(pages), *counts))
    if min(counts) < 4 or len(pages) != 6:
        problems.append("the check itself finds next to nothing")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
