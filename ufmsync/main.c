/* ufmsyncd: joins Kubernetes pods to InfiniBand partitions. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/net/loop.h"
#include "ufmsync/config.h"
#include "ufmsync/service.h"

enum { EXIT_USAGE = 2 };

static void usage(FILE *out)
{
	fputs("ufmsyncd " UFMSYNC_VERSION " - joins Kubernetes pods to InfiniBand partitions\n\n"
	      "usage: ufmsyncd [--SETTING=VALUE ...]\n"
	      "       ufmsyncd --print-config [--SETTING=VALUE ...]   effective settings and where each came from\n"
	      "       ufmsyncd --help | --version\n\n"
	      "Each setting is an environment variable or a flag of the same words; a mounted Secret\n"
	      "(UFMSYNC_SECRET_DIR) wins over the environment, a flag over both.\n\n",
	      out);
	settings_help(out);
	fputs("\nexit codes: 0 stopped, 1 failed, 2 bad setting\n", out);
}

/* Takes `word` out of the arguments: true when it was there. */
static bool take_argument(int *argc, char **argv, const char *word)
{
	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], word) == 0) {
			memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
			(*argc)--;
			return true;
		}
	return false;
}

static void on_signal(void *aux, int signo)
{
	(void)signo;
	service_stop(aux);
}

static int serve(const struct config *config)
{
	struct error err = { 0 };
	struct loop *loop = NULL;
	struct service *service = NULL;

	if (loop_new(&loop, &err) < 0 || service_new(&service, loop, config, &err) < 0) {
		log_say(LOG_ERROR, "START_FAILED", NULL, "%s", err.text);
		loop_free(loop);
		return err.kind == ERROR_INVALID ? EXIT_USAGE : EXIT_FAILURE;
	}
	loop_on_signal(loop, SIGTERM, on_signal, service);
	loop_on_signal(loop, SIGINT, on_signal, service);
	loop_run(loop);
	service_free(service);
	loop_free(loop);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	bool print = take_argument(&argc, argv, "--print-config");
	struct config config;
	struct error err = { 0 };

	if (take_argument(&argc, argv, "--help") || take_argument(&argc, argv, "-h")) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (take_argument(&argc, argv, "--version")) {
		puts("ufmsyncd " UFMSYNC_VERSION);
		return EXIT_SUCCESS;
	}
	struct settings_source source = { .argc = argc, .argv = argv, .environ = environ };
	if (config_load(&config, &source, &err) < 0) {
		fprintf(stderr, "ufmsyncd: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (print) {
		settings_print(config.settings, stdout);
		config_free(&config);
		return EXIT_SUCCESS;
	}
	log_init("ufmsyncd", config.log_format, config.log_level);
	log_say(LOG_INFO, "STARTED", LOG_FIELDS({ "version", UFMSYNC_VERSION }), "ufmsyncd starts");
	for (size_t i = 0; settings_notice(config.settings, i); i++)
		log_say(LOG_WARN, "SETTING", NULL, "%s", settings_notice(config.settings, i));
	signal(SIGPIPE, SIG_IGN);
	int code = serve(&config);
	config_free(&config);
	return code;
}
