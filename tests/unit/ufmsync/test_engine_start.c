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

/* What a new leader believes, and what it does not do too early. */

static struct world *with_pods(void)
{
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "ib");
	world_pass(world, 1000);
	world_forget(world);
	return world;
}

/* A new process: knows what the API server has, and nothing else. */
static void restart(struct world *world, const char *network)
{
	world_engine(world);
	if (network)
		world_network(world, "a/ib", network);
	engine_networks_begin(world->engine, world->now);
	if (network)
		world_network(world, "a/ib", network);
	engine_networks_end(world->engine, world->now);
	engine_namespaces_begin(world->engine, world->now);
	world_namespace(world, "a", NULL);
	engine_namespaces_end(world->engine, world->now);
	engine_pods_begin(world->engine, world->now);
	for (size_t i = 0; i < WORLD_PODS; i++)
		if (world->pods[i].object)
			engine_pod_applied(world->engine, pod_from_json(world->pods[i].object), world->now);
	engine_pods_end(world->engine, world->now);
}

static void test_a_follower_asks_for_nothing(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world->mute = "";
	world_pod(world, "a/p", "ib");
	world_pass(world, 100000);
	world_expect(world, "");
	world_free(world);
}

static void look_for_record(void *aux, const struct attachment_view *view)
{
	struct attachment_view *found = aux;
	assert_false(view->has_guid);
	*found = *view;
}

static void test_a_follower_shows_what_valid_records_say(void **state)
{
	(void)state;
	struct world *world = with_pods();
	uint64_t p = world_guid(world, "a/p", 0);
	struct attachment_view found = { 0 };
	restart(world, IB("0x5"));
	world_run(world);
	engine_each_of_pod(world->engine, "uid-p", look_for_record, &found);
	assert_true(found.recorded);
	assert_int_equal(found.guid.v, p);
	assert_int_equal(found.n_memberships, 1);
	assert_int_equal(found.memberships[0].pkey.v, 5);
	engine_each_of_pod(world->engine, "uid-nobody", look_for_record, NULL);
	world_free(world);
}

static void test_nothing_is_given_before_the_first_complete_list(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->hold_lists = true;
	world->mute = "";
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_pass(world, 30000);
	world_expect(world, "LIST_PODS -\nLIST all\n");
	assert_int_equal(world_guid(world, "a/p", 0), 0);
	world->hold_lists = false;
	world_list_answer(world);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_predecessors_last_patch_is_seen_before_anything_is_given(void **state)
{
	(void)state;
	struct world *world = with_pods();
	uint64_t p = world_guid(world, "a/p", 0);
	/* Our watch shows the pod as it was before the predecessor patched it; a thief asks for its GUID. */
	char *patched = mem_dup(world_annotation(world, "a/p", POD_NETWORKS_KEY));
	char *record = mem_dup(world_annotation(world, "a/p", POD_RECORD_KEY));
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "ib");
	world_annotate(world, "a/p", POD_RECORD_KEY, NULL);
	restart(world, IB("0x5"));
	world_pod(world, "a/thief", patched);
	struct engine *late = world->engine;
	world->engine = NULL; /* what changes now comes through no watch */
	world_annotate(world, "a/p", POD_NETWORKS_KEY, patched);
	world_annotate(world, "a/p", POD_RECORD_KEY, record);
	world->engine = late;
	world_lead(world, true);
	world_pass(world, 1000);
	assert_int_equal(world_guid(world, "a/p", 0), p);
	assert_string_equal(world_blocked(world, "a/thief", 0), "GUIDTaken");
	free(patched);
	free(record);
	world_free(world);
}

static void test_a_record_that_shows_late_is_followed(void **state)
{
	(void)state;
	struct world *world = with_pods();
	uint64_t p = world_guid(world, "a/p", 0);
	char *patched = mem_dup(world_annotation(world, "a/p", POD_NETWORKS_KEY));
	char *record = mem_dup(world_annotation(world, "a/p", POD_RECORD_KEY));
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "ib");
	world_annotate(world, "a/p", POD_RECORD_KEY, NULL);
	restart(world, IB("0x5"));
	world->hold_patches = true;
	world->patch_answer = ENGINE_PATCH_STALE;
	world_lead(world, true);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_MEMBER);
	assert_int_not_equal(world_guid(world, "a/p", 0), p);
	/* A dead leader's patch has landed before ours. */
	world_annotate(world, "a/p", POD_NETWORKS_KEY, patched);
	world_annotate(world, "a/p", POD_RECORD_KEY, record);
	world_patch_answer(world, ENGINE_PATCH_STALE);
	world_pass(world, 1000);
	assert_int_equal(world_guid(world, "a/p", 0), p);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	free(patched);
	free(record);
	world_free(world);
}

