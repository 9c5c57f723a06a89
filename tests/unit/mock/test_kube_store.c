#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_selector.h"
#include "tests/mock/kube_store.h"
#include "tests/mock/kube_token.h"

static struct mkube_version *put(struct mkube_store *store, const char *name, const char *phase)
{
	return mkube_store_put(store, MKUBE_PODS,
			       json_pack("{s:{s:s, s:s, s:{s:s}}, s:{s:s}}", "metadata", "namespace", "ns", "name",
					 name, "labels", "name", name, "status", "phase", phase));
}

static void test_objects_come_in_the_order_of_their_keys(void **state)
{
	static const char *const names[] = { "m", "c", "z", "a", "b" };
	struct mkube_store *store = mkube_store_new(10);
	size_t n;

	(void)state;
	for (size_t i = 0; i < array_length(names); i++)
		put(store, names[i], "Pending");
	struct mkube_version *const *all = mkube_store_all(store, MKUBE_PODS, &n);
	assert_int_equal(n, 5);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(all[i - 1]->key, all[i]->key) < 0);
	assert_string_equal(mkube_store_get(store, MKUBE_PODS, "ns/z")->key, "ns/z");
	assert_null(mkube_store_get(store, MKUBE_PODS, "ns/y"));
	mkube_store_remove(store, MKUBE_PODS, "ns/c");
	assert_null(mkube_store_get(store, MKUBE_PODS, "ns/c"));
	mkube_store_free(store);
}

static void test_each_change_has_a_larger_version_and_is_in_the_history(void **state)
{
	struct mkube_store *store = mkube_store_new(10);
	uint64_t before = mkube_store_rv(store), number;

	(void)state;
	assert_int_equal(put(store, "a", "Pending")->rv, before + 1);
	assert_int_equal(put(store, "a", "Running")->rv, before + 2);
	struct mkube_version *last = mkube_store_remove(store, MKUBE_PODS, "ns/a");
	assert_int_equal(last->rv, before + 3);
	assert_string_equal(mkube_version_field(last, 6), "Running");
	assert_true(mkube_history_after(store, MKUBE_PODS, before, &number));
	struct mkube_event *event = mkube_history_at(store, MKUBE_PODS, number);
	assert_null(event->before);
	assert_non_null(event->now);
	event = mkube_history_at(store, MKUBE_PODS, number + 1);
	assert_string_equal(mkube_version_field(event->before, 6), "Pending");
	assert_string_equal(mkube_version_field(event->now, 6), "Running");
	event = mkube_history_at(store, MKUBE_PODS, number + 2);
	assert_null(event->now);
	assert_int_equal(number + 3, mkube_history_next(store, MKUBE_PODS));
	assert_true(mkube_history_after(store, MKUBE_PODS, before + 2, &number));
	assert_ptr_equal(mkube_history_at(store, MKUBE_PODS, number), event);
	mkube_store_free(store);
}

static void test_old_events_are_dropped_and_known_to_be_gone(void **state)
{
	struct mkube_store *store = mkube_store_new(3);
	uint64_t first = mkube_store_rv(store), number;

	(void)state;
	for (int i = 0; i < 5; i++)
		put(store, "a", i % 2 ? "Running" : "Pending");
	assert_false(mkube_history_after(store, MKUBE_PODS, first + 1, &number));
	assert_true(mkube_history_after(store, MKUBE_PODS, first + 2, &number));
	assert_int_equal(mkube_history_at(store, MKUBE_PODS, number)->rv, first + 3);
	mkube_history_expire(store, MKUBE_PODS);
	assert_false(mkube_history_after(store, MKUBE_PODS, first + 4, &number));
	assert_true(mkube_history_after(store, MKUBE_PODS, first + 5, &number));
	assert_int_equal(number, mkube_history_next(store, MKUBE_PODS));
	mkube_store_free(store);
}

static void test_a_snapshot_stays_as_it_was(void **state)
{
	struct mkube_store *store = mkube_store_new(3);
	size_t n;

	(void)state;
	put(store, "a", "Pending");
	put(store, "b", "Pending");
	uint64_t rv = mkube_store_rv(store);
	mkube_store_snapshot(store, MKUBE_PODS, &n);
	mkube_store_remove(store, MKUBE_PODS, "ns/a");
	for (int i = 0; i < 10; i++)
		put(store, "b", i % 2 ? "Running" : "Pending");
	struct mkube_version *const *snapshot = mkube_store_snapshot_at(store, MKUBE_PODS, rv, &n);
	assert_int_equal(n, 2);
	assert_string_equal(snapshot[0]->key, "ns/a");
	assert_string_equal(mkube_version_field(snapshot[1], 6), "Pending");
	mkube_store_compact(store);
	assert_null(mkube_store_snapshot_at(store, MKUBE_PODS, rv, &n));
	mkube_store_free(store);
}

static void test_the_text_of_an_object_serves_lists_and_watches(void **state)
{
	struct mkube_store *store = mkube_store_new(3);
	bool brace;
	size_t len;

	(void)state;
	struct mkube_version *pod = put(store, "a", "Pending");
	assert_memory_equal(pod->text, "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{", 44);
	assert_memory_equal(mkube_version_item(pod, &len, &brace), "\"metadata\":{", 12);
	assert_true(brace);
	struct mkube_version *nad = mkube_store_put(
		store, MKUBE_NETWORKS, json_pack("{s:{s:s, s:s}}", "metadata", "name", "n", "namespace", "x"));
	assert_memory_equal(mkube_version_item(nad, &len, &brace),
			    "{\"apiVersion\":\"k8s.cni.cncf.io/v1\",\"kind\":", 42);
	assert_false(brace);
	assert_int_equal(len, nad->len);
	mkube_store_free(store);
}

