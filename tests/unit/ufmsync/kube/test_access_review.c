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
#include "ufmsync/kube/access_review.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s: %s", err.text, text);
	return json;
}

static void test_only_what_may_be_a_token_is_worth_a_review(void **state)
{
	char *large = mem_alloc(ACCESS_TOKEN_MAX + 2);

	(void)state;
	assert_true(access_token_is_sane("abc.DEF-_~+/="));
	assert_false(access_token_is_sane(""));
	assert_false(access_token_is_sane("a b"));
	assert_false(access_token_is_sane("a\n"));
	assert_false(access_token_is_sane("a\x7f"));
	assert_false(access_token_is_sane("\xc3\xa9"));
	memset(large, 'x', ACCESS_TOKEN_MAX);
	assert_true(access_token_is_sane(large));
	large[ACCESS_TOKEN_MAX] = 'x';
	assert_false(access_token_is_sane(large));
	free(large);
}

static void test_only_what_a_rule_could_name_is_asked_about(void **state)
{
	char *large = mem_alloc(ACCESS_PATH_MAX + 2);

	(void)state;
	assert_true(access_request_is_sane("POST", "/v1/attach"));
	assert_false(access_request_is_sane("", "/v1/attach"));
	assert_false(access_request_is_sane("GE\"T", "/v1/attach"));
	assert_false(access_request_is_sane("AVERYVERYLONGMETHOD", "/v1/attach"));
	assert_false(access_request_is_sane("GET", ""));
	assert_false(access_request_is_sane("GET", "v1"));
	assert_false(access_request_is_sane("GET", "/\xff"));
	memset(large, '/', ACCESS_PATH_MAX);
	assert_true(access_request_is_sane("GET", large));
	large[ACCESS_PATH_MAX] = '/';
	assert_false(access_request_is_sane("GET", large));
	free(large);
}

