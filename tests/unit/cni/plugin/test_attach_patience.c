#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/cni/plugin/asking.h"

/* --- trying again --- */

static void serve_leader_second(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_answer(peer, 200,
		   peer->number == 1 ? "{\"error\":{\"code\":\"NotLeader\",\"message\":\"x\",\"retry\":true}}"
				     : ASKING_GIVEN);
}

static void test_a_replica_that_does_not_lead_is_followed_by_another(void **state)
{
	(void)state;
	asking_serve(serve_leader_second);
	asked();
	assert_int_equal(server.seen->connections, 2);
}

static void serve_follower(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_answer(peer, 200, "{\"error\":{\"code\":\"NotLeader\",\"message\":\"x\",\"retry\":true}}");
}

static void test_when_nobody_leads_in_time_that_is_said(void **state)
{
	(void)state;
	asking_serve(serve_follower);
	node.timeout_ms = ASKING_SHORT_MS;
	ask_failed(CNI_TRY_AGAIN, "NotLeader", "ufmsync-leader");
}

static void serve_full_once(struct raw_peer *peer)
{
	raw_read_request(peer);
	if (peer->number == 1)
		raw_text(peer, "HTTP/1.1 503 X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n");
	else
		raw_answer(peer, 200, ASKING_GIVEN);
}

static void test_a_full_service_is_asked_again_when_it_says(void **state)
{
	(void)state;
	asking_serve(serve_full_once);
	asked();
	assert_int_equal(server.seen->connections, 2);
}

static void serve_full_long(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 503 X\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n");
}

static void test_a_service_that_is_full_beyond_our_time_is_not_waited_for(void **state)
{
	(void)state;
	asking_serve(serve_full_long);
	ask_failed(CNI_TRY_AGAIN, "HTTP 503", "");
	assert_int_equal(server.seen->connections, 1);
}

static void serve_broken_first(struct raw_peer *peer)
{
	raw_read_request(peer);
	if (peer->number == 1)
		raw_reset(peer);
	if (peer->number == 2)
		raw_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"guid\"");
	else
		raw_answer(peer, 200, ASKING_GIVEN);
}

static void test_a_connection_that_ends_in_the_answer_is_followed_by_another(void **state)
{
	(void)state;
	asking_serve(serve_broken_first);
	asked();
	assert_int_equal(server.seen->connections, 3);
}

static void serve_broken_late(struct raw_peer *peer)
{
	raw_read_request(peer);
	if (peer->number == 1) {
		usleep((ASKING_SHORT_MS + 200) * 1000);
		raw_reset(peer);
	} else {
		raw_answer(peer, 200, ASKING_GIVEN);
	}
}

static void test_a_service_that_restarts_after_a_long_wait_is_tried_as_long_as_at_first(void **state)
{
	(void)state;
	asking_serve(serve_broken_late);
	node.connect_timeout_ms = ASKING_SHORT_MS;
	asked();
	assert_int_equal(server.seen->connections, 2);
}

static void serve_closed(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\n");
}

static void test_one_that_always_breaks_off_is_given_up_in_time(void **state)
{
	(void)state;
	asking_serve(serve_closed);
	node.timeout_ms = ASKING_SHORT_MS;
	ask_failed(CNI_TRY_AGAIN, "broke off: it closed the connection", "log");
}

static void test_a_connection_that_ends_in_the_handshake_is_tried_for_a_while(void **state)
{
	(void)state;
	asking_serve_with(&(struct raw_server_options){ .serve = raw_reset });
	node.connect_timeout_ms = ASKING_SHORT_MS;
	ask_failed(CNI_TRY_AGAIN, "cannot be reached", "pods are ready");
	assert_true(server.seen->connections >= 2);
}

static void test_a_service_that_nobody_reaches_is_named(void **state)
{
	int port, fd = asking_refusing_port(&port);

	(void)state;
	asking_use_port(port);
	node.connect_timeout_ms = ASKING_SHORT_MS;
	char *name = mem_printf("the service at 127.0.0.1:%d cannot be reached: connect: Connection refused", port);
	ask_failed(CNI_TRY_AGAIN, name, "kube-proxy");
	free(name);
	close(fd);
}

