#include "tests/sim/sim_tenants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_plugins.h"
#include "tests/sim/sim_rules.h"

struct sim_tenants {
	unsigned names;
};

struct sim_tenants *sim_tenants_new(void)
{
	return mem_alloc(sizeof(struct sim_tenants));
}

void sim_tenants_free(struct sim_tenants *tenants)
{
	free(tenants);
}

/* --- the kubelet's part; `aux` is the pod, which lives as long as the world --- */

static void bound(struct sim *sim, void *aux)
{
	struct sim_pod *pod = aux;

	if (!pod->exists || pod->node[0] || pod->terminating)
		return;
	snprintf(pod->node, sizeof(pod->node), "node%llu", (unsigned long long)sim_rng_below(&sim->rng, 3));
	sim_say(sim, "api      pod %s/%s is bound", pod->namespace, pod->name);
	sim_api_changed(sim, pod);
	sim_plugins_pod_starts(sim, pod);
}

static void containers_ended(struct sim *sim, void *aux)
{
	struct sim_pod *pod = aux;

	if (!pod->exists || pod->containers_ended)
		return;
	pod->containers_ended = true;
	sim_say(sim, "api      the containers of %s/%s have ended", pod->namespace, pod->name);
	sim_api_changed(sim, pod);
}

static void gone(struct sim *sim, void *aux)
{
	sim_tenants_end_pod(sim, aux);
}

/* Whether anybody can tell that its processes are gone.  Near the end of the grace it depends on clocks, and on how
 * fast the news travels. */
void sim_tenants_end_pod(struct sim *sim, struct sim_pod *pod)
{
	bool sure =
		pod->finished || pod->containers_ended || (pod->terminating && sim->world.now >= pod->gone_at - 8000);

	if (!pod->exists)
		return;
	sim_rules_ended(sim, pod, 0, !sure);
	sim_api_gone(sim, pod);
}

static void terminate(struct sim *sim, struct sim_pod *pod)
{
	int64_t grace = sim_rng_between(&sim->rng, 0, 40) * 1000, ended = sim_rng_between(&sim->rng, 0, grace);

	if (pod->terminating)
		return;
	pod->terminating = true;
	pod->grace_ms = grace;
	pod->gone_at = (sim->world.now + grace) / 1000 * 1000; /* the API server knows seconds only */
	sim_say(sim, "api      pod %s/%s is to end within %lld ms", pod->namespace, pod->name, (long long)grace);
	sim_api_changed(sim, pod);
	if (sim_rng_chance(&sim->rng, 80)) {
		sim_after(sim, ended, containers_ended, pod, NULL);
		sim_after(sim, ended + sim_rng_between(&sim->rng, 0, 1500), gone, pod, NULL);
	} else {
		sim_after(sim, grace + sim_rng_between(&sim->rng, 0, 60000), gone, pod, NULL);
	}
}

static void finish(struct sim *sim, struct sim_pod *pod)
{
	if (pod->finished || !pod->node[0])
		return;
	pod->finished = pod->containers_ended = true;
	sim_say(sim, "api      pod %s/%s has finished", pod->namespace, pod->name);
	sim_rules_ended(sim, pod, 0, false);
	sim_api_changed(sim, pod);
	if (sim_rng_chance(&sim->rng, 50))
		sim_after(sim, sim_rng_gap(&sim->rng, 20000), gone, pod, NULL);
}

/* --- pods --- */

static struct sim_pod *draw_living(struct sim *sim)
{
	size_t n = sim_api_pods(sim->api);

	for (int tries = 0; n && tries < 8; tries++) {
		struct sim_pod *pod = sim_api_pod(sim->api, n - 1 - sim_rng_below(&sim->rng, n < 40 ? n : 40));

		if (pod->exists)
			return pod;
	}
	return NULL;
}

static unsigned count_living(const struct sim *sim)
{
	unsigned living = 0;

	for (size_t i = 0; i < sim_api_pods(sim->api); i++)
		living += sim_api_pod(sim->api, i)->exists;
	return living;
}

static bool is_near(const struct sim_network *network, const struct sim_pod *pod)
{
	return strcmp(network->namespace, pod->namespace) == 0 || strcmp(network->namespace, "default") == 0 ||
	       strcmp(network->namespace, "kube-system") == 0;
}

