#undef NDEBUG
#include "base/net/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/base/net/exchange.h"
#include "tests/unit/base/net/raw_server.h"

/* ---- giving up, at any moment ---- */

static void cancel_self(struct exchange *x)
{
	http_cancel(x->request);
	exchange_forget(x);
}

static void cancel_other(struct exchange *x)
{
	if (!x->other)
		return;
	http_cancel(x->other->request);
	exchange_forget(x->other);
	x->other = NULL;
}

static void serve_big_or_hang(struct raw_peer *peer)
{
	char head[100], bytes[4096] = "some bytes";

	if (!raw_read_request(peer))
		return;
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", RAW_BIG);
	raw_text(peer, head);
	raw_write(peer, bytes, sizeof bytes);
	if (strstr(peer->request, "/hang"))
		raw_hang(peer);
	for (size_t i = 1; i < RAW_BIG / sizeof bytes; i++)
		raw_write(peer, bytes, sizeof bytes);
}

static void test_a_request_may_be_cancelled_before_it_starts(void **state)
{
	struct exchange x = { 0 }, bad = { 0 };

	(void)state;
	exchange_serve(raw_serve_hello);
	exchange_get(&x, exchange_server.url, "/");
	exchange_get(&bad, "ftp://x", "/");
	http_cancel(x.request);
	exchange_forget(&x);
	http_cancel(bad.request);
	exchange_forget(&bad);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, "hello");
	assert_int_equal(bad.done, 0);
	exchange_free(&x);
}

static void test_a_request_may_be_cancelled_inside_its_own_callbacks(void **state)
{
	struct exchange head = { .on_head = cancel_self }, data = { .on_data = cancel_self }, after = { 0 };

	(void)state;
	exchange_serve(raw_serve_big);
	exchange_stream(&head, exchange_server.url, "/");
	exchange_stream(&data, exchange_server.url, "/");
	exchange_wait();
	assert_int_equal(head.done + data.done, 0);
	assert_int_equal(head.heads, 1);
	assert_int_equal(head.data_bytes, 0);
	assert_true(data.data_bytes <= 16 << 10);
	exchange_stream(&after, exchange_server.url, "/"); /* the client is as good as before */
	exchange_wait();
	assert_int_equal(after.data_sum, raw_big_sum());
	exchange_free(&after);
}

static void test_a_request_may_be_cancelled_inside_the_callbacks_of_another(void **state)
{
	(void)state;
	exchange_serve(serve_big_or_hang);
	for (size_t i = 0; i < 6; i++) {
		struct exchange victim = { 0 }, killer = { .other = &victim };
		killer.on_head = i / 2 == 0 ? cancel_other : NULL;
		killer.on_data = i / 2 == 1 ? cancel_other : NULL;
		killer.on_done = i / 2 == 2 ? cancel_other : NULL;
		exchange_stream(&victim, exchange_server.url, i % 2 == 0 || i == 5 ? "/hang" : "/");
		exchange_stream(&killer, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&killer, 200, "");
		assert_int_equal(killer.data_bytes, RAW_BIG);
		assert_int_equal(victim.done, 0);
		exchange_free(&killer);
	}
}

struct owner {
	int done, released;
};

static void owner_done(void *aux, const struct http_reply *reply)
{
	struct owner *owner = aux;

	assert_int_equal(reply->status, 200);
	assert_int_equal(owner->released, 0);
	owner->done++;
	loop_stop(exchange_loop);
}

static void owner_release(void *aux)
{
	struct owner *owner = aux;
	owner->released++;
}

static void test_whoever_owns_a_request_hears_once_that_it_is_over(void **state)
{
	struct owner answered = { 0 }, cancelled = { 0 }, freed = { 0 };
	struct http_request_options options = { .method = "GET", .done = owner_done, .release = owner_release };

	(void)state;
	exchange_serve(raw_serve_hello);
	options.url = exchange_server.url;
	options.aux = &cancelled;
	http_cancel(http_send(exchange_http, &options));
	assert_int_equal(cancelled.released, 1);
	options.aux = &answered;
	http_send(exchange_http, &options);
	loop_run(exchange_loop);
	assert_int_equal(answered.done, 1);
	assert_int_equal(answered.released, 1);
	options.aux = &freed;
	http_send(exchange_http, &options);
	http_free(exchange_http);
	exchange_http = NULL;
	assert_int_equal(freed.released, 1);
	assert_int_equal(cancelled.done + freed.done, 0);
}

static void free_client(struct exchange *x)
{
	(void)x;
	http_free(exchange_http);
	exchange_http = NULL;
	loop_stop(exchange_loop);
}

