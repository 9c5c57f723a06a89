#include "tests/sim/sim_plugins.h"

#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_tenants.h"

struct sim_plugins {
	struct sim_rng rng;
	bool active;
	bool hasty; /* its pods often live for a moment only */
	struct sim_ask *asks;
	size_t n, cap;
};

struct sim_plugins *sim_plugins_new(uint64_t seed)
{
	struct sim_plugins *plugins = mem_alloc(sizeof(*plugins));

	sim_rng_init(&plugins->rng, seed ^ UINT64_C(0xc41a77ac4));
	plugins->active = sim_rng_chance(&plugins->rng, 60);
	plugins->hasty = sim_rng_chance(&plugins->rng, 30);
	return plugins;
}

void sim_plugins_free(struct sim_plugins *plugins)
{
	if (!plugins)
		return;
	free(plugins->asks);
	free(plugins);
}

static int64_t between(struct sim *sim, int64_t least, int64_t most)
{
	return sim_rng_between(&sim->plugins->rng, least, most);
}

bool sim_plugins_chance(struct sim *sim, unsigned percent)
{
	return sim->plugins->active && sim_rng_chance(&sim->plugins->rng, percent);
}

size_t sim_plugins_asks(const struct sim *sim)
{
	return sim->plugins->n;
}

const struct sim_ask *sim_plugins_ask(const struct sim *sim, size_t i)
{
	return &sim->plugins->asks[i];
}

/* --- waiting --- */

struct visit {
	struct sim_pod *pod;
	uint64_t incarnation;
	struct pod *object; /* as it was read */
};

static void visit_free(void *aux)
{
	struct visit *visit = aux;

	pod_free(visit->object);
	free(visit);
}

static void plan(struct sim *sim, int64_t after, sim_event_fn *run, struct sim_pod *pod, uint64_t incarnation)
{
	struct visit *visit = mem_alloc(sizeof(*visit));

	*visit = (struct visit){ pod, incarnation, NULL };
	sim_after(sim, after, run, visit, visit_free);
}

static void asks(struct sim *sim, void *aux);

/* The kubelet lets it try again, as long as there is something to start. */
static void try_again(struct sim *sim, struct sim_pod *pod, int64_t most_ms)
{
	if (sim_pod_counts(pod))
		plan(sim, between(sim, 100, most_ms), asks, pod, 0);
}

/* Of a process that has died nothing is left but what the plugin knows. */
static void ask_ends(struct sim *sim, void *aux)
{
	struct visit *visit = aux;
	struct sim_plugins *plugins = sim->plugins;
	struct sim_process *process = sim_cluster_asker(sim->cluster, visit->incarnation);

	for (size_t i = 0; i < plugins->n; i++) {
		if (plugins->asks[i].pod != visit->pod || plugins->asks[i].incarnation != visit->incarnation)
			continue;
		plugins->asks[i] = plugins->asks[--plugins->n];
		break;
	}
	if (process)
		engine_await_no_more(process->engine, visit->pod->uid);
	if (sim->settling || sim_plugins_chance(sim, 60))
		try_again(sim, visit->pod, 10000);
}

static void waits(struct sim *sim, struct sim_process *process, struct sim_pod *pod)
{
	struct sim_plugins *plugins = sim->plugins;
	int64_t ms = sim_plugins_chance(sim, 30) ? between(sim, 10, 2000) : between(sim, 2000, 120000);

	if (!engine_await(process->engine, pod->uid, sim->world.now)) {
		try_again(sim, pod, 5000);
		return;
	}
	sim_say(sim, "plugin   of %s/%s waits at process %llu", pod->namespace, pod->name,
		(unsigned long long)process->incarnation);
	if (plugins->n == plugins->cap) {
		plugins->cap = plugins->cap ? plugins->cap * 2 : 32;
		plugins->asks = mem_resize(plugins->asks, plugins->cap, sizeof(*plugins->asks));
	}
	plugins->asks[plugins->n++] =
		(struct sim_ask){ pod, process->incarnation, sim_rules_seen(process->engine, pod->uid, NULL, 0) };
	plan(sim, ms, ask_ends, pod, process->incarnation);
}

