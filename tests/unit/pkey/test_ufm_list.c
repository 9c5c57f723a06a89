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
#include "pkey/ufm_list.h"

/* What the list said, in words: "0x5:1a full 0, 0x5 -1," */
static struct buf said;

static void member(void *aux, struct pkey pkey, const struct member *m)
{
	(void)aux;
	buf_printf(&said, "0x%x:%llx %s %d,", (unsigned)pkey.v, (unsigned long long)m->guid.v,
		   membership_name(m->membership), m->index0);
}

static void partition(void *aux, struct pkey pkey, int listed_membership)
{
	(void)aux;
	buf_printf(&said, "0x%x %d,", (unsigned)pkey.v, listed_membership);
}

static const struct pkey_list_sink sink = { .member = member, .partition = partition };

static int read_in_pieces(unsigned only, const char *json, size_t piece, struct error *err)
{
	struct pkey pkey = { (uint16_t)only };
	struct ufm_list *list = ufm_list_new(only ? &pkey : NULL, &sink);
	size_t n = strlen(json);
	int ret = 0;

	buf_clear(&said);
	for (size_t at = 0; at < n && ret == 0; at += piece)
		ret = ufm_list_feed(list, json + at, n - at < piece ? n - at : piece, err);
	if (ret == 0)
		ret = ufm_list_end(list, err);
	ufm_list_free(list);
	return ret;
}

/* However it is cut. */
static void assert_says(unsigned only, const char *json, const char *words)
{
	for (size_t piece = 1; piece < strlen(json) + 16; piece += piece < 8 ? 1 : piece) {
		struct error err;
		if (read_in_pieces(only, json, piece, &err) < 0)
			fail_msg("%s: %s", json, err.text);
		assert_string_equal(said.data, words);
	}
}

static void assert_is_no_list(unsigned only, const char *json, const char *why)
{
	for (size_t piece = 1; piece < strlen(json) + 16; piece += piece < 8 ? 1 : piece) {
		struct error err;
		if (read_in_pieces(only, json, piece, &err) == 0)
			fail_msg("taken for a whole list: %s", json);
		assert_int_equal(err.kind, ERROR_RETRY);
		if (!strstr(err.text, why))
			fail_msg("%s", err.text);
	}
}

#define TWO_MEMBERS                                                                                                    \
	"{\"guid\":\"02a1b2c3d4e5f601\",\"membership\":\"full\",\"index0\":true},"                                     \
	"{\"guid\":\"02a1b2c3d4e5f602\",\"membership\":\"limited\",\"index0\":false}"
#define TWO_SAID "0x2fb:2a1b2c3d4e5f601 full 1,0x2fb:2a1b2c3d4e5f602 limited 0,"

static void test_the_list_of_all_is_read_with_its_empty_partitions(void **state)
{
	(void)state;
	assert_says(0,
		    "{\"0x7fff\":{\"partition\":\"management\",\"ip_over_ib\":true,\"index0\":false,\"membership\":"
		    "\"limited\","
		    "\"guids\":[]},\n \"0x2fb\" : "
		    "{\"partition\":\"api_pkey_0x2fb\",\"ip_over_ib\":true,\"guids\":[" TWO_MEMBERS
		    "]},\"0x5\":{\"guids\":[]}}",
		    "0x7fff 1," TWO_SAID "0x2fb -1,0x5 -1,");
	assert_says(0, "{\"0x7fff\":{\"partition\":\"management\",\"membership\":\"full\"}}", "0x7fff 0,");
	assert_says(0, "{}", "");
}

static void test_one_pkey_is_read_flat_and_wrapped(void **state)
{
	(void)state;
	assert_says(0x2fb, "{\"partition\":\"api_pkey_0x2fb\",\"ip_over_ib\":true,\"guids\":[" TWO_MEMBERS "]}",
		    TWO_SAID "0x2fb -1,");
	assert_says(0x2fb, "{\"0x2fb\":{\"partition\":\"x\",\"guids\":[" TWO_MEMBERS "]}}", TWO_SAID "0x2fb -1,");
	assert_says(0x2fb,
		    "{\"guids\":[],\"qos_conf\":{\"mtu_limit\":4,\"rate_limit\":2.5,\"membership\":\"full\","
		    "\"guids\":[7]}}",
		    "0x2fb -1,");
}

