#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Lists: when the fabric manager is asked what it has, and what its answers say about our seats.
 *
 * While a list comes in, each member costs one look into a table and leaves a mark on its seat or stray.  When it is
 * complete it is evaluated in slices: every seat and stray of the PKey is judged by its mark. */

enum {
	READ_BACK_FIRST_MS = 50,
	READ_BACK_MOST_MS = 2000,
	LIST_FIRST_MS = 1000,
	LIST_MOST_MS = 30000,
	RESEND_MS = 5000,
	RESEND_LISTS = 3,
	FAILURES_TO_TELL = 3, /* lists of a PKey in a row */
	UNSEEN_LOOKS = 500,
};

static int kind_of(const struct list *list)
{
	return list->partition ? 0 : 1;
}

/* --- asking --- */

static void make_due(struct engine *e, struct partition *partition)
{
	wake_clear(&e->wakes, &partition->wake);
	if (!chain_linked(&partition->in_due))
		chain_append(&e->due_partitions, &partition->in_due);
}

void engine_want_list(struct engine *e, struct partition *partition, int64_t at)
{
	if (partition->listing && !engine_broken(BREAK_LISTS_PILE_UP))
		partition->again = true;
	else if (chain_linked(&partition->in_due))
		return;
	else if (at <= e->now)
		make_due(e, partition);
	else
		wake_sooner(&e->wakes, &partition->wake, at);
}

void engine_read_back(struct engine *e, struct partition *partition)
{
	partition->list_tries = 0;
	if (partition->list_failures)
		engine_want_list(e, partition, wake_is_set(&partition->wake) ? partition->wake.at : e->now);
	else
		engine_want_list(e, partition, e->now);
}

static void hand_out(struct engine *e, struct partition *partition, struct engine_action *action)
{
	struct list *list = mem_alloc(sizeof *list);
	list->id = action->id = ++e->ids;
	list->seq = ++e->seq;
	list->partition = partition;
	list->handed_at = e->now;
	chain_append(&e->lists, &list->in_lists);
	e->n_lists++;
	e->done_lists++;
	action->kind = ENGINE_LIST;
	action->list.all = !partition;
	action->list.pkey = partition ? partition->pkey : (struct pkey){ 0 };
}

bool engine_next_list(struct engine *e, struct engine_action *action)
{
	if (e->phase < PHASE_LIST || e->n_lists >= (unsigned)LISTS_MAX + e->audit_due)
		return false;
	if (e->audit_due && !e->listing_all) {
		e->audit_due = false;
		e->listing_all = true;
		e->listed_all_at = e->now;
		memset(e->listing_of, 0, PKEY_COUNT * sizeof *e->listing_of);
		wake_clear(&e->wakes, &e->audit_wake);
		hand_out(e, NULL, action);
		return true;
	}
	if (e->phase != PHASE_RUN || e->observing || chain_empty(&e->due_partitions) || e->n_lists >= LISTS_MAX)
		return false;
	struct partition *partition = container_of(e->due_partitions.next, struct partition, in_due);
	chain_remove(&partition->in_due);
	partition->listing = true;
	partition->again = false;
	hand_out(e, partition, action);
	return true;
}

/* --- members come in --- */

static struct list *find_list(struct engine *e, uint64_t id)
{
	if (e->recent && e->recent->id == id)
		return e->recent;
	for (struct chain *at = e->lists.next; at != &e->lists; at = at->next) {
		struct list *list = container_of(at, struct list, in_lists);
		if (list->id == id)
			return e->recent = list;
	}
	return NULL;
}

