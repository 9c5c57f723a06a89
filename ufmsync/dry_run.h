#pragma once

#include "base/error.h"
#include "ufmsync/config.h"

/* ufmsyncd --dry-run: reads what a service that starts now would read, lets the engine decide in a copy of it
 * (what_if.h), prints what it would do on stdout, and ends.  It changes nothing, and could not: no Lease is taken, no port
 * opened, and the HTTP client of this process sends nothing but GET from its first call on.  Progress and errors go to
 * stderr. */

enum dry_run_form { DRY_RUN_TABLE, DRY_RUN_JSON };
enum { DRY_RUN_NOTHING = 0, DRY_RUN_FAILED = 1, DRY_RUN_USAGE = 2, DRY_RUN_CHANGES = 4 };

int dry_run(const struct config *config, enum dry_run_form form); /* one of these: the exit code */