static void test_a_jwt_says_when_it_ends(void **state)
{
	static const struct {
		const char *token;
		int64_t end_ms;
	} cases[] = {
		{ "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3NjAwMDAwMDB9.c2ln", 1760000000000 }, /* {"exp":1760000000} */
		{ "h.eyJleHAiOiAxLjV9.s", 1500 },                                        /* {"exp": 1.5} */
		{ "h.eyJleHAiOjB9.s", 0 },                                               /* {"exp":0} */
		{ "h.eyJleHAiOi0xfQ.s", INT64_MAX },                                     /* {"exp":-1} */
		{ "h.eyJleHAiOjFlMzAwfQ.s", INT64_MAX },                                 /* {"exp":1e300} */
		{ "h.eyJleHAiOiIxIn0.s", INT64_MAX },                                    /* {"exp":"1"} */
		{ "h.e30.s", INT64_MAX },                                                /* {} */
		{ "h.W10.s", INT64_MAX },                                                /* [] */
		{ "h.eyJ.s", INT64_MAX },                                                /* cut */
		{ "h.eyJleHAiOjB9!.s", INT64_MAX },
		{ "h..s", INT64_MAX },
		{ "h.eyJleHAiOjB9", INT64_MAX },
		{ "h.eyJleHAiOjB9.s.t", INT64_MAX },
		{ "static-token", INT64_MAX },
		{ "", INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		int64_t end_ms = access_token_end_ms(cases[i].token);
		if (end_ms != cases[i].end_ms)
			fail_msg("%s: %lld", cases[i].token, (long long)end_ms);
	}
}

static void test_a_token_is_asked_about_for_our_audience_or_none(void **state)
{
	char *body = access_token_review("a.b.c", true);

	(void)state;
	assert_string_equal(body, "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{"
				  "\"audiences\":[\"ufmsync\"],\"token\":\"a.b.c\"}}");
	free(body);
	body = access_token_review("quote\"d", false);
	assert_string_equal(body, "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{"
				  "\"token\":\"quote\\\"d\"}}");
	free(body);
}

static enum access_says take(struct access_user *user, const char *status, bool audience)
{
	char *text = mem_printf("{\"kind\":\"TokenReview\",\"status\":%s}", status);
	json_t *review = parse(text);
	struct error err;

	*user = (struct access_user){ 0 };
	enum access_says says = access_token_answer(user, review, audience, &err);
	json_decref(review);
	free(text);
	return says;
}

static enum access_says says(const char *status, bool audience)
{
	struct access_user user;
	enum access_says result = take(&user, status, audience);

	access_user_free(&user);
	return result;
}

static void test_a_yes_counts_only_for_the_audience_that_it_names(void **state)
{
	(void)state;
	assert_int_equal(
		says("{\"authenticated\":true,\"user\":{\"username\":\"u\"},\"audiences\":[\"x\",\"ufmsync\"]}", true),
		ACCESS_YES);
	assert_int_equal(says("{\"authenticated\":true,\"user\":{\"username\":\"u\"}}", false), ACCESS_YES);
	assert_int_equal(says("{\"authenticated\":true,\"user\":{\"username\":\"u\"}}", true), ACCESS_NO);
	assert_int_equal(says("{\"authenticated\":true,\"user\":{\"username\":\"u\"},\"audiences\":[\"x\"]}", true),
			 ACCESS_NO);
	assert_int_equal(says("{\"authenticated\":true,\"user\":{\"username\":\"u\"},\"audiences\":\"ufmsync\"}", true),
			 ACCESS_NO);
	assert_int_equal(says("{\"authenticated\":false,\"user\":{\"username\":\"u\"}}", false), ACCESS_NO);
	assert_int_equal(says("{\"authenticated\":\"true\",\"user\":{\"username\":\"u\"}}", false), ACCESS_NO);
	assert_int_equal(says("{\"user\":{},\"error\":\"[invalid bearer token]\"}", false), ACCESS_NO);
}

static void test_what_is_no_review_is_never_a_yes(void **state)
{
	static const char *const answers[] = {
		"{}",
		"[]",
		"{\"kind\":\"TokenReview\"}",
		"{\"kind\":\"TokenReview\",\"status\":true}",
		"{\"kind\":\"Status\",\"status\":{\"authenticated\":true,\"user\":{\"username\":\"u\"}}}",
	};
	static const char *const users[] = {
		"{}",
		"\"u\"",
		"{\"username\":\"\"}",
		"{\"username\":7}",
		"{\"username\":\"a\\u0000b\"}",
		"{\"username\":\"u\",\"uid\":1}",
		"{\"username\":\"u\",\"groups\":\"g\"}",
		"{\"username\":\"u\",\"groups\":[1]}",
		"{\"username\":\"u\",\"extra\":[]}",
		"{\"username\":\"u\",\"extra\":{\"k\":\"v\"}}",
		"{\"username\":\"u\",\"extra\":{\"k\":[{}]}}",
	};
	struct access_user user;
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_length(answers); i++) {
		json_t *json = parse(answers[i]);
		assert_int_equal(access_token_answer(&user, json, false, &err), ACCESS_BAD);
		assert_int_equal(err.kind, ERROR_RETRY);
		json_decref(json);
	}
	assert_int_equal(access_token_answer(&user, NULL, false, &err), ACCESS_BAD);
	for (size_t i = 0; i < array_length(users); i++) {
		char *status = mem_printf("{\"authenticated\":true,\"user\":%s}", users[i]);
		assert_int_equal(says(status, false), ACCESS_BAD);
		free(status);
	}
}

static void test_a_user_larger_than_what_is_kept_is_not_taken(void **state)
{
	char *group = mem_alloc(ACCESS_USER_MAX + 1);
	(void)state;
	memset(group, 'g', ACCESS_USER_MAX);
	char *status = mem_printf("{\"authenticated\":true,\"user\":{\"username\":\"u\",\"groups\":[\"%s\"]}}", group);
	assert_int_equal(says(status, false), ACCESS_BAD);
	free(status);
	free(group);
}

#define EXTRAS                                                                                                         \
	"{\"authentication.kubernetes.io/node-name\":[\"n1\"],\"authentication.kubernetes.io/pod-name\":[\"p\"],"      \
	"\"authentication.kubernetes.io/pod-uid\":[\"u-1\"]}"

