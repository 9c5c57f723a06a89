#pragma once

#include <stdint.h>

/* How many took how long, in buckets that are fixed beforehand: noting one is a few comparisons and takes no memory. */
enum { HISTOGRAM_BOUNDS_MAX = 12 };

struct histogram {
	const uint32_t *bounds_ms;            /* ascending, 0 ends them; at most HISTOGRAM_BOUNDS_MAX */
	uint64_t n[HISTOGRAM_BOUNDS_MAX + 1]; /* up to each bound and above the one before; the last: above all */
	uint64_t sum_ms;
};

void histogram_init(struct histogram *histogram, const uint32_t *bounds_ms); /* borrowed */
void histogram_add(struct histogram *histogram, int64_t ms); /* negative (a clock was set) counts as 0 */
uint64_t histogram_count(const struct histogram *histogram);
