#pragma once

#include <stdint.h>

#include "tests/mock/kube_api.h"

/* Open watches: each is a place in the history of its kind, and what was there when it began.  Knows no HTTP: bytes go
 * into a sink.  Time is monotonic milliseconds. */

enum mkube_watch_end {
	MKUBE_WATCH_CLEAN, /* last chunk */
	MKUBE_WATCH_CUT,   /* the connection breaks */
	MKUBE_WATCH_GONE,  /* an ERROR event with 410, then as CLEAN */
};

/* Where a watch writes. */
struct mkube_sink {
	bool (*write)(void *aux, const void *bytes, size_t n); /* false: full, nothing was taken, try again later */
	void (*end)(void *aux, bool clean);                    /* the watch does not exist any more */
	void *aux;
};

struct mkube_watch;
struct mkube_watches;

struct mkube_watches *mkube_watches_new(struct mkube_api *api, int64_t bookmark_ms);
void mkube_watches_free(struct mkube_watches *watches); /* ends none: the sinks are not called */

/* Begins to write, also from within the call, unless the request is refused: then NULL and the answer. `start` is called
 * before the first byte. */
struct mkube_watch *mkube_watch_open(struct mkube_watches *watches, const struct mkube_request *request,
				     const struct mkube_sink *sink, void (*start)(void *aux), int64_t now_ms,
				     struct mkube_reply *reply);
void mkube_watch_close(struct mkube_watch *watch); /* its client left */

/* New events of a kind are in the history. */
void mkube_watches_pump(struct mkube_watches *watches, enum mkube_kind kind);
/* Does what is due; returns when to call again. */
int64_t mkube_watches_tick(struct mkube_watches *watches, int64_t now_ms);

/* MKUBE_KINDS: of all kinds.  Both return how many watches it concerned. */
unsigned mkube_watches_end(struct mkube_watches *watches, enum mkube_kind kind, enum mkube_watch_end how);
unsigned mkube_watches_bookmark(struct mkube_watches *watches, enum mkube_kind kind);
json_t *mkube_watches_list(const struct mkube_watches *watches);
uint64_t mkube_watches_sent(const struct mkube_watches *watches); /* lines in all */
