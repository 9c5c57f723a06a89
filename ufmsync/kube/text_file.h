#pragma once

#include <stddef.h>

#include "base/error.h"

/* A whole file of at most `max` bytes as text; wiped and freed by the caller with mem_wipe_free().  ERROR_OS when it
 * cannot be read, ERROR_LIMIT when it is longer, ERROR_INVALID when it is no regular file or holds a NUL.  The error
 * names the path. */
int text_file_read(char **out, const char *path, size_t max, struct error *err);
