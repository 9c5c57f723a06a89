#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ufmsync/ctl/command.h"
#include "ufmsync/ctl/print.h"

enum { LINE_MAX_BYTES = 1024 };

static void say(const struct ctl *ctl, const char *text)
{
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof line, "%s", text);
	utf8_one_line(line);
	fflush(ctl->out); /* in this order on a terminal */
	fprintf(ctl->err, "%s: %s\n", ctl->program, line);
}

enum ctl_exit ctl_fail(const struct ctl *ctl, const struct error *err)
{
	if (ctl_watch_is_news(ctl, err->text))
		say(ctl, err->text);
	return err->kind == ERROR_GONE ? CTL_NOT_FOUND : CTL_FAILED;
}

enum ctl_exit ctl_usage(const struct ctl *ctl, const char *format, ...)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
	const char *command = ctl->command ? ctl->command->name : NULL;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	snprintf(line, sizeof line, "%.700s; see %s %s%s--help", text, ctl->program, command ? command : "",
		 command ? " " : "");
	say(ctl, line);
	return CTL_USAGE;
}

bool ctl_confirms(const struct ctl *ctl, const char *question)
{
	char answer[16];

	if (ctl->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		say(ctl, "nothing was changed: there is no terminal to ask on; add --yes");
		return false;
	}
	fflush(ctl->out);
	fprintf(ctl->err, "%s [y/N] ", question);
	fflush(ctl->err);
	if (fgets(answer, sizeof answer, stdin) && (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0))
		return true;
	say(ctl, "nothing was changed");
	return false;
}
