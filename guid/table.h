#pragma once

#include <stddef.h>
#include <stdint.h>

/* A map from a number to the index of the element that holds it, by open addressing.  The numbers themselves live inside
 * the elements of an array of the owner, who passes the first one's to each call and may move the array in between.
 * Neighbouring numbers lie side by side in the map, as a pool that goes round its range touches them one after the
 * other. */
struct table {
	struct table_slot *slots;
	size_t stride; /* bytes from one number to the next in the owner's array */
	size_t mask, count;
	uint64_t seed;
};

#define TABLE_NONE UINT32_MAX /* no index */

/* `seed`: any number, unknown to those who may choose the keys. */
void table_init(struct table *table, size_t stride, uint64_t seed);
void table_free(struct table *table);
uint32_t table_find(const struct table *table, const uint64_t *keys, uint64_t key); /* TABLE_NONE: not there */
void table_insert(struct table *table, const uint64_t *keys, uint32_t index);       /* its key must not be there */
void table_remove(struct table *table, const uint64_t *keys, uint32_t index);       /* must be there */
