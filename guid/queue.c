#include "guid/queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

/* `before` of one in the heap; `after` is then its place there. */
enum { HEAP_FIRST_CAP = 16 };
#define IN_HEAP (UINT32_MAX - 1)

static struct queue_link *at(const struct queue *queue, const struct queue_link *links, uint32_t index)
{
	return (struct queue_link *)((char *)links + index * queue->stride);
}

static int64_t key_of(const struct queue *queue, const struct queue_link *links, uint32_t index)
{
	return at(queue, links, index)->key;
}

void queue_init(struct queue *queue, size_t stride)
{
	*queue = (struct queue){ .stride = stride, .head = QUEUE_NONE, .tail = QUEUE_NONE };
}

void queue_free(struct queue *queue)
{
	free(queue->heap);
	queue_init(queue, queue->stride);
}

static void set(struct queue *queue, struct queue_link *links, uint32_t place, uint32_t index)
{
	queue->heap[place] = index;
	at(queue, links, index)->after = place;
}

static void sift_up(struct queue *queue, struct queue_link *links, uint32_t place, uint32_t index)
{
	while (place > 0) {
		uint32_t parent = (place - 1) / 2;
		if (key_of(queue, links, queue->heap[parent]) <= key_of(queue, links, index))
			break;
		set(queue, links, place, queue->heap[parent]);
		place = parent;
	}
	set(queue, links, place, index);
}

static void sift_down(struct queue *queue, struct queue_link *links, uint32_t place, uint32_t index)
{
	for (;;) {
		uint32_t child = place * 2 + 1;
		if (child >= queue->heap_count)
			break;
		if (child + 1 < queue->heap_count &&
		    key_of(queue, links, queue->heap[child + 1]) < key_of(queue, links, queue->heap[child]))
			child++;
		if (key_of(queue, links, queue->heap[child]) >= key_of(queue, links, index))
			break;
		set(queue, links, place, queue->heap[child]);
		place = child;
	}
	set(queue, links, place, index);
}

static void heap_put(struct queue *queue, struct queue_link *links, uint32_t index)
{
	if (queue->heap_count == queue->heap_cap) {
		queue->heap_cap = queue->heap_cap > 0 ? queue->heap_cap * 2 : HEAP_FIRST_CAP;
		queue->heap = mem_resize(queue->heap, queue->heap_cap, sizeof *queue->heap);
	}
	at(queue, links, index)->before = IN_HEAP;
	queue->heap_count++;
	sift_up(queue, links, queue->heap_count - 1, index);
}

static void heap_remove(struct queue *queue, struct queue_link *links, uint32_t index)
{
	uint32_t place = at(queue, links, index)->after, last = queue->heap[--queue->heap_count];

	assert(queue->heap[place] == index || last == index);
	if (last == index)
		return;
	if (place > 0 && key_of(queue, links, queue->heap[(place - 1) / 2]) > key_of(queue, links, last))
		sift_up(queue, links, place, last);
	else
		sift_down(queue, links, place, last);
}

void queue_put(struct queue *queue, struct queue_link *links, uint32_t index, int64_t key)
{
	assert(index < IN_HEAP);
	at(queue, links, index)->key = key;
	if (queue->tail != QUEUE_NONE && key < key_of(queue, links, queue->tail)) {
		heap_put(queue, links, index);
		return;
	}
	at(queue, links, index)->before = queue->tail;
	at(queue, links, index)->after = QUEUE_NONE;
	if (queue->tail != QUEUE_NONE)
		at(queue, links, queue->tail)->after = index;
	else
		queue->head = index;
	queue->tail = index;
}

void queue_remove(struct queue *queue, struct queue_link *links, uint32_t index)
{
	uint32_t before = at(queue, links, index)->before, after = at(queue, links, index)->after;

	if (before == IN_HEAP) {
		heap_remove(queue, links, index);
		return;
	}
	if (before != QUEUE_NONE)
		at(queue, links, before)->after = after;
	else
		queue->head = after;
	if (after != QUEUE_NONE)
		at(queue, links, after)->before = before;
	else
		queue->tail = before;
}

uint32_t queue_first(const struct queue *queue, const struct queue_link *links)
{
	uint32_t top = queue->heap_count > 0 ? queue->heap[0] : QUEUE_NONE;

	if (top == QUEUE_NONE ||
	    (queue->head != QUEUE_NONE && key_of(queue, links, queue->head) <= key_of(queue, links, top)))
		return queue->head;
	return top;
}
