#include "guid/table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SLOTS_MIN = 64, GROUP = 4 }; /* a group is a cache line */

struct table_slot {
	uint64_t key;
	uint32_t index_plus_one; /* 0: empty */
};

void table_init(struct table *table, uint64_t seed)
{
	*table = (struct table){
		.slots = mem_array(SLOTS_MIN, sizeof *table->slots),
		.mask = SLOTS_MIN - 1,
		.seed = seed,
	};
}

void table_free(struct table *table)
{
	free(table->slots);
	*table = (struct table){ 0 };
}

/* Groups of neighbours are spread at random; inside a group each key has its own place. */
static size_t home(const struct table *table, uint64_t key)
{
	uint64_t x = (key / GROUP) ^ table->seed;

	x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
	x ^= x >> 33;
	return (size_t)(x * GROUP + key % GROUP) & table->mask;
}

static size_t place(const struct table *table, uint64_t key)
{
	size_t at = home(table, key);

	while (table->slots[at].index_plus_one != 0 && table->slots[at].key != key)
		at = (at + 1) & table->mask;
	return at;
}

uint32_t table_find(const struct table *table, uint64_t key)
{
	return table->slots[place(table, key)].index_plus_one - 1;
}

static void grow(struct table *table)
{
	struct table_slot *old = table->slots;
	size_t n = table->mask + 1;

	table->slots = mem_array(n * 2, sizeof *table->slots);
	table->mask = n * 2 - 1;
	for (size_t i = 0; i < n; i++)
		if (old[i].index_plus_one != 0)
			table->slots[place(table, old[i].key)] = old[i];
	free(old);
}

void table_insert(struct table *table, uint64_t key, uint32_t index)
{
	assert(index != TABLE_NONE);
	if (table->count >= (table->mask + 1) / 2)
		grow(table);
	struct table_slot *slot = &table->slots[place(table, key)];
	assert(slot->index_plus_one == 0);
	*slot = (struct table_slot){ .key = key, .index_plus_one = index + 1 };
	table->count++;
}

void table_remove(struct table *table, uint64_t key)
{
	size_t hole = place(table, key);

	assert(table->slots[hole].index_plus_one != 0);
	/* Whoever was pushed beyond the hole by it moves into it, so that no search ends too early. */
	for (size_t at = (hole + 1) & table->mask; table->slots[at].index_plus_one != 0; at = (at + 1) & table->mask) {
		size_t from = home(table, table->slots[at].key);
		if (((at - from) & table->mask) >= ((at - hole) & table->mask)) {
			table->slots[hole] = table->slots[at];
			hole = at;
		}
	}
	table->slots[hole].index_plus_one = 0;
	table->count--;
}
