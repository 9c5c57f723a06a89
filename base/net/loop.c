/* A turn of the loop is: wait for events, fire the timers that are due, run the callbacks of the events, call the hook.
 * The timers come first because the process may have been stopped, or the machine have slept: what is too late must not
 * go one step further because its descriptor happens to be ready.  libuv calls the "prepare" handle last before it
 * waits, so the end of a turn is there.  libuv itself would call back for everything that is ready, be it hundreds of
 * descriptors; so it only puts them into a line, which is served at the end of the turn for as long as a turn may take,
 * and goes on where it stopped in the next.  Timers are not libuv's: those run on CLOCK_MONOTONIC, and one timerfd on
 * CLOCK_BOOTTIME that follows the earliest of our heap serves them all. */
#include "base/net/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "base/net/timers.h"

/* So many timers at most fire between two looks at the descriptors, and after so long no further ready descriptor is
 * served in this turn. */
enum { TIMERS_A_TURN = 256, READY_TURN_NS = 500 * 1000, LONG_TURN_NS = 2000 * 1000 };

struct loop {
	uv_loop_t uv;
	uv_prepare_t end_of_turn;
	uv_idle_t busy; /* active: the loop does not wait */
	uv_poll_t clock;
	int clock_fd;
	bool clock_set;
	int64_t clock_ms; /* what clock_fd is set to */
	struct timers timers;
	void (*turn)(void *aux);
	void *turn_aux;
	struct loop_io *ready, **ready_end; /* the line of descriptors to be served */
	int64_t turn_began_ns;
	int64_t cpu_ns;          /* of this thread, at the end of the last turn */
	int64_t longest_turn_ns; /* processor time */
	uint64_t long_turns;
	size_t ios;
	bool running;
};

struct loop_io {
	uv_poll_t poll;
	struct loop *loop;
	struct loop_io *next, **slot; /* in the line; slot NULL: not in it */
	int want, events;
	void (*ready)(void *aux, int events);
	void *aux;
};

struct loop_signal {
	uv_signal_t signal;
	void (*caught)(void *aux, int signo);
	void *aux;
};

struct loop_job {
	uv_work_t work;
	void (*job)(void *aux);
	void (*done)(void *aux);
	void *aux;
};

/* For calls that fail only when memory or descriptors of the process are used up, or by a bug. */
static void must(int status, const char *what)
{
	if (status == 0)
		return;
	fprintf(stderr, "event loop: %s: %s\n", what, uv_strerror(status));
	abort();
}

static int64_t clock_read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t loop_now_ms(void)
{
	return clock_read_ms(CLOCK_BOOTTIME);
}

int64_t loop_wall_ms(void)
{
	return clock_read_ms(CLOCK_REALTIME);
}

static int64_t turn_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t loop_turn_ns(const struct loop *loop)
{
	return turn_clock_ns() - loop->turn_began_ns;
}

static void on_busy(uv_idle_t *busy)
{
	uv_idle_stop(busy);
}

static void on_clock(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	uint64_t expirations;

	(void)status;
	(void)events;
	if (read(loop->clock_fd, &expirations, sizeof expirations) > 0)
		loop->clock_set = false;
}

