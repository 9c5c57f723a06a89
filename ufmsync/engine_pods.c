#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Pods: their coming, changing and going. */

enum { GONE_GRACE_MS = 10000, READ_FIRST_MS = 1000, READ_MOST_MS = 60000, PROVISIONAL_MS = 10000 };

/* --- the table of pods --- */

struct engine_pod *engine_pod_find(const struct engine *e, const char *uid)
{
	uint64_t hash = hash_text(e->seed, uid);
	for (struct hash_node *n = hash_first(&e->pods_by_uid, hash); n; n = hash_next(n)) {
		struct engine_pod *p = container_of(n, struct engine_pod, by_uid);
		if (!strcmp(p->text, uid))
			return p;
	}
	return NULL;
}

static struct engine_pod *pod_new(struct engine *e, const struct pod *pod)
{
	size_t uid_len = strlen(pod->uid), name_len = strlen(pod->name);
	struct engine_pod *p = mem_alloc(sizeof *p + uid_len + name_len + 2);
	memcpy(p->text, pod->uid, uid_len + 1);
	memcpy(p->text + uid_len + 1, pod->name, name_len + 1);
	p->name = p->text + uid_len + 1;
	p->space = engine_space_get(e, pod->namespace);
	chain_append(&p->space->pods, &p->in_space);
	p->node = engine_node_get(e, pod->node);
	p->wake.kind = WAKE_POD;
	chain_init(&p->attachments);
	chain_init(&p->in_work);
	chain_init(&p->in_saying);
	chain_init(&p->in_telling);
	chain_append(&e->pods, &p->in_pods);
	hash_add(&e->pods_by_uid, &p->by_uid, hash_text(e->seed, pod->uid));
	e->n_pods++;
	engine_await_known(e, p);
	return p;
}

static void skip(struct chain **walk, struct chain *link)
{
	if (*walk == link)
		*walk = link->next;
}

static void pod_unlist(struct engine *e, struct engine_pod *p)
{
	if (p->gone)
		return;
	engine_await_gone(e, p);
	e->gone[e->gone_at++ % GONE_MAX] = p->by_uid.hash;
	p->gone = true;
	skip(&e->vanish_at, &p->in_pods);
	skip(&e->phase_at, &p->in_pods);
	skip(&e->reconcile_at, &p->in_pods);
	chain_remove(&p->in_pods);
	chain_append(&e->gone_pods, &p->in_pods);
	hash_remove(&e->pods_by_uid, &p->by_uid);
	e->n_pods--;
	if (!p->request)
		chain_remove(&p->in_work);
	chain_remove(&p->in_telling);
	p->work = WORK_NONE;
	wake_clear(&e->wakes, &p->wake);
	engine_pod_unwritten(e, p, false);
	engine_pod_forget(e, p);
}

void engine_pod_unref(struct engine *e, struct engine_pod *p)
{
	if (!p->gone || p->request || !chain_empty(&p->attachments))
		return;
	chain_remove(&p->in_pods);
	chain_remove(&p->in_saying);
	engine_space_leave(e, p);
	free(p->problem);
	free(p->refusal);
	engine_node_drop(e, p->node);
	free(p);
}

void engine_pod_forget(struct engine *e, struct engine_pod *p)
{
	if (!p->pod)
		return;
	pod_free(p->pod);
	p->pod = NULL;
	e->kept_bytes -= p->kept;
	p->kept = 0;
}

static size_t bytes_of(const char *text)
{
	return text ? strlen(text) : 0;
}

static void pod_keep(struct engine *e, struct engine_pod *p, struct pod *pod)
{
	engine_pod_forget(e, p);
	p->pod = pod;
	p->kept = (uint32_t)(bytes_of(pod->networks_text) + bytes_of(pod->default_text) + bytes_of(pod->record_text));
	e->kept_bytes += p->kept;
}

void engine_pod_set_work(struct engine *e, struct engine_pod *p, enum pod_work work)
{
	if (p->gone || p->request || p->work == work || (p->work == WORK_READ && work == WORK_REVIEW))
		return;
	chain_remove(&p->in_work);
	p->work = (uint8_t)work;
	if (work != WORK_NONE)
		chain_append(&e->work[work], &p->in_work);
}

void engine_pod_want_read(struct engine *e, struct engine_pod *p)
{
	p->need_read = true;
	engine_pod_set_work(e, p, WORK_READ);
}

void engine_pod_over(struct engine *e, struct engine_pod *p, bool unsure)
{
	if (p->gone)
		return;
	pod_unlist(e, p);
	for (struct chain *at = p->attachments.next, *next; at != &p->attachments; at = next) {
		next = at->next;
		bool last = next == &p->attachments;
		engine_attachment_end(e, container_of(at, struct attachment, in_pod), unsure);
		if (last)
			return; /* the pod may be freed with it */
	}
	engine_pod_unref(e, p);
}

