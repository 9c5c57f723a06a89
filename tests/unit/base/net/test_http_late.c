#undef NDEBUG
#include "base/net/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/net/exchange.h"

/* A request that must not be sent, or land, later than a certain time. */

static void send_by(struct exchange *exchange, int64_t send_by_ms)
{
	exchange_send(exchange, &(struct http_request_options){ .method = "POST",
								.url = exchange_server.url,
								.body = "x",
								.body_len = 1,
								.send_by_ms = send_by_ms });
}

static void sleep_until(int64_t ms)
{
	while (loop_now_ms() < ms)
		usleep(1000);
}

static void test_a_process_that_was_stopped_sends_nothing_late(void **state)
{
	struct exchange x = { 0 };
	int64_t by = loop_now_ms() + 30;

	(void)state;
	exchange_serve(raw_serve_hello);
	send_by(&x, by);
	sleep_until(by);
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "too late to send");
	assert_false(x.sent);
	assert_int_equal(exchange_server.seen->requests, 0);
	exchange_free(&x);
}

static void test_in_time_it_is_sent(void **state)
{
	struct exchange x = { 0 };

	(void)state;
	exchange_serve(raw_serve_hello);
	send_by(&x, loop_now_ms() + 60000);
	exchange_wait();
	exchange_assert_answered(&x, 200, "hello");
	exchange_free(&x);
}

static void serve_second_when_told(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_answer(peer, 200, "first");
	raw_read_request(peer);
	raw_wait(peer);
	raw_reset(peer);
}

/* As in test_http.c's tests of reused connections, but with a time that passes before the server closes. */
static void test_a_second_unseen_try_is_not_made_late(void **state)
{
	struct exchange x = { 0 }, y = { 0 };

	(void)state;
	exchange_serve(serve_second_when_told);
	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	int64_t by = loop_now_ms() + 2000;
	send_by(&y, by);
	while (exchange_server.seen->requests < 2 && loop_now_ms() < by)
		exchange_turns(1);
	assert_int_equal(exchange_server.seen->requests, 2);
	sleep_until(by);
	raw_server_release(&exchange_server);
	exchange_wait();
	exchange_assert_failed(&y, ERROR_RETRY, "too late to send");
	assert_true(y.sent);
	assert_int_equal(exchange_server.seen->requests, 2);
	exchange_free(&x);
	exchange_free(&y);
}

/* Reads nothing before it is told to, and then tells how it ended. */
static void serve_reading_late(struct raw_peer *peer)
{
	char bytes[65536];
	ssize_t n;

	raw_wait(peer);
	do
		n = read(peer->fd, bytes, sizeof bytes);
	while (n > 0);
	snprintf(peer->seen->request, sizeof peer->seen->request, "%s", n < 0 && errno == ECONNRESET ? "reset" : "end");
	atomic_fetch_add(&peer->seen->hangups, 1);
}

static void send_too_much(const char *want, int64_t send_by_ms)
{
	static char body[8 << 20];
	struct exchange x = { 0 };

	exchange_serve(serve_reading_late);
	exchange_send(&x, &(struct http_request_options){ .method = "POST",
							  .url = exchange_server.url,
							  .body = body,
							  .body_len = sizeof body,
							  .timeout_ms = 200,
							  .send_by_ms = send_by_ms });
	exchange_wait();
	exchange_assert_failed(&x, ERROR_RETRY, "");
	raw_server_release(&exchange_server);
	while (exchange_server.seen->hangups == 0)
		usleep(1000);
	assert_string_equal(exchange_server.seen->request, want);
	exchange_free(&x);
}

static void test_what_is_given_up_is_taken_back_from_the_kernel(void **state)
{
	(void)state;
	send_too_much("reset", loop_now_ms() + 60000);
}

static void test_other_requests_end_with_an_orderly_close(void **state)
{
	(void)state;
	send_too_much("end", 0);
}

/* Our descriptor of the connection to the server. */
static int find_connection(void)
{
	for (int fd = 3; fd < 200; fd++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof peer;

		if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
		    ntohs(peer.sin_port) == exchange_server.port)
			return fd;
	}
	return -1;
}

static unsigned unacknowledged_ms(void)
{
	struct exchange x = { 0 };
	unsigned value = 0;
	socklen_t len = sizeof value;

	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	assert_int_equal(getsockopt(find_connection(), IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len), 0);
	exchange_free(&x);
	return value;
}

static void test_the_kernel_tries_no_longer_than_allowed(void **state)
{
	(void)state;
	exchange_serve(raw_serve_hello);
	assert_int_equal(unacknowledged_ms(), 30000);
	exchange_renew_http(&(struct http_options){ .user_agent = "ufmsync-test", .unacknowledged_ms = 1500 });
	assert_int_equal(unacknowledged_ms(), 1500);
}

#define LATE(name) cmocka_unit_test_setup_teardown(name, exchange_setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LATE(test_a_process_that_was_stopped_sends_nothing_late),
		LATE(test_in_time_it_is_sent),
		LATE(test_a_second_unseen_try_is_not_made_late),
		LATE(test_what_is_given_up_is_taken_back_from_the_kernel),
		LATE(test_other_requests_end_with_an_orderly_close),
		LATE(test_the_kernel_tries_no_longer_than_allowed),
	};

	return cmocka_run_group_tests_name("http, late", tests, NULL, NULL);
}
