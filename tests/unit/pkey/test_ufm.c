#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/pkey/scripted_ufm.h"

/* --- Writes ------------------------------------------------------------------------------------------------------ */

static void test_a_join_is_one_request_and_any_2xx_accepts_it(void **state)
{
	(void)state;
	connect_ufm();
	for (const int *status = (const int[]){ 200, 201, 202, 204, 0 }; *status; status++) {
		will_answer(*status, *status == 200 ? "{}" : "");
		assert_join("none;");
		assert_asked(JOIN_ASKED);
	}
	assert_string_equal(last_authorization, "Basic YWRtaW46MTIzNDU2");
}

static void test_a_refusal_says_what_to_do_about_it(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(401, "no");
	assert_join("auth;");
	assert_non_null(strstr(last.text, "join 2 GUIDs to PKey 0x0005: HTTP 401"));
	will_answer(400, "{\"error\":\"bad pkey\"}");
	assert_join("invalid;");
	assert_non_null(strstr(last.text, "bad pkey"));
	will_answer(404, "{\"error\":\"guid not found\"}");
	assert_join("gone;");
	assert_non_null(strstr(last.text, "UFMSYNC_GATE=assigned"));
	will_answer(404, PAGE);
	assert_join("retry;");
	assert_non_null(strstr(last.text, "UFM_PREFIX"));
	will_answer(503, "<html>starting</html>");
	assert_join("retry;");
	will_answer(500, "database is locked");
	assert_join("retry;");
	assert_non_null(strstr(last.text, "database is locked"));
	will_answer(429, "");
	assert_join("retry;");
	will_answer(200, "<html>log in</html>");
	assert_join("retry;");
}

static void test_a_write_without_an_answer_may_be_tried_again(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(RESET, "");
	assert_join("retry;");
	options.timeout_ms = 50;
	pkey_backend_free(ufm);
	connect_ufm();
	will_answer(WAIT, "");
	assert_join("retry;");
	will_answer(WAIT, "");
	assert_leave("retry;");
	httpd_free(httpd);
	httpd = NULL;
	options.timeout_ms = 10000;
	pkey_backend_free(ufm);
	connect_ufm();
	assert_join("retry;");
	assert_leave("retry;");
	assert_list(NULL, "retry;");
	assert_probe("retry;");
}

static void test_a_leave_uses_the_documented_route(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200, "{}");
	assert_leave("none;");
	assert_asked(DELETE_ASKED);
	will_answer(503, "");
	assert_leave("retry;");
	assert_asked(DELETE_ASKED);
	will_answer(401, "");
	assert_leave("auth;");
	assert_asked(DELETE_ASKED);
}

static void test_a_leave_finds_the_other_route_and_remembers_it(void **state)
{
	(void)state;
	for (const struct answer *refusal = (const struct answer[]){ { 404, PAGE, NULL },
								     { 405, "", NULL },
								     { 501, "", NULL },
								     { 403, "role", NULL },
								     { 0, NULL, NULL } };
	     refusal->status; refusal++) {
		connect_ufm();
		will_answer(refusal->status, refusal->body);
		will_answer(200, "{}");
		assert_leave("none;");
		assert_asked(DELETE_ASKED ACTION_ASKED);
		will_answer(200, "{}");
		assert_leave("none;");
		assert_asked(ACTION_ASKED);
		will_answer(404, PAGE);
		will_answer(200, "{}");
		assert_leave("none;");
		assert_asked(ACTION_ASKED DELETE_ASKED);
		pkey_backend_free(ufm);
		ufm = NULL;
	}
}

static void test_when_both_routes_are_refused_nothing_has_left(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(404, PAGE);
	will_answer(404, PAGE);
	assert_leave("retry;");
	assert_non_null(strstr(last.text, "UFM_PREFIX"));
	will_answer(405, "");
	will_answer(403, "");
	assert_leave("auth;");
	will_answer(403, "");
	will_answer(404, PAGE);
	assert_leave("auth;");
	will_answer(404, PAGE);
	will_answer(503, "");
	assert_leave("retry;");
	buf_clear(&questions);
	will_answer(200, "{}");
	assert_leave("none;");
	assert_asked(DELETE_ASKED);
}

