#pragma once

#include <stdint.h>

#include "base/error.h"

/* How OpenSM is told to read its partitions anew (OPENSM_RELOAD).  Blocking, bounded: for the loop's worker pool.
 *
 *	process            SIGHUP to the process named opensm; needs to see it (shareProcessNamespace, hostPID)
 *	pidfile:PATH       SIGHUP to the process whose number stands there, if it is an opensm
 *	console:HOST:PORT  "resweep heavy" on OpenSM's console (one client at a time: tried again when busy)
 *	trap               a trap to the subnet manager: any node with a port will do
 *	command:PATH       runs it, without arguments; status 0 is success; its stderr becomes the error; when it takes too
 *	                   long it is killed with all that it started in its process group */
enum opensm_reload_way {
	OPENSM_RELOAD_PROCESS,
	OPENSM_RELOAD_PIDFILE,
	OPENSM_RELOAD_CONSOLE,
	OPENSM_RELOAD_TRAP,
	OPENSM_RELOAD_COMMAND,
};

struct opensm_reload {
	enum opensm_reload_way way;
	char *target; /* owned: PATH or HOST; NULL */
	char *port;   /* owned: of the console */
	/* For each thing that the console says, and for the whole of a command; 0: 1 s, and 30 s. */
	int64_t wait_ms;
};

/* ERROR_INVALID names the text and what is accepted. */
int opensm_reload_parse(struct opensm_reload *reload, const char *text, struct error *err);
void opensm_reload_free(struct opensm_reload *reload);

struct fabric;
/* `fabric`: for the trap only; may be NULL with other ways.  ERROR_GONE: no OpenSM is there; ERROR_RETRY: busy, or no
 * answer; ERROR_AUTH: not allowed to signal it. */
int opensm_reload_now(const struct opensm_reload *reload, struct fabric *fabric, struct error *err);
/* Could it be told?  Nothing is: as far as that shows without disturbing OpenSM. */
int opensm_reload_check(const struct opensm_reload *reload, struct error *err);
