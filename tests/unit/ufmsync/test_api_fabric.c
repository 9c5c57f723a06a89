// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/ufmsync/api_world.h"

/* Answers for which the fabric manager is asked. */

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

static const json_t *item_of(const json_t *answer, const char *list, uint64_t guid)
{
	char text[GUID_TEXT_MAX];
	const json_t *item;
	size_t i;

	guid_format(text, (struct guid){ guid });
	json_array_foreach(json_object_get(answer, list), i, item)
	{
		const char *its = json_str(item, "guid", NULL);
		if (its && strcmp(its, text) == 0)
			return item;
	}
	fail_msg("%s is not listed", text);
	return NULL;
}

static const char *kind_of(const json_t *answer, uint64_t guid)
{
	return json_str(item_of(answer, "items", guid), "kind", NULL);
}

/* --- members --- */

static void test_each_member_is_joined_to_who_holds_it(void **state)
{
	(void)state;
	struct api_place *place = with_pods(2);
	struct world *world = place->world;
	uint64_t p0 = world_guid(world, "a/p0", 0), p1 = world_guid(world, "a/p1", 0);
	world_member_set(world, 5, p1, false); /* its index 0 got lost */
	world_member_set(world, 5, GUID_1 + STRANGER, false);
	world_member_set(world, 5, 0x42, false);
	world_member_set(world, 6, p0, false);
	json_t *answer = api_get(place, "/v1/pkeys/5", 200);
	const json_t *owner = json_object_get(item_of(answer, "items", p0), "owner");
	assert_string_equal(kind_of(answer, p0), "attachment");
	assert_string_equal(json_str(owner, "pod", NULL), "p0");
	assert_string_equal(json_str(owner, "network", NULL), "a/ib");
	assert_string_equal(json_str(owner, "state", NULL), "published");
	assert_true(json_is_true(json_object_get(item_of(answer, "items", p0), "right")));
	assert_true(json_is_false(json_object_get(item_of(answer, "items", p1), "right")));
	assert_string_equal(kind_of(answer, GUID_1 + STRANGER), "orphan");
	assert_true(json_is_null(json_object_get(item_of(answer, "items", GUID_1 + STRANGER), "owner")));
	assert_string_equal(kind_of(answer, 0x42), "outside");
	assert_int_equal(json_int(answer, -1, "counts", "members", NULL), 4);
	assert_int_equal(json_int(answer, -1, "counts", "attachment", NULL), 2);
	assert_int_equal(json_int(answer, -1, "counts", "outside", NULL), 1);
	json_decref(answer);
	answer = api_get(place, "/v1/pkeys/0x6", 200);
	assert_string_equal(kind_of(answer, p0), "unexpected");
	json_decref(answer);
	api_refused(place, "GET", "/v1/pkeys/0x77", NULL, 404, "NotFound");
	api_place_free(place);
}

static void test_pages_of_one_list_stay_as_they_were(void **state)
{
	(void)state;
	struct api_place *place = with_pods(0);
	for (unsigned i = 0; i < 5; i++)
		world_member_set(place->world, 5, 0x100 + i, false);
	json_t *first = api_get(place, "/v1/pkeys/5?limit=3", 200);
	char *more = mem_printf("/v1/pkeys/5?continue=%s", json_str(first, "continue", NULL));
	world_member_drop(place->world, 5, 0x104);
	json_t *second = api_get(place, more, 200);
	assert_int_equal(place->n_lists, 1);
	assert_int_equal(json_array_size(json_object_get(first, "items")), 3);
	assert_int_equal(json_array_size(json_object_get(second, "items")), 2);
	item_of(second, "items", 0x104);
	assert_true(json_is_null(json_object_get(second, "continue")));
	assert_int_equal(json_int(first, -1, "revision", NULL), json_int(second, -2, "revision", NULL));
	char *other = mem_printf("/v1/pkeys/6?continue=%s", json_str(first, "continue", NULL));
	api_refused(place, "GET", other, NULL, 410, "Expired");
	json_decref(first);
	json_decref(second);
	free(more);
	free(other);
	api_place_free(place);
}

static void test_only_the_last_few_lists_are_kept(void **state)
{
	(void)state;
	struct api_place *place = with_pods(0);
	char *more[6];
	for (uint16_t i = 0; i < 6; i++) {
		char path[32];
		world_member_set(place->world, 5 + i, 0x100, false);
		world_member_set(place->world, 5 + i, 0x101, false);
		snprintf(path, sizeof path, "/v1/pkeys/%u?limit=1", 5u + i);
		json_t *page = api_get(place, path, 200);
		more[i] = mem_printf("/v1/pkeys/%u?continue=%s", 5u + i, json_str(page, "continue", NULL));
		json_decref(page);
	}
	for (int i = 0; i < 6; i++) {
		if (i < 2)
			api_refused(place, "GET", more[i], NULL, 410, "Expired");
		else
			json_decref(api_get(place, more[i], 200));
		free(more[i]);
	}
	api_place_free(place);
}

