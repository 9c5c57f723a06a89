#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"
#include "guid/guid.h"
#include "guid/pool.h"
#include "pkey/members.h"
#include "pkey/pkey.h"
#include "ufmsync/kube/network.h"
#include "ufmsync/kube/pod.h"
#include "ufmsync/record.h"

/* The core: which pod's interface holds which GUID in which PKeys, and what must be done next so that the fabric
 * manager and the pods' annotations say so.  Pure: facts and `now` go in, actions come out; no I/O, no clock, no
 * random number but `start`.  All times are milliseconds of one monotonic clock unless a name says wall.
 *
 *	facts -> engine_*(engine, ..., now)
 *	while (engine_next(engine, now, &action)) carry it out;
 *	call again at engine_deadline(engine), or after the next fact
 *
 * No call works longer than about a millisecond: long sweeps are cut into slices, and engine_deadline() is then at
 * once.  The engine is a follower at birth: it takes facts, and gives, writes and removes nothing before
 * engine_lead().  A leader that lost its Lease is freed and a new engine is fed anew: there is no way back.
 *
 * A request's answer may come late or never (the caller has its own deadline and then reports ERROR_RETRY). */
struct engine;

enum engine_policy { ENGINE_POLICY_NAMESPACE, ENGINE_POLICY_ANNOTATED, ENGINE_POLICY_ANY }; /* UFMSYNC_PKEY_POLICY */
enum engine_gate { ENGINE_GATE_MEMBER, ENGINE_GATE_ASSIGNED };                              /* UFMSYNC_GATE */
enum engine_orphans { ENGINE_ORPHANS_BRAKE, ENGINE_ORPHANS_REMOVE, ENGINE_ORPHANS_KEEP };   /* UFMSYNC_ORPHANS */

/* What is counted for as long as the process lives, which may see several engines, one after the other.
 *
 * The times run from when an attachment was first seen, or from when what it had to wait for (a network, the right to a
 * PKey, a GUID) was there, and are noted once, of those alone that were first seen by a leader at work: what a start or a
 * take-over found has a past that nobody here knows. */
struct engine_tally {
	struct histogram member;           /* until all its memberships were listed; without a PKey there is none */
	struct histogram published;        /* until its annotation was written */
	uint64_t audits_ok, audits_failed; /* complete lists, compared or not to be had */
	uint64_t joined,
		removed; /* lost memberships that are listed again, strays that we removed and are not any more */
};
void engine_tally_init(struct engine_tally *tally);

struct engine_options {
	struct guid first, last; /* the pool's range */
	uint64_t start;          /* random: where the pool's cursor starts */
	struct pkey_set pkeys;   /* those this cluster may touch; never PKEY_MANAGEMENT */
	enum engine_policy policy;
	const char *const *shared_namespaces; /* ends with NULL; copied */
	struct pkey limited;                  /* DEFAULT_LIMITED_PARTITION; .v 0: none */
	bool index0;                          /* of the primary membership */
	enum engine_gate gate;
	enum engine_orphans orphans;
	bool adopt;                     /* UFMSYNC_ADOPT=annotation */
	const struct record_keys *keys; /* NULL: no records are read or written; borrowed */
	int64_t rest_ms, rest_unsure_ms, rest_early_ms;
	int64_t orphan_grace_ms, audit_ms, gather_ms;
	int64_t write_timeout_ms;   /* UFM_TIMEOUT: how long a write of anybody may go on after it was sent */
	size_t batch_max;           /* GUIDs a write: at most 500 */
	unsigned patches_max;       /* annotation patches under way at a time */
	int64_t wall_offset_ms;     /* wall clock minus `now`, for a record's `since` */
	struct engine_tally *tally; /* borrowed; NULL: nobody counts */
};
void engine_options_init(struct engine_options *options); /* every default of the design */

struct engine *engine_new(const struct engine_options *options); /* asserts that the range is valid */
void engine_free(struct engine *engine);
void engine_set_wall_offset(struct engine *engine, int64_t wall_offset_ms);
void engine_set_keys(struct engine *engine, const struct record_keys *keys); /* rotated; borrowed; may be NULL */

