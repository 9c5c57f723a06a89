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

static bool has_series(void)
{
	return kube_events_counts(events).series >= 1;
}

static bool has_created(void)
{
	return kube_events_counts(events).created >= 1;
}

static void test_the_same_again_becomes_a_series_and_anything_else_does_not(void **state)
{
	(void)state;
	kube_events_set_series_ms(events, 100);
	api_serve(serve_created);
	say("p", "a");
	api_until(has_created);
	json_t *created = body(0);
	assert_null(json_at(created, "series", NULL));
	say("p", "a");
	say("p", "a");
	say("p", "b");
	api_until(has_series);
	assert_int_equal(api_n, 3);
	assert_string_equal(api_requests[1].method, "POST");
	assert_string_equal(api_requests[2].method, "PATCH");
	json_t *series = body(2);
	char *path = mem_printf("/apis/events.k8s.io/v1/namespaces/team/events/%s",
				json_str(created, "metadata", "name", NULL));
	assert_string_equal(api_requests[2].path, path);
	assert_string_equal(api_requests[2].content_type, "application/merge-patch+json");
	assert_int_equal(json_int(series, 0, "series", "count", NULL), 3);
	assert_int_equal(strlen(json_str(series, "series", "lastObservedTime", NULL)), 27);
	free(path);
	json_decref(created);
	json_decref(series);
	struct kube_events_counts counts = kube_events_counts(events);
	assert_int_equal(counts.created, 2);
	assert_int_equal(counts.dropped + counts.refused + counts.failed, 0);
}

static void test_what_is_said_again_before_it_was_sent_goes_out_once(void **state)
{
	(void)state;
	api_serve(serve_created);
	for (int i = 0; i < 8; i++)
		say("p", "a");
	say("p", "b");
	api_until_requests(2);
	json_t *first = body(0), *second = body(1);
	assert_int_equal(json_int(first, 0, "series", "count", NULL), 8);
	assert_string_equal(json_str(second, "note", NULL), "b");
	json_decref(first);
	json_decref(second);
}

static void serve_expired(struct httpd_request *request, unsigned n)
{
	if (n == 1)
		api_json(request, 404, "{\"reason\":\"NotFound\",\"details\":{\"kind\":\"events\"}}");
	else
		api_json(request, 201, "{}");
}

static void test_an_event_that_expired_is_made_anew_and_goes_on_counting(void **state)
{
	(void)state;
	kube_events_set_series_ms(events, 10);
	api_serve(serve_expired);
	say("p", "a");
	api_until(has_created);
	say("p", "a");
	api_until_requests(3);
	assert_string_equal(api_requests[1].method, "PATCH");
	assert_string_equal(api_requests[2].method, "POST");
	json_t *first = body(0), *anew = body(2);
	assert_int_equal(json_int(anew, 0, "series", "count", NULL), 2);
	assert_string_equal(json_str(anew, "eventTime", NULL), json_str(first, "eventTime", NULL));
	assert_string_not_equal(json_str(anew, "metadata", "name", NULL), json_str(first, "metadata", "name", NULL));
	json_decref(first);
	json_decref(anew);
}

static void test_another_life_of_the_pod_is_another_event(void **state)
{
	(void)state;
	api_serve(serve_created);
	struct kube_event event = {
		.namespace = "team", .name = "p", .uid = "u-1", .reason = "Member", .note = "a", .action = "Join"
	};
	kube_events_say(events, &event);
	event.uid = "u-2";
	kube_events_say(events, &event);
	api_until_requests(2);
	assert_string_equal(api_requests[1].method, "POST");
	json_t *second = body(1);
	assert_string_equal(json_str(second, "regarding", "uid", NULL), "u-2");
	assert_string_equal(json_str(second, "type", NULL), "Normal");
	json_decref(second);
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
	assert_string_equal(json_str(event, "note", NULL), "?");
	json_decref(event);
}

static void serve_terminating(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 403,
			 "{\"reason\":\"Forbidden\",\"message\":\"namespace is being terminated\",\"details\":{"
			 "\"causes\":[{\"reason\":\"NamespaceTerminating\"}]}}");
	else
		api_json(request, 201, "{}");
}

static struct error heard;
static unsigned troubles;

static void on_trouble(void *aux, const struct error *err)
{
	(void)aux;
	troubles++;
	heard = err ? *err : (struct error){ 0 };
}

static bool is_closed(void)
{
	return kube_events_counts(events).closed >= 1;
}

static void test_nothing_is_tried_in_a_namespace_that_is_being_deleted(void **state)
{
	(void)state;
	troubles = 0;
	kube_events_on_trouble(events, on_trouble, NULL);
	api_serve(serve_terminating);
	say("p", "a");
	api_until(is_closed);
	say("p", "a");
	say("q", "b");
	assert_int_equal(kube_events_counts(events).closed, 3);
	kube_events_say(events, &(struct kube_event){ .namespace = "other",
						      .name = "p",
						      .uid = "",
						      .reason = "Member",
						      .note = "c",
						      .action = "Join" });
	api_until_requests(2);
	assert_string_equal(api_requests[1].path, "/apis/events.k8s.io/v1/namespaces/other/events");
	assert_int_equal(troubles, 0);
}

static void serve_no_namespace(struct httpd_request *request, unsigned n)
{
	(void)n;
	api_json(request, 404, "{\"reason\":\"NotFound\",\"details\":{\"name\":\"team\",\"kind\":\"namespaces\"}}");
}

