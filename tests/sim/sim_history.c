#include <stdio.h>
#include <string.h>

#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_tenants.h"
#include "tests/sim/sim_ufm.h"

/* What stands there before the first process starts: namespaces, networks, members that an earlier life left in the
 * fabric manager, pods that ib-kubernetes had served. */

static void settle_in_networks(struct sim *sim)
{
	static const char *const rules[] = { "", "", "", "", "0x1-0x6", "0x1-0x6", "0x3,0x5", "junk" };

	for (const char *const *name = sim_tenant_namespaces; *name; name++)
		sim_api_set_namespace(sim, *name, rules[sim_rng_below(&sim->rng, sizeof(rules) / sizeof(rules[0]))]);
	for (unsigned i = 0; i < sim->plan.networks; i++) {
		char name[16];

		/* The same names come up in more than one namespace. */
		snprintf(name, sizeof(name), "n%u", i / 2);
		sim_tenants_draw_network(sim, sim_tenant_namespaces[(i + sim_rng_below(&sim->rng, 4)) % 5], name);
	}
	while (!sim_api_network(sim->api, sim->plan.networks - 1))
		sim->plan.networks--;
}

static struct guid draw_guid(struct sim *sim, uint64_t range)
{
	const struct engine_options *options = &sim->plan.options;
	uint64_t size = options->last.v - options->first.v + 1;

	return (struct guid){ options->first.v + sim_rng_below(&sim->rng, size < range ? size : range) };
}

static void leave_orphans(struct sim *sim)
{
	unsigned n = (unsigned)(sim_rng_chance(&sim->rng, 35) ? sim_rng_between(&sim->rng, 11, 20)
							      : sim_rng_between(&sim->rng, 1, 4));

	for (unsigned i = 0; i < n; i++) {
		struct sim_entry entry = { .guid = draw_guid(sim, 60), .origin = SIM_OURS, .late = true };

		entry.pkey.v = (uint16_t)sim_rng_between(&sim->rng, 1, 6);
		if (!sim_ufm_lists(sim->ufm, entry.guid))
			sim_ufm_put(sim, entry);
	}
}

static void put_members(struct sim *sim, const struct sim_grant *grant)
{
	for (unsigned i = 0; i < grant->n_memberships; i++) {
		const struct pkey_class *class = &grant->memberships[i];

		sim_ufm_put(sim, (struct sim_entry){ .guid = grant->guid,
						     .pkey = class->pkey,
						     .membership = class->membership,
						     .index0 = class->index0,
						     .origin = SIM_OURS });
	}
}

/* A pod as ib-kubernetes left it: configured, and a member. */
static void adopt_one(struct sim *sim)
{
	const struct engine_options *options = &sim->plan.options;
	const struct sim_network *network = sim_api_network(sim->api, sim_rng_below(&sim->rng, sim->plan.networks));
	struct sim_pod model = { .n_elements = 1, .adopted = true };
	struct sim_element *element = &model.elements[0];
	struct sim_grant grant = { .guid = draw_guid(sim, 100) };
	struct sim_pod *pod;

	if (!network || network->parsed->has_pkey != NETWORK_PKEY_VALID || sim_ufm_lists(sim->ufm, grant.guid))
		return;
	snprintf(model.namespace, sizeof(model.namespace), "%s", network->namespace);
	snprintf(model.name, sizeof(model.name), "adopted%zu", sim_api_pods(sim->api));
	snprintf(model.node, sizeof(model.node), "node0");
	snprintf(element->name, sizeof(element->name), "%s", network->name);
	guid_format(element->guid_text, grant.guid);
	snprintf(element->pkey_text, sizeof(element->pkey_text), "%s", network->parsed->pkey_text);
	element->configured = true;
	sim_tenants_write(sim, &model, false);
	pod = sim_api_create(sim, &model);
	if (sim_oracle(sim, pod, &pod->parsed->networks[0]) != SIM_FINE) {
		pod->loose = true;
		return;
	}
	snprintf(grant.pkey_text, sizeof(grant.pkey_text), "%s", network->parsed->pkey_text);
	grant.memberships[grant.n_memberships++] =
		(struct pkey_class){ network->parsed->pkey, MEMBERSHIP_FULL, options->index0 };
	if (options->limited.v && options->limited.v != network->parsed->pkey.v)
		grant.memberships[grant.n_memberships++] =
			(struct pkey_class){ options->limited, MEMBERSHIP_LIMITED, false };
	put_members(sim, &grant);
	sim_rules_granted(sim, 0, pod, &grant, 1);
}

void sim_tenants_settle_in(struct sim *sim)
{
	settle_in_networks(sim);
	if (sim->plan.options.adopt) {
		for (int64_t n = sim_rng_between(&sim->rng, 0, 5); n > 0; n--)
			adopt_one(sim);
	}
	if (sim->plan.history)
		leave_orphans(sim);
}
