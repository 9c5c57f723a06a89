#include "pkey/opensm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pkey/opensm_desk.h"
#include "pkey/opensm_drift.h"
#include "pkey/partitions_file.h"

/* Operations wait in a queue.  One job at a time is with the worker pool, which alone touches the desk then; writes that
 * wait beside each other go as one.  What a list found is handed out here, in slices. */

enum { GUIDS_MAX = 500, CHANGES_MAX = 64, MEMBERS_A_TURN = 4096 };

enum operation_kind { WRITE, LIST, PROBE, PREFLIGHT, LOOK };

struct operation {
	struct operation *next;
	enum operation_kind kind;
	struct opensm_change change;
	int64_t by_ms; /* of a change: in the file, or never */
	struct pkey_list_sink sink;
	bool one; /* of a list: only this PKey */
	struct pkey pkey;
	void (*finding)(void *aux, const struct opensm_finding *finding);
	pkey_done_fn *done; /* NULL: nobody waits */
	void *aux;
};

struct found {
	struct pkey pkey;
	struct member member;
};

struct opensm {
	struct pkey_backend backend;
	struct loop *loop;
	struct loop_timer timer; /* starts the next job, hands out what was found */
	struct operation *first, **last;
	struct opensm_desk *desk;
	void (*said)(void *aux, bool warning, const char *id, const char *text);
	void *said_aux;
	struct opensm_counts counts;
	uint64_t sm_key; /* for the next job */
	bool working, freed, look_waits;
	/* The job under way, or done and being handed out: */
	struct operation *job; /* a chain of writes, or one other */
	struct opensm_change *changes;
	size_t n_changes;
	int64_t by_ms;
	struct found *found;
	size_t n_found, handed;
	struct error err;
	bool failed;
	int64_t started_ms;
};

static void operation_free(struct operation *operation)
{
	free(operation->change.guids);
	free(operation);
}

static void free_chain(struct operation *operation)
{
	while (operation) {
		struct operation *next = operation->next;
		operation_free(operation);
		operation = next;
	}
}

static void free_all(struct opensm *opensm)
{
	loop_timer_stop(&opensm->timer);
	free_chain(opensm->first);
	free_chain(opensm->job);
	free(opensm->changes);
	free(opensm->found);
	opensm_desk_free(opensm->desk);
	free(opensm->desk);
	free(opensm);
}

static void hurry(struct opensm *opensm)
{
	if (!opensm->working && !loop_timer_is_set(&opensm->timer))
		loop_timer_at(&opensm->timer, loop_now_ms());
}

static void enqueue(struct opensm *opensm, struct operation *operation)
{
	*opensm->last = operation;
	opensm->last = &operation->next;
	hurry(opensm);
}

/* --- in the worker pool --- */

static void collect(struct opensm *opensm, struct pkey pkey)
{
	const struct members *members = opensm->desk->members[pkey.v];
	const struct member *member;
	size_t at = 0;

	if (!members)
		return;
	opensm->found = mem_resize(opensm->found, opensm->n_found + members_count(members), sizeof *opensm->found);
	while ((member = members_next(members, &at)))
		opensm->found[opensm->n_found++] = (struct found){ pkey, *member };
}

static int run(struct opensm *opensm)
{
	struct operation *job = opensm->job;

	if (job->kind == WRITE && opensm->desk->options.look_only)
		return error_set(&opensm->err, ERROR_INVALID, "only looking: nothing is written");
	if (job->kind == WRITE)
		return opensm_desk_write(opensm->desk, opensm->changes, opensm->n_changes, opensm->by_ms, &opensm->err);
	if (job->kind == PROBE)
		return opensm_desk_probe(opensm->desk, &opensm->err);
	if (job->kind == PREFLIGHT) {
		opensm_desk_preflight(opensm->desk);
		return 0;
	}
	if (job->kind == LOOK) {
		opensm_drift_look(opensm->desk);
		return 0;
	}
	if (opensm_desk_read(opensm->desk, &opensm->err) < 0)
		return -1;
	for (unsigned pkey = 0; pkey < PKEY_COUNT; pkey++)
		if (!job->one || job->pkey.v == pkey)
			collect(opensm, (struct pkey){ (uint16_t)pkey });
	return 0;
}

static void work(void *aux)
{
	struct opensm *opensm = aux;

	opensm->failed = run(opensm) < 0;
}

/* --- on the loop --- */

/* All writes that stand at the front of the queue, as one job; or the first other operation. */
static void take_job(struct opensm *opensm)
{
	struct operation **end = &opensm->job;

	opensm->n_changes = 0;
	do {
		struct operation *operation = opensm->first;
		opensm->first = operation->next;
		operation->next = NULL;
		*end = operation;
		end = &operation->next;
		if (operation->kind == WRITE) {
			if (opensm->n_changes == 0 || operation->by_ms < opensm->by_ms)
				opensm->by_ms = operation->by_ms;
			opensm->changes[opensm->n_changes++] = operation->change;
		}
	} while (opensm->first && opensm->first->kind == WRITE && opensm->job->kind == WRITE &&
		 opensm->n_changes < CHANGES_MAX);
	if (!opensm->first)
		opensm->last = &opensm->first;
}