static void test_a_namespace_that_is_gone_is_no_trouble(void **state)
{
	(void)state;
	troubles = 0;
	kube_events_on_trouble(events, on_trouble, NULL);
	api_serve(serve_no_namespace);
	say("p", "a");
	api_until(is_closed);
	assert_int_equal(troubles, 0);
	assert_int_equal(kube_events_counts(events).refused, 0);
}

static void serve_forbidden(struct httpd_request *request, unsigned n)
{
	if (n < 2)
		api_json(request, 403, "{\"reason\":\"Forbidden\",\"message\":\"cannot create resource events\"}");
	else
		api_json(request, 201, "{}");
}

static bool is_refused_twice(void)
{
	return kube_events_counts(events).refused == 2;
}

static void test_a_missing_right_is_told_once_and_its_end_too(void **state)
{
	(void)state;
	troubles = 0;
	kube_events_on_trouble(events, on_trouble, NULL);
	api_serve(serve_forbidden);
	say("p", "a");
	say("p", "b");
	api_until(is_refused_twice);
	assert_int_equal(troubles, 1);
	assert_int_equal(heard.kind, ERROR_AUTH);
	assert_non_null(strstr(heard.text, "cannot create resource events"));
	say("p", "c");
	api_until(has_created);
	assert_int_equal(troubles, 2);
	assert_int_equal(heard.kind, ERROR_NONE);
	assert_int_equal(api_n, 3); /* what was refused is not tried again */
}

static void serve_invalid(struct httpd_request *request, unsigned n)
{
	(void)n;
	api_json(request, 422, "{\"reason\":\"Invalid\",\"message\":\"reason: too long\"}");
}

static void test_each_event_that_is_not_as_the_server_wants_it_is_told(void **state)
{
	(void)state;
	troubles = 0;
	kube_events_on_trouble(events, on_trouble, NULL);
	api_serve(serve_invalid);
	say("p", "a");
	say("p", "b");
	api_until(is_refused_twice);
	assert_int_equal(troubles, 2);
	assert_int_equal(heard.kind, ERROR_INVALID);
	assert_int_equal(api_n, 2);
}

static void serve_taken_name(struct httpd_request *request, unsigned n)
{
	api_json(request, n == 0 ? 409 : 201, "{\"reason\":\"AlreadyExists\"}");
}

static void test_a_name_that_is_taken_is_not_taken_for_ours(void **state)
{
	(void)state;
	api_serve(serve_taken_name);
	say("p", "a");
	api_until(has_created);
	assert_int_equal(api_n, 2);
	json_t *first = body(0), *second = body(1);
	assert_string_not_equal(json_str(first, "metadata", "name", NULL), json_str(second, "metadata", "name", NULL));
	json_decref(first);
	json_decref(second);
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
	api_until(has_created);
	say("q", "b");
	api_until_requests(3);
	assert_int_equal(kube_events_counts(events).failed, 0);
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
	api_until(has_created);
	assert_int_equal(kube_events_counts(events).refused, 0);
}

static void serve_slowly(struct httpd_request *request, unsigned n)
{
	(void)n;
	assert_true(served < 8);
	open_requests[served++] = request;
	if (served > most_at_once)
		most_at_once = served;
	if (served < 8 && api_n < 49)
		return;
	while (served > 0)
		api_json(open_requests[--served], 201, "{}");
}

/* Rates and fairness are the queue's: test_event_queue.c. */
static void test_a_flood_goes_out_in_a_burst_and_then_slowly_and_never_piles_up(void **state)
{
	(void)state;
	served = most_at_once = 0;
	api_serve(serve_slowly);
	for (unsigned i = 0; i < 5000; i++) {
		char note[32];
		snprintf(note, sizeof note, "note %u", i);
		say("p", note);
	}
	assert_int_equal(kube_events_counts(events).dropped, 5000 - 4096);
	int64_t start_ms = loop_now_ms();
	api_until_requests(53);
	assert_int_equal(most_at_once, 8);
	assert_true(loop_now_ms() - start_ms >= 500); /* three more than the burst, at five a second */
}

static void test_who_leads_no_more_says_nothing_more(void **state)
{
	(void)state;
	api_serve(serve_created);
	say("p", "a");
	api_until(has_created);
	say("p", "a");
	say("p", "b");
	kube_events_hush(events);
	assert_int_equal(kube_events_counts(events).dropped, 2);
	kube_events_set_series_ms(events, 1);
	say("p", "a"); /* it leads again, and goes on with what it said */
	api_until(has_series);
	assert_int_equal(api_n, 2);
	json_t *event = body(1);
	assert_int_equal(json_int(event, 0, "series", "count", NULL), 3);
	json_decref(event);
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
		promise(test_what_is_said_again_before_it_was_sent_goes_out_once),
		promise(test_an_event_that_expired_is_made_anew_and_goes_on_counting),
		promise(test_another_life_of_the_pod_is_another_event),
		promise(test_a_long_note_and_a_long_name_are_cut_to_what_is_taken),
		promise(test_nothing_is_tried_in_a_namespace_that_is_being_deleted),
		promise(test_a_namespace_that_is_gone_is_no_trouble),
		promise(test_a_missing_right_is_told_once_and_its_end_too),
		promise(test_each_event_that_is_not_as_the_server_wants_it_is_told),
		promise(test_a_name_that_is_taken_is_not_taken_for_ours),
		promise(test_an_outage_is_outlasted_and_an_earlier_try_that_arrived_counts),
		promise(test_a_token_that_ran_out_costs_no_event),
		promise(test_a_flood_goes_out_in_a_burst_and_then_slowly_and_never_piles_up),
		promise(test_who_leads_no_more_says_nothing_more),
		promise(test_events_may_be_freed_with_some_under_way),
	};
	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
