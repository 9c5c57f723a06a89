#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/net/loop.h"
#include "pkey/backend.h"
#include "ufmsync/engine.h"

/* What operators may ask: JSON in, JSON out, whatever brings it (the https port; ufmsyncctl --direct, which has an engine of
 * its own that follows and never leads).  The document of it is ufmsync/openapi.json; a test holds both together.
 *
 *	GET  /v1/status              leader, backend, settled, brake, audits, queue, attachments by state
 *	GET  /v1/pool                size, held, resting, blocked
 *	GET  /v1/pkeys               every PKey with its counts
 *	GET  /v1/pkeys/0x5           its members, asked of the fabric manager now, joined to pods
 *	GET  /v1/attachments         ?namespace= &pod= &node= &pkey= &state=
 *	GET  /v1/guids/02:00:..      who holds it, where the fabric manager lists it now and sees its virtual port
 *	GET  /v1/orphans
 *	POST /v1/orphans/remove      {"guids":[...],"revision":N}
 *	POST /v1/orphans/confirm
 *	POST /v1/audit
 *
 * Lists are {"authoritative","revision","items":[...],"continue"}; ?limit= (1-5000, default 500) and ?continue= page
 * through them.  Errors are {"error":{"code","message"}}: 400, 404, 405, 409 (the list has changed), 410 (a continue that
 * is too old), 503 (NotLeader: what only a leader knows or may do; FabricUnavailable; NotReady; TooManyMembers;
 * TooManyRequests).  Times are RFC 3339, PKeys "0x5", GUIDs "02:00:00:00:00:00:00:1a".
 *
 * While somebody holds the Lease, another replica answers all but /v1/status with NotLeader: ask again, until the leader is
 * met.  When nobody does, one that follows answers what it can, with "authoritative": false: what pods' annotations and
 * records say, joined to what the fabric manager lists now.
 *
 * No call works longer than a millisecond or so at a stretch. */
struct api;

struct api_world {
	struct engine *(*engine)(void *aux);        /* the present one */
	struct pkey_backend *(*backend)(void *aux); /* NULL: none */
	bool (*leads)(void *aux);
	const char *(*leader)(void *aux, bool *held);           /* as in cni/webhook/webhook.h */
	const char *(*last_error)(void *aux, int64_t *wall_ms); /* of the fabric manager; NULL: all is well */
	void *aux;
};

struct api *api_new(struct loop *loop, const struct api_world *world); /* world is copied */
/* Calls under way end without an answer.  The backend is freed before: its lists cannot be taken back.   Not from within `done`.
 * NULL is fine. */
void api_free(struct api *api);

struct api_request {
	const char *method, *path;                        /* path decoded, without the query */
	const char *(*query)(void *aux, const char *key); /* NULL: absent */
	void *query_aux;
	const char *body;
	size_t body_len;
	/* Each of the query with its value, so that unknown ones can be refused; NULL: `query` alone is asked. */
	void (*each_query)(void *query_aux, void (*each)(void *aux, const char *key, const char *value), void *aux);
};
/* Calls `done` once, from inside or later; `answer` is borrowed during the call (or kept by a reference of one's own: nobody
 * looks at it afterwards).  All of `request` is only used before this returns.  NULL when `done` was called already, else a
 * handle for api_cancel(). */
struct api_call;
struct api_call *api_ask(struct api *api, const struct api_request *request,
			 void (*done)(void *aux, int status, const json_t *answer), void *aux);
void api_cancel(struct api_call *call);

bool api_has_path(const char *path);   /* some method of it is answered */
const char *api_document(size_t *len); /* ufmsync/openapi.json, without a NUL */
