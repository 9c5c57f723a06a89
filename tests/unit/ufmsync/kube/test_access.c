#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/ufmsync/kube/api.h"
#include "ufmsync/kube/access_private.h"

/* Reviews against an API server that knows a few tokens:
 *	ours...        of audience ufmsync, service account ns:cni, its node in the extras
 *	pod...         likewise, but with its pod in the extras, not its node
 *	api...         of the API server's audience, user joe
 *	old            likewise, of a server that does not look at audiences
 *	anything else  none */

static struct kube_access *access;
static unsigned token_reviews, subject_reviews, pods;
static bool forbids;            /* SubjectAccessReviews end in a no */
static unsigned fails;          /* status of every answer; 0: as it should be */
static const char *fails_where; /* only for paths that hold this */
static bool echoes;             /* and says what it was asked */
static bool silent;             /* reviews are held back */
static struct httpd_request *held[API_REQUESTS_MAX];
static unsigned n_held;
static const char *pod_uid;

static int setup(void **state)
{
	token_reviews = subject_reviews = pods = fails = n_held = 0;
	forbids = silent = echoes = false;
	fails_where = "/";
	pod_uid = "u-1";
	int result = api_setup(state);
	access = kube_access_new(api_loop, api_kube);
	return result;
}

static int teardown(void **state)
{
	kube_access_free(access);
	return api_teardown(state);
}

/* --- the server --- */

static void answer_token(struct httpd_request *request, const json_t *review)
{
	const char *token = json_str(review, "spec", "token", NULL);
	bool ours = strncmp(token, "ours", 4) == 0, pod = strncmp(token, "pod", 3) == 0;
	bool audience = json_array_size(json_at(review, "spec", "audiences", NULL)) == 1;
	const char *status = "{\"user\":{},\"error\":\"[invalid bearer token]\"}";

	token_reviews++;
	if (ours && audience)
		status = "{\"authenticated\":true,\"audiences\":[\"ufmsync\"],\"user\":{\"username\":"
			 "\"system:serviceaccount:ns:cni\",\"groups\":[\"system:authenticated\"],\"extra\":{"
			 "\"authentication.kubernetes.io/node-name\":[\"n1\"]}}}";
	else if (pod && audience)
		status =
			"{\"authenticated\":true,\"audiences\":[\"ufmsync\"],\"user\":{\"username\":"
			"\"system:serviceaccount:ns:cni\",\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"p\"],"
			"\"authentication.kubernetes.io/pod-uid\":[\"u-1\"]}}}";
	else if (((strncmp(token, "api", 3) == 0 || strchr(token, '.')) && !audience) || strcmp(token, "old") == 0)
		status = "{\"authenticated\":true,\"user\":{\"username\":\"joe\"}}";
	char *text = mem_printf("{\"kind\":\"TokenReview\",\"spec\":{\"token\":\"%s\"},\"status\":%s}", token, status);
	api_json(request, 201, text);
	free(text);
}

static void answer_pod(struct httpd_request *request)
{
	char text[200];

	pods++;
	snprintf(text, sizeof text, "{\"kind\":\"Pod\",\"metadata\":{\"uid\":\"%s\"},\"spec\":{\"nodeName\":\"n2\"}}",
		 pod_uid);
	api_json(request, 200, text);
}

