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

static struct raw_server server;

static void serve_with(void (*serve)(struct raw_peer *peer))
{
	raw_server_start(&server, &(struct raw_server_options){ .serve = serve });
}

static int setup(void **state)
{
	server.pid = 0;
	return exchange_setup(state);
}

static int teardown(void **state)
{
	exchange_teardown(state);
	if (server.pid)
		raw_server_stop(&server);
	return 0;
}

static void assert_failed(const struct exchange *x, enum error_kind kind, const char *words)
{
	assert_int_equal(x->done, 1);
	assert_true(x->failed);
	if (x->error.kind != kind || !strstr(x->error.text, words))
		fail_msg("got %s: %s", error_kind_name(x->error.kind), x->error.text);
}

static void assert_answered(const struct exchange *x, int status, const char *body)
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

/* ---- what is sent and what comes back ---- */

static void serve_hello(struct raw_peer *peer)
{
	while (raw_read_request(peer))
		raw_answer(peer, 200, "hello");
}

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
	serve_with(serve_rich);
	exchange_get(&x, server.url, "/a?b=c");
	exchange_wait();
	assert_answered(&x, 503, "abcdefg");
	assert_string_equal(x.content_type, "application/json");
	assert_string_equal(x.location, "/there");
	assert_int_equal(x.retry_after_ms, 7000);
	assert_non_null(strstr(server.seen->request, "GET /a?b=c HTTP/1.1\r\n"));
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
	serve_with(serve_retry_date);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	assert_answered(&x, 429, "");
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
	serve_with(serve_hello);
	url = mem_printf("%s/pods/../x", server.url);
	exchange_send(&x, &(struct http_request_options){
				  .method = "PATCH",
				  .url = url,
				  .headers = (const char *[]){ "Authorization: Bearer t0p",
							       "Content-Type: application/json-patch+json", NULL },
				  .body = "[1,2]",
				  .body_len = 5,
			  });
	exchange_wait();
	assert_answered(&x, 200, "hello");
	assert_non_null(strstr(server.seen->request, "PATCH /pods/../x HTTP/1.1\r\n"));
	assert_non_null(strstr(server.seen->request, "\r\nAuthorization: Bearer t0p\r\n"));
	assert_non_null(strstr(server.seen->request, "\r\nContent-Type: application/json-patch+json\r\n"));
	assert_non_null(strstr(server.seen->request, "\r\nUser-Agent: ufmsync-test\r\n"));
	assert_non_null(strstr(server.seen->request, "\r\nContent-Length: 5\r\n"));
	assert_non_null(strstr(server.seen->request, "\r\n\r\n[1,2]"));
	assert_null(strstr(server.seen->request, "Expect"));
	assert_null(strstr(server.seen->request, "Accept-Encoding"));
	assert_null(strstr(server.seen->request, "Upgrade"));
	exchange_free(&x);
	free(url);
}

static void test_a_large_body_goes_out_without_waiting_for_100_continue(void **state)
{
	struct exchange x = { 0 };
	char body[10000];

	(void)state;
	memset(body, 'b', sizeof body);
	serve_with(serve_hello);
	exchange_send(&x, &(struct http_request_options){
				  .method = "POST", .url = server.url, .body = body, .body_len = sizeof body });
	exchange_wait();
	assert_answered(&x, 200, "hello");
	assert_null(strstr(server.seen->request, "Expect"));
	assert_null(strstr(server.seen->request, "Content-Type"));
	assert_int_equal(strlen(strstr(server.seen->request, "\r\n\r\n")), 4 + sizeof body);
	exchange_free(&x);
}

static void test_a_post_without_body_has_length_0_and_a_get_or_delete_has_none(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "GET", "DELETE" };

	(void)state;
	serve_with(serve_hello);
	for (size_t i = 0; i < array_length(methods); i++) {
		struct exchange x = { 0 };
		exchange_send(&x, &(struct http_request_options){ .method = methods[i], .url = server.url });
		exchange_wait();
		assert_answered(&x, 200, "hello");
		assert_int_equal(strncmp(server.seen->request, methods[i], strlen(methods[i])), 0);
		assert_int_equal(strstr(server.seen->request, "Content-Length: 0\r\n") != NULL, i < 2);
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
	serve_with(serve_redirect);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	assert_answered(&x, 302, "");
	assert_string_equal(x.location, "/elsewhere");
	assert_int_equal(server.seen->requests, 1);
	exchange_free(&x);
}

