#include "tests/mock/kube_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"

enum { CONNECTIONS_MAX = 4096, CONNECTION_MEMORY = 32 << 10, BODY_MAX = 4 << 20, QUERY_SHOWN = 4096 };

/* One request on its way. */
struct mkube_call {
	struct mkube_server *server;
	struct mkube_call *next, **link;
	struct httpd_request *request; /* NULL: answered */
	struct mkube_route route;
	struct mkube_proxy_route proxy;
	struct mkube_proxied *proxied;
	bool routed, patch, is_proxy;
	const char *verb;
	uint64_t number; /* in the log */
	struct mkube_verdict verdict;
	struct mkube_reply reply;
	struct mkube_watch *watch;
	struct loop_timer timer;
};

static void call_free(struct mkube_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	if (call->patch)
		mkube_log_flight(call->server->log, -1);
	if (call->proxied)
		mkube_proxy_cancel(call->proxied);
	loop_timer_stop(&call->timer);
	mkube_reply_free(&call->reply);
	mkube_reply_free(&call->verdict.reply);
	free(call);
}

static void schedule(struct mkube_server *server, int64_t due_ms)
{
	if (due_ms == INT64_MAX)
		loop_timer_stop(&server->timer);
	else
		loop_timer_at(&server->timer, due_ms);
}

void mkube_server_tick(struct mkube_server *server)
{
	schedule(server, mkube_watches_tick(server->watches, loop_now_ms()));
}

static void on_timer(struct loop_timer *timer)
{
	mkube_server_tick(container_of(timer, struct mkube_server, timer));
}

static void on_change(void *aux, enum mkube_kind kind)
{
	struct mkube_server *server = aux;

	mkube_watches_pump(server->watches, kind);
}

static const char *query(void *aux, const char *key)
{
	const struct mkube_call *call = aux;

	return httpd_query(call->request, key);
}

static struct mkube_request describe(struct mkube_call *call)
{
	struct mkube_request request = { .method = httpd_method(call->request),
					 .route = call->route,
					 .content_type = httpd_header(call->request, "Content-Type"),
					 .query = query,
					 .aux = call,
					 .now_ms = loop_wall_ms() };

	request.body = httpd_body(call->request, &request.len);
	return request;
}

static void answered(struct mkube_call *call, int status)
{
	mkube_log_answered(call->server->log, call->number, status);
	mkube_log_count_status(call->server->log, status);
}

static void send_reply(struct mkube_call *call)
{
	struct mkube_reply *reply = &call->reply;
	char retry[48];
	const char *headers[] = { NULL, NULL };

	if (reply->retry_after > 0) {
		snprintf(retry, sizeof retry, "Retry-After: %u", reply->retry_after);
		headers[0] = retry;
	}
	answered(call, reply->status);
	if (call->verdict.action == MKUBE_CUT) {
		httpd_stream_start(call->request, reply->status, "application/json", headers);
		httpd_stream_write(call->request, reply->body, reply->len / 2);
		httpd_stream_cut(call->request);
	} else {
		httpd_answer(call->request, reply->status, "application/json", headers, reply->body, reply->len);
	}
	call_free(call);
}

static void on_reply_due(struct loop_timer *timer)
{
	send_reply(container_of(timer, struct mkube_call, timer));
}

/* The answer is made; the verdict says what becomes of it. */
static void finish(struct mkube_call *call)
{
	if (call->verdict.action == MKUBE_RESET_AFTER) {
		answered(call, 0);
		httpd_abort(call->request);
		call_free(call);
	} else if (call->verdict.delay_after_ms > 0) {
		loop_timer_init(&call->timer, call->server->loop, on_reply_due);
		loop_timer_at(&call->timer, loop_now_ms() + call->verdict.delay_after_ms);
	} else {
		send_reply(call);
	}
}

static bool sink_write(void *aux, const void *bytes, size_t n)
{
	struct mkube_call *call = aux;

	return httpd_stream_write(call->request, bytes, n);
}

static void sink_end(void *aux, bool clean)
{
	struct mkube_call *call = aux;

	if (clean)
		httpd_stream_end(call->request);
	else
		httpd_abort(call->request);
	call->request = NULL;
	if (call->watch)
		call_free(call);
}

static void sink_start(void *aux)
{
	struct mkube_call *call = aux;

	answered(call, 200);
	httpd_stream_start(call->request, 200, "application/json", NULL);
}

static void open_watch(struct mkube_call *call, const struct mkube_request *request)
{
	struct mkube_sink sink = { .write = sink_write, .end = sink_end, .aux = call };

	call->watch = mkube_watch_open(call->server->watches, request, &sink, sink_start, loop_now_ms(), &call->reply);
	if (!call->watch && call->request)
		finish(call);
	else if (!call->watch)
		call_free(call);
}

static void on_proxied(void *aux, struct mkube_reply *reply)
{
	struct mkube_call *call = aux;

	call->proxied = NULL;
	call->reply = *reply;
	finish(call);
}

