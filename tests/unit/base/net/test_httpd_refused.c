#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/net/httpd.h"
#include "tests/unit/base/net/child.h"

/* What the server refuses without asking its user, what it says about it, and what just fits. */

enum { BODY_MAX = 1000, CONNECTIONS_MAX = 3 };

static struct loop *loop;
static struct httpd *httpd;
static struct buf heard;
static unsigned handled;
static int64_t request_timeout_ms;

/* No descriptor is left, or as many as before. */
static void starve(bool really)
{
	static rlim_t was;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (really) {
		int next = dup(0);

		close(next);
		was = limit.rlim_cur;
		limit.rlim_cur = (rlim_t)next;
	} else {
		limit.rlim_cur = was;
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void handle(void *aux, struct httpd_request *request)
{
	const char *header = httpd_header(request, "authorization");
	size_t len;
	char text[200];

	(void)aux;
	handled++;
	httpd_body(request, &len);
	if (strcmp(httpd_path(request), "/starve") == 0)
		starve(true);
	if (strcmp(httpd_path(request), "/feed") == 0)
		starve(false);
	snprintf(text, sizeof text, "%s header=%zu body=%zu %s", httpd_peer(request), header ? strlen(header) : 0, len,
		 heard.data);
	httpd_answer(request, 200, "text/plain", NULL, text, strlen(text));
}

static void on_refused(void *aux, enum httpd_refusal why, const char *peer)
{
	(void)aux;
	assert_string_equal(peer, "127.0.0.1");
	buf_text(&heard, why == HTTPD_BODY_TOO_LARGE ? "body;" : why == HTTPD_HEADERS_TOO_LARGE ? "headers;" : "many;");
}

static void start(const char *listen, void (*refused)(void *aux, enum httpd_refusal why, const char *peer))
{
	const struct httpd_options options = { .listen = listen,
					       .max_connections = CONNECTIONS_MAX,
					       .connection_memory = 4096,
					       .body_max = BODY_MAX,
					       .request_timeout_ms = request_timeout_ms,
					       .handle = handle,
					       .refused = refused };
	struct error err;

	buf_init(&heard, 1000);
	handled = 0;
	assert_int_equal(loop_new(&loop, &err), 0);
	if (httpd_new(&httpd, loop, &options, &err) < 0)
		fail_msg("%s", err.text);
}

static int teardown(void **state)
{
	(void)state;
	request_timeout_ms = 0;
	httpd_free(httpd);
	loop_free(loop);
	buf_free(&heard);
	return 0;
}

static char *request_with(size_t header, size_t body)
{
	char *token = mem_alloc(header + 1), *content = mem_alloc(body + 1);

	memset(token, 't', header);
	memset(content, 'b', body);
	char *text =
		mem_printf("POST /v1/attach HTTP/1.1\r\nHost: 192.0.2.100:30443\r\nUser-Agent: ufmsync-cni/1.2.3\r\n"
			   "Accept: application/json\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
			   "Content-Length: %zu\r\n\r\n%s",
			   token, body, content);
	free(token);
	free(content);
	return text;
}

static void client_attaches(unsigned port)
{
	int fd = child_dial(port);

	for (size_t token = 500; token <= 3000; token += 250) {
		char *text = request_with(token, 500), body[200], wanted[200];

		child_say(fd, text);
		child_check(child_read_reply(fd, body, sizeof body) == 200);
		snprintf(wanted, sizeof wanted, "127.0.0.1 header=%zu body=500 ", token + 7);
		child_check(strcmp(body, wanted) == 0);
		free(text);
	}
}

static void test_a_request_with_a_long_token_fits_into_4_KiB(void **state)
{
	(void)state;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_attaches);
	assert_int_equal(handled, 11);
	assert_string_equal(heard.data, "");
}

static void client_says_too_much(unsigned port)
{
	int fd = child_dial(port);
	char *text = request_with(100, BODY_MAX + 1), body[1000];

	child_say(fd, text);
	child_check(child_read_reply(fd, body, sizeof body) == 413);
	child_check(child_ask(fd, "/", body, sizeof body) == 200 && strstr(body, " body;"));
	free(text);
	child_say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
	child_check(child_read_reply(fd, body, sizeof body) == 413);
	close(fd);

	/* Nothing announced, and no end of it: cut off. */
	fd = child_dial(port);
	child_say(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (;;) {
		char chunk[1005] = "3e8\r\n";

		memset(chunk + 5, 'b', 1000);
		if (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0 || send(fd, "\r\n", 2, MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);

	fd = child_dial(port);
	text = request_with(5000, 1);
	child_say(fd, text);
	child_check(child_read_reply(fd, body, sizeof body) == 431);
	close(fd);
	free(text);

	fd = child_dial(port);
	child_check(child_ask(fd, "/", body, sizeof body) == 200 && strstr(body, " body;body;body;headers;"));
}

static void test_what_is_too_large_is_told(void **state)
{
	(void)state;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_says_too_much);
	assert_int_equal(handled, 2);
	assert_string_equal(heard.data, "body;body;body;headers;");
}

static void test_nobody_need_listen_to_it(void **state)
{
	(void)state;
	start("127.0.0.1:0", NULL);
	buf_text(&heard, "body;body;body;headers;"); /* for the client's eyes */
	child_run(loop, httpd_port(httpd), client_says_too_much);
	assert_int_equal(handled, 2);
}

static void client_comes_often(unsigned port)
{
	int fds[CONNECTIONS_MAX];
	char body[200];

	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		fds[i] = child_dial(port);
		child_check(child_ask(fds[i], "/", body, sizeof body) == 200);
		child_check(!strstr(body, "many;") == (i < CONNECTIONS_MAX - 1));
	}
	int waits = child_dial(port);
	close(fds[0]);
	child_check(child_ask(waits, "/", body, sizeof body) == 200);
}

static void test_it_is_told_each_time_that_the_limit_of_connections_is_reached(void **state)
{
	(void)state;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_comes_often);
	assert_string_equal(heard.data, "many;many;");
}

static void client_is_silent(unsigned port)
{
	int fds[CONNECTIONS_MAX];
	char body[200];

	for (int i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = child_dial(port);
	int waits = child_dial(port);
	close(fds[1]);
	child_check(child_ask(waits, "/", body, sizeof body) == 200);
	child_check(child_ask(fds[0], "/", body, sizeof body) == 200);
}

static void test_who_says_nothing_has_a_place_until_it_leaves(void **state)
{
	(void)state;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_is_silent);
	assert_int_equal(handled, 2);
}

static void client_stays_silent(unsigned port)
{
	int fd = child_dial(port);
	char byte;

	child_check(read(fd, &byte, 1) == 0);
}

static void test_who_says_nothing_is_given_up(void **state)
{
	(void)state;
	request_timeout_ms = 20;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_stays_silent);
}

