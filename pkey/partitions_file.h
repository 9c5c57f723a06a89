#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* partitions.conf on disk.  All functions block (fsync): for the loop's worker pool. */

/* Can the file be replaced by a rename that OpenSM will see?  ERROR_INVALID says what is wrong and what to do: no such
 * file, no regular one, a symbolic link (a rename would replace the link), a single-file mount (OpenSM would keep the old
 * inode; mount its folder), a folder we may not write to.  Leftovers of a write that was killed are removed. */
int partitions_file_check(const char *path, struct error *err);

/* The whole text.  ERROR_OS, ERROR_LIMIT (more than out->max). */
int partitions_file_read(struct buf *out, const char *path, struct error *err);

/* Makes it `text`, if it still is `before`: a temporary file beside it with the old one's mode, owner, access list and
 * labels, fsync, exchanged with the old one in one step, the folder's fsync, read back.  Never at or after `by_ms`
 * (loop_now_ms()), however long the disk takes.  ERROR_CONFLICT: somebody else changed it meanwhile; their text stands,
 * ours is nowhere.  ERROR_RETRY: too late, or another ufmsyncd is writing (on file systems with locks).  At every moment, a
 * kill -9 or a power cut included, the file is one of the two. */
int partitions_file_write(const char *path, const struct buf *before, const struct buf *text, int64_t by_ms,
			  struct error *err);
