#include "tests/mock/ufm_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	REQUEST_LINE_MAX = 8190, /* Apache's default */
	BODY_MAX = 50 << 20,
	CONNECTIONS_MAX = 1024,
	CONNECTION_MEMORY =
		64 << 10, /* so that a request line that is too long gets here and is answered as Apache does */
	IDLE_MS = 60000,
	LATE_MAX = 10000,
	CUT_MS = 30, /* time for the first half of a body to get on its way */
};

/* One request from its arrival until nothing more will come of it: that may be after its answer (apply_late) or after
 * its client has left (a write is worked on to its end). */
struct ufm_exchange {
	struct ufm_server *server;
	struct ufm_exchange *next, **link;
	struct httpd_request *request; /* NULL: answered, or the client has left */
	struct ufm_call call;
	struct ufm_fault *fault; /* NULL: none */
	struct ufm_reply reply;
	uint64_t seq;
	bool admitted, open, hung, late;
	size_t sent; /* bytes of a slow body */
	struct loop_timer timer;
	void (*step)(struct ufm_exchange *exchange); /* when the timer is over */
};

struct ufm_clock ufm_server_clock(void)
{
	return (struct ufm_clock){ .now_ms = loop_now_ms(), .wall_ms = loop_wall_ms() };
}

static void notify(struct ufm_server *server)
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

void ufm_server_touched(struct ufm_server *server)
{
	server->revision++;
	ufm_api_settle(&server->api, ufm_server_clock());
	set_settle_timer(server);
	notify(server);
}

void ufm_server_fail_over(struct ufm_server *server, int64_t down_ms, int status)
{
	ufm_accounts_forget_sessions(&server->api.accounts);
	server->api.changed_wall_ms = 0;
	server->down_until_ms = loop_now_ms() + down_ms;
	server->down_status = status;
}

static enum ufm_action action_of(const struct ufm_exchange *exchange)
{
	return exchange->fault ? exchange->fault->action : UFM_ACTION_NONE;
}

/* Writes being worked on are counted, and no two may be at a time.  One that a fault leaves hanging is no longer worked
 * on: its client must give it up before the next, which it can only do by leaving. */
static void write_opens(struct ufm_exchange *exchange)
{
	struct ufm_server *server = exchange->server;
	struct ufm_stats *stats = ufm_log_stats(server->log);

	if (!ufm_operation_writes(exchange->call.operation) || exchange->call.refused || !exchange->admitted)
		return;
	stats->overlapping_hung += server->writes_hung > 0;
	exchange->open = true;
	if (++server->writes_open > 1) {
		stats->overlapping_writes++;
		ufm_api_parse_error(&server->api);
	}
	if (server->writes_open > stats->overlap_most)
		stats->overlap_most = server->writes_open;
}

static void write_closes(struct ufm_exchange *exchange)
{
	exchange->server->writes_open -= exchange->open;
	exchange->open = false;
}

static void exchange_free(struct ufm_exchange *exchange)
{
	assert(!exchange->request);
	loop_timer_stop(&exchange->timer);
	write_closes(exchange);
	exchange->server->writes_hung -= exchange->hung;
	exchange->server->late -= exchange->late;
	*exchange->link = exchange->next;
	if (exchange->next)
		exchange->next->link = exchange->link;
	ufm_call_free(&exchange->call);
	ufm_fault_free(exchange->fault);
	ufm_reply_free(&exchange->reply);
	free(exchange);
}

static void on_timer(struct loop_timer *timer)
{
	struct ufm_exchange *exchange = container_of(timer, struct ufm_exchange, timer);

	exchange->step(exchange);
}

static struct ufm_exchange *exchange_new(struct ufm_server *server, struct httpd_request *request)
{
	struct ufm_exchange *exchange = mem_alloc(sizeof(*exchange));

	exchange->server = server;
	exchange->request = request;
	httpd_set_aux(request, exchange);
	exchange->next = server->exchanges;
	exchange->link = &server->exchanges;
	if (exchange->next)
		exchange->next->link = &exchange->next;
	server->exchanges = exchange;
	ufm_reply_init(&exchange->reply);
	loop_timer_init(&exchange->timer, server->loop, on_timer);
	return exchange;
}

static void step_later(struct ufm_exchange *exchange, int64_t delay_ms, void (*step)(struct ufm_exchange *exchange))
{
	if (delay_ms <= 0) {
		step(exchange);
		return;
	}
	exchange->step = step;
	loop_timer_at(&exchange->timer, loop_now_ms() + delay_ms);
}

/* The request has had its answer, or will not get one. */
static void over(struct ufm_exchange *exchange, enum ufm_outcome outcome)
{
	struct ufm_server *server = exchange->server;
	int status = outcome == UFM_OUTCOME_ANSWERED ? exchange->reply.status : 0;

	write_closes(exchange);
	exchange->request = NULL;
	ufm_log_stats(server->log)->refused += status >= 400;
	ufm_log_end(server->log, exchange->seq, outcome, status, loop_now_ms());
	if (!exchange->late)
		exchange_free(exchange);
	notify(server);
}

