#include "tests/mock/ufm_exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	LATE_MAX = 10000,
	CUT_MS = 30, /* time for the first half of a body to get on its way */
};

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

void ufm_exchange_free(struct ufm_exchange *exchange)
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

struct ufm_exchange *ufm_exchange_new(struct ufm_server *server, struct httpd_request *request)
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
		ufm_exchange_free(exchange);
	ufm_server_notify(server);
}

void ufm_exchange_reset(struct ufm_exchange *exchange)
{
	struct httpd_request *request = exchange->request;

	over(exchange, UFM_OUTCOME_RESET);
	if (request)
		httpd_abort(request);
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
void ufm_exchange_answer(struct ufm_exchange *exchange)
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
		step_later(exchange, CUT_MS, ufm_exchange_reset);
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
		ufm_server_changed(server);
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
		ufm_exchange_free(exchange);
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
	ufm_exchange_answer(exchange);
}

/* The time that the request takes is over: it takes effect, and then gets its answer. */
static void step_work(struct ufm_exchange *exchange)
{
	switch (action_of(exchange)) {
	case UFM_ACTION_FORGET:
		run(exchange, !ufm_operation_writes(exchange->call.operation));
		ufm_exchange_answer(exchange);
		break;
	case UFM_ACTION_APPLY_LATE:
		run(exchange, false);
		apply_later(exchange);
		ufm_exchange_answer(exchange);
		break;
	case UFM_ACTION_LATE_AFTER_TIMEOUT:
		apply_later(exchange);
		hang(exchange);
		break;
	case UFM_ACTION_RESET_AFTER_APPLY:
		run(exchange, true);
		ufm_exchange_reset(exchange);
		break;
	case UFM_ACTION_STATUS:
		run(exchange, true);
		answer_as_told(exchange);
		break;
	default:
		run(exchange, true);
		ufm_exchange_answer(exchange);
		break;
	}
}

static void work(struct ufm_exchange *exchange)
{
	const struct ufm_switches *switches = &exchange->server->api.switches;
	int64_t delay_ms = ufm_operation_writes(exchange->call.operation) ? switches->write_ms : switches->read_ms;

	if (!exchange->admitted) {
		ufm_api_unauthorized(&exchange->reply);
		ufm_exchange_answer(exchange);
	} else if (exchange->call.refused) {
		ufm_api_refuse(&exchange->server->api, &exchange->call, &exchange->reply);
		ufm_exchange_answer(exchange);
	} else {
		if (action_of(exchange) == UFM_ACTION_LATENCY)
			delay_ms += exchange->fault->delay_ms;
		step_later(exchange, delay_ms, step_work);
	}
}

/* Some faults come before UFM has seen the request; the others change what follows. */
void ufm_exchange_begin(struct ufm_exchange *exchange)
{
	const struct ufm_fault *fault = exchange->fault;

	if (action_of(exchange) == UFM_ACTION_HANG) {
		hang(exchange);
		return;
	}
	write_opens(exchange);
	switch (action_of(exchange)) {
	case UFM_ACTION_RESET_BEFORE:
		step_later(exchange, fault->delay_ms, ufm_exchange_reset);
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

/* UFM works a request to its end all the same; only what hangs is over. */
void ufm_exchange_gone(struct ufm_exchange *exchange)
{
	bool working = loop_timer_is_set(&exchange->timer);
	struct ufm_server *server = exchange->server;

	exchange->request = NULL;
	write_closes(exchange);
	server->writes_hung -= exchange->hung;
	exchange->hung = false;
	ufm_log_end(server->log, exchange->seq, UFM_OUTCOME_GONE, 0, loop_now_ms());
	if (!working)
		ufm_exchange_free(exchange);
	ufm_server_notify(server);
}
