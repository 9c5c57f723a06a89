#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BUCKETS_MIN = 16 };

void hash_init(struct hash *table)
{
	*table = (struct hash){ .base = BUCKETS_MIN, .cap = BUCKETS_MIN };
	table->buckets = mem_array(table->cap, sizeof *table->buckets);
}

void hash_free(struct hash *table)
{
	free(table->buckets);
	*table = (struct hash){ 0 };
}

static size_t bucket_of(const struct hash *table, uint64_t hash)
{
	size_t bucket = hash & (2 * table->base - 1);
	return bucket < table->base + table->split ? bucket : hash & (table->base - 1);
}

static void split_one(struct hash *table)
{
	size_t low = table->split, high = table->base + table->split;
	if (high == table->cap) {
		table->buckets = mem_resize(table->buckets, 2 * table->cap, sizeof *table->buckets);
		table->cap *= 2;
	}
	table->buckets[high] = NULL;
	struct hash_node *node = table->buckets[low];
	table->buckets[low] = NULL;
	while (node) {
		struct hash_node *next = node->next;
		size_t to = node->hash & table->base ? high : low;
		node->next = table->buckets[to];
		table->buckets[to] = node;
		node = next;
	}
	if (++table->split == table->base) {
		table->base *= 2;
		table->split = 0;
	}
}

void hash_add(struct hash *table, struct hash_node *node, uint64_t hash)
{
	if (table->count++ >= table->base + table->split)
		split_one(table);
	struct hash_node **bucket = &table->buckets[bucket_of(table, hash)];
	node->hash = hash;
	node->next = *bucket;
	*bucket = node;
}

void hash_remove(struct hash *table, struct hash_node *node)
{
	struct hash_node **at = &table->buckets[bucket_of(table, node->hash)];
	while (*at != node) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = node->next;
	node->next = NULL;
	table->count--;
}

static struct hash_node *same_hash(struct hash_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct hash_node *hash_first(const struct hash *table, uint64_t hash)
{
	return same_hash(table->buckets[bucket_of(table, hash)], hash);
}

struct hash_node *hash_next(const struct hash_node *node)
{
	return same_hash(node->next, node->hash);
}

uint64_t hash_number(uint64_t seed, uint64_t number)
{
	uint64_t x = (number ^ seed) + 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t hash_text(uint64_t seed, const char *text)
{
	uint64_t h = seed ^ 0xcbf29ce484222325u;
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;
		memcpy(&word, text + i, len - i < 8 ? len - i : 8);
		h = hash_number(h, word);
	}
	return hash_number(h, len);
}
