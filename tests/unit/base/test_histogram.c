// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/histogram.h"

static const uint32_t bounds[] = { 10, 100, 1000, 0 };

static void test_a_bound_belongs_to_its_own_bucket(void **state)
{
	struct histogram h;
	(void)state;
	histogram_init(&h, bounds);
	histogram_add(&h, 0);
	histogram_add(&h, 10);
	histogram_add(&h, 11);
	histogram_add(&h, 1000);
	histogram_add(&h, 1001);
	histogram_add(&h, INT64_MAX / 4);
	assert_int_equal(h.n[0], 2);
	assert_int_equal(h.n[1], 1);
	assert_int_equal(h.n[2], 1);
	assert_int_equal(h.n[3], 2);
	assert_int_equal(histogram_count(&h), 6);
	assert_int_equal(h.sum_ms, 10 + 11 + 1000 + 1001 + INT64_MAX / 4);
}

static void test_a_clock_that_went_back_counts_as_no_time(void **state)
{
	struct histogram h;
	(void)state;
	histogram_init(&h, bounds);
	histogram_add(&h, -5);
	assert_int_equal(h.n[0], 1);
	assert_int_equal(h.sum_ms, 0);
}

static void test_all_places_can_be_used(void **state)
{
	uint32_t most[HISTOGRAM_BOUNDS_MAX + 1] = { 0 };
	struct histogram h;
	(void)state;
	for (uint32_t i = 0; i < HISTOGRAM_BOUNDS_MAX; i++)
		most[i] = i + 1;
	histogram_init(&h, most);
	histogram_add(&h, HISTOGRAM_BOUNDS_MAX);
	histogram_add(&h, HISTOGRAM_BOUNDS_MAX + 1);
	assert_int_equal(h.n[HISTOGRAM_BOUNDS_MAX - 1], 1);
	assert_int_equal(h.n[HISTOGRAM_BOUNDS_MAX], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bound_belongs_to_its_own_bucket),
		cmocka_unit_test(test_a_clock_that_went_back_counts_as_no_time),
		cmocka_unit_test(test_all_places_can_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
