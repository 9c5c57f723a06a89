/* ufmsyncctl: answers what operators ask about pods, GUIDs and partitions. */

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ufmsync/ctl/options.h"
#include "ufmsync/ctl/print.h"
#include "ufmsync/ctl/usage.h"

enum { WATCH_INTERVAL_MS = 2000 };

/* As its caller knows us: kubectl runs plugins by the name of their file. */
static const char *called_by(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *name = slash ? slash + 1 : argv0;

	return name && strcmp(name, "kubectl-ufmsync") == 0 ? "kubectl ufmsync" : "ufmsyncctl";
}

static void look_at_terminal(struct ctl *ctl)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	ctl->terminal = isatty(STDOUT_FILENO);
	if (!ctl->terminal)
		return;
	ctl->colour = !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
	ctl->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* What the command made, lost on its way, is a failure: silent when a reader left, since it knows. */
static enum ctl_exit written(struct ctl *ctl, enum ctl_exit code)
{
	struct error err = { 0 };
	struct stat status;

	if (fflush(ctl->out) == 0 && !ferror(ctl->out))
		return code;
	bool pipe = fstat(STDOUT_FILENO, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
	if (!pipe) {
		error_set(&err, ERROR_OS, "not all could be written to standard output");
		ctl_fail(ctl, &err);
	}
	return code == CTL_DONE ? CTL_FAILED : code;
}

static enum ctl_exit run(struct ctl *ctl)
{
	ctl_watch_begin(ctl);
	enum ctl_exit code = written(ctl, ctl->command->run(ctl));
	/* Once it has worked, an outage is said and waited for. */
	bool worked = ctl->watch && code == CTL_DONE;
	while (worked && !ferror(ctl->out)) {
		reach_pause(ctl->reach, WATCH_INTERVAL_MS);
		ctl_watch_again(ctl);
		code = written(ctl, ctl->command->run(ctl));
	}
	ctl_watch_end(ctl);
	return code;
}

static enum ctl_exit open_and_run(struct ctl *ctl)
{
	struct error err = { 0 };

	if (ctl->command->local)
		return run(ctl);
	if (reach_open(&ctl->reach, &ctl->reach_options, &err) < 0)
		return ctl_fail(ctl, &err);
	if (!ctl->namespace)
		ctl->namespace = reach_namespace(ctl->reach);
	if (!ctl->namespace)
		ctl->namespace = "default";
	enum ctl_exit code = run(ctl);
	reach_close(ctl->reach);
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .program = called_by(argv[0]), .out = stdout, .err = stderr };
	struct error err = { 0 };
	enum ctl_exit code;
	bool help = false;

	look_at_terminal(&ctl);
	if (ctl_options_parse(&ctl, &help, argc, argv, ctl_commands, &err) < 0) {
		code = ctl_usage(&ctl, "%s", err.text);
	} else if (!ctl.command) {
		ctl_help(help ? stdout : stderr, ctl.program, ctl_commands);
		code = help ? written(&ctl, CTL_DONE) : CTL_USAGE;
	} else if (help) {
		ctl_help_command(stdout, ctl.program, ctl.command);
		code = written(&ctl, CTL_DONE);
	} else {
		code = open_and_run(&ctl);
	}
	ctl_options_free(&ctl);
	return code;
}
