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

#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/ufmsync/kube/api.h"

static unsigned answers;
static int status;
static struct error error;
static char reason[64];
static int64_t retry_after_ms;
static json_t *object;

static void on_done(void *aux, const struct kube_reply *reply)
{
	(void)aux;
	answers++;
	status = reply->status;
	error = reply->error ? *reply->error : (struct error){ 0 };
	snprintf(reason, sizeof reason, "%s", reply->reason);
	retry_after_ms = reply->retry_after_ms;
	json_decref(object);
	object = json_deep_copy(reply->object);
}

static unsigned wanted;
static bool has_answers(void)
{
	return answers >= wanted;
}

static struct http_request *send(const char *method, const char *path, const char *body)
{
	return kube_send(api_kube, &(struct kube_request_options){
					   .method = method,
					   .path = path,
					   .body = body,
					   .body_len = body ? strlen(body) : 0,
					   .done = on_done,
				   });
}

static void ask(const char *method, const char *path, const char *body)
{
	wanted = answers + 1;
	send(method, path, body);
	api_until(has_answers);
}

static int setup(void **state)
{
	answers = 0;
	return api_setup(state);
}

static int teardown(void **state)
{
	json_decref(object);
	object = NULL;
	return api_teardown(state);
}

static void serve_pod(struct httpd_request *request, unsigned n)
{
	(void)n;
	api_json(request, 200, "{\"kind\":\"Pod\",\"reason\":\"x\"}");
}

static void test_json_goes_out_and_comes_back(void **state)
{
	(void)state;
	api_serve(serve_pod);
	ask("POST", "/api/v1/x?y=z", "{}");
	assert_int_equal(status, 200);
	assert_int_equal(error.kind, ERROR_NONE);
	assert_string_equal(json_str(object, "kind", NULL), "Pod");
	assert_string_equal(reason, "");
	assert_int_equal(retry_after_ms, -1);
	assert_string_equal(api_requests[0].method, "POST");
	assert_string_equal(api_requests[0].path, "/api/v1/x");
	assert_string_equal(api_requests[0].content_type, "application/json");
	assert_string_equal(api_requests[0].body, "{}");
	assert_null(api_requests[0].authorization);
	ask("GET", "/x", NULL);
	assert_null(api_requests[1].content_type);
}

