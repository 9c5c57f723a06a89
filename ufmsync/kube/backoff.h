#pragma once

#include <stdint.h>

/* How long to wait before the next try.  Doubles from failure to failure, from 200 ms to 30 s, half of it random, so that
 * many clients do not come back together.  Pure. */
struct backoff {
	uint64_t random;   /* seeded by the owner */
	unsigned failures; /* in a row; 0 when all is well: set by the owner */
};

/* One more failure: ms to wait.  `retry_after_ms`: what the other side asked for (believed up to two minutes), or -1. */
int64_t backoff_next(struct backoff *backoff, int64_t retry_after_ms);
uint64_t backoff_draw(struct backoff *backoff); /* a random number (splitmix64) */
