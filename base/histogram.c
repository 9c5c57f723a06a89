#include "base/histogram.h"

#include <assert.h>
#include <stddef.h>

void histogram_init(struct histogram *histogram, const uint32_t *bounds_ms)
{
	*histogram = (struct histogram){ .bounds_ms = bounds_ms };
	for (size_t i = 0; bounds_ms[i]; i++)
		assert(i < HISTOGRAM_BOUNDS_MAX && (i == 0 || bounds_ms[i - 1] < bounds_ms[i]));
}

void histogram_add(struct histogram *histogram, int64_t ms)
{
	size_t i = 0;

	if (ms < 0)
		ms = 0;
	while (histogram->bounds_ms[i] && ms > histogram->bounds_ms[i])
		i++;
	histogram->n[i]++;
	histogram->sum_ms += (uint64_t)ms;
}

uint64_t histogram_count(const struct histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
		count += histogram->n[i];
	return count;
}
