#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scan.h"

/* A scan as text: one line "pattern [keys] json" for each call, then how it ended. */
static int write_down(void *aux, const struct scan_value *value, struct error *err)
{
	struct buf *transcript = aux;

	assert_int_equal(strlen(value->json), value->len);
	buf_printf(transcript, "%u", value->pattern);
	for (unsigned i = 0; i < value->n_keys; i++)
		buf_printf(transcript, " [%s]", value->keys[i] ? value->keys[i] : "#");
	buf_printf(transcript, " %s\n", value->json);
	if (strcmp(value->json, "\"stop\"") == 0)
		return error_set(err, ERROR_CONFLICT, "stopped");
	return 0;
}

struct run {
	struct scan_options options;
	struct buf transcript;
	struct scan *scan;
};

static void begin(struct run *run, const struct scan_options *options)
{
	*run = (struct run){ .options = *options };
	buf_init(&run->transcript, 1 << 20);
	run->options.value = write_down;
	run->options.aux = &run->transcript;
	if (run->options.max_value == 0)
		run->options.max_value = 1 << 20;
	run->scan = scan_new(&run->options);
}

/* From memory of just this size, so that the sanitizer sees a read beyond it. */
static void feed(struct run *run, const char *text, size_t n)
{
	struct error err;
	char *exact = malloc(n > 0 ? n : 1);

	memcpy(exact, text, n);
	scan_feed(run->scan, exact, n, &err);
	free(exact);
}

static char *end(struct run *run)
{
	struct error err = { 0 }, again = { 0 };

	if (scan_end(run->scan, &err) < 0)
		buf_printf(&run->transcript, "%s: %s", error_kind_name(err.kind), err.text);
	else
		buf_text(&run->transcript, "ok");
	scan_end(run->scan, &again);
	assert_string_equal(err.text, again.text);
	scan_free(run->scan);
	return buf_take(&run->transcript);
}

static char *scan_whole(const struct scan_options *options, const char *text, size_t n)
{
	struct run run;

	begin(&run, options);
	feed(&run, text, n);
	return end(&run);
}

static void expect(const char *got, const char *expected, const char *text, const char *how)
{
	if (strcmp(got, expected) != 0)
		fail_msg("%s of %s\ngives\n%s\ninstead of\n%s", how, text, got, expected);
}

/* Whole, byte by byte, and in two at each place: all the same. */
static void check_n(const struct scan_options *options, const char *text, size_t n, const char *expected)
{
	struct run run;
	char *got = scan_whole(options, text, n);

	expect(got, expected, text, "the whole");
	free(got);
	begin(&run, options);
	for (size_t i = 0; i < n; i++)
		feed(&run, text + i, 1);
	got = end(&run);
	expect(got, expected, text, "the bytes");
	free(got);
	for (size_t cut = 0; cut <= n; cut++) {
		begin(&run, options);
		feed(&run, text, cut);
		feed(&run, text + cut, 0);
		feed(&run, text + cut, n - cut);
		got = end(&run);
		expect(got, expected, text, "a cut");
		free(got);
	}
}

static void check(const struct scan_options *options, const char *text, const char *expected)
{
	check_n(options, text, strlen(text), expected);
}

static void test_a_list_of_pods_is_cut_into_pods(void **state)
{
	const struct scan_options options = { .patterns = { "metadata", "items/*" } };

	(void)state;
	check(&options,
	      " {\"kind\" : \"PodList\", \"metadata\":{\"resourceVersion\":\"7\"},\"items\":[ {\"a\":[1,{}]},\n{} , "
	      "3,\"s\"\t],"
	      "\"x\":{\"items\":[1]}}\n",
	      "0 {\"resourceVersion\":\"7\"}\n"
	      "1 [#] {\"a\":[1,{}]}\n1 [#] {}\n1 [#] 3\n1 [#] \"s\"\nok");
	check(&options, "{\"items\":[],\"metadata\":null}", "0 null\nok");
	check(&options, "{\"items\":{\"k\":1},\"metadata\":[2]}", "1 [k] 1\n0 [2]\nok");
}