void engine_listed_member(struct engine *e, uint64_t id, struct pkey pkey, const struct member *member)
{
	struct list *list = find_list(e, id);
	if (!list || pkey.v >= PKEY_COUNT || (list->partition && list->partition->pkey.v != pkey.v))
		return;
	if (!list->partition)
		e->listing_of[pkey.v]++;
	if (!guid_pool_in_range(e->pool, member->guid) && !engine_broken(BREAK_OUT_OF_RANGE))
		return;
	list->in_range++;
	struct attachment *a = engine_find_holder(e, member->guid);
	for (unsigned i = 0; a && i < a->n_seats; i++) {
		struct seat *seat = &a->seats[i];
		if (seat->partition->pkey.v != pkey.v)
			continue;
		seat->seen[kind_of(list)] = list->seq;
		seat->right[kind_of(list)] =
			seat->limited == (member->membership == MEMBERSHIP_LIMITED) && seat->index0 == member->index0;
		return;
	}
	engine_stray_listed(e, list, pkey, member);
}

/* --- judging --- */

static void put_back(struct engine *e, struct seat *seat)
{
	struct attachment *a = seat_attachment(seat);
	engine_seat_missing(e, seat, true);
	if (a->state == ATTACHMENT_PUBLISHED)
		engine_set_out(e, a, &e->coming);
	engine_seat_join(e, seat);
	engine_attachment_settle(e, a);
	engine_pod_tell(e, a->pod);
}

static void found(struct engine *e, struct seat *seat)
{
	engine_seat_unqueue(e, seat);
	wake_clear(&e->wakes, &seat->wake);
	seat->state = SEAT_LISTED;
	seat->maybe = true;
	seat->uncertain = false;
	seat->refusals = 0;
	if (seat->sends == 1)
		seat->settle_at = 0; /* the only one that was sent has landed */
	if (seat->sends <= 1)
		seat->sends = 0;
	e->tally->joined += seat->missing;
	engine_seat_missing(e, seat, false);
	engine_attachment_settle(e, seat_attachment(seat));
	engine_pod_tell(e, seat_attachment(seat)->pod);
}

/* It was accepted, or perhaps, and the list does not show it so: ask again for a while, then send again. */
static bool resend(struct engine *e, struct seat *seat)
{
	seat->denials += seat->denials < 200;
	return seat->uncertain || (seat->denials >= RESEND_LISTS && e->now >= seat->accepted_at + RESEND_MS);
}

static void join_denied(struct engine *e, struct seat *seat)
{
	bool uncertain = seat->uncertain;
	if (!resend(e, seat)) {
		e->sweep.open = true;
		return;
	}
	seat->uncertain = false;
	engine_seat_join(e, seat);
	if (!uncertain)
		engine_attachment_hold(e, seat_attachment(seat), "NotMember",
				       "the fabric manager accepted the join but does not list it");
}

static void leave_denied(struct engine *e, struct seat *seat)
{
	if (resend(e, seat))
		engine_seat_leave(e, seat);
	else
		e->sweep.open = true;
}

static void rest_judged(struct engine *e, struct seat *seat, const struct list *list, bool seen)
{
	struct attachment *a = seat_attachment(seat);
	if (seen) {
		seat->maybe = true;
		seat->confirmed = false;
		engine_attachment_back(e, a);
	} else if (list->handed_at >= seat->settle_at) {
		seat->confirmed = true;
		engine_attachment_confirm(e, a);
	}
}

static void judge_seat(struct engine *e, const struct list *list, struct seat *seat)
{
	struct attachment *a = seat_attachment(seat);
	bool seen = seat->seen[kind_of(list)] == list->seq, right = seen && seat->right[kind_of(list)];
	if (seat->after >= list->seq && !engine_broken(BREAK_OLD_LIST)) {
		e->sweep.judged_later |= seat->state == SEAT_JOIN_CHECK || seat->state == SEAT_LEAVE_CHECK;
		return;
	}
	if (a->state == ATTACHMENT_RESTING) {
		rest_judged(e, seat, list, seen);
		return;
	}
	switch ((enum seat_state)seat->state) {
	case SEAT_JOIN_QUEUED:
		seat->maybe |= seen;
		if (right)
			found(e, seat);
		break;
	case SEAT_JOIN_CHECK:
		if (right)
			found(e, seat);
		else
			join_denied(e, seat);
		break;
	case SEAT_LISTED:
		if (!right && !engine_broken(BREAK_NO_PUT_BACK))
			put_back(e, seat);
		break;
	case SEAT_LEAVE_CHECK:
		if (seen) {
			leave_denied(e, seat);
		} else {
			seat->state = SEAT_LEFT;
			seat->after = list->seq;
			engine_attachment_left(e, a);
		}
		break;
	case SEAT_IDLE:
	case SEAT_LEFT:
		if (seen && a->state == ATTACHMENT_LEAVING) {
			seat->maybe = true;
			engine_seat_leave(e, seat);
		}
		break;
	case SEAT_JOIN_SENT:
	case SEAT_LEAVE_SENT:
	case SEAT_LEAVE_QUEUED:
		break;
	}
}

