#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/noop.h"

static struct loop *loop;
static struct pkey_backend *noop;
static unsigned answers, partitions;
static struct members *seen;

static int fresh(void **state)
{
	struct error err;
	(void)state;
	answers = partitions = 0;
	if (loop_new(&loop, &err) < 0)
		return -1;
	noop = noop_new(loop);
	seen = members_new();
	return 0;
}

static int gone(void **state)
{
	(void)state;
	pkey_backend_free(noop);
	members_free(seen);
	loop_free(loop);
	return 0;
}

static void answered(void *aux, const struct error *err)
{
	(void)aux;
	assert_null(err);
	answers++;
	loop_stop(loop);
}

static void saw_member(void *aux, struct pkey pkey, const struct member *member)
{
	(void)aux;
	(void)pkey;
	assert_true(members_add(seen, *member));
}

static void saw_partition(void *aux, struct pkey pkey, int listed_membership)
{
	(void)aux;
	(void)pkey;
	assert_int_equal(listed_membership, -1);
	partitions++;
}

static const struct pkey_list_sink sink = { .member = saw_member, .partition = saw_partition, .done = answered };

static void join(unsigned pkey, enum membership membership, struct guid guid)
{
	noop->class->join(noop, (struct pkey_class){ { (uint16_t)pkey }, membership, false }, &guid, 1, INT64_MAX,
			  answered, NULL);
}

static void run_until(unsigned n)
{
	while (answers < n)
		loop_run(loop);
}

static void test_what_joined_is_listed_until_it_leaves(void **state)
{
	struct pkey five = { 5 };
	struct guid guid = { 0x1a };
	(void)state;
	join(5, MEMBERSHIP_LIMITED, guid);
	join(6, MEMBERSHIP_FULL, (struct guid){ 0x1b });
	noop->class->list(noop, &five, &sink);
	assert_int_equal(answers, 0);
	run_until(3);
	assert_int_equal(members_count(seen), 1);
	assert_int_equal(members_find(seen, guid)->membership, MEMBERSHIP_LIMITED);

	noop->class->leave(noop, five, &guid, 1, INT64_MAX, answered, NULL);
	noop->class->leave(noop, five, &guid, 1, INT64_MAX, answered, NULL);
	members_remove(seen, guid);
	partitions = 0;
	noop->class->list(noop, NULL, &sink);
	run_until(6);
	assert_int_equal(members_count(seen), 1);
	assert_int_equal(partitions, 1);
	assert_non_null(members_find(seen, (struct guid){ 0x1b }));
}

static void test_a_long_list_is_whole_though_it_takes_several_turns(void **state)
{
	static struct guid guids[500];
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned j = 0; j < 500; j++)
			guids[j].v = 1 + j * 40 + i;
		noop->class->join(noop, (struct pkey_class){ { 5 }, MEMBERSHIP_FULL, true }, guids, 500, INT64_MAX,
				  answered, NULL);
	}
	noop->class->list(noop, NULL, &sink);
	run_until(41);
	assert_int_equal(members_count(seen), 20000);
	assert_int_equal(partitions, 1);
}

static void test_nothing_is_called_back_after_free(void **state)
{
	(void)state;
	join(5, MEMBERSHIP_FULL, (struct guid){ 1 });
	noop->class->probe(noop, answered, NULL);
	pkey_backend_free(noop);
	noop = noop_new(loop);
	noop->class->probe(noop, answered, NULL);
	run_until(1);
	assert_int_equal(answers, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_joined_is_listed_until_it_leaves, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_long_list_is_whole_though_it_takes_several_turns, fresh, gone),
		cmocka_unit_test_setup_teardown(test_nothing_is_called_back_after_free, fresh, gone),
	};
	return cmocka_run_group_tests_name("noop", tests, NULL, NULL);
}
