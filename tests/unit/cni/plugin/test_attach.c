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
#include "cni/plugin/attach.h"

#define FULL    "{\"pkey\":\"0x5\",\"membership\":\"full\",\"index0\":true}"
#define LIMITED "{\"pkey\":\"0x7ffe\",\"membership\":\"limited\",\"index0\":false}"
#define GUID    "\"guid\":\"02:00:00:00:00:00:00:1a\""

static int parse(struct attach_answer *answer, const char *text, struct cni_error *err)
{
	bool elsewhere = true;
	int status = attach_answer_parse(answer, &elsewhere, text, strlen(text), err);

	assert_false(elsewhere);
	return status;
}

static void parsed(struct attach_answer *answer, const char *text)
{
	struct cni_error err;

	if (parse(answer, text, &err) < 0)
		fail_msg("%s", err.message);
}

static void broken(const char *text, const char *words)
{
	struct attach_answer answer;
	struct cni_error err = { 0 };

	if (parse(&answer, text, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, CNI_SERVICE_BROKEN);
	if (!strstr(err.message, words))
		fail_msg("'%s' not in: %s", words, err.message);
	assert_non_null(strstr(err.details, "releases"));
}

static void test_the_body_says_all_that_is_known(void **state)
{
	const struct attach_question question = {
		.pod_namespace = "team",
		.pod_name = "p-0",
		.pod_uid = "u\"1",
		.interface = "net1",
		.network_name = "ib\xff",
		.container_id = "c1",
		.node = "gpu-17",
		.guid_hint = "02:00:00:00:00:00:00:01",
		.pkey = "0x5",
	};
	struct error err;
	char *body = attach_body(&question);
	json_t *json = json_parse(body, strlen(body), &err);

	(void)state;
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 7);
	assert_int_equal(json_object_size(json_object_get(json, "pod")), 3);
	assert_string_equal(json_str(json, "pod", "namespace", NULL), "team");
	assert_string_equal(json_str(json, "pod", "name", NULL), "p-0");
	assert_string_equal(json_str(json, "pod", "uid", NULL), "u\"1");
	assert_string_equal(json_str(json, "interface", NULL), "net1");
	assert_string_equal(json_str(json, "networkName", NULL), "ib\xef\xbf\xbd");
	assert_string_equal(json_str(json, "containerID", NULL), "c1");
	assert_string_equal(json_str(json, "node", NULL), "gpu-17");
	assert_string_equal(json_str(json, "guid", NULL), "02:00:00:00:00:00:00:01");
	assert_string_equal(json_str(json, "pkey", NULL), "0x5");
	json_decref(json);
	free(body);
}

static void test_without_hints_they_are_empty(void **state)
{
	char *body = attach_body(&(struct attach_question){ .pod_uid = "u" });

	(void)state;
	assert_non_null(strstr(body, "\"guid\":\"\",\"pkey\":\"\""));
	free(body);
}

static void test_what_the_interface_gets_is_taken(void **state)
{
	struct attach_answer answer;

	(void)state;
	parsed(&answer, "{\"guid\":\"02:00:00:00:00:00:00:1A\",\"pkey\":\"5\",\"memberships\":[" FULL "," LIMITED
			"],\"new\":1}");
	assert_string_equal(answer.guid, "02:00:00:00:00:00:00:1a");
	assert_string_equal(answer.pkey, "5");
	assert_int_equal(answer.n_memberships, 2);
	assert_int_equal(answer.memberships[0].pkey, 5);
	assert_true(answer.memberships[0].full);
	assert_int_equal(answer.memberships[1].pkey, 0x7ffe);
	assert_false(answer.memberships[1].full);
	attach_answer_free(&answer);
}

static void test_a_network_without_a_pkey_gets_a_guid(void **state)
{
	struct attach_answer answer;

	(void)state;
	parsed(&answer, "{" GUID ",\"memberships\":[]}");
	assert_null(answer.pkey);
	assert_int_equal(answer.n_memberships, 0);
	attach_answer_free(&answer);
	parsed(&answer, "{" GUID ",\"pkey\":null,\"memberships\":[]}");
	assert_null(answer.pkey);
	attach_answer_free(&answer);
}

