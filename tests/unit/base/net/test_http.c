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

/* ---- what is sent and what comes back ---- */

static void serve_rich(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 103 Early Hints\r\nLocation: /early\r\nRetry-After: 5\r\n\r\n"
		       "HTTP/1.1 503 Busy\r\ncontent-type:  application/json \r\nRetry-After: 7\r\n"
		       "Location: /there\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "3\r\nabc\r\n4\r\ndefg\r\n0\r\nContent-Type: trailer\r\n\r\n");
}

static void test_an_answer_comes_with_status_headers_and_body(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_rich);
	exchange_get(&x, exchange_server.url, "/a?b=c");
	exchange_wait();
	exchange_assert_answered(&x, 503, "abcdefg");
	assert_string_equal(x.content_type, "application/json");
	assert_string_equal(x.location, "/there");
	assert_int_equal(x.retry_after_ms, 7000);
	assert_non_null(strstr(exchange_server.seen->request, "GET /a?b=c HTTP/1.1\r\n"));
	exchange_free(&x);
}

static void serve_retry_date(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 429 No\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n");
}

static void test_a_retry_after_that_is_no_number_is_absent(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_retry_date);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 429, "");
	assert_int_equal(x.retry_after_ms, -1);
	assert_string_equal(x.content_type, "");
	assert_string_equal(x.location, "");
	exchange_free(&x);
}

static void test_a_request_is_sent_as_given_and_nothing_is_invented(void **state)
{
	struct exchange x = { 0 };
	char *url;

	(void)state;
	exchange_serve(raw_serve_hello);
	url = mem_printf("%s/pods/../x", exchange_server.url);
	exchange_send(&x, &(struct http_request_options){
				  .method = "PATCH",
				  .url = url,
				  .headers = (const char *[]){ "Authorization: Bearer t0p",
							       "Content-Type: application/json-patch+json", NULL },
				  .body = "[1,2]",
				  .body_len = 5,
			  });
	exchange_wait();
	exchange_assert_answered(&x, 200, "hello");
	assert_non_null(strstr(exchange_server.seen->request, "PATCH /pods/../x HTTP/1.1\r\n"));
	assert_non_null(strstr(exchange_server.seen->request, "\r\nAuthorization: Bearer t0p\r\n"));
	assert_non_null(strstr(exchange_server.seen->request, "\r\nContent-Type: application/json-patch+json\r\n"));
	assert_non_null(strstr(exchange_server.seen->request, "\r\nUser-Agent: ufmsync-test\r\n"));
	assert_non_null(strstr(exchange_server.seen->request, "\r\nContent-Length: 5\r\n"));
	assert_non_null(strstr(exchange_server.seen->request, "\r\n\r\n[1,2]"));
	assert_null(strstr(exchange_server.seen->request, "Expect"));
	assert_null(strstr(exchange_server.seen->request, "Accept-Encoding"));
	assert_null(strstr(exchange_server.seen->request, "Upgrade"));
	exchange_free(&x);
	free(url);
}

static void test_a_large_body_goes_out_without_waiting_for_100_continue(void **state)
{
	struct exchange x = { 0 };
	size_t n = 2 << 20;
	char *body = mem_alloc(n);

	(void)state;
	exchange_serve(raw_serve_hello);
	exchange_send(&x, &(struct http_request_options){
				  .method = "POST", .url = exchange_server.url, .body = body, .body_len = n });
	exchange_wait();
	exchange_assert_answered(&x, 200, "hello");
	assert_null(strstr(exchange_server.seen->request, "Expect"));
	assert_null(strstr(exchange_server.seen->request, "Content-Type"));
	assert_non_null(strstr(exchange_server.seen->request, "Content-Length: 2097152\r\n"));
	exchange_free(&x);
	free(body);
}

static void test_a_post_without_body_has_length_0_and_a_get_or_delete_has_none(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "GET", "DELETE" };

	(void)state;
	exchange_serve(raw_serve_hello);
	for (size_t i = 0; i < array_length(methods); i++) {
		struct exchange x = { 0 };
		exchange_send(&x, &(struct http_request_options){ .method = methods[i], .url = exchange_server.url });
		exchange_wait();
		exchange_assert_answered(&x, 200, "hello");
		assert_int_equal(strncmp(exchange_server.seen->request, methods[i], strlen(methods[i])), 0);
		assert_int_equal(strstr(exchange_server.seen->request, "Content-Length: 0\r\n") != NULL, i < 2);
		exchange_free(&x);
	}
}

