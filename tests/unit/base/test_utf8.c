#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_unescape.h"
#include "base/mem.h"
#include "base/utf8.h"

static void test_each_code_point_is_written_and_recognised(void **state)
{
	(void)state;
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		char bytes[4];
		if (code == 0xd800)
			code = 0xe000;
		size_t n = utf8_put(bytes, code);
		assert_int_equal(n, code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
		assert_int_equal(utf8_span(bytes, n), n);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(utf8_span(bytes, cut), 0);
	}
}

static void test_of_all_four_bytes_only_the_code_points_are_valid(void **state)
{
	/* Each first byte, with the second bytes at the borders and good ones behind. */
	unsigned valid = 0;

	(void)state;
	for (unsigned first = 0x80; first < 0x100; first++) {
		for (unsigned second = 0; second < 0x100; second++) {
			char bytes[4] = { (char)first, (char)second, (char)0x80, (char)0x80 };
			valid += utf8_span(bytes, 4) > 0;
		}
	}
	/* 30 two-byte beginnings of 64; 16 of three bytes less a half (overlong) and a half (surrogates); 5 of four bytes
	 * less 16 (overlong) and 48 (too large). */
	assert_int_equal(valid, 30 * 64 + 16 * 64 - 64 + 5 * 64 - 16 - 48);
}

static void test_bad_bytes_are_invalid(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2",
		"\xc2\x41",
		"\xe0\x9f\xbf",
		"\xe0\xa0",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xe2\x82\x41",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xf0\x9f\x98",
		"\xf0\x9f\x98\x41",
		"a\xffz",
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("a\0\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 11));
}

static void unescape(const char *body, size_t max, enum json_unescape is, const char *expected)
{
	char out[32], *exact = mem_dup_n(body, strlen(body));
	size_t len;

	assert_true(max < sizeof out);
	assert_int_equal(json_unescape(out, max, &len, exact, strlen(body)), is);
	if (is == JSON_UNESCAPE_OK) {
		assert_string_equal(out, expected);
		assert_int_equal(strlen(expected), len);
	}
	free(exact);
}

static void test_the_body_of_a_json_string_is_decoded(void **state)
{
	(void)state;
	unescape("", 0, JSON_UNESCAPE_OK, "");
	unescape("plain", 5, JSON_UNESCAPE_OK, "plain");
	unescape("plain", 4, JSON_UNESCAPE_LONG, NULL);
	unescape("\\\"\\\\\\/\\b\\f\\n\\r\\t", 8, JSON_UNESCAPE_OK, "\"\\/\b\f\n\r\t");
	unescape("\\u0041\\u00e4\\u20AC\\uD83d\\uDe00", 10, JSON_UNESCAPE_OK, "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	unescape("\\u20AC", 2, JSON_UNESCAPE_LONG, NULL);
	unescape("\xe2\x82\xac", 2, JSON_UNESCAPE_LONG, NULL);
	unescape("\\u0000", 8, JSON_UNESCAPE_BAD, NULL);
	unescape("\\ud83d", 8, JSON_UNESCAPE_BAD, NULL);
	unescape("\\ud83dx", 8, JSON_UNESCAPE_BAD, NULL);
	unescape("\\ud83d\\n", 8, JSON_UNESCAPE_BAD, NULL);
	unescape("\\ud83d\\ud83d", 8, JSON_UNESCAPE_BAD, NULL);
	unescape("\\ude00", 8, JSON_UNESCAPE_BAD, NULL);
	unescape("a\xff", 8, JSON_UNESCAPE_BAD, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_code_point_is_written_and_recognised),
		cmocka_unit_test(test_of_all_four_bytes_only_the_code_points_are_valid),
		cmocka_unit_test(test_bad_bytes_are_invalid),
		cmocka_unit_test(test_the_body_of_a_json_string_is_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
