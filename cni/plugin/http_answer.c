#include "cni/plugin/http_answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	RETRY_AFTER_MOST_S = 3600,
	CHUNK_DIGITS_MOST = 6,
};

void http_answer_init(struct http_answer *answer)
{
	answer->status = 0;
	answer->retry_after_ms = -1;
	buf_init(&answer->body, HTTP_ANSWER_BODY_MAX);
	answer->step = HTTP_ANSWER_HEAD_STATUS;
	answer->line_len = answer->head_len = answer->left = 0;
	answer->length = -1;
	answer->chunked = false;
}

void http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
}

static int invalid(struct error *err, const char *problem)
{
	return error_set(err, ERROR_INVALID, "no HTTP answer: %s", problem);
}

static int too_large(struct error *err)
{
	return error_set(err, ERROR_LIMIT, "an answer of more than %d KiB", HTTP_ANSWER_BODY_MAX >> 10);
}

/* Only digits, at most `most` in all. */
static bool number(int64_t *out, const char *text, size_t most)
{
	size_t len = strlen(text);

	if (len < 1 || len > most || strspn(text, "0123456789") != len)
		return false;
	*out = strtoll(text, NULL, 10);
	return true;
}

/* --- lines --- */

static int on_status(struct http_answer *answer, struct error *err)
{
	const char *line = answer->line;

	/* "HTTP/1.1 200 OK"; the reason may be empty, its blank too. */
	if (strncmp(line, "HTTP/1.1 ", 9) != 0 && strncmp(line, "HTTP/1.0 ", 9) != 0)
		return invalid(err, "it does not begin with HTTP/1.1");
	if (strspn(line + 9, "0123456789") != 3 || (line[12] != '\0' && line[12] != ' '))
		return invalid(err, "its status is not a number of three digits");
	answer->status = (int)strtol(line + 9, NULL, 10);
	if (answer->status < 100 || answer->status > 599 || answer->status == 101)
		return invalid(err, "its status is none that was asked for");
	answer->step = HTTP_ANSWER_HEAD_FIELD;
	return 0;
}

static void begin_body(struct http_answer *answer)
{
	answer->left = answer->length > 0 ? (size_t)answer->length : 0;
	if (answer->chunked)
		answer->step = HTTP_ANSWER_CHUNK_SIZE;
	else
		answer->step = answer->left > 0 ? HTTP_ANSWER_BODY_SIZED : HTTP_ANSWER_COMPLETE;
}

static int on_head_end(struct http_answer *answer, struct error *err)
{
	bool bodyless = answer->status < 200 || answer->status == 204 || answer->status == 304;

	if (answer->chunked && answer->length >= 0)
		return invalid(err, "both Content-Length and Transfer-Encoding");
	if (answer->status < 200) {
		answer->step = HTTP_ANSWER_HEAD_STATUS;
		answer->length = -1;
		answer->chunked = false;
		answer->retry_after_ms = -1;
	} else if (bodyless) {
		answer->step = HTTP_ANSWER_COMPLETE;
	} else if (!answer->chunked && answer->length < 0) {
		return invalid(err, "neither Content-Length nor Transfer-Encoding");
	} else {
		begin_body(answer);
	}
	return 0;
}

static int on_field(struct http_answer *answer, struct error *err)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char *name = answer->line, *value;
	size_t len = strspn(name, token);
	int64_t seconds;

	if (answer->line_len == 0)
		return on_head_end(answer, err);
	if (len == 0 || name[len] != ':')
		return invalid(err, "a header without a name");
	name[len] = '\0';
	value = name + len + 1;
	value += strspn(value, " \t");
	for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
	if (strcasecmp(name, "Content-Length") == 0) {
		if (answer->length >= 0 || !number(&answer->length, value, 12))
			return invalid(err, "a bad Content-Length");
		if (answer->length > HTTP_ANSWER_BODY_MAX)
			return too_large(err);
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		if (answer->chunked || strcasecmp(value, "chunked") != 0)
			return invalid(err, "a Transfer-Encoding that was not asked for");
		answer->chunked = true;
	} else if (strcasecmp(name, "Retry-After") == 0 && number(&seconds, value, 4)) {
		answer->retry_after_ms = (seconds < RETRY_AFTER_MOST_S ? seconds : RETRY_AFTER_MOST_S) * 1000;
	}
	return 0;
}