static void serve_redirect(struct raw_peer *peer)
{
	while (raw_read_request(peer))
		raw_text(peer, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
}

static void test_a_redirect_is_an_answer_and_not_followed(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_redirect);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 302, "");
	assert_string_equal(x.location, "/elsewhere");
	assert_int_equal(exchange_server.seen->requests, 1);
	exchange_free(&x);
}

static void test_proxies_of_the_environment_are_ignored(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(raw_serve_hello);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	exchange_assert_answered(&x, 200, "hello");
	exchange_free(&x);
}

/* ---- connections ---- */

static void test_a_connection_is_used_again(void **state)
{
	(void)state;
	exchange_serve(raw_serve_hello);
	for (int i = 0; i < 5; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&x, 200, "hello");
		exchange_free(&x);
	}
	assert_int_equal(exchange_server.seen->connections, 1);
	assert_int_equal(exchange_server.seen->requests, 5);
}

static void test_idle_connections_are_dropped_when_asked(void **state)
{
	(void)state;
	exchange_serve(raw_serve_hello);
	for (int i = 0; i < 3; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&x, 200, "hello");
		exchange_free(&x);
		http_drop_idle(exchange_http);
	}
	assert_int_equal(exchange_server.seen->connections, 3);
}

static void serve_one_then_close(struct raw_peer *peer)
{
	if (raw_read_request(peer))
		raw_answer(peer, 200, "once");
	if (peer->number == 1) {
		raw_read_request(peer);
		raw_reset(peer);
	}
}

static void test_a_reset_of_a_reused_connection_before_any_answer_is_tried_again_unseen(void **state)
{
	(void)state;
	exchange_serve(serve_one_then_close);
	for (int i = 0; i < 2; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&x, 200, "once");
		exchange_free(&x);
	}
	assert_int_equal(exchange_server.seen->connections, 2);
	assert_int_equal(exchange_server.seen->requests, 3);
}

static void test_requests_beyond_the_limit_of_connections_wait_their_turn(void **state)
{
	struct exchange x[60] = { 0 };

	(void)state;
	exchange_renew_http(&(struct http_options){ .max_connections = 3 });
	exchange_serve(raw_serve_hello);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_get(&x[i], exchange_server.url, "/");
	/* Some of those that wait, and some on the wire, change their mind. */
	for (size_t i = 0; i < array_length(x); i += 7) {
		http_cancel(x[i].request);
		exchange_forget(&x[i]);
	}
	exchange_wait();
	for (size_t i = 0; i < array_length(x); i++) {
		if (i % 7 == 0)
			assert_int_equal(x[i].done, 0);
		else
			exchange_assert_answered(&x[i], 200, "hello");
		exchange_free(&x[i]);
	}
	assert_true(exchange_server.seen->connections <= 3 + 1); /* one cancelled while it was being made */
}

static void serve_slow_then_hello(struct raw_peer *peer)
{
	if (!raw_read_request(peer))
		return;
	raw_wait(peer);
	raw_answer(peer, 200, "late");
}

static void release_and_check(struct exchange *x)
{
	assert_int_equal(x->other->done, 0);
	raw_server_release(&exchange_server);
}

static void test_what_is_under_way_ends_well_when_idle_connections_are_dropped(void **state)
{
	struct exchange x = { 0 }, other = { 0 };
	static struct raw_server second;

	(void)state;
	exchange_serve(serve_slow_then_hello);
	raw_server_start(&second, &(struct raw_server_options){ .serve = raw_serve_hello });
	exchange_get(&other, exchange_server.url, "/");
	http_drop_idle(exchange_http);
	x.on_done = release_and_check;
	x.other = &other;
	exchange_get(&x, second.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, "hello");
	exchange_assert_answered(&other, 200, "late");
	exchange_free(&x);
	exchange_free(&other);
	raw_server_stop(&second);
}

/* ---- bodies ---- */

static size_t most_a_turn, bytes_before;
static struct exchange *watched;

static void measure_turn(void *aux)
{
	size_t now = watched->data_bytes;

	(void)aux;
	if (now - bytes_before > most_a_turn)
		most_a_turn = now - bytes_before;
	bytes_before = now;
}

static void test_a_big_answer_streams_in_small_pieces_and_slices(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(raw_serve_big);
	watched = &x;
	most_a_turn = bytes_before = 0;
	loop_on_turn(exchange_loop, measure_turn, NULL);
	exchange_stream(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, "");
	assert_int_equal(x.data_bytes, RAW_BIG);
	assert_int_equal(x.data_sum, raw_big_sum());
	assert_true(x.data_largest <= 16 << 10);
	exchange_free(&x);
	assert_true(most_a_turn <= 2 * (64 + 16) << 10); /* a slice for the sockets, one for those that were paused */
}

