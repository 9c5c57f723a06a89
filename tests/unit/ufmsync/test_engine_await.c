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

/* Somebody waits for a pod: they are told, and it goes first. */

static struct world *quiet_world(void)
{
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_forget(world);
	return world;
}

/* --- being told --- */

static void test_a_pod_that_is_not_known_cannot_be_awaited(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	assert_false(world_await(world, "a/p"));
	world_pod(world, "a/p", "ib");
	assert_true(world_await(world, "a/p"));
	world_await_no_more(world, "a/nobody");
	world_free(world);
}

static void test_changes_are_told_together(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "ib");
	world->hold_writes = true;
	assert_true(world_await(world, "a/p"));
	world_run(world);
	/* What has happened since it was asked for, and nothing of the other pod. */
	world_expect(world, "JOIN 0x5 full index0 n=2\nCHANGED uid-p\n");
	world_pass(world, 1000);
	world_expect(world, "");
	world->hold_writes = false;
	world->hold_patches = true;
	world_write_answer(world, ERROR_NONE, true);
	world_expect(world, "CHANGED uid-p\nPATCH a/p n=1 record\nPATCH a/q n=1 record\n");
	world_patch_answer(world, ENGINE_PATCHED);
	world_expect(world, "CHANGED uid-p\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_patch_answer(world, ENGINE_PATCHED);
	world_expect(world, "");
	world_free(world);
}

static void test_what_it_waits_for_is_told(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_pod(world, "a/p", "later");
	assert_true(world_await(world, "a/p"));
	world_run(world);
	world_expect(world, "");
	world_network(world, "a/later", IB("0x7fff"));
	world_run(world);
	world_expect(world, "CHANGED uid-p\n");
	assert_string_equal(world_view(world, "a/p", 0).blocked_reason, "BadPKey");
	world->hold_writes = true;
	world_network(world, "a/later", IB("0x7"));
	world_run(world);
	assert_true(world_said(world, "CHANGED uid-p\n"));
	assert_null(world_view(world, "a/p", 0).blocked_reason);
	world_free(world);
}

static void test_a_membership_that_gets_lost_is_told_and_so_is_its_return(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_pod(world, "a/p", "ib");
	world_pass(world, 1000);
	uint64_t p = world_guid(world, "a/p", 0);
	assert_true(world_await(world, "a/p"));
	world_pass(world, 1000);
	world_forget(world);
	world_member_drop(world, 5, p);
	world->hold_writes = true;
	engine_audit(world->engine, world->now);
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\nCHANGED uid-p\n");
	assert_false(world_view(world, "a/p", 0).attachable);
	world_write_answer(world, ERROR_NONE, true);
	world_expect(world, "CHANGED uid-p\n");
	assert_true(world_view(world, "a/p", 0).attachable);
	world_free(world);
}

static void test_a_network_that_gets_another_name_is_told_to_those_on_it(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_network(world, "a/other", IB("0x6"));
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "other");
	world_pass(world, 1000);
	assert_true(world_await(world, "a/p"));
	assert_true(world_await(world, "a/q"));
	world_run(world);
	world_forget(world);
	world_network(world, "a/ib", "{\"name\":\"fast\",\"type\":\"ib-sriov\",\"pkey\":\"0x5\"}");
	world_run(world);
	world_expect(world, "CHANGED uid-p\n");
	assert_string_equal(world_view(world, "a/p", 0).config_name, "fast");
	world_network(world, "a/ib", NULL);
	world_run(world);
	world_expect(world, "CHANGED uid-p\n");
	assert_string_equal(world_view(world, "a/p", 0).config_name, "");
	world_free(world);
}

static void test_as_many_must_leave_as_came(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_pod(world, "a/p", "later");
	assert_true(world_await(world, "a/p"));
	assert_true(world_await(world, "a/p"));
	world_run(world);
	world_forget(world);
	world_await_no_more(world, "a/p");
	world->hold_writes = true;
	world_network(world, "a/later", IB("0x7"));
	world_run(world);
	assert_true(world_said(world, "CHANGED uid-p\n"));
	world_forget(world);
	world_await_no_more(world, "a/p");
	world_await_no_more(world, "a/p"); /* one too many */
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	assert_false(world_said(world, "CHANGED"));
	world_free(world);
}

