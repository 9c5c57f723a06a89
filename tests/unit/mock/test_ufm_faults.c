#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/ufm_faults.h"

static struct ufm_faults faults;

static int clear(void **state)
{
	(void)state;
	ufm_faults_clear(&faults);
	return 0;
}

static int add(const char *text)
{
	json_t *rule = json_loads(text, 0, NULL);
	struct error err;
	unsigned id = 0;
	int result;

	assert_non_null(rule);
	result = ufm_faults_add(&faults, rule, &id, &err);
	json_decref(rule);
	return result == 0 ? (int)id : -1;
}

static enum ufm_action strike(enum ufm_operation operation, unsigned pkey, uint64_t guid)
{
	struct ufm_member member = { .guid = guid };
	struct ufm_call call = { .operation = operation, .pkey = pkey, .members = &member, .n_members = 1 };
	struct ufm_fault *fault = ufm_faults_strike(&faults, "POST", "/ufmRest/resources/pkeys", &call);
	enum ufm_action action = fault ? fault->action : UFM_ACTION_NONE;

	ufm_fault_free(fault);
	return action;
}

static void test_a_rule_strikes_as_often_as_it_says(void **state)
{
	(void)state;
	add("{\"action\":\"hang\",\"skip\":1,\"times\":2}");
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_NONE);
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_HANG);
	assert_int_equal(strike(UFM_OP_GET, 5, 1), UFM_ACTION_HANG);
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_NONE);
}

static void test_a_rule_without_times_lasts_until_it_is_removed(void **state)
{
	int id = add("{\"action\":\"forget\"}");

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_FORGET);
	assert_true(ufm_faults_remove(&faults, (unsigned)id));
	assert_false(ufm_faults_remove(&faults, (unsigned)id));
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_NONE);
}

static void test_everything_in_a_match_must_fit(void **state)
{
	(void)state;
	add("{\"match\":{\"method\":\"POST\",\"path_prefix\":\"/ufmRest/\",\"pkey\":\"0x5\",\"operation\":\"add\","
	    "\"guid\":\"0200000000000001\"},\"action\":\"html\"}");
	assert_int_equal(strike(UFM_OP_ADD, 5, 0x0200000000000001), UFM_ACTION_HTML);
	assert_int_equal(strike(UFM_OP_ADD, 6, 0x0200000000000001), UFM_ACTION_NONE);
	assert_int_equal(strike(UFM_OP_SET, 5, 0x0200000000000001), UFM_ACTION_NONE);
	assert_int_equal(strike(UFM_OP_ADD, 5, 0x0200000000000002), UFM_ACTION_NONE);
	ufm_faults_clear(&faults);
	add("{\"match\":{\"method\":\"GET\"},\"action\":\"html\"}");
	add("{\"match\":{\"path_prefix\":\"/ufmRestV3\"},\"action\":\"html\"}");
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_NONE);
}

static void test_reads_and_writes_are_told_apart(void **state)
{
	(void)state;
	add("{\"match\":{\"operation\":\"write\"},\"action\":\"hang\"}");
	add("{\"match\":{\"operation\":\"read\"},\"action\":\"html\"}");
	assert_int_equal(strike(UFM_OP_REMOVE, 5, 1), UFM_ACTION_HANG);
	assert_int_equal(strike(UFM_OP_LIST, 5, 1), UFM_ACTION_HTML);
	assert_int_equal(strike(UFM_OP_NONE, 5, 1), UFM_ACTION_NONE);
}

static void test_the_oldest_rule_that_matches_decides(void **state)
{
	(void)state;
	add("{\"match\":{\"pkey\":\"0x5\"},\"action\":\"hang\",\"times\":1}");
	add("{\"action\":\"html\"}");
	assert_int_equal(strike(UFM_OP_ADD, 6, 1), UFM_ACTION_HTML);
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_HANG);
	assert_int_equal(strike(UFM_OP_ADD, 5, 1), UFM_ACTION_HTML);
}

static void test_what_is_no_rule_is_refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"action\":\"explode\"}",
		"{\"action\":\"hang\",\"matches\":{}}",
		"{\"action\":\"hang\",\"match\":{\"pkey\":5}}",
		"{\"action\":\"hang\",\"match\":{\"guid\":\"5\"}}",
		"{\"action\":\"hang\",\"match\":{\"operation\":\"dance\"}}",
		"{\"action\":\"status\",\"code\":99}",
		"{\"action\":\"status\",\"content_type\":\"a\\r\\nb\"}",
		"{\"action\":\"latency\",\"delay_ms\":-1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(add(bad[i]), -1);
	for (int i = 0; i < UFM_FAULTS_MAX; i++)
		assert_true(add("{\"action\":\"hang\"}") > 0);
	assert_int_equal(add("{\"action\":\"hang\"}"), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_rule_strikes_as_often_as_it_says, clear),
		cmocka_unit_test_teardown(test_a_rule_without_times_lasts_until_it_is_removed, clear),
		cmocka_unit_test_teardown(test_everything_in_a_match_must_fit, clear),
		cmocka_unit_test_teardown(test_reads_and_writes_are_told_apart, clear),
		cmocka_unit_test_teardown(test_the_oldest_rule_that_matches_decides, clear),
		cmocka_unit_test_teardown(test_what_is_no_rule_is_refused, clear),
	};
	return cmocka_run_group_tests_name("mock_ufm_faults", tests, NULL, NULL);
}
