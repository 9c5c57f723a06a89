#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* One answer of HTTP/1.1, parsed as its bytes arrive: status, Retry-After and a bounded body.  Pure.
 *
 * The HTTP client inside OpenSSL would not do: it hands over a body only with a 200, of any other status neither the
 * number nor Retry-After nor the error that the service explains itself with.
 *
 * Strict, since what is lenient about framing can be cut or forged: lines end with CRLF, no folded header, exactly one
 * of Content-Length and "Transfer-Encoding: chunked" says where the body ends.  Interim (1xx) answers are skipped. */

enum { HTTP_ANSWER_HEAD_MAX = 16 << 10, HTTP_ANSWER_BODY_MAX = 64 << 10 };

enum http_answer_step {
	HTTP_ANSWER_HEAD_STATUS,
	HTTP_ANSWER_HEAD_FIELD,
	HTTP_ANSWER_BODY_SIZED,
	HTTP_ANSWER_CHUNK_SIZE,
	HTTP_ANSWER_CHUNK_DATA,
	HTTP_ANSWER_CHUNK_END,
	HTTP_ANSWER_TRAILER,
	HTTP_ANSWER_COMPLETE,
};

struct http_answer {
	int status;             /* 200-599 once the head was read */
	int64_t retry_after_ms; /* -1: absent, or a date */
	struct buf body;
	enum http_answer_step step; /* HTTP_ANSWER_COMPLETE: nothing more is needed */
	/* Private: */
	char line[HTTP_ANSWER_HEAD_MAX]; /* the current one, as far as it has come */
	size_t line_len;
	size_t head_len; /* bytes of all heads, chunk sizes and trailers so far */
	int64_t length;  /* Content-Length; -1: none */
	size_t left;     /* of the body or the chunk */
	bool chunked;
};

void http_answer_init(struct http_answer *answer);
void http_answer_free(struct http_answer *answer);
/* Any cut of the input gives the same result; what follows a complete answer is left alone.  ERROR_INVALID: no such
 * answer; ERROR_LIMIT: more than the bounds.  Not to be fed again after an error. */
int http_answer_feed(struct http_answer *answer, const char *bytes, size_t n, struct error *err);
