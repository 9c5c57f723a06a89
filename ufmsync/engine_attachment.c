#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/engine_parts.h"

/* The life of one attachment: wanted, joining, member, published, leaving, resting. */

enum { CONFIRM_AGAIN_MS = 10000 };

struct attachment *engine_attachment_new(struct engine *e, struct engine_pod *p, struct net *net, unsigned seats_max)
{
	struct attachment *a = mem_alloc(sizeof *a + seats_max * sizeof a->seats[0]);
	chain_init(&a->in_wait);
	a->pod = p;
	a->net = net;
	a->seats_max = (uint8_t)seats_max;
	a->wake.kind = WAKE_ATTACHMENT;
	a->state = ATTACHMENT_WANTED;
	a->since = e->now;
	engine_clock_start(e, a);
	a->time_member = a->time_published = e->phase == PHASE_RUN;
	chain_append(&p->attachments, &a->in_pod);
	chain_append(&net->pending, &a->in_net);
	for (unsigned i = 0; i < seats_max; i++) {
		chain_init(&a->seats[i].in_partition);
		chain_init(&a->seats[i].in_queue);
		a->seats[i].number = (uint8_t)i;
		a->seats[i].wake.kind = WAKE_SEAT;
	}
	e->n_attachments[a->state]++;
	engine_net_live(e, net, 1);
	engine_pod_tell(e, p);
	return a;
}

static void unpend(struct engine *e, struct attachment *a)
{
	if (e->net_at == &a->in_net)
		e->net_at = a->in_net.next;
	chain_remove(&a->in_net);
}

/* The only place where a state is written. */
void engine_attachment_state(struct engine *e, struct attachment *a, enum attachment_state to)
{
	if (a->state == to)
		return;
	bool was_over = attachment_is_over(a);
	e->n_attachments[a->state]--;
	e->n_attachments[to]++;
	a->state = (uint8_t)to;
	a->since = e->now;
	if (to == ATTACHMENT_PUBLISHED || to == ATTACHMENT_LEAVING || to == ATTACHMENT_RESTING)
		unpend(e, a);
	if (!was_over && attachment_is_over(a)) {
		engine_net_live(e, a->net, -1);
		for (unsigned i = 0; a->has_guid && i < a->n_seats; i++)
			engine_seat_count(e, &a->seats[i], -1);
	}
	engine_pod_tell(e, a->pod);
}

/* --- waiting --- */

void engine_attachment_unwait(struct engine *e, struct attachment *a)
{
	chain_remove(&a->in_wait);
	if (a->wait == WAIT_GUID)
		engine_guid_unwait(e, a->wish);
	a->wait = WAIT_NOT;
	if (a->state == ATTACHMENT_WANTED)
		wake_clear(&e->wakes, &a->wake);
}

void engine_attachment_wait(struct engine *e, struct attachment *a, enum attachment_wait wait, struct chain *list)
{
	engine_attachment_unwait(e, a);
	a->wait = (uint8_t)wait;
	chain_append(list, &a->in_wait);
}

__attribute__((format(printf, 4, 0))) static bool set_reason(struct engine *e, struct attachment *a, const char *reason,
							     const char *format, va_list args)
{
	char text[512];
	vsnprintf(text, sizeof text, format, args);
	utf8_one_line(text); /* a cut may have halved a character */
	bool news = !a->blocked_reason || strcmp(a->blocked_reason, reason) != 0;
	if (!a->blocked_text || strcmp(a->blocked_text, text) != 0) {
		free(a->blocked_text);
		a->blocked_text = mem_dup(text);
		engine_pod_tell(e, a->pod);
	}
	if (news)
		engine_pod_tell(e, a->pod);
	a->blocked_reason = reason;
	if (!a->has_guid && !a->counted_blocked) {
		a->counted_blocked = true;
		e->n_blocked++;
	}
	engine_pod_set_work(e, a->pod, WORK_REVIEW); /* the others of its pod need not wait for it */
	return news;
}

void engine_attachment_hold(struct engine *e, struct attachment *a, const char *reason, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (!a->blocked_reason || !a->has_guid)
		set_reason(e, a, reason, format, args);
	va_end(args);
}

void engine_attachment_block(struct engine *e, struct attachment *a, const char *reason, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	bool news = set_reason(e, a, reason, format, args);
	va_end(args);
	if (news || !a->said_reason)
		engine_tell_news(e, a, NEWS_BLOCKED);
	a->said_reason = true;
}

static void uncount_blocked(struct engine *e, struct attachment *a)
{
	if (!a->counted_blocked)
		return;
	e->n_blocked--;
	a->counted_blocked = false;
	engine_clock_start(e, a); /* what it had to wait for is there */
}

