#undef NDEBUG
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cni/plugin/exchange_socket.h"
#include "cni/plugin/monotonic.h"

static int pair[2];
static BIO_METHOD *method;
static BIO *bio;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	method = exchange_socket_method();
	bio = exchange_socket_bio(method, pair[0]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	BIO_free(bio);
	BIO_meth_free(method);
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static void test_bytes_go_both_ways(void **state)
{
	char bytes[8];

	(void)state;
	assert_int_equal(BIO_write(bio, "abc", 3), 3);
	assert_int_equal(read(pair[1], bytes, sizeof bytes), 3);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(write(pair[1], "de", 2), 2);
	assert_int_equal(BIO_read(bio, bytes, sizeof bytes), 2);
	assert_memory_equal(bytes, "de", 2);
	assert_int_equal(BIO_flush(bio), 1);
}

static void test_what_would_block_may_be_tried_again(void **state)
{
	char bytes[4096] = { 0 };
	int n;

	(void)state;
	assert_int_equal(BIO_read(bio, bytes, sizeof bytes), -1);
	assert_true(BIO_should_read(bio));
	while ((n = BIO_write(bio, bytes, sizeof bytes)) > 0)
		;
	assert_int_equal(n, -1);
	assert_true(BIO_should_write(bio));
}

static void test_writing_to_a_peer_that_is_gone_raises_no_sigpipe(void **state)
{
	(void)state;
	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR); /* else it would end this test */
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(BIO_write(bio, "abc", 3), -1);
	assert_int_equal(errno, EPIPE);
	assert_false(BIO_should_retry(bio));
}

static void test_waiting_ends_with_the_deadline_or_the_event(void **state)
{
	(void)state;
	assert_false(exchange_socket_wait(pair[0], false, monotonic_ms() - 1));
	assert_false(exchange_socket_wait(pair[0], false, monotonic_ms() + 1));
	assert_true(exchange_socket_wait(pair[0], true, monotonic_ms() + 60000));
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_true(exchange_socket_wait(pair[0], false, monotonic_ms() + 60000));
}

static void test_only_a_numeric_address_is_connected_to(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(exchange_socket_open("localhost", "1", monotonic_ms() + 60000, &err), -1);
	assert_int_equal(exchange_socket_open("", "1", monotonic_ms() + 60000, &err), -1);
}

/* A port of this host's own, as text; the listening socket. */
static int listen_on(int family, int backlog, char port[8])
{
	struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
	socklen_t len = family == AF_INET ? sizeof *v4 : sizeof *v6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		v6->sin6_addr = in6addr_loopback;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0) {
		print_message("skipped: no such address here\n");
		skip();
	}
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(port, 8, "%u", ntohs(family == AF_INET ? v4->sin_port : v6->sin6_port));
	return fd;
}

static void test_both_families_are_connected_to(void **state)
{
	char port[8];
	struct error err;

	(void)state;
	int listener = listen_on(AF_INET, 8, port);
	int fd = exchange_socket_open("127.0.0.1", port, monotonic_ms() + 60000, &err);
	assert_true(fd >= 0);
	close(fd);
	close(listener);
	listener = listen_on(AF_INET6, 8, port);
	fd = exchange_socket_open("::1", port, monotonic_ms() + 60000, &err);
	assert_true(fd >= 0);
	close(fd);
	close(listener);
}

static void test_an_address_that_does_not_answer_ends_with_the_deadline(void **state)
{
	char port[8];
	struct error err = { 0 };
	int fds[16], n = 0, fd, listener;

	(void)state;
	/* Nobody accepts: once the queue is full the kernel does not answer. */
	listener = listen_on(AF_INET, 0, port);
	while (n < 16 && (fd = exchange_socket_open("127.0.0.1", port, monotonic_ms() + 100, &err)) >= 0)
		fds[n++] = fd;
	assert_true(n < 16);
	assert_non_null(strstr(err.text, "timed out"));
	while (n > 0)
		close(fds[--n]);
	close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bytes_go_both_ways),
		TEST(test_what_would_block_may_be_tried_again),
		TEST(test_writing_to_a_peer_that_is_gone_raises_no_sigpipe),
		TEST(test_waiting_ends_with_the_deadline_or_the_event),
		TEST(test_only_a_numeric_address_is_connected_to),
		TEST(test_both_families_are_connected_to),
		TEST(test_an_address_that_does_not_answer_ends_with_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
