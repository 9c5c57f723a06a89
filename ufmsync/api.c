#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ufmsync/api_private.h"

/* Which question goes where, and the life of a call. */

struct rubbish {
	struct chain in_rubbish;
	json_t *items;
};

/* --- who answers --- */

struct engine *api_engine(const struct api *api)
{
	return api->world.engine(api->world.aux);
}

bool api_leads(const struct api *api)
{
	return api->world.leads(api->world.aux);
}

bool api_follows(const struct api *api)
{
	struct engine_status status;

	engine_status(api_engine(api), &status);
	return !status.leading && !status.observing;
}

bool api_may(const struct api_question *question, bool lead)
{
	const struct api *api = question->api;
	struct engine_status status;
	bool held = false;

	if (api_leads(api))
		return true;
	const char *leader = api->world.leader(api->world.aux, &held);
	engine_status(api_engine(api), &status);
	if (status.leading)
		api_fail(question, 503, "NotReady", "this replica has begun to lead and is still reading; ask again");
	else if (held)
		api_fail(question, 503, "NotLeader", "%s leads, not this replica; ask again",
			 leader && *leader ? leader : "another replica");
	else if (lead)
		api_fail(question, 503, "NotLeader", "nobody leads now; only a leader can answer this");
	else if (!status.synced)
		api_fail(question, 503, "NotReady", "pods, networks and namespaces are still being read; ask again");
	else
		return true;
	return false;
}

/* --- the life of a call --- */

static void on_turn(struct loop_timer *timer)
{
	struct api_call *call = container_of(timer, struct api_call, timer);
	const struct loop *loop = call->api->loop;

	call->turns++;
	do {
		if (!call->step(call))
			return;
	} while (loop_turn_ns(loop) < call->api->slice_ns);
	loop_timer_at(timer, loop_now_ms());
}

void *api_call_new(const struct api_question *question, size_t size, bool (*step)(struct api_call *call),
		   void (*end)(struct api_call *call))
{
	struct api *api = question->api;
	struct api_call *call = mem_alloc(size);

	assert(size >= sizeof *call);
	call->api = api;
	call->done = question->done;
	call->aux = question->aux;
	call->limit = question->limit;
	call->step = step;
	call->end = end;
	call->items = json_array();
	chain_init(&call->in_waiting);
	chain_append(&api->calls, &call->in_calls);
	api->n_calls++;
	loop_timer_init(&call->timer, api->loop, on_turn);
	return call;
}

void api_call_go(struct api_call *call)
{
	loop_timer_at(&call->timer, loop_now_ms());
}

static void call_free(struct api_call *call)
{
	loop_timer_stop(&call->timer);
	chain_remove(&call->in_waiting);
	chain_remove(&call->in_calls);
	call->api->n_calls--;
	if (call->end)
		call->end(call);
	api_snapshot_drop(call->snapshot);
	if (call->items)
		api_discard(call->api, call->items);
	free(call);
}

/* The call is gone before its answer is given: who gets that may ask again, or end everything. */
void api_call_answer(struct api_call *call, int status, json_t *answer)
{
	void (*done)(void *, int, const json_t *) = call->done;
	void *aux = call->aux;

	call_free(call);
	done(aux, status, answer);
	json_decref(answer);
}

void api_call_fail(struct api_call *call, int status, const char *code, const char *format, ...)
{
	char message[640];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	api_call_answer(call, status, api_error(code, message));
}

void api_call_answer_list(struct api_call *call, json_t *extra, const char *again)
{
	json_t *answer = extra ? extra : json_object();

	api_put_bool(answer, "authoritative", api_leads(call->api));
	api_put_count(answer, "revision", call->revision);
	api_put(answer, "items", call->items);
	api_put(answer, "continue", api_text(again));
	call->items = NULL;
	api_call_answer(call, 200, answer);
}

struct api_call *api_answer(const struct api_question *question, int status, json_t *answer)
{
	question->done(question->aux, status, answer);
	json_decref(answer);
	return NULL;
}

struct api_call *api_fail(const struct api_question *question, int status, const char *code, const char *format, ...)
{
	char message[640];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return api_answer(question, status, api_error(code, message));
}

void api_cancel(struct api_call *call)
{
	if (call)
		call_free(call);
}

/* --- what nobody wants any more --- */

static void on_rubbish(struct loop_timer *timer)
{
	struct api *api = container_of(timer, struct api, rubbish_timer);

	while (!chain_empty(&api->rubbish)) {
		struct rubbish *rubbish = container_of(api->rubbish.next, struct rubbish, in_rubbish);
		size_t n;

		while ((n = json_array_size(rubbish->items)) > 0) {
			if (n % 16 == 0 && loop_turn_ns(api->loop) >= api->slice_ns) {
				json_array_remove(rubbish->items, n - 1);
				loop_timer_at(timer, loop_now_ms());
				return;
			}
			json_array_remove(rubbish->items, n - 1);
		}
		json_decref(rubbish->items);
		chain_remove(&rubbish->in_rubbish);
		free(rubbish);
	}
}

void api_discard(struct api *api, json_t *items)
{
	if (json_array_size(items) <= 64) {
		json_decref(items);
		return;
	}
	struct rubbish *rubbish = mem_alloc(sizeof *rubbish);
	rubbish->items = items;
	chain_append(&api->rubbish, &rubbish->in_rubbish);
	loop_timer_at(&api->rubbish_timer, loop_now_ms());
}

/* --- which question goes where --- */

#define KEY(key) (1u << (key))
enum { PAGES = KEY(API_KEY_LIMIT) | KEY(API_KEY_CONTINUE) };

