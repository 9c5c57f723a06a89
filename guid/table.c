#include "guid/table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SLOTS_MIN = 64, GROUP = 8 }; /* a group is a cache line */

struct guid_table_slot {
	uint32_t tag;            /* of the key: says where it wants to be in a table of any size, and nearly always
				  * whether it is another one, without a look at the key itself */
	uint32_t index_plus_one; /* 0: empty */
};

void guid_table_init(struct guid_table *table, size_t stride, uint64_t seed)
{
	*table = (struct guid_table){
		.slots = mem_array(SLOTS_MIN, sizeof *table->slots),
		.stride = stride,
		.mask = SLOTS_MIN - 1,
		.seed = seed,
	};
}

void guid_table_free(struct guid_table *table)
{
	free(table->slots);
	*table = (struct guid_table){ 0 };
}

static uint64_t key_at(const struct guid_table *table, const uint64_t *keys, uint32_t index)
{
	return *(const uint64_t *)((const char *)keys + index * table->stride);
}

/* Groups of neighbours are spread at random; inside a group each key has its own place. */
static uint32_t tag_of(const struct guid_table *table, uint64_t key)
{
	uint64_t x = (key / GROUP) ^ table->seed;

	x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
	return (uint32_t)(x >> 32) / GROUP * GROUP + (uint32_t)(key % GROUP);
}

/* Where the key is, or the empty slot where it would have been found. */
static size_t place(const struct guid_table *table, const uint64_t *keys, uint64_t key, uint32_t tag)
{
	for (size_t at = tag & table->mask;; at = (at + 1) & table->mask) {
		const struct guid_table_slot *slot = &table->slots[at];
		if (slot->index_plus_one == 0)
			return at;
		if (slot->tag == tag && key_at(table, keys, slot->index_plus_one - 1) == key)
			return at;
	}
}

uint32_t guid_table_find(const struct guid_table *table, const uint64_t *keys, uint64_t key)
{
	return table->slots[place(table, keys, key, tag_of(table, key))].index_plus_one - 1;
}

static void grow(struct guid_table *table)
{
	struct guid_table_slot *old = table->slots;
	size_t n = table->mask + 1;

	table->slots = mem_array(n * 2, sizeof *table->slots);
	table->mask = n * 2 - 1;
	for (size_t i = 0; i < n; i++) {
		if (old[i].index_plus_one == 0)
			continue;
		size_t at = old[i].tag & table->mask;
		while (table->slots[at].index_plus_one != 0)
			at = (at + 1) & table->mask;
		table->slots[at] = old[i];
	}
	free(old);
}

void guid_table_insert(struct guid_table *table, const uint64_t *keys, uint32_t index)
{
	uint64_t key = key_at(table, keys, index);
	uint32_t tag = tag_of(table, key);

	assert(index != TABLE_NONE);
	if (table->count >= (table->mask + 1) / 2)
		grow(table);
	struct guid_table_slot *slot = &table->slots[place(table, keys, key, tag)];
	assert(slot->index_plus_one == 0);
	*slot = (struct guid_table_slot){ .tag = tag, .index_plus_one = index + 1 };
	table->count++;
}

void guid_table_remove(struct guid_table *table, const uint64_t *keys, uint32_t index)
{
	uint64_t key = key_at(table, keys, index);
	size_t hole = place(table, keys, key, tag_of(table, key));

	assert(table->slots[hole].index_plus_one == index + 1);
	/* Whoever was pushed beyond the hole by it moves into it, so that no search ends too early. */
	for (size_t at = (hole + 1) & table->mask; table->slots[at].index_plus_one != 0; at = (at + 1) & table->mask) {
		size_t home = table->slots[at].tag & table->mask;
		if (((at - home) & table->mask) >= ((at - hole) & table->mask)) {
			table->slots[hole] = table->slots[at];
			hole = at;
		}
	}
	table->slots[hole].index_plus_one = 0;
	table->count--;
}
