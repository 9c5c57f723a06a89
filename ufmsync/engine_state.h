#pragma once

#include "base/chain.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ufmsync/engine.h"
#include "ufmsync/engine_break.h"
#include "ufmsync/wake.h"

/* What the engine remembers; private to ufmsync/engine*.c.
 *
 *	engine_pod --< attachment --< seat >-- partition --< stray
 *	                   >-- net                 --< queue (what waits to be written)
 *
 * Everything that can be many lives in intrusive chains and tables, so that a fact costs O(1), and every walk over many
 * is cut into slices by engine_work.c.
 *
 * Sequence numbers: e->seq goes up when a list is handed out and when a write is answered; a list knows about a write
 * only if its number is the higher one. */

enum engine_phase {
	PHASE_FOLLOW,    /* no Lease */
	PHASE_SYNC,      /* pods, networks and namespaces are not all known yet */
	PHASE_LIST,      /* the first complete list is not in yet */
	PHASE_RECORDS,   /* pods are walked: GUIDs that valid records name */
	PHASE_ADOPT,     /* annotations that the fabric manager agrees with, if asked for */
	PHASE_WISHES,    /* wished GUIDs */
	PHASE_GENERATED, /* all others */
	PHASE_RUN,
};

enum wake_kind {
	WAKE_AUDIT,
	WAKE_WRITE,
	WAKE_POOL,
	WAKE_PARTITION,
	WAKE_QUEUE,
	WAKE_ATTACHMENT,
	WAKE_SEAT,
	WAKE_POD,
};

/* A text that many share: node and namespace names, interfaces, PKeys as networks write them. */
struct text {
	struct hash_node node;
	uint32_t refs;
	char s[];
};

/* A network that is defined, or named by somebody. */
struct net {
	struct hash_node node;
	struct chain in_nets;
	struct chain pending;  /* attachments that are not published yet */
	struct chain in_dirty; /* its definition changed: engine.dirty_nets */
	struct network *def;   /* NULL: not defined, or of a kind that is none of our business */
	bool other;            /* defined, none of our business */
	bool let_go;           /* pods that name it were let go when it was none of our business */
	uint32_t refs, live;   /* live: attachments that are not over */
	bool ungated;          /* counted in engine.n_ungated: in use, and it lets pods start early */
	bool said_ungated;
	uint64_t mark;
	uint64_t change;  /* number of the last change of its definition that somebody who waits may see */
	const char *name; /* behind the namespace in `text` */
	char text[];
};

struct space { /* a namespace */
	struct hash_node node;
	struct chain in_spaces;
	struct chain pods;
	struct chain waiting;  /* attachments that it keeps from joining */
	struct chain in_dirty; /* its rule changed: engine.dirty_spaces */
	struct namespace_rule *rule;
	uint64_t mark;
	char name[];
};

enum seat_state {
	SEAT_IDLE,        /* never sent, or refused: nothing of it is in the fabric manager */
	SEAT_JOIN_QUEUED, /* to be joined: in a queue, held back by another index 0, or waiting after a refusal */
	SEAT_JOIN_SENT,
	SEAT_JOIN_CHECK, /* answered (or not): a list must show it */
	SEAT_LISTED,
	SEAT_LEAVE_QUEUED,
	SEAT_LEAVE_SENT,
	SEAT_LEAVE_CHECK,
	SEAT_LEFT, /* a list showed that it is gone */
};

/* One membership of an attachment. */
struct seat {
	struct chain in_partition;
	struct chain in_queue; /* a queue's items, or those of the write under way */
	struct wake wake;      /* after a refusal */
	struct partition *partition;
	uint64_t after;   /* lists with a higher number know what became of its last write */
	uint64_t seen[2]; /* number of the last list (of one PKey, of all) that showed it */
	int64_t accepted_at;
	int64_t settle_at;     /* until then what was sent and never seen may still land */
	uint8_t sends;         /* joins sent since it was last known whether it is listed */
	uint8_t state, number; /* number: its place in the attachment */
	uint8_t denials;       /* lists that did not show what was accepted */
	uint8_t refusals;
	uint8_t lane;   /* enum lane, while it is in a queue */
	bool left_once; /* a leave was sent */
	bool limited, index0;
	bool right[2];  /* that list showed the right membership and index0 */
	bool maybe;     /* may be listed: a join was sent, or it was seen */
	bool uncertain; /* the last join's outcome is unknown */
	bool missing;   /* was listed, then not any more */
	bool confirmed; /* while resting: a list after the rest began did not show it */
};

