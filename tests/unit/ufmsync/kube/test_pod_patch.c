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
#include "tests/unit/ufmsync/kube/pods.h"

#define ARGS "\"guid\":\"02:00:00:00:00:00:00:0a\",\"mellanox.infiniband.app\":\"configured\",\"pkey\":\"0x5\""

static const struct pod_publication first = { POD_NETWORKS, 0, { 0x020000000000000a }, "0x5", false };

static json_t *patch_of(const struct pod *pod, const struct pod_publication *publications, size_t n, const char *record)
{
	struct buf text;
	struct error err;

	buf_init(&text, 1 << 20);
	assert_int_equal(pod_patch(&text, pod, publications, n, record, &err), 0);
	json_t *patch = json_parse(text.data, text.len, &err);
	assert_true(json_is_array(patch));
	buf_free(&text);
	return patch;
}

/* The n-th operation is this; value NULL: null. */
static void assert_operation(const json_t *patch, size_t i, const char *op, const char *path, const char *value)
{
	const json_t *operation = json_array_get(patch, i);

	assert_string_equal(json_str(operation, "op", NULL), op);
	assert_string_equal(json_str(operation, "path", NULL), path);
	if (value)
		assert_string_equal(json_str(operation, "value", NULL), value);
	else
		assert_true(json_is_null(json_object_get(operation, "value")));
}

#define NETWORKS_PATH "/metadata/annotations/k8s.v1.cni.cncf.io~1networks"
#define DEFAULT_PATH  "/metadata/annotations/v1.multus-cni.io~1default-network"
#define RECORD_PATH   "/metadata/annotations/ufmsync.io~1record"

static void assert_edited(const char *before, const struct pod_publication *publication, const char *after)
{
	bool networks = publication->source == POD_NETWORKS;
	struct pod *pod = pod_with(pod_source_key(publication->source), before);
	const char *path = networks ? NETWORKS_PATH : DEFAULT_PATH;

	assert_null(pod->problem);
	json_t *patch = patch_of(pod, publication, 1, NULL);
	assert_int_equal(json_array_size(patch), 3);
	assert_operation(patch, 0, "test", "/metadata/uid", "u-1");
	assert_operation(patch, 1, "test", path, before);
	assert_operation(patch, 2, "replace", path, after);
	assert_false(pod_is_published(pod, publication, 1));
	json_decref(patch);
	pod_free(pod);

	/* and then nothing is left to do */
	pod = pod_with(pod_source_key(publication->source), after);
	assert_true(pod_is_published(pod, publication, 1));
	patch = patch_of(pod, publication, 1, NULL);
	assert_int_equal(json_array_size(patch), 1);
	json_decref(patch);
	pod_free(pod);
}

static void test_the_short_form_becomes_json_as_ib_kubernetes_writes_it(void **state)
{
	(void)state;
	assert_edited("d/ib@net1", &first,
		      "[{\"name\":\"ib\",\"namespace\":\"d\",\"interface\":\"net1\",\"cni-args\":{" ARGS "}}]");
	assert_edited(" macvlan , ib",
		      &(struct pod_publication){ POD_NETWORKS, 1, { 0x020000000000000a }, "0x5", true },
		      "[{\"name\":\"macvlan\",\"namespace\":\"team\"},{\"name\":\"ib\",\"namespace\":\"team\","
		      "\"infiniband-guid\":\"02:00:00:00:00:00:00:0a\",\"cni-args\":{" ARGS "}}]");
}

static void test_unknown_fields_their_order_and_their_spelling_survive(void **state)
{
	(void)state;
	assert_edited(
		" [ {\"zeta\":1e400, \"name\" : \"ib\",\"x\":[18446744073709551616,1.10,\"\\u00e9\\/\"] , \"cni-args\":"
		"{ \"b\":1.0 ,\"a\":\"\\u0061\"}, \"last\" : null } ,{\"name\":\"other\"}]\n",
		&first,
		" [ {\"zeta\":1e400, \"name\" : \"ib\",\"x\":[18446744073709551616,1.10,\"\\u00e9\\/\"] , \"cni-args\":"
		"{ \"b\":1.0 ,\"a\":\"\\u0061\"," ARGS "}, \"last\" : null } ,{\"name\":\"other\"}]\n");
	assert_edited("[ {\"name\":\"ib\" } ]", &first, "[ {\"name\":\"ib\",\"cni-args\":{" ARGS "} } ]");
	assert_edited("[{\"cni-args\":{ },\"name\":\"ib\"}]", &first, "[{\"cni-args\":{" ARGS " },\"name\":\"ib\"}]");
	assert_edited("[{\"cni-args\":null,\"name\":\"ib\"}]", &first, "[{\"cni-args\":{" ARGS "},\"name\":\"ib\"}]");
}

