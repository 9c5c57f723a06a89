// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/ufmsync/api_world.h"
#include "ufmsync/api_private.h"

/* Answers from what the engine knows. */

enum { STRANGER = 0x800 };

static struct api_place *with_pods(unsigned n)
{
	struct api_place *place = api_place_new();

	world_network(place->world, "a/ib", IB("0x5"));
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/p%u", i);
		world_pod(place->world, name, "ib");
	}
	world_pass(place->world, 1000);
	return place;
}

/* The values of `key` of all items of all pages, one behind the other. */
static char *all_of(struct api_place *place, const char *path, const char *key, unsigned *pages)
{
	char *text = mem_dup(""), *more = mem_dup(path);

	*pages = 0;
	while (more) {
		json_t *page = api_get(place, more, 200), *item;
		size_t i;

		++*pages;
		json_array_foreach(json_object_get(page, "items"), i, item)
		{
			char *longer = mem_printf("%s%s ", text, json_str(item, key, NULL));
			free(text);
			text = longer;
		}
		const char *again = json_str(page, "continue", NULL);
		free(more);
		more = again ? mem_printf("%s%ccontinue=%s", path, strchr(path, '?') ? '&' : '?', again) : NULL;
		json_decref(page);
	}
	return text;
}

static void pages_are(struct api_place *place, const char *path, const char *key, const char *wanted, unsigned n)
{
	unsigned pages;
	char *text = all_of(place, path, key, &pages);

	assert_string_equal(text, wanted);
	assert_int_equal(pages, n);
	free(text);
}

/* --- questions --- */

static void test_what_is_not_asked_rightly_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"/v1/status?x=1",
		"/v1/pkeys?limit=0",
		"/v1/pkeys?limit=5001",
		"/v1/pkeys?limit=-1",
		"/v1/pkeys?limit=1x",
		"/v1/pkeys?limit=",
		"/v1/pkeys?limit=1&limit=2",
		"/v1/pkeys?continue=",
		"/v1/pkeys?continue=1.32768",
		"/v1/pkeys?state=wanted",
		"/v1/attachments?state=x",
		"/v1/attachments?pkey=0x8000",
		"/v1/attachments?continue=1.1",
		"/v1/orphans?continue=1.1.x",
		"/v1/pkeys/0x0",
		"/v1/pkeys/0x5?continue=1",
		"/v1/guids/1",
		"/v1/guids/ff:ff:ff:ff:ff:ff:ff:ff",
		"/v1/pkeys?limit=99999999999999999999999",
	};
	struct api_place *place = with_pods(1);
	for (size_t i = 0; i < array_length(bad); i++)
		api_refused(place, "GET", bad[i], NULL, 400, "BadRequest");
	api_refused(place, "GET", "/v1/nothing", NULL, 404, "NotFound");
	api_refused(place, "GET", "/v1/pkeys/", NULL, 404, "NotFound");
	api_refused(place, "GET", "/v1/pkeys/0x5/x", NULL, 404, "NotFound");
	api_refused(place, "GET", "/v1/statusx", NULL, 404, "NotFound");
	api_refused(place, "DELETE", "/v1/orphans", NULL, 405, "MethodNotAllowed");
	api_refused(place, "GET", "/v1/audit", NULL, 405, "MethodNotAllowed");
	api_refused(place, "POST", "/v1/audit", "{\"x\":1}", 400, "BadRequest");
	api_refused(place, "POST", "/v1/orphans/confirm", "[]", 400, "BadRequest");
	api_place_free(place);
}

static void test_a_standby_names_the_leader_and_answers_its_status_only(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	api_place_follow(place);
	place->held = true;
	place->leader = "somebody";
	for (const char *const *path =
		     (const char *const[]){ "/v1/pool", "/v1/pkeys", "/v1/pkeys/0x5", "/v1/attachments",
					    "/v1/guids/020000000000001a", "/v1/orphans", NULL };
	     *path; path++)
		api_refused(place, "GET", *path, NULL, 503, "NotLeader");
	api_refused(place, "POST", "/v1/audit", NULL, 503, "NotLeader");
	json_t *status = api_get(place, "/v1/status", 200);
	assert_string_equal(json_str(status, "leader", "identity", NULL), "somebody");
	assert_false(json_bool(status, true, "leader", "here", NULL));
	json_decref(status);
	api_place_free(place);
}

