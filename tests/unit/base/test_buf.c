#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"

static void test_it_grows_to_its_ceiling_and_is_then_full(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_string_equal(buf.data, "");
	for (int i = 0; i < 1000; i++)
		assert_true(buf_append(&buf, "x", 1));
	assert_int_equal(buf.len, 1000);
	assert_int_equal(strlen(buf.data), 1000);
	assert_int_equal(buf.cap, 1001);
	assert_true(buf_append(&buf, "", 0));
	assert_false(buf.full);
	assert_false(buf_append(&buf, "y", 1));
	assert_true(buf.full);
	assert_int_equal(strlen(buf.data), 1000);
	buf_free(&buf);
}

static void test_once_full_all_later_appends_fail_so_a_series_may_be_checked_at_its_end(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	assert_true(buf_text(&buf, "ab"));
	assert_false(buf_text(&buf, "cde"));
	assert_false(buf_text(&buf, "c"));
	assert_false(buf_printf(&buf, "c"));
	assert_false(buf_json_string(&buf, ""));
	assert_string_equal(buf.data, "ab");
	buf_clear(&buf);
	assert_false(buf.full);
	assert_string_equal(buf.data, "");
	assert_true(buf_printf(&buf, "%d", 1234));
	assert_string_equal(buf.data, "1234");
	assert_false(buf_printf(&buf, "%d", 5));
	assert_string_equal(buf.data, "1234");
	buf_free(&buf);
	buf_init(&buf, 0);
	assert_true(buf_text(&buf, ""));
	assert_false(buf_text(&buf, "x"));
	buf_free(&buf);
}

static void test_bytes_with_a_nul_are_kept(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_true(buf_append(&buf, "a\0b", 3));
	assert_int_equal(buf.len, 3);
	assert_memory_equal(buf.data, "a\0b", 4);
	buf_free(&buf);
}

static void test_what_is_taken_belongs_to_the_taker(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	char *empty = buf_take(&buf);
	assert_string_equal(empty, "");
	buf_text(&buf, "one");
	char *one = buf_take(&buf);
	assert_int_equal(buf.len, 0);
	buf_text(&buf, "two");
	assert_string_equal(one, "one");
	assert_string_equal(buf.data, "two");
	buf_free(&buf);
	buf_free(&buf);
	assert_string_equal(buf.data, "");
	free(empty);
	free(one);
}

static void test_any_text_becomes_a_json_string_that_reads_back(void **state)
{
	char all[129];
	struct error err;
	struct buf buf;

	(void)state;
	for (int i = 0; i < 127; i++)
		all[i] = (char)(i + 1);
	memcpy(all + 127, "\\", 2);
	buf_init(&buf, 4096);
	assert_true(buf_json_string(&buf, all));
	json_t *root = json_parse(buf.data, buf.len, &err);
	assert_non_null(root);
	assert_string_equal(json_string_value(root), all);
	json_decref(root);
	buf_clear(&buf);
	assert_true(buf_json_string(&buf, "\xc3\xa4\"\n/"));
	assert_string_equal(buf.data, "\"\xc3\xa4\\\"\\u000a/\"");
	buf_clear(&buf);
	assert_true(buf_json_string(&buf, "a\xffz\n\xc3"));
	assert_string_equal(buf.data, "\"a\xef\xbf\xbdz\\u000a\xef\xbf\xbd\"");
	buf_clear(&buf);
	assert_true(buf_json_string(&buf, ""));
	assert_string_equal(buf.data, "\"\"");
	buf_free(&buf);
	/* Either it fits whole or it says so. */
	for (size_t max = 0; max < 12; max++) {
		buf_init(&buf, max);
		assert_int_equal(buf_json_string(&buf, "ab\x01yz"), max >= 12);
		assert_true(buf.len <= max);
		buf_free(&buf);
	}
	buf_init(&buf, 12);
	assert_true(buf_json_string(&buf, "ab\x01yz"));
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_grows_to_its_ceiling_and_is_then_full),
		cmocka_unit_test(test_once_full_all_later_appends_fail_so_a_series_may_be_checked_at_its_end),
		cmocka_unit_test(test_bytes_with_a_nul_are_kept),
		cmocka_unit_test(test_what_is_taken_belongs_to_the_taker),
		cmocka_unit_test(test_any_text_becomes_a_json_string_that_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
