#undef NDEBUG
#include "base/net/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static struct loop *loop;
static char story[256]; /* what happened, a letter each */
static struct loop_timer stop;

static void tell(char what)
{
	size_t n = strlen(story);

	assert_true(n + 1 < sizeof story);
	story[n] = what;
	story[n + 1] = '\0';
}

static int fresh(void **state)
{
	struct error err;

	(void)state;
	story[0] = '\0';
	return loop_new(&loop, &err);
}

static int gone(void **state)
{
	(void)state;
	loop_free(loop);
	loop = NULL;
	return 0;
}

static void test_as_many_descriptors_may_be_open_as_the_system_allows(void **state)
{
	struct rlimit limit;
	struct error err;
	struct loop *other;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(loop_new(&other, &err), 0);
	loop_free(other);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

static void stop_by_timer(struct loop_timer *timer)
{
	tell('s');
	loop_stop(timer->loop);
}

static void tell_a(struct loop_timer *timer)
{
	(void)timer;
	tell('a');
}

static void test_the_loop_runs_until_stopped_and_timers_fire_in_order(void **state)
{
	struct loop_timer a;
	int64_t now = loop_now_ms();

	(void)state;
	loop_timer_init(&a, loop, tell_a);
	loop_timer_init(&stop, loop, stop_by_timer);
	loop_timer_at(&stop, now + 20);
	loop_timer_at(&a, now + 500);
	loop_timer_at(&a, now + 5); /* replaces */
	assert_true(loop_timer_is_set(&a));
	loop_run(loop);
	assert_string_equal(story, "as");
	assert_true(loop_now_ms() >= now + 20);
	assert_false(loop_timer_is_set(&a));
}

static void test_a_time_in_the_past_fires_without_waiting(void **state)
{
	struct loop_timer a;

	(void)state;
	loop_timer_init(&a, loop, tell_a);
	loop_timer_init(&stop, loop, stop_by_timer);
	loop_timer_at(&a, -1);
	loop_timer_at(&stop, 0);
	loop_run(loop);
	assert_string_equal(story, "as");
}

static void test_timers_still_set_are_forgotten_with_the_loop(void **state)
{
	struct loop_timer a;

	(void)state;
	loop_timer_init(&a, loop, tell_a);
	loop_timer_at(&a, loop_now_ms() + 100000);
	loop_free(loop);
	loop = NULL;
	assert_false(loop_timer_is_set(&a));
	loop_timer_stop(&a);
}

/* A descriptor whose owner ends everything from within its callback. */
struct pair {
	struct loop_io *io;
	int fd[2];
};

static void pair_open(struct pair *pair, void (*ready)(void *, int))
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair->fd), 0);
	pair->io = loop_io_new(loop, pair->fd[0], ready, pair);
	loop_io_want(pair->io, LOOP_READABLE);
}

static void on_last_byte(void *aux, int events)
{
	struct pair *pair = aux;

	assert_int_equal(events, LOOP_READABLE);
	tell('2');
	loop_io_free(pair->io);
	loop_stop(loop);
}

static void free_and_open_the_same_descriptor(void *aux, int events)
{
	struct pair *pair = aux;
	int was = pair->fd[0];

	assert_int_equal(events, LOOP_READABLE);
	tell('1');
	loop_io_free(pair->io);
	close(pair->fd[0]);
	close(pair->fd[1]);
	pair_open(pair, on_last_byte);
	assert_int_equal(pair->fd[0], was); /* the kernel gives the lowest free number */
	assert_int_equal(write(pair->fd[1], "x", 1), 1);
}

static void test_io_may_be_freed_and_its_descriptor_reused_inside_its_own_callback(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair, free_and_open_the_same_descriptor);
	assert_int_equal(write(pair.fd[1], "x", 1), 1);
	loop_run(loop);
	assert_string_equal(story, "12");
	close(pair.fd[0]);
	close(pair.fd[1]);
}

static struct pair both[2];

static void free_both(void *aux, int events)
{
	(void)aux;
	(void)events;
	tell('f');
	for (size_t i = 0; i < 2; i++) {
		loop_io_free(both[i].io);
		close(both[i].fd[0]);
		close(both[i].fd[1]);
	}
	loop_stop(loop);
}

static void test_io_freed_by_another_ready_one_is_not_called(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pair_open(&both[i], free_both);
		assert_int_equal(write(both[i].fd[1], "x", 1), 1);
	}
	loop_run(loop);
	assert_string_equal(story, "f");
}

static void on_writable_then_nothing(void *aux, int events)
{
	struct pair *pair = aux;

	assert_int_equal(events, LOOP_WRITABLE);
	tell('w');
	if (strlen(story) < 3)
		return;
	loop_io_want(pair->io, 0);
	loop_timer_at(&stop, loop_now_ms() + 5);
}

