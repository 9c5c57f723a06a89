#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/mock/ufm_map.h"

static void test_every_64_bit_value_is_a_key(void **state)
{
	static const uint64_t keys[] = { 0, 1, UINT64_MAX, 0x8000000000000000 };
	struct ufm_map map = { 0 };
	uint32_t value;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		ufm_map_put(&map, keys[i], (uint32_t)i);
	for (size_t i = 0; i < 4; i++) {
		assert_true(ufm_map_get(&map, keys[i], &value));
		assert_int_equal(value, i);
	}
	assert_int_equal(map.count, 4);
	assert_false(ufm_map_get(&map, 2, &value));
	ufm_map_free(&map);
}

static void test_an_empty_map_has_nothing_to_find_or_remove(void **state)
{
	struct ufm_map map = { 0 };
	uint32_t value;

	(void)state;
	assert_false(ufm_map_get(&map, 0, &value));
	assert_false(ufm_map_remove(&map, 0));
	ufm_map_free(&map);
}

/* Few keys, so that they collide, are removed and come back all the time. */
static void test_a_random_life_agrees_with_an_array(void **state)
{
	enum { KEYS = 300, STEPS = 200000 };
	struct ufm_map map = { 0 };
	uint32_t known[KEYS] = { 0 }; /* 1 + value; 0: not there */
	uint64_t random = 88172645463325252;
	size_t count = 0;

	(void)state;
	for (uint32_t step = 0; step < STEPS; step++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		size_t key = random % KEYS;
		uint64_t guid = 0x0200000000000000 + key * 0x10001;
		uint32_t value;
		if (random >> 40 & 1) {
			count += known[key] == 0;
			known[key] = step + 1;
			ufm_map_put(&map, guid, step);
		} else {
			assert_int_equal(ufm_map_remove(&map, guid), known[key] != 0);
			count -= known[key] != 0;
			known[key] = 0;
		}
		assert_int_equal(map.count, count);
		key = (random >> 20) % KEYS;
		guid = 0x0200000000000000 + key * 0x10001;
		assert_int_equal(ufm_map_get(&map, guid, &value), known[key] != 0);
		if (known[key])
			assert_int_equal(value, known[key] - 1);
	}
	ufm_map_free(&map);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_64_bit_value_is_a_key),
		cmocka_unit_test(test_an_empty_map_has_nothing_to_find_or_remove),
		cmocka_unit_test(test_a_random_life_agrees_with_an_array),
	};
	return cmocka_run_group_tests_name("mock_ufm_map", tests, NULL, NULL);
}