static void test_proxies_of_the_environment_are_ignored(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_hello);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_answered(&x, 200, "hello");
	exchange_free(&x);
}

/* ---- connections ---- */

static void test_a_connection_is_used_again(void **state)
{
	(void)state;
	serve_with(serve_hello);
	for (int i = 0; i < 5; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, server.url, "/");
		exchange_wait();
		assert_answered(&x, 200, "hello");
		exchange_free(&x);
	}
	assert_int_equal(server.seen->connections, 1);
	assert_int_equal(server.seen->requests, 5);
}

static void test_idle_connections_are_dropped_when_asked(void **state)
{
	(void)state;
	serve_with(serve_hello);
	for (int i = 0; i < 3; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, server.url, "/");
		exchange_wait();
		assert_answered(&x, 200, "hello");
		exchange_free(&x);
		http_drop_idle(exchange_http);
	}
	assert_int_equal(server.seen->connections, 3);
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
	serve_with(serve_one_then_close);
	for (int i = 0; i < 2; i++) {
		struct exchange x = { 0 };
		exchange_get(&x, server.url, "/");
		exchange_wait();
		assert_answered(&x, 200, "once");
		exchange_free(&x);
	}
	assert_int_equal(server.seen->connections, 2);
	assert_int_equal(server.seen->requests, 3);
}

static void test_requests_beyond_the_limit_of_connections_wait_their_turn(void **state)
{
	struct exchange x[60] = { 0 };

	(void)state;
	exchange_renew_http(&(struct http_options){ .max_connections = 3 });
	serve_with(serve_hello);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_get(&x[i], server.url, "/");
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
			assert_answered(&x[i], 200, "hello");
		exchange_free(&x[i]);
	}
	assert_true(server.seen->connections <= 3 + 1); /* one cancelled while it was being made */
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
	raw_server_release(&server);
}

static void test_what_is_under_way_ends_well_when_idle_connections_are_dropped(void **state)
{
	struct exchange x = { 0 }, other = { 0 };
	static struct raw_server second;

	(void)state;
	serve_with(serve_slow_then_hello);
	raw_server_start(&second, &(struct raw_server_options){ .serve = serve_hello });
	exchange_get(&other, server.url, "/");
	http_drop_idle(exchange_http);
	x.on_done = release_and_check;
	x.other = &other;
	exchange_get(&x, second.url, "/");
	exchange_wait();
	assert_answered(&x, 200, "hello");
	assert_answered(&other, 200, "late");
	exchange_free(&x);
	exchange_free(&other);
	raw_server_stop(&second);
}

/* ---- bodies ---- */

enum { BIG = 8 << 20 };

static unsigned big_sum(void)
{
	unsigned sum = 0;

	for (size_t i = 0; i < BIG; i++)
		sum = sum * 31 + (unsigned char)(i * 7 + (i >> 11));
	return sum;
}

static void serve_big(struct raw_peer *peer)
{
	char head[100], *bytes = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		bytes[i] = (char)(i * 7 + (i >> 11));
	while (raw_read_request(peer)) {
		snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n",
			 strstr(peer->seen->request, "/error") ? "500 Oh" : "200 OK", BIG);
		raw_text(peer, head);
		raw_write(peer, bytes, BIG);
	}
}

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
	serve_with(serve_big);
	watched = &x;
	most_a_turn = bytes_before = 0;
	loop_on_turn(exchange_loop, measure_turn, NULL);
	exchange_stream(&x, server.url, "/");
	exchange_wait();
	assert_answered(&x, 200, "");
	assert_int_equal(x.data_bytes, BIG);
	assert_int_equal(x.data_sum, big_sum());
	assert_true(x.data_largest <= 16 << 10);
	assert_true(most_a_turn <= 2 * (64 + 16) << 10); /* a slice for the sockets, one for those that were paused */
}

static void test_an_answer_larger_than_allowed_is_ended(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_big);
	exchange_get(&x, server.url, "/"); /* collected: 64 KiB */
	exchange_wait();
	assert_failed(&x, ERROR_LIMIT, "larger than the 65536 bytes");
	assert_true(x.sent);
	assert_int_equal(x.status, 200);
	exchange_free(&x);
}

