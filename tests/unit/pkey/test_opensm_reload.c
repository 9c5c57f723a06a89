#undef NDEBUG
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/opensm_reload.h"

/* `process` would signal every OpenSM of this machine: it is tried on a fabric of its own in tests/opensm.  Here are the
 * ways whose other side can be played. */

static char folder[] = "/tmp/test-opensm-reload-XXXXXX", path[256];
static struct opensm_reload reload;
static struct error err;

static int fresh(void **state)
{
	(void)state;
	strcpy(strrchr(folder, '-') + 1, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/it", folder);
	err = (struct error){ 0 };
	return 0;
}

static int gone(void **state)
{
	char other[300];

	(void)state;
	snprintf(other, sizeof other, "%s/other", folder);
	unlink(path);
	unlink(other);
	rmdir(folder);
	opensm_reload_free(&reload);
	return 0;
}

static void put(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static void use(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void use(const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	opensm_reload_free(&reload);
	assert_int_equal(opensm_reload_parse(&reload, text, &err), 0);
}

static void fails(enum error_kind kind, const char *words)
{
	assert_int_equal(opensm_reload_now(&reload, NULL, &err), -1);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.text, words))
		fail_msg("not \"%s\": %s", words, err.text);
}

/* --- the setting --- */

static void test_every_form_is_read(void **state)
{
	(void)state;
	use("process");
	assert_int_equal(reload.way, OPENSM_RELOAD_PROCESS);
	use("trap");
	assert_int_equal(reload.way, OPENSM_RELOAD_TRAP);
	use("pidfile:/run/opensm.pid");
	assert_int_equal(reload.way, OPENSM_RELOAD_PIDFILE);
	assert_string_equal(reload.target, "/run/opensm.pid");
	use("command:/usr/local/bin/reload opensm");
	assert_int_equal(reload.way, OPENSM_RELOAD_COMMAND);
	assert_string_equal(reload.target, "/usr/local/bin/reload opensm");
	use("console:sm.example:10000");
	assert_int_equal(reload.way, OPENSM_RELOAD_CONSOLE);
	assert_string_equal(reload.target, "sm.example");
	assert_string_equal(reload.port, "10000");
	use("console:[::1]:65535");
	assert_string_equal(reload.target, "::1");
	assert_string_equal(reload.port, "65535");
}

static void test_anything_else_is_refused_with_what_is_accepted(void **state)
{
	static const char *const bad[] = {
		"",
		"Process",
		"process ",
		"processes",
		"trap:",
		"pidfile",
		"pidfile:",
		"pidfile:opensm.pid",
		"command:reload",
		"command:",
		"console",
		"console:",
		"console:127.0.0.1",
		"console:127.0.0.1:",
		"console::10000",
		"console:a:",
		"console:a:10x",
		"console:a:0",
		"console:a:65536",
		"console:a:99999",
		"console:a:-1",
		"console:a:+1",
		"console:a: 1",
		"console:a:0000010000",
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		if (opensm_reload_parse(&reload, bad[i], &err) == 0)
			fail_msg("\"%s\" is accepted", bad[i]);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(err.text, "process, pidfile:/PATH, console:HOST:PORT, trap or command:/PATH"));
		opensm_reload_free(&reload);
	}
}

static void test_without_a_port_no_trap_is_sent(void **state)
{
	(void)state;
	use("trap");
	fails(ERROR_GONE, "no InfiniBand port");
}

/* --- by a pidfile --- */

static void end_by(int signo)
{
	signal(signo, SIG_DFL);
	raise(signo);
}

