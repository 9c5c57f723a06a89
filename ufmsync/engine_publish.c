#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Annotations and records: one patch a pod, when everything that the pod waits for is decided. */

enum {
	PATCH_FIRST_MS = 100,
	PATCH_MOST_MS = 30000,
	STALE_AT_ONCE = 3,
	REPAIR_FIRST_MS = 1000,
	REPAIR_MOST_MS = 300000,
	REFUSED_FIRST_MS = 1000,
	REFUSED_MOST_MS = 300000,
	GONE_GRACE_MS = 10000,
};

/* --- what should stand there --- */

/* Whether the pod's annotation is to name this attachment. */
bool engine_is_included(const struct engine *e, const struct attachment *a)
{
	if (attachment_is_over(a) || !a->has_guid)
		return false;
	return a->published || a->by_record || a->state == ATTACHMENT_MEMBER ||
	       e->options.gate == ENGINE_GATE_ASSIGNED || engine_broken(BREAK_PUBLISH_EARLY);
}

/* Whether the annotation, as it is now, has a place to write it.  One that its owner has made unreadable has none. */
static bool has_place(const struct engine_pod *p, const struct attachment *a)
{
	if (!p->pod)
		return true;
	for (size_t i = 0; i < p->pod->n_networks; i++)
		if ((uint8_t)p->pod->networks[i].source == a->source && p->pod->networks[i].index == a->index)
			return true;
	return false;
}

static bool is_writable(const struct engine *e, const struct attachment *a)
{
	return engine_is_included(e, a) && has_place(a->pod, a);
}

/* Whether the rest of the pod should not wait for it. */
static bool is_settled(const struct engine *e, const struct attachment *a)
{
	return attachment_is_over(a) || a->blocked_reason || engine_is_included(e, a);
}

static size_t gather(struct engine *e, const struct engine_pod *p)
{
	size_t n = 0;
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		const struct attachment *a = container_of(at, struct attachment, in_pod);
		if (is_writable(e, a) && n < POD_NETWORKS_MAX + 1)
			e->publications[n++] =
				(struct pod_publication){ .source = (enum pod_source)a->source,
							  .index = a->index,
							  .guid = a->guid,
							  .pkey_text = a->pkey_text ? a->pkey_text->s : NULL,
							  .runtime_guid = a->runtime_guid };
	}
	return n;
}

/* --- deciding whether to patch --- */

static void say_problem(struct engine *e, struct engine_pod *p)
{
	const char *problem = p->pod ? p->pod->problem : p->problem;
	bool news = problem && (!p->problem || strcmp(problem, p->problem) != 0);
	if (problem && !news)
		return;
	free(p->problem);
	p->problem = mem_dup(problem);
	if (news)
		engine_tell_problem(e, p);
}

static bool is_shown(const struct attachment *a)
{
	return a->configured && a->wish_kind == POD_WISH_GUID && a->wish.v == a->guid.v;
}

/* The annotation says it: by a patch that was answered, or because it was seen.  Also of one that is being put back by
 * now: what was written is in the world, whatever became of its membership since. */
static void mark_published(struct engine *e, struct engine_pod *p, bool patched)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (attachment_is_over(a) || !a->has_guid)
			continue;
		bool done = patched ? a->in_patch : is_writable(e, a);
		done |= a->perhaps && is_shown(a);
		a->in_patch = a->perhaps = false;
		if (!done && !(a->published && is_writable(e, a)))
			continue;
		if (!a->published)
			engine_pod_tell(e, p);
		engine_time_published(e, a);
		a->published = a->used = true;
		engine_attachment_settle(e, a);
	}
}

static bool any_unpublished(const struct engine *e, const struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		const struct attachment *a = container_of(at, struct attachment, in_pod);
		if (is_writable(e, a) && !a->published)
			return true;
	}
	return false;
}

static bool all_settled(const struct engine *e, const struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next)
		if (!is_settled(e, container_of(at, struct attachment, in_pod)))
			return false;
	return true;
}

static bool any_alive(const struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next)
		if (!attachment_is_over(container_of(at, struct attachment, in_pod)))
			return true;
	return false;
}

static bool any_blocked(const struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next)
		if (container_of(at, struct attachment, in_pod)->blocked_reason)
			return true;
	return false;
}

enum verdict { VERDICT_WAIT, VERDICT_RIGHT, VERDICT_PATCH, VERDICT_NOTHING };

