#undef NDEBUG
#include "base/net/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

enum { MANY = 20000 };

static struct timers timers;
static struct loop_timer *fired[MANY];
static size_t n_fired;

static void note(struct loop_timer *timer)
{
	fired[n_fired++] = timer;
}

static int fresh(void **state)
{
	(void)state;
	timers = (struct timers){ 0 };
	n_fired = 0;
	return 0;
}

static int gone(void **state)
{
	(void)state;
	timers_free(&timers);
	return 0;
}

static void test_timers_fire_earliest_first_and_never_early(void **state)
{
	struct loop_timer a = { .fire = note }, b = { .fire = note }, c = { .fire = note };
	int64_t due;

	(void)state;
	timers_set(&timers, &a, 30);
	timers_set(&timers, &b, 10);
	timers_set(&timers, &c, 20);
	assert_true(timers_next(&timers, &due));
	assert_int_equal(due, 10);
	timers_fire(&timers, 9, 100);
	assert_int_equal(n_fired, 0);
	timers_fire(&timers, 20, 100);
	assert_int_equal(n_fired, 2);
	assert_ptr_equal(fired[0], &b);
	assert_ptr_equal(fired[1], &c);
	timers_fire(&timers, 1000, 100);
	assert_ptr_equal(fired[2], &a);
	assert_false(timers_next(&timers, &due));
}

static void test_timers_due_together_fire_in_the_order_they_were_set(void **state)
{
	struct loop_timer t[50];

	(void)state;
	for (size_t i = 0; i < array_length(t); i++) {
		t[i] = (struct loop_timer){ .fire = note };
		timers_set(&timers, &t[i], 7);
	}
	timers_set(&timers, &t[0], 7); /* set anew: behind all others */
	timers_fire(&timers, 7, 100);
	assert_int_equal(n_fired, 50);
	for (size_t i = 0; i < 49; i++)
		assert_ptr_equal(fired[i], &t[i + 1]);
	assert_ptr_equal(fired[49], &t[0]);
}

static void again_in_the_past(struct loop_timer *timer)
{
	note(timer);
	timers_set(&timers, timer, -5);
}

static void test_a_timer_that_sets_itself_into_the_past_waits_for_the_next_round(void **state)
{
	struct loop_timer greedy = { .fire = again_in_the_past }, other = { .fire = note };

	(void)state;
	timers_set(&timers, &greedy, 1);
	timers_set(&timers, &other, 100);
	timers_fire(&timers, 100, 1000);
	assert_int_equal(n_fired, 2);
	assert_ptr_equal(fired[1], &other);
	timers_fire(&timers, 100, 1000);
	assert_int_equal(n_fired, 3);
	timers_unset(&timers, &greedy);
}

static struct loop_timer *victim;

static void kill_victim(struct loop_timer *timer)
{
	note(timer);
	timers_unset(&timers, victim);
}

static void test_a_timer_stopped_by_another_one_due_with_it_does_not_fire(void **state)
{
	struct loop_timer killer = { .fire = kill_victim }, dead = { .fire = note };

	(void)state;
	victim = &dead;
	timers_set(&timers, &killer, 1);
	timers_set(&timers, &dead, 1);
	timers_fire(&timers, 1, 100);
	assert_int_equal(n_fired, 1);
	timers_unset(&timers, &dead); /* again: nothing happens */
}

static void test_a_round_fires_no_more_than_asked(void **state)
{
	struct loop_timer t[5];

	(void)state;
	for (size_t i = 0; i < array_length(t); i++) {
		t[i] = (struct loop_timer){ .fire = note };
		timers_set(&timers, &t[i], (int64_t)i);
	}
	timers_fire(&timers, 10, 3);
	assert_int_equal(n_fired, 3);
	timers_fire(&timers, 10, 3);
	assert_int_equal(n_fired, 5);
}

static void test_many_timers_set_moved_and_stopped_at_random_fire_exactly_when_due(void **state)
{
	struct loop_timer *t = mem_array(MANY, sizeof *t);
	int64_t *due = mem_array(MANY, sizeof *due);
	uint64_t random = 88172645463325252u;
	size_t left = MANY;

	(void)state;
	for (size_t i = 0; i < 4 * MANY; i++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		size_t at = i < MANY ? i : random % MANY;
		if (i < MANY)
			t[at] = (struct loop_timer){ .fire = note };
		due[at] = random % 4 == 0 ? -1 : (int64_t)(random >> 20) % 1000;
		if (due[at] < 0)
			timers_unset(&timers, &t[at]);
		else
			timers_set(&timers, &t[at], due[at]);
	}
	for (int64_t now = 0; now < 1000; now++) {
		n_fired = 0;
		timers_fire(&timers, now, MANY);
		left -= n_fired;
		for (size_t i = 0; i < n_fired; i++)
			assert_int_equal(due[fired[i] - t], now);
	}
	for (size_t i = 0; i < MANY; i++)
		left -= due[i] < 0;
	assert_int_equal(left, 0);
	free(t);
	free(due);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timers_fire_earliest_first_and_never_early, fresh, gone),
		cmocka_unit_test_setup_teardown(test_timers_due_together_fire_in_the_order_they_were_set, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_timer_that_sets_itself_into_the_past_waits_for_the_next_round,
						fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_timer_stopped_by_another_one_due_with_it_does_not_fire, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_round_fires_no_more_than_asked, fresh, gone),
		cmocka_unit_test_setup_teardown(test_many_timers_set_moved_and_stopped_at_random_fire_exactly_when_due,
						fresh, gone),
	};

	return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