static void test_a_service_accounts_node_and_pod_are_in_its_extras(void **state)
{
	struct access_user user;

	(void)state;
	assert_int_equal(
		take(&user,
		     "{\"authenticated\":true,\"user\":{\"username\":\"system:serviceaccount:ns:cni\",\"extra\":" EXTRAS
		     "}}",
		     false),
		ACCESS_YES);
	assert_string_equal(user.name, "system:serviceaccount:ns:cni");
	assert_string_equal(user.node, "n1");
	assert_string_equal(user.namespace, "ns");
	assert_string_equal(user.pod, "p");
	assert_string_equal(user.uid, "u-1");
	char *path = access_pod_path(&user);
	assert_string_equal(path, "/api/v1/namespaces/ns/pods/p");
	free(path);
	access_user_free(&user);
}

static void test_nobody_elses_extras_are_believed(void **state)
{
	static const char *const names[] = {
		"joe",
		"system:node:n1",
		"system:serviceaccount:ns",
		"system:serviceaccount:ns:",
		"system:serviceaccount::cni",
		"system:serviceaccount:ns:cni:x",
		"system:serviceaccount:../x:cni",
		"system:serviceaccount:a/b:cni",
		"xsystem:serviceaccount:ns:cni",
	};

	(void)state;
	for (size_t i = 0; i < array_length(names); i++) {
		struct access_user user;
		char *status = mem_printf(
			"{\"authenticated\":true,\"user\":{\"username\":\"%s\",\"extra\":" EXTRAS "}}", names[i]);

		assert_int_equal(take(&user, status, false), ACCESS_YES);
		if (user.node || user.pod)
			fail_msg("%s", names[i]);
		access_user_free(&user);
		free(status);
	}
}

static void test_extras_that_are_not_one_name_are_none(void **state)
{
	static const char *const extras[] = {
		"{\"authentication.kubernetes.io/node-name\":[]}",
		"{\"authentication.kubernetes.io/node-name\":[\"a\",\"b\"]}",
		"{\"authentication.kubernetes.io/node-name\":[\"\"]}",
		"{\"authentication.kubernetes.io/pod-name\":[\"p\"]}",
		"{\"authentication.kubernetes.io/pod-uid\":[\"u\"]}",
		"{\"authentication.kubernetes.io/pod-name\":[\"../x\"],\"authentication.kubernetes.io/"
		"pod-uid\":[\"u\"]}",
		"{\"authentication.kubernetes.io/pod-name\":[\"p?q\"],\"authentication.kubernetes.io/"
		"pod-uid\":[\"u\"]}",
		"null",
	};

	(void)state;
	for (size_t i = 0; i < array_length(extras); i++) {
		struct access_user user;
		char *status = mem_printf("{\"authenticated\":true,\"user\":{\"username\":"
					  "\"system:serviceaccount:ns:cni\",\"extra\":%s}}",
					  extras[i]);

		assert_int_equal(take(&user, status, false), ACCESS_YES);
		if (user.node || user.pod || user.uid || user.namespace)
			fail_msg("%s", extras[i]);
		access_user_free(&user);
		free(status);
	}
}

static void test_a_user_is_asked_about_as_the_token_review_gave_it(void **state)
{
	struct access_user user;

	(void)state;
	assert_int_equal(
		take(&user,
		     "{\"authenticated\":true,\"user\":{\"username\":\"jo\\\"e\",\"uid\":\"7\",\"groups\":[\"g\","
		     "\"h\"],\"extra\":{\"k\":[\"v\"]}}}",
		     false),
		ACCESS_YES);
	char *body = access_subject_review(&user, "POST", "/v1/a\"b");
	assert_string_equal(
		body, "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{"
		      "\"nonResourceAttributes\":{\"path\":\"/v1/a\\\"b\",\"verb\":\"post\"},\"user\":\"jo\\\"e\","
		      "\"uid\":\"7\",\"groups\":[\"g\",\"h\"],\"extra\":{\"k\":[\"v\"]}}}");
	free(body);
	access_user_free(&user);
	assert_int_equal(take(&user, "{\"authenticated\":true,\"user\":{\"username\":\"joe\",\"groups\":null}}", false),
			 ACCESS_YES);
	body = access_subject_review(&user, "GET", "/");
	assert_non_null(strstr(body, "\"verb\":\"get\"},\"user\":\"joe\"}}"));
	free(body);
	access_user_free(&user);
}

