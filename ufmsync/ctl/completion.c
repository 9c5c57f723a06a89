#include <string.h>

#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/options.h"

/* Scripts for shells, from the tables of commands and flags: there is nothing to keep in step. */

/* --- bash ------------------------------------------------------------------------------------------------------- */

static void words_of_flags(FILE *out, const struct ctl_command *command)
{
	for (size_t i = 0; command && command->flags && command->flags[i].name; i++)
		fprintf(out, "%s ", command->flags[i].name);
	if (command && command->local) {
		fputs("--help", out);
		return;
	}
	for (size_t i = 0; i < OPTION_COUNT; i++)
		fprintf(out, "%s%s", ctl_options[i].flag.name, i + 1 < OPTION_COUNT ? " " : "");
}

/* Flags whose value is the next word, as a pattern of case. */
static void pattern_of_values(FILE *out)
{
	const char *between = "";

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (!ctl_options[i].flag.value || i == OPTION_OUTPUT)
			continue;
		fprintf(out, "%s%s", between, ctl_options[i].flag.name);
		if (ctl_options[i].letter)
			fprintf(out, "|-%c", ctl_options[i].letter);
		between = "|";
	}
	for (size_t i = 0; ctl_commands[i]; i++)
		for (const struct ctl_flag *flag = ctl_commands[i]->flags; flag && flag->name; flag++)
			if (flag->value)
				fprintf(out, "|%s", flag->name);
}

