#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/ufm_state.h"

static int load(struct ufm_model *model, const char *text)
{
	json_t *state = json_loads(text, 0, NULL);
	struct error err;
	int result;

	assert_non_null(state);
	result = ufm_state_load(model, state, &err);
	json_decref(state);
	return result;
}

static void test_what_is_printed_loads_as_the_same(void **state)
{
	static const char seed[] =
		"{\"partitions\": [{\"pkey\": \"0x5\", \"partition\": \"blue\", \"ip_over_ib\": false, \"members\": ["
		"\"0200000000000002\", {\"guid\": \"0200000000000001\", \"membership\": \"limited\", "
		"\"index0\": true}]}, {\"pkey\": \"0x7fff\", \"members\": []}]}";
	struct ufm_model *first = ufm_model_new(), *second = ufm_model_new();
	struct buf one, two, wrapped;

	(void)state;
	buf_init(&one, 1 << 16);
	buf_init(&two, 1 << 16);
	buf_init(&wrapped, 1 << 16);
	assert_int_equal(load(first, seed), 0);
	ufm_state_print(first, UFM_VIEW_MODEL, 0, true, &one);
	assert_non_null(strstr(one.data,
			       "[{\"guid\": \"0200000000000001\", \"membership\": \"limited\", \"index0\": true}, "
			       "{\"guid\": \"0200000000000002\", \"membership\": \"full\", \"index0\": false}]"));
	buf_printf(&wrapped, "{\"partitions\": %s}", one.data);
	assert_int_equal(load(second, wrapped.data), 0);
	ufm_state_print(second, UFM_VIEW_MODEL, 0, true, &two);
	assert_string_equal(one.data, two.data);
	buf_free(&one);
	buf_free(&two);
	buf_free(&wrapped);
	ufm_model_free(first);
	ufm_model_free(second);
}

static void test_one_bad_entry_and_nothing_is_loaded(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"partitions\": {}}",
		"{\"partitions\": [{\"pkey\": \"0x5\", \"members\": [\"0200000000000001\"]}, {\"pkey\": \"0x8000\"}]}",
		"{\"partitions\": [{\"pkey\": \"0x5\", \"members\": [\"0200000000000001\", \"x\"]}]}",
		"{\"partitions\": [{\"pkey\": \"0x5\", \"members\": [{\"guid\":\"0200000000000001\",\"index0\":1}]}]}",
		"{\"partitions\": [{\"pkey\": \"0x5\", \"ip_over_ib\": 1}]}",
	};
	struct ufm_model *model = ufm_model_new();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(model, bad[i]), -1);
		assert_int_equal(ufm_model_members(model, UFM_VIEW_MODEL), 0);
		assert_null(ufm_model_get(model, UFM_VIEW_MODEL, 5));
	}
	ufm_model_free(model);
}

static void test_members_are_named_one_by_one_or_as_a_range(void **state)
{
	static const char *const bad[] = { "{}",
					   "{\"guid\": \"5\"}",
					   "{\"first\": \"0200000000000001\"}",
					   "{\"first\": \"0200000000000001\", \"count\": 0}",
					   "{\"guids\": [\"0200000000000001\", 5]}",
					   "{\"guid\": \"0200000000000001\", \"index0\": 1}" };
	json_t *range =
		json_loads("{\"first\": \"0200000000000001\", \"count\": 3, \"membership\": \"limited\"}", 0, NULL);
	struct ufm_guid_list list;
	struct error err;

	(void)state;
	assert_int_equal(ufm_state_read_members(&list, range, &err), 0);
	assert_int_equal(list.n, 3);
	assert_int_equal(list.members[2].guid, 0x0200000000000003);
	assert_true(list.members[2].limited);
	free(list.members);
	json_decref(range);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *value = json_loads(bad[i], 0, NULL);
		assert_int_equal(ufm_state_read_members(&list, value, &err), -1);
		json_decref(value);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_printed_loads_as_the_same),
		cmocka_unit_test(test_one_bad_entry_and_nothing_is_loaded),
		cmocka_unit_test(test_members_are_named_one_by_one_or_as_a_range),
	};
	return cmocka_run_group_tests_name("mock_ufm_state", tests, NULL, NULL);
}
