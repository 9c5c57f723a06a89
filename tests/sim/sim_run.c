#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/sim_chaos.h"
#include "tests/sim/sim_converge.h"
#include "tests/sim/sim_plugins.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_tenants.h"
#include "tests/sim/sim_ufm.h"

/* A life: workload and faults for a while, then none, and everything must come right. */

static void run_until(struct sim *sim, int64_t end, uint64_t *steps)
{
	while (!sim_failed(sim)) {
		int64_t deadline = sim_cluster_deadline(sim), next = sim_world_next(&sim->world);

		if (deadline > end && next > end)
			break;
		++*steps;
		if (deadline <= next) {
			if (sim->world.now < deadline)
				sim->world.now = deadline;
			sim_cluster_run_due(sim);
		} else {
			sim_world_step(sim);
		}
	}
	if (sim->world.now < end)
		sim->world.now = end;
}

/* --- the restless part --- */

static void tenants_act(struct sim *sim, void *aux)
{
	if (sim->settling)
		return;
	sim_tenants_act(sim);
	sim_after(sim, sim_rng_gap(&sim->rng, sim->plan.tenant_gap_ms), tenants_act, aux, NULL);
}

static void chaos_acts(struct sim *sim, void *aux)
{
	if (sim->settling)
		return;
	sim_chaos_act(sim);
	sim_after(sim, sim_rng_gap(&sim->rng, sim->plan.chaos_gap_ms), chaos_acts, aux, NULL);
}

static void served_by_now(struct sim *sim, void *aux)
{
	sim_judge_served(sim, aux);
}

static void plain_pod_comes(struct sim *sim, void *aux)
{
	(void)aux;
	if (!sim->settling)
		sim_after(sim, sim_patience(sim), served_by_now, sim_tenants_add(sim, true), NULL);
}

static void begin(struct sim *sim)
{
	sim_tenants_settle_in(sim);
	sim_cluster_start(sim, 0);
	if (sim->plan.standby)
		sim_cluster_start(sim, 1);
	sim_after(sim, sim_rng_between(&sim->rng, 0, 3000), tenants_act, NULL, NULL);
	if (!sim->plan.calm)
		sim_after(sim, sim_rng_gap(&sim->rng, sim->plan.chaos_gap_ms), chaos_acts, NULL, NULL);
	else
		for (int i = 0; i < 4; i++)
			sim_after(sim, sim_rng_between(&sim->rng, 0, sim->plan.life_ms), plain_pod_comes, NULL, NULL);
}

/* --- the quiet part --- */

static int64_t settling_time(const struct sim *sim)
{
	const struct engine_options *options = &sim->plan.options;
	int64_t size = (int64_t)(options->last.v - options->first.v);
	int64_t ms = 600000 + 4 * options->audit_ms + 2 * options->orphan_grace_ms + options->rest_ms;

	/* What rests for long may be all there is to give. */
	return size < 300 ? ms + options->rest_unsure_ms : ms;
}

static void confirm(struct sim *sim)
{
	struct sim_process *leader = sim_cluster_leader(sim->cluster);

	if (!leader || leader->draining)
		return;
	sim_say(sim, "operator confirms the orphans");
	sim_rules_confirmed(sim, leader);
	engine_confirm(leader->engine, sim->world.now);
	sim_process_fed(sim, leader);
}

static void settle(struct sim *sim, uint64_t *steps)
{
	const struct engine_options *options = &sim->plan.options;
	int64_t round = 120000 + 4 * options->audit_ms + 3 * options->orphan_grace_ms + options->rest_ms;

	sim_say(sim, "--- no more faults ---");
	sim->settling = true;
	sim_ufm_heal(sim);
	sim_api_heal(sim);
	sim_cluster_ensure(sim);
	run_until(sim, sim->world.now + settling_time(sim), steps);
	sim_judge_converged(sim, true);
	if (sim_rng_chance(&sim->rng, 50)) {
		sim_chaos_name(sim);
		run_until(sim, sim->world.now + 60000, steps);
	}
	confirm(sim);
	run_until(sim, sim->world.now + round, steps);
	sim_judge_converged(sim, false);
	if (!sim_failed(sim) && sim->plan.keyed && sim_rng_chance(&sim->rng, 50)) {
		sim_cluster_kill(sim, sim_cluster_leader(sim->cluster));
		run_until(sim, sim->world.now + round, steps);
		sim_judge_converged(sim, true);
	}
	if (sim_failed(sim))
		return;
	sim_tenants_end_all(sim);
	run_until(sim, sim->world.now + 120000, steps);
	confirm(sim);
	run_until(sim, sim->world.now + round, steps);
	sim_judge_empty(sim);
}

static void describe(struct sim *sim)
{
	const struct sim_plan *plan = &sim->plan;
	const struct engine_options *options = &plan->options;

	sim_say(sim,
		"pool of %llu, %u networks, at most %u pods, %s%s%s, gate %s, orphans %d, policy %d, limited 0x%x, "
		"batch %zu, "
		"%u patches, rest %lld/%lld ms, audit %lld ms, grace %lld ms, write timeout %lld ms%s",
		(unsigned long long)(options->last.v - options->first.v + 1), plan->networks, plan->pods_max,
		plan->calm ? "calm" : "faults", plan->keyed ? "" : ", no record key", options->adopt ? ", adopts" : "",
		options->gate == ENGINE_GATE_MEMBER ? "member" : "assigned", (int)options->orphans,
		(int)options->policy, options->limited.v, options->batch_max, options->patches_max,
		(long long)options->rest_ms, (long long)options->rest_unsure_ms, (long long)options->audit_ms,
		(long long)options->orphan_grace_ms, (long long)options->write_timeout_ms,
		plan->standby ? ", standby" : "");
}

void sim_run(uint64_t seed, struct sim_story *story, struct sim_result *result)
{
	struct sim sim = { 0 };

	memset(result, 0, sizeof(*result));
	result->seed = seed;
	sim_rng_init(&sim.rng, seed);
	sim_world_init(&sim.world, story);
	sim_plan_draw(&sim.plan, &sim.rng);
	sim.api = sim_api_new();
	sim.ufm = sim_ufm_new();
	sim.cluster = sim_cluster_new();
	sim.tenants = sim_tenants_new();
	sim.plugins = sim_plugins_new(seed);
	sim.rules = sim_rules_new();
	describe(&sim);
	begin(&sim);
	run_until(&sim, sim.world.now + sim.plan.life_ms, &result->steps);
	if (!sim_failed(&sim))
		settle(&sim, &result->steps);
	result->failed = sim.world.failed;
	memcpy(result->rule, sim.world.rule, sizeof(result->rule));
	memcpy(result->failure, sim.world.failure, sizeof(result->failure));
	result->facts = sim_cluster_facts(sim.cluster);
	result->actions = sim_cluster_actions(sim.cluster);
	result->virtual_ms = sim.world.now - SIM_BIRTH_MS;
	sim_world_free(&sim.world);
	sim_cluster_free(sim.cluster);
	sim_rules_free(sim.rules);
	sim_tenants_free(sim.tenants);
	sim_plugins_free(sim.plugins);
	sim_ufm_free(sim.ufm);
	sim_api_free(sim.api);
}