enum attachment_wait { WAIT_NOT, WAIT_SPACE, WAIT_GUID, WAIT_POOL, WAIT_DECISION };

struct attachment {
	struct hash_node by_guid; /* engine.holders: from being reserved to the end of its rest */
	struct chain in_pod, in_net, in_wait;
	struct wake wake;
	struct engine_pod *pod;
	struct net *net;
	struct text *interface, *pkey_text;
	struct guid guid, wish;
	int64_t since, rest_until;
	char *blocked_text;
	const char *blocked_reason;
	int16_t index;
	uint8_t state, source, wait, n_seats, seats_max;
	uint8_t wish_kind; /* enum pod_wish */
	bool has_guid : 1; /* reserved: it is in engine.holders */
	bool counted_blocked : 1;
	bool matched : 1;      /* scratch of reconciling */
	bool recorded : 1;     /* guid and seats come from a valid record; not claimed yet while !has_guid */
	bool by_record : 1;    /* claimed by a record: as good as published */
	bool configured : 1;   /* the annotation says so, whoever wrote it */
	bool runtime_guid : 1; /* to be published as infiniband-guid too */
	bool published : 1;
	bool in_patch : 1; /* in the patch under way */
	bool perhaps : 1;  /* in a patch whose outcome is unknown */
	bool said_member : 1, said_reason : 1;
	bool used : 1;        /* somebody may know the GUID: it must rest */
	bool unsure : 1;      /* its last user may still be alive: rests long */
	bool rested : 1;      /* resting: its time is over, only the confirmation is missing */
	bool unconfirmed : 1; /* counted in engine.n_unconfirmed */
	struct seat seats[];
};

enum pod_work { WORK_NONE, WORK_REVIEW, WORK_PATCH, WORK_READ };

struct engine_pod {
	struct hash_node by_uid;
	struct chain in_pods; /* engine.pods */
	struct chain attachments;
	struct chain in_work; /* engine.work[], or engine.requesting while a request is under way */
	struct wake wake;
	struct pod *pod; /* its last state, while something is to be decided or patched; else NULL */
	struct space *space;
	struct chain in_space;
	struct text *node;
	const char *name; /* behind the uid in `text` */
	uint64_t mark;
	uint64_t request;                 /* of the patch or read under way, else 0 */
	uint64_t record_text;             /* hash of the record that stands in the annotation */
	uint64_t record_content;          /* hash of what it says; 0: nothing valid */
	uint64_t written;                 /* hash of what the record said that we wrote, or found to be right */
	uint64_t sent_text, sent_content; /* of the patch under way */
	uint64_t problem;                 /* hash of the last problem that was said */
	int64_t since;                    /* of its record */
	int64_t retry_at, patched_at;
	uint32_t kept;                                  /* bytes of its annotations, while they are kept */
	uint8_t work, failures, read_failures, repairs; /* failures: of its patches, in a row */
	bool gone : 1; /* not in engine.pods_by_uid any more; kept for its attachments */
	bool finished : 1, terminating : 1, migration : 1;
	bool unreconciled : 1; /* came before the networks were known */
	bool reading : 1, patching : 1;
	bool vanished : 1;  /* left the watch: what became of it must be read */
	bool need_read : 1; /* its texts are not known or old */
	bool repairing : 1; /* somebody overwrote what we published: written again after a while */
	bool refused : 1;   /* its last patch was refused, and it did not change since */
	bool said_refused : 1;
	bool stands : 1;      /* the annotation says what is decided, as far as we know */
	bool seen_again : 1;  /* it came again while its patch was under way */
	bool awaited : 1;     /* there is an awaiter */
	bool provisional : 1; /* read for somebody who waits, never shown by the watch */
	char text[];          /* uid, NUL, name */
};

enum queue_kind { QUEUE_JOIN, QUEUE_LEAVE = 4, QUEUE_REMOVE, QUEUES }; /* four join classes: limited * 2 + index0 */

/* In the order in which they are served, each first in, first out. */
enum lane {
	LANE_AGAIN,   /* of a write that failed; those suspected stand here */
	LANE_HURRIED, /* somebody waits for their pod */
	LANE_USUAL,
	LANES
};

/* A queue somebody waits for jumps to the front of the ring, but not again before it was served where it stood: so every
 * other one is overtaken once a round, at most. */