static void reset(struct ufm_exchange *exchange)
{
	struct httpd_request *request = exchange->request;

	over(exchange, UFM_OUTCOME_RESET);
	if (request)
		httpd_abort(request);
}

static void step_cut(struct ufm_exchange *exchange)
{
	reset(exchange);
}

static void step_slow(struct ufm_exchange *exchange)
{
	const struct buf *body = &exchange->reply.body;
	size_t left = body->len - exchange->sent, n = exchange->fault->chunk_bytes;
	struct httpd_request *request = exchange->request;

	if (!request) {
		over(exchange, UFM_OUTCOME_GONE);
	} else if (left == 0) {
		over(exchange, UFM_OUTCOME_ANSWERED);
		httpd_stream_end(request);
	} else {
		httpd_stream_write(request, body->data + exchange->sent, left < n ? left : n);
		exchange->sent += left < n ? left : n;
		exchange->step = step_slow;
		loop_timer_at(&exchange->timer, loop_now_ms() + exchange->fault->delay_ms);
	}
}

/* Sends the reply, in the shape that the fault wants it. */
static void answer(struct ufm_exchange *exchange)
{
	struct ufm_reply *reply = &exchange->reply;
	const char *headers[] = { "Server: TwistedWeb/22.4.0", "Rest-Version: 1.6.0",
				  reply->header[0] ? reply->header : NULL, NULL };
	struct httpd_request *request = exchange->request;
	const char *type = reply->content_type;
	size_t len = reply->body.len;

	if (!request) {
		over(exchange, UFM_OUTCOME_GONE);
		return;
	}
	switch (action_of(exchange)) {
	case UFM_ACTION_CUT_STREAM:
		httpd_stream_start(request, reply->status, type, headers);
		httpd_stream_write(request, reply->body.data, len / 2);
		step_later(exchange, CUT_MS, step_cut);
		return;
	case UFM_ACTION_SLOW_BODY:
		httpd_stream_start(request, reply->status, type, headers);
		step_slow(exchange);
		return;
	case UFM_ACTION_CUT_JSON:
		len /= 2;
		break;
	case UFM_ACTION_WRONG_CONTENT_TYPE:
		type = exchange->fault->content_type ? exchange->fault->content_type : "text/html";
		break;
	default:
		break;
	}
	httpd_answer(request, reply->status, type, headers, reply->body.data, len);
	over(exchange, UFM_OUTCOME_ANSWERED);
}

static void run(struct ufm_exchange *exchange, bool apply)
{
	struct ufm_server *server = exchange->server;
	uint64_t before = ufm_model_revision(server->api.model);

	ufm_api_run(&server->api, &exchange->call, ufm_server_clock(), apply, &exchange->reply);
	if (ufm_model_revision(server->api.model) != before) {
		server->revision++;
		set_settle_timer(server);
		notify(server);
	}
}

static void step_apply(struct ufm_exchange *exchange)
{
	struct ufm_server *server = exchange->server;

	buf_clear(&exchange->reply.body);
	run(exchange, true);
	exchange->late = false;
	server->late--;
	if (!exchange->request)
		exchange_free(exchange);
}

static void apply_later(struct ufm_exchange *exchange)
{
	struct ufm_server *server = exchange->server;

	if (!ufm_operation_writes(exchange->call.operation) || server->late == LATE_MAX)
		return;
	exchange->late = true;
	server->late++;
	exchange->step = step_apply;
	loop_timer_at(&exchange->timer, loop_now_ms() + exchange->fault->delay_ms);
}

/* No answer until the client leaves. */
static void hang(struct ufm_exchange *exchange)
{
	bool writes = exchange->open || (ufm_operation_writes(exchange->call.operation) && exchange->admitted);

	write_closes(exchange);
	if (!exchange->request) {
		over(exchange, UFM_OUTCOME_GONE);
		return;
	}
	exchange->hung = writes;
	exchange->server->writes_hung += writes;
}

static void answer_as_told(struct ufm_exchange *exchange)
{
	const struct ufm_fault *fault = exchange->fault;
	struct ufm_reply *reply = &exchange->reply;

	if (fault->action == UFM_ACTION_HTML) {
		ufm_api_html(reply, fault->code);
	} else if (fault->action == UFM_ACTION_UNAUTHORIZED) {
		ufm_api_unauthorized(reply);
	} else {
		reply->status = fault->code;
		reply->content_type = fault->content_type ? fault->content_type : "text/plain";
		if (fault->location)
			snprintf(reply->header, sizeof(reply->header), "Location: %s", fault->location);
		buf_clear(&reply->body);
		buf_text(&reply->body, fault->body ? fault->body : "");
	}
	answer(exchange);
}

