#include "ufmsync/metrics.h"

#include <stdio.h>

/* There are many lines, and printf() would be most of what they cost. */
static void put_number(struct buf *out, uint64_t value)
{
	char text[20], *p = text + sizeof text;

	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	buf_append(out, p, (size_t)(text + sizeof text - p));
}

/* "0.005", "2.5", "10": without zeros at its end, as Prometheus' own libraries write the bounds of buckets. */
static void put_seconds(struct buf *out, uint64_t ms)
{
	unsigned part = ms % 1000;
	char text[4] = { '.', (char)('0' + part / 100), (char)('0' + part / 10 % 10), (char)('0' + part % 10) };
	size_t n = part == 0 ? 0 : part % 100 == 0 ? 2 : part % 10 == 0 ? 3 : 4;

	put_number(out, ms / 1000);
	buf_append(out, text, n);
}

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_name(struct buf *out, const char *name, const char *suffix, const char *labels)
{
	buf_text(out, name);
	buf_text(out, suffix);
	if (labels[0]) {
		buf_text(out, "{");
		buf_text(out, labels);
		buf_text(out, "}");
	}
	buf_text(out, " ");
}

void metrics_sample(struct buf *out, const char *name, const char *labels, uint64_t value)
{
	put_name(out, name, "", labels);
	put_number(out, value);
	buf_text(out, "\n");
}

void metrics_sample_ms(struct buf *out, const char *name, const char *labels, int64_t ms)
{
	put_name(out, name, "", labels);
	put_seconds(out, ms < 0 ? 0 : (uint64_t)ms);
	buf_text(out, "\n");
}

static void put_bucket(struct buf *out, const char *name, const char *labels, uint32_t bound_ms, uint64_t n)
{
	buf_text(out, name);
	buf_text(out, "_bucket{");
	buf_text(out, labels);
	buf_text(out, labels[0] ? ",le=\"" : "le=\"");
	if (bound_ms > 0)
		put_seconds(out, bound_ms);
	else
		buf_text(out, "+Inf");
	buf_text(out, "\"} ");
	put_number(out, n);
	buf_text(out, "\n");
}

void metrics_sample_histogram(struct buf *out, const char *name, const char *labels, const struct histogram *histogram)
{
	uint64_t n = 0;
	size_t i = 0;

	do {
		n += histogram->n[i];
		put_bucket(out, name, labels, histogram->bounds_ms[i], n);
	} while (histogram->bounds_ms[i++]);
	put_name(out, name, "_sum", labels);
	put_seconds(out, histogram->sum_ms);
	buf_text(out, "\n");
	put_name(out, name, "_count", labels);
	put_number(out, n);
	buf_text(out, "\n");
}

void metrics_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	metrics_head(out, name, "gauge", help);
	metrics_sample(out, name, "", value);
}

void metrics_counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
	metrics_head(out, name, "counter", help);
	metrics_sample(out, name, "", value);
}

void metrics_counters(struct buf *out, const char *name, const char *help, const char *label, const char *const *values,
		      const uint64_t *counts)
{
	char labels[96];

	metrics_head(out, name, "counter", help);
	for (size_t i = 0; values[i]; i++) {
		snprintf(labels, sizeof labels, "%s=\"%s\"", label, values[i]);
		metrics_sample(out, name, labels, counts[i]);
	}
}
