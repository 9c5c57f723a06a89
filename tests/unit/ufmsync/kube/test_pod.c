#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/ufmsync/kube/pods.h"

static struct pod *pod_of(const char *json)
{
	json_error_t why;
	json_t *object = json_loads(json, 0, &why);

	assert_non_null(object);
	struct pod *pod = pod_from_json(object);
	json_decref(object);
	return pod;
}

static void assert_network(const struct pod *pod, size_t i, const char *namespace, const char *name,
			   const char *interface)
{
	assert_true(i < pod->n_networks);
	assert_string_equal(pod->networks[i].namespace, namespace);
	assert_string_equal(pod->networks[i].name, name);
	assert_string_equal(pod->networks[i].interface, interface);
}

static void test_an_object_without_identity_is_no_pod(void **state)
{
	(void)state;
	assert_null(pod_from_json(NULL));
	assert_null(pod_of("{}"));
	assert_null(pod_of("[]"));
	assert_null(pod_of("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\"}}"));
	assert_null(pod_of("{\"metadata\":{\"uid\":\"\",\"namespace\":\"a\",\"name\":\"p\"}}"));
	assert_null(pod_of("{\"metadata\":{\"uid\":1,\"namespace\":\"a\",\"name\":\"p\"}}"));
}

static void test_a_bare_pod_has_empty_fields_and_no_problem(void **state)
{
	struct pod *pod = pod_of("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"p\"}}");
	(void)state;
	assert_string_equal(pod->node, "");
	assert_false(pod->host_network || pod->finished || pod->terminating || pod->containers_ended ||
		     pod->migration_target);
	assert_int_equal(pod->n_networks, 0);
	assert_null(pod->problem);
	assert_null(pod->networks_text);
	assert_true(pod->texts_known);
	assert_false(pod->has_annotations);
	pod_free(pod);
	pod_free(NULL);
}

static void test_fields_of_a_wrong_type_are_as_if_absent(void **state)
{
	struct pod *pod = pod_of(
		"{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"p\",\"annotations\":[],\"labels\":7,"
		"\"deletionTimestamp\":5},\"spec\":{\"hostNetwork\":\"true\",\"nodeName\":3},\"status\":{\"phase\":[]}"
		"}");
	(void)state;
	assert_string_equal(pod->node, "");
	assert_false(pod->host_network || pod->finished || pod->terminating || pod->has_annotations);
	pod_free(pod);
}

static void test_the_life_of_a_pod_is_read(void **state)
{
	struct pod *pod =
		pod_of("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"p\",\"deletionTimestamp\":\"2026-"
		       "01-02T03:04:05Z\","
		       "\"deletionGracePeriodSeconds\":30,\"labels\":{\"kubevirt.io/migrationJobUID\":\"m\"},"
		       "\"annotations\":{\"kubernetes.io/config.hash\":\"h\"}},"
		       "\"spec\":{\"nodeName\":\"n\",\"hostNetwork\":true},\"status\":{\"phase\":\"Failed\"}}");
	(void)state;
	assert_string_equal(pod->node, "n");
	assert_true(pod->host_network && pod->finished && pod->terminating && pod->migration_target);
	assert_int_equal(pod->gone_at_ms, 1767323045000);
	assert_int_equal(pod->grace_ms, 30000);
	assert_string_equal(pod->static_uid, "h");
	pod_free(pod);
}

static struct pod *pod_of_statuses(const char *statuses)
{
	char json[1024];
	snprintf(json, sizeof json,
		 "{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"p\"},"
		 "\"spec\":{\"containers\":[{},{}]},\"status\":%s}",
		 statuses);
	return pod_of(json);
}

static void test_containers_have_ended_only_when_all_are_reported_terminated(void **state)
{
	static const struct {
		const char *statuses;
		bool ended;
	} cases[] = {
		{ "{}", false },
		{ "{\"containerStatuses\":[{\"state\":{\"terminated\":{}}}]}", false },
		{ "{\"containerStatuses\":[{\"state\":{\"terminated\":{}}},{\"state\":{\"running\":{}}}]}", false },
		{ "{\"containerStatuses\":[{\"state\":{\"terminated\":{}}},{\"state\":{\"waiting\":{}}}]}", false },
		{ "{\"containerStatuses\":[{\"state\":{\"terminated\":{}}},{\"state\":{\"terminated\":{}}}]}", true },
		{ "{\"containerStatuses\":[{\"state\":{\"terminated\":{}}},{\"state\":{\"terminated\":{}}}],"
		  "\"initContainerStatuses\":[{\"state\":{\"running\":{}}}]}",
		  false },
		{ "{\"containerStatuses\":[{\"state\":{\"terminated\":{}}},{\"state\":{\"terminated\":{}}}],"
		  "\"ephemeralContainerStatuses\":[{\"state\":{\"terminated\":{}}}]}",
		  true },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct pod *pod = pod_of_statuses(cases[i].statuses);
		assert_int_equal(pod->containers_ended, cases[i].ended);
		pod_free(pod);
	}
}

