#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Writes to the fabric manager: one is under way.  One that is refused is cut in halves until the GUID that is to blame
 * is alone. */

enum {
	SEAT_FIRST_MS = 1000,
	SEAT_MOST_MS = 60000,
	AUTH_FIRST_MS = 5000,
	AUTH_MOST_MS = 60000,
	REFUSALS_IN_A_ROW = 3, /* of one GUID each: it is the PKey that is refused */
};

/* --- sending --- */

static size_t batch_limit(const struct engine *e, const struct queue *queue)
{
	return queue->limit && queue->limit < e->options.batch_max ? queue->limit : e->options.batch_max;
}

/* What was sent may take effect until it has been seen, or for so long. */
static void may_land(const struct engine *e, struct seat *seat)
{
	if (!engine_broken(BREAK_REST_ENDS_EARLY))
		seat->settle_at = e->now + e->options.write_timeout_ms;
}

static struct guid take_seat(const struct engine *e, struct seat *seat)
{
	if (seat->state == SEAT_JOIN_QUEUED) {
		seat->state = SEAT_JOIN_SENT;
		seat->maybe = true;
		seat->sends += seat->sends < 200;
		may_land(e, seat);
	} else {
		seat->state = SEAT_LEAVE_SENT;
		/* That a list does not show it may be the earlier one's doing. */
		if (seat->left_once)
			may_land(e, seat);
		seat->left_once = true;
	}
	return seat_attachment(seat)->guid;
}

static void fill_write(struct engine *e, struct write *write, struct queue *queue)
{
	size_t limit = batch_limit(e, queue);
	for (struct chain *link; write->n < limit && (link = engine_queue_first(queue));) {
		chain_remove(link);
		engine_queue_count(e, queue, -1);
		if (queue->kind == QUEUE_REMOVE) {
			struct stray *stray = container_of(link, struct stray, in_queue);
			stray->state = STRAY_SEEN;
			if (!engine_stray_is_to_go(e, stray))
				continue;
			stray->state = STRAY_SENT;
			stray->tried_again = stray->tried;
			stray->tried = true;
			e->guids[write->n] = stray->sighting->guid;
		} else {
			struct seat *seat = container_of(link, struct seat, in_queue);
			if (seat->state == SEAT_JOIN_QUEUED && engine_seat_held_back(e, seat)) {
				engine_seat_hold_back(e, seat);
				continue;
			}
			e->guids[write->n] = take_seat(e, seat);
		}
		chain_append(&write->items, link);
		write->n++;
	}
	engine_queue_served(e, queue);
}

static struct pkey_class class_of(const struct queue *queue)
{
	bool joins = queue->kind < QUEUE_LEAVE;
	return (struct pkey_class){ .pkey = queue->partition->pkey,
				    .membership = joins && queue->kind & 2 ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL,
				    .index0 = joins && queue->kind & 1 };
}

static struct queue *next_queue(struct engine *e)
{
	struct chain *ring = chain_empty(&e->ring) ? &e->ring_remove : &e->ring;
	if (chain_empty(ring))
		return NULL;
	if (e->now < e->write_not_before) {
		wake_set(&e->wakes, &e->write_wake, e->write_not_before);
		return NULL;
	}
	struct queue *queue = container_of(ring->next, struct queue, in_ring);
	int64_t gathered = e->last_write_done + e->options.gather_ms;
	if (e->last_write_n > 1 && ring == &e->ring && !queue->limit && e->queued < e->options.batch_max &&
	    e->now < gathered) {
		wake_set(&e->wakes, &e->write_wake, gathered);
		return NULL;
	}
	return queue;
}

bool engine_next_write(struct engine *e, struct engine_action *action)
{
	struct write *write = &e->writes[0];
	if (write->id && engine_broken(BREAK_TWO_WRITES))
		write = &e->writes[1];
	if (e->phase != PHASE_RUN || write->id || (e->now < e->quiet_until && !engine_broken(BREAK_NO_QUIET)))
		return false;
	for (struct queue *queue; (queue = next_queue(e));) {
		fill_write(e, write, queue);
		if (!write->n)
			continue;
		write->queue = queue;
		write->is_join = queue->kind < QUEUE_LEAVE;
		write->id = action->id = ++e->ids;
		e->last_write_n = write->n;
		action->kind = write->is_join ? ENGINE_JOIN : ENGINE_LEAVE;
		action->write.class = class_of(queue);
		action->write.guids = e->guids;
		action->write.n = write->n;
		if (write->is_join)
			e->done_joins++;
		else
			e->done_leaves++;
		for (struct chain *at = write->items.next; at != &write->items; at = at->next) {
			if (queue->kind == QUEUE_REMOVE)
				continue;
			struct seat *seat = container_of(at, struct seat, in_queue);
			struct attachment *a = seat_attachment(seat);
			engine_attachment_settle(e, a);
			if (queue->kind == QUEUE_LEAVE && engine_broken(BREAK_LEAVE_WRONG_PKEY) && a->net->def &&
			    a->net->def->has_pkey == NETWORK_PKEY_VALID)
				action->write.class.pkey = a->net->def->pkey;
		}
		return true;
	}
	return false;
}