static void test_an_error_page_is_cut_at_64_KiB_and_still_an_answer(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_big);
	exchange_stream(&x, server.url, "/error"); /* not through `data`: it is not 2xx */
	exchange_wait();
	assert_answered(&x, 500, NULL);
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
	serve_with(serve_big);
	exchange_stream(&x, server.url, "/");
	exchange_wait();
	assert_failed(&x, ERROR_INVALID, "not what I wanted");
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
	serve_with(serve_endless_head);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	assert_failed(&x, ERROR_LIMIT, "headers are larger");
	exchange_free(&x);
}

/* ---- failures ---- */

static void test_a_refused_connection_was_certainly_not_sent(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_hello);
	raw_server_stop(&server);
	server.pid = 0;
	exchange_get(&x, server.url, "/secret-path");
	exchange_wait();
	assert_failed(&x, ERROR_RETRY, "Connection refused");
	assert_null(strstr(x.error.text, "secret"));
	assert_false(x.sent);
	assert_int_equal(x.status, 0);
	exchange_free(&x);
}

static void serve_reset(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_reset(peer);
}

static void test_a_reset_after_the_request_may_have_had_effect(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_reset);
	exchange_send(
		&x, &(struct http_request_options){ .method = "POST",
						    .url = server.url,
						    .headers = (const char *[]){ "Authorization: Basic s3cr3t", NULL },
						    .body = "p4ssw0rd",
						    .body_len = 8 });
	exchange_wait();
	assert_failed(&x, ERROR_RETRY, "127.0.0.1");
	assert_true(x.sent);
	assert_null(strstr(x.error.text, "s3cr3t"));
	assert_null(strstr(x.error.text, "p4ssw0rd"));
	exchange_free(&x);
}

static void serve_nothing(struct raw_peer *peer)
{
	raw_read_request(peer);
}

static void test_a_close_without_an_answer_is_an_outage(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_nothing);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	assert_failed(&x, ERROR_RETRY, "without an answer");
	assert_true(x.sent);
	exchange_free(&x);
}

static void serve_cut_length(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
}

static void serve_cut_chunks(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n");
}

static void serve_cut_head(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nContent-Ty");
}

static void test_a_cut_answer_is_an_outage_and_never_whole(void **state)
{
	static void (*const cuts[])(struct raw_peer *) = { serve_cut_length, serve_cut_chunks, serve_cut_head };

	(void)state;
	for (size_t i = 0; i < array_length(cuts); i++) {
		struct exchange x = { 0 };
		serve_with(cuts[i]);
		exchange_get(&x, server.url, "/");
		exchange_wait();
		assert_failed(&x, ERROR_RETRY, "");
		assert_true(x.sent);
		exchange_free(&x);
		raw_server_stop(&server);
	}
	server.pid = 0;
}

static void serve_ssh(struct raw_peer *peer)
{
	raw_text(peer, "SSH-2.0-OpenSSH_9.2p1\r\n");
	raw_hang(peer);
}

static void test_a_server_of_another_protocol_is_named_as_such(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_ssh);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	assert_failed(&x, ERROR_RETRY, "does not speak HTTP");
	exchange_free(&x);
}

static void serve_hang(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_hang(peer);
}

static void test_a_hanging_server_fails_at_the_deadline(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_hang);
	exchange_send(&x, &(struct http_request_options){ .url = server.url, .timeout_ms = 50 });
	exchange_wait();
	assert_failed(&x, ERROR_RETRY, "within 50 ms");
	exchange_free(&x);
}

static void serve_start_and_stall(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
	raw_hang(peer);
}

static void test_a_body_that_stalls_fails_at_the_idle_limit(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_start_and_stall);
	exchange_send(&x, &(struct http_request_options){ .url = server.url, .idle_timeout_ms = 50 });
	exchange_wait();
	assert_failed(&x, ERROR_RETRY, "nothing heard for 50 ms");
	exchange_free(&x);
}

static void serve_drip(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		raw_text(peer, "x");
		usleep(50000);
	}
}

static void test_a_slow_answer_that_goes_on_is_not_idle(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	serve_with(serve_drip);
	exchange_send(&x, &(struct http_request_options){ .url = server.url, .idle_timeout_ms = 600 });
	exchange_wait();
	assert_answered(&x, 200, "xxxxxxxxxxxxxxxxxxxx");
	exchange_free(&x);
}