/* --- facts from the API server --- */

/* Each kind is listed before anything is given: begin, all that exist, end; later again after a lost watch.  What was
 * known before `begin` and is not applied before `end` has vanished. */
void engine_pods_begin(struct engine *engine, int64_t now);
void engine_pods_end(struct engine *engine, int64_t now);
/* Takes the pod over.  Only bound pods need come; host-network, finished and network-less ones may (they end or never
 * begin an attachment). */
void engine_pod_applied(struct engine *engine, struct pod *pod, int64_t now);
/* The watch said DELETED; `last` (taken over) is the last state it knew.  It may only have finished: unless that is
 * clear the engine asks with ENGINE_READ_POD. */
void engine_pod_deleted(struct engine *engine, struct pod *last, int64_t now);

enum engine_read { ENGINE_READ_FOUND, ENGINE_READ_GONE, ENGINE_READ_FAILED };
/* Answers ENGINE_READ_POD.  FOUND: `pod` (taken over) has the uid that was asked for; a pod of that name with another
 * uid, or none, is GONE (pod NULL). */
void engine_pod_read(struct engine *engine, uint64_t id, enum engine_read how, struct pod *pod, int64_t now);

void engine_networks_begin(struct engine *engine, int64_t now);
void engine_networks_end(struct engine *engine, int64_t now);
void engine_network_applied(struct engine *engine, struct network *network, int64_t now); /* taken over */
void engine_network_deleted(struct engine *engine, const char *namespace, const char *name, int64_t now);

void engine_namespaces_begin(struct engine *engine, int64_t now);
void engine_namespaces_end(struct engine *engine, int64_t now);
void engine_namespace_applied(struct engine *engine, struct namespace_rule *rule, int64_t now); /* taken over */
void engine_namespace_deleted(struct engine *engine, const char *name, int64_t now);

/* --- somebody waits for a pod (its CNI plugin) --- */

/* From now on ENGINE_POD_CHANGED tells of each change of this pod's attachments (at times also when nothing that can be
 * seen has changed), and what they wait to be joined goes with the next write of its kind, before the usual and behind
 * what was awaited earlier.  False: no such pod is known (nothing is remembered then).  Counted, by uid: as many
 * engine_await_no_more() end it, also of a pod that has gone meanwhile, which is told of again should it come back; one
 * more than that is harmless. */
bool engine_await(struct engine *engine, const char *uid, int64_t now);
void engine_await_no_more(struct engine *engine, const char *uid);
/* A pod that the watch has not shown yet was read for somebody who waits (taken over).  Nothing happens when it is known
 * already, or was known and went a short while ago.  One that the watch has not shown yet is read again every ten seconds
 * (ENGINE_READ_POD, of a follower too), so that it does not stay for ever if it was deleted meanwhile. */
void engine_pod_found(struct engine *engine, struct pod *pod, int64_t now);

/* --- leadership --- */

/* We hold the Lease.  No write is sent before `quiet_until` (a dead leader's last one may still land); `settled`: the
 * Lease says that this cluster was settled before.  Once, ever.  The pods are listed anew (ENGINE_LIST_PODS) and nothing
 * is given before that: a predecessor's last patches may not have come through a warm watch yet. */
void engine_lead(struct engine *engine, int64_t quiet_until, bool settled, int64_t now);
/* Right after it: until then there may be a leader of whom no Lease tells any more.  No matter for a new cluster, but where
 * the first complete list shows members of our range, it is quiet for so long. */
void engine_doubt(struct engine *engine, int64_t until);
int64_t engine_quiet_until(const struct engine *engine); /* as far as it is known by now; 0: nobody leads */
/* Somebody only looks (a tool, while no service may be running): facts and lists are compared as a leader compares them,
 * records are believed, and what was never given stays ungiven.  The only action that ever comes is ENGINE_LIST of all.
 * Once, before the first fact, instead of engine_lead(); engine_status() goes on to say that it does not lead. */