static void set_clock(struct loop *loop, int64_t due_ms)
{
	struct itimerspec at = { .it_value = { .tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000 } };
	if (timerfd_settime(loop->clock_fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		must(-errno, "set the timer");
	loop->clock_set = true;
	loop->clock_ms = due_ms;
}

/* Processor time, since a turn during which the machine did something else was not long because of us. */
static void measure_turn(struct loop *loop)
{
	struct timespec cpu;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	int64_t ns = (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
	int64_t turn = loop->cpu_ns > 0 ? ns - loop->cpu_ns : 0;
	if (turn > loop->longest_turn_ns)
		loop->longest_turn_ns = turn;
	loop->long_turns += turn > LONG_TURN_NS;
	loop->cpu_ns = ns;
}

int64_t loop_longest_turn_ns(const struct loop *loop)
{
	return loop->longest_turn_ns;
}

uint64_t loop_long_turns(const struct loop *loop)
{
	return loop->long_turns;
}

static void line_add(struct loop_io *io)
{
	struct loop *loop = io->loop;

	io->next = NULL;
	io->slot = loop->ready_end;
	*io->slot = io;
	loop->ready_end = &io->next;
}

static void line_remove(struct loop_io *io)
{
	if (!io->slot)
		return;
	*io->slot = io->next;
	if (io->next)
		io->next->slot = io->slot;
	else
		io->loop->ready_end = io->slot;
	io->slot = NULL;
}

/* What was ready when it came into the line may not be wanted any more.  It may not be ready any more either: then the
 * owner finds nothing to read, as after any wake-up. */
static void serve_ready(struct loop *loop)
{
	while (loop->ready && loop_turn_ns(loop) < READY_TURN_NS) {
		struct loop_io *io = loop->ready;
		int events = io->events & io->want;
		line_remove(io);
		io->events = 0;
		if (events)
			io->ready(io->aux, events);
	}
	if (loop->ready)
		loop_wake(loop);
}

static void on_end_of_turn(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	int64_t due_ms;

	loop->turn_began_ns = turn_clock_ns();
	timers_fire(&loop->timers, loop_now_ms(), TIMERS_A_TURN);
	serve_ready(loop);
	if (loop->turn)
		loop->turn(loop->turn_aux);
	measure_turn(loop);
	if (!timers_next(&loop->timers, &due_ms))
		return;
	/* A clock left set to an earlier time costs one empty turn, which is cheaper than setting it at each stop. */
	if (due_ms <= loop_now_ms())
		loop_wake(loop);
	else if (!loop->clock_set || due_ms < loop->clock_ms)
		set_clock(loop, due_ms);
}

/* The low limit is for programs that use select(), which nothing here does. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int loop_new(struct loop **ret, struct error *err)
{
	struct loop *loop = mem_alloc(sizeof *loop);
	int status = uv_loop_init(&loop->uv);

	if (status < 0) {
		free(loop);
		return error_set(err, ERROR_OS, "make the event loop: %s", uv_strerror(status));
	}
	loop->clock_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->clock_fd < 0) {
		error_set_errno(err, "make the event loop's timer");
		uv_loop_close(&loop->uv);
		free(loop);
		return -1;
	}
	loop->ready_end = &loop->ready;
	signal(SIGPIPE, SIG_IGN);
	allow_descriptors();
	must(uv_poll_init(&loop->uv, &loop->clock, loop->clock_fd), "watch the timer");
	loop->clock.data = loop;
	must(uv_poll_start(&loop->clock, UV_READABLE, on_clock), "watch the timer");
	uv_idle_init(&loop->uv, &loop->busy);
	uv_prepare_init(&loop->uv, &loop->end_of_turn);
	loop->end_of_turn.data = loop;
	uv_prepare_start(&loop->end_of_turn, on_end_of_turn);
	*ret = loop;
	return 0;
}

static void on_signal_closed(uv_handle_t *handle)
{
	free(container_of((uv_signal_t *)handle, struct loop_signal, signal));
}

/* Only our own four kinds are left when the loop ends, and each but the signals is part of struct loop. */
static void close_handle(uv_handle_t *handle, void *aux)
{
	(void)aux;
	if (!uv_is_closing(handle))
		uv_close(handle, handle->type == UV_SIGNAL ? on_signal_closed : NULL);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->running && loop->ios == 0);
	uv_walk(&loop->uv, close_handle, NULL);
	while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
		; /* a loop_stop() that nobody saw ends the first round */
	/* A job's `done` must not have opened anything new. */
	must(uv_loop_close(&loop->uv), "close");
	timers_free(&loop->timers);
	close(loop->clock_fd);
	free(loop);
}

void loop_run(struct loop *loop)
{
	assert(!loop->running);
	loop->running = true;
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	loop->running = false;
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_on_turn(struct loop *loop, void (*turn)(void *aux), void *aux)
{
	assert(!loop->turn || !turn);
	loop->turn = turn;
	loop->turn_aux = aux;
}

void loop_wake(struct loop *loop)
{
	uv_idle_start(&loop->busy, on_busy);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fire)(struct loop_timer *timer))
{
	*timer = (struct loop_timer){ .loop = loop, .fire = fire };
}

void loop_timer_at(struct loop_timer *timer, int64_t due_ms)
{
	assert(timer->loop && timer->fire);
	timers_set(&timer->loop->timers, timer, due_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (timer->place > 0)
		timers_unset(&timer->loop->timers, timer);
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->place > 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct loop_io *io = container_of(poll, struct loop_io, poll);
	int ready = (events & UV_READABLE ? LOOP_READABLE : 0) | (events & UV_WRITABLE ? LOOP_WRITABLE : 0);

	if (status < 0) {
		/* libuv stops watching at an error of the descriptor.  The owner learns it from its next read or write. */
		ready = io->want;
		loop_io_want(io, io->want);
	}
	io->events |= ready;
	if (!io->slot)
		line_add(io);
}

struct loop_io *loop_io_new(struct loop *loop, int fd, void (*ready)(void *aux, int events), void *aux)
{
	struct loop_io *io = mem_alloc(sizeof *io);

	*io = (struct loop_io){ .loop = loop, .ready = ready, .aux = aux };
	must(uv_poll_init(&loop->uv, &io->poll, fd), "watch a descriptor");
	loop->ios++;
	return io;
}

void loop_io_want(struct loop_io *io, int events)
{
	io->want = events;
	if (events == 0)
		uv_poll_stop(&io->poll);
	else
		must(uv_poll_start(&io->poll,
				   (events & LOOP_READABLE ? UV_READABLE : 0) |
					   (events & LOOP_WRITABLE ? UV_WRITABLE : 0),
				   on_poll),
		     "watch a descriptor");
}

static void on_io_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct loop_io, poll));
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	assert(io->loop->ios > 0);
	line_remove(io);
	io->loop->ios--;
	/* libuv forgets the descriptor at once and calls back no more; only the memory lives until the turn's end. */
	uv_close((uv_handle_t *)&io->poll, on_io_closed);
}

static void on_signal(uv_signal_t *signal, int signo)
{
	struct loop_signal *on = container_of(signal, struct loop_signal, signal);

	on->caught(on->aux, signo);
}

void loop_on_signal(struct loop *loop, int signo, void (*caught)(void *aux, int signo), void *aux)
{
	struct loop_signal *on = mem_alloc(sizeof *on);

	on->caught = caught;
	on->aux = aux;
	must(uv_signal_init(&loop->uv, &on->signal), "watch a signal");
	must(uv_signal_start(&on->signal, on_signal, signo), "watch a signal");
}

static void on_work(uv_work_t *work)
{
	struct loop_job *job = container_of(work, struct loop_job, work);

	job->job(job->aux);
}

static void on_worked(uv_work_t *work, int status)
{
	struct loop_job *job = container_of(work, struct loop_job, work);
	struct loop_job copy = *job;

	assert(status == 0); /* nobody cancels */
	free(job);
	copy.done(copy.aux);
}

void loop_work(struct loop *loop, void (*job)(void *aux), void (*done)(void *aux), void *aux)
{
	struct loop_job *work = mem_alloc(sizeof *work);

	*work = (struct loop_job){ .job = job, .done = done, .aux = aux };
	must(uv_queue_work(&loop->uv, &work->work, on_work, on_worked), "queue a job");
}
