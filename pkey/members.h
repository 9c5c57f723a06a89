#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "guid/guid.h"
#include "pkey/pkey.h"

/* The members of one partition: what a backend keeps (noop, the partitions file) or a tool compares.  Each GUID once;
 * adding a present one changes its membership and index0. */
struct member {
	struct guid guid;
	enum membership membership;
	bool index0;
};

struct members;
struct members *members_new(void);
void members_free(struct members *members);
bool members_add(struct members *members, struct member member);                    /* true: it was not there */
bool members_remove(struct members *members, struct guid guid);                     /* true: it was there */
const struct member *members_find(const struct members *members, struct guid guid); /* until the next change */
size_t members_count(const struct members *members);
/* In ascending order of GUID.  Starts with *at = 0; NULL at the end.  No change in between. */
const struct member *members_next(const struct members *members, size_t *at);
/* An *at for members_next() that starts with the first GUID not below `guid`: to go on after a change. */
size_t members_from(const struct members *members, struct guid guid);

/* Calls back in ascending order for each GUID that must be added (or added anew, as membership or index0 differ) and
 * each that must be removed so that `is` becomes `want`.  Linear in both. */
void members_difference(const struct members *want, const struct members *is,
			void (*add)(void *aux, const struct member *member),
			void (*remove)(void *aux, const struct member *member), void *aux);
