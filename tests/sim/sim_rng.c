#include "tests/sim/sim_rng.h"

#include <assert.h>

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void sim_rng_init(struct sim_rng *rng, uint64_t seed)
{
	rng->state[0] = splitmix(&seed);
	rng->state[1] = splitmix(&seed);
}

/* xoroshiro128+ */
uint64_t sim_rng_next(struct sim_rng *rng)
{
	uint64_t a = rng->state[0], b = rng->state[1], sum = a + b;

	b ^= a;
	rng->state[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
	rng->state[1] = b << 37 | b >> 27;
	return sum;
}

uint64_t sim_rng_below(struct sim_rng *rng, uint64_t bound)
{
	assert(bound > 0);
	return (sim_rng_next(rng) >> 11) % bound;
}

int64_t sim_rng_between(struct sim_rng *rng, int64_t least, int64_t most)
{
	assert(least <= most);
	return least + (int64_t)sim_rng_below(rng, (uint64_t)(most - least) + 1);
}

bool sim_rng_chance(struct sim_rng *rng, unsigned percent)
{
	return sim_rng_below(rng, 100) < percent;
}

int64_t sim_rng_gap(struct sim_rng *rng, int64_t mean)
{
	if (sim_rng_chance(rng, 10))
		return sim_rng_between(rng, mean, mean * 5);
	return sim_rng_between(rng, 0, mean * 3 / 2);
}
