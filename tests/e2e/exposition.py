"""Reading /metrics as Prometheus does, and more strictly."""
import functools
import os
import re
import subprocess

from scenario import expect, expect_equal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLE = re.compile(r'([a-z_]+(?:\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})?) (\S+)')


@functools.lru_cache
def promtool():
    return subprocess.run([os.path.join(ROOT, "tests/debian-tool"), "prometheus", "promtool"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def lint(text):
    done = subprocess.run([promtool(), "check", "metrics"], input=text, text=True, capture_output=True)
    expect(done.returncode == 0 and not done.stderr, "promtool: " + done.stderr[-2000:])


def parse(text):
    """{series: value}; no series comes twice, and what Prometheus would take as a label is one of ours."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line)
        expect(sample, "no sample: %r" % line)
        expect(sample.group(1) not in found, "twice: " + line)
        found[sample.group(1)] = float(sample.group(2))
    return found


def check_histograms(series):
    """Buckets never fall, the last one is the count."""
    last = {}
    for name, value in series.items():
        bucket = re.fullmatch(r'(\w+)_bucket\{(.*,|)le="([^"]*)"\}', name)
        if not bucket:
            continue
        family, labels, bound = bucket.group(1), bucket.group(2).rstrip(","), bucket.group(3)
        expect(value >= last.get((family, labels), 0), "%s is less than the bucket before it" % name)
        last[family, labels] = value
        if bound == "+Inf":
            count = family + "_count" + ("{%s}" % labels if labels else "")
            expect_equal(series[count], value, count)
    expect(len(last) > 10, "histograms were found")


def scrape(daemon):
    """What a scrape gives, after all checks that hold at any time."""
    status, body = daemon.get("/metrics")[:2]
    expect_equal(status, 200, "/metrics")
    text = body.decode()
    lint(text)
    series = parse(text)
    check_histograms(series)
    return series


def total(series, name, **labels):
    """The sum over all samples of that name that have these labels."""
    wanted = ['%s="%s"' % one for one in labels.items()]
    return sum(value for sample, value in series.items()
               if sample.partition("{")[0] == name and all(one in sample for one in wanted))