static void test_values_of_ours_are_replaced_where_they_stand(void **state)
{
	(void)state;
	assert_edited("[{\"name\":\"ib\",\"cni-args\":{\"pkey\":1000,\"x\":1,\"guid\":[\"y\"], "
		      "\"mellanox.infiniband.app\" : true}}]",
		      &first,
		      "[{\"name\":\"ib\",\"cni-args\":{\"pkey\":\"0x5\",\"x\":1,\"guid\":\"02:00:00:00:00:00:00:0a\", "
		      "\"mellanox.infiniband.app\" : \"configured\"}}]");
	assert_edited("[{\"name\":\"ib\",\"cni-args\":{\"g\\u0075id\":\"02:00:00:00:00:00:00:0A\"}}]", &first,
		      "[{\"name\":\"ib\",\"cni-args\":{\"g\\u0075id\":\"02:00:00:00:00:00:00:0a\","
		      "\"mellanox.infiniband.app\":\"configured\",\"pkey\":\"0x5\"}}]");
}

static void test_what_is_said_twice_says_the_same_twice(void **state)
{
	(void)state;
	assert_edited(
		"[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"a\",\"guid\":\"02:00:00:00:00:00:00:0a\",\"pkey\":\"0x7\"},"
		"\"CNI-ARGS\":{\"pkey\":\"0x5\"}}]",
		&first,
		"[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0a\",\"guid\":\"02:00:00:00:00:00:00:"
		"0a\","
		"\"pkey\":\"0x5\"},\"CNI-ARGS\":{\"pkey\":\"0x5\",\"guid\":\"02:00:00:00:00:00:00:0a\","
		"\"mellanox.infiniband.app\":\"configured\"}}]");
	assert_edited("[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"a\"},\"cni-args\":null}]", &first,
		      "[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0a\"},\"cni-args\":{" ARGS
		      "}}]");
}

static void test_without_a_pkey_none_is_left(void **state)
{
	static const struct pod_publication none = { POD_NETWORKS, 0, { 0x020000000000000a }, NULL, false };
	(void)state;
	assert_edited("[{\"name\":\"ib\"}]", &none,
		      "[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0a\",\"mellanox.infiniband."
		      "app\":\"configured\"}}]");
	assert_edited("[{\"name\":\"ib\",\"cni-args\":{ \"pkey\":\"0x5\" , \"x\":1, \"pkey\":6,\"y\":2}}]", &none,
		      "[{\"name\":\"ib\",\"cni-args\":{ \"x\":1,\"y\":2,\"guid\":\"02:00:00:00:00:00:00:0a\","
		      "\"mellanox.infiniband.app\":\"configured\"}}]");
	assert_edited("[{\"name\":\"ib\",\"cni-args\":{\"pkey\":\"0x5\"}}]", &none,
		      "[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0a\",\"mellanox.infiniband."
		      "app\":\"configured\"}}]");
}

static void test_infiniband_guid_is_written_only_with_the_capability(void **state)
{
	static const struct pod_publication with = { POD_NETWORKS, 0, { 0x020000000000000a }, "0x5", true };
	(void)state;
	assert_edited("[{\"name\":\"ib\"}]", &with,
		      "[{\"name\":\"ib\",\"infiniband-guid\":\"02:00:00:00:00:00:00:0a\",\"cni-args\":{" ARGS "}}]");
	assert_edited("[{\"infiniband-guid\":\"02:00:00:00:00:00:00:0A\",\"name\":\"ib\",\"Infiniband-GUID\":null}]",
		      &with,
		      "[{\"infiniband-guid\":\"02:00:00:00:00:00:00:0a\",\"name\":\"ib\",\"Infiniband-GUID\":\"02:00:"
		      "00:00:00:00:00:0a\","
		      "\"cni-args\":{" ARGS "}}]");
	assert_edited("[{\"infiniband-guid\":\"02:00:00:00:00:00:00:0A\",\"name\":\"ib\"}]", &first,
		      "[{\"infiniband-guid\":\"02:00:00:00:00:00:00:0A\",\"name\":\"ib\",\"cni-args\":{" ARGS "}}]");
}

