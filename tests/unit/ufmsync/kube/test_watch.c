#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/ufmsync/kube/api.h"
#include "ufmsync/kube/watch.h"

static struct kube_watch *watch;
static struct httpd_request *held; /* a stream that stays open */
static const char *act_on;         /* in this callback ... */
static void (*act)(void);          /* ... this is done, once */
static struct error last_trouble;

static void hear(const char *what, const json_t *object)
{
	const char *name = json_str(object, "metadata", "name", NULL);

	buf_printf(&api_log, "%s%s ", what, name ? name : "");
	if (act_on && strcmp(act_on, what) == 0) {
		act_on = NULL;
		act();
	}
}

static void on_begin(void *aux)
{
	(void)aux;
	hear("begin", NULL);
}

static void on_applied(void *aux, const json_t *object)
{
	(void)aux;
	hear("+", object);
}

static void on_deleted(void *aux, const json_t *object)
{
	(void)aux;
	hear("-", object);
}

static void on_end(void *aux)
{
	(void)aux;
	hear("end", NULL);
}

static void on_trouble(void *aux, const struct error *err)
{
	(void)aux;
	if (err)
		last_trouble = *err;
	hear(err ? "trouble" : "well", NULL);
}

static void start_with(const char *selector, unsigned page)
{
	watch = kube_watch_new(api_loop, api_kube,
			       &(struct kube_watch_options){
				       .path = "/api/v1/pods",
				       .field_selector = selector,
				       .page = page,
				       .begin = on_begin,
				       .applied = on_applied,
				       .deleted = on_deleted,
				       .end = on_end,
				       .trouble = on_trouble,
			       });
}

static int teardown(void **state)
{
	kube_watch_free(watch);
	watch = NULL;
	held = NULL;
	act_on = NULL;
	return api_teardown(state);
}

#define POD(name, version)  "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define LIST(version, items)                                                                                           \
	"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define EXPIRED                                                                                                        \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old "     \
	"resource version: "                                                                                           \
	"1 (2)\",\"reason\":\"Expired\",\"code\":410}"

static void hold(struct httpd_request *request, const char *json)
{
	api_stream(request, json);
	held = request;
}

static void end_stream(struct httpd_request *request, const char *json)
{
	api_stream(request, json);
	httpd_stream_end(request);
}

/* --- the way of the world --- */

static void serve_pages(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 200,
			 "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"a+/"
			 "=\"},\"items\":[" POD("a", "3") "," POD("b", "5") "]}");
	else if (n == 1)
		api_json(request, 200, LIST("10", POD("c", "7")));
	else
		hold(request,
		     EVENT("ADDED", POD("d", "11")) EVENT("MODIFIED", POD("a", "12")) EVENT("DELETED", POD("b", "13")));
}

static void test_a_list_comes_in_pages_and_then_what_happens(void **state)
{
	(void)state;
	api_serve(serve_pages);
	start_with("spec.nodeName!=,x=y", 2);
	assert_false(kube_watch_is_synced(watch));
	api_until_log("begin +a +b +c end +d +a -b ");
	assert_true(kube_watch_is_synced(watch));
	assert_int_equal(api_n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(api_requests[i].method, "GET");
		assert_string_equal(api_requests[i].path, "/api/v1/pods");
		assert_string_equal(api_requests[i].selector, "spec.nodeName!=,x=y");
	}
	assert_string_equal(api_requests[0].limit, "2");
	assert_null(api_requests[0].continue_token);
	assert_null(api_requests[0].version);
	assert_null(api_requests[0].watch);
	assert_string_equal(api_requests[1].continue_token, "a+/=");
	assert_null(api_requests[1].version);
	assert_string_equal(api_requests[2].watch, "1");
	assert_string_equal(api_requests[2].bookmarks, "true");
	assert_string_equal(api_requests[2].version, "10");
	assert_null(api_requests[2].limit);
	int seconds = atoi(api_requests[2].timeout_seconds);
	assert_true(seconds >= 240 && seconds <= 300);
}

