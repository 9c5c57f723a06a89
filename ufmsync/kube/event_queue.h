#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/chain.h"

/* Which Event goes next, at a bounded rate, so that no namespace can silence another.  Pure: time is an argument, and may
 * not go backwards.
 *
 *	ten a second go out after a burst of 100; of each namespace half of that;
 *	warnings before all others, the namespaces in turn, each in the order in which its Events came;
 *	where there is no room left the namespace that takes up the most of it gives way.
 *
 * An item is embedded in whatever is to be sent; the queue owns none.  It is AWAY at first. */

enum event_place {
	EVENT_AWAY,    /* under way */
	EVENT_WAITING, /* for its turn */
	EVENT_KEPT,    /* for a repetition, or for another try later on: the first to give way */
};

struct event_item {
	struct chain link;
	struct event_space *space;
	uint8_t place;
	bool warning;
};

struct event_queue;
struct event_queue *event_queue_new(uint64_t seed, size_t items_max, int64_t now);
void event_queue_free(struct event_queue *queue); /* every item must have left; NULL is fine */

/* Takes up room.  False: there is none; *victim is another that the caller is to let go (it is AWAY now) before it tries
 * again, or NULL when there is none that is worth less than this one. */
bool event_queue_join(struct event_queue *queue, struct event_item *item, const char *namespace, bool warning,
		      struct event_item **victim, int64_t now);
void event_queue_leave(struct event_queue *queue, struct event_item *item);
void event_item_move(struct event_item *item, enum event_place to);

/* Takes the next one out (AWAY), which may be sent now.  NULL: *again_ms is when to ask again, INT64_MAX when nothing
 * waits. */
struct event_item *event_queue_next(struct event_queue *queue, int64_t now, int64_t *again_ms);

/* For so long nothing of this item's namespace is sent: it is being deleted. */
void event_item_close(const struct event_item *item, int64_t until);
bool event_queue_is_closed(const struct event_queue *queue, const char *namespace, int64_t now);
/* One that waits in the same namespace as `item`, or NULL. */
struct event_item *event_item_neighbour(const struct event_item *item);
