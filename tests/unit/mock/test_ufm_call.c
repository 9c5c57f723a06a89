#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/ufm_call.h"

#define PKEYS "/ufmRest/resources/pkeys"

static struct ufm_switches switches;

static const char *no_query(const void *aux, const char *key)
{
	const char *flag = aux;

	return flag && strcmp(flag, key) == 0 ? "true" : NULL;
}

static struct ufm_call parse(const char *method, const char *path, const char *body, const char *flag)
{
	struct ufm_http http = { method, path, no_query, flag, body, strlen(body) };
	struct ufm_call call;

	ufm_call_parse(&call, &http, &switches);
	return call;
}

static void assert_refused(const char *method, const char *path, const char *body, int status, const char *text)
{
	struct ufm_call call = parse(method, path, body, NULL);

	assert_int_equal(call.refused, status);
	assert_non_null(strstr(call.refusal, text));
	ufm_call_free(&call);
}

static void test_every_route_is_found_with_and_without_a_slash_at_its_end(void **state)
{
	static const struct {
		const char *method, *path;
		enum ufm_operation operation;
	} routes[] = {
		{ "GET", PKEYS, UFM_OP_LIST },
		{ "GET", PKEYS "/0x5", UFM_OP_GET },
		{ "DELETE", PKEYS "/0x5", UFM_OP_DELETE },
		{ "DELETE", PKEYS "/0x5/guids/0200000000000001", UFM_OP_REMOVE },
		{ "DELETE", PKEYS "/0x5/hosts/node1", UFM_OP_HOSTS_REMOVE },
		{ "GET", PKEYS "/last_updated", UFM_OP_LAST_UPDATED },
		{ "HEAD", "/ufmRest/app/ufm_version", UFM_OP_VERSION },
		{ "GET", "/ufmRestV2/app/tokens", UFM_OP_TOKENS },
		{ "GET", "/ufmRestV3/resources/vports", UFM_OP_VPORTS },
		{ "GET", "/ufmRest/jobs/12", UFM_OP_JOB },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		for (int slash = 0; slash < 2; slash++) {
			char path[128];
			snprintf(path, sizeof(path), "%s%s", routes[i].path, slash ? "/" : "");
			struct ufm_call call = parse(routes[i].method, path, "", NULL);
			assert_int_equal(call.refused, 0);
			assert_int_equal(call.operation, routes[i].operation);
			ufm_call_free(&call);
		}
	}
}

static void test_what_is_not_there_is_a_page_of_the_web_server(void **state)
{
	struct ufm_call call = parse("GET", "/ufmRest/resources/pkeysx", "", NULL);

	(void)state;
	assert_int_equal(call.refused, 404);
	assert_true(call.html);
	ufm_call_free(&call);
	assert_refused("GET", "/", "", 404, "Not Found");
	assert_refused("GET", "/ufmRest", "", 404, "Not Found");
	assert_refused("GET", PKEYS "//", "", 404, "Not Found");
	assert_refused("PATCH", PKEYS, "", 405, "Not Allowed");
	assert_refused("GET", PKEYS "/add", "", 405, "Not Allowed");
}

static void test_a_pkey_is_read_in_any_case_and_padding(void **state)
{
	static const struct {
		const char *text;
		unsigned pkey;
	} good[] = { { "0x2fb", 0x2fb }, { "0X02FB", 0x2fb }, { "0x0", 0 }, { "0x7fff", 0x7fff }, { "1000", 1000 } };
	static const char *const bad[] = { "", "0x", "0x8000", "5x", "-5", " 5", "0x5 ", "0x000000005", "2fb" };
	unsigned pkey;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(ufm_pkey_parse(&pkey, good[i].text));
		assert_int_equal(pkey, good[i].pkey);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ufm_pkey_parse(&pkey, bad[i]));
}

static void test_a_guid_has_16_to_20_characters(void **state)
{
	static const char *const good[] = { "02a1b2c3d4e5f601", "02A1B2C3D4E5F601", "0x02a1b2c3d4e5f601",
					    "000002a1b2c3d4e5f601" };
	static const char *const bad[] = { "2a1b2c3d4e5f601",   "0000002a1b2c3d4e5f601", "02a1b2c3d4e5f60g",
					   "02:a1:b2:c3:d4:e5", "102a1b2c3d4e5f601",     "0x02a1b2c3d4e5f6x1" };
	uint64_t guid;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(ufm_guid_parse(&guid, good[i], strlen(good[i])));
		assert_int_equal(guid, 0x02a1b2c3d4e5f601);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ufm_guid_parse(&guid, bad[i], strlen(bad[i])));
}

