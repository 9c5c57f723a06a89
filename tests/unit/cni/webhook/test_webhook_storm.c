#undef NDEBUG
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/cni/webhook/webhook_world.h"

/* Everything at once in random order, and then nothing is left over. */

enum { SEEDS = 15, STEPS = 400, PODS = 12, ASKS = 300 };

static uint64_t state_of_random;

static unsigned below(unsigned n)
{
	state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state_of_random >> 33) % n;
}

static struct exchange asks[ASKS];
static bool cancelled[ASKS];
static unsigned n_asks;

static void ask(void)
{
	static const char *const tokens[] = { "node:n0", "node:n1", "node:n2", "late:n0", "late:n1", "late:n2" };
	char uid[16], interface[16];

	if (n_asks == ASKS)
		return;
	snprintf(uid, sizeof uid, "u%u", below(PODS + 1));
	snprintf(interface, sizeof interface, "net%u", 1 + below(5));
	asks[n_asks] = (struct exchange){ 0 };
	cancelled[n_asks] = false;
	world_ask(&asks[n_asks++], tokens[below(array_length(tokens))], uid, interface);
}

static void leave(void)
{
	unsigned i = n_asks ? below(n_asks) : 0;

	if (n_asks == 0 || asks[i].done || cancelled[i])
		return;
	http_cancel(asks[i].request);
	cancelled[i] = true;
	exchange_forget(&asks[i]);
}

static void change_a_pod(void)
{
	struct world_pod *pod = &world.pods[below(PODS)];

	switch (below(5)) {
	case 0:
		pod->known = !pod->known;
		break;
	case 1:
		pod->gone = !pod->gone;
		break;
	case 2:
		pod->networks[below(WORLD_NETWORKS)].attachable ^= true;
		break;
	case 3:
		pod->networks[below(WORLD_NETWORKS)].refused ^= true;
		break;
	default:
		pod->n = below(WORLD_NETWORKS + 1);
		break;
	}
	world_changed(pod);
}

static void renew(void)
{
	for (unsigned i = 0; i < PODS; i++) {
		world.pods[i].awaited = 0;
		world.pods[i].known = false;
	}
	webhook_world_renewed(world.webhook);
}

static void turn(void)
{
	loop_wake(exchange_loop);
	exchange_turns(1);
}

static void step(void)
{
	switch (below(16)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		ask();
		break;
	case 5:
		leave();
		break;
	case 6:
	case 7:
	case 8:
		change_a_pod();
		break;
	case 9:
		world.leads = below(2);
		world.held = world.leads || below(2);
		webhook_all_changed(world.webhook);
		break;
	case 10:
		world.reads_wait = below(2);
		world.reads_fail = below(2);
		world.reads_show_nothing = below(2);
		break;
	case 11:
		if (below(8) == 0)
			renew();
		break;
	case 12:
		world_answer_reads();
		break;
	case 13:
		world_release_asks();
		break;
	default:
		turn();
		break;
	}
}

static bool all_over(void)
{
	for (unsigned i = 0; i < n_asks; i++)
		if (!asks[i].done && !cancelled[i])
			return false;
	return true;
}

static void calm_down(void)
{
	world.leads = world.held = true;
	world.reads_wait = world.reads_fail = world.reads_show_nothing = false;
	for (unsigned i = 0; i < PODS; i++) /* the others have to wait until their deadline */
		for (unsigned j = 0; j < WORLD_NETWORKS; j++)
			world.pods[i].networks[j].attachable |= i % 2;
	webhook_all_changed(world.webhook);
	while (!all_over()) {
		world_release_asks();
		world_answer_reads();
		turn();
	}
	world_until_waiting(0);
}

static void storm(uint64_t seed)
{
	state_of_random = seed;
	n_asks = 0;
	for (unsigned i = 0; i < STEPS; i++)
		step();
	calm_down();
	assert_int_equal(world.webhook->waiting.nodes.count, 0);
	assert_int_equal(world.webhook->lookups.count, 0);
	assert_int_equal(world.webhook->tickets.count, 0);
	assert_int_equal(world.webhook->waiting.pods.count, world.webhook->waiting.n_remembered);
	for (unsigned i = 0; i < PODS; i++)
		assert_int_equal(world.pods[i].awaited, 0);
	for (unsigned i = 0; i < n_asks; i++) {
		assert_true(cancelled[i] || (asks[i].done == 1 && !asks[i].failed));
		exchange_free(&asks[i]);
	}
}

static void test_nothing_is_left_over_whatever_happens_in_whatever_order(void **state)
{
	char uid[16], node[16];

	(void)state;
	world_restart(&(struct webhook_options){ .timeout_ms = 30, .per_node_max = 6, .waiting_max = 15 });
	world.webhook->pace = (struct webhook_pace){ 5, 1, 1, 4, 0 };
	for (unsigned i = 0; i < PODS; i++) {
		snprintf(uid, sizeof uid, "u%u", i);
		snprintf(node, sizeof node, "n%u", i % 3);
		world_add(uid, node, WORLD_NETWORKS)->networks[3].index = 5;
	}
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		storm(seed);
	struct webhook_counts counts = world_counts();
	assert_true(counts.attached && counts.refused && counts.timed_out && counts.forbidden && counts.gone &&
		    counts.too_many_node && counts.too_many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_left_over_whatever_happens_in_whatever_order,
						world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