static void worked(void *aux);

/* True when there is more to hand out on a later turn. */
static bool hand_out_some(struct opensm *opensm)
{
	struct operation *job = opensm->job;
	size_t end =
		opensm->n_found - opensm->handed > MEMBERS_A_TURN ? opensm->handed + MEMBERS_A_TURN : opensm->n_found;

	if (job->kind != LIST || opensm->failed)
		return false;
	for (; opensm->handed < end; opensm->handed++) {
		const struct found *found = &opensm->found[opensm->handed];
		if (job->sink.partition && (opensm->handed == 0 || found[-1].pkey.v != found->pkey.v))
			job->sink.partition(job->sink.aux, found->pkey, -1);
		job->sink.member(job->sink.aux, found->pkey, &found->member);
	}
	return opensm->handed < opensm->n_found;
}

/* Each of those who hear of it may free the backend. */
static void hand_out_findings(struct opensm *opensm, const struct operation *job, const struct opensm_finding *findings,
			      size_t n)
{
	for (size_t i = 0; i < n && !opensm->freed; i++)
		if (job->finding)
			job->finding(job->aux, &findings[i]);
		else if (opensm->said)
			opensm->said(opensm->said_aux, findings[i].level != OPENSM_FINE, findings[i].id,
				     findings[i].text);
}

static void look_later(struct opensm *opensm);

/* Tells everybody whose operation was in the job; each may free the backend. */
static void finish(struct opensm *opensm)
{
	struct operation *job = opensm->job;
	struct error err = opensm->err;
	bool failed = opensm->failed, freed = false, listed_all = job->kind == LIST && !job->one && !failed;

	opensm->job = NULL;
	free(opensm->found);
	opensm->found = NULL;
	opensm->n_found = opensm->handed = 0;
	/* Until all are told it is not freed under our feet. */
	opensm->working = true;
	hand_out_findings(opensm, job, opensm->desk->findings, opensm->desk->n_findings);
	opensm_desk_forget_findings(opensm->desk);
	while (job) {
		struct operation *next = job->next;
		if (!opensm->freed && job->done)
			job->done(job->aux, failed ? &err : NULL);
		operation_free(job);
		job = next;
	}
	opensm->working = false;
	freed = opensm->freed;
	if (freed) {
		free_all(opensm);
		return;
	}
	if (listed_all && !opensm->desk->options.look_only)
		look_later(opensm);
	if (opensm->first)
		hurry(opensm);
}

static void on_timer(struct loop_timer *timer)
{
	struct opensm *opensm = container_of(timer, struct opensm, timer);

	if (opensm->job) {
		if (hand_out_some(opensm))
			loop_timer_at(timer, loop_now_ms());
		else
			finish(opensm);
	} else if (opensm->first) {
		take_job(opensm);
		opensm->working = true;
		opensm->started_ms = loop_now_ms();
		opensm->desk->options.fabric.sm_key = opensm->sm_key;
		if (opensm->desk->fabric)
			fabric_set_sm_key(opensm->desk->fabric, opensm->sm_key);
		loop_work(opensm->loop, work, worked, opensm);
	}
}

static enum call_outcome outcome_of(const struct error *err)
{
	switch (err->kind) {
	case ERROR_INVALID:
	case ERROR_GONE:
	case ERROR_LIMIT:
		return CALL_REFUSED;
	case ERROR_AUTH:
		return CALL_FORBIDDEN;
	default:
		return CALL_UNAVAILABLE;
	}
}

static void measure(const struct opensm *opensm)
{
	const struct operation *job = opensm->job;
	enum pkey_operation name;

	if (job->kind == WRITE)
		name = job->change.join ? PKEY_JOIN : PKEY_LEAVE;
	else if (job->kind == LIST)
		name = job->one ? PKEY_LIST : PKEY_LIST_ALL;
	else if (job->kind == PROBE)
		name = PKEY_PROBE;
	else
		return;
	pkey_backend_ended(&opensm->backend, name, opensm->failed ? outcome_of(&opensm->err) : CALL_OK,
			   loop_now_ms() - opensm->started_ms);
}

static void worked(void *aux)
{
	struct opensm *opensm = aux;

	opensm->working = false;
	if (!opensm->freed)
		measure(opensm);
	opensm->counts = opensm->desk->counts;
	if (opensm->job->kind == LOOK)
		opensm->look_waits = false;
	if (opensm->freed)
		free_all(opensm);
	else
		loop_timer_at(&opensm->timer, loop_now_ms()); /* one slice a turn, this one included */
}