/* --- evaluating a complete list, in slices --- */

static void end_of_all(struct engine *e, struct list *list)
{
	bool first = !e->listed;
	e->listed = true;
	engine_tell_trouble(&e->list_trouble, NULL);
	e->listing_all = false;
	e->audit_failures = 0;
	e->last_audit = list->done_at;
	e->tally->audits_ok++;
	uint32_t *counted = e->listing_of;
	e->listing_of = e->listed_of;
	e->listed_of = counted;
	guid_pool_expire(e->pool, e->now); /* or those that nobody asks for would be counted as resting for ever */
	int64_t next = e->now + e->options.audit_ms;
	if (first) {
		engine_end_doubt(e, list->in_range == 0);
		/* A dead leader's last write may land between this list and then. */
		int64_t settled = list->done_at + e->options.write_timeout_ms;
		e->second_list_at = settled > e->quiet_until ? settled : e->quiet_until;
	}
	if (e->second_list_at > list->handed_at && e->second_list_at < next)
		next = e->second_list_at;
	wake_set(&e->wakes, &e->audit_wake, next);
	if (!chain_empty(&e->pool_waiting))
		e->pool_try = true;
}

static void end_of_one(struct engine *e, struct partition *partition)
{
	bool again = partition->again || e->sweep.judged_later;
	partition->listing = partition->again = false;
	partition->list_failures = 0;
	if (again) {
		engine_want_list(e, partition, e->now);
	} else if (e->sweep.open) {
		int64_t wait = READ_BACK_FIRST_MS << (partition->list_tries < 6 ? partition->list_tries : 6);
		partition->list_tries += partition->list_tries < 6;
		engine_want_list(e, partition, e->now + (wait < READ_BACK_MOST_MS ? wait : READ_BACK_MOST_MS));
	}
}

static void next_part(struct engine *e, struct list *list)
{
	e->sweep.at = NULL;
	if (e->sweep.part == SWEEP_SEATS) {
		e->sweep.part = SWEEP_STRAYS;
		return;
	}
	e->sweep.part = e->sweep.part == SWEEP_REMOVALS ? SWEEP_REMOVALS : SWEEP_SEATS;
	if (list->partition) {
		e->sweep.partition = NULL;
		return;
	}
	struct chain *next = e->sweep.partition->in_partitions.next;
	e->sweep.partition = next == &e->partitions ? NULL : container_of(next, struct partition, in_partitions);
	if (!e->sweep.partition && e->sweep.part == SWEEP_SEATS) {
		e->in_range = list->in_range;
		e->stray_overflow = list->overflow;
		engine_strays_listed_all(e);
		if (engine_may_remove(e) && e->n_ripe && !chain_empty(&e->partitions)) {
			e->sweep.part = SWEEP_REMOVALS;
			e->sweep.partition = container_of(e->partitions.next, struct partition, in_partitions);
		}
	}
}

static void sweep_one(struct engine *e, struct list *list, struct chain *link)
{
	if (e->sweep.part == SWEEP_SEATS) {
		judge_seat(e, list, container_of(link, struct seat, in_partition));
		return;
	}
	struct stray *stray = container_of(link, struct stray, in_partition);
	if (e->sweep.part == SWEEP_STRAYS)
		engine_stray_judge(e, list, stray);
	else if (engine_stray_wants_removal(e, stray))
		engine_stray_remove(e, stray);
}

