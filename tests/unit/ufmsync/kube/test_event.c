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
#include "tests/unit/ufmsync/kube/api.h"
#include "ufmsync/kube/event.h"

static struct kube_events *events;

static int setup(void **state)
{
	if (api_setup(state) < 0)
		return -1;
	events = kube_events_new(api_loop, api_kube, "ufmsync.io/test", "host-1");
	return 0;
}

static int teardown(void **state)
{
	kube_events_free(events);
	return api_teardown(state);
}

static void say(const char *pod, const char *note)
{
	kube_events_say(events, &(struct kube_event){
					.namespace = "team",
					.name = pod,
					.uid = "u-1",
					.warning = true,
					.reason = "BadPKey",
					.note = note,
					.action = "Join",
				});
}

static json_t *body(unsigned n)
{
	struct error err;
	json_t *json = json_parse(api_requests[n].body, strlen(api_requests[n].body), &err);

	assert_non_null(json);
	return json;
}

static void serve_created(struct httpd_request *request, unsigned n)
{
	(void)n;
	api_json(request, 201, "{}");
}

static void test_an_event_says_all_that_kubectl_shows(void **state)
{
	(void)state;
	api_serve(serve_created);
	say("p-0", "pkey \"0x0\" is none");
	assert_int_equal(api_n, 0);
	api_until_requests(1);
	assert_string_equal(api_requests[0].method, "POST");
	assert_string_equal(api_requests[0].path, "/apis/events.k8s.io/v1/namespaces/team/events");
	json_t *event = body(0);
	assert_string_equal(json_str(event, "apiVersion", NULL), "events.k8s.io/v1");
	assert_string_equal(json_str(event, "kind", NULL), "Event");
	assert_memory_equal(json_str(event, "metadata", "name", NULL), "p-0.", 4);
	assert_string_equal(json_str(event, "metadata", "namespace", NULL), "team");
	assert_int_equal(strlen(json_str(event, "eventTime", NULL)), 27);
	assert_string_equal(json_str(event, "reportingController", NULL), "ufmsync.io/test");
	assert_string_equal(json_str(event, "reportingInstance", NULL), "host-1");
	assert_string_equal(json_str(event, "action", NULL), "Join");
	assert_string_equal(json_str(event, "reason", NULL), "BadPKey");
	assert_string_equal(json_str(event, "type", NULL), "Warning");
	assert_string_equal(json_str(event, "note", NULL), "pkey \"0x0\" is none");
	assert_string_equal(json_str(event, "regarding", "kind", NULL), "Pod");
	assert_string_equal(json_str(event, "regarding", "namespace", NULL), "team");
	assert_string_equal(json_str(event, "regarding", "name", NULL), "p-0");
	assert_string_equal(json_str(event, "regarding", "uid", NULL), "u-1");
	json_decref(event);
}

static void say_of_network(const char *name, const char *uid)
{
	kube_events_say(events, &(struct kube_event){
					.network = true,
					.namespace = "team",
					.name = name,
					.uid = uid,
					.warning = true,
					.reason = "BadPKey",
					.note = "a",
					.action = "Join",
				});
}

static void test_an_event_may_regard_a_network_definition(void **state)
{
	(void)state;
	api_serve(serve_created);
	say_of_network("ib", "n-1");
	api_until_requests(1);
	assert_string_equal(api_requests[0].path, "/apis/events.k8s.io/v1/namespaces/team/events");
	json_t *event = body(0);
	assert_memory_equal(json_str(event, "metadata", "name", NULL), "ib.", 3);
	assert_string_equal(json_str(event, "regarding", "apiVersion", NULL), "k8s.cni.cncf.io/v1");
	assert_string_equal(json_str(event, "regarding", "kind", NULL), "NetworkAttachmentDefinition");
	assert_string_equal(json_str(event, "regarding", "namespace", NULL), "team");
	assert_string_equal(json_str(event, "regarding", "name", NULL), "ib");
	assert_string_equal(json_str(event, "regarding", "uid", NULL), "n-1");
	json_decref(event);
}

static void test_two_objects_never_share_a_series(void **state)
{
	(void)state;
	api_serve(serve_created);
	say("p", "a");              /* uid u-1 */
	say_of_network("p", "u-1"); /* another kind */
	say_of_network("n", "");    /* uids that are not known are not the same */
	say_of_network("m", "");
	api_until_requests(4);
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(api_requests[i].method, "POST");
	json_t *event = body(3);
	assert_null(json_at(event, "regarding", "uid", NULL));
	json_decref(event);
}

static void test_the_same_again_becomes_a_series_and_anything_else_does_not(void **state)
{
	(void)state;
	kube_events_set_series_ms(events, 100);
	api_serve(serve_created);
	say("p", "a");
	say("p", "a");
	say("p", "a");
	say("p", "b");
	api_until_requests(3);
	assert_string_equal(api_requests[0].method, "POST");
	assert_string_equal(api_requests[1].method, "POST");
	assert_string_equal(api_requests[2].method, "PATCH");
	json_t *created = body(0), *series = body(2);
	char *path = mem_printf("/apis/events.k8s.io/v1/namespaces/team/events/%s",
				json_str(created, "metadata", "name", NULL));
	assert_string_equal(api_requests[2].path, path);
	assert_string_equal(api_requests[2].content_type, "application/merge-patch+json");
	assert_int_equal(json_int(series, 0, "series", "count", NULL), 3);
	assert_int_equal(strlen(json_str(series, "series", "lastObservedTime", NULL)), 27);
	free(path);
	json_decref(created);
	json_decref(series);
	assert_int_equal(kube_events_dropped(events), 0);
}

