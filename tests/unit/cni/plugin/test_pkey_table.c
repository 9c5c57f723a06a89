#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/plugin/pkey_table.h"

static void test_entries_are_as_the_kernel_writes_them(void **state)
{
	static const char *const bad[] = { "",           "0x",      "8005\n",   "0x18005\n", "0x80g5\n",
					   "0x8005\n\n", "0x8005 ", "0X8005\n", "-0x5\n" };
	struct pkey_table table = { .n = 0 };

	(void)state;
	assert_true(pkey_table_add(&table, "0x8005\n"));
	assert_true(pkey_table_add(&table, "0x0000\n"));
	assert_true(pkey_table_add(&table, "0x7fff"));
	assert_int_equal(table.n, 2);
	assert_int_equal(table.keys[0], 0x8005);
	assert_int_equal(table.keys[1], 0x7fff);
	for (size_t i = 0; i < array_length(bad); i++)
		assert_false(pkey_table_add(&table, bad[i]));
	assert_int_equal(table.n, 2);
}

static void test_a_full_membership_needs_the_full_entry(void **state)
{
	const struct pkey_table table = { .keys = { 0x8005, 0x0006 }, .n = 2 };

	(void)state;
	assert_true(pkey_table_has(&table, 5, true));
	assert_false(pkey_table_has(&table, 6, true));
	assert_false(pkey_table_has(&table, 7, true));
	assert_false(pkey_table_has(&table, 0, true));
}

static void test_a_full_entry_will_do_for_a_limited_membership(void **state)
{
	const struct pkey_table table = { .keys = { 0x8005, 0x0006 }, .n = 2 };

	(void)state;
	assert_true(pkey_table_has(&table, 5, false));
	assert_true(pkey_table_has(&table, 6, false));
	assert_false(pkey_table_has(&table, 7, false));
}

static void test_a_table_has_its_bound(void **state)
{
	struct pkey_table *table = mem_alloc(sizeof *table);

	(void)state;
	for (int i = 0; i < PKEY_TABLE_MAX; i++)
		assert_true(pkey_table_add(table, "0x8005"));
	assert_false(pkey_table_add(table, "0x8005"));
	free(table);
}

static void test_the_text_is_cut_where_it_gets_long(void **state)
{
	struct pkey_table table = { .keys = { 0x7fff, 0x8005 }, .n = 0 };
	char out[PKEY_TABLE_TEXT_MAX];

	(void)state;
	assert_string_equal(pkey_table_format(out, &table), "nothing");
	table.n = 1;
	assert_string_equal(pkey_table_format(out, &table), "0x7fff");
	table.n = 2;
	assert_string_equal(pkey_table_format(out, &table), "0x7fff, 0x8005");
	table.n = PKEY_TABLE_MAX;
	pkey_table_format(out, &table);
	assert_true(strlen(out) < sizeof out);
	assert_string_equal(out + strlen(out) - 11, "0x0000, ...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_are_as_the_kernel_writes_them),
		cmocka_unit_test(test_a_full_membership_needs_the_full_entry),
		cmocka_unit_test(test_a_full_entry_will_do_for_a_limited_membership),
		cmocka_unit_test(test_a_table_has_its_bound),
		cmocka_unit_test(test_the_text_is_cut_where_it_gets_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
