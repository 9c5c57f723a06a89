#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/duration.h"
#include "base/mem.h"

static void test_a_duration_is_digits_and_a_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "0", 0 }, { "5", 5000 }, { "20ms", 20 }, { "90s", 90000 }, { "2m", 120000 }, { "1h", 3600000 } };
	static const char *const bad[] = {
		"", "s", "-1s", "1.5s", "1 s", "1d", "1S", "99999999999999s", "9000h", "18446744073709551617s", "0x10"
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < array_length(good); i++) {
		assert_true(duration_parse(&ms, good[i].text));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < array_length(bad); i++)
		if (duration_parse(&ms, bad[i]))
			fail_msg("accepted '%s'", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_duration_is_digits_and_a_unit),
	};

	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