static void test_a_pkey_that_does_not_exist_has_no_members(void **state)
{
	(void)state;
	assert_says(5, "{}", "");
	assert_says(5, " {\n} ", "");
}

static void test_pkeys_are_compared_as_numbers(void **state)
{
	(void)state;
	assert_says(5, "{\"0x0005\":{\"guids\":[]}}", "0x5 -1,");
	assert_says(0xab, "{\"0X00AB\":{\"guids\":[]}}", "0xab -1,");
	assert_says(0, "{\"0x8005\":{\"guids\":[]}}", "0x5 -1,");
	assert_says(0, "{\"0x000000000005\":{\"guids\":[]}}", "0x5 -1,");
}

static void test_members_are_read_in_all_their_spellings(void **state)
{
	static const struct {
		const char *member, *said;
	} cases[] = {
		{ "{\"guid\":\"0X02A1B2C3D4E5F60F\"}", "2a1b2c3d4e5f60f full 0" },
		{ "{\"port_guid\":\"02:00:00:00:00:00:00:1a\",\"index_0\":true}", "20000000000001a full 1" },
		{ "{\"guid\":\"1a\",\"membership\":\"Limited\",\"index0\":1}", "1a limited 1" },
		{ "{ \"x\" : { \"guid\" : \"7\", \"a\":[1,{}] } , \"guid\" : \"1a\" , \"y\":[\"}]\"] }", "1a full 0" },
		{ "{\"guid\":\"1a\",\"membership\":\"both\",\"index0\":null}", "1a full 0" },
		{ "{\"gu\\u0069d\":\"1\\u0061\",\"membership\":\"limited\",\"index_0\":true}", "1a limited 1" },
		{ "{\"guid\":\"1a\",\"description\":\"say \\\"guid\\\":\\\"7\\\"\"}", "1a full 0" },
		{ "{\"guid\":\"ffffffffffffffff\"}", "ffffffffffffffff full 0" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char *json = mem_printf("{\"0x5\":{\"guids\":[%s]}}", cases[i].member);
		char *words = mem_printf("0x5:%s,0x5 -1,", cases[i].said);
		assert_says(0, json, words);
		assert_says(5, json, words);
		free(json);
		free(words);
	}
}

static void test_one_odd_guid_is_left_out_but_never_all(void **state)
{
	(void)state;
	for (const char *const *odd =
		     (const char *const[]){ "02a1b2c3d4e5f60111", "0x", "", "N/A", "-1", "0x0x1a", "x1a", " 1a",
					    "02:00:00:00:00:00:00:1a:00:00:00:00", NULL };
	     *odd; odd++) {
		char *json = mem_printf("{\"0x5\":{\"guids\":[{\"guid\":\"%s\"},{\"guid\":\"1a\"}]}}", *odd);
		assert_says(0, json, "0x5:1a full 0,0x5 -1,");
		free(json);
		json = mem_printf("{\"guids\":[{\"guid\":\"%s\"}]}", *odd);
		assert_is_no_list(5, json, "none of its 1 GUIDs can be read");
		free(json);
	}
}

static void test_what_is_not_certainly_the_whole_list_is_none(void **state)
{
	(void)state;
	assert_is_no_list(0, "", "no JSON at all");
	assert_is_no_list(0, "  \n", "no JSON at all");
	assert_is_no_list(0, "<!DOCTYPE html><html><body>UFM</body></html>", "a web page");
	assert_is_no_list(5, "\n<html></html>", "a web page");
	assert_is_no_list(0, "[\"0x7fff\",\"0x2fb\"]", "an array");
	assert_is_no_list(0, "[]", "an array");
	assert_is_no_list(5, "[{\"guid\":\"1a\"}]", "an array");
	assert_is_no_list(0, "null", "no list");
	assert_is_no_list(0, "\"starting\"", "no list");
	assert_is_no_list(0, "OK", "no list");
	assert_is_no_list(0, "{\"error\":\"database is locked\"}", "\"error\" stands where a PKey must");
	assert_is_no_list(5, "{\"error\":\"database is locked\"}", "no partition");
	assert_is_no_list(5, "{\"partition\":\"x\",\"ip_over_ib\":true}", "no partition");
	assert_is_no_list(5, "{\"membership\":\"full\"}", "without its members");
	assert_is_no_list(0, "{\"guids\":[]}", "where a PKey must");
	assert_is_no_list(0, "{\"membership\":\"full\"}", "one partition where the list of all must be");
	assert_is_no_list(0, "{\"0x5\":{\"partition\":\"x\",\"qos_conf\":{}}}", "without its members");
	assert_is_no_list(0, "{\"0x5\":{},\"0x6\":{\"guids\":[]}}", "PKey 0x5 is listed without its members");
	assert_is_no_list(0, "{\"0x5\":[]}", "no object");
	assert_is_no_list(0, "{\"0x5\":null}", "no object");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":null}}", "no array");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":{}}}", "no array");
	assert_is_no_list(5, "{\"guids\":\"none\"}", "no array");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":[\"1a\"]}}", "no object");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":[{\"membership\":\"full\"}]}}", "without a GUID");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":[{\"guid\":\"1a\"},{\"g", "cut off");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":[{\"guid\":\"1a\"}]}", "cut off");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":[]}}{}", "not JSON");
	assert_is_no_list(0, "{\"0x5\":{\"guids\":[],}}", "not JSON");
	assert_is_no_list(5, "{\"0x6\":{\"guids\":[]}}", "about PKey 0x6");
	assert_is_no_list(5, "{\"0x5\":{\"guids\":[]},\"guids\":[]}", "beside another");
	assert_is_no_list(5, "{\"guids\":[],\"0x5\":{\"guids\":[]}}", "beside another");
	for (const char *const *key = (const char *const[]){ "5", "0x", "0x0", "0x8000", "0x10000", "x5", "0x5 ",
							     " 0x5", "0x-5", "", "0xg", NULL };
	     *key; key++) {
		char *json = mem_printf("{\"%s\":{\"guids\":[]}}", *key);
		assert_is_no_list(0, json, "where a PKey must");
		free(json);
	}
}

