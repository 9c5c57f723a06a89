// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/webhook/attach_request.h"

#define POD       "\"pod\":{\"namespace\":\"ns\",\"name\":\"p-0.x\",\"uid\":\"0a-F\"}"
#define INTERFACE "\"interface\":\"net1\""
#define NETWORK   "\"networkName\":\"ib\""
#define ALL       POD "," INTERFACE "," NETWORK
#define TEXT_63   "012345678901234567890123456789012345678901234567890123456789012"
#define TEXT_64   TEXT_63 "3"
#define TEXT_255  TEXT_64 TEXT_64 TEXT_64 TEXT_63
#define TEXT_256  TEXT_64 TEXT_64 TEXT_64 TEXT_64
#define A_POD(ns, name, uid)                                                                                           \
	"{\"pod\":{\"namespace\":" ns ",\"name\":" name ",\"uid\":" uid "}," INTERFACE "," NETWORK "}"

static struct attach_request *parse(const char *body)
{
	struct attach_request *request = NULL;
	struct error err = { 0 };

	if (attach_request_parse(&request, body, strlen(body), &err) < 0)
		fail_msg("%s: %s", body, err.text);
	return request;
}

static void refused(const char *body, const char *words)
{
	struct attach_request *request = NULL;
	struct error err = { 0 };

	if (attach_request_parse(&request, body, strlen(body), &err) == 0)
		fail_msg("accepted: %s", body);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_null(request);
	if (!strstr(err.text, words))
		fail_msg("%s: not about %s: %s", body, words, err.text);
}

static void test_what_a_plugin_says_is_read(void **state)
{
	struct attach_request *request =
		parse("{" ALL ",\"guid\":\"02:00:00:00:00:00:00:0A\",\"containerID\":\"c\",\"node\":\"n.1\"}");

	(void)state;
	assert_string_equal(request->namespace, "ns");
	assert_string_equal(request->name, "p-0.x");
	assert_string_equal(request->uid, "0a-F");
	assert_string_equal(request->interface, "net1");
	assert_string_equal(request->network_name, "ib");
	assert_true(request->has_hint);
	assert_true(request->hint.v == 0x020000000000000au);
	uint64_t sandbox = request->sandbox;
	free(request);
	request = parse("{" ALL ",\"containerID\":\"d\"}");
	assert_true(sandbox != 0 && request->sandbox != 0 && request->sandbox != sandbox);
	free(request);
	request = parse("{" ALL "}");
	assert_true(request->sandbox == 0);
	free(request);
}

static void test_what_only_a_newer_plugin_says_is_left_alone(void **state)
{
	(void)state;
	free(parse("{" ALL ",\"more\":{\"a\":[1]},\"pods\":1}"));
	free(parse("{" ALL ",\"guid\":null,\"containerID\":null,\"node\":null}"));
	free(parse("{" ALL ",\"containerID\":\"\",\"node\":\"\"}"));
}

static void test_a_hint_that_is_no_guid_is_no_hint(void **state)
{
	static const char *const hints[] = { "\"\"",
					     "\"02:00\"",
					     "1",
					     "{}",
					     "\"00:00:00:00:00:00:00:00\"",
					     "\"ff:ff:ff:ff:ff:ff:ff:ff\"",
					     "\"02:00:00:00:00:00:00:0a\\u0000\"" };
	char *body;

	(void)state;
	for (size_t i = 0; i < array_length(hints); i++) {
		body = mem_printf("{" ALL ",\"guid\":%s}", hints[i]);
		struct attach_request *request = parse(body);
		assert_false(request->has_hint);
		free(request);
		free(body);
	}
	struct attach_request *request = parse("{" ALL ",\"guid\":\"0x020000000000000A\"}");
	assert_true(request->has_hint);
	free(request);
}

static void test_a_pkey_that_is_none_is_no_hint(void **state)
{
	static const struct {
		const char *text;
		uint16_t pkey;
	} cases[] = { { "\"0x5\"", 5 }, { "\"1000\"", 1000 }, { "\"0x8005\"", 0 }, { "\"5x\"", 0 },
		      { "\"\"", 0 },    { "5", 0 },           { "null", 0 },       { "\"0x5\\u0000\"", 0 } };

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char *body = mem_printf("{" ALL ",\"pkey\":%s}", cases[i].text);
		struct attach_request *request = parse(body);
		assert_int_equal(request->pkey.v, cases[i].pkey);
		free(request);
		free(body);
	}
}

