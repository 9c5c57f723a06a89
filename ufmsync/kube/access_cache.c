#include "ufmsync/kube/access_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct access_entry {
	struct access_link link;
	TAILQ_ENTRY(access_entry) age;
	void *value;
	size_t bytes;
	int64_t until_ms;
};

static size_t bucket_of(const struct access_key *key)
{
	return (size_t)(key->bytes[0] << 8 | key->bytes[1]) % ACCESS_BUCKETS;
}

struct access_link *access_table_find(const struct access_table *table, const struct access_key *key)
{
	struct access_link *link = table->buckets[bucket_of(key)];

	while (link && memcmp(&link->key, key, sizeof *key) != 0)
		link = link->next;
	return link;
}

void access_table_add(struct access_table *table, struct access_link *link)
{
	struct access_link **bucket = &table->buckets[bucket_of(&link->key)];

	link->next = *bucket;
	*bucket = link;
}

void access_table_remove(struct access_table *table, struct access_link *link)
{
	struct access_link **at = &table->buckets[bucket_of(&link->key)];

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
}

void access_cache_init(struct access_cache *cache, size_t n_max, size_t bytes_max, void (*release)(void *value))
{
	*cache = (struct access_cache){ .n_max = n_max, .bytes_max = bytes_max, .release = release };
	TAILQ_INIT(&cache->entries);
}

static void drop(struct access_cache *cache, struct access_entry *entry)
{
	access_table_remove(&cache->table, &entry->link);
	TAILQ_REMOVE(&cache->entries, entry, age);
	cache->n--;
	cache->bytes -= entry->bytes;
	cache->release(entry->value);
	free(entry);
}

void access_cache_clear(struct access_cache *cache)
{
	struct access_entry *entry;

	while ((entry = TAILQ_FIRST(&cache->entries)))
		drop(cache, entry);
}

static struct access_entry *find(const struct access_cache *cache, const struct access_key *key)
{
	struct access_link *link = access_table_find(&cache->table, key);

	return link ? container_of(link, struct access_entry, link) : NULL;
}

void access_cache_put(struct access_cache *cache, const struct access_key *key, void *value, size_t bytes,
		      int64_t now_ms, int64_t until_ms)
{
	struct access_entry *entry = find(cache, key);

	if (entry)
		drop(cache, entry);
	entry = mem_alloc(sizeof *entry);
	*entry = (struct access_entry){
		.link.key = *key, .value = value, .bytes = bytes + sizeof *entry, .until_ms = until_ms
	};
	access_table_add(&cache->table, &entry->link);
	TAILQ_INSERT_TAIL(&cache->entries, entry, age);
	cache->n++;
	cache->bytes += entry->bytes;
	while ((entry = TAILQ_FIRST(&cache->entries)) &&
	       (entry->until_ms <= now_ms || cache->n > cache->n_max || cache->bytes > cache->bytes_max))
		drop(cache, entry);
}

void *access_cache_get(struct access_cache *cache, const struct access_key *key, int64_t now_ms)
{
	struct access_entry *entry = find(cache, key);

	if (entry && entry->until_ms > now_ms)
		return entry->value;
	if (entry)
		drop(cache, entry);
	return NULL;
}