static enum verdict judge(struct engine *e, struct engine_pod *p, uint64_t *content)
{
	if (!any_alive(p) && engine_record_is_right(e, p, content))
		return VERDICT_NOTHING;
	if (!all_settled(e, p))
		return VERDICT_WAIT;
	size_t n = gather(e, p);
	bool stands = p->pod ? pod_is_published(p->pod, e->publications, n) : p->stands && !any_unpublished(e, p);
	return engine_record_is_right(e, p, content) && (stands || !n) ? VERDICT_RIGHT : VERDICT_PATCH;
}

/* Somebody overwrote what stood there: it is written again, but not as fast as that one can write. */
static bool repair_later(struct engine *e, struct engine_pod *p, uint64_t content)
{
	if (any_unpublished(e, p) || (content && p->written && content != p->written))
		return false; /* our own news */
	if (p->repairing)
		return e->now < p->retry_at;
	p->repairing = true;
	if (e->now - p->patched_at > 2 * REPAIR_MOST_MS)
		p->repairs = 0;
	p->repairs += p->repairs < 20;
	p->retry_at = e->now + engine_backoff(e, p->repairs, REPAIR_FIRST_MS, REPAIR_MOST_MS, p->by_uid.hash);
	return true;
}

void engine_pod_unwritten(struct engine *e, struct engine_pod *p, bool unwritten)
{
	if (p->unwritten == unwritten)
		return;
	p->unwritten = unwritten;
	e->n_unwritten = unwritten ? e->n_unwritten + 1 : e->n_unwritten - 1;
}

static void review(struct engine *e, struct engine_pod *p)
{
	uint64_t content;
	engine_pod_set_work(e, p, WORK_NONE);
	if (p->request || p->vanished || p->unreconciled)
		return;
	say_problem(e, p);
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next)
		engine_attachment_settle(e, container_of(at, struct attachment, in_pod)); /* the quiet is over */
	enum verdict verdict = judge(e, p, &content);
	engine_pod_unwritten(e, p, verdict == VERDICT_PATCH && !p->refused);
	switch (verdict) {
	case VERDICT_NOTHING:
		if (!p->problem)
			engine_pod_over(e, p, false); /* none of ours (any more) */
		else
			engine_pod_forget(e, p);
		return;
	case VERDICT_WAIT:
		return;
	case VERDICT_RIGHT:
		mark_published(e, p, false);
		p->stands = true;
		p->repairing = false;
		p->failures = 0;
		p->written = content;
		if (!any_blocked(p) || e->kept_bytes > KEPT_BYTES_MAX)
			engine_pod_forget(e, p);
		return;
	case VERDICT_PATCH:
		break;
	}
	if (p->refused)
		return;
	if (repair_later(e, p, content) || e->now < p->retry_at) {
		wake_sooner(&e->wakes, &p->wake, p->retry_at);
		return;
	}
	if (!p->pod || !p->pod->texts_known)
		engine_pod_want_read(e, p);
	else
		engine_pod_set_work(e, p, WORK_PATCH);
}

void engine_publish_work(struct engine *e, size_t *budget)
{
	if (e->phase != PHASE_RUN || (e->now < e->quiet_until && !engine_broken(BREAK_NO_QUIET)))
		return;
	while (*budget && !chain_empty(&e->work[WORK_REVIEW])) {
		engine_spend(budget, POD_COST);
		review(e, container_of(e->work[WORK_REVIEW].next, struct engine_pod, in_work));
	}
}

/* --- patches --- */

bool engine_next_patch(struct engine *e, struct engine_action *action)
{
	while (e->phase == PHASE_RUN && e->patches < e->options.patches_max && !chain_empty(&e->work[WORK_PATCH])) {
		struct engine_pod *p = container_of(e->work[WORK_PATCH].next, struct engine_pod, in_work);
		uint64_t content;
		if (judge(e, p, &content) != VERDICT_PATCH || !p->pod || !p->pod->texts_known) {
			engine_pod_set_work(e, p, WORK_REVIEW); /* something changed since it was queued */
			e->more = true;
			continue;
		}
		action->kind = ENGINE_PATCH;
		engine_pod_start_request(e, p, action);
		p->patching = true;
		p->seen_again = false;
		p->repairing = false;
		p->patched_at = e->now;
		e->patches++;
		e->done_patches++;
		action->patch.n = gather(e, p);
		engine_make_record(e, p);
		action->patch.pod = p->pod;
		action->patch.publications = e->publications;
		action->patch.record = e->record;
		for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
			struct attachment *a = container_of(at, struct attachment, in_pod);
			a->in_patch = is_writable(e, a) && !a->published;
		}
		return true;
	}
	return false;
}

