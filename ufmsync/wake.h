#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who wants to be woken when: a binary heap of timers that live inside their owners.  Knows no clock. */
struct wake {
	int64_t at;
	uint32_t slot; /* private: 0 when not set */
	uint32_t kind; /* the owner's: tells what the wake is inside of */
};

struct wakes {
	struct wake **heap;
	size_t n, cap;
};

void wakes_free(struct wakes *wakes);                                 /* the heap only */
void wake_set(struct wakes *wakes, struct wake *wake, int64_t at);    /* moves one that is set */
void wake_sooner(struct wakes *wakes, struct wake *wake, int64_t at); /* as wake_set(), but never later than it is */
void wake_clear(struct wakes *wakes, struct wake *wake);
struct wake *wakes_due(struct wakes *wakes, int64_t now); /* takes one out; NULL: none is due */
int64_t wakes_deadline(const struct wakes *wakes);        /* INT64_MAX: none is set */

static inline bool wake_is_set(const struct wake *wake)
{
	return wake->slot;
}