static void test_an_answer_that_is_not_as_agreed_is_refused(void **state)
{
	(void)state;
	broken("", "line 1");
	broken("[]", "not a JSON object");
	broken("{" GUID ",\"memberships\":[]} x", "line 1");
	broken("{\"memberships\":[]}", "guid");
	broken("{\"guid\":\"00:00:00:00:00:00:00:00\",\"memberships\":[]}", "guid");
	broken("{\"guid\":\"ff:ff:ff:ff:ff:ff:ff:ff\",\"memberships\":[]}", "guid");
	broken("{\"guid\":\"020000000000001a\",\"memberships\":[]}", "guid");
	broken("{\"guid\":7,\"memberships\":[]}", "guid");
	broken("{" GUID ",\"pkey\":5,\"memberships\":[" FULL "]}", "pkey is not a text");
	broken("{" GUID ",\"pkey\":\"\",\"memberships\":[" FULL "]}", "pkey is not a text");
	broken("{" GUID ",\"pkey\":\"0\\n5\",\"memberships\":[" FULL "]}", "pkey is not a text");
	broken("{" GUID ",\"pkey\":\"0\\u00005\",\"memberships\":[" FULL "]}", "pkey is not a text");
	broken("{" GUID ",\"pkey\":\"01234567890123456789012345678901234567890123456789012345678901234\","
	       "\"memberships\":[" FULL "]}",
	       "pkey is not a text");
}

static void test_memberships_are_checked_one_by_one(void **state)
{
	(void)state;
	broken("{" GUID ",\"pkey\":\"5\"}", "memberships");
	broken("{" GUID ",\"pkey\":\"5\",\"memberships\":{}}", "memberships");
	broken("{" GUID ",\"pkey\":\"5\",\"memberships\":[" FULL "," FULL "," FULL "]}", "at most two");
	broken("{" GUID ",\"pkey\":\"5\",\"memberships\":[]}", "do not fit");
	broken("{" GUID ",\"memberships\":[" FULL "]}", "do not fit");
	broken("{" GUID ",\"pkey\":\"5\",\"memberships\":[7]}", "0x1-0x7ffe");
	static const char *const bad[] = { "0x0", "0x7fff", "0x8005", "0x00005", "5", "0x", "0x5 ", "0X5", "0x-5", "" };
	for (size_t i = 0; i < array_length(bad); i++) {
		char *text = mem_printf("{" GUID
					",\"pkey\":\"5\",\"memberships\":[{\"pkey\":\"%s\",\"membership\":\"full\"}]}",
					bad[i]);
		broken(text, "0x1-0x7ffe");
		free(text);
	}
	broken("{" GUID ",\"pkey\":\"5\",\"memberships\":[{\"pkey\":\"0x5\"}]}", "full nor limited");
	broken("{" GUID ",\"pkey\":\"5\",\"memberships\":[{\"pkey\":\"0x5\",\"membership\":\"Full\"}]}",
	       "full nor limited");
}

/* --- decisions --- */

static void decided(const char *text, unsigned code, bool is_elsewhere, const char *message, const char *advice)
{
	struct attach_answer answer;
	struct cni_error err = { 0 };
	bool elsewhere = !is_elsewhere;

	assert_int_equal(attach_answer_parse(&answer, &elsewhere, text, strlen(text), &err), -1);
	assert_int_equal(err.code, code);
	assert_int_equal(elsewhere, is_elsewhere);
	assert_string_equal(err.message, message);
	if (!strstr(err.details, advice))
		fail_msg("'%s' not in: %s", advice, err.details);
}

static void test_a_decision_becomes_an_error_that_says_what_to_do(void **state)
{
	(void)state;
	decided("{\"error\":{\"code\":\"BadPKey\",\"message\":\"pkey 0x8005: no\",\"retry\":false}}", CNI_REFUSED,
		false, "BadPKey: pkey 0x8005: no", "Waiting will not help");
	decided("{\"error\":{\"code\":\"NotMember\",\"message\":\"UFM is away\",\"retry\":true}}", CNI_TRY_AGAIN, false,
		"NotMember: UFM is away", "tried again");
	decided("{\"error\":{\"code\":\"GUIDTaken\",\"message\":\"x\",\"retry\":true}}", CNI_TRY_AGAIN, false,
		"GUIDTaken: x", "tries again");
	decided("{\"error\":{\"code\":\"UnknownNetwork\",\"message\":\"x\",\"retry\":false}}", CNI_REFUSED, false,
		"UnknownNetwork: x", "NetworkAttachmentDefinition");
}

static void test_only_the_leader_can_tell_so_another_is_asked(void **state)
{
	(void)state;
	decided("{\"error\":{\"code\":\"NotLeader\",\"message\":\"ask a\",\"retry\":true}}", CNI_TRY_AGAIN, true,
		"NotLeader: ask a", "ufmsync-leader");
}

static void test_a_decision_wins_over_what_stands_beside_it(void **state)
{
	(void)state;
	decided("{" GUID ",\"memberships\":[],\"error\":{\"code\":\"X\",\"message\":\"y\",\"retry\":false}}",
		CNI_REFUSED, false, "X: y", "");
}

