#undef NDEBUG
#include "tests/unit/base/net/exchange.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

struct loop *exchange_loop;
struct http *exchange_http;
struct raw_server exchange_server;
static int pending;
static bool sending; /* inside http_send() */

int exchange_setup(void **state)
{
	struct error err;
	const struct http_options options = { .user_agent = "ufmsync-test" };

	(void)state;
	pending = 0;
	exchange_server.pid = 0;
	return loop_new(&exchange_loop, &err) < 0 || http_new(&exchange_http, exchange_loop, &options, &err) < 0;
}

int exchange_teardown(void **state)
{
	(void)state;
	http_free(exchange_http);
	loop_free(exchange_loop);
	exchange_http = NULL;
	exchange_loop = NULL;
	if (exchange_server.pid)
		raw_server_stop(&exchange_server);
	return 0;
}

void exchange_serve(void (*serve)(struct raw_peer *peer))
{
	raw_server_start(&exchange_server, &(struct raw_server_options){ .serve = serve });
}

void exchange_renew_http(const struct http_options *options)
{
	struct error err;

	http_free(exchange_http);
	assert(http_new(&exchange_http, exchange_loop, options, &err) == 0);
}

static void on_head(void *aux, int status)
{
	struct exchange *exchange = aux;

	assert(!sending && exchange->data_bytes == 0 && !exchange->done);
	exchange->heads++;
	exchange->head_status = status;
	if (exchange->on_head)
		exchange->on_head(exchange);
}

static int on_data(void *aux, const char *bytes, size_t n, struct error *err)
{
	struct exchange *exchange = aux;

	assert(!sending && n > 0 && exchange->heads == 1 && !exchange->done);
	exchange->data_bytes += n;
	if (n > exchange->data_largest)
		exchange->data_largest = n;
	for (size_t i = 0; i < n; i++)
		exchange->data_sum = exchange->data_sum * 31 + (unsigned char)bytes[i];
	if (!exchange->on_data)
		return 0;
	exchange->on_data(exchange);
	if (exchange->error.kind == ERROR_NONE)
		return 0;
	*err = exchange->error;
	return -1;
}

static void on_done(void *aux, const struct http_reply *reply)
{
	struct exchange *exchange = aux;

	assert(!sending && !exchange->done && reply->body[reply->body_len] == '\0');
	exchange->done++;
	exchange->status = reply->status;
	exchange->sent = reply->sent;
	exchange->failed = reply->error;
	exchange->outcome = http_outcome(reply);
	if (reply->error)
		exchange->error = *reply->error;
	exchange->retry_after_ms = reply->retry_after_ms;
	snprintf(exchange->content_type, sizeof exchange->content_type, "%s", reply->content_type);
	snprintf(exchange->location, sizeof exchange->location, "%s", reply->location);
	exchange->body = mem_dup_n(reply->body, reply->body_len);
	exchange->body_len = reply->body_len;
	if (exchange->on_done)
		exchange->on_done(exchange);
	exchange_forget(exchange);
}

void exchange_forget(struct exchange *exchange)
{
	(void)exchange;
	if (--pending == 0)
		loop_stop(exchange_loop);
}

void exchange_send(struct exchange *exchange, const struct http_request_options *options)
{
	struct http_request_options all = *options;

	if (!all.method)
		all.method = "GET";
	if (all.body_max == 0 && !all.data)
		all.body_max = 64 << 10;
	if (all.timeout_ms == 0)
		all.timeout_ms = 60000;
	all.head = on_head;
	all.done = on_done;
	all.aux = exchange;
	pending++;
	sending = true;
	exchange->request = http_send(exchange_http, &all);
	sending = false;
}

void exchange_get(struct exchange *exchange, const char *base, const char *path)
{
	char *url = mem_printf("%s%s", base, path);

	exchange_send(exchange, &(struct http_request_options){ .url = url });
	free(url);
}

void exchange_stream(struct exchange *exchange, const char *base, const char *path)
{
	char *url = mem_printf("%s%s", base, path);

	exchange_send(exchange, &(struct http_request_options){ .url = url, .data = on_data });
	free(url);
}

void exchange_wait(void)
{
	while (pending > 0) /* a stop may have been asked for before */
		loop_run(exchange_loop);
}

void exchange_free(struct exchange *exchange)
{
	free(exchange->body);
	exchange->body = NULL;
}

static void on_turn(void *aux)
{
	int *left = aux;

	if (--*left > 0)
		loop_wake(exchange_loop);
	else
		loop_stop(exchange_loop);
}

void exchange_turns(int n)
{
	loop_on_turn(exchange_loop, on_turn, &n);
	loop_run(exchange_loop);
	loop_on_turn(exchange_loop, NULL, NULL);
}

void exchange_assert_failed(const struct exchange *x, enum error_kind kind, const char *words)
{
	assert_int_equal(x->done, 1);
	assert_true(x->failed);
	if (x->error.kind != kind || !strstr(x->error.text, words))
		fail_msg("got %s: %s", error_kind_name(x->error.kind), x->error.text);
}

void exchange_assert_answered(const struct exchange *x, int status, const char *body)
{
	assert_int_equal(x->done, 1);
	if (x->failed)
		fail_msg("%s: %s", error_kind_name(x->error.kind), x->error.text);
	assert_true(x->sent);
	assert_int_equal(x->status, status);
	assert_int_equal(x->heads, 1);
	assert_int_equal(x->head_status, status);
	if (body)
		assert_string_equal(x->body, body);
}