/* In chunks of all sizes, none of which fits the client's pieces. */
static void serve_big_chunked(struct raw_peer *peer)
{
	static char bytes[RAW_BIG];
	char size[20];

	raw_read_request(peer);
	for (size_t i = 0; i < RAW_BIG; i++)
		bytes[i] = (char)(i * 7 + (i >> 11));
	raw_text(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0, n = 1; at < RAW_BIG; at += n, n = n * 3 % 200003) {
		if (n > RAW_BIG - at)
			n = RAW_BIG - at;
		snprintf(size, sizeof size, "%zx\r\n", n);
		raw_text(peer, size);
		raw_write(peer, bytes + at, n);
		raw_text(peer, "\r\n");
	}
	raw_text(peer, "0\r\n\r\n");
}

static void test_a_big_answer_in_chunks_streams_whole(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_big_chunked);
	exchange_stream(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, "");
	assert_int_equal(x.data_bytes, RAW_BIG);
	assert_int_equal(x.data_sum, raw_big_sum());
	exchange_free(&x);
}

static void test_an_answer_larger_than_allowed_is_ended(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(raw_serve_big);
	exchange_get(&x, exchange_server.url, "/"); /* collected: 64 KiB */
	exchange_wait();
	exchange_assert_failed(&x, ERROR_LIMIT, "larger than the 65536 bytes");
	assert_true(x.sent);
	assert_int_equal(x.status, 200);
	exchange_free(&x);
}

static void test_an_error_page_is_cut_at_64_KiB_and_still_an_answer(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(raw_serve_big);
	exchange_stream(&x, exchange_server.url, "/error"); /* not through `data`: it is not 2xx */
	exchange_wait();
	exchange_assert_answered(&x, 500, NULL);
	assert_int_equal(x.body_len, 64 << 10);
	assert_int_equal(x.data_bytes, 0);
	exchange_free(&x);
}

static void refuse_data(struct exchange *x)
{
	if (x->data_bytes > 100000)
		error_set(&x->error, ERROR_INVALID, "not what I wanted");
}

static void test_an_error_of_the_reader_ends_the_exchange_with_it(void **state)
{
	struct exchange x = { .on_data = refuse_data };

	(void)state;
	exchange_serve(raw_serve_big);
	exchange_stream(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_INVALID, "not what I wanted");
	assert_true(x.sent);
	assert_true(x.data_bytes <= 100000 + (16 << 10));
	exchange_free(&x);
}

static void serve_endless_head(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\n");
	for (;;)
		raw_text(peer, "X-Filler: ffffffffffffffffffffffffffffffffffffffffffffffffffffff\r\n");
}

static void test_headers_without_end_are_refused(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_endless_head);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_LIMIT, "headers are larger");
	exchange_free(&x);
}

static void serve_endless_header(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nX-Filler: ");
	for (;;)
		raw_text(peer, "ffffffffffffffffffffffffffffffffffffffffffffffffffffff");
}

static void test_a_header_without_end_is_refused(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_endless_header);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_LIMIT, "too long");
	exchange_free(&x);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_an_answer_comes_with_status_headers_and_body),
		promise(test_a_retry_after_that_is_no_number_is_absent),
		promise(test_a_request_is_sent_as_given_and_nothing_is_invented),
		promise(test_a_large_body_goes_out_without_waiting_for_100_continue),
		promise(test_a_post_without_body_has_length_0_and_a_get_or_delete_has_none),
		promise(test_a_redirect_is_an_answer_and_not_followed),
		promise(test_proxies_of_the_environment_are_ignored),
		promise(test_a_connection_is_used_again),
		promise(test_idle_connections_are_dropped_when_asked),
		promise(test_a_reset_of_a_reused_connection_before_any_answer_is_tried_again_unseen),
		promise(test_requests_beyond_the_limit_of_connections_wait_their_turn),
		promise(test_what_is_under_way_ends_well_when_idle_connections_are_dropped),
		promise(test_a_big_answer_streams_in_small_pieces_and_slices),
		promise(test_a_big_answer_in_chunks_streams_whole),
		promise(test_an_answer_larger_than_allowed_is_ended),
		promise(test_an_error_page_is_cut_at_64_KiB_and_still_an_answer),
		promise(test_an_error_of_the_reader_ends_the_exchange_with_it),
		promise(test_headers_without_end_are_refused),
		promise(test_a_header_without_end_is_refused),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
