/* The client over HTTP/2, against a server that speaks just enough of it: it reads frames, but not the headers in them,
 * so what it does depends on the number of a stream (1, 3, 5 ... in the order of the requests). */
#undef NDEBUG
#include <assert.h>
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

enum frame_type { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { NO_ERROR = 0, INTERNAL_ERROR = 2 };

static struct cert ca, server_cert;

/* ---- the server ---- */

static void put(struct raw_peer *peer, enum frame_type type, int flags, unsigned stream, const void *bytes, size_t n)
{
	unsigned char head[9] = {
		(unsigned char)(n >> 16),      (unsigned char)(n >> 8),      (unsigned char)n,
		(unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
		(unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream
	};

	raw_write(peer, head, sizeof head);
	if (n > 0)
		raw_write(peer, bytes, n);
}

static void put_number(struct raw_peer *peer, enum frame_type type, unsigned stream, unsigned first, unsigned second)
{
	unsigned char bytes[8] = { (unsigned char)(first >> 24),  (unsigned char)(first >> 16),
				   (unsigned char)(first >> 8),   (unsigned char)first,
				   (unsigned char)(second >> 24), (unsigned char)(second >> 16),
				   (unsigned char)(second >> 8),  (unsigned char)second };

	put(peer, type, 0, stream, bytes, type == GOAWAY ? 8 : 4);
}

static void put_head(struct raw_peer *peer, unsigned stream)
{
	put(peer, HEADERS, END_HEADERS, stream, "\x88", 1); /* ":status: 200" is number 8 of the static table */
}

static void put_hello(struct raw_peer *peer, unsigned stream)
{
	put_head(peer, stream);
	put(peer, DATA, END_STREAM, stream, "hello", 5);
}

enum { PIECE = 16 << 10, MEDIUM = 60 * PIECE };

static char medium_byte(size_t at)
{
	return (char)(at * 7 + (at >> 11));
}

static void put_medium_piece(struct raw_peer *peer, unsigned stream, size_t at)
{
	char bytes[PIECE];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = medium_byte(at + i);
	put(peer, DATA, at + sizeof bytes == MEDIUM ? END_STREAM : 0, stream, bytes, sizeof bytes);
}

/* Reads until the headers of a request have come, and returns its stream; 0 when the client has gone. */
static unsigned next_request(struct raw_peer *peer)
{
	for (;;) {
		unsigned char head[9];
		char payload[20000];

		if (!raw_read(peer, head, sizeof head))
			return 0;
		size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		assert(n <= sizeof payload);
		if (!raw_read(peer, payload, n))
			return 0;
		if (head[3] == SETTINGS && !(head[4] & ACK))
			put(peer, SETTINGS, ACK, 0, NULL, 0);
		if (head[3] == PING && !(head[4] & ACK))
			put(peer, PING, ACK, 0, payload, n);
		if (head[3] == RST_STREAM)
			atomic_fetch_add(&peer->seen->hangups, 1);
		if (head[3] == HEADERS) {
			atomic_fetch_add(&peer->seen->requests, 1);
			return (unsigned)head[5] << 24 | (unsigned)head[6] << 16 | (unsigned)head[7] << 8 | head[8];
		}
	}
}

static void greet(struct raw_peer *peer)
{
	char preface[24];

	if (!raw_read(peer, preface, sizeof preface) || memcmp(preface, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) != 0)
		_exit(0);
	put(peer, SETTINGS, 0, 0, NULL, 0);
}

static void serve_hello(struct raw_peer *peer)
{
	unsigned stream;

	greet(peer);
	while ((stream = next_request(peer)) > 0)
		put_hello(peer, stream);
}

/* Stream 1 is never answered, 3 and 5 are larger and go out piece by piece in turns, all others are small.  Over HTTP/1.1
 * all is big. */
static void serve_mixed(struct raw_peer *peer)
{
	unsigned stream;

	if (!peer->http2) {
		raw_serve_big(peer);
		return;
	}
	greet(peer);
	while ((stream = next_request(peer)) > 0) {
		if (stream == 5) {
			put_head(peer, 3);
			put_head(peer, 5);
			for (size_t at = 0; at < MEDIUM; at += PIECE) {
				put_medium_piece(peer, 3, at);
				put_medium_piece(peer, 5, at);
			}
		} else if (stream > 5) {
			put_hello(peer, stream);
		}
	}
}

/* ---- the tests ---- */

static int make_certs(void **state)
{
	(void)state;
	cert_make(&ca, &(struct cert_spec){ .common_name = "Test CA", .is_ca = true });
	cert_make(&server_cert, &(struct cert_spec){ .common_name = "x", .names = "IP:127.0.0.1", .issuer = &ca });
	return 0;
}

static void renew_http(void)
{
	struct error err = { 0 };

	exchange_renew_http(&(struct http_options){ .http2 = true });
	assert_int_equal(http_set_tls(exchange_http, &(struct http_tls){ .ca = ca.cert }, &err), 0);
}

static int setup(void **state)
{
	exchange_setup(state);
	renew_http();
	return 0;
}

static void serve_with(void (*serve)(struct raw_peer *peer))
{
	raw_server_start(&exchange_server,
			 &(struct raw_server_options){ .serve = serve, .tls = &server_cert, .http2 = true });
}

static void test_many_requests_share_one_connection(void **state)
{
	struct exchange x[96] = { 0 }; /* libcurl takes it that a connection will carry 100 until it is told */

	(void)state;
	serve_with(serve_hello);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_get(&x[i], exchange_server.url, "/");
	exchange_wait();
	for (size_t i = 0; i < array_length(x); i++) {
		exchange_assert_answered(&x[i], 200, "hello");
		exchange_free(&x[i]);
	}
	assert_int_equal(exchange_server.seen->connections, 1);
	assert_int_equal(exchange_server.seen->requests, array_length(x));
}

static void get_medium(struct exchange *x)
{
	exchange_send(x, &(struct http_request_options){ .url = exchange_server.url, .body_max = 1 << 20 });
}

static void assert_medium(const struct exchange *x)
{
	exchange_assert_answered(x, 200, NULL);
	assert_int_equal(x->body_len, MEDIUM);
	for (size_t i = 0; i < MEDIUM; i++)
		if (x->body[i] != medium_byte(i))
			fail_msg("byte %zu is wrong", i);
}

/* Again and again: what is guarded against depends on how the pieces fall together. */
static void test_larger_answers_come_side_by_side_and_let_others_pass(void **state)
{
	(void)state;
	serve_with(serve_mixed);
	for (int round = 0; round < 25; round++) {
		struct exchange silent = { 0 }, larger[2] = { 0 }, small[5] = { 0 };
		exchange_get(&silent, exchange_server.url, "/");
		get_medium(&larger[0]);
		get_medium(&larger[1]);
		for (size_t i = 0; i < (size_t)round % 5; i++)
			exchange_get(&small[i], exchange_server.url, "/");
		exchange_forget(&silent);
		exchange_wait();
		http_cancel(silent.request);
		for (size_t i = 0; i < (size_t)round % 5; i++) {
			exchange_assert_answered(&small[i], 200, "hello");
			exchange_free(&small[i]);
		}
		for (size_t i = 0; i < array_length(larger); i++) {
			assert_medium(&larger[i]);
			exchange_free(&larger[i]);
		}
		assert_int_equal(exchange_server.seen->connections, round + 1);
		http_drop_idle(exchange_http);
	}
}

static void test_a_streamed_answer_has_a_connection_of_its_own(void **state)
{
	struct exchange x[4] = { 0 };

	(void)state;
	serve_with(serve_mixed);
	exchange_get(&x[0], exchange_server.url, "/"); /* silent */
	exchange_stream(&x[1], exchange_server.url, "/");
	exchange_stream(&x[2], exchange_server.url, "/");
	exchange_forget(&x[0]);
	exchange_wait();
	for (size_t i = 1; i < 3; i++) {
		exchange_assert_answered(&x[i], 200, "");
		assert_int_equal(x[i].data_sum, raw_big_sum());
		exchange_free(&x[i]);
	}
	assert_int_equal(exchange_server.seen->connections, 3);
	http_cancel(x[0].request);
	exchange_stream(&x[3], exchange_server.url, "/"); /* which it then leaves to the next */
	exchange_wait();
	exchange_assert_answered(&x[3], 200, "");
	exchange_free(&x[3]);
	assert_int_equal(exchange_server.seen->connections, 3);
}

static void test_a_cancelled_request_leaves_the_connection_to_the_others(void **state)
{
	struct exchange silent = { 0 }, x[3] = { 0 };

	(void)state;
	serve_with(serve_mixed);
	exchange_get(&silent, exchange_server.url, "/");
	get_medium(&x[0]);
	get_medium(&x[1]);
	exchange_forget(&silent);
	exchange_wait();
	http_cancel(silent.request);
	exchange_get(&x[2], exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x[2], 200, "hello");
	assert_int_equal(silent.done, 0);
	assert_int_equal(exchange_server.seen->connections, 1);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_free(&x[i]);
}

static void cancel_self(struct exchange *x)
{
	http_cancel(x->request);
	exchange_forget(x);
}

static void test_a_request_may_be_cancelled_when_its_head_has_come(void **state)
{
	struct exchange silent = { 0 }, killed = { .on_head = cancel_self }, larger = { 0 }, small = { 0 };

	(void)state;
	serve_with(serve_mixed);
	exchange_get(&silent, exchange_server.url, "/");
	get_medium(&killed);
	get_medium(&larger);
	exchange_forget(&silent);
	exchange_wait();
	http_cancel(silent.request);
	assert_int_equal(killed.done, 0);
	assert_medium(&larger);
	exchange_get(&small, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&small, 200, "hello");
	assert_int_equal(exchange_server.seen->connections, 1);
	exchange_free(&larger);
	exchange_free(&small);
}

static int done_when_freed; /* of the three beside each other, of which this is the middle one */

static void free_client(struct exchange *x)
{
	done_when_freed = (int)(x[-1].done + x[0].done + x[1].done);
	http_free(exchange_http);
	exchange_http = NULL;
	loop_stop(exchange_loop);
}

static void test_the_client_may_be_freed_when_a_head_has_come(void **state)
{
	struct exchange x[3] = { [1] = { .on_head = free_client } };

	(void)state;
	serve_with(serve_mixed);
	for (size_t i = 0; i < array_length(x); i++)
		get_medium(&x[i]);
	loop_run(exchange_loop);
	exchange_turns(10);
	assert_int_equal(x[1].done, 0);
	assert_int_equal(x[0].done + x[1].done + x[2].done, done_when_freed);
}

static void test_a_request_at_its_deadline_leaves_the_connection_to_the_others(void **state)
{
	struct exchange silent = { 0 }, x[3] = { 0 };

	(void)state;
	serve_with(serve_mixed);
	exchange_send(&silent, &(struct http_request_options){ .url = exchange_server.url, .timeout_ms = 300 });
	get_medium(&x[0]);
	get_medium(&x[1]);
	exchange_wait();
	exchange_assert_failed(&silent, ERROR_RETRY, "within 300 ms");
	exchange_get(&x[2], exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x[2], 200, "hello");
	exchange_free(&silent);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_free(&x[i]);
}

static void test_an_answer_larger_than_allowed_ends_only_itself(void **state)
{
	(void)state;
	serve_with(serve_mixed);
	for (int round = 0; round < 10; round++) {
		struct exchange silent = { 0 }, limited = { 0 }, larger = { 0 }, small = { 0 };
		exchange_get(&silent, exchange_server.url, "/");
		exchange_get(&limited, exchange_server.url, "/"); /* 64 KiB are allowed */
		get_medium(&larger);
		exchange_forget(&silent);
		exchange_wait();
		http_cancel(silent.request);
		exchange_assert_failed(&limited, ERROR_LIMIT, "larger than");
		assert_medium(&larger);
		exchange_get(&small, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&small, 200, "hello");
		assert_int_equal(exchange_server.seen->connections, round + 1);
		exchange_free(&limited);
		exchange_free(&larger);
		exchange_free(&small);
		http_drop_idle(exchange_http);
	}
}

/* Stream 3 fails; on the second connection all is well. */
static void serve_stream_error(struct raw_peer *peer)
{
	unsigned stream;

	greet(peer);
	while ((stream = next_request(peer)) > 0) {
		if (stream == 3)
			put_number(peer, RST_STREAM, stream, INTERNAL_ERROR, 0);
		else
			put_hello(peer, stream);
	}
}

static void test_a_failed_stream_is_an_outage_of_that_request_alone(void **state)
{
	struct exchange x[4] = { 0 };

	(void)state;
	serve_with(serve_stream_error);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_get(&x[i], exchange_server.url, "/");
	exchange_wait();
	for (size_t i = 0; i < array_length(x); i++) {
		if (i == 1)
			exchange_assert_failed(&x[i], ERROR_RETRY, "127.0.0.1");
		else
			exchange_assert_answered(&x[i], 200, "hello");
		exchange_free(&x[i]);
	}
	assert_int_equal(exchange_server.seen->connections, 1);
}

/* The first connection is said to end after stream 1, which is answered all the same. */
static void serve_going_away(struct raw_peer *peer)
{
	unsigned stream;

	greet(peer);
	while ((stream = next_request(peer)) > 0) {
		if (peer->number == 1)
			put_number(peer, GOAWAY, 0, stream, NO_ERROR);
		put_hello(peer, stream);
	}
}

static void test_a_connection_that_goes_away_answers_and_is_used_no_more(void **state)
{
	(void)state;
	serve_with(serve_going_away);
	for (int i = 0; i < 3; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_answered(&x, 200, "hello");
		exchange_free(&x);
	}
	assert_int_equal(exchange_server.seen->connections, 2);
}

static void serve_reset(struct raw_peer *peer)
{
	greet(peer);
	for (int i = 0; i < 3; i++)
		next_request(peer);
	put_head(peer, 1);
	put(peer, DATA, 0, 1, "half", 4);
	raw_wait(peer);
	raw_reset(peer);
}

static void release(struct exchange *x)
{
	(void)x;
	raw_server_release(&exchange_server);
}

static void test_a_reset_connection_fails_all_requests_on_it(void **state)
{
	struct exchange x[3] = { [0] = { .on_head = release } };

	(void)state;
	serve_with(serve_reset);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_get(&x[i], exchange_server.url, "/");
	exchange_wait();
	for (size_t i = 0; i < array_length(x); i++) {
		exchange_assert_failed(&x[i], ERROR_RETRY, "127.0.0.1");
		assert_true(x[i].sent);
		exchange_free(&x[i]);
	}
}

static void serve_who(struct raw_peer *peer)
{
	while (raw_read_request(peer))
		raw_answer(peer, 200, "one");
}

static void test_a_server_without_http2_is_spoken_to_all_the_same(void **state)
{
	struct exchange x[20] = { 0 };

	(void)state;
	raw_server_start(&exchange_server, &(struct raw_server_options){ .serve = serve_who, .tls = &server_cert });
	for (size_t i = 0; i < array_length(x); i++)
		exchange_get(&x[i], exchange_server.url, "/");
	exchange_wait();
	for (size_t i = 0; i < array_length(x); i++) {
		exchange_assert_answered(&x[i], 200, "one");
		exchange_free(&x[i]);
	}
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_many_requests_share_one_connection),
		promise(test_larger_answers_come_side_by_side_and_let_others_pass),
		promise(test_a_streamed_answer_has_a_connection_of_its_own),
		promise(test_a_cancelled_request_leaves_the_connection_to_the_others),
		promise(test_a_request_may_be_cancelled_when_its_head_has_come),
		promise(test_the_client_may_be_freed_when_a_head_has_come),
		promise(test_a_request_at_its_deadline_leaves_the_connection_to_the_others),
		promise(test_an_answer_larger_than_allowed_ends_only_itself),
		promise(test_a_failed_stream_is_an_outage_of_that_request_alone),
		promise(test_a_connection_that_goes_away_answers_and_is_used_no_more),
		promise(test_a_reset_connection_fails_all_requests_on_it),
		promise(test_a_server_without_http2_is_spoken_to_all_the_same),
	};

	return cmocka_run_group_tests_name("http2", tests, make_certs, NULL);
}
