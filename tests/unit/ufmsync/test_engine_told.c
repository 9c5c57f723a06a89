#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ufmsync/engine_world.h"

#define ONE  "02:00:00:00:00:00:00:10"
#define TWO  "02:00:00:00:00:00:00:11"
#define MUTE "LIST JOIN LEAVE PATCH LIST_PODS READ"
#define HOUR (60 * 60 * 1000)
#define GOES_ON                                                                                                        \
	"; the pod goes on by itself; an administrator looks at the service's log (FABRIC_...) and kubectl ufmsync "   \
	"status\n"
#define WAITS "EVENT a/p Assigned: reserved, and waiting for the fabric manager to list it as a member; "

static struct world *started(void)
{
	struct world *world = world_new();
	world_engine(world);
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/six", IB("0x6"));
	world_network(world, "a/bad", IB("5x"));
	world_run(world);
	world_forget(world);
	world->mute = MUTE;
	return world;
}

static void test_all_interfaces_of_a_pod_share_an_event(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib,six");
	world_run(world);
	world_expect(world,
		     "EVENT a/p Member: a/ib: GUID " ONE " in PKey 0x0005; a/six: GUID " TWO " in PKey 0x0006\n");
	world_pod_phase(world, "a/p", "Succeeded");
	world_pass(world, 1000);
	world_expect(world,
		     "EVENT a/p Released: the pod has finished, and its GUID has left its partitions; a/ib: GUID " ONE
		     " in PKey 0x0005; a/six: GUID " TWO " in PKey 0x0006\n");
	world_free(world);
}

static void test_each_reason_is_told_once_for_all_whom_it_concerns(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "bad,gone,bad,lost");
	world_run(world);
	world_expect(world,
		     "EVENT a/p BadPKey: network a/bad: pkey 5x is not one of 0x1-0x7ffe; correct pkey in the "
		     "network definition (a PKey of this cluster, 0x1 to 0x7ffe, or decimal); the pod goes on by "
		     "itself\n"
		     "EVENT a/p NetworkNotFound: network a/gone does not exist; network a/lost does not exist; "
		     "create it, or correct the pod's annotation; the pod goes on by itself\n");
	world_free(world);
}

static void apply_pod(struct world *world, const char *namespace, unsigned number, const char *networks)
{
	char uid[48];

	snprintf(uid, sizeof uid, "uid-%s-%u", namespace, number);
	json_t *object = json_pack("{s:{s:s,s:s,s:s,s:{s:s}},s:{s:s},s:{s:s}}", "metadata", "uid", uid, "namespace",
				   namespace, "name", uid, "annotations", POD_NETWORKS_KEY, networks, "spec",
				   "nodeName", "node-1", "status", "phase", "Pending");
	engine_pod_applied(world->engine, pod_from_json(object), world->now);
	json_decref(object);
}

static void expect_all_said(const char *networks)
{
	struct engine_action action;
	unsigned said[2] = { 0, 0 };

	struct world *world = started();
	for (unsigned i = 0; i < 12000; i++)
		apply_pod(world, "a", i, networks);
	apply_pod(world, "b", 0, networks);
	do
		while (engine_next(world->engine, world->now, &action))
			if (action.kind == ENGINE_EVENT)
				said[action.event.namespace[0] - 'a']++;
	while (engine_deadline(world->engine) <= world->now);
	assert_int_equal(said[1], 1);
	assert_int_equal(said[0], 12000);
	world_free(world);
}

static void test_no_number_of_bad_pods_silences_another_namespace(void **state)
{
	(void)state;
	expect_all_said("gone");
	expect_all_said("[{");
}

static void test_what_finds_no_room_in_a_note_is_counted(void **state)
{
	char networks[4096] = "";
	size_t len = 0;

	(void)state;
	struct world *world = started();
	for (int i = 0; i < 30; i++)
		len += (size_t)snprintf(networks + len, sizeof networks - len, "%sa-network-of-a-rather-long-name-%02d",
					i ? "," : "", i);
	world_pod(world, "a/p", networks);
	world_run(world);
	assert_true(world_said(world, "a-network-of-a-rather-long-name-00 does not exist; "));
	assert_true(world_said(world, "-12 does not exist; and 17 more; create it, or correct the pod's annotation"));
	assert_null(strstr(strstr(world->log, "EVENT") + 1, "EVENT"));
	world_free(world);
}

static void test_a_pod_that_waits_is_told_what_was_reserved_for_it(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = true;
	world_pod(world, "a/p", "ib,six");
	world_pass(world, 4999);
	world_expect(world, "");
	world_pass(world, 1);
	world_expect(world, WAITS "a/ib: GUID " ONE " in PKey 0x0005; a/six: GUID " TWO
				  " in PKey 0x0006; nothing needs to be done\n");
	world_pass(world, 60000);
	world_expect(world, "");
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 1000);
	world_expect(world,
		     "EVENT a/p Member: a/ib: GUID " ONE " in PKey 0x0005; a/six: GUID " TWO " in PKey 0x0006\n");
	world_pass(world, 2 * HOUR);
	world_expect(world, "");
	world_free(world);
}