static void test_a_leader_that_still_reads_says_so(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	place->leads = false; /* its engine leads already */
	api_refused(place, "GET", "/v1/attachments", NULL, 503, "NotReady");
	api_refused(place, "POST", "/v1/orphans/confirm", NULL, 503, "NotReady");
	api_place_free(place);
}

static void test_status_and_pool_say_what_the_engine_says(void **state)
{
	(void)state;
	struct api_place *place = with_pods(2);
	place->last_error = "no route to host";
	json_t *status = api_get(place, "/v1/status", 200), *pool = api_get(place, "/v1/pool", 200);
	assert_int_equal(json_int(status, -1, "attachments", "published", NULL), 2);
	assert_string_equal(json_str(status, "backend", "name", NULL), "made up");
	assert_string_equal(json_str(status, "backend", "error", "message", NULL), "no route to host");
	assert_string_equal(json_str(status, "brake", NULL), "off");
	assert_non_null(json_str(status, "lastAudit", NULL));
	assert_int_equal(json_int(pool, -1, "held", NULL), 2);
	assert_int_equal(json_int(pool, -1, "free", NULL), json_int(pool, -1, "size", NULL) - 2);
	json_decref(status);
	json_decref(pool);
	api_place_free(place);
}

/* --- attachments --- */

static void test_attachments_come_in_pages_of_any_size(void **state)
{
	(void)state;
	struct api_place *place = with_pods(5);
	pages_are(place, "/v1/attachments", "pod", "p0 p1 p2 p3 p4 ", 1);
	pages_are(place, "/v1/attachments?limit=5", "pod", "p0 p1 p2 p3 p4 ", 1);
	pages_are(place, "/v1/attachments?limit=2", "pod", "p0 p1 p2 p3 p4 ", 3);
	pages_are(place, "/v1/attachments?limit=1&state=published", "pod", "p0 p1 p2 p3 p4 ", 5);
	api_place_free(place);
}

static void test_a_page_may_end_within_a_pod(void **state)
{
	(void)state;
	struct api_place *place = with_pods(0);
	world_pod(place->world, "a/many", "ib,ib,ib,ib,ib");
	world_pod(place->world, "a/more", "ib,ib");
	world_pass(place->world, 1000);
	pages_are(place, "/v1/attachments?limit=2", "pod", "many many many many many more more ", 4);
	pages_are(place, "/v1/attachments?limit=3&node=node-1", "pod", "many many many many many more more ", 3);
	api_place_free(place);
}

static void test_filters_leave_only_what_they_name(void **state)
{
	(void)state;
	struct api_place *place = with_pods(2);
	world_network(place->world, "b/ib", IB("0x6"));
	world_pod(place->world, "b/q", "ib");
	world_pod(place->world, "b/lost", "none");
	world_pass(place->world, 1000);
	pages_are(place, "/v1/attachments?namespace=b", "pod", "q lost ", 1);
	pages_are(place, "/v1/attachments?namespace=b&pod=q", "pod", "q ", 1);
	pages_are(place, "/v1/attachments?pkey=0x6", "pod", "q ", 1);
	pages_are(place, "/v1/attachments?pkey=5&limit=1", "pod", "p0 p1 ", 2);
	pages_are(place, "/v1/attachments?state=wanted", "pod", "lost ", 1);
	pages_are(place, "/v1/attachments?node=elsewhere", "pod", "", 1);
	json_t *page = api_get(place, "/v1/attachments?pod=lost", 200),
	       *item = json_array_get(json_object_get(page, "items"), 0);
	assert_string_equal(json_str(item, "blocked", "reason", NULL), "NetworkNotFound");
	assert_string_equal(json_str(item, "network", NULL), "b/none");
	assert_true(json_is_null(json_object_get(item, "guid")));
	json_decref(page);
	api_place_free(place);
}

