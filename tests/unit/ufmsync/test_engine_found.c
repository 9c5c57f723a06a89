// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/ufmsync/engine_world.h"

/* A pod that was read for somebody who waits, before the watch has shown it. */

static struct world *with_hidden_pod(bool leads)
{
	struct world *world = world_new();
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	if (leads)
		world_lead(world, true);
	world->blind = true;
	world_pod(world, "a/p", "ib");
	world_forget(world);
	return world;
}

static void test_a_pod_that_is_found_is_served(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world_found(world, "a/p");
	assert_string_equal(engine_pod_node(world->engine, "uid-p"), "node-1");
	assert_true(world_await(world, "a/p"));
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_true(world_view(world, "a/p", 0).attachable);
	world_free(world);
}

static void test_a_pod_that_is_found_is_read_until_the_watch_shows_it(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world_found(world, "a/p");
	world_pass(world, 9000);
	assert_false(world_said(world, "READ"));
	world_forget(world);
	world_pass(world, 30000);
	world_expect(world, "READ a/p\nREAD a/p\nREAD a/p\n");
	world->blind = false;
	world_annotate(world, "a/p", "x", "y");
	world_pass(world, 100000);
	world_expect(world, "");
	world_free(world);
}

static void test_what_the_watch_has_shown_is_the_watchs_to_end(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(false);
	world_found(world, "a/p");
	world->blind = false;
	world_annotate(world, "a/p", "x", "y");
	world_run(world);
	/* A follower believes the next list, and reads nothing. */
	engine_pods_begin(world->engine, world->now);
	engine_pods_end(world->engine, world->now);
	world_run(world);
	assert_null(engine_pod_node(world->engine, "uid-p"));
	world_expect(world, "");
	world_free(world);
}

static void test_a_patch_under_way_puts_the_reading_off_and_no_more(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world->hold_patches = true;
	world_found(world, "a/p");
	world_pass(world, 15000);
	assert_int_equal(world->n_patches, 1);
	assert_false(world_said(world, "READ"));
	world_forget(world);
	world_patch_answer(world, ENGINE_PATCHED);
	world_expect(world, "READ a/p\n");
	world_free(world);
}

static void found_and_gone(bool leads)
{
	struct world *world = with_hidden_pod(leads);
	world_found(world, "a/p");
	assert_true(world_await(world, "a/p"));
	world_pass(world, 1000);
	world_pod_delete(world, "a/p", WORLD_SILENT);
	world_forget(world);
	world_pass(world, 12000);
	assert_true(world_said(world, "READ a/p\n"));
	assert_true(world_said(world, "CHANGED uid-p\n"));
	assert_null(engine_pod_node(world->engine, "uid-p"));
	assert_int_equal(world_count(world, 5), 0);
	world_free(world);
}

static void test_a_pod_that_was_gone_by_then_is_forgotten(void **state)
{
	(void)state;
	found_and_gone(true);
}

static void test_a_follower_forgets_it_too(void **state)
{
	(void)state;
	found_and_gone(false);
}

static void test_a_read_that_fails_says_nothing_and_is_repeated(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(false);
	world_found(world, "a/p");
	world->reads_fail = true;
	world_pod_delete(world, "a/p", WORLD_SILENT);
	world_pass(world, 100000);
	assert_string_equal(engine_pod_node(world->engine, "uid-p"), "node-1");
	world->reads_fail = false;
	world_pass(world, 60000);
	assert_null(engine_pod_node(world->engine, "uid-p"));
	world_free(world);
}

static void list_without_it(struct world *world)
{
	engine_pods_begin(world->engine, world->now);
	engine_pods_end(world->engine, world->now);
	world_run(world);
}

