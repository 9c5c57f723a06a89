#include "tests/sim/sim_watch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_plugins.h"
#include "tests/sim/sim_rules.h"

/* One thing on its way to a process.  The objects are made when it is sent, and given away when it arrives. */
struct delivery {
	uint64_t incarnation, generation;
	enum sim_kind kind;
	bool begin, end, deleted;
	int64_t shows; /* the moment that a list shows */
	struct pod *pod;
	struct network *network;
	struct namespace_rule *namespace;
	char *key[2];
};

static void delivery_free(void *aux)
{
	struct delivery *delivery = aux;

	pod_free(delivery->pod);
	network_free(delivery->network);
	namespace_rule_free(delivery->namespace);
	free(delivery->key[0]);
	free(delivery->key[1]);
	free(delivery);
}

bool sim_watch_sees(const struct sim *sim, const struct sim_pod *pod)
{
	if (!pod->exists)
		return false;
	return !sim->plan.selector || (pod->node[0] && !pod->finished);
}

static void deliver_pod(struct sim *sim, struct engine *engine, struct delivery *delivery)
{
	struct pod *pod = delivery->pod;

	delivery->pod = NULL;
	if (delivery->deleted)
		engine_pod_deleted(engine, pod, sim->world.now);
	else
		engine_pod_applied(engine, pod, sim->world.now);
}

static void deliver_network(struct sim *sim, struct engine *engine, struct delivery *delivery)
{
	if (delivery->deleted) {
		engine_network_deleted(engine, delivery->key[0], delivery->key[1], sim->world.now);
		return;
	}
	engine_network_applied(engine, delivery->network, sim->world.now);
	delivery->network = NULL;
}

static void deliver_namespace(struct sim *sim, struct engine *engine, struct delivery *delivery)
{
	engine_namespace_applied(engine, delivery->namespace, sim->world.now);
	delivery->namespace = NULL;
}

static void deliver_begin(struct sim *sim, struct engine *engine, enum sim_kind kind)
{
	switch (kind) {
	case SIM_PODS:
		engine_pods_begin(engine, sim->world.now);
		break;
	case SIM_NETWORKS:
		engine_networks_begin(engine, sim->world.now);
		break;
	default:
		engine_namespaces_begin(engine, sim->world.now);
		break;
	}
}

static void deliver_end(struct sim *sim, struct engine *engine, enum sim_kind kind)
{
	switch (kind) {
	case SIM_PODS:
		engine_pods_end(engine, sim->world.now);
		break;
	case SIM_NETWORKS:
		engine_networks_end(engine, sim->world.now);
		break;
	default:
		engine_namespaces_end(engine, sim->world.now);
		break;
	}
}

static const char *kind_name(enum sim_kind kind)
{
	static const char *const names[] = { "pods", "networks", "namespaces" };

	return names[kind];
}

static void tell_delivery(struct sim *sim, const struct sim_process *process, const struct delivery *delivery)
{
	unsigned long long who = (unsigned long long)process->incarnation;
	const char *what = delivery->deleted ? "deleted" : "applied";

	if (!sim_is_told(sim))
		return;
	if (delivery->begin || delivery->end)
		sim_say(sim, "fact %llu   %s %s", who, kind_name(delivery->kind), delivery->begin ? "begin" : "end");
	else if (delivery->pod)
		sim_say(sim, "fact %llu   pod %s/%s %s%s%s%s: %s", who, delivery->pod->namespace, delivery->pod->name,
			what, delivery->pod->finished ? ", finished" : "",
			delivery->pod->terminating ? ", terminating" : "", delivery->pod->node[0] ? "" : ", unbound",
			delivery->pod->networks_text ? delivery->pod->networks_text : "-");
	else if (delivery->network)
		sim_say(sim, "fact %llu   network %s/%s applied, pkey %s", who, delivery->network->namespace,
			delivery->network->name, delivery->network->pkey_text ? delivery->network->pkey_text : "-");
	else
		sim_say(sim, "fact %llu   %s %s %s", who, kind_name(delivery->kind),
			delivery->namespace ? delivery->namespace->name : delivery->key[1], what);
}

