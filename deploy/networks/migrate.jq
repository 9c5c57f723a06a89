# The config of a NetworkAttachmentDefinition with ib-sriov in it becomes one with ufmsync around it; anything else, and
# what is wrapped already, stays as it is.
#
#	kubectl -n NAMESPACE get net-attach-def NAME -o json | jq -f deploy/networks/migrate.jq | kubectl replace -f -
#
# `capabilities` move to the outside, where multus looks for them.
def wrap:
  if .type == "ib-sriov" then
    { cniVersion, name, type: "ufmsync", capabilities, delegate: del(.cniVersion, .name, .capabilities) }
    | with_entries(select(.value != null))
  else . end;

if (.spec.config // "") == "" then .
else .spec.config |= (fromjson | if .plugins then .plugins |= map(wrap) else wrap end | tojson) end