static void test_the_short_form_is_read_with_blanks_and_all_parts(void **state)
{
	struct pod *pod = pod_with(POD_NETWORKS_KEY, " other/ib@net1 ,\tib2,x.y@ib0\n, a / b @ c ");
	(void)state;
	assert_null(pod->problem);
	assert_int_equal(pod->n_networks, 4);
	assert_network(pod, 0, "other", "ib", "net1");
	assert_network(pod, 1, "team", "ib2", "");
	assert_network(pod, 2, "team", "x.y", "ib0");
	assert_network(pod, 3, "a", "b", "c");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pod->networks[i].index, i);
		assert_int_equal(pod->networks[i].source, POD_NETWORKS);
		assert_int_equal(pod->networks[i].wish, POD_WISH_NONE);
	}
	pod_free(pod);
}

static void test_the_json_form_is_read(void **state)
{
	struct pod *pod = pod_with(
		POD_NETWORKS_KEY,
		" [{\"name\":\"ib\",\"namespace\":\"o\",\"interface\":\"net1\",\"ips\":[\"1.2.3.4/5\"],"
		"\"infiniband-guid\":\"02:00:00:00:00:00:00:0A\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0b\"}},"
		"{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0b\",\"pkey\":\"0x5\","
		"\"mellanox.infiniband.app\":\"configured\"}},{\"name\":\"m\",\"interfaceRequest\":\"e\",\"namespace\":"
		"\"\"}] ");
	(void)state;
	assert_null(pod->problem);
	assert_int_equal(pod->n_networks, 3);
	assert_network(pod, 0, "o", "ib", "net1");
	assert_int_equal(pod->networks[0].wish, POD_WISH_GUID);
	assert_int_equal(pod->networks[0].guid.v, 0x020000000000000a);
	assert_true(pod->networks[0].runtime_guid);
	assert_false(pod->networks[0].configured);
	assert_null(pod->networks[0].pkey_text);
	assert_network(pod, 1, "team", "ib", "");
	assert_int_equal(pod->networks[1].guid.v, 0x020000000000000b);
	assert_true(pod->networks[1].configured);
	assert_string_equal(pod->networks[1].pkey_text, "0x5");
	assert_false(pod->networks[1].runtime_guid);
	assert_network(pod, 2, "team", "m", "e");
	pod_free(pod);
}

static void test_the_default_network_lives_in_kube_system_unless_said(void **state)
{
	static const char *const texts[] = { "ib", "kube-system/ib", "[{\"name\":\"ib\"}]", "{\"name\":\"ib\"}" };
	(void)state;
	for (size_t i = 0; i < array_length(texts); i++) {
		struct pod *pod = pod_with(POD_DEFAULT_NETWORK_KEY, texts[i]);
		assert_null(pod->problem);
		assert_int_equal(pod->n_networks, 1);
		assert_network(pod, 0, "kube-system", "ib", "");
		assert_int_equal(pod->networks[0].index, -1);
		assert_int_equal(pod->networks[0].source, POD_DEFAULT_NETWORK);
		pod_free(pod);
	}
}

static void test_the_default_network_comes_behind_the_networks(void **state)
{
	json_t *object =
		pod_object((const char *const[]){ POD_DEFAULT_NETWORK_KEY, "team/ib", POD_NETWORKS_KEY, "a,b", NULL });
	struct pod *pod = pod_from_json(object);
	(void)state;
	assert_int_equal(pod->n_networks, 3);
	assert_network(pod, 1, "team", "b", "");
	assert_network(pod, 2, "team", "ib", "");
	assert_int_equal(pod->networks[2].index, -1);
	json_decref(object);
	pod_free(pod);
}