static void open_proxy(struct mkube_call *call)
{
	struct mkube_server *server = call->server;
	__attribute__((cleanup(mem_freep))) char *target = mkube_proxy_target(&server->api, &call->proxy, &call->reply);

	if (target)
		call->proxied = mkube_proxy_send(server->http, server->api.newer, call->request, target,
						 call->proxy.path, on_proxied, call);
	else
		finish(call);
}

static bool is_token_request(const struct mkube_call *call)
{
	return call->route.kind == MKUBE_SERVICE_ACCOUNTS && strcmp(call->route.sub, "token") == 0 && call->verb &&
	       strcmp(call->verb, "create") == 0;
}

static void issue_token(struct mkube_call *call, const struct mkube_request *request)
{
	char key[2 * MKUBE_NAME_MAX];

	mkube_store_key(key, call->route.namespace, call->route.name);
	if (mkube_store_get(call->server->api.store, MKUBE_SERVICE_ACCOUNTS, key))
		mkube_access_issue(call->server->access, call->route.namespace, call->route.name, request->body,
				   request->len, request->now_ms, &call->reply);
	else
		mkube_fail_not_found(&call->reply, MKUBE_SERVICE_ACCOUNTS, call->route.name);
	finish(call);
}

static void perform(struct mkube_call *call)
{
	struct mkube_server *server = call->server;
	struct mkube_request request = describe(call);

	if (call->verdict.action == MKUBE_ANSWER) {
		call->reply = call->verdict.reply;
		call->verdict.reply = (struct mkube_reply){ 0 };
		finish(call);
	} else if (call->is_proxy) {
		open_proxy(call);
	} else if (is_token_request(call)) {
		issue_token(call, &request);
	} else if (call->verb && strcmp(call->verb, "watch") == 0) {
		open_watch(call, &request);
	} else {
		mkube_serve(&server->api, &request, &call->reply);
		finish(call);
	}
	mkube_server_tick(server);
}

static void on_perform_due(struct loop_timer *timer)
{
	perform(container_of(timer, struct mkube_call, timer));
}

static void judge(struct mkube_call *call)
{
	mkube_faults_judge(call->server->faults, &call->route, httpd_method(call->request),
			   call->verb ? call->verb : "", &call->verdict);
	if (call->verdict.action == MKUBE_HANG)
		return;
	if (call->verdict.action == MKUBE_RESET) {
		httpd_abort(call->request);
		call_free(call);
	} else if (call->verdict.delay_ms > 0) {
		loop_timer_init(&call->timer, call->server->loop, on_perform_due);
		loop_timer_at(&call->timer, loop_now_ms() + call->verdict.delay_ms);
	} else {
		perform(call);
	}
}

static void add_query(void *aux, const char *key, const char *value)
{
	struct buf *text = aux;

	buf_printf(text, "%s%s=%s", text->len > 0 ? "&" : "", key, value);
}

static int64_t wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void log_call(struct mkube_call *call)
{
	struct mkube_log_entry entry = { .time_ms = loop_wall_ms(),
					 .time_us = wall_us(),
					 .method = httpd_method(call->request),
					 .path = httpd_path(call->request),
					 .user_agent = httpd_header(call->request, "User-Agent") };
	struct buf text;
	char what[700];

	buf_init(&text, QUERY_SHOWN);
	httpd_each_query(call->request, add_query, &text);
	entry.query = text.data;
	entry.body = httpd_body(call->request, &entry.body_len);
	call->number = mkube_log_add(call->server->log, &entry);
	buf_free(&text);
	if (call->routed && call->verb) {
		snprintf(what, sizeof what, "%s %s%s%s", call->verb, mkube_resources[call->route.kind].plural,
			 *call->route.sub ? "/" : "", call->route.sub);
		mkube_log_count(call->server->log, what);
	}
	call->patch = call->verb && strcmp(call->verb, "patch") == 0;
	if (call->patch)
		mkube_log_flight(call->server->log, 1);
}

