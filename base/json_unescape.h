#pragma once

#include <stddef.h>

/* What the body of a JSON string (what stands between its quotes, its escapes known to be well-formed) means. */

enum json_unescape {
	JSON_UNESCAPE_OK,
	JSON_UNESCAPE_LONG, /* more than `max` bytes */
	JSON_UNESCAPE_BAD,  /* no valid UTF-8, half a surrogate pair, or a NUL in it */
};

/* Writes at most `max` bytes and a NUL to `out`, and their number to *len. */
enum json_unescape json_unescape(char *out, size_t max, size_t *len, const char *body, size_t n);
