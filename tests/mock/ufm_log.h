#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tests/mock/ufm_accounts.h"
#include "tests/mock/ufm_call.h"

/* The last requests and the counts over all of them.  Bounded: the oldest give way.  Pure. */

enum {
	UFM_LOG_ENTRIES = 20000,
	UFM_LOG_BODY_MAX = 64 << 10,
	UFM_LOG_BYTES_MAX = 64 << 20,
	UFM_LOG_PATH_MAX = 8192,
	UFM_LOG_CLIENT_MAX = 512
};

enum ufm_outcome { UFM_OUTCOME_OPEN, UFM_OUTCOME_ANSWERED, UFM_OUTCOME_RESET, UFM_OUTCOME_GONE, UFM_OUTCOMES };

struct ufm_log_entry {
	uint64_t seq; /* from 1 */
	int64_t wall_ms, started_ms, duration_ms;
	int64_t wall_us;            /* the same as wall_ms, finer: for measurements */
	char *client;               /* as its User-Agent says; NULL: it does not */
	char *method, *path, *body; /* body NULL: none, or one that holds a credential */
	size_t body_len;            /* before it was cut */
	enum ufm_operation operation;
	unsigned pkey; /* UFM_PKEY_COUNT: none */
	size_t guids;
	enum ufm_auth auth;
	bool admitted;
	const char *fault; /* static; NULL: none */
	int status;        /* 0: no answer */
	enum ufm_outcome outcome;
};

struct ufm_stats {
	uint64_t requests, reads, writes, refused; /* refused: answered 4xx, 5xx */
	uint64_t operations[UFM_OPERATIONS];
	uint64_t guids, guids_least, guids_most, guid_writes; /* of add, set and remove */
	uint64_t unusable_guids;                              /* writes naming 0000000000000000 or ffffffffffffffff */
	uint64_t overlapping_writes;                          /* writes that began while another was being worked on */
	uint64_t overlap_most;                                /* at a time; 1: never two */
	uint64_t overlapping_hung; /* writes that began while one that a fault keeps unanswered was not given up */
};

struct ufm_log;
struct ufm_log *ufm_log_new(void);
void ufm_log_free(struct ufm_log *log);
void ufm_log_clear(struct ufm_log *log); /* seq goes on */
void ufm_log_clear_stats(struct ufm_log *log);
struct ufm_stats *ufm_log_stats(struct ufm_log *log);
/* Copies what `entry` points at and gives it a seq. */
uint64_t ufm_log_begin(struct ufm_log *log, const struct ufm_log_entry *entry);
/* Still there, or NULL. */
struct ufm_log_entry *ufm_log_find(struct ufm_log *log, uint64_t seq);
void ufm_log_end(struct ufm_log *log, uint64_t seq, enum ufm_outcome outcome, int status, int64_t now_ms);

struct ufm_log_filter {
	uint64_t after;                               /* entries with a larger seq */
	uint64_t limit;                               /* 0: all */
	const char *method, *path_prefix, *operation; /* NULL: any */
	bool writes_only, without_bodies;
};
bool ufm_log_has(const struct ufm_log *log, const struct ufm_log_filter *filter);
void ufm_log_print(const struct ufm_log *log, const struct ufm_log_filter *filter, struct buf *json);
void ufm_log_print_stats(const struct ufm_log *log, struct buf *json); /* an object, not closed */
