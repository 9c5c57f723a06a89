#pragma once

#include "cni/plugin/cni_error.h"

/* What the container runtime (or multus) says in the environment. */

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION };

struct environment {
	enum cni_command command;
	/* Borrowed from the environment; "" when not set and not needed by the command. */
	const char *container_id, *netns, *interface, *path;
	/* Of CNI_ARGS, owned; ADD needs all three, elsewhere "" when absent or ill-formed: K8S_POD_NAMESPACE, K8S_POD_NAME,
	 * K8S_POD_UID. */
	char *pod_namespace, *pod_name, *pod_uid;
};

/* Checks what the command needs (ADD, DEL, CHECK: container, interface, path; ADD and CHECK: netns; GC, STATUS: path), by
 * the rules of the CNI specification for each value.  CNI_INVALID_ENVIRONMENT names the variable and what is accepted. */
int environment_read(struct environment *environment, char *const *variables, struct cni_error *err);
void environment_free(struct environment *environment);

/* "NAME=value" among `environ`: the value, borrowed; NULL: not set. */
const char *environment_get(char *const *variables, const char *name);
const char *environment_command_name(enum cni_command command); /* "ADD" ... */
