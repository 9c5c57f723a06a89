#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A span of time as people write it in settings: digits and a unit, "20ms", "90s", "2m", "1h"; digits alone are seconds.
 * No sign, no fraction, no blank; at most 366 days. */
bool duration_parse(int64_t *ms, const char *text);
