#include "pkey/opensm_reload.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/net/loop.h"
#include "base/utf8.h"
#include "pkey/umad.h"

enum {
	CONSOLE_TRIES = 5,
	CONSOLE_WAIT_MS = 1000,
	CONSOLE_PAUSE_MS = 200,
	COMMAND_WAIT_MS = 30 * 1000,
	COMMAND_LOOK_MS = 10,
	SAID_MAX = 400, /* of a command's stderr, and of the console */
};

/* --- settings --- */

static bool parse_console(struct opensm_reload *reload, const char *text)
{
	const char *colon = strrchr(text, ':');

	if (!colon || colon == text || strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 ||
	    strtoul(colon + 1, NULL, 10) < 1 || strtoul(colon + 1, NULL, 10) > UINT16_MAX)
		return false;
	bool brackets = *text == '[' && colon[-1] == ']';
	reload->target = mem_dup_n(text + brackets, (size_t)(colon - text) - 2 * brackets);
	reload->port = mem_dup(colon + 1);
	return true;
}

static bool parse_path(struct opensm_reload *reload, const char *text)
{
	if (*text != '/')
		return false;
	reload->target = mem_dup(text);
	return true;
}

int opensm_reload_parse(struct opensm_reload *reload, const char *text, struct error *err)
{
	static const struct {
		const char *word;
		enum opensm_reload_way way;
		bool (*target)(struct opensm_reload *reload, const char *text);
	} ways[] = {
		{ "process", OPENSM_RELOAD_PROCESS, NULL },        { "trap", OPENSM_RELOAD_TRAP, NULL },
		{ "pidfile:", OPENSM_RELOAD_PIDFILE, parse_path }, { "console:", OPENSM_RELOAD_CONSOLE, parse_console },
		{ "command:", OPENSM_RELOAD_COMMAND, parse_path },
	};

	*reload = (struct opensm_reload){ 0 };
	for (size_t i = 0; i < array_length(ways); i++) {
		size_t n = strlen(ways[i].word);
		if (strncmp(text, ways[i].word, n) != 0)
			continue;
		reload->way = ways[i].way;
		if (ways[i].target ? ways[i].target(reload, text + n) : text[n] == '\0')
			return 0;
	}
	return error_set(err, ERROR_INVALID,
			 "\"%.64s\": process, pidfile:/PATH, console:HOST:PORT, trap or command:/PATH", text);
}

void opensm_reload_free(struct opensm_reload *reload)
{
	free(reload->target);
	free(reload->port);
	*reload = (struct opensm_reload){ 0 };
}

/* --- a signal --- */

