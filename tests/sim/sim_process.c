#include "tests/sim/sim_process.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/sim_plugins.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_watch.h"

/* The Lease.  A holder that lives keeps it; one that dies leaves it to expire. */
struct lease {
	uint64_t holder;    /* incarnation; 0: released or never held */
	int64_t expires_at; /* of a dead holder; INT64_MAX: it lives */
	bool settled;       /* the annotation */
};

struct sim_cluster {
	struct sim_process *slots[SIM_SLOTS];
	bool starting[SIM_SLOTS];
	uint64_t incarnations, facts, actions;
	struct lease lease;
};

enum { LEASE_MS = 15000, SPINS_MAX = 200, ACTIONS_A_SECOND_MAX = 1500 };

struct sim_cluster *sim_cluster_new(void)
{
	return mem_alloc(sizeof(struct sim_cluster));
}

void sim_cluster_free(struct sim_cluster *cluster)
{
	if (!cluster)
		return;
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		if (cluster->slots[slot])
			engine_free(cluster->slots[slot]->engine);
		free(cluster->slots[slot]);
	}
	free(cluster);
}

struct sim_process *sim_cluster_process(const struct sim_cluster *cluster, int slot)
{
	return cluster->slots[slot];
}

struct sim_process *sim_cluster_leader(const struct sim_cluster *cluster)
{
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		if (cluster->slots[slot] && cluster->slots[slot]->leading)
			return cluster->slots[slot];
	}
	return NULL;
}

struct sim_process *sim_cluster_asker(const struct sim_cluster *cluster, uint64_t incarnation)
{
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		if (cluster->slots[slot] && cluster->slots[slot]->incarnation == incarnation)
			return cluster->slots[slot];
	}
	return NULL;
}

uint64_t sim_cluster_facts(const struct sim_cluster *cluster)
{
	return cluster->facts;
}

uint64_t sim_cluster_actions(const struct sim_cluster *cluster)
{
	return cluster->actions;
}

/* --- birth, the Lease, death --- */

struct slot_event {
	int slot;
	uint64_t incarnation;
};

static struct slot_event *slot_event(int slot, uint64_t incarnation)
{
	struct slot_event *event = mem_alloc(sizeof(*event));

	*event = (struct slot_event){ slot, incarnation };
	return event;
}

static void lead(struct sim *sim, struct sim_process *process)
{
	struct lease *lease = &sim->cluster->lease;
	int64_t quiet = lease->holder ? lease->expires_at + sim->plan.options.write_timeout_ms : sim->world.now;

	*lease = (struct lease){ process->incarnation, INT64_MAX, lease->settled };
	process->leading = true;
	process->lead_at = sim->world.now;
	process->quiet_until = quiet;
	sim_say(sim, "lease    process %llu leads, quiet until %lld.%03lld%s", (unsigned long long)process->incarnation,
		(long long)((quiet - SIM_BIRTH_MS) / 1000), (long long)((quiet - SIM_BIRTH_MS) % 1000),
		lease->settled ? ", settled" : "");
	sim_rules_leads(sim, process, lease->settled);
	engine_lead(process->engine, quiet, lease->settled, sim->world.now);
	sim_process_fed(sim, process);
}

static void lease_tried(struct sim *sim, void *aux)
{
	const struct slot_event *event = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, event->incarnation);
	const struct lease *lease = &sim->cluster->lease;

	if (!process)
		return;
	if (!sim_api_is_down(sim) && (!lease->holder || lease->expires_at <= sim->world.now)) {
		lead(sim, process);
		return;
	}
	sim_after(sim, sim_rng_between(&sim->rng, 300, 1000), lease_tried, slot_event(event->slot, event->incarnation),
		  free);
}

static void process_started(struct sim *sim, void *aux)
{
	const struct slot_event *event = aux;
	struct sim_cluster *cluster = sim->cluster;
	struct engine_options options = sim->plan.options;
	struct sim_process *process;

	cluster->starting[event->slot] = false;
	if (cluster->slots[event->slot])
		return;
	process = mem_alloc(sizeof(*process));
	process->slot = event->slot;
	process->incarnation = ++cluster->incarnations;
	process->born_at = sim->world.now;
	options.start = sim_rng_next(&sim->rng);
	options.wall_offset_ms = SIM_WALL_BASE_MS - SIM_BIRTH_MS + sim_rng_between(&sim->rng, -2000, 2000);
	process->engine = engine_new(&options);
	cluster->slots[event->slot] = process;
	sim_say(sim, "process  %llu starts", (unsigned long long)process->incarnation);
	sim_rules_born(sim, process);
	for (enum sim_kind kind = SIM_PODS; kind < SIM_KINDS; kind++)
		sim_watch_list(sim, process, kind);
	sim_after(sim, sim_rng_between(&sim->rng, 0, 1000), lease_tried, slot_event(event->slot, process->incarnation),
		  free);
}

void sim_cluster_start(struct sim *sim, int slot)
{
	if (sim->cluster->slots[slot] || sim->cluster->starting[slot])
		return;
	sim->cluster->starting[slot] = true;
	sim_after(sim, sim_rng_between(&sim->rng, 0, 3000), process_started, slot_event(slot, 0), free);
}

void sim_cluster_ensure(struct sim *sim)
{
	if (!sim->cluster->slots[0] && !sim->cluster->slots[1])
		sim_cluster_start(sim, 0);
}