static void serve_ends(struct httpd_request *request, unsigned n)
{
	switch (n) {
	case 0:
		api_json(request, 200, LIST("10", ""));
		break;
	case 1:
		end_stream(request, EVENT("ADDED", POD("a", "11")));
		break;
	case 2:
		end_stream(request, EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"20\","
						      "\"creationTimestamp\":null}}"));
		break;
	default:
		hold(request, EVENT("MODIFIED", POD("a", "21")));
	}
}

static void test_a_watch_that_ends_goes_on_from_the_last_event_or_bookmark(void **state)
{
	(void)state;
	api_serve(serve_ends);
	start_with(NULL, 0);
	api_until_log("begin end +a +a ");
	assert_int_equal(api_n, 4);
	assert_string_equal(api_requests[0].limit, "500");
	assert_null(api_requests[0].selector);
	assert_string_equal(api_requests[2].version, "11");
	assert_string_equal(api_requests[3].version, "20");
}

static struct loop_timer later;
static void end_held(struct loop_timer *timer)
{
	(void)timer;
	httpd_stream_end(held);
}

static void serve_silence(struct httpd_request *request, unsigned n)
{
	if (n == 0 || n == 2) {
		api_json(request, 200, n == 0 ? LIST("99", POD("a", "1")) : LIST("5", ""));
		return;
	}
	hold(request, "");
	loop_timer_init(&later, api_loop, end_held);
	if (n == 1)
		loop_timer_at(&later, loop_now_ms() + 1500);
}

static void test_a_watch_that_never_heard_a_thing_is_followed_by_a_list(void **state)
{
	(void)state;
	api_serve(serve_silence);
	start_with(NULL, 0);
	api_until_requests(4);
	assert_string_equal(api_log.data, "begin +a end begin end ");
	assert_string_equal(api_requests[3].version, "5");
}

/* --- too old --- */

static void serve_expired_event(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 200, LIST("1", POD("a", "1")));
	else if (n == 1)
		end_stream(request, EVENT("ADDED", POD("b", "2")) EVENT("ERROR", EXPIRED));
	else if (n == 2)
		api_json(request, 200, LIST("30", POD("b", "2")));
	else
		hold(request, "");
}

static void test_410_as_an_event_lists_anew_without_trouble(void **state)
{
	(void)state;
	api_serve(serve_expired_event);
	start_with(NULL, 0);
	api_until_requests(4);
	assert_string_equal(api_log.data, "begin +a end +b begin +b end ");
	assert_null(api_requests[2].watch);
	assert_null(api_requests[2].version);
	assert_string_equal(api_requests[3].version, "30");
}

static struct kube_watch_counts counted(void)
{
	struct kube_watch_counts counts;

	kube_watch_count(watch, &counts);
	return counts;
}

static bool is_connected(void)
{
	return counted().connected;
}

static bool is_disconnected(void)
{
	return !counted().connected;
}

static void test_what_came_of_a_watch_is_counted(void **state)
{
	(void)state;
	api_serve(serve_expired_event);
	start_with(NULL, 0);
	assert_false(is_connected());
	api_until_requests(4);
	api_until(is_connected);
	struct kube_watch_counts counts = counted();
	assert_int_equal(counts.lists, 2);
	assert_int_equal(counts.expired, 1);
	assert_int_equal(counts.ends[CALL_NOT_FOUND], 1);
	assert_int_equal(counts.ends[CALL_OK], 0);
	end_stream(held, EVENT("ADDED", POD("c", "31")));
	api_until(is_disconnected);
	api_until_requests(5);
	api_until(is_connected);
	counts = counted();
	assert_int_equal(counts.lists, 2);
	assert_int_equal(counts.ends[CALL_OK], 1);
}

static void serve_expired_answer(struct httpd_request *request, unsigned n)
{
	if (n == 0 || n == 2)
		api_json(request, 200, LIST("1", POD("a", "1")));
	else if (n == 1)
		api_json(request, 410, EXPIRED);
	else
		hold(request, "");
}

