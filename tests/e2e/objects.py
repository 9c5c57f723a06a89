"""Kubernetes objects as users write them."""
import json

NETWORKS = "k8s.v1.cni.cncf.io/networks"
DEFAULT_NETWORK = "v1.multus-cni.io/default-network"
RECORD = "ufmsync.io/record"


def ib_config(pkey=None, name="ib", capability=False, gated=True, **more):
    """The CNI config of a flat ib-sriov network."""
    config = {"cniVersion": "0.3.1", "name": name, "type": "ib-sriov", "link_state": "enable"}
    if gated:
        config["ibKubernetesEnabled"] = True
    if pkey is not None:
        config["pkey"] = pkey
    if capability:
        config["capabilities"] = {"infinibandGUID": True}
    config.update(more)
    return config


def plugin_config(pkey=None, name="ib", flat=False, capability=False, version="0.3.1", more=None, **delegate):
    """The CNI config of an ib-sriov network that our plugin attaches; `more` goes beside the delegate."""
    inner = ib_config(pkey, **delegate)
    for beside in ("cniVersion", "name"):
        del inner[beside]
    config = {"cniVersion": version, "name": name, "type": "ufmsync"}
    if flat:
        del inner["type"]
        config.update(inner, delegate="ib-sriov")
    else:
        config["delegate"] = inner
    if capability:
        config["capabilities"] = {"infinibandGUID": True}
    config.update(more or {})
    return config


def conflist(*plugins, name="ib"):
    return {"cniVersion": "0.3.1", "name": name, "plugins": list(plugins)}


def nad(namespace, name, config, resource="nvidia.com/mlnxibvf"):
    """A NetworkAttachmentDefinition; `config` may be a dict, or a text that is no JSON."""
    text = config if isinstance(config, str) else json.dumps(config)
    return {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"namespace": namespace, "name": name,
                         "annotations": {"k8s.v1.cni.cncf.io/resourceName": resource}},
            "spec": {"config": text}}


def pod(namespace, name, networks=None, default_network=None, annotations=None, node="node1", host_network=False,
        labels=None, account=None):
    """A pod; `networks` is the annotation's text, or a list that becomes JSON."""
    notes = dict(annotations or {})
    if networks is not None:
        notes[NETWORKS] = networks if isinstance(networks, str) else json.dumps(networks)
    if default_network is not None:
        notes[DEFAULT_NETWORK] = default_network if isinstance(default_network, str) else json.dumps(default_network)
    spec = {"containers": [{"name": "c", "image": "example.invalid/rdma:1"}], "terminationGracePeriodSeconds": 30}
    if node:
        spec["nodeName"] = node
    if host_network:
        spec["hostNetwork"] = True
    if account:
        spec["serviceAccountName"] = account
    metadata = {"namespace": namespace, "name": name}
    if notes:
        metadata["annotations"] = notes
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def networks_of(pod_object):
    """The elements of the networks annotation, as written by us (JSON)."""
    return json.loads(pod_object["metadata"]["annotations"][NETWORKS])


def guid_of(pod_object, index=0):
    return networks_of(pod_object)[index]["cni-args"]["guid"]


def hex_guid(guid):
    return guid.replace(":", "").lower()