static void tell_members(struct engine *e, struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (!a->in_patch || a->said_member || !engine_is_included(e, a))
			continue;
		a->published_early = a->state < ATTACHMENT_MEMBER;
		if (!a->published_early)
			engine_tell_member(e, a);
	}
}

/* Whether what the watch brought before the answer is the pod as we patched it.  If not it is older, or somebody wrote
 * after us, and the watch may have no more to tell. */
static bool shows_our_patch(struct engine *e, const struct engine_pod *p)
{
	if (!p->pod || !p->pod->texts_known || (p->sent_text && p->record_text != p->sent_text))
		return false;
	size_t n = gather(e, p);
	return pod_is_published(p->pod, e->publications, n);
}

static void patched(struct engine *e, struct engine_pod *p)
{
	tell_members(e, p);
	mark_published(e, p, true);
	engine_pod_unwritten(e, p, false);
	bool read = p->seen_again && !shows_our_patch(e, p);
	if (p->sent_text) {
		p->record_text = p->sent_text;
		p->record_content = p->written = p->sent_content;
		engine_pod_tell(e, p);
	}
	p->stands = true;
	free(p->refusal);
	p->refusal = NULL;
	p->failures = 0;
	p->retry_at = 0;
	engine_pod_forget(e, p); /* it is another now; the watch will tell */
	if (read)
		engine_pod_want_read(e, p);
	else
		engine_pod_set_work(e, p, WORK_REVIEW);
}

static void not_patched(struct engine_pod *p)
{
	p->record_text = 0; /* what stands there may be a predecessor's: it is read again with other eyes */
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		a->in_patch = a->perhaps = false;
	}
}

static void refused(struct engine *e, struct engine_pod *p, const char *why)
{
	not_patched(p);
	engine_pod_unwritten(e, p, false); /* before somebody changes something */
	p->refused = true;
	p->failures += p->failures < 20;
	p->retry_at = e->now + engine_backoff(e, p->failures, REFUSED_FIRST_MS, REFUSED_MOST_MS, p->by_uid.hash);
	if (p->refusal)
		return;
	p->refusal = mem_dup(why ? why : "no reason given");
	engine_tell_refusal(e, p);
}

static void perhaps_patched(struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		a->perhaps |= a->in_patch;
		a->in_patch = false;
	}
}

static struct engine_pod *take_patch(struct engine *e, uint64_t id)
{
	for (struct chain *at = e->requesting.next; at != &e->requesting; at = at->next) {
		struct engine_pod *p = container_of(at, struct engine_pod, in_work);
		if (p->request != id || !p->patching)
			continue;
		chain_remove(&p->in_work);
		p->request = 0;
		p->patching = false;
		e->patches--;
		return p;
	}
	return NULL;
}

void engine_patch_done(struct engine *e, uint64_t id, enum engine_patched how, const char *why, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = take_patch(e, id);
	if (!p)
		return;
	if (p->gone) {
		engine_pod_unref(e, p);
		return;
	}
	bool vanished = p->vanished;
	switch (how) {
	case ENGINE_PATCHED:
		patched(e, p);
		break;
	case ENGINE_PATCH_STALE:
		not_patched(p);
		p->failures += p->failures < 20;
		if (p->failures > STALE_AT_ONCE) /* somebody writes faster than we do */
			p->retry_at = now + engine_backoff(e, p->failures - STALE_AT_ONCE, PATCH_FIRST_MS,
							   PATCH_MOST_MS, p->by_uid.hash);
		engine_pod_want_read(e, p);
		break;
	case ENGINE_PATCH_REFUSED:
		refused(e, p, why);
		break;
	case ENGINE_PATCH_GONE:
		/* The watch is about to tell how it ended; if it does not, it is read. */
		not_patched(p);
		p->vanished = true;
		wake_set(&e->wakes, &p->wake, now + GONE_GRACE_MS);
		break;
	case ENGINE_PATCH_RETRY:
		perhaps_patched(p);
		p->failures += p->failures < 20;
		p->retry_at = now + engine_backoff(e, p->failures, PATCH_FIRST_MS, PATCH_MOST_MS, p->by_uid.hash);
		engine_pod_set_work(e, p, WORK_REVIEW);
		break;
	}
	if (vanished || (p->provisional && p->need_read))
		engine_pod_want_read(e, p); /* it waited for this answer */
}