static void test_a_decision_that_is_not_as_agreed_is_refused(void **state)
{
	(void)state;
	broken("{\"error\":null}", "error is not");
	broken("{\"error\":{}}", "error is not");
	broken("{\"error\":{\"code\":\"X\",\"message\":\"y\"}}", "error is not");
	broken("{\"error\":{\"code\":\"X\",\"retry\":true}}", "error is not");
	broken("{\"error\":{\"code\":\"X Y\",\"message\":\"y\",\"retry\":true}}", "error is not");
	broken("{\"error\":{\"code\":\"\",\"message\":\"y\",\"retry\":true}}", "error is not");
}

/* --- other statuses --- */

static void status_is(int status, const char *body, unsigned code, const char *message, const char *advice)
{
	char name[] = "ufmsync.svc", token_path[] = "/etc/u/token";
	const struct node_file node = { .server_name = name, .token_path = token_path };
	struct cni_error err = { 0 };

	assert_int_equal(attach_status_error(&err, &node, status, body, strlen(body)), -1);
	assert_int_equal(err.code, code);
	if (!strstr(err.message, message))
		fail_msg("'%s' not in: %s", message, err.message);
	if (!strstr(err.details, advice))
		fail_msg("'%s' not in: %s", advice, err.details);
}

static void test_each_status_has_a_code_and_advice(void **state)
{
	(void)state;
	status_is(401, "{\"error\":{\"code\":\"Unauthenticated\",\"message\":\"expired\"}}", CNI_SERVICE_DENIED,
		  "HTTP 401): Unauthenticated: expired", "/etc/u/token is fresh");
	status_is(403, "", CNI_SERVICE_DENIED, "HTTP 403)", "UFMSYNC_ATTACH_SERVICE_ACCOUNTS");
	status_is(403, "", CNI_SERVICE_DENIED, "HTTP 403)", "runs on this node");
	status_is(429, "{}", CNI_TRY_AGAIN, "HTTP 429)", "tries again");
	status_is(503, "{\"error\":{\"code\":\"Busy\",\"message\":\"full\"}}", CNI_TRY_AGAIN, "(HTTP 503): Busy: full",
		  "tries");
	status_is(500, "<html>", CNI_TRY_AGAIN, "(HTTP 500)", "log");
	status_is(400, "{\"error\":{\"code\":\"Bad\",\"message\":\"no pod\"}}", CNI_SERVICE_BROKEN,
		  "HTTP 400: Bad: no pod", "releases");
	status_is(404, "", CNI_SERVICE_BROKEN, "HTTP 404", "ufmsync.svc");
	status_is(413, "", CNI_SERVICE_BROKEN, "HTTP 413", "");
	status_is(302, "", CNI_SERVICE_BROKEN, "HTTP 302", "");
}

static void test_a_probe_tells_whether_the_service_is_ready(void **state)
{
	static const char ready[] = "{\"ready\":true,\"leader\":\"a\",\"message\":\"\"}";
	static const char not_ready[] = "{\"ready\":false,\"leader\":\"\",\"message\":\"nobody leads\"}";
	struct cni_error err = { 0 };

	(void)state;
	assert_int_equal(attach_probe_parse(ready, strlen(ready), &err), 0);
	assert_int_equal(attach_probe_parse(not_ready, strlen(not_ready), &err), -1);
	assert_int_equal(err.code, CNI_STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.message, "nobody leads"));
	assert_int_equal(attach_probe_parse("{}", 2, &err), -1);
	assert_int_equal(err.code, CNI_SERVICE_BROKEN);
	assert_int_equal(attach_probe_parse("x", 1, &err), -1);
	assert_int_equal(err.code, CNI_SERVICE_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_body_says_all_that_is_known),
		cmocka_unit_test(test_without_hints_they_are_empty),
		cmocka_unit_test(test_what_the_interface_gets_is_taken),
		cmocka_unit_test(test_a_network_without_a_pkey_gets_a_guid),
		cmocka_unit_test(test_an_answer_that_is_not_as_agreed_is_refused),
		cmocka_unit_test(test_memberships_are_checked_one_by_one),
		cmocka_unit_test(test_a_decision_becomes_an_error_that_says_what_to_do),
		cmocka_unit_test(test_only_the_leader_can_tell_so_another_is_asked),
		cmocka_unit_test(test_a_decision_wins_over_what_stands_beside_it),
		cmocka_unit_test(test_a_decision_that_is_not_as_agreed_is_refused),
		cmocka_unit_test(test_each_status_has_a_code_and_advice),
		cmocka_unit_test(test_a_probe_tells_whether_the_service_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
