#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guid/table.h"

enum { N = 1024, GROUPS_APART = 8 };

/* Keys of every kind: neighbours, far apart, with equal low digits. */
static uint64_t key_of(uint32_t i)
{
	return i % 3 == 0 ? i : i % 3 == 1 ? (uint64_t)i << 40 : i * 0x9e3779b97f4a7c15;
}

static void test_what_was_inserted_is_found_until_removed(void **state)
{
	struct {
		char before[8];
		uint64_t key;
	} elements[N];
	uint32_t random = 3;
	bool in[N] = { false };
	struct guid_table table;
	size_t count = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		elements[i].key = key_of(i);
	guid_table_init(&table, sizeof *elements, 12345);
	for (uint32_t step = 0; step < 100000; step++) {
		random = random * 1664525 + 1013904223;
		uint32_t i = (random >> 8) % (step < 50000 ? N : 40);
		uint32_t found = guid_table_find(&table, &elements->key, key_of(i));
		assert_int_equal(found, in[i] ? i : TABLE_NONE);
		if (in[i])
			guid_table_remove(&table, &elements->key, i);
		else
			guid_table_insert(&table, &elements->key, i);
		count += in[i] ? (size_t)-1 : 1;
		in[i] = !in[i];
		assert_int_equal(table.count, count);
		if (step % 1000 == 0)
			for (uint32_t k = 0; k < N; k++)
				assert_int_equal(guid_table_find(&table, &elements->key, key_of(k)),
						 in[k] ? k : TABLE_NONE);
	}
	guid_table_free(&table);
}

/* Of so many keys some share all that a slot of the map remembers of them. */
static void test_keys_that_look_alike_are_told_apart(void **state)
{
	enum { MANY = 400000 };
	uint64_t *keys = mem_array(MANY, sizeof *keys);
	struct guid_table table;

	(void)state;
	guid_table_init(&table, sizeof *keys, 1);
	for (uint32_t i = 0; i < MANY; i++) {
		keys[i] = (uint64_t)i * GROUPS_APART;
		assert_int_equal(guid_table_find(&table, keys, keys[i]), TABLE_NONE);
		guid_table_insert(&table, keys, i);
	}
	for (uint32_t i = 0; i < MANY; i++)
		if (guid_table_find(&table, keys, keys[i]) != i)
			fail_msg("key %u is taken for another", i);
	for (uint32_t i = 0; i < MANY; i++)
		guid_table_remove(&table, keys, i);
	assert_int_equal(table.count, 0);
	guid_table_free(&table);
	free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_inserted_is_found_until_removed),
		cmocka_unit_test(test_keys_that_look_alike_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
