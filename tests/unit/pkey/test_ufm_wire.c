#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "pkey/ufm_wire.h"

static struct ufm_call call;
static struct error err;

static const struct guid two[] = { { 0x02a1b2c3d4e5f601 }, { 0x02a1b2c3d4e5f602 } };

static int fresh(void **state)
{
	(void)state;
	ufm_call_init(&call);
	err = (struct error){ 0 };
	return 0;
}

static int gone(void **state)
{
	(void)state;
	ufm_call_free(&call);
	return 0;
}

static void test_a_join_says_everything_and_nothing_undocumented(void **state)
{
	(void)state;
	ufm_call_join(&call, (struct pkey_class){ { 0x2fb }, MEMBERSHIP_LIMITED, false }, true, two, 2);
	assert_string_equal(call.method, "POST");
	assert_string_equal(call.path.data, "/resources/pkeys/");
	assert_string_equal(call.body.data,
			    "{\"pkey\":\"0x2fb\",\"index0\":false,\"ip_over_ib\":true,\"membership\":\"limited\","
			    "\"guids\":[\"02a1b2c3d4e5f601\",\"02a1b2c3d4e5f602\"]}");
	ufm_call_join(&call, (struct pkey_class){ { 5 }, MEMBERSHIP_FULL, true }, false, two, 1);
	assert_string_equal(call.body.data,
			    "{\"pkey\":\"0x5\",\"index0\":true,\"ip_over_ib\":false,\"membership\":\"full\","
			    "\"guids\":[\"02a1b2c3d4e5f601\"]}");
}

static void test_a_leave_has_two_routes(void **state)
{
	(void)state;
	ufm_call_leave(&call, UFM_DELETE, (struct pkey){ 0x2fb }, two, 2);
	assert_string_equal(call.method, "DELETE");
	assert_string_equal(call.path.data, "/resources/pkeys/0x2fb/guids/02a1b2c3d4e5f601,02a1b2c3d4e5f602");
	assert_int_equal(call.body.len, 0);
	ufm_call_leave(&call, UFM_ACTION, (struct pkey){ 0x2fb }, two, 2);
	assert_string_equal(call.method, "POST");
	assert_string_equal(call.path.data, "/actions/remove_guids_from_pkey");
	assert_string_equal(call.body.data,
			    "{\"pkey\":\"0x2fb\",\"guids\":[\"02a1b2c3d4e5f601\",\"02a1b2c3d4e5f602\"]}");
}

static void test_a_list_asks_for_members_and_nothing_else(void **state)
{
	struct pkey pkey = { 5 };
	(void)state;
	ufm_call_list(&call, NULL);
	assert_string_equal(call.path.data, "/resources/pkeys/?guids_data=true");
	ufm_call_list(&call, &pkey);
	assert_string_equal(call.path.data, "/resources/pkeys/0x5?guids_data=true");
	assert_string_equal(call.method, "GET");
	ufm_call_probe(&call);
	assert_string_equal(call.path.data, "/app/ufm_version");
}

static void test_a_delete_fits_into_the_line_that_apache_takes(void **state)
{
	static struct guid many[500];
	static const char *const prefixes[] = { "", "/ufmRest", "/a/much/longer/prefix/behind/some/proxy/ufmRestV3" };
	(void)state;
	for (size_t i = 0; i < array_length(prefixes); i++) {
		size_t n = ufm_delete_max(strlen(prefixes[i]));
		assert_true(n >= 400 && n < 500);
		ufm_call_leave(&call, UFM_DELETE, (struct pkey){ 0x7ffe }, many, n);
		assert_true(strlen("DELETE ") + strlen(prefixes[i]) + call.path.len + strlen(" HTTP/1.1") <= 8000);
	}
	assert_int_equal(ufm_delete_max(100000), 1);
	ufm_call_leave(&call, UFM_ACTION, (struct pkey){ 0x7ffe }, many, 500);
	json_t *body = json_parse(call.body.data, call.body.len, &err);
	assert_int_equal(json_array_size(json_at(body, "guids", NULL)), 500);
	json_decref(body);
}