static void test_who_still_waits_is_told_again_before_the_hour_is_over(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "bad");
	world_run(world);
	assert_true(world_said(world, "EVENT a/p BadPKey"));
	world_forget(world);
	world_pass(world, HOUR / 2 - 1);
	world_expect(world, "");
	world_pass(world, 1);
	assert_true(world_said(world, "EVENT a/p BadPKey"));
	world_forget(world);
	world_pass(world, HOUR / 2);
	assert_true(world_said(world, "EVENT a/p BadPKey"));
	world_network(world, "a/bad", IB("0x7"));
	world_pass(world, 1000);
	assert_true(world_said(world, "EVENT a/p Member"));
	world_forget(world);
	world_pass(world, 3 * HOUR);
	world_expect(world, "");
	world_free(world);
}

static void test_what_concerns_the_pod_as_a_whole_is_told_again_too(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "[");
	world->patch_answer = ENGINE_PATCH_REFUSED;
	world_pod(world, "a/q", "ib");
	world_run(world);
	for (int i = 0; i < 3; i++) {
		assert_true(world_said(world, "EVENT a/p BadAnnotation: "));
		assert_true(world_said(world, "; correct this annotation of the pod\n"));
		assert_true(
			world_said(world, "EVENT a/q RecordRefused: the API server refuses the pod's annotations: "));
		assert_true(world_said(
			world, "; make room in the pod's annotations (256 KiB together), or find the admission rule "
			       "that refuses them; tried again when the pod changes\n"));
		world_forget(world);
		world_pass(world, HOUR / 2 + 5000);
	}
	world_pass(world, HOUR / 4);
	world->patch_answer = ENGINE_PATCHED;
	world_annotate(world, "a/p", "k8s.v1.cni.cncf.io/networks", "ib");
	world_pod_phase(world, "a/q", "Running");
	world_run(world);
	assert_true(world_said(world, "EVENT a/p Member"));
	assert_true(world_said(world, "EVENT a/q Member"));
	world_forget(world);
	world_pass(world, 2 * HOUR);
	world_expect(world, "");
	world_free(world);
}

static void test_each_trouble_of_guids_ends_with_what_to_do(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.last = world->options.first;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pass(world, 61000); /* what was free at the start has rested */
	world->mute = MUTE;
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_pod(world, "a/exhausted", "ib");
	world_pod(world, "a/taken", "[{\"name\":\"ib\",\"infiniband-guid\":\"" ONE "\"}]");
	world_pod(world, "a/outside", "[{\"name\":\"ib\",\"infiniband-guid\":\"" TWO "\"}]");
	world_run(world);
	assert_true(world_said(
		world, "EVENT a/exhausted PoolExhausted: no GUID is free in the pool; wait until other pods have "
		       "gone and their GUIDs have rested, or have an administrator enlarge the range "
		       "(GUID_POOL_RANGE_END)\n"));
	assert_true(world_said(world,
			       "EVENT a/taken GUIDTaken: GUID " ONE " belongs to another attachment; wait until it is "
			       "free, or ask for another or none in the pod's annotation\n"));
	assert_true(world_said(world,
			       "EVENT a/outside GUIDOutOfRange: GUID " TWO " is outside this cluster's pool; ask for a "
			       "GUID of the range (kubectl ufmsync pool), or for none, in the pod's annotation\n"));
	world_free(world);
}

static void test_a_refused_guid_is_named_with_its_pkey(void **state)
{
	(void)state;
	struct world *world = started();
	world->bad_guid = (struct guid){ GUID_1 };
	world_pod(world, "a/p", "ib");
	world_pass(world, 1000);
	assert_true(
		world_said(world, "EVENT a/p FabricRefused: the fabric manager refuses GUID " ONE " in PKey 0x0005: "));
	assert_true(world_said(
		world, "; tried again by itself; an administrator looks at what the fabric manager says of it\n"));
	world_free(world);
}

/* Those behind the failing write are told as well as those in it, and nobody is told at each try. */
static void test_who_waits_while_the_fabric_manager_is_away_is_told_so_and_not_often(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/q", "ib");
	world_run(world);
	world_forget(world);
	world->write_error = ERROR_RETRY;
	world_pod(world, "a/p", "six");
	world_pass(world, 20 * 60000);
	char *first = strstr(world->log, "EVENT a/p FabricUnavailable: the fabric manager cannot be written to: ");
	assert_non_null(first);
	assert_non_null(strstr(first, GOES_ON));
	assert_null(strstr(world->log, "Assigned"));
	assert_null(strstr(first + 1, "EVENT"));
	assert_null(strstr(world->log, "a/q")); /* it has what it needs */
	world_free(world);
}

