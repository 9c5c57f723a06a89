#include <assert.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* What waits to be written: a queue per PKey and class, and the ring in which the queues that may be served take turns. */

enum { QUEUE_FIRST_MS = 1000, QUEUE_MOST_MS = 60000 };

int64_t engine_backoff(const struct engine *e, unsigned failures, int64_t first, int64_t most, uint64_t salt)
{
	int64_t wait = first;
	for (unsigned i = 1; i < failures && wait < most; i++)
		wait *= 2;
	if (wait > most)
		wait = most;
	/* Up to a fifth less, so that many do not come back at once. */
	return wait - (int64_t)(hash_number(e->seed ^ salt, failures) % (uint64_t)(wait / 5 + 1));
}

struct partition *engine_partition(struct engine *e, struct pkey pkey)
{
	assert(pkey.v < PKEY_COUNT);
	struct partition *partition = e->by_pkey[pkey.v];
	if (partition)
		return partition;
	e->by_pkey[pkey.v] = partition = mem_alloc(sizeof *partition);
	partition->pkey = pkey;
	partition->ours = (pkey_set_has(&e->options.pkeys, pkey) || engine_broken(BREAK_FOREIGN_PKEY)) &&
			  pkey.v != PKEY_MANAGEMENT;
	partition->wake.kind = WAKE_PARTITION;
	chain_init(&partition->seats);
	chain_init(&partition->strays);
	chain_init(&partition->in_due);
	for (int kind = 0; kind < QUEUES; kind++) {
		struct queue *queue = &partition->queues[kind];
		queue->partition = partition;
		queue->kind = (uint8_t)kind;
		queue->wake.kind = WAKE_QUEUE;
		for (int lane = 0; lane < LANES; lane++)
			chain_init(&queue->lanes[lane]);
		chain_init(&queue->in_ring);
	}
	chain_append(&e->partitions, &partition->in_partitions);
	return partition;
}

static struct chain *ring_of(struct engine *e, const struct queue *queue)
{
	return queue->kind == QUEUE_REMOVE ? &e->ring_remove : &e->ring;
}

void engine_queue_enter(struct engine *e, struct queue *queue)
{
	if (chain_linked(&queue->in_ring) || !queue->n || wake_is_set(&queue->wake))
		return;
	chain_append(ring_of(e, queue), &queue->in_ring);
	if (queue->kind != QUEUE_REMOVE)
		e->queued += queue->n;
}

void engine_queue_quit(struct engine *e, struct queue *queue)
{
	if (!chain_linked(&queue->in_ring))
		return;
	chain_remove(&queue->in_ring);
	if (queue->kind != QUEUE_REMOVE)
		e->queued -= queue->n;
}

void engine_queue_count(struct engine *e, struct queue *queue, int by)
{
	queue->n += (size_t)by;
	e->n_to_write[queue->kind >= QUEUE_LEAVE] += (uint64_t)(int64_t)by;
	if (chain_linked(&queue->in_ring) && queue->kind != QUEUE_REMOVE)
		e->queued += (size_t)by;
	if (!queue->n)
		engine_queue_quit(e, queue);
}

struct chain *engine_queue_first(const struct queue *queue)
{
	for (int lane = 0; lane < LANES; lane++)
		if (!chain_empty(&queue->lanes[lane]))
			return queue->lanes[lane].next;
	return NULL;
}

void engine_queue_served(struct engine *e, struct queue *queue)
{
	queue->jump = queue->jump == JUMP_DONE ? JUMP_SPENT : JUMP_NOT;
	engine_queue_quit(e, queue);
	engine_queue_enter(e, queue);
}

/* Behind those that have jumped before it. */
static void queue_jump(struct engine *e, struct queue *queue)
{
	if (queue->jump != JUMP_NOT || !chain_linked(&queue->in_ring))
		return;
	struct chain *ring = ring_of(e, queue), *at = ring;
	while (at->next != ring && container_of(at->next, struct queue, in_ring)->jump == JUMP_DONE)
		at = at->next;
	queue->jump = JUMP_DONE;
	if (at->next == &queue->in_ring)
		return;
	chain_remove(&queue->in_ring);
	chain_insert(at, &queue->in_ring);
}

void engine_queue_push(struct engine *e, struct queue *queue, struct chain *link, enum lane lane)
{
	assert(!chain_linked(link));
	chain_append(&queue->lanes[lane], link);
	engine_queue_count(e, queue, 1);
	engine_queue_enter(e, queue);
}

void engine_queue_pause(struct engine *e, struct queue *queue)
{
	queue->failures += queue->failures < 20;
	engine_queue_quit(e, queue);
	wake_set(&e->wakes, &queue->wake,
		 e->now + engine_backoff(e, queue->failures, QUEUE_FIRST_MS, QUEUE_MOST_MS,
					 (uint64_t)queue->partition->pkey.v << 3 | queue->kind));
}

