#include "pkey/members.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A sorted array cut into blocks, so that a member in the middle of 100,000 moves at most one block's worth of others
 * and a walk stays a walk over arrays.  No block is empty. */
enum { BLOCK_MAX = 256 };

struct block {
	size_t n;
	struct member at[BLOCK_MAX];
};

struct members {
	struct block **blocks;
	size_t n_blocks, room;
	size_t count;
};

struct members *members_new(void)
{
	return mem_alloc(sizeof(struct members));
}

void members_free(struct members *members)
{
	if (!members)
		return;
	for (size_t i = 0; i < members->n_blocks; i++)
		free(members->blocks[i]);
	free(members->blocks);
	free(members);
}

/* The block that holds or would hold the GUID: the last one that starts at or below it, else the first. */
static size_t block_of(const struct members *members, struct guid guid)
{
	size_t low = 0, high = members->n_blocks;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (members->blocks[middle]->at[0].guid.v <= guid.v)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The place of the first member not below the GUID; block->n when there is none. */
static size_t place_in(const struct block *block, struct guid guid)
{
	size_t low = 0, high = block->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (block->at[middle].guid.v < guid.v)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct block *insert_block(struct members *members, size_t at)
{
	if (members->n_blocks == members->room) {
		members->room = members->room > 0 ? members->room * 2 : 8;
		members->blocks = mem_resize(members->blocks, members->room, sizeof *members->blocks);
	}
	memmove(members->blocks + at + 1, members->blocks + at, (members->n_blocks - at) * sizeof *members->blocks);
	members->n_blocks++;
	return members->blocks[at] = mem_alloc(sizeof(struct block));
}

/* Halves a full block, except where members arrive in ascending order: those blocks then stay full. */
static void split_block(struct members *members, size_t b, size_t place)
{
	struct block *full = members->blocks[b], *next = insert_block(members, b + 1);
	size_t stay = place == BLOCK_MAX ? BLOCK_MAX - 1 : BLOCK_MAX / 2;

	next->n = full->n - stay;
	memcpy(next->at, full->at + stay, next->n * sizeof *next->at);
	full->n = stay;
}

bool members_add(struct members *members, struct member member)
{
	if (members->n_blocks == 0)
		insert_block(members, 0);
	size_t b = block_of(members, member.guid);
	size_t place = place_in(members->blocks[b], member.guid);
	struct block *block = members->blocks[b];

	if (place < block->n && block->at[place].guid.v == member.guid.v) {
		block->at[place] = member;
		return false;
	}
	if (block->n == BLOCK_MAX) {
		split_block(members, b, place);
		b = block_of(members, member.guid);
		block = members->blocks[b];
		place = place_in(block, member.guid);
	}
	memmove(block->at + place + 1, block->at + place, (block->n - place) * sizeof *block->at);
	block->at[place] = member;
	block->n++;
	members->count++;
	return true;
}

static void remove_block(struct members *members, size_t b)
{
	free(members->blocks[b]);
	members->n_blocks--;
	memmove(members->blocks + b, members->blocks + b + 1, (members->n_blocks - b) * sizeof *members->blocks);
}

/* Joins a block with the next one when both are so empty that the result is still half empty. */
static void merge_blocks(struct members *members, size_t b)
{
	if (b + 1 >= members->n_blocks)
		return;
	struct block *block = members->blocks[b], *next = members->blocks[b + 1];
	if (block->n + next->n > BLOCK_MAX / 2)
		return;
	memcpy(block->at + block->n, next->at, next->n * sizeof *next->at);
	block->n += next->n;
	remove_block(members, b + 1);
}

bool members_remove(struct members *members, struct guid guid)
{
	const struct member *found = members_find(members, guid);

	if (!found)
		return false;
	size_t b = block_of(members, guid);
	struct block *block = members->blocks[b];
	size_t place = (size_t)(found - block->at);

	block->n--;
	memmove(block->at + place, block->at + place + 1, (block->n - place) * sizeof *block->at);
	members->count--;
	if (block->n == 0) {
		remove_block(members, b);
	} else {
		merge_blocks(members, b);
		if (b > 0)
			merge_blocks(members, b - 1);
	}
	return true;
}

const struct member *members_find(const struct members *members, struct guid guid)
{
	if (members->n_blocks == 0)
		return NULL;
	const struct block *block = members->blocks[block_of(members, guid)];
	size_t place = place_in(block, guid);

	return place < block->n && block->at[place].guid.v == guid.v ? &block->at[place] : NULL;
}

size_t members_count(const struct members *members)
{
	return members->count;
}

/* *at is block * BLOCK_MAX + place. */
const struct member *members_next(const struct members *members, size_t *at)
{
	size_t b = *at / BLOCK_MAX, place = *at % BLOCK_MAX;

	if (b < members->n_blocks && place >= members->blocks[b]->n) {
		b++;
		place = 0;
	}
	if (b >= members->n_blocks)
		return NULL;
	*at = b * BLOCK_MAX + place + 1;
	return &members->blocks[b]->at[place];
}

size_t members_from(const struct members *members, struct guid guid)
{
	if (members->n_blocks == 0)
		return 0;
	size_t b = block_of(members, guid);

	return b * BLOCK_MAX + place_in(members->blocks[b], guid);
}

static bool same(const struct member *a, const struct member *b)
{
	return a->membership == b->membership && a->index0 == b->index0;
}

void members_difference(const struct members *want, const struct members *is,
			void (*add)(void *aux, const struct member *member),
			void (*remove)(void *aux, const struct member *member), void *aux)
{
	size_t at_want = 0, at_is = 0;
	const struct member *w = members_next(want, &at_want), *i = members_next(is, &at_is);

	while (w || i) {
		if (!i || (w && w->guid.v < i->guid.v)) {
			add(aux, w);
			w = members_next(want, &at_want);
		} else if (!w || i->guid.v < w->guid.v) {
			remove(aux, i);
			i = members_next(is, &at_is);
		} else {
			if (!same(w, i))
				add(aux, w);
			w = members_next(want, &at_want);
			i = members_next(is, &at_is);
		}
	}
}