void sim_plugins_told(struct sim *sim, struct sim_process *process, const char *uid)
{
	struct sim_plugins *plugins = sim->plugins;
	struct sim_pod *pod = sim_api_pod_of_uid(sim->api, uid);
	bool any = false;

	for (size_t i = 0; i < plugins->n; i++) {
		struct sim_ask *ask = &plugins->asks[i];

		if (ask->pod != pod || ask->incarnation != process->incarnation)
			continue;
		ask->seen = sim_rules_seen(process->engine, uid, NULL, 0);
		any = true;
	}
	if (!any)
		sim_fail(sim, "waiters are told", "pod %s has changed, and nobody waits for it", uid);
}

/* --- asking --- */

static void read_answered(struct sim *sim, void *aux)
{
	struct visit *visit = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, visit->incarnation);

	if (!process || process->draining || !visit->object) {
		try_again(sim, visit->pod, 3000);
		return;
	}
	sim_say(sim, "fact %llu   pod %s/%s found", (unsigned long long)process->incarnation, visit->pod->namespace,
		visit->pod->name);
	engine_pod_found(process->engine, visit->object, sim->world.now);
	visit->object = NULL;
	waits(sim, process, visit->pod);
	sim_process_fed(sim, process);
}

/* The API server answers: this is the moment the read shows. */
static void read_looks(struct sim *sim, void *aux)
{
	struct visit *visit = aux, *answer = mem_alloc(sizeof(*answer));
	int64_t ms = sim_plugins_chance(sim, 15) ? between(sim, 100, 8000) : between(sim, 0, 60);

	*answer = (struct visit){ visit->pod, visit->incarnation, NULL };
	if (!sim_api_is_down(sim) && visit->pod->exists)
		answer->object = sim_pod_object(visit->pod);
	sim_after(sim, ms, read_answered, answer, visit_free);
}

static struct sim_process *draw_process(struct sim *sim)
{
	int slot = sim_plugins_chance(sim, 50);
	struct sim_process *process = sim_cluster_process(sim->cluster, slot);

	if (!process)
		process = sim_cluster_process(sim->cluster, 1 - slot);
	return process && !process->draining ? process : NULL;
}

static void asks(struct sim *sim, void *aux)
{
	struct visit *visit = aux;
	struct sim_process *process = draw_process(sim);

	if (!sim_pod_counts(visit->pod))
		return;
	if (!process) {
		try_again(sim, visit->pod, 3000);
	} else if (engine_pod_node(process->engine, visit->pod->uid)) {
		waits(sim, process, visit->pod);
		sim_process_fed(sim, process);
	} else {
		plan(sim, between(sim, 0, 20), read_looks, visit->pod, process->incarnation);
	}
}

/* Somebody deletes it by force as soon as it is there. */
static void ends_at_once(struct sim *sim, void *aux)
{
	struct visit *visit = aux;

	if (!sim->settling)
		sim_tenants_end_pod(sim, visit->pod);
}

void sim_plugins_pod_starts(struct sim *sim, struct sim_pod *pod)
{
	if (!sim_plugins_chance(sim, 70))
		return;
	plan(sim, sim_plugins_chance(sim, 50) ? between(sim, 0, 20) : between(sim, 0, 2000), asks, pod, 0);
	if (sim_plugins_chance(sim, 20))
		plan(sim, between(sim, 0, 5000), asks, pod, 0);
	if (!sim->plan.calm && sim->plugins->hasty && sim_plugins_chance(sim, 20))
		plan(sim, between(sim, 0, 1000), ends_at_once, pod, 0);
}

void sim_plugins_watch_lost(struct sim *sim, struct sim_process *process)
{
	struct visit *visit;
	struct sim_pod *pod;

	if (process->draining || !sim_plugins_chance(sim, 30))
		return;
	pod = sim_tenants_add(sim, true);
	visit = mem_alloc(sizeof(*visit));
	*visit = (struct visit){ pod, process->incarnation, sim_pod_object(pod) };
	sim_after(sim, between(sim, 0, 1000), read_answered, visit, visit_free);
	sim_tenants_end_pod(sim, pod);
}
