#include "ufmsync/kube/event.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/kube/json_text.h"

enum {
	ENTRIES_MAX = 1000,
	IN_FLIGHT_MAX = 8,
	NOTE_MAX = 1024,
	ABOUT_IN_NAME_MAX = 220,    /* of 253 that a name may have */
	COST_MS = 100,              /* one event of the budget: 10 a second */
	BUDGET_MS = 100 * COST_MS,  /* the burst */
	SERIES_MS = 10 * 60 * 1000, /* after so long without it, the same again is a new event */
	UPDATE_MS = 60 * 1000,      /* a series is written at most so often */
	TRIES_MAX = 3,
	RETRY_MS = 500,
	REQUEST_MS = 10 * 1000,
};

enum state {
	STATE_DUE,  /* to be sent at due_ms */
	STATE_SENT, /* under way */
	STATE_IDLE, /* remembered, in case it comes again */
};

/* One event that was said, and how often since. */
struct entry {
	struct kube_events *events;
	TAILQ_ENTRY(entry) link;
	uint64_t hash;
	bool network;
	char *namespace, *about, *uid, *reason, *note, *action;
	bool warning;
	char *name; /* of the Event object */
	bool created;
	unsigned count, written;
	int64_t first_wall_ms, last_wall_ms;
	int64_t last_ms, sent_ms, due_ms;
	unsigned tries;
	enum state state;
	struct http_request *request; /* with STATE_SENT */
};

TAILQ_HEAD(entries, entry);

struct kube_events {
	struct loop *loop;
	struct kube *kube;
	char *controller, *instance;
	struct entries entries; /* in the order they were first said */
	unsigned n, in_flight;
	int64_t budget_ms, budget_at_ms;
	int64_t update_ms;
	struct loop_timer timer;
	uint64_t serial;
	unsigned long dropped;
};

/* --- entries --- */

static void entry_free(struct entry *entry)
{
	struct kube_events *events = entry->events;

	TAILQ_REMOVE(&events->entries, entry, link);
	events->n--;
	free(entry->namespace);
	free(entry->about);
	free(entry->uid);
	free(entry->reason);
	free(entry->note);
	free(entry->action);
	free(entry->name);
	free(entry);
}

static uint64_t hash_text(uint64_t h, const char *text)
{
	do
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	while (*text++);
	return h;
}

static uint64_t hash_event(const struct kube_event *event, const char *note)
{
	uint64_t h = 0xcbf29ce484222325;

	h = hash_text(h, event->network ? "network" : "pod");
	h = hash_text(h, event->namespace);
	h = hash_text(h, event->name);
	h = hash_text(h, event->uid);
	h = hash_text(h, event->reason);
	return hash_text(h, note);
}

static bool is_same(const struct entry *entry, uint64_t hash, const struct kube_event *event, const char *note)
{
	return entry->hash == hash && entry->network == event->network &&
	       strcmp(entry->namespace, event->namespace) == 0 && strcmp(entry->about, event->name) == 0 &&
	       strcmp(entry->uid, event->uid) == 0 && strcmp(entry->reason, event->reason) == 0 &&
	       strcmp(entry->note, note) == 0;
}

/* The entry of the same event, and, on the way, an end to those that nobody will say again. */
static struct entry *find(struct kube_events *events, const struct kube_event *event, const char *note, uint64_t hash,
			  int64_t now_ms)
{
	struct entry *entry, *next;

	for (entry = TAILQ_FIRST(&events->entries); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (entry->state == STATE_IDLE && now_ms - entry->last_ms > SERIES_MS)
			entry_free(entry);
		else if (is_same(entry, hash, event, note))
			return entry;
	}
	return NULL;
}

/* Room for one more: the oldest of those that only wait for a repetition makes way. */
static bool make_room(struct kube_events *events)
{
	struct entry *entry;

	if (events->n < ENTRIES_MAX)
		return true;
	TAILQ_FOREACH(entry, &events->entries, link)
	{
		if (entry->state == STATE_IDLE) {
			entry_free(entry);
			return true;
		}
	}
	return false;
}

/* "name.17f0a3b2c4d5e6f7"; a cut may not leave a '-' or '.' at the seam. */
static char *new_name(struct kube_events *events, const char *about)
{
	size_t len = strnlen(about, ABOUT_IN_NAME_MAX);

	while (len > 0 && strchr("-.", about[len - 1]))
		len--;
	uint64_t unique = (uint64_t)loop_wall_ms() * 1000 + events->serial++ % 1000;
	return mem_printf("%.*s.%016" PRIx64, (int)len, about, unique);
}

