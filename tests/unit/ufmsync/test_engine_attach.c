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

/* What a CNI plugin may put on a VF, what it is called, why not; and networks that let pods start without asking. */

static bool attachable(const struct world *world, const char *pod)
{
	struct attachment_view view = world_view(world, pod, 0);
	assert_non_null(view.pod_name);
	return view.attachable;
}

static void test_a_guid_may_be_attached_while_every_membership_is_listed(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.limited.v = 0x9;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world->hold_lists = world->hold_writes = true;
	world_pod(world, "a/p", "ib");
	world_run(world);
	assert_false(attachable(world, "a/p"));
	world_write_answer(world, ERROR_NONE, true);
	world_list_answer(world);
	assert_false(attachable(world, "a/p")); /* the limited one is missing yet */
	world_write_answer(world, ERROR_NONE, true);
	assert_false(attachable(world, "a/p")); /* accepted, not read back */
	world->hold_lists = world->hold_writes = false;
	world_list_answer(world);
	assert_true(attachable(world, "a/p"));
	world_pass(world, 1000);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_true(attachable(world, "a/p"));
	/* Lost, and being put back. */
	world_member_drop(world, 9, world_guid(world, "a/p", 0));
	world->hold_writes = true;
	engine_audit(world->engine, world->now);
	world_run(world);
	assert_int_equal(world_state(world, "a/p", 0), ATTACHMENT_PUBLISHED);
	assert_false(attachable(world, "a/p"));
	world->hold_writes = false;
	world_write_answer(world, ERROR_NONE, true);
	assert_true(attachable(world, "a/p"));
	/* And not by one that is over. */
	world_pod_phase(world, "a/p", "Succeeded");
	assert_null(world_view(world, "a/p", 0).pod_name);
	world_free(world);
}

static void test_with_gate_assigned_a_reserved_guid_may_be_attached(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.gate = ENGINE_GATE_ASSIGNED;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/bad", IB("0x7fff"));
	world->write_error = ERROR_GONE; /* no port has it yet */
	world_pod(world, "a/p", "ib");
	world_pod(world, "a/q", "bad");
	world_run(world);
	assert_int_not_equal(world_state(world, "a/p", 0), ATTACHMENT_MEMBER);
	assert_true(attachable(world, "a/p"));
	assert_false(attachable(world, "a/q"));
	world_free(world);
}

static void test_without_a_pkey_the_guid_is_enough(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	world->hold_writes = world->hold_lists = true;
	world_network(world, "a/free", IB_NO_PKEY);
	world_pod(world, "a/p", "free");
	world_run(world);
	assert_true(attachable(world, "a/p"));
	assert_null(world_view(world, "a/p", 0).pkey_text);
	world_free(world);
}

static struct world *with_pod(const char *network)
{
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", network);
	world_pod(world, "a/p", "ib");
	world_pass(world, 1000);
	return world;
}

static void restart(struct world *world, const char *network)
{
	world_engine(world);
	world_tell(world);
	if (network)
		world_network(world, "a/ib", network);
	world_run(world);
}

static void test_a_follower_lets_attach_what_is_recorded(void **state)
{
	(void)state;
	struct world *world = with_pod(IB("0x5"));
	restart(world, IB("0x5"));
	world_pod(world, "a/q", "ib");
	assert_true(attachable(world, "a/p"));
	assert_false(attachable(world, "a/q"));
	/* What is no valid record of this pod counts for nothing. */
	world_annotate(world, "a/q", POD_RECORD_KEY, world_annotation(world, "a/p", POD_RECORD_KEY));
	assert_false(attachable(world, "a/q"));
	/* It names another network now. */
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "other");
	assert_false(attachable(world, "a/p"));
	world_free(world);
}

static void test_a_new_leader_lets_nothing_be_attached_before_it_has_read_everything(void **state)
{
	(void)state;
	struct world *world = with_pod(IB("0x5"));
	restart(world, IB("0x5"));
	assert_true(world_await(world, "a/p"));
	world_run(world);
	world_forget(world);
	world->hold_lists = true;
	world_lead(world, true);
	assert_false(attachable(world, "a/p"));
	assert_true(world_said(world, "CHANGED uid-p\n"));
	world_forget(world);
	world->hold_lists = false;
	world_list_answer(world);
	assert_true(attachable(world, "a/p"));
	assert_true(world_said(world, "CHANGED uid-p\n"));
	world_free(world);
}

static void test_before_an_old_leader_is_silent_only_what_is_recorded_may_be_attached(void **state)
{
	(void)state;
	for (int gate = 0; gate < 2; gate++) {
		struct world *world = with_pod(IB("0x5"));
		world->options.gate = gate ? ENGINE_GATE_ASSIGNED : ENGINE_GATE_MEMBER;
		restart(world, IB("0x5"));
		world_network(world, "a/free", IB_NO_PKEY);
		world_pod(world, "a/q", "free");
		assert_true(world_await(world, "a/q"));
		engine_lead(world->engine, world->now + 20000, true, world->now);
		world_pass(world, 19999);
		assert_true(attachable(world, "a/p"));
		assert_true(world_view(world, "a/q", 0).has_guid);
		assert_false(attachable(world, "a/q"));
		world_forget(world);
		world_pass(world, 1);
		assert_true(attachable(world, "a/q"));
		assert_true(world_said(world, "CHANGED uid-q\n"));
		world_free(world);
	}
}

