// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "tests/unit/ufmsync/engine_world.h"

/* What the fabric manager lists without an owner of ours. */

enum { STRANGER = 0x800 };

static struct world *with_stranger(enum engine_orphans mode, bool settled)
{
	struct world *world = world_new();
	world->options.orphans = mode;
	world_member_set(world, 5, GUID_1 + STRANGER, true);
	for (unsigned i = 0; i < 8; i++)
		world_member_set(world, 0x7000, 0x42 + i, true); /* none of our range */
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_lead(world, settled);
	return world;
}

static struct engine_status status_of(const struct world *world)
{
	struct engine_status status;
	engine_status(world->engine, &status);
	return status;
}

static void test_an_orphan_is_removed_when_seen_twice_apart(void **state)
{
	(void)state;
	struct world *world = with_stranger(ENGINE_ORPHANS_BRAKE, true);
	assert_int_equal(status_of(world).orphans, 1);
	world_pass(world, 59000);
	assert_true(world_is_member(world, 5, GUID_1 + STRANGER));
	world_pass(world, 62000);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	assert_int_equal(status_of(world).orphans, 0);
	assert_int_equal(world_count(world, 0x7000), 8);
	world_free(world);
}

static void test_an_unsettled_cluster_removes_nothing_until_confirmed(void **state)
{
	(void)state;
	struct world *world = with_stranger(ENGINE_ORPHANS_BRAKE, false);
	world_pass(world, 600000);
	assert_true(world_is_member(world, 5, GUID_1 + STRANGER));
	assert_int_equal(status_of(world).brake, ENGINE_BRAKE_UNSETTLED);
	assert_false(engine_is_settled(world->engine));
	engine_confirm(world->engine, world->now);
	world_pass(world, 1000);
	assert_true(engine_is_settled(world->engine));
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	world_free(world);
}

static void test_a_first_list_without_orphans_settles(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_engine(world);
	world_tell(world);
	world_lead(world, false);
	assert_true(engine_is_settled(world->engine));
	world_member_set(world, 5, GUID_1 + STRANGER, true);
	world_pass(world, 200000);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	world_free(world);
}

static void test_mode_remove_ignores_the_brake_and_keep_removes_nothing(void **state)
{
	(void)state;
	struct world *world = with_stranger(ENGINE_ORPHANS_REMOVE, false);
	world_pass(world, 200000);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	world_free(world);
	world = with_stranger(ENGINE_ORPHANS_KEEP, true);
	world_pass(world, 200000);
	assert_true(world_is_member(world, 5, GUID_1 + STRANGER));
	assert_int_equal(status_of(world).foreign, 1);
	world_free(world);
}

static void test_many_orphans_latch_the_brake_until_confirmed(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	for (unsigned i = 0; i < 11; i++)
		world_member_set(world, 5, GUID_1 + STRANGER + i, true);
	world_pass(world, 300000);
	assert_int_equal(world_count(world, 5), 11);
	assert_int_equal(status_of(world).brake, ENGINE_BRAKE_LATCHED);
	for (unsigned i = 1; i < 11; i++)
		world_member_drop(world, 5, GUID_1 + STRANGER + i);
	world_pass(world, 300000);
	assert_int_equal(world_count(world, 5), 1); /* still latched */
	engine_confirm(world->engine, world->now);
	world_pass(world, 1000);
	assert_int_equal(world_count(world, 5), 0);
	world_free(world);
}

static void test_confirmed_orphans_do_not_latch_again(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	for (unsigned i = 0; i < 20; i++)
		world_member_set(world, 5, GUID_1 + STRANGER + i, true);
	world_pass(world, 300000);
	engine_confirm(world->engine, world->now);
	world_pass(world, 130000);
	assert_int_equal(world_count(world, 5), 0);
	world_free(world);
}

