#include "pkey/noop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What was asked for waits in a queue and is done, in order, on later turns of the loop. */

enum { GUIDS_MAX = 500, MEMBERS_A_TURN = 4096 };

enum operation_kind { JOIN, LEAVE, LIST, PROBE };

struct operation {
	struct operation *next;
	enum operation_kind kind;
	struct pkey_class class;
	struct guid *guids;
	size_t n;
	pkey_done_fn *done;
	void *aux;
	struct pkey_list_sink sink; /* of a list, as is all below */
	uint32_t pkey, pkey_last;   /* goes on with this one */
	struct guid from;           /* and with this GUID of it */
	bool in_pkey;
};

struct noop {
	struct pkey_backend backend;
	struct loop_timer timer;
	struct members *members[PKEY_COUNT]; /* NULL: no such PKey */
	struct operation *first, **last;
};

static void enqueue(struct noop *noop, struct operation *operation)
{
	*noop->last = operation;
	noop->last = &operation->next;
	if (!loop_timer_is_set(&noop->timer))
		loop_timer_at(&noop->timer, loop_now_ms());
}

static void operation_free(struct operation *operation)
{
	free(operation->guids);
	free(operation);
}

static void write_pkey(struct noop *noop, enum operation_kind kind, struct pkey_class class, const struct guid *guids,
		       size_t n, pkey_done_fn *done, void *aux)
{
	struct operation *operation = mem_alloc(sizeof *operation);

	assert(n > 0 && n <= GUIDS_MAX && done);
	assert(class.pkey.v >= PKEY_FIRST && class.pkey.v <= PKEY_LAST);
	operation->kind = kind;
	operation->class = class;
	operation->guids = mem_array(n, sizeof *guids);
	memcpy(operation->guids, guids, n * sizeof *guids);
	operation->n = n;
	operation->done = done;
	operation->aux = aux;
	enqueue(noop, operation);
}

static void noop_join(struct pkey_backend *backend, struct pkey_class class, const struct guid *guids, size_t n,
		      int64_t by_ms, pkey_done_fn *done, void *aux)
{
	(void)by_ms; /* done in the next turn */
	write_pkey(container_of(backend, struct noop, backend), JOIN, class, guids, n, done, aux);
}

static void noop_leave(struct pkey_backend *backend, struct pkey pkey, const struct guid *guids, size_t n,
		       int64_t by_ms, pkey_done_fn *done, void *aux)
{
	(void)by_ms; /* done in the next turn */
	write_pkey(container_of(backend, struct noop, backend), LEAVE, (struct pkey_class){ .pkey = pkey }, guids, n,
		   done, aux);
}

static void noop_list(struct pkey_backend *backend, const struct pkey *only, const struct pkey_list_sink *sink)
{
	struct operation *operation = mem_alloc(sizeof *operation);

	operation->kind = LIST;
	operation->sink = *sink;
	operation->pkey = only ? only->v : 0;
	operation->pkey_last = only ? only->v : PKEY_COUNT - 1;
	enqueue(container_of(backend, struct noop, backend), operation);
}

static void noop_probe(struct pkey_backend *backend, pkey_done_fn *done, void *aux)
{
	struct operation *operation = mem_alloc(sizeof *operation);

	operation->kind = PROBE;
	operation->done = done;
	operation->aux = aux;
	enqueue(container_of(backend, struct noop, backend), operation);
}

static void join_now(struct noop *noop, const struct operation *operation)
{
	struct members **members = &noop->members[operation->class.pkey.v];

	if (!*members)
		*members = members_new();
	for (size_t i = 0; i < operation->n; i++)
		members_add(*members, (struct member){ operation->guids[i], operation->class.membership,
						       operation->class.index0 });
}

/* A PKey goes with its last member, as it does in UFM. */
static void leave_now(struct noop *noop, const struct operation *operation)
{
	struct members **members = &noop->members[operation->class.pkey.v];

	if (!*members)
		return;
	for (size_t i = 0; i < operation->n; i++)
		members_remove(*members, operation->guids[i]);
	if (members_count(*members) == 0) {
		members_free(*members);
		*members = NULL;
	}
}

/* Lists on from where the last turn stopped; true at the end.  What is written meanwhile may show or not. */
static bool list_some(struct noop *noop, struct operation *list)
{
	size_t left = MEMBERS_A_TURN;

	for (; list->pkey <= list->pkey_last; list->pkey++) {
		const struct members *members = noop->members[list->pkey];
		struct pkey pkey = { (uint16_t)list->pkey };
		if (members && !list->in_pkey && list->sink.partition)
			list->sink.partition(list->sink.aux, pkey, -1);
		list->in_pkey = members != NULL;
		size_t at = members ? members_from(members, list->from) : 0;
		for (const struct member *member; members && (member = members_next(members, &at)); left--) {
			list->from = member->guid;
			if (left == 0)
				return false;
			list->sink.member(list->sink.aux, pkey, member);
		}
		list->from = (struct guid){ 0 };
		list->in_pkey = false;
	}
	return true;
}

static void work(struct loop_timer *timer)
{
	struct noop *noop = container_of(timer, struct noop, timer);
	struct operation *operation = noop->first;
	pkey_done_fn *done = operation->done;
	void *aux = operation->aux;

	if (operation->kind == LIST) {
		done = operation->sink.done;
		aux = operation->sink.aux;
		if (!list_some(noop, operation)) {
			loop_timer_at(timer, loop_now_ms());
			return;
		}
	} else if (operation->kind == JOIN) {
		join_now(noop, operation);
	} else if (operation->kind == LEAVE) {
		leave_now(noop, operation);
	}
	noop->first = operation->next;
	if (!noop->first)
		noop->last = &noop->first;
	else
		loop_timer_at(timer, loop_now_ms());
	operation_free(operation);
	done(aux, NULL); /* last: it may free us */
}

static void noop_free(struct pkey_backend *backend)
{
	struct noop *noop = container_of(backend, struct noop, backend);

	loop_timer_stop(&noop->timer);
	for (struct operation *operation = noop->first, *next; operation; operation = next) {
		next = operation->next;
		operation_free(operation);
	}
	for (size_t i = 0; i < PKEY_COUNT; i++)
		members_free(noop->members[i]);
	free(noop);
}

static const struct pkey_backend_class noop_class = {
	.name = "noop",
	.guids_max = GUIDS_MAX,
	.join = noop_join,
	.leave = noop_leave,
	.list = noop_list,
	.probe = noop_probe,
	.free = noop_free,
};

struct pkey_backend *noop_new(struct loop *loop)
{
	struct noop *noop = mem_alloc(sizeof *noop);

	noop->backend.class = &noop_class;
	noop->last = &noop->first;
	loop_timer_init(&noop->timer, loop, work);
	return &noop->backend;
}
