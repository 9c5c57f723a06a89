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
#include "cni/plugin/netconf.h"

#define HEAD "\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"type\":\"ufmsync\""
#define GUID "02:00:00:00:00:00:00:1a"

static const struct netconf_given given = { .guid = GUID, .pkey = "0x5" };

static void parse(struct netconf *conf, const char *text)
{
	struct cni_error err;

	if (netconf_parse(conf, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", text, err.message);
}

/* What the delegate gets, as text. */
static void assert_delegate(const char *text, const struct netconf_given *with, const char *expected)
{
	struct netconf conf;

	parse(&conf, text);
	char *config = netconf_for_delegate(&conf, with);
	assert_string_equal(config, expected);
	free(config);
	netconf_free(&conf);
}

static void assert_refused(const char *text, unsigned code, const char *names)
{
	struct netconf conf;
	struct cni_error err;

	if (netconf_parse(&conf, text, strlen(text), &err) == 0)
		fail_msg("accepted %s", text);
	if (err.code != code || !strstr(err.message, names))
		fail_msg("%s: code %u: %s", text, err.code, err.message);
	netconf_free(&conf);
}

static void test_a_delegate_object_gets_what_stands_beside_it(void **state)
{
	struct netconf conf;

	(void)state;
	parse(&conf, "{" HEAD ",\"delegate\":{\"type\":\"ib-sriov\",\"pkey\":\"0x5\"},\"deviceID\":\"0000:3b:00.2\"}");
	assert_string_equal(conf.version, "1.0.0");
	assert_string_equal(conf.name, "ib");
	assert_string_equal(conf.delegate_type, "ib-sriov");
	assert_string_equal(conf.device, "0000:3b:00.2");
	assert_null(conf.guid_hint);
	netconf_free(&conf);
	netconf_free(&conf);

	assert_delegate(
		"{" HEAD ",\"verify\":true,\"verifyTimeout\":\"1s\",\"delegate\":{\"type\":\"ib-sriov\",\"pkey\":"
		"\"0x5\"},\"pciBusID\":\"0000:3b:00.2\",\"capabilities\":{\"infinibandGUID\":true},\"ipam\":{\"type\":"
		"\"whereabouts\"},\"prevResult\":{\"ips\":[]}}",
		NULL,
		"{\"type\":\"ib-sriov\",\"pkey\":\"0x5\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"pciBusID\":"
		"\"0000:3b:00.2\",\"capabilities\":{\"infinibandGUID\":true},\"ipam\":{\"type\":\"whereabouts\"},"
		"\"prevResult\":{\"ips\":[]}}");
}

static void test_a_flat_delegate_is_the_same_config_under_its_own_type(void **state)
{
	(void)state;
	assert_delegate("{" HEAD ",\"delegate\":\"ib-sriov\",\"pkey\":\"0x5\",\"verify\":false,\"link_state\":\"auto\","
			"\"big\":[1,2.5,null]}",
			NULL,
			"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"pkey\":\"0x5\",\"link_"
			"state\":\"auto\","
			"\"big\":[1,2.5,null]}");
}

static void test_a_delegate_object_without_type_is_ib_sriov(void **state)
{
	/* As the service reads it. */
	(void)state;
	assert_delegate("{" HEAD ",\"delegate\":{\"pkey\":\"0x5\"}}", NULL,
			"{\"pkey\":\"0x5\",\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\"}");
}

static void test_the_delegates_own_fields_win_but_for_what_is_injected(void **state)
{
	(void)state;
	assert_delegate(
		"{" HEAD
		",\"delegate\":{\"type\":\"ib-sriov\",\"cniVersion\":\"0.3.1\",\"name\":\"own\",\"pkey\":\"0x5\","
		"\"deviceID\":\"own\",\"pciBusID\":\"own\",\"prevResult\":{\"own\":1},\"cni.dev/"
		"valid-attachments\":[1]},"
		"\"pkey\":\"0x6\",\"deviceID\":\"0000:3b:00.2\",\"pciBusID\":\"0000:3b:00.2\",\"prevResult\":{\"ips\":["
		"]},"
		"\"cni.dev/valid-attachments\":[]}",
		NULL,
		"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"pkey\":\"0x5\",\"deviceID\":"
		"\"0000:3b:00.2\",\"pciBusID\":\"0000:3b:00.2\",\"prevResult\":{\"ips\":[]},"
		"\"cni.dev/valid-attachments\":[]}");
}

static void test_args_and_runtime_config_are_merged_as_multus_merges(void **state)
{
	(void)state;
	assert_delegate(
		"{" HEAD ",\"delegate\":{\"type\":\"ib-sriov\",\"args\":{\"cni\":{\"own\":\"1\",\"pkey\":\"0x5\"}},"
		"\"runtimeConfig\":{\"mac\":\"own\"}},\"args\":{\"cni\":{\"pkey\":\"0x6\",\"new\":\"2\"},\"x\":1},"
		"\"runtimeConfig\":{\"infinibandGUID\":\"g\"}}",
		NULL,
		"{\"type\":\"ib-sriov\",\"args\":{\"cni\":{\"own\":\"1\",\"pkey\":\"0x6\",\"new\":\"2\"},\"x\":1},"
		"\"runtimeConfig\":{\"mac\":\"own\",\"infinibandGUID\":\"g\"},\"cniVersion\":\"1.0.0\",\"name\":"
		"\"ib\"}");
}

static void test_what_the_service_gave_is_put_in_as_text(void **state)
{
	static const struct netconf_given without_pkey = { .guid = GUID };

	(void)state;
	assert_delegate(
		"{" HEAD ",\"delegate\":\"ib-sriov\"}", &given,
		"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"args\":{\"cni\":{\"guid\":\"" GUID
		"\",\"pkey\":\"0x5\",\"mellanox.infiniband.app\":\"configured\"}},\"runtimeConfig\":{"
		"\"infinibandGUID\":"
		"\"" GUID "\"}}");
	/* What stood there is replaced, whoever wrote it. */
	assert_delegate(
		"{" HEAD
		",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":{\"guid\":\"02:00:00:00:00:00:00:ff\",\"pkey\":\"0x7\","
		"\"mellanox.infiniband.app\":\"no\",\"a\":\"b\"}},\"runtimeConfig\":{\"infinibandGUID\":"
		"\"02:00:00:00:00:00:00:ff\",\"mac\":\"m\"}}",
		&without_pkey,
		"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"args\":{\"cni\":{\"guid\":\"" GUID
		"\",\"mellanox.infiniband.app\":\"configured\",\"a\":\"b\"}},\"runtimeConfig\":{\"infinibandGUID\":"
		"\"" GUID "\",\"mac\":\"m\"}}");
}

static void test_giving_leaves_the_config_of_del_as_it_was(void **state)
{
	struct netconf conf;

	(void)state;
	parse(&conf, "{" HEAD ",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":{\"guid\":\"old\"}}}");
	char *before = netconf_for_delegate(&conf, NULL), *with = netconf_for_delegate(&conf, &given);
	char *after = netconf_for_delegate(&conf, NULL);
	assert_string_equal(before, after);
	assert_non_null(strstr(before, "\"old\""));
	assert_null(strstr(with, "\"old\""));
	free(before);
	free(with);
	free(after);
	netconf_free(&conf);
}

static void test_what_ib_sriov_fails_on_is_dropped(void **state)
{
	const char *const plain = "{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\"}";

	(void)state;
	assert_delegate(
		"{" HEAD
		",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":{\"a\":1,\"b\":true,\"c\":null,\"d\":{},\"e\":[],"
		"\"f\":\"kept\"},\"labels\":[1]}}",
		NULL,
		"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"args\":{\"cni\":{\"f\":\"kept\"},"
		"\"labels\":[1]}}");
	assert_delegate("{" HEAD ",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":[1],\"x\":\"y\"}}", NULL,
			"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"args\":{\"x\":\"y\"}}");
	assert_delegate("{" HEAD ",\"delegate\":\"ib-sriov\",\"args\":\"text\",\"runtimeConfig\":7}", NULL, plain);
	assert_delegate("{" HEAD ",\"delegate\":{\"args\":[],\"type\":\"ib-sriov\"}}", NULL, plain);
}

static void test_no_lookalike_of_a_key_reaches_the_delegate(void **state)
{
	(void)state;
	assert_delegate(
		"{" HEAD
		",\"delegate\":{\"Args\":{\"cni\":{\"guid\":\"evil\"}},\"RuntimeConfig\":{\"infinibandGUID\":\"evil\"},"
		"\"TYPE\":\"evil\",\"DeviceID\":\"evil\",\"arg\\u017f\":{\"cni\":{\"guid\":\"evil\"}}},"
		"\"RUNTIMECONFIG\":{\"infinibandGUID\":\"evil\"},\"args\":{\"CNI\":{\"guid\":\"evil\"},\"cni\":{"
		"\"GUID\":\"evil\"}},"
		"\"runtimeConfig\":{\"InfinibandGUID\":\"evil\"}}",
		&given,
		"{\"type\":\"ib-sriov\",\"cniVersion\":\"1.0.0\",\"name\":\"ib\",\"args\":{\"cni\":{\"guid\":\"" GUID
		"\",\"pkey\":\"0x5\",\"mellanox.infiniband.app\":\"configured\"}},\"runtimeConfig\":{"
		"\"infinibandGUID\":\"" GUID "\"}}");
}

static void test_the_hint_is_what_multus_passed_on(void **state)
{
	static const struct {
		const char *text, *hint;
	} cases[] = {
		{ "{" HEAD ",\"delegate\":\"ib-sriov\",\"runtimeConfig\":{\"infinibandGUID\":\"" GUID "\"}}", GUID },
		{ "{" HEAD ",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":{\"guid\":\"" GUID "\"}}}", GUID },
		{ "{" HEAD ",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":{\"guid\":\"02:00:00:00:00:00:00:ff\"}},"
		  "\"runtimeConfig\":{"
		  "\"infinibandGUID\":\"" GUID "\"}}",
		  GUID },
		{ "{" HEAD ",\"delegate\":\"ib-sriov\",\"args\":{\"cni\":{\"guid\":\"" GUID "\"}},\"runtimeConfig\":{"
		  "\"infinibandGUID\":\"\"}}",
		  GUID },
		{ "{" HEAD ",\"delegate\":\"ib-sriov\",\"runtimeConfig\":{\"infinibandGUID\":\"../x\"}}", NULL },
		{ "{" HEAD ",\"delegate\":\"ib-sriov\",\"runtimeConfig\":{\"infinibandGUID\":1}}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct netconf conf;
		parse(&conf, cases[i].text);
		if (cases[i].hint)
			assert_string_equal(conf.guid_hint, cases[i].hint);
		else
			assert_null(conf.guid_hint);
		netconf_free(&conf);
	}
}

static void test_the_pkey_it_names_is_told_as_text(void **state)
{
	static const struct {
		const char *fields, *pkey;
	} cases[] = {
		{ "\"delegate\":{\"pkey\":\"0x5\"},\"pkey\":\"0x6\"", "0x5" },
		{ "\"delegate\":{\"pkey\":1000}", "1000" },
		{ "\"delegate\":\"ib-sriov\",\"pkey\":\"0X7ffe\"", "0X7ffe" },
		{ "\"delegate\":{},\"pkey\":\"0x6\"", "0x6" },
		{ "\"delegate\":{}", "" },
		{ "\"delegate\":{\"pkey\":null}", "" },
		{ "\"delegate\":{\"pkey\":{}}", "" },
		{ "\"delegate\":{\"pkey\":\"\"}", "" },
		{ "\"delegate\":{\"pkey\":\"0x5 and more\"}", "" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char text[200];
		struct netconf conf;
		snprintf(text, sizeof text, "{" HEAD ",%s}", cases[i].fields);
		parse(&conf, text);
		assert_string_equal(conf.pkey, cases[i].pkey);
		netconf_free(&conf);
	}
}

static void test_each_version_is_understood_and_no_other(void **state)
{
	struct netconf conf;
	char text[200];

	(void)state;
	for (size_t i = 0; netconf_versions[i]; i++) {
		snprintf(text, sizeof text, "{\"cniVersion\":\"%s\",\"name\":\"a\",\"delegate\":\"b\"}",
			 netconf_versions[i]);
		parse(&conf, text);
		assert_string_equal(conf.version, netconf_versions[i]);
		assert_int_equal(netconf_version_is(&conf, "0.4.0"), i >= 1);
		assert_int_equal(netconf_version_is(&conf, "1.1.0"), i >= 3);
		netconf_free(&conf);
	}
	assert_refused("{\"name\":\"a\",\"delegate\":\"b\"}", CNI_INCOMPATIBLE_VERSION, "0.1.0");
	assert_refused("{\"cniVersion\":\"0.2.0\",\"name\":\"a\",\"delegate\":\"b\"}", CNI_INCOMPATIBLE_VERSION,
		       "0.3.1");
	assert_refused("{\"cniVersion\":\"2.0.0\",\"name\":\"a\",\"delegate\":\"b\"}", CNI_INCOMPATIBLE_VERSION,
		       "2.0.0");
	assert_refused("{\"cniVersion\":1,\"name\":\"a\",\"delegate\":\"b\"}", CNI_UNDECODABLE, "cniVersion");
}

static void test_what_is_no_config_is_refused(void **state)
{
	struct netconf conf;
	struct cni_error err;
	static char large[NETCONF_MAX + 2];

	(void)state;
	assert_refused("", CNI_UNDECODABLE, "not JSON");
	assert_refused("{", CNI_UNDECODABLE, "not JSON");
	assert_refused("[]", CNI_UNDECODABLE, "not an object");
	assert_refused("{" HEAD ",\"delegate\":\"a\",\"delegate\":\"b\"}", CNI_UNDECODABLE, "duplicate");
	memset(large, ' ', NETCONF_MAX + 1);
	assert_int_equal(netconf_parse(&conf, large, NETCONF_MAX + 1, &err), -1);
	assert_int_equal(err.code, CNI_UNDECODABLE);
	assert_non_null(strstr(err.message, "larger than 1048576"));
}

static void test_a_name_is_that_of_the_specification(void **state)
{
	(void)state;
	assert_refused("{\"cniVersion\":\"1.0.0\",\"delegate\":\"a\"}", CNI_INVALID_CONFIG, "name");
	assert_refused("{\"cniVersion\":\"1.0.0\",\"name\":7,\"delegate\":\"a\"}", CNI_INVALID_CONFIG, "name");
	assert_refused("{\"cniVersion\":\"1.0.0\",\"name\":\"\",\"delegate\":\"a\"}", CNI_INVALID_CONFIG, "name");
	assert_refused("{\"cniVersion\":\"1.0.0\",\"name\":\"a/b\",\"delegate\":\"a\"}", CNI_INVALID_CONFIG, "name");
	assert_refused("{\"cniVersion\":\"1.0.0\",\"name\":\"a\\u0000b\",\"delegate\":\"a\"}", CNI_INVALID_CONFIG,
		       "name");
}

static void test_a_delegate_is_another_plugin_by_its_bare_name(void **state)
{
	static const char *const bad[] = {
		"null",
		"7",
		"[]",
		"true",
		"\"\"",
		"\"ufmsync\"",
		"\"ufmsync-cni\"",
		"\".\"",
		"\"..\"",
		"\"../ib-sriov\"",
		"\"/bin/sh\"",
		"\"a b\"",
		"\"a\\u0000\"",
		"\"-rf\"",
		"{\"type\":null}",
		"{\"type\":7}",
		"{\"type\":\"\"}",
		"{\"type\":\"a/b\"}",
		"{\"type\":\"ufmsync\"}",
		"{\"type\":\"ib\\n\"}",
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		snprintf(text, sizeof text, "{" HEAD ",\"delegate\":%s}", bad[i]);
		assert_refused(text, CNI_INVALID_CONFIG, "delegate");
	}
	assert_refused("{" HEAD "}", CNI_INVALID_CONFIG, "delegate: is missing");
}

static void test_an_understood_version_is_known_although_the_rest_is_refused(void **state)
{
	struct netconf conf;
	struct cni_error err;

	(void)state;
	assert_int_equal(netconf_parse(&conf, "{" HEAD "}", strlen("{" HEAD "}"), &err), -1);
	assert_string_equal(conf.version, "1.0.0");
	netconf_free(&conf);
}

static int read_verify(struct netconf *conf, const char *fields, struct cni_error *err)
{
	char text[400];

	snprintf(text, sizeof text, "{" HEAD ",\"delegate\":\"ib-sriov\"%s}", fields);
	parse(conf, text);
	int result = netconf_read_verify(conf, err);
	netconf_free(conf);
	return result;
}

static void test_verify_is_off_unless_asked_for(void **state)
{
	struct netconf conf;
	struct cni_error err;

	(void)state;
	parse(&conf, "{" HEAD ",\"delegate\":\"ib-sriov\"}");
	assert_int_equal(netconf_read_verify(&conf, &err), 0);
	assert_false(conf.verify);
	assert_int_equal(conf.verify_timeout_ms, 20000);
	netconf_free(&conf);
	parse(&conf,
	      "{" HEAD ",\"delegate\":{\"deviceID\":\"0000:3b:00.2\"},\"verify\":true,\"verifyTimeout\":\"5m\"}");
	assert_int_equal(netconf_read_verify(&conf, &err), 0);
	assert_true(conf.verify);
	assert_int_equal(conf.verify_timeout_ms, 300000);
	netconf_free(&conf);
}

static void test_bad_verify_fields_are_refused(void **state)
{
	static const struct {
		const char *fields, *names;
	} bad[] = {
		{ ",\"verify\":\"true\"", "verify" },
		{ ",\"verify\":1", "verify" },
		{ ",\"verify\":null", "verify" },
		{ ",\"verifyTimeout\":20", "verifyTimeout" },
		{ ",\"verifyTimeout\":\"\"", "verifyTimeout" },
		{ ",\"verifyTimeout\":\"-1s\"", "verifyTimeout" },
		{ ",\"verifyTimeout\":\"0s\"", "verifyTimeout" },
		{ ",\"verifyTimeout\":\"301s\"", "verifyTimeout" },
	};
	struct netconf conf;
	struct cni_error err;

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		if (read_verify(&conf, bad[i].fields, &err) == 0)
			fail_msg("accepted %s", bad[i].fields);
		assert_int_equal(err.code, CNI_INVALID_CONFIG);
		assert_non_null(strstr(err.message, bad[i].names));
	}
}

static void test_an_undo_hands_over_what_the_delegate_had_answered(void **state)
{
	static const struct {
		const char *version, *result, *expected;
	} cases[] = {
		{ "1.0.0", "{\"cniVersion\":\"0.4.0\"}", ",\"prevResult\":{\"cniVersion\":\"0.4.0\"}}" },
		{ "1.0.0", "{\"ips\":[1]}", ",\"prevResult\":{\"ips\":[1],\"cniVersion\":\"1.0.0\"}}" },
		{ "0.4.0", "{\"cniVersion\":\"\"}", ",\"prevResult\":{\"cniVersion\":\"0.4.0\"}}" },
		{ "0.3.1", "{\"ips\":[1]}", "}" },
		{ "1.0.0", "no JSON", "}" },
		{ "1.0.0", "[]", "}" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char text[200], expected[200];
		struct netconf conf;
		snprintf(text, sizeof text, "{\"cniVersion\":\"%s\",\"name\":\"a\",\"delegate\":\"b\"}",
			 cases[i].version);
		snprintf(expected, sizeof expected, "{\"type\":\"b\",\"cniVersion\":\"%s\",\"name\":\"a\"%s",
			 cases[i].version, cases[i].expected);
		parse(&conf, text);
		char *config = netconf_for_undo(&conf, cases[i].result, strlen(cases[i].result));
		assert_string_equal(config, expected);
		free(config);
		netconf_free(&conf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_delegate_object_gets_what_stands_beside_it),
		cmocka_unit_test(test_a_flat_delegate_is_the_same_config_under_its_own_type),
		cmocka_unit_test(test_a_delegate_object_without_type_is_ib_sriov),
		cmocka_unit_test(test_the_delegates_own_fields_win_but_for_what_is_injected),
		cmocka_unit_test(test_args_and_runtime_config_are_merged_as_multus_merges),
		cmocka_unit_test(test_what_the_service_gave_is_put_in_as_text),
		cmocka_unit_test(test_giving_leaves_the_config_of_del_as_it_was),
		cmocka_unit_test(test_what_ib_sriov_fails_on_is_dropped),
		cmocka_unit_test(test_no_lookalike_of_a_key_reaches_the_delegate),
		cmocka_unit_test(test_the_hint_is_what_multus_passed_on),
		cmocka_unit_test(test_the_pkey_it_names_is_told_as_text),
		cmocka_unit_test(test_each_version_is_understood_and_no_other),
		cmocka_unit_test(test_what_is_no_config_is_refused),
		cmocka_unit_test(test_a_name_is_that_of_the_specification),
		cmocka_unit_test(test_a_delegate_is_another_plugin_by_its_bare_name),
		cmocka_unit_test(test_an_understood_version_is_known_although_the_rest_is_refused),
		cmocka_unit_test(test_verify_is_off_unless_asked_for),
		cmocka_unit_test(test_bad_verify_fields_are_refused),
		cmocka_unit_test(test_an_undo_hands_over_what_the_delegate_had_answered),
	};

	return cmocka_run_group_tests_name("netconf", tests, NULL, NULL);
}
