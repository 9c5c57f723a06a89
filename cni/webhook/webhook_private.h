#pragma once

#include "base/buf.h"
#include "base/chain.h"
#include "base/hash.h"
#include "cni/webhook/attach_request.h"
#include "cni/webhook/pod_view.h"
#include "cni/webhook/waiting.h"
#include "cni/webhook/webhook.h"

/* What webhook.c (who may ask), webhook_pods.c (requests of pods that are known), webhook_lookup.c (of those that are not)
 * and webhook_decide.c (what a request is told) share.
 *
 *	attach --> access --> pod known?  yes: pod --> decide --> answer, or wait for the pod to change
 *	                                  no: lookup --> read --> pod ...
 */

enum {
	ATTACH_TIMEOUT_MS = 60 * 1000,
	ATTACH_WAITING_MAX = 10000,
	ATTACH_PER_NODE_MAX = 512,
	REMEMBERED_MAX = 65536,     /* pods */
	REMEMBERED_MS = 600 * 1000, /* what their interfaces were given */
};

/* How long is waited for what, and worked at a stretch; fields so that tests may change them. */
struct webhook_pace {
	int64_t missing_ms;       /* a network defined a moment ago is on its way to us */
	int64_t failed_pause_ms;  /* until a pod is read again; doubled each time up to pause_max_ms */
	int64_t unknown_pause_ms; /* the same, where it was found but nothing of it is known to be ours */
	int64_t pause_max_ms;
	int64_t slice_ns; /* of looking at pods */
};

/* One request, from its arrival to its answer. */
struct attach {
	struct webhook *webhook;
	struct httpd_request *http;
	struct chain all;
	bool is_probe;               /* GET */
	struct kube_access_ask *ask; /* while it is asked whether it may */
	struct attach_request *said; /* from then on */
	struct waiting_node *node;   /* that of its token */
	struct waiting_pod *pod;     /* where it waits: here */
	struct lookup *lookup;       /* or here */
	struct chain place;          /* in the list of either */
	struct loop_timer timer;     /* the earlier of its deadline and the end of waiting for its network */
	int64_t deadline_ms;
	int64_t missing_ms; /* since when its pod had no such network; 0: it has, or nobody knows */
};

struct webhook {
	struct loop *loop;
	struct webhook_world world;
	struct kube_access *access;
	char **users; /* ends with NULL */
	int64_t timeout_ms;
	struct webhook_pace pace;
	unsigned waiting_max, per_node_max;
	bool stops;
	void (*said)(void *aux, enum webhook_notice what, const char *detail);
	void *said_aux;
	struct chain all; /* every attach */
	struct webhook_counts counts;
	struct waiting waiting;
	struct hash lookups, tickets; /* by whom they look for; by the number of the read under way */
	uint64_t last_ticket;
	struct chain lookup_queue; /* to be read as soon as fewer are under way */
	uint64_t era;              /* of the world: what was awaited in an earlier one is forgotten there */
	struct loop_timer turn;    /* pods have to be looked at */
	struct loop_timer forgetting;
	struct waiting_pod *looked_at; /* stays though its last request leaves */
	struct pod_view view;          /* of the pod that is looked at */
	struct buf body;               /* of the answer being written */
};

/* Who leads: asked once for everybody who is looked at in one go. */
struct leading {
	bool we, anybody; /* now */
	bool knows;       /* this replica, of pods and networks */
	char last[256];   /* who does or did; "" nobody ever */
};
void leading_now(struct leading *leading, const struct webhook *webhook);

/* --- webhook.c --- */

/* Each of these ends the request and frees it; the first with what `body` holds. */
void attach_finish(struct attach *attach);
void attach_decided(struct attach *attach, const char *code, const char *message, bool retry);
void attach_too_late(struct attach *attach, const char *code, const char *message);
void attach_wrong_node(struct attach *attach);
void attach_set_timer(struct attach *attach, int64_t now); /* after each look that decided nothing */

/* --- webhook_pods.c --- */

void webhook_pods_init(struct webhook *webhook, uint64_t seed);
void webhook_pods_free(struct webhook *webhook);
/* NULL: the pod is not known, or was not bound to a node when the watch showed it. */
const char *webhook_node_of(const struct webhook *webhook, const char *uid);
void attach_of_pod(struct attach *attach, const char *uid); /* its pod is known under this uid: answers, or waits */
void attach_leave_pod(struct attach *attach);               /* nothing if it waits for none */
void attach_pod_timed_out(struct attach *attach);

/* --- webhook_lookup.c --- */

void webhook_lookups_init(struct webhook *webhook);
void webhook_lookups_free(struct webhook *webhook);
void attach_look_up(struct attach *attach); /* its pod is not known: reads it */
void attach_leave_lookup(struct attach *attach);
void attach_lookup_timed_out(struct attach *attach);

/* --- webhook_decide.c: false as long as nothing is decided; else the request is over --- */

bool attach_decide(struct attach *attach, const struct leading *leading, int64_t now);
/* The pod has no network that is ours. */
bool attach_decide_none(struct attach *attach, const struct leading *leading, int64_t now);
/* It is too late: because nobody leads? */
bool attach_decide_no_leader(struct attach *attach, const struct leading *leading);
