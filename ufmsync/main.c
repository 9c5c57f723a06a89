/* ufmsyncd: joins Kubernetes pods to InfiniBand partitions. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/net/loop.h"
#include "ufmsync/config.h"
#include "ufmsync/dry_run.h"
#include "ufmsync/service.h"

enum { EXIT_USAGE = 2 };

static void usage(FILE *out)
{
	fputs("ufmsyncd " UFMSYNC_VERSION " - joins Kubernetes pods to InfiniBand partitions\n\n"
	      "usage: ufmsyncd [--SETTING=VALUE ...]\n"
	      "       ufmsyncd --print-config [--SETTING=VALUE ...]   effective settings and where each came from\n"
	      "       ufmsyncd --dry-run [-o table|json] [--SETTING=VALUE ...]   what it would do; changes nothing\n"
	      "       ufmsyncd --help | --version\n\n"
	      "Each setting is an environment variable or a flag of the same words; a mounted Secret\n"
	      "(UFMSYNC_SECRET_DIR) wins over the environment, a flag over both.\n\n",
	      out);
	settings_help(out);
	fputs("\nexit codes: 0 stopped, 1 failed, 2 bad setting; with --dry-run 0 nothing would change, 4 something "
	      "would\n",
	      out);
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

/* -o json or -ojson; false: another form, or none. */
static bool take_form(int *argc, char **argv, enum dry_run_form *form)
{
	for (int i = 1; i < *argc; i++) {
		if (strncmp(argv[i], "-o", 2) != 0)
			continue;
		int used = argv[i][2] ? 1 : 2;
		const char *value = used == 1 ? argv[i] + 2 : argv[i + 1];
		if (!value || (strcmp(value, "json") != 0 && strcmp(value, "table") != 0))
			return false;
		*form = strcmp(value, "json") == 0 ? DRY_RUN_JSON : DRY_RUN_TABLE;
		memmove(&argv[i], &argv[i + used], (size_t)(*argc - i - used + 1) * sizeof *argv);
		*argc -= used;
		return true;
	}
	return true;
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
	bool print = take_argument(&argc, argv, "--print-config"), dry = take_argument(&argc, argv, "--dry-run");
	enum dry_run_form form = DRY_RUN_TABLE;
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
	if (dry && !take_form(&argc, argv, &form)) {
		fputs("ufmsyncd: -o: table or json\n", stderr);
		return EXIT_USAGE;
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
	if (dry) {
		int code = dry_run(&config, form);
		config_free(&config);
		return code;
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
