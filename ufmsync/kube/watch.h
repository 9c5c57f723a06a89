#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/net/loop.h"
#include "ufmsync/kube/client.h"

/* Keeps a reader informed of all objects of one kind, for ever: a list in streamed pages (one object at a time is in
 * memory), then a watch with bookmarks from where the list ended; resumed when it ends, listed anew on 410; back-off
 * with jitter on failure; timeoutSeconds random in 240-300; a stream on which nothing came for that long plus a margin
 * is cut.  Order of calls: (begin applied* (end (applied | deleted)*)?)*: a list that fails half-way has no end, and the
 * next try begins anew.
 *
 * A watch on which nothing at all came for its whole time proves nothing (a server restored from a backup stays silent
 * about versions that it has yet to reach): the objects are then listed anew.  A server that does not know the selector's
 * fields is asked without it. */
struct kube_watch;

struct kube_watch_options {
	const char *path;           /* "/api/v1/pods" */
	const char *field_selector; /* "spec.nodeName!=,status.phase!=Succeeded"; NULL: all */
	unsigned page;              /* objects a page; 0: 500 */
	/* A complete list begins: what is not `applied` before `end` does not exist any more. */
	void (*begin)(void *aux);
	void (*applied)(void *aux, const json_t *object);
	void (*deleted)(void *aux, const json_t *object); /* its last state; may only have left the selector */
	void (*end)(void *aux);
	/* Something failed and is tried again by itself: for the log and the metrics.  NULL error, once: all is well again. */
	void (*trouble)(void *aux, const struct error *err);
	void *aux;
	uint64_t random; /* seed of jitter and timeouts */
};

/* What has come of it so far. */
struct kube_watch_counts {
	bool connected;               /* a watch is open now */
	uint64_t lists;               /* complete ones begun: the first, and anew after each gap */
	uint64_t ends[CALL_OUTCOMES]; /* watches by how they ended: CALL_OK when their time was over */
	uint64_t expired;             /* our version, or a list's token, was too old (410) */
};

/* `kube` must outlive the watch. */
struct kube_watch *kube_watch_new(struct loop *loop, struct kube *kube, const struct kube_watch_options *options);
void kube_watch_free(struct kube_watch *watch);    /* NULL is fine; may be called from its callbacks */
void kube_watch_restart(struct kube_watch *watch); /* lists anew; may be called from its callbacks */
/* The API server answers again, as somebody else saw: a watch that waits after an outage tries now, and its back-off
 * begins anew; one that was told by Retry-After when to come, then.  Nothing happens to any other. */
void kube_watch_hurry(struct kube_watch *watch);
void kube_watch_count(const struct kube_watch *watch, struct kube_watch_counts *counts);
/* A complete list has been delivered, and nothing is known to have been missed since. */
bool kube_watch_is_synced(const struct kube_watch *watch);
