"""Reading what is in deploy/."""

import copy
import json
import os

import yaml

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


def merge(old, patch):
    """A strategic merge of what our patches use: lists of named things merge by their name, other lists are replaced, null
    and `$patch: delete` take away."""
    if isinstance(old, dict) and isinstance(patch, dict):
        merged = copy.deepcopy(old)
        for key, value in patch.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(merged.get(key), value)
        return merged
    if isinstance(old, list) and isinstance(patch, list) and all(isinstance(x, dict) and "name" in x for x in old + patch):
        named = {x["name"]: merge({}, x) for x in old}
        for x in patch:
            if x.get("$patch") == "delete":
                assert named.pop(x["name"], None), "nothing to delete: %s" % x
            else:
                named[x["name"]] = merge(named.get(x["name"], {}), x)
        return list(named.values())
    return copy.deepcopy(patch)


def build(folder):
    """`kubectl kustomize`, as far as our kustomizations go; anything else in them is an error."""
    with open(os.path.join(folder, "kustomization.yaml")) as f:
        kustomization = yaml.safe_load(f)
    assert set(kustomization) <= {"apiVersion", "kind", "namespace", "resources", "images", "patches"}, kustomization
    objects = []
    for resource in kustomization["resources"]:
        path = os.path.join(folder, resource)
        objects += build(path) if os.path.isdir(path) else documents(path)
    for patch in kustomization.get("patches", []):
        assert set(patch) == {"path"}, patch
        for change in documents(os.path.join(folder, patch["path"])):
            same = [i for i, o in enumerate(objects) if (o["kind"], o["metadata"]["name"]) ==
                    (change["kind"], change["metadata"]["name"])]
            assert len(same) == 1, "%s patches nothing" % patch["path"]
            objects[same[0]] = merge(objects[same[0]], change)
    if "namespace" in kustomization:
        set_namespace(objects, kustomization["namespace"])
    for image in kustomization.get("images", []):
        for o in objects:
            for container in o.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
                if container["image"] == image["name"]:
                    container["image"] = image["newName"] + ":" + image["newTag"]
    return objects


NOT_NAMESPACED = {"ClusterRole", "ClusterRoleBinding", "SecurityContextConstraints", "Namespace"}


def set_namespace(objects, namespace):
    for o in objects:
        if o["kind"] not in NOT_NAMESPACED:
            o["metadata"]["namespace"] = namespace
        for subject in o.get("subjects", []):
            subject["namespace"] = namespace


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