enum jump { JUMP_NOT, JUMP_DONE, JUMP_SPENT };

struct queue {
	struct chain lanes[LANES]; /* seats, or strays in QUEUE_REMOVE */
	struct chain in_ring;
	struct wake wake; /* after a failure */
	size_t n;
	uint16_t limit;    /* GUIDs its next write may hold; 0: the usual number */
	uint16_t suspects; /* at its front, one of which made a write fail */
	uint8_t failures, kind, jump;
	struct partition *partition;
};

struct partition {
	struct chain in_partitions;
	struct pkey pkey;
	bool ours; /* we may write to it */
	struct chain seats, strays;
	struct queue queues[QUEUES];
	struct wake wake;    /* when to list it */
	struct chain in_due; /* engine.due_partitions: to be listed now */
	bool listing, again; /* a list is under way or being evaluated; another must follow */
	uint8_t list_tries, list_failures;
};

/* A GUID of our range that is listed though nobody of ours sits there. */
enum stray_state {
	STRAY_SEEN,
	STRAY_QUEUED,
	STRAY_SENT,
	STRAY_CHECK,   /* on its way out */
	STRAY_REMOVED, /* gone; remembered, to notice when somebody puts it back */
};

struct sighting { /* all strays of one GUID */
	struct hash_node node;
	struct chain strays;
	struct guid guid;
	uint32_t n, listed; /* listed: those that are not STRAY_REMOVED */
};

struct stray {
	struct chain in_sighting, in_partition, in_queue; /* in_queue: also engine.tombstones */
	struct sighting *sighting;
	struct partition *partition;
	uint64_t seen[2];
	uint64_t after;
	int64_t first_seen;
	uint8_t state, counted; /* counted: enum stray_class + 1 */
	bool limited, index0;
	bool tried;         /* its removal was sent */
	bool tried_again;   /* twice: the one may land when the other has done it */
	bool sighted, ripe; /* a complete list showed it; two did, far enough apart */
	uint32_t foreign;   /* epoch in which it came back after removal; 0: never */
};

enum stray_class { STRAY_NOT_OURS, STRAY_ORPHAN, STRAY_UNEXPECTED, STRAY_FOREIGN, STRAY_GONE, STRAY_CLASSES };

struct list {
	struct chain in_lists; /* engine.lists, then engine.finished */
	uint64_t id, seq;
	struct partition *partition; /* NULL: all */
	int64_t handed_at, done_at;
	uint64_t in_range; /* members of our range that it showed */
	bool overflow;     /* more strays than can be remembered */
};

struct write {
	uint64_t id; /* 0: none under way */
	struct queue *queue;
	struct chain items;
	size_t n;
	bool is_join;
};

struct guid_wait {
	struct hash_node node;
	struct chain waiting;
	struct guid guid;
};

struct event {
	struct chain in_events;
	bool network, warning;
	const char *reason;
	char *namespace, *name, *uid, *text;
};

enum { LISTS_MAX = 4, READS_MAX = 32, EVENTS_MAX = 10000, STRAYS_MAX = 1000000, TOMBSTONES_MAX = 10000 };
enum { GONE_MAX = 4096 };
enum { STRAYS_OF_GUID_MAX = 256, KEPT_BYTES_MAX = 32 << 20, SLICE = 1000 };

/* What a step weighs in a slice: about a microsecond each. */
enum { DECISION_COST = 4, POD_COST = 40 };

/* Where a sliced evaluation of a list stands. */
enum sweep_part { SWEEP_SEATS, SWEEP_STRAYS, SWEEP_REMOVALS };

struct engine {
	struct engine_options options;
	struct text **shared; /* the shared namespaces, NULL at the end */
	bool limited;         /* options.limited is wanted and allowed */
	struct guid_pool *pool;
	uint64_t seed, seq, ids;
	int64_t now;
	int64_t wall_offset;
	int64_t since_max; /* largest record `since` ever seen or issued */
	bool touched;      /* a fact came in since engine_next() was last asked */

	struct hash texts, nets_by_name, spaces_by_name, pods_by_uid, holders, sightings, guid_waits, awaiters;
	struct chain nets, spaces, pods, gone_pods, partitions;
	struct partition **by_pkey; /* PKEY_COUNT of them */
	struct wakes wakes;