static void test_what_cannot_be_read_is_a_problem_that_names_its_place(void **state)
{
	static const char *const cases[][2] = {
		{ "a,,b", POD_NETWORKS_KEY "[1]: no name of a network" },
		{ "  ", POD_NETWORKS_KEY "[0]: no name of a network" },
		{ "a/b/c", POD_NETWORKS_KEY "[0]: more than one '/'" },
		{ "a@b@c", POD_NETWORKS_KEY "[0]: more than one '@'" },
		{ "Ab", POD_NETWORKS_KEY
		  "[0]: name \"Ab\" is not the name of a network (lower case letters, digits, '-', '.')" },
		{ "-a", POD_NETWORKS_KEY
		  "[0]: name \"-a\" is not the name of a network (lower case letters, digits, '-', '.')" },
		{ "a..b", POD_NETWORKS_KEY
		  "[0]: name \"a..b\" is not the name of a network (lower case letters, digits, '-', '.')" },
		{ "x.y/b", POD_NETWORKS_KEY
		  "[0]: namespace \"x.y\" is not the name of a namespace (lower case letters, digits, '-')" },
		{ "a@0123456789abcdef", POD_NETWORKS_KEY "[0]: interface \"0123456789abcdef\" is not the name of an "
							 "interface (at most 15 bytes, no blank, '/' or ':')" },
		{ "[", POD_NETWORKS_KEY ": not JSON at byte 1 (it ends too early)" },
		{ "{\"name\":\"a\"}", POD_NETWORKS_KEY ": JSON, but not a list of networks" },
		{ "a,\"b\"", POD_NETWORKS_KEY ": not JSON at byte 0" },
		{ "[{\"name\":\"a\"},null]", POD_NETWORKS_KEY "[1]: not an object" },
		{ "[{}]", POD_NETWORKS_KEY "[0]: no name of a network" },
		{ "[{\"name\":7}]", POD_NETWORKS_KEY "[0]: name is not a string" },
		{ "[{\"name\":\"a\",\"namespace\":[]}]", POD_NETWORKS_KEY "[0]: namespace is not a string" },
		{ "[{\"name\":\"a\",\"namespace\":\"\\u0000\"}]", POD_NETWORKS_KEY "[0]: namespace holds a NUL" },
		{ "[{\"name\":\"a\",\"cni-args\":\"x\"}]", POD_NETWORKS_KEY "[0]: cni-args is not an object" },
		{ "[{\"name\":\"a\",\"interface\":\"a b\"}]", POD_NETWORKS_KEY
		  "[0]: interface \"a b\" is not the name of an interface (at most 15 bytes, no blank, '/' or ':')" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct pod *pod = pod_with(POD_NETWORKS_KEY, cases[i][0]);
		assert_non_null(pod->problem);
		assert_string_equal(pod->problem, cases[i][1]);
		assert_int_equal(pod->n_networks, 0);
		pod_free(pod);
	}
}

static void test_one_unreadable_annotation_does_not_hide_the_other(void **state)
{
	json_t *object =
		pod_object((const char *const[]){ POD_DEFAULT_NETWORK_KEY, "a,b", POD_NETWORKS_KEY, "ib", NULL });
	struct pod *pod = pod_from_json(object);
	(void)state;
	assert_string_equal(pod->problem, POD_DEFAULT_NETWORK_KEY ": more than one network");
	assert_int_equal(pod->n_networks, 1);
	assert_network(pod, 0, "team", "ib", "");
	json_decref(object);
	pod_free(pod);
}

static void test_an_empty_annotation_asks_for_nothing(void **state)
{
	static const char *const texts[] = { "", "[]", " [ ] " };
	(void)state;
	for (size_t i = 0; i < array_length(texts); i++) {
		struct pod *pod = pod_with(POD_NETWORKS_KEY, texts[i]);
		assert_null(pod->problem);
		assert_int_equal(pod->n_networks, 0);
		pod_free(pod);
	}
}

static void test_more_networks_than_the_limit_are_a_problem(void **state)
{
	char text[2 * POD_NETWORKS_MAX + 4] = "a";
	(void)state;
	for (int i = 1; i < POD_NETWORKS_MAX; i++)
		strcat(text, ",a");
	struct pod *pod = pod_with(POD_NETWORKS_KEY, text);
	assert_null(pod->problem);
	assert_int_equal(pod->n_networks, POD_NETWORKS_MAX);
	pod_free(pod);
	strcat(text, ",a");
	pod = pod_with(POD_NETWORKS_KEY, text);
	assert_string_equal(pod->problem, POD_NETWORKS_KEY ": more than 64 networks");
	assert_int_equal(pod->n_networks, 0);
	pod_free(pod);
}

static void test_an_annotation_with_control_characters_is_a_problem_and_such_a_record_is_none(void **state)
{
	struct pod *pod = pod_of("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"p\"}}");
	json_t *object = pod_object((const char *const[]){ "x", "y", NULL });
	json_t *map = json_object_get(json_object_get(object, "metadata"), "annotations");
	(void)state;
	pod_free(pod);
	json_object_set_new(map, POD_NETWORKS_KEY, json_stringn("ib\0x", 4));
	json_object_set_new(map, POD_RECORD_KEY, json_stringn("\0", 1));
	pod = pod_from_json(object);
	assert_string_equal(pod->problem, POD_NETWORKS_KEY ": holds a control character");
	assert_null(pod->record_text);
	assert_true(pod->record_odd);
	json_decref(object);
	pod_free(pod);
	pod = pod_with(POD_NETWORKS_KEY, "ib\f");
	assert_string_equal(pod->problem, POD_NETWORKS_KEY ": holds a control character");
	pod_free(pod);
	pod = pod_with(POD_RECORD_KEY, "1.\b");
	assert_true(pod->record_odd && !pod->record_text);
	pod_free(pod);
}

static const struct pod_network *first_of(struct pod **pod, const char *element)
{
	char text[1024];

	snprintf(text, sizeof text, "[%s]", element);
	*pod = pod_with(POD_NETWORKS_KEY, text);
	assert_null((*pod)->problem);
	return (*pod)->networks;
}

static void test_a_wish_that_is_no_usable_guid_is_bad_and_quoted(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"name\":\"a\",\"cni-args\":{\"guid\":\"02:00\"}}", "02:00" },
		{ "{\"name\":\"a\",\"cni-args\":{\"guid\":\"00:00:00:00:00:00:00:00\"}}", "00:00:00:00:00:00:00:00" },
		{ "{\"name\":\"a\",\"infiniband-guid\":\"ff:ff:ff:ff:ff:ff:ff:ff\"}", "ff:ff:ff:ff:ff:ff:ff:ff" },
		{ "{\"name\":\"a\",\"cni-args\":{\"guid\":5}}", "5" },
		{ "{\"name\":\"a\",\"infiniband-guid\":{\"x\":1}}", "{\"x\":1}" },
		{ "{\"name\":\"a\",\"infiniband-guid\":\"x\\ny\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:01\"}}",
		  "x?y" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct pod *pod;
		const struct pod_network *network = first_of(&pod, cases[i][0]);
		assert_int_equal(network->wish, POD_WISH_BAD);
		assert_string_equal(network->wish_text, cases[i][1]);
		assert_int_equal(network->guid.v, 0);
		pod_free(pod);
	}
}

