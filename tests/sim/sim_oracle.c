#include "tests/sim/sim_oracle.h"

#include <string.h>

static bool may_use(const struct sim *sim, const struct sim_pod *pod, const struct pod_network *element)
{
	if (strcmp(element->namespace, pod->namespace) == 0)
		return true;
	for (const char *const *shared = sim->plan.options.shared_namespaces; *shared; shared++) {
		if (strcmp(*shared, element->namespace) == 0)
			return true;
	}
	return false;
}

static enum sim_verdict judge_policy(const struct sim *sim, const struct sim_pod *pod,
				     const struct pod_network *element, const struct network *network)
{
	const struct namespace_rule *rule = sim_api_find_namespace(sim->api, pod->namespace)->parsed;

	if (sim->plan.options.policy == ENGINE_POLICY_ANY)
		return SIM_FINE;
	if (!may_use(sim, pod, element))
		return network->has_pkey == NETWORK_PKEY_NONE ? SIM_UNCLEAR : SIM_NOT_ALLOWED;
	if (network->has_pkey == NETWORK_PKEY_NONE)
		return SIM_FINE;
	if (rule->has == NAMESPACE_PKEYS_ABSENT)
		return sim->plan.options.policy == ENGINE_POLICY_NAMESPACE ? SIM_FINE : SIM_NOT_ALLOWED;
	if (rule->has == NAMESPACE_PKEYS_BAD || !pkey_set_has(rule->allowed, network->pkey))
		return SIM_NOT_ALLOWED;
	return SIM_FINE;
}

static bool has_bad_pkey(const struct sim *sim, const struct network *network)
{
	return network->has_pkey == NETWORK_PKEY_BAD ||
	       (network->has_pkey == NETWORK_PKEY_VALID && !pkey_set_has(&sim->plan.options.pkeys, network->pkey));
}

enum sim_verdict sim_oracle(const struct sim *sim, const struct sim_pod *pod, const struct pod_network *element)
{
	const struct sim_network *network = sim_api_find_network(sim->api, element->namespace, element->name);
	enum sim_verdict verdict;

	if (!sim_pod_counts(pod))
		return SIM_NOT_OURS;
	if (!network || !network->exists)
		return SIM_NO_NETWORK;
	if (network->parsed->kind == NETWORK_OTHER)
		return SIM_NOT_OURS;
	if (network->parsed->kind == NETWORK_UNREADABLE)
		return SIM_UNREADABLE;
	verdict = judge_policy(sim, pod, element, network->parsed);
	if (has_bad_pkey(sim, network->parsed))
		return verdict == SIM_FINE ? SIM_BAD_PKEY : SIM_UNCLEAR; /* which of the two is said first */
	if (verdict != SIM_FINE)
		return verdict;
	if (element->wish == POD_WISH_BAD)
		return SIM_BAD_WISH;
	if (element->wish == POD_WISH_GUID &&
	    (element->guid.v < sim->plan.options.first.v || element->guid.v > sim->plan.options.last.v))
		return SIM_BAD_WISH;
	return SIM_FINE;
}
