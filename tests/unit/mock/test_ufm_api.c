#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mock/ufm_api.h"

#define PKEYS "/ufmRest/resources/pkeys"
#define G1    "0200000000000001"
#define G2    "0200000000000002"

static struct ufm_api api;
static struct ufm_reply reply;
static struct ufm_clock at = { .now_ms = 100000, .wall_ms = 1768854890000 /* 19 January 2026, 20:34:50 UTC */ };

static int setup(void **state)
{
	(void)state;
	ufm_api_init(&api);
	ufm_accounts_init(&api.accounts, "admin", "123456", "token", at.wall_ms);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ufm_api_free(&api);
	return 0;
}

static const char *query(const void *aux, const char *key)
{
	const char *flags = aux;

	return flags && strstr(flags, key) ? "true" : NULL;
}

/* The reply is good until the next request. */
static const char *ask(const char *method, const char *path, const char *body, const char *flags)
{
	struct ufm_http http = { method, path, query, flags, body, strlen(body) };
	static char text[4096];
	struct ufm_call call;

	ufm_reply_init(&reply);
	ufm_call_parse(&call, &http, &api.switches);
	if (call.refused)
		ufm_api_refuse(&api, &call, &reply);
	else
		ufm_api_run(&api, &call, at, true, &reply);
	ufm_call_free(&call);
	snprintf(text, sizeof(text), "%d %s", reply.status, reply.body.data);
	ufm_reply_free(&reply);
	return text;
}

static void set(const char *name_is_value)
{
	struct error err;

	assert_int_equal(ufm_switches_set_text(&api.switches, name_is_value, &err), 0);
}

static void test_the_shapes_of_lists(void **state)
{
	(void)state;
	assert_string_equal(ask("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"" G1 "\"]}", NULL), "200 {}");
	assert_string_equal(ask("GET", PKEYS, "", NULL), "200 [\"0x5\", \"0x7fff\"]");
	assert_string_equal(
		ask("GET", PKEYS, "", "guids_data"),
		"200 {\"0x5\": {\"partition\": \"api_pkey_0x5\", \"ip_over_ib\": true, \"guids\": [{\"guid\": \"" G1
		"\", \"membership\": \"full\", \"index0\": false}]}, \"0x7fff\": {\"partition\": \"management\", "
		"\"ip_over_ib\": true, \"index0\": false, \"membership\": \"limited\", \"guids\": []}}");
	set("management_membership=absent");
	assert_null(strstr(ask("GET", PKEYS, "", "guids_data"), "limited"));
	set("list_both_flags=qos_missing");
	assert_null(strstr(ask("GET", PKEYS, "", "guids_data qos_conf"), "qos_conf"));
	assert_non_null(strstr(ask("GET", PKEYS "/0x5", "", "guids_data qos_conf"),
			       "\"qos_conf\": {\"mtu_limit\": 2, \"rate_limit\": 2.5, \"service_level\": 0}}"));
}

static void test_a_missing_pkey_is_empty_or_404_and_never_a_page(void **state)
{
	(void)state;
	assert_string_equal(ask("GET", PKEYS "/0x5", "", NULL), "200 {}");
	set("missing_pkey=404");
	assert_string_equal(ask("GET", PKEYS "/0x5", "", NULL), "404 Pkey 0x5 does not exist");
	set("error_format=json");
	assert_string_equal(ask("DELETE", PKEYS "/0x5", "", NULL), "404 {\"error\": \"Pkey 0x5 does not exist\"}");
	assert_string_equal(ask("POST", "/ufmRest/actions/remove_guids_from_pkey",
				"{\"pkey\":\"0x5\",\"guids\":[\"" G1 "\"]}", NULL),
			    "200 {}");
}

static void test_last_updated_in_its_three_forms(void **state)
{
	(void)state;
	set("last_updated_zone_min=0");
	assert_string_equal(ask("GET", PKEYS "/last_updated", "", NULL), "200 {\"last_updated\": null}");
	ask("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"" G1 "\"]}", NULL);
	assert_string_equal(ask("GET", PKEYS "/last_updated", "", NULL),
			    "200 {\"last_updated\": \"19-01-2026, 20:34:50\"}");
	set("last_updated_zone_min=-300");
	assert_string_equal(ask("GET", PKEYS "/last_updated", "", NULL),
			    "200 {\"last_updated\": \"19-01-2026, 15:34:50\"}");
	set("last_updated_format=asctime");
	assert_string_equal(ask("GET", PKEYS "/last_updated", "", NULL),
			    "200 {\"last_updated\": \"Mon Jan 19 20:34:50 UTC 2026\"}");
}

static void test_a_post_overwrites_ip_over_ib_and_keeps_the_qos(void **state)
{
	(void)state;
	ask("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"" G1 "\"],\"ip_over_ib\":false}", NULL);
	assert_string_equal(
		ask("PUT", PKEYS "/qos_conf", "{\"pkey\":\"0x5\",\"rate_limit\":2.5,\"mtu_limit\":4}", NULL), "200 {}");
	ask("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"" G2 "\"]}", NULL);
	assert_true(ufm_model_get(api.model, UFM_VIEW_MODEL, 5)->ip_over_ib);
	assert_int_equal(ufm_model_get(api.model, UFM_VIEW_MODEL, 5)->qos.mtu_limit, 4);
}

static void test_a_request_with_an_unknown_guid_is_taken_or_refused_whole(void **state)
{
	static const char both[] = "{\"pkey\":\"0x5\",\"guids\":[\"b8cef60300aa0001\",\"" G1 "\"]}";

	(void)state;
	set("unknown_guid=reject");
	assert_string_equal(ask("POST", PKEYS, both, NULL), "404 GUID is not known to UFM");
	assert_null(ufm_model_get(api.model, UFM_VIEW_MODEL, 5));
	set("unknown_guid=accept");
	assert_string_equal(ask("POST", PKEYS, both, NULL), "200 {}");
}