static struct ufm_answer answer(int status, const char *body)
{
	return (struct ufm_answer){ .status = status, .body = body, .body_len = strlen(body), .location = "" };
}

static enum ufm_verdict join(int status, const char *body)
{
	struct ufm_answer a = answer(status, body);
	return ufm_judge_join(&a, &err);
}

static enum ufm_verdict leave(int status, const char *body)
{
	struct ufm_answer a = answer(status, body);
	return ufm_judge_leave(&a, &err);
}

static enum ufm_verdict list(int status, const char *body, bool all)
{
	struct ufm_answer a = answer(status, body);
	return ufm_judge_list(&a, all, &err);
}

static enum ufm_verdict probe(int status, const char *body, char version[UFM_VERSION_MAX])
{
	struct ufm_answer a = answer(status, body);
	return ufm_judge_probe(&a, version, &err);
}

#define PAGE "<!DOCTYPE HTML>\n<html><head><title>\n 404  Not Found </title></head></html>"

static void test_any_2xx_is_accepted_unless_it_is_a_page(void **state)
{
	(void)state;
	for (const char *const *body = (const char *const[]){ "", "{}", "null", "OK", "{\"x\":1}", NULL }; *body;
	     body++) {
		assert_int_equal(join(200, *body), UFM_DONE);
		assert_int_equal(join(201, *body), UFM_DONE);
		assert_int_equal(leave(202, *body), UFM_DONE);
		assert_int_equal(leave(204, *body), UFM_DONE);
	}
	assert_int_equal(join(200, PAGE), UFM_FAILED);
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_int_equal(leave(200, " \n\t<html>"), UFM_FAILED);
	assert_int_equal(leave(200, "\xef\xbb\xbf<html>"), UFM_FAILED);
	assert_non_null(strstr(err.text, "UFM_PREFIX"));
}

static void test_a_404_means_what_the_call_makes_of_it(void **state)
{
	(void)state;
	assert_int_equal(join(404, "{\"error\":\"unknown guid\"}"), UFM_FAILED);
	assert_int_equal(err.kind, ERROR_GONE);
	assert_non_null(strstr(err.text, "UFMSYNC_GATE=assigned"));
	assert_non_null(strstr(err.text, "unknown guid"));
	assert_int_equal(leave(404, "no such pkey"), UFM_NO_PKEY);
	assert_int_equal(leave(404, ""), UFM_NO_PKEY);
	assert_int_equal(list(404, "{}", false), UFM_NO_PKEY);
	assert_int_equal(list(404, "{}", true), UFM_NO_ROUTE);
	assert_int_equal(err.kind, ERROR_RETRY);
}

static void test_a_404_page_is_never_a_missing_pkey(void **state)
{
	(void)state;
	assert_int_equal(join(404, PAGE), UFM_NO_ROUTE);
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_int_equal(leave(404, PAGE), UFM_NO_ROUTE);
	assert_int_equal(list(404, PAGE, false), UFM_NO_ROUTE);
	assert_int_equal(leave(405, ""), UFM_NO_ROUTE);
	assert_int_equal(leave(501, PAGE), UFM_NO_ROUTE);
	assert_int_equal(leave(414, ""), UFM_NO_ROUTE);
	assert_int_equal(leave(404, PAGE), UFM_NO_ROUTE);
	assert_non_null(strstr(err.text, "a web page \"404 Not Found\""));
}

