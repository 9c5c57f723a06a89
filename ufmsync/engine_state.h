#pragma once

#include "base/chain.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ufmsync/engine.h"
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
	WAKE_TELL,
};

/* A text that many share: namespace names, interfaces, PKeys as networks write them. */
struct text {
	struct hash_node node;
	uint32_t refs;
	char s[];
};

struct node {
	struct hash_node in_nodes;
	uint32_t refs;  /* pods */
	uint32_t pkeys; /* distinct ones of its live attachments */
	char name[];
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

/* What its owner is to be told; engine_told.c. */
enum news { NEWS_NONE, NEWS_BLOCKED = 1, NEWS_ASSIGNED = 2, NEWS_MEMBER = 4, NEWS_RELEASED = 8 };

enum attachment_wait { WAIT_NOT, WAIT_SPACE, WAIT_GUID, WAIT_POOL, WAIT_DECISION };

struct attachment {
	struct hash_node by_guid; /* engine.holders: from being reserved to the end of its rest */
	struct chain in_pod, in_net;
	struct chain in_wait; /* without a GUID: for one, or what it needs first; else engine.coming, engine.going */
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
	uint8_t news;      /* enum news, several at a time */
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
	bool published_early : 1;                 /* before it was a member: UFMSYNC_GATE=assigned */
	bool used : 1;                            /* somebody may know the GUID: it must rest */
	bool unsure : 1;                          /* its last user may still be alive: rests long */
	bool rested : 1;                          /* resting: its time is over, only the confirmation is missing */
	bool unconfirmed : 1;                     /* counted in engine.n_unconfirmed */
	bool time_member : 1, time_published : 1; /* still to be noted */
	uint32_t clock;                           /* low bits of `now`: since when it has been on its way */
	struct seat seats[];
};

enum pod_work { WORK_NONE, WORK_REVIEW, WORK_PATCH, WORK_READ };

struct engine_pod {
	struct hash_node by_uid;
	struct chain in_pods; /* engine.pods */
	struct chain attachments;
	struct chain in_work;               /* engine.work[], or engine.requesting while a request is under way */
	struct chain in_saying, in_telling; /* engine.saying; engine.unanswered or engine.standing */
	struct wake wake;
	struct pod *pod; /* its last state, while something is to be decided or patched; else NULL */
	struct space *space;
	struct chain in_space;
	struct node *node;
	const char *name; /* behind the uid in `text` */
	uint64_t mark;
	uint64_t request;                 /* of the patch or read under way, else 0 */
	uint64_t record_text;             /* hash of the record that stands in the annotation */
	uint64_t record_content;          /* hash of what it says; 0: nothing valid */
	uint64_t written;                 /* hash of what the record said that we wrote, or found to be right */
	uint64_t sent_text, sent_content; /* of the patch under way */
	char *problem, *refusal; /* last said of its annotation, and of the patch that was refused; NULL: nothing */
	int64_t since;           /* of its record */
	int64_t retry_at, patched_at, tell_at;
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
	bool said_assigned : 1;
	bool tell_problem : 1, tell_refusal : 1; /* news, as engine_told.c has them */
	bool standing : 1;                       /* which one of the two it is in */
	bool stands : 1;                         /* the annotation says what is decided, as far as we know */
	bool seen_again : 1;                     /* it came again while its patch was under way */
	bool unwritten : 1;                      /* counted in engine.n_unwritten */
	bool awaited : 1;                        /* there is an awaiter */
	bool provisional : 1;                    /* read for somebody who waits, never shown by the watch */
	char text[];                             /* uid, NUL, name */
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

enum stray_class { STRAY_NOT_OURS, STRAY_ORPHAN, STRAY_UNEXPECTED, STRAY_FOREIGN, STRAY_GONE, STRAY_CLASSES };

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
	uint32_t members[2], missing; /* seats of live attachments: full, limited; those counted in engine.n_missing */
	uint32_t classes[STRAY_CLASSES];
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
	bool named;         /* an operator asked for its removal, while it was an orphan */
	uint32_t foreign;   /* epoch in which it came back after removal; 0: never */
};

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

	struct engine_tally *tally, own_tally;
	struct hash texts, nets_by_name, spaces_by_name, pods_by_uid, holders, sightings, guid_waits, awaiters;
	struct chain nets, spaces, pods, gone_pods, partitions;
	struct partition **by_pkey; /* PKEY_COUNT of them */
	struct wakes wakes;

	enum engine_phase phase;
	bool observing; /* nothing is given, written or said */
	int64_t quiet_until;
	int64_t doubt_until; /* the same, if this cluster is not new; 0 once that is known */
	bool quiet_over;     /* a dead leader's writes have all landed */
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
	uint64_t n_to_write[2]; /* in all queues: to join, to leave */
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
	uint64_t strays_revision;
	uint32_t *listed_of, *listing_of; /* members by PKey, of the last complete list and of the one coming in */
	bool stray_overflow;
	struct chain tombstones, foreigners;
	uint64_t n_ungated;
	uint64_t n_wanted;          /* seats of live attachments */
	uint64_t n_unwritten;       /* pods whose annotation is to be written */
	struct chain coming, going; /* attachments that have a GUID and are not through, those that leave */
	struct hash nodes, node_pkeys;
	uint32_t *nodes_with; /* nodes by their number of PKeys */
	uint32_t node_pkeys_max;
	uint64_t nodes_over; /* of them with more than a port holds */
	uint64_t done_joins, done_leaves, done_lists, done_patches;

	struct chain events, saying, unanswered, standing;
	struct wake tell_wake;
	bool tell_due;
	char *list_trouble, *write_trouble; /* why the complete list, or a write, failed last; NULL: it did not */
	size_t n_events;

	struct chain awaited, changed;
	struct chain *await_at; /* walk over who waits after a network changed; NULL: none */
	uint64_t net_changes;
	uint64_t tellings;       /* counted only when broken on purpose */
	uint64_t gone[GONE_MAX]; /* hashes of the uids of pods that went last */
	size_t gone_at;

	/* Borrowed to the caller until the next call. */
	char place[GUID_TEXT_MAX + 1];
	struct event *said;
	char *told;
	struct guid *guids;
	struct pod_publication *publications;
	char *record;
};