static void test_another_keys_members_are_not_taken_for_the_pkeys(void **state)
{
	(void)state;
	assert_says(5, "{\"0x5\":{\"guids\":[]},\"next\":{\"guids\":[{\"guid\":\"1a\"}]}}", "0x5 -1,");
	assert_says(5, "{\"guids\":[],\"next\":{\"guids\":[{\"guid\":\"1a\"}]}}", "0x5 -1,");
}

static void test_no_cut_of_a_list_is_a_whole_one(void **state)
{
	static const char whole[] =
		"{\"0x7fff\":{\"membership\":\"full\",\"guids\":[]},\"0x2fb\":{\"guids\":[" TWO_MEMBERS "]}}";
	(void)state;
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		char *cut = mem_dup_n(whole, n);
		struct error err;
		assert_int_equal(read_in_pieces(0, cut, 7, &err), -1);
		assert_int_equal(err.kind, ERROR_RETRY);
		free(cut);
	}
}

static void test_a_member_that_never_ends_hits_a_limit(void **state)
{
	struct buf json;
	struct error err;
	(void)state;
	buf_init(&json, 1 << 20);
	buf_text(&json, "{\"0x5\":{\"guids\":[{\"guid\":\"");
	for (size_t i = 0; i < 20000; i++)
		buf_text(&json, "0");
	assert_int_equal(read_in_pieces(0, json.data, 4096, &err), -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	buf_free(&json);
}

static int make(void **state)
{
	(void)state;
	buf_init(&said, 1 << 20);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	buf_free(&said);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_list_of_all_is_read_with_its_empty_partitions),
		cmocka_unit_test(test_one_pkey_is_read_flat_and_wrapped),
		cmocka_unit_test(test_a_pkey_that_does_not_exist_has_no_members),
		cmocka_unit_test(test_pkeys_are_compared_as_numbers),
		cmocka_unit_test(test_members_are_read_in_all_their_spellings),
		cmocka_unit_test(test_one_odd_guid_is_left_out_but_never_all),
		cmocka_unit_test(test_what_is_not_certainly_the_whole_list_is_none),
		cmocka_unit_test(test_another_keys_members_are_not_taken_for_the_pkeys),
		cmocka_unit_test(test_no_cut_of_a_list_is_a_whole_one),
		cmocka_unit_test(test_a_member_that_never_ends_hits_a_limit),
	};
	return cmocka_run_group_tests_name("ufm_list", tests, make, drop);
}
