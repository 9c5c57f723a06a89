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

#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/what_if.h"

/* A world as ib-kubernetes leaves it, and what a service would make of it. */

#define GUID_1 0x0200000000000001
#define KEY    "cmVjb3JkIGtleSBvZiBhdCBsZWFzdCAzMiBieXRlcy4uLg=="

struct fixture {
	struct what_if *world;
	struct engine_options options;
	struct record_keys *keys;
	bool settled, confirmed;
	struct what_if_totals totals;
};

static void network(struct what_if *world, const char *name, const char *pkey)
{
	char *config = mem_printf("{\"type\":\"ib-sriov\",\"ibKubernetesEnabled\":true,\"pkey\":\"%s\"}", pkey);
	json_t *object = json_pack("{s:{s:s,s:s,s:s},s:{s:s}}", "metadata", "namespace", "a", "name", name, "uid",
				   "uid-net", "spec", "config", config);
	what_if_object(world, WHAT_IF_NETWORKS, object);
	json_decref(object);
	free(config);
}

static json_t *pod_object(const char *name, const char *networks)
{
	char *uid = mem_printf("uid-%s", name);
	json_t *object =
		json_pack("{s:{s:s,s:s,s:s,s:{s:s,s:s}},s:{s:s,s:[{s:s}]},s:{s:s}}", "metadata", "uid", uid,
			  "namespace", "a", "name", name, "annotations", POD_NETWORKS_KEY, networks, "x/y", "another",
			  "spec", "nodeName", "node-1", "containers", "image", "i", "status", "phase", "Running");
	free(uid);
	return object;
}

static void pod(struct what_if *world, const char *name, const char *networks)
{
	json_t *object = pod_object(name, networks);
	what_if_object(world, WHAT_IF_PODS, object);
	json_decref(object);
}

/* As ib-kubernetes writes it. */
static void configured(struct what_if *world, const char *name, const char *net, uint64_t guid, const char *pkey)
{
	char text[GUID_TEXT_MAX];
	char *networks = mem_printf("[{\"name\":\"%s\",\"namespace\":\"a\",\"cni-args\":{\"guid\":\"%s\","
				    "\"mellanox.infiniband.app\":\"configured\",\"pkey\":\"%s\"}}]",
				    net, guid_format(text, (struct guid){ guid }), pkey);
	pod(world, name, networks);
	free(networks);
}

static void member(struct what_if *world, uint16_t pkey, uint64_t guid)
{
	what_if_member(world, (struct pkey){ pkey }, &(struct member){ { guid }, MEMBERSHIP_FULL, true });
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct error err;
	f->world = what_if_new();
	engine_options_init(&f->options);
	assert_int_equal(record_keys_parse(&f->keys, KEY, &err), 0);
	f->options.keys = f->keys;
	f->options.start = 77;
	f->options.adopt = true;
	json_t *space = json_pack("{s:{s:s}}", "metadata", "name", "a");
	what_if_object(f->world, WHAT_IF_NAMESPACES, space);
	json_decref(space);
	network(f->world, "ib", "0x5");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	what_if_free(f->world);
	record_keys_free(f->keys);
	free(f);
	return 0;
}

static const struct what_if_totals *run(struct fixture *f)
{
	struct error err;
	assert_int_equal(what_if_run(f->world, &f->options, f->settled, f->confirmed, 1000, &err), 0);
	what_if_totals(f->world, &f->totals);
	return &f->totals;
}

struct found {
	const char *pod;
	enum what_if_fate fate;
	struct what_if_interface interface;
	struct guid guid;
	char reason[64];
	size_t n;
};

static void look(void *aux, const struct what_if_interface *interface)
{
	struct found *found = aux;
	if (strcmp(interface->view->pod_name, found->pod) != 0)
		return;
	found->n++;
	found->interface = *interface;
	found->guid = interface->view->guid;
	snprintf(found->reason, sizeof found->reason, "%s",
		 interface->view->blocked_reason ? interface->view->blocked_reason : "");
}

static struct found of(struct fixture *f, const char *name)
{
	struct found found = { .pod = name };
	what_if_each(f->world, look, &found);
	assert_int_equal(found.n, 1);
	found.fate = found.interface.fate;
	return found;
}

struct strays {
	struct what_if_stray at[16];
	size_t n;
};

static void take_stray(void *aux, const struct what_if_stray *stray)
{
	struct strays *strays = aux;
	assert_true(strays->n < array_length(strays->at));
	strays->at[strays->n++] = *stray;
}