/* The time that the request takes is over: it takes effect, and then gets its answer. */
static void step_work(struct ufm_exchange *exchange)
{
	switch (action_of(exchange)) {
	case UFM_ACTION_FORGET:
		run(exchange, !ufm_operation_writes(exchange->call.operation));
		answer(exchange);
		break;
	case UFM_ACTION_APPLY_LATE:
		run(exchange, false);
		apply_later(exchange);
		answer(exchange);
		break;
	case UFM_ACTION_LATE_AFTER_TIMEOUT:
		apply_later(exchange);
		hang(exchange);
		break;
	case UFM_ACTION_RESET_AFTER_APPLY:
		run(exchange, true);
		reset(exchange);
		break;
	case UFM_ACTION_STATUS:
		run(exchange, true);
		answer_as_told(exchange);
		break;
	default:
		run(exchange, true);
		answer(exchange);
		break;
	}
}

static void work(struct ufm_exchange *exchange)
{
	const struct ufm_switches *switches = &exchange->server->api.switches;
	int64_t delay_ms = ufm_operation_writes(exchange->call.operation) ? switches->write_ms : switches->read_ms;

	if (!exchange->admitted) {
		ufm_api_unauthorized(&exchange->reply);
		answer(exchange);
	} else if (exchange->call.refused) {
		ufm_api_refuse(&exchange->server->api, &exchange->call, &exchange->reply);
		answer(exchange);
	} else {
		if (action_of(exchange) == UFM_ACTION_LATENCY)
			delay_ms += exchange->fault->delay_ms;
		step_later(exchange, delay_ms, step_work);
	}
}

/* Some faults come before UFM has seen the request; the others change what follows. */
static void begin(struct ufm_exchange *exchange)
{
	const struct ufm_fault *fault = exchange->fault;

	if (action_of(exchange) == UFM_ACTION_HANG) {
		hang(exchange);
		return;
	}
	write_opens(exchange);
	switch (action_of(exchange)) {
	case UFM_ACTION_RESET_BEFORE:
		step_later(exchange, fault->delay_ms, reset);
		break;
	case UFM_ACTION_HTML:
	case UFM_ACTION_UNAUTHORIZED:
		step_later(exchange, fault->delay_ms, answer_as_told);
		break;
	case UFM_ACTION_STATUS:
		if (!fault->apply || exchange->call.refused || !exchange->admitted)
			step_later(exchange, fault->delay_ms, answer_as_told);
		else
			step_later(exchange, fault->delay_ms, work);
		break;
	default:
		work(exchange);
		break;
	}
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

static void take_note(struct ufm_exchange *exchange, const struct ufm_http *http, const char *path, enum ufm_auth auth)
{
	enum ufm_operation operation = exchange->call.operation;
	bool secret = operation == UFM_OP_LOGIN || operation == UFM_OP_TOKEN_REVOKE;
	struct ufm_clock clock = ufm_server_clock();

	exchange->seq =
		ufm_log_begin(exchange->server->log,
			      &(struct ufm_log_entry){
				      .wall_ms = clock.wall_ms,
				      .started_ms = clock.now_ms,
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
		reset(exchange);
		return;
	}
	ufm_api_html(&exchange->reply, exchange->server->down_status);
	answer(exchange);
}

static void on_request(void *aux, struct httpd_request *request)
{
	struct ufm_server *server = aux;
	struct ufm_exchange *exchange = exchange_new(server, request);
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
	take_note(exchange, &http, path, auth);
	notify(server);
	if (down) {
		answer_down(exchange);
	} else if (strlen(http.method) + strlen(path) + strlen("  HTTP/1.1") > REQUEST_LINE_MAX) {
		ufm_api_html(&exchange->reply, 414);
		answer(exchange);
	} else {
		begin(exchange);
	}
}

/* UFM works a request to its end all the same; only what hangs is over. */
static void on_gone(void *aux, struct httpd_request *request)
{
	struct ufm_exchange *exchange = httpd_aux(request);
	bool working = loop_timer_is_set(&exchange->timer);
	struct ufm_server *server = aux;

	exchange->request = NULL;
	write_closes(exchange);
	server->writes_hung -= exchange->hung;
	exchange->hung = false;
	ufm_log_end(server->log, exchange->seq, UFM_OUTCOME_GONE, 0, loop_now_ms());
	if (!working)
		exchange_free(exchange);
	notify(server);
}

void ufm_server_drop_all(struct ufm_server *server)
{
	for (struct ufm_exchange *exchange = server->exchanges, *next; exchange; exchange = next) {
		next = exchange->next;
		server->late -= exchange->late;
		exchange->late = false;
		if (exchange->request)
			reset(exchange);
		else
			exchange_free(exchange);
	}
}

int ufm_server_start(struct ufm_server *server, struct loop *loop, struct httpd_options *options, struct error *err)
{
	server->loop = loop;
	server->log = ufm_log_new();
	loop_timer_init(&server->settle, loop, on_settle);
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
		exchange_free(server->exchanges);
	if (server->loop)
		loop_timer_stop(&server->settle);
	ufm_faults_clear(&server->faults);
	ufm_log_free(server->log);
}
