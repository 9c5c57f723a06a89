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
#include "ufmsync/ctl/reach_private.h"

static const struct reach_place proxy = {
	.way = REACH_PROXY, .namespace = "ns", .service = "ufmsync", .account = "ufmsync-reader"
};
static const struct reach_place server = { .way = REACH_SERVER, .server = "https://a:1" };

static struct reach_answer answer_of(int status, const char *text)
{
	struct reach_answer answer = { .status = status };
	struct error err;

	answer.object = json_parse(text, strlen(text), &err);
	if (!answer.object)
		answer.text = mem_dup(text);
	return answer;
}

static enum reach_next judged(const struct reach_place *place, const char *method, int status, const char *text,
			      struct error *err)
{
	struct reach_answer answer = answer_of(status, text);
	enum reach_next next = reach_judge(place, method, "/v1/pkeys/0x5?limit=5", &answer, err);

	reach_answer_free(&answer);
	return next;
}

#define SERVICE(code, message)  "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define STATUS(reason, message) "{\"kind\":\"Status\",\"reason\":\"" reason "\",\"message\":\"" message "\"}"

static void test_an_answer_says_what_it_means_and_what_to_do(void **state)
{
	static const struct {
		const struct reach_place *place;
		const char *method;
		int status;
		const char *answer;
		enum reach_next next;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{ &proxy, "GET", 403, STATUS("Forbidden", "x"), REACH_NEXT_FAIL, ERROR_AUTH,
		  "you may not use the service proxy: RBAC must allow you verb get on services/proxy, name "
		  "https:ufmsync:8443, in "
		  "namespace ns (or ask with --server, or --direct)" },
		{ &proxy, "POST", 403, STATUS("Forbidden", "x"), REACH_NEXT_FAIL, ERROR_AUTH,
		  "you may not use the service proxy: RBAC must allow you verb create on services/proxy, name "
		  "https:ufmsync:8443, in "
		  "namespace ns (or ask with --server, or --direct)" },
		{ &proxy, "GET", 401, STATUS("Unauthorized", "Unauthorized"), REACH_NEXT_FAIL, ERROR_AUTH,
		  "the API server does not know you: Unauthorized" },
		{ &proxy, "GET", 404, STATUS("NotFound", "services \\\"ufmsync\\\" not found"), REACH_NEXT_FAIL,
		  ERROR_INVALID,
		  "there is no Service ns/ufmsync: say where the service runs with --service-namespace, or use "
		  "--direct" },
		{ &proxy, "GET", 503,
		  STATUS("ServiceUnavailable", "no endpoints available for service \\\"ufmsync\\\""), REACH_NEXT_FAIL,
		  ERROR_RETRY,
		  "no replica of the service is ready (no endpoints available for service \"ufmsync\"): kubectl -n ns "
		  "get pods, or "
		  "use --direct" },
		{ &proxy, "GET", 503, "Error trying to reach service: 'dial tcp'", REACH_NEXT_ELSEWHERE, ERROR_RETRY,
		  "the API server does not reach the service: HTTP 503: Error trying to reach service: 'dial tcp'; or "
		  "use "
		  "--direct" },
		/* It may have been done: not a second time. */
		{ &proxy, "POST", 503, STATUS("ServiceUnavailable", "error trying to reach service: EOF"),
		  REACH_NEXT_FAIL, ERROR_RETRY,
		  "the API server does not reach the service: HTTP 503: error trying to reach service: EOF; or use "
		  "--direct" },
		{ &proxy, "GET", 404, SERVICE("NotFound", "PKey 0x5 is not in use"), REACH_NEXT_FAIL, ERROR_GONE,
		  "PKey 0x5 is not in use" },
		{ &proxy, "POST", 503, SERVICE("NotLeader", "b leads"), REACH_NEXT_ELSEWHERE, ERROR_RETRY,
		  "the replica that leads was not reached, only another: b leads" },
		{ &proxy, "GET", 503, SERVICE("NotReady", "pods are being read"), REACH_NEXT_ELSEWHERE, ERROR_RETRY,
		  "NotReady: pods are being read" },
		{ &proxy, "GET", 503, SERVICE("FabricUnavailable", "no answer"), REACH_NEXT_FAIL, ERROR_RETRY,
		  "FabricUnavailable: no answer" },
		{ &proxy, "GET", 410, SERVICE("Expired", "too old"), REACH_NEXT_ELSEWHERE, ERROR_CONFLICT,
		  "the list changed while it was read: ask again (too old)" },
		{ &proxy, "GET", 403, SERVICE("Forbidden", "no"), REACH_NEXT_FAIL, ERROR_AUTH,
		  "ufmsync-reader may not GET /v1/pkeys/0x5: RBAC must allow it verb get on that nonResourceURL "
		  "(kubectl apply -k deploy/operator): no" },
		{ &server, "POST", 403, SERVICE("Forbidden", "no"), REACH_NEXT_FAIL, ERROR_AUTH,
		  "the token's owner may not POST /v1/pkeys/0x5: RBAC must allow it verb post on that nonResourceURL "
		  "(kubectl apply -k deploy/operator): no" },
		{ &server, "GET", 401, SERVICE("Unauthorized", "no"), REACH_NEXT_FAIL, ERROR_AUTH,
		  "the service does not take the token of --token-file: no" },
		{ &server, "POST", 409, SERVICE("Changed", "list again"), REACH_NEXT_FAIL, ERROR_CONFLICT,
		  "Changed: list again" },
		{ &server, "GET", 400, SERVICE("BadRequest", "no\\nsuch\\u001b[2J"), REACH_NEXT_FAIL, ERROR_INVALID,
		  "BadRequest: no such [2J" },
		{ &server, "GET", 200, "<html>", REACH_NEXT_FAIL, ERROR_RETRY,
		  "HTTP 200, but not an answer of the service came" },
		{ &server, "GET", 404, STATUS("NotFound", "x"), REACH_NEXT_FAIL, ERROR_RETRY,
		  "HTTP 404, but not an answer of the service came" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct error err = { 0 };
		enum reach_next next = judged(cases[i].place, cases[i].method, cases[i].status, cases[i].answer, &err);
		assert_string_equal(err.text, cases[i].says);
		assert_int_equal(next, cases[i].next);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

static void test_a_good_answer_is_done(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(judged(&proxy, "GET", 200, "{\"items\":[]}", &err), REACH_NEXT_DONE);
	assert_int_equal(judged(&server, "POST", 202, "{\"lastAudit\":null}", &err), REACH_NEXT_DONE);
}

static void test_silence_is_said_with_who_was_silent(void **state)
{
	struct reach_answer silence = { 0 };
	struct error err = { 0 };

	(void)state;
	error_set(&silence.error, ERROR_RETRY, "timed out");
	assert_int_equal(reach_judge(&server, "GET", "/v1/status", &silence, &err), REACH_NEXT_FAIL);
	assert_string_equal(err.text, "service at https://a:1: timed out");
	assert_int_equal(reach_judge(&proxy, "GET", "/v1/status", &silence, &err), REACH_NEXT_FAIL);
	assert_string_equal(err.text, "API server: timed out");
	reach_explain_token(&proxy, &silence, &err);
	assert_string_equal(err.text, "API server: timed out");
}

static void test_a_refused_token_says_what_is_missing(void **state)
{
	struct reach_answer none = answer_of(404, STATUS("NotFound", "x")),
			    no = answer_of(403, STATUS("Forbidden", "x"));
	struct error err = { 0 };

	(void)state;
	reach_explain_token(&proxy, &none, &err);
	assert_non_null(
		strstr(err.text, "there is no service account ns/ufmsync-reader: kubectl apply -k deploy/operator"));
	/* Not "not found": what was asked for may well exist. */
	assert_int_equal(err.kind, ERROR_INVALID);
	reach_explain_token(&proxy, &no, &err);
	assert_non_null(strstr(err.text, "verb create on serviceaccounts/token, name ufmsync-reader, in namespace ns"));
	assert_int_equal(err.kind, ERROR_AUTH);
	reach_answer_free(&none);
	reach_answer_free(&no);
}

static bool is_there(const char *path)
{
	return strstr(path, "there") != NULL;
}

static void test_kubeconfig_names_one_file_that_exists(void **state)
{
	struct error err = { 0 };
	char *path = NULL;

	(void)state;
	assert_int_equal(reach_choose_kubeconfig(&path, "/gone:/there::/gone2", is_there, &err), 0);
	assert_string_equal(path, "/there");
	free(path);
	assert_int_equal(reach_choose_kubeconfig(&path, "/gone", is_there, &err), 0);
	assert_null(path);
	assert_int_equal(reach_choose_kubeconfig(&path, "/there1:/there2", is_there, &err), -1);
	assert_non_null(strstr(err.text, "/there1 and /there2"));
}

static void test_paths_are_escaped(void **state)
{
	char *path = reach_path("/v1/attachments", "namespace", "a&b=c", "pod", NULL, "node", "n 1", NULL);
	char *more = reach_path("/v1/x?a=b", "limit", "5", NULL), *segment = reach_segment("../x");

	(void)state;
	assert_string_equal(path, "/v1/attachments?namespace=a%26b%3Dc&node=n%201");
	assert_string_equal(more, "/v1/x?a=b&limit=5");
	assert_string_equal(segment, "..%2Fx");
	free(path);
	free(more);
	free(segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer_says_what_it_means_and_what_to_do),
		cmocka_unit_test(test_a_good_answer_is_done),
		cmocka_unit_test(test_silence_is_said_with_who_was_silent),
		cmocka_unit_test(test_a_refused_token_says_what_is_missing),
		cmocka_unit_test(test_kubeconfig_names_one_file_that_exists),
		cmocka_unit_test(test_paths_are_escaped),
	};

	return cmocka_run_group_tests_name("ctl_reach", tests, NULL, NULL);
}
