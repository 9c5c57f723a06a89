#include "base/net/timers.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void put(struct timers *timers, size_t at, struct loop_timer *timer)
{
	timers->heap[at] = timer;
	timer->place = at + 1;
}

static void rise(struct timers *timers, size_t at, struct loop_timer *timer)
{
	while (at > 0 && earlier(timer, timers->heap[(at - 1) / 2])) {
		put(timers, at, timers->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(timers, at, timer);
}

static void sink(struct timers *timers, size_t at, struct loop_timer *timer)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < timers->n && earlier(timers->heap[child + 1], timers->heap[child]))
			child++;
		if (child >= timers->n || !earlier(timers->heap[child], timer))
			break;
		put(timers, at, timers->heap[child]);
		at = child;
	}
	put(timers, at, timer);
}

static void settle(struct timers *timers, size_t at, struct loop_timer *timer)
{
	if (at > 0 && earlier(timer, timers->heap[(at - 1) / 2]))
		rise(timers, at, timer);
	else
		sink(timers, at, timer);
}

void timers_free(struct timers *timers)
{
	for (size_t i = 0; i < timers->n; i++)
		timers->heap[i]->place = 0;
	free(timers->heap);
	*timers = (struct timers){ 0 };
}

void timers_set(struct timers *timers, struct loop_timer *timer, int64_t due_ms)
{
	/* What this round sets sorts behind all that was due before it, so the round has a clear end. */
	if (timers->firing && due_ms < timers->firing_ms)
		due_ms = timers->firing_ms;
	timer->due_ms = due_ms;
	timer->order = timers->order++;
	if (timer->place > 0) {
		settle(timers, timer->place - 1, timer);
		return;
	}
	if (timers->n == timers->cap) {
		timers->cap = timers->cap > 0 ? timers->cap * 2 : 64;
		timers->heap = mem_resize(timers->heap, timers->cap, sizeof *timers->heap);
	}
	rise(timers, timers->n++, timer);
}

void timers_unset(struct timers *timers, struct loop_timer *timer)
{
	if (timer->place == 0)
		return;
	size_t at = timer->place - 1;

	assert(at < timers->n && timers->heap[at] == timer);
	timer->place = 0;
	struct loop_timer *last = timers->heap[--timers->n];
	if (last != timer)
		settle(timers, at, last);
}

bool timers_next(const struct timers *timers, int64_t *due_ms)
{
	if (timers->n == 0)
		return false;
	*due_ms = timers->heap[0]->due_ms;
	return true;
}

void timers_fire(struct timers *timers, int64_t now_ms, size_t max)
{
	uint64_t from_here_on = timers->order;

	assert(!timers->firing);
	timers->firing = true;
	timers->firing_ms = now_ms;
	for (size_t fired = 0; fired < max && timers->n > 0; fired++) {
		struct loop_timer *timer = timers->heap[0];

		if (timer->due_ms > now_ms || timer->order >= from_here_on)
			break;
		timers_unset(timers, timer);
		timer->fire(timer);
	}
	timers->firing = false;
}
