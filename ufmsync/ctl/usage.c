#include "ufmsync/ctl/usage.h"

#include <string.h>

#include "ufmsync/ctl/options.h"

static void print_flag(FILE *out, char letter, const struct ctl_flag *flag)
{
	char name[64], left[72];

	snprintf(name, sizeof name, "%s%s%s", flag->name, flag->value ? " " : "", flag->value ? flag->value : "");
	if (letter)
		snprintf(left, sizeof left, "-%c, %s", letter, name);
	else
		snprintf(left, sizeof left, "    %s", name);
	fprintf(out, "  %-34s %s\n", left, flag->help);
}

static void print_common(FILE *out)
{
	fputs("\nFlags of all commands:\n", out);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		print_flag(out, ctl_options[i].letter, &ctl_options[i].flag);
}

void ctl_help(FILE *out, const char *program, const struct ctl_command *const *commands)
{
	fprintf(out,
		"%s " UFMSYNC_VERSION " - which pods are in which InfiniBand partition, and why not\n\n"
		"usage: %s COMMAND [ARGUMENT ...] [FLAG ...]\n\nCommands:\n",
		program, program);
	for (size_t i = 0; commands[i]; i++) {
		char left[64];

		snprintf(left, sizeof left, "%s %s", commands[i]->name, commands[i]->arguments);
		fprintf(out, "  %-24s %s\n", left, commands[i]->summary);
	}
	print_common(out);
	fprintf(out,
		"\nMore of a command: %s COMMAND --help\n"
		"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 differs, 124 timed out\n",
		program);
}

void ctl_help_command(FILE *out, const char *program, const struct ctl_command *command)
{
	fprintf(out, "%s %s - %s\n\nusage: %s %s%s%s [FLAG ...]\n\n%s\n", program, command->name, command->summary,
		program, command->name, *command->arguments ? " " : "", command->arguments, command->description);
	if (command->flags) {
		fprintf(out, "\nFlags of %s:\n", command->name);
		for (const struct ctl_flag *flag = command->flags; flag->name; flag++)
			print_flag(out, 0, flag);
	}
	if (!command->local)
		print_common(out);
	else
		fputs("\n  -h, --help                         this text\n", out);
}