static struct entry *entry_new(struct kube_events *events, const struct kube_event *event, const char *note,
			       uint64_t hash)
{
	struct entry *entry = mem_alloc(sizeof *entry);

	*entry = (struct entry){
		.events = events,
		.hash = hash,
		.namespace = mem_dup(event->namespace),
		.network = event->network,
		.about = mem_dup(event->name),
		.uid = mem_dup(event->uid),
		.reason = mem_dup(event->reason),
		.note = mem_dup(note),
		.action = mem_dup(event->action),
		.warning = event->warning,
		.name = new_name(events, event->name),
		.first_wall_ms = loop_wall_ms(),
		.state = STATE_IDLE,
	};
	TAILQ_INSERT_TAIL(&events->entries, entry, link);
	events->n++;
	return entry;
}

/* --- what is sent --- */

static json_t *micro_time(int64_t wall_ms)
{
	char text[28];

	json_micro_time(text, wall_ms);
	return json_string(text);
}

static char *dump_and_drop(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text;
}

/* A uid that is not known is left out. */
static json_t *regarding(const struct entry *entry)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s*}", "apiVersion", entry->network ? "k8s.cni.cncf.io/v1" : "v1", "kind",
			 entry->network ? "NetworkAttachmentDefinition" : "Pod", "namespace", entry->namespace, "name",
			 entry->about, "uid", entry->uid[0] ? entry->uid : NULL);
}

static char *creation(const struct entry *entry)
{
	return dump_and_drop(json_pack(
		"{s:s,s:s,s:{s:s,s:s},s:o,s:s,s:s,s:s,s:s,s:o,s:s,s:s}", "apiVersion", "events.k8s.io/v1", "kind",
		"Event", "metadata", "name", entry->name, "namespace", entry->namespace, "eventTime",
		micro_time(entry->first_wall_ms), "reportingController", entry->events->controller, "reportingInstance",
		entry->events->instance, "action", entry->action, "reason", entry->reason, "regarding",
		regarding(entry), "note", entry->note, "type", entry->warning ? "Warning" : "Normal"));
}

static char *repetition(const struct entry *entry)
{
	return dump_and_drop(json_pack("{s:{s:i,s:o}}", "series", "count", (int)entry->count, "lastObservedTime",
				       micro_time(entry->last_wall_ms)));
}

/* --- when --- */

static void pump(struct kube_events *events);

static void give_up(struct entry *entry)
{
	entry->events->dropped++;
	entry_free(entry);
}

/* What was sent is known there; what came in meanwhile is written later. */
static void settled(struct entry *entry)
{
	entry->created = true;
	entry->tries = 0;
	entry->state = STATE_IDLE;
	if (entry->count > entry->written) {
		entry->state = STATE_DUE;
		entry->due_ms = entry->sent_ms + entry->events->update_ms;
	}
}

/* 401: our token has just run out, and the next request takes the new one. */
static bool may_pass_later(const struct kube_reply *reply)
{
	return reply->error->kind == ERROR_RETRY || reply->status == 401;
}

static void on_done(void *aux, const struct kube_reply *reply)
{
	struct entry *entry = aux;
	struct kube_events *events = entry->events;

	entry->request = NULL;
	events->in_flight--;
	if (!reply->error || (reply->status == 409 && !entry->created)) { /* 409: an earlier try had arrived */
		settled(entry);
	} else if (may_pass_later(reply) && ++entry->tries < TRIES_MAX) {
		int64_t wait = (int64_t)RETRY_MS << entry->tries;
		entry->state = STATE_DUE;
		entry->due_ms = loop_now_ms() + (reply->retry_after_ms > wait ? reply->retry_after_ms : wait);
	} else {
		give_up(entry);
	}
	pump(events);
}

