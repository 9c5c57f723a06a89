#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/chain.h"
#include "base/mem.h"
#include "ufmsync/api.h"
#include "ufmsync/service_parts.h"

/* What operators ask at the https port: who they are is checked, then the API is asked, and its answer goes out in pieces,
 * so that no page, however long, keeps the loop. */

enum { ASKS_MAX = 64, WHOLE_ITEMS_MAX = 32, SLICE_NS = 800 * 1000, PIECE_ITEMS = 16 };

struct service_api {
	struct api *api;
	struct chain asks;
	unsigned n_asks;
	struct log_limit who_limit, forbidden_limit, unavailable_limit;
};

/* One question, from its request to the last byte of its answer. */
struct ask {
	struct service *service;
	struct chain in_asks;
	struct httpd_request *http; /* NULL: the client has left */
	struct kube_access_ask *access;
	struct api_call *call;
	struct loop_timer timer; /* while the answer goes out */
	json_t *items;           /* NULL: not yet */
	size_t sent;             /* of these; what was sent is freed at once */
	char *user, *tail;
};

static const char document_path[] = "/v1/openapi.json";
static const char *const plain[] = { "Cache-Control: no-store", NULL };
static const char *const challenge[] = { "Cache-Control: no-store", "WWW-Authenticate: Bearer", NULL };
static const char *const later[] = { "Cache-Control: no-store", "Retry-After: 5", NULL };

/* --- the world --- */

static struct engine *world_engine(void *aux)
{
	struct service *service = aux;

	return service->engine;
}

static struct pkey_backend *world_backend(void *aux)
{
	struct service *service = aux;

	return service->backend;
}

static bool world_leads(void *aux)
{
	return service_leads(aux);
}

static const char *world_leader(void *aux, bool *held)
{
	struct service *service = aux;

	*held = lease_is_held(service->lease, loop_now_ms());
	return lease_holder(service->lease);
}

static const char *world_last_error(void *aux, int64_t *wall_ms)
{
	struct service *service = aux;

	*wall_ms = service->fabric_error_wall_ms;
	return service->fabric_error;
}

/* --- answers --- */

static void count(struct service *service, int status)
{
	if (status < 300)
		service->counts.api_answered++;
	else if (status < 500)
		service->counts.api_refused++;
	else
		service->counts.api_failed++;
}

static void send_text(struct service *service, struct httpd_request *http, int status, const char *text)
{
	count(service, status);
	httpd_answer(http, status, "application/json",
		     status == 401   ? challenge
		     : status == 503 ? later
				     : plain,
		     text, strlen(text));
}

static void send_error(struct service *service, struct httpd_request *http, int status, const char *code,
		       const char *message)
{
	json_t *answer = json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message);
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	send_text(service, http, status, text ? text : "{\"error\":{\"code\":\"Unavailable\",\"message\":\"\"}}");
	free(text);
	json_decref(answer);
}

static void ask_free(struct ask *ask)
{
	ask->service->api->n_asks--;
	chain_remove(&ask->in_asks);
	loop_timer_stop(&ask->timer);
	if (ask->access)
		kube_access_cancel(ask->access);
	api_cancel(ask->call);
	json_decref(ask->items);
	free(ask->user);
	free(ask->tail);
	free(ask);
}

static void ask_fail(struct ask *ask, int status, const char *code, const char *message)
{
	struct service *service = ask->service;
	struct httpd_request *http = ask->http;

	httpd_set_aux(http, NULL);
	ask_free(ask);
	send_error(service, http, status, code, message);
}

/* --- a long answer, in pieces --- */

static bool write_piece(struct ask *ask, const char *text)
{
	return !ask->http || httpd_stream_write(ask->http, text, strlen(text));
}

/* Each item is freed as it goes. */
static bool write_item(struct ask *ask)
{
	size_t i = ask->sent++;
	char *text = ask->http ? json_dumps(json_array_get(ask->items, i), JSON_COMPACT) : NULL;
	bool ok = !text || ((i == 0 || write_piece(ask, ",\n")) && write_piece(ask, text));

	free(text);
	json_array_set_new(ask->items, i, json_null());
	return ok;
}

