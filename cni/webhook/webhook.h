#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/net/httpd.h"
#include "base/net/loop.h"
#include "guid/guid.h"
#include "pkey/pkey.h"
#include "ufmsync/kube/access.h"

/* POST /v1/attach: a CNI plugin asks which GUID and PKey an interface gets, and is answered once that is true in the
 * fabric.  A request that waits costs its suspended connection and a few hundred bytes; it is woken when something of its
 * pod changes, never polled.  Asking again gets the same answer, and of two that ask for one interface at once both are
 * answered: the runtime may have given up the first.
 *
 *	request:  {"pod":{"namespace","name","uid"},"interface","networkName","guid","pkey","containerID","node"}
 *	200:      {"guid","pkey","memberships":[{"pkey","membership","index0"}]}      what the VF gets
 *	          {"error":{"code","message","retry":bool}}                           what the service decided instead
 *	400 (no such JSON), 401, 403, 405, 413, 429 and 503 with Retry-After: {"error":{"code","message"}}
 *
 * GET /v1/attach: {"ready":bool,"leader","message"}, for the plugin's STATUS; the same callers may.
 *
 * Codes of a decision: NotMember (not in time; the message says what it waits for), UnknownPod, UnknownNetwork, NoLeader,
 * NotLeader (only the leader can tell this pod's interfaces apart), and the Event reasons by which an attachment is
 * refused or waits (BadPKey, PKeyNotAllowed, GUIDTaken, NetworkNotFound, FabricUnavailable ...).  Codes of the other
 * answers: BadRequest, Unauthorized, Forbidden, WrongNode, MethodNotAllowed, TooLarge, TooManyOfNode, TooMany,
 * Unavailable. */
struct webhook;

/* One attachment of a pod as the caller knows it; texts borrowed during the visit. */
struct webhook_attachment {
	int index;               /* position in the pod's networks; -1: the default network */
	const char *interface;   /* as the pod asks for; "" when it does not say */
	const char *config_name; /* of its network; "" not known */
	bool has_guid, attachable;
	struct guid guid;
	const char *pkey_text; /* as the network writes it; NULL: no pkey */
	struct pkey_class memberships[2];
	unsigned n_memberships;
	const char *reason, *text; /* what it waits for; NULL: nothing special */
	bool refused;              /* waiting longer will not help */
};

/* How the webhook reaches what the service knows; all are called on the loop. */
struct webhook_world {
	/* The node of a pod that is known; NULL: it is not.  Borrowed until the next call. */
	const char *(*node)(void *aux, const char *uid);
	/* Of a pod that is known.  `visit` calls nothing of the world. */
	void (*each)(void *aux, const char *uid, void (*visit)(void *visit_aux, const struct webhook_attachment *),
		     void *visit_aux);
	/* From now on webhook_pod_changed() is called for this pod, and its attachments go first.  False: not known.  Called
	 * once for a pod, however many wait for it; await_no_more() ends it, also for one that has gone meanwhile. */
	bool (*await)(void *aux, const char *uid);
	void (*await_no_more)(void *aux, const char *uid);
	/* Reads a pod from the API server that the watch has not shown yet, makes it known, and calls webhook_pod_read()
	 * with the `ticket`, later (a late or missing call is fine, the request has its deadline).  `uid`: the pod's, or its
	 * kubernetes.io/config.hash (a static pod); a pod of that name with another uid is none. */
	void (*read)(void *aux, const char *namespace, const char *name, const char *uid, uint64_t ticket);
	bool (*leads)(void *aux); /* this replica holds the Lease and has read everything it must */
	bool (*knows)(void *aux); /* it has read pods and networks: what it does not have is not there, or new */
	/* Who holds the Lease, "" nobody; *held: it has not expired.  Borrowed until the next call. */
	const char *(*leader)(void *aux, bool *held);
	void *aux;
};

/* For the log.  `detail`: one line without secrets: the status, the peer, and the user or node where it is known. */
enum webhook_notice {
	WEBHOOK_UNAUTHENTICATED, /* 401 */
	WEBHOOK_FORBIDDEN,       /* 403: may not, or is none of the service accounts, or its token belongs to no node */
	WEBHOOK_WRONG_NODE,      /* 403: asked for another node's pod */
	WEBHOOK_BAD_REQUEST,     /* 400, 405, 413 */
	WEBHOOK_TOO_MANY_OF_NODE, /* 429 */
	WEBHOOK_TOO_MANY,         /* 503 */
	WEBHOOK_UNAVAILABLE,      /* 503: the API server could not be asked who this is */
};

enum { WEBHOOK_BODY_MAX = 16 * 1024 }; /* a larger one is answered 413, whatever httpd allows */

struct webhook_options {
	const struct webhook_world *world; /* copied */
	struct kube_access *access;        /* borrowed */
	/* "system:serviceaccount:NAMESPACE:NAME" of those who may ask; ends with NULL; copied. */
	const char *const *users;
	int64_t timeout_ms;    /* how long an attach waits; 0: 60 s */
	unsigned waiting_max;  /* more are answered 503; 0: 10,000 */
	unsigned per_node_max; /* more of one node are answered 429; 0: 512 */
	void (*said)(void *aux, enum webhook_notice what, const char *detail); /* may be NULL; not rate-limited */
	void *aux;                                                             /* of said */
};

struct webhook_counts {
	uint64_t waiting;                      /* now */
	uint64_t attached;                     /* answered with a GUID */
	uint64_t refused;                      /* decided otherwise (200 with an error), but for those in time */
	uint64_t timed_out;                    /* NotMember, NoLeader: not in time */
	uint64_t unauthenticated, forbidden;   /* 401, 403 */
	uint64_t bad, too_many_node, too_many; /* 400, 405, 413; 429; 503 */
	uint64_t unavailable;                  /* 503: the API server could not be asked who this is */
	uint64_t gone;                         /* the client left */
};

struct webhook *webhook_new(struct loop *loop, const struct webhook_options *options);
void webhook_free(struct webhook *webhook); /* requests that wait are answered 503; NULL is fine */

/* Of httpd: a request whose path is /v1/attach, and one of those that the client has left. */
void webhook_handle(struct webhook *webhook, struct httpd_request *request);
void webhook_gone(struct webhook *webhook, struct httpd_request *request);
/* The bearer token, borrowed; NULL: none.  Of Authorization or, where that is absent, of X-Ufmsync-Token: the API server's
 * service proxy strips the former. */
const char *webhook_token(const struct httpd_request *request);

/* The next four only take note: what follows happens on a later turn of the loop, so they may be called from anywhere. */
void webhook_pod_changed(struct webhook *webhook, const char *uid);
enum webhook_read { WEBHOOK_READ_FOUND, WEBHOOK_READ_NONE, WEBHOOK_READ_FAILED };
/* FOUND: `uid` is the pod's own and `node` where it runs ("" not bound), both borrowed; it may still have no attachment
 * that is known.  Else both are NULL. */
void webhook_pod_read(struct webhook *webhook, uint64_t ticket, enum webhook_read how, const char *uid,
		      const char *node);
/* The Lease changed hands, or lists came in: everybody who waits is looked at again, in slices. */
void webhook_all_changed(struct webhook *webhook);
/* What the world knew is forgotten (the engine was made anew), awaited pods too: they are awaited and read again. */
void webhook_world_renewed(struct webhook *webhook);

void webhook_counts(const struct webhook *webhook, struct webhook_counts *counts);
