#undef NDEBUG
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/net/httpd.h"
#include "tests/unit/base/net/child.h"

enum { BODY_MAX = 100000, WAITING_MAX = 300 };

struct server {
	struct loop *loop;
	struct httpd *httpd;
	struct httpd_request *waiting[WAITING_MAX];
	unsigned n_waiting, gone, handled;
	struct loop_timer later;
	unsigned answer_at; /* /wait is answered when so many wait */
	int64_t request_timeout_ms;
};

static void answer_text(struct httpd_request *request, int status, const char *text)
{
	httpd_answer(request, status, "text/plain", (const char *const[]){ "X-Ours: yes", NULL }, text, strlen(text));
}

static void add_query(void *aux, const char *key, const char *value)
{
	strcat(aux, key);
	strcat(aux, "=");
	strcat(aux, value);
	strcat(aux, ";");
}

static void answer_queries(struct httpd_request *request)
{
	char text[100] = "";

	httpd_each_query(request, add_query, text);
	answer_text(request, 200, text);
}

static void answer_echo(struct httpd_request *request)
{
	const char *a = httpd_query(request, "a"), *header = httpd_header(request, "x-some");
	size_t len;
	const char *body = httpd_body(request, &len);
	char *text = mem_printf("%s %s a=%s b=%s some=%s body=%zu:%.20s", httpd_method(request), httpd_path(request),
				a ? a : "(none)", httpd_query(request, "b") ? "there" : "(none)",
				header ? header : "(none)", len, body);

	answer_text(request, 200, text);
	free(text);
}

static void forget(struct server *server, struct httpd_request *request)
{
	for (unsigned i = 0; i < server->n_waiting; i++)
		if (server->waiting[i] == request) {
			server->waiting[i] = server->waiting[--server->n_waiting];
			return;
		}
	assert_true(false);
}

static struct httpd_request *take_waiting(struct server *server)
{
	assert_true(server->n_waiting > 0);
	return server->waiting[--server->n_waiting];
}

static void on_later(struct loop_timer *timer)
{
	struct server *server = container_of(timer, struct server, later);

	while (server->n_waiting > 0)
		answer_text(take_waiting(server), 200, "later");
}

static void answer_counts(struct server *server, struct httpd_request *request)
{
	char *text = mem_printf("gone=%u waiting=%u handled=%u", server->gone, server->n_waiting, server->handled);

	answer_text(request, 200, text);
	free(text);
}

/* More than fits into any socket buffer, in a pattern that shows a piece lost or doubled. */
static void fill_stream(struct httpd_request *request)
{
	char piece[64 * 1024];
	unsigned n = 0;

	httpd_stream_start(request, 200, "text/plain", NULL);
	for (size_t i = 0; i < sizeof piece; i++)
		piece[i] = (char)('a' + i % 23);
	while (httpd_stream_write(request, piece, sizeof piece))
		n++;
	assert_int_equal(n, 256);
	httpd_stream_end(request);
}

static void handle(void *aux, struct httpd_request *request)
{
	struct server *server = aux;
	const char *path = httpd_path(request);

	server->handled++;
	httpd_set_aux(request, server);
	assert_ptr_equal(httpd_aux(request), server);
	if (strncmp(path, "/echo", 5) == 0) {
		answer_echo(request);
	} else if (strcmp(path, "/queries") == 0) {
		answer_queries(request);
	} else if (strcmp(path, "/counts") == 0) {
		answer_counts(server, request);
	} else if (strcmp(path, "/abort") == 0) {
		httpd_abort(request);
	} else if (strcmp(path, "/large") == 0) {
		fill_stream(request);
	} else if (strcmp(path, "/write") == 0) {
		assert_true(httpd_stream_write(server->waiting[0], "{\"a\":1}\n", 8));
		answer_text(request, 200, "ok");
	} else if (strcmp(path, "/end") == 0) {
		httpd_stream_end(take_waiting(server));
		answer_text(request, 200, "ok");
	} else if (strcmp(path, "/half") == 0) {
		httpd_stream_start(request, 200, "text/plain", NULL);
		assert_true(httpd_stream_write(request, "half", 4));
		httpd_stream_cut(request);
	} else if (strcmp(path, "/cut") == 0) {
		httpd_abort(take_waiting(server));
		answer_text(request, 200, "ok");
	} else {
		if (strcmp(path, "/stream") == 0)
			httpd_stream_start(request, 200, "application/json", NULL);
		assert_true(server->n_waiting < WAITING_MAX);
		server->waiting[server->n_waiting++] = request;
		if (strcmp(path, "/wait") == 0 && server->n_waiting >= server->answer_at)
			loop_timer_at(&server->later, loop_now_ms() + 5);
	}
}

