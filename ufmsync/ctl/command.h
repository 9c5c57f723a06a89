#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/table.h"
#include "ufmsync/ctl/reach.h"

/* One file a command; the table of all (commands.c) is what usage, completion and man page are printed from. */

enum ctl_exit { CTL_DONE = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NOT_FOUND = 3, CTL_DIFFERS = 4, CTL_TIMED_OUT = 124 };

enum ctl_format { CTL_TABLE, CTL_WIDE, CTL_JSON, CTL_YAML, CTL_NAME };

enum { CTL_FLAGS_MAX = 8 };

struct ctl {
	const char *program; /* what it was called by: "ufmsyncctl", "kubectl ufmsync" */
	const struct ctl_command *command;
	struct reach_options reach_options;
	struct reach *reach;   /* opened before run(), but for `local` ones */
	const char *namespace; /* -n, else the context's, else "default" */
	bool all_namespaces;
	enum ctl_format format;
	bool no_headers, watch;
	bool yes, dry_run;     /* of those that remove something */
	int64_t timeout_ms;    /* --timeout, of `wait`; 0: not given */
	bool colour, terminal; /* of stdout */
	unsigned width;        /* columns of the terminal; 0: none (a pipe) */
	FILE *out, *err;
	int argc; /* what is left for the command, without its name */
	char **argv;
	const char
		*flags[CTL_FLAGS_MAX]; /* of command->flags: the value, "" for those that take none; NULL: not given */
	struct ctl_watch *seen;        /* what was printed before (print.c) */
};

struct ctl_flag {
	const char *name;  /* "--remove" */
	const char *value; /* "DURATION"; NULL: takes none */
	const char *help;
};

struct ctl_command {
	const char *name, *arguments; /* "pkey", "PKEY" */
	unsigned least, most;         /* how many arguments */
	const char *summary;          /* one line */
	const char *description;      /* some lines, for --help and the man page */
	const struct ctl_flag *flags; /* of its own, ends with {NULL}; NULL: none */
	bool operates;                /* changes something: asks with ufmsync-operator */
	bool local;                   /* asks nobody */
	bool plain;                   /* knows no -o */
	bool named;                   /* knows -o name */
	bool watches;                 /* knows --watch */
	enum ctl_exit (*run)(struct ctl *ctl);
};
extern const struct ctl_command *const ctl_commands[]; /* ends with NULL */

/* --- for commands --- */

/* The value of a flag of the command's own, "" when it takes none; NULL: not given. */
const char *ctl_flag(const struct ctl *ctl, const char *name);

/* One line on stderr: "ufmsyncctl: TEXT"; the exit code that the error's kind means. */
enum ctl_exit ctl_fail(const struct ctl *ctl, const struct error *err);
enum ctl_exit ctl_usage(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Asks on the terminal; true with --yes.  Without a terminal and without --yes: false, and says how to go on. */
bool ctl_confirms(const struct ctl *ctl, const char *question);
