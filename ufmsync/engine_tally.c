#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* What is counted for metrics: times of attachments, and how many PKeys a node's ports are to hold.  All of it goes on
 * with the facts themselves, so that asking costs nothing. */

void engine_tally_init(struct engine_tally *tally)
{
	static const uint32_t bounds_ms[] = { 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 0 };

	*tally = (struct engine_tally){ 0 };
	histogram_init(&tally->member, bounds_ms);
	histogram_init(&tally->published, bounds_ms);
}

/* --- times of attachments --- */

void engine_clock_start(const struct engine *e, struct attachment *a)
{
	a->clock = (uint32_t)e->now;
}

int64_t engine_clock_read(const struct engine *e, const struct attachment *a)
{
	return (uint32_t)((uint32_t)e->now - a->clock);
}

void engine_time_member(struct engine *e, struct attachment *a)
{
	if (a->time_member && a->n_seats)
		histogram_add(&e->tally->member, engine_clock_read(e, a));
	a->time_member = false;
}

void engine_time_published(struct engine *e, struct attachment *a)
{
	if (a->time_published)
		histogram_add(&e->tally->published, engine_clock_read(e, a));
	a->time_published = false;
}

void engine_set_out(const struct engine *e, struct attachment *a, struct chain *way)
{
	if (chain_linked(&a->in_wait))
		return; /* it is still under way */
	engine_clock_start(e, a);
	chain_append(way, &a->in_wait);
}

/* The first of each has been on its way for longest, or nearly: they are in the order in which they set out. */
int64_t engine_oldest(const struct engine *e)
{
	const struct chain *const ways[] = { &e->coming, &e->going };
	int64_t oldest_ms = -1;

	for (size_t i = 0; i < array_length(ways); i++) {
		if (chain_empty(ways[i]))
			continue;
		int64_t ms = engine_clock_read(e, container_of(ways[i]->next, struct attachment, in_wait));
		oldest_ms = ms > oldest_ms ? ms : oldest_ms;
	}
	return oldest_ms < 0 ? -1 : e->now - oldest_ms;
}

/* --- PKeys of nodes --- */

/* How many attachments of a node want one PKey. */
struct node_pkey {
	struct hash_node in_table;
	const struct node *node;
	uint16_t pkey;
	uint32_t seats;
};

struct node *engine_node_get(struct engine *e, const char *name)
{
	uint64_t hash = hash_text(e->seed, name);
	for (struct hash_node *n = hash_first(&e->nodes, hash); n; n = hash_next(n)) {
		struct node *node = container_of(n, struct node, in_nodes);
		if (!strcmp(node->name, name)) {
			node->refs++;
			return node;
		}
	}
	size_t len = strlen(name);
	struct node *node = mem_alloc(sizeof *node + len + 1);
	memcpy(node->name, name, len + 1);
	node->refs = 1;
	hash_add(&e->nodes, &node->in_nodes, hash);
	return node;
}

void engine_node_drop(struct engine *e, struct node *node)
{
	assert(node->refs);
	if (--node->refs)
		return;
	assert(!node->pkeys);
	hash_remove(&e->nodes, &node->in_nodes);
	free(node);
}

static void node_has(struct engine *e, struct node *node, int more)
{
	e->nodes_with[node->pkeys]--;
	node->pkeys += (uint32_t)more;
	e->nodes_with[node->pkeys]++;
	if (node->pkeys > e->node_pkeys_max)
		e->node_pkeys_max = node->pkeys;
	while (e->node_pkeys_max && !e->nodes_with[e->node_pkeys_max])
		e->node_pkeys_max--;
	/* The default partition takes a place too. */
	if (more > 0 && node->pkeys == ENGINE_PORT_PKEYS)
		e->nodes_over++;
	else if (more < 0 && node->pkeys == ENGINE_PORT_PKEYS - 1)
		e->nodes_over--;
}

static struct node_pkey *find_node_pkey(const struct engine *e, const struct node *node, uint16_t pkey, uint64_t hash)
{
	for (struct hash_node *n = hash_first(&e->node_pkeys, hash); n; n = hash_next(n)) {
		struct node_pkey *found = container_of(n, struct node_pkey, in_table);
		if (found->node == node && found->pkey == pkey)
			return found;
	}
	return NULL;
}

static void count_at_node(struct engine *e, struct node *node, uint16_t pkey, int by)
{
	uint64_t hash = hash_number(e->seed ^ pkey, (uint64_t)(uintptr_t)node);
	struct node_pkey *found = find_node_pkey(e, node, pkey, hash);
	if (!found) {
		assert(by > 0);
		found = mem_alloc(sizeof *found);
		found->node = node;
		found->pkey = pkey;
		hash_add(&e->node_pkeys, &found->in_table, hash);
		node_has(e, node, 1);
	}
	found->seats += (uint32_t)by;
	if (found->seats)
		return;
	hash_remove(&e->node_pkeys, &found->in_table);
	free(found);
	node_has(e, node, -1);
}

void engine_seat_count(struct engine *e, struct seat *seat, int by)
{
	struct partition *partition = seat->partition;
	partition->members[seat->limited] += (uint32_t)by;
	e->n_wanted += (uint64_t)(int64_t)by;
	count_at_node(e, seat_attachment(seat)->pod->node, partition->pkey.v, by);
}
