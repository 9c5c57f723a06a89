#include <stdlib.h>
#include <string.h>

#include "ufmsync/kube/event_private.h"

/* Events that were said, and lately: found by what they say. */

void event_entry_free(struct event_entry *entry)
{
	struct kube_events *events = entry->events;

	if (entry->request) {
		http_cancel(entry->request);
		events->in_flight--;
	}
	loop_timer_stop(&entry->timer);
	chain_remove(&entry->in_all);
	hash_remove(&events->by_text, &entry->node);
	event_queue_leave(events->queue, &entry->item);
	free(entry->namespace);
	free(entry->about);
	free(entry->uid);
	free(entry->reason);
	free(entry->note);
	free(entry->action);
	free(entry->name);
	free(entry);
}

uint64_t event_entry_hash(const struct kube_events *events, const struct kube_event *event, const char *note)
{
	uint64_t h = hash_text(events->seed, event->namespace);

	h = hash_text(h, event->name);
	h = hash_text(h, event->uid);
	h = hash_text(h, event->reason);
	return hash_text(h, note);
}

static bool is_same(const struct event_entry *entry, const struct kube_event *event, const char *note)
{
	return entry->wire.network == event->network && entry->wire.warning == event->warning &&
	       strcmp(entry->namespace, event->namespace) == 0 && strcmp(entry->about, event->name) == 0 &&
	       strcmp(entry->uid, event->uid) == 0 && strcmp(entry->reason, event->reason) == 0 &&
	       strcmp(entry->action, event->action) == 0 && strcmp(entry->note, note) == 0;
}

struct event_entry *event_entry_find(const struct kube_events *events, const struct kube_event *event, const char *note,
				     uint64_t hash)
{
	for (struct hash_node *n = hash_first(&events->by_text, hash); n; n = hash_next(n)) {
		struct event_entry *entry = container_of(n, struct event_entry, node);
		if (is_same(entry, event, note))
			return entry;
	}
	return NULL;
}

/* A name that nobody has: the time, and a number. */
void event_entry_rename(struct event_entry *entry)
{
	uint64_t unique = (uint64_t)loop_wall_ms() * 1000 + entry->events->serial++ % 1000;

	free(entry->name);
	entry->name = event_wire_name(entry->about, unique);
	entry->wire.name = entry->name;
	entry->created = entry->in_doubt = false;
}

static struct event_entry *entry_new(struct kube_events *events, const struct kube_event *event, const char *note)
{
	struct event_entry *entry = mem_alloc(sizeof *entry);

	*entry = (struct event_entry){
		.events = events,
		.namespace = mem_dup(event->namespace),
		.about = mem_dup(event->name),
		.uid = mem_dup(event->uid),
		.reason = mem_dup(event->reason),
		.note = mem_dup(note),
		.action = mem_dup(event->action),
	};
	entry->wire = (struct event_wire){
		.namespace = entry->namespace,
		.controller = events->controller,
		.instance = events->instance,
		.network = event->network,
		.about = entry->about,
		.uid = entry->uid,
		.warning = event->warning,
		.reason = entry->reason,
		.action = entry->action,
		.note = entry->note,
		.first_wall_ms = loop_wall_ms(),
	};
	event_entry_rename(entry);
	loop_timer_init(&entry->timer, events->loop, events->on_entry_timer);
	return entry;
}

/* NULL: there is no room for it. */
struct event_entry *event_entry_add(struct kube_events *events, const struct kube_event *event, const char *note,
				    uint64_t hash)
{
	struct event_item item, *victim;
	int64_t now_ms = loop_now_ms();

	while (!event_queue_join(events->queue, &item, event->namespace, event->warning, &victim, now_ms)) {
		if (!victim)
			return NULL;
		struct event_entry *out = event_entry_of(victim);
		events->counts.dropped += out->wire.count > out->written;
		event_entry_free(out);
	}
	struct event_entry *entry = entry_new(events, event, note);
	entry->item = item;
	chain_init(&entry->item.link);
	chain_append(&events->all, &entry->in_all);
	hash_add(&events->by_text, &entry->node, hash);
	return entry;
}
