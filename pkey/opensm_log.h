#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What OpenSM writes into its own log (OPENSM_LOG).  `path` NULL: not given, and nothing is known.  Private to
 * pkey/opensm*.c; blocks. */
off_t opensm_log_size(const char *path); /* 0: not there */
/* Whether it has written behind that point that it refuses a partition file. */
bool opensm_log_refuses(const char *path, off_t since);
/* The version that the last start named: "3.3.23". */
bool opensm_log_version(const char *path, char *out, size_t size);
