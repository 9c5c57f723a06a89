#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The one event loop of the process, over libuv.  Everything above it is callbacks on one thread, without locks.
 * Timers live inside their owner and may be stopped and freed at any time, from any callback. */
struct loop;

/* For the whole process: ignores SIGPIPE (a peer that left is an error code, not the end), and raises the limit of open
 * descriptors as far as it is allowed to, since many systems start a process with 1024. */
int loop_new(struct loop **ret, struct error *err);
void loop_free(struct loop *loop); /* NULL is fine; timers still set are forgotten, io still open is a bug */
void loop_run(struct loop *loop);  /* until loop_stop() */
void loop_stop(struct loop *loop);

/* Milliseconds of CLOCK_BOOTTIME: goes on while the machine sleeps.  Read anew at each call. */
int64_t loop_now_ms(void);
/* Milliseconds since 1970 (CLOCK_REALTIME): for texts and records only, never for waiting. */
int64_t loop_wall_ms(void);

struct loop_timer {
	struct loop *loop;
	void (*fire)(struct loop_timer *timer); /* container_of() gives the owner */
	int64_t due_ms;                         /* private from here on */
	uint64_t order;                         /* timers due at the same time fire in the order they were set */
	size_t place;                           /* 1 + index in the heap; 0: not set */
};
void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fire)(struct loop_timer *timer));
void loop_timer_at(struct loop_timer *timer, int64_t due_ms); /* replaces an earlier time; in the past: next turn */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Readiness of a descriptor (socket, pipe, epoll ...; not a file, and one loop_io for a descriptor at a time);
 * level-triggered.  An error or hang-up shows as whatever is wanted: the read or write then says which.  Callbacks of many
 * ready descriptors come in turn, spread over several turns of the loop when they take long; so it may happen that there
 * is nothing to read any more: descriptors must not block. */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };
struct loop_io;
struct loop_io *loop_io_new(struct loop *loop, int fd, void (*ready)(void *aux, int events), void *aux);
void loop_io_want(struct loop_io *io, int events); /* 0: nothing for now */
/* May be called from within its own callback; the descriptor may be closed right after.  NULL is fine. */
void loop_io_free(struct loop_io *io);

/* Called once at the end of every turn of the loop, after the callbacks of that turn (timers, io, jobs, signals) and
 * before it waits again: the place where the service lets its engine act on what the turn brought.  One hook only. */
void loop_on_turn(struct loop *loop, void (*turn)(void *aux), void *aux);
/* Nanoseconds since this turn's callbacks began: the hook stops in time, and wakes the loop for the rest. */
int64_t loop_turn_ns(const struct loop *loop);
/* Makes the next turn come at once instead of waiting for events. */
void loop_wake(struct loop *loop);

/* Nanoseconds of processor time that the longest turn so far took, its callbacks and its hook: what everybody else had to
 * wait at most. */
int64_t loop_longest_turn_ns(const struct loop *loop);
uint64_t loop_long_turns(const struct loop *loop); /* how many took more than 2 ms */

void loop_on_signal(struct loop *loop, int signo, void (*caught)(void *aux, int signo), void *aux);

/* Runs `job` in the worker pool and `done` on the loop afterwards. Both get `aux`.  loop_free() waits for jobs and
 * still calls their `done`, which then only frees what it was given. */
void loop_work(struct loop *loop, void (*job)(void *aux), void (*done)(void *aux), void *aux);