static void test_410_as_an_answer_lists_anew(void **state)
{
	(void)state;
	api_serve(serve_expired_answer);
	start_with(NULL, 0);
	api_until_requests(4);
	assert_string_equal(api_log.data, "begin +a end begin +a end ");
}

static void serve_expired_page(struct httpd_request *request, unsigned n)
{
	if (n == 0 || n == 2)
		api_json(
			request, 200,
			"{\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"t\"},\"items\":[" POD("a", "3") "]}");
	else if (n == 1)
		api_json(request, 410, EXPIRED);
	else if (n == 3)
		api_json(request, 200, LIST("10", POD("b", "4")));
	else
		hold(request, "");
}

static void test_410_between_two_pages_begins_the_list_again(void **state)
{
	(void)state;
	api_serve(serve_expired_page);
	start_with(NULL, 1);
	api_until_requests(5);
	assert_string_equal(api_log.data, "begin +a begin +a +b end ");
	assert_null(api_requests[2].continue_token);
}

static void serve_outage_then_expired(struct httpd_request *request, unsigned n)
{
	if (n == 0 || n == 3)
		api_json(request, 200, LIST("1", ""));
	else if (n == 1)
		api_json(request, 503, "");
	else if (n == 2)
		end_stream(request, EVENT("ERROR", EXPIRED));
	else
		hold(request, "");
}

/* A server that was started anew knows no version of before: that is no second failure. */
static void test_410_after_an_outage_is_no_further_trouble(void **state)
{
	(void)state;
	api_serve(serve_outage_then_expired);
	start_with(NULL, 0);
	api_until_requests(5);
	assert_string_equal(api_log.data, "begin end trouble well begin end ");
}

static void serve_expired_always(struct httpd_request *request, unsigned n)
{
	if (n % 2 == 0)
		api_json(request, 200, LIST("1", ""));
	else if (n < 5)
		end_stream(request, EVENT("ERROR", EXPIRED));
	else
		hold(request, "");
}

static void test_410_again_and_again_is_trouble(void **state)
{
	(void)state;
	api_serve(serve_expired_always);
	start_with(NULL, 0);
	api_until_log("begin end begin end trouble begin end well ");
	assert_int_equal(last_trouble.kind, ERROR_GONE);
}

/* --- failures --- */

static void serve_cut(struct httpd_request *request, unsigned n)
{
	if (n == 0) {
		api_json(request, 200, LIST("1", ""));
	} else if (n == 1) {
		api_stream(
			request,
			EVENT("ADDED", POD("a", "2")) "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\",");
		held = request;
	} else {
		hold(request, EVENT("ADDED", POD("b", "3")));
	}
}

static bool has_a(void)
{
	return strstr(api_log.data, "+a ") != NULL;
}

static void test_a_cut_stream_goes_on_from_the_last_whole_event(void **state)
{
	(void)state;
	api_serve(serve_cut);
	start_with(NULL, 0);
	api_until(has_a);
	httpd_abort(held);
	api_until_log("begin end +a trouble well +b ");
	assert_int_equal(last_trouble.kind, ERROR_RETRY);
	assert_memory_equal(last_trouble.text, "watch /api/v1/pods: ", 20);
	assert_string_equal(api_requests[2].version, "2");
	assert_true(kube_watch_is_synced(watch));
}

static void serve_cut_list(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		end_stream(request,
			   "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" POD("a", "3") ",{\"metadata\":{");
	else if (n == 1)
		api_json(request, 200, LIST("10", POD("a", "3") "," POD("b", "4")));
	else
		hold(request, "");
}

static void test_a_list_that_breaks_off_has_no_end_and_begins_again(void **state)
{
	(void)state;
	api_serve(serve_cut_list);
	start_with(NULL, 0);
	api_until_log("begin +a trouble begin +a +b end well ");
	assert_string_equal(api_requests[2].version, "10");
}

