#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"

/* What the node installer is told: a flag, else the environment variable of the same words, else the default.  Pure. */

enum option {
	OPTION_SERVER,
	OPTION_SERVER_NAME,
	OPTION_NODE,
	OPTION_LOG,
	OPTION_TIMEOUT,
	OPTION_CONNECT_TIMEOUT,
	OPTION_PLUGIN,
	OPTION_CA,
	OPTION_TOKEN,
	OPTION_HOST_BIN,
	OPTION_HOST_CONF,
	OPTION_INTERVAL,
	OPTION_RESOLVE_INTERVAL,
	OPTION_LOG_LEVEL,
	OPTION_LOG_FORMAT,
	OPTION_COUNT
};

enum options_how {
	OPTIONS_FOREVER, /* look again every interval until SIGTERM */
	OPTIONS_ONCE,
	OPTIONS_CHECK, /* change nothing: is it as it should be? */
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

struct options {
	enum options_how how;
	bool remove;                    /* not to be there at all is how it should be */
	const char *text[OPTION_COUNT]; /* borrowed from the arguments and the environment; NULL: not set, no default */
	char *host, *port;              /* of OPTION_SERVER, the host without brackets; owned; NULL with `remove` */
	int64_t interval_ms, resolve_ms;
	enum log_level log_level;
	enum log_format log_format;
};

/* Both lists end with NULL; argv[0] is skipped.  ERROR_INVALID names option, value and what is accepted; an unknown
 * flag or UFMSYNC_CNI_ variable is one.  After a failure there is nothing to be freed. */
int options_parse(struct options *options, const char *const *argv, const char *const *environ, struct error *err);
void options_free(struct options *options);

void options_help(FILE *out);
