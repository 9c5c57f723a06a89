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
#include "tests/unit/ufmsync/engine_world.h"

/* What operators ask of the engine. */

enum { STRANGER = 0x800 };

/* --- attachments in pages --- */

struct seen {
	char text[4096];
	unsigned n;
};

static void note(void *aux, const struct attachment_view *view)
{
	struct seen *seen = aux;
	size_t len = strlen(seen->text);
	snprintf(seen->text + len, sizeof seen->text - len, "%s:%s ", view->pod_name,
		 attachment_state_name(view->state));
	seen->n++;
}

/* Every page by itself; what is returned has to survive the changes that `between` makes. */
static void walk(struct world *world, size_t pods, struct seen *seen, void (*between)(struct world *world))
{
	char *after = NULL;
	bool known;
	*seen = (struct seen){ .n = 0 };
	for (;;) {
		const char *next = engine_each_page(world->engine, after, pods, &known, note, seen);
		free(after);
		assert_true(known);
		if (!next)
			return;
		after = mem_dup(next);
		if (between)
			between(world);
		between = NULL;
	}
}

static struct world *with_pods(unsigned n)
{
	struct world *world = world_new();
	world_start(world);
	world->mute = "LIST EVENT JOIN PATCH LEAVE";
	world_network(world, "a/ib", IB("0x5"));
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		snprintf(name, sizeof name, "a/p%u", i);
		world_pod(world, name, "ib");
	}
	world_pass(world, 1000);
	return world;
}

static void test_pages_of_any_size_show_each_attachment_once(void **state)
{
	(void)state;
	struct world *world = with_pods(5);
	struct seen seen;
	world_pod_delete(world, "a/p1", WORLD_ENDED);
	world_pod_delete(world, "a/p3", WORLD_ENDED);
	world_pass(world, 1000);
	for (size_t pods = 1; pods < 7; pods++) {
		walk(world, pods, &seen, NULL);
		assert_string_equal(seen.text, "p0:published p2:published p4:published p1:resting p3:resting ");
	}
	world_free(world);
}

static void one_more(struct world *world)
{
	world_pod(world, "a/new", "ib");
	world_pass(world, 1000);
}

static void test_a_pod_that_comes_between_two_pages_is_on_a_later_one(void **state)
{
	(void)state;
	struct world *world = with_pods(2);
	struct seen seen;
	walk(world, 1, &seen, one_more);
	assert_string_equal(seen.text, "p0:published p1:published new:published ");
	world_free(world);
}

static void test_a_place_whose_pod_has_gone_is_said_to_be_unknown(void **state)
{
	(void)state;
	struct world *world = with_pods(3);
	struct seen seen = { .n = 0 };
	bool known;
	char *after = mem_dup(engine_each_page(world->engine, NULL, 1, &known, note, &seen));
	assert_string_equal(after, "uid-p0");
	world_pod_delete(world, "a/p0", WORLD_ENDED);
	world_pass(world, 1000);
	assert_null(engine_each_page(world->engine, after, 1, &known, note, &seen));
	assert_false(known);
	assert_int_equal(seen.n, 1);
	free(after);
	assert_null(engine_each_page(world->engine, "~02:00:00:00:00:00:00:10x", 1, &known, note, &seen));
	assert_false(known);
	world_free(world);
}

/* --- one GUID, one member --- */

static enum member_kind kind_of(const struct world *world, uint16_t pkey, uint64_t guid, bool index0, bool *right)
{
	const struct member member = { { guid }, MEMBERSHIP_FULL, index0 };
	struct attachment_view holder;
	bool held;
	return engine_member_kind(world->engine, (struct pkey){ pkey }, &member, &holder, &held, right);
}

static void test_a_holder_is_known_until_its_rest_is_over(void **state)
{
	(void)state;
	struct world *world = with_pods(1);
	struct attachment_view view;
	uint64_t guid = world_guid(world, "a/p0", 0);
	assert_true(engine_holder(world->engine, (struct guid){ guid }, &view));
	assert_string_equal(view.pod_name, "p0");
	assert_false(engine_holder(world->engine, (struct guid){ guid + 1 }, &view));
	world_pod_delete(world, "a/p0", WORLD_ENDED);
	world_pass(world, 1000);
	assert_true(engine_holder(world->engine, (struct guid){ guid }, &view));
	assert_int_equal(view.state, ATTACHMENT_RESTING);
	world_pass(world, 200000);
	assert_false(engine_holder(world->engine, (struct guid){ guid }, &view));
	world_free(world);
}

static void test_a_member_is_what_its_owner_and_the_range_make_it(void **state)
{
	(void)state;
	struct world *world = with_pods(1);
	uint64_t guid = world_guid(world, "a/p0", 0);
	bool right;
	assert_int_equal(kind_of(world, 5, guid, true, &right), MEMBER_OF_ATTACHMENT);
	assert_true(right);
	assert_int_equal(kind_of(world, 5, guid, false, &right), MEMBER_OF_ATTACHMENT);
	assert_false(right);
	assert_int_equal(kind_of(world, 6, guid, true, &right), MEMBER_IS_UNEXPECTED);
	assert_int_equal(kind_of(world, 5, GUID_1 + STRANGER, true, &right), MEMBER_IS_ORPHAN);
	assert_int_equal(kind_of(world, 0x7fff, GUID_1 + STRANGER, true, &right), MEMBER_IS_FOREIGN);
	assert_int_equal(kind_of(world, 5, 0x42, true, &right), MEMBER_IS_OUTSIDE);
	world_free(world);
}

