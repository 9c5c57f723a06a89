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

/* Requests of pods that are known: what they are told, and when. */

static void test_a_member_is_answered_at_once(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_guid(&x, 1);
	assert_int_equal(world.reads, 0);
	assert_int_equal(pod->awaited, 0);
	assert_int_equal(world_counts().attached, 1);
	assert_int_equal(world_counts().waiting, 0);
}

static void test_every_membership_is_told_and_no_pkey_too(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 2);
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	pod->networks[0].pkey_text = NULL;
	pod->networks[0].n_memberships = 0;
	pod->networks[1].pkey_text = "1000";
	pod->networks[1].memberships[0] = (struct pkey_class){ { 1000 }, MEMBERSHIP_FULL, false };
	pod->networks[1].memberships[1] = (struct pkey_class){ { 0x7ffe }, MEMBERSHIP_LIMITED, false };
	pod->networks[1].n_memberships = 2;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net2");
	world_wait(&x[0], 200, "{\"guid\":\"02:00:00:00:00:00:00:01\",\"pkey\":null,\"memberships\":[]}");
	world_wait(
		&x[1], 200,
		"{\"guid\":\"02:00:00:00:00:00:00:02\",\"pkey\":\"1000\",\"memberships\":[{\"pkey\":\"0x3e8\","
		"\"membership\":\"full\",\"index0\":false},{\"pkey\":\"0x7ffe\",\"membership\":\"limited\",\"index0\":"
		"false}]}");
}

static void test_one_that_is_no_member_waits_until_it_is(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	pod->networks[0].attachable = false;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	assert_int_equal(pod->awaited, 1);
	world_changed(pod);
	exchange_turns(3);
	assert_int_equal(x.done, 0);
	pod->networks[0].attachable = true;
	world_changed(pod);
	world_wait_guid(&x, 1);
	assert_int_equal(pod->awaited, 0);
	assert_int_equal(world_counts().waiting, 0);
}

static void test_all_who_wait_for_a_pod_are_answered_and_it_is_awaited_once(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 2);
	struct exchange x[3] = { { 0 }, { 0 }, { 0 } };

	(void)state;
	pod->networks[0].attachable = pod->networks[1].attachable = false;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net1");
	world_ask(&x[2], "node:n1", "u1", "net2");
	world_until_waiting(3);
	assert_int_equal(pod->awaited, 1);
	pod->networks[0].attachable = true;
	world_changed(pod);
	world_until_waiting(1);
	assert_int_equal(pod->awaited, 1);
	pod->networks[1].attachable = true;
	world_changed(pod);
	world_wait_guid(&x[0], 1);
	world_wait_guid(&x[1], 1);
	world_wait_guid(&x[2], 2);
}

static void test_asking_again_gets_the_same(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world_add("u1", "n1", 3);
	for (int i = 0; i < 3; i++) {
		x = (struct exchange){ 0 };
		world_ask(&x, "node:n1", "u1", "net3");
		world_wait_guid(&x, 3);
	}
}

static void test_what_is_refused_is_told_at_once(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	pod->networks[0].attachable = false;
	pod->networks[0].refused = true;
	pod->networks[0].reason = "BadPKey";
	pod->networks[0].text = "\"0x0\"\n is no PKey";
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "BadPKey", false, "\"0x0\"\n is no PKey");
	assert_int_equal(world_counts().refused, 1);
}

static void test_a_refusal_that_comes_while_it_waits_ends_it(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	pod->networks[0].attachable = false;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	pod->networks[0].refused = true;
	world_changed(pod);
	world_wait_code(&x, "Refused", false, "");
}

static void test_who_is_not_in_time_hears_what_it_waited_for(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 3);
	struct exchange x[3] = { { 0 }, { 0 }, { 0 } };

	(void)state;
	world_restart(&(struct webhook_options){ .timeout_ms = 20 });
	for (int i = 0; i < 3; i++)
		pod->networks[i].attachable = false;
	pod->networks[1].has_guid = false;
	pod->networks[2].reason = "GUIDTaken";
	pod->networks[2].text = "another pod holds it";
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net2");
	world_ask(&x[2], "node:n1", "u1", "net3");
	world_wait_code(&x[0], "NotMember", true, "02:00:00:00:00:00:00:01 is not yet a member of PKey 0x5");
	world_wait_code(&x[1], "NotMember", true, "no GUID");
	world_wait_code(&x[2], "GUIDTaken", true, "another pod holds it");
	assert_int_equal(world_counts().timed_out, 3);
}

