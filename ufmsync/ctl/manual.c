/* Built, never installed: fills the sources of the man pages (scdoc) with the tables of the programs themselves, so that no
 * page lacks a command, a flag or a setting.  stdin to stdout; a line @NAME@ stands for a table, @version@ for ours. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/ctl/command.h"
#include "ufmsync/ctl/options.h"
#include "ufmsync/settings.h"

/* --- scdoc's own text ------------------------------------------------------------------------------------------- */

/* As it stands: nothing in it is markup.  A line break within a paragraph is none. */
static void put_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			putchar(' ');
			continue;
		}
		if (strchr("_*\\#[]|<>~`.+!", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void put_bold(const char *text)
{
	putchar('*');
	put_text(text);
	putchar('*');
}

static void put_underlined(const char *text)
{
	putchar('_');
	put_text(text);
	putchar('_');
}

/* --- tables ----------------------------------------------------------------------------------------------------- */

static void put_flag(const char *indent, char letter, const struct ctl_flag *flag)
{
	const char short_name[] = { '-', letter, '\0' };

	fputs(indent, stdout);
	if (letter) {
		put_bold(short_name);
		fputs(", ", stdout);
	}
	put_bold(flag->name);
	if (flag->value) {
		putchar(' ');
		put_underlined(flag->value);
	}
	printf("\n%s\t", indent);
	put_text(flag->help);
	fputs("\n\n", stdout);
}

static void put_abilities(const struct ctl_command *command)
{
	if (command->local) {
		fputs("\tAsks nobody.\n\n", stdout);
		return;
	}
	if (!command->plain || command->watches) {
		fputs("\tKnows ", stdout);
		if (!command->plain)
			fputs(command->named ? "*--output* in all forms" : "*--output*, but not _name_", stdout);
		if (command->watches)
			fputs(command->plain ? "*--watch*" : ", and *--watch*", stdout);
		fputs("\\.\n\n", stdout);
	}
	if (command->operates)
		fputs("\tWhat changes something is asked as the service account *ufmsync-operator*\\.\n\n", stdout);
}

static void put_commands(void)
{
	for (const struct ctl_command *const *p = ctl_commands; *p; p++) {
		const struct ctl_command *command = *p;

		put_bold(command->name);
		if (*command->arguments) {
			putchar(' ');
			put_underlined(command->arguments);
		}
		fputs("\n\t", stdout);
		put_text(command->summary);
		fputs("\\.\n\n\t", stdout);
		put_text(command->description);
		fputs("\n\n", stdout);
		for (const struct ctl_flag *flag = command->flags; flag && flag->name; flag++)
			put_flag("\t", 0, flag);
		put_abilities(command);
	}
}

static void put_flags(void)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		put_flag("", ctl_options[i].letter, &ctl_options[i].flag);
}

static void put_settings(void)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting_info *info = &setting_infos[i];

		put_bold(info->name);
		if (info->secret)
			fputs(" (a secret: it has no flag)", stdout);
		fputs("\n\t", stdout);
		put_text(info->help);
		fputs("\n\n\tAccepted: ", stdout);
		put_text(info->accepted);
		fputs("\\.", stdout);
		if (info->otherwise) {
			fputs(" Default: ", stdout);
			put_bold(info->otherwise);
			fputs("\\.", stdout);
		}
		fputs("\n\n", stdout);
	}
}

/* --- the page --------------------------------------------------------------------------------------------------- */

static bool put_table(const char *line)
{
	static const struct {
		const char *name;
		void (*put)(void);
	} tables[] = {
		{ "@commands@\n", put_commands },
		{ "@flags@\n", put_flags },
		{ "@settings@\n", put_settings },
	};

	for (size_t i = 0; i < array_length(tables); i++)
		if (strcmp(line, tables[i].name) == 0) {
			tables[i].put();
			return true;
		}
	return false;
}

static void put_line(const char *line)
{
	static const char version[] = "@version@";
	const char *at = strstr(line, version);

	if (at)
		printf("%.*s%s%s", (int)(at - line), line, UFMSYNC_VERSION, at + strlen(version));
	else
		fputs(line, stdout);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) >= 0)
		if (!put_table(line))
			put_line(line);
	free(line);
	return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