/* --- PKeys --- */

static void test_a_pkey_counts_what_is_wanted_and_what_is_listed(void **state)
{
	(void)state;
	struct world *world = with_pods(3);
	struct pkey_view view;
	world_member_set(world, 5, GUID_1 + STRANGER, true);
	world_member_set(world, 0x7000, 0x42, true);
	world_member_drop(world, 5, world_guid(world, "a/p2", 0));
	world->hold_writes = true;
	engine_audit(world->engine, world->now);
	world_pass(world, 1000);
	assert_true(engine_pkey_from(world->engine, 0, &view));
	assert_int_equal(view.pkey.v, 5);
	assert_true(view.writable);
	assert_int_equal(view.full, 3);
	assert_int_equal(view.limited, 0);
	assert_int_equal(view.listed, 3);
	assert_int_equal(view.missing, 1);
	assert_int_equal(view.orphans, 1);
	assert_true(engine_pkey_from(world->engine, 6, &view));
	assert_int_equal(view.pkey.v, 0x7000);
	assert_int_equal(view.listed, 1);
	assert_int_equal(view.orphans + view.foreign + view.full, 0);
	assert_false(engine_pkey_from(world->engine, 0x7001, &view));
	world_free(world);
}

static void test_who_leaves_counts_no_more(void **state)
{
	(void)state;
	struct world *world = with_pods(2);
	struct pkey_view view;
	world_pod_delete(world, "a/p0", WORLD_ENDED);
	assert_true(engine_pkey_from(world->engine, 5, &view));
	assert_int_equal(view.full, 1);
	world_pass(world, 200000);
	assert_true(engine_pkey_from(world->engine, 5, &view));
	assert_int_equal(view.full, 1);
	world_pod_delete(world, "a/p1", WORLD_ENDED);
	world_pass(world, 200000);
	assert_false(engine_pkey_from(world->engine, 0, &view));
	world_free(world);
}

/* --- strays --- */

struct strays {
	struct stray_view views[32];
	size_t n;
};

static void note_stray(void *aux, const struct stray_view *view)
{
	struct strays *strays = aux;
	assert_true(strays->n < array_length(strays->views));
	strays->views[strays->n++] = *view;
}

static void list_strays(const struct world *world, size_t steps, struct strays *strays)
{
	struct stray_place place = { .begun = false };
	bool lost, more;
	strays->n = 0;
	do {
		more = engine_each_stray(world->engine, &place, steps, &lost, note_stray, strays);
		assert_false(lost);
	} while (more);
}

/* Unsettled, and so with the brake on: 4 orphans, one foreign one. */
static struct world *with_strays(void)
{
	struct world *world = world_new();
	for (unsigned i = 0; i < 4; i++)
		world_member_set(world, 5 + i % 2, GUID_1 + STRANGER + i, i % 2);
	world_member_set(world, 0x7fff, GUID_1 + STRANGER + 8, false);
	world_engine(world);
	world_tell(world);
	world_lead(world, false);
	world->mute = "LIST EVENT PATCH";
	world_run(world);
	return world;
}

static void test_strays_come_in_steps_of_any_size(void **state)
{
	(void)state;
	struct world *world = with_strays();
	struct strays strays;
	for (size_t steps = 1; steps < 9; steps++) {
		unsigned kinds[3] = { 0 };
		list_strays(world, steps, &strays);
		assert_int_equal(strays.n, 5);
		for (size_t i = 0; i < strays.n; i++)
			kinds[strays.views[i].kind]++;
		assert_int_equal(kinds[STRAY_IS_ORPHAN], 4);
		assert_int_equal(kinds[STRAY_IS_FOREIGN], 1);
	}
	world_free(world);
}

static void test_a_walk_is_lost_when_the_set_changes(void **state)
{
	(void)state;
	struct world *world = with_strays();
	struct strays strays = { .n = 0 };
	struct stray_place place = { .begun = false };
	uint64_t revision = engine_strays_revision(world->engine);
	bool lost;
	world_pass(world, 120000);
	assert_int_equal(engine_strays_revision(world->engine), revision); /* audits alone change nothing */
	assert_true(engine_each_stray(world->engine, &place, 2, &lost, note_stray, &strays));
	world_member_drop(world, 6, GUID_1 + STRANGER + 3);
	world_pass(world, 61000);
	assert_int_not_equal(engine_strays_revision(world->engine), revision);
	assert_false(engine_each_stray(world->engine, &place, 2, &lost, note_stray, &strays));
	assert_true(lost);
	world_free(world);
}