static void gone(void *aux, struct httpd_request *request)
{
	struct server *server = aux;

	forget(server, request);
	server->gone++;
}

static struct server server_start(void)
{
	struct server server = { .answer_at = 1 };
	struct error err = { 0 };

	assert_int_equal(loop_new(&server.loop, &err), 0);
	return server;
}

static void run_client(struct server *server, unsigned max_connections, bool want_gone, void (*client)(unsigned port))
{
	struct httpd_options options = { .listen = "127.0.0.1:0",
					 .max_connections = max_connections,
					 .connection_memory = 4096,
					 .body_max = BODY_MAX,
					 .request_timeout_ms = server->request_timeout_ms,
					 .handle = handle,
					 .gone = want_gone ? gone : NULL,
					 .aux = server };
	struct error err = { 0 };

	if (httpd_new(&server->httpd, server->loop, &options, &err) < 0)
		fail_msg("%s", err.text);
	loop_timer_init(&server->later, server->loop, on_later);
	child_run(server->loop, httpd_port(server->httpd), client);
}

static void server_end(struct server *server)
{
	loop_timer_stop(&server->later);
	httpd_free(server->httpd);
	loop_free(server->loop);
}

/* The client's side. */

static void client_parts(unsigned port)
{
	char body[1000];
	int fd = child_dial(port);

	child_check(child_ask(fd, "/echo%2Fx%20y%00z%zz?a=1%2B+2&b", body, sizeof body) == 200);
	child_check(strcmp(body, "GET /echo/x y%00z%zz a=1+ 2 b=there some=(none) body=0:") == 0);
	child_check(child_ask(fd, "/queries?a=%2F&b&c=", body, sizeof body) == 200);
	child_check(strcmp(body, "a=/;b=;c=;") == 0);
	child_say(fd, "PATCH /echo HTTP/1.1\r\nHost: x\r\nX-SOME: Thing\r\nContent-Length: 5\r\n\r\nhello");
	child_check(child_read_reply(fd, body, sizeof body) == 200);
	child_check(strcmp(body, "PATCH /echo a=(none) b=(none) some=Thing body=5:hello") == 0);
	child_say(
		fd,
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	child_check(child_read_reply(fd, body, sizeof body) == 200);
	child_check(strcmp(body, "POST /echo a=(none) b=(none) some=(none) body=5:abcde") == 0);
	close(fd);
}

static void test_a_request_reaches_the_handler_whole(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_parts);
	assert_int_equal(server.gone, 0);
	server_end(&server);
}

static void client_headers(unsigned port)
{
	char head[1000];
	int fd = child_dial(port);

	child_say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(fd, head, sizeof head) == 200);
	child_check(strstr(head, "\r\nX-Ours: yes\r\n") && strstr(head, "\r\nContent-Type: text/plain\r\n"));
	close(fd);
}

static void test_an_answer_carries_its_headers(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_headers);
	server_end(&server);
}

