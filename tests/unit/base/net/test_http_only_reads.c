#undef NDEBUG
#include "base/net/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* There is no way back, so each try has a process of its own. */

static void on_done(void *aux, const struct http_reply *reply)
{
	(void)aux;
	(void)reply;
}

/* How a process ended that promised to change nothing and sent this. */
static int send_in_child(const char *method)
{
	pid_t child = fork();

	if (child == 0) {
		struct http_options options = { .user_agent = "test" };
		struct http_request_options request = { .method = method,
							.url = "http://127.0.0.1:9/",
							.done = on_done };
		struct rlimit no_core = { 0 };
		struct error err;
		struct loop *loop;
		struct http *http;
		setrlimit(RLIMIT_CORE, &no_core);
		if (freopen("/dev/null", "w", stderr) == NULL || loop_new(&loop, &err) < 0 ||
		    http_new(&http, loop, &options, &err) < 0)
			_exit(2);
		http_only_reads();
		http_send(http, &request);
		_exit(0);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void test_reads_are_sent(void **state)
{
	(void)state;
	assert_int_equal(send_in_child("GET"), 0);
	assert_int_equal(send_in_child("HEAD"), 0);
}

static void test_anything_else_ends_the_process_before_it_is_sent(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "PATCH", "DELETE", "get", "GETS", "" };

	(void)state;
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		int status = send_in_child(methods[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_are_sent),
		cmocka_unit_test(test_anything_else_ends_the_process_before_it_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