/* True when the list is done with. */
static bool sweep(struct engine *e, struct list *list, size_t *budget)
{
	while (e->sweep.partition) {
		struct partition *partition = e->sweep.partition;
		struct chain *head = e->sweep.part == SWEEP_SEATS ? &partition->seats : &partition->strays;
		if (!e->sweep.at)
			e->sweep.at = head->next;
		while (e->sweep.at != head) {
			if (!*budget)
				return false;
			--*budget;
			struct chain *link = e->sweep.at;
			e->sweep.at = link->next;
			sweep_one(e, list, link);
		}
		next_part(e, list);
	}
	return true;
}

static struct partition *first_partition(struct engine *e, const struct list *list)
{
	if (list->partition)
		return list->partition;
	return chain_empty(&e->partitions) ? NULL : container_of(e->partitions.next, struct partition, in_partitions);
}

void engine_lists_work(struct engine *e, size_t *budget)
{
	while (*budget && !chain_empty(&e->finished)) {
		struct list *list = container_of(e->finished.next, struct list, in_lists);
		if (!e->sweep.running) {
			e->sweep.running = true;
			e->sweep.part = SWEEP_SEATS;
			e->sweep.at = NULL;
			e->sweep.judged_later = e->sweep.open = false;
			e->sweep.partition = first_partition(e, list);
			if (!e->sweep.partition)
				engine_strays_listed_all(e);
		}
		if (!sweep(e, list, budget))
			return;
		e->sweep.running = false;
		chain_remove(&list->in_lists);
		e->n_lists--;
		if (list->partition)
			end_of_one(e, list->partition);
		else
			end_of_all(e, list);
		free(list);
	}
}

/* Those whose join was sent wait for this list: after some failures in a row they are told why; a slice of them, as all
 * have the same reason. */
static void say_unseen(struct engine *e, const struct partition *partition, const struct error *err)
{
	unsigned n = 0;
	for (struct chain *at = partition->seats.prev; at != &partition->seats && n < UNSEEN_LOOKS;
	     at = at->prev, n++) {
		struct seat *seat = container_of(at, struct seat, in_partition);
		struct attachment *a = seat_attachment(seat);
		if (seat->state == SEAT_JOIN_CHECK && a->state == ATTACHMENT_JOINING)
			engine_attachment_block(e, a, "FabricUnavailable",
						"whether it is a member cannot be read: %.300s", err->text);
	}
}

static void list_failed(struct engine *e, struct list *list, const struct error *err)
{
	if (list->partition) {
		struct partition *partition = list->partition;
		partition->listing = partition->again = false;
		partition->list_failures += partition->list_failures < 20;
		if (partition->list_failures == FAILURES_TO_TELL)
			say_unseen(e, partition, err);
		engine_want_list(e, partition,
				 e->now + engine_backoff(e, partition->list_failures, LIST_FIRST_MS, LIST_MOST_MS,
							 partition->pkey.v));
	} else {
		e->listing_all = false;
		e->tally->audits_failed++;
		engine_tell_trouble(&e->list_trouble, err);
		e->audit_failures += e->audit_failures < 20;
		wake_set(&e->wakes, &e->audit_wake,
			 e->now + engine_backoff(e, e->audit_failures, LIST_FIRST_MS, LIST_MOST_MS, 0));
	}
	chain_remove(&list->in_lists);
	e->n_lists--;
	free(list);
}

void engine_list_done(struct engine *e, uint64_t id, const struct error *err, int64_t now)
{
	engine_touch(e, now);
	struct list *list = find_list(e, id);
	e->recent = NULL;
	if (!list)
		return;
	if (err) {
		list_failed(e, list, err);
		return;
	}
	list->done_at = now;
	chain_remove(&list->in_lists);
	chain_append(&e->finished, &list->in_lists);
}

void engine_lists_free(struct engine *e)
{
	chain_splice(&e->lists, &e->finished);
	while (!chain_empty(&e->lists)) {
		struct list *list = container_of(e->lists.next, struct list, in_lists);
		chain_remove(&list->in_lists);
		free(list);
	}
}
