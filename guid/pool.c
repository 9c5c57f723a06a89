#include "guid/pool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "guid/queue.h"
#include "guid/table.h"

/* A GUID that nobody has touched costs nothing; each other one has a node, found by its offset in the range.  Nodes
 * live in arrays and are named by their index.
 *
 * The cursor hands out what is untouched and steps over the rest.  What becomes free again waits, oldest first, for the
 * time when nothing is untouched any more: each place is stepped over once in the pool's life.  In a large range that
 * would keep a node for every GUID ever used, so there a node is dropped, the cursor coming back to its place in time,
 * unless so much of the range is in use that stepping over it would cost more than keeping it. */

enum {
	KEEP_SIZE = 1 << 20, /* ranges up to this keep every node */
	KEEP_SHARE = 4,      /* larger ones while more than this part of them is in use */
	STEPS_MAX = 16,      /* over used ones in a large range, before what waits is taken */
	NODES_MIN = 64,
};

enum state { FREE, HELD, RESTING };

struct node {
	uint64_t offset;         /* of a vacant node: the next vacant one */
	struct queue_link until; /* RESTING: in `until` */
	struct queue_link order; /* FREE: in `again`; RESTING: in `early`, or at least its key: since when */
	uint8_t state;
	bool blocked;
	bool unsure; /* RESTING: must not be taken early */
};

struct guid_pool {
	uint64_t first, size;
	uint64_t cursor;
	struct guid_table table; /* offset to node */

	struct node *nodes;
	uint32_t n_nodes, nodes_cap, vacant;

	struct queue again;    /* free and not blocked, by when they became so */
	struct queue early;    /* resting, neither unsure nor blocked, by since when */
	struct queue until[2]; /* resting, by their end; [1] the unsure, as theirs is another length */
	uint64_t n_again, held, resting, blocked;
};

static void more_nodes(struct guid_pool *pool)
{
	pool->nodes_cap = pool->nodes_cap > 0 ? pool->nodes_cap * 2 : NODES_MIN;
	assert(pool->nodes_cap <= 1u << 31);
	pool->nodes = mem_resize(pool->nodes, pool->nodes_cap, sizeof *pool->nodes);
}

struct guid_pool *guid_pool_new(struct guid first, struct guid last, uint64_t start)
{
	if (!guid_usable(first) || !guid_usable(last) || first.v > last.v)
		return NULL;
	struct guid_pool *pool = mem_alloc(sizeof *pool);
	pool->first = first.v;
	pool->size = last.v - first.v + 1;
	pool->cursor = start % pool->size;
	pool->vacant = TABLE_NONE;
	more_nodes(pool);
	guid_table_init(&pool->table, sizeof(struct node), start * 0x9e3779b97f4a7c15);
	queue_init(&pool->again, sizeof(struct node));
	queue_init(&pool->early, sizeof(struct node));
	queue_init(&pool->until[0], sizeof(struct node));
	queue_init(&pool->until[1], sizeof(struct node));
	return pool;
}

void guid_pool_free(struct guid_pool *pool)
{
	if (!pool)
		return;
	guid_table_free(&pool->table);
	queue_free(&pool->again);
	queue_free(&pool->early);
	queue_free(&pool->until[0]);
	queue_free(&pool->until[1]);
	free(pool->nodes);
	free(pool);
}

bool guid_pool_in_range(const struct guid_pool *pool, struct guid guid)
{
	return guid.v >= pool->first && guid.v - pool->first < pool->size;
}

static uint32_t find(const struct guid_pool *pool, struct guid guid)
{
	return guid_pool_in_range(pool, guid)
		       ? guid_table_find(&pool->table, &pool->nodes->offset, guid.v - pool->first)
		       : TABLE_NONE;
}

static struct guid guid_at(const struct guid_pool *pool, uint64_t offset)
{
	return (struct guid){ pool->first + offset };
}

/* --- nodes and what becomes of them ------------------------------------------------------------------------------- */

/* A node for an untouched GUID: FREE, and not yet in `again`. */
static uint32_t node_new(struct guid_pool *pool, uint64_t offset)
{
	uint32_t i = pool->vacant;

	if (i != TABLE_NONE) {
		pool->vacant = (uint32_t)pool->nodes[i].offset;
	} else {
		if (pool->n_nodes == pool->nodes_cap)
			more_nodes(pool);
		i = pool->n_nodes++;
	}
	pool->nodes[i] = (struct node){ .offset = offset, .state = FREE };
	guid_table_insert(&pool->table, &pool->nodes->offset, i);
	return i;
}

static void node_drop(struct guid_pool *pool, uint32_t i)
{
	guid_table_remove(&pool->table, &pool->nodes->offset, i);
	pool->nodes[i].offset = pool->vacant;
	pool->vacant = i;
}