void engine_attachment_unblock(struct engine *e, struct attachment *a)
{
	if (a->blocked_reason)
		engine_pod_tell(e, a->pod);
	uncount_blocked(e, a);
	free(a->blocked_text);
	a->blocked_text = NULL;
	a->blocked_reason = NULL;
	a->said_reason = false;
	a->news &= (uint8_t)~NEWS_BLOCKED;
}

/* --- holding a GUID --- */

struct attachment *engine_find_holder(const struct engine *e, struct guid guid)
{
	uint64_t hash = hash_number(e->seed, guid.v);
	for (struct hash_node *n = hash_first(&e->holders, hash); n; n = hash_next(n)) {
		struct attachment *a = container_of(n, struct attachment, by_guid);
		if (a->guid.v == guid.v)
			return a;
	}
	return NULL;
}

static bool is_unconfirmed(const struct attachment *a)
{
	for (unsigned i = 0; i < a->n_seats; i++)
		if (!a->seats[i].confirmed)
			return true;
	return false;
}

void engine_guid_freed(struct engine *e, struct guid guid)
{
	if (!chain_empty(&e->pool_waiting))
		e->pool_try = true;
	if (!e->guid_waits.count)
		return;
	uint64_t hash = hash_number(e->seed, guid.v);
	for (struct hash_node *n = hash_first(&e->guid_waits, hash); n; n = hash_next(n)) {
		struct guid_wait *wait = container_of(n, struct guid_wait, node);
		if (wait->guid.v != guid.v)
			continue;
		for (struct chain *at = wait->waiting.next; at != &wait->waiting; at = at->next)
			container_of(at, struct attachment, in_wait)->wait = WAIT_DECISION;
		chain_splice(&e->decisions, &wait->waiting);
		hash_remove(&e->guid_waits, &wait->node);
		free(wait);
		return;
	}
}

void engine_guid_block(struct engine *e, struct guid guid)
{
	const struct attachment *a = engine_find_holder(e, guid);
	const struct sighting *sighting = engine_sighting(e, guid);
	if ((sighting && sighting->listed) || (a && a->state == ATTACHMENT_RESTING && is_unconfirmed(a))) {
		guid_pool_block(e->pool, guid);
		return;
	}
	guid_pool_unblock(e->pool, guid);
	if (!a || a->state == ATTACHMENT_RESTING)
		engine_guid_freed(e, guid);
}

void engine_seat_missing(struct engine *e, struct seat *seat, bool missing)
{
	if (seat->missing == missing)
		return;
	seat->missing = missing;
	e->n_missing = missing ? e->n_missing + 1 : e->n_missing - 1;
	seat->partition->missing = missing ? seat->partition->missing + 1 : seat->partition->missing - 1;
}

/* What the lists showed of this GUID in this PKey before it had an owner now speaks of the seat. */
static void seat_take(struct engine *e, struct attachment *a, struct seat *seat)
{
	seat->state = SEAT_JOIN_QUEUED;
	seat->after = 0;
	chain_append(&seat->partition->seats, &seat->in_partition);
	engine_seat_count(e, seat, 1);
	struct stray *stray = engine_stray_find(e, a->guid, seat->partition);
	if (!stray)
		return;
	assert(stray->state != STRAY_SENT);
	if (stray->state != STRAY_REMOVED) {
		bool right = stray->limited == seat->limited && stray->index0 == seat->index0;
		seat->maybe = true;
		for (int i = 0; i < 2; i++) {
			seat->seen[i] = stray->seen[i];
			seat->right[i] = right;
		}
		if (right && stray->sighted)
			seat->state = SEAT_LISTED;
	}
	engine_stray_free(e, stray);
}

void engine_attachment_reserve(struct engine *e, struct attachment *a, struct guid guid)
{
	assert(!a->has_guid);
	engine_attachment_unwait(e, a);
	engine_attachment_unblock(e, a);
	a->guid = guid;
	for (unsigned i = 0; i < a->n_seats; i++)
		seat_take(e, a, &a->seats[i]);
	a->has_guid = true;
	hash_add(&e->holders, &a->by_guid, hash_number(e->seed, guid.v));
	if (!a->time_published)
		engine_clock_start(e, a); /* what became of it before is not known */
	chain_append(&e->coming, &a->in_wait);
	engine_pod_tell(e, a->pod);
	engine_strays_classify(e, guid);
	engine_guid_block(e, guid);
	for (unsigned i = 0; i < a->n_seats; i++)
		if (a->seats[i].state == SEAT_JOIN_QUEUED)
			engine_seat_join(e, &a->seats[i]);
	engine_attachment_settle(e, a);
	if (!a->by_record && a->state < ATTACHMENT_MEMBER)
		engine_tell_later(e, a->pod);
	if (e->options.gate == ENGINE_GATE_ASSIGNED || engine_broken(BREAK_PUBLISH_EARLY))
		engine_pod_set_work(e, a->pod, WORK_REVIEW);
}