static void test_a_watch_is_cut_into_events(void **state)
{
	const struct scan_options options = { .patterns = { "" }, .many = true };

	(void)state;
	check(&options, "{\"type\":\"ADDED\"}\n{\"type\":\"BOOKMARK\"}\n",
	      "0 {\"type\":\"ADDED\"}\n0 {\"type\":\"BOOKMARK\"}\nok");
	check(&options, "", "ok");
	check(&options, " \n", "ok");
	check(&options, "{}[]1 2 \"x\"3.5e1", "0 {}\n0 []\n0 1\n0 2\n0 \"x\"\n0 3.5e1\nok");
	check(&options, "{}{\"a\"", "0 {}\nretry: JSON cut off after 6 bytes");
	check(&options, "01", "invalid: not JSON: byte 1 is 0x31 where the end of a number must come");
}

static void test_keys_tell_which_pkey_a_guid_is_of(void **state)
{
	const struct scan_options options = { .patterns = { "*/guids/*", "*/partition" } };

	(void)state;
	check(&options,
	      "{\"0x5\":{\"partition\":\"p\",\"guids\":[{\"guid\":\"1\"},{\"guid\":\"2\"}],\"ip_over_ib\":true},"
	      "\"0x\\u0036\":{\"gu\\u0069ds\":[3]},\"0x7\":[],\"0x8\":{\"guids\":[]}}",
	      "1 [0x5] \"p\"\n0 [0x5] [#] {\"guid\":\"1\"}\n0 [0x5] [#] {\"guid\":\"2\"}\n0 [0x6] [#] 3\nok");
	/* An array where UFM has an object: indices instead of keys. */
	check(&options, "[{\"guids\":[1]},{\"guids\":{\"a\":2}}]", "0 [#] [#] 1\n0 [#] [a] 2\nok");
}

static void test_the_first_pattern_and_the_outer_value_win(void **state)
{
	const struct scan_options options = { .patterns = { "*/b", "a/*", "c/d/e", "c/d", "*/b/x" } };

	(void)state;
	check(&options, "{\"a\":{\"b\":{\"x\":1},\"z\":2},\"q\":{\"b\":{\"x\":3}},\"c\":{\"d\":{\"e\":4}},\"e\":5}",
	      "0 [a] {\"x\":1}\n1 [z] 2\n0 [q] {\"x\":3}\n3 {\"e\":4}\nok");
}

static void test_four_steps_and_eight_patterns_are_told_apart(void **state)
{
	const struct scan_options options = {
		.patterns = { "a/b/c/0", "a/b/c/1", "a/b/c/2", "a/b/c/3", "a/b/c/4", "a/b/c/5", "a/b/c/6", "a/*/*/*" },
	};

	(void)state;
	check(&options,
	      "{\"a\":{\"b\":{\"c\":{\"6\":6,\"0\":0,\"7\":{\"x\":{}}},\"cc\":[9]},\"bb\":{\"c\":{\"0\":1}}}}",
	      "6 6\n0 0\n7 [b] [c] [7] {\"x\":{}}\n7 [b] [cc] [#] 9\n7 [bb] [c] [0] 1\nok");
}