static void test_one_that_comes_back_is_left_alone(void **state)
{
	(void)state;
	struct world *world = with_stranger(ENGINE_ORPHANS_BRAKE, true);
	world_pass(world, 130000);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	world_member_set(world, 5, GUID_1 + STRANGER, true);
	world_pass(world, 600000);
	assert_true(world_is_member(world, 5, GUID_1 + STRANGER));
	assert_int_equal(status_of(world).foreign, 1);
	/* Nobody gets it. */
	world_pod(world, "a/q", "[{\"name\":\"ib\",\"infiniband-guid\":\"02:00:00:00:00:00:08:10\"}]");
	world_run(world);
	assert_string_equal(world_blocked(world, "a/q", 0), "GUIDTaken");
	engine_confirm(world->engine, world->now);
	world_pass(world, 130000);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_foreign_pkeys_and_the_management_partition_are_never_touched(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.orphans = ENGINE_ORPHANS_REMOVE;
	memset(&world->options.pkeys, 0, sizeof world->options.pkeys);
	pkey_set_add(&world->options.pkeys, (struct pkey){ 5 });
	pkey_set_add(&world->options.pkeys, (struct pkey){ PKEY_MANAGEMENT });
	world_member_set(world, 6, GUID_1 + STRANGER, true);
	world_member_set(world, PKEY_MANAGEMENT, GUID_1 + STRANGER + 1, false);
	world_start(world);
	world_pass(world, 600000);
	world_expect(world, "");
	assert_int_equal(status_of(world).orphans, 0);
	world_free(world);
}

static void test_a_held_guid_that_turns_up_elsewhere_is_removed_there(void **state)
{
	(void)state;
	struct world *world = with_stranger(ENGINE_ORPHANS_BRAKE, true);
	uint64_t p = world_guid(world, "a/p", 0);
	world_pass(world, 200000);
	world_member_set(world, 6, p, false);
	world_forget(world);
	world_pass(world, 200000);
	world_expect(world, "LEAVE 0x6 n=1\n");
	assert_true(world_is_member(world, 5, p));
	world_free(world);
}

static void test_index_0_is_left_before_another_is_joined(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_run(world);
	uint64_t p = world_guid(world, "a/p", 0);
	world_member_drop(world, 5, p);
	world_member_set(world, 6, p, true); /* somebody moved it */
	world_forget(world);
	world_pass(world, 61000);
	world_expect(world, "");
	assert_string_equal(world_blocked(world, "a/p", 0), "GUIDTaken");
	world_pass(world, 130000);
	world_expect(world, "LEAVE 0x6 n=1\nJOIN 0x5 full index0 n=1\n");
	world_free(world);
}

static void test_removals_wait_for_everything_else(void **state)
{
	(void)state;
	struct world *world = with_stranger(ENGINE_ORPHANS_BRAKE, true);
	world_member_set(world, 5, GUID_1 + STRANGER + 1, true);
	world->hold_writes = true;
	world_pod(world, "a/q", "ib");
	world_pass(world, 200000);
	world_forget(world);
	world_pod(world, "a/r", "ib");
	world_write_answer(world, ERROR_NONE, true);
	assert_true(world_said(world, "JOIN"));
	assert_false(world_said(world, "LEAVE"));
	world_free(world);
}

static void test_an_orphan_that_was_removed_twice_rests_until_both_have_landed(void **state)
{
	(void)state;
	struct world *world = world_new();
	char wish[64], guid[GUID_TEXT_MAX];
	world->options.rest_ms = world->options.rest_early_ms = 1000;
	world_member_set(world, 5, GUID_1 + STRANGER, true);
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_lead(world, true);
	world->late = true;
	world_pass(world, 130000);
	assert_true(world_said(world, "LEAVE"));
	world->late = false;
	for (int i = 0; i < 1000 && world_is_member(world, 5, GUID_1 + STRANGER); i++)
		world_pass(world, 100);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	snprintf(wish, sizeof wish, "[{\"name\":\"ib\",\"infiniband-guid\":\"%s\"}]",
		 guid_format(guid, (struct guid){ GUID_1 + STRANGER }));
	world_pod(world, "a/p", wish);
	world_pass(world, world->options.write_timeout_ms - 1000);
	assert_int_equal(world_guid(world, "a/p", 0), 0);
	world_pass(world, 5000);
	assert_int_equal(world_guid(world, "a/p", 0), GUID_1 + STRANGER);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_orphan_is_removed_when_seen_twice_apart),
		cmocka_unit_test(test_an_orphan_that_was_removed_twice_rests_until_both_have_landed),
		cmocka_unit_test(test_an_unsettled_cluster_removes_nothing_until_confirmed),
		cmocka_unit_test(test_a_first_list_without_orphans_settles),
		cmocka_unit_test(test_mode_remove_ignores_the_brake_and_keep_removes_nothing),
		cmocka_unit_test(test_many_orphans_latch_the_brake_until_confirmed),
		cmocka_unit_test(test_confirmed_orphans_do_not_latch_again),
		cmocka_unit_test(test_one_that_comes_back_is_left_alone),
		cmocka_unit_test(test_foreign_pkeys_and_the_management_partition_are_never_touched),
		cmocka_unit_test(test_a_held_guid_that_turns_up_elsewhere_is_removed_there),
		cmocka_unit_test(test_index_0_is_left_before_another_is_joined),
		cmocka_unit_test(test_removals_wait_for_everything_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