static void client_waits(unsigned port)
{
	int fds[250];
	char body[100];

	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < array_length(fds); i++) {
			if (round == 0)
				fds[i] = child_dial(port);
			child_say(fds[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
		}
		for (size_t i = 0; i < array_length(fds); i++)
			child_check(child_read_reply(fds[i], body, sizeof body) == 200 && strcmp(body, "later") == 0);
	}
}

static void test_hundreds_wait_and_each_is_answered_later(void **state)
{
	(void)state;
	for (int want_gone = 0; want_gone < 2; want_gone++) {
		struct server server = server_start();

		server.answer_at = 250;
		run_client(&server, 0, want_gone, client_waits);
		assert_int_equal(server.handled, 500);
		assert_int_equal(server.gone, 0);
		server_end(&server);
	}
}

static void client_streams(unsigned port)
{
	int watch = child_dial(port), other = child_dial(port);
	char text[1000];

	/* Headers come at once, each piece as it is written, and then the last chunk: the connection lives on. */
	child_say(watch, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(watch, text, sizeof text) == 200);
	child_check(strcasestr(text, "Transfer-Encoding: chunked"));
	for (int i = 0; i < 3; i++) {
		child_check(child_ask(other, "/write", text, sizeof text) == 200);
		child_check(child_read_until(watch, text, sizeof text, "\n\r\n") &&
			    strcmp(text, "8\r\n{\"a\":1}\n\r\n") == 0);
	}
	child_check(child_ask(other, "/end", text, sizeof text) == 200);
	child_check(child_read_until(watch, text, sizeof text, "\r\n\r\n") && strcmp(text, "0\r\n\r\n") == 0);
	child_check(child_ask(watch, "/echo", text, sizeof text) == 200);

	/* Cut: no last chunk. */
	child_say(watch, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(watch, text, sizeof text) == 200);
	child_check(child_ask(other, "/cut", text, sizeof text) == 200);
	child_check(!child_read_until(watch, text, sizeof text, "never") && text[0] == '\0');

	/* Cut behind what was written. */
	watch = child_dial(port);
	child_say(watch, "GET /half HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(watch, text, sizeof text) == 200);
	child_check(!child_read_until(watch, text, sizeof text, "never") && strcmp(text, "4\r\nhalf\r\n") == 0);
}

static void test_a_stream_comes_piece_by_piece_and_ends_or_is_cut(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_streams);
	assert_int_equal(server.gone, 0);
	server_end(&server);
}

static void client_reads_large(unsigned port)
{
	int fd = child_dial(port);
	char line[100], *piece = malloc(1 << 20);
	size_t total = 0;

	child_say(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(fd, piece, 1 << 20) == 200);
	for (;;) {
		child_check(child_read_until(fd, line, sizeof line, "\r\n"));
		size_t len = strtoul(line, NULL, 16);
		child_check(len + 2 <= 1 << 20 && recv(fd, piece, len + 2, MSG_WAITALL) == (ssize_t)len + 2);
		if (len == 0)
			break;
		for (size_t i = 0; i < len; i++)
			child_check(piece[i] == (char)('a' + (total + i) % 65536 % 23));
		total += len;
	}
	child_check(total == 16 << 20);
	free(piece);
}

static void test_a_slow_reader_gets_all_of_16_MiB_and_no_more_piles_up(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_reads_large);
	server_end(&server);
}

static void client_aborted(unsigned port)
{
	char text[100];
	int fd = child_dial(port);

	child_say(fd, "GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_reply(fd, text, sizeof text) == 0);
	fd = child_dial(port);
	child_say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	int other = child_dial(port);
	while (child_ask(other, "/counts", text, sizeof text) == 200 && !strstr(text, "waiting=1"))
		;
	child_check(child_ask(other, "/cut", text, sizeof text) == 200);
	child_check(child_read_reply(fd, text, sizeof text) == 0);
}

static void test_an_aborted_request_gets_no_byte(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_aborted);
	assert_int_equal(server.gone, 0);
	server_end(&server);
}

