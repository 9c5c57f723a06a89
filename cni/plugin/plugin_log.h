#pragma once

#include <stdint.h>

/* One line a call, where the node file says so (a node's business, never a network definition's):
 *
 *	{"time":"2026-01-02T03:04:05.678Z","command":"ADD","outcome":"attached","container":"0a1b","interface":"net1",
 *	 "pod":"team/job-0","network":"ib","delegate":"ib-sriov","guid":"02:..","pkey":"0x5","waited_ms":812,"took_ms":1450}
 *
 * Never a token: it is in no field. */
struct plugin_log_line {
	int64_t now_ms; /* since 1970 */
	const char *command;
	const char *outcome;
	/* NULL or "": left out. */
	const char *container, *interface, *pod_namespace, *pod_name, *network, *delegate, *guid, *pkey;
	const char *message; /* of an error */
	unsigned code;       /* its code; 0: none */
	int64_t waited_ms;   /* for the service; -1: it was not asked */
	int64_t took_ms;     /* in all */
};

/* Pure: the line with its newline, to be freed. */
char *plugin_log_text(const struct plugin_log_line *line);
/* `destination`: of the node file: NULL (nothing happens), "syslog", or a file that is appended to by one write(2), made
 * with mode 0600, and neither a link nor anything but a regular file.  What cannot be written is said on stderr once and
 * does not fail the call. */
void plugin_log(const char *destination, const struct plugin_log_line *line);