static void stream_over(struct ask *ask, bool whole)
{
	struct httpd_request *http = ask->http;

	whole = whole && write_piece(ask, "]") && write_piece(ask, ask->tail) && write_piece(ask, "}\n");
	if (http)
		httpd_set_aux(http, NULL);
	ask_free(ask);
	if (http && whole)
		httpd_stream_end(http);
	else if (http)
		httpd_stream_cut(http);
}

static void on_turn(struct loop_timer *timer)
{
	struct ask *ask = container_of(timer, struct ask, timer);

	do {
		for (int i = 0; i < PIECE_ITEMS; i++) {
			bool last = ask->sent == json_array_size(ask->items);

			if (last || !write_item(ask)) {
				stream_over(ask, last);
				return;
			}
		}
	} while (loop_turn_ns(ask->service->loop) < SLICE_NS);
	loop_timer_at(timer, loop_now_ms());
}

/* All of the answer but its items, as `,"key":value` each. */
static char *tail_of(const json_t *answer)
{
	json_t *rest = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)answer, key, value)
	{
		if (strcmp(key, "items") != 0)
			json_object_set_nocheck(rest, key, value);
	}
	char *text = json_dumps(rest, JSON_COMPACT), *tail = mem_dup(text ? text : "{}");
	free(text);
	json_decref(rest);
	tail[strlen(tail) - 1] = '\0'; /* its own end */
	tail[0] = ',';
	return tail;
}

static void stream(struct ask *ask, int status, const json_t *answer)
{
	ask->tail = tail_of(answer);
	ask->items = json_incref(json_object_get(answer, "items"));
	count(ask->service, status);
	httpd_stream_start(ask->http, status, "application/json", plain);
	write_piece(ask, "{\"items\":[");
	loop_timer_at(&ask->timer, loop_now_ms());
}

/* --- what was decided --- */

static void say(const struct ask *ask, int status, const json_t *answer)
{
	const char *path = httpd_path(ask->http);
	char n[24];

	if (status >= 300)
		return;
	if (strcmp(path, "/v1/orphans/confirm") == 0) {
		log_say(LOG_INFO, "ORPHANS_CONFIRMED", LOG_FIELDS({ "user", ask->user }),
			"an operator confirmed: orphans are removed, the brake is off");
	} else if (strcmp(path, "/v1/orphans/remove") == 0) {
		snprintf(n, sizeof n, "%" PRId64, (int64_t)json_integer_value(json_object_get(answer, "accepted")));
		log_say(LOG_INFO, "ORPHANS_REMOVED", LOG_FIELDS({ "user", ask->user }, { "guids", n }),
			"an operator named orphans: they are removed");
	}
}

static void on_answer(void *aux, int status, const json_t *answer)
{
	struct ask *ask = aux;
	struct service *service = ask->service;
	struct httpd_request *http = ask->http;

	ask->call = NULL;
	say(ask, status, answer);
	if (json_array_size(json_object_get(answer, "items")) > WHOLE_ITEMS_MAX) {
		stream(ask, status, answer);
		return;
	}
	char *text = json_dumps(answer, JSON_COMPACT);
	httpd_set_aux(http, NULL);
	ask_free(ask);
	send_text(service, http, status, text ? text : "{}");
	free(text);
}

static const char *query_of(void *aux, const char *key)
{
	return httpd_query(aux, key);
}

static void each_query(void *query_aux, void (*each)(void *aux, const char *key, const char *value), void *aux)
{
	httpd_each_query(query_aux, each, aux);
}

static void ask_api(struct ask *ask)
{
	struct httpd_request *http = ask->http;
	struct api_request request = { .method = httpd_method(http),
				       .path = httpd_path(http),
				       .query = query_of,
				       .query_aux = http,
				       .each_query = each_query };

	request.body = httpd_body(http, &request.body_len);
	/* Answered at once, `ask` may be gone. */
	struct api_call *call = api_ask(ask->service->api->api, &request, on_answer, ask);
	if (call)
		ask->call = call;
}

static void send_document(struct ask *ask)
{
	struct httpd_request *http = ask->http;
	size_t len;
	const char *text = api_document(&len);

	count(ask->service, 200);
	httpd_set_aux(http, NULL);
	ask_free(ask);
	httpd_answer(http, 200, "application/json", plain, text, len);
}