struct queue *engine_queue_of(const struct seat *seat)
{
	bool leaves = seat->state == SEAT_LEAVE_QUEUED || seat->state == SEAT_LEAVE_SENT;
	int kind = leaves ? QUEUE_LEAVE : QUEUE_JOIN + seat->limited * 2 + seat->index0;
	return &seat->partition->queues[kind];
}

void engine_seat_unqueue(struct engine *e, struct seat *seat)
{
	if (!chain_linked(&seat->in_queue))
		return;
	chain_remove(&seat->in_queue);
	if (seat->state == SEAT_JOIN_QUEUED || seat->state == SEAT_LEAVE_QUEUED)
		engine_queue_count(e, engine_queue_of(seat), -1);
}

/* A GUID stands at index 0 of one PKey at most: the other one must be left first. */
bool engine_seat_held_back(const struct engine *e, const struct seat *seat)
{
	if (!seat->index0 || engine_broken(BREAK_TWO_INDEX0))
		return false;
	const struct attachment *a = seat_attachment((struct seat *)seat);
	const struct sighting *sighting = engine_sighting(e, a->guid);
	if (!sighting)
		return false;
	for (const struct chain *at = sighting->strays.next; at != &sighting->strays; at = at->next) {
		const struct stray *stray = container_of(at, struct stray, in_sighting);
		if (stray->index0 && stray->state != STRAY_REMOVED)
			return true;
	}
	return false;
}

void engine_seat_hold_back(struct engine *e, struct seat *seat)
{
	struct attachment *a = seat_attachment(seat);
	char guid[GUID_TEXT_MAX];
	engine_attachment_block(e, a, "GUIDTaken",
				"GUID %s stands at index 0 of another PKey, which it must leave first",
				guid_format(guid, a->guid));
}

static void seat_push(struct engine *e, struct seat *seat)
{
	struct queue *queue = engine_queue_of(seat);
	bool hurried = seat_attachment(seat)->pod->awaited;
	seat->lane = hurried ? LANE_HURRIED : LANE_USUAL;
	engine_queue_push(e, queue, &seat->in_queue, (enum lane)seat->lane);
	if (hurried)
		queue_jump(e, queue);
	if (queue->failures)
		engine_attachment_hold(e, seat_attachment(seat), "FabricUnavailable",
				       "writes to this PKey fail; tried again later");
}

void engine_seat_join(struct engine *e, struct seat *seat)
{
	assert(!attachment_is_over(seat_attachment(seat)));
	if (chain_linked(&seat->in_queue) || wake_is_set(&seat->wake))
		return;
	seat->state = SEAT_JOIN_QUEUED;
	seat->denials = 0;
	if (engine_seat_held_back(e, seat))
		engine_seat_hold_back(e, seat);
	else
		seat_push(e, seat);
}

/* Where it stands among those of a write that failed it stays: their order finds the one to blame, and they are first as
 * it is. */
void engine_seat_hurry(struct engine *e, struct seat *seat)
{
	if (seat->state != SEAT_JOIN_QUEUED || !chain_linked(&seat->in_queue))
		return;
	struct queue *queue = engine_queue_of(seat);
	if (seat->lane == LANE_USUAL) {
		chain_remove(&seat->in_queue);
		chain_append(&queue->lanes[LANE_HURRIED], &seat->in_queue);
		seat->lane = LANE_HURRIED;
	}
	queue_jump(e, queue);
}

/* The last of them first, so that they keep their order. */
void engine_seat_again(struct engine *e, struct seat *seat)
{
	struct queue *queue = engine_queue_of(seat);
	assert(!chain_linked(&seat->in_queue));
	seat->lane = LANE_AGAIN;
	chain_insert(&queue->lanes[LANE_AGAIN], &seat->in_queue);
	engine_queue_count(e, queue, 1);
	engine_queue_enter(e, queue);
}

void engine_seat_leave(struct engine *e, struct seat *seat)
{
	if (chain_linked(&seat->in_queue) || wake_is_set(&seat->wake))
		return;
	seat->state = SEAT_LEAVE_QUEUED;
	seat->denials = 0;
	seat->lane = LANE_USUAL;
	engine_queue_push(e, engine_queue_of(seat), &seat->in_queue, LANE_USUAL);
}

void engine_stray_remove(struct engine *e, struct stray *stray)
{
	stray->state = STRAY_QUEUED;
	engine_queue_push(e, &stray->partition->queues[QUEUE_REMOVE], &stray->in_queue, LANE_USUAL);
}

void engine_stray_unqueue(struct engine *e, struct stray *stray)
{
	if (stray->state != STRAY_QUEUED)
		return;
	chain_remove(&stray->in_queue);
	engine_queue_count(e, &stray->partition->queues[QUEUE_REMOVE], -1);
	stray->state = STRAY_SEEN;
}