static void test_who_waits_behind_a_failing_write_is_told_so(void **state)
{
	char name[8], line[128];

	(void)state;
	struct world *world = world_new();
	world->options.batch_max = 1;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_run(world);
	world->mute = MUTE;
	world_forget(world);
	world->write_error = ERROR_RETRY;
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "a/p%d", i);
		world_pod(world, name, "ib");
	}
	world_pass(world, 6000);
	assert_null(strstr(world->log, "Assigned"));
	for (int i = 0; i < 6; i++) {
		snprintf(line, sizeof line,
			 "EVENT a/p%d FabricUnavailable: the fabric manager cannot be written to: ", i);
		const char *first = strstr(world->log, line);
		assert_non_null(first);
		assert_null(strstr(first + 1, line));
	}
	world_free(world);
}

static void fail_lists(struct world *world, int64_t ms)
{
	for (int64_t end = world->now + ms; world->now < end; world_pass(world, 500)) {
		while (world->n_lists) {
			struct error err = { 0 };
			error_set(&err, ERROR_RETRY, "no answer");
			struct world_list list = world->lists[0];
			free(list.members);
			memmove(world->lists, world->lists + 1, --world->n_lists * sizeof list);
			engine_list_done(world->engine, list.id, &err, world->now);
		}
	}
}

static void test_who_waits_for_the_first_list_is_told_so(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->mute = MUTE;
	world->hold_lists = true;
	world_engine(world);
	world_pod(world, "a/p", "ib");
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_lead(world, true);
	fail_lists(world, 4000);
	world_expect(world, "");
	fail_lists(world, 60000);
	world_expect(world,
		     "EVENT a/p FabricUnavailable: no GUID is given before the fabric manager's members are read: no "
		     "answer" GOES_ON);
	world->hold_lists = false;
	while (world->n_lists)
		world_list_answer(world);
	world_pass(world, 60000);
	world_expect(world, "EVENT a/p Member: a/ib: GUID " ONE " in PKey 0x0005\n");
	world_free(world);
}

static void test_a_restart_says_nothing_of_those_who_have_what_they_need(void **state)
{
	(void)state;
	struct world *world = started();
	world_pod(world, "a/p", "ib");
	world_run(world);
	world_forget(world);
	world->hold_lists = true;
	world_engine(world);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_lead(world, true);
	fail_lists(world, 60000);
	world_expect(world, "");
	world->hold_lists = false;
	while (world->n_lists)
		world_list_answer(world);
	world_pass(world, 2 * HOUR);
	world_expect(world, "");
	world_free(world);
}

static void test_nobody_is_called_a_member_who_is_none(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.gate = ENGINE_GATE_ASSIGNED;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_run(world);
	world->mute = MUTE;
	world_forget(world);
	world->hold_writes = true;
	world_pod(world, "a/p", "ib");
	world_pass(world, 4999);
	world_expect(world, ""); /* though its annotation is written */
	world_pass(world, 1);
	world_expect(world, WAITS "a/ib: GUID " ONE " in PKey 0x0005; nothing needs to be done\n");
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	world_pass(world, 1000);
	world_expect(world, "EVENT a/p Member: a/ib: GUID " ONE " in PKey 0x0005\n");
	world_free(world);
}

static void test_a_pod_that_went_is_not_spoken_to(void **state)
{
	(void)state;
	struct world *world = started();
	world->hold_writes = true;
	world_pod(world, "a/p", "ib,bad");
	world_run(world);
	world_forget(world);
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pass(world, HOUR);
	world_expect(world, "");
	world_free(world);
}

static void test_a_follower_says_nothing(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->mute = MUTE;
	world_engine(world);
	world_pod(world, "a/p", "bad,gone");
	world_tell(world);
	world_network(world, "a/bad", IB("5x"));
	world_pass(world, HOUR);
	world_expect(world, "");
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_interfaces_of_a_pod_share_an_event),
		cmocka_unit_test(test_each_reason_is_told_once_for_all_whom_it_concerns),
		cmocka_unit_test(test_no_number_of_bad_pods_silences_another_namespace),
		cmocka_unit_test(test_what_finds_no_room_in_a_note_is_counted),
		cmocka_unit_test(test_a_pod_that_waits_is_told_what_was_reserved_for_it),
		cmocka_unit_test(test_who_still_waits_is_told_again_before_the_hour_is_over),
		cmocka_unit_test(test_what_concerns_the_pod_as_a_whole_is_told_again_too),
		cmocka_unit_test(test_each_trouble_of_guids_ends_with_what_to_do),
		cmocka_unit_test(test_a_refused_guid_is_named_with_its_pkey),
		cmocka_unit_test(test_who_waits_while_the_fabric_manager_is_away_is_told_so_and_not_often),
		cmocka_unit_test(test_who_waits_behind_a_failing_write_is_told_so),
		cmocka_unit_test(test_who_waits_for_the_first_list_is_told_so),
		cmocka_unit_test(test_a_restart_says_nothing_of_those_who_have_what_they_need),
		cmocka_unit_test(test_nobody_is_called_a_member_who_is_none),
		cmocka_unit_test(test_a_pod_that_went_is_not_spoken_to),
		cmocka_unit_test(test_a_follower_says_nothing),
	};
	return cmocka_run_group_tests_name("engine_told", tests, NULL, NULL);
}
