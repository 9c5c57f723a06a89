#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static json_t *parse(const char *text)
{
	struct error err = { 0 };
	json_t *root = json_parse(text, strlen(text), &err);

	if (!root)
		fail_msg("%s: %s", text, err.text);
	return root;
}

static void test_one_value_and_nothing_else_is_json(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1} x",
		"{}{}",
		"{'a':1}",
		"nul",
		"[01]",
		"{\"a\":1,\"a\":2}",
		"\"\xff\"",
		"\"\\ud800\"",
		"\xef\xbb\xbf{}",
	};
	static const char *const good[] = { "{}", " [] ", "1", "null", "\"x\"", "-0.5e3", "\"\\u0000\"" };
	struct error err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err.kind = ERROR_NONE;
		assert_null(json_parse(bad[i], strlen(bad[i]), &err));
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(err.text, "line 1 column"));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		json_decref(parse(good[i]));
	/* The length counts, not a NUL. */
	assert_null(json_parse("{}\0", 3, &err));
	assert_null(json_parse("1\0", 2, &err));
	assert_null(json_parse("[1\0]", 4, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	json_decref(json_parse("{}x", 2, &err));
}

static void test_64_levels_are_parsed_and_65_are_refused(void **state)
{
	struct error err = { 0 };
	char text[131];

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	json_t *root = json_parse(text, 128, &err);
	assert_non_null(root);
	json_decref(root);
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_null(json_parse(text, 130, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	/* Brackets inside strings are text. */
	text[0] = '"';
	memset(text + 1, '[', 128);
	memcpy(text + 1, "\\\"", 2);
	text[129] = '"';
	root = json_parse(text, 130, &err);
	assert_non_null(root);
	json_decref(root);
}

static void test_getters_assume_no_type_and_take_null(void **state)
{
	__attribute__((cleanup(json_freep))) json_t *root = parse(
		"{\"a\":{\"s\":\"text\",\"nul\":\"x\\u0000y\",\"n\":7,\"t\":true,\"f\":false,\"z\":null,\"r\":1.5}}");

	(void)state;
	assert_string_equal(json_str(root, "a", "s", NULL), "text");
	assert_null(json_str(root, "a", "nul", NULL));
	assert_null(json_str(root, "a", "n", NULL));
	assert_null(json_str(root, "a", "s", "deeper", NULL));
	assert_null(json_str(root, "missing", "s", NULL));
	assert_null(json_str(NULL, "a", NULL));
	assert_null(json_str(root, NULL));
	assert_ptr_equal(json_at(root, NULL), root);
	assert_null(json_at(NULL, NULL));
	assert_int_equal(json_int(root, -1, "a", "n", NULL), 7);
	assert_int_equal(json_int(root, -1, "a", "r", NULL), -1);
	assert_int_equal(json_int(root, -1, "a", "s", NULL), -1);
	assert_int_equal(json_int(NULL, -1, "a", NULL), -1);
	assert_true(json_bool(root, false, "a", "t", NULL));
	assert_false(json_bool(root, true, "a", "f", NULL));
	assert_true(json_bool(root, true, "a", "z", NULL));
	assert_false(json_bool(root, false, "a", "n", NULL));
}

static void test_a_time_of_kubernetes_is_read_to_the_millisecond(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-01-02T03:04:05Z", 1767323045000 },
		{ "2026-01-02T03:04:05.678000Z", 1767323045678 },
		{ "2026-01-02T03:04:05.6Z", 1767323045600 },
		{ "2026-01-02T03:04:05.678999999Z", 1767323045678 },
		{ "2024-02-29T23:59:59Z", 1709251199000 },
		{ "0001-01-01T00:00:00Z", -62135596800000 },
	};
	static const char *const bad[] = {
		"",
		"2026-01-02",
		"2026-01-02T03:04:05",
		"2026-01-02 03:04:05Z",
		"2026-1-02T03:04:05Z",
		"2026-13-02T03:04:05Z",
		"2026-00-02T03:04:05Z",
		"2026-02-29T03:04:05Z",
		"2026-01-00T03:04:05Z",
		"2026-01-02T24:04:05Z",
		"2026-01-02T03:60:05Z",
		"2026-01-02T03:04:60Z",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05.1234567890Z",
		"2026-01-02T03:04:05Zx",
		"2026-01-02T03:04:05+00:00",
		"2026-01-02T03:04:5Z",
		"2026-01-02T03:04:",
		"2026-01-02T03:04:Z",
		"-026-01-02T03:04:05Z",
		"2026-01-02T03:04:05z",
		"2026-01-02T03:04:005Z",
		"+2026-01-02T03:04:05Z",
		"2026-01-02T",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!json_time_ms(&ms, good[i].text) || ms != good[i].ms)
			fail_msg("%s: %lld", good[i].text, (long long)ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (json_time_ms(&ms, bad[i]))
			fail_msg("%s is taken", bad[i]);
	}
}

static void test_a_micro_time_has_six_digits_and_reads_back(void **state)
{
	static const int64_t times[] = { 0, 1, 999, 1767323045678, 253402300799999, -1, -62135596800000 };
	char text[28];
	int64_t ms;

	(void)state;
	json_micro_time(text, 1767323045678);
	assert_string_equal(text, "2026-01-02T03:04:05.678000Z");
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		json_micro_time(text, times[i]);
		assert_int_equal(strlen(text), 27);
		assert_true(json_time_ms(&ms, text));
		assert_int_equal(ms, times[i] < 0 ? 0 : times[i]);
	}
	/* No moment is too far away to give 27 characters. */
	json_micro_time(text, INT64_MAX);
	assert_string_equal(text, "9999-12-31T23:59:59.999000Z");
	json_micro_time(text, INT64_MIN);
	assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_value_and_nothing_else_is_json),
		cmocka_unit_test(test_64_levels_are_parsed_and_65_are_refused),
		cmocka_unit_test(test_getters_assume_no_type_and_take_null),
		cmocka_unit_test(test_a_time_of_kubernetes_is_read_to_the_millisecond),
		cmocka_unit_test(test_a_micro_time_has_six_digits_and_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