static struct strays strays_of(struct fixture *f)
{
	struct strays strays = { 0 };
	what_if_each_stray(f->world, take_stray, &strays);
	return strays;
}

/* --- interfaces --- */

static void test_what_annotation_and_list_agree_on_is_kept_and_recorded(void **state)
{
	struct fixture *f = *state;
	network(f->world, "old", "0x6"); /* edited since */
	configured(f->world, "one", "ib", GUID_1, "0x5");
	configured(f->world, "two", "old", GUID_1 + 1, "0x7");
	member(f->world, 5, GUID_1);
	member(f->world, 7, GUID_1 + 1);
	const struct what_if_totals *totals = run(f);
	assert_int_equal(of(f, "one").fate, WHAT_IF_KEPT);
	assert_int_equal(of(f, "two").fate, WHAT_IF_KEPT);
	assert_int_equal(of(f, "two").guid.v, GUID_1 + 1);
	assert_int_equal(totals->fates[WHAT_IF_KEPT], 2);
	assert_int_equal(totals->joins + totals->removals + totals->orphans + totals->stripped, 0);
	assert_int_equal(totals->patched, 2);
	assert_int_equal(totals->patched_record, 2);
	assert_int_equal(totals->brake, ENGINE_BRAKE_OFF);
}

static void test_without_adoption_it_is_said_who_would_lose_what_he_carries(void **state)
{
	struct fixture *f = *state;
	network(f->world, "old", "0x6");
	configured(f->world, "two", "old", GUID_1 + 1, "0x7");
	member(f->world, 7, GUID_1 + 1);
	f->options.adopt = false;
	const struct what_if_totals *totals = run(f);
	assert_int_equal(of(f, "two").fate, WHAT_IF_WAITS);
	assert_string_equal(of(f, "two").reason, "GUIDTaken");
	assert_true(of(f, "two").interface.stripped);
	assert_int_equal(totals->stripped, 1);
	assert_int_equal(totals->orphans_carried, 1);
	struct strays strays = strays_of(f);
	assert_int_equal(strays.n, 1);
	assert_string_equal(strays.at[0].name, "two");
	f->options.adopt = true; /* the same world, asked anew */
	assert_int_equal(run(f)->stripped, 0);
	assert_int_equal(of(f, "two").fate, WHAT_IF_KEPT);
}

static void test_a_lost_member_is_joined_with_the_guid_that_its_pod_carries(void **state)
{
	struct fixture *f = *state;
	configured(f->world, "lost", "ib", GUID_1, "0x5");
	const struct what_if_totals *totals = run(f);
	struct found lost = of(f, "lost");
	assert_int_equal(lost.fate, WHAT_IF_JOINED);
	assert_int_equal(lost.guid.v, GUID_1);
	assert_true(lost.interface.known_guid);
	assert_int_equal(lost.interface.n_joins, 1);
	assert_int_equal(lost.interface.joins[0].pkey.v, 5);
	assert_int_equal(totals->joins, 1);
}

static void test_who_has_none_is_given_one_that_is_not_foretold(void **state)
{
	struct fixture *f = *state;
	pod(f->world, "new", "ib");
	pod(f->world, "wish", "[{\"name\":\"ib\",\"cni-args\":{\"guid\":\"02:00:00:00:00:00:ab:cd\"}}]");
	const struct what_if_totals *totals = run(f);
	assert_int_equal(of(f, "new").fate, WHAT_IF_GIVEN);
	assert_false(of(f, "new").interface.known_guid);
	assert_int_equal(of(f, "wish").fate, WHAT_IF_GIVEN);
	assert_true(of(f, "wish").interface.known_guid);
	assert_int_equal(totals->running_given, 2);
	assert_int_equal(totals->joins, 2);
	assert_int_equal(totals->patched, 2);
	assert_int_equal(totals->patched_record, 0);
}

static void take_text(void *aux, const struct what_if_interface *interface)
{
	char **text = aux;
	assert_null(*text);
	*text = mem_dup(interface->view->blocked_text);
}

/* Whoever prints it, as JSON above all, need not look at it again. */
static void test_a_reason_that_is_cut_is_whole_utf8(void **state)
{
	struct fixture *f = *state;
	char rule[256] = "x", *text = NULL;
	while (strlen(rule) < 240)
		strcat(rule, "\xc3\xa9");
	json_t *space =
		json_pack("{s:{s:s,s:{s:s}}}", "metadata", "name", "a", "annotations", NAMESPACE_PKEYS_KEY, rule);
	what_if_begin(f->world, WHAT_IF_NAMESPACES);
	what_if_object(f->world, WHAT_IF_NAMESPACES, space);
	json_decref(space);
	pod(f->world, "p", "ib");
	run(f);
	what_if_each(f->world, take_text, &text);
	assert_non_null(strstr(text, "it says x\xc3\xa9"));
	assert_true(utf8_valid(text, strlen(text)));
	free(text);
}

