# The config of a NetworkAttachmentDefinition with ib-sriov in it becomes one with ufmsync around it; anything else, and
# what is wrapped already, stays as it is.
#
#	kubectl -n NAMESPACE get net-attach-def NAME -o json | jq -f deploy/networks/migrate.jq | kubectl replace -f -
#
# `capabilities` move to the outside, where multus looks for them.  A definition without cniVersion, or with one before
# 0.3.1, gets 0.3.1: ib-sriov does with those, the plugin does not.
def wrap:
  if .type == "ib-sriov" then
    { cniVersion, name, type: "ufmsync", capabilities, delegate: del(.cniVersion, .name, .capabilities) }
    | with_entries(select(.value != null))
  else . end;

def renew: if .cniVersion // "" | IN("", "0.1.0", "0.2.0", "0.3.0") then .cniVersion = "0.3.1" else . end;

def move:
  if .plugins then (if any(.plugins[]; .type == "ib-sriov") then .plugins |= map(wrap) | renew else . end)
  elif .type == "ib-sriov" then wrap | renew
  else . end;

if (.spec.config // "") == "" then .
else .spec.config |= (fromjson | move | tojson) end
