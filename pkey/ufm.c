#include "pkey/ufm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "pkey/ufm_access.h"
#include "pkey/ufm_list.h"
#include "pkey/ufm_ports.h"
#include "pkey/ufm_wire.h"

enum {
	GUIDS_MAX = 500,
	LISTS_AT_ONCE = 2,
	CONNECTIONS = 5,      /* a write, the lists, a probe, the ports */
	ALL_FACTOR = 6,       /* the list of all may take so many times as long as another call */
	ANSWER_MAX = 1 << 20, /* of what is not a list */
};

enum kind { JOIN, LEAVE, LIST, PROBE };

/* What a caller asked for, from then until its `done`.  Most take one request; a removal takes several when a route is
 * not known here, when the GUIDs do not fit into one line, or when a 404 has to be confirmed. */
struct operation {
	TAILQ_ENTRY(operation) link;
	struct ufm *ufm;
	enum kind kind;
	pkey_done_fn *done;
	void *aux;
	int64_t deadline_ms;
	int64_t by_ms;                /* JOIN, LEAVE: later than that nothing more is sent */
	struct http_request *request; /* NULL: waits its turn */
	int64_t sent_ms;              /* when it was sent */
	bool confirming;              /* the request under way is a probe, sent because of a 404 */

	struct pkey_class class; /* JOIN, LEAVE */
	struct guid *guids;
	size_t n;
	size_t left, sent; /* LEAVE: so many have left, so many are in the request under way */
	enum ufm_route route;
	bool refused[2];    /* by route */
	struct error first; /* what the route tried first said */

	bool all; /* LIST */
	struct pkey only;
	struct pkey_list_sink sink;
	struct ufm_list *list;
	bool unreadable; /* what came is no list */
};

TAILQ_HEAD(operations, operation);

struct ufm {
	struct pkey_backend backend;
	struct http *http;
	struct ufm_access *access;
	struct ufm_ports *ports; /* a list of ports that is under way */
	bool ip_over_ib;
	int64_t timeout_ms;
	struct operations running, waiting; /* only lists wait */
	unsigned lists, writes;             /* running */
	bool avoided[2];                    /* routes of removal that are not known here, while the other is */
	char version[UFM_VERSION_MAX];
};

static struct ufm *ufm_of(const struct pkey_backend *backend)
{
	return container_of(backend, struct ufm, backend);
}

static bool is_write(const struct operation *operation)
{
	return operation->kind == JOIN || operation->kind == LEAVE;
}

static void operation_free(struct operation *operation)
{
	ufm_list_free(operation->list);
	free(operation->guids);
	free(operation);
}

static void start_waiting(struct ufm *ufm);

/* The end of an operation, and of whatever its `done` chooses to free. */
static void finish(struct operation *operation, const struct error *err)
{
	struct ufm *ufm = operation->ufm;
	pkey_done_fn *done = operation->done;
	void *aux = operation->aux;

	TAILQ_REMOVE(&ufm->running, operation, link);
	ufm->writes -= is_write(operation);
	ufm->lists -= operation->kind == LIST;
	operation_free(operation);
	start_waiting(ufm);
	done(aux, err);
}