static void test_who_asks_for_the_same_pkey_shares_its_list(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	struct api_asked asked[3];
	place->hold = true;
	api_begin(place, &asked[0], "GET", "/v1/pkeys/5", NULL);
	api_begin(place, &asked[1], "GET", "/v1/pkeys/0x5?limit=1", NULL);
	api_begin(place, &asked[2], "GET", "/v1/pkeys/6", NULL);
	assert_int_equal(place->n_lists, 2);
	api_place_list(place, 0, NULL);
	api_wait(&asked[0]);
	api_wait(&asked[1]);
	assert_int_equal(asked[0].status, 200);
	assert_int_equal(json_int(asked[0].answer, -1, "revision", NULL),
			 json_int(asked[1].answer, -2, "revision", NULL));
	assert_int_equal(asked[2].status, 0);
	api_place_list(place, 1, NULL);
	api_wait(&asked[2]);
	assert_int_equal(asked[2].status, 404);
	for (int i = 0; i < 3; i++)
		api_asked_free(&asked[i]);
	api_place_free(place);
}

static void test_a_fabric_manager_that_fails_is_said(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	struct error err = { ERROR_RETRY, "HTTP 503" };
	struct api_asked asked[2];
	place->hold = true;
	api_begin(place, &asked[0], "GET", "/v1/pkeys/5", NULL);
	api_begin(place, &asked[1], "GET", "/v1/guids/0200000000000010", NULL);
	for (int i = 0; i < 2; i++) {
		api_place_list(place, (size_t)i, &err);
		api_wait(&asked[i]);
		assert_int_equal(asked[i].status, 503);
		assert_string_equal(json_str(asked[i].answer, "error", "code", NULL), "FabricUnavailable");
		assert_string_equal(json_str(asked[i].answer, "error", "message", NULL), "HTTP 503");
		api_asked_free(&asked[i]);
	}
	place->no_backend = true;
	api_refused(place, "GET", "/v1/pkeys/5", NULL, 503, "FabricUnavailable");
	api_refused(place, "GET", "/v1/guids/0200000000000010", NULL, 503, "FabricUnavailable");
	api_place_free(place);
}

static void test_more_members_than_are_taken_is_an_error(void **state)
{
	(void)state;
	struct api_place *place = with_pods(0);
	struct api_asked asked;
	place->hold = true;
	api_begin(place, &asked, "GET", "/v1/pkeys/5", NULL);
	const struct pkey_list_sink *sink = &place->lists[0].sink;
	for (uint64_t i = 1; i <= 200001; i++)
		sink->member(sink->aux, (struct pkey){ 5 }, &(struct member){ { i }, MEMBERSHIP_FULL, false });
	api_place_list(place, 0, NULL);
	api_wait(&asked);
	assert_int_equal(asked.status, 503);
	assert_string_equal(json_str(asked.answer, "error", "code", NULL), "TooManyMembers");
	assert_non_null(strstr(json_str(asked.answer, "error", "message", NULL), "200000"));
	api_asked_free(&asked);
	api_place_free(place);
}

static void test_only_so_many_lists_are_asked_for_at_a_time(void **state)
{
	(void)state;
	struct api_place *place = with_pods(0);
	struct api_asked asked[4];
	place->hold = true;
	for (int i = 0; i < 4; i++) {
		char path[32];
		snprintf(path, sizeof path, "/v1/pkeys/%d", 5 + i);
		api_begin(place, &asked[i], "GET", path, NULL);
	}
	api_refused(place, "GET", "/v1/pkeys/77", NULL, 503, "TooManyRequests");
	assert_int_equal(place->n_lists, 4);
	api_place_free(place); /* the calls end without an answer */
	for (int i = 0; i < 4; i++)
		assert_int_equal(asked[i].status, 0);
}

static void test_who_leaves_is_not_answered_and_harms_nobody(void **state)
{
	(void)state;
	struct api_place *place = with_pods(2);
	struct api_asked asked[4];
	place->hold = true;
	api_begin(place, &asked[0], "GET", "/v1/pkeys/5", NULL);
	api_begin(place, &asked[1], "GET", "/v1/pkeys/5", NULL);
	api_begin(place, &asked[2], "GET", "/v1/guids/0200000000000010", NULL);
	api_begin(place, &asked[3], "GET", "/v1/attachments", NULL);
	api_cancel(asked[0].call);
	api_cancel(asked[2].call);
	api_cancel(asked[3].call);
	api_place_list(place, 0, NULL);
	api_place_list(place, 1, NULL);
	api_wait(&asked[1]);
	assert_int_equal(asked[1].status, 200);
	assert_int_equal(asked[0].status + asked[2].status + asked[3].status, 0);
	api_asked_free(&asked[1]);
	api_begin(place, &asked[0], "GET", "/v1/pkeys/5", NULL);
	api_cancel(asked[0].call);
	api_place_list(place, 2, NULL); /* nobody waits for it any more */
	json_decref(api_get(place, "/v1/attachments", 200));
	api_place_free(place);
}