/* --- answers --- */

enum outcome { OUTCOME_ACCEPTED, OUTCOME_UNKNOWN, OUTCOME_AUTH, OUTCOME_REFUSED };

static enum outcome outcome_of(const struct error *err)
{
	if (!err)
		return OUTCOME_ACCEPTED;
	switch (err->kind) {
	case ERROR_AUTH:
		return OUTCOME_AUTH;
	case ERROR_INVALID:
	case ERROR_GONE:
	case ERROR_LIMIT:
		return OUTCOME_REFUSED;
	default:
		return OUTCOME_UNKNOWN;
	}
}

/* Back to the front of its queue, or on to leaving when its pod has gone meanwhile. */
static void seat_again(struct engine *e, struct seat *seat)
{
	struct attachment *a = seat_attachment(seat);
	seat->after = e->seq;
	if (seat->state == SEAT_LEAVE_SENT) {
		seat->state = SEAT_LEAVE_QUEUED;
	} else if (a->state == ATTACHMENT_LEAVING) {
		engine_seat_leave(e, seat);
		return;
	} else {
		seat->state = SEAT_JOIN_QUEUED;
	}
	engine_seat_again(e, seat);
}

static void seat_accepted(struct engine *e, struct seat *seat, bool uncertain)
{
	struct attachment *a = seat_attachment(seat);
	seat->after = e->seq;
	seat->accepted_at = e->now;
	seat->denials = 0;
	seat->uncertain = uncertain;
	if (uncertain)
		may_land(e, seat);
	else
		seat->refusals = 0;
	if (seat->state == SEAT_LEAVE_SENT) {
		seat->state = SEAT_LEAVE_CHECK;
		return;
	}
	seat->state = SEAT_JOIN_CHECK;
	if (uncertain && engine_broken(BREAK_UNCERTAIN_IS_NO)) {
		seat->maybe = false;
		seat->state = SEAT_JOIN_QUEUED;
		if (a->state != ATTACHMENT_LEAVING)
			engine_seat_join(e, seat);
		else
			seat->state = SEAT_IDLE;
	} else if (a->state == ATTACHMENT_LEAVING) {
		engine_seat_leave(e, seat);
	} else if (!uncertain && engine_broken(BREAK_NO_READ_BACK)) {
		seat->state = SEAT_LISTED;
		engine_attachment_settle(e, a);
	}
	if (a->state == ATTACHMENT_LEAVING)
		engine_attachment_left(e, a);
}

/* One GUID alone was refused. */
static void seat_refused(struct engine *e, struct seat *seat, const struct error *err)
{
	struct attachment *a = seat_attachment(seat);
	seat->refusals += seat->refusals < 20;
	seat->after = e->seq;
	int64_t wait = engine_backoff(e, seat->refusals, SEAT_FIRST_MS, SEAT_MOST_MS, a->guid.v);
	if (seat->state == SEAT_LEAVE_SENT) {
		/* Nothing to leave, or it cannot: the next list decides. */
		seat->state = SEAT_LEAVE_CHECK;
		seat->accepted_at = e->now + wait;
		seat->denials = 0;
		return;
	}
	if (a->state == ATTACHMENT_LEAVING) {
		engine_seat_leave(e, seat);
		return;
	}
	seat->state = SEAT_JOIN_QUEUED;
	wake_set(&e->wakes, &seat->wake, e->now + wait);
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX];
	engine_attachment_block(e, a, "FabricRefused", "the fabric manager refuses GUID %s in PKey %s: %.300s%s",
				guid_format(guid, a->guid), pkey_format(pkey, seat->partition->pkey), err->text,
				err->kind == ERROR_GONE && e->options.gate == ENGINE_GATE_MEMBER
					? "; if it wants to see the port first, set UFMSYNC_GATE=assigned"
					: "");
}

