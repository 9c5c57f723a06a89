#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/mock/kube_resource.h"

/* The objects, each as its compact text, in the order of their keys; the counter of resource versions; and for each
 * kind a bounded history of what happened, from which watches are served.  Pure: no clock, no I/O. */

/* One state of one object.  Never changed once made. */
struct mkube_version {
	unsigned refs;
	uint64_t rv;
	const struct mkube_resource *resource;
	char *key;  /* "namespace/name" or "name" */
	char *text; /* compact JSON, beginning with kind and apiVersion unless it is a custom resource */
	size_t len;
	char *fields;   /* values of resource->fields, each NUL-terminated */
	json_t *labels; /* NULL: none */
};

struct mkube_version *mkube_version_ref(struct mkube_version *version);
void mkube_version_unref(struct mkube_version *version); /* NULL is fine */
const char *mkube_version_field(const struct mkube_version *version, unsigned index);
json_t *mkube_version_object(const struct mkube_version *version); /* a new reference, the caller's to change */
/* As an element of a list: typed ones have no kind and apiVersion there. */
const char *mkube_version_item(const struct mkube_version *version, size_t *len, bool *brace);

struct mkube_event {
	uint64_t rv;
	struct mkube_version *before, *now; /* NULL: was not there, is no more */
	struct mkube_version *left; /* `before` with the resource version of this event; made when first needed */
};

struct mkube_store;
struct mkube_store *mkube_store_new(size_t history);
void mkube_store_free(struct mkube_store *store);
/* Called after each change. */
void mkube_store_on_change(struct mkube_store *store, void (*changed)(void *aux, enum mkube_kind kind), void *aux);

void mkube_store_key(char out[2 * MKUBE_NAME_MAX], const char *namespace, const char *name);
uint64_t mkube_store_rv(const struct mkube_store *store);
struct mkube_version *mkube_store_get(const struct mkube_store *store, enum mkube_kind kind, const char *key);
/* Puts `object` (stolen) under its own namespace and name, with a new resource version.  Borrowed until the next
 * change. */
struct mkube_version *mkube_store_put(struct mkube_store *store, enum mkube_kind kind, json_t *object);
/* The version is not in the store; for an answer to a dry run.  Steals `object`; the caller unrefs it. */
struct mkube_version *mkube_store_preview(struct mkube_store *store, enum mkube_kind kind, json_t *object);
/* Removes what is there.  Returns its last state with the resource version of its removal; borrowed as above. */
struct mkube_version *mkube_store_remove(struct mkube_store *store, enum mkube_kind kind, const char *key);

/* All objects of a kind as they are now, in the order of their keys; borrowed until the next change. */
struct mkube_version *const *mkube_store_all(const struct mkube_store *store, enum mkube_kind kind, size_t *n);
/* The first index whose key is not below `key`. */
size_t mkube_versions_seek(struct mkube_version *const *versions, size_t n, const char *key);

/* What a list of many pages reads: the objects as they were when its first page was made.  The last few are kept.
 * NULL: not any more (410).  Borrowed as above. */
struct mkube_version *const *mkube_store_snapshot(struct mkube_store *store, enum mkube_kind kind, size_t *n);
struct mkube_version *const *mkube_store_snapshot_at(const struct mkube_store *store, enum mkube_kind kind, uint64_t rv,
						     size_t *n);
void mkube_store_compact(struct mkube_store *store); /* forgets all snapshots */

/* History: events are numbered from 0; those below mkube_history_first() are gone. */
uint64_t mkube_history_next(const struct mkube_store *store, enum mkube_kind kind);
uint64_t mkube_history_first(const struct mkube_store *store, enum mkube_kind kind);
struct mkube_event *mkube_history_at(const struct mkube_store *store, enum mkube_kind kind, uint64_t number);
/* The number of the first event behind `rv`; false when some behind it are gone (410). */
bool mkube_history_after(const struct mkube_store *store, enum mkube_kind kind, uint64_t rv, uint64_t *number);
uint64_t mkube_history_floor(const struct mkube_store *store, enum mkube_kind kind);
uint64_t mkube_history_rv(const struct mkube_store *store, enum mkube_kind kind); /* of the latest change of the kind */
/* Every resource version below the present one is too old from now on. */
void mkube_history_expire(struct mkube_store *store, enum mkube_kind kind);
struct mkube_version *mkube_event_left(struct mkube_event *event);
