#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

enum {
	LINE_MAX_BYTES = 64 * 1024,
	TEXT_MAX_BYTES = 8 * 1024, /* of the message, and of one field's value: longer ones are cut */
	WINDOW_MS = 60 * 1000,
};

static struct {
	const char *program;
	bool json, colours;
	enum log_level least;
	bool torn; /* the last line was written in part only */
} config = { .least = LOG_INFO };

static const struct {
	const char *lower, *upper, *colour;
} levels[] = {
	[LOG_DEBUG] = { "debug", "DEBUG", "\x1b[2m" },
	[LOG_INFO] = { "info", "INFO", "\x1b[32m" },
	[LOG_WARN] = { "warn", "WARN", "\x1b[33m" },
	[LOG_ERROR] = { "error", "ERROR", "\x1b[31m" },
};

void log_init(const char *program, enum log_format format, enum log_level least)
{
	bool terminal = isatty(STDERR_FILENO);
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	config.program = program;
	config.json = format == LOG_JSON || (format == LOG_AUTO && !terminal);
	config.colours = !config.json && terminal && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
	config.least = least;
}

bool log_level_parse(enum log_level *level, const char *text)
{
	for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
		if (strcmp(text, levels[i].lower) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* --- what is foreign -------------------------------------------------------------------------------------------- */

/* Foreign text must not begin a line of its own, move the reader's cursor (control characters, those of C1 too) or
 * break the encoding.  What is written as itself: */
static bool harmless(const char *character, size_t span)
{
	unsigned char first = (unsigned char)character[0], second = span > 1 ? (unsigned char)character[1] : 0;

	if (first < 0x20 || first == 0x7f || first == '\\')
		return false;
	if (span == 2 && first == 0xc2 && second < 0xa0)
		return false;
	/* U+2028 and U+2029 end a line for some readers. */
	return !(span == 3 && first == 0xe2 && second == 0x80 && ((unsigned char)character[2] & 0xfe) == 0xa8);
}

static void escaped(struct buf *line, const char *at, size_t span, bool json)
{
	unsigned char c = (unsigned char)*at;

	if (span == 0)
		buf_printf(line, json ? "\\\\x%02x" : "\\x%02x", c);
	else if (c == '\\' || c == '"')
		buf_printf(line, "\\%c", c);
	else if (c == '\n' || c == '\t' || c == '\r')
		buf_text(line, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
	else if (span == 3)
		buf_printf(line, "\\u20%02x", (unsigned char)at[2] & 0x3fu);
	else
		buf_printf(line, "\\u%04x", span == 1 ? (unsigned)c : (unsigned)(unsigned char)at[1]);
}

static void foreign(struct buf *line, const char *text, size_t n, bool json, bool quoted)
{
	bool cut = n > TEXT_MAX_BYTES;
	const char *end = text + (cut ? TEXT_MAX_BYTES : n);

	while (text < end) {
		size_t span = utf8_span(text, (size_t)(end - text));
		if (span > 0 && harmless(text, span) && !(quoted && *text == '"'))
			buf_append(line, text, span);
		else if (span == 0 && cut && end - text < 4)
			break;
		else
			escaped(line, text, span, json);
		text += span > 0 ? span : 1;
	}
	if (cut)
		buf_text(line, "...");
}

/* --- one line ---------------------------------------------------------------------------------------------------- */

static void json_field(struct buf *line, const char *key, const char *value)
{
	if (!value)
		return;
	size_t before = line->len;
	buf_printf(line, ",\"%s\":\"", key);
	foreign(line, value, strlen(value), true, true);
	buf_append(line, "\"", 1);
	/* A field that does not fit is left out, so that the line stays JSON; "}\n" always fits. */
	if (line->full) {
		line->full = false;
		line->len = before;
	}
}

static void json_line(struct buf *line, const char *when, enum log_level level, const char *id,
		      const struct log_field *fields, const char *message)
{
	buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\"", when, levels[level].lower);
	json_field(line, "program", config.program);
	json_field(line, "id", id);
	json_field(line, "message", message);
	for (; fields && fields->key; fields++)
		json_field(line, fields->key, fields->value);
	line->max += 2;
	buf_append(line, "}\n", 2);
}

static bool needs_quotes(const char *value)
{
	return *value == '\0' || strpbrk(value, " \"=\t") != NULL;
}

static void text_line(struct buf *line, const char *when, enum log_level level, const char *id,
		      const struct log_field *fields, const char *message)
{
	buf_printf(line, "%s %s%s%s", when, config.colours ? levels[level].colour : "", levels[level].upper,
		   config.colours ? "\x1b[0m" : "");
	if (id)
		buf_printf(line, " %s", id);
	buf_append(line, " ", 1);
	foreign(line, message, strlen(message), false, false);
	for (; fields && fields->key; fields++) {
		if (!fields->value)
			continue;
		bool quotes = needs_quotes(fields->value);
		buf_printf(line, " %s=%s", fields->key, quotes ? "\"" : "");
		foreign(line, fields->value, strlen(fields->value), false, quotes);
		buf_text(line, quotes ? "\"" : "");
	}
	line->full = false;
	line->max += 2;
	buf_append(line, "\n", 1);
}

/* One write a line, so that lines of several processes on one pipe do not mix.  A reader that has stopped reading a
 * non-blocking pipe loses lines; it never holds the service up. */
static void put(const char *bytes, size_t n)
{
	ssize_t done;

	if (config.torn && write(STDERR_FILENO, "\n", 1) < 0)
		return;
	config.torn = false;
	for (; n > 0; bytes += done, n -= (size_t)done) {
		do {
			done = write(STDERR_FILENO, bytes, n);
		} while (done < 0 && errno == EINTR);
		if (done < 0)
			return;
		config.torn = (size_t)done < n;
	}
}

static void say(enum log_level level, const char *id, const struct log_field *fields, const char *message)
{
	struct timespec now;
	struct tm tm;
	char when[64];
	struct buf line;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof when - n, ".%03ldZ", now.tv_nsec / 1000000);
	buf_init(&line, LINE_MAX_BYTES);
	if (config.json)
		json_line(&line, when, level, id, fields, message);
	else
		text_line(&line, when, level, id, fields, message);
	put(line.data, line.len);
	buf_free(&line);
}

__attribute__((format(printf, 2, 0))) static void message_format(struct buf *message, const char *format, va_list ap)
{
	char *text = NULL;

	buf_init(message, LINE_MAX_BYTES);
	int n = vasprintf(&text, format, ap);
	if (n < 0)
		buf_text(message, format);
	else
		buf_append(message, text, (size_t)n < LINE_MAX_BYTES ? (size_t)n : LINE_MAX_BYTES);
	free(n < 0 ? NULL : text);
}

void log_say(enum log_level level, const char *id, const struct log_field *fields, const char *format, ...)
{
	struct buf message;
	va_list ap;

	if (level < config.least)
		return;
	int saved = errno;
	va_start(ap, format);
	message_format(&message, format, ap);
	va_end(ap);
	say(level, id, fields, message.data);
	buf_free(&message);
	errno = saved;
}

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_limited(struct log_limit *limit, unsigned burst, enum log_level level, const char *id,
		 const struct log_field *fields, const char *format, ...)
{
	struct buf message;
	va_list ap;
	unsigned left_out = 0;

	assert(burst > 0);
	if (level < config.least)
		return;
	int saved = errno;
	int64_t now = monotonic_ms();
	if (limit->said == 0 || now - limit->window_start_ms >= WINDOW_MS) {
		left_out = limit->suppressed;
		*limit = (struct log_limit){ .window_start_ms = now };
	}
	if (limit->said >= burst) {
		limit->suppressed++;
		return;
	}
	limit->said++;
	va_start(ap, format);
	message_format(&message, format, ap);
	va_end(ap);
	if (left_out > 0)
		buf_printf(&message, " (%u more of these were not logged)", left_out);
	if (limit->said == burst)
		buf_text(&message, " (further ones are not logged for a minute)");
	say(level, id, fields, message.data);
	buf_free(&message);
	errno = saved;
}