static struct operation *operation_new(enum operation_kind kind, pkey_done_fn *done, void *aux)
{
	struct operation *operation = mem_alloc(sizeof *operation);

	operation->kind = kind;
	operation->done = done;
	operation->aux = aux;
	return operation;
}

static void change(struct pkey_backend *backend, bool join, struct pkey_class class, const struct guid *guids, size_t n,
		   int64_t by_ms, pkey_done_fn *done, void *aux)
{
	struct operation *operation = operation_new(WRITE, done, aux);

	assert(n > 0 && n <= GUIDS_MAX && done);
	assert(class.pkey.v >= PKEY_FIRST && class.pkey.v <= PKEY_LAST);
	operation->change = (struct opensm_change){ .join = join, .class = class, .n = n };
	operation->change.guids = mem_array(n, sizeof *guids);
	memcpy(operation->change.guids, guids, n * sizeof *guids);
	struct opensm *opensm = container_of(backend, struct opensm, backend);
	operation->by_ms = loop_now_ms() + opensm->desk->options.prove_ms; /* fixed since the start */
	if (by_ms < operation->by_ms)
		operation->by_ms = by_ms;
	enqueue(opensm, operation);
}

static void opensm_join(struct pkey_backend *backend, struct pkey_class class, const struct guid *guids, size_t n,
			int64_t by_ms, pkey_done_fn *done, void *aux)
{
	change(backend, true, class, guids, n, by_ms, done, aux);
}

static void opensm_leave(struct pkey_backend *backend, struct pkey pkey, const struct guid *guids, size_t n,
			 int64_t by_ms, pkey_done_fn *done, void *aux)
{
	change(backend, false, (struct pkey_class){ .pkey = pkey }, guids, n, by_ms, done, aux);
}

static void opensm_list(struct pkey_backend *backend, const struct pkey *only, const struct pkey_list_sink *sink)
{
	struct operation *operation = operation_new(LIST, sink->done, sink->aux);

	operation->sink = *sink;
	operation->one = only;
	if (only)
		operation->pkey = *only;
	enqueue(container_of(backend, struct opensm, backend), operation);
}

static void opensm_probe(struct pkey_backend *backend, pkey_done_fn *done, void *aux)
{
	enqueue(container_of(backend, struct opensm, backend), operation_new(PROBE, done, aux));
}

/* Behind what waits by now, so that under load it comes to its turn too. */
static void look_later(struct opensm *opensm)
{
	if (opensm->look_waits)
		return;
	opensm->look_waits = true;
	enqueue(opensm, operation_new(LOOK, NULL, NULL));
}

void opensm_preflight(struct pkey_backend *backend, void (*finding)(void *aux, const struct opensm_finding *finding),
		      pkey_done_fn *done, void *aux)
{
	struct operation *operation = operation_new(PREFLIGHT, done, aux);

	operation->finding = finding;
	enqueue(container_of(backend, struct opensm, backend), operation);
}

void opensm_counts(const struct pkey_backend *backend, struct opensm_counts *counts)
{
	*counts = container_of((struct pkey_backend *)(uintptr_t)backend, struct opensm, backend)->counts;
}

void opensm_set_sm_key(struct pkey_backend *backend, uint64_t sm_key)
{
	container_of(backend, struct opensm, backend)->sm_key = sm_key;
}

static void opensm_free(struct pkey_backend *backend)
{
	struct opensm *opensm = container_of(backend, struct opensm, backend);

	opensm->desk->stopping = true;
	if (opensm->working)
		opensm->freed = true; /* when the job is over */
	else
		free_all(opensm);
}

static const struct pkey_backend_class opensm_class = {
	.name = "opensm",
	.guids_max = GUIDS_MAX,
	.join = opensm_join,
	.leave = opensm_leave,
	.list = opensm_list,
	.probe = opensm_probe,
	.free = opensm_free,
};

int opensm_new(struct pkey_backend **ret, struct loop *loop, const struct opensm_options *options, struct error *err)
{
	struct opensm_desk *desk = mem_alloc(sizeof *desk);

	if (opensm_desk_init(desk, options, err) < 0 ||
	    (!options->look_only && partitions_file_check(options->file, err) < 0)) {
		opensm_desk_free(desk);
		free(desk);
		return -1;
	}
	struct opensm *opensm = mem_alloc(sizeof *opensm);
	opensm->backend.class = &opensm_class;
	opensm->loop = loop;
	opensm->said = options->said;
	opensm->said_aux = options->aux;
	opensm->sm_key = options->fabric.sm_key;
	opensm->desk = desk;
	opensm->last = &opensm->first;
	opensm->changes = mem_array(CHANGES_MAX, sizeof *opensm->changes);
	loop_timer_init(&opensm->timer, loop, on_timer);
	*ret = &opensm->backend;
	return 0;
}