static void test_a_wrong_definition_concerns_its_own_pods(void **state)
{
	struct fixture *f = *state;
	network(f->world, "bad", "0x7fff");
	pod(f->world, "wrong", "bad");
	pod(f->world, "right", "ib");
	const struct what_if_totals *totals = run(f);
	assert_int_equal(of(f, "wrong").fate, WHAT_IF_WAITS);
	assert_string_equal(of(f, "wrong").reason, "BadPKey");
	assert_int_equal(of(f, "right").fate, WHAT_IF_GIVEN);
	assert_int_equal(totals->stripped, 0);
}

static void take_twice(void *aux, const struct what_if_twice *twice)
{
	assert_int_equal(twice->guid.v, GUID_1);
	++*(unsigned *)aux;
}

static void test_two_pods_with_one_guid_are_named_and_one_keeps_it(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;
	configured(f->world, "one", "ib", GUID_1, "0x5");
	configured(f->world, "other", "ib", GUID_1, "0x5");
	member(f->world, 5, GUID_1);
	const struct what_if_totals *totals = run(f);
	what_if_each_twice(f->world, take_twice, &n);
	assert_int_equal(n, 1);
	assert_int_equal(totals->twice, 1);
	assert_int_equal(totals->fates[WHAT_IF_KEPT], 1);
	assert_int_equal(totals->fates[WHAT_IF_WAITS], 1);
	assert_int_equal(totals->orphans, 0);
}

/* --- members --- */

static void test_orphans_of_a_first_start_stay_behind_the_brake(void **state)
{
	struct fixture *f = *state;
	member(f->world, 5, GUID_1 + 9);
	member(f->world, 5, 0x0100000000000000); /* not of our range */
	const struct what_if_totals *totals = run(f);
	struct strays strays = strays_of(f);
	assert_int_equal(strays.n, 1);
	assert_int_equal(strays.at[0].kind, STRAY_IS_ORPHAN);
	assert_int_equal(strays.at[0].removed_after_ms, -1);
	assert_null(strays.at[0].name);
	assert_int_equal(totals->brake, ENGINE_BRAKE_UNSETTLED);
	assert_int_equal(totals->orphans, 1);
	assert_int_equal(totals->removals, 0);
	assert_int_equal(totals->members, 2);
	assert_int_equal(totals->in_range, 1);
}

static void test_a_settled_cluster_removes_them_after_their_grace(void **state)
{
	struct fixture *f = *state;
	configured(f->world, "one", "ib", GUID_1, "0x5");
	member(f->world, 5, GUID_1);
	member(f->world, 5, GUID_1 + 9);
	f->settled = true;
	for (int64_t grace = 60000; grace <= 86400000; grace *= 1440) {
		f->options.orphan_grace_ms = grace;
		const struct what_if_totals *totals = run(f);
		struct strays strays = strays_of(f);
		assert_int_equal(strays.n, 1);
		assert_int_equal(strays.at[0].member.guid.v, GUID_1 + 9);
		assert_true(strays.at[0].removed_after_ms >= grace);
		assert_true(strays.at[0].removed_after_ms <= grace + 2 * f->options.audit_ms);
		assert_int_equal(totals->removals, 1);
		assert_int_equal(totals->fates[WHAT_IF_KEPT], 1);
	}
}

/* As the service: many that were not there to be seen when it was written hold the brake again. */
static void test_a_confirmation_that_waits_on_the_lease_counts_for_a_few(void **state)
{
	struct fixture *f = *state;
	for (uint64_t i = 0; i < 5; i++)
		member(f->world, 5, GUID_1 + i);
	assert_int_equal(run(f)->removals, 0);
	f->confirmed = true;
	assert_int_equal(run(f)->removals, 5);
	for (uint64_t i = 5; i < 15; i++)
		member(f->world, 5, GUID_1 + i);
	assert_int_equal(run(f)->removals, 0);
	assert_int_equal(f->totals.brake, ENGINE_BRAKE_LATCHED);
}