	enum engine_phase phase;
	int64_t quiet_until;
	bool quiet_over; /* a dead leader's writes have all landed */
	bool was_settled, settled, latched;
	uint64_t confirmed_orphans; /* how many there were when the operator confirmed */
	uint32_t epoch;             /* of confirmations */

	struct {
		bool synced, listing;
		uint64_t mark;
	} pods_sync, nets_sync, spaces_sync;
	struct chain *vanish_at;    /* walk over pods after a list of them; NULL: none */
	struct chain *phase_at;     /* walk over pods of the present phase; NULL: none */
	struct chain *reconcile_at; /* walk over pods once the networks are known; NULL: none */

	struct chain work[WORK_READ + 1], requesting;
	unsigned patches, reads;
	size_t kept_bytes; /* of the annotations of pods that are kept */
	struct chain dirty_nets, dirty_spaces, decisions, pool_waiting;
	struct chain *space_at; /* walk over the pods of the first dirty namespace */
	struct chain *net_at;   /* walk over pending attachments of the first dirty net */
	struct wake pool_wake;
	bool pool_try, pool_turn; /* something may be free; the first in the line is being tried */
	bool list_pods;
	bool fresh_asked, fresh_listing, fresh; /* the list of pods that began after we got the Lease */
	bool more;                              /* sliced work is left */
	uint64_t n_unconfirmed;                 /* resting attachments that no list has confirmed yet */
	int64_t listed_all_at;                  /* when the last complete list was handed out */

	struct chain ring, ring_remove;
	size_t queued;          /* seats in queues of the ring */
	struct write writes[2]; /* the second only when broken on purpose */
	struct wake write_wake;
	int64_t write_not_before; /* credentials are refused */
	uint8_t auth_failures;
	size_t last_write_n;
	int64_t last_write_done;

	struct chain lists, finished, due_partitions;
	unsigned n_lists;
	bool listing_all, audit_due, listed;
	struct wake audit_wake;
	uint8_t audit_failures;
	int64_t last_audit, second_list_at;
	struct list *recent; /* the one members came for last */
	struct {
		struct partition *partition;
		struct chain *at;
		enum sweep_part part;
		bool running;
		bool judged_later; /* some write was answered after this list was sent */
		bool open;         /* something still waits for its confirmation */
	} sweep;

	uint64_t n_attachments[ATTACHMENT_STATES];
	uint64_t n_blocked, n_missing, n_pods, n_networks, n_strays, n_tombstones, n_ripe;
	uint64_t strays[STRAY_CLASSES];
	uint64_t in_range; /* of the last complete list */
	bool stray_overflow;
	struct chain tombstones, foreigners;
	uint64_t n_ungated;
	uint64_t done_joins, done_leaves, done_lists, done_patches;

	struct chain events;
	size_t n_events;

	struct chain awaited, changed;
	struct chain *await_at; /* walk over who waits after a network changed; NULL: none */
	uint64_t net_changes;
	uint64_t tellings;       /* counted only when broken on purpose */
	uint64_t gone[GONE_MAX]; /* hashes of the uids of pods that went last */
	size_t gone_at;

	/* Borrowed to the caller until the next call. */
	struct event *said;
	char *told;
	struct guid *guids;
	struct pod_publication *publications;
	char *record;
};

/* engine_text.c: shared texts */
struct text *engine_text(struct engine *e, const char *s);
struct text *engine_text_ref(struct text *text);
void engine_text_drop(struct engine *e, struct text *text);

/* engine_networks.c: networks, namespaces, and what they allow */
struct net *engine_net_get(struct engine *e, const char *namespace, const char *name);
void engine_net_drop(struct engine *e, struct net *net);         /* one reference less */
void engine_net_live(struct engine *e, struct net *net, int by); /* so many more attachments use it */
void engine_networks_lead(struct engine *e);                     /* what is to be said of networks may be said now */
void engine_networks_work(struct engine *e, size_t *budget);
struct space *engine_space_get(struct engine *e, const char *name);
void engine_space_leave(struct engine *e, struct engine_pod *p);
void engine_networks_free(struct engine *e);

/* engine_elements.c: which attachments a pod asks for */
void engine_pod_reconcile(struct engine *e, struct engine_pod *p);
struct attachment *engine_pod_replace(struct engine *e, struct attachment *old); /* a new one for the same element */