static void test_a_service_that_comes_up_is_reached(void **state)
{
	int port, fd = asking_refusing_port(&port);

	(void)state;
	asking_serve(serve_given);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) { /* hands all bytes on between the late port and the server */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct sockaddr_in there = { .sin_family = AF_INET,
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					     .sin_port = htons((uint16_t)server.port) };
		usleep(100 * 1000); /* that the client was refused cannot be seen from here */
		assert(listen(fd, 8) == 0);
		int near = accept(fd, NULL, NULL), far = socket(AF_INET, SOCK_STREAM, 0);
		assert(near >= 0 && connect(far, (struct sockaddr *)&there, sizeof there) == 0);
		char bytes[16384];
		ssize_t n;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			while ((n = read(far, bytes, sizeof bytes)) > 0)
				assert(write(near, bytes, (size_t)n) == n);
			shutdown(near, SHUT_WR);
			_exit(0);
		}
		while ((n = read(near, bytes, sizeof bytes)) > 0)
			assert(write(far, bytes, (size_t)n) == n);
		shutdown(far, SHUT_WR);
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	close(fd);
	asking_use_port(port);
	asked();
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- deadlines --- */

static void serve_silence(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_hang(peer);
}

static void test_no_answer_in_time_is_told(void **state)
{
	(void)state;
	asking_serve(serve_silence);
	node.timeout_ms = ASKING_SHORT_MS;
	ask_failed(CNI_TRY_AGAIN, "gave no answer: the time is over", "tries again");
}

static void serve_dribble(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n");
	for (;;) {
		raw_text(peer, " ");
		usleep(1000);
	}
}

static void test_an_answer_that_dribbles_does_not_stretch_the_time(void **state)
{
	(void)state;
	asking_serve(serve_dribble);
	node.timeout_ms = ASKING_SHORT_MS;
	ask_failed(CNI_TRY_AGAIN, "gave no answer: the time is over", "");
}

static void test_a_handshake_that_does_not_come_is_told(void **state)
{
	(void)state;
	asking_serve_with(&(struct raw_server_options){ .serve = raw_hang });
	node.connect_timeout_ms = ASKING_SHORT_MS;
	ask_failed(CNI_TRY_AGAIN, "no TLS handshake in time", "pods are ready");
}

static void nothing(int number)
{
	(void)number;
}

static void test_signals_do_not_disturb(void **state)
{
	struct sigaction action = { .sa_handler = nothing }, before; /* no SA_RESTART */

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	asking_serve(serve_released);
	pid_t client = getpid(), pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (atomic_load(&server.seen->requests) == 0)
			kill(client, SIGUSR1);
		for (int i = 0; i < 1000; i++)
			kill(client, SIGUSR1);
		raw_server_release(&server);
		_exit(0);
	}
	asked();
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGUSR1, &before, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asking_setup, asking_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_replica_that_does_not_lead_is_followed_by_another),
		TEST(test_when_nobody_leads_in_time_that_is_said),
		TEST(test_a_full_service_is_asked_again_when_it_says),
		TEST(test_a_service_that_is_full_beyond_our_time_is_not_waited_for),
		TEST(test_a_connection_that_ends_in_the_answer_is_followed_by_another),
		TEST(test_a_service_that_restarts_after_a_long_wait_is_tried_as_long_as_at_first),
		TEST(test_one_that_always_breaks_off_is_given_up_in_time),
		TEST(test_a_connection_that_ends_in_the_handshake_is_tried_for_a_while),
		TEST(test_a_service_that_nobody_reaches_is_named),
		TEST(test_a_service_that_comes_up_is_reached),
		TEST(test_no_answer_in_time_is_told),
		TEST(test_an_answer_that_dribbles_does_not_stretch_the_time),
		TEST(test_a_handshake_that_does_not_come_is_told),
		TEST(test_signals_do_not_disturb),
	};

	return cmocka_run_group_tests(tests, asking_make_certs, NULL);
}
