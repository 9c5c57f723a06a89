#!/usr/bin/env python3
"""tests/e2e/produced.py and check_produced.py: what they find, and that they can fail.  Usage: test_produced.py SOURCE-FOLDER"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, *[os.pardir] * 2))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests/e2e")]

import check_produced  # noqa: E402
import produced  # noqa: E402

METRICS = """# HELP a_seconds How long.
# TYPE a_seconds histogram
a_seconds_bucket{le="1"} 0
a_seconds_bucket{le="+Inf"} 1
a_seconds_sum 2.5
a_seconds_count 1
# TYPE told_only_total counter
# TYPE b_total counter
b_total{outcome="failed, or \\"so\\""} 3
# TYPE c_count gauge
c_count 1
"""


class Finds(unittest.TestCase):
    def test_metrics_that_have_a_sample(self):
        self.assertEqual(set(produced.of_metrics(METRICS)),
                         {("metric", "a_seconds"), ("metric", "b_total"), ("metric", "c_count")})

    def test_ids_of_log_lines_whatever_is_between_them(self):
        text = '{"id":"STARTED","message":"x"}\n==1== valgrind\n[1]\n7\n{"id":"CUT_O\n{"message":"none"}\n{"id":"STOPPED"}\n'
        self.assertEqual(set(produced.of_log(text)), {("log", "STARTED"), ("log", "STOPPED")})

    def test_events_of_ours_alone(self):
        items = [{"reason": "Member", "reportingController": "ufmsync.io/ufmsyncd"}, {"reason": "Killing"},
                 {"reason": "Pulled", "reportingController": "kubelet"}]
        self.assertEqual(set(produced.of_events(items)), {("event", "Member")})

    def test_a_scenarios_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            shown = [{"items": [{"reason": "Member", "reportingController": "ufmsync.io/ufmsyncd"}]}, ["argv"], METRICS]
            for name, text in (("ufmsyncd.1.log", '{"id":"STARTED"}\n'), ("ufmsyncd.shown", json.dumps(shown)),
                               ("plugin.log", '{"id":"NOT_OURS"}\n')):
                with open(os.path.join(folder, name), "w") as f:
                    f.write(text)
            found = set(produced.of_folder(folder))
        self.assertLess({("log", "STARTED"), ("event", "Member"), ("metric", "b_total")}, found)
        self.assertNotIn(("log", "NOT_OURS"), found)

    def test_what_is_noted_twice_stands_there_once(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "produced")
            produced.add(path, {("log", "A"), ("log", "B")})
            produced.add(path, {("log", "B"), ("event", "C")})
            with open(path) as f:
                self.assertEqual(sorted(f.read().splitlines()), ["event C", "log A", "log B"])


class Compares(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(ROOT, "README.md")) as f:
            cls.known = set(check_produced.documented(f.read()))

    def check(self, found):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "produced")
            produced.add(path, found)
            done = subprocess.run([sys.executable, os.path.join(HERE, "check_produced.py"), ROOT, path],
                                  capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_readme_is_read(self):
        for one in (("log", "STARTED"), ("log", "OPENSM_DRIFT_OVER"), ("log", "STANDING_BACK"), ("event", "BadPKey"),
                    ("metric", "ufmsync_leader"), ("metric", "ufmsync_attachment_member_seconds")):
            self.assertIn(one, self.known)
        for one in (("log", "UFMSYNC_TLS_CERT"), ("log", "UFM_ADDRESS")):  # named in other columns
            self.assertNotIn(one, self.known)

    def test_it_fails_in_both_directions(self):
        code, said = self.check(self.known)
        self.assertEqual(code, 0, said)
        code, said = self.check(self.known - {("event", "BadPKey")})
        self.assertEqual((code, "no test produced the event BadPKey" in said), (1, True), said)
        code, said = self.check(self.known | {("log", "NEVER_WRITTEN_DOWN")})
        self.assertEqual((code, "the log NEVER_WRITTEN_DOWN, which README.md does not name" in said), (1, True), said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