static enum access_says allowed(const char *text, char **reason)
{
	json_t *review = parse(text);
	struct error err;

	free(*reason);
	*reason = NULL;
	enum access_says result = access_subject_answer(reason, review, &err);
	json_decref(review);
	return result;
}

#define SAR(status) "{\"kind\":\"SubjectAccessReview\",\"status\":" status "}"

static void test_only_a_plain_allowed_allows(void **state)
{
	char *reason = NULL;

	(void)state;
	assert_int_equal(allowed(SAR("{\"allowed\":true,\"reason\":\"RBAC: x\"}"), &reason), ACCESS_YES);
	assert_null(reason);
	assert_int_equal(allowed(SAR("{\"allowed\":false}"), &reason), ACCESS_NO);
	assert_string_equal(reason, "");
	assert_int_equal(allowed(SAR("{\"allowed\":false,\"reason\":\"no\\nway\"}"), &reason), ACCESS_NO);
	assert_string_equal(reason, "no?way");
	assert_int_equal(allowed(SAR("{\"allowed\":false,\"evaluationError\":\"role missing\"}"), &reason), ACCESS_NO);
	assert_string_equal(reason, "role missing");
	assert_int_equal(allowed(SAR("{\"allowed\":true,\"denied\":true}"), &reason), ACCESS_NO);
	assert_int_equal(allowed(SAR("{\"allowed\":\"true\"}"), &reason), ACCESS_BAD);
	assert_int_equal(allowed(SAR("{}"), &reason), ACCESS_BAD);
	assert_int_equal(allowed("{\"kind\":\"TokenReview\",\"status\":{\"allowed\":true}}", &reason), ACCESS_BAD);
	free(reason);
}

static enum access_says where(const char *text, char **node)
{
	const struct access_user user = { .uid = (char *)"u-1" };
	json_t *pod = parse(text);
	struct error err;

	free(*node);
	*node = NULL;
	enum access_says result = access_pod_answer(node, &user, pod, &err);
	json_decref(pod);
	return result;
}

static void test_the_pods_node_counts_when_it_is_that_very_pod(void **state)
{
	char *node = NULL;

	(void)state;
	assert_int_equal(where("{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"nodeName\":\"n1\"}}", &node), ACCESS_YES);
	assert_string_equal(node, "n1");
	assert_int_equal(where("{\"metadata\":{\"uid\":\"u-2\"},\"spec\":{\"nodeName\":\"n1\"}}", &node), ACCESS_NO);
	assert_int_equal(where("{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{}}", &node), ACCESS_NO);
	assert_int_equal(where("{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"nodeName\":\"\"}}", &node), ACCESS_NO);
	assert_int_equal(where("{\"spec\":{\"nodeName\":\"n1\"}}", &node), ACCESS_BAD);
	assert_null(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_may_be_a_token_is_worth_a_review),
		cmocka_unit_test(test_only_what_a_rule_could_name_is_asked_about),
		cmocka_unit_test(test_a_jwt_says_when_it_ends),
		cmocka_unit_test(test_a_token_is_asked_about_for_our_audience_or_none),
		cmocka_unit_test(test_a_yes_counts_only_for_the_audience_that_it_names),
		cmocka_unit_test(test_what_is_no_review_is_never_a_yes),
		cmocka_unit_test(test_a_user_larger_than_what_is_kept_is_not_taken),
		cmocka_unit_test(test_a_service_accounts_node_and_pod_are_in_its_extras),
		cmocka_unit_test(test_nobody_elses_extras_are_believed),
		cmocka_unit_test(test_extras_that_are_not_one_name_are_none),
		cmocka_unit_test(test_a_user_is_asked_about_as_the_token_review_gave_it),
		cmocka_unit_test(test_only_a_plain_allowed_allows),
		cmocka_unit_test(test_the_pods_node_counts_when_it_is_that_very_pod),
	};
	return cmocka_run_group_tests_name("access_review", tests, NULL, NULL);
}