static void test_named_orphans_go_and_the_others_stay_behind_the_brake(void **state)
{
	(void)state;
	struct world *world = with_strays();
	const struct guid named[] = { { GUID_1 + STRANGER }, { GUID_1 + STRANGER + 3 } };
	struct engine_status status;
	size_t which;
	world_pass(world, 61000);
	assert_true(engine_remove_orphans(world->engine, named, 2, engine_strays_revision(world->engine), &which,
					  world->now));
	world_pass(world, 300000);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	assert_false(world_is_member(world, 6, GUID_1 + STRANGER + 3));
	assert_true(world_is_member(world, 5, GUID_1 + STRANGER + 2));
	assert_true(world_is_member(world, 6, GUID_1 + STRANGER + 1));
	engine_status(world->engine, &status);
	assert_int_equal(status.brake, ENGINE_BRAKE_UNSETTLED);
	assert_int_equal(status.orphans, 2);
	world_free(world);
}

static bool may_remove(struct world *world, uint64_t guid, uint64_t revision)
{
	const struct guid named[] = { { GUID_1 + STRANGER }, { guid } };
	size_t which;
	bool ok = engine_remove_orphans(world->engine, named, 2, revision, &which, world->now);
	assert_true(ok || which == 1 || revision != engine_strays_revision(world->engine));
	return ok;
}

static void test_what_is_no_orphan_cannot_be_named_and_then_nothing_happens(void **state)
{
	(void)state;
	struct world *world = with_strays();
	uint64_t revision = engine_strays_revision(world->engine);
	world_pass(world, 61000);
	assert_false(may_remove(world, GUID_1 + STRANGER + 8, revision)); /* foreign */
	assert_false(may_remove(world, GUID_1 + STRANGER + 9, revision)); /* not there */
	assert_false(may_remove(world, 0x42, revision));
	assert_false(may_remove(world, GUID_1 + STRANGER + 1, revision + 1));
	world_pass(world, 300000);
	assert_int_equal(world_count(world, 5) + world_count(world, 6), 4);
	world_free(world);
}

static void test_an_attachments_guid_cannot_be_named(void **state)
{
	(void)state;
	struct world *world = with_strays();
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_pass(world, 1000);
	uint64_t guid = world_guid(world, "a/p", 0);
	world_member_set(world, 6, guid, false); /* of a live one, where it is not wanted */
	world_pass(world, 130000);
	assert_false(may_remove(world, guid, engine_strays_revision(world->engine)));
	world_free(world);
}

static void test_what_was_only_just_seen_waits_for_the_grace(void **state)
{
	(void)state;
	struct world *world = with_strays();
	uint64_t revision = engine_strays_revision(world->engine);
	world_pass(world, 59000);
	assert_false(engine_remove_orphans(world->engine, &(struct guid){ GUID_1 + STRANGER }, 1, revision,
					   &(size_t){ 0 }, world->now));
	world_pass(world, 2000);
	assert_true(engine_remove_orphans(world->engine, &(struct guid){ GUID_1 + STRANGER }, 1, revision,
					  &(size_t){ 0 }, world->now));
	world_free(world);
}

static void test_a_removal_that_failed_is_tried_again_at_the_next_audit(void **state)
{
	(void)state;
	struct world *world = with_strays();
	struct strays strays;
	world_pass(world, 61000);
	world->write_error = ERROR_AUTH;
	assert_true(engine_remove_orphans(world->engine, &(struct guid){ GUID_1 + STRANGER }, 1,
					  engine_strays_revision(world->engine), &(size_t){ 0 }, world->now));
	world_run(world);
	assert_true(world_is_member(world, 5, GUID_1 + STRANGER));
	list_strays(world, 100, &strays);
	unsigned removing = 0;
	for (size_t i = 0; i < strays.n; i++)
		removing += strays.views[i].removing;
	assert_int_equal(removing, 1);
	world->write_error = ERROR_NONE;
	world_pass(world, 130000);
	assert_false(world_is_member(world, 5, GUID_1 + STRANGER));
	assert_int_equal(world_count(world, 5), 1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_of_any_size_show_each_attachment_once),
		cmocka_unit_test(test_a_pod_that_comes_between_two_pages_is_on_a_later_one),
		cmocka_unit_test(test_a_place_whose_pod_has_gone_is_said_to_be_unknown),
		cmocka_unit_test(test_a_holder_is_known_until_its_rest_is_over),
		cmocka_unit_test(test_a_member_is_what_its_owner_and_the_range_make_it),
		cmocka_unit_test(test_a_pkey_counts_what_is_wanted_and_what_is_listed),
		cmocka_unit_test(test_who_leaves_counts_no_more),
		cmocka_unit_test(test_strays_come_in_steps_of_any_size),
		cmocka_unit_test(test_a_walk_is_lost_when_the_set_changes),
		cmocka_unit_test(test_named_orphans_go_and_the_others_stay_behind_the_brake),
		cmocka_unit_test(test_what_is_no_orphan_cannot_be_named_and_then_nothing_happens),
		cmocka_unit_test(test_an_attachments_guid_cannot_be_named),
		cmocka_unit_test(test_what_was_only_just_seen_waits_for_the_grace),
		cmocka_unit_test(test_a_removal_that_failed_is_tried_again_at_the_next_audit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
