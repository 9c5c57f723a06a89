#include "tests/sim/sim_mind.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAPACITY = 256 };

void sim_mind_begin(struct sim_mind *mind, uint64_t incarnation)
{
	sim_mind_end(mind);
	mind->incarnation = incarnation;
	mind->cap_sightings = mind->cap_holdings = FIRST_CAPACITY;
	mind->sightings = mem_array(mind->cap_sightings, sizeof(*mind->sightings));
	mind->holdings = mem_array(mind->cap_holdings, sizeof(*mind->holdings));
}

void sim_mind_end(struct sim_mind *mind)
{
	free(mind->sightings);
	free(mind->holdings);
	free(mind->write.guids);
	memset(mind, 0, sizeof(*mind));
}

static size_t hash(struct guid guid, struct pkey pkey)
{
	return (size_t)((guid.v * 2654435761u + pkey.v * 40503u) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* The place of that key, or the free place where it belongs. */
static struct sim_sighting *sighting_place(struct sim_sighting *table, size_t cap, struct guid guid, struct pkey pkey)
{
	size_t i = hash(guid, pkey) & (cap - 1);

	while (table[i].used && (table[i].guid.v != guid.v || table[i].pkey.v != pkey.v))
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static void grow_sightings(struct sim_mind *mind)
{
	size_t cap = mind->cap_sightings * 2;
	struct sim_sighting *table = mem_array(cap, sizeof(*table));

	for (size_t i = 0; i < mind->cap_sightings; i++) {
		if (mind->sightings[i].used)
			*sighting_place(table, cap, mind->sightings[i].guid, mind->sightings[i].pkey) =
				mind->sightings[i];
	}
	free(mind->sightings);
	mind->sightings = table;
	mind->cap_sightings = cap;
}

struct sim_sighting *sim_mind_sighting(struct sim_mind *mind, struct guid guid, struct pkey pkey)
{
	struct sim_sighting *place;

	if (mind->n_sightings * 2 >= mind->cap_sightings)
		grow_sightings(mind);
	place = sighting_place(mind->sightings, mind->cap_sightings, guid, pkey);
	if (!place->used) {
		*place = (struct sim_sighting){ .guid = guid, .pkey = pkey, .used = true };
		mind->n_sightings++;
	}
	return place;
}

const struct sim_sighting *sim_mind_seen(const struct sim_mind *mind, struct guid guid, struct pkey pkey)
{
	const struct sim_sighting *place = sighting_place(mind->sightings, mind->cap_sightings, guid, pkey);

	return place->used ? place : NULL;
}

static struct sim_holding *holding_place(struct sim_holding *table, size_t cap, struct guid guid)
{
	size_t i = hash(guid, (struct pkey){ 0 }) & (cap - 1);

	while (table[i].used && table[i].guid.v != guid.v)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static void grow_holdings(struct sim_mind *mind)
{
	size_t cap = mind->cap_holdings * 2;
	struct sim_holding *table = mem_array(cap, sizeof(*table));

	for (size_t i = 0; i < mind->cap_holdings; i++) {
		if (mind->holdings[i].used)
			*holding_place(table, cap, mind->holdings[i].guid) = mind->holdings[i];
	}
	free(mind->holdings);
	mind->holdings = table;
	mind->cap_holdings = cap;
}

struct sim_holding *sim_mind_holding(struct sim_mind *mind, struct guid guid)
{
	struct sim_holding *place;

	if (mind->n_holdings * 2 >= mind->cap_holdings)
		grow_holdings(mind);
	place = holding_place(mind->holdings, mind->cap_holdings, guid);
	if (!place->used) {
		*place = (struct sim_holding){ .guid = guid, .used = true };
		mind->n_holdings++;
	}
	return place;
}

struct sim_holding *sim_mind_held(const struct sim_mind *mind, struct guid guid)
{
	struct sim_holding *place = holding_place(mind->holdings, mind->cap_holdings, guid);

	return place->used ? place : NULL;
}

bool sim_mind_take_id(struct sim_mind *mind, uint64_t id)
{
	uint8_t bit = (uint8_t)(1u << (id & 7));

	if (id >= SIM_IDS_MAX) { /* numbered in another way: at least upwards */
		bool fresh = id > mind->last_id;

		mind->last_id = id;
		return fresh;
	}
	if (mind->ids[id / 8] & bit)
		return false;
	mind->ids[id / 8] |= bit;
	return true;
}

bool sim_sighting_is_shown(const struct sim_sighting *sighting, bool sure)
{
	if (!sighting || !sighting->shown_by)
		return false;
	return sure ? sighting->shown_by >= sighting->hidden_end : sighting->hidden_by < sighting->shown_end;
}
