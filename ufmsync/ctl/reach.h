#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* How the tool reaches what it asks: three ways, one form of answers (ufmsync/openapi.json).
 *
 *	proxy   through the API server's service proxy with the user's kubeconfig, and a short-lived token of audience
 *		`ufmsync` (TokenRequest for the service account ufmsync-reader, or ufmsync-operator for what changes
 *		something: any method but GET) in X-Ufmsync-Token: works wherever kubectl works
 *	server  --server URL --ca FILE --token-file FILE
 *	direct  the API server and the fabric manager themselves, with the settings of ufmsyncd in the environment: an engine
 *		that follows and never leads answers in place of the service.  Reads only
 *
 * Calls block (the tool has nothing else to do) and are bounded by --request-timeout. */
struct reach;

enum reach_way { REACH_PROXY, REACH_SERVER, REACH_DIRECT };

struct reach_options {
	enum reach_way way;
	const char *kubeconfig, *context; /* NULL: KUBECONFIG, ~/.kube/config, in-cluster; the current one */
	const char *service_namespace, *service_name; /* of the service; NULL: "kube-system", "ufmsync" */
	const char *server, *ca_file, *token_file;
	const char *tls_name; /* expected in the certificate of `server` instead of its host; NULL: the host */
	int64_t timeout_ms;   /* of one call; 0: 30 s */
	bool quiet;           /* no progress line on stderr, no remark there */
};

/* All texts of `options` are borrowed until reach_close().  Nothing is asked, or read, before the first call. */
int reach_open(struct reach **ret, const struct reach_options *options, struct error *err);
void reach_close(struct reach *reach); /* NULL is fine */

/* One call of the service; `path` with its query, percent-encoded.  0 for 2xx: *answer is owned by the caller.  Else -1: the
 * kind says what to do (GONE: 404; AUTH: 401, 403; CONFLICT: 409, 410; RETRY: unreachable, 5xx; INVALID: 400), the text what
 * happened and the next step.  A replica that does not lead is asked again elsewhere, some times; when only those answer,
 * their answer is returned (`authoritative` is false in it), and a line on stderr says so once. */
int reach_call(struct reach *reach, const char *method, const char *path, const json_t *body, json_t **answer,
	       struct error *err);
/* A list, page by page, so that none is held whole; `path` may have a query.  `page` (may be NULL) gets each page before
 * its items.  Whatever of these returns -1 with err ends it. */
struct reach_list {
	int (*page)(void *aux, const json_t *page, struct error *err);
	int (*item)(void *aux, const json_t *item, struct error *err);
	void *aux;
};
int reach_each(struct reach *reach, const char *path, const struct reach_list *list, struct error *err);

/* The API server itself, with the user's own identity: pods, networks, access reviews.  0 for 2xx. */
int reach_kube(struct reach *reach, const char *method, const char *path, const json_t *body, json_t **answer,
	       struct error *err);
/* What the kubeconfig's context says; NULL: nothing, or there is no kubeconfig. */
const char *reach_namespace(struct reach *reach);

/* Nothing happens for so long. */
void reach_pause(struct reach *reach, int64_t ms);

/* "/v1/attachments" and pairs of key and value, ends with NULL; pairs whose value is NULL are left out.  Escaped; the caller
 * frees it. */
char *reach_path(const char *path, ...) __attribute__((sentinel));
/* One segment, escaped; the caller frees it. */
char *reach_segment(const char *text);