static void test_a_missing_pkey_is_believed_of_ufm_only(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(404, "{\"error\":\"no such pkey\"}");
	will_answer(200, VERSION);
	assert_leave("none;");
	assert_asked(DELETE_ASKED PROBE_ASKED);
	for (const struct answer *no_ufm = (const struct answer[]){ { 404, PAGE, NULL },
								    { 404, "{}", NULL },
								    { 200, PAGE, NULL },
								    { 200, "", NULL },
								    { 503, "", NULL },
								    { RESET, "", NULL },
								    { 0, NULL, NULL } };
	     no_ufm->status; no_ufm++) {
		will_answer(404, "not found");
		will_answer(no_ufm->status, no_ufm->body);
		will_answer(no_ufm->status, no_ufm->body); /* libcurl asks again after a reset on a kept connection */
		assert_leave("retry;");
		scripted = asked = 0;
		will_answer(404, "not found");
		will_answer(no_ufm->status, no_ufm->body);
		will_answer(no_ufm->status, no_ufm->body);
		assert_list(&five, "retry;");
		scripted = asked = 0;
	}
	assert_string_equal(ufm_version(ufm), "6.19.3-1");
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void test_500_guids_leave_by_action_or_in_lines_that_fit(void **state)
{
	struct guid many[500];
	char guid[GUID_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < 500; i++)
		many[i].v = 0x0200000000000000 + i;
	connect_ufm();
	will_answer(200, "");
	ufm->class->leave(ufm, five, many, 500, INT64_MAX, done, NULL);
	run_until(1);
	assert_int_equal(count(questions.data, "POST /ufmRest/actions/"), 1);
	assert_int_equal(count(questions.data, "\"02"), 500);
	buf_clear(&questions);

	will_answer(403, "not your role");
	will_answer(200, "");
	will_answer(200, "");
	ufm->class->leave(ufm, five, many, 500, INT64_MAX, done, NULL);
	run_until(2);
	assert_string_equal(said.data, "none;none;");
	assert_int_equal(count(questions.data, "DELETE /ufmRest/resources/pkeys/0x5/guids/"), 2);
	const char *deletes = strstr(questions.data, "DELETE");
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(count(deletes, guid_format_hex(guid, many[i])), 1);
	buf_clear(&questions);

	will_answer(200, "");
	will_answer(503, "");
	ufm->class->leave(ufm, five, many, 500, INT64_MAX, done, NULL);
	run_until(3);
	assert_int_equal(last.kind, ERROR_RETRY);
	assert_int_equal(count(questions.data, "DELETE"), 2);
}

static void test_the_access_log_of_ufm_tells_which_of_us_asked(void **state)
{
	(void)state;
	options.identity = "node1_uid-1";
	connect_ufm();
	will_answer(200, "");
	assert_join("none;");
	assert_string_equal(last_agent, "ufmsync/" UFMSYNC_VERSION " (node1_uid-1)");
	pkey_backend_free(ufm);
	options.identity = "not) a (comment";
	connect_ufm();
	will_answer(200, "");
	assert_join("none;");
	assert_string_equal(last_agent, "ufmsync/" UFMSYNC_VERSION);
}

static void sleep_until(int64_t ms)
{
	while (loop_now_ms() < ms)
		usleep(1000);
}

/* The answer to the first of several requests has come while the process was stopped. */
static void test_a_removal_that_became_late_goes_no_further(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(WAIT, "");
	int64_t by = loop_now_ms() + 2000;
	ufm->class->leave(ufm, five, two, 2, by, done, NULL);
	run_until_held(1);
	sleep_until(by);
	answer_held(0, 403, "not your role"); /* else the other route would be tried now */
	run_until(1);
	assert_string_equal(said.data, "retry;");
	assert_asked(DELETE_ASKED);
}

static void test_a_write_whose_time_is_over_is_not_begun(void **state)
{
	(void)state;
	connect_ufm();
	ufm->class->join(ufm, full_five, two, 2, loop_now_ms(), done, NULL);
	run_until(1);
	assert_string_equal(said.data, "retry;");
	assert_asked("");
}

/* --- Lists ------------------------------------------------------------------------------------------------------- */

static void test_members_are_listed_of_one_and_of_all(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200,
		    "{\"partition\":\"api_pkey_0x5\",\"ip_over_ib\":true,\"guids\":[{\"guid\":\"000000000000001a\","
		    "\"index0\":true,\"membership\":\"full\"},{\"guid\":\"1b\",\"index0\":false,\"membership\":"
		    "\"limited\"}]}");
	assert_list(&five, "5:1af0 5:1bl 5(-1) none;");
	assert_asked(LIST_ASKED);
	will_answer(200,
		    "{\"0x7fff\":{\"membership\":\"limited\",\"guids\":[]},\"0x5\":{\"guids\":[{\"guid\":\"1a\"}]}}");
	assert_list(NULL, "7fff(1) 5:1af 5(-1) none;");
	assert_asked("GET /ufmRest/resources/pkeys/?guids_data \n");
}