static void take_pkey(void *aux, const struct what_if_pkey *pkey)
{
	char line[64], pkey_text[PKEY_TEXT_MAX];
	snprintf(line, sizeof line, "%s %d+%d-%d\n", pkey_format(pkey_text, pkey->pkey), (int)pkey->was,
		 (int)pkey->joined, (int)pkey->removed);
	strcat(aux, line);
}

static void test_each_pkey_is_counted(void **state)
{
	struct fixture *f = *state;
	char lines[256] = "";
	pod(f->world, "new", "ib");
	member(f->world, 5, GUID_1);
	member(f->world, 9, GUID_1 + 1);
	f->settled = true;
	run(f);
	what_if_each_pkey(f->world, take_pkey, lines);
	assert_string_equal(lines, "0x0005 1+1-1\n0x0009 1+0-1\n");
}

/* --- events --- */

static void take_event(void *aux, const char *reason, bool on_network, uint64_t n)
{
	char line[64];
	snprintf(line, sizeof line, "%s %d %d\n", reason, on_network, (int)n);
	strcat(aux, line);
}

static void test_events_are_counted_by_what_they_are_on(void **state)
{
	struct fixture *f = *state;
	char lines[256] = "";
	pod(f->world, "p", "ib");
	pod(f->world, "q", "ib");
	pod(f->world, "r", "nowhere");
	run(f);
	what_if_each_event(f->world, take_event, lines);
	assert_non_null(strstr(lines, "Member 0 2\n"));
	assert_non_null(strstr(lines, "NetworkNotFound 0 1\n"));
}

/* --- the world --- */

static void test_a_list_that_begins_anew_forgets_the_one_before(void **state)
{
	struct fixture *f = *state;
	pod(f->world, "p", "ib");
	what_if_begin(f->world, WHAT_IF_PODS);
	pod(f->world, "q", "ib");
	pod(f->world, "q", "ib"); /* on two pages of a list that was continued after a change */
	const struct what_if_totals *totals = run(f);
	assert_int_equal(totals->pods, 1);
	assert_int_equal(totals->interfaces, 1);
	assert_int_equal(of(f, "q").fate, WHAT_IF_GIVEN);
}

static void test_it_comes_to_rest_where_the_pool_is_too_small(void **state)
{
	struct fixture *f = *state;
	f->options.first.v = GUID_1;
	f->options.last.v = GUID_1 + 1;
	pod(f->world, "p", "ib,ib,ib");
	const struct what_if_totals *totals = run(f);
	assert_int_equal(totals->fates[WHAT_IF_GIVEN], 2);
	assert_int_equal(totals->fates[WHAT_IF_WAITS], 1);
}

static void test_thousands_of_pods_keep_what_they_have(void **state)
{
	struct fixture *f = *state;
	enum { PODS = 3000 };
	for (uint64_t i = 0; i < PODS; i++) {
		char name[24];
		snprintf(name, sizeof name, "p%d", (int)i);
		configured(f->world, name, "ib", GUID_1 + i, "0x5");
		if (i % 3)
			member(f->world, 5, GUID_1 + i);
	}
	const struct what_if_totals *totals = run(f);
	assert_int_equal(totals->fates[WHAT_IF_KEPT], PODS / 3 * 2);
	assert_int_equal(totals->fates[WHAT_IF_JOINED], PODS / 3);
	assert_int_equal(totals->joins, PODS / 3);
	assert_int_equal(totals->patched_record, PODS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_annotation_and_list_agree_on_is_kept_and_recorded),
		TEST(test_without_adoption_it_is_said_who_would_lose_what_he_carries),
		TEST(test_a_lost_member_is_joined_with_the_guid_that_its_pod_carries),
		TEST(test_who_has_none_is_given_one_that_is_not_foretold),
		TEST(test_a_reason_that_is_cut_is_whole_utf8),
		TEST(test_a_wrong_definition_concerns_its_own_pods),
		TEST(test_two_pods_with_one_guid_are_named_and_one_keeps_it),
		TEST(test_orphans_of_a_first_start_stay_behind_the_brake),
		TEST(test_a_settled_cluster_removes_them_after_their_grace),
		TEST(test_a_confirmation_that_waits_on_the_lease_counts_for_a_few),
		TEST(test_each_pkey_is_counted),
		TEST(test_events_are_counted_by_what_they_are_on),
		TEST(test_a_list_that_begins_anew_forgets_the_one_before),
		TEST(test_it_comes_to_rest_where_the_pool_is_too_small),
		TEST(test_thousands_of_pods_keep_what_they_have),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