static size_t read_small(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Named opensm, and no zombie: "PID (opensm) S ..." */
static bool is_opensm(pid_t pid)
{
	char path[64], stat[256];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	read_small(path, stat, sizeof stat);
	const char *name = strchr(stat, '('), *end = strrchr(stat, ')');
	return name && end && end - name == 7 && memcmp(name, "(opensm)", 8) == 0 && strlen(end) > 2 && end[2] != 'Z' &&
	       end[2] != 'X';
}

/* Without a handler it would end by the signal: an OpenSM that has only just begun, or a script of its name around it. */
static bool takes_hangup(pid_t pid)
{
	char path[64], status[4096];

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	read_small(path, status, sizeof status);
	const char *caught = strstr(status, "\nSigCgt:");
	return caught && strtoull(caught + strlen("\nSigCgt:"), NULL, 16) & 1ull << (SIGHUP - 1);
}

/* The descriptor holds on to the process: its number cannot become another's between look and signal. */
static int send_signal(pid_t pid, int signo, struct error *err)
{
	int fd = pidfd_open(pid, 0);
	int result = 0;

	if (fd < 0)
		return error_set(err, ERROR_GONE, "process %d is gone", (int)pid);
	if (!is_opensm(pid))
		result = error_set(err, ERROR_GONE, "process %d is no opensm", (int)pid);
	else if (!takes_hangup(pid))
		result = error_set(err, ERROR_GONE, "process %d does not take SIGHUP: OpenSM is only starting?",
				   (int)pid);
	else if (pidfd_send_signal(fd, signo, NULL, 0) < 0)
		result =
			errno == ESRCH
				? error_set(err, ERROR_GONE, "process %d is gone", (int)pid)
				: error_set(
					  err, ERROR_AUTH,
					  "process %d may not be signalled: %s; run as its user, or with CAP_KILL, and "
					  "not confined by AppArmor or SELinux",
					  (int)pid, strerror(errno));
	close(fd);
	return result;
}

/* All that there are: several may share one file. */
static int signal_all(int signo, struct error *err)
{
	DIR *proc = opendir("/proc");
	unsigned told = 0;
	int result = 0;

	if (!proc)
		return error_set_errno(err, "/proc");
	for (const struct dirent *entry; (entry = readdir(proc));) {
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
		struct error one;
		if (pid <= 0 || !is_opensm(pid))
			continue;
		if (send_signal(pid, signo, &one) == 0) {
			told++;
		} else if (one.kind == ERROR_AUTH) {
			*err = one;
			result = -1;
		}
	}
	closedir(proc);
	if (result == 0 && !told)
		return error_set(
			err, ERROR_GONE,
			"no process named opensm is seen from here (shareProcessNamespace or hostPID, or another "
			"OPENSM_RELOAD)");
	return result;
}

static int signal_by_file(const char *path, int signo, struct error *err)
{
	char text[32], *end;

	if (read_small(path, text, sizeof text) == 0)
		return error_set(err, ERROR_GONE, "%s cannot be read, or is empty; is OpenSM running?", path);
	long pid = strtol(text, &end, 10);
	if (end == text || (*end && !isspace((unsigned char)*end)) || pid <= 1 || pid > INT32_MAX)
		return error_set(err, ERROR_INVALID, "%s holds no process number", path);
	return send_signal((pid_t)pid, signo, err) < 0 ? error_wrap(err, "%s", path) : 0;
}

/* --- the console --- */

static int connect_console(const struct opensm_reload *reload, int64_t wait_ms, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	int fd = -1, wrong = getaddrinfo(reload->target, reload->port, &hints, &found);

	if (wrong)
		return error_set(err, ERROR_RETRY, "console %s: %s", reload->target, gai_strerror(wrong));
	for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		struct pollfd ready = { .fd = fd, .events = POLLOUT };
		int failure = 0;
		socklen_t size = sizeof failure;
		bool connected = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ||
				 (errno == EINPROGRESS && poll(&ready, 1, (int)wait_ms) == 1 &&
				  getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0);
		if (!connected) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd >= 0 ? fd
		       : error_set(err, ERROR_GONE, "OpenSM's console at %s port %s does not answer (-q loopback?)",
				   reload->target, reload->port);
}

/* Reads until it says one of two things; which, or 0 when it says neither in time. */
static int listen_for(int fd, int64_t wait_ms, const char *one, const char *other)
{
	char said[SAID_MAX * 4] = "";
	size_t len = 0;
	int64_t deadline = loop_now_ms() + wait_ms, left;

	while ((left = deadline - loop_now_ms()) > 0 && len + 1 < sizeof said) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		if (poll(&ready, 1, (int)left) != 1)
			continue;
		ssize_t n = read(fd, said + len, sizeof said - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		said[len] = '\0';
		if (strstr(said, one))
			return 1;
		if (strstr(said, other))
			return 2;
	}
	return 0;
}

static int resweep(const struct opensm_reload *reload, struct error *err)
{
	static const char prompt[] = "OpenSM $", busy[] = "already in use", words[] = "resweep heavy\n",
			  quit[] = "quit\n";
	int64_t wait_ms = reload->wait_ms ? reload->wait_ms : CONSOLE_WAIT_MS;
	int fd = connect_console(reload, wait_ms, err);

	if (fd < 0)
		return -1;
	int result = 0;
	switch (listen_for(fd, wait_ms, busy, prompt)) {
	case 1:
		result = error_set(err, ERROR_RETRY, "OpenSM's console is in use by somebody else");
		break;
	case 2:
		/* The next prompt says that it was taken. */
		if (send(fd, words, sizeof words - 1, MSG_NOSIGNAL) < 0 || listen_for(fd, wait_ms, prompt, "\1") != 1)
			result = error_set(err, ERROR_RETRY, "OpenSM's console does not take the command");
		else
			(void)!send(fd, quit, sizeof quit - 1, MSG_NOSIGNAL);
		break;
	default:
		result = error_set(err, ERROR_RETRY, "OpenSM's console says nothing that OpenSM says");
	}
	close(fd);
	return result;
}

static int resweep_patiently(const struct opensm_reload *reload, struct error *err)
{
	for (int i = 0;; i++) {
		if (resweep(reload, err) == 0)
			return 0;
		if (err->kind != ERROR_RETRY || i + 1 == CONSOLE_TRIES)
			return -1;
		struct timespec pause = { .tv_nsec = CONSOLE_PAUSE_MS * 1000 * 1000 };
		nanosleep(&pause, NULL);
	}
}

/* --- a command --- */

static bool has_ended(pid_t child)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

/* What it says on stderr, until it ends or the deadline; what it has left running may hold the pipe for longer. */
static void hear(int fd, pid_t child, char said[SAID_MAX], int64_t deadline)
{
	size_t len = 0;
	char rest[512];
	bool ended = false;

	while (loop_now_ms() < deadline) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		if (poll(&ready, 1, ended ? 0 : COMMAND_LOOK_MS) != 1) {
			if (ended)
				break;
			ended = has_ended(child); /* then once more: it may have spoken in between */
			continue;
		}
		bool room = len + 1 < SAID_MAX;
		ssize_t n = room ? read(fd, said + len, SAID_MAX - 1 - len) : read(fd, rest, sizeof rest);
		if (n <= 0)
			break;
		len += room ? (size_t)n : 0;
	}
	said[len] = '\0';
	while (len > 0 && isspace((unsigned char)said[len - 1]))
		said[--len] = '\0';
}

