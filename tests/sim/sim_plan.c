#include "tests/sim/sim_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define FIRST_KEY  "c2ltdWxhdG9yIHJlY29yZCBrZXkgb2YgNDQgYnl0ZXMsIG5vIHNlY3JldA=="
#define SECOND_KEY "YW5vdGhlciBrZXkgb2YgdGhlIHNpbXVsYXRvciwgb2YgNDYgYnl0ZXMgLi4u"

static struct record_keys *the_keys[2];

const struct record_keys *sim_plan_keys(int set)
{
	struct error err;

	if (!the_keys[set] && record_keys_parse(&the_keys[set], set ? SECOND_KEY "," FIRST_KEY : FIRST_KEY, &err) < 0)
		abort();
	return the_keys[set];
}

void sim_plan_end(void)
{
	for (int set = 0; set < 2; set++) {
		record_keys_free(the_keys[set]);
		the_keys[set] = NULL;
	}
}

static void draw_pool(struct engine_options *options, struct sim_rng *rng)
{
	static const uint64_t sizes[] = { 4, 16, 16, 64, 64, 256, 5000, UINT64_C(1) << 40 };
	uint64_t size = sizes[sim_rng_below(rng, sizeof(sizes) / sizeof(sizes[0]))];

	options->first.v = UINT64_C(0x0200000000001000);
	options->last.v = options->first.v + size - 1;
	options->start = sim_rng_next(rng);
}

static void draw_policy(struct engine_options *options, struct sim_rng *rng)
{
	static const char *const shared[] = { "kube-system", "default", NULL };
	uint64_t policy = sim_rng_below(rng, 10);
	const char *bad;

	options->shared_namespaces = shared;
	options->policy = policy < 6   ? ENGINE_POLICY_NAMESPACE
			  : policy < 8 ? ENGINE_POLICY_ANNOTATED
				       : ENGINE_POLICY_ANY;
	memset(&options->pkeys, 0, sizeof(options->pkeys));
	if (!pkey_set_parse(&options->pkeys, "0x1-0x1f", &bad))
		abort();
	options->limited.v = sim_rng_chance(rng, 25) ? 0x2 : 0;
	options->index0 = sim_rng_chance(rng, 75);
	options->gate = sim_rng_chance(rng, 85) ? ENGINE_GATE_MEMBER : ENGINE_GATE_ASSIGNED;
	options->orphans = sim_rng_chance(rng, 70)   ? ENGINE_ORPHANS_BRAKE
			   : sim_rng_chance(rng, 70) ? ENGINE_ORPHANS_REMOVE
						     : ENGINE_ORPHANS_KEEP;
}

static void draw_times(struct engine_options *options, struct sim_rng *rng)
{
	static const size_t batches[] = { 1, 2, 5, 500, 500, 500 };

	if (sim_rng_chance(rng, 40))
		options->rest_ms = sim_rng_between(rng, 1000, 120000);
	if (sim_rng_chance(rng, 70))
		options->rest_unsure_ms = sim_rng_between(rng, 2, 10) * options->rest_ms;
	if (sim_rng_chance(rng, 50))
		options->audit_ms = sim_rng_between(rng, 10000, 120000);
	if (sim_rng_chance(rng, 30))
		options->orphan_grace_ms = sim_rng_between(rng, 1000, 90000);
	if (sim_rng_chance(rng, 30))
		options->write_timeout_ms = sim_rng_between(rng, 2000, 15000);
	options->batch_max = batches[sim_rng_below(rng, sizeof(batches) / sizeof(batches[0]))];
	options->patches_max = (unsigned)sim_rng_between(rng, 1, 32);
}

static void draw_faults(struct sim_plan *plan, struct sim_rng *rng)
{
	unsigned level = (unsigned)sim_rng_between(rng, 1, 25);

	plan->chaos_gap_ms = sim_rng_between(rng, 4000, 60000);
	plan->write_fault = sim_rng_chance(rng, 80) ? level : 0;
	plan->list_fault = sim_rng_chance(rng, 60) ? level : 0;
	plan->patch_fault = sim_rng_chance(rng, 60) ? level : 0;
	plan->read_fault = sim_rng_chance(rng, 40) ? level : 0;
	plan->restarts = sim_rng_chance(rng, 65);
	plan->standby = sim_rng_chance(rng, 35);
	/* Nor a GUID that another writer uses as well from one that we have lost. */
	plan->foreign_writer = plan->keyed && sim_rng_chance(rng, 40);
	plan->losses = sim_rng_chance(rng, 50);
}

/* GUIDs that hardly rest, few of them, and writes that land long after nobody waits for them any more. */
static void make_brisk(struct sim_plan *plan)
{
	struct engine_options *options = &plan->options;

	options->last.v = options->first.v + 15;
	options->rest_ms = 200 + (int64_t)(options->start >> 8) % 2000;
	options->rest_unsure_ms = 2 * options->rest_ms;
	options->rest_early_ms = options->rest_ms;
	options->write_timeout_ms = 15000;
	plan->write_fault = 25;
	plan->pods_max = 14;
	plan->tenant_gap_ms /= 4;
}

void sim_plan_draw(struct sim_plan *plan, struct sim_rng *rng)
{
	memset(plan, 0, sizeof(*plan));
	engine_options_init(&plan->options);
	draw_pool(&plan->options, rng);
	draw_policy(&plan->options, rng);
	draw_times(&plan->options, rng);
	plan->keyed = sim_rng_chance(rng, 88);
	plan->options.keys = plan->keyed ? sim_plan_keys(0) : NULL;
	plan->options.adopt = sim_rng_chance(rng, 12);
	plan->calm = sim_rng_chance(rng, 20);
	plan->life_ms = sim_rng_between(rng, 60, 600) * 1000;
	plan->tenant_gap_ms = plan->life_ms / sim_rng_between(rng, 30, 120);
	plan->pods_max = (unsigned)sim_rng_between(rng, 3, sim_rng_chance(rng, 15) ? 40 : 14);
	plan->networks = (unsigned)sim_rng_between(rng, 2, 8);
	plan->slow = (unsigned)sim_rng_between(rng, 2, 400);
	plan->selector = sim_rng_chance(rng, 70);
	plan->settled = sim_rng_chance(rng, 60);
	plan->own_guids = plan->keyed && sim_rng_chance(rng, 50);
	/* Without records nothing tells a forger from a pod that was served before a restart. */
	plan->forgers = plan->keyed && !plan->options.adopt && sim_rng_chance(rng, 50);
	plan->tampering = plan->keyed && sim_rng_chance(rng, 35);
	/* What is taken over from ib-kubernetes is known by its network only. */
	plan->nad_changes = plan->keyed && !plan->options.adopt && sim_rng_chance(rng, 50);
	plan->history = sim_rng_chance(rng, 30);
	if (!plan->calm)
		draw_faults(plan, rng);
	if (!plan->calm && plan->options.start % 8 == 0)
		make_brisk(plan);
}
