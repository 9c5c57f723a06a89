#include "tests/mock/kube_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/mock/kube_store_private.h"

enum { SNAPSHOTS_MAX = 16, FIRST_RV = 1000 };

struct table {
	struct mkube_version **versions;
	size_t n, cap;
	struct mkube_event *ring;
	uint64_t first, next; /* numbers of the events in the ring */
	uint64_t floor;       /* what happened at or before it is gone */
	uint64_t rv;          /* of the latest change */
};

struct snapshot {
	enum mkube_kind kind;
	uint64_t rv;
	struct mkube_version **versions;
	size_t n;
};

struct mkube_store {
	uint64_t rv;
	size_t history;
	struct table tables[MKUBE_KINDS];
	struct snapshot snapshots[SNAPSHOTS_MAX];
	unsigned next_snapshot;
	void (*changed)(void *aux, enum mkube_kind kind);
	void *aux;
};

struct mkube_store *mkube_store_new(size_t history)
{
	struct mkube_store *store = mem_alloc(sizeof *store);

	assert(history > 0);
	store->rv = FIRST_RV;
	store->history = history;
	for (unsigned kind = 0; kind < MKUBE_KINDS; kind++) {
		store->tables[kind].ring = mem_array(history, sizeof(struct mkube_event));
		store->tables[kind].floor = store->tables[kind].rv = FIRST_RV;
	}
	return store;
}

static void event_clear(struct mkube_event *event)
{
	mkube_version_unref(event->before);
	mkube_version_unref(event->now);
	mkube_version_unref(event->left);
	*event = (struct mkube_event){ 0 };
}

static void snapshot_clear(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n; i++)
		mkube_version_unref(snapshot->versions[i]);
	free(snapshot->versions);
	*snapshot = (struct snapshot){ 0 };
}

void mkube_store_free(struct mkube_store *store)
{
	if (!store)
		return;
	mkube_store_compact(store);
	for (unsigned kind = 0; kind < MKUBE_KINDS; kind++) {
		struct table *table = &store->tables[kind];

		for (size_t i = 0; i < store->history; i++)
			event_clear(&table->ring[i]);
		for (size_t i = 0; i < table->n; i++)
			mkube_version_unref(table->versions[i]);
		free(table->ring);
		free(table->versions);
	}
	free(store);
}

void mkube_store_on_change(struct mkube_store *store, void (*changed)(void *aux, enum mkube_kind kind), void *aux)
{
	store->changed = changed;
	store->aux = aux;
}

void mkube_store_key(char out[2 * MKUBE_NAME_MAX], const char *namespace, const char *name)
{
	snprintf(out, 2 * MKUBE_NAME_MAX, "%s%s%s", namespace, *namespace ? "/" : "", name);
}

uint64_t mkube_store_rv(const struct mkube_store *store)
{
	return store->rv;
}

