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

/* From a pod's wish to its annotation: what is sent, in which order, and what is not. */

static struct world *started(void)
{
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/six", IB("0x6"));
	world_network(world, "a/free", IB_NO_PKEY);
	world_run(world);
	world_forget(world);
	return world;
}

static void test_an_idle_engine_joins_reads_back_and_patches(void **state)
{
	(void)state;
	struct world *world = started();
	world->mute = "";
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\n"
			    "LIST 0x5\n"
			    "PATCH a/p n=1 record\n"
			    "EVENT a/p Member: a/ib: GUID 02:00:00:00:00:00:00:10 in PKey 0x0005\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_the_watch_showing_our_own_patch_costs_nothing(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	world_pod_phase(world, "a/p", "Running");
	world_pass(world, 5000);
	world_expect(world, "");
	world_free(world);
}

static void test_nothing_is_published_before_a_list_shows_it(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_lists = true;
	world_pod(world, "a/p", "ib");
	world_pass(world, 10000);
	world_expect(world, "JOIN 0x5 full index0 n=1\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_JOINING);
	world_list_answer(world);
	world_expect(world, "PATCH a/p n=1 record\n");
	world_free(world);
}

static void test_a_list_sent_before_the_write_was_answered_says_nothing_about_it(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = world->hold_lists = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	engine_audit(world->engine, world->now);
	world_run(world); /* a list of all is under way while the write is */
	assert_int_equal(world->n_lists, 1);
	world_write_answer(world, ERROR_NONE, true);
	world_forget(world);
	world_list_answer(world); /* taken before the write: does not show it */
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_JOINING);
	world_list_answer(world);
	world_expect(world, "PATCH a/p n=1 record\n");
	world_free(world);
}

static void test_a_network_without_pkey_needs_no_fabric_manager(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "free");
	world_run(world);
	world_expect(world, "PATCH a/p n=1 record\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_two_interfaces_are_one_write_and_one_patch(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib,ib@net7,six");
	world_pass(world, 100);
	world_expect(world, "JOIN 0x5 full index0 n=2\n"
			    "JOIN 0x6 full index0 n=1\n"
			    "PATCH a/p n=3 record\n");
	assert_int_not_equal(world_guid(world, "a/p", 0), world_guid(world, "a/p", 1));
	world_free(world);
}

static void test_what_arrives_during_a_write_goes_out_together(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = true;
	world_pod(world, "a/p1", "ib");
	world_run(world);
	world_pod(world, "a/p2", "ib");
	world_run(world);
	world_pod(world, "a/p3", "ib");
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\n");
	world_write_answer(world, ERROR_NONE, true);
	world_expect(world, "JOIN 0x5 full index0 n=2\n"
			    "PATCH a/p1 n=1 record\n");
	/* Under load the next one waits a little for company. */
	world_pod(world, "a/p4", "ib");
	world_write_answer(world, ERROR_NONE, true);
	world_forget(world);
	world_pod(world, "a/p5", "ib");
	world_pass(world, world->options.gather_ms - 1);
	world_expect(world, "");
	world_pass(world, 1);
	world_expect(world, "JOIN 0x5 full index0 n=2\n");
	world_free(world);
}

static void test_a_limited_partition_is_added_to_every_attachment_with_a_pkey(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.limited = (struct pkey){ 0x9 };
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/nine", IB("0x9"));
	world_run(world);
	world_forget(world);
	world_pod(world, "a/p", "ib,nine");
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\n"
			    "JOIN 0x9 limited n=1\n"
			    "JOIN 0x9 full index0 n=1\n"
			    "PATCH a/p n=2 record\n");
	world_free(world);
}

static void test_the_gate_assigned_publishes_before_the_membership(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.gate = ENGINE_GATE_ASSIGNED;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world->hold_writes = true;
	world_run(world);
	world_forget(world);
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\nPATCH a/p n=1 record\n");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_JOINING);
	world_write_answer(world, ERROR_NONE, true);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_expect(world, "");
	world_free(world);
}

