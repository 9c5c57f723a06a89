#pragma once

#include <stddef.h>
#include <stdint.h>

/* A queue in ascending order of a number, of things that have an index each.  What comes in order is appended, and
 * what leaves at the front leaves, in constant time; only what comes out of order goes through a heap.
 * The links live inside the elements of an array of the owner, who passes the first one's to each call and may move the
 * array in between. */

struct queue_link {
	int64_t key;
	uint32_t before, after; /* private */
};

struct queue {
	size_t stride;       /* bytes from one link to the next */
	uint32_t head, tail; /* those that came in order */
	uint32_t *heap;      /* the others */
	uint32_t heap_count, heap_cap;
};

#define QUEUE_NONE UINT32_MAX

void queue_init(struct queue *queue, size_t stride);
void queue_free(struct queue *queue);
void queue_put(struct queue *queue, struct queue_link *links, uint32_t index, int64_t key);
void queue_remove(struct queue *queue, struct queue_link *links, uint32_t index); /* must be in it */
/* The one with the least number, QUEUE_NONE when empty.  Those with equal numbers that came in order leave so. */
uint32_t queue_first(const struct queue *queue, const struct queue_link *links);
