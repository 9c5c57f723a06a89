#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid/guid.h"
#include "pkey/pkey.h"

/* What pods are to have against what the fabric manager lists, from the service's own answers: first every attachment, then
 * every member, then compare_end().  Keeps what is wanted, and of what is listed only what differs.  Pure. */

enum problem {
	PROBLEM_NO_POD,       /* a member of our range that no pod owns */
	PROBLEM_NOT_A_MEMBER, /* was one, by what is published or recorded, and is none */
	PROBLEM_MEMBERSHIP,   /* full for limited or the other way round, or the other index */
	PROBLEM_OTHER_PKEY,   /* its pod wants the GUID elsewhere */
	PROBLEM_FOREIGN,      /* of our range, but another writer's */
	PROBLEM_JOINING,      /* not yet a member; nothing is wrong */
	PROBLEM_LEAVING,      /* still a member; nothing is wrong */
	PROBLEMS
};
const char *problem_name(enum problem problem); /* "no pod", for people */
const char *problem_code(enum problem problem); /* "noPod", for programs */
static inline bool problem_differs(enum problem problem)
{
	return problem != PROBLEM_JOINING && problem != PROBLEM_LEAVING;
}

struct difference {
	enum problem problem;
	struct pkey pkey;
	struct guid guid;
	bool listed, wanted; /* whether these count: */
	struct pkey_class has, wants;
	bool elsewhere; /* `wants` is in another PKey */
	json_t *owner;  /* namespace, pod, network, interface, node ...; NULL: nobody.  Owned */
};

struct compare;
struct compare *compare_new(void);
void compare_free(struct compare *compare); /* NULL is fine */

/* -1: not what the service's document says. */
int compare_attachment(struct compare *compare, const json_t *attachment);
int compare_member(struct compare *compare, struct pkey pkey, const json_t *member);
/* What was wanted and not listed becomes a difference (NULL: in any PKey; else in that one, whose members alone came in);
 * all are in order of PKey and GUID then. */
void compare_end(struct compare *compare, const struct pkey *only);

size_t compare_count(const struct compare *compare);
const struct difference *compare_at(const struct compare *compare, size_t i);
void compare_drop(struct compare *compare, size_t i);    /* was none after all */
uint64_t compare_right(const struct compare *compare);   /* memberships that are as they should be */
uint64_t compare_outside(const struct compare *compare); /* members not of our range */
