#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/net/loop.h"

/* The timers of a loop, earliest first: a binary heap of pointers to timers embedded in their owners.  Setting and
 * stopping cost O(log n).  Pure: the time is an argument. */
struct timers {
	struct loop_timer **heap;
	size_t n, cap;
	uint64_t order; /* of the next timer set */
	bool firing;
	int64_t firing_ms; /* while firing: the time of this round */
};

void timers_free(struct timers *timers); /* what is still set is forgotten, and may be stopped later */
void timers_set(struct timers *timers, struct loop_timer *timer, int64_t due_ms);
void timers_unset(struct timers *timers, struct loop_timer *timer);
bool timers_next(const struct timers *timers, int64_t *due_ms); /* false: none is set */

/* Fires what is due, at most `max` timers, and none that was set by this very round: a timer which sets itself into
 * the past cannot keep the loop busy for ever. */
void timers_fire(struct timers *timers, int64_t now_ms, size_t max);