/* A process called `name`: its status says which signal ended it; 0: none. */
static pid_t start(const char *name, bool takes_hangup)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_NAME, name);
		signal(SIGHUP, takes_hangup ? end_by : SIG_DFL);
		alarm(20); /* whatever happens */
		(void)!write(ready[1], "!", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static pid_t start_process(const char *name)
{
	return start(name, true);
}

static int end_process(pid_t child)
{
	int status;

	kill(child, SIGTERM); /* when nothing has ended it yet */
	assert_int_equal(waitpid(child, &status, 0), child);
	return WTERMSIG(status);
}

static void point_at(pid_t pid, const char *end)
{
	char text[64];

	snprintf(text, sizeof text, "%d%s", (int)pid, end);
	put(text, 0600);
}

static void test_the_process_of_the_pidfile_is_told(void **state)
{
	(void)state;
	use("pidfile:%s", path);
	for (int i = 0; i < 3; i++) {
		pid_t opensm = start_process("opensm");
		point_at(opensm, (const char *[]){ "", "\n", " \n\n" }[i]);
		int status;
		assert_int_equal(opensm_reload_now(&reload, NULL, &err), 0);
		assert_int_equal(waitpid(opensm, &status, 0), opensm);
		assert_int_equal(WTERMSIG(status), SIGHUP);
	}
}

static void test_a_process_that_is_no_opensm_is_left_alone(void **state)
{
	static const char *const names[] = { "opensmd", "sshd", "(opensm)", "opensm) S", "xopensm" };

	(void)state;
	use("pidfile:%s", path);
	for (size_t i = 0; i < array_length(names); i++) {
		pid_t other = start_process(names[i]);
		point_at(other, "\n");
		fails(ERROR_GONE, "is no opensm");
		assert_non_null(strstr(err.text, path));
		assert_int_equal(end_process(other), SIGTERM);
	}
}

/* It would end by it: an OpenSM that has only just begun, or a script of its name that starts it. */
static void test_an_opensm_that_does_not_take_the_signal_yet_is_left_alone(void **state)
{
	(void)state;
	use("pidfile:%s", path);
	pid_t opensm = start("opensm", false);
	point_at(opensm, "\n");
	fails(ERROR_GONE, "does not take");
	assert_int_equal(end_process(opensm), SIGTERM);
}

static void test_a_pidfile_of_a_process_that_ended_is_said(void **state)
{
	(void)state;
	use("pidfile:%s", path);
	pid_t opensm = start_process("opensm");
	point_at(opensm, "\n");
	kill(opensm, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)opensm, &info, WEXITED | WNOWAIT), 0);
	fails(ERROR_GONE, ""); /* a zombie */
	waitpid(opensm, NULL, 0);
	fails(ERROR_GONE, "is gone");
}

static void test_a_pidfile_without_a_number_is_refused(void **state)
{
	static const char *const bad[] = { "opensm\n", "-5\n", "0\n", "1\n", "12x\n", "\n", "99999999999999999999\n",
					   "0x10\n" };

	(void)state;
	use("pidfile:%s", path);
	fails(ERROR_GONE, "cannot be read, or is empty");
	put("", 0600);
	fails(ERROR_GONE, "cannot be read, or is empty");
	for (size_t i = 0; i < array_length(bad); i++) {
		put(bad[i], 0600);
		fails(ERROR_INVALID, "holds no process number");
	}
}

/* --- by the console --- */

/* What a console does with its connection, until that is closed. */
struct console {
	pid_t pid;
	int port, heard; /* `heard`: every byte that clients said */
};

static struct console start_console(void (*serve)(int fd, int heard, int connection))
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	struct console console;
	int heard[2], server = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(pipe(heard), 0);
	assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server, 8), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
	console.port = ntohs(address.sin_port);
	console.heard = heard[0];
	console.pid = fork();
	if (console.pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		for (int i = 1;; i++) {
			int fd = accept(server, NULL, NULL);
			serve(fd, heard[1], i);
			close(fd);
		}
	}
	close(server);
	close(heard[1]);
	use("console:127.0.0.1:%d", console.port);
	reload.wait_ms = 200;
	return console;
}

/* What it was told, all together. */
static char *end_console(const struct console *console)
{
	static char told[4096];
	size_t len = 0;

	kill(console->pid, SIGKILL);
	waitpid(console->pid, NULL, 0);
	for (ssize_t n; (n = read(console->heard, told + len, sizeof told - 1 - len)) > 0;)
		len += (size_t)n;
	told[len] = '\0';
	close(console->heard);
	return told;
}

static void say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

/* Writes all that comes to `heard`; one more prompt for each line; "quit" closes. */
static void take_lines(int fd, int heard)
{
	char text[256];

	for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;) {
		(void)!write(heard, text, (size_t)n);
		if (memmem(text, (size_t)n, "quit\n", 5))
			return;
		if (memchr(text, '\n', (size_t)n))
			say(fd, "OpenSM $ ");
	}
}

