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
#include "base/net/httpd.h"
#include "pkey/ufm.h"
#include "tests/mock/identity.h"

/* The backend against a server of this process that answers as the test wrote down beforehand.  What it was asked is kept
 * as lines "METHOD path[?guids_data] body", what the backend called back as words. */

enum { SCRIPT_MAX = 64, WAIT = -1, RESET = -2, CUT = -3 };

static struct answer {
	int status; /* or WAIT: never, RESET: close at once, CUT: a 200 that ends in the middle */
	const char *body;
	const char *header;
} script[SCRIPT_MAX];
static unsigned scripted, asked;

static struct loop *loop;
static struct httpd *httpd;
static struct pkey_backend *ufm;
static struct secrets *secrets;
static struct ufm_options options;
static struct buf questions, said;
static char last_authorization[128], last_client[64];
static unsigned answers, open_now, open_most;
static struct httpd_request *held[SCRIPT_MAX];
static unsigned n_held;
static struct httpd_request *to_cut; /* once a member of it has arrived */
static const char *environment[8][2];

static const struct guid two[] = { { 0x1a }, { 0x1b } };
static const struct pkey five = { 5 };
static const struct pkey_class full_five = { { 5 }, MEMBERSHIP_FULL, true };

/* --- The server -------------------------------------------------------------------------------------------------- */

static void will_answer(int status, const char *body)
{
	assert_true(scripted < SCRIPT_MAX);
	script[scripted++] = (struct answer){ .status = status, .body = body };
}

static void handle(void *aux, struct httpd_request *request)
{
	const char *authorization = httpd_header(request, "Authorization");
	size_t len;
	const char *body = httpd_body(request, &len);
	(void)aux;
	buf_printf(&questions, "%s %s%s %.*s\n", httpd_method(request), httpd_path(request),
		   httpd_query(request, "guids_data") ? "?guids_data" : "", (int)len, body ? body : "");
	snprintf(last_authorization, sizeof last_authorization, "%s", authorization ? authorization : "");
	snprintf(last_client, sizeof last_client, "%s", httpd_client_name(request) ? httpd_client_name(request) : "");
	if (asked == scripted) {
		buf_printf(&said, "unexpected %s;", httpd_path(request));
		httpd_abort(request);
		return;
	}
	const struct answer *answer = &script[asked++];
	const char *const headers[] = { answer->header, NULL };
	if (answer->status == WAIT) {
		held[n_held++] = request;
		loop_stop(loop);
		open_now++;
		open_most = open_now > open_most ? open_now : open_most;
	} else if (answer->status == RESET) {
		httpd_abort(request);
	} else if (answer->status == CUT) {
		httpd_stream_start(request, 200, "application/json", NULL);
		httpd_stream_write(request, answer->body, strlen(answer->body));
		to_cut = request;
	} else {
		httpd_answer(request, answer->status, "text/html", headers, answer->body, strlen(answer->body));
	}
}

static void answer_held(unsigned i, int status, const char *body)
{
	open_now--;
	httpd_answer(held[i], status, "application/json", NULL, body, strlen(body));
}

static const char *lookup(void *aux, const char *name)
{
	(void)aux;
	for (size_t i = 0; i < array_length(environment) && environment[i][0]; i++)
		if (strcmp(environment[i][0], name) == 0)
			return environment[i][1];
	return NULL;
}

