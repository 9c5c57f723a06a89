#include "ufmsync/kube/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ufmsync/kube/event_private.h"

enum {
	ENTRIES_MAX = 4096,
	IN_FLIGHT_MAX = 8,
	REMEMBER_MS = 90 * 60 * 1000, /* after so long without it, the same again is a new event */
	SERIES_FIRST_MS = 5 * 1000,
	SERIES_MOST_MS = 30 * 60 * 1000,
	TRIES_MAX = 8,
	RETRY_FIRST_MS = 1000,
	RETRY_MOST_MS = 30 * 1000,
	REQUEST_MS = 10 * 1000,
	CLOSED_MS = 60 * 1000,
	COUNT_MAX = 1 << 30,
};

/* --- when --- */

static void pump(struct kube_events *events);

static void wake(struct kube_events *events)
{
	loop_timer_at(&events->timer, loop_now_ms());
}

static void wait_for_turn(struct event_entry *entry)
{
	loop_timer_stop(&entry->timer);
	event_item_move(&entry->item, EVENT_WAITING);
	wake(entry->events);
}

static void keep_until(struct event_entry *entry, int64_t due_ms)
{
	event_item_move(&entry->item, EVENT_KEPT);
	loop_timer_at(&entry->timer, due_ms);
}

/* The more often it was written, the later it is again. */
static int64_t series_due(const struct event_entry *entry)
{
	int64_t wait = entry->events->series_ms;

	for (unsigned i = 1; i < entry->writes && wait < SERIES_MOST_MS; i++)
		wait *= 2;
	return entry->sent_ms + (wait < SERIES_MOST_MS ? wait : SERIES_MOST_MS);
}

/* There is something to write, or it is only remembered for a while. */
static void keep(struct event_entry *entry)
{
	if (entry->wire.count == entry->written)
		keep_until(entry, entry->last_ms + REMEMBER_MS);
	else
		keep_until(entry, series_due(entry));
}

static void on_entry_timer(struct loop_timer *timer)
{
	struct event_entry *entry = container_of(timer, struct event_entry, timer);

	if (entry->wire.count == entry->written)
		event_entry_free(entry); /* not said again for long enough */
	else
		wait_for_turn(entry);
}

/* --- answers --- */

static void tell_trouble(struct kube_events *events, const struct error *err)
{
	bool forbidden = err && err->kind == ERROR_AUTH;

	if (forbidden && events->forbidden)
		return;
	if (!err && !events->forbidden)
		return;
	if (!err || forbidden)
		events->forbidden = forbidden;
	if (events->trouble)
		events->trouble(events->trouble_aux, err);
}

static bool names_a_cause(const json_t *status, const char *wanted)
{
	const json_t *causes = json_at(status, "details", "causes", NULL), *cause;
	size_t i;

	json_array_foreach(causes, i, cause)
	{
		const char *reason = json_str(cause, "reason", NULL);
		if (reason && strcmp(reason, wanted) == 0)
			return true;
	}
	return false;
}

/* The namespace is being deleted, or is gone: nothing can be made in it. */
static bool is_closed(const struct event_entry *entry, const struct kube_reply *reply)
{
	const char *kind = json_str(reply->object, "details", "kind", NULL);

	if (reply->status == 403)
		return names_a_cause(reply->object, "NamespaceTerminating");
	return reply->status == 404 && !entry->created && kind && strcmp(kind, "namespaces") == 0;
}

static void close_namespace(struct event_entry *entry)
{
	struct kube_events *events = entry->events;
	struct event_item *other;

	event_item_close(&entry->item, loop_now_ms() + CLOSED_MS);
	while ((other = event_item_neighbour(&entry->item))) {
		events->counts.closed++;
		event_entry_free(event_entry_of(other));
	}
	events->counts.closed++;
	event_entry_free(entry);
}

static void accepted(struct event_entry *entry)
{
	struct kube_events *events = entry->events;

	if (entry->created)
		events->counts.series++;
	else
		events->counts.created++;
	entry->created = true;
	entry->tries = 0;
	entry->writes++;
	tell_trouble(events, NULL);
	keep(entry);
}

static void refused(struct event_entry *entry, const struct kube_reply *reply)
{
	entry->events->counts.refused++;
	tell_trouble(entry->events, reply->error);
	event_entry_free(entry);
}

/* False: it was tried often enough. */
static bool try_later(struct event_entry *entry, const struct kube_reply *reply)
{
	int64_t wait = (int64_t)RETRY_FIRST_MS << entry->tries;

	if (++entry->tries >= TRIES_MAX) {
		entry->events->counts.failed++;
		event_entry_free(entry);
		return false;
	}
	wait = wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS;
	entry->written = 0; /* whatever is written next holds the whole count */
	entry->in_doubt = true;
	keep_until(entry, loop_now_ms() + (reply->retry_after_ms > wait ? reply->retry_after_ms : wait));
	return true;
}

/* A repetition was to be written on it, but the Event has expired meanwhile. */
static void make_anew(struct event_entry *entry)
{
	event_entry_rename(entry);
	entry->written = entry->writes = 0;
	wait_for_turn(entry);
}

static void answered_conflict(struct event_entry *entry, const struct kube_reply *reply)
{
	if (!entry->created && entry->in_doubt) {
		accepted(entry); /* an earlier try had arrived */
		return;
	}
	bool taken = !entry->created;
	if (try_later(entry, reply) && taken)
		event_entry_rename(entry); /* the name is somebody else's */
}

