#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/kube/network.h"

static struct network *network_of(const char *config)
{
	json_t *object = json_pack("{s:{s:s,s:s},s:{s:s}}", "metadata", "namespace", "team", "name", "ib", "spec",
				   "config", config);
	struct network *network = network_from_json(object);

	json_decref(object);
	assert_non_null(network);
	return network;
}

static void test_it_is_known_by_its_uid_and_by_the_name_that_its_plugin_sees(void **state)
{
	static const struct {
		const char *config, *name;
	} cases[] = {
		{ "{\"name\":\"n\",\"type\":\"ib-sriov\"}", "n" },
		{ "{\"name\":\"list\",\"plugins\":[{\"name\":\"n\",\"type\":\"ib-sriov\"}]}", "list" },
		/* multus puts the definition's own name there */
		{ "{\"type\":\"ib-sriov\"}", "ib" },
		{ "{\"name\":\"\",\"type\":\"ib-sriov\"}", "ib" },
		{ "{\"plugins\":[{\"name\":\"n\",\"type\":\"ib-sriov\"}]}", "ib" },
		{ "{\"name\":7,\"type\":\"ib-sriov\"}", "ib" },
		{ "{oops", "ib" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct network *network = network_of(cases[i].config);
		assert_string_equal(network->config_name, cases[i].name);
		assert_string_equal(network->uid, "");
		network_free(network);
	}
	json_t *object = json_pack("{s:{s:s,s:s,s:s}}", "metadata", "namespace", "team", "name", "ib", "uid", "u-7");
	struct network *network = network_from_json(object);
	assert_string_equal(network->uid, "u-7");
	network_free(network);
	json_decref(object);
}

static void test_an_object_without_identity_is_no_network(void **state)
{
	json_t *object = json_pack("{s:{s:s}}", "metadata", "name", "x");
	(void)state;
	assert_null(network_from_json(NULL));
	assert_null(network_from_json(object));
	json_decref(object);
	network_free(NULL);
}

static void test_ib_sriov_is_found_flat_in_a_conflist_and_in_ufmsync(void **state)
{
	static const struct {
		const char *config;
		bool gated;
	} cases[] = {
		{ "{\"name\":\"n\",\"type\":\"ib-sriov\",\"pkey\":\"0x5\"}", false },
		{ "{\"name\":\"n\",\"type\":\"ib-sriov\",\"pkey\":\"0x5\",\"ibKubernetesEnabled\":true}", true },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"tuning\",\"pkey\":\"0x7\"},{\"type\":\"ib-sriov\",\"pkey\":"
		  "\"0x5\"},{\"type\":\"x\"}]}",
		  false },
		{ "{\"name\":\"n\",\"type\":\"ufmsync\",\"delegate\":{\"type\":\"ib-sriov\",\"pkey\":\"0x5\"}}", true },
		{ "{\"name\":\"n\",\"type\":\"ufmsync\",\"delegate\":{\"pkey\":\"0x5\"}}", true },
		{ "{\"name\":\"n\",\"type\":\"ufmsync\",\"delegate\":\"ib-sriov\",\"pkey\":\"0x5\"}", true },
		{ "{\"name\":\"n\",\"type\":\"ufmsync\",\"pkey\":\"0x5\",\"delegate\":{\"type\":\"ib-sriov\"}}", true },
		{ "{\"name\":\"n\",\"plugins\":[{\"type\":\"ufmsync\",\"delegate\":{\"type\":\"ib-sriov\",\"pkey\":"
		  "\"0x5\"}}]}",
		  true },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct network *network = network_of(cases[i].config);
		assert_int_equal(network->kind, NETWORK_IB);
		assert_int_equal(network->has_pkey, NETWORK_PKEY_VALID);
		assert_int_equal(network->pkey.v, 5);
		assert_string_equal(network->pkey_text, "0x5");
		assert_string_equal(network->config_name, "n");
		assert_string_equal(network->namespace, "team");
		assert_string_equal(network->name, "ib");
		assert_int_equal(network->gated, cases[i].gated);
		assert_false(network->runtime_guid);
		assert_null(network->problem);
		network_free(network);
	}
}

static void test_other_networks_are_none_of_our_business(void **state)
{
	static const char *const configs[] = { "{\"type\":\"macvlan\"}",
					       "{}",
					       "{\"type\":7}",
					       "",
					       "{\"plugins\":[{\"type\":\"sriov\"},7,null]}",
					       "{\"type\":\"ib-sriov\",\"plugins\":[]}",
					       "{\"type\":\"ib-sriov2\"}" };
	(void)state;
	for (size_t i = 0; i < array_length(configs); i++) {
		struct network *network = network_of(configs[i]);
		assert_int_equal(network->kind, NETWORK_OTHER);
		assert_string_equal(network->config_name, "ib");
		network_free(network);
	}
	json_t *object = json_pack("{s:{s:s,s:s}}", "metadata", "namespace", "team", "name", "ib");
	struct network *network = network_from_json(object);
	assert_int_equal(network->kind, NETWORK_OTHER);
	network_free(network);
	json_decref(object);
}

