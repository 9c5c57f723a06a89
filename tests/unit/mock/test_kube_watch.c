#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_watch.h"

/* One watch on a store, without HTTP: what it writes is collected as "ADDED a Pending;". */
struct fixture {
	struct mkube_api api;
	struct mkube_watches *watches;
	struct mkube_watch *watch;
	struct buf said;
	unsigned room; /* lines that the sink still takes */
	bool ended, clean;
	const char *const *query; /* key, value, ..., NULL */
};

static bool take(void *aux, const void *bytes, size_t n)
{
	struct fixture *fixture = aux;
	struct error err;

	if (fixture->room == 0)
		return false;
	fixture->room--;
	json_t *event = json_parse(bytes, n, &err), *object = json_object_get(event, "object");
	assert_non_null(event);
	const char *name = json_str(object, "metadata", "name", NULL),
		   *phase = json_str(object, "status", "phase", NULL);
	buf_printf(&fixture->said, "%s", json_str(event, "type", NULL));
	if (name)
		buf_printf(&fixture->said, " %s %s", name, phase);
	else
		buf_printf(&fixture->said, " %s",
			   json_str(object, "metadata", "resourceVersion", NULL)
				   ? json_str(object, "metadata", "resourceVersion", NULL)
				   : json_str(object, "reason", NULL));
	buf_text(&fixture->said, ";");
	json_decref(event);
	return true;
}

static void ended(void *aux, bool clean)
{
	struct fixture *fixture = aux;

	fixture->ended = true;
	fixture->clean = clean;
	fixture->watch = NULL;
}

static void started(void *aux)
{
	(void)aux;
}

static void changed(void *aux, enum mkube_kind kind)
{
	struct fixture *fixture = aux;

	mkube_watches_pump(fixture->watches, kind);
}

static const char *query(void *aux, const char *key)
{
	const struct fixture *fixture = aux;

	for (const char *const *at = fixture->query; at && *at; at += 2)
		if (strcmp(at[0], key) == 0)
			return at[1];
	return NULL;
}

/* Status of the refusal; 0 when it was opened. */
static int open_watch(struct fixture *fixture, const char *const *asked)
{
	struct mkube_request request = {
		.method = "GET", .route = { .kind = MKUBE_PODS }, .query = query, .aux = fixture
	};
	struct mkube_sink sink = { .write = take, .end = ended, .aux = fixture };
	struct mkube_reply reply = { 0 };

	fixture->query = asked;
	fixture->ended = false;
	buf_clear(&fixture->said);
	fixture->watch = mkube_watch_open(fixture->watches, &request, &sink, started, 0, &reply);
	int status = reply.status;
	mkube_reply_free(&reply);
	return status;
}

static void put(struct fixture *fixture, const char *name, const char *phase)
{
	mkube_store_put(fixture->api.store, MKUBE_PODS,
			json_pack("{s:{s:s, s:s}, s:{s:s}}", "metadata", "namespace", "ns", "name", name, "status",
				  "phase", phase));
}

static void expect_said(struct fixture *fixture, const char *text)
{
	assert_string_equal(fixture->said.data, text);
	buf_clear(&fixture->said);
}

static int setup(void **state)
{
	struct fixture *fixture = mem_alloc(sizeof *fixture);

	fixture->api.store = mkube_store_new(5);
	fixture->watches = mkube_watches_new(&fixture->api, 60000);
	fixture->room = 1000;
	buf_init(&fixture->said, 1 << 20);
	mkube_store_on_change(fixture->api.store, changed, fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	mkube_watches_free(fixture->watches);
	mkube_store_free(fixture->api.store);
	buf_free(&fixture->said);
	free(fixture);
	return 0;
}

static void test_what_leaves_the_selector_is_deleted_and_what_enters_added(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "a", "Running");
	open_watch(fixture, (const char *const[]){ "fieldSelector", "status.phase!=Succeeded", NULL });
	expect_said(fixture, "ADDED a Running;");
	put(fixture, "a", "Pending");
	expect_said(fixture, "MODIFIED a Pending;");
	put(fixture, "a", "Succeeded");
	expect_said(fixture, "DELETED a Pending;");
	put(fixture, "a", "Succeeded");
	expect_said(fixture, "");
	put(fixture, "a", "Running");
	expect_said(fixture, "ADDED a Running;");
	mkube_store_remove(fixture->api.store, MKUBE_PODS, "ns/a");
	expect_said(fixture, "DELETED a Running;");
	put(fixture, "b", "Succeeded");
	mkube_store_remove(fixture->api.store, MKUBE_PODS, "ns/b");
	expect_said(fixture, "");
}