static void serve_now(struct httpd_request *request)
{
	size_t len;
	const char *body = httpd_body(request, &len), *path = httpd_path(request);
	struct error err;
	json_t *review = len > 0 ? json_parse(body, len, &err) : NULL;

	if (fails && strstr(path, fails_where) && echoes) {
		const char *token = json_str(review, "spec", "token", NULL);
		char *text = mem_printf("{\"kind\":\"Status\",\"message\":\"spec.token: Invalid value: '%s'\"}",
					token ? token : "");
		api_json(request, (int)fails, text);
		free(text);
	} else if (fails && strstr(path, fails_where)) {
		api_json(request, (int)fails, "{\"kind\":\"Status\",\"message\":\"as the test wants it\"}");
	} else if (strcmp(path, "/apis/authentication.k8s.io/v1/tokenreviews") == 0) {
		answer_token(request, review);
	} else if (strcmp(path, "/apis/authorization.k8s.io/v1/subjectaccessreviews") == 0) {
		subject_reviews++;
		api_json(request, 201,
			 forbids ? "{\"kind\":\"SubjectAccessReview\",\"status\":{\"allowed\":false}}"
				 : "{\"kind\":\"SubjectAccessReview\",\"status\":{\"allowed\":true}}");
	} else {
		assert_string_equal(path, "/api/v1/namespaces/ns/pods/p");
		answer_pod(request);
	}
	json_decref(review);
}

static void serve(struct httpd_request *request, unsigned n)
{
	(void)n;
	if (silent)
		held[n_held++] = request;
	else
		serve_now(request);
}

static void release(void)
{
	silent = false;
	while (n_held > 0)
		serve_now(held[--n_held]);
}

/* --- the user --- */

static unsigned answers, now;
static enum kube_verdict verdict;
static char why[300];

static void on_done(void *aux, enum kube_verdict what, const struct kube_identity *who, const char *text)
{
	answers++;
	verdict = what;
	snprintf(why, sizeof why, "%s", text);
	assert_true((who != NULL) == (what == KUBE_ACCESS_OK || what == KUBE_ACCESS_FORBIDDEN));
	buf_printf(&api_log, "%s%s%s%s;",
		   what == KUBE_ACCESS_OK          ? "ok "
		   : what == KUBE_ACCESS_WHO       ? "who?"
		   : what == KUBE_ACCESS_FORBIDDEN ? "forbidden "
						   : "unavailable",
		   who ? who->user : "", who && who->node ? " on " : "", who && who->node ? who->node : "");
	if (aux)
		(*(unsigned *)aux)++;
}

static struct kube_access_ask *check(const char *token, const char *method, const char *path)
{
	api_serve(serve);
	return kube_access_check(access, token, method, path, true, on_done, NULL);
}

static unsigned wanted;
static bool has_answers(void)
{
	return answers >= wanted;
}

static const char *ask(const char *token)
{
	buf_clear(&api_log);
	wanted = answers + 1;
	now = 0;
	if (!check(token, "POST", "/v1/attach"))
		now = 1;
	else
		api_until(has_answers);
	assert_int_equal(answers, wanted);
	return api_log.data;
}

/* --- promises --- */

static void test_a_token_of_our_audience_is_known_allowed_and_on_its_node(void **state)
{
	(void)state;
	assert_string_equal(ask("ours"), "ok system:serviceaccount:ns:cni on n1;");
	assert_string_equal(why, "");
	assert_int_equal(token_reviews, 1);
	assert_int_equal(subject_reviews, 1);
	assert_int_equal(pods, 0);
	assert_non_null(strstr(api_requests[1].body, "\"path\":\"/v1/attach\",\"verb\":\"post\""));
	assert_non_null(strstr(api_requests[1].body, "\"groups\":[\"system:authenticated\"]"));
	assert_non_null(strstr(api_requests[1].body, "node-name"));
}

static void test_a_token_of_the_api_servers_audience_is_asked_about_again_without_one(void **state)
{
	(void)state;
	assert_string_equal(ask("api"), "ok joe;");
	assert_int_equal(token_reviews, 2);
	assert_non_null(strstr(api_requests[0].body, "audiences"));
	assert_null(strstr(api_requests[1].body, "audiences"));
}

static void test_the_yes_of_a_server_that_knows_no_audiences_is_no_yes_for_ours(void **state)
{
	(void)state;
	assert_string_equal(ask("old"), "ok joe;"); /* of the API server's audience */
	assert_int_equal(token_reviews, 2);
}

