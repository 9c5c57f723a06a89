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
#include "ufmsync/ctl/credential.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *object = json_parse(text, strlen(text), &err);

	assert_non_null(object);
	return object;
}

#define V1     "\"apiVersion\":\"client.authentication.k8s.io/v1\""
#define USER   "{\"exec\":{" V1 ",\"command\":\"x\"}}"
#define CREDIT "{\"kind\":\"ExecCredential\"," V1

static void test_the_user_is_that_of_the_context(void **state)
{
	json_t *root = parse("{\"current-context\":\"b\",\"contexts\":[{\"name\":\"a\",\"context\":{\"user\":\"one\"}},"
			     "{\"name\":\"b\",\"context\":{\"user\":\"two\"}},{\"name\":\"c\"}],"
			     "\"users\":[{\"name\":\"one\",\"user\":{\"token\":\"x\"}},{\"name\":\"two\",\"user\":" USER
			     "}]}");

	(void)state;
	assert_true(credential_has_plugin(credential_user(root, NULL)));
	assert_true(credential_has_plugin(credential_user(root, "b")));
	assert_false(credential_has_plugin(credential_user(root, "a")));
	assert_null(credential_user(root, "c"));
	assert_null(credential_user(root, "d"));
	assert_null(credential_user(NULL, NULL));
	json_decref(root);
}

static int take(json_t *user, const char *text, int64_t *until_ms, struct error *err)
{
	return credential_take(user, text, strlen(text), until_ms, err);
}

static void test_what_a_plugin_gives_takes_its_place(void **state)
{
	json_t *user = parse(USER);
	struct error err;
	int64_t until_ms;

	(void)state;
	assert_int_equal(take(user,
			      CREDIT
			      ",\"status\":{\"token\":\"secret\",\"expirationTimestamp\":\"1970-01-01T00:00:05Z\"}}",
			      &until_ms, &err),
			 0);
	assert_int_equal(until_ms, 5000);
	assert_string_equal(json_str(user, "token", NULL), "secret");
	assert_false(credential_has_plugin(user));
	json_decref(user);
	user = parse(USER);
	assert_int_equal(take(user, CREDIT ",\"status\":{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}}",
			      &until_ms, &err),
			 0);
	assert_true(until_ms == INT64_MAX);
	assert_string_equal(json_str(user, "client-certificate-data", NULL), "c");
	assert_string_equal(json_str(user, "client-key-data", NULL), "k");
	json_decref(user);
}

static void test_anything_else_is_refused_and_not_repeated(void **state)
{
	static const char *const bad[] = {
		"",
		"secret",
		"{\"token\":\"secret\"}",
		CREDIT "}",
		CREDIT ",\"status\":{\"token\":\"\"}}",
		CREDIT ",\"status\":{\"clientCertificateData\":\"secret\"}}",
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"other\",\"status\":{\"token\":\"secret\"}}"
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		json_t *user = parse(USER);
		struct error err = { 0 };
		int64_t until_ms;

		assert_int_equal(take(user, bad[i], &until_ms, &err), -1);
		assert_null(strstr(err.text, "secret"));
		assert_true(credential_has_plugin(user));
		json_decref(user);
	}
}

static void test_a_plugin_is_told_whether_it_may_ask(void **state)
{
	json_t *user = parse(USER);
	char *request = credential_request(json_object_get(user, "exec"), true);

	(void)state;
	assert_string_equal(request, CREDIT ",\"spec\":{\"interactive\":true}}");
	free(request);
	json_decref(user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_user_is_that_of_the_context),
		cmocka_unit_test(test_what_a_plugin_gives_takes_its_place),
		cmocka_unit_test(test_anything_else_is_refused_and_not_repeated),
		cmocka_unit_test(test_a_plugin_is_told_whether_it_may_ask),
	};

	return cmocka_run_group_tests_name("ctl_credential", tests, NULL, NULL);
}
