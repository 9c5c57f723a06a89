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

/* Requests of pods that the world does not know, or knows no longer. */

static struct world_pod *add_unseen(const char *uid)
{
	struct world_pod *pod = world_add(uid, "n1", 1);

	pod->known = false;
	return pod;
}

static void test_a_pod_that_the_watch_has_not_shown_is_read(void **state)
{
	struct world_pod *pod = add_unseen("u1");
	struct exchange x = { 0 };

	(void)state;
	pod->networks[0].attachable = false;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_reads(1);
	exchange_turns(3);
	assert_int_equal(pod->awaited, 1);
	pod->networks[0].attachable = true;
	world_changed(pod);
	world_wait_guid(&x, 1);
	assert_int_equal(world.reads, 1);
}

static void test_a_pod_that_is_not_there_is_told_at_once(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "UnknownPod", true, "no pod ns/p-u1 with uid u1");
}

static void test_a_static_pod_is_found_by_the_hash_of_its_manifest(void **state)
{
	struct world_pod *pod = world_add("mirror", "n1", 1);
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	pod->static_uid = "hash";
	snprintf(pod->name, sizeof pod->name, "p-hash");
	pod->networks[0].attachable = false;
	world_ask(&x[0], "node:n1", "hash", "net1");
	world_until_reads(1);
	exchange_turns(3);
	pod->networks[0].attachable = true;
	world_changed(pod);
	world_wait_guid(&x[0], 1);
	world_ask(&x[1], "node:n1", "hash", "net1");
	world_wait_guid(&x[1], 1);
}

static void test_those_of_one_pod_share_a_read_and_nobody_else_s(void **state)
{
	struct exchange x[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
	const char *const headers[] = { "Authorization: Bearer node:n1", NULL };

	(void)state;
	add_unseen("u1")->n = 1;
	add_unseen("u2");
	world.reads_wait = true;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u1", "net1");
	world_ask(&x[2], "node:n1", "u2", "net1");
	/* Somebody says that u1 is another pod's: that must not spoil it for those who are right. */
	world_send(&x[3], "POST", headers,
		   "{\"pod\":{\"namespace\":\"ns\",\"name\":\"x\",\"uid\":\"u1\"},\"interface\":\"net1\","
		   "\"networkName\":\"ib\"}");
	world_until_waiting(4);
	assert_int_equal(world.reads, 3);
	world_answer_reads();
	world_wait_guid(&x[0], 1);
	world_wait_guid(&x[1], 1);
	world_wait_guid(&x[2], 1);
	world_wait_code(&x[3], "UnknownPod", true, "no pod ns/x");
}

static void test_a_read_that_fails_is_tried_again(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world.webhook->pace.failed_pause_ms = 1;
	add_unseen("u1");
	world.reads_fail = true;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_reads(4);
	world.reads_fail = false;
	world_wait_guid(&x, 1);
}

static void test_reads_that_go_on_failing_are_told_at_the_deadline(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world_restart(&(struct webhook_options){ .timeout_ms = 20 });
	world.reads_fail = true;
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "NotMember", true, "p-u1 is not known yet: the API server could not be asked");
	world.reads_wait = true;
	x = (struct exchange){ 0 };
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "NotMember", true, "the API server has not answered yet");
	world.held = world.leads = false;
	x = (struct exchange){ 0 };
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "NoLeader", true, "ufmsync-0");
	assert_int_equal(world_counts().timed_out, 3);
}

static void test_an_answer_that_comes_when_everybody_has_left_is_nothing(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	add_unseen("u1");
	world.reads_wait = true;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_reads(1);
	http_cancel(x.request);
	world_until_waiting(0);
	world_answer_reads();
	exchange_turns(3);
	exchange_forget(&x);
}

static void test_a_pod_without_a_network_of_ours_is_told_after_a_while(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	world.webhook->pace.missing_ms = 20;
	world.webhook->pace.unknown_pause_ms = world.webhook->pace.pause_max_ms = 60000;
	add_unseen("u1");
	world.reads_show_nothing = true;
	world_ask(&x, "node:n1", "u1", "net1");
	world_wait_code(&x, "UnknownNetwork", false, "it has none");
}

static void test_one_whose_network_becomes_ours_is_answered_without_another_read(void **state)
{
	struct world_pod *pod = add_unseen("mirror");
	struct exchange x = { 0 };

	(void)state;
	pod->static_uid = "hash";
	snprintf(pod->name, sizeof pod->name, "p-hash");
	world.webhook->pace.unknown_pause_ms = 1;
	world.webhook->pace.pause_max_ms = 1;
	world.reads_show_nothing = true;
	world_ask(&x, "node:n1", "hash", "net1");
	world_until_reads(3);
	exchange_turns(2); /* it pauses */
	unsigned reads = world.reads;
	pod->known = true;
	world_wait_guid(&x, 1);
	assert_int_equal(world.reads, reads);
}

static void test_a_pod_that_goes_away_is_told_to_who_waits(void **state)
{
	struct world_pod *pod = world_add("u1", "n1", 1);
	struct exchange x = { 0 };

	(void)state;
	pod->networks[0].attachable = false;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_waiting(1);
	pod->known = false;
	pod->gone = true;
	world_changed(pod);
	world_wait_code(&x, "UnknownPod", true, "no pod ns/p-u1");
	assert_int_equal(world.reads, 1);
}

