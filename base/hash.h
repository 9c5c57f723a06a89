#pragma once

#include <stddef.h>
#include <stdint.h>

/* A hash table whose links live inside their owners.  It grows by one bucket at a time (linear hashing), so that no
 * single insertion pays for a rehash of everything: nobody may work long at a stretch.  It never shrinks. */
struct hash_node {
	struct hash_node *next;
	uint64_t hash;
};

struct hash {
	struct hash_node **buckets;
	size_t cap;   /* allocated */
	size_t base;  /* a power of two */
	size_t split; /* buckets below it are already split in two: base + split are in use */
	size_t count;
};

void hash_init(struct hash *table);
void hash_free(struct hash *table); /* the buckets only, not what hangs in them */
void hash_add(struct hash *table, struct hash_node *node, uint64_t hash);
void hash_remove(struct hash *table, struct hash_node *node);
/* The first with this hash, then the next: the caller compares keys. */
struct hash_node *hash_first(const struct hash *table, uint64_t hash);
struct hash_node *hash_next(const struct hash_node *node);

uint64_t hash_number(uint64_t seed, uint64_t number);
uint64_t hash_text(uint64_t seed, const char *text);
