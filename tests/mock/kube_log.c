#include "tests/mock/kube_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { BODY_SHOWN = 4096 };

struct entry {
	uint64_t number; /* 0: empty */
	json_t *json;
};

struct mkube_log {
	struct entry *ring;
	size_t max;
	uint64_t next;
	json_t *counts, *statuses;
	int patches, patches_max;
};

struct mkube_log *mkube_log_new(size_t max)
{
	struct mkube_log *log = mem_alloc(sizeof *log);

	log->max = max > 0 ? max : 1;
	log->ring = mem_array(log->max, sizeof *log->ring);
	log->next = 1;
	log->counts = json_object();
	log->statuses = json_object();
	return log;
}

void mkube_log_clear(struct mkube_log *log)
{
	for (size_t i = 0; i < log->max; i++) {
		json_decref(log->ring[i].json);
		log->ring[i] = (struct entry){ 0 };
	}
}

void mkube_log_free(struct mkube_log *log)
{
	if (!log)
		return;
	mkube_log_clear(log);
	json_decref(log->counts);
	json_decref(log->statuses);
	free(log->ring);
	free(log);
}

/* A text that may be cut or be no UTF-8 at all; NULL when it is no text. */
static json_t *shown(const char *text, size_t len)
{
	json_t *string = NULL;

	if (len > BODY_SHOWN)
		len = BODY_SHOWN;
	for (unsigned less = 0; !string && less < 4 && less <= len; less++)
		string = json_stringn(text, len - less);
	return string ? string : json_string("(not UTF-8)");
}

static json_t *shown_text(const char *text)
{
	return shown(text ? text : "", text ? strlen(text) : 0);
}

uint64_t mkube_log_add(struct mkube_log *log, const struct mkube_log_entry *entry)
{
	struct entry *place = &log->ring[log->next % log->max];

	json_decref(place->json);
	place->number = log->next++;
	place->json =
		json_pack("{s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:i}", "seq", (json_int_t)place->number, "time_ms",
			  (json_int_t)entry->time_ms, "time_us", (json_int_t)entry->time_us, "method", entry->method,
			  "path", shown_text(entry->path), "query", shown_text(entry->query), "user_agent",
			  shown_text(entry->user_agent), "body", shown(entry->body, entry->body_len), "status", 0);
	return place->number;
}

void mkube_log_answered(struct mkube_log *log, uint64_t number, int status)
{
	struct entry *place = &log->ring[number % log->max];

	if (place->number == number && place->json)
		json_object_set_new(place->json, "status", json_integer(status));
}

json_t *mkube_log_list(const struct mkube_log *log, uint64_t since)
{
	uint64_t from = log->next > log->max ? log->next - log->max : 1;
	json_t *list = json_array();

	for (uint64_t number = since + 1 > from ? since + 1 : from; number < log->next; number++)
		if (log->ring[number % log->max].number == number)
			json_array_append(list, log->ring[number % log->max].json);
	return list;
}

static void count(json_t *counts, const char *what)
{
	json_object_set_new(counts, what, json_integer(json_int(counts, 0, what, NULL) + 1));
}

void mkube_log_count(struct mkube_log *log, const char *what)
{
	count(log->counts, what);
}

void mkube_log_count_status(struct mkube_log *log, int status)
{
	char text[16];

	snprintf(text, sizeof text, "%d", status);
	count(log->statuses, text);
}

void mkube_log_flight(struct mkube_log *log, int change)
{
	log->patches += change;
	if (log->patches > log->patches_max)
		log->patches_max = log->patches;
}

json_t *mkube_log_stats(const struct mkube_log *log)
{
	return json_pack("{s:O, s:O, s:i, s:i, s:I}", "requests", log->counts, "statuses", log->statuses,
			 "patches_in_flight", log->patches, "patches_max", log->patches_max, "last_request",
			 (json_int_t)(log->next - 1));
}

void mkube_log_reset_stats(struct mkube_log *log)
{
	json_object_clear(log->counts);
	json_object_clear(log->statuses);
	log->patches_max = log->patches;
}
