#pragma once

#include "base/buf.h"
#include "cni/plugin/cni_error.h"

/* Runs another CNI plugin with the same environment. */

enum { DELEGATE_OUTPUT_MAX = 1 << 20 };

struct delegate_result {
	struct buf output; /* its stdout, result or error, unchanged */
	int status;        /* exit status; 128 + signal when it was killed by one */
	int signal;        /* which killed it; 0: none */
};

/* The binary `type` in one of the folders of `path` (CNI_PATH): an executable file, and not this very program.  NULL and
 * CNI_NO_DELEGATE, naming where it was looked for.  To be freed. */
char *delegate_find(const char *type, const char *path, struct cni_error *err);
/* `command`: NULL, or another CNI_COMMAND than ours ("DEL", to undo).  Its stderr is ours; no other descriptor reaches it.
 * An error only when it could not be run (CNI_NO_DELEGATE), or said more than allowed (CNI_IO_FAILURE); what it says itself
 * is in the result.  It may take as long as it likes: the container runtime has a deadline.  Descriptors 0 to 2 must be
 * open, SIGPIPE ignored and SIGCHLD not; the delegate gets SIGPIPE as it is by default. */
int delegate_run(struct delegate_result *result, const char *binary, const char *command, const char *config,
		 struct cni_error *err);
void delegate_result_free(struct delegate_result *result);