static void process_end(struct sim *sim, struct sim_process *process)
{
	struct sim_cluster *cluster = sim->cluster;

	cluster->slots[process->slot] = NULL;
	cluster->starting[process->slot] = true;
	sim_after(sim, sim_rng_between(&sim->rng, 100, 20000), process_started, slot_event(process->slot, 0), free);
	engine_free(process->engine);
	free(process);
}

void sim_cluster_kill(struct sim *sim, struct sim_process *process)
{
	struct lease *lease = &sim->cluster->lease;

	sim_say(sim, "process  %llu is killed (%u writes, %u patches under way)",
		(unsigned long long)process->incarnation, process->writes, process->patches);
	if (lease->holder == process->incarnation)
		lease->expires_at = sim->world.now + sim_rng_between(&sim->rng, 0, LEASE_MS);
	process_end(sim, process);
}

void sim_cluster_release(struct sim *sim, struct sim_process *process)
{
	sim_say(sim, "process  %llu ends cleanly", (unsigned long long)process->incarnation);
	process->draining = true;
	sim_process_fed(sim, process);
}

static void drained(struct sim *sim, struct sim_process *process);

static void drained_late(struct sim *sim, void *aux)
{
	const struct slot_event *event = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, event->incarnation);

	if (process)
		drained(sim, process);
}

/* Its own requests first: also those of which it was told nothing, for as long as they may go on. */
static void drained(struct sim *sim, struct sim_process *process)
{
	if (process->writes || process->patches || process->lists || process->reads)
		return;
	if (process->unsure_until > sim->world.now) {
		sim_at(sim, process->unsure_until, drained_late, slot_event(process->slot, process->incarnation), free);
		return;
	}
	sim_say(sim, "process  %llu has ended", (unsigned long long)process->incarnation);
	if (sim->cluster->lease.holder == process->incarnation)
		sim->cluster->lease.holder = 0;
	process_end(sim, process);
}

/* --- asking the engine --- */

static void carry_out(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		sim_ufm_write(sim, process, action);
		break;
	case ENGINE_LIST:
		sim_ufm_list(sim, process, action);
		break;
	case ENGINE_PATCH:
		sim_api_patch(sim, process, action);
		break;
	case ENGINE_READ_POD:
		sim_api_read(sim, process, action);
		break;
	case ENGINE_LIST_PODS:
		sim_watch_list(sim, process, SIM_PODS);
		break;
	case ENGINE_POD_CHANGED:
		sim_plugins_told(sim, process, action->pod_changed.uid);
		break;
	case ENGINE_EVENT:
		break;
	}
}

static void count_action(struct sim *sim, struct sim_process *process)
{
	if (process->second != sim->world.now / 1000) {
		process->second = sim->world.now / 1000;
		process->in_second = 0;
	}
	sim->cluster->actions++;
	if (++process->in_second > ACTIONS_A_SECOND_MAX)
		sim_fail(sim, "spins", "more than %d actions in a second", ACTIONS_A_SECOND_MAX);
}

static void ask(struct sim *sim, struct sim_process *process)
{
	struct engine_action action;
	bool acted = false;

	while (!sim_failed(sim) && engine_next(process->engine, sim->world.now, &action)) {
		acted = true;
		count_action(sim, process);
		sim_rules_action(sim, process, &action);
		if (!sim_failed(sim))
			carry_out(sim, process, &action);
	}
	if (acted || process->spin_at != sim->world.now)
		process->spins = 0;
	process->spin_at = sim->world.now;
	if (++process->spins > SPINS_MAX)
		sim_fail(sim, "spins", "asked to be asked at once %d times in a row, and had nothing to do", SPINS_MAX);
	if (sim_failed(sim))
		return;
	sim_rules_step(sim, process);
	if (process->leading && engine_is_settled(process->engine))
		sim->cluster->lease.settled = true;
}

static void asked_late(struct sim *sim, void *aux)
{
	const struct slot_event *event = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, event->incarnation);

	if (!process)
		return;
	process->pump_planned = false;
	if (!process->draining)
		ask(sim, process);
}

void sim_process_fed(struct sim *sim, struct sim_process *process)
{
	sim->cluster->facts++;
	if (process->draining) {
		drained(sim, process);
		return;
	}
	if (process->pump_planned)
		return;
	/* The loop has other things to do as well. */
	if (sim_rng_chance(&sim->rng, 12)) {
		process->pump_planned = true;
		sim_after(sim, sim_rng_between(&sim->rng, 0, 4), asked_late,
			  slot_event(process->slot, process->incarnation), free);
		return;
	}
	process->spins = 0;
	ask(sim, process);
}

int64_t sim_cluster_deadline(const struct sim *sim)
{
	int64_t deadline = INT64_MAX;

	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		const struct sim_process *process = sim->cluster->slots[slot];
		int64_t at;

		if (!process || process->draining || process->pump_planned)
			continue;
		at = engine_deadline(process->engine);
		if (at < deadline)
			deadline = at;
	}
	return deadline;
}

void sim_cluster_run_due(struct sim *sim)
{
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		struct sim_process *process = sim->cluster->slots[slot];

		if (process && !process->draining && !process->pump_planned &&
		    engine_deadline(process->engine) <= sim->world.now)
			ask(sim, process);
	}
}
