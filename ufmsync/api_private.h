#pragma once

/* What the files api*.c share; nobody else includes this. */

#include "base/chain.h"
#include "base/mem.h"
#include "ufmsync/api.h"

enum { API_LIMIT = 500, API_LIMIT_MAX = 5000, API_REMOVE_MAX = 500, API_CALLS_MAX = 64 };
enum { API_SLICE_NS = 800 * 1000 };

enum api_key {
	API_KEY_LIMIT,
	API_KEY_CONTINUE,
	API_KEY_NAMESPACE,
	API_KEY_POD,
	API_KEY_NODE,
	API_KEY_PKEY,
	API_KEY_STATE,
	API_KEYS
};

struct api {
	struct loop *loop;
	struct api_world world;
	int64_t slice_ns; /* of a turn of the loop; what others did in it counts.  Tests take less */
	struct chain calls;
	unsigned n_calls;
	uint64_t listings; /* the number that a listing got last */
	struct chain rubbish;
	struct loop_timer rubbish_timer;
	/* api_fabric.c */
	struct chain lists, counting, snapshots; /* counting: snapshots that are not complete yet */
	struct chain finding;                    /* calls that wait for the next list of all */
	unsigned n_lists, n_snapshots;
	bool listing_all;
	struct loop_timer expiry;
};

/* One call from its question to its answer.  A kind of call that takes more than one turn has it as its first member. */
struct api_call {
	struct api *api;
	struct chain in_calls, in_waiting; /* in_waiting: for a list of the fabric manager */
	void (*done)(void *aux, int status, const json_t *answer);
	void *aux;
	struct loop_timer timer;
	uint64_t turns; /* in which it worked, this one included */
	/* Works a little; true: there is more to do, and the call is still there. */
	bool (*step)(struct api_call *call);
	void (*end)(struct api_call *call); /* frees what the kind has of its own; NULL: nothing */
	struct api_snapshot *snapshot;      /* used, once it is there */
	json_t *items;
	size_t limit;
	uint64_t revision;
};

/* The question, as far as it was read; texts are borrowed from the request. */
struct api_question {
	const struct api_request *request;
	struct api *api;
	const char *name; /* what stands for {pkey} or {guid}; else "" */
	const char *query[API_KEYS];
	size_t limit;
	void (*done)(void *aux, int status, const json_t *answer);
	void *aux;
};

/* Handlers answer at once and return NULL, or return the call. */
typedef struct api_call *api_handler(struct api_question *question);

/* --- api.c --- */

/* A call of `size` bytes, zeroed behind its first member; `step` is called on turns to come once api_call_go() was. */
void *api_call_new(const struct api_question *question, size_t size, bool (*step)(struct api_call *call),
		   void (*end)(struct api_call *call));