static void draw_target(struct sim *sim, struct sim_pod *pod, struct sim_element *element)
{
	const struct sim_network *network = NULL;

	for (int tries = 0; tries < 6; tries++) {
		network = sim_api_network(sim->api, sim_rng_below(&sim->rng, sim->plan.networks));
		if (is_near(network, pod))
			break;
	}
	snprintf(element->name, sizeof(element->name), "%s", sim_rng_chance(&sim->rng, 4) ? "nope" : network->name);
	if (strcmp(network->namespace, pod->namespace) != 0 || sim_rng_chance(&sim->rng, 30) ||
	    element->source == POD_DEFAULT_NETWORK)
		snprintf(element->namespace, sizeof(element->namespace), "%s", network->namespace);
}

static void draw_wish(struct sim *sim, struct sim_element *element)
{
	const struct engine_options *options = &sim->plan.options;
	uint64_t size = options->last.v - options->first.v + 1;
	char text[GUID_TEXT_MAX];

	element->wish.v = options->first.v + sim_rng_below(&sim->rng, size < 40 ? size : 40);
	if (sim_rng_chance(&sim->rng, 20) && sim_rules_grants(sim))
		element->wish = sim_rules_grant_at(sim, sim_rng_below(&sim->rng, sim_rules_grants(sim)))->guid;
	if (sim_rng_chance(&sim->rng, 8))
		element->wish.v = sim_rng_chance(&sim->rng, 50) ? options->last.v + 1 : 0x100;
	guid_format(text, element->wish);
	for (char *c = text; *c && sim_rng_chance(&sim->rng, 40); c++) {
		if (*c >= 'a' && *c <= 'f')
			*c = (char)(*c - 'a' + 'A');
	}
	snprintf(element->guid_text, sizeof(element->guid_text), "%s",
		 sim_rng_chance(&sim->rng, 5) ? "02:00:zz" : text);
	element->has_wish = true;
}

