#include "ufmsync/ctl/commands.h"

const struct ctl_command *const ctl_commands[] = {
	&ctl_pkeys, &ctl_pkey_command, &ctl_pods,   &ctl_pod,    &ctl_guid,    &ctl_pool,       &ctl_diff, &ctl_orphans,
	&ctl_audit, &ctl_wait,         &ctl_doctor, &ctl_status, &ctl_version, &ctl_completion, NULL,
};