void engine_observe(struct engine *engine, int64_t now);
bool engine_is_settled(const struct engine *engine); /* to be remembered on the Lease */
/* An operator has looked at the orphans: settles, releases the brake; what is an orphan now may be removed. */
void engine_confirm(struct engine *engine, int64_t now);
void engine_audit(struct engine *engine, int64_t now); /* compare with the fabric manager now */
/* Credentials were renewed: what waits because requests failed is tried now. */
void engine_retry(struct engine *engine, int64_t now);

/* --- answers --- */

/* Of ENGINE_LIST `id`: members as they arrive, then the end.  NULL err: the list was complete. */
void engine_listed_member(struct engine *engine, uint64_t id, struct pkey pkey, const struct member *member);
void engine_list_done(struct engine *engine, uint64_t id, const struct error *err, int64_t now);
/* Of ENGINE_JOIN or ENGINE_LEAVE `id`.  NULL err: accepted.  Kinds as in pkey/backend.h. */
void engine_write_done(struct engine *engine, uint64_t id, const struct error *err, int64_t now);

enum engine_patched {
	ENGINE_PATCHED,
	ENGINE_PATCH_STALE,   /* the pod is another than we thought: read again, decide anew */
	ENGINE_PATCH_REFUSED, /* this patch will never be accepted as the pod is now */
	ENGINE_PATCH_GONE,
	ENGINE_PATCH_RETRY, /* it may have been applied or not */
};
/* Of ENGINE_PATCH `id`; `why` for the Event on REFUSED, else may be NULL. */
void engine_patch_done(struct engine *engine, uint64_t id, enum engine_patched how, const char *why, int64_t now);

/* --- what to do --- */

enum engine_action_kind {
	ENGINE_JOIN, /* at most one JOIN or LEAVE is under way */
	ENGINE_LEAVE,
	ENGINE_LIST,  /* never two of the same PKey, nor an `all` beside another `all` */
	ENGINE_PATCH, /* never two of one pod */
	ENGINE_READ_POD,
	ENGINE_LIST_PODS, /* list the pods anew: we have just got the Lease, or a network became ours whose pods were let go */
	ENGINE_EVENT,       /* on a pod or a network; not answered */
	ENGINE_POD_CHANGED, /* somebody waits for it; not answered.  A pod that is gone changes once more */
};

struct engine_action {
	enum engine_action_kind kind;
	uint64_t
		id; /* of all but LIST_PODS, EVENT and POD_CHANGED: to be given back with the answer; never used twice */
	/* Texts and arrays are borrowed until the next call into the engine. */
	union {
		struct {
			struct pkey_class class; /* LEAVE: only the pkey counts */
			const struct guid *guids;
			size_t n;
		} write;
		struct {
			bool all;
			struct pkey pkey; /* unless all */
		} list;
		struct {
			const struct pod *pod;
			const struct pod_publication *publications;
			size_t n;
			const char *record; /* NULL: leave the annotation alone */
		} patch;
		struct {
			const char *namespace, *name, *uid;
		} read_pod;
		struct {
			const char *uid;
		} pod_changed;
		struct {
			bool network; /* on the NetworkAttachmentDefinition of that name; else on the pod */
			const char *namespace, *name, *uid; /* uid: "" when not known */
			bool warning;
			const char *reason; /* one of the reasons of DESIGN / README: BadPKey, GUIDTaken ... */
			const char *text;
		} event;
	};
};

bool engine_next(struct engine *engine, int64_t now, struct engine_action *action); /* false: nothing to do now */
int64_t engine_deadline(const struct engine *engine); /* when to ask again without a new fact; INT64_MAX: never */

/* --- what is --- */

enum attachment_state {
	ATTACHMENT_WANTED,
	ATTACHMENT_JOINING,
	ATTACHMENT_MEMBER,
	ATTACHMENT_PUBLISHED,
	ATTACHMENT_LEAVING,
	ATTACHMENT_RESTING,
	ATTACHMENT_STATES
};
const char *attachment_state_name(enum attachment_state state);

enum engine_brake { ENGINE_BRAKE_OFF, ENGINE_BRAKE_UNSETTLED, ENGINE_BRAKE_LATCHED };

