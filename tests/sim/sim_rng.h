#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The only source of chance in a simulated life: one seed, one stream, the same numbers on every machine. */
struct sim_rng {
	uint64_t state[2];
};

void sim_rng_init(struct sim_rng *rng, uint64_t seed);
uint64_t sim_rng_next(struct sim_rng *rng);
uint64_t sim_rng_below(struct sim_rng *rng, uint64_t bound);               /* 0 .. bound-1; bound > 0 */
int64_t sim_rng_between(struct sim_rng *rng, int64_t least, int64_t most); /* both included */
bool sim_rng_chance(struct sim_rng *rng, unsigned percent);
/* Mostly near `mean`, now and then several times that: how long until the next thing of a kind happens. */
int64_t sim_rng_gap(struct sim_rng *rng, int64_t mean);
