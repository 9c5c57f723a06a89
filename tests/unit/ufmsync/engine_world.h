#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ufmsync/engine.h"

/* A tiny world around one engine: a fabric manager that does what it is told, an API server that holds pods, a clock
 * that stands still unless it is moved.  Everything the engine asks for is written into a transcript. */

enum { WORLD_PODS = 64, WORLD_MEMBERS = 4096, WORLD_HELD = 256 };

struct world_pod {
	json_t *object; /* as the API server holds it; NULL: free */
};

struct world_member {
	struct pkey pkey;
	struct member member;
};

struct world_write {
	uint64_t id;
	bool is_join;
	struct pkey_class class;
	struct guid guids[500];
	size_t n;
};

struct world_list {
	uint64_t id;
	bool all;
	struct pkey pkey;
	struct world_member *members; /* as of when it was sent */
	size_t n;
};

struct world {
	struct engine *engine;
	struct engine_options options;
	struct record_keys *keys;
	int64_t now;
	struct world_pod pods[WORLD_PODS];
	struct world_member members[WORLD_MEMBERS];
	size_t n_members;
	char *log; /* what was asked for since the last world_expect(): one line each */
	/* What the world does with requests; all false: everything is done at once. */
	bool hold_writes, hold_lists, hold_patches;
	enum error_kind write_error; /* next writes fail so (ERROR_NONE: they do not) ... */
	bool applied;                /* ... though they were applied */
	bool late;                   /* writes are accepted, and not done */
	struct guid bad_guid;        /* a write that holds it is refused */
	enum engine_patched patch_answer;
	bool blind;      /* the watch of pods shows nothing */
	bool reads_fail; /* READ_POD is not answered but by a failure */
	struct world_write writes[8];
	size_t n_writes;
	struct world_list lists[8];
	size_t n_lists;
	uint64_t patches[WORLD_HELD];
	size_t n_patches;
	bool lost[WORLD_MEMBERS];
	const char *mute; /* kinds of lines that are not written into the log, e.g. "LIST EVENT" */
};

struct world *world_new(void);          /* options may be changed until world_engine() */
void world_engine(struct world *world); /* a new engine, without any fact; the old one is dropped */
void world_tell(struct world *world);   /* lists pods, networks and namespaces to it */
void world_lead(struct world *world, bool settled);
void world_start(struct world *world); /* engine, tell, lead (settled), run */
void world_free(struct world *world);

void world_network(struct world *world, const char *name, const char *config);  /* "ns/name"; NULL deletes */
void world_namespace(struct world *world, const char *name, const char *pkeys); /* NULL: without the annotation */
void world_pod(struct world *world, const char *name, const char *networks);    /* "ns/name": its uid is "uid-name" */
void world_annotate(struct world *world, const char *name, const char *key, const char *value);
const char *world_annotation(struct world *world, const char *name, const char *key);
void world_pod_phase(struct world *world, const char *name, const char *phase);
void world_pod_terminate(struct world *world, const char *name); /* grace period of 30 s */
enum world_end { WORLD_ENDED, WORLD_FORCED, WORLD_SILENT };      /* containers ended; nothing known; no DELETED event */
void world_pod_delete(struct world *world, const char *name, enum world_end how);

void world_run(struct world *world);              /* until the engine asks for nothing more now */
void world_pass(struct world *world, int64_t ms); /* lets time go by, serving every deadline on the way */
void world_write_answer(struct world *world, enum error_kind kind, bool applied); /* the held write */
void world_list_answer(struct world *world);                                      /* the oldest held list */
void world_patch_answer(struct world *world, enum engine_patched how);

void world_member_set(struct world *world, uint16_t pkey, uint64_t guid, bool index0);
void world_member_drop(struct world *world, uint16_t pkey, uint64_t guid);
bool world_is_member(const struct world *world, uint16_t pkey, uint64_t guid);
size_t world_count(const struct world *world, uint16_t pkey);

/* The GUID and state of the pod's first, second ... attachment, in any state; 0 and ATTACHMENT_STATES: none. */
uint64_t world_guid(const struct world *world, const char *pod, int index);
enum attachment_state world_state(const struct world *world, const char *pod, int index);
const char *world_blocked(const struct world *world, const char *pod, int index); /* "" when not */
void world_expect(struct world *world, const char *lines); /* asserts the transcript since the last call, empties it */
void world_forget(struct world *world);                    /* empties the transcript */
bool world_said(const struct world *world, const char *text); /* the transcript holds the text */

bool world_await(struct world *world, const char *pod);
void world_await_no_more(struct world *world, const char *pod);
void world_found(struct world *world, const char *pod); /* somebody who waits has read it */
/* The pod's attachment that is not over; texts borrowed; pod_name NULL: none. */
struct attachment_view world_view(const struct world *world, const char *pod, int index);

#define IB(pkey)   "{\"type\":\"ib-sriov\",\"pkey\":\"" pkey "\",\"ibKubernetesEnabled\":true}"
#define IB_NO_PKEY "{\"type\":\"ib-sriov\"}"
#define GUID_1     0x0200000000000010u /* the first of the pool in these worlds */
