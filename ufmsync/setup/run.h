#pragma once

#include <stdio.h>

#include "base/net/loop.h"
#include "ufmsync/kube/client.h"
#include "ufmsync/setup/options.h"

/* Reads, decides, writes, and reads again, until all is as it should be.  Reports what it does to the log, and with
 * --check and --dry-run to `out`. */

enum setup_exit {
	SETUP_EXIT_DONE,
	SETUP_EXIT_FAILED,
	SETUP_EXIT_USAGE,
	SETUP_EXIT_DUE = 4,
};

struct setup_run;
/* Begins at the loop's next turn.  All of these must outlive it.  `done` is called at the end; never with SETUP_STAY. */
struct setup_run *setup_run_new(struct loop *loop, struct kube *kube, const struct setup_options *options, FILE *out,
				void (*done)(void *aux, enum setup_exit code), void *aux);
void setup_run_free(struct setup_run *run); /* at any time; NULL is fine */
