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

#include "tests/unit/ufmsync/engine_world.h"

/* What metrics are made of: times of attachments, what waits, how many PKeys a node has, audits and repairs. */

static struct engine_tally tally;

static struct world *started(void)
{
	struct world *world = world_new();
	engine_tally_init(&tally);
	world->options.tally = &tally;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/six", IB("0x6"));
	world_network(world, "a/free", IB_NO_PKEY);
	world_run(world);
	return world;
}

static struct engine_status status_of(const struct world *world)
{
	struct engine_status status;
	engine_status(world->engine, &status);
	return status;
}

static uint64_t members(void)
{
	return histogram_count(&tally.member);
}

static uint64_t published(void)
{
	return histogram_count(&tally.published);
}

/* --- times --- */

static void test_the_time_from_pod_to_member_and_to_annotation_is_noted_once(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_lists = world->hold_patches = true;
	world_pod(world, "a/p", "ib");
	world_pass(world, 300);
	assert_int_equal(members(), 0);
	world_list_answer(world);
	assert_int_equal(members(), 1);
	assert_int_equal(tally.member.sum_ms, 300);
	world_pass(world, 200);
	assert_int_equal(published(), 0);
	world_patch_answer(world, ENGINE_PATCHED);
	assert_int_equal(published(), 1);
	assert_int_equal(tally.published.sum_ms, 500);
	world->hold_lists = world->hold_patches = false;
	world_member_drop(world, 5, world_guid(world, "a/p", 0)); /* and is put back */
	world_pass(world, 200000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(members(), 1);
	assert_int_equal(published(), 1);
	world_free(world);
}

static void test_each_interface_has_its_own_time_and_without_pkey_there_is_no_member(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib,six,free");
	world_pass(world, 100);
	assert_int_equal(members(), 2);
	assert_int_equal(published(), 3);
	world_free(world);
}

static void test_what_was_there_before_this_leader_is_not_timed(void **state)
{
	(void)state;
	struct world *world = world_new();
	engine_tally_init(&tally);
	world->options.tally = &tally;
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/new", "ib");
	world_run(world);
	world_lead(world, true);
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/new", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(members() + published(), 0);
	world_engine(world); /* a take-over */
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_lead(world, true);
	world_pass(world, 100000);
	assert_int_equal(world_state(world, "a/new", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(members() + published(), 0);
	world_pod(world, "a/later", "ib");
	world_pass(world, 1000);
	assert_int_equal(members(), 1);
	assert_int_equal(published(), 1);
	world_free(world);
}

static void test_a_wait_for_somebody_else_does_not_count(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "missing");
	world_pass(world, 60000);
	assert_string_equal(world_blocked(world, "a/p", 0), "NetworkNotFound");
	world->hold_patches = true;
	world_network(world, "a/missing", IB("0x5"));
	world_pass(world, 40);
	world_patch_answer(world, ENGINE_PATCHED);
	assert_int_equal(published(), 1);
	assert_int_equal(tally.published.sum_ms, 40);
	world_free(world);
}

static void test_a_fabric_manager_that_is_away_counts(void **state)
{
	(void)state;
	struct world *world = started();
	world->write_error = ERROR_RETRY;
	world_pod(world, "a/p", "ib");
	world_pass(world, 5000);
	world->write_error = ERROR_NONE;
	world_pass(world, 60000);
	assert_int_equal(members(), 1);
	assert_true(tally.member.sum_ms >= 5000);
	world_free(world);
}

/* --- what waits --- */

static void test_the_oldest_on_its_way_in_or_out_is_known(void **state)
{
	(void)state;
	struct world *world = started();
	assert_int_equal(status_of(world).oldest, -1);
	world->hold_writes = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	int64_t first = world->now;
	world_pass(world, 1000);
	world_pod(world, "a/q", "six");
	world_pass(world, 1000);
	assert_int_equal(status_of(world).oldest, first);
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 1000);
	assert_int_equal(status_of(world).oldest, -1);
	world->hold_writes = true;
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_run(world);
	int64_t left = world->now;
	world_pass(world, 3000);
	assert_int_equal(status_of(world).oldest, left);
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_RESTING);
	assert_int_equal(status_of(world).oldest, -1);
	world_free(world);
}

static void test_what_was_lost_is_on_its_way_again(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_pass(world, 1000);
	world->hold_writes = true;
	world_member_drop(world, 5, world_guid(world, "a/p", 0));
	engine_audit(world->engine, world->now);
	world_run(world);
	assert_int_equal(status_of(world).oldest, world->now);
	assert_int_equal(status_of(world).missing, 1);
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 1000);
	assert_int_equal(status_of(world).oldest, -1);
	assert_int_equal(tally.joined, 1);
	world_free(world);
}

static void test_queues_are_as_long_as_what_waits(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = world->hold_patches = true;
	world_pod(world, "a/p", "ib");
	world_run(world); /* its write is under way */
	for (unsigned i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/q%u", i);
		world_pod(world, name, "six");
	}
	world_run(world);
	struct engine_status status = status_of(world);
	assert_int_equal(status.wanted, 6);
	assert_int_equal(status.to_join, 5);
	assert_int_equal(status.to_leave, 0);
	assert_int_equal(status.to_patch, 0);
	world_write_answer(world, ERROR_NONE, true);
	world_write_answer(world, ERROR_NONE, true);
	status = status_of(world);
	assert_int_equal(status.to_join, 0);
	assert_int_equal(status.to_patch, 6);
	while (world->n_patches)
		world_patch_answer(world, ENGINE_PATCHED);
	assert_int_equal(status_of(world).to_patch, 0);
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pod_delete(world, "a/q0", WORLD_ENDED);
	world_pass(world, 100); /* it gathers for a while */
	status = status_of(world);
	assert_int_equal(status.to_leave, 1); /* beside the one that is under way */
	assert_int_equal(status.wanted, 4);
	world_free(world);
}