static void test_the_pkey_is_told_as_the_network_writes_it(void **state)
{
	(void)state;
	struct world *world = with_pod("{\"type\":\"ib-sriov\",\"pkey\":\"0x0005\"}");
	assert_string_equal(world_view(world, "a/p", 0).pkey_text, "0x0005");
	assert_string_equal(world_view(world, "a/p", 0).config_name, "ib");
	/* What was published stays, whatever the network says now. */
	world_network(world, "a/ib", "{\"name\":\"n\",\"type\":\"ib-sriov\",\"pkey\":\"0x6\"}");
	world_run(world);
	assert_string_equal(world_view(world, "a/p", 0).pkey_text, "0x0005");
	assert_string_equal(world_view(world, "a/p", 0).config_name, "n");
	/* A forged annotation is nobody's word. */
	world_pod(world, "a/forger",
		  "[{\"name\":\"nope\",\"cni-args\":{\"pkey\":\"0x7\",\"mellanox.infiniband.app\":\"configured\"}}]");
	world_run(world);
	assert_null(world_view(world, "a/forger", 0).pkey_text);
	assert_string_equal(world_view(world, "a/forger", 0).config_name, "");
	world_free(world);
}

static void test_the_pkey_of_a_network_that_is_gone_is_told_from_the_record(void **state)
{
	(void)state;
	struct world *world = with_pod("{\"type\":\"ib-sriov\",\"pkey\":\"0x0005\"}");
	char *annotation = mem_dup(world_annotation(world, "a/p", POD_NETWORKS_KEY));
	restart(world, NULL);
	assert_true(attachable(world, "a/p"));
	assert_string_equal(world_view(world, "a/p", 0).pkey_text, "0x0005");
	/* Nor does the annotation say it any more. */
	world_annotate(world, "a/p", POD_NETWORKS_KEY, "ib");
	restart(world, NULL);
	assert_true(attachable(world, "a/p"));
	assert_string_equal(world_view(world, "a/p", 0).pkey_text, "0x5");
	free(annotation);
	world_free(world);
}

static void test_what_waiting_does_not_cure_is_refused(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->options.last.v = world->options.first.v + 1;
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world_network(world, "a/bad", IB("5x"));
	world_network(world, "a/broken", "{oops");
	world_network(world, "b/theirs", IB("0x5"));
	world_pod(world, "a/holder", "[{\"name\":\"ib\",\"infiniband-guid\":\"02:00:00:00:00:00:00:10\"}]");
	world_pod(world, "a/second", "ib");
	world_run(world);
	static const struct {
		const char *pod, *networks, *reason;
		bool refused;
	} cases[] = {
		{ "a/p1", "bad", "BadPKey", true },
		{ "a/p2", "broken", "NetworkUnreadable", true },
		{ "a/p3", "b/theirs", "PKeyNotAllowed", true },
		{ "a/p4", "[{\"name\":\"ib\",\"infiniband-guid\":\"02:00:00:00:00:00:00:99\"}]", "GUIDOutOfRange",
		  true },
		{ "a/p5", "[{\"name\":\"ib\",\"infiniband-guid\":\"junk\"}]", "GUIDOutOfRange", true },
		{ "a/p6", "nope", "NetworkNotFound", false },
		{ "a/p7", "[{\"name\":\"ib\",\"infiniband-guid\":\"02:00:00:00:00:00:00:10\"}]", "GUIDTaken", false },
		{ "a/p8", "ib", "PoolExhausted", false },
		{ "unknown/p9", "default/shared", "NamespaceNotFound", false },
	};
	world_network(world, "default/shared", IB("0x5"));
	for (size_t i = 0; i < array_length(cases); i++) {
		world_pod(world, cases[i].pod, cases[i].networks);
		world_run(world);
		struct attachment_view view = world_view(world, cases[i].pod, 0);
		assert_string_equal(view.blocked_reason, cases[i].reason);
		assert_int_equal(view.refused, cases[i].refused);
		assert_false(view.attachable);
	}
	assert_false(world_view(world, "a/holder", 0).refused);
	world_free(world);
}

static void test_a_fabric_managers_refusal_may_pass(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/ib", IB("0x5"));
	world->write_error = ERROR_INVALID;
	world_pod(world, "a/p", "ib");
	world_run(world);
	assert_string_equal(world_view(world, "a/p", 0).blocked_reason, "FabricRefused");
	assert_false(world_view(world, "a/p", 0).refused);
	assert_false(attachable(world, "a/p"));
	world_free(world);
}

static void test_the_node_of_a_pod_is_known_until_it_is_gone(void **state)
{
	(void)state;
	struct world *world = with_pod(IB("0x5"));
	assert_string_equal(engine_pod_node(world->engine, "uid-p"), "node-1");
	assert_null(engine_pod_node(world->engine, "uid-q"));
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_run(world);
	assert_null(engine_pod_node(world->engine, "uid-p"));
	world_free(world);
}