void api_call_go(struct api_call *call);
/* Ends the call: `answer` is taken over. */
void api_call_answer(struct api_call *call, int status, json_t *answer);
void api_call_fail(struct api_call *call, int status, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* {"authoritative", "revision", "items", "continue"}, and what `extra` (taken over, may be NULL) has. */
void api_call_answer_list(struct api_call *call, json_t *extra, const char *again);
/* Answers at once; both return NULL. */
struct api_call *api_answer(const struct api_question *question, int status, json_t *answer);
struct api_call *api_fail(const struct api_question *question, int status, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Frees it in slices. */
void api_discard(struct api *api, json_t *items);

struct engine *api_engine(const struct api *api);
bool api_leads(const struct api *api);
/* False: answered already, as another replica leads (or, `lead`, as this one does not). */
bool api_may(const struct api_question *question, bool lead);

/* --- api_forms.c --- */

json_t *api_error(const char *code, const char *message);
json_t *api_text(const char *text); /* NULL is null; what is not UTF-8 is replaced */
json_t *api_guid(struct guid guid);
json_t *api_pkey(struct pkey pkey);
json_t *api_wall(int64_t wall_ms);
json_t *api_time(int64_t ms);                                 /* of loop_now_ms() */
json_t *api_time_or_null(int64_t ms);                         /* negative: null */
void api_put(json_t *object, const char *key, json_t *value); /* takes the value over; the key is ours, and ASCII */
void api_put_count(json_t *object, const char *key, uint64_t n);
void api_put_bool(json_t *object, const char *key, bool value);
/* Decimal digits alone; "" and what is larger than `most` are false.  *end is behind them (NULL: the text must end). */
bool api_number(uint64_t *out, const char *text, uint64_t most, const char **end);
/* False: answered, as there is a body that says something. */
bool api_no_body(const struct api_question *question);
bool api_pkey_parse(struct pkey *out, const char *text); /* that of management too */

/* --- api_attachments.c --- */
api_handler api_attachments;
json_t *api_attachment(const struct api *api, const struct attachment_view *view);
json_t *api_owner(const struct api *api, const struct attachment_view *view); /* a few of its fields */
/* By its record or, where a follower has none, by the annotation; false: none is known. */
bool api_view_guid(const struct attachment_view *view, struct guid *guid);

/* --- api_pkeys.c, api_members.c, api_guids.c, api_orphans.c, api_status.c --- */
api_handler api_pkeys, api_members, api_guid_of, api_orphans, api_orphans_remove, api_orphans_confirm, api_status,
	api_pool, api_audit;

/* --- api_index.c: whose a GUID is, where the engine keeps no such table, as it follows --- */

struct api_index;
struct api_index *api_index_new(struct api *api);
void api_index_free(struct api_index *index); /* NULL is fine */
/* Works a little; true: there is more to do. */
bool api_index_step(struct api_index *index);
/* NULL: nobody that is known. */
const struct attachment_view *api_index_find(const struct api_index *index, struct guid guid);
/* As engine_member_kind(); `index` NULL: a leader's engine knows.  *holder is NULL: nobody.  *certain: `right` is known. */
enum member_kind api_judge(const struct api *api, const struct api_index *index, struct pkey pkey,
			   const struct member *member, struct attachment_view *space,
			   const struct attachment_view **holder, bool *right, bool *certain);
const char *api_kind_name(enum member_kind kind);
bool api_has_pkey(const struct attachment_view *view, struct pkey pkey);
bool api_follows(const struct api *api);

/* --- api_fabric.c: lists of the fabric manager, shared by those who ask for the same --- */

enum {
	API_MEMBERS_MAX = 200 * 1000,
	API_SNAPSHOTS_MAX = 4,
	API_SNAPSHOT_MS = 60 * 1000,
	API_LISTS_MAX = 4,
	API_FINDING_MAX = 32
};

/* What a list of one PKey found, kept for those who page through it. */
struct api_snapshot {
	struct api *api;
	struct chain in_snapshots; /* unlinked: too old for anybody new */
	struct chain waiting;      /* calls, until it is complete */
	struct loop_timer timer;   /* of what is counted once it is there */
	unsigned users;
	uint64_t revision;
	struct pkey pkey;
	int64_t wall_ms, until_ms;
	struct member *members;
	size_t n, capacity, counted;
	bool exists, too_many;   /* the fabric manager knows the PKey; has more members than are taken */
	struct api_index *index; /* of a follower */
	uint64_t full, kinds[MEMBER_KINDS];
};

/* `call` waits for a list of this PKey, one that is under way too; its step() is called once api_snapshot is there.
 * False: answered. */
bool api_fabric_ask(struct api_call *call, struct pkey pkey);
/* Of an earlier page; NULL: not kept any more. */
struct api_snapshot *api_snapshot_find(const struct api *api, uint64_t revision);
void api_snapshot_use(struct api_snapshot *snapshot);
void api_snapshot_drop(struct api_snapshot *snapshot); /* NULL is fine */
void api_snapshots_expire(struct api *api);
void api_fabric_free(struct api *api);

/* What the fabric manager says of one GUID's virtual port. */
enum api_port_known { API_PORT_UNTOLD, API_PORT_UNKNOWN, API_PORT_ABSENT, API_PORT_SEEN };

/* Where the fabric manager lists one GUID.  Every PKey is listed for it, once for all who ask meanwhile. */
struct api_finding {
	struct api_call call;
	struct guid guid;
	int64_t wall_ms;
	struct pkey *pkeys; /* n of each */
	struct member *members;
	size_t n;
	enum api_port_known port_known; /* UNTOLD: this fabric manager cannot tell; UNKNOWN: it did not */
	struct pkey_port port;          /* SEEN */
	char *port_note;                /* UNKNOWN: why; ABSENT: what that means */
};
bool api_fabric_find(struct api_finding *finding); /* as api_fabric_ask() */