static bool same_text(const char *a, const char *b)
{
	size_t n = strlen(a);
	unsigned char difference = 0;

	if (n != strlen(b))
		return false;
	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

static bool is_let_in(const struct mkube_server *server, const struct httpd_request *request)
{
	const char *header = httpd_header(request, "Authorization");

	if (server->n_tokens == 0 || httpd_client_name(request))
		return true;
	if (!header || strncmp(header, "Bearer ", 7) != 0)
		return false;
	for (size_t i = 0; i < server->n_tokens; i++)
		if (same_text(server->tokens[i], header + 7))
			return true;
	return false;
}

static bool answer_plain(struct httpd_request *request)
{
	static const char *const ok[] = { "/readyz", "/healthz", "/livez" };

	for (size_t i = 0; i < array_length(ok); i++)
		if (strcmp(httpd_path(request), ok[i]) == 0) {
			httpd_answer(request, 200, "text/plain; charset=utf-8", NULL, "ok", 2);
			return true;
		}
	return false;
}

static void serve_other(struct mkube_call *call)
{
	struct mkube_server *server = call->server;
	const char *path = httpd_path(call->request);
	size_t len;
	const char *body = httpd_body(call->request, &len);

	if (strcmp(path, "/version") == 0) {
		mkube_reply_json(&call->reply, 200,
				 json_pack("{s:s, s:s, s:s, s:s}", "major", "1", "minor",
					   server->api.newer ? "36" : "20", "gitVersion",
					   server->api.newer ? "v1.36.4" : "v1.20.2", "platform", "linux/amd64"));
	} else if (mkube_access_serve(server->access, httpd_method(call->request), path, body, len, &call->reply)) {
	} else if (mkube_group_known(path)) {
		mkube_fail(&call->reply, 404, "NotFound", json_object(),
			   "the server could not find the requested resource");
	} else {
		answered(call, 404);
		httpd_answer(call->request, 404, "text/plain; charset=utf-8", NULL, "404 page not found\n", 19);
		call_free(call);
		return;
	}
	send_reply(call);
}

/* For logs and faults it is the subresource `proxy` of the service. */
static void route_proxy(struct mkube_call *call)
{
	call->route = (struct mkube_route){ .kind = MKUBE_SERVICES, .sub = "proxy" };
	memcpy(call->route.namespace, call->proxy.namespace, sizeof call->route.namespace);
	memcpy(call->route.name, call->proxy.id, sizeof call->route.name);
	call->routed = true;
}

static void on_request(void *aux, struct httpd_request *request)
{
	struct mkube_server *server = aux;

	if (answer_plain(request))
		return;
	struct mkube_call *call = mem_alloc(sizeof *call);
	call->server = server;
	call->request = request;
	call->next = server->calls;
	call->link = &server->calls;
	if (call->next)
		call->next->link = &call->next;
	server->calls = call;
	loop_timer_init(&call->timer, server->loop, on_reply_due);
	httpd_set_aux(request, call);
	call->routed = mkube_route_parse(&call->route, httpd_path(request));
	call->is_proxy = mkube_proxy_parse(&call->proxy, httpd_path(request));
	if (call->is_proxy)
		route_proxy(call);
	if (call->routed) {
		struct mkube_request description = describe(call);

		call->verb = mkube_verb(&description);
	}
	log_call(call);
	if (!is_let_in(server, request)) {
		mkube_fail(&call->reply, 401, "Unauthorized", NULL, "Unauthorized");
		send_reply(call);
	} else if (!call->routed) {
		serve_other(call);
	} else {
		judge(call);
	}
}

static void on_gone(void *aux, struct httpd_request *request)
{
	struct mkube_call *call = httpd_aux(request);

	(void)aux;
	if (call->watch)
		mkube_watch_close(call->watch);
	call_free(call);
}

/* The real one does not verify a service's certificate either. */
static int new_proxy_client(struct http **http, struct loop *loop, struct error *err)
{
	const struct http_options options = { .user_agent = "mock-kube" };

	if (http_new(http, loop, &options, err) < 0)
		return -1;
	return http_set_tls(*http, &(struct http_tls){ .insecure = true }, err);
}

int mkube_server_start(struct mkube_server *server, struct loop *loop, const struct mkube_server_options *options,
		       struct error *err)
{
	struct http *http;
	struct httpd_options serve = { .listen = options->listen,
				       .cert = options->cert,
				       .key = options->key,
				       .client_ca = options->client_ca,
				       .max_connections = CONNECTIONS_MAX,
				       .connection_memory = CONNECTION_MEMORY,
				       .body_max = BODY_MAX,
				       .handle = on_request,
				       .gone = on_gone,
				       .aux = server };

	*server = (struct mkube_server){ .loop = loop };
	loop_timer_init(&server->timer, loop, on_timer);
	if (new_proxy_client(&http, loop, err) < 0)
		return -1;
	if (httpd_new(&server->httpd, loop, &serve, err) < 0)
		return -1;
	for (; options->tokens && options->tokens[server->n_tokens]; server->n_tokens++) {
		server->tokens = mem_resize(server->tokens, server->n_tokens + 1, sizeof *server->tokens);
		server->tokens[server->n_tokens] = mem_dup(options->tokens[server->n_tokens]);
	}
	server->api = (struct mkube_api){ .store = mkube_store_new(options->history), .newer = options->newer };
	server->watches = mkube_watches_new(&server->api, options->bookmark_ms);
	server->faults = mkube_faults_new();
	server->log = mkube_log_new(options->log_size);
	server->access = mkube_access_new();
	server->http = http;
	mkube_begin(&server->api, loop_wall_ms());
	mkube_store_on_change(server->api.store, on_change, server);
	return 0;
}

void mkube_server_stop(struct mkube_server *server)
{
	httpd_free(server->httpd); /* gives up all calls */
	http_free(server->http);
	loop_timer_stop(&server->timer);
	mkube_watches_free(server->watches);
	mkube_faults_free(server->faults);
	mkube_log_free(server->log);
	mkube_access_free(server->access);
	mkube_store_free(server->api.store);
	for (size_t i = 0; i < server->n_tokens; i++)
		mem_wipe_free(server->tokens[i]);
	free(server->tokens);
}