static void serve_refusals(struct httpd_request *request, unsigned n)
{
	static const char *const retry[] = { "Retry-After: 1", NULL };
	static const char html[] = "<html>sign in</html>";

	if (n == 0)
		api_json(request, 403,
			 "{\"kind\":\"Status\",\"message\":\"pods is "
			 "forbidden\",\"reason\":\"Forbidden\",\"code\":403}");
	else if (n == 1)
		httpd_answer(request, 200, "text/html", NULL, html, strlen(html));
	else if (n == 2)
		api_json(request, 200, "{\"kind\":\"Status\",\"metadata\":{}}");
	else if (n == 3)
		httpd_answer(request, 429, "text/plain", retry, "slow", 4);
	else if (n == 4)
		api_json(request, 200, LIST("1", ""));
	else
		hold(request, "");
}

static int64_t refused_ms;
static void stamp(void)
{
	refused_ms = loop_now_ms();
}

static bool has_four_troubles(void)
{
	const char *p = api_log.data;
	unsigned n = 0;

	while ((p = strstr(p, "trouble"))) {
		p++;
		n++;
	}
	if (n == 4 && refused_ms == 0)
		stamp();
	return n == 4;
}

static void test_refusals_are_told_and_retry_after_is_kept(void **state)
{
	(void)state;
	refused_ms = 0;
	api_serve(serve_refusals);
	start_with(NULL, 0);
	api_until_requests(1);
	api_until_log("trouble ");
	assert_int_equal(last_trouble.kind, ERROR_AUTH);
	assert_string_equal(last_trouble.text, "list /api/v1/pods: HTTP 403 Forbidden: pods is forbidden");
	api_until(has_four_troubles);
	assert_int_equal(last_trouble.kind, ERROR_RETRY);
	api_until_log("trouble begin trouble begin trouble trouble begin end well ");
	assert_true(loop_now_ms() - refused_ms >= 1000);
}

enum { OUTAGES = 8 };

static void serve_outage(struct httpd_request *request, unsigned n)
{
	static const char *const retry[] = { "Retry-After: 1", NULL };

	if (n == OUTAGES - 1)
		httpd_answer(request, 503, "text/plain", retry, "starting", 8);
	else if (n < OUTAGES)
		httpd_answer(request, 500, "text/plain", NULL, "down", 4);
	else if (n == OUTAGES)
		api_json(request, 200, LIST("1", ""));
	else
		hold(request, "");
}

/* Their waits would add up to 25 s at least, and api_until_log() gives up after ten. */
static void test_a_watch_in_a_hurry_waits_no_longer_after_an_outage(void **state)
{
	char heard[128] = "";

	(void)state;
	api_serve(serve_outage);
	start_with(NULL, 0);
	for (unsigned i = 0; i < OUTAGES; i++) {
		strcat(heard, "trouble ");
		api_until_log(heard);
		kube_watch_hurry(watch);
	}
	int64_t told_ms = loop_now_ms();
	strcat(heard, "begin end well ");
	api_until_log(heard);
	assert_true(loop_now_ms() - told_ms >= 900);
	kube_watch_hurry(watch); /* all is well: nothing happens */
	assert_int_equal(api_n, OUTAGES + 2);
}

static void serve_without_selector(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 400,
			 "{\"kind\":\"Status\",\"message\":\"field label not supported: "
			 "x\",\"reason\":\"BadRequest\",\"code\":400}");
	else if (n == 1)
		api_json(request, 200, LIST("1", ""));
	else
		hold(request, "");
}

static void test_a_selector_that_the_server_does_not_know_is_left_away(void **state)
{
	(void)state;
	api_serve(serve_without_selector);
	start_with("x=y", 0);
	api_until_log("trouble begin end well ");
	assert_string_equal(api_requests[0].selector, "x=y");
	assert_null(api_requests[1].selector);
	assert_null(api_requests[2].selector);
}

