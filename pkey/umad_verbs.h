#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Private to pkey/umad*.c.  Which local port to use, as libibverbs knows it: `device` and `port` if given, else the first
 * InfiniBand port that is active, else the first that there is.  False: verbs knows none. */
bool verbs_pick(const char *device, unsigned port, char *found, size_t size, unsigned *found_port);