static void test_a_full_sink_loses_and_doubles_nothing(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "a", "1");
	put(fixture, "b", "1");
	fixture->room = 1;
	open_watch(fixture, NULL);
	put(fixture, "c", "1");
	expect_said(fixture, "ADDED a 1;");
	fixture->room = 1;
	mkube_watches_tick(fixture->watches, 5);
	expect_said(fixture, "ADDED b 1;");
	fixture->room = 10;
	mkube_watches_tick(fixture->watches, 10);
	expect_said(fixture, "ADDED c 1;");
}

static void test_a_watch_too_slow_for_the_history_is_ended(void **state)
{
	struct fixture *fixture = *state;

	open_watch(fixture, NULL);
	fixture->room = 0;
	for (int i = 0; i < 6; i++)
		put(fixture, "a", "1");
	assert_true(fixture->ended && fixture->clean);
}

static void test_a_version_that_is_gone_is_an_error_event_and_one_ahead_is_silence(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 8; i++)
		put(fixture, "a", "1");
	open_watch(fixture, (const char *const[]){ "resourceVersion", "1001", NULL });
	expect_said(fixture, "ERROR Expired;");
	assert_true(fixture->ended && fixture->clean);
	open_watch(fixture, (const char *const[]){ "resourceVersion", "1007", NULL });
	expect_said(fixture, "MODIFIED a 1;");
	mkube_watch_close(fixture->watch);
	open_watch(fixture, (const char *const[]){ "resourceVersion", "1010", NULL });
	put(fixture, "a", "2");
	put(fixture, "a", "3");
	expect_said(fixture, "");
	put(fixture, "a", "4");
	expect_said(fixture, "MODIFIED a 4;");
}

static void test_bookmarks_come_when_due_and_only_if_there_is_news(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "a", "1");
	open_watch(fixture, (const char *const[]){ "allowWatchBookmarks", "true", "timeoutSeconds", "90",
						   "resourceVersion", "1001", NULL });
	assert_int_equal(mkube_watches_tick(fixture->watches, 1), 60000);
	assert_int_equal(mkube_watches_tick(fixture->watches, 60000), 88000);
	expect_said(fixture, "");
	put(fixture, "a", "2");
	expect_said(fixture, "MODIFIED a 2;");
	assert_int_equal(mkube_watches_tick(fixture->watches, 88000), 90000);
	expect_said(fixture, "BOOKMARK 1002;");
	mkube_watches_tick(fixture->watches, 90000);
	expect_said(fixture, "");
	assert_true(fixture->ended && fixture->clean);
}

static void test_other_kinds_move_the_bookmark_of_the_newer_server_only(void **state)
{
	struct fixture *fixture = *state;
	static const char *const asked[] = { "allowWatchBookmarks", "true", "resourceVersion", "1001", NULL };

	put(fixture, "a", "1");
	for (int newer = 0; newer < 2; newer++) {
		fixture->api.newer = newer;
		open_watch(fixture, asked);
		mkube_store_put(fixture->api.store, MKUBE_NODES, json_pack("{s:{s:s}}", "metadata", "name", "n"));
		mkube_watches_tick(fixture->watches, 60000);
		expect_said(fixture, newer ? "BOOKMARK 1003;" : "");
		mkube_watch_close(fixture->watch);
	}
}

static void test_watch_list_is_refused_by_the_older_server(void **state)
{
	struct fixture *fixture = *state;
	static const char *const asked[] = {
		"sendInitialEvents", "true", "resourceVersionMatch", "NotOlderThan", "allowWatchBookmarks", "true", NULL
	};

	put(fixture, "a", "1");
	assert_int_equal(open_watch(fixture, asked), 422);
	fixture->api.newer = true;
	assert_int_equal(open_watch(fixture, asked), 0);
	expect_said(fixture, "ADDED a 1;BOOKMARK 1001;");
	mkube_watch_close(fixture->watch);
	assert_int_equal(open_watch(fixture, (const char *const[]){ "sendInitialEvents", "true", NULL }), 422);
	assert_int_equal(open_watch(fixture, (const char *const[]){ "resourceVersion", "abc", NULL }), 500);
	assert_int_equal(open_watch(fixture, (const char *const[]){ "fieldSelector", "x=y", NULL }), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		WITH_FIXTURE(test_what_leaves_the_selector_is_deleted_and_what_enters_added),
		WITH_FIXTURE(test_a_full_sink_loses_and_doubles_nothing),
		WITH_FIXTURE(test_a_watch_too_slow_for_the_history_is_ended),
		WITH_FIXTURE(test_a_version_that_is_gone_is_an_error_event_and_one_ahead_is_silence),
		WITH_FIXTURE(test_bookmarks_come_when_due_and_only_if_there_is_news),
		WITH_FIXTURE(test_other_kinds_move_the_bookmark_of_the_newer_server_only),
		WITH_FIXTURE(test_watch_list_is_refused_by_the_older_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
