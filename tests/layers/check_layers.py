#!/usr/bin/env python3
"""Reads every #include and every target_link_libraries() of the product's folders and reports each arrow that the
layering does not allow.

    check_layers.py ROOT             exit 1 and one line an arrow when there is any
    check_layers.py --planted ROOT   plants one bad arrow after the other into a copy: each must be reported
"""

import fnmatch
import re
import shutil
import sys
import tempfile
from pathlib import Path

# What each layer may include and link, besides itself:
#   base, guid <- base/net, secrets <- pkey, ufmsync/kube <- cni/webhook <- ufmsync <- ufmsync/ctl, ufmsync/setup
#   base, guid <- cni/plugin, cni/installer
# The value of a PKey is to partitions what guid/ is to ports: pure, and named by network definitions too. It is a
# layer of its own, so that pkey and ufmsync/kube need not know each other.
VALUE = "pkey/pkey"
GROUND = {"base", "guid"}
EDGE = GROUND | {"base/net", "secrets", VALUE}
ALLOWED = {
    "base": set(),
    "guid": {"base"},
    VALUE: {"base"},
    "base/net": {"base"},
    "secrets": GROUND,
    "pkey": EDGE,
    "ufmsync/kube": EDGE,
    "cni/webhook": EDGE | {"pkey", "ufmsync/kube"},
    "ufmsync": EDGE | {"pkey", "ufmsync/kube", "cni/webhook"},
    "ufmsync/ctl": EDGE | {"pkey", "ufmsync/kube", "cni/webhook", "ufmsync"},
    "ufmsync/setup": EDGE | {"ufmsync/kube", "ufmsync"},
    "cni/plugin": GROUND,
    "cni/installer": GROUND,
}
VALUE_FILES = ("pkey/pkey.c", "pkey/pkey.h")
VALUE_LIBRARY = "ufmsync_pkey_value"
TOP = ("base", "guid", "secrets", "pkey", "ufmsync", "cni")

# Foreign headers and the only files that may include them.
FOREIGN = [
    ("infiniband/*", ["pkey/umad*.c"]),
    ("uv.h", ["base/net/*"]),
    ("curl/*", ["base/net/*"]),
    ("microhttpd.h", ["base/net/*"]),
    ("gnutls/*", ["base/net/*"]),
    # pkey/ufm_access.c and ufmsync/kube/client.c for the base64 of Basic authentication.
    ("openssl/*", ["base/net/*", "secrets/*", "ufmsync/record*", "cni/plugin/*", "pkey/ufm_access.c",
                   "ufmsync/kube/client.c", "ufmsync/kube/access.c", "ufmsync/setup/certificate*.c",
                   "ufmsync/setup/base64.c", "ufmsync/setup/write.c"]),
    ("yaml.h", ["ufmsync/kube/*", "ufmsync/ctl/yaml_out.c"]),
    ("cmocka.h", []),
    ("pthread.h", []),
    ("threads.h", []),
]
# Headers, foreign or ours, and the files that may not include them: what is pure knows no JSON.
FORBIDDEN = [
    ("jansson.h", ["guid/*", "ufmsync/engine*"]),
    ("base/json.h", ["guid/*", "ufmsync/engine*"]),
    ("base/log.h", ["guid/*", "ufmsync/engine*"]),
    ("base/net/*", ["ufmsync/engine*", "ufmsync/what_if*"]),
    ("time.h", ["guid/*", "ufmsync/engine*", "ufmsync/what_if*"]),
    ("sys/time.h", ["guid/*", "ufmsync/engine*", "ufmsync/what_if*"]),
    # What only looks into the future has nothing to write with.
    ("pkey/backend.h", ["ufmsync/what_if*"]),
    ("ufmsync/kube/client.h", ["ufmsync/what_if*"]),
]
# Foreign libraries and the layers that may link them.
LIBRARIES = {
    "PkgConfig::JANSSON": {"base", "base/net", "secrets", "pkey", "ufmsync/kube", "cni/webhook", "ufmsync", "ufmsync/ctl",
                           "ufmsync/setup", "cni/plugin", "cni/installer"},
    "PkgConfig::UV": {"base/net"},
    "PkgConfig::CURL": {"base/net"},
    "PkgConfig::MICROHTTPD": {"base/net"},
    "PkgConfig::GNUTLS": {"base/net"},
    "PkgConfig::OPENSSL": {"base/net", "secrets", "pkey", "ufmsync/kube", "ufmsync", "ufmsync/setup", "cni/plugin"},
    "PkgConfig::YAML": {"ufmsync/kube", "ufmsync/ctl"},
    "PkgConfig::IBUMAD": {"pkey"},
    "PkgConfig::IBNETDISC": {"pkey"},
    "PkgConfig::IBVERBS": {"pkey"},
    "PkgConfig::CMOCKA": set(),
}
# The same, shared or as archives (.cmake/archives.cmake).
LIBRARIES["ufmsync_jansson"] = LIBRARIES["PkgConfig::JANSSON"]
LIBRARIES["ufmsync_openssl"] = LIBRARIES["PkgConfig::OPENSSL"]
KEYWORDS = {"PUBLIC", "PRIVATE", "INTERFACE", "ufmsync_flags"}

