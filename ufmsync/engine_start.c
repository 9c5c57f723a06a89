#include "ufmsync/engine_parts.h"

/* What a new leader does, in this order: everything listed, records claimed, (annotations adopted,) wishes, generated
 * GUIDs.  Each phase is one walk over the pods, cut into slices. */

enum { SMALL_POOL = 4096 };

void engine_lead(struct engine *e, int64_t quiet_until, bool settled, int64_t now)
{
	engine_touch(e, now);
	if (e->phase != PHASE_FOLLOW)
		return;
	e->phase = PHASE_SYNC;
	engine_tell_all(e);
	e->quiet_until = quiet_until;
	e->settled = settled;
	e->list_pods = true; /* what a predecessor wrote last may not have come through the watch yet */
	wake_set(&e->wakes, &e->write_wake, quiet_until);
}

void engine_doubt(struct engine *e, int64_t until)
{
	e->doubt_until = until;
}

int64_t engine_quiet_until(const struct engine *e)
{
	return e->quiet_until > e->doubt_until ? e->quiet_until : e->doubt_until;
}

void engine_end_doubt(struct engine *e, bool is_new)
{
	if (!is_new && e->quiet_until < e->doubt_until) {
		e->quiet_until = e->doubt_until;
		wake_set(&e->wakes, &e->write_wake, e->quiet_until);
	}
	e->doubt_until = 0;
}

/* The pods are yet to be listed, so that list is fresh; no writer's last words are waited for by one who writes none. */
void engine_observe(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	if (e->phase != PHASE_FOLLOW)
		return;
	e->observing = true;
	e->phase = PHASE_SYNC;
	e->quiet_until = now;
	e->fresh_asked = true;
}

static bool all_synced(const struct engine *e)
{
	return e->fresh && e->pods_sync.synced && !e->pods_sync.listing && e->nets_sync.synced &&
	       !e->nets_sync.listing && e->spaces_sync.synced && !e->spaces_sync.listing && !e->reconcile_at &&
	       !e->vanish_at;
}

static void enter(struct engine *e, enum engine_phase phase)
{
	e->phase = phase;
	e->phase_at = e->pods.next;
}

/* In a small pool chance does not keep the cursor away from what was freed just before the start. */
static void rest_the_unknown(struct engine *e)
{
	uint64_t first = e->options.first.v, last = e->options.last.v;
	if (last - first >= SMALL_POOL - 1)
		return;
	for (uint64_t v = first; v <= last; v++) {
		struct guid guid = { v };
		const struct sighting *sighting = engine_sighting(e, guid);
		if (!engine_find_holder(e, guid) && !(sighting && sighting->listed))
			guid_pool_rest(e->pool, guid, e->now + e->options.rest_ms, false, e->now);
	}
}

static void next_phase(struct engine *e)
{
	switch (e->phase) {
	case PHASE_RECORDS:
		enter(e, PHASE_ADOPT);
		break;
	case PHASE_ADOPT:
		if (!e->observing)
			rest_the_unknown(e);
		enter(e, PHASE_WISHES);
		break;
	case PHASE_WISHES:
		enter(e, PHASE_GENERATED);
		break;
	default:
		e->phase = PHASE_RUN;
		e->phase_at = NULL;
		engine_networks_lead(e);
		engine_tell_all(e);
		if (!e->strays[STRAY_ORPHAN])
			e->settled = true;
		engine_strays_listed_all(e);
		break;
	}
}

static void visit(struct engine *e, struct engine_pod *p, size_t *budget)
{
	for (struct chain *at = p->attachments.next, *next; at != &p->attachments; at = next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		next = at->next;
		engine_spend(budget, DECISION_COST);
		if (a->has_guid || attachment_is_over(a))
			continue;
		if (e->phase == PHASE_RECORDS && a->recorded)
			engine_claim_record(e, a);
		else if (e->phase == PHASE_ADOPT)
			engine_adopt(e, a);
		else if (e->phase == PHASE_GENERATED ? !a->blocked_reason : e->phase == PHASE_WISHES)
			engine_decide(e, a);
	}
	if (e->phase == PHASE_GENERATED)
		engine_pod_set_work(e, p, WORK_REVIEW);
}

void engine_start_work(struct engine *e, size_t *budget)
{
	if (e->phase == PHASE_SYNC && all_synced(e)) {
		e->phase = PHASE_LIST;
		e->audit_due = true;
		if (engine_broken(BREAK_GIVE_BEFORE_LIST))
			enter(e, PHASE_RECORDS);
	}
	if (e->phase == PHASE_LIST && e->listed)
		enter(e, PHASE_RECORDS);
	while (*budget && e->phase >= PHASE_RECORDS && e->phase < PHASE_RUN) {
		if (e->phase_at == &e->pods) {
			next_phase(e);
			continue;
		}
		struct engine_pod *p = container_of(e->phase_at, struct engine_pod, in_pods);
		e->phase_at = e->phase_at->next;
		--*budget;
		visit(e, p, budget);
	}
	if (!e->quiet_over && e->phase == PHASE_RUN && (e->now >= e->quiet_until || engine_broken(BREAK_NO_QUIET))) {
		e->quiet_over = true;
		engine_tell_all(e);
	}
}