static void test_create_is_for_what_is_not_there(void **state)
{
	(void)state;
	assert_string_equal(ask("POST", PKEYS "/add", "{\"pkey\":\"0x5\",\"partition_name\":\"blue\"}", NULL),
			    "201 {}");
	assert_string_equal(ask("POST", PKEYS "/add", "{\"pkey\":\"0x5\"}", NULL), "400 Pkey 0x5 already exists");
	assert_string_equal(ask("GET", PKEYS "/0x5", "", "guids_data"),
			    "200 {\"partition\": \"blue\", \"ip_over_ib\": true, \"guids\": []}");
}

static void test_hosts_are_all_known_or_nothing_happens(void **state)
{
	(void)state;
	assert_string_equal(ask("POST", PKEYS "/hosts", "{\"pkey\":\"0x5\",\"hosts_names\":\"node1,nodeX\"}", NULL),
			    "404 Host name is not known to UFM");
	assert_null(ufm_model_get(api.model, UFM_VIEW_MODEL, 5));
}

static void test_a_write_that_is_not_applied_answers_all_the_same(void **state)
{
	static const char body[] = "{\"pkey\":\"0x5\",\"guids\":[\"" G1 "\"]}";
	struct ufm_http http = { "POST", PKEYS, query, NULL, body, strlen(body) };
	struct ufm_call call;

	(void)state;
	ufm_reply_init(&reply);
	ufm_call_parse(&call, &http, &api.switches);
	assert_int_equal(call.refused, 0);
	ufm_api_run(&api, &call, at, false, &reply);
	assert_int_equal(reply.status, 200);
	assert_null(ufm_model_get(api.model, UFM_VIEW_MODEL, 5));
	ufm_call_free(&call);
	ufm_reply_free(&reply);
}

static void test_a_parse_error_lasts_until_the_next_write(void **state)
{
	(void)state;
	ask("POST", PKEYS, "{\"pkey\":\"0x5\",\"guids\":[\"" G1 "\"]}", NULL);
	ufm_api_parse_error(&api); /* its switch is off */
	assert_non_null(ufm_model_get(api.model, UFM_VIEW_FABRIC, 5));
	set("parse_error_on_overlap=true");
	ufm_api_parse_error(&api);
	ufm_api_settle(&api, at);
	assert_null(ufm_model_get(api.model, UFM_VIEW_FABRIC, 5));
	assert_non_null(strstr(ask("GET", "/ufmRest/app/logs/SM", "", NULL), "PARSE ERROR"));
	ask("POST", PKEYS, "{\"pkey\":\"0x6\",\"guids\":[\"" G2 "\"]}", NULL);
	assert_non_null(ufm_model_get(api.model, UFM_VIEW_FABRIC, 5));
}

static bool may_enter(enum ufm_prefix prefix, const char *authorization, const char *cookie, const char *client)
{
	struct ufm_credentials credentials = { authorization, cookie, client };
	enum ufm_auth brought;

	return ufm_accounts_check(&api.accounts, prefix, &credentials, &brought);
}

static void test_each_prefix_has_its_own_key(void **state)
{
	char cookie[64];

	(void)state;
	assert_true(may_enter(UFM_PREFIX_BASIC, "Basic YWRtaW46MTIzNDU2", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_BASIC, "Basic YWRtaW46MTIzNDU3", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_BASIC, "Basic YWRtaW46MTIzNDU", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_BASIC, "Bearer YWRtaW46MTIzNDU2", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_BASIC, "Basic token", NULL, NULL));
	assert_true(may_enter(UFM_PREFIX_BASIC, NULL, NULL, "CN=operator"));
	assert_true(may_enter(UFM_PREFIX_TOKEN, "Basic token", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_TOKEN, "Basic YWRtaW46MTIzNDU2", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_TOKEN, NULL, NULL, "CN=operator"));
	assert_null(ufm_accounts_login(&api.accounts, "admin", "x"));
	snprintf(cookie, sizeof(cookie), "a=b; session=%s", ufm_accounts_login(&api.accounts, "admin", "123456"));
	assert_true(may_enter(UFM_PREFIX_SESSION, NULL, cookie, NULL));
	assert_false(may_enter(UFM_PREFIX_SESSION, NULL, "session=", NULL));
	ufm_accounts_change(&api.accounts, NULL, "new", "other", at.wall_ms);
	assert_false(may_enter(UFM_PREFIX_SESSION, NULL, cookie, NULL));
	assert_false(may_enter(UFM_PREFIX_TOKEN, "Basic token", NULL, NULL));
	assert_true(may_enter(UFM_PREFIX_TOKEN, "Basic other", NULL, NULL));
	assert_false(may_enter(UFM_PREFIX_BASIC, "Basic YWRtaW46MTIzNDU2", NULL, NULL));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_shapes_of_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_missing_pkey_is_empty_or_404_and_never_a_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_updated_in_its_three_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_post_overwrites_ip_over_ib_and_keeps_the_qos, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_request_with_an_unknown_guid_is_taken_or_refused_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_create_is_for_what_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hosts_are_all_known_or_nothing_happens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_write_that_is_not_applied_answers_all_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_parse_error_lasts_until_the_next_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_prefix_has_its_own_key, setup, teardown),
	};
	return cmocka_run_group_tests_name("mock_ufm_api", tests, NULL, NULL);
}
