#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "ufmsync/setup/plan.h"

/* What the setup is told: a flag, else the environment variable of the same words, else the default.  Pure. */

enum setup_option {
	SETUP_OPTION_NAMESPACE,
	SETUP_OPTION_ONLY,
	SETUP_OPTION_SERVICE,
	SETUP_OPTION_CLUSTER_DOMAIN,
	SETUP_OPTION_NAMES,
	SETUP_OPTION_DAYS,
	SETUP_OPTION_INTERVAL,
	SETUP_OPTION_TIMEOUT,
	SETUP_OPTION_KUBECONFIG,
	SETUP_OPTION_LOG_LEVEL,
	SETUP_OPTION_LOG_FORMAT,
	SETUP_OPTION_COUNT
};

enum setup_how {
	SETUP_ONCE,
	SETUP_STAY,    /* look again every interval until SIGTERM */
	SETUP_CHECK,   /* change nothing, show everything: is it as it should be? */
	SETUP_DRY_RUN, /* change nothing, say what would be done */
	SETUP_HELP,
	SETUP_VERSION,
};

struct setup_options {
	enum setup_how how;
	const char *text
		[SETUP_OPTION_COUNT]; /* borrowed from the arguments and the environment; NULL: not set, no default */
	struct setup_wish wish;
	char **names; /* of the wish; owned */
	int64_t interval_ms, timeout_ms;
	enum log_level log_level;
	enum log_format log_format;
};

/* Both lists end with NULL; argv[0] is skipped.  ERROR_INVALID names option, value and what is accepted; an unknown
 * flag or UFMSYNC_SETUP_ variable is one.  After a failure there is nothing to be freed. */
int setup_options_parse(struct setup_options *options, const char *const *argv, const char *const *environ,
			struct error *err);
void setup_options_free(struct setup_options *options);

void setup_options_help(FILE *out);
