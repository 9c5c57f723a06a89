#pragma once

#include <stdint.h>
#include <stdio.h>

#include "cni/plugin/delegate.h"
#include "cni/plugin/environment.h"
#include "cni/plugin/netconf.h"
#include "cni/plugin/node_file.h"
#include "cni/plugin/plugin_log.h"

/* What the parts of plugin.h share. */

struct plugin_call {
	char *const *variables;
	FILE *out;
	struct environment environment;
	struct netconf conf;
	/* Of the node file, once it was read; the token is not kept. */
	char *log, *sysfs;
	int64_t began_ms, waited_ms; /* monotonic; -1: the service was not asked */
	char *guid, *pkey;           /* what it gave; owned */
};

/* Prints the error and logs it; the exit status. */
int plugin_fail(const struct plugin_call *call, const struct cni_error *err);
/* What the delegate said and how it ended, passed through; the exit status.  One that was killed, or failed without a
 * word, is an error of ours. */
int plugin_pass_through(const struct plugin_call *call, const struct delegate_result *result, const char *outcome);
void plugin_log_call(const struct plugin_call *call, const char *command, const char *outcome,
		     const struct cni_error *err);

/* With CA and token, to be freed as soon as the service has answered. */
int plugin_load_node(struct plugin_call *call, struct node_file *node, struct cni_error *err);

int plugin_add(struct plugin_call *call);
