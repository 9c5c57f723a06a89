#include "ufmsync/ctl/history.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/print.h"

enum { WHAT_MAX = 1200, TIME_TEXT = 28 };

struct moment {
	int64_t at_ms;
	size_t order; /* of those at the same time, as they came */
	enum table_colour colour;
	char *what;
};

struct history {
	struct moment *moments;
	size_t n, room;
};

struct history *history_new(void)
{
	return mem_alloc(sizeof(struct history));
}

void history_free(struct history *history)
{
	if (!history)
		return;
	for (size_t i = 0; i < history->n; i++)
		free(history->moments[i].what);
	free(history->moments);
	free(history);
}

/* Without a time there is no place for it. */
__attribute__((format(printf, 4, 5))) static void add(struct history *history, const char *time,
						      enum table_colour colour, const char *format, ...)
{
	char what[WHAT_MAX];
	int64_t at_ms;
	va_list ap;

	if (!time || !json_time_ms(&at_ms, time))
		return;
	va_start(ap, format);
	vsnprintf(what, sizeof what, format, ap);
	va_end(ap);
	if (history->n == history->room) {
		history->room = history->room ? 2 * history->room : 16;
		history->moments = mem_resize(history->moments, history->room, sizeof *history->moments);
	}
	history->moments[history->n] = (struct moment){ at_ms, history->n, colour, mem_dup(what) };
	history->n++;
}

/* --- what knows something --------------------------------------------------------------------------------------- */

static void add_condition(struct history *history, const json_t *pod, const json_t *condition)
{
	const char *type = json_str(condition, "type", NULL), *status = json_str(condition, "status", NULL);
	const char *time = json_str(condition, "lastTransitionTime", NULL);
	const char *node = json_str(pod, "spec", "nodeName", NULL);

	if (!type || !status)
		return;
	if (strcmp(type, "PodScheduled") == 0 && strcmp(status, "True") == 0)
		add(history, time, TABLE_PLAIN, "bound to node %s", node ? node : "?");
	else if (strcmp(type, "Ready") == 0 && strcmp(status, "True") == 0)
		add(history, time, TABLE_GOOD, "its containers are ready");
}

static void add_container(struct history *history, const json_t *container)
{
	const char *name = json_str(container, "name", NULL);
	const json_t *state = json_object_get(container, "state"), *ended = json_object_get(state, "terminated");
	const char *reason = json_str(ended, "reason", NULL);

	add(history, json_str(state, "running", "startedAt", NULL), TABLE_PLAIN, "container %s started", name);
	add(history, json_str(ended, "startedAt", NULL), TABLE_PLAIN, "container %s started", name);
	add(history, json_str(ended, "finishedAt", NULL), TABLE_PLAIN, "container %s ended: %s", name,
	    reason ? reason : "no reason given");
}

void history_pod(struct history *history, const json_t *pod)
{
	const json_t *conditions = json_at(pod, "status", "conditions", NULL);
	const json_t *containers = json_at(pod, "status", "containerStatuses", NULL);

	add(history, json_str(pod, "metadata", "creationTimestamp", NULL), TABLE_PLAIN, "created");
	for (size_t i = 0; i < json_array_size(conditions); i++)
		add_condition(history, pod, json_array_get(conditions, i));
	for (size_t i = 0; i < json_array_size(containers); i++)
		add_container(history, json_array_get(containers, i));
	add(history, json_str(pod, "metadata", "deletionTimestamp", NULL), TABLE_WARNING,
	    "its grace period ends: it was deleted before that");
}

void history_attachment(struct history *history, const json_t *attachment)
{
	__attribute__((cleanup(mem_freep))) char *network = ctl_network(attachment, NULL);
	const char *state = json_str(attachment, "state", NULL), *guid = json_str(attachment, "guid", NULL);

	add(history, json_str(attachment, "since", NULL), ctl_state_colour(state ? state : ""), "%s: %s%s%s",
	    network ? network : "?", state ? state : "?", guid ? " with GUID " : "", guid ? guid : "");
}

/* The last time of a series; Events of old times have none of their own. */
static const char *time_of_event(const json_t *event)
{
	const char *last = json_str(event, "series", "lastObservedTime", NULL);

	if (!last)
		last = json_str(event, "deprecatedLastTimestamp", NULL);
	if (!last)
		last = json_str(event, "eventTime", NULL);
	return last ? last : json_str(event, "metadata", "creationTimestamp", NULL);
}

void history_event(struct history *history, const json_t *event)
{
	const char *type = json_str(event, "type", NULL), *reason = json_str(event, "reason", NULL);
	const char *note = json_str(event, "note", NULL), *who = json_str(event, "reportingController", NULL);
	int64_t count = json_int(event, json_int(event, 1, "deprecatedCount", NULL), "series", "count", NULL);
	bool warns = type && strcmp(type, "Warning") == 0;
	char times[32] = "";

	if (!who || !*who)
		who = json_str(event, "deprecatedSource", "component", NULL);
	if (count > 1)
		snprintf(times, sizeof times, " (%lld times)", (long long)count);
	add(history, time_of_event(event), warns ? TABLE_BAD : TABLE_PLAIN, "%s%s%s: %s%s", reason ? reason : "Event",
	    who ? ", " : "", who ? who : "", note ? note : "", times);
}

/* --- what is made of it ----------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct moment *one = *(const struct moment *const *)a, *other = *(const struct moment *const *)b;

	if (one->at_ms != other->at_ms)
		return one->at_ms < other->at_ms ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

/* In order of time; the caller frees the array. */
static const struct moment **sorted(const struct history *history)
{
	const struct moment **moments = mem_array(history->n, sizeof *moments);

	for (size_t i = 0; i < history->n; i++)
		moments[i] = &history->moments[i];
	if (history->n > 0)
		qsort(moments, history->n, sizeof *moments, compare);
	return moments;
}

/* Whole seconds: what most of it is known to. */
static void time_text(char out[TIME_TEXT], int64_t ms)
{
	json_micro_time(out, ms);
	memcpy(out + strlen("2026-01-02T03:04:05"), "Z", 2);
}

void history_print(const struct history *history, struct ctl *ctl)
{
	enum { TIME, AGE, WHAT, COLUMNS };
	static const struct table_column columns[COLUMNS] = { [TIME] = { .title = "TIME", .key = true },
							      [AGE] = { .title = "AGE", .moves = true },
							      [WHAT] = { .title = "WHAT HAPPENED", .key = true } };
	const struct moment **moments = sorted(history);
	struct table *table = table_new(columns, COLUMNS);
	int64_t now_ms = loop_wall_ms();

	for (size_t i = 0; i < history->n; i++) {
		char time[TIME_TEXT], age[CTL_AGE_MAX];

		time_text(time, moments[i]->at_ms);
		table_row(table,
			  (const char *const[COLUMNS]){
				  [TIME] = time, [AGE] = ctl_age(age, time, now_ms), [WHAT] = moments[i]->what });
		table_colour(table, WHAT, moments[i]->colour);
	}
	free(moments);
	ctl_print(ctl, table);
}

json_t *history_json(const struct history *history)
{
	const struct moment **moments = sorted(history);
	json_t *list = json_array();

	for (size_t i = 0; i < history->n; i++) {
		json_t *what = json_string(moments[i]->what);
		char time[TIME_TEXT];

		time_text(time, moments[i]->at_ms);
		json_array_append_new(list, json_pack("{s:s, s:o}", "time", time, "what", what ? what : json_null()));
	}
	free(moments);
	return list;
}