static void test_an_unknown_outcome_is_settled_by_a_list(void **state)
{
	(void)state;
	struct world *world = started();
	world->write_error = ERROR_RETRY;
	world->applied = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	/* It had been applied: no second join. */
	world_expect(world, "JOIN 0x5 full index0 n=1\nPATCH a/p n=1 record\n");
	world->applied = false;
	world_pod(world, "a/q", "ib");
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_JOINING);
	world->write_error = ERROR_NONE;
	world_pass(world, 2000);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_one_bad_guid_delays_nobody_else(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = true;
	world_pod(world, "a/first", "ib");
	world_run(world);
	world->bad_guid = (struct guid){ GUID_1 + 5 };
	for (int i = 0; i < 16; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/p%02d", i);
		world_pod(world, name, "ib");
	}
	world_run(world);
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 900);
	for (int i = 0; i < 16; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/p%02d", i);
		bool bad = world_guid(world, name, 0) == GUID_1 + 5;
		assert_int_equal(world_state(world, name, 0) == ATTACHMENT_PUBLISHED, !bad);
		assert_string_equal(world_blocked(world, name, 0), bad ? "FabricRefused" : "");
	}
	world_free(world);
}

static void test_a_refused_pkey_delays_no_other(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = true;
	for (int i = 0; i < 8; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/p%d", i);
		world_pod(world, name, i % 2 ? "ib" : "six");
	}
	world_run(world);
	/* Every write to 0x5 is refused. */
	for (int i = 0; i < 40; i++) {
		if (world->n_writes)
			world_write_answer(world, world->writes[0].class.pkey.v == 5 ? ERROR_INVALID : ERROR_NONE,
					   false);
		else
			world_pass(world, 10);
	}
	for (int i = 0; i < 8; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/p%d", i);
		assert_int_equal(world_state(world, name, 0) == ATTACHMENT_PUBLISHED, i % 2 == 0);
	}
	world_free(world);
}

