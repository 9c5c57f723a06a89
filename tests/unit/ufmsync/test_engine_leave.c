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

/* How attachments end. */

static struct world *with_one(void)
{
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	return world;
}

static uint64_t resting(const struct world *world)
{
	struct engine_status status;
	engine_status(world->engine, &status);
	return status.attachments[ATTACHMENT_RESTING];
}

static void test_a_deleted_pod_leaves_and_its_guid_rests(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_run(world);
	world_expect(world, "LEAVE 0x5 n=1\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_RESTING);
	world_pass(world, world->options.rest_ms - 1);
	assert_int_equal(resting(world), 1);
	world_pass(world, 1000);
	assert_int_equal(resting(world), 0);
	world_free(world);
}

static void test_a_terminating_pod_keeps_everything(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_pod_terminate(world, "a/p");
	world_pass(world, 300000);
	world_expect(world, "");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_finished_pod_leaves(void **state)
{
	(void)state;
	struct world *world = with_one();
	world->mute = "LIST LIST_PODS";
	world_pod_phase(world, "a/p", "Succeeded");
	world_run(world);
	world_expect(world,
		     "LEAVE 0x5 n=1\n"
		     "EVENT a/p Released: the pod has finished, and its GUID has left its partitions; a/ib: GUID "
		     "02:00:00:00:00:00:00:10 in PKey 0x0005\n");
	world_free(world);
}

static void test_a_pod_that_left_the_watch_unclearly_is_read(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_pod_delete(world, "a/p", WORLD_FORCED);
	world_run(world);
	world_expect(world, "READ a/p\nLEAVE 0x5 n=1\n");
	world_pass(world, world->options.rest_ms + 120000);
	assert_int_equal(resting(world), 1); /* its last user may be alive: it rests long */
	world_pass(world, world->options.rest_unsure_ms);
	assert_int_equal(resting(world), 0);
	world_free(world);
}

static void test_a_pod_missing_from_a_new_list_is_read_before_it_counts_as_gone(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_pod(world, "a/q", "ib");
	world_run(world);
	world_forget(world);
	world_pod_delete(world, "a/p", WORLD_SILENT);
	world_tell(world);
	world_run(world);
	world_expect(world, "READ a/p\nLEAVE 0x5 n=1\n");
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_an_element_that_disappears_leaves(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_pod(world, "a/q", "ib@one,ib@two");
	world_pass(world, 100);
	uint64_t kept = world_guid(world, "a/q", 1);
	world_forget(world);
	world_annotate(world, "a/q", POD_NETWORKS_KEY, "ib@two");
	world_pass(world, 5000);
	assert_true(world_said(world, "LEAVE 0x5 n=1\n"));
	assert_int_equal(world_count(world, 5), 2);
	assert_int_equal(world_guid(world, "a/q", 0), kept); /* found by its interface, not by its place */
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_pod_recreated_under_its_name_is_another(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_run(world);
	world_pod(world, "a/p", "ib");
	world_annotate(world, "a/p", "x", "y");
	world_pass(world, 100);
	assert_int_equal(world_guid(world, "a/p", 0), GUID_1 + 1);
	world_free(world);
}

static void test_a_leave_whose_outcome_is_unknown_is_repeated(void **state)
{
	(void)state;
	struct world *world = with_one();
	world->write_error = ERROR_RETRY;
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_run(world);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_LEAVING);
	world->write_error = ERROR_NONE;
	world_pass(world, 2000);
	world_expect(world, "LEAVE 0x5 n=1\nLEAVE 0x5 n=1\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_RESTING);
	world_free(world);
}

static void test_a_join_that_lands_after_the_pod_is_gone_is_undone(void **state)
{
	(void)state;
	struct world *world = with_one();
	world->write_error = ERROR_RETRY;
	world_pod(world, "a/q", "ib");
	world_run(world);
	world->write_error = ERROR_NONE;
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_pass(world, 3000);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_RESTING);
	world_member_set(world, 5, GUID_1 + 1, true); /* the lost join lands */
	world_forget(world);
	world_pass(world, 61000);
	assert_true(world_said(world, "LEAVE 0x5 n=1\n"));
	assert_false(world_is_member(world, 5, GUID_1 + 1));
	assert_int_equal(resting(world), 1); /* and it rests anew */
	world_free(world);
}

static void test_a_guid_does_not_rest_less_than_its_unknown_join_may_take(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.rest_ms = 1000;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world->write_error = ERROR_RETRY;
	world_pod(world, "a/q", "ib");
	world_run(world);
	world->write_error = ERROR_NONE;
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_pass(world, world->options.write_timeout_ms - 100);
	assert_int_equal(resting(world), 1);
	world_pass(world, 1000);
	assert_int_equal(resting(world), 0);
	world_free(world);
}

static void test_a_pod_deleted_while_its_join_is_under_way_leaves_after_it(void **state)
{
	(void)state;
	struct world *world = with_one();
	world->hold_writes = true;
	world_pod(world, "a/q", "ib");
	world_run(world);
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\n");
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_run(world);
	world_expect(world, "LEAVE 0x5 n=1\n");
	assert_int_equal(world_count(world, 5), 1);
	world_free(world);
}

static void test_a_pod_gone_before_anything_was_sent_costs_nothing(void **state)
{
	(void)state;
	struct world *world = with_one();
	world->hold_writes = true;
	world_pod(world, "a/q", "ib");
	world_run(world);
	world_pod(world, "a/r", "ib");
	world_run(world);
	world_pod_delete(world, "a/r", WORLD_ENDED);
	world_forget(world);
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 1000);
	world_expect(world, "PATCH a/q n=1 record\n");
	assert_int_equal(resting(world), 0);
	world_free(world);
}

static void test_leaving_without_pkey_goes_straight_to_rest(void **state)
{
	(void)state;
	struct world *world = with_one();
	world_network(world, "a/free", IB_NO_PKEY);
	world_pod(world, "a/q", "free");
	world_run(world);
	world_forget(world);
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_run(world);
	world_expect(world, "");
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_RESTING);
	world_free(world);
}

/* The list that shows that it has left may show the first leave's doing, and the second one lands on the next owner. */
static void test_what_had_to_leave_twice_rests_until_both_have_landed(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.rest_ms = world->options.rest_early_ms = 1000;
	world->options.last.v = world->options.first.v;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_pass(world, 3000); /* a small pool rests at the start */
	world->late = true;
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pass(world, 4000);
	world->late = false;
	for (int i = 0; i < 200 && world_state(world, "a/p", 0) != ATTACHMENT_RESTING; i++)
		world_pass(world, 100);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_RESTING);
	world_pod(world, "a/q", "ib");
	world_pass(world, world->options.write_timeout_ms - 1000);
	assert_int_equal(world_guid(world, "a/q", 0), 0);
	world_pass(world, 5000);
	assert_int_equal(world_guid(world, "a/q", 0), GUID_1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deleted_pod_leaves_and_its_guid_rests),
		cmocka_unit_test(test_what_had_to_leave_twice_rests_until_both_have_landed),
		cmocka_unit_test(test_a_terminating_pod_keeps_everything),
		cmocka_unit_test(test_a_finished_pod_leaves),
		cmocka_unit_test(test_a_pod_that_left_the_watch_unclearly_is_read),
		cmocka_unit_test(test_a_pod_missing_from_a_new_list_is_read_before_it_counts_as_gone),
		cmocka_unit_test(test_an_element_that_disappears_leaves),
		cmocka_unit_test(test_a_pod_recreated_under_its_name_is_another),
		cmocka_unit_test(test_a_leave_whose_outcome_is_unknown_is_repeated),
		cmocka_unit_test(test_a_join_that_lands_after_the_pod_is_gone_is_undone),
		cmocka_unit_test(test_a_guid_does_not_rest_less_than_its_unknown_join_may_take),
		cmocka_unit_test(test_a_pod_deleted_while_its_join_is_under_way_leaves_after_it),
		cmocka_unit_test(test_a_pod_gone_before_anything_was_sent_costs_nothing),
		cmocka_unit_test(test_leaving_without_pkey_goes_straight_to_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