/* --- facts --- */

static bool none_of_ours(struct engine *e, const struct pod *pod)
{
	if (pod->problem || pod->record_text)
		return false;
	bool ours = false;
	for (size_t i = 0; i < pod->n_networks && !ours; i++) {
		struct net *net = engine_net_get(e, pod->networks[i].namespace, pod->networks[i].name);
		ours = !net->other;
		engine_net_drop(e, net);
	}
	for (size_t i = 0; i < pod->n_networks && !ours; i++) {
		struct net *net = engine_net_get(e, pod->networks[i].namespace, pod->networks[i].name);
		net->let_go = true;
		engine_net_drop(e, net);
	}
	return !ours;
}

/* By a watch or a list, or it was read. */
static void pod_seen(struct engine *e, struct pod *pod)
{
	struct engine_pod *p = engine_pod_find(e, pod->uid);
	if (pod->finished || pod->host_network || !pod->node[0]) {
		if (p && pod->finished) {
			p->finished = true;
			engine_pod_over(e, p, false);
		}
		pod_free(pod);
		return;
	}
	if (!p && ((!pod->n_networks && !pod->problem) || (e->nets_sync.synced && none_of_ours(e, pod)))) {
		pod_free(pod);
		return;
	}
	if (!p)
		p = pod_new(e, pod);
	p->mark = e->pods_sync.mark;
	p->vanished = p->need_read = false;
	wake_clear(&e->wakes, &p->wake); /* what it was for is looked at again */
	if (p->work == WORK_READ)
		engine_pod_set_work(e, p, WORK_NONE);
	p->terminating = pod->terminating;
	p->migration = pod->migration_target;
	p->refused = false; /* it changed: perhaps there is room now */
	p->seen_again = true;
	pod_keep(e, p, pod);
	if (pod->terminating && engine_broken(BREAK_RELEASE_TERMINATING)) {
		engine_pod_over(e, p, false);
		return;
	}
	if (e->nets_sync.synced)
		engine_pod_reconcile(e, p);
	else
		p->unreconciled = true;
}

void engine_pod_applied(struct engine *e, struct pod *pod, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = engine_pod_find(e, pod->uid);
	if (p)
		p->provisional = false;
	pod_seen(e, pod);
}

/* --- read for somebody who waits --- */

static bool is_lately_gone(const struct engine *e, const char *uid)
{
	uint64_t hash = hash_text(e->seed, uid);
	for (size_t i = 0; i < GONE_MAX && i < e->gone_at; i++)
		if (e->gone[i] == hash)
			return true;
	return false;
}

/* Until the watch shows it, it may have been deleted before the watch began to look: it is read again and again. */
static void read_again_later(struct engine *e, struct engine_pod *p)
{
	p->provisional = true;
	if (!engine_broken(BREAK_FOUND_IS_SURE))
		wake_sooner(&e->wakes, &p->wake, e->now + PROVISIONAL_MS);
}

void engine_pod_found(struct engine *e, struct pod *pod, int64_t now)
{
	engine_touch(e, now);
	if (engine_pod_find(e, pod->uid) || is_lately_gone(e, pod->uid)) {
		pod_free(pod);
		return;
	}
	char *uid = mem_dup(pod->uid);
	pod_seen(e, pod);
	struct engine_pod *p = engine_pod_find(e, uid);
	if (p)
		read_again_later(e, p);
	free(uid);
}

static void pod_vanished(struct engine *e, struct engine_pod *p)
{
	if (p->provisional) {
		engine_pod_want_read(e, p); /* a list may be older than the read that found it */
	} else if (e->phase == PHASE_FOLLOW || engine_broken(BREAK_VANISHED_IS_SURE)) {
		engine_pod_over(e, p, false);
	} else {
		p->vanished = true;
		engine_pod_want_read(e, p);
	}
}

void engine_pod_deleted(struct engine *e, struct pod *last, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = engine_pod_find(e, last->uid);
	bool served = last->terminating && last->grace_ms > 0 && now + e->wall_offset >= last->gone_at_ms;
	if (p) {
		if (last->finished || last->containers_ended || served)
			engine_pod_over(e, p, false);
		else
			pod_vanished(e, p);
	}
	pod_free(last);
}

void engine_pods_begin(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->pods_sync.listing = true;
	e->pods_sync.mark++;
	e->vanish_at = NULL;
	e->fresh_listing = e->fresh_asked;
}

void engine_pods_end(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->pods_sync.listing = false;
	e->pods_sync.synced = true;
	e->fresh |= e->fresh_listing;
	e->vanish_at = e->pods.next;
}

/* --- reading a pod --- */

void engine_pod_start_request(struct engine *e, struct engine_pod *p, struct engine_action *action)
{
	engine_pod_set_work(e, p, WORK_NONE);
	p->request = action->id = ++e->ids;
	chain_append(&e->requesting, &p->in_work);
}