static void again_remove(struct guid_pool *pool, uint32_t i)
{
	queue_remove(&pool->again, &pool->nodes->order, i);
	pool->n_again--;
}

static bool keeps(const struct guid_pool *pool)
{
	return pool->size <= KEEP_SIZE || pool->held + pool->resting + pool->blocked > pool->size / KEEP_SHARE;
}

static void to_free(struct guid_pool *pool, uint32_t i)
{
	pool->nodes[i].state = FREE;
	if (pool->nodes[i].blocked) {
		pool->blocked++;
		return;
	}
	if (keeps(pool)) {
		queue_put(&pool->again, &pool->nodes->order, i, 0);
		pool->n_again++;
		return;
	}
	node_drop(pool, i);
	/* What was kept while the range was fuller goes too, little by little. */
	for (int n = 0; n < 2 && pool->n_again > 0; n++) {
		i = queue_first(&pool->again, &pool->nodes->order);
		again_remove(pool, i);
		node_drop(pool, i);
	}
}

/* Takes a node out of whatever it is in; it is in no state until the next to_...(). */
static void leave_state(struct guid_pool *pool, uint32_t i, bool is_new)
{
	struct node *node = &pool->nodes[i];

	switch ((enum state)node->state) {
	case FREE:
		if (node->blocked)
			pool->blocked--;
		else if (!is_new)
			again_remove(pool, i);
		break;
	case HELD:
		pool->held--;
		break;
	case RESTING:
		pool->resting--;
		queue_remove(&pool->until[node->unsure], &pool->nodes->until, i);
		if (!node->unsure && !node->blocked)
			queue_remove(&pool->early, &pool->nodes->order, i);
		break;
	}
}

static void to_held(struct guid_pool *pool, uint32_t i)
{
	pool->nodes[i].state = HELD;
	pool->held++;
}

static void to_resting(struct guid_pool *pool, uint32_t i, int64_t until_ms, bool unsure, int64_t now_ms)
{
	struct node *node = &pool->nodes[i];

	if (until_ms <= now_ms) {
		to_free(pool, i);
		return;
	}
	node->state = RESTING;
	node->unsure = unsure;
	node->order.key = now_ms;
	pool->resting++;
	queue_put(&pool->until[unsure], &pool->nodes->until, i, until_ms);
	if (!unsure && !node->blocked)
		queue_put(&pool->early, &pool->nodes->order, i, now_ms);
}

/* The resting one that ends first. */
static uint32_t first_due(const struct guid_pool *pool)
{
	uint32_t usual = queue_first(&pool->until[0], &pool->nodes->until);
	uint32_t unsure = queue_first(&pool->until[1], &pool->nodes->until);

	if (usual == QUEUE_NONE || unsure == QUEUE_NONE)
		return usual == QUEUE_NONE ? unsure : usual;
	return pool->nodes[usual].until.key <= pool->nodes[unsure].until.key ? usual : unsure;
}

/* --- giving ------------------------------------------------------------------------------------------------------ */

/* An untouched one, unless too many used ones stand before it. */
static bool take_untouched(struct guid_pool *pool, struct guid *out)
{
	bool bounded = pool->size > KEEP_SIZE && pool->n_again > 0;

	if (pool->table.count == pool->size)
		return false;
	for (int steps = 0; !bounded || steps < STEPS_MAX; steps += bounded) {
		uint64_t at = pool->cursor;
		pool->cursor = at + 1 < pool->size ? at + 1 : 0;
		if (guid_table_find(&pool->table, &pool->nodes->offset, at) != TABLE_NONE)
			continue;
		to_held(pool, node_new(pool, at));
		*out = guid_at(pool, at);
		return true;
	}
	return false;
}

static void take(struct guid_pool *pool, uint32_t i, struct guid *out)
{
	leave_state(pool, i, false);
	to_held(pool, i);
	*out = guid_at(pool, pool->nodes[i].offset);
}

bool guid_pool_allocate(struct guid_pool *pool, int64_t least_rest_ms, int64_t now_ms, struct guid *out,
			int64_t *again_ms)
{
	guid_pool_expire(pool, now_ms);
	if (pool->held + pool->resting + pool->blocked < pool->size) {
		if (!take_untouched(pool, out))
			take(pool, queue_first(&pool->again, &pool->nodes->order), out);
		return true;
	}
	*again_ms = guid_pool_deadline(pool);
	uint32_t longest = queue_first(&pool->early, &pool->nodes->order);
	if (longest == QUEUE_NONE)
		return false;
	int64_t rested = pool->nodes[longest].order.key, early_ms;
	if (__builtin_add_overflow(rested, least_rest_ms, &early_ms))
		early_ms = INT64_MAX;
	if (early_ms <= now_ms) {
		take(pool, longest, out);
		return true;
	}
	if (early_ms < *again_ms)
		*again_ms = early_ms;
	return false;
}

