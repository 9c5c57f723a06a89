#include "ufmsync/kube/backoff.h"

enum { LEAST_MS = 200, MOST_MS = 30 * 1000, RETRY_AFTER_MOST_MS = 120 * 1000 };

uint64_t backoff_draw(struct backoff *backoff)
{
	uint64_t z = backoff->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

int64_t backoff_next(struct backoff *backoff, int64_t retry_after_ms)
{
	int64_t most = LEAST_MS;

	for (unsigned i = 0; i < backoff->failures && most < MOST_MS; i++)
		most *= 2;
	if (most > MOST_MS)
		most = MOST_MS;
	backoff->failures++;
	int64_t wait = most / 2 + (int64_t)(backoff_draw(backoff) % (uint64_t)(most / 2 + 1));
	if (retry_after_ms > RETRY_AFTER_MOST_MS)
		retry_after_ms = RETRY_AFTER_MOST_MS;
	return retry_after_ms > 0 ? retry_after_ms + wait : wait;
}
