#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guid/queue.h"

enum { N = 64 };

static void test_in_order_is_a_list_and_out_of_order_still_leaves_in_order(void **state)
{
	static const int64_t keys[] = { 5, 5, 9, 3, 9, 1, 4, 12, 4 };
	static const int64_t sorted[] = { 1, 3, 4, 4, 5, 5, 9, 9, 12 };
	struct queue_link links[N];
	struct queue queue;
	uint32_t last = 0;

	(void)state;
	queue_init(&queue, sizeof *links);
	assert_int_equal(queue_first(&queue, links), QUEUE_NONE);
	for (uint32_t i = 0; i < sizeof keys / sizeof *keys; i++)
		queue_put(&queue, links, i, keys[i]);
	for (uint32_t i = 0; i < sizeof sorted / sizeof *sorted; i++) {
		uint32_t first = queue_first(&queue, links);
		assert_int_equal(links[first].key, sorted[i]);
		if (sorted[i] == 5 || sorted[i] == 9)
			assert_true(i == 4 || i == 6 || first > last);
		last = first;
		queue_remove(&queue, links, first);
	}
	assert_int_equal(queue_first(&queue, links), QUEUE_NONE);
	queue_free(&queue);
}

static void test_equal_ones_leave_in_the_order_they_came(void **state)
{
	struct queue_link links[N];
	struct queue queue;

	(void)state;
	queue_init(&queue, sizeof *links);
	for (uint32_t i = 0; i < N; i++)
		queue_put(&queue, links, i, 0);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(queue_first(&queue, links), i);
		queue_remove(&queue, links, i);
	}
	queue_free(&queue);
}

static void test_against_a_plain_array_it_agrees(void **state)
{
	struct queue_link links[N];
	bool in[N] = { false };
	struct queue queue;
	uint32_t random = 7;

	(void)state;
	queue_init(&queue, sizeof *links);
	for (int step = 0; step < 200000; step++) {
		random = random * 1664525 + 1013904223;
		uint32_t i = (random >> 8) % N;
		if (in[i])
			queue_remove(&queue, links, i);
		else
			queue_put(&queue, links, i,
				  (random >> 16) % 1000 < 700 ? step : (int64_t)((random >> 16) % 50));
		in[i] = !in[i];
		uint32_t first = queue_first(&queue, links);
		bool any = false;
		for (uint32_t k = 0; k < N; k++) {
			any = any || in[k];
			if (in[k])
				assert_true(first != QUEUE_NONE && links[first].key <= links[k].key);
		}
		assert_true(any ? in[first] : first == QUEUE_NONE);
	}
	queue_free(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_is_a_list_and_out_of_order_still_leaves_in_order),
		cmocka_unit_test(test_equal_ones_leave_in_the_order_they_came),
		cmocka_unit_test(test_against_a_plain_array_it_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
