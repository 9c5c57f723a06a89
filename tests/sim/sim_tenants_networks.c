#include <stdio.h>
#include <string.h>

#include "tests/sim/sim_plugins.h"
#include "tests/sim/sim_tenants.h"

const char *const sim_tenant_namespaces[] = { "a", "b", "c", "default", "kube-system", NULL };

static const char *draw_pkey(struct sim *sim)
{
	static const char *const good[] = { "\"0x1\"", "\"0x2\"", "\"0x3\"",    "\"0X4\"",
					    "\"5\"",   "6",       "\"0x0005\"", "\"0x3\"" };
	static const char *const bad[] = {
		"\"0x7fff\"", "\"0x0\"", "\"5x\"", "\"0x8005\"", "\"0x50\"", "-1", "\" 5\""
	};

	if (sim_rng_chance(&sim->rng, 10))
		return sim_rng_chance(&sim->rng, 50) ? NULL : "\"\"";
	if (sim_rng_chance(&sim->rng, 9))
		return bad[sim_rng_below(&sim->rng, sizeof(bad) / sizeof(bad[0]))];
	return good[sim_rng_below(&sim->rng, sizeof(good) / sizeof(good[0]))];
}

void sim_tenants_draw_network(struct sim *sim, const char *namespace, const char *name)
{
	char config[256], plugin[200];
	const char *pkey = draw_pkey(sim);

	if (sim_rng_chance(&sim->rng, 3)) {
		sim_api_set_network(sim, namespace, name, "{\"type\": oops");
		return;
	}
	if (sim_rng_chance(&sim->rng, 8)) {
		sim_api_set_network(sim, namespace, name, "{\"type\":\"macvlan\"}");
		return;
	}
	snprintf(plugin, sizeof(plugin), "{\"type\":\"ib-sriov\"%s%s%s%s}", pkey ? ",\"pkey\":" : "", pkey ? pkey : "",
		 sim_rng_chance(&sim->rng, 25) ? ",\"capabilities\":{\"infinibandGUID\":true}" : "",
		 sim_plugins_chance(sim, 60) ? ",\"ibKubernetesEnabled\":true" : "");
	if (sim_rng_chance(&sim->rng, 20))
		snprintf(config, sizeof(config), "{\"name\":\"l\",\"plugins\":[{\"type\":\"tuning\"},%s]}", plugin);
	else
		snprintf(config, sizeof(config), "%s", plugin);
	sim_api_set_network(sim, namespace, name, config);
}

void sim_tenants_change_network(struct sim *sim)
{
	struct sim_network *network = sim_api_network(sim->api, sim_rng_below(&sim->rng, sim->plan.networks));
	size_t n = sim_api_pods(sim->api);

	/* It hurts most when somebody is just about to use it. */
	if (n && sim_rng_chance(&sim->rng, 50)) {
		const struct sim_pod *pod = sim_api_pod(sim->api, n - 1);

		if (pod->parsed->n_networks)
			network = sim_api_find_network(sim->api, pod->parsed->networks[0].namespace,
						       pod->parsed->networks[0].name);
	}
	if (!network)
		return;
	if (network->exists && sim_rng_chance(&sim->rng, 40))
		sim_api_delete_network(sim, network);
	else
		sim_tenants_draw_network(sim, network->namespace, network->name);
}

void sim_tenants_change_namespace(struct sim *sim)
{
	static const char *const rules[] = { "", "", "", "0x1-0x6", "0x1-0x6", "0x3,0x5", "junk", "0x10" };
	const char *name = sim_tenant_namespaces[sim_rng_below(&sim->rng, 5)];

	sim_api_set_namespace(sim, name, rules[sim_rng_below(&sim->rng, sizeof(rules) / sizeof(rules[0]))]);
}
