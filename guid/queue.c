#include "guid/queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

/* `before` of one in the heap; `after` is then its place there. */
enum { HEAP_FIRST_CAP = 16 };
#define IN_HEAP (UINT32_MAX - 1)

void queue_init(struct queue *queue)
{
	*queue = (struct queue){ .head = QUEUE_NONE, .tail = QUEUE_NONE };
}

void queue_free(struct queue *queue)
{
	free(queue->heap);
	queue_init(queue);
}

static void set(struct queue *queue, struct queue_link *links, uint32_t place, uint32_t index)
{
	queue->heap[place] = index;
	links[index].after = place;
}

static void sift_up(struct queue *queue, struct queue_link *links, uint32_t place, uint32_t index)
{
	while (place > 0) {
		uint32_t parent = (place - 1) / 2;
		if (links[queue->heap[parent]].key <= links[index].key)
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
		if (child + 1 < queue->heap_count && links[queue->heap[child + 1]].key < links[queue->heap[child]].key)
			child++;
		if (links[queue->heap[child]].key >= links[index].key)
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
	links[index].before = IN_HEAP;
	queue->heap_count++;
	sift_up(queue, links, queue->heap_count - 1, index);
}

static void heap_remove(struct queue *queue, struct queue_link *links, uint32_t index)
{
	uint32_t place = links[index].after, last = queue->heap[--queue->heap_count];

	assert(queue->heap[place] == index || last == index);
	if (last == index)
		return;
	if (place > 0 && links[queue->heap[(place - 1) / 2]].key > links[last].key)
		sift_up(queue, links, place, last);
	else
		sift_down(queue, links, place, last);
}

void queue_put(struct queue *queue, struct queue_link *links, uint32_t index, int64_t key)
{
	assert(index < IN_HEAP);
	links[index].key = key;
	if (queue->tail != QUEUE_NONE && key < links[queue->tail].key) {
		heap_put(queue, links, index);
		return;
	}
	links[index].before = queue->tail;
	links[index].after = QUEUE_NONE;
	if (queue->tail != QUEUE_NONE)
		links[queue->tail].after = index;
	else
		queue->head = index;
	queue->tail = index;
}

void queue_remove(struct queue *queue, struct queue_link *links, uint32_t index)
{
	uint32_t before = links[index].before, after = links[index].after;

	if (before == IN_HEAP) {
		heap_remove(queue, links, index);
		return;
	}
	if (before != QUEUE_NONE)
		links[before].after = after;
	else
		queue->head = after;
	if (after != QUEUE_NONE)
		links[after].before = before;
	else
		queue->tail = before;
}

uint32_t queue_first(const struct queue *queue, const struct queue_link *links)
{
	uint32_t top = queue->heap_count > 0 ? queue->heap[0] : QUEUE_NONE;

	if (top == QUEUE_NONE || (queue->head != QUEUE_NONE && links[queue->head].key <= links[top].key))
		return queue->head;
	return top;
}