static void test_an_empty_or_null_wish_is_none(void **state)
{
	static const char *const cases[] = {
		"{\"name\":\"a\",\"infiniband-guid\":\"\",\"cni-args\":{\"guid\":\"\"}}",
		"{\"name\":\"a\",\"infiniband-guid\":null,\"cni-args\":{\"guid\":null}}",
		"{\"name\":\"a\",\"cni-args\":null}",
		"{\"name\":\"a\",\"cni-args\":{\"guid\":\"02:00\"},\"cni-args\":null}",
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct pod *pod;
		assert_int_equal(first_of(&pod, cases[i])->wish, POD_WISH_NONE);
		pod_free(pod);
	}
}

static void test_a_pkey_of_any_type_is_harmless(void **state)
{
	static const struct {
		const char *pkey, *text;
		bool odd;
	} cases[] = {
		{ "\"0x5\"", "0x5", false },
		{ "5", "5", true },
		{ "-5", NULL, true },
		{ "5.5", NULL, true },
		{ "18446744073709551616", "18446744073709551616", true },
		{ "null", NULL, true },
		{ "[5]", NULL, true },
		{ "true", NULL, true },
		{ "\"0123456789012345678901234567890123456789012345678901234567890123456789\"", NULL, true },
		{ "\"0x5\",\"pkey\":\"0x6\"", NULL, true },
		{ "\"0x5\",\"pkey\":\"0x5\"", "0x5", false },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct pod *pod;
		char element[512];
		snprintf(element, sizeof element,
			 "{\"name\":\"a\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:01\",\"pkey\":%s,"
			 "\"mellanox.infiniband.app\":\"configured\"}}",
			 cases[i].pkey);
		const struct pod_network *network = first_of(&pod, element);
		assert_int_equal(network->pkey_odd, cases[i].odd);
		if (cases[i].text)
			assert_string_equal(network->pkey_text, cases[i].text);
		else
			assert_null(network->pkey_text);
		pod_free(pod);
	}
}

