// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "ufmsync/wake.h"

enum { MANY = 500 };

static void test_they_come_in_order_of_time(void **state)
{
	(void)state;
	static struct wake wakes[MANY];
	struct wakes heap = { 0 };
	uint64_t x = 1;
	for (int i = 0; i < MANY; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		wake_set(&heap, &wakes[i], (int64_t)(x >> 40));
	}
	int64_t last = 0;
	for (int i = 0; i < MANY; i++) {
		int64_t next = wakes_deadline(&heap);
		assert_null(wakes_due(&heap, next - 1));
		struct wake *wake = wakes_due(&heap, next);
		assert_non_null(wake);
		assert_false(wake_is_set(wake));
		assert_true(wake->at >= last);
		last = wake->at;
	}
	assert_int_equal(wakes_deadline(&heap), INT64_MAX);
	wakes_free(&heap);
}

static void test_they_can_be_moved_and_cleared(void **state)
{
	(void)state;
	struct wake a = { 0 }, b = { 0 }, c = { 0 };
	struct wakes heap = { 0 };
	wake_set(&heap, &a, 10);
	wake_set(&heap, &b, 20);
	wake_set(&heap, &c, 30);
	wake_set(&heap, &a, 40);
	assert_int_equal(wakes_deadline(&heap), 20);
	wake_sooner(&heap, &c, 50);
	assert_int_equal(c.at, 30);
	wake_sooner(&heap, &c, 5);
	assert_int_equal(wakes_deadline(&heap), 5);
	wake_clear(&heap, &c);
	wake_clear(&heap, &c);
	wake_clear(&heap, &b);
	assert_ptr_equal(wakes_due(&heap, 40), &a);
	assert_null(wakes_due(&heap, INT64_MAX));
	wakes_free(&heap);
}

static void test_clearing_any_of_many_keeps_the_order(void **state)
{
	(void)state;
	for (int cleared = 0; cleared < 60; cleared++) {
		struct wake wakes[60] = { 0 };
		struct wakes heap = { 0 };
		for (int i = 0; i < 60; i++)
			wake_set(&heap, &wakes[i], i * 37 % 60);
		wake_clear(&heap, &wakes[cleared]);
		int64_t last = -1;
		int n = 0;
		for (struct wake *wake; (wake = wakes_due(&heap, 100)); n++) {
			assert_true(wake->at > last);
			last = wake->at;
		}
		assert_int_equal(n, 59);
		wakes_free(&heap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_come_in_order_of_time),
		cmocka_unit_test(test_they_can_be_moved_and_cleared),
		cmocka_unit_test(test_clearing_any_of_many_keeps_the_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