static void seat_unlink(struct engine *e, struct seat *seat)
{
	engine_seat_unqueue(e, seat);
	wake_clear(&e->wakes, &seat->wake);
	if (e->sweep.at == &seat->in_partition)
		e->sweep.at = seat->in_partition.next;
	chain_remove(&seat->in_partition);
	if (!attachment_is_over(seat_attachment(seat)))
		engine_seat_count(e, seat, -1);
	engine_seat_missing(e, seat, false);
}

static void let_go_of_guid(struct engine *e, struct attachment *a)
{
	for (unsigned i = 0; i < a->n_seats; i++)
		seat_unlink(e, &a->seats[i]);
	hash_remove(&e->holders, &a->by_guid);
	a->has_guid = false;
	if (a->unconfirmed)
		e->n_unconfirmed--;
	a->unconfirmed = false;
}

/* Nothing was written yet: what was listed is without an owner again, until the newer record's owner takes it. */
void engine_attachment_displace(struct engine *e, struct attachment *a)
{
	let_go_of_guid(e, a);
	for (unsigned i = 0; i < a->n_seats; i++) {
		struct seat *seat = &a->seats[i];
		struct stray *stray = seat->maybe ? engine_stray_add(e, a->guid, seat->partition) : NULL;
		if (stray) {
			memcpy(stray->seen, seat->seen, sizeof stray->seen);
			stray->limited = seat->limited;
			stray->index0 = seat->index0;
			stray->sighted = true;
			stray->first_seen = e->now;
		}
		seat->maybe = false;
		seat->state = SEAT_IDLE;
	}
	a->recorded = a->by_record = a->published = a->used = false;
	a->n_seats = 0;
	engine_attachment_unwait(e, a);
	engine_attachment_state(e, a, ATTACHMENT_WANTED);
	engine_pod_tell(e, a->pod);
	engine_strays_classify(e, a->guid);
}

/* --- joining --- */

void engine_attachment_settle(struct engine *e, struct attachment *a)
{
	if (attachment_is_over(a) || !a->has_guid)
		return;
	bool all = true, any = false;
	for (unsigned i = 0; i < a->n_seats; i++) {
		all &= a->seats[i].state == SEAT_LISTED;
		any |= a->seats[i].maybe;
	}
	/* A dead leader's last patch may still show that the pod got another one. */
	if (all && e->now < e->quiet_until && !a->published && !a->by_record && !engine_broken(BREAK_NO_QUIET))
		all = false;
	if (all) {
		enum attachment_state before = (enum attachment_state)a->state;
		a->used = true;
		engine_time_member(e, a);
		engine_attachment_unblock(e, a);
		engine_attachment_state(e, a, a->published ? ATTACHMENT_PUBLISHED : ATTACHMENT_MEMBER);
		if (a->published)
			chain_remove(&a->in_wait); /* it is through */
		if (a->published && a->published_early)
			engine_tell_member(e, a);
		if (before != (enum attachment_state)a->state)
			engine_pod_set_work(e, a->pod, WORK_REVIEW);
	} else if (a->state != ATTACHMENT_PUBLISHED) {
		engine_attachment_state(e, a, any ? ATTACHMENT_JOINING : ATTACHMENT_WANTED);
	}
}

/* --- leaving and resting --- */

void engine_attachment_end(struct engine *e, struct attachment *a, bool unsure)
{
	if (attachment_is_over(a))
		return;
	engine_attachment_unwait(e, a);
	engine_attachment_unblock(e, a);
	engine_pod_set_work(e, a->pod, WORK_REVIEW);
	if (!a->has_guid) {
		engine_attachment_free(e, a);
		return;
	}
	a->unsure = unsure;
	a->used |= a->published || a->in_patch || a->perhaps;
	engine_set_out(e, a, &e->going);
	engine_attachment_state(e, a, ATTACHMENT_LEAVING);
	for (unsigned i = 0; i < a->n_seats; i++) {
		struct seat *seat = &a->seats[i];
		if (seat->state == SEAT_JOIN_SENT)
			continue;
		engine_seat_unqueue(e, seat);
		wake_clear(&e->wakes, &seat->wake);
		if (!seat->maybe)
			seat->state = SEAT_IDLE;
		else if (engine_broken(BREAK_FREE_WITHOUT_LEAVING))
			seat->state = SEAT_LEFT;
		else
			engine_seat_leave(e, seat);
	}
	engine_attachment_left(e, a);
}