static void test_what_is_not_json_is_refused_at_its_first_byte(void **state)
{
	/* The text up to '!' is fine; the byte behind it is not. */
	static const char *const bad[] = {
		"!}",          "!]",
		"!,",          "!x",
		"!'",          "!\xef\xbb\xbf{}",
		"{!]",         "{!,",
		"{!1",         "{\"a\"!}",
		"{\"a\"!,",    "{\"a\":!}",
		"{\"a\":!,",   "{\"a\":1!]",
		"{\"a\":1!:",  "{\"a\":1,!}",
		"{\"a\":1,!1", "[!}",
		"[!,",         "[1!}",
		"[1!:",        "[1,!]",
		"[1,!,",       "[1 !1",
		"[\"a\"!\"",   "{}!{",
		"{}!x",        "[]!]",
		"1 !2",        "-!x",
		"-!-",         "-! ",
		"0!1",         "0!x",
		"-0!0",        "1!x",
		"1!\"",        "1!{",
		"1.!x",        "1.! ",
		"1.5!.",       "1.5!x",
		"1e!x",        "1e+!+",
		"1e-! ",       "1e5!e",
		"1e5!.",       "!+1",
		"!.5",         "0!x1",
		"t!x",         "tru!x",
		"tr! ",        "true!x",
		"fals!s",      "nul!L",
		"!T",          "!N",
		"[true!x",     "[nul!]",
		"\"!\n",       "\"a!\x01",
		"\"!\x1f",     "\"abcdefghijkl!\t",
		"\"\\!x",      "\"\\!\n",
		"\"\\!0",      "\"\\u!x",
		"\"\\u0!g",    "\"\\u00!\"",
		"\"\\u000!\\", "{\"!\n",
		"{\"\\!x",     "{\"a\\u12!x",
		"[[[],!,",     "/!/",
		"[!/",         "\"a\"!b",
	};
	const struct scan_options options = { .patterns = { "nothing" } };

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		char text[64], start[64];
		const char *mark = strchr(bad[i], '!');
		if (*bad[i] == '/')
			mark = bad[i];
		size_t at = (size_t)(mark - bad[i]);
		snprintf(text, sizeof text, "%.*s%s", (int)at, bad[i], mark + (*bad[i] != '/'));
		snprintf(start, sizeof start, "invalid: not JSON: byte %zu is 0x%02x where ", at,
			 (unsigned char)text[at]);
		char *got = scan_whole(&options, text, strlen(text));
		if (strncmp(got, start, strlen(start)) != 0)
			fail_msg("%s gives %s", text, got);
		check(&options, text, got);
		free(got);
	}
	check_n(&options, "[\0]", 3, "invalid: not JSON: byte 1 is 0x00 where a value must come");
	check_n(&options, "1\0", 2, "invalid: not JSON: byte 1 is 0x00 where the end of a number must come");
	check_n(&options, "\"\\\0", 3, "invalid: not JSON: byte 2 is 0x00 where an escape must come");
	check_n(&options, "\"\0\"", 3, "invalid: not JSON: byte 1 is 0x00 where no control character must come");
}

static void test_no_control_character_hides_in_a_string_and_no_other_byte_ends_it(void **state)
{
	const struct scan_options options = { .patterns = { NULL } };

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		for (size_t at = 1; at < 20; at++) {
			char text[] = "\"abcdefghijklmnopqrs\"";
			text[at] = (char)c;
			bool fine = c >= 0x20 && c != '"' && (c != '\\' || strchr("bfnr", text[at + 1]));
			char *got = scan_whole(&options, text, strlen(text) + (c == 0 ? 1 : 0));
			if (fine != (strcmp(got, "ok") == 0))
				fail_msg("0x%02x at %zu: %s", c, at, got);
			free(got);
		}
	}
}