static void test_a_long_note_and_a_long_name_are_cut_to_what_is_taken(void **state)
{
	char pod[254], note[2000];
	(void)state;
	memset(pod, 'a', 253);
	memset(pod + 200, '-', 50);
	pod[253] = '\0';
	memset(note, 'x', sizeof note - 1);
	note[sizeof note - 1] = '\0';
	api_serve(serve_created);
	say(pod, note);
	api_until_requests(1);
	json_t *event = body(0);
	assert_int_equal(strlen(json_str(event, "note", NULL)), 1024);
	const char *name = json_str(event, "metadata", "name", NULL);
	assert_int_equal(strlen(name), 200 + 1 + 16);
	assert_null(strstr(name, "-"));
	json_decref(event);
	say("p", "\xff");
	api_until_requests(2);
	event = body(1);
	assert_string_equal(json_str(event, "note", NULL), "(a text that is not UTF-8)");
	json_decref(event);
}

static void serve_refusal(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 403, "{\"reason\":\"Forbidden\",\"message\":\"namespace is being terminated\"}");
	else
		api_json(request, 201, "{}");
}

static bool is_dropped(void)
{
	return kube_events_dropped(events) == 1;
}

static void test_a_refused_event_is_dropped_and_not_tried_again(void **state)
{
	(void)state;
	api_serve(serve_refusal);
	say("p", "a");
	api_until(is_dropped);
	say("q", "b");
	api_until_requests(2);
	json_t *event = body(1);
	assert_string_equal(json_str(event, "note", NULL), "b");
	json_decref(event);
	assert_int_equal(kube_events_dropped(events), 1);
}

static void serve_late(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 500, "{}");
	else
		api_json(request, 409, "{\"reason\":\"AlreadyExists\"}");
}

static void test_an_outage_is_outlasted_and_an_earlier_try_that_arrived_counts(void **state)
{
	(void)state;
	api_serve(serve_late);
	say("p", "a");
	api_until_requests(2);
	assert_string_equal(api_requests[0].body, api_requests[1].body);
	say("q", "b");
	api_until_requests(3);
	assert_int_equal(kube_events_dropped(events), 0);
}

static unsigned served, most_at_once;
static struct httpd_request *open_requests[8];
static void serve_unauthorized_once(struct httpd_request *request, unsigned n)
{
	api_json(request, n == 0 ? 401 : 201, "{}");
}

static void test_a_token_that_ran_out_costs_no_event(void **state)
{
	(void)state;
	api_serve(serve_unauthorized_once);
	say("p", "a");
	api_until_requests(2);
	assert_string_equal(api_requests[1].method, "POST");
	assert_string_equal(api_requests[0].body, api_requests[1].body);
	assert_int_equal(kube_events_dropped(events), 0);
}

static void serve_slowly(struct httpd_request *request, unsigned n)
{
	(void)n;
	assert_true(served < 8);
	open_requests[served++] = request;
	if (served > most_at_once)
		most_at_once = served;
	if (served < 8 && api_n < 97)
		return;
	while (served > 0)
		api_json(open_requests[--served], 201, "{}");
}

static void test_a_flood_goes_out_in_a_burst_and_then_slowly_and_never_piles_up(void **state)
{
	(void)state;
	served = most_at_once = 0;
	api_serve(serve_slowly);
	for (unsigned i = 0; i < 1200; i++) {
		char note[32];
		snprintf(note, sizeof note, "note %u", i);
		say("p", note);
	}
	assert_int_equal(kube_events_dropped(events), 200);
	int64_t start_ms = loop_now_ms();
	api_until_requests(105);
	assert_int_equal(most_at_once, 8);
	assert_true(loop_now_ms() - start_ms >= 300); /* five more than a burst, at ten a second */
}

static void test_events_may_be_freed_with_some_under_way(void **state)
{
	(void)state;
	served = 0;
	api_serve(serve_slowly);
	say("p", "a");
	say("p", "b");
	api_until_requests(1);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_an_event_says_all_that_kubectl_shows),
		promise(test_an_event_may_regard_a_network_definition),
		promise(test_two_objects_never_share_a_series),
		promise(test_the_same_again_becomes_a_series_and_anything_else_does_not),
		promise(test_a_long_note_and_a_long_name_are_cut_to_what_is_taken),
		promise(test_a_refused_event_is_dropped_and_not_tried_again),
		promise(test_an_outage_is_outlasted_and_an_earlier_try_that_arrived_counts),
		promise(test_a_token_that_ran_out_costs_no_event),
		promise(test_a_flood_goes_out_in_a_burst_and_then_slowly_and_never_piles_up),
		promise(test_events_may_be_freed_with_some_under_way),
	};
	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