enum { ENGINE_PORT_PKEYS = 128 }; /* of the adapters that have virtual functions */

struct engine_status {
	bool observing; /* engine_observe() */
	bool leading, synced, listed,
		settled; /* synced: pods, networks, namespaces; listed: first complete list is in */
	enum engine_brake brake;
	uint64_t attachments[ATTACHMENT_STATES];
	uint64_t blocked;           /* WANTED that wait for something else than us: network, PKey, GUID */
	uint64_t pods, networks;    /* kept in memory */
	uint64_t ungated;           /* networks that pods use and that let them start before they are members */
	uint64_t orphans;           /* in our range and PKeys, without an owner, not removed yet */
	uint64_t foreign;           /* left alone: came back after removal, or kept by UFMSYNC_ORPHANS */
	uint64_t missing;           /* memberships of members that the last list did not show */
	uint64_t queued;            /* memberships of attachments that wait to be written */
	uint64_t wanted;            /* memberships that live attachments have or are to get */
	uint64_t unexpected;        /* listed of a live attachment's GUID, in a PKey where it has no seat */
	uint64_t to_join, to_leave; /* memberships that wait to be written, those of queues that pause included */
	uint64_t to_patch;          /* pods whose annotation is to be written */
	/* Since when the attachment is on its way that has been for longest: to its membership and its annotation, or out
	 * of its PKeys; -1: none is. */
	int64_t oldest;
	/* Distinct PKeys of a node's live attachments, the default partition counted in, against the P_Key table of a port:
	 * the most of a node, and how many nodes have more than fit.  0 without attachments. */
	uint64_t node_pkeys_max, nodes_over;
	uint64_t joins, leaves, lists, patches; /* actions handed out so far */
	int64_t last_audit;                     /* when the last complete list ended; -1: never */
	struct guid_pool_use pool;
};
void engine_status(const struct engine *engine, struct engine_status *status);

/* One attachment as it is now; texts borrowed until the next call into the engine. */
struct attachment_view {
	const char *pod_namespace, *pod_name, *pod_uid, *node;
	const char *network_namespace, *network_name, *interface;
	const char *
		config_name; /* by which a CNI plugin knows the network: `name` of its config, else its own; "" not defined */
	const char *pkey_text; /* as the network writes it, or as recorded ("0x5"); NULL: no pkey */
	enum pod_source source;
	int index;
	enum attachment_state state;
	bool has_guid; /* it holds the GUID */
	bool recorded; /* a valid record of the pod names it; what a follower may answer from */
	/* A CNI plugin may put the GUID on a VF now: as leader when the gate is open (by default: every membership is listed
	 * at this moment; never while a new leader is still reading), as follower when it is recorded. */
	bool attachable;
	struct guid guid; /* with either */
	/* What the pod's annotation says, whoever wrote it; zero: no GUID.  What a follower without records may go by. */
	struct guid annotated;
	struct pkey_class memberships[RECORD_MEMBERSHIPS_MAX];
	unsigned n_memberships;
	int64_t since;              /* in this state; -1: not known to somebody who only looks */
	const char *blocked_reason; /* the Event's reason it waits for ("NetworkNotFound"), or NULL */
	bool refused;               /* it waits for somebody to change something (BadPKey ...), not for time to pass */
	const char *blocked_text;   /* a sentence for people, or NULL */
};
/* All attachments of all pods, resting ones included, in no promised order; for tests, status and the API.  Walks
 * everything: not for the loop of a big cluster.  `visit` must not call into the engine. */
void engine_each(const struct engine *engine, void (*visit)(void *aux, const struct attachment_view *view), void *aux);
/* The node of a pod that is known and not gone, borrowed; else NULL. */
const char *engine_pod_node(const struct engine *engine, const char *uid);
/* Those of one pod that is known and not gone; cheap. */
void engine_each_of_pod(const struct engine *engine, const char *uid,
			void (*visit)(void *aux, const struct attachment_view *view), void *aux);