static void print_bash(FILE *out)
{
	fputs("# bash completion of ufmsyncctl: source <(ufmsyncctl completion bash)\n"
	      "_ufmsyncctl()\n{\n"
	      "\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" command= skip= i\n"
	      "\tCOMPREPLY=()\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tif [ -n \"$skip\" ]; then skip=; continue; fi\n"
	      "\t\tcase \"${COMP_WORDS[i]}\" in\n"
	      "\t\t-o|--output|",
	      out);
	pattern_of_values(out);
	fputs(") skip=1 ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) command=\"${COMP_WORDS[i]}\"; break ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase \"$before\" in\n"
	      "\t-o|--output) COMPREPLY=($(compgen -W \"table wide json yaml name\" -- \"$word\")); return ;;\n"
	      "\t--kubeconfig|--ca|--token-file) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
	      "\t",
	      out);
	pattern_of_values(out);
	fputs(") return ;;\n\tesac\n\tcase \"$command\" in\n\t\"\")\n\t\tcase \"$word\" in\n\t\t-*) "
	      "COMPREPLY=($(compgen -W \"",
	      out);
	words_of_flags(out, NULL);
	fputs("\" -- \"$word\")) ;;\n\t\t*) COMPREPLY=($(compgen -W \"", out);
	for (size_t i = 0; ctl_commands[i]; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", ctl_commands[i]->name);
	fputs("\" -- \"$word\")) ;;\n\t\tesac ;;\n", out);
	for (size_t i = 0; ctl_commands[i]; i++) {
		fprintf(out, "\t%s) COMPREPLY=($(compgen -W \"%s", ctl_commands[i]->name,
			ctl_commands[i] == &ctl_completion ? "bash zsh fish " : "");
		words_of_flags(out, ctl_commands[i]);
		fputs("\" -- \"$word\")) ;;\n", out);
	}
	fputs("\tesac\n}\ncomplete -F _ufmsyncctl ufmsyncctl kubectl-ufmsync\n", out);
}

/* --- zsh -------------------------------------------------------------------------------------------------------- */

/* Within single quotes, where ':' and brackets mean something to _arguments and _describe. */
static void quoted(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:\\", *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
}

static void zsh_flag(FILE *out, char letter, const struct ctl_flag *flag)
{
	if (letter)
		fprintf(out, "\t\t'(-%c %s)'{-%c,%s}'[", letter, flag->name, letter, flag->name);
	else
		fprintf(out, "\t\t'%s%s[", flag->name, flag->value ? "=" : "");
	quoted(out, flag->help);
	fputc(']', out);
	if (flag->value && strcmp(flag->value, "FILE") == 0)
		fputs(":FILE:_files", out);
	else if (strcmp(flag->name, "--output") == 0)
		fputs(":FORMAT:(table wide json yaml name)", out);
	else if (flag->value)
		fprintf(out, ":%s:", flag->value);
	fputs("'\n", out);
}

static void print_zsh(FILE *out)
{
	fputs("#compdef ufmsyncctl kubectl-ufmsync\n"
	      "# zsh completion of ufmsyncctl: source <(ufmsyncctl completion zsh)\n"
	      "_ufmsyncctl()\n{\n\tlocal -a commands common own\n\tcommon=(\n",
	      out);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		zsh_flag(out, ctl_options[i].letter, &ctl_options[i].flag);
	fputs("\t)\n\tcommands=(\n", out);
	for (size_t i = 0; ctl_commands[i]; i++) {
		fprintf(out, "\t\t'%s:", ctl_commands[i]->name);
		quoted(out, ctl_commands[i]->summary);
		fputs("'\n", out);
	}
	fputs("\t)\n\tcase \"${words[2]}\" in\n", out);
	for (size_t i = 0; ctl_commands[i]; i++) {
		if (!ctl_commands[i]->flags && ctl_commands[i] != &ctl_completion)
			continue;
		fprintf(out, "\t%s) own=(\n", ctl_commands[i]->name);
		for (const struct ctl_flag *flag = ctl_commands[i]->flags; flag && flag->name; flag++)
			zsh_flag(out, 0, flag);
		if (ctl_commands[i] == &ctl_completion)
			fputs("\t\t'2:SHELL:(bash zsh fish)'\n", out);
		fputs("\t\t) ;;\n", out);
	}
	fputs("\tesac\n\t_arguments \"${common[@]}\" \"${own[@]}\" '1:COMMAND:{_describe -t commands command "
	      "commands}'\n}\n"
	      "compdef _ufmsyncctl ufmsyncctl kubectl-ufmsync\n",
	      out);
}

/* --- fish ------------------------------------------------------------------------------------------------------- */

static void fish_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static void fish_flag(FILE *out, const char *command, char letter, const struct ctl_flag *flag)
{
	fputs("complete -c ufmsyncctl", out);
	if (command)
		fprintf(out, " -n '__fish_seen_subcommand_from %s'", command);
	if (letter)
		fprintf(out, " -s %c", letter);
	fprintf(out, " -l %s", flag->name + 2);
	if (strcmp(flag->name, "--output") == 0)
		fputs(" -x -a 'table wide json yaml name'", out);
	else if (flag->value)
		fputs(strcmp(flag->value, "FILE") == 0 ? " -r -F" : " -x", out);
	fputs(" -d ", out);
	fish_quoted(out, flag->help);
	fputc('\n', out);
}

static void print_fish(FILE *out)
{
	fputs("# fish completion of ufmsyncctl: ufmsyncctl completion fish | source\ncomplete -c ufmsyncctl -f\n", out);
	for (size_t i = 0; ctl_commands[i]; i++) {
		fprintf(out, "complete -c ufmsyncctl -n __fish_use_subcommand -a %s -d ", ctl_commands[i]->name);
		fish_quoted(out, ctl_commands[i]->summary);
		fputc('\n', out);
	}
	for (size_t i = 0; i < OPTION_COUNT; i++)
		fish_flag(out, NULL, ctl_options[i].letter, &ctl_options[i].flag);
	for (size_t i = 0; ctl_commands[i]; i++)
		for (const struct ctl_flag *flag = ctl_commands[i]->flags; flag && flag->name; flag++)
			fish_flag(out, ctl_commands[i]->name, 0, flag);
	fputs("complete -c ufmsyncctl -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n", out);
}

static enum ctl_exit run(struct ctl *ctl)
{
	static const struct {
		const char *shell;
		void (*print)(FILE *out);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };

	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (strcmp(shells[i].shell, ctl->argv[0]) == 0) {
			shells[i].print(ctl->out);
			return CTL_DONE;
		}
	return ctl_usage(ctl, "completion '%.50s': bash, zsh or fish is expected", ctl->argv[0]);
}

const struct ctl_command ctl_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.least = 1,
	.most = 1,
	.summary = "A script for a shell that completes commands and flags",
	.description = "Prints the script: source <(ufmsyncctl completion bash), the same with zsh, or\n"
		       "ufmsyncctl completion fish | source.",
	.local = true,
	.plain = true,
	.run = run,
};