static void test_the_status_decides_the_kind(void **state)
{
	static const struct {
		int status;
		enum error_kind kind;
	} cases[] = {
		{ 301, ERROR_RETRY }, { 302, ERROR_RETRY },   { 400, ERROR_INVALID }, { 401, ERROR_AUTH },
		{ 403, ERROR_AUTH },  { 405, ERROR_RETRY },   { 408, ERROR_RETRY },   { 409, ERROR_RETRY },
		{ 413, ERROR_LIMIT }, { 415, ERROR_INVALID }, { 422, ERROR_INVALID }, { 429, ERROR_RETRY },
		{ 500, ERROR_RETRY }, { 502, ERROR_RETRY },   { 503, ERROR_RETRY },   { 504, ERROR_RETRY },
		{ 599, ERROR_RETRY }, { 700, ERROR_RETRY },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		assert_int_not_equal(join(cases[i].status, "text"), UFM_DONE);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_not_equal(leave(cases[i].status, "text"), UFM_DONE);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_not_equal(list(cases[i].status, "text", false), UFM_DONE);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

static void test_an_error_text_is_one_short_line_of_ascii(void **state)
{
	char *body = mem_alloc(10001);
	(void)state;
	memset(body, 'x', 10000);
	memcpy(body, "line\r\n\tone \x1b[31m\xff\xc3\xa4", 19);
	join(400, body);
	assert_non_null(strstr(err.text, "HTTP 400, refused: line one ?[31m???xxx"));
	assert_true(strlen(err.text) < 300);
	for (const char *p = err.text; *p; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	free(body);
}

static void test_a_body_that_must_not_be_quoted_is_not(void **state)
{
	struct ufm_answer a = answer(401, "you sent Basic c2VjcmV0");
	(void)state;
	a.withhold = true;
	assert_int_equal(ufm_judge_join(&a, &err), UFM_FAILED);
	assert_null(strstr(err.text, "c2VjcmV0"));
}

static void test_a_redirect_says_where_to(void **state)
{
	struct ufm_answer a = answer(302, "");
	(void)state;
	a.location = "https://ufm.example/ufm_web/";
	assert_int_equal(ufm_judge_list(&a, true, &err), UFM_FAILED);
	assert_non_null(strstr(err.text, "https://ufm.example/ufm_web/"));
}

static void test_the_probe_knows_ufm_and_its_version(void **state)
{
	char version[UFM_VERSION_MAX] = "old";
	(void)state;
	assert_int_equal(probe(200, "{\"ufm_release_version\":\"6.19.3-1\",\"opensm\":\"5\",\"plugins\":{}}", version),
			 UFM_DONE);
	assert_string_equal(version, "6.19.3-1");
	assert_int_equal(probe(200, "{}", version), UFM_DONE);
	assert_string_equal(version, "");
	assert_int_equal(probe(200, "{\"ufm_release_version\":7}", version), UFM_DONE);
	assert_int_equal(probe(200, "", version), UFM_NO_ROUTE);
	assert_int_equal(probe(200, "OK", version), UFM_NO_ROUTE);
	assert_int_equal(probe(200, "[]", version), UFM_NO_ROUTE);
	assert_int_equal(probe(404, "{}", version), UFM_NO_ROUTE);
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_int_equal(probe(401, "no", version), UFM_FAILED);
	assert_int_equal(err.kind, ERROR_AUTH);
	char *body = mem_alloc(2000);
	memset(body, 'v', 1999);
	memcpy(body, "{\"ufm_release_version\":\"", 24);
	memcpy(body + 1997, "\"}", 2);
	assert_int_equal(probe(200, body, version), UFM_DONE);
	assert_int_equal(strlen(version), UFM_VERSION_MAX - 1);
	free(body);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_join_says_everything_and_nothing_undocumented, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_leave_has_two_routes, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_list_asks_for_members_and_nothing_else, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_delete_fits_into_the_line_that_apache_takes, fresh, gone),
		cmocka_unit_test_setup_teardown(test_any_2xx_is_accepted_unless_it_is_a_page, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_404_means_what_the_call_makes_of_it, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_404_page_is_never_a_missing_pkey, fresh, gone),
		cmocka_unit_test_setup_teardown(test_the_status_decides_the_kind, fresh, gone),
		cmocka_unit_test_setup_teardown(test_an_error_text_is_one_short_line_of_ascii, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_body_that_must_not_be_quoted_is_not, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_redirect_says_where_to, fresh, gone),
		cmocka_unit_test_setup_teardown(test_the_probe_knows_ufm_and_its_version, fresh, gone),
	};
	return cmocka_run_group_tests_name("ufm_wire", tests, NULL, NULL);
}