static void test_everything_json_allows_is_let_pass(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		"0",
		"-0",
		"1",
		"10",
		"-10.25",
		"0.0",
		"1e5",
		"1E+5",
		"0e-0",
		"1.5e10",
		"true",
		"false",
		"null",
		"\"\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\uDE00\"",
		"\"\x7f\"",
		"\"\xc3\xa4 long enough for words\"",
		"[[],{},[[]],{\"\":[]},\"\",0,-1,true,false,null]",
		"\t\r\n [ \t1 ,\r2\n] \n",
		"{\"a\":1,\"a\":2}",
		"{ \"a\" : { \"b\" : [ ] } , \"c\" : \"d\" }",
		"[1.5,2e1,0,1]",
		"{\"a\":0}",
	};
	const struct scan_options whole = { .patterns = { "" } }, nothing = { .patterns = { NULL } };

	(void)state;
	for (size_t i = 0; i < array_length(good); i++) {
		char value[128];
		const char *from = good[i] + strspn(good[i], " \t\r\n");
		int n = (int)strlen(from);
		while (strchr(" \n", from[n - 1]))
			n--;
		snprintf(value, sizeof value, "0 %.*s\nok", n, from);
		check(&whole, good[i], value);
		check(&nothing, good[i], "ok");
	}
}

static void test_a_cut_document_may_be_tried_again(void **state)
{
	const char *text = "{\"items\":[{\"a\":\"\\u00e4\"},-1.5e+3,true]}";
	const struct scan_options options = { .patterns = { "items/*" } };

	(void)state;
	for (size_t n = 0; n < strlen(text); n++) {
		struct run run;
		begin(&run, &options);
		feed(&run, text, n);
		char *got = end(&run);
		assert_non_null(strstr(got, n == 0 ? "retry: no JSON at all" : "retry: JSON cut off after"));
		free(got);
	}
	check(&options, " ", "retry: no JSON at all");
	const struct scan_options whole = { .patterns = { "" } };
	check(&whole, "12", "0 12\nok");
	check(&whole, "12.", "retry: JSON cut off after 3 bytes");
	check(&whole, "-", "retry: JSON cut off after 1 bytes");
	check(&whole, "tru", "retry: JSON cut off after 3 bytes");
}

static void test_a_wanted_value_may_be_as_long_as_allowed_and_no_longer(void **state)
{
	const struct scan_options options = { .patterns = { "*" }, .max_value = 6 };
	const struct scan_options number = { .patterns = { "" }, .max_value = 3 };
	const char *limit = "limit: a value of more than 6 bytes";

	(void)state;
	check(&options, "[123456,\"abcd\",[1,2 ],\"much longer than\"]",
	      "0 [#] 123456\n0 [#] \"abcd\"\n0 [#] [1,2 ]\n"
	      "limit: a value of more than 6 bytes");
	check(&options, "[1234567]", limit);
	check(&options, "[\"abcde\"]", limit);
	check(&options, "[[1,2,3]]", limit);
	check(&options, "[\"abcdefghijklmnopqrstuvwxyz", limit);
	check(&number, "123", "0 123\nok");
	check(&number, "123 ", "0 123\nok");
	check(&number, "1234", "limit: a value of more than 3 bytes");
	/* What is not wanted may be longer. */
	const struct scan_options other = { .patterns = { "x" }, .max_value = 1 };
	check(&other, "{\"y\":\"abcdefghijklmnopqrstuvwxyz\",\"x\":1}", "0 1\nok");
}

static void test_all_of_it_may_be_as_long_as_allowed_and_no_longer(void **state)
{
	struct scan_options options = { .patterns = { "*" }, .max_total = 7 };

	(void)state;
	check(&options, "[1,2,3]", "0 [#] 1\n0 [#] 2\n0 [#] 3\nok");
	check(&options, "[1,2,3] ", "0 [#] 1\n0 [#] 2\n0 [#] 3\nlimit: more than 7 bytes of JSON");
	check(&options, "[1,2,34]", "0 [#] 1\n0 [#] 2\nlimit: more than 7 bytes of JSON");
}

static void test_64_levels_are_scanned_and_65_refused(void **state)
{
	const struct scan_options options = { .patterns = { "*/*/*/*" } };
	char text[131] = { 0 };

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	char *got = scan_whole(&options, text, 128);
	assert_non_null(strstr(got, "\nok"));
	free(got);
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	check(&options, text, "limit: JSON deeper than 64 levels");
	for (int i = 0; i < 26; i++)
		memcpy(text + i * 5, "{\"a\":", 5);
	check(&options, text, "retry: JSON cut off after 130 bytes");
}

