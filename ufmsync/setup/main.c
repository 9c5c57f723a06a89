/* ufmsync-setup: makes what ufmsyncd needs in its namespace, and keeps it fresh. */

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ufmsync/setup/run.h"

struct process {
	struct loop *loop;
	const struct setup_options *options;
	enum setup_exit code;
};

static void on_done(void *aux, enum setup_exit code)
{
	struct process *process = aux;

	process->code = code;
	loop_stop(process->loop);
}

/* Whatever was written was written whole, and the next run goes on from there; but a Job whose pod was evicted must not
 * count as done. */
static void on_signal(void *aux, int signo)
{
	const struct process *process = aux;

	(void)signo;
	on_done(aux, process->options->how == SETUP_STAY ? SETUP_EXIT_DONE : SETUP_EXIT_FAILED);
}

static int serve(const struct setup_options *options, const struct kube_config *config)
{
	struct process process = { .options = options, .code = SETUP_EXIT_FAILED };
	struct error err = { 0 };
	struct kube *kube = NULL;

	if (loop_new(&process.loop, &err) < 0 ||
	    kube_new(&kube, process.loop, config, "ufmsync-setup/" UFMSYNC_VERSION, &err) < 0) {
		log_say(LOG_ERROR, "START_FAILED", NULL, "%s", err.text);
		loop_free(process.loop);
		return err.kind == ERROR_INVALID ? SETUP_EXIT_USAGE : SETUP_EXIT_FAILED;
	}
	loop_on_signal(process.loop, SIGTERM, on_signal, &process);
	loop_on_signal(process.loop, SIGINT, on_signal, &process);
	struct setup_run *run = setup_run_new(process.loop, kube, options, stdout, on_done, &process);
	loop_run(process.loop);
	setup_run_free(run);
	kube_free(kube);
	loop_free(process.loop);
	if (fflush(stdout) != 0 && process.code == SETUP_EXIT_DONE)
		return SETUP_EXIT_FAILED;
	return process.code;
}

static int run(const struct setup_options *options)
{
	struct kube_config *config;
	struct error err = { 0 };

	log_init("ufmsync-setup", options->log_format, options->log_level);
	if (kube_config_load(&config, options->text[SETUP_OPTION_KUBECONFIG], NULL, &err) < 0) {
		log_say(LOG_ERROR, "START_FAILED", NULL, "%s", err.text);
		return SETUP_EXIT_USAGE;
	}
	if (config->insecure)
		log_say(LOG_WARN, "KUBE_INSECURE", NULL, "the kubeconfig says insecure-skip-tls-verify");
	int code = serve(options, config);
	kube_config_free(config);
	return code;
}

int main(int argc, char **argv)
{
	struct setup_options options;
	struct error err = { 0 };
	int code = SETUP_EXIT_DONE;

	(void)argc;
	/* Keys come and go through the buffers of libraries too: all memory is overwritten when it is freed. */
	mallopt(M_PERTURB, 0x5a);
	if (setup_options_parse(&options, (const char *const *)argv, (const char *const *)environ, &err) < 0) {
		fprintf(stderr, "ufmsync-setup: %s\n", err.text);
		return SETUP_EXIT_USAGE;
	}
	if (options.how == SETUP_HELP)
		setup_options_help(stdout);
	else if (options.how == SETUP_VERSION)
		puts("ufmsync-setup " UFMSYNC_VERSION);
	else
		code = run(&options);
	setup_options_free(&options);
	return code;
}