static void finish_failed(struct operation *operation, const struct error *why)
{
	struct error err = *why; /* which may be the operation's own */
	char pkey[PKEY_TEXT_MAX];

	switch (operation->kind) {
	case JOIN:
		error_wrap(&err, "join %zu GUIDs to PKey %s", operation->n, pkey_format(pkey, operation->class.pkey));
		break;
	case LEAVE:
		error_wrap(&err, "remove %zu GUIDs from PKey %s", operation->n,
			   pkey_format(pkey, operation->class.pkey));
		break;
	case LIST:
		if (operation->all)
			error_wrap(&err, "list all PKeys");
		else
			error_wrap(&err, "list PKey %s", pkey_format(pkey, operation->only));
		break;
	case PROBE:
		error_wrap(&err, "probe UFM");
	}
	finish(operation, &err);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void on_answer(void *aux, const struct http_reply *reply);

static int on_list_bytes(void *aux, const char *bytes, size_t n, struct error *err)
{
	struct operation *operation = aux;

	operation->unreadable = ufm_list_feed(operation->list, bytes, n, err) < 0;
	return operation->unreadable ? -1 : 0;
}

static void send_call(struct operation *operation, const struct ufm_call *call)
{
	struct ufm *ufm = operation->ufm;
	__attribute__((cleanup(mem_freep))) char *url =
		mem_printf("%s%s", ufm_access_url(ufm->access), call->path.data);
	const char *headers[4] = { "Accept: application/json" };
	size_t n = 1;
	bool streams = operation->kind == LIST && !operation->confirming;
	int64_t left_ms = operation->deadline_ms - loop_now_ms();

	if (call->body.len > 0)
		headers[n++] = "Content-Type: application/json";
	headers[n] = ufm_access_authorization(ufm->access);
	operation->sent_ms = loop_now_ms();
	operation->request = http_send(ufm->http, &(struct http_request_options){
							  .method = call->method,
							  .url = url,
							  .headers = headers,
							  .body = call->body.len > 0 ? call->body.data : NULL,
							  .body_len = call->body.len,
							  .send_by_ms = operation->confirming ? 0 : operation->by_ms,
							  .timeout_ms = left_ms > 1 ? left_ms : 1,
							  .idle_timeout_ms = ufm->timeout_ms,
							  .body_max = streams ? 0 : ANSWER_MAX,
							  .data = streams ? on_list_bytes : NULL,
							  .done = on_answer,
							  .aux = operation,
						  });
}

static void send_join(struct operation *operation)
{
	struct ufm_call call;

	ufm_call_init(&call);
	ufm_call_join(&call, operation->class, operation->ufm->ip_over_ib, operation->guids, operation->n);
	send_call(operation, &call);
	ufm_call_free(&call);
}

/* The documented route as long as one request of it suffices, else the one that takes any number; what has turned out not
 * to be known here is the last choice. */
static enum ufm_route choose_route(const struct operation *operation, size_t fits)
{
	const bool *refused = operation->refused, *avoided = operation->ufm->avoided;
	enum ufm_route best = operation->n - operation->left > fits ? UFM_ACTION : UFM_DELETE;
	enum ufm_route other = best == UFM_ACTION ? UFM_DELETE : UFM_ACTION;

	return refused[best] || (avoided[best] && !refused[other]) ? other : best;
}

static void send_leave(struct operation *operation)
{
	size_t fits = ufm_delete_max(strlen(ufm_access_prefix(operation->ufm->access)));
	size_t rest = operation->n - operation->left;
	struct ufm_call call;

	operation->route = choose_route(operation, fits);
	operation->sent = operation->route == UFM_DELETE && rest > fits ? fits : rest;
	ufm_call_init(&call);
	ufm_call_leave(&call, operation->route, operation->class.pkey, operation->guids + operation->left,
		       operation->sent);
	send_call(operation, &call);
	ufm_call_free(&call);
}

static void send_list(struct operation *operation)
{
	const struct pkey *only = operation->all ? NULL : &operation->only;
	struct ufm_call call;

	operation->list = ufm_list_new(only, &operation->sink);
	operation->deadline_ms = loop_now_ms() + operation->ufm->timeout_ms * (operation->all ? ALL_FACTOR : 1);
	ufm_call_init(&call);
	ufm_call_list(&call, only);
	send_call(operation, &call);
	ufm_call_free(&call);
}

static void send_probe(struct operation *operation)
{
	struct ufm_call call;

	ufm_call_init(&call);
	ufm_call_probe(&call);
	send_call(operation, &call);
	ufm_call_free(&call);
}

/* "No such PKey" is believed only of something that is UFM: a wrong prefix says 404 as well, and would look like a fabric
 * in which all is gone. */
static void confirm(struct operation *operation)
{
	operation->confirming = true;
	send_probe(operation);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void join_answered(struct operation *operation, const struct ufm_answer *answer)
{
	struct error err;

	if (ufm_judge_join(answer, &err) == UFM_DONE)
		finish(operation, NULL);
	else
		finish_failed(operation, &err);
}

/* On with the rest, or done.  A route that works where the other did not is the one to begin with from now on. */
static void has_left(struct operation *operation)
{
	struct ufm *ufm = operation->ufm;
	enum ufm_route other = operation->route == UFM_DELETE ? UFM_ACTION : UFM_DELETE;

	ufm->avoided[operation->route] = false;
	if (operation->refused[other])
		ufm->avoided[other] = true;
	operation->left += operation->sent;
	if (operation->left < operation->n)
		send_leave(operation);
	else
		finish(operation, NULL);
}

static void leave_refused(struct operation *operation, struct error *err)
{
	enum ufm_route other = operation->route == UFM_DELETE ? UFM_ACTION : UFM_DELETE;

	operation->refused[operation->route] = true;
	if (!operation->refused[other]) {
		operation->first = *err;
		send_leave(operation);
	} else {
		finish_failed(operation, err->kind == ERROR_AUTH ? err : &operation->first);
	}
}

static void leave_answered(struct operation *operation, const struct ufm_answer *answer)
{
	struct error err;

	switch (ufm_judge_leave(answer, &err)) {
	case UFM_DONE:
		has_left(operation);
		break;
	case UFM_NO_PKEY:
		confirm(operation);
		break;
	case UFM_NO_ROUTE:
		leave_refused(operation, &err);
		break;
	case UFM_FAILED:
		finish_failed(operation, &err);
	}
}

static void list_answered(struct operation *operation, const struct ufm_answer *answer)
{
	struct error err;

	switch (ufm_judge_list(answer, operation->all, &err)) {
	case UFM_DONE:
		if (ufm_list_end(operation->list, &err) < 0)
			finish_failed(operation, &err);
		else
			finish(operation, NULL);
		break;
	case UFM_NO_PKEY:
		confirm(operation);
		break;
	case UFM_NO_ROUTE:
	case UFM_FAILED:
		finish_failed(operation, &err);
	}
}

static void probe_answered(struct operation *operation, const struct ufm_answer *answer)
{
	struct error err;

	if (ufm_judge_probe(answer, operation->ufm->version, &err) == UFM_DONE) {
		finish(operation, NULL);
		return;
	}
	if (operation->confirming)
		error_wrap(&err, "whether the PKey is missing or this is no UFM: GET /app/ufm_version");
	finish_failed(operation, &err);
}

/* Of a write only a refused certificate makes sure that nothing was done. */
static void unanswered(struct operation *operation, const struct error *why)
{
	struct error err = *why;

	if (is_write(operation) && err.kind != ERROR_AUTH && err.kind != ERROR_INVALID)
		err.kind = ERROR_RETRY;
	finish_failed(operation, &err);
}

/* For those who count and time requests. */
static void measure(const struct operation *operation, const struct http_reply *reply, const struct ufm_answer *answer)
{
	static const enum pkey_operation names[] = {
		[JOIN] = PKEY_JOIN, [LEAVE] = PKEY_LEAVE, [LIST] = PKEY_LIST, [PROBE] = PKEY_PROBE
	};
	enum pkey_operation name = operation->confirming                       ? PKEY_PROBE
				   : operation->kind == LIST && operation->all ? PKEY_LIST_ALL
									       : names[operation->kind];

	enum call_outcome outcome = operation->unreadable ? CALL_UNREADABLE
				    : reply->error        ? http_outcome(reply)
							  : ufm_outcome(answer);

	pkey_backend_ended(&operation->ufm->backend, name, outcome, loop_now_ms() - operation->sent_ms);
}

static void on_answer(void *aux, const struct http_reply *reply)
{
	struct operation *operation = aux;
	const struct ufm_answer answer = {
		.status = reply->status,
		.body = reply->body,
		.body_len = reply->body_len,
		.location = reply->location,
		.withhold = ufm_access_is_in(operation->ufm->access, reply->body) ||
			    ufm_access_is_in(operation->ufm->access, reply->location),
	};

	operation->request = NULL;
	measure(operation, reply, &answer);
	if (reply->error)
		unanswered(operation, reply->error);
	else if (operation->confirming || operation->kind == PROBE)
		probe_answered(operation, &answer);
	else if (operation->kind == JOIN)
		join_answered(operation, &answer);
	else if (operation->kind == LEAVE)
		leave_answered(operation, &answer);
	else
		list_answered(operation, &answer);
}

/* --- the backend ------------------------------------------------------------------------------------------------ */

static struct operation *operation_new(struct pkey_backend *backend, enum kind kind, pkey_done_fn *done, void *aux)
{
	struct operation *operation = mem_alloc(sizeof *operation);

	assert(done);
	operation->ufm = ufm_of(backend);
	operation->kind = kind;
	operation->done = done;
	operation->aux = aux;
	operation->deadline_ms = loop_now_ms() + operation->ufm->timeout_ms;
	return operation;
}

static void run(struct operation *operation)
{
	struct ufm *ufm = operation->ufm;

	TAILQ_INSERT_TAIL(&ufm->running, operation, link);
	ufm->lists += operation->kind == LIST;
	ufm->writes += is_write(operation);
	assert(ufm->writes <= 1);
	if (operation->kind == JOIN)
		send_join(operation);
	else if (operation->kind == LEAVE)
		send_leave(operation);
	else if (operation->kind == LIST)
		send_list(operation);
	else
		send_probe(operation);
}

/* So that many lists neither take all connections nor run out of time while they wait for one. */
static void start_waiting(struct ufm *ufm)
{
	while (ufm->lists < LISTS_AT_ONCE && !TAILQ_EMPTY(&ufm->waiting)) {
		struct operation *operation = TAILQ_FIRST(&ufm->waiting);
		TAILQ_REMOVE(&ufm->waiting, operation, link);
		run(operation);
	}
}

static void start_write(struct operation *operation, struct pkey_class class, const struct guid *guids, size_t n,
			int64_t by_ms)
{
	assert(n > 0 && n <= GUIDS_MAX);
	assert(class.pkey.v >= PKEY_FIRST && class.pkey.v <= PKEY_LAST);
	operation->class = class;
	operation->guids = mem_array(n, sizeof *guids);
	memcpy(operation->guids, guids, n * sizeof *guids);
	operation->n = n;
	operation->by_ms = by_ms < operation->deadline_ms ? by_ms : operation->deadline_ms;
	run(operation);
}

static void ufm_join(struct pkey_backend *backend, struct pkey_class class, const struct guid *guids, size_t n,
		     int64_t by_ms, pkey_done_fn *done, void *aux)
{
	start_write(operation_new(backend, JOIN, done, aux), class, guids, n, by_ms);
}

static void ufm_leave(struct pkey_backend *backend, struct pkey pkey, const struct guid *guids, size_t n, int64_t by_ms,
		      pkey_done_fn *done, void *aux)
{
	start_write(operation_new(backend, LEAVE, done, aux), (struct pkey_class){ .pkey = pkey }, guids, n, by_ms);
}

static void ufm_list(struct pkey_backend *backend, const struct pkey *only, const struct pkey_list_sink *sink)
{
	struct operation *operation = operation_new(backend, LIST, sink->done, sink->aux);

	operation->all = !only;
	if (only)
		operation->only = *only;
	operation->sink = *sink;
	TAILQ_INSERT_TAIL(&operation->ufm->waiting, operation, link);
	start_waiting(operation->ufm);
}

static void ufm_probe(struct pkey_backend *backend, pkey_done_fn *done, void *aux)
{
	run(operation_new(backend, PROBE, done, aux));
}

static void ufm_list_ports(struct pkey_backend *backend, const struct pkey_ports_sink *sink)
{
	struct ufm *ufm = ufm_of(backend);

	ufm_ports_ask(&ufm->ports, &ufm->backend, ufm->http, ufm->access, ufm->timeout_ms, sink);
}

static void free_operations(struct operations *operations)
{
	struct operation *operation;

	while ((operation = TAILQ_FIRST(operations))) {
		TAILQ_REMOVE(operations, operation, link);
		operation_free(operation);
	}
}

static void ufm_free(struct pkey_backend *backend)
{
	struct ufm *ufm = ufm_of(backend);

	http_free(ufm->http);
	free_operations(&ufm->running);
	free_operations(&ufm->waiting);
	ufm_ports_free(ufm->ports);
	ufm_access_free(ufm->access);
	free(ufm);
}

static const struct pkey_backend_class ufm_class = {
	.name = "ufm",
	.guids_max = GUIDS_MAX,
	.join = ufm_join,
	.leave = ufm_leave,
	.list = ufm_list,
	.list_ports = ufm_list_ports,
	.probe = ufm_probe,
	.free = ufm_free,
};

/* "ufmsync/0.1.0", and in a comment who we are, so far as it may stand in one. */
static char *user_agent(const struct ufm_options *options)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:";
	const char *identity = options->identity;

	if (!identity || identity[strspn(identity, allowed)] != '\0')
		return mem_dup("ufmsync/" UFMSYNC_VERSION);
	return mem_printf("ufmsync/" UFMSYNC_VERSION " (%s)", identity);
}

int ufm_new(struct pkey_backend **ret, struct loop *loop, const struct ufm_options *options,
	    const struct secrets *secrets, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *agent = user_agent(options);
	const struct http_options http_options = {
		.user_agent = agent,
		.max_connections = CONNECTIONS,
		.unacknowledged_ms = options->timeout_ms,
	};
	struct ufm *ufm = mem_alloc(sizeof *ufm);

	assert(options->timeout_ms > 0);
	ufm->backend.class = &ufm_class;
	ufm->ip_over_ib = options->ip_over_ib;
	ufm->timeout_ms = options->timeout_ms;
	TAILQ_INIT(&ufm->running);
	TAILQ_INIT(&ufm->waiting);
	if (ufm_access_new(&ufm->access, options, err) < 0 || http_new(&ufm->http, loop, &http_options, err) < 0 ||
	    ufm_access_take(ufm->access, ufm->http, secrets, err) < 0) {
		ufm_free(&ufm->backend);
		return -1;
	}
	*ret = &ufm->backend;
	return 0;
}

int ufm_set_secrets(struct pkey_backend *backend, const struct secrets *secrets, struct error *err)
{
	struct ufm *ufm = ufm_of(backend);

	return ufm_access_take(ufm->access, ufm->http, secrets, err);
}

const char *ufm_version(const struct pkey_backend *backend)
{
	return ufm_of(backend)->version;
}
