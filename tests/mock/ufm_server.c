#include "tests/mock/ufm_server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tests/mock/ufm_exchange.h"

enum {
	REQUEST_LINE_MAX = 8190, /* Apache's default */
	/* So that a request line that is too long gets here and is answered as Apache does. */
	CONNECTION_MEMORY = 64 << 10,
	BODY_MAX = 50 << 20,
	CONNECTIONS_MAX = 1024,
	IDLE_MS = 60000,
};

struct ufm_clock ufm_server_clock(void)
{
	return (struct ufm_clock){ .now_ms = loop_now_ms(), .wall_ms = loop_wall_ms() };
}

void ufm_server_notify(struct ufm_server *server)
{
	if (server->changed)
		server->changed(server->aux);
}

static void set_settle_timer(struct ufm_server *server)
{
	int64_t due_ms = ufm_model_deadline(server->api.model);

	if (due_ms == INT64_MAX)
		loop_timer_stop(&server->settle);
	else
		loop_timer_at(&server->settle, due_ms);
}

static void on_settle(struct loop_timer *timer)
{
	ufm_server_touched(container_of(timer, struct ufm_server, settle));
}

void ufm_server_changed(struct ufm_server *server)
{
	server->revision++;
	set_settle_timer(server);
	ufm_server_notify(server);
}

void ufm_server_touched(struct ufm_server *server)
{
	ufm_api_settle(&server->api, ufm_server_clock());
	ufm_server_changed(server);
}

void ufm_server_fail_over(struct ufm_server *server, int64_t down_ms, int status)
{
	ufm_accounts_forget_sessions(&server->api.accounts);
	server->api.changed_wall_ms = 0;
	server->down_until_ms = loop_now_ms() + down_ms;
	server->down_status = status;
}

/* The path as it was asked for, as far as httpd lets us know; owned. */
static char *path_with_query(const struct httpd_request *request)
{
	static const char *const keys[] = { "guids_data", "qos_conf", "port_info", "sharp_state", "max_ports",
					    "system",     "port",     "sys_type",  "active",      "param_name",
					    "type",       "ip",       "brief",     "ports",       "length" };
	struct buf path;
	bool any = false;

	buf_init(&path, 1 << 20);
	buf_text(&path, httpd_path(request));
	for (size_t i = 0; i < array_length(keys); i++) {
		const char *value = httpd_query(request, keys[i]);
		if (!value)
			continue;
		buf_printf(&path, "%s%s=%s", any ? "&" : "?", keys[i], value);
		any = true;
	}
	return buf_take(&path);
}

static const char *query_of(const void *aux, const char *key)
{
	return httpd_query(aux, key);
}

static void count(struct ufm_server *server, const struct ufm_call *call, bool admitted)
{
	struct ufm_stats *stats = ufm_log_stats(server->log);
	bool unusable = false;

	stats->requests++;
	stats->operations[call->operation]++;
	stats->reads += call->operation != UFM_OP_NONE && !ufm_operation_writes(call->operation);
	stats->writes += ufm_operation_writes(call->operation);
	if (!ufm_operation_writes(call->operation) || call->n_members == 0 || call->refused || !admitted)
		return;
	stats->guid_writes++;
	stats->guids += call->n_members;
	if (stats->guid_writes == 1 || call->n_members < stats->guids_least)
		stats->guids_least = call->n_members;
	if (call->n_members > stats->guids_most)
		stats->guids_most = call->n_members;
	for (size_t i = 0; i < call->n_members; i++)
		unusable = unusable || call->members[i].guid == 0 || call->members[i].guid == UINT64_MAX;
	stats->unusable_guids += unusable && call->operation != UFM_OP_REMOVE;
}

static int64_t ufm_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void take_note(struct ufm_exchange *exchange, const struct ufm_http *http, const char *path, const char *client,
		      enum ufm_auth auth)
{
	enum ufm_operation operation = exchange->call.operation;
	bool secret = operation == UFM_OP_LOGIN || operation == UFM_OP_TOKEN_REVOKE;
	struct ufm_clock clock = ufm_server_clock();

	exchange->seq =
		ufm_log_begin(exchange->server->log,
			      &(struct ufm_log_entry){
				      .wall_ms = clock.wall_ms,
				      .wall_us = ufm_wall_us(),
				      .started_ms = clock.now_ms,
				      .client = (char *)(uintptr_t)client,
				      .method = (char *)(uintptr_t)http->method,
				      .path = (char *)(uintptr_t)path,
				      .body = http->body_len > 0 && !secret ? (char *)(uintptr_t)http->body : NULL,
				      .body_len = http->body_len,
				      .operation = operation,
				      .pkey = exchange->call.pkey,
				      .guids = exchange->call.n_members,
				      .auth = auth,
				      .admitted = exchange->admitted,
				      .fault = exchange->fault ? ufm_action_name(exchange->fault->action) : NULL,
			      });
	count(exchange->server, &exchange->call, exchange->admitted);
}