static void test_the_default_network_is_a_list_of_one_without_infiniband_guid(void **state)
{
	static const struct pod_publication own = { POD_DEFAULT_NETWORK, -1, { 0x020000000000000a }, "0x5", true };
	(void)state;
	assert_edited("team/ib", &own, "[{\"name\":\"ib\",\"namespace\":\"team\",\"cni-args\":{" ARGS "}}]");
	assert_edited("ib", &own, "[{\"name\":\"ib\",\"namespace\":\"kube-system\",\"cni-args\":{" ARGS "}}]");
	assert_edited("[{\"name\":\"ib\"}]", &own, "[{\"name\":\"ib\",\"cni-args\":{" ARGS "}}]");
	assert_edited(" {\"name\":\"ib\"} ", &own, "[{\"name\":\"ib\",\"cni-args\":{" ARGS "}}]");
	assert_edited("{\"name\":\"ib\",\"cni-args\":{" ARGS "}}", &own, "[{\"name\":\"ib\",\"cni-args\":{" ARGS "}}]");
}

static void test_several_interfaces_of_both_annotations_go_into_one_patch(void **state)
{
	static const struct pod_publication all[] = {
		{ POD_NETWORKS, 0, { 0x0200000000000001 }, NULL, false },
		{ POD_NETWORKS, 2, { 0x0200000000000002 }, NULL, false },
		{ POD_DEFAULT_NETWORK, -1, { 0x0200000000000003 }, NULL, false },
	};
	json_t *object =
		pod_object((const char *const[]){ POD_NETWORKS_KEY, "ib,m,ib", POD_DEFAULT_NETWORK_KEY, "ib", NULL });
	struct pod *pod = pod_from_json(object);
	(void)state;
	json_t *patch = patch_of(pod, all, 3, "1.r");
	assert_int_equal(json_array_size(patch), 7);
	assert_operation(patch, 0, "test", "/metadata/uid", "u-1");
	assert_operation(patch, 1, "test", NETWORKS_PATH, "ib,m,ib");
	const char *text = json_str(json_array_get(patch, 2), "value", NULL);
	assert_non_null(strstr(text, "{\"name\":\"m\",\"namespace\":\"team\"},"));
	assert_non_null(strstr(text, "00:01"));
	assert_non_null(strstr(text, "00:02"));
	assert_null(strstr(text, "00:03"));
	assert_operation(patch, 3, "test", DEFAULT_PATH, "ib");
	assert_operation(patch, 5, "test", RECORD_PATH, NULL);
	assert_operation(patch, 6, "add", RECORD_PATH, "1.r");
	json_decref(patch);
	json_decref(object);
	pod_free(pod);
}

static void test_a_record_is_replaced_only_over_the_one_that_was_read(void **state)
{
	struct pod *pod = pod_with(POD_RECORD_KEY, "1.old\"\n");
	(void)state;
	json_t *patch = patch_of(pod, NULL, 0, "1.new");
	assert_int_equal(json_array_size(patch), 3);
	assert_operation(patch, 1, "test", RECORD_PATH, "1.old\"\n");
	assert_operation(patch, 2, "replace", RECORD_PATH, "1.new");
	json_decref(patch);
	patch = patch_of(pod, NULL, 0, "1.old\"\n");
	assert_int_equal(json_array_size(patch), 1);
	json_decref(patch);
	pod_free(pod);
}

/* The API server compares the spelling of strings, and its own is that of Go. */
static void test_the_old_text_is_spelled_as_go_spells_it(void **state)
{
	struct pod *pod = pod_with(POD_RECORD_KEY, "\"\\/<>&\t\n\r\x7f\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac\xc3\xa9");
	struct buf text;
	struct error err;
	(void)state;
	buf_init(&text, 1 << 20);
	assert_int_equal(pod_patch(&text, pod, NULL, 0, "x", &err), 0);
	assert_non_null(strstr(text.data,
			       "\"op\":\"test\",\"path\":\"" RECORD_PATH "\",\"value\":\"\\\"\\\\/\\u003c\\u003e\\u0026"
			       "\\t\\n\\r\x7f\\u2028\\u2029\xe2\x82\xac\xc3\xa9\""));
	buf_free(&text);
	pod_free(pod);
}

static void test_a_record_that_is_no_text_is_replaced_without_a_test(void **state)
{
	json_t *object = pod_object((const char *const[]){ "x", "y", NULL });
	json_object_set_new(json_at(object, "metadata", "annotations", NULL), POD_RECORD_KEY, json_stringn("\0", 1));
	struct pod *pod = pod_from_json(object);
	(void)state;
	json_t *patch = patch_of(pod, NULL, 0, "1.new");
	assert_int_equal(json_array_size(patch), 2);
	assert_operation(patch, 1, "replace", RECORD_PATH, "1.new");
	json_decref(patch);
	json_decref(object);
	pod_free(pod);
}