static void on_done(void *aux, const struct kube_reply *reply)
{
	struct event_entry *entry = aux;
	struct kube_events *events = entry->events;

	entry->request = NULL;
	events->in_flight--;
	if (!reply->error)
		accepted(entry);
	else if (is_closed(entry, reply))
		close_namespace(entry);
	else if (reply->status == 404 && entry->created)
		make_anew(entry);
	else if (reply->status == 409)
		answered_conflict(entry, reply);
	else if (reply->error->kind == ERROR_RETRY || reply->status == 401)
		try_later(entry, reply); /* 401: our token has just run out, and the next request takes the new one */
	else
		refused(entry, reply);
	pump(events);
}

/* --- sending --- */

static void send(struct event_entry *entry)
{
	struct kube_events *events = entry->events;
	char *path = mem_printf("/apis/events.k8s.io/v1/namespaces/%s/events%s%s", entry->namespace,
				entry->created ? "/" : "", entry->created ? entry->name : "");
	char *body = entry->created ? event_wire_repetition(&entry->wire) : event_wire_creation(&entry->wire);

	if (body) {
		entry->written = entry->wire.count;
		entry->sent_ms = loop_now_ms();
		events->in_flight++;
		entry->request = kube_send(
			events->kube, &(struct kube_request_options){
					      .operation = KUBE_WRITE_EVENT,
					      .method = entry->created ? "PATCH" : "POST",
					      .path = path,
					      .content_type = entry->created ? "application/merge-patch+json" : NULL,
					      .body = body,
					      .body_len = strlen(body),
					      .timeout_ms = REQUEST_MS,
					      .answer_max = 1 << 20,
					      .done = on_done,
					      .aux = entry,
				      });
	} else {
		events->counts.refused++; /* a name that is not UTF-8 */
		event_entry_free(entry);
	}
	free(body);
	free(path);
}

/* Sends what may go now, and sets the timer for what may go next. */
static void pump(struct kube_events *events)
{
	int64_t again_ms = INT64_MAX;
	struct event_item *item = NULL;

	while (events->in_flight < IN_FLIGHT_MAX) {
		item = event_queue_next(events->queue, loop_now_ms(), &again_ms);
		if (!item)
			break;
		send(event_entry_of(item));
	}
	if (!item && again_ms != INT64_MAX)
		loop_timer_at(&events->timer, again_ms);
	else
		loop_timer_stop(&events->timer); /* an answer goes on */
}

static void on_timer(struct loop_timer *timer)
{
	pump(container_of(timer, struct kube_events, timer));
}

/* --- the caller's side --- */

static void again(struct event_entry *entry)
{
	entry->wire.count += entry->wire.count < COUNT_MAX;
	entry->last_ms = loop_now_ms();
	entry->wire.last_wall_ms = loop_wall_ms();
	if (entry->item.place != EVENT_KEPT || entry->tries > 0)
		return; /* it is on its way, or will be */
	keep_until(entry, series_due(entry));
}

/* From the loop, so that nothing is sent in the middle of what the caller does. */
void kube_events_say(struct kube_events *events, const struct kube_event *event)
{
	__attribute__((cleanup(mem_freep))) char *note = event_wire_note(event->note);
	uint64_t hash = event_entry_hash(events, event, note);
	struct event_entry *entry;

	if (event_queue_is_closed(events->queue, event->namespace, loop_now_ms())) {
		events->counts.closed++;
		return;
	}
	entry = event_entry_find(events, event, note, hash);
	if (entry) {
		again(entry);
		return;
	}
	entry = event_entry_add(events, event, note, hash);
	if (!entry) {
		events->counts.dropped++;
		return;
	}
	entry->wire.count = 1;
	entry->last_ms = loop_now_ms();
	entry->wire.last_wall_ms = entry->wire.first_wall_ms;
	wait_for_turn(entry);
}

/* Those under way are beyond recall. */
void kube_events_hush(struct kube_events *events)
{
	for (struct chain *at = events->all.next, *next; at != &events->all; at = next) {
		struct event_entry *entry = container_of(at, struct event_entry, in_all);
		next = at->next;
		if (entry->request)
			continue;
		events->counts.dropped += entry->wire.count > entry->written;
		if (!entry->created) {
			event_entry_free(entry);
			continue;
		}
		entry->written = entry->wire.count;
		entry->tries = 0;
		keep(entry);
	}
}

struct kube_events *kube_events_new(struct loop *loop, struct kube *kube, const char *controller, const char *instance)
{
	struct kube_events *events = mem_alloc(sizeof *events);

	events->loop = loop;
	events->on_entry_timer = on_entry_timer;
	events->kube = kube;
	events->controller = mem_dup(controller);
	events->instance = event_wire_instance(instance);
	events->seed = hash_number((uint64_t)loop_wall_ms(), (uint64_t)loop_now_ms());
	events->queue = event_queue_new(events->seed, ENTRIES_MAX, loop_now_ms());
	chain_init(&events->all);
	hash_init(&events->by_text);
	events->series_ms = SERIES_FIRST_MS;
	loop_timer_init(&events->timer, loop, on_timer);
	return events;
}

void kube_events_free(struct kube_events *events)
{
	if (!events)
		return;
	loop_timer_stop(&events->timer);
	while (!chain_empty(&events->all))
		event_entry_free(container_of(events->all.next, struct event_entry, in_all));
	event_queue_free(events->queue);
	hash_free(&events->by_text);
	free(events->controller);
	free(events->instance);
	free(events);
}

void kube_events_set_series_ms(struct kube_events *events, int64_t least_ms)
{
	events->series_ms = least_ms;
}

void kube_events_on_trouble(struct kube_events *events, void (*trouble)(void *aux, const struct error *err), void *aux)
{
	events->trouble = trouble;
	events->trouble_aux = aux;
}

struct kube_events_counts kube_events_counts(const struct kube_events *events)
{
	return events->counts;
}
