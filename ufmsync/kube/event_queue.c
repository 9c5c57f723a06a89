#include "ufmsync/kube/event_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

/* A budget is time: it fills by itself, and what is sent costs some of it. */
enum {
	COST_MS = 100,
	BURST_MS = 100 * COST_MS,
	SPACE_COST_MS = 2 * COST_MS,
	SPACE_BURST_MS = 50 * SPACE_COST_MS,
};

struct budget {
	int64_t left_ms, at_ms;
};

struct event_space { /* a namespace: kept while it has items, or its budget is not full again */
	struct hash_node node;
	struct chain in_spaces;
	struct chain waiting[2], kept; /* [1]: warnings */
	size_t n;                      /* of all its items, those that are away as well */
	struct budget budget;
	int64_t closed_until;
	char name[];
};

struct event_queue {
	uint64_t seed;
	struct hash by_name;
	struct chain spaces; /* whose turn it is stands first */
	struct budget budget;
	size_t n, most;
};

/* --- budgets --- */

static void fill(struct budget *budget, int64_t most_ms, int64_t now)
{
	if (now > budget->at_ms)
		budget->left_ms += now - budget->at_ms;
	budget->at_ms = now;
	if (budget->left_ms > most_ms)
		budget->left_ms = most_ms;
}

/* When it will hold this much; a time that has come when it does already. */
static int64_t enough_at(const struct budget *budget, int64_t cost_ms, int64_t now)
{
	return now + cost_ms - budget->left_ms;
}

/* --- namespaces --- */

static struct event_space *space_find(const struct event_queue *queue, const char *namespace)
{
	uint64_t hash = hash_text(queue->seed, namespace);

	for (struct hash_node *n = hash_first(&queue->by_name, hash); n; n = hash_next(n)) {
		struct event_space *space = container_of(n, struct event_space, node);
		if (strcmp(space->name, namespace) == 0)
			return space;
	}
	return NULL;
}

static struct event_space *space_get(struct event_queue *queue, const char *namespace, int64_t now)
{
	struct event_space *space = space_find(queue, namespace);
	size_t size = strlen(namespace) + 1;

	if (space)
		return space;
	space = mem_alloc(sizeof *space + size);
	memcpy(space->name, namespace, size);
	chain_init(&space->waiting[0]);
	chain_init(&space->waiting[1]);
	chain_init(&space->kept);
	space->budget = (struct budget){ SPACE_BURST_MS, now };
	space->closed_until = INT64_MIN;
	chain_append(&queue->spaces, &space->in_spaces);
	hash_add(&queue->by_name, &space->node, hash_text(queue->seed, namespace));
	return space;
}

static void space_free(struct event_queue *queue, struct event_space *space)
{
	assert(!space->n);
	chain_remove(&space->in_spaces);
	hash_remove(&queue->by_name, &space->node);
	free(space);
}

/* As many are kept as the whole budget lets send while one fills up, besides those with items. */
static void forget_spaces(struct event_queue *queue, int64_t now)
{
	for (struct chain *at = queue->spaces.next, *next; at != &queue->spaces; at = next) {
		struct event_space *space = container_of(at, struct event_space, in_spaces);
		next = at->next;
		fill(&space->budget, SPACE_BURST_MS, now);
		if (!space->n && space->budget.left_ms == SPACE_BURST_MS && now >= space->closed_until)
			space_free(queue, space);
	}
}

static struct event_space *largest_space(const struct event_queue *queue)
{
	struct event_space *largest = NULL;

	for (struct chain *at = queue->spaces.next; at != &queue->spaces; at = at->next) {
		struct event_space *space = container_of(at, struct event_space, in_spaces);
		if (!largest || space->n > largest->n)
			largest = space;
	}
	return largest;
}

/* --- items --- */

/* In whose favour: what is only kept goes first, then the oldest that warns of nothing, then the latest warning. */
static struct event_item *victim_of(struct event_queue *queue, const char *namespace, bool warning)
{
	struct event_space *space = largest_space(queue);
	assert(space); /* there are items */
	bool own = strcmp(space->name, namespace) == 0;
	struct chain *at = NULL;

	if (!chain_empty(&space->kept))
		at = space->kept.next;
	else if (!chain_empty(&space->waiting[0]) && (!own || warning))
		at = space->waiting[0].next;
	else if (!chain_empty(&space->waiting[1]) && !own)
		at = space->waiting[1].prev;
	return at ? container_of(at, struct event_item, link) : NULL;
}

