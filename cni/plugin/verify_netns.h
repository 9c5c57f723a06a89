#pragma once

#include <stdint.h>

#include "base/error.h"

/* Descriptor of the root of a sysfs as processes in the network namespace `netns` (a path) see it.  A child enters the
 * namespace, so this process stays where it is; nothing is mounted where anybody else would see it.  -1: err says what
 * could not be done. */
int verify_netns_open(const char *netns, int64_t deadline_ms, struct error *err);