/* --- networks that let pods start without asking --- */

#define UNGATED "{\"type\":\"ib-sriov\",\"pkey\":\"0x5\"}"

static uint64_t ungated(const struct world *world)
{
	struct engine_status status;
	engine_status(world->engine, &status);
	return status.ungated;
}

static void test_ungated_networks_in_use_are_counted(void **state)
{
	(void)state;
	struct world *world = world_new();
	world_start(world);
	world_network(world, "a/open", UNGATED);
	world_network(world, "a/shut", IB("0x5"));
	assert_int_equal(ungated(world), 0); /* nobody uses it */
	world_pod(world, "a/p", "open,shut");
	assert_int_equal(ungated(world), 1);
	world_pod(world, "a/q", "open");
	assert_int_equal(ungated(world), 1);
	world_network(world, "a/shut", UNGATED);
	assert_int_equal(ungated(world), 2);
	world_network(world, "a/shut", NULL);
	assert_int_equal(ungated(world), 1);
	world_pass(world, 1000);
	world_pod_delete(world, "a/q", WORLD_ENDED);
	assert_int_equal(ungated(world), 1);
	world_pod_delete(world, "a/p", WORLD_ENDED);
	assert_int_equal(ungated(world), 0); /* what leaves starts no more */
	world_network(world, "a/open", NULL);
	world_network(world, "a/open", UNGATED);
	world_pass(world, 100000);
	assert_int_equal(ungated(world), 0);
	world_free(world);
}

static int told_of_network(struct world *world)
{
	int n = 0;
	world_run(world);
	for (const char *at = world->log; (at = strstr(at, "EVENT network a/open UngatedNetwork: ")); at++)
		n++;
	world_forget(world);
	return n;
}

static void test_an_ungated_network_is_told_once_to_its_owner(void **state)
{
	(void)state;
	struct world *world = world_new();
	world->mute = "JOIN PATCH LIST";
	world_engine(world);
	world_tell(world);
	world_network(world, "a/open", UNGATED);
	world_pod(world, "a/p", "open");
	assert_int_equal(told_of_network(world), 0); /* a follower is silent */
	assert_int_equal(ungated(world), 1);
	world_lead(world, true);
	assert_int_equal(told_of_network(world), 1);
	world_pod(world, "a/q", "open");
	world_network(world, "a/open", "{\"name\":\"x\",\"type\":\"ib-sriov\",\"pkey\":\"0x5\"}");
	world_pod_delete(world, "a/p", WORLD_ENDED);
	world_pod_delete(world, "a/q", WORLD_ENDED);
	world_pod(world, "a/r", "open");
	world_pass(world, 100000);
	assert_int_equal(told_of_network(world), 0);
	/* Its owner shut it, and opened it again. */
	world_network(world, "a/open", IB("0x5"));
	assert_int_equal(told_of_network(world), 0);
	world_network(world, "a/open", UNGATED);
	assert_int_equal(told_of_network(world), 1);
	world_free(world);
}

static void test_the_notice_names_the_definition(void **state)
{
	(void)state;
	struct world *world = world_new();
	struct engine_action action;
	world_start(world);
	world_network(world, "a/open", UNGATED);
	world_pod(world, "a/p", "open");
	world->hold_writes = true;
	do
		assert_true(engine_next(world->engine, world->now, &action));
	while (action.kind != ENGINE_EVENT);
	assert_true(action.event.network);
	assert_true(action.event.warning);
	assert_string_equal(action.event.namespace, "a");
	assert_string_equal(action.event.name, "open");
	assert_string_equal(action.event.uid, "uid-net");
	assert_string_equal(action.event.reason, "UngatedNetwork");
	assert_non_null(strstr(action.event.text, "ibKubernetesEnabled"));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_guid_may_be_attached_while_every_membership_is_listed),
		cmocka_unit_test(test_with_gate_assigned_a_reserved_guid_may_be_attached),
		cmocka_unit_test(test_without_a_pkey_the_guid_is_enough),
		cmocka_unit_test(test_a_follower_lets_attach_what_is_recorded),
		cmocka_unit_test(test_a_new_leader_lets_nothing_be_attached_before_it_has_read_everything),
		cmocka_unit_test(test_before_an_old_leader_is_silent_only_what_is_recorded_may_be_attached),
		cmocka_unit_test(test_the_pkey_is_told_as_the_network_writes_it),
		cmocka_unit_test(test_the_pkey_of_a_network_that_is_gone_is_told_from_the_record),
		cmocka_unit_test(test_what_waiting_does_not_cure_is_refused),
		cmocka_unit_test(test_a_fabric_managers_refusal_may_pass),
		cmocka_unit_test(test_the_node_of_a_pod_is_known_until_it_is_gone),
		cmocka_unit_test(test_ungated_networks_in_use_are_counted),
		cmocka_unit_test(test_an_ungated_network_is_told_once_to_its_owner),
		cmocka_unit_test(test_the_notice_names_the_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
