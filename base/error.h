#pragma once

/* What went wrong, made where the fact is known; each level on the way up adds what it was doing.
 *
 *	if (ufm_post(ufm, path, body, err) < 0)
 *		return error_wrap(err, "add %zu GUIDs to pkey %s", n, text);
 *
 * A function that can fail returns int, 0 or -1, and takes `struct error *err` last; err is never NULL and is
 * written only on failure.  The kind, never the text, decides what a caller does next. */

enum error_kind {
	ERROR_NONE,     /* nothing is wrong; only a fresh struct error has it */
	ERROR_RETRY,    /* outage, timeout, overload: the same again later may work; the outcome may be unknown */
	ERROR_AUTH,     /* 401, 403, a certificate that does not verify: somebody must change the configuration */
	ERROR_CONFLICT, /* the other side has moved on: read again, decide anew */
	ERROR_GONE,     /* what was named does not exist (any more) */
	ERROR_INVALID,  /* this input will never be accepted: text, setting, annotation, request */
	ERROR_LIMIT,    /* more than a bound set beforehand */
	ERROR_OS,       /* a system call or a library failed */
};

enum { ERROR_TEXT_MAX = 512 };

struct error {
	enum error_kind kind;
	char text[ERROR_TEXT_MAX]; /* one line of UTF-8, no secret; cut, never overflowed */
};

/* Both return -1 so that `return error_set(...)` reads well. */
int error_set(struct error *err, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "what was being done: " before the text; keeps the kind. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends ": <strerror(errno)>" of the errno at the call; kind ERROR_OS. */
int error_set_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *error_kind_name(enum error_kind kind); /* "retry", "auth", ...: stable, used in logs and metrics */

#ifdef __clang_analyzer__ /* it cannot look into error.c, and would follow every failure as a success */
#define error_set(...)       (error_set(__VA_ARGS__), -1)
#define error_wrap(...)      (error_wrap(__VA_ARGS__), -1)
#define error_set_errno(...) (error_set_errno(__VA_ARGS__), -1)
#endif