static void test_readiness_is_told_again_until_it_is_no_longer_wanted(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair, on_writable_then_nothing);
	loop_io_want(pair.io, LOOP_READABLE | LOOP_WRITABLE);
	loop_timer_init(&stop, loop, stop_by_timer);
	loop_run(loop);
	assert_string_equal(story, "wwws");
	loop_io_free(pair.io);
	close(pair.fd[0]);
	close(pair.fd[1]);
}

static void on_hang_up(void *aux, int events)
{
	struct pair *pair = aux;
	char byte;

	assert_true(events & LOOP_READABLE);
	tell('h');
	assert_true(read(pair->fd[0], &byte, 1) <= 0);
	if (strlen(story) == 2)
		loop_stop(loop);
}

static void test_a_hang_up_shows_as_readable_each_turn(void **state)
{
	struct pair pair;

	(void)state;
	pair_open(&pair, on_hang_up);
	close(pair.fd[1]);
	loop_run(loop);
	assert_string_equal(story, "hh");
	loop_io_free(pair.io);
	close(pair.fd[0]);
}

/* A pipe's write end whose reader is gone: epoll tells an error, not a hang-up. */
static void on_broken(void *aux, int events)
{
	struct pair *pair = aux;

	assert_int_equal(events, LOOP_WRITABLE);
	tell('b');
	assert_true(write(pair->fd[0], "x", 1) < 0); /* EPIPE, and no signal */
	if (strlen(story) == 2)
		loop_stop(loop);
}

static void test_an_error_of_a_descriptor_is_told_until_its_owner_acts(void **state)
{
	struct pair pair;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	pair.fd[0] = fd[1];
	pair.io = loop_io_new(loop, fd[1], on_broken, &pair);
	close(fd[0]);
	loop_io_want(pair.io, LOOP_WRITABLE);
	loop_run(loop);
	assert_string_equal(story, "bb");
	loop_io_free(pair.io);
	close(fd[1]);
}

static void on_turn(void *aux)
{
	int *wakes = aux;

	tell('t');
	if (*wakes == 0)
		loop_stop(loop);
	if ((*wakes)-- > 0)
		loop_wake(loop);
}

static void test_a_wake_makes_the_next_turn_come_at_once(void **state)
{
	int wakes = 3;

	(void)state;
	loop_on_turn(loop, on_turn, &wakes);
	loop_run(loop); /* with no event at all it would wait for ever */
	assert_string_equal(story, "tttt");
}

static void tell_turn(void *aux)
{
	(void)aux;
	tell('t');
}

static void on_byte(void *aux, int events)
{
	struct pair *pair = aux;
	char byte;

	(void)events;
	assert_int_equal(read(pair->fd[0], &byte, 1), 1);
	tell('i');
	loop_timer_at(&stop, 0);
}

static void test_the_hook_runs_once_after_all_callbacks_of_a_turn(void **state)
{
	struct loop_timer a;
	struct pair pair[2];

	(void)state;
	loop_on_turn(loop, tell_turn, NULL);
	for (size_t i = 0; i < 2; i++) {
		pair_open(&pair[i], on_byte);
		assert_int_equal(write(pair[i].fd[1], "x", 1), 1);
	}
	loop_timer_init(&a, loop, tell_a);
	loop_timer_init(&stop, loop, stop_by_timer);
	loop_timer_at(&a, 0);
	loop_run(loop);
	assert_string_equal(story, "atiitst");
	for (size_t i = 0; i < 2; i++) {
		loop_io_free(pair[i].io);
		close(pair[i].fd[0]);
		close(pair[i].fd[1]);
	}
}

static void spend_the_turn(void)
{
	while (loop_turn_ns(loop) < 1000 * 1000)
		;
}

static void tell_slowly(void *aux, int events)
{
	struct pair *pair = aux;
	char byte;

	(void)events;
	assert_int_equal(read(pair->fd[0], &byte, 1), 1);
	tell(byte);
	spend_the_turn();
	if (byte == '3')
		loop_stop(loop);
}

/* Never reads: it is ready again at once, each time. */
static void tell_greedily(void *aux, int events)
{
	(void)aux;
	(void)events;
	if (strlen(story) < 100)
		tell('g');
	spend_the_turn();
}

static struct loop_timer late;
static struct pair ready;

/* As after a stop of the process: a time has passed, and something has come. */
static void sleep_over_it(void *aux)
{
	(void)aux;
	loop_on_turn(loop, NULL, NULL);
	assert_int_equal(write(ready.fd[1], "x", 1), 1);
	loop_timer_at(&late, loop_now_ms() + 1);
	while (loop_now_ms() <= late.due_ms)
		;
}