static void client_keeps_silent(unsigned port)
{
	(void)port;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		child_dial(port);
	/* Their end is seen together with ours. */
}

static void test_the_server_may_be_freed_with_some_who_said_nothing(void **state)
{
	(void)state;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_keeps_silent);
}

static void client_starves_the_server(unsigned port)
{
	int first = child_dial(port), second;
	char body[200];

	child_check(child_ask(first, "/starve", body, sizeof body) == 200);
	second = child_dial(port);
	child_say(second, "GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 10; i++)
		child_check(child_ask(first, "/", body, sizeof body) == 200);
	child_check(recv(second, body, 1, MSG_DONTWAIT) < 0);
	child_check(child_ask(first, "/feed", body, sizeof body) == 200);
	child_check(child_read_reply(second, body, sizeof body) == 200);
}

static void test_without_a_descriptor_left_the_others_are_served_and_the_next_one_later(void **state)
{
	(void)state;
	start("127.0.0.1:0", on_refused);
	child_run(loop, httpd_port(httpd), client_starves_the_server);
	assert_int_equal(handled, 13);
}

static void client_is_named(unsigned port)
{
	char body[200];

	child_check(child_ask(child_dial(port), "/", body, sizeof body) == 200);
	child_check(strncmp(body, "127.0.0.1 ", 10) == 0);
}

static void test_a_peer_on_a_socket_of_both_families_has_its_own_address(void **state)
{
	(void)state;
	start("[::ffff:127.0.0.1]:0", on_refused);
	child_run(loop, httpd_port(httpd), client_is_named);
}

#define promise(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_request_with_a_long_token_fits_into_4_KiB),
		promise(test_what_is_too_large_is_told),
		promise(test_nobody_need_listen_to_it),
		promise(test_it_is_told_each_time_that_the_limit_of_connections_is_reached),
		promise(test_who_says_nothing_has_a_place_until_it_leaves),
		promise(test_who_says_nothing_is_given_up),
		promise(test_the_server_may_be_freed_with_some_who_said_nothing),
		promise(test_without_a_descriptor_left_the_others_are_served_and_the_next_one_later),
		promise(test_a_peer_on_a_socket_of_both_families_has_its_own_address),
	};

	return cmocka_run_group_tests_name("httpd_refused", tests, NULL, NULL);
}
