#pragma once

#include <stdbool.h>
#include <stdint.h>

/* One line a message on stderr: text on a terminal, JSON otherwise.  Only programs and their wiring log, on the loop's
 * thread; libraries return errors.  Each message an operator may have to act on has a stable id (POOL_EXHAUSTED), and
 * README says what it means and what to do.  Never hand a secret to these. */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON };

struct log_field {
	const char *key;   /* lower_case, stable */
	const char *value; /* UTF-8 not needed: anything else is escaped; NULL leaves the field out */
};

/* clang-format off */
/* LOG_FIELDS({ "pod", name }, { "pkey", text }) */
#define LOG_FIELDS(...) (const struct log_field[]){ __VA_ARGS__, { NULL, NULL } }
/* clang-format on */

/* `program` (borrowed, may be NULL) is a field of each JSON line.  Colours only on a terminal, and not where NO_COLOR is
 * set or TERM is dumb.  Before this is called: text, from LOG_INFO on. */
void log_init(const char *program, enum log_format format, enum log_level least);
bool log_level_parse(enum log_level *level, const char *text); /* debug, info, warn, error */

/* `id` and `fields` may be NULL.  One write(2) a line of at most 64 KiB; message and values are cut at 8 KiB.  errno is
 * kept.  Example, text:  2026-01-02T03:04:05.678Z WARN POOL_EXHAUSTED no GUID is free pool=02:..
 * JSON: {"time":"...","level":"warn","program":"ufmsyncd","id":"POOL_EXHAUSTED","message":"no GUID is free",
 * "pool":"02:.."} */
void log_say(enum log_level level, const char *id, const struct log_field *fields, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* For a message that can repeat: at most `burst` a minute of one site get through; the last of them says that
 * further ones are not logged, and the first of a later minute how many were left out. */
struct log_limit {
	int64_t window_start_ms;
	unsigned said, suppressed;
};
void log_limited(struct log_limit *limit, unsigned burst, enum log_level level, const char *id,
		 const struct log_field *fields, const char *format, ...) __attribute__((format(printf, 6, 7)));