static void test_what_is_overdue_comes_before_what_is_ready(void **state)
{
	(void)state;
	pair_open(&ready, on_byte);
	loop_timer_init(&late, loop, tell_a);
	loop_timer_init(&stop, loop, stop_by_timer);
	loop_on_turn(loop, sleep_over_it, NULL);
	loop_run(loop);
	assert_string_equal(story, "ais");
	loop_io_free(ready.io);
	close(ready.fd[0]);
	close(ready.fd[1]);
}

static void test_ready_descriptors_that_take_long_come_in_turns_of_their_own(void **state)
{
	struct pair pair[3];

	(void)state;
	loop_on_turn(loop, tell_turn, NULL);
	for (size_t i = 0; i < 3; i++) {
		pair_open(&pair[i], tell_slowly);
		assert_int_equal(write(pair[i].fd[1], &"123"[i], 1), 1);
	}
	loop_run(loop);
	assert_string_equal(story, "t1t2t3t");
	for (size_t i = 0; i < 3; i++) {
		loop_io_free(pair[i].io);
		close(pair[i].fd[0]);
		close(pair[i].fd[1]);
	}
}

static void test_a_descriptor_that_is_always_ready_keeps_no_other_waiting(void **state)
{
	struct pair pair[2];

	(void)state;
	pair_open(&pair[0], tell_greedily);
	pair_open(&pair[1], tell_slowly);
	assert_int_equal(write(pair[0].fd[1], "x", 1), 1);
	assert_int_equal(write(pair[1].fd[1], "3", 1), 1);
	loop_run(loop);
	assert_string_equal(story, "g3");
	for (size_t i = 0; i < 2; i++) {
		loop_io_free(pair[i].io);
		close(pair[i].fd[0]);
		close(pair[i].fd[1]);
	}
}

static void on_signal(void *aux, int signo)
{
	assert_ptr_equal(aux, &story);
	assert_int_equal(signo, SIGUSR1);
	tell('u');
	loop_stop(loop);
}

static void test_a_signal_reaches_its_callback_on_the_loop(void **state)
{
	(void)state;
	loop_on_signal(loop, SIGUSR1, on_signal, &story);
	raise(SIGUSR1);
	assert_string_equal(story, "");
	loop_run(loop);
	assert_string_equal(story, "u");
}

static void work(void *aux)
{
	*(int *)aux += 1; /* in another thread: tells nothing */
}

static void worked(void *aux)
{
	assert_int_equal(*(int *)aux, 1);
	free(aux);
	tell('d');
	loop_stop(loop);
}

static void test_a_job_is_answered_on_the_loop(void **state)
{
	(void)state;
	loop_work(loop, work, worked, mem_alloc(sizeof(int)));
	loop_run(loop);
	assert_string_equal(story, "d");
}

static void test_freeing_the_loop_waits_for_its_jobs(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		loop_work(loop, work, worked, mem_alloc(sizeof(int)));
	loop_stop(loop); /* nobody runs to see it */
	loop_free(loop);
	loop = NULL;
	assert_string_equal(story, "dddddddd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_many_descriptors_may_be_open_as_the_system_allows),
		cmocka_unit_test_setup_teardown(test_the_loop_runs_until_stopped_and_timers_fire_in_order, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_time_in_the_past_fires_without_waiting, fresh, gone),
		cmocka_unit_test_setup_teardown(test_timers_still_set_are_forgotten_with_the_loop, fresh, gone),
		cmocka_unit_test_setup_teardown(test_io_may_be_freed_and_its_descriptor_reused_inside_its_own_callback,
						fresh, gone),
		cmocka_unit_test_setup_teardown(test_io_freed_by_another_ready_one_is_not_called, fresh, gone),
		cmocka_unit_test_setup_teardown(test_readiness_is_told_again_until_it_is_no_longer_wanted, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_hang_up_shows_as_readable_each_turn, fresh, gone),
		cmocka_unit_test_setup_teardown(test_an_error_of_a_descriptor_is_told_until_its_owner_acts, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_wake_makes_the_next_turn_come_at_once, fresh, gone),
		cmocka_unit_test_setup_teardown(test_the_hook_runs_once_after_all_callbacks_of_a_turn, fresh, gone),
		cmocka_unit_test_setup_teardown(test_what_is_overdue_comes_before_what_is_ready, fresh, gone),
		cmocka_unit_test_setup_teardown(test_ready_descriptors_that_take_long_come_in_turns_of_their_own, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_descriptor_that_is_always_ready_keeps_no_other_waiting, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_signal_reaches_its_callback_on_the_loop, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_job_is_answered_on_the_loop, fresh, gone),
		cmocka_unit_test_setup_teardown(test_freeing_the_loop_waits_for_its_jobs, fresh, gone),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
