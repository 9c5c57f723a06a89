#pragma once

#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"

/* Options of a small program: a flag, else the environment variable of the same words, else a default.  Pure.  Values are
 * kept in `text`, one a row of the table, borrowed from the arguments and the environment; NULL: not set. */

struct flag {
	const char *name, *variable; /* --name, and VARIABLE */
	const char *otherwise;       /* default; NULL: none */
	const char *accepted, *help; /* for people */
};

struct flags {
	const struct flag *table;
	size_t n;
	/* Of our variables: an unknown one that begins so is an error, but what Kubernetes itself makes for a Service of that
	 * name (PREFIX_SERVICE_..., PREFIX_PORT...). */
	const char *prefix;
};

/* --name=VALUE or --name VALUE at argv[0]: how many arguments that were; -1 and ERROR_INVALID when it is none of ours.
 * argv ends with NULL. */
int flags_take(const struct flags *flags, const char *const *argv, const char **text, struct error *err);
/* What no flag has set; `environ` ends with NULL.  Then the defaults.  An empty value is "not set", wherever it is from. */
int flags_read_environment(const struct flags *flags, const char *const *environ, const char **text, struct error *err);
/* -1 and ERROR_INVALID: names flag, variable, value and what is accepted. */
int flags_refuse(const struct flag *flag, const char *value, struct error *err);
/* "auto", "text" or "json", as every program of ours takes it. */
int flags_read_log_format(const struct flag *flag, const char *value, enum log_format *format, struct error *err);
/* Two lines each, for --help. */
void flags_print(const struct flags *flags, FILE *out);
