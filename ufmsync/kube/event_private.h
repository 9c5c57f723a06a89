#pragma once

#include "base/chain.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ufmsync/kube/event.h"
#include "ufmsync/kube/event_queue.h"
#include "ufmsync/kube/event_wire.h"

/* What is remembered of Events that were said; private to ufmsync/kube/event*.c. */

/* One event that was said, and how often since. */
struct event_entry {
	struct kube_events *events;
	struct chain in_all;
	struct hash_node node;
	struct event_item item;
	struct loop_timer timer; /* while it is kept, with something left to write */
	struct event_wire wire;
	char *namespace, *about, *uid, *reason, *note, *action, *name;
	bool created, in_doubt;   /* in_doubt: it may be there, though nobody said so */
	unsigned written, writes; /* written: of the count */
	int64_t last_ms, sent_ms;
	unsigned tries;
	struct http_request *request; /* under way */
};

struct kube_events {
	struct loop *loop;
	void (*on_entry_timer)(struct loop_timer *timer);
	struct kube *kube;
	char *controller, *instance;
	struct event_queue *queue;
	uint64_t seed, serial;
	struct chain all;
	struct hash by_text;
	unsigned in_flight;
	int64_t series_ms;
	struct loop_timer timer;
	struct kube_events_counts counts;
	bool forbidden;
	void (*trouble)(void *aux, const struct error *err);
	void *trouble_aux;
};

static inline struct event_entry *event_entry_of(struct event_item *item)
{
	return container_of(item, struct event_entry, item);
}

uint64_t event_entry_hash(const struct kube_events *events, const struct kube_event *event, const char *note);
struct event_entry *event_entry_find(const struct kube_events *events, const struct kube_event *event, const char *note,
				     uint64_t hash); /* NULL: it was not said lately */
/* NULL: there is no room for it.  Others may have to make way. */
struct event_entry *event_entry_add(struct kube_events *events, const struct kube_event *event, const char *note,
				    uint64_t hash);
void event_entry_free(struct event_entry *entry);   /* what is under way for it is cancelled */
void event_entry_rename(struct event_entry *entry); /* it is to be made under another name */