/* --- GUIDs --- */

static void test_a_guid_is_looked_for_in_every_pkey(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	uint64_t guid = world_guid(place->world, "a/p0", 0);
	char path[64], text[GUID_TEXT_MAX];
	world_member_set(place->world, 6, guid, false);
	snprintf(path, sizeof path, "/v1/guids/%s", guid_format(text, (struct guid){ guid }));
	json_t *answer = api_get(place, path, 200);
	assert_string_equal(json_str(answer, "guid", NULL), text);
	assert_string_equal(json_str(answer, "owner", "pod", NULL), "p0");
	assert_true(json_bool(answer, false, "inRange", NULL));
	const json_t *listed = json_object_get(answer, "listed"), *item;
	size_t i;
	assert_int_equal(json_array_size(listed), 2);
	json_array_foreach(listed, i, item)
	{
		bool five = strcmp(json_str(item, "pkey", NULL), "0x5") == 0;
		assert_string_equal(json_str(item, "kind", NULL), five ? "attachment" : "unexpected");
	}
	json_decref(answer);
	answer = api_get(place, "/v1/guids/0200000000000fff", 200); /* of our range, and free */
	assert_true(json_is_null(json_object_get(answer, "owner")));
	assert_int_equal(json_array_size(json_object_get(answer, "listed")), 0);
	json_decref(answer);
	api_refused(place, "GET", "/v1/guids/0x4200000000000042", NULL, 404, "NotFound");
	api_place_free(place);
}

