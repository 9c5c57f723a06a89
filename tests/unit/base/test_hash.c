// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/hash.h"
#include "base/mem.h"

enum { MANY = 5000 };

struct item {
	struct hash_node node;
	uint64_t key;
};

static struct item *find(const struct hash *hash, uint64_t key)
{
	for (struct hash_node *n = hash_first(hash, hash_number(7, key)); n; n = hash_next(n)) {
		struct item *item = container_of(n, struct item, node);
		if (item->key == key)
			return item;
	}
	return NULL;
}

static void test_everything_is_found_while_it_grows_and_shrinks(void **state)
{
	(void)state;
	static struct item items[MANY];
	struct hash hash;
	hash_init(&hash);
	for (uint64_t i = 0; i < MANY; i++) {
		items[i].key = i * 4096;
		hash_add(&hash, &items[i].node, hash_number(7, items[i].key));
		assert_ptr_equal(find(&hash, i / 2 * 4096), &items[i / 2]);
		assert_ptr_equal(find(&hash, i * 4096), &items[i]);
		assert_null(find(&hash, i * 4096 + 1));
	}
	for (uint64_t i = 0; i < MANY; i++) {
		hash_remove(&hash, &items[i].node);
		assert_null(find(&hash, i * 4096));
		if (i + 1 < MANY)
			assert_ptr_equal(find(&hash, (MANY - 1) * 4096), &items[MANY - 1]);
	}
	assert_int_equal(hash.count, 0);
	hash_free(&hash);
}

static void test_equal_hashes_are_told_apart_by_the_caller(void **state)
{
	(void)state;
	struct item items[3] = { { .key = 1 }, { .key = 2 }, { .key = 3 } };
	struct hash hash;
	hash_init(&hash);
	for (int i = 0; i < 3; i++)
		hash_add(&hash, &items[i].node, 42);
	int n = 0;
	for (struct hash_node *node = hash_first(&hash, 42); node; node = hash_next(node))
		n++;
	assert_int_equal(n, 3);
	hash_remove(&hash, &items[1].node);
	n = 0;
	for (struct hash_node *node = hash_first(&hash, 42); node; node = hash_next(node))
		n++;
	assert_int_equal(n, 2);
	hash_free(&hash);
}

static void test_texts_hash_by_all_their_bytes(void **state)
{
	(void)state;
	assert_int_not_equal(hash_text(1, "a"), hash_text(1, "b"));
	assert_int_not_equal(hash_text(1, "a"), hash_text(2, "a"));
	assert_int_not_equal(hash_text(1, "12345678"), hash_text(1, "123456789"));
	assert_int_equal(hash_text(1, "uid-1"), hash_text(1, "uid-1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_found_while_it_grows_and_shrinks),
		cmocka_unit_test(test_equal_hashes_are_told_apart_by_the_caller),
		cmocka_unit_test(test_texts_hash_by_all_their_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
