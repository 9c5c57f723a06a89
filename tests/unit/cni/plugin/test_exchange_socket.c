#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bytes_go_both_ways),
		TEST(test_what_would_block_may_be_tried_again),
		TEST(test_writing_to_a_peer_that_is_gone_raises_no_sigpipe),
		TEST(test_waiting_ends_with_the_deadline_or_the_event),
		TEST(test_only_a_numeric_address_is_connected_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
