#include "tests/mock/ufm_map.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

enum { FIRST_SLOTS = 16 };

/* The finaliser of splitmix64: consecutive GUIDs, which is what pools hand out, spread over the table. */
static size_t home_of(const struct ufm_map *map, uint64_t key)
{
	key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
	key = (key ^ key >> 27) * 0x94d049bb133111ebu;
	return (size_t)(key ^ key >> 31) & (map->slots - 1);
}

/* Where the key is, or the free slot where it would go. */
static size_t slot_of(const struct ufm_map *map, uint64_t key)
{
	size_t slot = home_of(map, key);

	while (map->values[slot] != 0 && map->keys[slot] != key)
		slot = (slot + 1) & (map->slots - 1);
	return slot;
}

static void grow(struct ufm_map *map)
{
	struct ufm_map old = *map;

	map->slots = old.slots ? old.slots * 2 : FIRST_SLOTS;
	map->keys = mem_array(map->slots, sizeof(*map->keys));
	map->values = mem_array(map->slots, sizeof(*map->values));
	for (size_t i = 0; i < old.slots; i++) {
		if (old.values[i] == 0)
			continue;
		size_t slot = slot_of(map, old.keys[i]);
		map->keys[slot] = old.keys[i];
		map->values[slot] = old.values[i];
	}
	free(old.keys);
	free(old.values);
}

void ufm_map_free(struct ufm_map *map)
{
	free(map->keys);
	free(map->values);
	*map = (struct ufm_map){ 0 };
}

bool ufm_map_get(const struct ufm_map *map, uint64_t key, uint32_t *value)
{
	size_t slot;

	if (map->count == 0)
		return false;
	slot = slot_of(map, key);
	if (map->values[slot] == 0)
		return false;
	*value = map->values[slot] - 1;
	return true;
}

void ufm_map_put(struct ufm_map *map, uint64_t key, uint32_t value)
{
	size_t slot;

	assert(value < UINT32_MAX);
	if ((map->count + 1) * 4 > map->slots * 3)
		grow(map);
	slot = slot_of(map, key);
	if (map->values[slot] == 0)
		map->count++;
	map->keys[slot] = key;
	map->values[slot] = value + 1;
}

bool ufm_map_remove(struct ufm_map *map, uint64_t key)
{
	size_t mask = map->slots - 1, hole, next;

	if (map->count == 0)
		return false;
	hole = slot_of(map, key);
	if (map->values[hole] == 0)
		return false;
	/* Whatever follows and would no longer be reached from its home moves into the hole. */
	for (next = (hole + 1) & mask; map->values[next] != 0; next = (next + 1) & mask) {
		size_t home = home_of(map, map->keys[next]);
		if (((next - home) & mask) < ((next - hole) & mask))
			continue;
		map->keys[hole] = map->keys[next];
		map->values[hole] = map->values[next];
		hole = next;
	}
	map->values[hole] = 0;
	map->count--;
	return true;
}