static void test_a_pod_without_annotations_gets_the_map_first(void **state)
{
	json_t *object = pod_object(NULL);
	struct pod *pod = pod_from_json(object);
	(void)state;
	json_t *patch = patch_of(pod, NULL, 0, "1.new");
	assert_int_equal(json_array_size(patch), 5);
	assert_operation(patch, 1, "test", "/metadata/annotations", NULL);
	assert_string_equal(json_str(json_array_get(patch, 2), "path", NULL), "/metadata/annotations");
	assert_true(json_is_object(json_object_get(json_array_get(patch, 2), "value")));
	assert_operation(patch, 3, "test", RECORD_PATH, NULL);
	assert_operation(patch, 4, "add", RECORD_PATH, "1.new");
	json_decref(patch);
	json_decref(object);
	pod_free(pod);
}

static void assert_refused(const struct pod *pod, const struct pod_publication *publication)
{
	struct buf text;
	struct error err;

	buf_init(&text, 1 << 20);
	assert_int_equal(pod_patch(&text, pod, publication, 1, NULL, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	buf_free(&text);
	assert_false(pod_is_published(pod, publication, 1));
}

static void test_an_interface_that_the_texts_do_not_have_is_refused(void **state)
{
	struct pod *pod = pod_with(POD_NETWORKS_KEY, "ib");
	(void)state;
	assert_refused(pod, &(struct pod_publication){ POD_NETWORKS, 1, { 1 }, NULL, false });
	assert_refused(pod, &(struct pod_publication){ POD_NETWORKS, -1, { 1 }, NULL, false });
	assert_refused(pod, &(struct pod_publication){ POD_DEFAULT_NETWORK, -1, { 1 }, NULL, false });
	pod_free(pod);
	pod = pod_with(POD_NETWORKS_KEY, "ib,");
	assert_refused(pod, &first);
	pod_free(pod);
}

static void test_a_buffer_that_is_too_small_is_said(void **state)
{
	struct pod *pod = pod_with(POD_NETWORKS_KEY, "ib");
	struct buf text;
	struct error err;
	(void)state;
	buf_init(&text, 100);
	assert_int_equal(pod_patch(&text, pod, &first, 1, NULL, &err), -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	buf_free(&text);
	pod_free(pod);
}

static void test_published_means_exactly_this(void **state)
{
	static const char published[] = "[{\"name\":\"ib\",\"cni-args\":{" ARGS "}}]";
	struct pod *pod = pod_with(POD_NETWORKS_KEY, published);
	struct pod_publication other = first;
	(void)state;
	assert_true(pod_is_published(pod, &first, 1));
	other.guid.v++;
	assert_false(pod_is_published(pod, &other, 1));
	other = first;
	other.pkey_text = "5";
	assert_false(pod_is_published(pod, &other, 1));
	other.pkey_text = NULL;
	assert_false(pod_is_published(pod, &other, 1));
	other = first;
	other.runtime_guid = true;
	assert_false(pod_is_published(pod, &other, 1));
	pod_forget_texts(pod);
	assert_true(pod_is_published(pod, &first, 1));
	pod_free(pod);
	/* a number, which ib-sriov cannot read, is not the text that looks like it */
	pod = pod_with(POD_NETWORKS_KEY, "[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:00:0a\","
					 "\"mellanox.infiniband.app\":\"configured\",\"pkey\":5}}]");
	other = first;
	other.pkey_text = "5";
	assert_false(pod_is_published(pod, &other, 1));
	pod_free(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_short_form_becomes_json_as_ib_kubernetes_writes_it),
		cmocka_unit_test(test_unknown_fields_their_order_and_their_spelling_survive),
		cmocka_unit_test(test_values_of_ours_are_replaced_where_they_stand),
		cmocka_unit_test(test_what_is_said_twice_says_the_same_twice),
		cmocka_unit_test(test_without_a_pkey_none_is_left),
		cmocka_unit_test(test_infiniband_guid_is_written_only_with_the_capability),
		cmocka_unit_test(test_the_default_network_is_a_list_of_one_without_infiniband_guid),
		cmocka_unit_test(test_several_interfaces_of_both_annotations_go_into_one_patch),
		cmocka_unit_test(test_a_record_is_replaced_only_over_the_one_that_was_read),
		cmocka_unit_test(test_the_old_text_is_spelled_as_go_spells_it),
		cmocka_unit_test(test_a_record_that_is_no_text_is_replaced_without_a_test),
		cmocka_unit_test(test_a_pod_without_annotations_gets_the_map_first),
		cmocka_unit_test(test_an_interface_that_the_texts_do_not_have_is_refused),
		cmocka_unit_test(test_a_buffer_that_is_too_small_is_said),
		cmocka_unit_test(test_published_means_exactly_this),
	};
	return cmocka_run_group_tests_name("pod_patch", tests, NULL, NULL);
}