static bool matches(const struct mkube_version *version, const char *fields, const char *labels)
{
	struct mkube_selector selector;
	struct error err;

	if (mkube_selector_parse(&selector, version->resource, fields, labels, &err) < 0)
		fail_msg("%s", err.text);
	bool result = mkube_selector_match(&selector, version);
	mkube_selector_free(&selector);
	return result;
}

static void test_selectors_compare_fields_and_labels(void **state)
{
	struct mkube_store *store = mkube_store_new(3);
	struct mkube_version *pod = put(store, "a", "Running");

	(void)state;
	assert_true(matches(pod, NULL, NULL));
	assert_true(matches(pod, "", ""));
	assert_true(matches(pod, "metadata.name=a,metadata.namespace==ns", NULL));
	assert_true(matches(pod, "spec.nodeName=", NULL));
	assert_false(matches(pod, "spec.nodeName!=", NULL));
	assert_true(matches(pod, "status.phase!=Succeeded,status.phase!=Failed", NULL));
	assert_false(matches(pod, "status.phase!=Running", NULL));
	assert_true(matches(pod, NULL, "name=a"));
	assert_true(matches(pod, NULL, "other!=a"));
	assert_false(matches(pod, NULL, "name!=a"));
	assert_false(matches(pod, NULL, "other=a"));
	assert_true(matches(pod, NULL, "name,!other"));
	assert_false(matches(pod, NULL, "!name"));
	assert_false(matches(pod, NULL, "other"));
	mkube_store_free(store);
}

static void test_a_selector_that_is_none_is_refused(void **state)
{
	static const char *const fields[] = { "spec.hostNetwork=true", "metadata.name", "=a", "a" };
	static const char *const labels[] = { "a in (b)", ",", "!" };
	struct mkube_selector selector;
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_length(fields); i++)
		assert_int_equal(mkube_selector_parse(&selector, &mkube_resources[MKUBE_PODS], fields[i], NULL, &err),
				 -1);
	for (size_t i = 0; i < array_length(labels); i++)
		assert_int_equal(mkube_selector_parse(&selector, &mkube_resources[MKUBE_PODS], NULL, labels[i], &err),
				 -1);
}

static void test_a_path_names_a_resource(void **state)
{
	static const char *const bad[] = { "",
					   "/",
					   "/api/v1",
					   "/api/v1/",
					   "/api/v1/replicationcontrollers",
					   "/api/v2/pods",
					   "/api/v1/pods/x",
					   "/api/v1/namespaces/a/nodes/n",
					   "/api/v1/namespaces/a/pods/p/status/x",
					   "/api/v1//pods",
					   "/apis/coordination.k8s.io/leases" };
	struct mkube_route route;

	(void)state;
	assert_true(mkube_route_parse(&route, "/api/v1/namespaces/a/pods/b/status"));
	assert_int_equal(route.kind, MKUBE_PODS);
	assert_string_equal(route.namespace, "a");
	assert_string_equal(route.name, "b");
	assert_string_equal(route.sub, "status");
	assert_true(mkube_route_parse(&route, "/api/v1/namespaces/a/status"));
	assert_int_equal(route.kind, MKUBE_NAMESPACES);
	assert_string_equal(route.name, "a");
	assert_true(mkube_route_parse(&route, "/api/v1/pods"));
	assert_string_equal(route.namespace, "");
	assert_true(mkube_route_parse(&route, "/api/v1/nodes/n"));
	assert_true(mkube_route_parse(&route, "/apis/events.k8s.io/v1/namespaces/a/events"));
	assert_int_equal(route.kind, MKUBE_NEW_EVENTS);
	for (size_t i = 0; i < array_length(bad); i++)
		if (mkube_route_parse(&route, bad[i]))
			fail_msg("%s", bad[i]);
}

static void test_a_continue_token_comes_back(void **state)
{
	static const char *const keys[] = { "a", "ns/pod-1", "x/yy", "" };
	char *start;
	int64_t rv;

	(void)state;
	for (size_t i = 0; i < array_length(keys); i++) {
		char *token = mkube_token_make(1234567890123, keys[i]);

		assert_true(mkube_token_parse(token, &rv, &start));
		assert_true(rv == 1234567890123);
		assert_string_equal(start, keys[i]);
		free(start);
		token[1] = '!';
		assert_false(mkube_token_parse(token, &rv, &start));
		free(token);
	}
	assert_false(mkube_token_parse("e30", &rv, &start));
	assert_false(mkube_token_parse("", &rv, &start));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_come_in_the_order_of_their_keys),
		cmocka_unit_test(test_each_change_has_a_larger_version_and_is_in_the_history),
		cmocka_unit_test(test_old_events_are_dropped_and_known_to_be_gone),
		cmocka_unit_test(test_a_snapshot_stays_as_it_was),
		cmocka_unit_test(test_the_text_of_an_object_serves_lists_and_watches),
		cmocka_unit_test(test_selectors_compare_fields_and_labels),
		cmocka_unit_test(test_a_selector_that_is_none_is_refused),
		cmocka_unit_test(test_a_path_names_a_resource),
		cmocka_unit_test(test_a_continue_token_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
