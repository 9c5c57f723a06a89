#include "base/json_unescape.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

static uint32_t hex4(const char *digits)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)digits[i];
		v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

/* The code point of the "\uXXXX", or of the pair of them, at *at, which moves behind it; 0 when it is none. */
static uint32_t code_point(const char **at, const char *end)
{
	uint32_t code = hex4(*at + 2);

	*at += 6;
	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return 0;
	uint32_t low = hex4(*at + 2);
	*at += 6;
	return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0;
}

static char simple_escape(char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found = strchr(from, c);

	return to[found - from];
}

enum json_unescape json_unescape(char *out, size_t max, size_t *len, const char *body, size_t n)
{
	const char *end = body + n;

	for (*len = 0; body < end;) {
		char character[4];
		size_t size = 1;
		if (*body != '\\') {
			size = utf8_span(body, (size_t)(end - body));
			if (size == 0 || *body == '\0')
				return JSON_UNESCAPE_BAD;
			memcpy(character, body, size);
			body += size;
		} else if (body[1] == 'u') {
			uint32_t code = code_point(&body, end);
			if (code == 0)
				return JSON_UNESCAPE_BAD;
			size = utf8_put(character, code);
		} else {
			character[0] = simple_escape(body[1]);
			body += 2;
		}
		if (size > max - *len)
			return JSON_UNESCAPE_LONG;
		memcpy(out + *len, character, size);
		*len += size;
	}
	out[*len] = '\0';
	return JSON_UNESCAPE_OK;
}