static void test_a_list_that_is_older_does_not_take_it_away(void **state)
{
	(void)state;
	for (int leads = 0; leads < 2; leads++) {
		struct world *world = with_hidden_pod(leads);
		/* The list was sent before, and ends after it was found. */
		engine_pods_begin(world->engine, world->now);
		world_found(world, "a/p");
		engine_pods_end(world->engine, world->now);
		world_run(world);
		assert_non_null(engine_pod_node(world->engine, "uid-p"));
		assert_false(world_said(world, "READ"));
		/* Another one that does not show it: that it is there is read, not guessed. */
		list_without_it(world);
		assert_true(world_said(world, "READ a/p\n"));
		world_pass(world, 1000);
		assert_non_null(engine_pod_node(world->engine, "uid-p"));
		if (leads)
			assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
		world_pod_delete(world, "a/p", WORLD_SILENT);
		list_without_it(world);
		assert_null(engine_pod_node(world->engine, "uid-p"));
		world_free(world);
	}
}

static void test_what_is_known_is_not_found(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world->blind = false;
	world_pod(world, "a/q", "ib");
	world_pass(world, 1000);
	uint64_t q = world_guid(world, "a/q", 0);
	world_found(world, "a/q");
	world_forget(world);
	world_pass(world, 50000);
	world_expect(world, "");
	assert_int_equal(world_guid(world, "a/q", 0), q);
	world_free(world);
}

static void test_a_pod_whose_end_the_watch_has_told_does_not_come_back(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world->blind = false;
	world_pod(world, "a/q", "ib");
	world_pass(world, 1000);
	struct pod *old = NULL;
	for (size_t i = 0; i < WORLD_PODS; i++)
		if (world->pods[i].object && !old)
			old = pod_from_json(world->pods[i].object);
	for (size_t i = 0; i < WORLD_PODS; i++) {
		pod_free(old);
		old = world->pods[i].object ? pod_from_json(world->pods[i].object) : NULL;
		if (old && !strcmp(old->name, "q"))
			break;
	}
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_pass(world, 1000);
	engine_pod_found(world->engine, old, world->now);
	assert_null(engine_pod_node(world->engine, "uid-q"));
	world_free(world);
}

static void test_a_follower_answers_from_the_record_of_a_pod_it_was_brought(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world->blind = false;
	world_annotate(world, "a/p", "x", "y");
	world_pass(world, 1000);
	uint64_t p = world_guid(world, "a/p", 0);
	world_engine(world);
	world->blind = true;
	world_found(world, "a/p"); /* before anything is listed */
	assert_null(world_view(world, "a/p", 0).pod_name);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_run(world);
	assert_true(world_view(world, "a/p", 0).attachable);
	assert_int_equal(world_view(world, "a/p", 0).guid.v, p);
	world_free(world);
}

static void test_a_found_pod_that_is_none_of_ours_is_let_go(void **state)
{
	(void)state;
	struct world *world = with_hidden_pod(true);
	world_network(world, "a/eth", "{\"type\":\"macvlan\"}");
	world_pod(world, "a/m", "eth");
	world_found(world, "a/m");
	assert_null(engine_pod_node(world->engine, "uid-m"));
	world_pass(world, 30000);
	world_expect(world, "");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_that_is_found_is_served),
		cmocka_unit_test(test_a_pod_that_is_found_is_read_until_the_watch_shows_it),
		cmocka_unit_test(test_what_the_watch_has_shown_is_the_watchs_to_end),
		cmocka_unit_test(test_a_patch_under_way_puts_the_reading_off_and_no_more),
		cmocka_unit_test(test_a_pod_that_was_gone_by_then_is_forgotten),
		cmocka_unit_test(test_a_follower_forgets_it_too),
		cmocka_unit_test(test_a_read_that_fails_says_nothing_and_is_repeated),
		cmocka_unit_test(test_a_list_that_is_older_does_not_take_it_away),
		cmocka_unit_test(test_what_is_known_is_not_found),
		cmocka_unit_test(test_a_pod_whose_end_the_watch_has_told_does_not_come_back),
		cmocka_unit_test(test_a_follower_answers_from_the_record_of_a_pod_it_was_brought),
		cmocka_unit_test(test_a_found_pod_that_is_none_of_ours_is_let_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
