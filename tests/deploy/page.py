"""The commands of deploy/README.md, as an operator copies them."""

import os
import re
import shlex

from manifests import ROOT


def section(title, page="deploy/README.md"):
    with open(os.path.join(ROOT, page)) as f:
        text = f.read()
    return re.split(r"(?m)^## ", text.partition("\n## %s\n" % title)[2])[0]


def part(title, step):
    """Of a section: a step by its number ("**3. ..."), or what stands under a heading of its own."""
    text = section(title)
    if isinstance(step, int):
        found = re.search(r"(?ms)^\*\*%d\. (.*?)(?=^\*\*\d|^###|\Z)" % step, text)
    else:
        found = re.search(r"(?ms)^### %s\n(.*?)(?=^###|\Z)" % re.escape(step), text)
    assert found, "%s has no %s" % (title, step)
    return found.group(1)


def commands(title, step):
    """[words] of each line of its blocks; a backslash at the end goes on in the next."""
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```$", part(title, step))
    return [shlex.split(line, comments=True) for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]