/* --- questions of operators (engine_query.c) --- */

/* Attachments in pages, those of the pods that are gone last: `after` is what the call before returned (NULL: from the
 * first), at most `pods` pods are visited.  Returns where to go on, borrowed until the next call of this; NULL: that was
 * the last pod.  *known: false when the pod at `after` has gone meanwhile; nothing was visited then.  A pod that goes
 * between two calls may be visited twice. */
const char *engine_each_page(struct engine *engine, const char *after, size_t pods, bool *known,
			     void (*visit)(void *aux, const struct attachment_view *view), void *aux);
/* Who holds this GUID, a resting one included; false: nobody, as far as a leader knows. */
bool engine_holder(const struct engine *engine, struct guid guid, struct attachment_view *view);
void engine_range(const struct engine *engine, struct guid *first, struct guid *last);
bool engine_writes_to(const struct engine *engine, struct pkey pkey); /* UFMSYNC_PKEYS */

/* One PKey: what attachments want of it, and what the last complete list showed. */
struct pkey_view {
	struct pkey pkey;
	bool writable;          /* we may write to it */
	uint64_t full, limited; /* memberships that live attachments have or want */
	uint64_t listed;        /* members of the last complete list, whosever; 0 as follower */
	uint64_t missing;       /* wanted members that it did not show */
	uint64_t orphans, foreign;
};
/* The first PKey, not below `from`, that has anything of this; false: there is none any more. */
bool engine_pkey_from(const struct engine *engine, uint16_t from, struct pkey_view *view);

/* What a member that the fabric manager lists is to us. */
enum member_kind {
	MEMBER_OF_ATTACHMENT, /* it has a seat there, and may be coming or leaving */
	MEMBER_IS_ORPHAN,     /* of our range, without an owner */
	MEMBER_IS_UNEXPECTED, /* its owner has no seat there */
	MEMBER_IS_FOREIGN,    /* of our range, left alone: another writer's, or in a PKey that we do not write to */
	MEMBER_IS_OUTSIDE,    /* not of our range */
	MEMBER_KINDS
};
/* *holder as of engine_holder(), *held whether there is one; *right: membership and index0 are those of its seat. */
enum member_kind engine_member_kind(const struct engine *engine, struct pkey pkey, const struct member *member,
				    struct attachment_view *holder, bool *held, bool *right);

/* A GUID of our range that is listed though no live attachment wants it there. */
enum stray_kind { STRAY_IS_ORPHAN, STRAY_IS_UNEXPECTED /* of a live attachment, in another PKey */, STRAY_IS_FOREIGN };
const char *stray_kind_name(enum stray_kind kind); /* "orphan"... */
struct stray_view {
	struct guid guid;
	struct pkey pkey;
	enum membership membership;
	bool index0;
	enum stray_kind kind;
	bool removing;      /* asked for, or under way */
	bool removable;     /* by name: an orphan, and seen long enough (UFMSYNC_ORPHAN_GRACE) */
	int64_t first_seen; /* ms, as `now`; -1: no complete list was evaluated since */
};
/* In no promised order, in steps: starts with a zeroed place, until it returns false.  Of at most `steps`, more than
 * there are visits.  *lost: the set has changed since the last step; start again. */
struct stray_place {
	bool begun;
	uint64_t revision;
	struct pkey pkey;
	struct guid guid; /* zero: at the PKey's first */
};
bool engine_each_stray(const struct engine *engine, struct stray_place *place, size_t steps, bool *lost,
		       void (*visit)(void *aux, const struct stray_view *view), void *aux);
uint64_t engine_strays_revision(const struct engine *engine); /* changes whenever this set does */
/* An operator names orphans to be removed, from every PKey where they are that, brake or not.  False, and nothing
 * happens: `revision` is not the present one (*which is n), or one of them is not removable (*which).  The brake stays as
 * it is, and one that is not removed at once is tried again at each audit, while it is an orphan.  Only a leader's engine. */
bool engine_remove_orphans(struct engine *engine, const struct guid *guids, size_t n, uint64_t revision, size_t *which,
			   int64_t now);
