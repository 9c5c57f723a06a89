#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guid/table.h"

enum { N = 1024 };

/* Keys of every kind: neighbours, far apart, with equal low digits. */
static uint64_t key_of(uint32_t i)
{
	return i % 3 == 0 ? i : i % 3 == 1 ? (uint64_t)i << 40 : i * 0x9e3779b97f4a7c15;
}

static void test_what_was_inserted_is_found_until_removed(void **state)
{
	uint32_t index[N], random = 3;
	struct table table;
	size_t count = 0;

	(void)state;
	memset(index, 0xff, sizeof index);
	table_init(&table, 12345);
	for (uint32_t step = 0; step < 100000; step++) {
		random = random * 1664525 + 1013904223;
		uint32_t i = (random >> 8) % (step < 50000 ? N : 40);
		assert_int_equal(table_find(&table, key_of(i)), index[i]);
		if (index[i] != TABLE_NONE)
			table_remove(&table, key_of(i));
		else
			table_insert(&table, key_of(i), step);
		count += index[i] == TABLE_NONE ? 1 : (size_t)-1;
		index[i] = index[i] == TABLE_NONE ? step : TABLE_NONE;
		assert_int_equal(table.count, count);
		if (step % 1000 == 0)
			for (uint32_t k = 0; k < N; k++)
				assert_int_equal(table_find(&table, key_of(k)), index[k]);
	}
	table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_was_inserted_is_found_until_removed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