static void answer_down(struct ufm_exchange *exchange)
{
	if (exchange->server->down_status == 0) {
		ufm_exchange_reset(exchange);
	} else {
		ufm_api_html(&exchange->reply, exchange->server->down_status);
		ufm_exchange_answer(exchange);
	}
}

static void on_request(void *aux, struct httpd_request *request)
{
	struct ufm_server *server = aux;
	struct ufm_exchange *exchange = ufm_exchange_new(server, request);
	struct ufm_credentials credentials = { httpd_header(request, "Authorization"), httpd_header(request, "Cookie"),
					       httpd_client_name(request) };
	struct ufm_http http = {
		.method = httpd_method(request), .path = httpd_path(request), .query = query_of, .aux = request
	};
	__attribute__((cleanup(mem_freep))) char *path = path_with_query(request);
	bool down = server->down_until_ms > loop_now_ms();
	enum ufm_auth auth;

	http.body = httpd_body(request, &http.body_len);
	ufm_call_parse(&exchange->call, &http, &server->api.switches);
	exchange->admitted = ufm_accounts_check(&server->api.accounts, exchange->call.prefix, &credentials, &auth);
	if (!down)
		exchange->fault = ufm_faults_strike(&server->faults, http.method, http.path, &exchange->call);
	take_note(exchange, &http, path, httpd_header(request, "User-Agent"), auth);
	ufm_server_notify(server);
	if (down) {
		answer_down(exchange);
	} else if (strlen(http.method) + strlen(path) + strlen("  HTTP/1.1") > REQUEST_LINE_MAX) {
		ufm_api_html(&exchange->reply, 414);
		ufm_exchange_answer(exchange);
	} else {
		ufm_exchange_begin(exchange);
	}
}

/* Closes what still waits for an answer and forgets what would take effect late. */
static void drop_all(struct ufm_server *server)
{
	for (struct ufm_exchange *exchange = server->exchanges, *next; exchange; exchange = next) {
		next = exchange->next;
		server->late -= exchange->late;
		exchange->late = false;
		if (exchange->request)
			ufm_exchange_reset(exchange);
		else
			ufm_exchange_free(exchange);
	}
}

void ufm_server_reset(struct ufm_server *server)
{
	const struct ufm_baseline *baseline = &server->baseline;
	struct ufm_api *api = &server->api;

	drop_all(server);
	ufm_model_clear(api->model);
	ufm_model_forget_violations(api->model);
	ufm_faults_clear(&server->faults);
	ufm_log_clear(server->log);
	ufm_log_clear_stats(server->log);
	ufm_hosts_free(&api->hosts);
	ufm_hosts_init(&api->hosts);
	ufm_accounts_free(&api->accounts);
	ufm_accounts_init(&api->accounts, baseline->username, baseline->password, baseline->token, loop_wall_ms());
	api->switches = baseline->switches;
	api->changed_wall_ms = 0;
	api->fabric_broken = false;
	api->parse_errors = 0;
	server->down_until_ms = 0;
	ufm_server_touched(server);
}

static void on_gone(void *aux, struct httpd_request *request)
{
	(void)aux;
	ufm_exchange_gone(httpd_aux(request));
}

int ufm_server_start(struct ufm_server *server, struct loop *loop, struct httpd_options *options, struct error *err)
{
	server->loop = loop;
	ufm_api_init(&server->api);
	server->log = ufm_log_new();
	loop_timer_init(&server->settle, loop, on_settle);
	ufm_server_reset(server);
	options->max_connections = CONNECTIONS_MAX;
	options->connection_memory = CONNECTION_MEMORY;
	options->body_max = BODY_MAX;
	options->idle_timeout_ms = IDLE_MS;
	options->handle = on_request;
	options->gone = on_gone;
	options->aux = server;
	return httpd_new(&server->httpd, loop, options, err);
}

void ufm_server_stop(struct ufm_server *server)
{
	server->changed = NULL;
	httpd_free(server->httpd);
	while (server->exchanges)
		ufm_exchange_free(server->exchanges);
	loop_timer_stop(&server->settle);
	ufm_faults_clear(&server->faults);
	ufm_log_free(server->log);
	ufm_api_free(&server->api);
}