static void test_the_client_may_be_freed_inside_any_callback_and_nobody_is_called_after(void **state)
{
	(void)state;
	exchange_serve(serve_big_or_hang);
	for (size_t i = 0; i < 4; i++) {
		struct exchange other = { 0 }, another = { 0 }, killer = { 0 };
		if (i > 0)
			exchange_renew_http(&(struct http_options){ 0 });
		killer.on_head = i == 0 ? free_client : NULL;
		killer.on_data = i == 1 ? free_client : NULL;
		killer.on_done = i >= 2 ? free_client : NULL;
		exchange_stream(&other, exchange_server.url, "/hang");
		if (i == 3)
			exchange_get(&killer, "ftp://x", "/"); /* ends without libcurl */
		else
			exchange_stream(&killer, exchange_server.url, "/");
		exchange_get(&another, "ftp://x", "/");
		loop_run(exchange_loop);
		exchange_turns(10); /* something might be left that calls back */
		assert_int_equal(other.done, 0);
		assert_int_equal(killer.done, i >= 2);
		exchange_free(&killer);
		exchange_free(&another);
	}
}

static void send_another(struct exchange *x)
{
	if (!x->other)
		return;
	exchange_get(x->other, exchange_server.url, "/");
	x->other = NULL;
}

static void test_a_request_may_be_sent_inside_any_callback(void **state)
{
	(void)state;
	exchange_serve(raw_serve_hello);
	for (size_t i = 0; i < 3; i++) {
		struct exchange second = { 0 }, first = { .other = &second };
		first.on_head = i == 0 ? send_another : NULL;
		first.on_data = i == 1 ? send_another : NULL;
		first.on_done = i == 2 ? send_another : NULL;
		exchange_stream(&first, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&first, 200, "");
		exchange_assert_answered(&second, 200, "hello");
		exchange_free(&first);
		exchange_free(&second);
	}
}

static struct exchange chained;

static void replace_self(struct exchange *x)
{
	http_cancel(x->request);
	exchange_get(&chained, exchange_server.url, "/");
	exchange_forget(x);
}

static void test_a_request_may_be_cancelled_and_another_sent_in_the_same_callback(void **state)
{
	struct exchange x = { .on_data = replace_self };

	(void)state;
	chained = (struct exchange){ 0 };
	exchange_serve(raw_serve_hello);
	exchange_stream(&x, exchange_server.url, "/");
	exchange_wait();
	assert_int_equal(x.done, 0);
	exchange_assert_answered(&chained, 200, "hello");
	exchange_free(&chained);
}

static void drop_and_send(struct exchange *x)
{
	http_drop_idle(exchange_http);
	send_another(x);
}

static void test_connections_may_be_dropped_inside_any_callback(void **state)
{
	(void)state;
	exchange_serve(raw_serve_hello);
	for (size_t i = 0; i < 3; i++) {
		struct exchange second = { 0 }, first = { .other = &second };
		first.on_head = i == 0 ? drop_and_send : NULL;
		first.on_data = i == 1 ? drop_and_send : NULL;
		first.on_done = i == 2 ? drop_and_send : NULL;
		exchange_stream(&first, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&first, 200, "");
		exchange_assert_answered(&second, 200, "hello");
		exchange_free(&first);
		exchange_free(&second);
	}
}

static void test_a_client_freed_with_requests_under_way_calls_nobody(void **state)
{
	struct exchange x[8] = { 0 };

	(void)state;
	exchange_renew_http(&(struct http_options){ .max_connections = 2 });
	exchange_serve(serve_big_or_hang);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_stream(&x[i], exchange_server.url, "/hang");
	x[0].on_head = free_client;
	loop_run(exchange_loop);
	exchange_turns(10);
	for (size_t i = 0; i < array_length(x); i++)
		assert_int_equal(x[i].done, 0);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_request_may_be_cancelled_before_it_starts),
		promise(test_whoever_owns_a_request_hears_once_that_it_is_over),
		promise(test_a_request_may_be_cancelled_inside_its_own_callbacks),
		promise(test_a_request_may_be_cancelled_inside_the_callbacks_of_another),
		promise(test_the_client_may_be_freed_inside_any_callback_and_nobody_is_called_after),
		promise(test_a_request_may_be_sent_inside_any_callback),
		promise(test_a_request_may_be_cancelled_and_another_sent_in_the_same_callback),
		promise(test_connections_may_be_dropped_inside_any_callback),
		promise(test_a_client_freed_with_requests_under_way_calls_nobody),
	};

	return cmocka_run_group_tests_name("http cancel", tests, NULL, NULL);
}
