#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

static char nothing[1] = "";

void buf_init(struct buf *buf, size_t max)
{
	assert(max < SIZE_MAX / 2);
	*buf = (struct buf){ .data = nothing, .max = max };
}

void buf_free(struct buf *buf)
{
	if (buf->cap > 0)
		free(buf->data);
	buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->full = false;
	if (buf->cap > 0)
		buf->data[0] = '\0';
}

static bool reserve(struct buf *buf, size_t n)
{
	if (buf->full || n > buf->max - buf->len) {
		buf->full = true;
		return false;
	}
	if (buf->len + n + 1 <= buf->cap)
		return true;
	size_t cap = buf->cap > 0 ? buf->cap * 2 : 64;
	if (cap < buf->len + n + 1)
		cap = buf->len + n + 1;
	if (cap > buf->max + 1)
		cap = buf->max + 1;
	buf->data = mem_resize(buf->cap > 0 ? buf->data : NULL, cap, 1);
	buf->cap = cap;
	return true;
}

bool buf_append(struct buf *buf, const void *bytes, size_t n)
{
	if (!reserve(buf, n))
		return false;
	if (n > 0)
		memcpy(buf->data + buf->len, bytes, n);
	buf->len += n;
	buf->data[buf->len] = '\0';
	return true;
}

bool buf_text(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
	va_list ap, again;

	va_start(ap, format);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	assert(n >= 0);
	bool fits = reserve(buf, (size_t)n);
	if (fits) {
		vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
		buf->len += (size_t)n;
	}
	va_end(again);
	return fits;
}

static void append_utf8(struct buf *buf, const char *text, size_t n)
{
	if (utf8_valid(text, n)) {
		buf_append(buf, text, n);
		return;
	}
	for (size_t span; n > 0; text += span, n -= span) {
		span = utf8_span(text, n);
		buf_append(buf, span > 0 ? text : "\xef\xbf\xbd", span > 0 ? span : 3);
		span = span > 0 ? span : 1;
	}
}

bool buf_json_string(struct buf *buf, const char *text)
{
	buf_append(buf, "\"", 1);
	for (const char *p = text; *p; p++) {
		size_t plain = strcspn(p, "\"\\\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13"
					  "\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f");
		append_utf8(buf, p, plain);
		p += plain;
		if (!*p)
			break;
		if (*p == '"' || *p == '\\')
			buf_printf(buf, "\\%c", *p);
		else
			buf_printf(buf, "\\u%04x", (unsigned)(unsigned char)*p);
	}
	return buf_append(buf, "\"", 1);
}

char *buf_take(struct buf *buf)
{
	char *data = buf->cap > 0 ? buf->data : mem_dup("");

	buf_init(buf, buf->max);
	return data;
}
