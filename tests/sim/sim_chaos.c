#include "tests/sim/sim_chaos.h"

#include "tests/sim/sim_api.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_ufm.h"
#include "tests/sim/sim_watch.h"

static struct sim_process *draw_process(struct sim *sim)
{
	struct sim_process *first = sim_cluster_process(sim->cluster, 0),
			   *second = sim_cluster_process(sim->cluster, 1);

	if (!first || (second && sim_rng_chance(&sim->rng, 40)))
		return second;
	return first;
}

static void end_a_process(struct sim *sim)
{
	struct sim_process *process = draw_process(sim);

	if (!process || !sim->plan.restarts)
		return;
	if (!process->leading || process->draining || sim_rng_chance(&sim->rng, 60))
		sim_cluster_kill(sim, process);
	else
		sim_cluster_release(sim, process);
}

static void trouble_ufm(struct sim *sim)
{
	switch (sim_rng_below(&sim->rng, 5)) {
	case 0:
	case 1:
		sim_ufm_down(sim, sim_rng_gap(&sim->rng, 20000));
		break;
	case 2:
		sim_ufm_refuse_all(sim, sim_rng_gap(&sim->rng, 15000));
		break;
	case 3:
		sim_ufm_poison_guid(sim, sim_rng_gap(&sim->rng, 40000));
		break;
	default:
		sim_ufm_poison_pkey(sim, (struct pkey){ (uint16_t)sim_rng_between(&sim->rng, 1, 6) },
				    sim_rng_gap(&sim->rng, 40000));
		break;
	}
}

static void lose_members(struct sim *sim)
{
	if (!sim->plan.losses)
		return;
	if (sim_rng_chance(&sim->rng, 30))
		sim_ufm_backup(sim);
	else if (sim->plan.keyed && sim_rng_chance(&sim->rng, 40))
		sim_ufm_restore(sim);
	else
		sim_ufm_lose(sim, sim_rng_chance(&sim->rng, 20) ? 100 : 20);
}

/* A new key in the Secret: every process takes it up. */
static void rotate_keys(struct sim *sim)
{
	if (!sim->plan.keyed)
		return;
	sim_say(sim, "operator adds a record key");
	sim->plan.options.keys = sim_plan_keys(1);
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		struct sim_process *process = sim_cluster_process(sim->cluster, slot);

		if (!process)
			continue;
		engine_set_keys(process->engine, sim->plan.options.keys);
	}
}

/* Somebody sets the clock of a node back. */
static void set_clock_back(struct sim *sim)
{
	struct sim_process *process = draw_process(sim);
	int64_t ms = sim_rng_between(&sim->rng, 1000, 600000);

	if (!process)
		return;
	sim_say(sim, "chaos    the clock of process %llu goes back by %lld ms",
		(unsigned long long)process->incarnation, (long long)ms);
	engine_set_wall_offset(process->engine, SIM_WALL_BASE_MS - SIM_BIRTH_MS - ms);
}

static void operate(struct sim *sim)
{
	struct sim_process *leader = sim_cluster_leader(sim->cluster);

	if (!leader || leader->draining)
		return;
	if (sim_rng_chance(&sim->rng, 40)) {
		sim_say(sim, "operator confirms the orphans");
		sim_rules_confirmed(sim, leader);
		engine_confirm(leader->engine, sim->world.now);
	} else {
		engine_audit(leader->engine, sim->world.now);
	}
	sim_process_fed(sim, leader);
}

void sim_chaos_act(struct sim *sim)
{
	uint64_t what = sim_rng_below(&sim->rng, 100);
	struct sim_process *process = draw_process(sim);

	if (what < 18)
		end_a_process(sim);
	else if (what < 40)
		trouble_ufm(sim);
	else if (what < 52)
		lose_members(sim);
	else if (what < 66 && sim->plan.foreign_writer)
		sim_ufm_meddle(sim);
	else if (what < 84 && process)
		sim_watch_drop(sim, process, (enum sim_kind)sim_rng_below(&sim->rng, SIM_KINDS));
	else if (what < 92)
		sim_api_down(sim, sim_rng_gap(&sim->rng, 10000));
	else if (what < 97)
		operate(sim);
	else if (what < 98)
		rotate_keys(sim);
	else
		set_clock_back(sim);
}
