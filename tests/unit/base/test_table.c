#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/table.h"

static const struct table_column columns[] = {
	{ "POD", .may_cut = true, .key = true },
	{ .title = "GUID" },
	{ "N", .right = true },
	{ "AGE", .moves = true },
	{ "NODE", .wide = true },
};
enum { COLUMNS = array_length(columns), GUID_COLUMN = 1 };

#define GUID_1 "02:00:00:00:00:00:00:01"
#define GUID_2 "02:00:00:00:00:00:00:02"

static struct table *two_rows(void)
{
	struct table *table = table_new(columns, COLUMNS);

	table_row(table, (const char *const[]){ "a-pod-with-a-long-name", GUID_1, "5", "1m", "node1" });
	table_row(table, (const char *const[]){ "b", NULL, "1000", "2m", "node2" });
	return table;
}

static char *printed(const struct table *table, const struct table *before, struct table_style style)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (before)
		table_print_changes(table, before, &style, out);
	else
		table_print(table, &style, out);
	fclose(out);
	return text;
}

static void expect_print(const struct table *table, const struct table *before, struct table_style style,
			 const char *wanted)
{
	char *text = printed(table, before, style);

	assert_string_equal(text, wanted);
	free(text);
}

static void test_columns_are_as_wide_as_needed_and_numbers_stand_right(void **state)
{
	struct table *table = two_rows();

	(void)state;
	expect_print(table, NULL, (struct table_style){ .headers = true },
		     "POD                     GUID                        N  AGE\n"
		     "a-pod-with-a-long-name  " GUID_1 "     5  1m\n"
		     "b                       -                        1000  2m\n");
	expect_print(table, NULL, (struct table_style){ .wide = true },
		     "a-pod-with-a-long-name  " GUID_1 "     5  1m  node1\n"
		     "b                       -                        1000  2m  node2\n");
	table_hide(table, 0);
	expect_print(table, NULL, (struct table_style){ 0 }, GUID_1 "     5  1m\n-                        1000  2m\n");
	table_free(table);
}

static void test_a_narrow_terminal_cuts_names_and_never_guids(void **state)
{
	struct table *table = two_rows();

	(void)state;
	expect_print(table, NULL, (struct table_style){ .headers = true, .width = 48 },
		     "POD           GUID                        N  AGE\n"
		     "a-pod-wit...  " GUID_1 "     5  1m\n"
		     "b             -                        1000  2m\n");
	/* It cannot be made to fit: what may not be cut is whole all the same. */
	expect_print(table, NULL, (struct table_style){ .width = 10 },
		     "a-pod...  " GUID_1 "     5  1m\nb         -                        1000  2m\n");
	table_free(table);
}

static void test_what_a_tenant_wrote_stays_in_its_cell(void **state)
{
	static const struct table_column one[] = { { .title = "TEXT", .may_cut = true }, { .title = "X" } };
	struct table *table = table_new(one, 2);

	(void)state;
	table_row(table, (const char *const[]){ "\033[2Jclear\nnext \xff", "1" });
	table_row(table,
		  (const char *const[]){
			  "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4", "2" });
	expect_print(table, NULL, (struct table_style){ .width = 12 },
		     " [2Jcl...  1\n\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc...  2\n");
	table_free(table);
}

static void test_colours_come_only_where_asked_for(void **state)
{
	struct table *table = two_rows();

	(void)state;
	table_colour(table, GUID_COLUMN, TABLE_BAD);
	char *plain = printed(table, NULL, (struct table_style){ .headers = true });
	assert_null(strchr(plain, '\033'));
	char *coloured = printed(table, NULL, (struct table_style){ .headers = true, .colour = true });
	assert_non_null(strstr(coloured, "\033[31m-\033[0m "));
	free(plain);
	free(coloured);
	table_free(table);
}

static void test_a_watch_shows_what_changed_and_what_is_gone_and_no_ages(void **state)
{
	struct table *before = two_rows(), *table = table_new(columns, COLUMNS);

	(void)state;
	table_row(table, (const char *const[]){ "a-pod-with-a-long-name", GUID_1, "5", "9m", "node1" });
	expect_print(table, before, (struct table_style){ .headers = true },
		     "b                       -                        1000  2m  (gone)\n");
	table_row(table, (const char *const[]){ "b", GUID_2, "1000", "2m", "node2" });
	table_row(table, (const char *const[]){ "c", NULL, "1", "0s", NULL });
	expect_print(table, before, (struct table_style){ .headers = true },
		     "b                       " GUID_2 "  1000  2m\n"
		     "c                       -                           1  0s\n");
	expect_print(table, table, (struct table_style){ .headers = true }, "");
	table_free(before);
	table_free(table);
}

static void test_a_cell_that_moves_by_itself_is_no_news(void **state)
{
	struct table *before = two_rows(), *table = two_rows();

	(void)state;
	table_row(before, (const char *const[]){ "x", "1", "1", "1", "1" });
	table_moving(before, GUID_COLUMN);
	table_row(table, (const char *const[]){ "x", "2", "1", "1", "1" });
	table_moving(table, GUID_COLUMN);
	expect_print(table, before, (struct table_style){ 0 }, "");
	table_free(before);
	table_free(table);
}

static void test_rows_are_sorted_by_their_keys_whole(void **state)
{
	struct table *table = table_new(columns, COLUMNS);

	(void)state;
	table_row(table, (const char *const[]){ "b", "2", "2", "2", "2" });
	table_row(table, (const char *const[]){ "a", "1", "1", "1", "1" });
	table_sort(table);
	expect_print(table, NULL, (struct table_style){ .wide = true }, "a  1  1  1  1\nb  2  2  2  2\n");
	assert_int_equal(table_rows(table), 2);
	table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_are_as_wide_as_needed_and_numbers_stand_right),
		cmocka_unit_test(test_a_narrow_terminal_cuts_names_and_never_guids),
		cmocka_unit_test(test_what_a_tenant_wrote_stays_in_its_cell),
		cmocka_unit_test(test_colours_come_only_where_asked_for),
		cmocka_unit_test(test_a_watch_shows_what_changed_and_what_is_gone_and_no_ages),
		cmocka_unit_test(test_a_cell_that_moves_by_itself_is_no_news),
		cmocka_unit_test(test_rows_are_sorted_by_their_keys_whole),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