static void test_a_pod_that_is_not_bound_yet_for_the_watch_is_read(void **state)
{
	struct world_pod *pod = world_add("u1", "", 1);
	struct exchange x = { 0 };

	(void)state;
	world.webhook->pace.unknown_pause_ms = 1;
	world.reads_wait = true;
	world_ask(&x, "node:n1", "u1", "net1");
	world_until_reads(1);
	snprintf(pod->node, sizeof pod->node, "n1");
	world_answer_reads();
	world_wait_guid(&x, 1);
}

/* The service has made its engine anew: nothing is known there, until the lists come in or a pod is read. */
static void test_a_renewed_world_is_asked_anew(void **state)
{
	struct world_pod *known = world_add("u1", "n1", 1), *unseen = world_add("u2", "n1", 1);
	struct exchange x[2] = { { 0 }, { 0 } };

	(void)state;
	known->networks[0].attachable = unseen->networks[0].attachable = false;
	world_ask(&x[0], "node:n1", "u1", "net1");
	world_ask(&x[1], "node:n1", "u2", "net1");
	world_until_waiting(2);
	known->awaited = unseen->awaited = 0;
	unseen->known = false;
	webhook_world_renewed(world.webhook);
	world_until_reads(1);
	exchange_turns(3);
	assert_int_equal(known->awaited, 1);
	assert_int_equal(unseen->awaited, 1);
	known->networks[0].attachable = unseen->networks[0].attachable = true;
	world_changed(known);
	world_changed(unseen);
	world_wait_guid(&x[0], 1);
	world_wait_guid(&x[1], 1);
}

static void test_only_so_many_pods_are_read_at_a_time_and_none_that_became_known(void **state)
{
	enum { MANY = 200 };
	static struct exchange x[MANY];
	char uid[32];

	(void)state;
	world.reads_wait = true;
	for (int i = 0; i < MANY; i++) {
		snprintf(uid, sizeof uid, "u%d", i);
		add_unseen(uid);
		x[i] = (struct exchange){ 0 };
		world_ask(&x[i], "node:n1", uid, "net1");
	}
	world_until_waiting(MANY);
	assert_int_equal(world.reads, 64);
	for (int i = 0; i < MANY; i++)
		world.pods[i].known = true;
	world_answer_reads();
	for (int i = 0; i < MANY; i++)
		world_wait_guid(&x[i], 1);
	assert_int_equal(world.reads, 64);
}

static void test_who_leaves_makes_room_for_the_next_read(void **state)
{
	enum { MANY = 65 };
	static struct exchange x[MANY];
	char uid[32];

	(void)state;
	world.reads_wait = true;
	for (int i = 0; i < MANY; i++) {
		snprintf(uid, sizeof uid, "u%d", i);
		add_unseen(uid);
		x[i] = (struct exchange){ 0 };
		world_ask(&x[i], "node:n1", uid, "net1");
	}
	world_until_waiting(MANY);
	assert_int_equal(world.reads, 64);
	for (int i = 0; i < MANY; i++)
		http_cancel(x[i].request);
	world_until_waiting(0);
	assert_int_equal(world.reads, 65);
	for (int i = 0; i < MANY; i++)
		exchange_forget(&x[i]);
}

static void test_nothing_is_read_any_more_when_the_service_stops(void **state)
{
	enum { MANY = 65 };
	static struct exchange x[MANY];
	char uid[32];

	(void)state;
	world.reads_wait = true;
	for (int i = 0; i < MANY; i++) {
		snprintf(uid, sizeof uid, "u%d", i);
		x[i] = (struct exchange){ 0 };
		world_ask(&x[i], "node:n1", uid, "net1");
	}
	world_until_waiting(MANY);
	world_stop();
	assert_int_equal(world.reads, 64);
	for (int i = 0; i < MANY; i++)
		world_wait(&x[i], 503, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_that_the_watch_has_not_shown_is_read),
		TEST(a_pod_that_is_not_there_is_told_at_once),
		TEST(a_static_pod_is_found_by_the_hash_of_its_manifest),
		TEST(those_of_one_pod_share_a_read_and_nobody_else_s),
		TEST(a_read_that_fails_is_tried_again),
		TEST(reads_that_go_on_failing_are_told_at_the_deadline),
		TEST(an_answer_that_comes_when_everybody_has_left_is_nothing),
		TEST(a_pod_without_a_network_of_ours_is_told_after_a_while),
		TEST(one_whose_network_becomes_ours_is_answered_without_another_read),
		TEST(a_pod_that_goes_away_is_told_to_who_waits),
		TEST(a_pod_that_is_not_bound_yet_for_the_watch_is_read),
		TEST(a_renewed_world_is_asked_anew),
		TEST(only_so_many_pods_are_read_at_a_time_and_none_that_became_known),
		TEST(nothing_is_read_any_more_when_the_service_stops),
		TEST(who_leaves_makes_room_for_the_next_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
