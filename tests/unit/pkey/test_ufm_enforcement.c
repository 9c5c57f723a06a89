// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "pkey/ufm_enforcement.h"

static enum ufm_enforcement read_body(int status, const char *body)
{
	return ufm_enforcement_read(status, body, strlen(body));
}

static void test_what_is_said_is_understood_in_either_form(void **state)
{
	(void)state;
	assert_int_equal(read_body(200, "{\"no_partition_enforcement\": false}"), UFM_ENFORCEMENT_ON);
	assert_int_equal(read_body(200, "{\"no_partition_enforcement\":\"FALSE\"}"), UFM_ENFORCEMENT_ON);
	assert_int_equal(read_body(200, "{\"m_key\":\"0x1\",\"no_partition_enforcement\":true}"), UFM_ENFORCEMENT_OFF);
	assert_int_equal(read_body(200, "{\"no_partition_enforcement\":\"TRUE\"}"), UFM_ENFORCEMENT_OFF);
}

/* Nobody is told that all is well unless UFM says so. */
static void test_anything_else_says_nothing(void **state)
{
	(void)state;
	static const char *const bodies[] = { "",
					      "{}",
					      "[]",
					      "<html>false</html>",
					      "{\"no_partition_enforcement\":0}",
					      "false",
					      "\"no\"",
					      "{\"no_partition_enforcement\":\"\"}" };
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		assert_int_equal(read_body(200, bodies[i]), UFM_ENFORCEMENT_UNKNOWN);
	assert_int_equal(read_body(403, "{\"no_partition_enforcement\": false}"), UFM_ENFORCEMENT_UNKNOWN);
	assert_int_equal(read_body(400, "Unknown parameter"), UFM_ENFORCEMENT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_said_is_understood_in_either_form),
		cmocka_unit_test(test_anything_else_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