static void test_a_patch_that_fails_waits_and_one_that_is_refused_does_not(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_patches = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_patch_answer(world, ENGINE_PATCH_RETRY);
	assert_int_equal(status_of(world).to_patch, 1);
	world_pass(world, 1000);
	assert_int_equal(world->n_patches, 1);
	world_patch_answer(world, ENGINE_PATCH_REFUSED);
	assert_int_equal(status_of(world).to_patch, 0);
	world_free(world);
}

/* --- PKeys of nodes --- */

static void pod_in(struct world *world, unsigned pkey)
{
	char name[32], config[128];
	snprintf(name, sizeof name, "a/n%u", pkey);
	snprintf(config, sizeof config, "{\"type\":\"ib-sriov\",\"pkey\":\"0x%x\",\"ibKubernetesEnabled\":true}", pkey);
	world_network(world, name, config);
	snprintf(name, sizeof name, "n%u", pkey);
	char pod[64];
	snprintf(pod, sizeof pod, "a/%s", name);
	world_pod(world, pod, name);
	world_pass(world, 100);
}

static void test_a_node_has_its_distinct_pkeys_and_the_default_partition(void **state)
{
	(void)state;
	struct world *world = started();
	assert_int_equal(status_of(world).node_pkeys_max, 0);
	world_pod(world, "a/p", "ib,ib@net7,six");
	world_pod(world, "a/q", "six,free");
	world_pass(world, 100);
	assert_int_equal(status_of(world).node_pkeys_max, 3);
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pass(world, 100);
	assert_int_equal(status_of(world).node_pkeys_max, 2);
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_pass(world, 100);
	assert_int_equal(status_of(world).node_pkeys_max, 0);
	world_free(world);
}

static void test_128_pkeys_fit_into_a_port_and_one_more_does_not(void **state)
{
	char pod[1024] = "";
	(void)state;
	struct world *world = started();
	for (unsigned pkey = 0x10; pkey < 0x10 + 127; pkey++) {
		char name[32], config[128];
		snprintf(name, sizeof name, "a/n%u", pkey);
		snprintf(config, sizeof config, "{\"type\":\"ib-sriov\",\"pkey\":\"0x%x\"}", pkey);
		world_network(world, name, config);
	}
	for (unsigned i = 0; i < 127; i++) {
		snprintf(pod + strlen(pod), sizeof pod - strlen(pod), "%sn%u", i % 32 ? "," : "", 0x10 + i);
		if (i % 32 != 31 && i != 126)
			continue;
		char name[16];
		snprintf(name, sizeof name, "a/p%u", i / 32);
		world_pod(world, name, pod);
		pod[0] = '\0';
	}
	world_pass(world, 1000);
	assert_int_equal(status_of(world).node_pkeys_max, 128);
	assert_int_equal(status_of(world).nodes_over, 0);
	pod_in(world, 0x200);
	assert_int_equal(status_of(world).node_pkeys_max, 129);
	assert_int_equal(status_of(world).nodes_over, 1);
	world_pod_delete(world, "a/n512", WORLD_ENDED);
	world_pass(world, 100);
	assert_int_equal(status_of(world).nodes_over, 0);
	world_free(world);
}

/* --- audits --- */

static void test_audits_and_what_they_repaired_are_counted(void **state)
{
	(void)state;
	struct world *world = started();
	uint64_t before = tally.audits_ok;
	assert_true(before >= 1);
	world_member_set(world, 5, GUID_1 + 7, true); /* nobody's */
	world_pass(world, 200000);
	assert_true(tally.audits_ok >= before + 3);
	assert_int_equal(tally.removed, 1);
	assert_int_equal(tally.joined, 0);
	assert_int_equal(tally.audits_failed, 0);
	world_free(world);
}

static void test_a_list_that_cannot_be_had_is_a_failed_audit(void **state)
{
	(void)state;
	struct world *world = started();
	uint64_t before = tally.audits_ok;
	struct error err;
	world->hold_lists = true;
	engine_audit(world->engine, world->now);
	world_run(world);
	assert_int_equal(world->n_lists, 1);
	error_set(&err, ERROR_RETRY, "away");
	engine_list_done(world->engine, world->lists[0].id, &err, world->now);
	assert_int_equal(tally.audits_failed, 1);
	assert_int_equal(tally.audits_ok, before);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_time_from_pod_to_member_and_to_annotation_is_noted_once),
		cmocka_unit_test(test_each_interface_has_its_own_time_and_without_pkey_there_is_no_member),
		cmocka_unit_test(test_what_was_there_before_this_leader_is_not_timed),
		cmocka_unit_test(test_a_wait_for_somebody_else_does_not_count),
		cmocka_unit_test(test_a_fabric_manager_that_is_away_counts),
		cmocka_unit_test(test_the_oldest_on_its_way_in_or_out_is_known),
		cmocka_unit_test(test_what_was_lost_is_on_its_way_again),
		cmocka_unit_test(test_queues_are_as_long_as_what_waits),
		cmocka_unit_test(test_a_patch_that_fails_waits_and_one_that_is_refused_does_not),
		cmocka_unit_test(test_a_node_has_its_distinct_pkeys_and_the_default_partition),
		cmocka_unit_test(test_128_pkeys_fit_into_a_port_and_one_more_does_not),
		cmocka_unit_test(test_audits_and_what_they_repaired_are_counted),
		cmocka_unit_test(test_a_list_that_cannot_be_had_is_a_failed_audit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
