#include "base/utf8.h"

#include <assert.h>
#include <string.h>

static bool continues(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t utf8_span(const char *text, size_t n)
{
	const unsigned char *u = (const unsigned char *)text;

	if (n == 0)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4)
		return 0;
	if (u[0] < 0xe0)
		return n >= 2 && continues(u[1]) ? 2 : 0;
	/* The second byte is where overlong forms, surrogates and too large code points show. */
	unsigned char low = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;
	unsigned char high = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf;
	size_t length = u[0] < 0xf0 ? 3 : 4;
	if (n < length || u[1] < low || u[1] > high || !continues(u[2]))
		return 0;
	return length == 3 || continues(u[3]) ? length : 0;
}

bool utf8_valid(const char *text, size_t n)
{
	while (n > 0) {
		size_t span = utf8_span(text, n);
		if (span == 0)
			return false;
		text += span;
		n -= span;
	}
	return true;
}

size_t utf8_put(char out[4], uint32_t code)
{
	assert(code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = length - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)((0xf00 >> length & 0xff) | code);
	return length;
}

void utf8_one_line(char *text)
{
	size_t n = strlen(text), span;

	for (char *p = text; n > 0; p += span, n -= span) {
		span = utf8_span(p, n);
		if (span == 0) {
			*p = '?';
			span = 1;
		} else if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			*p = ' ';
		}
	}
}