/* Somebody who wants what another has. */
static void forge(struct sim *sim, struct sim_pod *pod)
{
	const struct sim_grant *victim;

	if (!sim_rules_grants(sim))
		return;
	victim = sim_rules_grant_at(sim, sim_rng_below(&sim->rng, sim_rules_grants(sim)));
	pod->forger = true;
	guid_format(pod->elements[0].guid_text, victim->guid);
	snprintf(pod->elements[0].pkey_text, sizeof(pod->elements[0].pkey_text), "%s", victim->pkey_text);
	pod->elements[0].configured = true;
	pod->elements[0].has_wish = true;
	if (sim_rng_chance(&sim->rng, 60))
		pod->record_text = mem_dup(victim->pod->record_text);
	else if (sim_rng_chance(&sim->rng, 50))
		pod->record_text = mem_dup("1.eyJ1aWQiOiJ4In0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

static void draw_elements(struct sim *sim, struct sim_pod *pod, bool plain)
{
	unsigned n = sim_rng_chance(&sim->rng, 70) ? 1 : sim_rng_chance(&sim->rng, 80) ? 2 : 3;

	for (unsigned i = 0; i < n; i++) {
		struct sim_element *element = &pod->elements[pod->n_elements++];

		element->index = (int)i;
		if (sim_rng_chance(&sim->rng, 40))
			snprintf(element->interface, sizeof(element->interface), "net%u", i + 1);
		draw_target(sim, pod, element);
		if (sim->plan.own_guids && !plain && sim_rng_chance(&sim->rng, 20))
			draw_wish(sim, element);
	}
	if (sim_rng_chance(&sim->rng, 10)) {
		struct sim_element *element = &pod->elements[pod->n_elements++];

		element->source = POD_DEFAULT_NETWORK;
		element->index = -1;
		draw_target(sim, pod, element);
	}
}

static void draw_name(struct sim *sim, struct sim_pod *pod)
{
	size_t n = sim_api_pods(sim->api);

	snprintf(pod->namespace, sizeof(pod->namespace), "%s", sim_tenant_namespaces[sim_rng_below(&sim->rng, 4)]);
	if (n && sim_rng_chance(&sim->rng, 25)) {
		const struct sim_pod *old = sim_api_pod(sim->api, sim_rng_below(&sim->rng, n));

		if (!sim_api_find_pod(sim->api, old->namespace, old->name)) {
			snprintf(pod->namespace, sizeof(pod->namespace), "%s", old->namespace);
			snprintf(pod->name, sizeof(pod->name), "%s", old->name);
			return;
		}
	}
	snprintf(pod->name, sizeof(pod->name), "p%u", sim->tenants->names++);
}

struct sim_pod *sim_tenants_add(struct sim *sim, bool plain)
{
	struct sim_pod model = { 0 };
	struct sim_pod *pod;

	draw_name(sim, &model);
	draw_elements(sim, &model, plain);
	snprintf(model.node, sizeof(model.node), "node%llu", (unsigned long long)sim_rng_below(&sim->rng, 3));
	if (!plain) {
		model.host_network = sim_rng_chance(&sim->rng, 3);
		model.full = sim_rng_chance(&sim->rng, 3);
		if (sim_rng_chance(&sim->rng, 20))
			model.node[0] = '\0';
		if (sim->plan.forgers && sim_rng_chance(&sim->rng, 15))
			forge(sim, &model);
	}
	sim_tenants_write(sim, &model, sim_rng_chance(&sim->rng, 40));
	pod = sim_api_create(sim, &model);
	if (!pod->node[0])
		sim_after(sim, sim_rng_between(&sim->rng, 0, 3000), bound, pod, NULL);
	else
		sim_plugins_pod_starts(sim, pod);
	return pod;
}

void sim_tenants_end_all(struct sim *sim)
{
	for (size_t i = 0; i < sim_api_pods(sim->api); i++) {
		struct sim_pod *pod = sim_api_pod(sim->api, i);

		if (pod->exists)
			terminate(sim, pod);
	}
}

/* --- what they do --- */

static void end_one(struct sim *sim)
{
	struct sim_pod *pod = draw_living(sim);
	uint64_t how = sim_rng_below(&sim->rng, 10);

	if (!pod)
		return;
	if (how < 6)
		terminate(sim, pod);
	else if (how < 8)
		finish(sim, pod);
	else
		sim_tenants_end_pod(sim, pod);
}

static void empty_out(struct sim *sim)
{
	struct sim_pod *pod = draw_living(sim);

	if (!pod || !pod->full)
		return;
	pod->full = false;
	sim_say(sim, "api      the annotations of %s/%s have room again", pod->namespace, pod->name);
	sim_api_changed(sim, pod);
}

static void network_changes(struct sim *sim, void *aux)
{
	(void)aux;
	if (!sim->settling)
		sim_tenants_change_network(sim);
}

static void owner_edits(struct sim *sim, void *aux)
{
	struct sim_pod *pod = aux;

	if (!sim->settling && pod->exists)
		sim_tenants_tamper(sim, pod);
}

static void add_one(struct sim *sim)
{
	struct sim_pod *pod = sim_tenants_add(sim, false);

	/* Some go on writing while they are being served. */
	if (sim->plan.tampering && sim_rng_chance(&sim->rng, 25))
		sim_after(sim, sim_rng_between(&sim->rng, 0, 4 * sim->plan.slow + 200), owner_edits, pod, NULL);
}

static void add_some(struct sim *sim)
{
	unsigned living = count_living(sim), n = sim_rng_chance(&sim->rng, 12) ? sim->plan.pods_max : 1;

	for (; n > 0 && living < sim->plan.pods_max; n--, living++)
		add_one(sim);
	if (living >= sim->plan.pods_max)
		end_one(sim);
	else if (sim->plan.nad_changes && sim_rng_chance(&sim->rng, 8))
		sim_after(sim, sim_rng_between(&sim->rng, 0, 2 * sim->plan.slow), network_changes, NULL, NULL);
}

void sim_tenants_act(struct sim *sim)
{
	uint64_t what = sim_rng_below(&sim->rng, 100);
	struct sim_pod *pod;

	if (what < 50) {
		add_some(sim);
	} else if (what < 80) {
		end_one(sim);
	} else if (what < 88) {
		pod = draw_living(sim);
		if (sim->plan.tampering && pod)
			sim_tenants_tamper(sim, pod);
	} else if (what < 93) {
		if (sim->plan.nad_changes)
			sim_tenants_change_network(sim);
	} else if (what < 96) {
		if (sim->plan.nad_changes)
			sim_tenants_change_namespace(sim);
	} else {
		empty_out(sim);
	}
}
