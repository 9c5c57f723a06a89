#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/chain.h"
#include "base/hash.h"
#include "cni/webhook/attach_match.h"

/* The pods that are waited for, which of them have to be looked at, what their interfaces were given, and how many
 * requests each node has.  Pure: links and names only, the caller owns what it hangs in. */
struct waiting_pod {
	struct hash_node by_uid;
	struct chain place;         /* in one of the table's lists */
	struct chain requests;      /* the caller's */
	struct attach_given *given; /* each interface once, each index once */
	size_t n_given;
	int64_t last_ms;  /* when the last request left */
	uint64_t awaited; /* the caller's; 0 at birth */
	char uid[];
};

struct waiting_node {
	struct hash_node by_name;
	unsigned requests;
	char name[];
};

struct waiting {
	uint64_t seed;
	struct hash pods, nodes;
	struct chain calm, stirred; /* pods with requests; to be looked at */
	struct chain remembered;    /* without any, for what they were given; the oldest first */
	size_t n_remembered, remembered_max;
};

/* `seed`: random, since the names come from outside. */
void waiting_init(struct waiting *waiting, uint64_t seed, size_t remembered_max);
void waiting_free(struct waiting *waiting); /* nobody waits any more */

struct waiting_pod *waiting_pod_find(const struct waiting *waiting, const char *uid); /* NULL: not here */
/* Makes it if need be.  It stays until waiting_pod_leave() finds nobody left. */
struct waiting_pod *waiting_pod_join(struct waiting *waiting, const char *uid, struct chain *request);
/* Nobody waits for it: it is remembered if anything was given, else freed. */
void waiting_pod_rest(struct waiting *waiting, struct waiting_pod *pod, int64_t now);
void waiting_pod_gave(struct waiting_pod *pod, const char *interface, int index, uint64_t sandbox);
void waiting_forget(struct waiting *waiting, int64_t before_ms); /* those whose last request left before */

void waiting_stir(struct waiting *waiting, struct waiting_pod *pod); /* nothing if nobody waits for it */
void waiting_stir_all(struct waiting *waiting);
struct waiting_pod *waiting_next_stirred(struct waiting *waiting); /* calm from now on; NULL: none */

/* NULL: `max` requests of this node are here already. */
struct waiting_node *waiting_node_enter(struct waiting *waiting, const char *name, unsigned max);
void waiting_node_leave(struct waiting *waiting, struct waiting_node *node);
