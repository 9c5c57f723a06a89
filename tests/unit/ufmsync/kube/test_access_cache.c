#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/kube/access_cache.h"

static struct access_cache cache;
static unsigned released;

static void release(void *value)
{
	(void)value;
	released++;
}

static struct access_key key(unsigned n)
{
	struct access_key key = { { 0 } };

	memcpy(key.bytes + 4, &n, sizeof n); /* all in one bucket: the worst there is */
	return key;
}

static int numbers[100];

static void put(unsigned n, size_t bytes, int64_t now_ms, int64_t until_ms)
{
	struct access_key k = key(n);

	access_cache_put(&cache, &k, &numbers[n], bytes, now_ms, until_ms);
}

static void *get(unsigned n, int64_t now_ms)
{
	struct access_key k = key(n);

	return access_cache_get(&cache, &k, now_ms);
}

static int setup(void **state)
{
	(void)state;
	released = 0;
	access_cache_init(&cache, 10, 100000, release);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	access_cache_clear(&cache);
	assert_int_equal(cache.n, 0);
	assert_int_equal(cache.bytes, 0);
	return 0;
}

static void test_an_answer_is_kept_until_its_time_is_over(void **state)
{
	(void)state;
	put(1, 0, 0, 1000);
	assert_ptr_equal(get(1, 999), &numbers[1]);
	assert_null(get(2, 0));
	assert_int_equal(released, 0);
	assert_null(get(1, 1000));
	assert_int_equal(released, 1);
	assert_null(get(1, 0)); /* for good */
}

static void test_a_newer_answer_takes_the_place_of_one_that_is_there(void **state)
{
	struct access_key k = key(1);

	(void)state;
	put(1, 0, 0, 1000);
	access_cache_put(&cache, &k, &numbers[2], 0, 0, 2000);
	assert_int_equal(released, 1);
	assert_int_equal(cache.n, 1);
	assert_ptr_equal(get(1, 1500), &numbers[2]);
}

static void test_the_oldest_make_room_when_there_are_too_many(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 12; n++)
		put(n, 0, 0, 1000);
	assert_int_equal(cache.n, 10);
	assert_int_equal(released, 2);
	assert_null(get(0, 0));
	assert_null(get(1, 0));
	for (unsigned n = 2; n < 12; n++)
		assert_ptr_equal(get(n, 0), &numbers[n]);
}

static void test_the_oldest_make_room_when_they_are_too_large(void **state)
{
	(void)state;
	put(0, 40000, 0, 1000);
	put(1, 40000, 0, 1000);
	put(2, 40000, 0, 1000);
	assert_null(get(0, 0));
	assert_non_null(get(1, 0));
	put(3, 200000, 0, 1000); /* larger than all there may be: nothing stays, and nothing breaks */
	assert_null(get(3, 0));
	assert_int_equal(cache.n, 0);
	assert_int_equal(released, 4);
}

static void test_what_is_over_is_dropped_on_the_way(void **state)
{
	(void)state;
	put(0, 0, 0, 10);
	put(1, 0, 0, 10);
	put(2, 0, 10, 1000);
	assert_int_equal(cache.n, 1);
	assert_int_equal(released, 2);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_an_answer_is_kept_until_its_time_is_over),
		promise(test_a_newer_answer_takes_the_place_of_one_that_is_there),
		promise(test_the_oldest_make_room_when_there_are_too_many),
		promise(test_the_oldest_make_room_when_they_are_too_large),
		promise(test_what_is_over_is_dropped_on_the_way),
	};
	return cmocka_run_group_tests_name("access_cache", tests, NULL, NULL);
}