enum guid_claim guid_pool_claim(struct guid_pool *pool, struct guid guid, bool force, int64_t now_ms)
{
	guid_pool_expire(pool, now_ms);
	if (!guid_pool_in_range(pool, guid))
		return GUID_CLAIM_OUT_OF_RANGE;
	uint32_t i = find(pool, guid);
	bool is_new = i == TABLE_NONE;
	if (!is_new) {
		const struct node *node = &pool->nodes[i];
		if (node->state == HELD)
			return GUID_CLAIM_HELD;
		if (node->state == RESTING && !force)
			return GUID_CLAIM_RESTING;
		if (node->blocked && !force)
			return GUID_CLAIM_BLOCKED;
	} else {
		i = node_new(pool, guid.v - pool->first);
	}
	leave_state(pool, i, is_new);
	to_held(pool, i);
	return GUID_CLAIM_OK;
}

/* --- taking back -------------------------------------------------------------------------------------------------- */

void guid_pool_release(struct guid_pool *pool, struct guid guid, int64_t until_ms, bool unsure, int64_t now_ms)
{
	uint32_t i = find(pool, guid);

	assert(i != TABLE_NONE && pool->nodes[i].state == HELD);
	leave_state(pool, i, false);
	to_resting(pool, i, until_ms, unsure, now_ms);
}

void guid_pool_rest(struct guid_pool *pool, struct guid guid, int64_t until_ms, bool unsure, int64_t now_ms)
{
	uint32_t i = find(pool, guid);
	bool is_new = i == TABLE_NONE;

	if (!guid_pool_in_range(pool, guid))
		return;
	if (is_new)
		i = node_new(pool, guid.v - pool->first);
	const struct node *node = &pool->nodes[i];
	if (node->state == HELD)
		return;
	if (node->state == RESTING) {
		unsure = unsure || node->unsure;
		if (until_ms < pool->nodes[i].until.key)
			until_ms = pool->nodes[i].until.key;
	}
	leave_state(pool, i, is_new);
	to_resting(pool, i, until_ms, unsure, now_ms);
}

int64_t guid_pool_rest_end(const struct guid_pool *pool, struct guid guid)
{
	uint32_t i = find(pool, guid);

	return i != TABLE_NONE && pool->nodes[i].state == RESTING ? pool->nodes[i].until.key : 0;
}

int64_t guid_pool_deadline(const struct guid_pool *pool)
{
	uint32_t i = first_due(pool);

	return i != QUEUE_NONE ? pool->nodes[i].until.key : INT64_MAX;
}

void guid_pool_expire(struct guid_pool *pool, int64_t now_ms)
{
	for (uint32_t i; (i = first_due(pool)) != QUEUE_NONE && pool->nodes[i].until.key <= now_ms;) {
		leave_state(pool, i, false);
		to_free(pool, i);
	}
}

/* --- blocked ------------------------------------------------------------------------------------------------------ */

void guid_pool_block(struct guid_pool *pool, struct guid guid)
{
	uint32_t i = find(pool, guid);
	bool is_new = i == TABLE_NONE;

	if (!guid_pool_in_range(pool, guid))
		return;
	if (is_new)
		i = node_new(pool, guid.v - pool->first);
	struct node *node = &pool->nodes[i];
	if (node->blocked)
		return;
	if (node->state == FREE) {
		leave_state(pool, i, is_new);
		pool->blocked++;
	} else if (node->state == RESTING && !node->unsure) {
		queue_remove(&pool->early, &pool->nodes->order, i);
	}
	node->blocked = true;
}

void guid_pool_unblock(struct guid_pool *pool, struct guid guid)
{
	uint32_t i = find(pool, guid);

	if (i == TABLE_NONE || !pool->nodes[i].blocked)
		return;
	struct node *node = &pool->nodes[i];
	if (node->state == FREE) {
		leave_state(pool, i, false);
		node->blocked = false;
		to_free(pool, i);
		return;
	}
	node->blocked = false;
	if (node->state == RESTING && !node->unsure)
		queue_put(&pool->early, &pool->nodes->order, i, node->order.key);
}

bool guid_pool_is_held(const struct guid_pool *pool, struct guid guid)
{
	uint32_t i = find(pool, guid);

	return i != TABLE_NONE && pool->nodes[i].state == HELD;
}

struct guid_pool_use guid_pool_use(const struct guid_pool *pool)
{
	return (struct guid_pool_use){
		.size = pool->size, .held = pool->held, .resting = pool->resting, .blocked = pool->blocked
	};
}