static void assert_port(struct api_place *place, const char *path, const char *expected)
{
	json_t *answer = api_get(place, path, 200);
	char *text = json_dumps(json_object_get(answer, "port"), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	assert_string_equal(text, expected);
	free(text);
	json_decref(answer);
}

static void test_a_guid_shows_its_virtual_port_as_far_as_that_can_be_told(void **state)
{
	(void)state;
	static const char path[] = "/v1/guids/0200000000000010";
	static const struct pkey_port port = { .guid = { 0x0200000000000010 },
					       .state = "Active",
					       .lid = 17,
					       .node = "node1",
					       .device = "node1 mlx5_0",
					       .number = 1 };
	struct api_place *place = with_pods(1);
	struct error refused = { 0 };

	assert_port(place, path, "null");
	api_place_tell_ports(place);
	assert_port(
		place, path,
		"{\"lid\":null,\"node\":null,\"note\":\"the fabric manager knows no virtual port at all: looking for "
		"them may be switched off there\",\"port\":null,\"seen\":false,\"state\":null}");
	place->ports[0] = port;
	place->ports[0].guid.v++;
	place->n_ports = 1;
	assert_port(
		place, path,
		"{\"lid\":null,\"node\":null,\"note\":\"the fabric manager looks for virtual ports now and then: one "
		"that has just come up is not known yet\",\"port\":null,\"seen\":false,\"state\":null}");
	/* It moved: where it was is told before and behind where it is. */
	place->ports[0] = place->ports[1] = place->ports[2] = port;
	strcpy(place->ports[0].state, "Down");
	strcpy(place->ports[2].state, "Down");
	place->n_ports = 3;
	assert_port(place, path,
		    "{\"lid\":17,\"node\":\"node1\",\"note\":null,\"port\":\"node1 mlx5_0/1\",\"seen\":true,"
		    "\"state\":\"Active\"}");
	place->n_ports = 1;
	place->ports[0] = (struct pkey_port){ .guid = port.guid, .state = "Down" };
	assert_port(place, path,
		    "{\"lid\":null,\"node\":null,\"note\":null,\"port\":null,\"seen\":true,\"state\":\"Down\"}");
	error_set(&refused, ERROR_AUTH, "HTTP 403");
	place->ports_error = &refused;
	place->n_ports = 0;
	assert_port(place, path,
		    "{\"lid\":null,\"node\":null,\"note\":\"HTTP 403\",\"port\":null,\"seen\":null,\"state\":null}");
	api_place_free(place);
}

static void test_ports_are_told_once_for_all_who_wait_and_not_for_those_who_left(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	struct api_asked asked[4];

	api_place_tell_ports(place);
	place->hold = true;
	for (int i = 0; i < 4; i++)
		api_begin(place, &asked[i], "GET", "/v1/guids/0200000000000010", NULL);
	api_cancel(asked[0].call);
	api_place_list(place, 0, NULL); /* nobody is left for whom to ask */
	assert_int_equal(place->n_ports_lists, 0);
	api_place_list(place, 1, NULL);
	for (int i = 1; i < 4; i++)
		api_wait(&asked[i]);
	assert_int_equal(place->n_ports_lists, 1);
	for (int i = 1; i < 4; i++)
		api_asked_free(&asked[i]);
	api_begin(place, &asked[0], "GET", "/v1/guids/0200000000000010", NULL);
	api_place_list(place, 2, NULL);
	assert_int_equal(place->n_ports_lists, 2);
	api_cancel(asked[0].call); /* while its port is being asked for */
	api_begin(place, &asked[1], "GET", "/v1/guids/0200000000000010", NULL);
	place->hold = false;
	api_wait(&asked[1]);
	assert_int_equal(asked[1].status, 200);
	api_asked_free(&asked[1]);
	api_place_free(place);
}

static void test_who_asks_while_a_list_is_under_way_waits_for_the_next(void **state)
{
	(void)state;
	struct api_place *place = with_pods(1);
	struct api_asked asked[3];
	place->hold = true;
	for (int i = 0; i < 3; i++)
		api_begin(place, &asked[i], "GET", "/v1/guids/0200000000000010", NULL);
	assert_int_equal(place->n_lists, 1);
	api_place_list(place, 0, NULL);
	api_wait(&asked[0]);
	assert_int_equal(place->n_lists, 2);
	assert_int_equal(asked[1].status, 0);
	api_place_list(place, 1, NULL);
	api_wait(&asked[1]);
	api_wait(&asked[2]);
	assert_int_equal(place->n_lists, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(json_array_size(json_object_get(asked[i].answer, "listed")), 1);
		api_asked_free(&asked[i]);
	}
	api_place_free(place);
}

/* --- nobody leads --- */

static void test_without_a_leader_records_say_whose_a_member_is(void **state)
{
	(void)state;
	struct api_place *place = with_pods(2);
	uint64_t p0 = world_guid(place->world, "a/p0", 0), p1 = world_guid(place->world, "a/p1", 0);
	char path[64], text[GUID_TEXT_MAX];
	world_member_set(place->world, 6, p1, false);
	world_member_set(place->world, 5, GUID_1 + STRANGER, true);
	api_place_follow(place);
	json_t *answer = api_get(place, "/v1/pkeys/5", 200);
	assert_false(json_bool(answer, true, "authoritative", NULL));
	assert_string_equal(kind_of(answer, p0), "attachment");
	assert_string_equal(json_str(item_of(answer, "items", p0), "owner", "pod", NULL), "p0");
	assert_string_equal(json_str(item_of(answer, "items", p0), "owner", "state", NULL), "published");
	assert_string_equal(kind_of(answer, GUID_1 + STRANGER), "orphan");
	json_decref(answer);
	answer = api_get(place, "/v1/pkeys/6", 200);
	assert_string_equal(kind_of(answer, p1), "unexpected");
	json_decref(answer);
	snprintf(path, sizeof path, "/v1/guids/%s", guid_format(text, (struct guid){ p1 }));
	answer = api_get(place, path, 200);
	assert_string_equal(json_str(answer, "owner", "pod", NULL), "p1");
	json_decref(answer);
	answer = api_get(place, "/v1/attachments?state=published", 200);
	assert_int_equal(json_array_size(json_object_get(answer, "items")), 2);
	json_decref(answer);
	api_refused(place, "GET", "/v1/orphans", NULL, 503, "NotLeader");
	api_place_free(place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_member_is_joined_to_who_holds_it),
		cmocka_unit_test(test_pages_of_one_list_stay_as_they_were),
		cmocka_unit_test(test_only_the_last_few_lists_are_kept),
		cmocka_unit_test(test_who_asks_for_the_same_pkey_shares_its_list),
		cmocka_unit_test(test_a_fabric_manager_that_fails_is_said),
		cmocka_unit_test(test_more_members_than_are_taken_is_an_error),
		cmocka_unit_test(test_only_so_many_lists_are_asked_for_at_a_time),
		cmocka_unit_test(test_who_leaves_is_not_answered_and_harms_nobody),
		cmocka_unit_test(test_a_guid_is_looked_for_in_every_pkey),
		cmocka_unit_test(test_a_guid_shows_its_virtual_port_as_far_as_that_can_be_told),
		cmocka_unit_test(test_ports_are_told_once_for_all_who_wait_and_not_for_those_who_left),
		cmocka_unit_test(test_who_asks_while_a_list_is_under_way_waits_for_the_next),
		cmocka_unit_test(test_without_a_leader_records_say_whose_a_member_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
