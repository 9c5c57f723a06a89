#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* GUID -> small number.  Open addressing, deletion leaves no tombstones: adding and removing for days costs the same
 * as on the first.  Any 64-bit value is a key; values stop one short of UINT32_MAX.  A zeroed struct is an empty map. */
struct ufm_map {
	uint64_t *keys;
	uint32_t *values; /* 1 + value; 0: free */
	size_t slots;     /* a power of two, or 0 */
	size_t count;
};

void ufm_map_free(struct ufm_map *map); /* empty again afterwards */
bool ufm_map_get(const struct ufm_map *map, uint64_t key, uint32_t *value);
void ufm_map_put(struct ufm_map *map, uint64_t key, uint32_t value); /* replaces */
bool ufm_map_remove(struct ufm_map *map, uint64_t key);              /* false: was not there */