/* Go's decoder takes any case, the long s and the Kelvin sign included, and the last of several. */
static void test_keys_are_found_as_go_finds_them(void **state)
{
	struct pod *pod;
	const struct pod_network *network =
		first_of(&pod, "{\"name\":\"x\",\"NAME\":\"a\",\"name\":null,\"cni-arg\xc5\xbf\":{\"guid\":\"02:00:00:"
			       "00:00:00:00:01\"},"
			       "\"CNI-Args\":{\"GUID\":\"x\",\"mellanox.infiniband.app\":\"configured\"},"
			       "\"Infiniband-GUID\":\"02:00:00:00:00:00:00:02\"}");
	(void)state;
	assert_string_equal(network->name, "a");
	assert_true(network->configured);
	assert_int_equal(network->args_guid.v, 0x0200000000000001);
	assert_int_equal(network->guid.v, 0x0200000000000002);
	pod_free(pod);
}

static void test_only_pods_with_one_of_our_annotations_may_matter(void **state)
{
	static const char *const keys[] = { POD_NETWORKS_KEY, POD_DEFAULT_NETWORK_KEY, POD_RECORD_KEY };
	(void)state;
	for (size_t i = 0; i < array_length(keys); i++) {
		json_t *object = pod_object((const char *const[]){ keys[i], "", NULL });
		assert_true(pod_json_may_matter(object));
		json_decref(object);
	}
	json_t *object = pod_object((const char *const[]){ "k8s.v1.cni.cncf.io/network-status", "[]", NULL });
	assert_false(pod_json_may_matter(object));
	json_decref(object);
	object = pod_object(NULL);
	assert_false(pod_json_may_matter(object));
	json_decref(object);
	assert_false(pod_json_may_matter(NULL));
}

static void test_forgotten_texts_are_gone_and_the_networks_stay(void **state)
{
	struct pod *pod = pod_with(POD_NETWORKS_KEY, "ib");
	(void)state;
	assert_string_equal(pod->networks_text, "ib");
	pod_forget_texts(pod);
	assert_null(pod->networks_text);
	assert_false(pod->texts_known);
	assert_int_equal(pod->n_networks, 1);
	pod_free(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_object_without_identity_is_no_pod),
		cmocka_unit_test(test_a_bare_pod_has_empty_fields_and_no_problem),
		cmocka_unit_test(test_fields_of_a_wrong_type_are_as_if_absent),
		cmocka_unit_test(test_the_life_of_a_pod_is_read),
		cmocka_unit_test(test_containers_have_ended_only_when_all_are_reported_terminated),
		cmocka_unit_test(test_the_short_form_is_read_with_blanks_and_all_parts),
		cmocka_unit_test(test_the_json_form_is_read),
		cmocka_unit_test(test_the_default_network_lives_in_kube_system_unless_said),
		cmocka_unit_test(test_the_default_network_comes_behind_the_networks),
		cmocka_unit_test(test_what_cannot_be_read_is_a_problem_that_names_its_place),
		cmocka_unit_test(test_one_unreadable_annotation_does_not_hide_the_other),
		cmocka_unit_test(test_an_empty_annotation_asks_for_nothing),
		cmocka_unit_test(test_more_networks_than_the_limit_are_a_problem),
		cmocka_unit_test(test_an_annotation_with_control_characters_is_a_problem_and_such_a_record_is_none),
		cmocka_unit_test(test_a_wish_that_is_no_usable_guid_is_bad_and_quoted),
		cmocka_unit_test(test_an_empty_or_null_wish_is_none),
		cmocka_unit_test(test_a_pkey_of_any_type_is_harmless),
		cmocka_unit_test(test_keys_are_found_as_go_finds_them),
		cmocka_unit_test(test_only_pods_with_one_of_our_annotations_may_matter),
		cmocka_unit_test(test_forgotten_texts_are_gone_and_the_networks_stay),
	};
	return cmocka_run_group_tests_name("pod", tests, NULL, NULL);
}
