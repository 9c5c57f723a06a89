// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cni/webhook/waiting.h"

enum { REMEMBERED = 3 };
static struct waiting table;

static int setup(void **state)
{
	(void)state;
	waiting_init(&table, 42, REMEMBERED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	waiting_free(&table);
	return 0;
}

static struct waiting_pod *join(const char *uid, struct chain *request)
{
	chain_init(request);
	return waiting_pod_join(&table, uid, request);
}

static void leave(struct waiting_pod *pod, struct chain *request, int64_t now)
{
	chain_remove(request);
	if (chain_empty(&pod->requests))
		waiting_pod_rest(&table, pod, now);
}

static void visit(const char *uid, int given, int64_t now)
{
	struct chain request;
	struct waiting_pod *pod = join(uid, &request);

	if (given >= 0)
		waiting_pod_gave(pod, "net1", given, 7);
	leave(pod, &request, now);
}

static void test_a_pod_is_there_while_somebody_waits_for_it(void **state)
{
	struct chain a, b;
	struct waiting_pod *pod = join("u1", &a);

	(void)state;
	assert_ptr_equal(join("u1", &b), pod);
	assert_ptr_not_equal(join("u2", &(struct chain){ 0 }), pod);
	leave(pod, &a, 0);
	assert_ptr_equal(waiting_pod_find(&table, "u1"), pod);
	leave(pod, &b, 0);
	assert_null(waiting_pod_find(&table, "u1"));
	pod = waiting_pod_find(&table, "u2");
	leave(pod, pod->requests.next, 0);
}

static void test_what_was_given_is_remembered(void **state)
{
	struct chain request;

	(void)state;
	visit("u1", 4, 10);
	struct waiting_pod *pod = join("u1", &request);
	assert_int_equal(pod->n_given, 1);
	assert_string_equal(pod->given[0].interface, "net1");
	assert_int_equal(pod->given[0].index, 4);
	assert_int_equal(pod->given[0].sandbox, 7);
	leave(pod, &request, 20);
	assert_int_equal(table.n_remembered, 1);
}

static void test_an_interface_has_one_index_and_an_index_one_interface(void **state)
{
	struct chain request;
	struct waiting_pod *pod = join("u1", &request);

	(void)state;
	waiting_pod_gave(pod, "net1", 0, 7);
	waiting_pod_gave(pod, "net2", 1, 7);
	waiting_pod_gave(pod, "net1", 0, 7);
	assert_int_equal(pod->n_given, 2);
	waiting_pod_gave(pod, "net3", 0, 7);
	assert_int_equal(pod->n_given, 2);
	waiting_pod_gave(pod, "net3", 1, 7);
	assert_int_equal(pod->n_given, 1);
	assert_string_equal(pod->given[0].interface, "net3");
	assert_int_equal(pod->given[0].index, 1);
	leave(pod, &request, 0);
}

static void test_the_oldest_memory_makes_room(void **state)
{
	(void)state;
	visit("u1", 0, 1);
	visit("u2", 0, 2);
	visit("u3", 0, 3);
	visit("u1", 0, 4);
	visit("u4", 0, 5);
	assert_null(waiting_pod_find(&table, "u2"));
	assert_non_null(waiting_pod_find(&table, "u1"));
	assert_int_equal(table.n_remembered, REMEMBERED);
}

static void test_memory_is_dropped_in_time_but_not_of_who_is_waited_for(void **state)
{
	struct chain request;

	(void)state;
	visit("u1", 0, 1);
	visit("u2", 0, 2);
	visit("u3", 0, 3);
	struct waiting_pod *pod = join("u1", &request);
	waiting_forget(&table, 3);
	assert_non_null(waiting_pod_find(&table, "u1"));
	assert_null(waiting_pod_find(&table, "u2"));
	assert_non_null(waiting_pod_find(&table, "u3"));
	leave(pod, &request, 9);
}

static void test_only_stirred_pods_are_looked_at_and_each_once(void **state)
{
	struct chain a, b;
	struct waiting_pod *first = join("u1", &a), *second = join("u2", &b);

	(void)state;
	assert_null(waiting_next_stirred(&table));
	waiting_stir(&table, second);
	waiting_stir(&table, second);
	assert_ptr_equal(waiting_next_stirred(&table), second);
	assert_null(waiting_next_stirred(&table));
	waiting_stir_all(&table);
	assert_ptr_equal(waiting_next_stirred(&table), first);
	assert_ptr_equal(waiting_next_stirred(&table), second);
	assert_null(waiting_next_stirred(&table));
	waiting_pod_gave(first, "net1", 0, 7);
	waiting_stir(&table, first);
	leave(first, &a, 0);
	waiting_stir(&table, first); /* remembered, but nobody waits for it */
	assert_null(waiting_next_stirred(&table));
	leave(second, &b, 0);
}

static void test_a_node_has_so_many_places(void **state)
{
	struct waiting_node *a = waiting_node_enter(&table, "n1", 2), *b = waiting_node_enter(&table, "n1", 2);
	struct waiting_node *other = waiting_node_enter(&table, "n2", 2);

	(void)state;
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, other);
	assert_null(waiting_node_enter(&table, "n1", 2));
	waiting_node_leave(&table, a);
	assert_non_null(waiting_node_enter(&table, "n1", 2));
	waiting_node_leave(&table, a);
	waiting_node_leave(&table, a);
	waiting_node_leave(&table, other);
	assert_int_equal(table.nodes.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_is_there_while_somebody_waits_for_it),
		TEST(what_was_given_is_remembered),
		TEST(an_interface_has_one_index_and_an_index_one_interface),
		TEST(the_oldest_memory_makes_room),
		TEST(memory_is_dropped_in_time_but_not_of_who_is_waited_for),
		TEST(only_stirred_pods_are_looked_at_and_each_once),
		TEST(a_node_has_so_many_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
