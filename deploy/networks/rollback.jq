# The way back of migrate.jq: ufmsync is taken off, ib-sriov stays, and refuses to run before the service has written the
# annotation, as under ib-kubernetes.
#
#	kubectl -n NAMESPACE get net-attach-def NAME -o json | jq -f deploy/networks/rollback.jq | kubectl replace -f -
def unwrap:
  if .type == "ufmsync" then
    (if (.delegate | type) == "object" then { cniVersion, name, capabilities } + .delegate
     else del(.delegate, .verify, .verifyTimeout) end)
    + { type: "ib-sriov", ibKubernetesEnabled: true }
    | with_entries(select(.value != null))
  else . end;

if (.spec.config // "") == "" then .
else .spec.config |= (fromjson | if .plugins then .plugins |= map(unwrap) else unwrap end | tojson) end
