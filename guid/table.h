#pragma once

#include <stddef.h>
#include <stdint.h>

/* A map from a number to the index of the element that holds it, by open addressing.  The numbers themselves live inside
 * the elements of an array of the owner, who passes the first one's to each call and may move the array in between.
 * Neighbouring numbers lie side by side in the map, as a pool that goes round its range touches them one after the
 * other. */
struct guid_table {
	struct guid_table_slot *slots;
	size_t stride; /* bytes from one number to the next in the owner's array */
	size_t mask, count;
	uint64_t seed;
};

#define TABLE_NONE UINT32_MAX /* no index */

/* `seed`: any number, unknown to those who may choose the keys. */
void guid_table_init(struct guid_table *table, size_t stride, uint64_t seed);
void guid_table_free(struct guid_table *table);
uint32_t guid_table_find(const struct guid_table *table, const uint64_t *keys,
			 uint64_t key);                                                 /* TABLE_NONE: not there */
void guid_table_insert(struct guid_table *table, const uint64_t *keys, uint32_t index); /* its key must not be there */
void guid_table_remove(struct guid_table *table, const uint64_t *keys, uint32_t index); /* must be there */
