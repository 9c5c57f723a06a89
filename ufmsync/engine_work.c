#include <stdlib.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* The driver: timers, sliced work, and what is handed out. */

void engine_touch(struct engine *e, int64_t now)
{
	if (now > e->now)
		e->now = now;
	e->touched = true;
}

/* --- timers and work --- */

static void pod_woken(struct engine *e, struct engine_pod *p)
{
	if (p->vanished || p->need_read || p->provisional)
		engine_pod_want_read(e, p);
	else
		engine_pod_set_work(e, p, WORK_REVIEW);
}

static void seat_woken(struct engine *e, struct seat *seat)
{
	if (seat->state == SEAT_JOIN_QUEUED)
		engine_seat_join(e, seat);
	else if (seat->state == SEAT_LEAVE_QUEUED)
		engine_seat_leave(e, seat);
}

static void woken(struct engine *e, struct wake *wake)
{
	switch ((enum wake_kind)wake->kind) {
	case WAKE_AUDIT:
		e->audit_due = true;
		break;
	case WAKE_WRITE:
		break; /* engine_next_write() looks by itself */
	case WAKE_POOL:
		e->pool_try = true;
		break;
	case WAKE_PARTITION:
		engine_want_list(e, container_of(wake, struct partition, wake), e->now);
		break;
	case WAKE_QUEUE:
		engine_queue_enter(e, container_of(wake, struct queue, wake));
		break;
	case WAKE_ATTACHMENT:
		engine_attachment_woken(e, container_of(wake, struct attachment, wake));
		break;
	case WAKE_SEAT:
		seat_woken(e, container_of(wake, struct seat, wake));
		break;
	case WAKE_TELL:
		e->tell_due = true;
		break;
	case WAKE_POD:
		pod_woken(e, container_of(wake, struct engine_pod, wake));
		break;
	}
}

static void work(struct engine *e)
{
	size_t budget = SLICE;
	for (struct wake *wake; budget && (wake = wakes_due(&e->wakes, e->now)); budget--)
		woken(e, wake);
	engine_pods_work(e, &budget);
	engine_networks_work(e, &budget);
	engine_await_work(e, &budget);
	engine_lists_work(e, &budget);
	engine_start_work(e, &budget);
	engine_decide_work(e, &budget);
	engine_publish_work(e, &budget);
	engine_tell_work(e, &budget);
	e->more = !budget;
}

bool engine_next(struct engine *e, int64_t now, struct engine_action *action)
{
	engine_touch(e, now);
	engine_events_handed(e);
	free(e->told);
	e->told = NULL;
	*action = (struct engine_action){ 0 };
	work(e);
	if (e->observing) {
		if (engine_next_list(e, action))
			return true;
		e->touched = false;
		return false;
	}
	if (engine_next_write(e, action) || engine_next_list(e, action) || engine_next_changed(e, action) ||
	    engine_next_patch(e, action) || engine_next_read(e, action))
		return true;
	if (e->list_pods) {
		e->list_pods = false;
		e->fresh_asked |= e->phase != PHASE_FOLLOW;
		action->kind = ENGINE_LIST_PODS;
		return true;
	}
	if (engine_next_event(e, action))
		return true;
	e->touched = false;
	return false;
}

int64_t engine_deadline(const struct engine *e)
{
	if (e->touched || e->more)
		return e->now;
	return wakes_deadline(&e->wakes);
}