static int on_chunk_size(struct http_answer *answer, struct error *err)
{
	size_t digits = strspn(answer->line, "0123456789abcdefABCDEF");

	/* Chunk extensions mean nothing to us and may be ignored. */
	if (digits < 1 || (answer->line[digits] != '\0' && answer->line[digits] != ';' && answer->line[digits] != ' '))
		return invalid(err, "a chunk without a size");
	if (digits > CHUNK_DIGITS_MOST)
		return too_large(err);
	answer->left = strtoul(answer->line, NULL, 16);
	if (answer->left > HTTP_ANSWER_BODY_MAX - answer->body.len)
		return too_large(err);
	answer->step = answer->left > 0 ? HTTP_ANSWER_CHUNK_DATA : HTTP_ANSWER_TRAILER;
	return 0;
}

static int on_line(struct http_answer *answer, struct error *err)
{
	switch (answer->step) {
	case HTTP_ANSWER_HEAD_STATUS:
		return on_status(answer, err);
	case HTTP_ANSWER_HEAD_FIELD:
		return on_field(answer, err);
	case HTTP_ANSWER_CHUNK_SIZE:
		return on_chunk_size(answer, err);
	case HTTP_ANSWER_CHUNK_END:
		answer->step = HTTP_ANSWER_CHUNK_SIZE;
		return answer->line_len == 0 ? 0 : invalid(err, "a chunk longer than its size");
	default: /* HTTP_ANSWER_TRAILER: nothing in it matters */
		if (answer->line_len == 0)
			answer->step = HTTP_ANSWER_COMPLETE;
		return 0;
	}
}

/* --- bytes --- */

static int add_to_line(struct http_answer *answer, char byte, struct error *err)
{
	bool after_cr = answer->line_len > 0 && answer->line[answer->line_len - 1] == '\r';

	if (++answer->head_len > HTTP_ANSWER_HEAD_MAX)
		return error_set(err, ERROR_LIMIT, "an answer with a head of more than %d KiB",
				 HTTP_ANSWER_HEAD_MAX >> 10);
	if (after_cr != (byte == '\n'))
		return invalid(err, "a line that does not end with CR LF");
	if (((unsigned char)byte < ' ' && byte != '\r' && byte != '\n' && byte != '\t') || byte == 0x7f)
		return invalid(err, "a control character");
	answer->line[answer->line_len++] = byte;
	if (byte != '\n')
		return 0;
	answer->line_len -= 2;
	answer->line[answer->line_len] = '\0';
	int status = on_line(answer, err);
	answer->line_len = 0;
	return status;
}

static size_t add_to_body(struct http_answer *answer, const char *bytes, size_t n)
{
	size_t taken = n < answer->left ? n : answer->left;

	buf_append(&answer->body, bytes, taken);
	answer->left -= taken;
	if (answer->left == 0)
		answer->step = answer->step == HTTP_ANSWER_CHUNK_DATA ? HTTP_ANSWER_CHUNK_END : HTTP_ANSWER_COMPLETE;
	return taken;
}

int http_answer_feed(struct http_answer *answer, const char *bytes, size_t n, struct error *err)
{
	while (n > 0 && answer->step != HTTP_ANSWER_COMPLETE) {
		size_t taken = 1;
		if (answer->step == HTTP_ANSWER_BODY_SIZED || answer->step == HTTP_ANSWER_CHUNK_DATA)
			taken = add_to_body(answer, bytes, n);
		else if (add_to_line(answer, *bytes, err) < 0)
			return -1;
		bytes += taken;
		n -= taken;
	}
	return 0;
}