static void test_any_other_token_is_nobodys(void **state)
{
	(void)state;
	assert_string_equal(ask("wrong"), "who?;");
	assert_null(strstr(why, "wrong"));
	assert_int_equal(subject_reviews, 0);
	assert_string_equal(ask("blank in it"), "who?;");
	assert_int_equal(now, 1);
	assert_int_equal(token_reviews, 2);
}

static void test_who_may_not_is_told_what(void **state)
{
	(void)state;
	forbids = true;
	assert_string_equal(ask("ours"), "forbidden system:serviceaccount:ns:cni;");
	assert_string_equal(why, "system:serviceaccount:ns:cni may not POST /v1/attach");
	assert_string_equal(ask("ours"), "forbidden system:serviceaccount:ns:cni;");
	assert_int_equal(now, 1); /* kept */
	assert_int_equal(subject_reviews, 1);
}

static void test_a_path_that_no_rule_could_name_is_forbidden_without_asking(void **state)
{
	(void)state;
	wanted = answers + 1;
	check("ours", "GET", "/\xff");
	api_until(has_answers);
	assert_int_equal(verdict, KUBE_ACCESS_FORBIDDEN);
	assert_int_equal(subject_reviews, 0);
}

static void test_an_older_server_is_asked_for_the_tokens_pod(void **state)
{
	(void)state;
	assert_string_equal(ask("pod1"), "ok system:serviceaccount:ns:cni on n2;");
	assert_string_equal(ask("pod1"), "ok system:serviceaccount:ns:cni on n2;");
	assert_int_equal(now, 1);
	assert_int_equal(pods, 1);
	/* Not when nobody wants to know. */
	wanted = answers + 1;
	api_serve(serve);
	kube_access_check(access, "pod2", "GET", "/v1/status", false, on_done, NULL);
	api_until(has_answers);
	assert_int_equal(pods, 1);
}

static void test_a_pod_that_is_gone_or_another_by_now_has_no_node(void **state)
{
	(void)state;
	pod_uid = "u-2";
	assert_string_equal(ask("pod1"), "ok system:serviceaccount:ns:cni;");
	fails = 404;
	fails_where = "/pods/";
	assert_string_equal(ask("pod2"), "ok system:serviceaccount:ns:cni;");
}

static void test_answers_are_kept_for_each_token_method_and_path(void **state)
{
	uint64_t reviews, kept;

	(void)state;
	ask("ours");
	ask("ours");
	assert_int_equal(now, 1);
	assert_int_equal(api_n, 2);
	wanted = answers + 1;
	check("ours", "GET", "/v1/attach"); /* another right, the same user */
	api_until(has_answers);
	assert_int_equal(token_reviews, 1);
	assert_int_equal(subject_reviews, 2);
	ask("ours2");
	assert_int_equal(now, 0);
	assert_int_equal(token_reviews, 2);
	ask("wrong");
	ask("wrong");
	assert_int_equal(now, 1);
	kube_access_counts(access, &reviews, &kept);
	assert_int_equal(reviews, api_n);
	assert_int_equal(kept, 2);
}

static void test_a_token_is_never_kept_past_its_end(void **state)
{
	(void)state;
	ask("h.eyJleHAiOjk5OTk5OTk5OTl9.s"); /* {"exp":9999999999} */
	ask("h.eyJleHAiOjk5OTk5OTk5OTl9.s");
	assert_int_equal(now, 1);
	token_reviews = 0;
	assert_string_equal(ask("h.eyJleHAiOjE3NjAwMDAwMDB9.s"), "ok joe;"); /* long ago; yet the server says yes */
	assert_string_equal(ask("h.eyJleHAiOjE3NjAwMDAwMDB9.s"), "ok joe;");
	assert_int_equal(now, 0);
	assert_int_equal(token_reviews, 4);
}

