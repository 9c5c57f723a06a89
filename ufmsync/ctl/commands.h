#pragma once

#include "guid/guid.h"
#include "pkey/pkey.h"
#include "ufmsync/ctl/command.h"

extern const struct ctl_command ctl_audit, ctl_completion, ctl_diff, ctl_doctor, ctl_guid, ctl_orphans,
	ctl_pkey_command, ctl_pkeys, ctl_pod, ctl_pods, ctl_pool, ctl_status, ctl_version, ctl_wait;

/* Any usual spelling: 0x5, 0x0005, 5. */
bool ctl_pkey_parse(struct pkey *pkey, const char *text);
