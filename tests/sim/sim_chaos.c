#include "tests/sim/sim_chaos.h"

#include "base/mem.h"
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

struct named {
	struct guid guids[8];
	size_t n, seen;
	struct sim *sim;
};

/* Each as likely as the others to be among those that are named. */
static void draw_orphan(void *aux, const struct stray_view *view)
{
	struct named *named = aux;
	size_t place = named->n;

	if (!view->removable)
		return;
	for (size_t i = 0; i < named->n; i++)
		if (named->guids[i].v == view->guid.v)
			return;
	named->seen++;
	if (named->n == array_length(named->guids))
		place = (size_t)sim_rng_below(&named->sim->rng, named->seen);
	else
		named->n++;
	if (place < array_length(named->guids))
		named->guids[place] = view->guid;
}

/* By name, behind the brake; those of the living are refused, whoever names them. */
static bool remove_by_name(struct sim *sim, struct sim_process *leader)
{
	struct named named = { .sim = sim };
	struct stray_place place = { .begun = false };
	uint64_t revision = engine_strays_revision(leader->engine);
	size_t which, grants = sim_rules_grants(sim);
	bool lost;

	while (engine_each_stray(leader->engine, &place, 100, &lost, draw_orphan, &named) && !lost)
		;
	if (named.n == 0)
		return false;
	sim_say(sim, "operator names %zu orphans", named.n);
	if (grants > 0 && named.n < array_length(named.guids) && sim_rng_chance(&sim->rng, 20)) {
		const struct sim_grant *grant = sim_rules_grant_at(sim, (size_t)sim_rng_below(&sim->rng, grants));
		struct attachment_view view;

		named.guids[named.n] = grant->guid;
		if (engine_holder(leader->engine, grant->guid, &view) && view.state < ATTACHMENT_LEAVING &&
		    engine_remove_orphans(leader->engine, named.guids, named.n + 1, revision, &which, sim->world.now))
			sim_fail(sim, "no leave of the living", "GUID %llx could be named as an orphan",
				 (unsigned long long)grant->guid.v);
	}
	if (engine_remove_orphans(leader->engine, named.guids, named.n, revision, &which, sim->world.now))
		for (size_t i = 0; i < named.n; i++)
			sim_rules_named(sim, leader, named.guids[i]);
	else
		sim_fail(sim, "named orphans", "GUID %llx was said to be removable and is refused",
			 (unsigned long long)named.guids[which % array_length(named.guids)].v);
	return true;
}

static void operate(struct sim *sim)
{
	struct sim_process *leader = sim_cluster_leader(sim->cluster);

	if (!leader || leader->draining)
		return;
	if (sim_rng_chance(&sim->rng, 60) && remove_by_name(sim, leader)) {
		; /* the others stay */
	} else if (sim_rng_chance(&sim->rng, 40)) {
		sim_say(sim, "operator confirms the orphans");
		sim_rules_confirmed(sim, leader);
		engine_confirm(leader->engine, sim->world.now);
	} else {
		engine_audit(leader->engine, sim->world.now);
	}
	sim_process_fed(sim, leader);
}

void sim_chaos_name(struct sim *sim)
{
	struct sim_process *leader = sim_cluster_leader(sim->cluster);

	if (leader && !leader->draining && remove_by_name(sim, leader))
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
	else if (what < 90)
		sim_api_down(sim, sim_rng_gap(&sim->rng, 10000));
	else if (what < 97)
		operate(sim);
	else if (what < 98)
		rotate_keys(sim);
	else
		set_clock_back(sim);
}