static const char *const keys[API_KEYS] = {
	[API_KEY_LIMIT] = "limit", [API_KEY_CONTINUE] = "continue", [API_KEY_NAMESPACE] = "namespace",
	[API_KEY_POD] = "pod",     [API_KEY_NODE] = "node",         [API_KEY_PKEY] = "pkey",
	[API_KEY_STATE] = "state",
};

static const struct route {
	const char *method, *path; /* ends with '/': a name follows */
	unsigned keys;
	api_handler *handler;
} routes[] = {
	{ "GET", "/v1/status", 0, api_status },
	{ "GET", "/v1/pool", 0, api_pool },
	{ "GET", "/v1/pkeys", PAGES, api_pkeys },
	{ "GET", "/v1/pkeys/", PAGES, api_members },
	{ "GET", "/v1/attachments",
	  PAGES | KEY(API_KEY_NAMESPACE) | KEY(API_KEY_POD) | KEY(API_KEY_NODE) | KEY(API_KEY_PKEY) |
		  KEY(API_KEY_STATE),
	  api_attachments },
	{ "GET", "/v1/guids/", 0, api_guid_of },
	{ "GET", "/v1/orphans", PAGES, api_orphans },
	{ "POST", "/v1/orphans/remove", 0, api_orphans_remove },
	{ "POST", "/v1/orphans/confirm", 0, api_orphans_confirm },
	{ "POST", "/v1/audit", 0, api_audit },
};

/* The name behind the route's path ("" where none belongs), or NULL. */
static const char *matches(const struct route *route, const char *path)
{
	size_t len = strlen(route->path);

	if (strncmp(path, route->path, len) != 0)
		return NULL;
	if (route->path[len - 1] != '/')
		return path[len] ? NULL : "";
	return path[len] && !strchr(path + len, '/') ? path + len : NULL;
}

struct reading {
	const struct route *route;
	struct api_question *question;
	const char *unknown, *twice;
};

static void read_key(void *aux, const char *key, const char *value)
{
	struct reading *reading = aux;

	for (int i = 0; i < API_KEYS; i++) {
		if (!(reading->route->keys & KEY(i)) || strcmp(keys[i], key) != 0)
			continue;
		if (reading->question->query[i])
			reading->twice = keys[i];
		reading->question->query[i] = value;
		return;
	}
	reading->unknown = key;
}

/* False: answered. */
static bool read_query(const struct route *route, struct api_question *question)
{
	const struct api_request *request = question->request;
	struct reading reading = { .route = route, .question = question };
	uint64_t limit;

	if (request->each_query)
		request->each_query(request->query_aux, read_key, &reading);
	for (int i = 0; i < API_KEYS && request->query && !request->each_query; i++)
		if (route->keys & KEY(i))
			question->query[i] = request->query(request->query_aux, keys[i]);
	if (reading.unknown || reading.twice) {
		api_fail(question, 400, "BadRequest", "the query's \"%.64s\" %s",
			 reading.unknown ? reading.unknown : reading.twice,
			 reading.unknown ? "is not known here" : "is given twice");
		return false;
	}
	question->limit = API_LIMIT;
	if (!question->query[API_KEY_LIMIT])
		return true;
	if (!api_number(&limit, question->query[API_KEY_LIMIT], API_LIMIT_MAX, NULL) || limit == 0) {
		api_fail(question, 400, "BadRequest", "limit is a number from 1 to %d", API_LIMIT_MAX);
		return false;
	}
	question->limit = limit;
	return true;
}

bool api_has_path(const char *path)
{
	for (size_t i = 0; i < array_length(routes); i++)
		if (matches(&routes[i], path))
			return true;
	return false;
}

struct api_call *api_ask(struct api *api, const struct api_request *request,
			 void (*done)(void *aux, int status, const json_t *answer), void *aux)
{
	struct api_question question = { .request = request, .api = api, .done = done, .aux = aux };
	bool known = false;

	for (size_t i = 0; i < array_length(routes); i++) {
		question.name = matches(&routes[i], request->path);
		known |= question.name != NULL;
		if (!question.name || strcmp(routes[i].method, request->method) != 0)
			continue;
		if (api->n_calls >= API_CALLS_MAX)
			return api_fail(&question, 503, "TooManyRequests", "%d questions are being answered already",
					API_CALLS_MAX);
		if (!read_query(&routes[i], &question))
			return NULL;
		return routes[i].handler(&question);
	}
	if (known)
		return api_fail(&question, 405, "MethodNotAllowed", "%.16s is not a method of this path",
				request->method);
	return api_fail(&question, 404, "NotFound", "no such path; /v1/openapi.json says what there is");
}

/* --- life --- */

static void on_expiry(struct loop_timer *timer)
{
	api_snapshots_expire(container_of(timer, struct api, expiry));
}

struct api *api_new(struct loop *loop, const struct api_world *world)
{
	struct api *api = mem_alloc(sizeof *api);

	api->loop = loop;
	api->world = *world;
	api->slice_ns = API_SLICE_NS;
	chain_init(&api->calls);
	chain_init(&api->rubbish);
	chain_init(&api->lists);
	chain_init(&api->snapshots);
	chain_init(&api->counting);
	chain_init(&api->finding);
	loop_timer_init(&api->rubbish_timer, loop, on_rubbish);
	loop_timer_init(&api->expiry, loop, on_expiry);
	return api;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	while (!chain_empty(&api->calls))
		call_free(container_of(api->calls.next, struct api_call, in_calls));
	api_fabric_free(api);
	while (!chain_empty(&api->rubbish)) {
		struct rubbish *rubbish = container_of(api->rubbish.next, struct rubbish, in_rubbish);

		json_decref(rubbish->items);
		chain_remove(&rubbish->in_rubbish);
		free(rubbish);
	}
	loop_timer_stop(&api->rubbish_timer);
	loop_timer_stop(&api->expiry);
	free(api);
}