# Words that may stand nowhere else: what believes a record that nobody has signed decides nothing.
WORDS = [
    ("record_keys_unverified", ["ufmsync/record.[ch]", "ufmsync/ctl/*"]),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?\b[ \t]*(.*)$', re.M)
COMMAND = re.compile(r'^[ \t]*(add_library|add_executable|target_link_libraries)[ \t]*\(([^)]*)\)', re.M)


def layer_of(path):
    """The layer of a file or folder, by the longest folder of the table above it; None: none of them."""
    if path in VALUE_FILES:
        return VALUE
    parts = path.split("/")
    for n in range(len(parts), 0, -1):
        name = "/".join(parts[:n])
        if name in ALLOWED and name != VALUE:
            return name
    return None


def matches(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def product_files(root, *patterns):
    for top in TOP:
        for pattern in patterns:
            for path in sorted((root / top).rglob(pattern)):
                yield path, path.relative_to(root).as_posix()


def check_arrow(layer, target, what):
    if target is None:
        return [f"{what}: is in no layer that the product knows"]
    if target != layer and target not in ALLOWED[layer]:
        return [f"{what}: {layer} may not know {target}"]
    return []


def check_include(root, name, layer, header, ours):
    what = f'{name}: includes {header}'
    bad = [f"{what}: may not" for pattern, files in FORBIDDEN
           if fnmatch.fnmatch(header, pattern) and matches(name, files)]
    if not ours:
        bad += [f"{what}: only {', '.join(files) or 'tests'} may" for pattern, files in FOREIGN
                if fnmatch.fnmatch(header, pattern) and not matches(name, files)]
        return bad
    if not (root / header).is_file() or ".." in header.split("/"):
        return bad + [f"{what}: is no file named from the top of the tree"]
    return bad + check_arrow(layer, layer_of(header), what)


def check_includes(root):
    bad = []
    for path, name in product_files(root, "*.c", "*.h"):
        layer = layer_of(name)
        if layer is None:
            bad.append(f"{name}: is in no layer that the product knows")
            continue
        for argument in INCLUDE.findall(path.read_text(encoding="utf-8")):
            header = re.match(r'"([^"]+)"|<([^>]+)>', argument)
            if header:
                bad += check_include(root, name, layer, header[1] or header[2], header[1] is not None)
            else:
                bad.append(f"{name}: #include {argument}: cannot be read")
    return bad


def check_words(root):
    return [f"{name}: may not use {word}" for path, name in product_files(root, "*.c", "*.h")
            for word, files in WORDS
            if not matches(name, files) and re.search(rf"\b{word}\b", path.read_text(encoding="utf-8"))]


def cmake_commands(root):
    for path, name in product_files(root, "CMakeLists.txt"):
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        for command, arguments in COMMAND.findall(text):
            yield name, layer_of(name.rpartition("/")[0]), command, arguments.split()


def check_links(root):
    bad = []
    layers = {}
    for name, layer, command, arguments in cmake_commands(root):
        if command != "target_link_libraries":
            layers[arguments[0]] = VALUE if arguments[0] == VALUE_LIBRARY else layer
    for name, _, command, arguments in cmake_commands(root):
        if command != "target_link_libraries":
            continue
        target = arguments[0]
        layer = layers.get(target)
        if layer is None:
            bad.append(f"{name}: {target} is in no layer that the product knows")
            continue
        for library in arguments[1:]:
            what = f"{name}: {target} links {library}"
            if library in KEYWORDS:
                continue
            if library in LIBRARIES:
                if layer not in LIBRARIES[library]:
                    bad.append(f"{what}: {layer} may not")
            elif library in layers:
                bad += check_arrow(layer, layers[library], what)
            elif library.startswith(("ufmsync", "PkgConfig::", "mock", "test")):
                bad.append(f"{what}: is in no layer that the product knows")
    return bad


def check(root):
    return check_includes(root) + check_words(root) + check_links(root)


# --- the check is shown to be able to fail ---------------------------------------------------------------------------

INCLUDES = [
    # Arrows that point the wrong way.
    ("base/planted.c", '#include "guid/guid.h"'),
    ("base/planted.c", '#include "base/net/loop.h"'),
    ("base/planted.h", '# include\t"pkey/pkey.h"'),
    ("guid/planted.c", '#include "secrets/secrets.h"'),
    ("base/net/planted.c", '#include "secrets/secrets.h"'),
    ("base/net/planted.c", '#include "guid/guid.h"'),
    ("secrets/planted.c", '#include "base/net/http.h"'),
    ("pkey/pkey.h", '#include "pkey/members.h"'),
    ("pkey/planted.c", '#include "ufmsync/kube/planted.h"'),
    ("ufmsync/kube/planted.c", '#include "pkey/backend.h"'),
    ("ufmsync/kube/planted.c", '#include "ufmsync/planted.h"'),
    ("cni/webhook/planted.c", '#include "ufmsync/planted.h"'),
    ("ufmsync/planted.c", '#include "ufmsync/ctl/planted.h"'),
    ("ufmsync/planted.c", '#include "ufmsync/setup/planted.h"'),
    ("ufmsync/ctl/planted.c", '#include "ufmsync/setup/planted.h"'),
    ("ufmsync/setup/planted.c", '#include "pkey/backend.h"'),
    ("ufmsync/setup/planted.c", "#include <openssl/x509.h>"),
    ("cni/plugin/planted.c", '#include "base/net/http.h"'),
    ("cni/plugin/planted.c", '#include "pkey/pkey.h"'),
    # What is not there, or not named from the top.
    ("ufmsync/planted.c", '#include "tests/planted.h"'),
    ("guid/planted.c", '#include "guid.h"'),
    ("guid/planted.c", '#include "../guid/guid.h"'),
    ("guid/planted.c", "#include PLANTED"),
    ("cni/planted.c", ""),
    # Foreign headers.
    ("pkey/ufm_planted.c", "#include <infiniband/umad.h>"),
    ("base/planted.c", "#include <uv.h>"),
    ("ufmsync/kube/planted.c", "#include <curl/curl.h>"),
    ("cni/webhook/planted.c", "#include <microhttpd.h>"),
    ("ufmsync/planted.c", "#include <openssl/evp.h>"),
    ("ufmsync/planted.c", "#include <yaml.h>"),
    ("guid/planted.c", "#include <jansson.h>"),
    ("guid/planted.c", '#include "base/json.h"'),
    ("ufmsync/engine_planted.c", "#include <jansson.h>"),
    ("ufmsync/engine_planted.h", '#include "base/net/loop.h"'),
    ("ufmsync/engine.c", "#include <time.h>"),
    ("pkey/planted.c", "#include <pthread.h>"),
    # Words.
    ("ufmsync/planted.c", "keys = record_keys_unverified();"),
    ("ufmsync/engine.c", "keys = record_keys_unverified();"),
]
LINKS = [
    ("base", "target_link_libraries(ufmsync_base PUBLIC ufmsync_guid)"),
    ("guid", "target_link_libraries(ufmsync_guid PRIVATE PkgConfig::JANSSON)"),
    ("pkey", "target_link_libraries(ufmsync_pkey\n\tPRIVATE ufmsync_kube)"),
    ("ufmsync/kube", "target_link_libraries(ufmsync_kube PUBLIC ufmsync_pkey)"),
    ("ufmsync/kube", "target_link_libraries(ufmsync_kube PRIVATE PkgConfig::CURL)"),
    ("guid", "target_link_libraries(ufmsync_guid PRIVATE ufmsync_jansson)"),
    ("base", "target_link_libraries(ufmsync_base PUBLIC ufmsync_openssl)"),
    ("secrets", "target_link_libraries(ufmsync_secrets PUBLIC ufmsync_net)"),
    ("secrets", "target_link_libraries(ufmsync_secrets PUBLIC mock_identity)"),
]
FINE = [
    ("ufmsync/planted.c", '#include "cni/webhook/planted.h"'),
    ("ufmsync/ctl/planted.c", '#include "ufmsync/planted.h"'),
    ("cni/plugin/planted.c", '#include "guid/guid.h"'),
    ("ufmsync/kube/planted.c", '#include "pkey/pkey.h"'),
    ("pkey/umad_planted.c", "#include <infiniband/umad.h>"),
    ("ufmsync/record_planted.c", "#include <openssl/evp.h>"),
    ("ufmsync/planted.c", '/* #include "tests/planted.h" */'),
    ("ufmsync/ctl/planted.c", "keys = record_keys_unverified();"),
]


def copy_product(root, to):
    def skip(folder, names):
        return [n for n in names if not (Path(folder) / n).is_dir() and n != "CMakeLists.txt"
                and not n.endswith((".c", ".h"))]
    for top in TOP:
        if (root / top).is_dir():
            shutil.copytree(root / top, to / top, ignore=skip)
    for folder in ("tests", "ufmsync", "ufmsync/kube", "ufmsync/ctl", "ufmsync/setup", "cni/webhook", "cni/plugin", "cni/installer"):
        (to / folder).mkdir(parents=True, exist_ok=True)
        (to / folder / "planted.h").write_text("#pragma once\n")


def with_plant(tree, name, text):
    """What the check says besides with `text` at the end of the file `name`."""
    path = tree / name
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text((before or "") + "\n" + text + "\n", encoding="utf-8")
    found = check(tree)
    if before is None:
        path.unlink()
    else:
        path.write_text(before, encoding="utf-8")
    return found


def check_planted(root):
    failures = 0
    plants = [(name, text, True) for name, text in INCLUDES]
    plants += [(folder + "/CMakeLists.txt", text, True) for folder, text in LINKS]
    plants += [(name, text, False) for name, text in FINE]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_product(root, tree)
        clean = check(tree)
        for name, text, bad in plants:
            found = [line for line in with_plant(tree, name, text) if line not in clean]
            if bad != bool(found) or not all(line.startswith(name + ":") for line in found):
                print(f"{name}: {text!r}: {'not reported' if bad else 'reported'}: {found}")
                failures += 1
    print(f"{len(plants)} plants, {failures} wrong")
    return failures


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--planted":
        return 1 if check_planted(Path(sys.argv[2])) else 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    bad = check(Path(sys.argv[1]))
    print("\n".join(bad) or "every arrow points the right way")
    return 1 if bad else 0


sys.exit(main())
