#include "guid/guid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool guid_parse(struct guid *out, const char *text)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++, text += 3) {
		int high = nibble(text[0]), low = high < 0 ? -1 : nibble(text[1]);
		if (low < 0 || text[2] != (i < 7 ? ':' : '\0'))
			return false;
		v = v << 8 | (unsigned)(high << 4 | low);
	}
	out->v = v;
	return true;
}

bool guid_parse_hex(struct guid *out, const char *text)
{
	uint64_t v = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (int i = 0; i < 16; i++) {
		int digit = nibble(text[i]);
		if (digit < 0)
			return false;
		v = v << 4 | (unsigned)digit;
	}
	if (text[16] != '\0')
		return false;
	out->v = v;
	return true;
}

bool guid_parse_any(struct guid *out, const char *text)
{
	return guid_parse(out, text) || guid_parse_hex(out, text);
}

char *guid_format(char out[GUID_TEXT_MAX], struct guid guid)
{
	uint64_t v = guid.v;

	snprintf(out, GUID_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(v >> 56 & 0xff),
		 (unsigned)(v >> 48 & 0xff), (unsigned)(v >> 40 & 0xff), (unsigned)(v >> 32 & 0xff),
		 (unsigned)(v >> 24 & 0xff), (unsigned)(v >> 16 & 0xff), (unsigned)(v >> 8 & 0xff),
		 (unsigned)(v & 0xff));
	return out;
}

char *guid_format_hex(char out[GUID_TEXT_MAX], struct guid guid)
{
	snprintf(out, GUID_TEXT_MAX, "%016" PRIx64, guid.v);
	return out;
}