static void test_an_outage_is_no_answer_and_not_kept(void **state)
{
	static const struct {
		unsigned status;
		const char *where, *why;
	} cases[] = {
		{ 500, "/", "the API server cannot be asked: HTTP 500" },
		{ 429, "/", "the API server cannot be asked: HTTP 429" },
		{ 403, "tokenreviews", "lacks the right to create tokenreviews.authentication.k8s.io" },
		{ 403, "subject", "lacks the right to create subjectaccessreviews.authorization.k8s.io" },
		{ 403, "/pods/", "lacks the right to get pods" },
		{ 401, "/", "does not accept the service's own token" },
		{ 200, "/", "is no TokenReview" },
		{ 200, "subject", "is no SubjectAccessReview" },
		{ 200, "/pods/", "is no pod" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char token[16];

		snprintf(token, sizeof token, "pod%zu", i);
		fails = cases[i].status;
		fails_where = cases[i].where;
		assert_string_equal(ask(token), "unavailable;");
		if (!strstr(why, cases[i].why))
			fail_msg("%s", why);
		fails = 0;
		assert_string_equal(ask(token), "ok system:serviceaccount:ns:cni on n2;");
	}
}

static void test_a_server_that_says_the_token_back_is_not_quoted(void **state)
{
	static const unsigned statuses[] = { 400, 401, 403, 422, 500 };

	(void)state;
	echoes = true;
	for (size_t i = 0; i < array_length(statuses); i++) {
		fails = statuses[i];
		assert_string_equal(ask("ours-is-a-secret-of-this-node"), "unavailable;");
		if (strstr(why, "secret") || strstr(why, "ours-is"))
			fail_msg("%s", why);
		assert_non_null(strstr(why, "HTTP "));
	}
}

static void test_asks_of_one_token_share_their_reviews(void **state)
{
	unsigned heard[20] = { 0 };

	(void)state;
	silent = true;
	api_serve(serve);
	for (size_t i = 0; i < array_length(heard); i++)
		kube_access_check(access, "ours", i % 2 ? "GET" : "POST", "/v1/attach", true, on_done, &heard[i]);
	api_until_requests(1);
	wanted = answers + array_length(heard);
	release();
	api_until(has_answers);
	assert_int_equal(token_reviews, 1);
	assert_int_equal(subject_reviews, 2);
	for (size_t i = 0; i < array_length(heard); i++)
		assert_int_equal(heard[i], 1);
}

static void test_only_so_many_reviews_are_under_way_and_the_rest_take_their_turn(void **state)
{
	(void)state;
	silent = true;
	for (unsigned i = 0; i < 200; i++) {
		char token[16];

		snprintf(token, sizeof token, "ours%u", i);
		assert_non_null(check(token, "POST", "/v1/attach"));
	}
	assert_int_equal(access->n_running, 64);
	api_until_requests(32); /* as many connections as there are to a server without HTTP/2 */
	wanted = answers + 200;
	release();
	api_until(has_answers);
	assert_int_equal(token_reviews, 200);
	assert_int_equal(access->n_running, 0);
	assert_int_equal(access->token_bytes, 0);
	assert_int_equal(verdict, KUBE_ACCESS_OK);
}

static void test_more_than_can_wait_are_told_so(void **state)
{
	(void)state;
	silent = true;
	for (unsigned i = 0; i < 16384; i++)
		assert_non_null(check("ours", "POST", "/v1/attach"));
	assert_null(check("ours", "POST", "/v1/attach"));
	assert_int_equal(verdict, KUBE_ACCESS_UNAVAILABLE);
	api_until_requests(1);
	buf_clear(&api_log);
	wanted = answers + 16384;
	release();
	api_until(has_answers);
	assert_int_equal(token_reviews, 1);
	assert_int_equal(verdict, KUBE_ACCESS_OK);
}

static void test_who_waits_too_long_is_told_so_and_what_nobody_waits_for_is_not_begun(void **state)
{
	(void)state;
	access->ask_ms = 50;
	silent = true;
	wanted = answers + 100;
	for (unsigned i = 0; i < 100; i++) {
		char token[16];

		snprintf(token, sizeof token, "ours%u", i);
		check(token, "POST", "/v1/attach");
	}
	api_until(has_answers);
	assert_int_equal(verdict, KUBE_ACCESS_UNAVAILABLE);
	assert_string_equal(why, "the API server did not answer in time");
	assert_true(TAILQ_EMPTY(&access->queued));
	assert_int_equal(access->n_running, 64);
}

static void test_what_was_cancelled_is_not_heard_of(void **state)
{
	(void)state;
	silent = true;
	struct kube_access_ask *first = check("ours", "POST", "/v1/attach");
	check("ours", "GET", "/v1/x");
	api_until_requests(1);
	kube_access_cancel(first);
	buf_clear(&api_log);
	wanted = answers + 1;
	release();
	api_until(has_answers);
	assert_int_equal(subject_reviews, 1);
	/* And when nobody is left. */
	silent = true;
	first = check("ours3", "POST", "/v1/attach");
	api_until_requests(api_n + 1);
	kube_access_cancel(first);
	release();
	assert_string_equal(ask("ours3"), "ok system:serviceaccount:ns:cni on n1;");
	assert_int_equal(token_reviews, 2); /* what was under way was not wasted */
}

static struct kube_access_ask *other;
static void cancel_other(void *aux, enum kube_verdict what, const struct kube_identity *who, const char *text)
{
	on_done(aux, what, who, text);
	kube_access_cancel(other);
}

static void test_an_ask_may_be_cancelled_by_another_ones_answer(void **state)
{
	(void)state;
	silent = true;
	api_serve(serve);
	kube_access_check(access, "ours", "POST", "/v1/attach", true, cancel_other, NULL);
	other = check("ours", "POST", "/v1/attach");
	api_until_requests(1);
	wanted = answers + 1;
	release();
	api_until(has_answers);
	assert_string_equal(ask("ours"), "ok system:serviceaccount:ns:cni on n1;");
	assert_int_equal(answers, wanted);
}

static void test_it_may_be_freed_with_asks_that_run_and_that_wait(void **state)
{
	(void)state;
	silent = true;
	unsigned before = answers;
	for (unsigned i = 0; i < 100; i++) {
		char token[16];

		snprintf(token, sizeof token, "ours%u", i);
		check(token, "POST", "/v1/attach");
	}
	api_until_requests(1);
	kube_access_free(access);
	access = NULL;
	kube_access_free(NULL);
	assert_int_equal(answers, before);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_token_of_our_audience_is_known_allowed_and_on_its_node),
		promise(test_a_token_of_the_api_servers_audience_is_asked_about_again_without_one),
		promise(test_the_yes_of_a_server_that_knows_no_audiences_is_no_yes_for_ours),
		promise(test_any_other_token_is_nobodys),
		promise(test_who_may_not_is_told_what),
		promise(test_a_path_that_no_rule_could_name_is_forbidden_without_asking),
		promise(test_an_older_server_is_asked_for_the_tokens_pod),
		promise(test_a_pod_that_is_gone_or_another_by_now_has_no_node),
		promise(test_answers_are_kept_for_each_token_method_and_path),
		promise(test_a_token_is_never_kept_past_its_end),
		promise(test_an_outage_is_no_answer_and_not_kept),
		promise(test_a_server_that_says_the_token_back_is_not_quoted),
		promise(test_asks_of_one_token_share_their_reviews),
		promise(test_only_so_many_reviews_are_under_way_and_the_rest_take_their_turn),
		promise(test_more_than_can_wait_are_told_so),
		promise(test_who_waits_too_long_is_told_so_and_what_nobody_waits_for_is_not_begun),
		promise(test_what_was_cancelled_is_not_heard_of),
		promise(test_an_ask_may_be_cancelled_by_another_ones_answer),
		promise(test_it_may_be_freed_with_asks_that_run_and_that_wait),
	};
	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