static void test_a_pkey_that_does_not_exist_has_no_members(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200, "{}");
	assert_list(&five, "none;");
	assert_asked(LIST_ASKED);
	will_answer(404, "pkey 0x5 does not exist");
	will_answer(200, VERSION);
	assert_list(&five, "none;");
	assert_asked(LIST_ASKED PROBE_ASKED);
}

static void test_what_is_no_whole_list_is_an_error(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(CUT, "{\"0x5\":{\"guids\":[{\"guid\":\"1a\"}");
	assert_list(NULL, "5:1af retry;");
	for (const char *const *body = (const char *const[]){ "", PAGE, "[\"0x7fff\"]", "{\"0x5\":",
							      "{\"error\":\"locked\"}", "{\"0x5\":{}}", "null", NULL };
	     *body; body++) {
		will_answer(200, *body);
		assert_list(NULL, "retry;");
		will_answer(200, *body);
		assert_list(&five, "retry;");
	}
	will_answer(204, "");
	assert_list(NULL, "retry;");
	will_answer(404, "{}");
	assert_list(NULL, "retry;");
	will_answer(404, PAGE);
	assert_list(&five, "retry;");
	will_answer(401, "");
	assert_list(&five, "auth;");
	will_answer(302, "");
	script[scripted - 1].header = "Location: /ufm_web/";
	assert_list(NULL, "retry;");
	assert_non_null(strstr(last.text, "/ufm_web/"));
}

static void test_lists_overlap_a_write_but_only_two_at_a_time(void **state)
{
	enum { LISTS = 7 };
	(void)state;
	connect_ufm();
	for (unsigned i = 0; i < LISTS; i++)
		will_answer(WAIT, "");
	for (unsigned i = 0; i < LISTS; i++)
		ufm->class->list(ufm, &five, &sink);
	run_until_held(2);
	will_answer(WAIT, "");
	ufm->class->join(ufm, full_five, two, 2, INT64_MAX, done, NULL);
	run_until_held(3);
	assert_int_equal(asked, 3);
	answer_held(2, 200, "{}");
	run_until(1);
	assert_string_equal(said.data, "none;");
	for (unsigned i = 0, next = 0; i < LISTS; i++) {
		answer_held(next, 200, "{\"guids\":[]}");
		next += next == 1 ? 2 : 1;
		run_until(2 + i);
		run_until_held(i + 2 < LISTS ? 4 + i : LISTS + 1);
	}
	assert_int_equal(open_most, 3);
	assert_int_equal(count(said.data, "5(-1) none;"), LISTS);
}

static void test_a_probe_tells_the_version(void **state)
{
	(void)state;
	connect_ufm();
	assert_string_equal(ufm_version(ufm), "");
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_string_equal(ufm_version(ufm), "6.19.3-1");
	assert_asked(PROBE_ASKED);
	will_answer(403, "");
	assert_probe("auth;");
	will_answer(502, PAGE);
	assert_probe("retry;");
	assert_string_equal(ufm_version(ufm), "6.19.3-1");
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

static void test_nothing_is_called_back_after_free(void **state)
{
	(void)state;
	connect_ufm();
	for (unsigned i = 0; i < 4; i++) {
		will_answer(WAIT, "");
		if (i < 3)
			ufm->class->list(ufm, NULL, &sink);
	}
	ufm->class->join(ufm, full_five, two, 2, INT64_MAX, done, NULL);
	run_until_held(3);
	pkey_backend_free(ufm);
	connect_ufm();
	scripted = asked;
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_int_equal(answers, 1);
}

static void free_it(void *aux, const struct error *err)
{
	(void)aux;
	(void)err;
	pkey_backend_free(ufm);
	ufm = NULL;
	answers++;
	loop_stop(loop);
}

static void test_the_backend_may_be_freed_from_its_own_callback(void **state)
{
	struct pkey_list_sink freeing = sink;
	(void)state;
	freeing.done = free_it;
	connect_ufm();
	will_answer(200, "{}");
	ufm->class->list(ufm, &five, &freeing);
	ufm->class->list(ufm, &five, &sink);
	ufm->class->list(ufm, &five, &sink);
	ufm->class->list(ufm, &five, &sink);
	run_until(1);
	connect_ufm();
	scripted = asked;
	will_answer(200, "{}");
	ufm->class->join(ufm, full_five, two, 2, INT64_MAX, free_it, NULL);
	run_until(2);
}

static void ask_again(void *aux, const struct error *err)
{
	(void)aux;
	assert_null(err);
	ufm->class->join(ufm, full_five, two, 2, INT64_MAX, done, NULL);
}

static void test_the_next_write_may_be_asked_for_from_the_callback_of_the_last(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200, "");
	will_answer(200, "");
	ufm->class->leave(ufm, five, two, 2, INT64_MAX, ask_again, NULL);
	run_until(1);
	assert_string_equal(said.data, "none;");
	assert_asked(DELETE_ASKED JOIN_ASKED);
}