static void test_nothing_is_written_before_the_old_leader_is_silent(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/free", IB_NO_PKEY);
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "free");
	engine_lead(world->engine, world->now + 20000, true, world->now);
	world_pass(world, 19999);
	world_expect(world, "");
	world_pass(world, 1);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_leader_that_no_lease_tells_of_is_waited_for_unless_all_is_new(void **state)
{
	(void)state;
	for (int used = 0; used < 2; used++) {
		struct world *world = world_new();
		world_engine(world);
		world_tell(world);
		world_network(world, "a/ib", IB("0x5"));
		world_pod(world, "a/p", "ib");
		if (used)
			world_member_set(world, 6, GUID_1 + 9, true);
		engine_lead(world->engine, world->now, true, world->now);
		engine_doubt(world->engine, world->now + 20000);
		assert_int_equal(engine_quiet_until(world->engine), world->now + 20000);
		world_pass(world, 19999);
		assert_int_equal(world_state(world, "a/p", 0), used ? ATTACHMENT_WANTED : ATTACHMENT_PUBLISHED);
		world_pass(world, 1);
		assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
		assert_true(engine_quiet_until(world->engine) <= world->now);
		world_free(world);
	}
}

static void test_the_complete_list_is_repeated_once_for_late_writes(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->mute = "";
	world_start(world);
	world_forget(world);
	world_pass(world, world->options.write_timeout_ms - 1);
	world_expect(world, "");
	world_pass(world, 1);
	world_expect(world, "LIST all\n");
	world_pass(world, world->options.audit_ms - 1);
	world_expect(world, "");
	world_pass(world, 1);
	world_expect(world, "LIST all\n");
	world_free(world);
}

static void test_a_restart_changes_nothing(void **state)
{
	(void)state;
	struct world *world = with_pods();
	uint64_t p = world_guid(world, "a/p", 0), q = world_guid(world, "a/q", 0);
	restart(world, IB("0x5"));
	world_lead(world, true);
	world_pass(world, 70000);
	world_expect(world, "");
	assert_int_equal(world_guid(world, "a/p", 0), p);
	assert_int_equal(world_guid(world, "a/q", 0), q);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_a_record_is_believed_though_the_network_changed_or_is_gone(void **state)
{
	(void)state;
	const char *const now[] = { IB("0x6"), NULL, "{\"type\":\"macvlan\"}", "{ not json" };
	for (size_t i = 0; i < 4; i++) {
		struct world *world = with_pods();
		uint64_t p = world_guid(world, "a/p", 0);
		restart(world, now[i]);
		world_lead(world, true);
		world_pass(world, 1000);
		assert_int_equal(world_guid(world, "a/p", 0), p);
		assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
		assert_true(world_is_member(world, 5, p));
		world_expect(world, "");
		world_pod_delete(world, "a/p", WORLD_ENDED);
		world_run(world);
		world_expect(world, "LEAVE 0x5 n=1\n");
		world_free(world);
	}
}

static void test_a_record_gets_its_lost_membership_back(void **state)
{
	(void)state;
	struct world *world = with_pods();
	uint64_t p = world_guid(world, "a/p", 0);
	world_member_drop(world, 5, p);
	restart(world, IB("0x5"));
	world_lead(world, true);
	world_pass(world, 1000);
	world_expect(world, "JOIN 0x5 full index0 n=1\n");
	assert_int_equal(world_guid(world, "a/p", 0), p);
	world_free(world);
}

static void test_a_record_wins_over_a_wish(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	/* The thief's pod comes first in every walk. */
	world_pod(world, "a/thief", "later");
	world_pod(world, "a/p", "ib");
	world_run(world);
	uint64_t p = world_guid(world, "a/p", 0);
	world_annotate(world, "a/thief", POD_NETWORKS_KEY, world_annotation(world, "a/p", POD_NETWORKS_KEY));
	world_annotate(world, "a/thief", POD_RECORD_KEY, world_annotation(world, "a/p", POD_RECORD_KEY));
	restart(world, IB("0x5"));
	world_lead(world, true);
	world_pass(world, 1000);
	assert_int_equal(world_guid(world, "a/p", 0), p);
	assert_int_equal(world_guid(world, "a/thief", 0), 0);
	assert_string_equal(world_blocked(world, "a/thief", 0), "GUIDTaken");
	assert_int_equal(world_count(world, 5), 1);
	world_free(world);
}

static void test_of_two_valid_records_the_later_wins(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		struct world *world = world_new();
		world_start(world);
		world_network(world, "a/ib", IB("0x5"));
		world_pod(world, order ? "a/new" : "a/old", "later");
		world_pod(world, order ? "a/old" : "a/new", "later");
		struct error err;
		struct record_attachment attachment = { .network = (char *)"a/ib",
							.index = 0,
							.interface = (char *)"",
							.guid = { GUID_1 },
							.n_memberships = 1 };
		attachment.memberships[0] = (struct pkey_class){ { 5 }, MEMBERSHIP_FULL, true };
		struct record record = {
			.uid = (char *)"uid-old", .since_ms = 100, .attachments = &attachment, .n_attachments = 1
		};
		char *text = record_sign(world->keys, &record);
		world_annotate(world, "a/old", POD_NETWORKS_KEY, "ib");
		world_annotate(world, "a/old", POD_RECORD_KEY, text);
		free(text);
		record.uid = (char *)"uid-new";
		record.since_ms = 101;
		text = record_sign(world->keys, &record);
		world_annotate(world, "a/new", POD_NETWORKS_KEY, "ib");
		world_annotate(world, "a/new", POD_RECORD_KEY, text);
		free(text);
		(void)err;
		world_member_set(world, 5, GUID_1, true);
		restart(world, IB("0x5"));
		world_lead(world, true);
		world_pass(world, 1000);
		assert_int_equal(world_guid(world, "a/new", 0), GUID_1);
		assert_int_not_equal(world_guid(world, "a/old", 0), GUID_1);
		assert_int_equal(world_state(world, "a/old", 0), ATTACHMENT_PUBLISHED); /* got another one */
		world_free(world);
	}
}

