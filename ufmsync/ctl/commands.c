#include "ufmsync/ctl/commands.h"

const struct ctl_command *const ctl_commands[] = {
	&ctl_pods,
	&ctl_status,
	NULL,
};
