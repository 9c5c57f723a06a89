#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A port GUID (EUI-64) of InfiniBand, in host order; only pkey/umad knows the wire's order. */
struct guid {
	uint64_t v;
};

enum { GUID_TEXT_MAX = 24 }; /* "02:00:00:00:00:00:00:1a" and its NUL */

/* Exactly eight pairs of hexadecimal digits separated by ':', any letter case.  Zero and all-ones parse: whether a
 * GUID may be used is guid_usable()'s question. */
bool guid_parse(struct guid *out, const char *text);
/* Exactly sixteen hexadecimal digits (UFM's form), any letter case, with or without 0x. */
bool guid_parse_hex(struct guid *out, const char *text);
/* What an operator may type: either form, any case. */
bool guid_parse_any(struct guid *out, const char *text);

/* Lower case.  Both return `out`. */
char *guid_format(char out[GUID_TEXT_MAX], struct guid guid);     /* 02:00:00:00:00:00:00:1a */
char *guid_format_hex(char out[GUID_TEXT_MAX], struct guid guid); /* 020000000000001a */

/* Zero and all-ones mean "no GUID" to hardware and drivers; nobody may ever hold them. */
static inline bool guid_usable(struct guid guid)
{
	return guid.v != 0 && guid.v != UINT64_MAX;
}