/* --- who asks --- */

static void refuse(struct ask *ask, struct log_limit *limit, int status, const char *code, const char *id,
		   const char *user, const char *why)
{
	log_limited(limit, 5, LOG_WARN, id, LOG_FIELDS({ "peer", httpd_peer(ask->http) }, { "user", user }),
		    "%d: %s %s: %s", status, httpd_method(ask->http), httpd_path(ask->http), why);
	ask_fail(ask, status, code, why);
}

static void on_access(void *aux, enum kube_verdict verdict, const struct kube_identity *who, const char *why)
{
	struct ask *ask = aux;
	struct service_api *api = ask->service->api;

	ask->access = NULL;
	switch (verdict) {
	case KUBE_ACCESS_OK:
		ask->user = mem_dup(who->user);
		if (strcmp(httpd_path(ask->http), document_path) == 0 && strcmp(httpd_method(ask->http), "GET") == 0)
			send_document(ask);
		else
			ask_api(ask);
		return;
	case KUBE_ACCESS_WHO:
		refuse(ask, &api->who_limit, 401, "Unauthorized", "API_UNAUTHENTICATED", NULL, why);
		return;
	case KUBE_ACCESS_FORBIDDEN:
		refuse(ask, &api->forbidden_limit, 403, "Forbidden", "API_FORBIDDEN", who->user, why);
		return;
	case KUBE_ACCESS_UNAVAILABLE:
		refuse(ask, &api->unavailable_limit, 503, "Unavailable", "API_UNAVAILABLE", NULL, why);
		return;
	}
}

void service_api_handle(struct service *service, struct httpd_request *http)
{
	struct service_api *api = service->api;
	const char *token = webhook_token(http);

	httpd_set_aux(http, NULL);
	if (!api_has_path(httpd_path(http)) && strcmp(httpd_path(http), document_path) != 0) {
		send_error(service, http, 404, "NotFound", "no such path; /v1/openapi.json says what there is");
		return;
	}
	if (!token) {
		send_error(service, http, 401, "Unauthorized", "there is no bearer token");
		return;
	}
	if (api->n_asks >= ASKS_MAX) {
		send_error(service, http, 503, "TooManyRequests", "too many questions are being answered already");
		return;
	}
	struct ask *ask = mem_alloc(sizeof *ask);
	ask->service = service;
	ask->http = http;
	loop_timer_init(&ask->timer, service->loop, on_turn);
	chain_append(&api->asks, &ask->in_asks);
	api->n_asks++;
	httpd_set_aux(http, ask);
	/* A kept answer comes at once, and `ask` may be gone then. */
	struct kube_access_ask *access =
		kube_access_check(service->access, token, httpd_method(http), httpd_path(http), false, on_access, ask);
	if (access)
		ask->access = access;
}

/* What was to be sent is freed as it would have been sent. */
void service_api_gone(struct httpd_request *http)
{
	struct ask *ask = httpd_aux(http);

	if (!ask)
		return;
	ask->http = NULL;
	if (!ask->items)
		ask_free(ask);
}

/* --- life --- */

void service_api_start(struct service *service)
{
	const struct api_world world = {
		.engine = world_engine,
		.backend = world_backend,
		.leads = world_leads,
		.leader = world_leader,
		.last_error = world_last_error,
		.aux = service,
	};

	service->api = mem_alloc(sizeof *service->api);
	chain_init(&service->api->asks);
	service->api->api = api_new(service->loop, &world);
}

void service_api_stop(struct service *service)
{
	if (!service->api)
		return;
	for (struct chain *at = service->api->asks.next, *next; at != &service->api->asks; at = next) {
		struct ask *ask = container_of(at, struct ask, in_asks);

		next = at->next;
		if (!ask->items) /* else its answer is on its way */
			ask_fail(ask, 503, "Stopping", "this replica is stopping; ask again");
	}
}

void service_api_free(struct service *service)
{
	struct service_api *api = service->api;

	if (!api)
		return;
	while (!chain_empty(&api->asks))
		ask_free(container_of(api->asks.next, struct ask, in_asks));
	api_free(api->api);
	service->api = NULL;
	free(api);
}