bool engine_next_read(struct engine *e, struct engine_action *action)
{
	/* A follower reads what it knows provisionally, and nothing else waits to be read then. */
	if ((e->phase != PHASE_RUN && e->phase != PHASE_FOLLOW) || e->reads >= READS_MAX ||
	    chain_empty(&e->work[WORK_READ]))
		return false;
	struct engine_pod *p = container_of(e->work[WORK_READ].next, struct engine_pod, in_work);
	action->kind = ENGINE_READ_POD;
	engine_pod_start_request(e, p, action);
	p->reading = true;
	e->reads++;
	action->read_pod.namespace = p->space->name;
	action->read_pod.name = p->name;
	action->read_pod.uid = p->text;
	return true;
}

static struct engine_pod *take_request(struct engine *e, uint64_t id)
{
	for (struct chain *at = e->requesting.next; at != &e->requesting; at = at->next) {
		struct engine_pod *p = container_of(at, struct engine_pod, in_work);
		if (p->request != id || !p->reading)
			continue;
		chain_remove(&p->in_work);
		p->request = 0;
		p->reading = false;
		e->reads--;
		return p;
	}
	return NULL;
}

static void read_gone(struct engine *e, struct engine_pod *p, bool vanished)
{
	if (vanished || p->provisional) {
		engine_pod_over(e, p, true);
		return;
	}
	/* The watch is about to tell how it ended; if it does not, it vanished. */
	p->vanished = true;
	wake_set(&e->wakes, &p->wake, e->now + GONE_GRACE_MS);
}

void engine_pod_read(struct engine *e, uint64_t id, enum engine_read how, struct pod *pod, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = take_request(e, id);
	if (!p || p->gone) {
		pod_free(pod);
		if (p)
			engine_pod_unref(e, p);
		return;
	}
	if (how == ENGINE_READ_FOUND && (!pod || strcmp(pod->uid, p->text) != 0)) {
		pod_free(pod);
		how = ENGINE_READ_GONE;
	}
	bool vanished = p->vanished;
	switch (how) {
	case ENGINE_READ_FOUND:
		p->read_failures = vanished ? p->read_failures + (p->read_failures < 20) : 0;
		bool over = pod->finished || engine_broken(BREAK_RELEASE_TERMINATING), provisional = p->provisional;
		pod_seen(e, pod);
		if (!over && provisional)
			read_again_later(e, p);
		if (!vanished || over || provisional)
			return;
		/* It is there although the watch says it is not: ask until they agree. */
		p->vanished = true;
		wake_set(&e->wakes, &p->wake,
			 now + engine_backoff(e, p->read_failures, READ_FIRST_MS, READ_MOST_MS, p->by_uid.hash));
		return;
	case ENGINE_READ_GONE:
		read_gone(e, p, vanished);
		return;
	case ENGINE_READ_FAILED:
		p->read_failures += p->read_failures < 20;
		wake_set(&e->wakes, &p->wake,
			 now + engine_backoff(e, p->read_failures, READ_FIRST_MS, READ_MOST_MS, p->by_uid.hash));
		return;
	}
}

/* --- walks --- */

void engine_pods_work(struct engine *e, size_t *budget)
{
	while (*budget && e->reconcile_at) {
		if (e->reconcile_at == &e->pods) {
			e->reconcile_at = NULL;
			break;
		}
		struct engine_pod *p = container_of(e->reconcile_at, struct engine_pod, in_pods);
		e->reconcile_at = e->reconcile_at->next;
		engine_spend(budget, POD_COST);
		if (p->unreconciled)
			engine_pod_reconcile(e, p);
	}
	while (*budget && e->vanish_at && !e->reconcile_at) {
		if (e->vanish_at == &e->pods) {
			e->vanish_at = NULL;
			break;
		}
		struct engine_pod *p = container_of(e->vanish_at, struct engine_pod, in_pods);
		e->vanish_at = e->vanish_at->next;
		--*budget;
		if (p->mark != e->pods_sync.mark)
			pod_vanished(e, p);
	}
}

static void free_all(struct engine *e, struct chain *pods)
{
	while (!chain_empty(pods)) {
		struct engine_pod *p = container_of(pods->next, struct engine_pod, in_pods);
		pod_unlist(e, p);
		chain_remove(&p->in_work);
		p->request = 1; /* keeps it until its last attachment is gone */
		while (!chain_empty(&p->attachments))
			engine_attachment_free(e, container_of(p->attachments.next, struct attachment, in_pod));
		p->request = 0;
		engine_pod_unref(e, p);
	}
}

void engine_pods_free(struct engine *e)
{
	free_all(e, &e->pods);
	free_all(e, &e->gone_pods);
}
