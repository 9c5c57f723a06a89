#pragma once

#include <stdint.h>

#include "base/net/loop.h"

/* What every exporter tells of its own process, from /proc/self. */
struct process_stats;

struct process_figures {
	int64_t cpu_ms;                         /* user and system */
	uint64_t resident_bytes, virtual_bytes; /* 0: not known */
	uint64_t open_files, open_files_max;    /* descriptors; the limit, UINT64_MAX when there is none */
	int64_t started_wall_ms;                /* since 1970 */
};

struct process_stats *process_stats_new(struct loop *loop);
void process_stats_free(struct process_stats *stats); /* NULL is fine */
/* Does not block.  Where the kernel (before 6.2) does not tell the number of open files at once, counting them may take
 * long: that is then done in the worker pool, and the figure is that of the call before. */
void process_stats_count_slowly(struct process_stats *stats); /* as with such a kernel: for tests */
void process_stats_read(struct process_stats *stats, struct process_figures *figures);
