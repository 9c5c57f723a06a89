#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ufmsync/kube/backoff.h"

static void test_waits_double_up_to_half_a_minute_and_half_of_each_is_chance(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct backoff backoff = { .random = seed };
		int64_t most = 200;
		for (unsigned i = 0; i < 20; i++) {
			int64_t wait = backoff_next(&backoff, -1);
			assert_true(wait >= most / 2 && wait <= most);
			assert_int_equal(backoff.failures, i + 1);
			most = most * 2 > 30000 ? 30000 : most * 2;
		}
		backoff.failures = 0;
		assert_true(backoff_next(&backoff, -1) <= 200);
	}
}

static void test_what_the_other_side_asks_for_comes_on_top_within_reason(void **state)
{
	struct backoff backoff = { 0 };
	(void)state;
	int64_t wait = backoff_next(&backoff, 5000);
	assert_true(wait >= 5100 && wait <= 5200);
	wait = backoff_next(&backoff, INT64_MAX);
	assert_true(wait >= 120000 && wait <= 121000);
}

static void test_two_that_start_together_do_not_stay_together(void **state)
{
	struct backoff a = { .random = 1 }, b = { .random = 2 };
	unsigned same = 0;
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		same += backoff_next(&a, -1) == backoff_next(&b, -1);
	assert_true(same < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_double_up_to_half_a_minute_and_half_of_each_is_chance),
		cmocka_unit_test(test_what_the_other_side_asks_for_comes_on_top_within_reason),
		cmocka_unit_test(test_two_that_start_together_do_not_stay_together),
	};
	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
