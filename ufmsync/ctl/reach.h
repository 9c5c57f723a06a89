#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* How the tool reaches what it asks: three ways, one form of answers (ufmsync/api.h).
 *
 *	proxy   through the API server's service proxy with the user's kubeconfig, and a short-lived token of audience
 *		`ufmsync` (TokenRequest for the service account ufmsync-reader, or ufmsync-operator for what changes
 *		something) in X-Ufmsync-Token: works wherever kubectl works
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
	const char *service_namespace, *service_name; /* of the service; "ufmsync", "ufmsync" */
	const char *server, *ca_file, *token_file;
	int64_t timeout_ms; /* of one call; 0: 30 s */
	bool quiet;         /* no progress line on stderr */
};

int reach_open(struct reach **ret, const struct reach_options *options, struct error *err);
void reach_close(struct reach *reach); /* NULL is fine */

/* One call of the service.  0 for 2xx: *answer is owned by the caller.  Else -1: the kind says what to do (GONE: 404;
 * AUTH: 401, 403; CONFLICT: 409; RETRY: unreachable, 5xx; INVALID: 400), the text what happened and the next step.  A replica
 * that does not lead is asked again elsewhere, some times. */
int reach_call(struct reach *reach, const char *method, const char *path, const json_t *body, json_t **answer,
	       struct error *err);
/* Each item of a list, page by page, so that no list is held whole. */
int reach_each(struct reach *reach, const char *path, void (*item)(void *aux, const json_t *item), void *aux,
	       struct error *err);

/* The API server itself, with the user's own identity: pods, networks, access reviews.  0 for 2xx. */
int reach_kube(struct reach *reach, const char *method, const char *path, const json_t *body, json_t **answer,
	       struct error *err);