static void client_too_large(unsigned port)
{
	char text[2000], *body = calloc(1, 40 * BODY_MAX);
	int fd = child_dial(port);

	memset(body, 'x', 4 * BODY_MAX);
	snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
	child_say(fd, text);
	child_say(fd, body + 3 * BODY_MAX);
	child_check(child_read_reply(fd, text, sizeof text) == 200);

	/* One byte too many, announced or not: 413, and the connection goes on. */
	snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\ny", BODY_MAX + 1);
	child_say(fd, text);
	child_say(fd, body + 3 * BODY_MAX);
	child_check(child_read_reply(fd, text, sizeof text) == 413);
	child_say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n186a0\r\n");
	child_say(fd, body + 3 * BODY_MAX);
	child_say(fd, "\r\n0\r\n\r\n");
	child_check(child_read_reply(fd, text, sizeof text) == 413);
	child_check(child_ask(fd, "/echo", text, sizeof text) == 200);

	/* Far too much is refused before it comes. */
	child_say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
	child_check(child_read_reply(fd, text, sizeof text) == 413);
	child_check(read(fd, text, 1) == 0);
	free(body);
}

static void test_a_body_above_the_limit_is_answered_413(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_too_large);
	assert_int_equal(server.handled, 2);
	server_end(&server);
}

static void wait_for(int fd, const char *what)
{
	char text[100];

	do
		child_check(child_ask(fd, "/counts", text, sizeof text) == 200);
	while (!strstr(text, what));
}

static void client_leaves(unsigned port)
{
	int other = child_dial(port), fd = child_dial(port);
	char text[1000];

	child_say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(other, "gone=0 waiting=1");
	close(fd);
	wait_for(other, "gone=1 waiting=0");

	fd = child_dial(port);
	child_say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(fd, text, sizeof text) == 200);
	wait_for(other, "gone=1 waiting=1");
	close(fd);
	wait_for(other, "gone=2 waiting=0");

	/* By a reset, too. */
	fd = child_dial(port);
	child_say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(other, "gone=2 waiting=1");
	child_check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger)) == 0);
	close(fd);
	wait_for(other, "gone=3 waiting=0");
}

static void test_a_client_that_leaves_while_it_waits_is_noticed(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_leaves);
	server_end(&server);
}

static void client_leaves_unseen(unsigned port)
{
	int fd = child_dial(port), other;
	char text[100];

	child_say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	other = child_dial(port);
	wait_for(other, "waiting=1");
	close(fd);
	child_check(child_ask(other, "/wait", text, sizeof text) == 200 && strcmp(text, "later") == 0);
}

static void test_an_answer_to_a_client_that_left_is_dropped(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, false, client_leaves_unseen);
	assert_int_equal(server.n_waiting, 0);
	server_end(&server);
}

static void client_third(unsigned port)
{
	int first = child_dial(port), second = child_dial(port), third = child_dial(port);
	char text[100];

	child_check(child_ask(first, "/echo", text, sizeof text) == 200);
	child_check(child_ask(second, "/echo", text, sizeof text) == 200);
	child_say(third, "GET /counts HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 100; i++)
		child_check(child_ask(first, "/counts", text, sizeof text) == 200);
	child_check(strstr(text, "handled=102"));
	child_check(recv(third, text, 1, MSG_DONTWAIT) < 0);
	close(second);
	child_check(child_read_reply(third, text, sizeof text) == 200 && strstr(text, "handled=103"));
}

static void test_a_connection_beyond_the_limit_waits_for_its_turn(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 2, true, client_third);
	server_end(&server);
}

