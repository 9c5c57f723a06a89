"""What runs of the real programs wrote: ids of log lines, reasons of Events, names of metrics.  One "kind name" a line in a
file, which tests/layers/check_produced.py compares with README's tables."""
import fcntl
import json
import os
import re

FILE = os.environ.get("TESTS_PRODUCED")  # of tests/run, where nothing else is said
SAMPLE = re.compile(r"([a-z][a-z0-9_]*)(?:\{.*\})? \S+")
TYPE = re.compile(r"# TYPE (\S+) (\S+)")
PARTS = re.compile(r"_(?:bucket|sum|count)$")


def of_log(text):
    """Ids of JSON log lines; whatever else is between them is not ours."""
    for line in text.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and message.get("id"):
            yield "log", message["id"]


def of_metrics(text):
    """Names of metrics that have a sample: one that is only described was not produced."""
    histograms = set()
    for line in text.splitlines():
        described, sample = TYPE.fullmatch(line), SAMPLE.fullmatch(line)
        if described and described.group(2) == "histogram":
            histograms.add(described.group(1))
        elif sample:
            name, whole = sample.group(1), PARTS.sub("", sample.group(1))
            yield "metric", whole if whole in histograms else name


def of_events(items):
    """Reasons of the Events that an API server keeps."""
    for event in items:
        if event.get("reportingController", "").startswith("ufmsync"):
            yield "event", event["reason"]


def add(path, found):
    """What is new is appended to the file; several processes may do so at a time."""
    with open(path, "a+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.seek(0)
        known = set(f.read().splitlines())
        for line in sorted({"%s %s" % one for one in found} - known):
            f.write(line + "\n")


def of_folder(folder):
    """Of a scenario's folder: logs of its daemons and installers, and what world.note_what_is_shown() kept."""
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(where, name)
            if name == "ufmsyncd.shown":
                yield from of_shown(path)
            elif name.endswith(".log") and name.startswith(("ufmsyncd.", "installer.")):
                with open(path, errors="replace") as f:
                    yield from of_log(f.read())


def of_shown(path):
    with open(path) as f:
        for one in json.load(f):
            if isinstance(one, str):
                yield from of_metrics(one)
            elif isinstance(one, dict):
                yield from of_events(one.get("items", []))
