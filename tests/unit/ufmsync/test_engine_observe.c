// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "tests/unit/ufmsync/engine_world.h"

/* Somebody only looks: what a leader would know, and nothing done about it. */

enum { STRANGER = 0x800 };

/* A world in which a leader has served two pods and then stopped. */
static struct world *served(void)
{
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "ib");
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_count(world, 5), 2);
	return world;
}

static void look(struct world *world)
{
	world->mute = NULL;
	world_forget(world);
	world_engine(world);
	engine_observe(world->engine, world->now);
	world_tell(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/bad", IB("0x0"));
	world_run(world);
}

static struct engine_status status_of(const struct world *world)
{
	struct engine_status status;
	engine_status(world->engine, &status);
	return status;
}

static void test_it_lists_once_and_knows_what_was_given(void **state)
{
	(void)state;
	struct world *world = served();
	uint64_t guid = world_guid(world, "a/p", 0);
	look(world);
	world_expect(world, "LIST all\n");
	assert_int_equal(world_guid(world, "a/p", 0), guid);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_true(world_view(world, "a/p", 0).recorded);
	struct engine_status status = status_of(world);
	assert_false(status.leading);
	assert_true(status.listed);
	assert_int_equal(status.orphans, 0);
	assert_int_equal(status.pool.held, 2);
	assert_int_equal(status.pool.resting, 0);
	assert_int_equal(status.brake, ENGINE_BRAKE_OFF);
	world_free(world);
}

static void test_nothing_is_given_written_or_said(void **state)
{
	(void)state;
	struct world *world = served();
	world_member_drop(world, 5, world_guid(world, "a/q", 0));
	world_member_set(world, 5, GUID_1 + STRANGER, true);
	world_pod(world, "a/new", "ib");
	world_pod(world, "a/refused", "bad");
	world->options.orphans = ENGINE_ORPHANS_REMOVE;
	look(world);
	world_pass(world, 400000);
	assert_false(world_said(world, "JOIN"));
	assert_false(world_said(world, "LEAVE"));
	assert_false(world_said(world, "PATCH"));
	assert_false(world_said(world, "EVENT"));
	assert_false(world_said(world, "READ"));
	assert_false(world_said(world, "LIST 5"));
	assert_int_equal(world_guid(world, "a/new", 0), 0);
	assert_int_equal(world_state(world, "a/new", 0), ATTACHMENT_WANTED);
	assert_string_equal(world_blocked(world, "a/refused", 0), "BadPKey");
	assert_int_equal(status_of(world).orphans, 1);
	assert_int_not_equal(world_guid(world, "a/q", 0), 0);
	assert_int_not_equal(world_state(world, "a/q", 0), ATTACHMENT_PUBLISHED);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	world_free(world);
}

/* Where no records are kept: also when the GUID is listed where it should not be. */
static void test_without_a_record_the_annotation_is_believed(void **state)
{
	(void)state;
	struct world *world = served();
	uint64_t guid = world_guid(world, "a/p", 0);
	world_annotate(world, "a/p", POD_RECORD_KEY, NULL);
	world_member_set(world, 7, guid, true);
	look(world);
	assert_int_equal(world_guid(world, "a/p", 0), guid);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_true(world_view(world, "a/p", 0).recorded);
	assert_int_equal(status_of(world).orphans, 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_lists_once_and_knows_what_was_given),
		cmocka_unit_test(test_nothing_is_given_written_or_said),
		cmocka_unit_test(test_without_a_record_the_annotation_is_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
