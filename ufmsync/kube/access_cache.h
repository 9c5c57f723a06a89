#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Answers that are kept for a while, by a key of 32 bytes that nobody outside can foresee (a hash with a secret in it:
 * so that nobody can fill one bucket).  Bounded in number and bytes: what came first makes room.  Pure: time is an
 * argument. */

struct access_key {
	unsigned char bytes[32];
};

/* A hash table whose links live inside their owners; also of what is being asked. */
enum { ACCESS_BUCKETS = 4096 };
struct access_link {
	struct access_link *next;
	struct access_key key;
};
struct access_table {
	struct access_link *buckets[ACCESS_BUCKETS];
};
struct access_link *access_table_find(const struct access_table *table, const struct access_key *key);
void access_table_add(struct access_table *table, struct access_link *link); /* its key is set, and not there yet */
void access_table_remove(struct access_table *table, struct access_link *link);

TAILQ_HEAD(access_cached, access_entry);

struct access_cache {
	struct access_table table;
	struct access_cached entries; /* the first came first */
	size_t n, bytes;
	size_t n_max, bytes_max;
	void (*release)(void *value);
};

void access_cache_init(struct access_cache *cache, size_t n_max, size_t bytes_max, void (*release)(void *value));
void access_cache_clear(struct access_cache *cache);
/* Owns `value` from now on, in place of one that is there, and releases it when its time or its place is over. */
void access_cache_put(struct access_cache *cache, const struct access_key *key, void *value, size_t bytes,
		      int64_t now_ms, int64_t until_ms);
void *access_cache_get(struct access_cache *cache, const struct access_key *key, int64_t now_ms); /* NULL: none */
