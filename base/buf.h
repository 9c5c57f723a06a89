#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A growing byte string with a ceiling set at birth.  Always NUL-terminated behind `len`.  Once an append would
 * pass the ceiling the buffer is `full`: that append and all later ones do nothing and return false, so a series
 * of appends may be checked once at its end. */
struct buf {
	char *data; /* "" when nothing was ever appended; owned */
	size_t len; /* bytes, without the NUL */
	size_t cap; /* private */
	size_t max; /* bytes, without the NUL */
	bool full;
};

void buf_init(struct buf *buf, size_t max);
void buf_free(struct buf *buf);  /* may be used again after buf_init() */
void buf_clear(struct buf *buf); /* keeps the memory and the ceiling; no longer full */
bool buf_append(struct buf *buf, const void *bytes, size_t n);
bool buf_text(struct buf *buf, const char *text);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string literal with its quotes, escaped; a byte that is not UTF-8 becomes U+FFFD. */
bool buf_json_string(struct buf *buf, const char *text);
/* Hands the bytes over to the caller, who frees them with free(); the buffer is empty afterwards. */
char *buf_take(struct buf *buf);
