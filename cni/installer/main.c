/* ufmsync-cni-install: puts the CNI plugin, and what it needs to reach the service, on the node it runs on. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cni/installer/install.h"

enum { EXIT_USAGE = 2, OTHERS = 077 };

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Only where resolve() lets it through: no file is in flight, so nothing is left to be done. */
static void end(int signo)
{
	(void)signo;
	_exit(EXIT_SUCCESS);
}

/* SIGTERM and SIGINT wait until the file being written is in its place.  A handler must be there in any case: the first
 * process of a container has no default one. */
static void hold_signals(sigset_t *held)
{
	const struct sigaction action = { .sa_handler = end };

	sigemptyset(held);
	sigaddset(held, SIGTERM);
	sigaddset(held, SIGINT);
	sigprocmask(SIG_BLOCK, held, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* True: we are to end. */
static bool wait_for(const sigset_t *held, int64_t ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	return sigtimedwait(held, NULL, &time) > 0;
}

static int install(const struct options *options, const sigset_t *held)
{
	struct installer *installer = installer_new(options);
	bool well = installer_pass(installer, now_ms());

	while (options->how == OPTIONS_FOREVER && !wait_for(held, options->interval_ms))
		well = installer_pass(installer, now_ms());
	installer_free(installer);
	return well || options->how == OPTIONS_FOREVER ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct options *options, const sigset_t *held)
{
	switch (options->how) {
	case OPTIONS_HELP:
		options_help(stdout);
		return EXIT_SUCCESS;
	case OPTIONS_VERSION:
		puts("ufmsync-cni-install " UFMSYNC_VERSION);
		return EXIT_SUCCESS;
	case OPTIONS_CHECK:
		return installer_check(options, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
	case OPTIONS_FOREVER:
	case OPTIONS_ONCE:
		break;
	}
	log_init("ufmsync-cni-install", options->log_format, options->log_level);
	log_say(LOG_INFO, "STARTED", LOG_FIELDS({ "version", UFMSYNC_VERSION }, { "node", options->text[OPTION_NODE] }),
		"ufmsync-cni-install starts");
	int code = install(options, held);
	log_say(LOG_INFO, "STOPPED", NULL, "ufmsync-cni-install ends");
	return code;
}

int main(int argc, char **argv)
{
	sigset_t held;
	struct options options;
	struct error err = { 0 };

	(void)argc;
	umask(OTHERS);
	hold_signals(&held);
	if (options_parse(&options, (const char *const *)argv, (const char *const *)environ, &err) < 0) {
		fprintf(stderr, "ufmsync-cni-install: %s\n", err.text);
		return EXIT_USAGE;
	}
	int code = run(&options, &held);
	options_free(&options);
	return code;
}