/* --- What is measured -------------------------------------------------------------------------------------------- */

static struct buf measured;
static void on_ended(void *aux, enum pkey_operation operation, enum call_outcome outcome, int64_t ms)
{
	(void)aux;
	assert_true(ms >= 0 && ms < 60000);
	buf_printf(&measured, "%s:%s ", pkey_operation_name(operation), call_outcome_name(outcome));
}

static void assert_measured(const char *words)
{
	assert_string_equal(measured.data, words);
	buf_clear(&measured);
}

static void test_every_request_is_measured_by_what_it_was_for_and_how_it_ended(void **state)
{
	(void)state;
	buf_init(&measured, 4096);
	connect_ufm();
	ufm->observer.ended = on_ended;
	will_answer(200, "{}");
	assert_join("none;");
	assert_measured("join:ok ");
	will_answer(403, "role");
	will_answer(200, "{}");
	assert_leave("none;");
	assert_measured("leave:forbidden leave:ok ");
	will_answer(404, "no such pkey");
	will_answer(200, VERSION);
	assert_list(&five, "none;");
	assert_measured("list:not_found probe:ok ");
	will_answer(401, "no");
	assert_list(NULL, "auth;");
	assert_measured("list_all:unauthorized ");
	will_answer(200, PAGE);
	assert_list(NULL, "retry;");
	assert_measured("list_all:unreadable ");
	will_answer(200, PAGE);
	assert_join("retry;");
	assert_measured("join:unreadable ");
	will_answer(429, "");
	assert_join("retry;");
	will_answer(503, "");
	assert_probe("retry;");
	assert_measured("join:throttled probe:unavailable ");
	httpd_free(httpd);
	httpd = NULL;
	assert_join("retry;");
	assert_measured("join:unavailable ");
	buf_free(&measured);
}

static void test_a_request_without_an_answer_in_time_is_a_timeout(void **state)
{
	(void)state;
	buf_init(&measured, 4096);
	options.timeout_ms = 50;
	connect_ufm();
	ufm->observer.ended = on_ended;
	will_answer(WAIT, "");
	assert_join("retry;");
	assert_measured("join:timeout ");
	buf_free(&measured);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)
	static const struct CMUnitTest tests[] = {
		TEST(test_a_join_is_one_request_and_any_2xx_accepts_it),
		TEST(test_a_refusal_says_what_to_do_about_it),
		TEST(test_a_write_without_an_answer_may_be_tried_again),
		TEST(test_a_leave_uses_the_documented_route),
		TEST(test_a_leave_finds_the_other_route_and_remembers_it),
		TEST(test_when_both_routes_are_refused_nothing_has_left),
		TEST(test_a_missing_pkey_is_believed_of_ufm_only),
		TEST(test_500_guids_leave_by_action_or_in_lines_that_fit),
		TEST(test_the_access_log_of_ufm_tells_which_of_us_asked),
		TEST(test_a_removal_that_became_late_goes_no_further),
		TEST(test_a_write_whose_time_is_over_is_not_begun),
		TEST(test_members_are_listed_of_one_and_of_all),
		TEST(test_a_pkey_that_does_not_exist_has_no_members),
		TEST(test_what_is_no_whole_list_is_an_error),
		TEST(test_lists_overlap_a_write_but_only_two_at_a_time),
		TEST(test_a_probe_tells_the_version),
		TEST(test_nothing_is_called_back_after_free),
		TEST(test_the_backend_may_be_freed_from_its_own_callback),
		TEST(test_the_next_write_may_be_asked_for_from_the_callback_of_the_last),
		TEST(test_every_request_is_measured_by_what_it_was_for_and_how_it_ended),
		TEST(test_a_request_without_an_answer_in_time_is_a_timeout),
	};
#undef TEST
	return cmocka_run_group_tests_name("ufm", tests, NULL, NULL);
}