static void test_a_page_whose_pod_has_gone_must_be_begun_anew(void **state)
{
	(void)state;
	struct api_place *place = with_pods(3);
	json_t *page = api_get(place, "/v1/attachments?limit=1", 200);
	char *more = mem_printf("/v1/attachments?continue=%s", json_str(page, "continue", NULL));
	world_pod_delete(place->world, "a/p0", WORLD_ENDED);
	api_refused(place, "GET", more, NULL, 410, "Expired");
	json_decref(page);
	free(more);
	api_place_free(place);
}

static void delete_where_it_stands(struct api_place *place)
{
	static const char *const pods[] = { "a/p0", "a/p1", "a/p2" };

	if (place->turns_between <= array_length(pods))
		world_pod_delete(place->world, pods[place->turns_between - 1], WORLD_ENDED);
}

static void test_pods_that_go_while_a_page_is_made_do_not_stop_it(void **state)
{
	(void)state;
	struct api_place *place = with_pods(60);
	unsigned pages;
	place->between = delete_where_it_stands;
	place->api->slice_ns = 0; /* a pod a turn */
	char *text = all_of(place, "/v1/attachments?limit=20", "pod", &pages);
	for (unsigned i = 3; i < 60; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%u ", i);
		assert_non_null(strstr(text, name));
	}
	free(text);
	api_place_free(place);
}

/* --- PKeys --- */

static void test_each_pkey_has_its_counts(void **state)
{
	(void)state;
	struct api_place *place = with_pods(2);
	world_member_set(place->world, 5, GUID_1 + STRANGER, true);
	world_member_set(place->world, 0x7000, 0x42, true);
	engine_audit(place->world->engine, place->world->now);
	world_run(place->world);
	pages_are(place, "/v1/pkeys", "pkey", "0x5 0x7000 ", 1);
	pages_are(place, "/v1/pkeys?limit=1", "pkey", "0x5 0x7000 ", 2);
	json_t *page = api_get(place, "/v1/pkeys", 200), *item = json_array_get(json_object_get(page, "items"), 0);
	assert_int_equal(json_int(item, -1, "full", NULL), 2);
	assert_int_equal(json_int(item, -1, "listed", NULL), 3);
	assert_int_equal(json_int(item, -1, "orphans", NULL), 1);
	json_decref(page);
	api_place_free(place);
}

/* --- orphans --- */

static struct api_place *with_orphans(void)
{
	struct api_place *place = with_pods(1);
	engine_free(place->world->engine);
	place->world->engine = NULL;
	for (unsigned i = 0; i < 5; i++)
		world_member_set(place->world, 5, GUID_1 + STRANGER + i, true);
	world_engine(place->world);
	world_tell(place->world);
	world_lead(place->world, false);
	world_pass(place->world, 61000);
	return place;
}

static uint64_t revision_of(struct api_place *place)
{
	json_t *page = api_get(place, "/v1/orphans?limit=1", 200);
	uint64_t revision = (uint64_t)json_int(page, -1, "revision", NULL);
	json_decref(page);
	return revision;
}

static void test_orphans_come_in_pages_until_they_change(void **state)
{
	(void)state;
	struct api_place *place = with_orphans();
	unsigned pages;
	char *text = all_of(place, "/v1/orphans?limit=2", "kind", &pages);
	assert_string_equal(text, "orphan orphan orphan orphan orphan ");
	assert_int_equal(pages, 3);
	free(text);
	json_t *page = api_get(place, "/v1/orphans?limit=2", 200);
	char *more = mem_printf("/v1/orphans?continue=%s", json_str(page, "continue", NULL));
	world_member_drop(place->world, 5, GUID_1 + STRANGER + 4);
	world_pass(place->world, 61000);
	api_refused(place, "GET", more, NULL, 410, "Expired");
	json_decref(page);
	free(more);
	api_place_free(place);
}

