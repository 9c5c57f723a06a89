#pragma once

#include <jansson.h>
#include <stdint.h>

/* The last requests, and counts of all of them. */
struct mkube_log;
struct mkube_log *mkube_log_new(size_t max);
void mkube_log_free(struct mkube_log *log);

struct mkube_log_entry {
	int64_t time_ms, time_us;                              /* the same, finer: for measurements */
	const char *method, *path, *query, *user_agent, *body; /* copied */
	size_t body_len;
};
/* Returns the entry's number, from 1. */
uint64_t mkube_log_add(struct mkube_log *log, const struct mkube_log_entry *entry);
void mkube_log_answered(struct mkube_log *log, uint64_t number, int status);
json_t *mkube_log_list(const struct mkube_log *log, uint64_t since); /* numbers above `since` */
void mkube_log_clear(struct mkube_log *log);

void mkube_log_count(struct mkube_log *log, const char *what); /* "patch pods" */
void mkube_log_count_status(struct mkube_log *log, int status);
void mkube_log_flight(struct mkube_log *log, int change); /* of patches */
json_t *mkube_log_stats(const struct mkube_log *log);
void mkube_log_reset_stats(struct mkube_log *log);