static void serve_nonsense(struct httpd_request *request, unsigned n)
{
	if (n == 0 || n == 2 || n == 4)
		api_json(request, 200, LIST("1", ""));
	else if (n == 1)
		end_stream(request, "[1]\n");
	else if (n == 3)
		end_stream(request, EVENT("SURPRISE", POD("a", "2")));
	else
		hold(request, "");
}

static void test_a_stream_that_makes_no_sense_is_followed_by_a_list(void **state)
{
	(void)state;
	api_serve(serve_nonsense);
	start_with(NULL, 0);
	api_until_log("begin end trouble begin end well trouble begin end well ");
}

static void serve_short(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 200, LIST("1", ""));
	else if (n == 1)
		end_stream(request, "");
	else
		hold(request, "");
}

static void test_a_watch_that_ends_at_once_is_trouble_not_a_busy_loop(void **state)
{
	(void)state;
	api_serve(serve_short);
	start_with(NULL, 0);
	api_until_log("begin end trouble well ");
	assert_string_equal(api_requests[2].version, "1");
}

static void serve_odd_objects(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 200,
			 LIST("1", "{\"metadata\":{\"name\":\"a\",\"x\":18446744073709551616,\"x\":\"\\u0000\"}}") " ");
	else
		hold(request, "");
}

static void test_numbers_and_keys_that_nobody_reads_do_not_stop_a_list(void **state)
{
	(void)state;
	api_serve(serve_odd_objects);
	start_with(NULL, 0);
	api_until_log("begin +a end ");
}

static struct buf deep; /* an object whose `x` has 9000 levels, with strings and brackets in strings on the way */

static void write_deep(const char *name)
{
	enum { LEVELS = 9000 };

	buf_clear(&deep);
	buf_printf(&deep, "{\"x\":");
	for (int i = 0; i < LEVELS; i++)
		buf_text(&deep, i % 2 ? "{\"a]\\\"}\":[[],{},\"}\"],\"b\":" : "[[],");
	buf_text(&deep, "1");
	for (int i = LEVELS - 1; i >= 0; i--)
		buf_text(&deep, i % 2 ? ",\"c\":[]}" : ",{}]");
	buf_printf(&deep, ",\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"7\"}}", name);
}

static void serve_deep(struct httpd_request *request, unsigned n)
{
	struct buf json;

	(void)n;
	buf_init(&json, 1 << 20);
	if (!httpd_query(request, "watch")) {
		write_deep("b");
		buf_printf(&json, LIST("1", POD("a", "1") ",%s," POD("c", "1")), deep.data);
		api_json(request, 200, json.data);
	} else {
		write_deep("d");
		buf_printf(&json, EVENT("ADDED", "%s") EVENT("ADDED", POD("e", "8")), deep.data);
		hold(request, json.data);
	}
	buf_free(&json);
}

static void test_one_that_lies_deep_hurts_neither_the_others_nor_itself(void **state)
{
	(void)state;
	buf_init(&deep, 1 << 20);
	api_serve(serve_deep);
	start_with(NULL, 0);
	api_until_log("begin +a +b +c end +d +e ");
	buf_free(&deep);
}

/* --- freed and restarted within callbacks --- */

static void free_watch(void)
{
	kube_watch_free(watch);
	watch = NULL;
}

static void restart_watch(void)
{
	kube_watch_restart(watch);
	assert_false(kube_watch_is_synced(watch));
}

static void serve_all(struct httpd_request *request, unsigned n)
{
	(void)n;
	if (!httpd_query(request, "watch"))
		api_json(request, 200, LIST("1", POD("a", "1") "," POD("b", "1")));
	else
		hold(request, EVENT("ADDED", POD("c", "2")) EVENT("DELETED", POD("a", "3")));
}

static void serve_first_fails(struct httpd_request *request, unsigned n)
{
	if (n == 0)
		api_json(request, 503, "");
	else
		serve_all(request, n);
}

static bool is_acted(void)
{
	return !act_on;
}

static const char *const callbacks[] = { "begin", "+", "end", "-", "trouble", "well" };

