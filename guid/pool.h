#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid/guid.h"

/* Hands out the GUIDs of [first, last], each to one holder at a time.  Pure: no clock, no random number.
 * Allocate, claim and release are O(1) amortised, whatever the range (the default holds 2^56) and however full.
 *
 * A GUID is free, held, resting (given back a short while ago: stale fabric paths may still lead to its last holder),
 * and, whichever of these, perhaps *blocked*: somebody else uses it (the fabric manager lists it), so it is never
 * generated and never given to one who asks; a blocked GUID can still be claimed by force for who is known to own it.
 *
 * The cursor goes round the range from a starting place that the caller draws, and a released GUID comes up again only
 * after the cursor has been everywhere else: what was freed last is given last.  (A range of more than a million may
 * forget a GUID that was claimed ahead of the cursor and freed again: then it comes up when the cursor gets there.) */
struct guid_pool;

/* NULL when the range is empty, reversed, or holds zero or all-ones.  `start` (any number) picks the cursor's place. */
struct guid_pool *guid_pool_new(struct guid first, struct guid last, uint64_t start);
void guid_pool_free(struct guid_pool *pool); /* NULL is fine */

enum guid_claim {
	GUID_CLAIM_OK,
	GUID_CLAIM_HELD,         /* another attachment holds it */
	GUID_CLAIM_RESTING,      /* free at guid_pool_rest_end() */
	GUID_CLAIM_BLOCKED,      /* the fabric manager lists it without an owner of ours */
	GUID_CLAIM_OUT_OF_RANGE, /* not ours to give, not ours to release */
};

/* Takes this very GUID.  One that rests and is blocked as well is RESTING.  `force` overrides resting and blocked, never held: for records that survived a restart. */
enum guid_claim guid_pool_claim(struct guid_pool *pool, struct guid guid, bool force, int64_t now_ms);

/* Takes a free one: true.  When none is free but some rest, takes the one that has rested longest if that is at least
 * `least_rest_ms` ago (only of those that rest for the usual time, never of the `unsure`).  Else false, and
 * *again_ms is when it is worth asking anew (INT64_MAX: not before something is released or unblocked). */
bool guid_pool_allocate(struct guid_pool *pool, int64_t least_rest_ms, int64_t now_ms, struct guid *out,
			int64_t *again_ms);

/* Gives a held GUID back: it rests from now on until `until_ms`.  `unsure`: its last holder may still be alive
 * somewhere, so it must not be taken early.  Releasing what is not held is a bug (assert). */
void guid_pool_release(struct guid_pool *pool, struct guid guid, int64_t until_ms, bool unsure, int64_t now_ms);
/* Lets a GUID that nobody holds rest, as if it had just been released (a free one too); one that rests already never
 * rests shorter or surer for it.  No effect on a held one, nor out of range. */
void guid_pool_rest(struct guid_pool *pool, struct guid guid, int64_t until_ms, bool unsure, int64_t now_ms);

void guid_pool_block(struct guid_pool *pool, struct guid guid); /* out of range: no effect */
void guid_pool_unblock(struct guid_pool *pool, struct guid guid);

bool guid_pool_in_range(const struct guid_pool *pool, struct guid guid);
bool guid_pool_is_held(const struct guid_pool *pool, struct guid guid);
int64_t guid_pool_rest_end(const struct guid_pool *pool, struct guid guid); /* 0: does not rest */
/* The next time at which a resting GUID becomes free; INT64_MAX: none rests.  guid_pool_expire() frees all that are
 * due; call it before looking at what is free (allocate and claim do so themselves). */
int64_t guid_pool_deadline(const struct guid_pool *pool);
void guid_pool_expire(struct guid_pool *pool, int64_t now_ms);

struct guid_pool_use {
	uint64_t size, held, resting, blocked; /* size saturates at UINT64_MAX; blocked: neither held nor resting */
};
struct guid_pool_use guid_pool_use(const struct guid_pool *pool);
