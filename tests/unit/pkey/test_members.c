#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/members.h"

static struct member full(uint64_t guid)
{
	return (struct member){ { guid }, MEMBERSHIP_FULL, true };
}

static void assert_ascending(const struct members *members)
{
	size_t at = 0, n = 0;
	uint64_t before = 0;
	for (const struct member *m; (m = members_next(members, &at)); n++) {
		assert_true(n == 0 || m->guid.v > before);
		before = m->guid.v;
	}
	assert_int_equal(n, members_count(members));
}

static void test_a_guid_is_held_once_and_adding_it_again_changes_it(void **state)
{
	struct members *members = members_new();
	(void)state;
	assert_true(members_add(members, full(7)));
	assert_false(members_add(members, (struct member){ { 7 }, MEMBERSHIP_LIMITED, false }));
	assert_int_equal(members_count(members), 1);
	const struct member *m = members_find(members, (struct guid){ 7 });
	assert_non_null(m);
	assert_int_equal(m->membership, MEMBERSHIP_LIMITED);
	assert_false(m->index0);
	assert_null(members_find(members, (struct guid){ 8 }));
	members_free(members);
}

static void test_an_empty_set_has_nothing_to_find_remove_or_walk(void **state)
{
	struct members *members = members_new();
	size_t at = 0;
	(void)state;
	assert_null(members_find(members, (struct guid){ 1 }));
	assert_false(members_remove(members, (struct guid){ 1 }));
	assert_null(members_next(members, &at));
	at = members_from(members, (struct guid){ 1 });
	assert_null(members_next(members, &at));
	members_free(members);
	members_free(NULL);
}

/* Against the plainest model there is: one flag a GUID. */
static void test_a_random_life_agrees_with_a_table_of_flags(void **state)
{
	enum { RANGE = 3000, STEPS = 60000 };
	static bool model[RANGE];
	struct members *members = members_new();
	size_t count = 0;
	uint32_t seed = 12345;
	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		seed = seed * 1664525 + 1013904223;
		unsigned guid = seed >> 8;
		guid %= RANGE;
		bool grow = step / 10000 % 2 == 0;
		if (seed >> 29 < (grow ? 6u : 2u)) {
			assert_int_equal(members_add(members, full(guid)), !model[guid]);
			count += !model[guid];
			model[guid] = true;
		} else {
			assert_int_equal(members_remove(members, (struct guid){ guid }), model[guid]);
			count -= model[guid];
			model[guid] = false;
		}
		assert_int_equal(members_count(members), count);
		if (step % 997 == 0)
			assert_ascending(members);
	}
	for (unsigned guid = 0; guid < RANGE; guid++) {
		assert_int_equal(members_find(members, (struct guid){ guid }) != NULL, model[guid]);
		members_remove(members, (struct guid){ guid });
	}
	assert_int_equal(members_count(members), 0);
	assert_ascending(members);
	members_free(members);
}

static void test_ascending_and_descending_arrival_give_the_same_set(void **state)
{
	struct members *up = members_new(), *down = members_new();
	(void)state;
	for (uint64_t guid = 1; guid <= 5000; guid++) {
		assert_true(members_add(up, full(guid)));
		assert_true(members_add(down, full(5001 - guid)));
	}
	size_t a = 0, b = 0;
	for (uint64_t guid = 1; guid <= 5000; guid++) {
		assert_int_equal(members_next(up, &a)->guid.v, guid);
		assert_int_equal(members_next(down, &b)->guid.v, guid);
	}
	assert_null(members_next(up, &a));
	assert_null(members_next(down, &b));
	members_free(up);
	members_free(down);
}

static void test_a_walk_goes_on_from_a_guid_whether_it_is_there_or_not(void **state)
{
	struct members *members = members_new();
	(void)state;
	for (uint64_t guid = 10; guid <= 20000; guid += 10)
		members_add(members, full(guid));
	for (uint64_t from = 0; from <= 20000; from += 5) {
		size_t at = members_from(members, (struct guid){ from });
		const struct member *m = members_next(members, &at);
		assert_non_null(m);
		assert_int_equal(m->guid.v, from == 0 ? 10 : (from + 9) / 10 * 10);
	}
	size_t at = members_from(members, (struct guid){ 20001 });
	assert_null(members_next(members, &at));
	members_free(members);
}

static void apply_add(void *aux, const struct member *member)
{
	members_add(aux, *member);
}

static void apply_remove(void *aux, const struct member *member)
{
	assert_true(members_remove(aux, member->guid));
}

static void refuse(void *aux, const struct member *member)
{
	(void)aux;
	fail_msg("nothing was to change, yet %llx is", (unsigned long long)member->guid.v);
}

static void test_applying_the_difference_makes_them_equal(void **state)
{
	struct members *want = members_new(), *is = members_new(), *copy = members_new();
	(void)state;
	for (uint64_t guid = 0; guid < 3000; guid++) {
		struct member m = { { guid * 7919 % 10007 },
				    guid % 5 ? MEMBERSHIP_FULL : MEMBERSHIP_LIMITED,
				    guid % 3 == 0 };
		if (guid % 2)
			members_add(want, m);
		m.index0 = guid % 11 == 0;
		if (guid % 3) {
			members_add(is, m);
			members_add(copy, m);
		}
	}
	members_difference(want, is, apply_add, apply_remove, copy);
	members_difference(want, copy, refuse, refuse, NULL);
	assert_int_equal(members_count(copy), members_count(want));
	members_free(want);
	members_free(is);
	members_free(copy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_guid_is_held_once_and_adding_it_again_changes_it),
		cmocka_unit_test(test_an_empty_set_has_nothing_to_find_remove_or_walk),
		cmocka_unit_test(test_a_random_life_agrees_with_a_table_of_flags),
		cmocka_unit_test(test_ascending_and_descending_arrival_give_the_same_set),
		cmocka_unit_test(test_a_walk_goes_on_from_a_guid_whether_it_is_there_or_not),
		cmocka_unit_test(test_applying_the_difference_makes_them_equal),
	};
	return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
