#pragma once

#include <stddef.h>
#include <stdint.h>

/* A map from a number to an index, by open addressing.  Neighbouring numbers lie side by side in memory, as a pool that
 * goes round its range touches them one after the other. */
struct table {
	struct table_slot *slots;
	size_t mask, count;
	uint64_t seed;
};

#define TABLE_NONE UINT32_MAX /* no index */

/* `seed`: any number, unknown to those who may choose the keys. */
void table_init(struct table *table, uint64_t seed);
void table_free(struct table *table);
uint32_t table_find(const struct table *table, uint64_t key);         /* TABLE_NONE: not there */
void table_insert(struct table *table, uint64_t key, uint32_t index); /* must not be there */
void table_remove(struct table *table, uint64_t key);                 /* must be there */