static void test_where_more_levels_are_allowed_each_is_closed_by_its_own_bracket(void **state)
{
	const struct scan_options options = { .patterns = { "*" }, .max_depth = 1000 };
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 16);
	for (int i = 0; i < 500; i++)
		buf_text(&text, i % 3 ? "[[" : "{\"a\":[");
	size_t half = text.len;
	for (int i = 499; i >= 0; i--)
		buf_text(&text, i % 3 ? "]]" : "]}");
	char *got = scan_whole(&options, text.data, text.len);
	assert_non_null(strstr(got, "\nok"));
	free(got);
	text.data[half + 130] ^= ']' ^ '}';
	got = scan_whole(&options, text.data, text.len);
	assert_non_null(strstr(got, "not JSON"));
	free(got);
	text.data[half + 130] ^= ']' ^ '}';
	got = scan_whole(&(struct scan_options){ .patterns = { "*" }, .max_depth = 999 }, text.data, text.len);
	assert_non_null(strstr(got, "limit: JSON deeper than 999 levels"));
	free(got);
	buf_free(&text);
}

static void test_a_key_for_a_star_is_bounded_and_text(void **state)
{
	const struct scan_options star = { .patterns = { "*/x" } }, named = { .patterns = { "a" } };
	struct buf text;
	char key[258], expected[300];

	(void)state;
	memset(key, 'k', sizeof key - 1);
	key[257] = '\0';
	buf_init(&text, 4096);
	buf_printf(&text, "{\"%s\":{\"x\":1},\"a\":2}", key);
	check(&star, text.data, "limit: a key of more than 256 bytes");
	check(&named, text.data, "0 2\nok");
	buf_clear(&text);
	buf_printf(&text, "{\"%s\":{\"x\":1},\"a\":2}", key + 1);
	snprintf(expected, sizeof expected, "0 [%s] 1\nok", key + 1);
	check(&star, text.data, expected);
	/* 256 characters of six bytes each are no longer than 256. */
	buf_clear(&text);
	buf_text(&text, "{\"");
	for (int i = 0; i < 256; i++)
		buf_text(&text, "\\u006b");
	buf_text(&text, "\":{\"x\":1}}");
	check(&star, text.data, expected);
	buf_free(&text);
	const char *bad = "invalid: a key that is no UTF-8 or has a NUL in it";
	check(&star, "{\"\\u0000\":1}", bad);
	check(&star, "{\"a\\ud800\":1}", bad);
	check(&star, "{\"a\\ud800\\u0041\":1}", bad);
	check(&star, "{\"\\udc00\":1}", bad);
	check(&star, "{\"\xff\":1}", bad);
	check(&star, "{\"\xc3\":1}", bad);
	check(&star, "{\"\\uD83D\\uDE00\\t\\/\xc3\xa4\":{\"x\":0}}", "0 [\xf0\x9f\x98\x80\t/\xc3\xa4] 0\nok");
	/* A key never counts as its beginning. */
	check(&named, "{\"a\\u0000\":1,\"a\":2,\"a\xff\":3,\"\":4,\"ab\":5}", "0 2\nok");
}

static void test_an_error_of_the_callback_ends_the_scan(void **state)
{
	const struct scan_options options = { .patterns = { "*" } };

	(void)state;
	check(&options, "[1,\"stop\",2]", "0 [#] 1\n0 [#] \"stop\"\nconflict: stopped");
}

