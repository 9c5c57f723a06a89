#include "cni/plugin/delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* --- finding it --------------------------------------------------------------------------------------------------- */

static bool is_this_program(const struct stat *file)
{
	struct stat self;

	return stat("/proc/self/exe", &self) == 0 && self.st_dev == file->st_dev && self.st_ino == file->st_ino;
}

/* NULL: it can be run. */
static const char *check_binary(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? "" : strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	if (access(path, X_OK) < 0)
		return "not executable";
	return is_this_program(&st) ? "is this plugin itself" : NULL;
}

char *delegate_find(const char *type, const char *path, struct cni_error *err)
{
	char reason[300] = "";

	for (const char *folder = path; *folder;) {
		size_t n = strcspn(folder, ":");
		char *binary = n > 0 ? mem_printf("%.*s/%s", (int)n, folder, type) : NULL;
		const char *problem = binary ? check_binary(binary) : "";
		if (!problem)
			return binary;
		if (*problem && !*reason)
			snprintf(reason, sizeof reason, " (%s: %s)", binary, problem);
		free(binary);
		folder += n + (folder[n] == ':');
	}
	cni_fail(err, CNI_NO_DELEGATE, "the plugin %s is not in CNI_PATH=%.200s%s", type, path, reason);
	cni_fail_details(err, "Install %s on this node, or correct \"delegate\" in the network definition", type);
	return NULL;
}

/* --- running it --------------------------------------------------------------------------------------------------- */

/* A pipe end is ours: the other end goes to the child, and is closed here once it is started. */
struct pipes {
	int to_child[2], from_child[2]; /* read end, write end; -1: closed */
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void pipes_close(struct pipes *pipes)
{
	for (int i = 0; i < 2; i++) {
		close_end(&pipes->to_child[i]);
		close_end(&pipes->from_child[i]);
	}
}

static bool pipes_open(struct pipes *pipes)
{
	*pipes = (struct pipes){ { -1, -1 }, { -1, -1 } };
	return pipe2(pipes->to_child, O_CLOEXEC) == 0 && pipe2(pipes->from_child, O_CLOEXEC) == 0 &&
	       fcntl(pipes->to_child[1], F_SETFL, O_NONBLOCK) == 0 &&
	       fcntl(pipes->from_child[0], F_SETFL, O_NONBLOCK) == 0;
}

/* Our environment, with CNI_COMMAND=`command` in it.  Only the array and *assignment are to be freed. */
static char **environment_with(const char *command, char **assignment)
{
	size_t n = 0;

	while (environ[n])
		n++;
	char **copy = mem_array(n + 2, sizeof *copy);
	*assignment = mem_printf("CNI_COMMAND=%s", command);
	copy[0] = *assignment;
	for (size_t i = 0, used = 1; i < n; i++)
		if (strncmp(environ[i], "CNI_COMMAND=", strlen("CNI_COMMAND=")) != 0)
			copy[used++] = environ[i];
	return copy;
}

/* An errno; 0: *child runs. */
static int spawn(pid_t *child, const char *binary, char **variables, const struct pipes *pipes)
{
	char *const argv[] = { (char *)binary, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	int why = posix_spawn_file_actions_adddup2(&actions, pipes->to_child[0], STDIN_FILENO);
	if (why == 0)
		why = posix_spawn_file_actions_adddup2(&actions, pipes->from_child[1], STDOUT_FILENO);
	if (why == 0)
		why = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (why == 0)
		why = posix_spawnattr_setsigdefault(&attributes, &defaults);
	if (why == 0)
		why = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	if (why == 0)
		why = posix_spawn(child, binary, &actions, &attributes, argv, variables);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return why;
}

/* Closes the descriptor once all is written, or nobody reads. */
static void write_some(int *fd, const char **text, size_t *len)
{
	ssize_t n = *len > 0 ? write(*fd, *text, *len) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n >= 0) {
		*text += n;
		*len -= (size_t)n;
	}
	if (n < 0 || *len == 0)
		close_end(fd);
}

/* Closes the descriptor at its end.  What does not fit is read all the same: a delegate that is stopped half-way would
 * leave half of its work behind. */
static void read_some(int *fd, struct buf *output)
{
	char bytes[16 * 1024];
	ssize_t n = read(*fd, bytes, sizeof bytes);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		close_end(fd);
	else
		buf_append(output, bytes, (size_t)n);
}

/* Both at once, as each side may wait for the other. */
static void converse(struct pipes *pipes, const char *config, struct buf *output)
{
	size_t len = strlen(config);

	while (pipes->to_child[1] >= 0 || pipes->from_child[0] >= 0) {
		/* poll() passes over a descriptor of -1. */
		struct pollfd ends[] = { { .fd = pipes->to_child[1], .events = POLLOUT },
					 { .fd = pipes->from_child[0], .events = POLLIN } };
		if (poll(ends, array_length(ends), -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (ends[0].revents)
			write_some(&pipes->to_child[1], &config, &len);
		if (ends[1].revents)
			read_some(&pipes->from_child[0], output);
	}
}

static int wait_for(pid_t child, struct delegate_result *result, const char *binary, struct cni_error *err)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return cni_fail(err, CNI_IO_FAILURE, "cannot learn how %s ended: %s", binary, strerror(errno));
	result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	result->status = result->signal ? 128 + result->signal : WEXITSTATUS(status);
	return 0;
}

static int start(pid_t *child, const char *binary, const char *command, struct pipes *pipes, struct cni_error *err)
{
	char *assignment = NULL, **variables = command ? environment_with(command, &assignment) : environ;
	int why = pipes_open(pipes) ? spawn(child, binary, variables, pipes) : errno;

	if (command)
		free(variables);
	free(assignment);
	if (why == 0) {
		close_end(&pipes->to_child[0]);
		close_end(&pipes->from_child[1]);
		return 0;
	}
	pipes_close(pipes);
	cni_fail(err, CNI_NO_DELEGATE, "%s cannot be run: %s", binary, strerror(why));
	return cni_fail_details(err,
				"See on this node whether it is a program for this machine and whether processes and "
				"memory are left");
}

int delegate_run(struct delegate_result *result, const char *binary, const char *command, const char *config,
		 struct cni_error *err)
{
	struct pipes pipes;
	pid_t child = -1;

	*result = (struct delegate_result){ .status = -1 };
	buf_init(&result->output, DELEGATE_OUTPUT_MAX);
	if (start(&child, binary, command, &pipes, err) < 0)
		return -1;
	converse(&pipes, config, &result->output);
	pipes_close(&pipes);
	int ended = wait_for(child, result, binary, err);
	if (ended == 0 && result->output.full)
		ended = cni_fail(err, CNI_IO_FAILURE, "%s wrote more than %d bytes", binary, DELEGATE_OUTPUT_MAX);
	if (ended < 0)
		delegate_result_free(result);
	return ended;
}

void delegate_result_free(struct delegate_result *result)
{
	buf_free(&result->output);
}