static void swallow(int fd, int heard)
{
	char text[256];

	for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;)
		(void)!write(heard, text, (size_t)n);
}

static void serve_opensm(int fd, int heard, int connection)
{
	(void)connection;
	say(fd, "OpenSM ");
	usleep(1000); /* in two pieces */
	say(fd, "$ ");
	take_lines(fd, heard);
}

static void serve_busy_at_first(int fd, int heard, int connection)
{
	if (connection <= 2) {
		say(fd, "OpenSM Console connection already in use\nkill other session (y/n)? ");
		swallow(fd, heard);
	} else {
		serve_opensm(fd, heard, connection);
	}
}

static void serve_busy(int fd, int heard, int connection)
{
	(void)connection;
	serve_busy_at_first(fd, heard, 1);
}

static void serve_garbage(int fd, int heard, int connection)
{
	(void)connection;
	for (int i = 0; i < 64; i++)
		say(fd, "220 mail.example ESMTP \xff\x01 ready, and more of it than anybody would like to read\r\n");
	swallow(fd, heard);
}

static void serve_silence(int fd, int heard, int connection)
{
	(void)connection;
	swallow(fd, heard);
}

static void serve_a_closed_door(int fd, int heard, int connection)
{
	(void)fd;
	(void)heard;
	(void)connection;
}

/* Takes the command, says nothing to it. */
static void serve_half(int fd, int heard, int connection)
{
	(void)connection;
	say(fd, "OpenSM $ ");
	swallow(fd, heard);
}

static void test_a_console_is_told_to_sweep_and_left(void **state)
{
	(void)state;
	struct console console = start_console(serve_opensm);
	assert_int_equal(opensm_reload_now(&reload, NULL, &err), 0);
	/* It reads "quit" before the next one's connection. */
	assert_int_equal(opensm_reload_now(&reload, NULL, &err), 0);
	const char *told = end_console(&console);
	assert_int_equal(strncmp(told, "resweep heavy\nquit\nresweep heavy\n", 33), 0);
}

static void test_a_busy_console_is_tried_again_and_nobody_is_thrown_out(void **state)
{
	(void)state;
	struct console console = start_console(serve_busy_at_first);
	assert_int_equal(opensm_reload_now(&reload, NULL, &err), 0);
	assert_int_equal(strncmp(end_console(&console), "resweep heavy\n", 14), 0);
	console = start_console(serve_busy);
	fails(ERROR_RETRY, "in use by somebody else");
	assert_string_equal(end_console(&console), ""); /* above all no "y" */
}

static void test_what_is_no_console_gets_no_command(void **state)
{
	static void (*const others[])(int fd, int heard, int connection) = { serve_garbage, serve_silence,
									     serve_a_closed_door };

	(void)state;
	for (size_t i = 0; i < array_length(others); i++) {
		struct console console = start_console(others[i]);
		fails(ERROR_RETRY, "nothing that OpenSM says");
		assert_string_equal(end_console(&console), "");
	}
}

static void test_a_command_that_is_not_taken_is_no_reload(void **state)
{
	(void)state;
	struct console console = start_console(serve_half);
	fails(ERROR_RETRY, "does not take the command");
	assert_int_equal(strncmp(end_console(&console), "resweep heavy\n", 14), 0);
}

static void test_no_console_is_said_with_how_to_have_one(void **state)
{
	(void)state;
	struct console console = start_console(serve_opensm);
	end_console(&console);
	fails(ERROR_GONE, "-q loopback");
}

/* --- by a command --- */

static void command(const char *script)
{
	put(script, 0700);
	use("command:%s", path);
}

static void test_a_command_gets_no_credentials_and_no_arguments(void **state)
{
	(void)state;
	setenv("UFM_PASSWORD", "secret", 1);
	command("#!/bin/sh\n[ $# = 0 ] && [ -z \"$UFM_PASSWORD\" ] && [ -n \"$PATH\" ] && ! read line && echo "
		"chatter\n");
	assert_int_equal(opensm_reload_now(&reload, NULL, &err), 0);
	unsetenv("UFM_PASSWORD");
}