static void test_an_error_stays(void **state)
{
	const struct scan_options options = { .patterns = { "*" } };
	struct error err = { 0 };
	struct run run;

	(void)state;
	begin(&run, &options);
	assert_int_equal(scan_feed(run.scan, "[1,}", 4, &err), -1);
	for (int i = 0; i < 3; i++) {
		err = (struct error){ 0 };
		assert_int_equal(scan_feed(run.scan, i == 1 ? "2]" : "", i == 1 ? 2 : 0, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(err.text, "byte 3 is 0x7d"));
	}
	free(end(&run));
}

/* Documents that are long and of every kind, cut anywhere into pieces of any length. */
static void test_any_cut_gives_the_same_calls(void **state)
{
	const struct scan_options options = { .patterns = { "items/*", "items/*/x", "meta/*/*" }, .many = true };
	struct buf text;
	uint32_t random = 1;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 40; i++) {
		buf_printf(
			&text,
			"{\"meta\":{\"k%d\":[%d,-%d.5e%d,\"\\u00e4\\\\\\\"\"],\"\\n%d\":{\"deep\":[[{\"a\":null}]]}},",
			i, i, i, i, i);
		buf_printf(&text, " \"items\" : [ {\"name\":\"pod-%d\",\"text\":\"%.*s\"} , true,%d ] }\n", i, i,
			   "the quick brown fox jumps over the lazy dog", i);
	}
	char *expected = scan_whole(&options, text.data, text.len);
	assert_non_null(strstr(expected, "\nok"));
	for (int round = 0; round < 300; round++) {
		struct run run;
		begin(&run, &options);
		for (size_t at = 0; at < text.len;) {
			random = random * 1664525 + 1013904223;
			size_t n = 1 + (random >> 16) % (1u + (unsigned)round);
			n = n < text.len - at ? n : text.len - at;
			feed(&run, text.data + at, n);
			at += n;
		}
		char *got = end(&run);
		expect(got, expected, "the long text", "a cut");
		free(got);
	}
	free(expected);
	buf_free(&text);
}

static void test_a_large_value_leaves_no_large_buffer_and_no_leak(void **state)
{
	const struct scan_options options = { .patterns = { "*" } };
	size_t n = 1 << 20;
	char *text = mem_alloc(n + 3);
	struct run run;

	(void)state;
	memset(text, 'x', n);
	memcpy(text, "[\"", 2);
	memcpy(text + n - 2, "\",7]", 4);
	begin(&run, &options);
	run.transcript.max = 4 << 20;
	feed(&run, text, n + 2);
	char *got = end(&run);
	assert_int_equal(strlen(got), strlen("0 [#] ") + (n - 2) + strlen("\n0 [#] 7\nok"));
	free(got);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_of_pods_is_cut_into_pods),
		cmocka_unit_test(test_a_watch_is_cut_into_events),
		cmocka_unit_test(test_keys_tell_which_pkey_a_guid_is_of),
		cmocka_unit_test(test_the_first_pattern_and_the_outer_value_win),
		cmocka_unit_test(test_four_steps_and_eight_patterns_are_told_apart),
		cmocka_unit_test(test_what_is_not_json_is_refused_at_its_first_byte),
		cmocka_unit_test(test_no_control_character_hides_in_a_string_and_no_other_byte_ends_it),
		cmocka_unit_test(test_everything_json_allows_is_let_pass),
		cmocka_unit_test(test_a_cut_document_may_be_tried_again),
		cmocka_unit_test(test_a_wanted_value_may_be_as_long_as_allowed_and_no_longer),
		cmocka_unit_test(test_all_of_it_may_be_as_long_as_allowed_and_no_longer),
		cmocka_unit_test(test_64_levels_are_scanned_and_65_refused),
		cmocka_unit_test(test_where_more_levels_are_allowed_each_is_closed_by_its_own_bracket),
		cmocka_unit_test(test_a_key_for_a_star_is_bounded_and_text),
		cmocka_unit_test(test_an_error_of_the_callback_ends_the_scan),
		cmocka_unit_test(test_an_error_stays),
		cmocka_unit_test(test_any_cut_gives_the_same_calls),
		cmocka_unit_test(test_a_large_value_leaves_no_large_buffer_and_no_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
