#undef NDEBUG
#include "base/net/http.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/base/net/exchange.h"
#include "tests/unit/base/net/raw_server.h"

/* ---- failures ---- */

static void test_a_refused_connection_was_certainly_not_sent(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(raw_serve_hello);
	raw_server_stop(&exchange_server);
	exchange_server.pid = 0;
	exchange_get(&x, exchange_server.url, "/secret-path");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "Connection refused");
	assert_int_equal(x.outcome, CALL_UNAVAILABLE);
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
	exchange_serve(serve_reset);
	exchange_send(
		&x, &(struct http_request_options){ .method = "POST",
						    .url = exchange_server.url,
						    .headers = (const char *[]){ "Authorization: Basic s3cr3t", NULL },
						    .body = "p4ssw0rd",
						    .body_len = 8 });
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "127.0.0.1");
	assert_true(x.sent);
	assert_null(strstr(x.error.text, "s3cr3t"));
	assert_null(strstr(x.error.text, "p4ssw0rd"));
	exchange_free(&x);
}

/* Takes the second request, makes the server unreachable, and only then resets: the client tries again and is refused. */
static void serve_last_request(struct raw_peer *peer)
{
	struct sockaddr_in address;
	socklen_t len = sizeof address;
	int probe;

	raw_read_request(peer);
	raw_answer(peer, 200, "first");
	if (!raw_read_request(peer))
		return;
	getsockname(peer->fd, (struct sockaddr *)&address, &len);
	kill(getppid(), SIGKILL);
	do {
		probe = socket(AF_INET, SOCK_STREAM, 0);
		len = connect(probe, (struct sockaddr *)&address, sizeof address) == 0;
		close(probe);
	} while (len);
	raw_reset(peer);
}

static void test_a_request_that_was_sent_and_could_not_be_sent_again_may_have_had_effect(void **state)
{
	struct exchange x = { 0 }, y = { 0 };

	(void)state;
	exchange_serve(serve_last_request);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, "first");
	exchange_get(&y, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_failed(&y, ERROR_RETRY, "127.0.0.1");
	assert_true(y.sent);
	exchange_free(&x);
	exchange_free(&y);
}

static void serve_nothing(struct raw_peer *peer)
{
	raw_read_request(peer);
}

static void test_a_close_without_an_answer_is_an_outage(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(serve_nothing);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "without an answer");
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
		exchange_serve(cuts[i]);
		exchange_get(&x, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_failed(&x, ERROR_RETRY, "");
		assert_true(x.sent);
		exchange_free(&x);
		raw_server_stop(&exchange_server);
	}
	exchange_server.pid = 0;
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
	exchange_serve(serve_ssh);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "does not speak HTTP");
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
	exchange_serve(serve_hang);
	exchange_send(&x, &(struct http_request_options){ .url = exchange_server.url, .timeout_ms = 50 });
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "within 50 ms");
	assert_int_equal(x.outcome, CALL_TIMEOUT);
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
	exchange_serve(serve_start_and_stall);
	exchange_send(&x, &(struct http_request_options){ .url = exchange_server.url, .idle_timeout_ms = 50 });
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "nothing heard for 50 ms");
	assert_int_equal(x.outcome, CALL_TIMEOUT);
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
	exchange_serve(serve_drip);
	exchange_send(&x, &(struct http_request_options){ .url = exchange_server.url, .idle_timeout_ms = 600 });
	exchange_wait();
	exchange_assert_answered(&x, 200, "xxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(x.outcome, CALL_OK);
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
		exchange_assert_failed(&x, ERROR_INVALID, bad[i].words);
		assert_false(x.sent);
		assert_null(strcasestr(x.error.text, "s3cr3t"));
		exchange_free(&x);
	}
}

#define promise(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_refused_connection_was_certainly_not_sent),
		promise(test_a_reset_after_the_request_may_have_had_effect),
		promise(test_a_request_that_was_sent_and_could_not_be_sent_again_may_have_had_effect),
		promise(test_a_close_without_an_answer_is_an_outage),
		promise(test_a_cut_answer_is_an_outage_and_never_whole),
		promise(test_a_server_of_another_protocol_is_named_as_such),
		promise(test_a_hanging_server_fails_at_the_deadline),
		promise(test_a_body_that_stalls_fails_at_the_idle_limit),
		promise(test_a_slow_answer_that_goes_on_is_not_idle),
		promise(test_a_request_that_cannot_be_made_is_told_later_and_without_its_secrets),
	};

	return cmocka_run_group_tests_name("http failure", tests, NULL, NULL);
}
