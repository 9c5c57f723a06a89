#pragma once

#include "base/chain.h"
#include "base/hash.h"
#include "ufmsync/what_if.h"

/* What the files what_if*.c share; nobody else includes this. */

/* An object, as text: what of it matters, and so much smaller than the API server's. */
struct thing {
	struct hash_node node;
	struct chain in_kind;
	char *uid, *was, *is; /* is: NULL as long as nothing has been written to it */
	bool running;
	bool new_networks; /* more than its record was written */
};

/* An interface that carries a GUID in its annotation. */
struct carrier {
	struct guid guid;
	char *namespace, *name;
};

struct leave {
	struct member member;
	struct pkey pkey;
	enum stray_kind kind;
	int64_t at;
};

struct said {
	struct hash_node node;
	struct chain in_all;
};

struct said_count {
	char *reason;
	bool network;
	uint64_t n;
};

struct what_if {
	struct chain things[WHAT_IF_KINDS];
	uint64_t n_things[WHAT_IF_KINDS];
	struct hash pods;                                 /* by uid */
	struct members *was[PKEY_COUNT], *is[PKEY_COUNT]; /* NULL: none */

	/* of the last run */
	struct engine *engine;
	struct pkey_set ours;
	const struct record_keys *keys;
	struct guid first, last;
	int64_t begun, now;
	uint64_t changes, lists; /* lists: complete ones since the last change */
	bool listed;
	enum engine_brake brake;
	struct members *held[PKEY_COUNT]; /* what attachments own at the end; NULL: nothing */
	struct carrier *carriers;         /* by GUID */
	size_t n_carriers, carriers_max;
	struct leave *leaves;
	size_t n_leaves, leaves_max;
	struct hash said; /* Events, by all that is in them */
	struct chain all_said;
	struct said_count *counts;
	size_t n_counts;
};

struct thing *what_if_find_pod(const struct what_if *world, const char *uid);
struct pod *what_if_pod(const char *text);
/* The interface of that place; NULL: none. */
const struct pod_network *what_if_network(const struct pod *pod, enum pod_source source, int index);
bool what_if_is_configured(const struct pod_network *network); /* with a GUID */

/* what_if_run.c: what a run left is forgotten. */
void what_if_forget_run(struct what_if *world);