static void send(struct entry *entry)
{
	struct kube_events *events = entry->events;
	char *path = mem_printf("/apis/events.k8s.io/v1/namespaces/%s/events%s%s", entry->namespace,
				entry->created ? "/" : "", entry->created ? entry->name : "");
	char *body = entry->created ? repetition(entry) : creation(entry);

	if (body) {
		entry->written = entry->created ? entry->count : 1;
		entry->state = STATE_SENT;
		entry->sent_ms = loop_now_ms();
		events->in_flight++;
		entry->request = kube_send(
			events->kube, &(struct kube_request_options){
					      .method = entry->created ? "PATCH" : "POST",
					      .path = path,
					      .content_type = entry->created ? "application/merge-patch+json" : NULL,
					      .body = body,
					      .body_len = strlen(body),
					      .timeout_ms = REQUEST_MS,
					      .done = on_done,
					      .aux = entry,
				      });
	} else {
		give_up(entry); /* a text that is not UTF-8 */
	}
	free(body);
	free(path);
}

/* Pays for one event, or says when that will be possible. */
static bool pay(struct kube_events *events, int64_t now_ms, int64_t *again_ms)
{
	events->budget_ms += now_ms - events->budget_at_ms;
	events->budget_at_ms = now_ms;
	if (events->budget_ms > BUDGET_MS)
		events->budget_ms = BUDGET_MS;
	if (events->budget_ms < COST_MS) {
		*again_ms = now_ms + COST_MS - events->budget_ms;
		return false;
	}
	events->budget_ms -= COST_MS;
	return true;
}

/* Sends what is due and may go now, and sets the timer for the next that will. */
static void pump(struct kube_events *events)
{
	int64_t now_ms = loop_now_ms(), again_ms = INT64_MAX, paid_ms;
	struct entry *entry, *next;

	for (entry = TAILQ_FIRST(&events->entries); entry && events->in_flight < IN_FLIGHT_MAX; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (entry->state != STATE_DUE)
			continue;
		if (entry->due_ms > now_ms) {
			again_ms = entry->due_ms < again_ms ? entry->due_ms : again_ms;
		} else if (pay(events, now_ms, &paid_ms)) {
			send(entry);
		} else {
			again_ms = paid_ms;
			break;
		}
	}
	if (again_ms != INT64_MAX)
		loop_timer_at(&events->timer, again_ms);
	else
		loop_timer_stop(&events->timer);
}

static void on_timer(struct loop_timer *timer)
{
	pump(container_of(timer, struct kube_events, timer));
}

/* --- the caller's side --- */

void kube_events_say(struct kube_events *events, const struct kube_event *event)
{
	const char *text = utf8_valid(event->note, strlen(event->note)) ? event->note : "(a text that is not UTF-8)";
	__attribute__((cleanup(mem_freep))) char *note = json_text_cut(text, strlen(text), NOTE_MAX);
	int64_t now_ms = loop_now_ms();
	uint64_t hash = hash_event(event, note);
	struct entry *entry = find(events, event, note, hash, now_ms);

	if (!entry) {
		if (!make_room(events)) {
			events->dropped++;
			return;
		}
		entry = entry_new(events, event, note, hash);
	}
	entry->count++;
	entry->last_ms = now_ms;
	entry->last_wall_ms = loop_wall_ms();
	if (entry->state == STATE_IDLE) {
		entry->state = STATE_DUE;
		entry->due_ms = entry->created ? entry->sent_ms + events->update_ms : now_ms;
	}
	/* From the loop, so that nothing is sent in the middle of what the caller does. */
	loop_timer_at(&events->timer, now_ms);
}

struct kube_events *kube_events_new(struct loop *loop, struct kube *kube, const char *controller, const char *instance)
{
	struct kube_events *events = mem_alloc(sizeof *events);

	events->loop = loop;
	events->kube = kube;
	events->controller = mem_dup(controller);
	events->instance = mem_dup_n(instance, strnlen(instance, 128));
	TAILQ_INIT(&events->entries);
	events->update_ms = UPDATE_MS;
	events->budget_ms = BUDGET_MS;
	events->budget_at_ms = loop_now_ms();
	loop_timer_init(&events->timer, loop, on_timer);
	return events;
}

void kube_events_free(struct kube_events *events)
{
	struct entry *entry;

	if (!events)
		return;
	loop_timer_stop(&events->timer);
	while ((entry = TAILQ_FIRST(&events->entries))) {
		if (entry->request)
			http_cancel(entry->request);
		entry_free(entry);
	}
	free(events->controller);
	free(events->instance);
	free(events);
}

void kube_events_set_series_ms(struct kube_events *events, int64_t least_ms)
{
	events->update_ms = least_ms;
}

unsigned long kube_events_dropped(const struct kube_events *events)
{
	return events->dropped;
}
