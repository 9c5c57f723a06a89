#include "base/flags.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

int flags_take(const struct flags *flags, const char *const *argv, const char **text, struct error *err)
{
	for (size_t i = 0; i < flags->n && begins(argv[0], "--"); i++) {
		const struct flag *flag = &flags->table[i];
		if (!begins(argv[0] + 2, flag->name))
			continue;
		const char *behind = argv[0] + 2 + strlen(flag->name);
		if (*behind == '=') {
			text[i] = behind + 1;
			return 1;
		}
		if (*behind)
			continue;
		if (!argv[1])
			return error_set(err, ERROR_INVALID, "--%s needs a value: %s", flag->name, flag->accepted);
		text[i] = argv[1];
		return 2;
	}
	return error_set(err, ERROR_INVALID, "'%.200s' is not known: see --help", argv[0]);
}

static bool is_service_link(const struct flags *flags, const char *entry)
{
	static const char *const links[] = { "SERVICE_", "PORT" };

	if (!begins(entry, flags->prefix))
		return false;
	for (size_t i = 0; i < array_length(links); i++)
		if (begins(entry + strlen(flags->prefix), links[i]))
			return true;
	return false;
}

static int read_variable(const struct flags *flags, const char *entry, const char **text, struct error *err)
{
	if (is_service_link(flags, entry))
		return 0;
	for (size_t i = 0; i < flags->n; i++) {
		size_t n = strlen(flags->table[i].variable);
		if (begins(entry, flags->table[i].variable) && entry[n] == '=') {
			if (!text[i])
				text[i] = entry + n + 1;
			return 0;
		}
	}
	if (begins(entry, flags->prefix))
		return error_set(err, ERROR_INVALID, "the variable %.*s is not known: see --help",
				 (int)strcspn(entry, "="), entry);
	return 0;
}

int flags_read_environment(const struct flags *flags, const char *const *environ, const char **text, struct error *err)
{
	for (size_t i = 0; environ[i]; i++)
		if (read_variable(flags, environ[i], text, err) < 0)
			return -1;
	for (size_t i = 0; i < flags->n; i++)
		if (!text[i] || !*text[i])
			text[i] = flags->table[i].otherwise;
	return 0;
}

int flags_refuse(const struct flag *flag, const char *value, struct error *err)
{
	return error_set(err, ERROR_INVALID, "--%s (%s): '%.200s' is not accepted: it takes %s", flag->name,
			 flag->variable, value, flag->accepted);
}

int flags_read_log_format(const struct flag *flag, const char *value, enum log_format *format, struct error *err)
{
	static const char *const formats[] = { [LOG_AUTO] = "auto", [LOG_TEXT] = "text", [LOG_JSON] = "json" };

	for (size_t i = 0; i < array_length(formats); i++)
		if (strcmp(value, formats[i]) == 0) {
			*format = (enum log_format)i;
			return 0;
		}
	return flags_refuse(flag, value, err);
}

void flags_print(const struct flags *flags, FILE *out)
{
	for (size_t i = 0; i < flags->n; i++) {
		const struct flag *flag = &flags->table[i];
		fprintf(out, "  --%-17s %s\n", flag->name, flag->help);
		fprintf(out, "  %-19s %s: %s%s%s\n", "", flag->variable, flag->accepted,
			flag->otherwise ? "; default " : "", flag->otherwise ? flag->otherwise : "");
	}
}