void engine_attachment_left(struct engine *e, struct attachment *a)
{
	assert(a->state == ATTACHMENT_LEAVING);
	for (unsigned i = 0; i < a->n_seats; i++) {
		struct seat *seat = &a->seats[i];
		/* A list that is being evaluated may have shown it again: a join of ours landed late. */
		if (seat->state == SEAT_LEFT && (seat->seen[0] > seat->after || seat->seen[1] > seat->after))
			engine_seat_leave(e, seat);
	}
	for (unsigned i = 0; i < a->n_seats; i++) {
		if (a->seats[i].state != SEAT_IDLE && a->seats[i].state != SEAT_LEFT)
			return;
		a->used |= a->seats[i].maybe;
	}
	int64_t rest = a->unsure ? e->options.rest_unsure_ms : e->options.rest_ms;
	bool no_rest = !a->used || engine_broken(BREAK_NO_REST);
	a->rest_until = no_rest ? e->now : e->now + rest;
	if (guid_pool_is_held(e->pool, a->guid))
		guid_pool_release(e->pool, a->guid, a->rest_until, a->unsure && !no_rest, e->now);
	if (a->pod->finished)
		engine_tell_news(e, a, a->published ? NEWS_RELEASED : NEWS_NONE);
	if (no_rest) {
		engine_attachment_free(e, a);
		return;
	}
	for (unsigned i = 0; i < a->n_seats; i++) {
		struct seat *seat = &a->seats[i];
		seat->after = e->seq; /* only lists that are yet to be sent tell whether it stays away */
		seat->confirmed = !seat->maybe;
		engine_seat_missing(e, seat, false);
	}
	a->rested = false;
	a->unconfirmed = is_unconfirmed(a);
	e->n_unconfirmed += a->unconfirmed;
	engine_attachment_state(e, a, ATTACHMENT_RESTING);
	chain_remove(&a->in_wait);
	engine_guid_block(e, a->guid);
	engine_strays_classify(e, a->guid);
	e->pool_try |= !chain_empty(&e->pool_waiting); /* when it can be had is another time now */
	int64_t until = a->rest_until;
	for (unsigned i = 0; i < a->n_seats; i++)
		until = a->seats[i].settle_at > until ? a->seats[i].settle_at : until;
	wake_set(&e->wakes, &a->wake, until);
}

/* A write of ours that was thought lost has landed late. */
void engine_attachment_back(struct engine *e, struct attachment *a)
{
	assert(a->state == ATTACHMENT_RESTING);
	guid_pool_claim(e->pool, a->guid, true, e->now);
	wake_clear(&e->wakes, &a->wake);
	if (a->unconfirmed)
		e->n_unconfirmed--;
	a->unconfirmed = false;
	engine_set_out(e, a, &e->going);
	engine_attachment_state(e, a, ATTACHMENT_LEAVING);
	engine_guid_block(e, a->guid);
	engine_strays_classify(e, a->guid);
	for (unsigned i = 0; i < a->n_seats; i++)
		if (a->seats[i].maybe)
			engine_seat_leave(e, &a->seats[i]);
}

void engine_attachment_confirm(struct engine *e, struct attachment *a)
{
	if (a->state != ATTACHMENT_RESTING || !a->unconfirmed || is_unconfirmed(a))
		return;
	a->unconfirmed = false;
	e->n_unconfirmed--;
	if (a->rested)
		engine_attachment_free(e, a);
	else
		engine_guid_block(e, a->guid);
}

void engine_attachment_woken(struct engine *e, struct attachment *a)
{
	if (a->state == ATTACHMENT_WANTED && !a->has_guid) {
		engine_attachment_wait(e, a, WAIT_DECISION, &e->decisions);
		return;
	}
	if (a->state != ATTACHMENT_RESTING)
		return;
	if (!a->unconfirmed) {
		engine_attachment_free(e, a);
		return;
	}
	a->rested = true;
	for (unsigned i = 0; i < a->n_seats; i++)
		if (!a->seats[i].confirmed)
			engine_want_list(e, a->seats[i].partition, e->now);
	wake_set(&e->wakes, &a->wake, e->now + CONFIRM_AGAIN_MS);
}

/* The pool is not told: who calls this has settled that. */
void engine_attachment_free(struct engine *e, struct attachment *a)
{
	struct engine_pod *p = a->pod;
	struct guid guid = a->guid;
	bool held = a->has_guid;
	engine_attachment_unwait(e, a);
	engine_attachment_unblock(e, a);
	wake_clear(&e->wakes, &a->wake);
	if (held)
		let_go_of_guid(e, a);
	unpend(e, a);
	if (!attachment_is_over(a))
		engine_net_live(e, a->net, -1);
	engine_pod_tell(e, p);
	engine_net_drop(e, a->net);
	engine_text_drop(e, a->interface);
	engine_text_drop(e, a->pkey_text);
	chain_remove(&a->in_pod);
	e->n_attachments[a->state]--;
	free(a);
	engine_pod_unref(e, p);
	if (held) {
		engine_strays_classify(e, guid);
		engine_guid_block(e, guid);
	}
}