static void test_what_is_no_such_object_is_refused(void **state)
{
	(void)state;
	refused("", "line");
	refused("[]", "object");
	refused("null", "");
	refused("{" ALL "} x", "line");
	refused("{" ALL "," NETWORK "}", "duplicate");
	refused("{}", "pod.namespace is missing");
	refused("{\"pod\":[]," INTERFACE "," NETWORK "}", "pod.namespace is missing");
	refused("{" POD "," NETWORK "}", "interface is missing");
	refused("{" POD "," INTERFACE "}", "networkName is missing");
}

static void test_names_that_mean_something_in_a_url_are_refused(void **state)
{
	static const char *const names[] = { "\"\"",     "\"a/b\"",       "\"..\"",      "\".\"",
					     "\"a..b\"", "\"-a\"",        "\"a-\"",      "\"A\"",
					     "\"a b\"",  "\"a%2fb\"",     "\"a?b\"",     "\"a#b\"",
					     "1",        "\"a\\u0000b\"", "\"\\u00e4\"", "\"" TEXT_256 "\"",
					     "\".a\"",   "\"a.\"" };
	char *body;

	(void)state;
	for (size_t i = 0; i < array_length(names); i++) {
		body = mem_printf(A_POD("%s", "\"p\"", "\"u\""), names[i]);
		refused(body, "pod.namespace is not");
		free(body);
		body = mem_printf(A_POD("\"n\"", "%s", "\"u\""), names[i]);
		refused(body, "pod.name is not");
		free(body);
	}
	refused(A_POD("\"a.b\"", "\"p\"", "\"u\""), "pod.namespace is not");
	refused(A_POD("\"" TEXT_64 "\"", "\"p\"", "\"u\""), "pod.namespace is not");
	free(parse(A_POD("\"n\"", "\"" TEXT_64 ".a\"", "\"u\"")));
}

static void test_each_text_has_its_bound(void **state)
{
	(void)state;
	free(parse(A_POD("\"n\"", "\"p\"", "\"" TEXT_64 "\"")));
	refused(A_POD("\"n\"", "\"p\"", "\"" TEXT_64 "x\""), "pod.uid is not");
	refused(A_POD("\"n\"", "\"p\"", "\"a_b\""), "pod.uid is not");
	refused(A_POD("\"n\"", "\"p\"", "\"\""), "pod.uid is not");
	free(parse("{" POD "," NETWORK ",\"interface\":\"123456789012345\"}"));
	refused("{" POD "," NETWORK ",\"interface\":\"1234567890123456\"}", "interface is not");
	refused("{" POD "," NETWORK ",\"interface\":\"a/b\"}", "interface is not");
	refused("{" POD "," NETWORK ",\"interface\":\"..\"}", "interface is not");
	refused("{" POD "," NETWORK ",\"interface\":\"\"}", "interface is not");
	refused("{" POD "," INTERFACE ",\"networkName\":\"\"}", "networkName is not");
	refused("{" POD "," INTERFACE ",\"networkName\":\"a\\nb\"}", "networkName is not");
	refused("{" POD "," INTERFACE ",\"networkName\":\"" TEXT_256 "\"}", "networkName is not");
	/* As long as the plugin takes them. */
	free(parse("{" ALL ",\"containerID\":\"" TEXT_255 "\"}"));
	refused("{" ALL ",\"containerID\":\"" TEXT_256 "\"}", "containerID is not");
	refused("{" ALL ",\"containerID\":1}", "containerID is not");
	refused("{" ALL ",\"node\":\"" TEXT_256 "\"}", "node is not");
	refused("{" ALL ",\"node\":\"a/b\"}", "node is not");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_plugin_says_is_read),
		cmocka_unit_test(test_what_only_a_newer_plugin_says_is_left_alone),
		cmocka_unit_test(test_a_hint_that_is_no_guid_is_no_hint),
		cmocka_unit_test(test_a_pkey_that_is_none_is_no_hint),
		cmocka_unit_test(test_what_is_no_such_object_is_refused),
		cmocka_unit_test(test_names_that_mean_something_in_a_url_are_refused),
		cmocka_unit_test(test_each_text_has_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
