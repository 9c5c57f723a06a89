#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/kube/json_text.h"

static bool is_json(const char *text)
{
	struct json_span root;
	struct error err;

	return json_text_check(&root, text, strlen(text), &err) == 0;
}

static void test_what_is_json_passes_and_nothing_else(void **state)
{
	static const char *const good[] = { "null",
					    " true\n",
					    "false",
					    "0",
					    "-0",
					    "-1.5e+300",
					    "1E5",
					    "1e400",
					    "18446744073709551616",
					    "\"\"",
					    "\"a\\u00e9\\n\"",
					    "[]",
					    "[ ]",
					    "{}",
					    "[1,[2,{}]]",
					    "{\"a\":{\"b\":[null]}}" };
	static const char *const bad[] = {
		"",        " ",         "nul",         "truex",    "01",     "-",       "+1",       "1.",
		".5",      "1e",        "1e+",         "0x1",      "NaN",    "'a'",     "\"",       "\"\\\"",
		"\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "[",      "[1",      "[1,",      "[1,]",
		"[,1]",    "[1 2]",     "]",           "{",        "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}",
		"{a:1}",   "{\"a\" 1}", "{1:2}",       "[] []",    "{}x"
	};
	(void)state;
	for (size_t i = 0; i < array_length(good); i++)
		assert_true(is_json(good[i]));
	for (size_t i = 0; i < array_length(bad); i++)
		assert_false(is_json(bad[i]));
}

static void test_what_is_no_json_is_refused_with_its_place(void **state)
{
	struct json_span root;
	struct error err;
	(void)state;
	assert_int_equal(json_text_check(&root, "[1, x]", 6, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.text, "not JSON at byte 4");
	assert_int_equal(json_text_check(&root, "[1, ", 4, &err), -1);
	assert_string_equal(err.text, "not JSON at byte 4 (it ends too early)");
}

static void test_the_end_is_the_length_not_the_nul(void **state)
{
	struct json_span root;
	struct error err;
	(void)state;
	assert_int_equal(json_text_check(&root, "12", 1, &err), 0);
	assert_int_equal(root.len, 1);
	assert_int_equal(json_text_check(&root, "[1]", 2, &err), -1);
	assert_int_equal(json_text_check(&root, "1\0", 2, &err), -1);
}

static void test_depth_has_a_limit(void **state)
{
	char text[2 * JSON_TEXT_DEPTH_MAX + 3] = "";
	(void)state;
	memset(text, '[', JSON_TEXT_DEPTH_MAX);
	memset(text + JSON_TEXT_DEPTH_MAX, ']', JSON_TEXT_DEPTH_MAX);
	assert_true(is_json(text));
	memset(text, '[', JSON_TEXT_DEPTH_MAX + 1);
	memset(text + JSON_TEXT_DEPTH_MAX + 1, ']', JSON_TEXT_DEPTH_MAX + 1);
	assert_false(is_json(text));
}

static char *decoded(const char *text)
{
	struct json_span root;
	struct error err;

	assert_int_equal(json_text_check(&root, text, strlen(text), &err), 0);
	return json_span_string(root);
}

static void test_strings_are_decoded_as_go_does(void **state)
{
	static const char *const pairs[][2] = {
		{ "\"\"", "" },
		{ "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz" },
		{ "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\"\\ud83d\"", "\xef\xbf\xbd" },
		{ "\"\\ud83dx\"", "\xef\xbf\xbdx" },
		{ "\"\\ude00\\ud83d\\u0041\"", "\xef\xbf\xbd\xef\xbf\xbd"
					       "A" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(pairs); i++) {
		char *text = decoded(pairs[i][0]);
		assert_string_equal(text, pairs[i][1]);
		free(text);
	}
}

static void test_a_string_with_a_nul_is_none(void **state)
{
	(void)state;
	assert_null(decoded("\"a\\u0000b\""));
	assert_null(decoded("12"));
	assert_null(json_span_string((struct json_span){ 0 }));
}

static void test_a_walk_sees_every_member_with_its_exact_text(void **state)
{
	static const char text[] = " { \"a\" : 1e400 , \"\\u0061\":[ 1 , 2 ],\"c\":\"x\" } ";
	static const char *const keys[] = { "\"a\"", "\"\\u0061\"", "\"c\"" }, *const values[] = { "1e400", "[ 1 , 2 ]",
												   "\"x\"" };
	struct json_span root;
	struct error err;
	size_t n = 0;
	(void)state;
	assert_int_equal(json_text_check(&root, text, strlen(text), &err), 0);
	for (struct json_walk walk = json_walk_in(root); json_walk_next(&walk); n++) {
		assert_true(n < 3);
		assert_int_equal(walk.key.len, strlen(keys[n]));
		assert_memory_equal(walk.key.at, keys[n], walk.key.len);
		assert_int_equal(walk.value.len, strlen(values[n]));
		assert_memory_equal(walk.value.at, values[n], walk.value.len);
		assert_int_equal(json_span_is(walk.key, "a"), n < 2);
	}
	assert_int_equal(n, 3);
}

static void test_a_walk_in_a_scalar_or_nothing_ends_at_once(void **state)
{
	struct json_span root;
	struct error err;
	struct json_walk walk;
	(void)state;
	assert_int_equal(json_text_check(&root, "12", 2, &err), 0);
	walk = json_walk_in(root);
	assert_false(json_walk_next(&walk));
	walk = json_walk_in((struct json_span){ 0 });
	assert_false(json_walk_next(&walk));
}

static void test_a_quote_is_cut_between_characters_and_holds_no_control_character(void **state)
{
	static const char text[] = "ab\xc3\xa9\n";
	(void)state;
	char *cut = json_text_cut(text, 5, 3);
	assert_string_equal(cut, "ab");
	free(cut);
	cut = json_text_cut(text, 5, 4);
	assert_string_equal(cut, "ab\xc3\xa9");
	free(cut);
	cut = json_text_cut(text, 5, 64);
	assert_string_equal(cut, "ab\xc3\xa9?");
	free(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_json_passes_and_nothing_else),
		cmocka_unit_test(test_what_is_no_json_is_refused_with_its_place),
		cmocka_unit_test(test_the_end_is_the_length_not_the_nul),
		cmocka_unit_test(test_depth_has_a_limit),
		cmocka_unit_test(test_strings_are_decoded_as_go_does),
		cmocka_unit_test(test_a_string_with_a_nul_is_none),
		cmocka_unit_test(test_a_walk_sees_every_member_with_its_exact_text),
		cmocka_unit_test(test_a_walk_in_a_scalar_or_nothing_ends_at_once),
		cmocka_unit_test(test_a_quote_is_cut_between_characters_and_holds_no_control_character),
	};
	return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
