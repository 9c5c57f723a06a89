#pragma once

#include "pkey/backend.h"
#include "ufmsync/api.h"
#include "ufmsync/config.h"
#include "ufmsync/ctl/reach_private.h"
#include "ufmsync/kube/watch.h"

/* The world of --direct: an engine that only looks, fed with one complete list of pods, networks, namespaces and members.
 * Private to what reaches and to `doctor`. */

enum { DIRECT_PODS, DIRECT_NETWORKS, DIRECT_NAMESPACES, DIRECT_KINDS };

struct direct {
	struct reach *reach;
	struct config config;
	struct record_keys *unverified; /* NULL: the settings have a key */
	struct pkey_backend *backend;
	struct engine *engine; /* NULL, as the next: not fed */
	struct api *api;
	struct kube_watch *watches[DIRECT_KINDS]; /* while it is being fed */
	bool fed;
	int64_t asked_ms; /* when the last question was answered */
	struct loop_timer late;
	struct reach_exchange *feeding, *asking; /* that is waited for; NULL: none */
	struct api_call *call;                   /* of it; NULL: none */
	struct error why;                        /* why feeding ended too early */
	char *holder;                            /* of the Lease, for /v1/status; NULL: not asked */
	bool held;
};

/* Settings and backend; nothing is asked yet.  ERROR_INVALID names the setting. */
int direct_open(struct direct **ret, struct reach *reach, struct error *err);
void direct_close(struct direct *direct); /* NULL is fine */
/* How long feeding or answering may take. */
int64_t direct_timeout_ms(const struct direct *direct);

/* direct_feed.c: everything is read anew. */
int direct_feed(struct direct *direct, struct error *err);
void direct_forget(struct direct *direct); /* what was fed, and what is under way */
int direct_new_backend(struct direct *direct, struct error *err);

/* --- direct_query.c: pure --------------------------------------------------------------------------------------- */

enum { DIRECT_QUERY_MAX = 16 };

/* "/v1/pkeys/0x5?limit=500", percent-encoded, in its parts, decoded. */
struct direct_query {
	char *path;
	char *keys[DIRECT_QUERY_MAX], *values[DIRECT_QUERY_MAX];
	size_t n;
};
int direct_query_parse(struct direct_query *query, const char *url, struct error *err);
void direct_query_free(struct direct_query *query);
const char *direct_query_get(void *aux, const char *key); /* aux: the query; NULL: absent */
