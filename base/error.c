#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#undef error_set
#undef error_wrap
#undef error_set_errno

/* What is new may have been formatted from the old text, so that is kept until the new is complete. */
static void take(struct error *err, enum error_kind kind, const char *text)
{
	size_t n = strnlen(text, ERROR_TEXT_MAX - 1);

	err->kind = kind;
	memcpy(err->text, text, n);
	err->text[n] = '\0';
	utf8_one_line(err->text); /* foreign text ends up in errors, and errors in logs, Events and answers */
}

int error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	take(err, kind, text);
	return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX + sizeof ": " + ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, ERROR_TEXT_MAX, format, ap);
	va_end(ap);
	size_t n = strlen(text);
	snprintf(text + n, sizeof text - n, ": %s", err->text);
	take(err, err->kind, text);
	return -1;
}

int error_set_errno(struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof text)
		snprintf(text + n, sizeof text - (size_t)n, ": %s", strerror(saved));
	take(err, ERROR_OS, text);
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
