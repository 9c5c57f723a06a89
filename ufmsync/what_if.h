#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "pkey/members.h"
#include "ufmsync/engine.h"

/* What a service that starts now would do.  The world as it is (pods, networks, namespaces, members) is copied into
 * memory; in it the real engine leads, on a clock of its own that is put forward until nothing changes any more.  What it
 * would write changes the copies.  Pure: there is nothing here that could reach the API server or a fabric manager. */
struct what_if;

struct what_if *what_if_new(void);
void what_if_free(struct what_if *world); /* NULL is fine */

/* --- the world as it is --- */

enum what_if_kind { WHAT_IF_PODS, WHAT_IF_NETWORKS, WHAT_IF_NAMESPACES, WHAT_IF_KINDS };

void what_if_begin(struct what_if *world, enum what_if_kind kind); /* none of this kind is known any more */
void what_if_object(struct what_if *world, enum what_if_kind kind,
		    const json_t *object); /* one that is not known yet */
void what_if_member(struct what_if *world, struct pkey pkey, const struct member *member);

/* --- what would become of it --- */

/* From the world as it is, each time anew.  `settled`: the Lease says so; `confirmed`: an operator has written that there.
 * `now`: when it begins, as in the options' wall_offset_ms.  ERROR_LIMIT: it did not come to rest. */
int what_if_run(struct what_if *world, const struct engine_options *options, bool settled, bool confirmed, int64_t now,
		struct error *err);

/* How an interface fares. */
enum what_if_fate {
	WHAT_IF_KEPT,    /* its GUID and all its memberships stay as they are */
	WHAT_IF_JOINED,  /* keeps the GUID of its annotation or record, and is joined where that lacks a membership */
	WHAT_IF_GIVEN,   /* gets a GUID: it has none, or asks for this one */
	WHAT_IF_CHANGED, /* gets another GUID than its annotation says */
	WHAT_IF_WAITS,   /* gets none */
	WHAT_IF_FATES
};

struct what_if_interface {
	const struct attachment_view *view; /* at the end */
	enum what_if_fate fate;
	struct guid had;   /* as its annotation says it was configured; zero: none */
	bool running;      /* the pod; so its interface has some GUID already */
	bool was_recorded; /* a record of ours names it */
	bool known_guid;   /* the GUID is not one that the engine drew: another run would give the same */
	struct pkey_class joins[RECORD_MEMBERSHIPS_MAX];
	unsigned n_joins;
	/* Its GUID is a member of the PKey that its annotation names, and nobody would own this membership: it counts as an
	 * orphan, or has gone. */
	bool stripped;
};
void what_if_each(struct what_if *world, void (*visit)(void *aux, const struct what_if_interface *interface),
		  void *aux);

/* A member without an owner, or of an owner who has no seat there. */
struct what_if_stray {
	struct member member;
	struct pkey pkey;
	enum stray_kind kind;
	int64_t removed_after_ms; /* since the start; -1: it stays */
	/* The pod that carries this GUID in its annotation; NULL: none.  Borrowed. */
	const char *namespace, *name;
};
void what_if_each_stray(struct what_if *world, void (*visit)(void *aux, const struct what_if_stray *stray), void *aux);

/* GUIDs that more than one interface carries. */
struct what_if_twice {
	struct guid guid;
	const char *namespace, *name, *other_namespace, *other_name;
};
void what_if_each_twice(struct what_if *world, void (*visit)(void *aux, const struct what_if_twice *twice), void *aux);

struct what_if_pkey {
	struct pkey pkey;
	uint64_t was, joined, removed; /* members; a joined one may have been a member of another kind */
};
void what_if_each_pkey(struct what_if *world, void (*visit)(void *aux, const struct what_if_pkey *pkey), void *aux);

/* Events that would be written, each text on each object once. */
void what_if_each_event(struct what_if *world, void (*visit)(void *aux, const char *reason, bool network, uint64_t n),
			void *aux);

struct what_if_totals {
	uint64_t pods, networks;           /* that were read, and may matter */
	uint64_t members, in_range, pkeys; /* that were listed */
	uint64_t fates[WHAT_IF_FATES], interfaces;
	uint64_t joins, removals;          /* memberships */
	uint64_t patched, patched_record;  /* pods; of these, those that only get their record */
	uint64_t stripped;                 /* interfaces */
	uint64_t running_given;            /* interfaces of running pods that get a GUID which they do not have */
	uint64_t orphans, orphans_carried; /* at the start; of these, those whose GUID a pod carries */
	uint64_t twice, ungated;
	enum engine_brake brake; /* when all were listed for the first time */
	int64_t took_ms;         /* of the world's own time */
};
void what_if_totals(struct what_if *world, struct what_if_totals *totals);