static bool probed;
static void on_probed(void *aux, const struct kube_reply *reply)
{
	(void)aux;
	(void)reply;
	probed = true;
}

static bool is_probed(void)
{
	return probed;
}

/* Another request there and back: what was under way has had its time. */
static void probe(void)
{
	probed = false;
	kube_send(api_kube, &(struct kube_request_options){ .method = "GET", .path = "/probe", .done = on_probed });
	api_until(is_probed);
}

static void test_a_watch_may_be_freed_in_any_of_its_callbacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_length(callbacks); i++) {
		api_teardown(state);
		assert_int_equal(api_setup(state), 0);
		api_serve(serve_first_fails);
		act_on = callbacks[i];
		act = free_watch;
		start_with(NULL, 0);
		api_until(is_acted);
		assert_null(watch);
		size_t heard = api_log.len;
		probe();
		assert_int_equal(api_log.len, heard);
	}
}

static void test_a_watch_may_be_restarted_in_any_of_its_callbacks(void **state)
{
	static const char *const heard[] = {
		"trouble begin begin +a +b end well +c -a ",
		"trouble begin +a begin +a +b end well +c -a ",
		"trouble begin +a +b end begin +a +b end well +c -a ",
		"trouble begin +a +b end well +c -a begin +a +b end +c -a ",
		"trouble begin +a +b end well +c -a ",
		"trouble begin +a +b end well begin +a +b end +c -a ",
	};
	(void)state;
	for (size_t i = 0; i < array_length(callbacks); i++) {
		api_teardown(state);
		assert_int_equal(api_setup(state), 0);
		api_serve(serve_first_fails);
		act_on = callbacks[i];
		act = restart_watch;
		start_with(NULL, 0);
		api_until_log(heard[i]);
		assert_true(kube_watch_is_synced(watch));
		free_watch();
	}
}

static void test_a_watch_may_be_restarted_and_freed_at_any_time(void **state)
{
	(void)state;
	api_serve(serve_all);
	start_with(NULL, 0);
	kube_watch_restart(watch);
	api_until_log("begin +a +b end +c -a ");
	buf_clear(&api_log);
	kube_watch_restart(watch);
	api_until_log("begin +a +b end +c -a ");
	free_watch();
	start_with(NULL, 0);
	free_watch();
	kube_watch_free(NULL);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, api_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_list_comes_in_pages_and_then_what_happens),
		promise(test_a_watch_that_ends_goes_on_from_the_last_event_or_bookmark),
		promise(test_a_watch_that_never_heard_a_thing_is_followed_by_a_list),
		promise(test_410_as_an_event_lists_anew_without_trouble),
		promise(test_what_came_of_a_watch_is_counted),
		promise(test_410_as_an_answer_lists_anew),
		promise(test_410_between_two_pages_begins_the_list_again),
		promise(test_410_after_an_outage_is_no_further_trouble),
		promise(test_410_again_and_again_is_trouble),
		promise(test_a_cut_stream_goes_on_from_the_last_whole_event),
		promise(test_a_list_that_breaks_off_has_no_end_and_begins_again),
		promise(test_refusals_are_told_and_retry_after_is_kept),
		promise(test_a_watch_in_a_hurry_waits_no_longer_after_an_outage),
		promise(test_a_selector_that_the_server_does_not_know_is_left_away),
		promise(test_a_stream_that_makes_no_sense_is_followed_by_a_list),
		promise(test_a_watch_that_ends_at_once_is_trouble_not_a_busy_loop),
		promise(test_numbers_and_keys_that_nobody_reads_do_not_stop_a_list),
		promise(test_one_that_lies_deep_hurts_neither_the_others_nor_itself),
		promise(test_a_watch_may_be_freed_in_any_of_its_callbacks),
		promise(test_a_watch_may_be_restarted_in_any_of_its_callbacks),
		promise(test_a_watch_may_be_restarted_and_freed_at_any_time),
	};
	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