static void test_without_keys_the_annotation_is_a_wish(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.keys = NULL;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "ib");
	world_pass(world, 100);
	uint64_t q = world_guid(world, "a/q", 0);
	world_forget(world);
	restart(world, IB("0x5"));
	world_lead(world, true);
	world_pass(world, 1000);
	world_expect(world, "");
	assert_int_equal(world_guid(world, "a/q", 0), q);
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

static void test_adopt_takes_over_what_annotation_and_fabric_manager_agree_on(void **state)
{
	(void)state;
	for (int agree = 0; agree < 2; agree++) {
		struct world *world = with_pods();
		uint64_t p = world_guid(world, "a/p", 0);
		world_annotate(world, "a/p", POD_RECORD_KEY, NULL);
		world->options.adopt = true;
		if (!agree)
			world_member_drop(world, 5, p);
		restart(world, IB("0x6")); /* changed: as a wish this would be refused */
		world_lead(world, true);
		world_pass(world, 1000);
		assert_int_equal(world_guid(world, "a/p", 0), p);
		assert_int_equal(world_count(world, 6), !agree);
		world_free(world);
	}
}

static void test_the_new_leader_takes_care_of_who_vanished_meanwhile(void **state)
{
	(void)state;
	struct world *world = with_pods();
	uint64_t p = world_guid(world, "a/p", 0);
	world_pod_delete(world, "a/p", WORLD_SILENT);
	restart(world, IB("0x5"));
	world_lead(world, true);
	world_pass(world, 30000);
	assert_true(world_is_member(world, 5, p)); /* seen once */
	world_pass(world, 120000);
	assert_false(world_is_member(world, 5, p));
	assert_int_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_follower_asks_for_nothing),
		cmocka_unit_test(test_a_follower_shows_what_valid_records_say),
		cmocka_unit_test(test_nothing_is_given_before_the_first_complete_list),
		cmocka_unit_test(test_a_predecessors_last_patch_is_seen_before_anything_is_given),
		cmocka_unit_test(test_a_record_that_shows_late_is_followed),
		cmocka_unit_test(test_nothing_is_written_before_the_old_leader_is_silent),
		cmocka_unit_test(test_a_leader_that_no_lease_tells_of_is_waited_for_unless_all_is_new),
		cmocka_unit_test(test_the_complete_list_is_repeated_once_for_late_writes),
		cmocka_unit_test(test_a_restart_changes_nothing),
		cmocka_unit_test(test_a_record_is_believed_though_the_network_changed_or_is_gone),
		cmocka_unit_test(test_a_record_gets_its_lost_membership_back),
		cmocka_unit_test(test_a_record_wins_over_a_wish),
		cmocka_unit_test(test_of_two_valid_records_the_later_wins),
		cmocka_unit_test(test_without_keys_the_annotation_is_a_wish),
		cmocka_unit_test(test_adopt_takes_over_what_annotation_and_fabric_manager_agree_on),
		cmocka_unit_test(test_the_new_leader_takes_care_of_who_vanished_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