static void test_a_request_that_cannot_be_made_is_told_later_and_without_its_secrets(void **state)
{
	static const struct {
		const char *method, *url, *header, *words;
	} bad[] = {
		{ "GET", "ftp://127.0.0.1/", "A: b", "not an http or https URL" },
		{ "GET", "file:///etc/passwd", "A: b", "not an http or https URL" },
		{ "GET", "not a url", "A: b", "not an http or https URL" },
		{ "GET", "http://127.0.0.1/a b", "A: b", "not an http or https URL" },
		{ "GET", "http://127.0.0.1/\r\nX-S3cr3t: 1", "A: b", "not an http or https URL" },
		{ "GET", "http://me:s3cr3t@127.0.0.1/", "A: b", "user or password" },
		{ "GET\r\nX", "http://127.0.0.1/", "A: b", "method" },
		{ "", "http://127.0.0.1/", "A: b", "method" },
		{ "GET", "http://127.0.0.1/", "X-Token: s3cr3t\r\nEvil: 1", "header number 1" },
		{ "GET", "http://127.0.0.1/", "X-Token s3cr3t", "header number 1" },
		{ "GET", "http://127.0.0.1/", "X Token: s3cr3t", "header number 1" },
		{ "GET", "http://127.0.0.1/", "X-Token:", "header number 1" },
		{ "GET", "http://127.0.0.1/", ": s3cr3t", "header number 1" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct exchange x = { 0 };
		exchange_send(&x, &(struct http_request_options){ .method = bad[i].method,
								  .url = bad[i].url,
								  .headers = (const char *[]){ bad[i].header, NULL } });
		assert_int_equal(x.done, 0);
		exchange_wait();
		assert_failed(&x, ERROR_INVALID, bad[i].words);
		assert_false(x.sent);
		assert_null(strcasestr(x.error.text, "s3cr3t"));
		exchange_free(&x);
	}
}

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
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
	raw_text(peer, head);
	raw_write(peer, bytes, sizeof bytes);
	if (strstr(peer->seen->request, "/hang"))
		raw_hang(peer);
	for (size_t i = 1; i < BIG / sizeof bytes; i++)
		raw_write(peer, bytes, sizeof bytes);
}

static void test_a_request_may_be_cancelled_before_it_starts(void **state)
{
	struct exchange x = { 0 }, bad = { 0 };

	(void)state;
	serve_with(serve_hello);
	exchange_get(&x, server.url, "/");
	exchange_get(&bad, "ftp://x", "/");
	http_cancel(x.request);
	exchange_forget(&x);
	http_cancel(bad.request);
	exchange_forget(&bad);
	exchange_get(&x, server.url, "/");
	exchange_wait();
	assert_answered(&x, 200, "hello");
	assert_int_equal(bad.done, 0);
	exchange_free(&x);
}

static void test_a_request_may_be_cancelled_inside_its_own_callbacks(void **state)
{
	struct exchange head = { .on_head = cancel_self }, data = { .on_data = cancel_self }, after = { 0 };

	(void)state;
	serve_with(serve_big);
	exchange_stream(&head, server.url, "/");
	exchange_stream(&data, server.url, "/");
	exchange_wait();
	assert_int_equal(head.done + data.done, 0);
	assert_int_equal(head.heads, 1);
	assert_int_equal(head.data_bytes, 0);
	assert_true(data.data_bytes <= 16 << 10);
	exchange_stream(&after, server.url, "/"); /* the client is as good as before */
	exchange_wait();
	assert_int_equal(after.data_sum, big_sum());
	exchange_free(&after);
}

