#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cni/plugin/attach.h"
#include "cni/plugin/exchange.h"
#include "cni/plugin/http_answer.h"
#include "cni/plugin/monotonic.h"

/* Asking until there is an answer, by the rules of attach.h.  Asking again is always safe: attach is idempotent. */

enum {
	CONNECT_MS = 3000,    /* one connection: a Service address picks another replica with the next one */
	PAUSE_MS = 250,       /* between tries */
	PAUSE_MOST_MS = 2000, /* ... of one that answers, but not what is wanted */
};

struct call {
	const struct node_file *node;
	struct exchange *exchange;
	char *request; /* holds the token */
	size_t len;
	int64_t deadline_ms;
	int64_t unreachable_ms; /* since when; -1: it was reached */
	int64_t pause_ms;
};

/* --- the request --- */

static const char request_format[] = "%s /v1/attach HTTP/1.1\r\n"
				     "Host: %s%s%s\r\n"
				     "User-Agent: ufmsync-cni/" UFMSYNC_VERSION "\r\n"
				     "Authorization: Bearer %s\r\n"
				     "Accept: application/json\r\n"
				     "Connection: close\r\n"
				     "%s\r\n%s";

/* Measured first, so that no copy of the token is left behind by a buffer that grows. */
static void make_request(struct call *call, const char *method, const char *body)
{
	const struct node_file *node = call->node;
	const char *open = strchr(node->server_name, ':') ? "[" : "", *close = *open ? "]" : "";
	__attribute__((cleanup(mem_freep))) char *about =
		body ? mem_printf("Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body))
		     : mem_dup("");

	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1)
			call->request = mem_alloc(call->len + 1);
		int n = snprintf(call->request, pass == 1 ? call->len + 1 : 0, request_format, method, open,
				 node->server_name, close, node->token, about, body ? body : "");
		call->len = n < 0 ? 0 : (size_t)n;
	}
}

static int begin(struct call *call, const struct node_file *node, int64_t timeout_ms, const char *method,
		 const char *body, struct cni_error *err)
{
	*call = (struct call){ .node = node, .unreachable_ms = -1, .pause_ms = PAUSE_MS };
	call->deadline_ms = monotonic_ms() + timeout_ms;
	if (exchange_new(&call->exchange, node, err) < 0)
		return -1;
	make_request(call, method, body);
	return 0;
}

static void end(struct call *call)
{
	exchange_free(call->exchange);
	if (call->request)
		OPENSSL_cleanse(call->request, call->len);
	free(call->request);
}

/* --- trying again --- */

/* False: the time would be over. */
static bool pause_for(const struct call *call, int64_t ms)
{
	if (monotonic_ms() + ms >= call->deadline_ms)
		return false;
	monotonic_sleep(ms);
	return true;
}

/* Up to a quarter more, another one for each process: those who were turned away together shall not come back
 * together. */
static int64_t spread(int64_t ms)
{
	return ms + (int64_t)getpid() * 7919 % (ms / 4 + 1);
}

/* After an answer that another try may better: in growing steps. */
static bool pause_longer(struct call *call)
{
	int64_t ms = call->pause_ms;

	call->pause_ms = ms * 2 < PAUSE_MOST_MS ? ms * 2 : PAUSE_MOST_MS;
	return pause_for(call, spread(ms));
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* One exchange, within what is left of both times. */
static enum exchange_end exchange(struct call *call, struct http_answer *answer, struct cni_error *err)
{
	int64_t now_ms = monotonic_ms();

	if (call->unreachable_ms < 0)
		call->unreachable_ms = now_ms;
	int64_t reached_by_ms = call->unreachable_ms + call->node->connect_timeout_ms;
	http_answer_init(answer);
	enum exchange_end how = exchange_run(call->exchange, call->request, call->len,
					     least(least(now_ms + CONNECT_MS, reached_by_ms), call->deadline_ms),
					     call->deadline_ms, answer, err);
	if (how != EXCHANGE_UNREACHABLE)
		call->unreachable_ms = -1;
	if (how != EXCHANGE_ANSWERED)
		http_answer_free(answer);
	return how;
}

static bool try_again(struct call *call, enum exchange_end how)
{
	if (how == EXCHANGE_BROKEN)
		return pause_longer(call);
	if (how != EXCHANGE_UNREACHABLE)
		return false;
	if (monotonic_ms() + PAUSE_MS >= call->unreachable_ms + call->node->connect_timeout_ms)
		return false;
	return pause_for(call, PAUSE_MS);
}

/* 0 with an answer of any status. */
static int exchange_until(struct call *call, struct http_answer *answer, struct cni_error *err)
{
	enum exchange_end how;

	while ((how = exchange(call, answer, err)) != EXCHANGE_ANSWERED)
		if (!try_again(call, how))
			return -1;
	return 0;
}

/* The service is full and says when it may be better: false when that is too late for us, or not said. */
static bool pause_as_told(const struct call *call, const struct http_answer *answer)
{
	if ((answer->status != 429 && answer->status != 503) || answer->retry_after_ms < 0)
		return false;
	return pause_for(call, spread(answer->retry_after_ms > PAUSE_MS ? answer->retry_after_ms : PAUSE_MS));
}

/* --- the two questions --- */

static int ask(struct call *call, struct attach_answer *ret, struct cni_error *err)
{
	struct http_answer answer;
	bool again;
	int status;

	do {
		bool elsewhere = false;
		if (exchange_until(call, &answer, err) < 0)
			return -1;
		if (answer.status == 200)
			status = attach_answer_parse(ret, &elsewhere, answer.body.data, answer.body.len, err);
		else
			status = attach_status_error(err, call->node, answer.status, answer.body.data, answer.body.len);
		again = status < 0 && (elsewhere ? pause_longer(call) : pause_as_told(call, &answer));
		http_answer_free(&answer);
	} while (again);
	return status;
}

int attach_ask(const struct node_file *node, const struct attach_question *question, struct attach_answer *answer,
	       struct cni_error *err)
{
	__attribute__((cleanup(mem_freep))) char *body = attach_body(question);
	struct call call;
	int status = begin(&call, node, node->timeout_ms, "POST", body, err);

	if (status == 0)
		status = ask(&call, answer, err);
	end(&call);
	return status;
}

int attach_probe(const struct node_file *node, struct cni_error *err)
{
	struct http_answer answer;
	struct call call;
	int status = begin(&call, node, node->connect_timeout_ms, "GET", NULL, err);

	if (status == 0)
		status = exchange_until(&call, &answer, err);
	if (status == 0) {
		if (answer.status == 200)
			status = attach_probe_parse(answer.body.data, answer.body.len, err);
		else
			status = attach_status_error(err, node, answer.status, answer.body.data, answer.body.len);
		http_answer_free(&answer);
	}
	end(&call);
	if (status < 0)
		err->code = CNI_STATUS_UNAVAILABLE;
	return status;
}
