#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/histogram.h"

/* Prometheus' text format, version 0.0.4.  Pure.  A family's head comes once, all its samples follow it.
 *
 * Labels are written by us alone, from fixed sets: `outcome="ok",kind="join"`, "" for none. */

void metrics_head(struct buf *out, const char *name, const char *type, const char *help);
void metrics_sample(struct buf *out, const char *name, const char *labels, uint64_t value);
void metrics_sample_ms(struct buf *out, const char *name, const char *labels, int64_t ms); /* as seconds */
/* Buckets, sum and count, in seconds. */
void metrics_sample_histogram(struct buf *out, const char *name, const char *labels, const struct histogram *histogram);

/* Families of one sample without labels. */
void metrics_gauge(struct buf *out, const char *name, const char *help, uint64_t value);
void metrics_counter(struct buf *out, const char *name, const char *help, uint64_t value);
/* A counter for each value of one label; the values end with NULL. */
void metrics_counters(struct buf *out, const char *name, const char *help, const char *label, const char *const *values,
		      const uint64_t *counts);