static void arrive(struct sim *sim, void *aux)
{
	struct delivery *delivery = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, delivery->incarnation);
	struct sim_watch *watch;

	if (!process || process->watches[delivery->kind].generation != delivery->generation)
		return;
	watch = &process->watches[delivery->kind];
	tell_delivery(sim, process, delivery);
	if (delivery->begin) {
		deliver_begin(sim, process->engine, delivery->kind);
		watch->begun = true;
	} else if (delivery->end) {
		deliver_end(sim, process->engine, delivery->kind);
		watch->begun = watch->listing = false;
		watch->synced = true;
		watch->listed_at = delivery->shows;
	} else if (delivery->kind == SIM_PODS) {
		deliver_pod(sim, process->engine, delivery);
	} else if (delivery->kind == SIM_NETWORKS) {
		deliver_network(sim, process->engine, delivery);
	} else {
		deliver_namespace(sim, process->engine, delivery);
	}
	sim_process_fed(sim, process);
}

/* In order, whatever the delay of each. */
static void send(struct sim *sim, struct sim_process *process, struct delivery *delivery, int64_t delay)
{
	struct sim_watch *watch = &process->watches[delivery->kind];
	int64_t at = sim->world.now + delay;

	if (at < watch->last_at)
		at = watch->last_at;
	watch->last_at = at;
	delivery->incarnation = process->incarnation;
	delivery->generation = watch->generation;
	sim_at(sim, at, arrive, delivery, delivery_free);
}

static struct delivery *delivery_new(enum sim_kind kind)
{
	struct delivery *delivery = mem_alloc(sizeof(*delivery));

	delivery->kind = kind;
	return delivery;
}

static int64_t draw_delay(struct sim *sim)
{
	if (sim->settling || sim->plan.calm)
		return sim_rng_between(&sim->rng, 0, 5);
	if (sim_rng_chance(&sim->rng, 3))
		return sim_rng_between(&sim->rng, 0, 4000);
	return sim_rng_between(&sim->rng, 0, 60);
}

static void list_pods(struct sim *sim, struct sim_process *process)
{
	for (size_t i = 0; i < sim_api_pods(sim->api); i++) {
		const struct sim_pod *pod = sim_api_pod(sim->api, i);
		struct delivery *delivery;

		if (!sim_watch_sees(sim, pod))
			continue;
		delivery = delivery_new(SIM_PODS);
		delivery->pod = sim_pod_object(pod);
		if (delivery->pod)
			send(sim, process, delivery, sim_rng_chance(&sim->rng, 10) ? draw_delay(sim) : 0);
		else
			delivery_free(delivery);
	}
}

static void list_networks(struct sim *sim, struct sim_process *process)
{
	const struct sim_network *network;

	for (size_t i = 0; (network = sim_api_network(sim->api, i)); i++) {
		struct delivery *delivery;

		if (!network->exists)
			continue;
		delivery = delivery_new(SIM_NETWORKS);
		delivery->network = sim_network_object(network);
		send(sim, process, delivery, 0);
	}
}

static void list_namespaces(struct sim *sim, struct sim_process *process)
{
	const struct sim_namespace *namespace;

	for (size_t i = 0; (namespace = sim_api_namespace(sim->api, i)); i++) {
		struct delivery *delivery = delivery_new(SIM_NAMESPACES);

		delivery->namespace = sim_namespace_object(namespace);
		send(sim, process, delivery, 0);
	}
}

struct relist {
	uint64_t incarnation, generation;
	enum sim_kind kind;
};

