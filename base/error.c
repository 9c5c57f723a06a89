#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Foreign text ends up in errors; a control character must not forge a second log line. */
static void one_line(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

int error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	one_line(err->text);
	err->kind = kind;
	return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char before[ERROR_TEXT_MAX], was[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(before, sizeof before, format, ap);
	va_end(ap);
	memcpy(was, err->text, sizeof was);
	int n = snprintf(err->text, sizeof err->text, "%s: ", before);
	if (n >= 0 && (size_t)n < sizeof err->text)
		snprintf(err->text + n, sizeof err->text - (size_t)n, "%s", was);
	one_line(err->text);
	return -1;
}

int error_set_errno(struct error *err, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof err->text)
		snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(saved));
	one_line(err->text);
	err->kind = ERROR_OS;
	return -1;
}

const char *error_kind_name(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NONE:
		return "none";
	case ERROR_RETRY:
		return "retry";
	case ERROR_AUTH:
		return "auth";
	case ERROR_CONFLICT:
		return "conflict";
	case ERROR_GONE:
		return "gone";
	case ERROR_INVALID:
		return "invalid";
	case ERROR_LIMIT:
		return "limit";
	case ERROR_OS:
		return "os";
	}
	return "none";
}
