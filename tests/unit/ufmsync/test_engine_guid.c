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

/* Which GUID and which PKey an attachment gets, and why not. */

static struct world *started_with(enum engine_policy policy)
{
	struct world *world = world_new();
	world->options.policy = policy;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "b/ib", IB("0x6"));
	world_network(world, "default/shared", IB("0x7"));
	world_run(world);
	world_forget(world);
	return world;
}

static struct world *started(void)
{
	return started_with(ENGINE_POLICY_NAMESPACE);
}

#define WISH(guid) "[{\"name\":\"ib\",\"infiniband-guid\":\"" guid "\"}]"
#define ONE        "02:00:00:00:00:00:00:10"
#define TWO        "02:00:00:00:00:00:00:11"

static void test_a_wished_guid_is_given(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", WISH(TWO));
	world_run(world);
	assert_int_equal(world_guid(world, "a/p", 0), GUID_1 + 1);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_held_guid_is_refused_until_it_is_free(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	world->mute = "";
	world_pod(world, "a/q", WISH(ONE));
	world_run(world);
	world_expect(world,
		     "EVENT a/q GUIDTaken: GUID " ONE " belongs to another attachment; wait until it is free, or "
		     "ask for another or none in the pod's annotation\n");
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pass(world, 59000);
	assert_int_equal(world_guid(world, "a/q", 0), 0);
	world_pass(world, 65000); /* its rest, and the list that confirms it */
	assert_int_equal(world_guid(world, "a/q", 0), GUID_1);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_forged_annotation_changes_nothing_for_the_owner(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	world_pod(world, "b/thief",
		  "[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"" ONE
		  "\",\"pkey\":\"0x5\",\"mellanox.infiniband.app\":\"configured\"}}]");
	world_pass(world, 1000);
	world_expect(world, "");
	assert_string_equal(world_blocked(world, "b/thief", 0), "GUIDTaken");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_guid_that_is_listed_elsewhere_is_refused_until_it_is_not(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_member_set(world, 0x77, GUID_1 + 1, true);
	world->options.orphans = ENGINE_ORPHANS_KEEP;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", WISH(TWO));
	world_run(world);
	assert_string_equal(world_blocked(world, "a/p", 0), "GUIDTaken");
	world_member_drop(world, 0x77, GUID_1 + 1);
	world_pass(world, world->options.audit_ms + 1000);
	assert_string_equal(world_blocked(world, "a/p", 0), "GUIDTaken"); /* whoever had it may have had it till now */
	world_pass(world, world->options.rest_ms);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_generated_guids_skip_every_listed_one(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_member_set(world, 0x77, GUID_1, true);
	world_member_set(world, 0x7fff, GUID_1 + 1, false);
	world->options.orphans = ENGINE_ORPHANS_KEEP;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_run(world);
	assert_int_equal(world_guid(world, "a/p", 0), GUID_1 + 2);
	world_free(world);
}

static void test_guids_that_are_none_or_not_ours_are_refused(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", WISH("04:00:00:00:00:00:00:10"));
	world_pod(world, "a/q", WISH("00:00:00:00:00:00:00:00"));
	world_run(world);
	assert_string_equal(world_blocked(world, "a/p", 0), "GUIDOutOfRange");
	assert_string_equal(world_blocked(world, "a/q", 0), "GUIDOutOfRange");
	world_expect(world, "");
	world_annotate(world, "a/p", POD_NETWORKS_KEY, WISH(ONE));
	world_run(world);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_bad_pkey_reaches_nobody(void **state)
{
	(void)state;
	static const char *const bad[] = { IB("0x0"), IB("0x7fff"), IB("0x8005"), IB("5x"), IB("-1") };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct world *world = started();
		world_network(world, "a/bad", bad[i]);
		world_pod(world, "a/p", "bad");
		world_pod(world, "a/q", "ib");
		world_run(world);
		assert_string_equal(world_blocked(world, "a/p", 0), "BadPKey");
		world_expect(world, "JOIN 0x5 full index0 n=1\nPATCH a/q n=1 record\n");
		world_free(world);
	}
}

static void test_a_pkey_outside_the_range_is_never_touched(void **state)
{
	(void)state;
	struct world *world = world_new();
	memset(&world->options.pkeys, 0, sizeof world->options.pkeys);
	pkey_set_add(&world->options.pkeys, (struct pkey){ 5 });
	world_start(world);
	world_network(world, "a/six", IB("0x6"));
	world_pod(world, "a/p", "six");
	world_run(world);
	assert_string_equal(world_blocked(world, "a/p", 0), "BadPKey");
	world_free(world);
}

static void test_namespaces_keep_to_their_own_and_shared_networks(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/own", "ib");
	world_pod(world, "a/shared", "default/shared");
	world_pod(world, "a/foreign", "b/ib");
	world_pass(world, 100);
	assert_int_equal(world_state(world, "a/own", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_state(world, "a/shared", 0), ATTACHMENT_PUBLISHED);
	assert_string_equal(world_blocked(world, "a/foreign", 0), "PKeyNotAllowed");
	assert_int_equal(world_count(world, 6), 0);
	world_free(world);
	world = started_with(ENGINE_POLICY_ANY);
	world_pod(world, "a/foreign", "b/ib");
	world_run(world);
	assert_int_equal(world_state(world, "a/foreign", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_an_annotated_namespace_keeps_to_its_pkeys(void **state)
{
	(void)state;
	struct world *world = started();
	world_namespace(world, "a", "0x6-0x8");
	world_pod(world, "a/p", "ib,default/shared");
	world_pass(world, 100);
	assert_string_equal(world_blocked(world, "a/p", 0), "PKeyNotAllowed");
	assert_int_equal(world_state(world, "a/p", 1), ATTACHMENT_PUBLISHED);
	world_namespace(world, "a", "0x5");
	world_pass(world, 100);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_state(world, "a/p", 1), ATTACHMENT_PUBLISHED); /* stays what it is */
	world_namespace(world, "a", "nonsense");
	world_pod(world, "a/q", "ib");
	world_pass(world, 100);
	assert_string_equal(world_blocked(world, "a/q", 0), "PKeyNotAllowed");
	world_free(world);
}

static void test_the_policy_annotated_asks_for_the_annotation(void **state)
{
	(void)state;
	struct world *world = started_with(ENGINE_POLICY_ANNOTATED);
	world_pod(world, "a/p", "ib");
	world_run(world);
	assert_string_equal(world_blocked(world, "a/p", 0), "PKeyNotAllowed");
	world_namespace(world, "a", "0x5");
	world_run(world);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_pool_of_four_serves_six_pods_one_after_the_other(void **state)
{
	(void)state;
	struct world *world = world_new();
	char name[8];
	world->options.last = (struct guid){ GUID_1 + 3 };
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pass(world, 61000); /* a small pool counts as freed at the start */
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "a/p%d", i);
		world_pod(world, name, "ib");
	}
	world_pass(world, 100);
	assert_int_equal(world_count(world, 5), 4);
	assert_string_equal(world_blocked(world, "a/p4", 0), "PoolExhausted");
	assert_string_equal(world_blocked(world, "a/p5", 0), "PoolExhausted");
	world_pod_delete(world, "a/p1", WORLD_ENDED);
	world_pass(world, 4000);
	assert_string_equal(world_blocked(world, "a/p4", 0), "PoolExhausted");
	world_pass(world, 8000); /* the longest resting one is taken early */
	assert_int_equal(world_state(world, "a/p4", 0), ATTACHMENT_PUBLISHED);
	assert_string_equal(world_blocked(world, "a/p5", 0), "PoolExhausted");
	world_pod_delete(world, "a/p0", WORLD_ENDED);
	world_pass(world, 12000);
	assert_int_equal(world_state(world, "a/p5", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_an_unreadable_network_is_said_once(void **state)
{
	(void)state;
	struct world *world = started();
	world->mute = "LIST LIST_PODS";
	world_network(world, "a/odd", "{ not json");
	world_pod(world, "a/p", "odd");
	world_pass(world, 200000);
	assert_true(world_said(world, "EVENT a/p NetworkUnreadable"));
	assert_null(strstr(strstr(world->log, "EVENT") + 1, "EVENT"));
	world_free(world);
}

static void test_a_bad_annotation_is_said_once_and_takes_nothing_away(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	world->mute = "LIST LIST_PODS";
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "[{");
	world_pass(world, 200);
	world_pod_phase(world, "a/p", "Running");
	world_pass(world, 200);
	assert_true(world_said(world, "EVENT a/p BadAnnotation"));
	assert_false(world_said(world, "LEAVE"));
	assert_null(strstr(strstr(world->log, "EVENT") + 1, "EVENT"));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wished_guid_is_given),
		cmocka_unit_test(test_a_held_guid_is_refused_until_it_is_free),
		cmocka_unit_test(test_a_forged_annotation_changes_nothing_for_the_owner),
		cmocka_unit_test(test_a_guid_that_is_listed_elsewhere_is_refused_until_it_is_not),
		cmocka_unit_test(test_generated_guids_skip_every_listed_one),
		cmocka_unit_test(test_guids_that_are_none_or_not_ours_are_refused),
		cmocka_unit_test(test_a_bad_pkey_reaches_nobody),
		cmocka_unit_test(test_a_pkey_outside_the_range_is_never_touched),
		cmocka_unit_test(test_namespaces_keep_to_their_own_and_shared_networks),
		cmocka_unit_test(test_an_annotated_namespace_keeps_to_its_pkeys),
		cmocka_unit_test(test_the_policy_annotated_asks_for_the_annotation),
		cmocka_unit_test(test_a_pool_of_four_serves_six_pods_one_after_the_other),
		cmocka_unit_test(test_an_unreadable_network_is_said_once),
		cmocka_unit_test(test_a_bad_annotation_is_said_once_and_takes_nothing_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