bool event_queue_join(struct event_queue *queue, struct event_item *item, const char *namespace, bool warning,
		      struct event_item **victim, int64_t now)
{
	*victim = NULL;
	if (queue->n >= queue->most) {
		*victim = victim_of(queue, namespace, warning);
		if (*victim)
			event_item_move(*victim, EVENT_AWAY);
		return false;
	}
	item->space = space_get(queue, namespace, now);
	item->warning = warning;
	item->place = EVENT_AWAY;
	chain_init(&item->link);
	item->space->n++;
	queue->n++;
	return true;
}

void event_queue_leave(struct event_queue *queue, struct event_item *item)
{
	chain_remove(&item->link);
	item->space->n--;
	queue->n--;
	item->space = NULL;
}

void event_item_move(struct event_item *item, enum event_place to)
{
	chain_remove(&item->link);
	item->place = (uint8_t)to;
	if (to == EVENT_WAITING)
		chain_append(&item->space->waiting[item->warning], &item->link);
	else if (to == EVENT_KEPT)
		chain_append(&item->space->kept, &item->link);
}

struct event_item *event_item_neighbour(const struct event_item *item)
{
	for (int warning = 0; warning < 2; warning++)
		if (!chain_empty(&item->space->waiting[warning]))
			return container_of(item->space->waiting[warning].next, struct event_item, link);
	return NULL;
}

/* --- turns --- */

static struct event_item *next_of_class(struct event_queue *queue, bool warning, int64_t now, int64_t *again_ms)
{
	for (struct chain *at = queue->spaces.next; at != &queue->spaces; at = at->next) {
		struct event_space *space = container_of(at, struct event_space, in_spaces);
		if (chain_empty(&space->waiting[warning]))
			continue;
		int64_t when = enough_at(&space->budget, SPACE_COST_MS, now);
		if (when > now) {
			*again_ms = when < *again_ms ? when : *again_ms;
			continue;
		}
		space->budget.left_ms -= SPACE_COST_MS;
		chain_remove(&space->in_spaces);
		chain_append(&queue->spaces, &space->in_spaces);
		return container_of(space->waiting[warning].next, struct event_item, link);
	}
	return NULL;
}

static bool anything_waits(const struct event_queue *queue)
{
	for (struct chain *at = queue->spaces.next; at != &queue->spaces; at = at->next) {
		const struct event_space *space = container_of(at, struct event_space, in_spaces);
		if (!chain_empty(&space->waiting[0]) || !chain_empty(&space->waiting[1]))
			return true;
	}
	return false;
}

struct event_item *event_queue_next(struct event_queue *queue, int64_t now, int64_t *again_ms)
{
	*again_ms = INT64_MAX;
	forget_spaces(queue, now);
	if (!anything_waits(queue))
		return NULL;
	fill(&queue->budget, BURST_MS, now);
	int64_t when = enough_at(&queue->budget, COST_MS, now);
	if (when > now) {
		*again_ms = when;
		return NULL;
	}
	struct event_item *item = next_of_class(queue, true, now, again_ms);
	if (!item)
		item = next_of_class(queue, false, now, again_ms);
	if (!item)
		return NULL;
	queue->budget.left_ms -= COST_MS;
	event_item_move(item, EVENT_AWAY);
	return item;
}

void event_item_close(const struct event_item *item, int64_t until)
{
	item->space->closed_until = until;
}

bool event_queue_is_closed(const struct event_queue *queue, const char *namespace, int64_t now)
{
	const struct event_space *space = space_find(queue, namespace);

	return space && now < space->closed_until;
}

/* --- life --- */

struct event_queue *event_queue_new(uint64_t seed, size_t items_max, int64_t now)
{
	struct event_queue *queue = mem_alloc(sizeof *queue);

	assert(items_max > 0);
	queue->seed = seed;
	queue->most = items_max;
	queue->budget = (struct budget){ BURST_MS, now };
	hash_init(&queue->by_name);
	chain_init(&queue->spaces);
	return queue;
}

void event_queue_free(struct event_queue *queue)
{
	if (!queue)
		return;
	while (!chain_empty(&queue->spaces))
		space_free(queue, container_of(queue->spaces.next, struct event_space, in_spaces));
	hash_free(&queue->by_name);
	free(queue);
}