/* engine_pods.c: their coming and going */
struct engine_pod *engine_pod_find(const struct engine *e, const char *uid);
void engine_pods_work(struct engine *e, size_t *budget);
void engine_pod_set_work(struct engine *e, struct engine_pod *p, enum pod_work work);
void engine_pod_forget(struct engine *e, struct engine_pod *p); /* its struct pod is not needed any more */
void engine_pod_unref(struct engine *e, struct engine_pod *p);  /* frees one that is gone and has no attachment */
void engine_pod_over(struct engine *e, struct engine_pod *p, bool unsure);
void engine_pod_want_read(struct engine *e, struct engine_pod *p);
void engine_pod_start_request(struct engine *e, struct engine_pod *p, struct engine_action *action); /* one at a time */
bool engine_next_read(struct engine *e, struct engine_action *action);
void engine_pods_free(struct engine *e);

/* engine_attachment.c: the life of one attachment */
struct attachment *engine_attachment_new(struct engine *e, struct engine_pod *p, struct net *net, unsigned seats_max);
void engine_attachment_state(struct engine *e, struct attachment *a, enum attachment_state to);
void engine_attachment_block(struct engine *e, struct attachment *a, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same without an Event: it will pass by itself. */
void engine_attachment_hold(struct engine *e, struct attachment *a, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void engine_attachment_unblock(struct engine *e, struct attachment *a);
void engine_attachment_unwait(struct engine *e, struct attachment *a);
void engine_attachment_wait(struct engine *e, struct attachment *a, enum attachment_wait wait, struct chain *list);
void engine_attachment_reserve(struct engine *e, struct attachment *a, struct guid guid); /* the pool holds it */
void engine_attachment_displace(struct engine *e, struct attachment *a);                  /* an older record's claim */
void engine_attachment_settle(struct engine *e, struct attachment *a); /* its state follows its seats */
void engine_attachment_end(struct engine *e, struct attachment *a, bool unsure);
void engine_attachment_left(struct engine *e, struct attachment *a);    /* a seat has been left: perhaps all */
void engine_attachment_back(struct engine *e, struct attachment *a);    /* resting, but listed: leave again */
void engine_attachment_confirm(struct engine *e, struct attachment *a); /* resting: a seat was confirmed */
void engine_attachment_woken(struct engine *e, struct attachment *a);
void engine_attachment_free(struct engine *e, struct attachment *a);
struct attachment *engine_find_holder(const struct engine *e, struct guid guid);
void engine_guid_freed(struct engine *e, struct guid guid); /* free, or listed no more: who waits for it may try */
void engine_guid_block(struct engine *e, struct guid guid); /* the pool's mark follows what we know */
static inline bool attachment_is_fixed(const struct attachment *a)
{
	return a->published || a->by_record || a->in_patch || a->perhaps || a->state == ATTACHMENT_MEMBER ||
	       a->state == ATTACHMENT_PUBLISHED;
}
static inline bool attachment_is_over(const struct attachment *a)
{
	return a->state == ATTACHMENT_LEAVING || a->state == ATTACHMENT_RESTING;
}
static inline struct attachment *seat_attachment(struct seat *seat)
{
	return container_of(seat - seat->number, struct attachment, seats);
}

/* engine_decide.c: which GUID, which PKeys, or why not */
void engine_decide(struct engine *e, struct attachment *a);
void engine_claim_record(struct engine *e, struct attachment *a);
void engine_adopt(struct engine *e, struct attachment *a);
void engine_network_changed(struct engine *e, struct attachment *a);
void engine_space_changed(struct engine *e, struct attachment *a);
void engine_decide_work(struct engine *e, size_t *budget);
void engine_guid_unwait(struct engine *e, struct guid guid); /* one waits less: drops the list when it is empty */

/* engine_queues.c: what waits to be written */
struct partition *engine_partition(struct engine *e, struct pkey pkey);
void engine_queue_enter(struct engine *e, struct queue *queue); /* into the ring, if it may be served */
void engine_queue_quit(struct engine *e, struct queue *queue);
void engine_queue_count(struct engine *e, struct queue *queue, int by);
void engine_queue_push(struct engine *e, struct queue *queue, struct chain *link, enum lane lane);
struct chain *engine_queue_first(const struct queue *queue);     /* NULL: empty */
void engine_queue_served(struct engine *e, struct queue *queue); /* the next turn is somebody else's */
void engine_queue_pause(struct engine *e, struct queue *queue);  /* one failure more */
struct queue *engine_queue_of(const struct seat *seat);
void engine_seat_join(struct engine *e, struct seat *seat);
void engine_seat_leave(struct engine *e, struct seat *seat);
void engine_seat_hurry(struct engine *e, struct seat *seat); /* somebody waits for its pod */
void engine_seat_again(struct engine *e, struct seat *seat); /* its write failed: first in its queue */
void engine_seat_unqueue(struct engine *e, struct seat *seat);
bool engine_seat_held_back(const struct engine *e, const struct seat *seat);
void engine_seat_hold_back(struct engine *e, struct seat *seat);
void engine_stray_remove(struct engine *e, struct stray *stray);
void engine_stray_unqueue(struct engine *e, struct stray *stray);
int64_t engine_backoff(const struct engine *e, unsigned failures, int64_t first, int64_t most, uint64_t salt);

/* engine_writes.c: the write under way */
bool engine_next_write(struct engine *e, struct engine_action *action);

/* engine_lists.c: lists and what they say about seats */
void engine_want_list(struct engine *e, struct partition *partition, int64_t at);
void engine_read_back(struct engine *e, struct partition *partition); /* a write to it was answered */
bool engine_next_list(struct engine *e, struct engine_action *action);
void engine_lists_work(struct engine *e, size_t *budget);
void engine_lists_free(struct engine *e);

/* engine_strays.c: listed without an owner of ours */
struct sighting *engine_sighting(const struct engine *e, struct guid guid);
struct stray *engine_stray_find(const struct engine *e, struct guid guid, const struct partition *partition);
struct stray *engine_stray_add(struct engine *e, struct guid guid, struct partition *partition);
void engine_stray_free(struct engine *e, struct stray *stray);
void engine_stray_listed(struct engine *e, struct list *list, struct pkey pkey, const struct member *member);
void engine_stray_judge(struct engine *e, const struct list *list, struct stray *stray);
void engine_strays_classify(struct engine *e, struct guid guid); /* its holder changed */
void engine_strays_listed_all(struct engine *e);                 /* a complete list was evaluated: the brake */
bool engine_may_remove(const struct engine *e);
bool engine_stray_wants_removal(const struct engine *e, const struct stray *stray);
void engine_strays_confirmed(struct engine *e);
void engine_strays_free(struct engine *e);

/* engine_records.c: what is signed */
/* Notes which record stands in the annotation.  Returns it when it is valid and was not known; the caller frees it. */
struct record *engine_record_seen(struct engine *e, struct engine_pod *p, const struct pod *pod);
bool engine_stands_as_recorded(struct engine *e, struct engine_pod *p); /* annotation and claims agree */
bool engine_record_is_right(struct engine *e, const struct engine_pod *p, uint64_t *content); /* nothing to write */
void engine_make_record(struct engine *e, struct engine_pod *p); /* into engine.record, for the patch to come */

/* engine_publish.c: annotations */
bool engine_is_included(const struct engine *e, const struct attachment *a); /* the annotation is to name it */
void engine_publish_work(struct engine *e, size_t *budget);
bool engine_next_patch(struct engine *e, struct engine_action *action);

/* engine_await.c: pods that somebody waits for */
void engine_pod_tell_now(struct engine *e, const struct engine_pod *p);
/* Something that can be seen of it has changed. */
static inline void engine_pod_tell(struct engine *e, const struct engine_pod *p)
{
	if (p->awaited)
		engine_pod_tell_now(e, p);
}
void engine_tell_all(struct engine *e);
void engine_await_known(struct engine *e, struct engine_pod *p);
void engine_await_gone(struct engine *e, struct engine_pod *p);
void engine_await_network(struct engine *e, struct net *net); /* its definition has changed */
void engine_await_work(struct engine *e, size_t *budget);
bool engine_next_changed(struct engine *e, struct engine_action *action);
void engine_await_free(struct engine *e);

/* engine_work.c: what is done in slices, and what is handed out */
void engine_say(struct engine *e, const struct engine_pod *p, bool warning, const char *reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void engine_say_network(struct engine *e, const struct net *net, const char *reason, const char *text); /* a warning */
void engine_touch(struct engine *e, int64_t now); /* a fact came in */
void engine_events_free(struct engine *e);

/* Costly steps weigh more than one in a slice. */
static inline void engine_spend(size_t *budget, size_t cost)
{
	*budget -= *budget < cost ? *budget : cost;
}

/* engine_start.c: what a new leader does, in order */
void engine_start_work(struct engine *e, size_t *budget);
