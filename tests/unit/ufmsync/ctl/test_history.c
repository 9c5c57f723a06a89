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
#include "ufmsync/ctl/history.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *object = json_parse(text, strlen(text), &err);

	assert_non_null(object);
	return object;
}

static void add(struct history *history, void (*what)(struct history *history, const json_t *object), const char *text)
{
	json_t *object = parse(text);

	what(history, object);
	json_decref(object);
}

static void expect(const struct history *history, size_t i, const char *time, const char *what)
{
	json_t *list = history_json(history);
	const json_t *moment = json_array_get(list, i);

	assert_non_null(moment);
	assert_string_equal(json_str(moment, "what", NULL), what);
	assert_string_equal(json_str(moment, "time", NULL), time);
	json_decref(list);
}

static size_t count(const struct history *history)
{
	json_t *list = history_json(history);
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

static void test_what_happened_is_in_order_of_time_whoever_knew_it(void **state)
{
	struct history *history = history_new();

	(void)state;
	add(history, history_attachment,
	    "{\"network\":\"a/"
	    "ib\",\"interface\":\"net1\",\"state\":\"published\",\"since\":\"2026-01-01T00:00:04.500000Z\","
	    "\"guid\":\"02:00:00:00:00:00:00:01\"}");
	add(history, history_event,
	    "{\"type\":\"Normal\",\"reason\":\"Member\",\"note\":\"joined\",\"reportingController\":\"ufmsync.io/"
	    "ufmsyncd\","
	    "\"eventTime\":\"2026-01-01T00:00:03.000000Z\"}");
	add(history, history_pod,
	    "{\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:01Z\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{"
	    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:09Z\"},"
	    "{\"type\":\"PodScheduled\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:02Z\"}],"
	    "\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"running\":{\"startedAt\":\"2026-01-01T00:00:08Z\"}}}]}"
	    "}");
	expect(history, 0, "2026-01-01T00:00:01Z", "created");
	expect(history, 1, "2026-01-01T00:00:02Z", "bound to node n");
	expect(history, 2, "2026-01-01T00:00:03Z", "Member, ufmsync.io/ufmsyncd: joined");
	expect(history, 3, "2026-01-01T00:00:04Z", "a/ib@net1: published with GUID 02:00:00:00:00:00:00:01");
	expect(history, 4, "2026-01-01T00:00:08Z", "container c started");
	expect(history, 5, "2026-01-01T00:00:09Z", "its containers are ready");
	assert_int_equal(count(history), 6);
	history_free(history);
}

static void test_a_series_counts_and_has_the_time_of_its_last(void **state)
{
	struct history *history = history_new();

	(void)state;
	add(history, history_event,
	    "{\"type\":\"Warning\",\"reason\":\"BadPKey\",\"note\":\"no\",\"reportingController\":\"x\",\"eventTime\":"
	    "\"2026-01-01T00:00:01.000000Z\",\"series\":{\"count\":3,\"lastObservedTime\":\"2026-01-01T00:00:07."
	    "000000Z\"}}");
	add(history, history_event,
	    "{\"reason\":\"Pulled\",\"note\":\"image\",\"deprecatedCount\":2,\"deprecatedLastTimestamp\":\"2026-01-"
	    "01T00:00:05Z\","
	    "\"deprecatedSource\":{\"component\":\"kubelet\"},\"eventTime\":null}");
	expect(history, 0, "2026-01-01T00:00:05Z", "Pulled, kubelet: image (2 times)");
	expect(history, 1, "2026-01-01T00:00:07Z", "BadPKey, x: no (3 times)");
	history_free(history);
}

static void test_what_has_no_time_has_no_place(void **state)
{
	struct history *history = history_new();

	(void)state;
	add(history, history_attachment, "{\"network\":\"a/ib\",\"state\":\"wanted\",\"since\":null}");
	add(history, history_event, "{\"reason\":\"X\",\"note\":5,\"eventTime\":\"yesterday\"}");
	add(history, history_pod, "{}");
	history_pod(history, NULL);
	assert_int_equal(count(history), 0);
	history_free(history);
	history_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_happened_is_in_order_of_time_whoever_knew_it),
		cmocka_unit_test(test_a_series_counts_and_has_the_time_of_its_last),
		cmocka_unit_test(test_what_has_no_time_has_no_place),
	};

	return cmocka_run_group_tests_name("ctl_history", tests, NULL, NULL);
}