static void test_what_cannot_be_read_says_why(void **state)
{
	static const char *const cases[][2] = {
		{ "[]", "spec.config: JSON, but not an object" },
		{ "{\"type\":\"ufmsync\"}",
		  "spec.config: type ufmsync needs \"delegate\": an ib-sriov configuration, or \"ib-sriov\"" },
		{ "{\"type\":\"ufmsync\",\"delegate\":{\"type\":\"sriov\"}}",
		  "spec.config: type ufmsync needs \"delegate\": an ib-sriov configuration, or \"ib-sriov\"" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct network *network = network_of(cases[i][0]);
		assert_int_equal(network->kind, NETWORK_UNREADABLE);
		assert_string_equal(network->problem, cases[i][1]);
		network_free(network);
	}
	struct network *network = network_of("{\"type\":\"ib-sriov\",");
	assert_int_equal(network->kind, NETWORK_UNREADABLE);
	assert_memory_equal(network->problem, "spec.config: not JSON", 21);
	network_free(network);
	network = network_of("{\"type\":\"ib-sriov\",\"pkey\":\"0x5\",\"pkey\":\"0x6\"}");
	assert_int_equal(network->kind, NETWORK_UNREADABLE);
	network_free(network);
}

static void test_a_pkey_is_valid_none_or_bad(void **state)
{
	static const struct {
		const char *pkey;
		enum network_pkey has;
		unsigned value;
		const char *text;
	} cases[] = {
		{ "\"0x5\"", NETWORK_PKEY_VALID, 5, "0x5" },
		{ "\"0X7ffe\"", NETWORK_PKEY_VALID, 0x7ffe, "0X7ffe" },
		{ "\"1000\"", NETWORK_PKEY_VALID, 1000, "1000" },
		{ "1000", NETWORK_PKEY_VALID, 1000, "1000" },
		{ "\"\"", NETWORK_PKEY_NONE, 0, NULL },
		{ "null", NETWORK_PKEY_NONE, 0, NULL },
		{ "\"0x0\"", NETWORK_PKEY_BAD, 0, "0x0" },
		{ "\"0x7fff\"", NETWORK_PKEY_BAD, 0, "0x7fff" },
		{ "\"0x8005\"", NETWORK_PKEY_BAD, 0, "0x8005" },
		{ "\"5x\"", NETWORK_PKEY_BAD, 0, "5x" },
		{ "\" 0x5\"", NETWORK_PKEY_BAD, 0, " 0x5" },
		{ "0", NETWORK_PKEY_BAD, 0, "0" },
		{ "-5", NETWORK_PKEY_BAD, 0, "-5" },
		{ "32767", NETWORK_PKEY_BAD, 0, "32767" },
		{ "65541", NETWORK_PKEY_BAD, 0, "65541" },
		{ "5.0", NETWORK_PKEY_BAD, 0, "5.0" },
		{ "true", NETWORK_PKEY_BAD, 0, "true" },
		{ "[\"0x5\"]", NETWORK_PKEY_BAD, 0, "[\"0x5\"]" },
		{ "\"a\\nb\"", NETWORK_PKEY_BAD, 0, "a?b" },
		{ "\"0x5\\u0000\"", NETWORK_PKEY_BAD, 0, "(a text with a NUL)" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char config[256];
		snprintf(config, sizeof config, "{\"type\":\"ib-sriov\",\"pkey\":%s}", cases[i].pkey);
		struct network *network = network_of(config);
		assert_int_equal(network->kind, NETWORK_IB);
		assert_int_equal(network->has_pkey, cases[i].has);
		if (cases[i].has == NETWORK_PKEY_VALID)
			assert_int_equal(network->pkey.v, cases[i].value);
		if (cases[i].text)
			assert_string_equal(network->pkey_text, cases[i].text);
		else
			assert_null(network->pkey_text);
		network_free(network);
	}
}

static void test_a_long_bad_pkey_is_cut(void **state)
{
	char config[512];
	(void)state;
	snprintf(config, sizeof config, "{\"type\":\"ib-sriov\",\"pkey\":\"%0200d\"}", 7);
	struct network *network = network_of(config);
	assert_int_equal(network->has_pkey, NETWORK_PKEY_BAD);
	assert_int_equal(strlen(network->pkey_text), 64);
	network_free(network);
}

static void test_the_capability_counts_only_when_it_is_true(void **state)
{
	static const struct {
		const char *config;
		bool runtime_guid;
	} cases[] = {
		{ "{\"type\":\"ib-sriov\",\"capabilities\":{\"infinibandGUID\":true}}", true },
		{ "{\"type\":\"ib-sriov\",\"capabilities\":{\"infinibandGUID\":false}}", false },
		{ "{\"type\":\"ib-sriov\",\"capabilities\":{\"infinibandGUID\":\"true\"}}", false },
		{ "{\"type\":\"ib-sriov\",\"capabilities\":[]}", false },
		{ "{\"capabilities\":{\"infinibandGUID\":true},\"plugins\":[{\"type\":\"ib-sriov\"}]}", false },
		{ "{\"plugins\":[{\"type\":\"ib-sriov\",\"capabilities\":{\"infinibandGUID\":true}}]}", true },
		{ "{\"type\":\"ufmsync\",\"delegate\":{\"type\":\"ib-sriov\"},\"capabilities\":{\"infinibandGUID\":"
		  "true}}",
		  true },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct network *network = network_of(cases[i].config);
		assert_int_equal(network->kind, NETWORK_IB);
		assert_int_equal(network->runtime_guid, cases[i].runtime_guid);
		network_free(network);
	}
}

static struct namespace_rule *rule_of(json_t *annotation)
{
	json_t *object = json_pack("{s:{s:s,s:{s:o}}}", "metadata", "name", "team", "annotations", NAMESPACE_PKEYS_KEY,
				   annotation);
	struct namespace_rule *rule = namespace_rule_from_json(object);

	json_decref(object);
	assert_non_null(rule);
	assert_string_equal(rule->name, "team");
	return rule;
}

static void test_a_namespace_allows_what_its_annotation_lists(void **state)
{
	struct namespace_rule *rule = rule_of(json_string("0x5, 0x10-0x1f"));
	(void)state;
	assert_int_equal(rule->has, NAMESPACE_PKEYS_SET);
	assert_true(pkey_set_has(rule->allowed, (struct pkey){ 5 }));
	assert_true(pkey_set_has(rule->allowed, (struct pkey){ 0x1f }));
	assert_false(pkey_set_has(rule->allowed, (struct pkey){ 6 }));
	assert_string_equal(rule->text, "0x5, 0x10-0x1f");
	namespace_rule_free(rule);
	rule = rule_of(json_string(""));
	assert_int_equal(rule->has, NAMESPACE_PKEYS_SET);
	assert_false(pkey_set_has(rule->allowed, (struct pkey){ 5 }));
	namespace_rule_free(rule);
}

static void test_a_bad_rule_allows_nothing_and_is_quoted(void **state)
{
	struct namespace_rule *rule = rule_of(json_string("0x5,nonsense"));
	(void)state;
	assert_int_equal(rule->has, NAMESPACE_PKEYS_BAD);
	assert_null(rule->allowed);
	assert_string_equal(rule->text, "0x5,nonsense");
	namespace_rule_free(rule);
	rule = rule_of(json_integer(5));
	assert_int_equal(rule->has, NAMESPACE_PKEYS_BAD);
	namespace_rule_free(rule);
}

static void test_a_namespace_without_the_annotation_has_no_rule(void **state)
{
	json_t *object = json_pack("{s:{s:s}}", "metadata", "name", "team");
	struct namespace_rule *rule = namespace_rule_from_json(object);
	(void)state;
	assert_int_equal(rule->has, NAMESPACE_PKEYS_ABSENT);
	assert_null(rule->text);
	namespace_rule_free(rule);
	json_decref(object);
	assert_null(namespace_rule_from_json(NULL));
	namespace_rule_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_without_identity_is_no_network),
		cmocka_unit_test(test_it_is_known_by_its_uid_and_by_the_name_that_its_plugin_sees),
		cmocka_unit_test(test_ib_sriov_is_found_flat_in_a_conflist_and_in_ufmsync),
		cmocka_unit_test(test_other_networks_are_none_of_our_business),
		cmocka_unit_test(test_what_cannot_be_read_says_why),
		cmocka_unit_test(test_a_pkey_is_valid_none_or_bad),
		cmocka_unit_test(test_a_long_bad_pkey_is_cut),
		cmocka_unit_test(test_the_capability_counts_only_when_it_is_true),
		cmocka_unit_test(test_a_namespace_allows_what_its_annotation_lists),
		cmocka_unit_test(test_a_bad_rule_allows_nothing_and_is_quoted),
		cmocka_unit_test(test_a_namespace_without_the_annotation_has_no_rule),
	};
	return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
