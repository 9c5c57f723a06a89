#pragma once

#include <stdint.h>

/* The clock of deadlines; the plugin's edges read it, its pure parts never. */
int64_t monotonic_ms(void);
void monotonic_sleep(int64_t ms); /* signals do not shorten it */
