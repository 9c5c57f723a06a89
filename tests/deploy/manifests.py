"""Reading what is in deploy/."""

import functools
import json
import os
import subprocess

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# file: {name of the definition: (kind, pkey, gated)}, of deploy/networks
EXAMPLES = {
    "plain.yaml": {"ib-a": ("ib", 0x5, True), "ib-a-flat": ("ib", 0x5, True)},
    "conflist.yaml": {"ib-chained": ("ib", 0x10, True)},
    "rdma-shared.yaml": {"ib-shared": ("ib", 0x5, True)},
    "rdma-exclusive.yaml": {"ib-isolated": ("ib", 0x5, True)},
    "ipoib.yaml": {"ipoib": ("other", 0, False), "ib-with-ip": ("ib", 0x20, True)},
    "default-network.yaml": {"ib-default": ("ib", 0x30, True)},
    "spidermultusconfig.yaml": {"ib-sriov": ("ib", 1000, True)},
    "sriovibnetwork.yaml": {"ib-a": ("ib", 0x5, True), "ib-gated": ("ib", 0x5, True)},
}
BY_ANNOTATION = {"ib-gated"}  # gated by ibKubernetesEnabled, without the plugin


def documents(path):
    with open(path) as f:
        return [document for document in yaml.safe_load_all(f) if document is not None]


def yaml_files(root):
    for folder, _, names in sorted(os.walk(os.path.join(root, "deploy"))):
        for name in sorted(names):
            if name.endswith((".yaml", ".yml")):
                yield os.path.join(folder, name)


@functools.lru_cache(None)
def kubectl():
    """Debian's, the oldest that our kustomizations are for."""
    return subprocess.run([os.path.join(ROOT, "tests/debian-tool"), "kubernetes-client", "kubectl"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


@functools.lru_cache(None)
def kustomized(folder, program):
    return subprocess.run([program or kubectl(), "kustomize", folder], check=True, capture_output=True, text=True).stdout


def build(folder, program=None):
    """The objects that `kubectl apply -k` of a folder sends."""
    return [o for o in yaml.safe_load_all(kustomized(os.path.realpath(folder), program)) if o is not None]


def folders():
    """Those of deploy/ that kubectl builds, as paths inside it."""
    root = os.path.join(ROOT, "deploy")
    return sorted(os.path.relpath(folder, root) for folder, _, names in os.walk(root) if "kustomization.yaml" in names)


def definition_of(o):
    """The NetworkAttachmentDefinition that comes of it; None: it is none of those."""
    if o["kind"] == "NetworkAttachmentDefinition":
        return o
    if o["kind"] == "SpiderMultusConfig":  # custom: its annotations and its text, as they stand
        assert o["spec"]["cniType"] == "custom"
        return {"metadata": {"name": o["metadata"]["name"], "namespace": o["metadata"]["namespace"],
                             "annotations": o["metadata"]["annotations"]}, "spec": {"config": o["spec"]["customCNI"]}}
    if o["kind"] == "SriovIBNetwork":
        return sriov_ib_network(o)
    return None


def sriov_ib_network(o):
    """What the sriov-network-operator's template makes of it: texts are pasted, then the whole must be JSON."""
    spec, name = o["spec"], o["metadata"]["name"]
    fields = ['"type":"ib-sriov"']
    if "capabilities" in spec:
        fields.append('"capabilities":' + spec["capabilities"])
    fields += ['"link_state":"%s"' % spec["linkState"], '"ipam":' + "".join(spec["ipam"].split())]
    head = '"cniVersion":"1.0.0","name":"%s"' % name
    if "metaPlugins" in spec:
        text = '{%s,"plugins":[{%s},%s]}' % (head, ",".join(fields), spec["metaPlugins"])
    else:
        text = "{%s,%s}" % (head, ",".join(fields))
    json.loads(text)
    return {"metadata": {"name": name, "namespace": spec["networkNamespace"],
                         "annotations": {"k8s.v1.cni.cncf.io/resourceName": "openshift.io/" + spec["resourceName"]}},
            "spec": {"config": text}}