static struct secrets *load(void)
{
	struct secrets *loaded = NULL;
	struct error err;
	if (secrets_load(&loaded, NULL, lookup, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return loaded;
}

static int fresh(void **state)
{
	const struct httpd_options server = {
		.listen = "127.0.0.1:0", .max_connections = 64, .body_max = 1 << 20, .handle = handle
	};
	struct error err;
	(void)state;
	scripted = asked = answers = n_held = open_now = open_most = 0;
	memset(environment, 0, sizeof environment);
	environment[0][0] = "UFM_USERNAME";
	environment[0][1] = "admin";
	environment[1][0] = "UFM_PASSWORD";
	environment[1][1] = "123456";
	secrets = load();
	buf_init(&questions, 1 << 20);
	buf_init(&said, 1 << 20);
	if (loop_new(&loop, &err) < 0 || httpd_new(&httpd, loop, &server, &err) < 0)
		return -1;
	options = (struct ufm_options){
		.schema = "http",
		.address = "127.0.0.1",
		.port = httpd_port(httpd),
		.ip_over_ib = true,
		.timeout_ms = 10000,
	};
	return 0;
}

static int gone(void **state)
{
	(void)state;
	pkey_backend_free(ufm);
	ufm = NULL;
	secrets_free(secrets);
	httpd_free(httpd);
	loop_free(loop);
	buf_free(&questions);
	buf_free(&said);
	return 0;
}

static void connect_ufm(void)
{
	struct error err;
	if (ufm_new(&ufm, loop, &options, secrets, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- What comes back --------------------------------------------------------------------------------------------- */

static struct error last;

static void done(void *aux, const struct error *err)
{
	last = err ? *err : (struct error){ 0 };
	buf_printf(&said, "%s%s;", aux ? (const char *)aux : "", error_kind_name(last.kind));
	answers++;
	loop_stop(loop);
}

static void member(void *aux, struct pkey pkey, const struct member *m)
{
	(void)aux;
	buf_printf(&said, "%x:%llx%s%s ", (unsigned)pkey.v, (unsigned long long)m->guid.v,
		   m->membership == MEMBERSHIP_LIMITED ? "l" : "f", m->index0 ? "0" : "");
	if (to_cut)
		httpd_abort(to_cut);
	to_cut = NULL;
}

static void partition(void *aux, struct pkey pkey, int listed_membership)
{
	(void)aux;
	buf_printf(&said, "%x(%d) ", (unsigned)pkey.v, listed_membership);
}

static const struct pkey_list_sink sink = { .member = member, .partition = partition, .done = done };

static void run_until(unsigned n)
{
	while (answers < n)
		loop_run(loop);
}

static void run_until_held(unsigned n)
{
	while (n_held < n)
		loop_run(loop);
}

static void assert_join(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->join(ufm, full_five, two, 2, done, NULL);
	assert_int_equal(said.len, 0);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

static void assert_leave(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->leave(ufm, five, two, 2, done, NULL);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

static void assert_list(const struct pkey *only, const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->list(ufm, only, &sink);
	assert_int_equal(said.len, 0);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

static void assert_probe(const char *outcome)
{
	unsigned n = answers + 1;
	buf_clear(&said);
	ufm->class->probe(ufm, done, NULL);
	run_until(n);
	assert_string_equal(said.data, outcome);
}

static void assert_asked(const char *lines)
{
	assert_string_equal(questions.data, lines);
	buf_clear(&questions);
	assert_int_equal(asked, scripted);
}

#define PAGE "<html><head><title>404 - No Such Resource</title></head></html>"
#define JOIN_ASKED                                                                                                     \
	"POST /ufmRest/resources/pkeys/ "                                                                              \
	"{\"pkey\":\"0x5\",\"index0\":true,\"ip_over_ib\":true,\"membership\":\"full\","                               \
	"\"guids\":[\"000000000000001a\",\"000000000000001b\"]}\n"
#define DELETE_ASKED "DELETE /ufmRest/resources/pkeys/0x5/guids/000000000000001a,000000000000001b \n"
#define ACTION_ASKED                                                                                                   \
	"POST /ufmRest/actions/remove_guids_from_pkey {\"pkey\":\"0x5\",\"guids\":[\"000000000000001a\","              \
	"\"000000000000001b\"]}\n"
#define PROBE_ASKED "GET /ufmRest/app/ufm_version \n"
#define LIST_ASKED  "GET /ufmRest/resources/pkeys/0x5?guids_data \n"
#define VERSION     "{\"ufm_release_version\":\"6.19.3-1\"}"

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
	ufm->class->leave(ufm, five, many, 500, done, NULL);
	run_until(1);
	assert_int_equal(count(questions.data, "POST /ufmRest/actions/"), 1);
	assert_int_equal(count(questions.data, "\"02"), 500);
	buf_clear(&questions);

	will_answer(403, "not your role");
	will_answer(200, "");
	will_answer(200, "");
	ufm->class->leave(ufm, five, many, 500, done, NULL);
	run_until(2);
	assert_string_equal(said.data, "none;none;");
	assert_int_equal(count(questions.data, "DELETE /ufmRest/resources/pkeys/0x5/guids/"), 2);
	const char *deletes = strstr(questions.data, "DELETE");
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(count(deletes, guid_format_hex(guid, many[i])), 1);
	buf_clear(&questions);

	will_answer(200, "");
	will_answer(503, "");
	ufm->class->leave(ufm, five, many, 500, done, NULL);
	run_until(3);
	assert_int_equal(last.kind, ERROR_RETRY);
	assert_int_equal(count(questions.data, "DELETE"), 2);
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
	ufm->class->join(ufm, full_five, two, 2, done, NULL);
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
	ufm->class->join(ufm, full_five, two, 2, done, NULL);
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
	ufm->class->join(ufm, full_five, two, 2, free_it, NULL);
	run_until(2);
}

static void ask_again(void *aux, const struct error *err)
{
	(void)aux;
	assert_null(err);
	ufm->class->join(ufm, full_five, two, 2, done, NULL);
}

static void test_the_next_write_may_be_asked_for_from_the_callback_of_the_last(void **state)
{
	(void)state;
	connect_ufm();
	will_answer(200, "");
	will_answer(200, "");
	ufm->class->leave(ufm, five, two, 2, ask_again, NULL);
	run_until(1);
	assert_string_equal(said.data, "none;");
	assert_asked(DELETE_ASKED JOIN_ASKED);
}

/* --- Credentials ------------------------------------------------------------------------------------------------- */

static void renew(int expected)
{
	struct error err;
	secrets_free(secrets);
	secrets = load();
	assert_int_equal(ufm_set_secrets(ufm, secrets, &err), expected);
	if (expected < 0)
		assert_int_equal(err.kind, ERROR_INVALID);
}

static void test_new_credentials_are_used_from_the_next_request_on(void **state)
{
	(void)state;
	connect_ufm();
	environment[1][1] = "other";
	renew(0);
	will_answer(200, "");
	assert_join("none;");
	assert_string_equal(last_authorization, "Basic YWRtaW46b3RoZXI=");
	environment[1][1] = "";
	renew(-1);
	environment[0][1] = "a:b";
	environment[1][1] = "x";
	renew(-1);
	will_answer(200, "");
	assert_join("none;");
	assert_string_equal(last_authorization, "Basic YWRtaW46b3RoZXI=");
}

static void test_a_token_stands_raw_behind_basic_and_has_its_own_prefix(void **state)
{
	(void)state;
	environment[2][0] = "UFM_TOKEN";
	environment[2][1] = "pQ9-token_.x";
	options.auth = UFM_AUTH_TOKEN;
	secrets_free(secrets);
	secrets = load();
	connect_ufm();
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_string_equal(last_authorization, "Basic pQ9-token_.x");
	assert_asked("GET /ufmRestV3/app/ufm_version \n");
	environment[2][1] = "line\r\nX-Injected: 1";
	renew(-1);
	pkey_backend_free(ufm);
	environment[2][1] = "t";
	secrets_free(secrets);
	secrets = load();
	options.prefix = "/proxy/ufm/";
	connect_ufm();
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_asked("GET /proxy/ufm/app/ufm_version \n");
	pkey_backend_free(ufm);
	options.prefix = "/";
	connect_ufm();
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_asked("GET /app/ufm_version \n");
}

static void test_an_answer_that_repeats_the_credentials_is_not_quoted(void **state)
{
	(void)state;
	connect_ufm();
	for (const char *const *echo =
		     (const char *const[]){ "you sent Authorization: Basic YWRtaW46MTIzNDU2", "bad password 123456",
					    "<html><title>YWRtaW46MTIzNDU2</title>", NULL };
	     *echo; echo++) {
		will_answer(401, *echo);
		assert_join("auth;");
		assert_null(strstr(last.text, "YWRtaW46MTIzNDU2"));
		assert_null(strstr(last.text, "123456"));
	}
}

static void test_bad_options_are_refused_with_the_setting_named(void **state)
{
	static const struct {
		const char *schema, *address, *prefix, *named;
		unsigned port;
		enum ufm_auth auth;
	} bad[] = {
		{ "ftp", "ufm", NULL, "UFM_HTTP_SCHEMA", 0, UFM_AUTH_BASIC },
		{ "https", "", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "https://ufm", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "ufm:443", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "user@ufm", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "ufm/ufmRest", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "[::1", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "ufmRest", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "/a?b", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "/a b", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", NULL, "UFM_PORT", 65536, UFM_AUTH_BASIC },
		{ "https", "ufm", NULL, "UFM_TOKEN", 0, UFM_AUTH_TOKEN },
		{ "https", "ufm", NULL, "UFM_CLIENT_CERT", 0, UFM_AUTH_MTLS },
		{ "http", "ufm", NULL, "mtls", 0, UFM_AUTH_MTLS },
	};
	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct error err;
		options = (struct ufm_options){ .schema = bad[i].schema,
						.address = bad[i].address,
						.prefix = bad[i].prefix,
						.port = bad[i].port,
						.auth = bad[i].auth,
						.timeout_ms = 1000 };
		if (ufm_new(&ufm, loop, &options, secrets, &err) == 0)
			fail_msg("accepted case %zu", i);
		assert_null(ufm);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.text, bad[i].named))
			fail_msg("%s", err.text);
	}
	for (const char *const *address =
		     (const char *const[]){ "::1", "[fe80::1]", "ufm-1.example.com", "10.0.0.5", NULL };
	     *address; address++) {
		options = (struct ufm_options){ .schema = "https", .address = *address, .timeout_ms = 1000 };
		connect_ufm();
		pkey_backend_free(ufm);
		ufm = NULL;
	}
}

/* --- TLS --------------------------------------------------------------------------------------------------------- */

static struct identity root, issued, nameless, client, stranger;

static int make_identities(void **state)
{
	struct error err;
	(void)state;
	return identity_new_ca(&root, "site root", &err) < 0 ||
			       identity_issue(&issued, &root, "ufm", "IP:127.0.0.1,DNS:ufm.example", &err) < 0 ||
			       identity_issue(&client, &root, "ufmsync", NULL, &err) < 0 ||
			       identity_new_own(&nameless, "192.0.2.1", NULL, &err) < 0 ||
			       identity_new_own(&stranger, "192.0.2.1", NULL, &err) < 0
		       ? -1
		       : 0;
}

static int drop_identities(void **state)
{
	(void)state;
	for (struct identity **i = (struct identity *[]){ &root, &issued, &nameless, &client, &stranger, NULL }; *i;
	     i++)
		identity_free(*i);
	return 0;
}

static void serve_tls(const struct identity *identity, const char *client_ca)
{
	const struct httpd_options server = { .listen = "127.0.0.1:0",
					      .cert = identity->cert,
					      .key = identity->key,
					      .client_ca = client_ca,
					      .max_connections = 64,
					      .body_max = 1 << 20,
					      .handle = handle };
	struct error err;
	httpd_free(httpd);
	if (httpd_new(&httpd, loop, &server, &err) < 0)
		fail_msg("%s", err.text);
	options.schema = "https";
	options.port = httpd_port(httpd);
}

static void trust(const char *certificate)
{
	environment[2][0] = "UFM_CERTIFICATE";
	environment[2][1] = certificate;
	secrets_free(secrets);
	secrets = load();
	pkey_backend_free(ufm);
	connect_ufm();
}

static void assert_let_in(bool let_in)
{
	if (let_in)
		will_answer(200, VERSION);
	assert_probe(let_in ? "none;" : "auth;");
}

static void test_a_servers_own_certificate_is_pinned_whatever_its_name(void **state)
{
	(void)state;
	serve_tls(&nameless, NULL);
	trust(nameless.cert);
	assert_let_in(true);
	trust(stranger.cert);
	assert_let_in(false);
	trust(root.cert);
	assert_let_in(false);
	trust("");
	assert_let_in(false);
}

static void test_any_other_certificate_is_a_ca_and_the_name_must_match(void **state)
{
	(void)state;
	serve_tls(&issued, NULL);
	trust(root.cert);
	assert_let_in(true);
	trust(nameless.cert);
	assert_let_in(false);
	options.tls_name = "ufm.example";
	trust(root.cert);
	assert_let_in(true);
	options.tls_name = "other.example";
	trust(root.cert);
	assert_let_in(false);
	assert_non_null(strstr(last.text, "other.example"));
	options.insecure = true;
	trust("");
	assert_let_in(true);
}

static void test_a_rotated_certificate_is_taken_up_and_a_bad_one_is_not(void **state)
{
	struct error err;
	(void)state;
	serve_tls(&nameless, NULL);
	trust(stranger.cert);
	assert_let_in(false);
	environment[2][1] = nameless.cert;
	secrets_free(secrets);
	secrets = load();
	assert_int_equal(ufm_set_secrets(ufm, secrets, &err), 0);
	assert_let_in(true);
}

static void test_a_client_certificate_is_shown_where_asked_for(void **state)
{
	struct error err;
	(void)state;
	serve_tls(&issued, root.cert);
	environment[3][0] = "UFM_CLIENT_CERT";
	environment[3][1] = client.cert;
	environment[4][0] = "UFM_CLIENT_KEY";
	environment[4][1] = client.key;
	options.auth = UFM_AUTH_MTLS;
	trust(root.cert);
	assert_let_in(true);
	assert_string_equal(last_client, "CN=ufmsync");
	assert_string_equal(last_authorization, "");
	assert_asked(PROBE_ASKED);
	environment[4][1] = issued.key;
	secrets_free(secrets);
	secrets = load();
	assert_int_equal(ufm_set_secrets(ufm, secrets, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_let_in(true);
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
		TEST(test_members_are_listed_of_one_and_of_all),
		TEST(test_a_pkey_that_does_not_exist_has_no_members),
		TEST(test_what_is_no_whole_list_is_an_error),
		TEST(test_lists_overlap_a_write_but_only_two_at_a_time),
		TEST(test_a_probe_tells_the_version),
		TEST(test_nothing_is_called_back_after_free),
		TEST(test_the_backend_may_be_freed_from_its_own_callback),
		TEST(test_the_next_write_may_be_asked_for_from_the_callback_of_the_last),
		TEST(test_new_credentials_are_used_from_the_next_request_on),
		TEST(test_a_token_stands_raw_behind_basic_and_has_its_own_prefix),
		TEST(test_an_answer_that_repeats_the_credentials_is_not_quoted),
		TEST(test_bad_options_are_refused_with_the_setting_named),
		TEST(test_a_servers_own_certificate_is_pinned_whatever_its_name),
		TEST(test_any_other_certificate_is_a_ca_and_the_name_must_match),
		TEST(test_a_rotated_certificate_is_taken_up_and_a_bad_one_is_not),
		TEST(test_a_client_certificate_is_shown_where_asked_for),
	};
#undef TEST
	return cmocka_run_group_tests_name("ufm", tests, make_identities, drop_identities);
}
