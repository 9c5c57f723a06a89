#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/kube/event_queue.h"

enum { ITEMS = 400, ROOM = 300 };

static struct event_queue *queue;
static struct item {
	struct event_item item;
	const char *namespace;
	bool in;
} items[ITEMS];
static unsigned n_items;
static int64_t now;

static int setup(void **state)
{
	(void)state;
	now = 1000000;
	n_items = 0;
	queue = event_queue_new(7, ROOM, now);
	return 0;
}

static void leave(struct item *item)
{
	event_queue_leave(queue, &item->item);
	item->in = false;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_items; i++)
		if (items[i].in)
			leave(&items[i]);
	event_queue_free(queue);
	return 0;
}

/* NULL: it found no room. */
static struct item *join(const char *namespace, bool warning, struct item **out)
{
	struct item *item = &items[n_items++];
	struct event_item *victim;

	assert_true(n_items <= ITEMS);
	item->namespace = namespace;
	*out = NULL;
	item->in = event_queue_join(queue, &item->item, namespace, warning, &victim, now);
	if (!item->in && victim) {
		*out = container_of(victim, struct item, item);
		leave(*out);
		item->in = event_queue_join(queue, &item->item, namespace, warning, &victim, now);
		assert_true(item->in);
	}
	if (!item->in)
		return NULL;
	event_item_move(&item->item, EVENT_WAITING);
	return item;
}

static struct item *wait_in(const char *namespace, bool warning)
{
	struct item *out, *item = join(namespace, warning, &out);

	assert_non_null(item);
	assert_null(out);
	return item;
}

static struct item *next(void)
{
	int64_t again;
	struct event_item *item = event_queue_next(queue, now, &again);

	return item ? container_of(item, struct item, item) : NULL;
}

/* Sends all that may go at this moment; how many there were of the namespace. */
static unsigned drain(const char *namespace)
{
	unsigned n = 0;

	for (struct item *item; (item = next()); leave(item))
		n += strcmp(item->namespace, namespace) == 0;
	return n;
}

static void test_a_namespace_has_half_of_the_burst_and_half_of_the_rate(void **state)
{
	int64_t again;

	(void)state;
	for (int i = 0; i < 200; i++)
		wait_in("storm", true);
	assert_int_equal(drain("storm"), 50);
	assert_null(event_queue_next(queue, now, &again));
	assert_int_equal(again, now + 200);
	now += 10000;
	assert_int_equal(drain("storm"), 50);
	now += 199;
	assert_int_equal(drain("storm"), 0);
	now += 1;
	assert_int_equal(drain("storm"), 1);
}

static void test_all_together_have_the_burst_and_the_rate(void **state)
{
	char names[6][8];

	(void)state;
	for (int s = 0; s < 6; s++) {
		snprintf(names[s], sizeof names[s], "s%d", s);
		for (int i = 0; i < 40; i++)
			wait_in(names[s], false);
	}
	unsigned n = 0;
	for (struct item *item; (item = next()); leave(item))
		n++;
	assert_int_equal(n, 100);
	now += 1000;
	for (struct item *item; (item = next()); leave(item))
		n++;
	assert_int_equal(n, 110);
}

static void test_a_storm_in_one_namespace_delays_no_other(void **state)
{
	(void)state;
	for (int i = 0; i < 150; i++)
		wait_in("storm", true);
	wait_in("calm", true);
	struct item *first = next(), *second = next();
	assert_string_equal(first->namespace, "storm");
	assert_string_equal(second->namespace, "calm");
	drain("storm");
	wait_in("calm", false); /* the storm has its own budget used up, not the other's */
	assert_int_equal(drain("calm"), 1);
}

static void test_namespaces_take_turns(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		wait_in("a", false);
	for (int i = 0; i < 5; i++)
		wait_in("b", false);
	for (int i = 0; i < 5; i++) {
		assert_string_equal(next()->namespace, "a");
		assert_string_equal(next()->namespace, "b");
	}
}

static void test_warnings_go_first_wherever_they_are(void **state)
{
	(void)state;
	struct item *normal = wait_in("a", false), *other = wait_in("b", false), *warning = wait_in("b", true);
	assert_ptr_equal(next(), warning);
	assert_ptr_equal(next(), normal);
	assert_ptr_equal(next(), other);
	assert_null(next());
}

static void test_who_takes_most_room_gives_way_and_first_what_is_only_kept(void **state)
{
	struct item *out, *kept, *oldest, *latest = NULL;

	(void)state;
	wait_in("calm", false);
	kept = wait_in("storm", true);
	event_item_move(&kept->item, EVENT_KEPT);
	oldest = wait_in("storm", false);
	for (int i = 3; i < ROOM; i++)
		latest = wait_in("storm", true);
	assert_non_null(join("calm", false, &out));
	assert_ptr_equal(out, kept);
	assert_non_null(join("storm", true, &out)); /* a warning drives out what warns of nothing */
	assert_ptr_equal(out, oldest);
	latest = &items[n_items - 1];
	assert_non_null(join("calm", false, &out));
	assert_ptr_equal(out, latest);
}

static void test_who_takes_most_room_drives_nobody_else_out(void **state)
{
	struct item *out;

	(void)state;
	for (int i = 0; i < 20; i++)
		wait_in("calm", false);
	for (int i = 20; i < ROOM; i++)
		wait_in("storm", true);
	assert_null(join("storm", true, &out));
	assert_null(out);
	assert_null(join("storm", false, &out));
	assert_null(out);
}

static void test_a_closed_namespace_is_closed_for_its_time(void **state)
{
	(void)state;
	struct item *item = wait_in("a", true), *other = wait_in("a", false);
	assert_ptr_equal(next(), item);
	assert_false(event_queue_is_closed(queue, "a", now));
	event_item_close(&item->item, now + 60000);
	assert_ptr_equal(event_item_neighbour(&item->item), &other->item);
	leave(other);
	assert_null(event_item_neighbour(&item->item));
	leave(item);
	now += 59999;
	assert_null(next()); /* looks at what may be forgotten */
	assert_true(event_queue_is_closed(queue, "a", now));
	assert_false(event_queue_is_closed(queue, "b", now));
	now++;
	assert_false(event_queue_is_closed(queue, "a", now));
}

static void test_an_item_that_left_its_place_is_not_handed_out(void **state)
{
	(void)state;
	struct item *item = wait_in("a", true);
	event_item_move(&item->item, EVENT_KEPT);
	assert_null(next());
	event_item_move(&item->item, EVENT_WAITING);
	assert_ptr_equal(next(), item);
	assert_null(next());
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_namespace_has_half_of_the_burst_and_half_of_the_rate),
		promise(test_all_together_have_the_burst_and_the_rate),
		promise(test_a_storm_in_one_namespace_delays_no_other),
		promise(test_namespaces_take_turns),
		promise(test_warnings_go_first_wherever_they_are),
		promise(test_who_takes_most_room_gives_way_and_first_what_is_only_kept),
		promise(test_who_takes_most_room_drives_nobody_else_out),
		promise(test_a_closed_namespace_is_closed_for_its_time),
		promise(test_an_item_that_left_its_place_is_not_handed_out),
	};
	return cmocka_run_group_tests_name("event_queue", tests, NULL, NULL);
}