static void test_the_identity_goes_with_every_request(void **state)
{
	(void)state;
	api_serve(serve_pod);
	api_connect(&(struct kube_config){ .token = (char *)"abc.def" });
	ask("GET", "/", NULL);
	assert_string_equal(api_requests[0].authorization, "Bearer abc.def");
	api_connect(&(struct kube_config){ .username = (char *)"Aladdin", .password = (char *)"open sesame" });
	ask("GET", "/", NULL);
	assert_string_equal(api_requests[1].authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void serve_401_for_old(struct httpd_request *request, unsigned n)
{
	if (api_requests[n].authorization && strcmp(api_requests[n].authorization, "Bearer new") == 0)
		api_json(request, 200, "{}");
	else
		api_json(request, 401,
			 "{\"kind\":\"Status\",\"reason\":\"Unauthorized\",\"message\":\"Unauthorized\",\"code\":401}");
}

static void test_a_token_file_is_read_again_after_a_401(void **state)
{
	char path[] = "/tmp/ufmsync-token-XXXXXX";
	(void)state;
	close(mkstemp(path));
	put(path, "old\n");
	api_serve(serve_401_for_old);
	api_connect(&(struct kube_config){ .token_file = path });
	ask("GET", "/", NULL);
	assert_string_equal(api_requests[0].authorization, "Bearer old");
	assert_int_equal(error.kind, ERROR_AUTH);
	put(path, "new");
	ask("GET", "/", NULL);
	assert_string_equal(api_requests[1].authorization, "Bearer new");
	assert_int_equal(status, 200);
	/* not before its time, without a 401 */
	put(path, "newer");
	ask("GET", "/", NULL);
	assert_string_equal(api_requests[2].authorization, "Bearer new");
	/* a file that is gone or empty for a moment leaves the token that we have */
	unlink(path);
	kube_saw(api_kube, KUBE_OTHER, &(struct http_reply){ .status = 401 }, 0);
	ask("GET", "/", NULL);
	assert_string_equal(api_requests[3].authorization, "Bearer new");
}

static const char *answer_body;
static int answer_status;
static const char *answer_type = "application/json";
static void serve_answer(struct httpd_request *request, unsigned n)
{
	static const char *const headers[] = { "Retry-After: 7", NULL };

	(void)n;
	httpd_answer(request, answer_status, answer_type, answer_status == 503 ? headers : NULL, answer_body,
		     strlen(answer_body));
}

static void test_what_failed_is_told_by_kind(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum error_kind kind;
		const char *text, *reason;
	} cases[] = {
		{ 409, "{\"reason\":\"AlreadyExists\",\"message\":\"it exists\"}", ERROR_CONFLICT,
		  "HTTP 409 AlreadyExists: it exists", "AlreadyExists" },
		{ 403, "{\"reason\":\"Forbidden\",\"message\":\"a\\nb\"}", ERROR_AUTH, "HTTP 403 Forbidden: a?b",
		  "Forbidden" },
		{ 404, "404 page not found\n", ERROR_GONE, "HTTP 404", "" },
		{ 410, "{}", ERROR_GONE, "HTTP 410", "" },
		{ 422, "{\"reason\":\"Odd\"}", ERROR_INVALID, "HTTP 422", "Odd" },
		{ 400, "", ERROR_INVALID, "HTTP 400", "" },
		{ 302, "", ERROR_INVALID, "HTTP 302", "" },
		{ 413, "", ERROR_LIMIT, "HTTP 413", "" },
		{ 500, "", ERROR_RETRY, "HTTP 500", "" },
		{ 429, "{\"details\":{\"retryAfterSeconds\":3}}", ERROR_RETRY, "HTTP 429", "" },
		{ 503, "{\"details\":{\"retryAfterSeconds\":3}}", ERROR_RETRY, "HTTP 503", "" },
		{ 200, "<html>", ERROR_RETRY, "HTTP 200, but no JSON came: not an API server?", "" },
		{ 200, "", ERROR_RETRY, "HTTP 200, but no JSON came: not an API server?", "" },
	};
	(void)state;
	api_serve(serve_answer);
	for (size_t i = 0; i < array_length(cases); i++) {
		answer_status = cases[i].status;
		answer_body = cases[i].body;
		ask("GET", "/", NULL);
		assert_int_equal(status, cases[i].status);
		assert_int_equal(error.kind, cases[i].kind);
		assert_string_equal(error.text, cases[i].text);
		assert_string_equal(reason, cases[i].reason);
		assert_int_equal(retry_after_ms, cases[i].status == 429 ? 3000 : cases[i].status == 503 ? 7000 : -1);
	}
}

static void serve_abort(struct httpd_request *request, unsigned n)
{
	(void)n;
	httpd_abort(request);
}

static void test_no_answer_is_worth_another_try(void **state)
{
	(void)state;
	api_serve(serve_abort);
	ask("GET", "/", NULL);
	assert_int_equal(status, 0);
	assert_int_equal(error.kind, ERROR_RETRY);
}

static void serve_never(struct httpd_request *request, unsigned n)
{
	(void)request;
	(void)n;
}

static void test_requests_may_be_cancelled_and_the_client_freed_with_some_under_way(void **state)
{
	(void)state;
	api_serve(serve_never);
	http_cancel(send("GET", "/", NULL));
	struct http_request *second = send("GET", "/", "x");
	send("GET", "/", NULL);
	api_until_requests(2);
	http_cancel(second);
	kube_free(api_kube);
	api_kube = NULL;
	kube_free(NULL);
	assert_int_equal(answers, 0);
}

static enum kube_patch patch_result(int http, const char *body)
{
	json_t *json = body ? json_loads(body, 0, NULL) : NULL;
	struct error err;
	struct kube_reply reply = { .status = http, .object = json };

	assert_true(!body || json);
	if (http < 200 || http > 299) {
		kube_status_error(&err, http, body ? body : "", body ? strlen(body) : 0, NULL);
		reply.error = &err;
	}
	enum kube_patch result = kube_patch_result(&reply);
	json_decref(json);
	return result;
}

static void test_the_ways_in_which_a_patch_ends(void **state)
{
	(void)state;
	assert_int_equal(patch_result(200, "{}"), KUBE_PATCH_DONE);
	assert_int_equal(patch_result(0, NULL), KUBE_PATCH_RETRY);
	assert_int_equal(patch_result(404, "{}"), KUBE_PATCH_GONE);
	assert_int_equal(patch_result(409, "{}"), KUBE_PATCH_STALE);
	/* as kube-apiserver says that a test failed, and that annotations are full */
	assert_int_equal(
		patch_result(
			422,
			"{\"kind\":\"Status\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"the server rejected "
			"our "
			"request due to an error in our request\",\"reason\":\"Invalid\",\"details\":{},\"code\":422}"),
		KUBE_PATCH_STALE);
	assert_int_equal(patch_result(422, "{\"reason\":\"Invalid\",\"details\":{\"name\":\"big\",\"kind\":\"Pod\","
					   "\"causes\":[{\"reason\":"
					   "\"FieldValueTooLong\",\"field\":\"metadata.annotations\"}]},\"code\":422}"),
			 KUBE_PATCH_REFUSED);
	assert_int_equal(patch_result(422, NULL), KUBE_PATCH_REFUSED);
	assert_int_equal(patch_result(403, "{\"message\":\"admission webhook \\\"x\\\" denied the request: no\"}"),
			 KUBE_PATCH_REFUSED);
	assert_int_equal(patch_result(403, "{\"message\":\"pods \\\"x\\\" is forbidden: User cannot patch\"}"),
			 KUBE_PATCH_RETRY);
	assert_int_equal(patch_result(400, NULL), KUBE_PATCH_REFUSED);
	assert_int_equal(patch_result(413, NULL), KUBE_PATCH_REFUSED);
	assert_int_equal(patch_result(401, NULL), KUBE_PATCH_RETRY);
	assert_int_equal(patch_result(429, NULL), KUBE_PATCH_RETRY);
	assert_int_equal(patch_result(500, NULL), KUBE_PATCH_RETRY);
}

static void test_escaping_fits_or_is_refused(void **state)
{
	char out[8];
	(void)state;
	assert_true(kube_escape(out, sizeof out, "a-_.~Z9"));
	assert_string_equal(out, "a-_.~Z9");
	assert_false(kube_escape(out, sizeof out, "12345678"));
	assert_true(kube_escape(out, sizeof out, "/ "));
	assert_string_equal(out, "%2F%20");
	assert_false(kube_escape(out, sizeof out, "///"));
	assert_true(kube_escape(out, sizeof out, "\xc3\xa9"));
	assert_string_equal(out, "%C3%A9");
	assert_true(kube_escape(out, 1, ""));
	assert_false(kube_escape(out, 0, ""));
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static char measured[256];
static void on_ended(void *aux, enum kube_operation operation, enum call_outcome outcome, int64_t ms)
{
	size_t n = strlen(measured);

	assert_ptr_equal(aux, measured);
	assert_true(ms >= 0 && ms < 60000);
	snprintf(measured + n, sizeof measured - n, "%s:%s ", kube_operation_name(operation),
		 call_outcome_name(outcome));
}

static void serve_in_turn(struct httpd_request *request, unsigned n)
{
	static const int statuses[] = { 200, 403, 404, 409, 429, 503 };

	api_json(request, statuses[n], "{}");
}

static void test_each_request_is_measured_by_what_it_was_for_and_how_it_ended(void **state)
{
	static const enum kube_operation operations[] = { KUBE_PATCH_POD,   KUBE_GET_POD, KUBE_READ_LEASE,
							  KUBE_WRITE_LEASE, KUBE_REVIEW,  KUBE_OTHER };

	(void)state;
	measured[0] = '\0';
	kube_observe(api_kube, &(struct kube_observer){ on_ended, measured });
	api_serve(serve_in_turn);
	for (size_t i = 0; i < array_length(operations); i++) {
		wanted = answers + 1;
		kube_send(api_kube,
			  &(struct kube_request_options){
				  .operation = operations[i], .method = "GET", .path = "/x", .done = on_done });
		api_until(has_answers);
	}
	assert_string_equal(measured, "patch_pod:ok get_pod:forbidden read_lease:not_found write_lease:conflict "
				      "review:throttled ");
}

static void test_every_operation_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < KUBE_OPERATIONS; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(kube_operation_name((enum kube_operation)i),
						kube_operation_name((enum kube_operation)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_json_goes_out_and_comes_back),
		promise(test_the_identity_goes_with_every_request),
		promise(test_a_token_file_is_read_again_after_a_401),
		promise(test_what_failed_is_told_by_kind),
		promise(test_no_answer_is_worth_another_try),
		promise(test_requests_may_be_cancelled_and_the_client_freed_with_some_under_way),
		promise(test_each_request_is_measured_by_what_it_was_for_and_how_it_ended),
		cmocka_unit_test(test_every_operation_has_a_word_of_its_own),
		cmocka_unit_test(test_the_ways_in_which_a_patch_ends),
		cmocka_unit_test(test_escaping_fits_or_is_refused),
	};
	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