static void test_refused_credentials_lose_nothing(void **state)
{
	(void)state;
	struct world *world = started();
	world->write_error = ERROR_AUTH;
	world_pod(world, "a/p", "ib");
	world_pass(world, 3000);
	assert_string_equal(world_blocked(world, "a/p", 0), "FabricUnavailable");
	world->write_error = ERROR_NONE;
	world_pass(world, 60000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

/* All lists fail until one of a single PKey did. */
static void fail_read_back(struct world *world)
{
	struct error err;
	bool all = true;

	error_set(&err, ERROR_RETRY, "line 7 is broken");
	while (all) {
		for (int i = 0; i < 1000 && world->n_lists == 0; i++)
			world_pass(world, 100);
		assert_true(world->n_lists > 0);
		struct world_list list = world->lists[0];
		all = list.all;
		free(list.members);
		memmove(world->lists, world->lists + 1, --world->n_lists * sizeof list);
		engine_list_done(world->engine, list.id, &err, world->now);
		world_run(world);
	}
}

static void test_who_waits_for_a_list_that_keeps_failing_is_told_why(void **state)
{
	static const char told[] = "EVENT a/p FabricUnavailable: whether it is a member cannot be read: line 7";
	(void)state;
	struct world *world = started();
	world->mute = "LIST";
	world->hold_lists = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	fail_read_back(world);
	fail_read_back(world);
	assert_false(world_said(world, "EVENT"));
	fail_read_back(world);
	if (!world_said(world, told))
		fail_msg("%s", world->log);
	assert_string_equal(world_blocked(world, "a/p", 0), "FabricUnavailable");
	world_forget(world);
	for (int i = 0; i < 3; i++)
		fail_read_back(world);
	assert_false(world_said(world, "EVENT"));
	world->hold_lists = false;
	while (world->n_lists)
		world_list_answer(world);
	world_pass(world, 60000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_string_equal(world_blocked(world, "a/p", 0), "");
	world_free(world);
}

static void test_renewed_credentials_count_at_once(void **state)
{
	(void)state;
	struct world *world = started();
	world->write_error = ERROR_AUTH;
	world_pod(world, "a/p", "ib");
	world_run(world);
	world->write_error = ERROR_NONE;
	world_run(world);
	assert_int_not_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	engine_retry(world->engine, world->now);
	world_run(world);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_lost_membership_is_put_back(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_member_drop(world, 5, GUID_1);
	world_forget(world);
	world_pass(world, world->options.audit_ms + 1000);
	world_expect(world, "JOIN 0x5 full index0 n=1\n");
	assert_true(world_is_member(world, 5, GUID_1));
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_changed_membership_is_written_anew(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_member_set(world, 5, GUID_1, false);
	world_forget(world);
	world_pass(world, world->options.audit_ms + 1000);
	world_expect(world, "JOIN 0x5 full index0 n=1\n");
	world_free(world);
}

static void test_a_blocked_interface_does_not_hold_up_the_others(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib,later");
	world_run(world);
	world_expect(world, "JOIN 0x5 full index0 n=1\nPATCH a/p n=1 record\n");
	assert_string_equal(world_blocked(world, "a/p", 1), "NetworkNotFound");
	world_network(world, "a/later", IB("0x7"));
	world_run(world);
	world_expect(world, "JOIN 0x7 full index0 n=1\nPATCH a/p n=2 record\n");
	assert_int_equal(world_state(world, "a/p", 1), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_network_changed_before_publication_is_decided_anew(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_network(world, "a/ib", IB("0x8"));
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 100);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_count(world, 5), 0);
	assert_int_equal(world_count(world, 8), 1);
	world_free(world);
}

static void test_a_network_changed_after_publication_changes_nothing(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	world_network(world, "a/ib", IB("0x8"));
	world_pass(world, 1000);
	world_network(world, "a/ib", NULL);
	world_pass(world, 1000);
	world_expect(world, "");
	assert_true(world_is_member(world, 5, GUID_1));
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pass(world, 1000);
	world_expect(world, "LEAVE 0x5 n=1\n");
	world_free(world);
}

static void test_an_overwritten_annotation_is_written_again_but_not_in_a_fight(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	for (int i = 0; i < 100; i++) {
		world_annotate(world, "a/p", POD_NETWORKS_KEY, "[{\"name\":\"ib\",\"namespace\":\"a\"}]");
		world_pass(world, 100);
	}
	size_t patches = 0;
	for (const char *at = world->log; (at = strstr(at, "PATCH")); at++)
		patches++;
	assert_in_range(patches, 1, 8);
	world_pass(world, 120000);
	assert_non_null(strstr(world_annotation(world, "a/p", POD_NETWORKS_KEY), "02:00:00:00:00:00:00:10"));
	world_free(world);
}

static void test_a_stale_pod_is_read_again(void **state)
{
	(void)state;
	struct world *world = started();
	world->patch_answer = ENGINE_PATCH_STALE;
	world_pod(world, "a/p", "ib");
	world->hold_patches = true;
	world_run(world);
	world_forget(world);
	world->hold_patches = false;
	world->patch_answer = ENGINE_PATCHED;
	world_patch_answer(world, ENGINE_PATCH_STALE);
	world_expect(world, "READ a/p\nPATCH a/p n=1 record\n");
	world_free(world);
}

static void test_what_an_owner_writes_before_our_patch_is_answered_is_not_overlooked(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_patches = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "ib"); /* after the patch landed, before its answer */
	world_run(world);
	world->hold_patches = false;
	world_patch_answer(world, ENGINE_PATCHED);
	world_pass(world, 60000);
	assert_non_null(strstr(world_annotation(world, "a/p", POD_NETWORKS_KEY), "02:00:00:00:00:00:00:10"));
	world_free(world);
}

static void test_what_was_published_stays_on_record_though_its_membership_is_lost_meanwhile(void **state)
{
	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		struct world *world = started();
		world_pod(world, "a/p", "ib,six");
		world->hold_patches = true; /* it is applied, its answer comes late or never */
		world_pass(world, 100);
		uint64_t six = world_guid(world, "a/p", 1);
		world_annotate(world, "a/p", "x", "y"); /* the watch shows it before that */
		world->write_error = ERROR_AUTH;        /* and it cannot be put back */
		world_member_drop(world, 6, six);
		world_pass(world, world->options.audit_ms + 1000);
		world->hold_patches = false;
		world_patch_answer(world, answered ? ENGINE_PATCHED : ENGINE_PATCH_RETRY);
		world_pass(world, 60000);
		struct record *record;
		struct error err;
		assert_int_equal(record_open(&record, world->keys, world_annotation(world, "a/p", POD_RECORD_KEY),
					     "uid-p", &err),
				 0);
		assert_int_equal(record->n_attachments, 2);
		assert_int_equal(record->attachments[1].guid.v, six);
		record_free(record);
		world_free(world);
	}
}

static void test_a_refused_patch_waits_for_the_pod_to_change(void **state)
{
	(void)state;
	struct world *world = started();
	world->mute = "LIST LIST_PODS";
	world->patch_answer = ENGINE_PATCH_REFUSED;
	world_pod(world, "a/p", "ib");
	world_run(world);
	assert_true(world_said(world, "RecordRefused"));
	world->patch_answer = ENGINE_PATCHED;
	world_forget(world);
	world_pass(world, 60000);
	world_expect(world, "");
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_MEMBER);
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "[{\"name\":\"ib\"}]");
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_networks_of_other_types_cost_nothing_until_they_become_ours(void **state)
{
	(void)state;
	struct world *world = started();
	struct engine_status status;
	world_network(world, "a/mac", "{\"type\":\"macvlan\"}");
	world_pod(world, "a/p", "mac");
	world_run(world);
	engine_status(world->engine, &status);
	assert_int_equal(status.pods, 0);
	world_expect(world, "");
	world->mute = "LIST EVENT";
	world_network(world, "a/mac", IB("0x5"));
	world_run(world);
	world_expect(world, "LIST_PODS -\nJOIN 0x5 full index0 n=1\nPATCH a/p n=1 record\n");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_idle_engine_joins_reads_back_and_patches),
		cmocka_unit_test(test_the_watch_showing_our_own_patch_costs_nothing),
		cmocka_unit_test(test_nothing_is_published_before_a_list_shows_it),
		cmocka_unit_test(test_a_list_sent_before_the_write_was_answered_says_nothing_about_it),
		cmocka_unit_test(test_a_network_without_pkey_needs_no_fabric_manager),
		cmocka_unit_test(test_two_interfaces_are_one_write_and_one_patch),
		cmocka_unit_test(test_what_arrives_during_a_write_goes_out_together),
		cmocka_unit_test(test_a_limited_partition_is_added_to_every_attachment_with_a_pkey),
		cmocka_unit_test(test_the_gate_assigned_publishes_before_the_membership),
		cmocka_unit_test(test_an_unknown_outcome_is_settled_by_a_list),
		cmocka_unit_test(test_one_bad_guid_delays_nobody_else),
		cmocka_unit_test(test_a_refused_pkey_delays_no_other),
		cmocka_unit_test(test_refused_credentials_lose_nothing),
		cmocka_unit_test(test_who_waits_for_a_list_that_keeps_failing_is_told_why),
		cmocka_unit_test(test_renewed_credentials_count_at_once),
		cmocka_unit_test(test_a_lost_membership_is_put_back),
		cmocka_unit_test(test_a_changed_membership_is_written_anew),
		cmocka_unit_test(test_a_blocked_interface_does_not_hold_up_the_others),
		cmocka_unit_test(test_a_network_changed_before_publication_is_decided_anew),
		cmocka_unit_test(test_a_network_changed_after_publication_changes_nothing),
		cmocka_unit_test(test_an_overwritten_annotation_is_written_again_but_not_in_a_fight),
		cmocka_unit_test(test_a_stale_pod_is_read_again),
		cmocka_unit_test(test_what_an_owner_writes_before_our_patch_is_answered_is_not_overlooked),
		cmocka_unit_test(test_what_was_published_stays_on_record_though_its_membership_is_lost_meanwhile),
		cmocka_unit_test(test_a_refused_patch_waits_for_the_pod_to_change),
		cmocka_unit_test(test_networks_of_other_types_cost_nothing_until_they_become_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
