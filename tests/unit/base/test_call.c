// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/call.h"

static void test_every_outcome_has_a_word_of_its_own_that_is_a_label(void **state)
{
	(void)state;
	for (int i = 0; i < CALL_OUTCOMES; i++) {
		const char *name = call_outcome_name((enum call_outcome)i);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_true(strlen(name) > 0);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name, call_outcome_name((enum call_outcome)k));
	}
}

static void test_what_http_says_becomes_what_an_operator_asks(void **state)
{
	static const struct {
		int status;
		enum call_outcome outcome;
	} all[] = {
		{ 200, CALL_OK },        { 204, CALL_OK },           { 301, CALL_UNREADABLE },
		{ 400, CALL_REFUSED },   { 401, CALL_UNAUTHORIZED }, { 403, CALL_FORBIDDEN },
		{ 404, CALL_NOT_FOUND }, { 408, CALL_THROTTLED },    { 409, CALL_CONFLICT },
		{ 410, CALL_NOT_FOUND }, { 413, CALL_REFUSED },      { 422, CALL_REFUSED },
		{ 429, CALL_THROTTLED }, { 500, CALL_UNAVAILABLE },  { 503, CALL_UNAVAILABLE },
		{ 0, CALL_UNAVAILABLE }, { 999, CALL_UNAVAILABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		assert_int_equal(call_outcome_of_status(all[i].status), all[i].outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_outcome_has_a_word_of_its_own_that_is_a_label),
		cmocka_unit_test(test_what_http_says_becomes_what_an_operator_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
