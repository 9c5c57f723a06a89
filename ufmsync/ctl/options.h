#pragma once

#include "ufmsync/ctl/command.h"

/* The command line.  Names follow kubectl: --flag=VALUE and --flag VALUE, -n VALUE, -nVALUE, -Aw; a bool takes =true and
 * =false; "--" ends flags.  Common flags may stand before and behind the command, its own ones behind. */

enum ctl_option {
	OPTION_NAMESPACE,
	OPTION_ALL_NAMESPACES,
	OPTION_OUTPUT,
	OPTION_NO_HEADERS,
	OPTION_WATCH,
	OPTION_KUBECONFIG,
	OPTION_CONTEXT,
	OPTION_SERVICE_NAMESPACE,
	OPTION_REQUEST_TIMEOUT,
	OPTION_SERVER,
	OPTION_CA,
	OPTION_TOKEN_FILE,
	OPTION_TLS_SERVER_NAME,
	OPTION_DIRECT,
	OPTION_HELP,
	OPTION_COUNT,
};

struct ctl_option_row {
	char letter; /* 'n'; 0: none */
	struct ctl_flag flag;
};
extern const struct ctl_option_row ctl_options[OPTION_COUNT];

/* Fills ctl->command (NULL: none was named), options, flags and arguments; argv must live as long as *ctl, whose argv is
 * freed by ctl_options_free().  *help: -h was given, and nothing else was checked.  ERROR_INVALID names what is wrong and
 * what may have been meant. */
int ctl_options_parse(struct ctl *ctl, bool *help, int argc, char **argv, const struct ctl_command *const *commands,
		      struct error *err);
void ctl_options_free(struct ctl *ctl);

/* What of `names` (ends with NULL) may have been meant by `word`; NULL: none of them looks like it. */
const char *ctl_nearest(const char *word, const char *const *names);