static void test_without_a_leader_it_hears_who_led_last(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	world_restart(&(struct webhook_options){ .timeout_ms = 20 });
	world.leads = world.held = false;
	pod->networks[0].attachable = false;
	pod->networks[0].reason = "GUIDTaken";
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "NoLeader", true, "ufmsync-0 held the Lease last");
	world.leader = "";
	x = (struct exchange){ 0 };
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "NoLeader", true, "none has held");
	assert_int_equal(world_counts().timed_out, 2);
}

static void test_the_standby_answers_what_is_recorded_and_waits_for_the_rest(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 2);
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world.leads = false;
	pod->networks[1].attachable = false;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net2");
	world_until_waiting(1);
	pod->networks[1].attachable = true;
	world_changed(pod);
	world_wait_guid(&x[0], 1);
	world_wait_guid(&x[1], 2);
}

static void test_without_any_leader_what_is_recorded_is_answered(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world.leads = world.held = false;
	world_add("u1", "n1", 1);
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_guid(&x, 1);
}

static void test_the_standby_sends_to_the_leader_where_only_that_can_choose(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 2);
	struct exchange x = { 0 };

	(void)state;
	world.leads = false;
	pod->networks[1].index = 2;
	world_ask(&x, "node:n1", "u1", "net2");
	world_wait_code(&x, "NotLeader", true, "ufmsync-0");
}

static void test_a_choice_waits_for_a_leader_and_no_other_interface_gets_the_same(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 2);
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world.leads = world.held = false;
	pod->networks[1].index = 2;
	world_ask(&x[0], "node:n1", "u1", "net2");
	world_until_waiting(1);
	world.leads = true;
	webhook_all_changed(world.webhook);
	world_wait_guid(&x[0], 1);
	world_ask(&x[1], "node:n1", "u1", "net4");
	world_wait_guid(&x[1], 2);
}

static void test_a_hint_of_what_another_interface_was_given_is_not_believed(void **state)
{
	static const char first[] = "02:00:00:00:00:00:00:01";
	struct exchange x[3] = { { 0 }, { 0 }, { 0 } };

	(void)state;
	world_add("u1", "n1", 3);
	world_ask_hint(&x[0], "node:n1", "u1", "net3", "ib", first);
	world_wait_guid(&x[0], 1);
	world_ask_hint(&x[1], "node:n1", "u1", "net2", "ib", first);
	world_wait_guid(&x[1], 2);
	world_ask(&x[2], "node:n1", "u1", "net3");
	world_wait_guid(&x[2], 1);
}

/* Multus may number the interfaces of the next sandbox otherwise: it was given a network for every pod meanwhile. */
static void test_what_an_earlier_sandbox_was_given_keeps_nobody_out(void **state)
{
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world_add("u1", "n1", 1);
	world.webhook->pace.missing_ms = 1;
	world.container = "c1";
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_wait_guid(&x[0], 1);
	world.container = "c2";
	world_ask(&x[1], "node:n1", "u1", "net2");
	world_wait_guid(&x[1], 1);
}

static void test_a_network_that_the_pod_has_not_is_refused_after_a_while(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 2);
	struct exchange x = { 0 };

	(void)state;
	world_restart(&(struct webhook_options){ .timeout_ms = 3600 * 1000 }); /* not what ends it */
	world.webhook->pace.missing_ms = 20;
	pod->networks[1].interface = "ib0";
	world_ask_hint(&x, "node:n1", "u1", "net9", "other", "");
	world_wait_code(&x, "UnknownNetwork", false,
			"no InfiniBand network other for interface net9; it has ib, ib (ib0)");
}

static void test_a_network_that_is_defined_meanwhile_is_found(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	pod->n = 0;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	pod->n = 1;
	pod->networks[0].attachable = false;
	world_changed(pod);
	exchange_turns(3);
	assert_int_equal(x.done, 0);
	pod->networks[0].attachable = true;
	world_changed(pod);
	world_wait_guid(&x, 1);
}

static void test_a_network_that_may_still_be_defined_is_waited_for_until_the_deadline(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	world_restart(&(struct webhook_options){ .timeout_ms = 60 });
	world.webhook->pace.missing_ms = 1;
	pod->networks[0].config_name = "";
	pod->networks[0].has_guid = pod->networks[0].attachable = false;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	world_pass(10);
	assert_int_equal(x.done, 0);
	world_wait_code(&x, "UnknownNetwork", true, "it has one that is not defined");
}

static void test_without_a_leader_no_network_is_missing_yet(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	world.webhook->pace.missing_ms = 1;
	world.leads = world.held = false;
	pod->n = 0;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	assert_true(world_pass(10) < 50); /* it waits instead of looking again and again */
	assert_int_equal(x.done, 0);
	world.leads = true;
	pod->n = 1;
	webhook_all_changed(world.webhook);
	world_wait_guid(&x, 1);
}