static void test_who_leaves_before_being_told_is_not_told(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_pod(world, "a/p", "later");
	world_run(world);
	assert_true(world_await(world, "a/p"));
	world_network(world, "a/later", IB("0x7"));
	world_await_no_more(world, "a/p");
	world_run(world);
	assert_false(world_said(world, "CHANGED"));
	world_free(world);
}

static void test_the_end_of_a_pod_is_told_once(void **state)
{
	(void)state;
	struct world *world = quiet_world();
	world_pod(world, "a/p", "ib");
	world_pass(world, 1000);
	assert_true(world_await(world, "a/p"));
	world_run(world);
	world_forget(world);
	world->hold_writes = true;
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_run(world);
	world_expect(world, "LEAVE 0x5 n=1\nCHANGED uid-p\n");
	assert_null(engine_pod_node(world->engine, "uid-p"));
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 100000);
	world_expect(world, "");
	assert_false(world_await(world, "a/p"));
	world_await_no_more(world, "a/p");
	world_free(world);
}

static void test_a_mark_outlives_a_watch_that_was_wrong(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	assert_true(world_await(world, "a/p"));
	world_run(world);
	/* A list without it: a follower forgets it at once. */
	engine_pods_begin(world->engine, world->now);
	engine_pods_end(world->engine, world->now);
	world_run(world);
	assert_null(engine_pod_node(world->engine, "uid-p"));
	world_forget(world);
	world_annotate(world, "a/p", "x", "y");
	world_run(world);
	world_expect(world, "CHANGED uid-p\n");
	assert_string_equal(engine_pod_node(world->engine, "uid-p"), "node-1");
	world_await_no_more(world, "a/p");
	world_free(world);
}

/* --- going first --- */

static void many_pods(struct world *world, const char *prefix, const char *network, int n)
{
	char name[32];
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof name, "a/%s%d", prefix, i);
		world_pod(world, name, network);
	}
}

/* Which pod's GUID stands at that place of the write that is held. */
static bool written_is(const struct world *world, size_t at, const char *pod)
{
	return at < world->writes[0].n && world->writes[0].guids[at].v == world_guid(world, pod, 0);
}

static struct world *busy_world(void)
{
	struct world *world = world_new();
	world->options.batch_max = 2;
	world->mute = "LIST EVENT LIST_PODS CHANGED PATCH";
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world->hold_writes = true;
	return world;
}

static void test_an_awaited_pod_goes_with_the_next_write(void **state)
{
	(void)state;
	struct world *world = busy_world();
	many_pods(world, "p", "ib", 10);
	world_run(world);
	assert_int_equal(world->n_writes, 1);
	assert_true(world_await(world, "a/p9"));
	world_write_answer(world, ERROR_NONE, true);
	assert_true(written_is(world, 0, "a/p9"));
	assert_true(written_is(world, 1, "a/p2"));
	world_free(world);
}

static void test_a_pod_that_is_awaited_before_it_is_queued_goes_first_too(void **state)
{
	(void)state;
	struct world *world = busy_world();
	many_pods(world, "p", "ib", 10);
	world_pod(world, "a/late", "later");
	world_run(world);
	assert_true(world_await(world, "a/late"));
	world_network(world, "a/later", IB("0x5"));
	world_write_answer(world, ERROR_NONE, true);
	assert_true(written_is(world, 0, "a/late"));
	world_free(world);
}

static void test_who_asks_first_goes_first(void **state)
{
	(void)state;
	struct world *world = busy_world();
	many_pods(world, "p", "ib", 10);
	world_run(world);
	assert_true(world_await(world, "a/p9"));
	assert_true(world_await(world, "a/p7"));
	assert_true(world_await(world, "a/p8"));
	assert_true(world_await(world, "a/p9"));
	world_write_answer(world, ERROR_NONE, true);
	assert_true(written_is(world, 0, "a/p9"));
	assert_true(written_is(world, 1, "a/p7"));
	world_write_answer(world, ERROR_NONE, true);
	assert_true(written_is(world, 0, "a/p8"));
	assert_true(written_is(world, 1, "a/p2"));
	world_free(world);
}