static void test_an_add_is_read_whole(void **state)
{
	struct ufm_call call =
		parse("POST", PKEYS,
		      "{\"pkey\":\"0x2FB\",\"index0\":true,\"ip_over_ib\":false,\"membership\":\"limited\","
		      "\"guids\":[\"0200000000000001\",\"0200000000000002\"],\"partition_name\":\"blue\"}",
		      NULL);

	(void)state;
	assert_int_equal(call.refused, 0);
	assert_int_equal(call.operation, UFM_OP_ADD);
	assert_int_equal(call.pkey, 0x2fb);
	assert_int_equal(call.n_members, 2);
	assert_int_equal(call.members[1].guid, 0x0200000000000002);
	assert_true(call.members[1].limited && call.members[1].index0);
	assert_false(call.ip_over_ib);
	assert_string_equal(call.name, "blue");
	ufm_call_free(&call);
}

static void test_the_schema_refuses_what_it_does_not_list(void **state)
{
	(void)state;
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"0200000000000001\"],\"mtu_limit\":2}", 400,
		       "additionalProperties");
	assert_refused("POST", PKEYS, "{\"guids\":[\"0200000000000001\"]}", 400, "'pkey'");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\"}", 400, "'guids'");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[]}", 400, "data.guids");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"1\"]}", 400, "data.guids[0]");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[1]}", 400, "data.guids[0]");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x7fff\",\"guids\":[\"0200000000000001\"]}", 400, "data.pkey");
	assert_refused("POST", PKEYS, "{\"pkey\":5,\"guids\":[\"0200000000000001\"]}", 400, "data.pkey");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"0200000000000001\"],\"membership\":[\"full\"]}",
		       400, "data.membership");
	assert_refused("POST", PKEYS,
		       "{\"pkey\":\"0x5\",\"guids\":[\"0200000000000001\"],\"membership\":\"full\",\"memberships\":["
		       "\"full\"]}",
		       400, "exclude");
	assert_refused("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"0200000000000001\"],\"memberships\":[]}", 400,
		       "same length");
	assert_refused("POST", PKEYS, "[]", 400, "object");
	assert_refused("POST", PKEYS, "", 400, "object");
	assert_refused("PUT", PKEYS "/qos_conf", "{\"pkey\":\"0x5\",\"rate_limit\":3}", 400, "rate_limit");
	assert_refused("POST", PKEYS "/hosts", "{\"pkey\":\"0x5\",\"hosts_names\":[\"n1\"]}", 400, "hosts_names");
	assert_refused("DELETE", PKEYS "/0x7fff", "", 400, "0x7ffe");
	assert_refused("DELETE", PKEYS "/0x5/guids/0200000000000001,", "", 400, "GUID");
}

static void test_removal_takes_a_list_in_the_path(void **state)
{
	struct ufm_call call = parse("DELETE", PKEYS "/0x5/guids/0200000000000001,0200000000000002", "", NULL);

	(void)state;
	assert_int_equal(call.refused, 0);
	assert_int_equal(call.n_members, 2);
	assert_int_equal(call.members[0].guid, 0x0200000000000001);
	assert_int_equal(call.members[1].guid, 0x0200000000000002);
	ufm_call_free(&call);
}

static void test_flags_come_from_the_query(void **state)
{
	struct ufm_call call = parse("GET", PKEYS, "", "guids_data");

	(void)state;
	assert_true(call.guids_data);
	assert_false(call.qos_conf);
	ufm_call_free(&call);
}

static void test_a_login_is_a_form(void **state)
{
	struct ufm_call call = parse("POST", "/dologin", "httpd_password=a%26b+c%zz&httpd_username=admin", NULL);

	(void)state;
	assert_int_equal(call.refused, 0);
	assert_string_equal(call.name, "admin");
	assert_string_equal(call.password, "a&b c%zz");
	ufm_call_free(&call);
	assert_refused("POST", "/dologin", "httpd_username=admin", 401, "Unauthorized");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_route_is_found_with_and_without_a_slash_at_its_end),
		cmocka_unit_test(test_what_is_not_there_is_a_page_of_the_web_server),
		cmocka_unit_test(test_a_pkey_is_read_in_any_case_and_padding),
		cmocka_unit_test(test_a_guid_has_16_to_20_characters),
		cmocka_unit_test(test_an_add_is_read_whole),
		cmocka_unit_test(test_the_schema_refuses_what_it_does_not_list),
		cmocka_unit_test(test_removal_takes_a_list_in_the_path),
		cmocka_unit_test(test_flags_come_from_the_query),
		cmocka_unit_test(test_a_login_is_a_form),
	};
	ufm_switches_init(&switches);
	return cmocka_run_group_tests_name("mock_ufm_call", tests, NULL, NULL);
}