static void test_before_all_networks_were_read_none_is_missing(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world.webhook->pace.missing_ms = 1;
	world.knows = false;
	pod->n = 0;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_until_waiting(1);
	world_pass(10);
	assert_int_equal(x[0].done, 0);
	world.knows = true;
	webhook_all_changed(world.webhook);
	world_wait_code(&x[0], "UnknownNetwork", false, "it has none");

	world.knows = false;
	world_restart(&(struct webhook_options){ .timeout_ms = 60 });
	world_ask(&x[1], "node:n1", "u1", "net1");
	world_wait_code(&x[1], "NotMember", true, "not read all pods and networks");
}

static void test_more_interfaces_than_networks_are_refused(void **state)
{
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	world.webhook->pace.missing_ms = 1;
	world_add("u1", "n1", 1);
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_wait_guid(&x[0], 1);
	world_ask(&x[1], "node:n1", "u1", "net2");
	world_wait_code(&x[1], "UnknownNetwork", false, "given to another interface than net2");
}

static void test_everybody_is_looked_at_in_slices_when_the_lease_changes_hands(void **state)
{
	enum { MANY = 300 };
	static struct exchange x[MANY];
	char uid[32];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(uid, sizeof uid, "u%d", i);
		world_add(uid, "n1", 1)->networks[0].attachable = false;
		x[i] = (struct exchange){ 0 };
		world_ask(&x[i], "node:n1", uid, "net1");
	}
	world_until_waiting(MANY);
	for (int i = 0; i < MANY; i++)
		world.pods[i].networks[0].attachable = true;
	world.webhook->pace.slice_ns = 0;
	webhook_all_changed(world.webhook);
	exchange_turns(3);
	assert_true(world_counts().waiting > MANY / 2);
	for (int i = 0; i < MANY; i++)
		world_wait_guid(&x[i], 1);
}

static void test_a_client_that_leaves_frees_its_place(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	pod->networks[0].attachable = false;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	http_cancel(x.request);
	world_until_waiting(0);
	assert_int_equal(pod->awaited, 0);
	assert_int_equal(world_counts().gone, 1);
	world_changed(pod);
	exchange_turns(2);
	exchange_forget(&x);
}

static void test_those_who_wait_when_the_service_stops_are_told_to_try_again(void **state)
{
	struct exchange x[3] = { { 0 }, { 0 }, { 0 } };

	(void)state;
	world_add("u1", "n1", 1)->networks[0].attachable = false;
	world.reads_wait = true;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "late:n1", "u1", "net1");
	world_ask(&x[2], "node:n1", "u2", "net1");
	world_until_waiting(3);
	world_stop();
	for (int i = 0; i < 3; i++) {
		world_wait(&x[i], 503, "{\"error\":{\"code\":\"Unavailable\",\"message\":\"this replica stops\"}}");
		assert_int_equal(x[i].retry_after_ms, 5000);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_member_is_answered_at_once),
		TEST(every_membership_is_told_and_no_pkey_too),
		TEST(one_that_is_no_member_waits_until_it_is),
		TEST(all_who_wait_for_a_pod_are_answered_and_it_is_awaited_once),
		TEST(asking_again_gets_the_same),
		TEST(what_is_refused_is_told_at_once),
		TEST(a_refusal_that_comes_while_it_waits_ends_it),
		TEST(who_is_not_in_time_hears_what_it_waited_for),
		TEST(without_a_leader_it_hears_who_led_last),
		TEST(the_standby_answers_what_is_recorded_and_waits_for_the_rest),
		TEST(without_any_leader_what_is_recorded_is_answered),
		TEST(the_standby_sends_to_the_leader_where_only_that_can_choose),
		TEST(a_choice_waits_for_a_leader_and_no_other_interface_gets_the_same),
		TEST(a_hint_of_what_another_interface_was_given_is_not_believed),
		TEST(what_an_earlier_sandbox_was_given_keeps_nobody_out),
		TEST(a_network_that_the_pod_has_not_is_refused_after_a_while),
		TEST(a_network_that_is_defined_meanwhile_is_found),
		TEST(a_network_that_may_still_be_defined_is_waited_for_until_the_deadline),
		TEST(without_a_leader_no_network_is_missing_yet),
		TEST(before_all_networks_were_read_none_is_missing),
		TEST(more_interfaces_than_networks_are_refused),
		TEST(everybody_is_looked_at_in_slices_when_the_lease_changes_hands),
		TEST(a_client_that_leaves_frees_its_place),
		TEST(those_who_wait_when_the_service_stops_are_told_to_try_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