/* Halving finds the one to blame in a logarithmic number of writes, however many ask to go first meanwhile. */
static void test_the_search_for_a_bad_guid_goes_on_in_order(void **state)
{
	(void)state;
	struct world *world = busy_world();
	world->options.batch_max = 16;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	many_pods(world, "first", "ib", 1);
	world_run(world);
	many_pods(world, "p", "ib", 16);
	many_pods(world, "q", "ib", 16);
	world_run(world);
	uint64_t bad = world_guid(world, "a/p11", 0);
	int writes = 0;
	world_write_answer(world, ERROR_NONE, true);
	for (; !world_blocked(world, "a/p11", 0)[0] || strcmp(world_blocked(world, "a/p11", 0), "FabricRefused") != 0;
	     writes++) {
		char name[32];
		bool has_bad = false;
		assert_true(writes < 10);
		world_pass(world, 20);
		for (size_t i = 0; i < world->writes[0].n; i++)
			has_bad |= world->writes[0].guids[i].v == bad;
		/* Each time somebody else begins to wait: one of those suspected, and one who is not. */
		snprintf(name, sizeof name, "a/p%d", 15 - writes);
		assert_true(world_await(world, name));
		snprintf(name, sizeof name, "a/q%d", 15 - writes);
		assert_true(world_await(world, name));
		world_write_answer(world, has_bad ? ERROR_INVALID : ERROR_NONE, !has_bad);
	}
	assert_true(writes <= 8);
	world_free(world);
}

static void pods_on_three_pkeys(struct world *world)
{
	world_network(world, "a/six", IB("0x6"));
	world_network(world, "a/seven", IB("0x7"));
	many_pods(world, "p", "ib", 6);
	world_run(world);
	many_pods(world, "s", "six", 6);
	many_pods(world, "t", "seven", 6);
	world_run(world);
}

static void test_the_pkey_of_an_awaited_pod_is_served_next_but_once_a_round(void **state)
{
	(void)state;
	struct world *world = busy_world();
	pods_on_three_pkeys(world);
	world_forget(world);
	/* 5 is under way; then 5, 6, 7 stand in the ring. */
	assert_true(world_await(world, "a/t3"));
	world_write_answer(world, ERROR_NONE, true);
	assert_true(written_is(world, 0, "a/t3"));
	/* It has had its turn before its time: now the others go, whoever asks. */
	assert_true(world_await(world, "a/t4"));
	world_write_answer(world, ERROR_NONE, true);
	world_write_answer(world, ERROR_NONE, true);
	world_write_answer(world, ERROR_NONE, true);
	world_expect(world, "JOIN 0x7 full index0 n=2\nJOIN 0x5 full index0 n=2\nJOIN 0x6 full index0 n=2\n"
			    "JOIN 0x7 full index0 n=2\n");
	assert_true(written_is(world, 0, "a/t4"));
	/* Served where it stood: it may jump again. */
	assert_true(world_await(world, "a/t5"));
	world_write_answer(world, ERROR_NONE, true);
	assert_true(written_is(world, 0, "a/t5"));
	world_free(world);
}

static void test_what_is_queued_for_an_awaited_pod_makes_its_pkey_the_next(void **state)
{
	(void)state;
	struct world *world = busy_world();
	pods_on_three_pkeys(world);
	world_pod(world, "a/late", "later");
	world_run(world);
	assert_true(world_await(world, "a/late"));
	world_network(world, "a/later", IB("0x8"));
	world_write_answer(world, ERROR_NONE, true);
	assert_int_equal(world->writes[0].class.pkey.v, 8);
	assert_true(written_is(world, 0, "a/late"));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_that_is_not_known_cannot_be_awaited),
		cmocka_unit_test(test_changes_are_told_together),
		cmocka_unit_test(test_what_it_waits_for_is_told),
		cmocka_unit_test(test_a_membership_that_gets_lost_is_told_and_so_is_its_return),
		cmocka_unit_test(test_a_network_that_gets_another_name_is_told_to_those_on_it),
		cmocka_unit_test(test_as_many_must_leave_as_came),
		cmocka_unit_test(test_who_leaves_before_being_told_is_not_told),
		cmocka_unit_test(test_the_end_of_a_pod_is_told_once),
		cmocka_unit_test(test_a_mark_outlives_a_watch_that_was_wrong),
		cmocka_unit_test(test_an_awaited_pod_goes_with_the_next_write),
		cmocka_unit_test(test_a_pod_that_is_awaited_before_it_is_queued_goes_first_too),
		cmocka_unit_test(test_who_asks_first_goes_first),
		cmocka_unit_test(test_the_search_for_a_bad_guid_goes_on_in_order),
		cmocka_unit_test(test_the_pkey_of_an_awaited_pod_is_served_next_but_once_a_round),
		cmocka_unit_test(test_what_is_queued_for_an_awaited_pod_makes_its_pkey_the_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
