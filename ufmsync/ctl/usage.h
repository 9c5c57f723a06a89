#pragma once

#include "ufmsync/ctl/command.h"

/* What --help says, from the tables of commands and flags alone. */
void ctl_help(FILE *out, const char *program, const struct ctl_command *const *commands);
void ctl_help_command(FILE *out, const char *program, const struct ctl_command *command);