static void client_dawdles(unsigned port)
{
	int waits = child_dial(port), slow = child_dial(port), slow_body = child_dial(port);
	char text[100];

	child_say(waits, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	child_say(slow, "GET /echo HTTP/1.1\r\nHost: x\r\nX-Slow: ");
	child_say(slow_body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n");
	for (int fd = slow; fd; fd = fd == slow ? slow_body : 0)
		while (recv(fd, text, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN && send(fd, "a", 1, MSG_NOSIGNAL) == 1)
			usleep(10000);
	child_check(recv(waits, text, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void test_a_request_that_trickles_in_is_given_up_and_one_that_waits_is_not(void **state)
{
	struct server server = server_start();

	(void)state;
	server.request_timeout_ms = 100;
	run_client(&server, 0, true, client_dawdles);
	server_end(&server);
}

static void client_stays(unsigned port)
{
	int keep = child_dial(port), watch = child_dial(port), other = child_dial(port);
	char text[1000];

	child_say(keep, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	child_say(watch, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	child_check(child_read_head(watch, text, sizeof text) == 200);
	wait_for(other, "waiting=2");
	/* The parent ends when this process does; so keep its sockets open beyond that, in a grandchild that the
	 * closing of those sockets ends. */
	fflush(NULL);
	if (fork() == 0) {
		for (int fd = 3; fd < 64; fd++)
			if (fd != keep && fd != watch)
				close(fd);
		alarm(20);
		_exit(read(keep, text, 1) == 0 ? 0 : 1);
	}
}

static void test_freeing_the_server_gives_up_what_waits(void **state)
{
	struct server server = server_start();

	(void)state;
	run_client(&server, 0, true, client_stays);
	assert_int_equal(server.gone, 0);
	server_end(&server);
	assert_int_equal(server.gone, 2);
	assert_int_equal(server.n_waiting, 0);
}

static void test_only_literal_addresses_are_listened_on(void **state)
{
	static const char *const bad[] = {
		"",        "127.0.0.1",    "localhost:80",   "127.0.0.1:",   "127.0.0.1:65536",
		"[::1:80", "127.0.0.1:-1", "[127.0.0.1]:80", "127.0.0.1:8 ", "[]:80",
		"]:80"
	};
	struct error err = { 0 };
	struct loop *loop;
	struct httpd *httpd;

	(void)state;
	assert_int_equal(loop_new(&loop, &err), 0);
	for (size_t i = 0; i < array_length(bad); i++) {
		struct httpd_options options = { .listen = bad[i], .handle = handle };

		assert_int_equal(httpd_new(&httpd, loop, &options, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
	struct httpd_options options = { .listen = "127.0.0.1:0", .handle = handle };
	char taken[64];
	assert_int_equal(httpd_new(&httpd, loop, &options, &err), 0);
	snprintf(taken, sizeof taken, "127.0.0.1:%u", httpd_port(httpd));
	options.listen = taken;
	struct httpd *second;
	assert_int_equal(httpd_new(&second, loop, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_OS);
	httpd_free(httpd);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_reaches_the_handler_whole),
		cmocka_unit_test(test_an_answer_carries_its_headers),
		cmocka_unit_test(test_hundreds_wait_and_each_is_answered_later),
		cmocka_unit_test(test_a_stream_comes_piece_by_piece_and_ends_or_is_cut),
		cmocka_unit_test(test_a_slow_reader_gets_all_of_16_MiB_and_no_more_piles_up),
		cmocka_unit_test(test_an_aborted_request_gets_no_byte),
		cmocka_unit_test(test_a_body_above_the_limit_is_answered_413),
		cmocka_unit_test(test_a_client_that_leaves_while_it_waits_is_noticed),
		cmocka_unit_test(test_an_answer_to_a_client_that_left_is_dropped),
		cmocka_unit_test(test_a_connection_beyond_the_limit_waits_for_its_turn),
		cmocka_unit_test(test_a_request_that_trickles_in_is_given_up_and_one_that_waits_is_not),
		cmocka_unit_test(test_freeing_the_server_gives_up_what_waits),
		cmocka_unit_test(test_only_literal_addresses_are_listened_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