static void hold_batch(struct engine *e, struct write *write, const struct error *err, bool say)
{
	for (struct chain *at = write->items.next; at != &write->items; at = at->next) {
		struct attachment *a = seat_attachment(container_of(at, struct seat, in_queue));
		if (attachment_is_over(a) || a->state == ATTACHMENT_PUBLISHED)
			continue;
		if (say)
			engine_attachment_block(e, a, "FabricUnavailable",
						"the fabric manager cannot be written to: %.300s", err->text);
		else
			engine_attachment_hold(e, a, "FabricUnavailable", "a write failed: %.300s", err->text);
	}
}

static void suspects_done(struct queue *queue, size_t n)
{
	queue->suspects = queue->suspects > n ? (uint16_t)(queue->suspects - n) : 0;
	queue->limit = queue->suspects ? (uint16_t)((queue->suspects + 1) / 2) : 0;
}

/* Every item goes on by itself; the last first, so that those put back at the front keep their order. */
static void each_item(struct engine *e, struct write *write, enum outcome outcome, const struct error *err, bool alone)
{
	while (!chain_empty(&write->items)) {
		struct chain *link = write->items.prev;
		chain_remove(link);
		if (write->queue->kind == QUEUE_REMOVE) {
			struct stray *stray = container_of(link, struct stray, in_queue);
			bool known = outcome == OUTCOME_AUTH || outcome == OUTCOME_REFUSED;
			stray->state = known ? STRAY_SEEN : STRAY_CHECK; /* the next audit looks again */
			stray->after = e->seq;
			continue;
		}
		struct seat *seat = container_of(link, struct seat, in_queue);
		if (outcome == OUTCOME_ACCEPTED)
			seat_accepted(e, seat, false);
		else if (outcome == OUTCOME_UNKNOWN && write->is_join)
			seat_accepted(e, seat, true);
		else if (outcome == OUTCOME_UNKNOWN) {
			may_land(e, seat);
			seat_again(e, seat);
		} else if (outcome == OUTCOME_REFUSED && alone)
			seat_refused(e, seat, err);
		else
			seat_again(e, seat);
	}
}

static void failed(struct engine *e, struct write *write, enum outcome outcome, const struct error *err)
{
	struct queue *queue = write->queue;
	size_t n = write->n;
	if (outcome == OUTCOME_AUTH) {
		e->auth_failures += e->auth_failures < 20;
		e->write_not_before = e->now + engine_backoff(e, e->auth_failures, AUTH_FIRST_MS, AUTH_MOST_MS, 0);
	}
	if (queue->kind != QUEUE_REMOVE && write->is_join && !(outcome == OUTCOME_REFUSED && n == 1))
		hold_batch(e, write, err, outcome == OUTCOME_AUTH || queue->failures >= 2);
	if (outcome == OUTCOME_UNKNOWN) {
		engine_queue_pause(e, queue);
	} else if (outcome == OUTCOME_REFUSED && n > 1) {
		queue->suspects = (uint16_t)n;
		queue->limit = (uint16_t)((n + 1) / 2);
	} else if (outcome == OUTCOME_REFUSED) {
		suspects_done(queue, 1);
		queue->failures += queue->failures < 20;
		if (queue->failures >= REFUSALS_IN_A_ROW) {
			engine_queue_pause(e, queue);
			queue->limit = 1;
		}
	}
}

void engine_write_done(struct engine *e, uint64_t id, const struct error *err, int64_t now)
{
	engine_touch(e, now);
	struct write *write = &e->writes[0];
	if (write->id != id)
		write = &e->writes[1];
	if (!id || write->id != id)
		return;
	enum outcome outcome = outcome_of(err);
	struct partition *partition = write->queue->partition;
	bool alone = write->n == 1;
	e->seq++;
	engine_tell_trouble(&e->write_trouble, outcome == OUTCOME_UNKNOWN || outcome == OUTCOME_AUTH ? err : NULL);
	if (outcome == OUTCOME_ACCEPTED) {
		write->queue->failures = 0;
		e->auth_failures = 0;
		suspects_done(write->queue, write->n);
	} else {
		failed(e, write, outcome, err);
	}
	write->id = 0;
	e->last_write_done = now;
	each_item(e, write, outcome, err, alone);
	write->n = 0;
	if (outcome != OUTCOME_AUTH)
		engine_read_back(e, partition);
}