/* The whole group: what a script has started ends with it. */
static int reap(pid_t child, int64_t deadline, int *status)
{
	while (waitpid(child, status, WNOHANG) == 0) {
		struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
		if (loop_now_ms() > deadline) {
			kill(-child, SIGKILL);
			waitpid(child, status, 0);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Signals as a shell would have them: this one's thread blocks or ignores some. */
static void ordinary_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, pipe;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &pipe);
	posix_spawnattr_setpgroup(attributes, 0);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int start_command(const char *path, int err_fd, pid_t *child)
{
	char *argv[] = { (char *)(uintptr_t)path, NULL };
	/* Our own environment holds credentials. */
	char *environment[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, err_fd, 2);
	posix_spawnattr_init(&attributes);
	ordinary_signals(&attributes);
	int result = posix_spawn(child, path, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return result;
}

static int run_command(const char *path, int64_t wait_ms, struct error *err)
{
	int64_t deadline = loop_now_ms() + wait_ms;
	char said[SAID_MAX] = "";
	int pipe_fds[2], status = 0;
	pid_t child;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set_errno(err, "pipe");
	int wrong = start_command(path, pipe_fds[1], &child);
	close(pipe_fds[1]);
	if (wrong) {
		close(pipe_fds[0]);
		errno = wrong;
		return error_set_errno(err, "%s cannot be run", path);
	}
	hear(pipe_fds[0], child, said, deadline);
	close(pipe_fds[0]);
	if (reap(child, deadline, &status) < 0)
		return error_set(err, ERROR_RETRY, "%s did not end within %.3g s", path, (double)wait_ms / 1000);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	utf8_one_line(said);
	return error_set(err, ERROR_RETRY, "%s ended with %s %d%s%s", path, WIFEXITED(status) ? "status" : "signal",
			 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), *said ? ": " : "", said);
}

int opensm_reload_now(const struct opensm_reload *reload, struct fabric *fabric, struct error *err)
{
	switch (reload->way) {
	case OPENSM_RELOAD_PROCESS:
		return signal_all(SIGHUP, err);
	case OPENSM_RELOAD_PIDFILE:
		return signal_by_file(reload->target, SIGHUP, err);
	case OPENSM_RELOAD_CONSOLE:
		return resweep_patiently(reload, err);
	case OPENSM_RELOAD_TRAP:
		return fabric ? fabric_trap(fabric, err)
			      : error_set(err, ERROR_GONE, "no InfiniBand port to send a trap from");
	case OPENSM_RELOAD_COMMAND:
		return run_command(reload->target, reload->wait_ms ? reload->wait_ms : COMMAND_WAIT_MS, err);
	}
	return error_set(err, ERROR_INVALID, "no such way to reload");
}

int opensm_reload_check(const struct opensm_reload *reload, struct error *err)
{
	switch (reload->way) {
	case OPENSM_RELOAD_PROCESS:
		return signal_all(0, err);
	case OPENSM_RELOAD_PIDFILE:
		return signal_by_file(reload->target, 0, err);
	case OPENSM_RELOAD_COMMAND:
		return faccessat(AT_FDCWD, reload->target, X_OK, AT_EACCESS) < 0
			       ? error_set_errno(err, "%s cannot be run", reload->target)
			       : 0;
	case OPENSM_RELOAD_CONSOLE: /* one client at a time, whose commands collide */
	case OPENSM_RELOAD_TRAP:
		break;
	}
	return 0;
}
