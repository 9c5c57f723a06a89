#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/credential.h"

enum { OUTPUT_MAX = 1 << 20, ARGUMENTS_MAX = 256 };

static const char *const versions[] = { "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1" };

static int check_version(const json_t *exec, struct error *err)
{
	const char *version = json_str(exec, "apiVersion", NULL);

	for (size_t i = 0; version && i < array_length(versions); i++)
		if (strcmp(versions[i], version) == 0)
			return 0;
	return error_set(err, ERROR_INVALID, "exec.apiVersion: %s or v1beta1 is expected", versions[0]);
}

/* Where it may ask somebody, as its user says; *interactive: it may. */
static int check_terminal(const json_t *exec, bool *interactive, struct error *err)
{
	const char *mode = json_str(exec, "interactiveMode", NULL);

	*interactive = isatty(STDIN_FILENO) && !(mode && strcmp(mode, "Never") == 0);
	if (mode && strcmp(mode, "Always") == 0 && !*interactive)
		return error_set(err, ERROR_AUTH, "it has to ask somebody, and standard input is no terminal");
	return 0;
}

/* --- what it is started with ------------------------------------------------------------------------------------ */

static void free_texts(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		mem_wipe_free(texts[i]);
	free(texts);
}

static char **arguments_of(const json_t *exec, const char *command)
{
	const json_t *args = json_object_get(exec, "args");
	size_t n = json_array_size(args) < ARGUMENTS_MAX ? json_array_size(args) : ARGUMENTS_MAX, at = 0;
	char **argv = mem_array(n + 2, sizeof *argv);

	argv[at++] = mem_dup(command);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_str(json_array_get(args, i), NULL);
		if (text)
			argv[at++] = mem_dup(text);
	}
	return argv;
}

/* Ours, those of the kubeconfig, and what it is asked. */
static char **environment_of(const json_t *exec, bool interactive)
{
	const json_t *own = json_object_get(exec, "env");
	size_t n = 0, at = 0;

	while (environ[n])
		n++;
	char **environment = mem_array(n + json_array_size(own) + 2, sizeof *environment);
	char *request = credential_request(exec, interactive);
	/* The first of a name is the one that counts. */
	environment[at++] = mem_printf("KUBERNETES_EXEC_INFO=%s", request);
	for (size_t i = 0; i < json_array_size(own); i++) {
		const char *name = json_str(json_array_get(own, i), "name", NULL);
		const char *value = json_str(json_array_get(own, i), "value", NULL);
		if (name && *name && !strchr(name, '='))
			environment[at++] = mem_printf("%s=%s", name, value ? value : "");
	}
	for (size_t i = 0; i < n; i++)
		environment[at++] = mem_dup(environ[i]);
	free(request);
	return environment;
}

/* As kubectl has it: with a slash it is a file, relative to the kubeconfig; else it is looked for in PATH. */
static char *command_path(const char *command, const char *folder)
{
	if (command[0] == '/' || !strchr(command, '/'))
		return mem_dup(command);
	return mem_printf("%s/%s", folder, command);
}

/* --- running ---------------------------------------------------------------------------------------------------- */

static int spawn(pid_t *pid, const char *path, char **argv, char **environment, bool interactive, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	if (!interactive)
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	int why = posix_spawnp(pid, path, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return why;
}

static int read_all(int fd, struct buf *output, struct error *err)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, "read");
		if (!buf_append(output, bytes, (size_t)n))
			return error_set(err, ERROR_LIMIT, "it printed more than 1 MiB");
	}
	explicit_bzero(bytes, sizeof bytes);
	return 0;
}

static int wait_for(pid_t pid, const json_t *exec, struct error *err)
{
	const char *hint = json_str(exec, "installHint", NULL);
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set_errno(err, "wait");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && hint)
		return error_set(err, ERROR_INVALID, "it cannot be started; %.200s", hint);
	if (WIFEXITED(status))
		return error_set(err, ERROR_AUTH, "it failed with exit code %d", WEXITSTATUS(status));
	return error_set(err, ERROR_AUTH, "signal %d ended it", WTERMSIG(status));
}

static int run(const json_t *exec, const char *path, bool interactive, struct buf *output, struct error *err)
{
	char **argv = arguments_of(exec, path), **environment = environment_of(exec, interactive);
	int pipes[2], status;
	pid_t pid;

	if (pipe(pipes) < 0) {
		status = error_set_errno(err, "pipe");
	} else {
		int why = spawn(&pid, path, argv, environment, interactive, pipes[1]);
		close(pipes[1]);
		if (why != 0) {
			const char *hint = json_str(exec, "installHint", NULL);
			status = error_set(err, ERROR_INVALID, "it cannot be started: %s%s%.200s", strerror(why),
					   hint ? "; " : "", hint ? hint : "");
		} else {
			status = read_all(pipes[0], output, err);
			close(pipes[0]);
			pipes[0] = -1;
			struct error ended = { 0 };
			if (wait_for(pid, exec, &ended) < 0 && status == 0) {
				*err = ended;
				status = -1;
			}
		}
		if (pipes[0] >= 0)
			close(pipes[0]);
	}
	free_texts(argv);
	free_texts(environment);
	return status;
}

int credential_fill(json_t *user, const char *folder, int64_t *until_ms, struct error *err)
{
	const json_t *exec = json_object_get(user, "exec");
	const char *command = json_str(exec, "command", NULL);
	bool interactive;
	struct buf output;

	if (!command || !*command)
		return error_set(err, ERROR_INVALID, "exec.command: not set");
	/* Kept beyond `exec`, which goes. */
	__attribute__((cleanup(mem_freep))) char *path = command_path(command, folder);
	buf_init(&output, OUTPUT_MAX);
	int status = check_version(exec, err);
	if (status == 0)
		status = check_terminal(exec, &interactive, err);
	if (status == 0)
		status = run(exec, path, interactive, &output, err);
	if (status == 0)
		status = credential_take(user, output.data, output.len, until_ms, err);
	if (output.len > 0)
		explicit_bzero(output.data, output.len);
	buf_free(&output);
	return status < 0 ? error_wrap(err, "credential plugin %.200s", path) : 0;
}