/* The server answers: this is the moment the list shows. */
static void list_now(struct sim *sim, void *aux)
{
	struct relist *relist = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, relist->incarnation);
	struct delivery *delivery;

	if (!process || process->watches[relist->kind].generation != relist->generation)
		return;
	if (sim_api_is_down(sim)) {
		struct relist *again = mem_alloc(sizeof(*again));

		*again = *relist;
		sim_after(sim, 1000, list_now, again, free);
		return;
	}
	process->watches[relist->kind].listing = true;
	delivery = delivery_new(relist->kind);
	delivery->begin = true;
	send(sim, process, delivery, draw_delay(sim));
	if (relist->kind == SIM_PODS)
		list_pods(sim, process);
	else if (relist->kind == SIM_NETWORKS)
		list_networks(sim, process);
	else
		list_namespaces(sim, process);
	delivery = delivery_new(relist->kind);
	delivery->end = true;
	delivery->shows = sim->world.now;
	send(sim, process, delivery, draw_delay(sim));
}

void sim_watch_list(struct sim *sim, struct sim_process *process, enum sim_kind kind)
{
	struct sim_watch *watch = &process->watches[kind];
	struct relist *relist = mem_alloc(sizeof(*relist));

	watch->generation++;
	watch->listing = false;
	watch->last_at = 0;
	*relist = (struct relist){ process->incarnation, watch->generation, kind };
	sim_after(sim, draw_delay(sim), list_now, relist, free);
}

void sim_watch_drop(struct sim *sim, struct sim_process *process, enum sim_kind kind)
{
	sim_say(sim, "chaos    process %llu loses its watch of %s", (unsigned long long)process->incarnation,
		kind_name(kind));
	sim_watch_list(sim, process, kind);
	if (kind == SIM_PODS)
		sim_plugins_watch_lost(sim, process);
}

/* Before the list has shown its moment a change will be in it. */
static bool is_told(const struct sim_process *process, enum sim_kind kind)
{
	const struct sim_watch *watch = &process->watches[kind];

	return watch->listing || (watch->synced && watch->last_at);
}

void sim_watch_pod(struct sim *sim, struct sim_pod *pod, bool was_visible)
{
	bool is_visible = sim_watch_sees(sim, pod);

	if (!is_visible && !was_visible)
		return;
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		struct sim_process *process = sim_cluster_process(sim->cluster, slot);
		struct delivery *delivery;

		if (!process || !is_told(process, SIM_PODS))
			continue;
		delivery = delivery_new(SIM_PODS);
		delivery->deleted = !is_visible;
		delivery->pod = sim_pod_object(pod);
		/* What leaves the selector comes with its old state. */
		if (delivery->pod && delivery->deleted && pod->exists)
			delivery->pod->finished = delivery->pod->containers_ended = false;
		if (delivery->pod)
			send(sim, process, delivery, draw_delay(sim));
		else
			delivery_free(delivery);
	}
}

void sim_watch_network(struct sim *sim, const struct sim_network *network)
{
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		struct sim_process *process = sim_cluster_process(sim->cluster, slot);
		struct delivery *delivery;

		if (!process || !is_told(process, SIM_NETWORKS))
			continue;
		delivery = delivery_new(SIM_NETWORKS);
		delivery->deleted = !network->exists;
		delivery->key[0] = mem_dup(network->namespace);
		delivery->key[1] = mem_dup(network->name);
		if (network->exists)
			delivery->network = sim_network_object(network);
		send(sim, process, delivery, draw_delay(sim));
	}
}

void sim_watch_namespace(struct sim *sim, const struct sim_namespace *namespace)
{
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		struct sim_process *process = sim_cluster_process(sim->cluster, slot);
		struct delivery *delivery;

		if (!process || !is_told(process, SIM_NAMESPACES))
			continue;
		delivery = delivery_new(SIM_NAMESPACES);
		delivery->namespace = sim_namespace_object(namespace);
		send(sim, process, delivery, draw_delay(sim));
	}
}