static void test_a_command_has_the_signals_of_a_shell(void **state)
{
	sigset_t all, before;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	command("#!/bin/sh\n! grep -E -e 'SigBlk:.*[1-9a-f]' -e 'SigIgn:.*[13579bdf]...$' /proc/self/status >&2\n");
	int result = opensm_reload_now(&reload, NULL, &err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (result < 0)
		fail_msg("%s", err.text);
}

static void test_a_command_that_fails_says_why_in_one_line(void **state)
{
	(void)state;
	command("#!/bin/sh\nprintf 'no such\\ncontainer\\033[31m \\377 end\\n\\n' >&2\nexit 3\n");
	fails(ERROR_RETRY, "ended with status 3: no such container");
	assert_null(strpbrk(err.text, "\n\033\377"));
	assert_non_null(strstr(err.text, "end"));
	command("#!/bin/sh\nkill -9 $$\n");
	fails(ERROR_RETRY, "ended with signal 9");
	command("#!/bin/sh\ni=0; while [ $i -lt 20000 ]; do echo 0123456789 >&2; i=$((i + 1)); done; exit 1\n");
	fails(ERROR_RETRY, "status 1: 0123456789"); /* it does not hang on a full pipe */
}

static void test_a_command_that_cannot_be_run_is_said(void **state)
{
	(void)state;
	use("command:%s", path);
	fails(ERROR_OS, path);
	put("#!/bin/sh\n", 0600);
	fails(ERROR_OS, "cannot be run");
	put("#!/no/such/shell\n", 0700);
	fails(ERROR_OS, "cannot be run");
}

/* A daemon that it has started keeps the pipe: nobody waits for that. */
static void test_a_command_may_leave_something_running(void **state)
{
	char script[512], other[300];

	(void)state;
	snprintf(other, sizeof other, "%s/other", folder);
	assert_int_equal(mkfifo(other, 0600), 0);
	int fifo = open(other, O_RDWR | O_CLOEXEC); /* the one left reads from it until we close it */
	snprintf(script, sizeof script, "#!/bin/sh\ncat %s >&2 &\necho said >&2\nexit 4\n", other);
	command(script);
	fails(ERROR_RETRY, "status 4: said");
	assert_int_equal(write(fifo, "x", 1), 1);
	close(fifo);
}

/* All of it ends, also what the script started: the pipe that they hold is closed by them all. */
static void test_a_command_that_takes_too_long_is_ended_with_all_it_started(void **state)
{
	char script[512], other[300], byte;

	(void)state;
	snprintf(other, sizeof other, "%s/other", folder);
	assert_int_equal(mkfifo(other, 0600), 0);
	int fifo = open(other, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	snprintf(script, sizeof script, "#!/bin/sh\nexec 7>%s\nsleep 1000 &\nsleep 1000\n", other);
	command(script);
	reload.wait_ms = 300;
	fails(ERROR_RETRY, "did not end within 0.3 s");
	fcntl(fifo, F_SETFL, 0);
	assert_int_equal(read(fifo, &byte, 1), 0); /* comes back when nobody can write any more */
	close(fifo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_form_is_read, fresh, gone),
		cmocka_unit_test_setup_teardown(test_anything_else_is_refused_with_what_is_accepted, fresh, gone),
		cmocka_unit_test_setup_teardown(test_without_a_port_no_trap_is_sent, fresh, gone),
		cmocka_unit_test_setup_teardown(test_the_process_of_the_pidfile_is_told, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_process_that_is_no_opensm_is_left_alone, fresh, gone),
		cmocka_unit_test_setup_teardown(test_an_opensm_that_does_not_take_the_signal_yet_is_left_alone, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_a_pidfile_of_a_process_that_ended_is_said, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_pidfile_without_a_number_is_refused, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_console_is_told_to_sweep_and_left, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_busy_console_is_tried_again_and_nobody_is_thrown_out, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_what_is_no_console_gets_no_command, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_that_is_not_taken_is_no_reload, fresh, gone),
		cmocka_unit_test_setup_teardown(test_no_console_is_said_with_how_to_have_one, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_gets_no_credentials_and_no_arguments, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_has_the_signals_of_a_shell, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_that_fails_says_why_in_one_line, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_that_cannot_be_run_is_said, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_may_leave_something_running, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_command_that_takes_too_long_is_ended_with_all_it_started, fresh,
						gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