size_t mkube_versions_seek(struct mkube_version *const *versions, size_t n, const char *key)
{
	size_t low = 0;

	while (n > low) {
		size_t middle = low + (n - low) / 2;

		if (strcmp(versions[middle]->key, key) < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

static struct mkube_version **slot(const struct table *table, const char *key)
{
	size_t at = mkube_versions_seek(table->versions, table->n, key);

	return at < table->n && strcmp(table->versions[at]->key, key) == 0 ? &table->versions[at] : NULL;
}

struct mkube_version *mkube_store_get(const struct mkube_store *store, enum mkube_kind kind, const char *key)
{
	struct mkube_version **there = slot(&store->tables[kind], key);

	return there ? *there : NULL;
}

/* Takes a reference of its own to both. */
static void happened(struct mkube_store *store, enum mkube_kind kind, struct mkube_version *before,
		     struct mkube_version *now)
{
	struct table *table = &store->tables[kind];
	struct mkube_event *event = &table->ring[table->next % store->history];

	if (table->next - table->first == store->history) {
		table->floor = event->rv;
		table->first++;
		event_clear(event);
	}
	*event = (struct mkube_event){ .rv = store->rv,
				       .before = before ? mkube_version_ref(before) : NULL,
				       .now = now ? mkube_version_ref(now) : NULL };
	table->next++;
	table->rv = store->rv;
	if (store->changed)
		store->changed(store->aux, kind);
}

static void insert(struct table *table, struct mkube_version *version)
{
	size_t at = mkube_versions_seek(table->versions, table->n, version->key);

	if (table->n == table->cap) {
		table->cap = table->cap ? 2 * table->cap : 64;
		table->versions = mem_resize(table->versions, table->cap, sizeof *table->versions);
	}
	memmove(table->versions + at + 1, table->versions + at, (table->n - at) * sizeof *table->versions);
	table->versions[at] = version;
	table->n++;
}

struct mkube_version *mkube_store_put(struct mkube_store *store, enum mkube_kind kind, json_t *object)
{
	struct table *table = &store->tables[kind];
	struct mkube_version *version = mkube_version_new(kind, object, ++store->rv);
	struct mkube_version **there = slot(table, version->key);
	struct mkube_version *before = there ? *there : NULL;

	if (there)
		*there = version;
	else
		insert(table, version);
	happened(store, kind, before, version);
	mkube_version_unref(before);
	return version;
}

struct mkube_version *mkube_store_preview(struct mkube_store *store, enum mkube_kind kind, json_t *object)
{
	return mkube_version_new(kind, object, store->rv);
}

struct mkube_version *mkube_store_remove(struct mkube_store *store, enum mkube_kind kind, const char *key)
{
	struct table *table = &store->tables[kind];
	struct mkube_version **there = slot(table, key);

	assert(there);
	struct mkube_version *before = *there;
	memmove(there, there + 1, (size_t)(table->versions + table->n - there - 1) * sizeof *there);
	table->n--;
	store->rv++;
	happened(store, kind, before, NULL);
	mkube_version_unref(before);
	return mkube_event_left(mkube_history_at(store, kind, table->next - 1));
}

struct mkube_version *const *mkube_store_all(const struct mkube_store *store, enum mkube_kind kind, size_t *n)
{
	*n = store->tables[kind].n;
	return store->tables[kind].versions;
}

struct mkube_version *const *mkube_store_snapshot(struct mkube_store *store, enum mkube_kind kind, size_t *n)
{
	struct table *table = &store->tables[kind];
	struct mkube_version *const *known = mkube_store_snapshot_at(store, kind, store->rv, n);
	struct snapshot *snapshot = &store->snapshots[store->next_snapshot];

	if (known)
		return known;
	store->next_snapshot = (store->next_snapshot + 1) % SNAPSHOTS_MAX;
	snapshot_clear(snapshot);
	*snapshot = (struct snapshot){
		.kind = kind, .rv = store->rv, .versions = mem_array(table->n, sizeof *table->versions), .n = table->n
	};
	for (size_t i = 0; i < table->n; i++)
		snapshot->versions[i] = mkube_version_ref(table->versions[i]);
	*n = table->n;
	return snapshot->versions;
}

struct mkube_version *const *mkube_store_snapshot_at(const struct mkube_store *store, enum mkube_kind kind, uint64_t rv,
						     size_t *n)
{
	for (unsigned i = 0; i < SNAPSHOTS_MAX; i++) {
		const struct snapshot *snapshot = &store->snapshots[i];

		if (snapshot->versions && snapshot->kind == kind && snapshot->rv == rv) {
			*n = snapshot->n;
			return snapshot->versions;
		}
	}
	return NULL;
}

void mkube_store_compact(struct mkube_store *store)
{
	for (unsigned i = 0; i < SNAPSHOTS_MAX; i++)
		snapshot_clear(&store->snapshots[i]);
}

uint64_t mkube_history_next(const struct mkube_store *store, enum mkube_kind kind)
{
	return store->tables[kind].next;
}

uint64_t mkube_history_first(const struct mkube_store *store, enum mkube_kind kind)
{
	return store->tables[kind].first;
}

struct mkube_event *mkube_history_at(const struct mkube_store *store, enum mkube_kind kind, uint64_t number)
{
	const struct table *table = &store->tables[kind];

	assert(number >= table->first && number < table->next);
	return &table->ring[number % store->history];
}

bool mkube_history_after(const struct mkube_store *store, enum mkube_kind kind, uint64_t rv, uint64_t *number)
{
	const struct table *table = &store->tables[kind];
	uint64_t low = table->first, high = table->next;

	if (rv < table->floor)
		return false;
	while (high > low) {
		uint64_t middle = low + (high - low) / 2;

		if (mkube_history_at(store, kind, middle)->rv <= rv)
			low = middle + 1;
		else
			high = middle;
	}
	*number = low;
	return true;
}

uint64_t mkube_history_floor(const struct mkube_store *store, enum mkube_kind kind)
{
	return store->tables[kind].floor;
}

uint64_t mkube_history_rv(const struct mkube_store *store, enum mkube_kind kind)
{
	return store->tables[kind].rv;
}

void mkube_history_expire(struct mkube_store *store, enum mkube_kind kind)
{
	struct table *table = &store->tables[kind];

	for (; table->first < table->next; table->first++)
		event_clear(&table->ring[table->first % store->history]);
	table->floor = store->rv;
}

struct mkube_version *mkube_event_left(struct mkube_event *event)
{
	assert(event->before);
	if (!event->left) {
		enum mkube_kind kind = (enum mkube_kind)(event->before->resource - mkube_resources);

		event->left = mkube_version_new(kind, mkube_version_object(event->before), event->rv);
	}
	return event->left;
}
