#include "ufmsync/wake.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void wakes_free(struct wakes *wakes)
{
	free(wakes->heap);
	*wakes = (struct wakes){ 0 };
}

static void put(struct wakes *wakes, size_t slot, struct wake *wake)
{
	wakes->heap[slot] = wake;
	wake->slot = (uint32_t)slot;
}

static void up(struct wakes *wakes, size_t slot, struct wake *wake)
{
	while (slot > 1 && wakes->heap[slot / 2]->at > wake->at) {
		put(wakes, slot, wakes->heap[slot / 2]);
		slot /= 2;
	}
	put(wakes, slot, wake);
}

static void down(struct wakes *wakes, size_t slot, struct wake *wake)
{
	for (;;) {
		size_t child = 2 * slot;
		if (child > wakes->n)
			break;
		if (child < wakes->n && wakes->heap[child + 1]->at < wakes->heap[child]->at)
			child++;
		if (wakes->heap[child]->at >= wake->at)
			break;
		put(wakes, slot, wakes->heap[child]);
		slot = child;
	}
	put(wakes, slot, wake);
}

void wake_set(struct wakes *wakes, struct wake *wake, int64_t at)
{
	if (wake->slot) {
		bool sooner = at < wake->at;
		wake->at = at;
		if (sooner)
			up(wakes, wake->slot, wake);
		else
			down(wakes, wake->slot, wake);
		return;
	}
	if (wakes->n + 2 > wakes->cap) {
		wakes->cap = wakes->cap ? 2 * wakes->cap : 64;
		wakes->heap = mem_resize(wakes->heap, wakes->cap, sizeof *wakes->heap);
	}
	wake->at = at;
	up(wakes, ++wakes->n, wake);
}

void wake_sooner(struct wakes *wakes, struct wake *wake, int64_t at)
{
	if (!wake->slot || at < wake->at)
		wake_set(wakes, wake, at);
}

void wake_clear(struct wakes *wakes, struct wake *wake)
{
	size_t slot = wake->slot;
	if (!slot)
		return;
	assert(wakes->heap[slot] == wake);
	wake->slot = 0;
	struct wake *last = wakes->heap[wakes->n--];
	if (last == wake)
		return;
	if (slot > 1 && wakes->heap[slot / 2]->at > last->at)
		up(wakes, slot, last);
	else
		down(wakes, slot, last);
}

struct wake *wakes_due(struct wakes *wakes, int64_t now)
{
	if (!wakes->n || wakes->heap[1]->at > now)
		return NULL;
	struct wake *wake = wakes->heap[1];
	wake_clear(wakes, wake);
	return wake;
}

int64_t wakes_deadline(const struct wakes *wakes)
{
	return wakes->n ? wakes->heap[1]->at : INT64_MAX;
}