static void test_named_orphans_are_removed(void **state)
{
	(void)state;
	struct api_place *place = with_orphans();
	uint64_t revision = revision_of(place);
	char *body = mem_printf(
		"{\"guids\":[\"02:00:00:00:00:00:08:10\",\"0200000000000812\"],\"revision\":%" PRIu64 "}", revision);
	json_t *answer = api_post(place, "/v1/orphans/remove", body, 202);
	assert_int_equal(json_int(answer, -1, "accepted", NULL), 2);
	json_decref(answer);
	world_pass(place->world, 5000);
	assert_false(world_is_member(place->world, 5, GUID_1 + STRANGER));
	assert_false(world_is_member(place->world, 5, GUID_1 + STRANGER + 2));
	assert_int_equal(world_count(place->world, 5), 4);
	api_refused(place, "POST", "/v1/orphans/remove", body, 409, "Changed");
	free(body);
	api_place_free(place);
}

static void test_a_removal_that_is_not_right_removes_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"guids\":[],\"revision\":%d}",
		"{\"guids\":[\"x\"],\"revision\":%d}",
		"{\"guids\":[7],\"revision\":%d}",
		"{\"guids\":[\"0200000000000810\"]}",
		"{\"guids\":[\"0200000000000810\"],\"revision\":-1}",
		"{\"guids\":[\"0200000000000810\"],\"revision\":\"%d\"}",
		"{\"guids\":[\"0200000000000810\"],\"revision\":%d,\"force\":true}",
		"{\"guids\":[\"0200000000000810\"],\"revision\":%d,\"revision\":%d}",
	};
	struct api_place *place = with_orphans();
	int revision = (int)revision_of(place);
	for (size_t i = 0; i < array_length(bad); i++) {
		const char *number = strstr(bad[i], "%d");
		char *body = number ? mem_printf("%.*s%d%s", (int)(number - bad[i]), bad[i], revision, number + 2)
				    : mem_dup(bad[i]);
		api_refused(place, "POST", "/v1/orphans/remove", body, 400, "BadRequest");
		free(body);
	}
	char *body = mem_printf("{\"guids\":[\"0200000000000810\",\"0200000000000042\"],\"revision\":%d}", revision);
	api_refused(place, "POST", "/v1/orphans/remove", body, 409, "Changed");
	free(body);
	body = mem_printf("{\"guids\":[\"0200000000000810\"],\"revision\":%d}", revision + 1);
	api_refused(place, "POST", "/v1/orphans/remove", body, 409, "Changed");
	free(body);
	world_pass(place->world, 5000);
	assert_int_equal(world_count(place->world, 5), 6);
	api_place_free(place);
}

static void test_a_confirmation_and_an_audit_reach_the_engine(void **state)
{
	(void)state;
	struct api_place *place = with_orphans();
	json_t *answer = api_post(place, "/v1/orphans/confirm", "{}", 200);
	assert_int_equal(json_int(answer, -1, "orphans", NULL), 5);
	json_decref(answer);
	assert_true(engine_is_settled(place->world->engine));
	world_pass(place->world, 1000);
	assert_int_equal(world_count(place->world, 5), 1);
	world_member_set(place->world, 5, GUID_1 + STRANGER, true);
	json_decref(api_post(place, "/v1/audit", NULL, 202));
	world_run(place->world);
	answer = api_get(place, "/v1/status", 200);
	assert_int_equal(json_int(answer, -1, "foreign", NULL), 1); /* it came back */
	json_decref(answer);
	api_place_free(place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_asked_rightly_is_refused),
		cmocka_unit_test(test_a_standby_names_the_leader_and_answers_its_status_only),
		cmocka_unit_test(test_a_leader_that_still_reads_says_so),
		cmocka_unit_test(test_status_and_pool_say_what_the_engine_says),
		cmocka_unit_test(test_attachments_come_in_pages_of_any_size),
		cmocka_unit_test(test_a_page_may_end_within_a_pod),
		cmocka_unit_test(test_filters_leave_only_what_they_name),
		cmocka_unit_test(test_a_page_whose_pod_has_gone_must_be_begun_anew),
		cmocka_unit_test(test_pods_that_go_while_a_page_is_made_do_not_stop_it),
		cmocka_unit_test(test_each_pkey_has_its_counts),
		cmocka_unit_test(test_orphans_come_in_pages_until_they_change),
		cmocka_unit_test(test_named_orphans_are_removed),
		cmocka_unit_test(test_a_removal_that_is_not_right_removes_nothing),
		cmocka_unit_test(test_a_confirmation_and_an_audit_reach_the_engine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
