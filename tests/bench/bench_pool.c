/* Operations of the GUID pool per second, in the situations it meets: `bench_pool [million operations each]`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "guid/pool.h"

#define DEFAULT_FIRST 0x0200000000000000
#define DEFAULT_LAST  0x02ffffffffffffff

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* others work on this machine too */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void row(const char *what, uint64_t operations, double since)
{
	double took = seconds() - since;

	printf("%-74s %7.1f million/s\n", what, (double)operations / took / 1e6);
}

static struct guid must_allocate(struct guid_pool *pool, int64_t now_ms)
{
	struct guid guid;
	int64_t again_ms;

	if (!guid_pool_allocate(pool, 5000, now_ms, &guid, &again_ms)) {
		fputs("the pool is exhausted\n", stderr);
		exit(1);
	}
	return guid;
}

static struct guid_pool *pool_of(uint64_t first, uint64_t last)
{
	struct guid_pool *pool = guid_pool_new((struct guid){ first }, (struct guid){ last }, 0x123456789abcdef);

	if (!pool)
		exit(1);
	return pool;
}

/* `held` GUIDs are in use; one is given back and another taken, again and again, each resting for `rest_ms`, with
 * `per_ms` of these a millisecond. */
static void churn(const char *what, uint64_t size, size_t held, int64_t rest_ms, unsigned per_ms, uint64_t operations)
{
	struct guid_pool *pool = pool_of(DEFAULT_FIRST, DEFAULT_FIRST + size - 1);
	struct guid *holders = mem_array(held, sizeof *holders);
	uint64_t random = 1;
	int64_t now_ms = 1;

	for (size_t i = 0; i < held; i++)
		holders[i] = must_allocate(pool, now_ms);
	double since = seconds();
	for (uint64_t i = 0; i < operations / 2; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		size_t who = (size_t)(random >> 33) % held;
		if (i % per_ms == 0)
			now_ms++;
		guid_pool_release(pool, holders[who], now_ms + rest_ms, false, now_ms);
		holders[who] = must_allocate(pool, now_ms);
	}
	row(what, operations, since);
	free(holders);
	guid_pool_free(pool);
}

static void fill(uint64_t operations)
{
	struct guid_pool *pool = pool_of(DEFAULT_FIRST, DEFAULT_LAST);
	double since = seconds();

	for (uint64_t i = 0; i < operations; i++)
		must_allocate(pool, 1);
	row("allocate, default range, none given back", operations, since);
	guid_pool_free(pool);
}

static void claim(size_t held, uint64_t operations)
{
	struct guid_pool *pool = pool_of(DEFAULT_FIRST, DEFAULT_LAST);
	uint64_t random = 1, refused = 0;

	double since = seconds();
	for (uint64_t i = 0; i < operations; i++) {
		if (i % held == 0)
			random = 1;
		random = random * 6364136223846793005 + 1442695040888963407;
		refused +=
			guid_pool_claim(pool, (struct guid){ DEFAULT_FIRST | random >> 8 }, true, 1) != GUID_CLAIM_OK;
	}
	row("claim at random places of the default range, 100,000 held", operations, since);
	if (refused != operations - held)
		exit(1);
	guid_pool_free(pool);
}

static void exhausted(uint64_t operations)
{
	struct guid_pool *pool = pool_of(DEFAULT_FIRST, DEFAULT_FIRST + 99999);
	struct guid guid;
	int64_t again_ms;

	for (int i = 0; i < 100000; i++)
		must_allocate(pool, 1);
	double since = seconds();
	for (uint64_t i = 0; i < operations; i++)
		if (guid_pool_allocate(pool, 5000, 2, &guid, &again_ms))
			exit(1);
	row("allocate from an exhausted pool of 100,000", operations, since);
	guid_pool_free(pool);
}

int main(int argc, char **argv)
{
	uint64_t n = (argc > 1 ? strtoull(argv[1], NULL, 10) : 10) * 1000000;

	if (n == 0) {
		fputs("usage: bench_pool [million operations each]\n", stderr);
		return 2;
	}
	fill(n);
	churn("allocate and release, default range, 1000 held, no rest", DEFAULT_LAST - DEFAULT_FIRST + 1, 1000, 0,
	      1000, n);
	churn("allocate and release, default range, 100,000 held, 1 s of rest", DEFAULT_LAST - DEFAULT_FIRST + 1,
	      100000, 1000, 100, n);
	churn("allocate and release, range of 2^20, 100,000 held, 1 s of rest", 1 << 20, 100000, 1000, 100, n);
	churn("allocate and release, range of 2^17, all but 100 held", 1 << 17, (1 << 17) - 100, 0, 100, n);
	churn("allocate and release, range of 2^21, all but 100 held", 1 << 21, (1 << 21) - 100, 0, 100, n);
	claim(100000, n);
	exhausted(n);
	return 0;
}