static void test_a_request_may_be_cancelled_inside_the_callbacks_of_another(void **state)
{
	(void)state;
	serve_with(serve_big_or_hang);
	for (size_t i = 0; i < 6; i++) {
		struct exchange victim = { 0 }, killer = { .other = &victim };
		killer.on_head = i / 2 == 0 ? cancel_other : NULL;
		killer.on_data = i / 2 == 1 ? cancel_other : NULL;
		killer.on_done = i / 2 == 2 ? cancel_other : NULL;
		exchange_stream(&victim, server.url, i % 2 == 0 || i == 5 ? "/hang" : "/");
		exchange_stream(&killer, server.url, "/");
		exchange_wait();
		assert_answered(&killer, 200, "");
		assert_int_equal(killer.data_bytes, BIG);
		assert_int_equal(victim.done, 0);
		exchange_free(&killer);
	}
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
	serve_with(serve_big_or_hang);
	for (size_t i = 0; i < 4; i++) {
		struct exchange other = { 0 }, another = { 0 }, killer = { 0 };
		if (i > 0)
			exchange_renew_http(&(struct http_options){ 0 });
		killer.on_head = i == 0 ? free_client : NULL;
		killer.on_data = i == 1 ? free_client : NULL;
		killer.on_done = i >= 2 ? free_client : NULL;
		exchange_stream(&other, server.url, "/hang");
		if (i == 3)
			exchange_get(&killer, "ftp://x", "/"); /* ends without libcurl */
		else
			exchange_stream(&killer, server.url, "/");
		exchange_get(&another, "ftp://x", "/");
		loop_run(exchange_loop);
		loop_stop(exchange_loop); /* one more turn: something might be left that calls back */
		loop_run(exchange_loop);
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
	exchange_get(x->other, server.url, "/");
	x->other = NULL;
}

static void test_a_request_may_be_sent_inside_any_callback(void **state)
{
	(void)state;
	serve_with(serve_hello);
	for (size_t i = 0; i < 3; i++) {
		struct exchange second = { 0 }, first = { .other = &second };
		first.on_head = i == 0 ? send_another : NULL;
		first.on_data = i == 1 ? send_another : NULL;
		first.on_done = i == 2 ? send_another : NULL;
		exchange_stream(&first, server.url, "/");
		exchange_wait();
		assert_answered(&first, 200, "");
		assert_answered(&second, 200, "hello");
		exchange_free(&first);
		exchange_free(&second);
	}
}

static struct exchange chained;

static void replace_self(struct exchange *x)
{
	http_cancel(x->request);
	exchange_get(&chained, server.url, "/");
	exchange_forget(x);
}

static void test_a_request_may_be_cancelled_and_another_sent_in_the_same_callback(void **state)
{
	struct exchange x = { .on_data = replace_self };

	(void)state;
	chained = (struct exchange){ 0 };
	serve_with(serve_hello);
	exchange_stream(&x, server.url, "/");
	exchange_wait();
	assert_int_equal(x.done, 0);
	assert_answered(&chained, 200, "hello");
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
	serve_with(serve_hello);
	for (size_t i = 0; i < 3; i++) {
		struct exchange second = { 0 }, first = { .other = &second };
		first.on_head = i == 0 ? drop_and_send : NULL;
		first.on_data = i == 1 ? drop_and_send : NULL;
		first.on_done = i == 2 ? drop_and_send : NULL;
		exchange_stream(&first, server.url, "/");
		exchange_wait();
		assert_answered(&first, 200, "");
		assert_answered(&second, 200, "hello");
		exchange_free(&first);
		exchange_free(&second);
	}
}

static void test_a_client_freed_with_requests_under_way_calls_nobody(void **state)
{
	struct exchange x[8] = { 0 };

	(void)state;
	exchange_renew_http(&(struct http_options){ .max_connections = 2 });
	serve_with(serve_big_or_hang);
	for (size_t i = 0; i < array_length(x); i++)
		exchange_stream(&x[i], server.url, "/hang");
	x[0].on_head = free_client;
	loop_run(exchange_loop);
	for (size_t i = 0; i < array_length(x); i++)
		assert_int_equal(x[i].done, 0);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
		promise(test_an_answer_larger_than_allowed_is_ended),
		promise(test_an_error_page_is_cut_at_64_KiB_and_still_an_answer),
		promise(test_an_error_of_the_reader_ends_the_exchange_with_it),
		promise(test_headers_without_end_are_refused),
		promise(test_a_refused_connection_was_certainly_not_sent),
		promise(test_a_reset_after_the_request_may_have_had_effect),
		promise(test_a_close_without_an_answer_is_an_outage),
		promise(test_a_cut_answer_is_an_outage_and_never_whole),
		promise(test_a_server_of_another_protocol_is_named_as_such),
		promise(test_a_hanging_server_fails_at_the_deadline),
		promise(test_a_body_that_stalls_fails_at_the_idle_limit),
		promise(test_a_slow_answer_that_goes_on_is_not_idle),
		promise(test_a_request_that_cannot_be_made_is_told_later_and_without_its_secrets),
		promise(test_a_request_may_be_cancelled_before_it_starts),
		promise(test_a_request_may_be_cancelled_inside_its_own_callbacks),
		promise(test_a_request_may_be_cancelled_inside_the_callbacks_of_another),
		promise(test_the_client_may_be_freed_inside_any_callback_and_nobody_is_called_after),
		promise(test_a_request_may_be_sent_inside_any_callback),
		promise(test_a_request_may_be_cancelled_and_another_sent_in_the_same_callback),
		promise(test_connections_may_be_dropped_inside_any_callback),
		promise(test_a_client_freed_with_requests_under_way_calls_nobody),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
