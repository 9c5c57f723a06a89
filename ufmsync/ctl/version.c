#include "ufmsync/ctl/commands.h"

static enum ctl_exit run(struct ctl *ctl)
{
	fputs("ufmsyncctl " UFMSYNC_VERSION "\n", ctl->out);
	return CTL_DONE;
}

const struct ctl_command ctl_version = {
	.name = "version",
	.arguments = "",
	.summary = "The version of this tool",
	.description = "The version of this tool; that of the service is in status.",
	.local = true,
	.plain = true,
	.run = run,
};
