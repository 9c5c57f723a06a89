#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/ufm_switches.h"

static void test_what_is_printed_can_be_set(void **state)
{
	struct ufm_switches first, second;
	struct buf json;
	struct error err;

	(void)state;
	ufm_switches_init(&first);
	assert_int_equal(ufm_switches_set_text(&first, "missing_pkey=404", &err), 0);
	assert_int_equal(ufm_switches_set_text(&first, "fabric_delay_ms=-1", &err), 0);
	assert_int_equal(ufm_switches_set_text(&first, "vports=true", &err), 0);
	assert_int_equal(ufm_switches_set_text(&first, "post_body=", &err), 0);
	assert_int_equal(ufm_switches_set_text(&first, "version=6.23.1-6=x", &err), 0);
	assert_string_equal(first.version, "6.23.1-6=x");
	buf_init(&json, 1 << 16);
	ufm_switches_print(&first, &json);
	json_t *values = json_loads(json.data, 0, NULL);
	assert_non_null(values);
	ufm_switches_init(&second);
	assert_int_equal(ufm_switches_set(&second, values, &err), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	json_decref(values);
	buf_free(&json);
}

static void test_a_bad_value_is_named_and_nothing_changes(void **state)
{
	static const char *const bad[] = { "missing_pkey", "nothing=1",   "missing_pkey=405", "vports=1", "write_ms=",
					   "write_ms=10s", "write_ms=-1", "post_status=500",  "=1" };
	struct ufm_switches switches, before;
	struct error err;
	json_t *values;

	(void)state;
	ufm_switches_init(&switches);
	before = switches;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ufm_switches_set_text(&switches, bad[i], &err), -1);
		assert_memory_equal(&switches, &before, sizeof(before));
	}
	values = json_loads("{\"write_ms\": 5, \"vports\": 1}", 0, NULL);
	assert_int_equal(ufm_switches_set(&switches, values, &err), -1);
	assert_non_null(strstr(err.text, "vports takes true|false"));
	assert_memory_equal(&switches, &before, sizeof(before));
	json_decref(values);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_printed_can_be_set),
		cmocka_unit_test(test_a_bad_value_is_named_and_nothing_changes),
	};
	return cmocka_run_group_tests_name("mock_ufm_switches", tests, NULL, NULL);
}
