#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Pods that somebody waits for: each change of what they have is told, and what they wait for goes first.
 *
 * Only those that are waited for cost memory.  The mark belongs to the uid: a pod that is gone and comes back (a watch may
 * be wrong for a while) is still waited for, and the number of marks stays right. */

struct awaiter {
	struct hash_node node;   /* engine.awaiters */
	struct chain in_awaited; /* engine.awaited */
	struct chain in_changed; /* engine.changed: to be told */
	struct engine_pod *pod;  /* NULL: not known now */
	uint64_t nets_seen;      /* changes of networks that were looked at */
	unsigned count;
	char uid[];
};

enum { AWAITER_COST = 1 };

static struct awaiter *find(const struct engine *e, const char *uid)
{
	uint64_t hash = hash_text(e->seed, uid);
	for (struct hash_node *n = hash_first(&e->awaiters, hash); n; n = hash_next(n)) {
		struct awaiter *awaiter = container_of(n, struct awaiter, node);
		if (!strcmp(awaiter->uid, uid))
			return awaiter;
	}
	return NULL;
}

static struct awaiter *awaiter_new(struct engine *e, struct engine_pod *p)
{
	size_t len = strlen(p->text);
	struct awaiter *awaiter = mem_alloc(sizeof *awaiter + len + 1);
	memcpy(awaiter->uid, p->text, len + 1);
	awaiter->nets_seen = e->net_changes;
	awaiter->pod = p;
	p->awaited = true;
	chain_init(&awaiter->in_changed);
	chain_append(&e->awaited, &awaiter->in_awaited);
	hash_add(&e->awaiters, &awaiter->node, p->by_uid.hash);
	return awaiter;
}

static void awaiter_free(struct engine *e, struct awaiter *awaiter)
{
	if (awaiter->pod)
		awaiter->pod->awaited = false;
	if (e->await_at == &awaiter->in_awaited)
		e->await_at = awaiter->in_awaited.next;
	chain_remove(&awaiter->in_awaited);
	chain_remove(&awaiter->in_changed);
	hash_remove(&e->awaiters, &awaiter->node);
	free(awaiter);
}

static void tell(struct engine *e, struct awaiter *awaiter)
{
	if (chain_linked(&awaiter->in_changed))
		return;
	if (engine_broken(BREAK_FORGET_TO_TELL) && ++e->tellings % 7 == 0)
		return;
	chain_append(&e->changed, &awaiter->in_changed);
}

void engine_pod_tell_now(struct engine *e, const struct engine_pod *p)
{
	struct awaiter *awaiter = find(e, p->text);
	if (awaiter)
		tell(e, awaiter);
}

void engine_tell_all(struct engine *e)
{
	for (struct chain *at = e->awaited.next; at != &e->awaited; at = at->next)
		tell(e, container_of(at, struct awaiter, in_awaited));
}

/* --- the waiting --- */

static void hurry(struct engine *e, struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		for (unsigned i = 0; i < a->n_seats; i++)
			engine_seat_hurry(e, &a->seats[i]);
	}
}

bool engine_await(struct engine *e, const char *uid, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = engine_pod_find(e, uid);
	if (!p)
		return false;
	struct awaiter *awaiter = p->awaited ? find(e, uid) : awaiter_new(e, p);
	awaiter->count++;
	hurry(e, p);
	return true;
}

void engine_await_no_more(struct engine *e, const char *uid)
{
	struct awaiter *awaiter = find(e, uid);
	if (awaiter && !--awaiter->count)
		awaiter_free(e, awaiter);
}

/* --- pods and networks come, change and go --- */

void engine_await_known(struct engine *e, struct engine_pod *p)
{
	struct awaiter *awaiter = e->awaiters.count ? find(e, p->text) : NULL;
	if (!awaiter)
		return;
	awaiter->pod = p;
	p->awaited = true;
	tell(e, awaiter);
}

void engine_await_gone(struct engine *e, struct engine_pod *p)
{
	struct awaiter *awaiter = p->awaited ? find(e, p->text) : NULL;
	if (!awaiter)
		return;
	tell(e, awaiter);
	awaiter->pod = NULL;
	p->awaited = false;
}

/* Also a published attachment shows what its network is called: those are not among the network's pending ones, so all
 * who wait are asked whether they are on it. */
void engine_await_network(struct engine *e, struct net *net)
{
	if (chain_empty(&e->awaited))
		return;
	net->change = ++e->net_changes;
	e->await_at = e->awaited.next;
}

static bool is_on_changed(const struct awaiter *awaiter)
{
	const struct engine_pod *p = awaiter->pod;
	for (const struct chain *at = p ? p->attachments.next : NULL; p && at != &p->attachments; at = at->next)
		if (container_of(at, struct attachment, in_pod)->net->change > awaiter->nets_seen)
			return true;
	return false;
}

void engine_await_work(struct engine *e, size_t *budget)
{
	while (*budget && e->await_at) {
		if (e->await_at == &e->awaited) {
			e->await_at = NULL;
			break;
		}
		struct awaiter *awaiter = container_of(e->await_at, struct awaiter, in_awaited);
		e->await_at = e->await_at->next;
		engine_spend(budget, AWAITER_COST);
		if (is_on_changed(awaiter))
			tell(e, awaiter);
		awaiter->nets_seen = e->net_changes;
	}
}

/* --- telling --- */

bool engine_next_changed(struct engine *e, struct engine_action *action)
{
	if (chain_empty(&e->changed))
		return false;
	struct awaiter *awaiter = container_of(e->changed.next, struct awaiter, in_changed);
	chain_remove(&awaiter->in_changed);
	e->told = mem_dup(awaiter->uid); /* its last waiter may leave on hearing it */
	action->kind = ENGINE_POD_CHANGED;
	action->pod_changed.uid = e->told;
	return true;
}

void engine_await_free(struct engine *e)
{
	while (!chain_empty(&e->awaited))
		awaiter_free(e, container_of(e->awaited.next, struct awaiter, in_awaited));
	free(e->told);
	e->told = NULL;
}
