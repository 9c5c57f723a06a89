#include "pkey/pkey.h"

#include <stdio.h>
#include <string.h>

static int digit(char c, int base)
{
	int v = c >= '0' && c <= '9'   ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : 16;

	return v < base ? v : -1;
}

/* Reads a PKey at `text` and says where it ends; NULL when there is none or it is out of bounds. */
static const char *read_pkey(struct pkey *out, const char *text)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *p = hex ? text + 2 : text;
	int base = hex ? 16 : 10, most = hex ? 4 : 5, n = 0;
	uint32_t v = 0;

	if (!hex && *p == '0')
		return NULL;
	for (; n < most && digit(*p, base) >= 0; n++)
		v = v * (unsigned)base + (unsigned)digit(*p++, base);
	if (n == 0 || digit(*p, base) >= 0 || v < PKEY_FIRST || v > PKEY_LAST)
		return NULL;
	out->v = (uint16_t)v;
	return p;
}

bool pkey_parse(struct pkey *out, const char *text)
{
	struct pkey pkey;
	const char *end = read_pkey(&pkey, text);

	if (!end || *end != '\0')
		return false;
	*out = pkey;
	return true;
}

bool pkey_from_number(struct pkey *out, int64_t number)
{
	if (number < PKEY_FIRST || number > PKEY_LAST)
		return false;
	out->v = (uint16_t)number;
	return true;
}

char *pkey_format(char out[PKEY_TEXT_MAX], struct pkey pkey)
{
	snprintf(out, PKEY_TEXT_MAX, "0x%04x", (unsigned)pkey.v);
	return out;
}

char *pkey_format_wire(char out[PKEY_TEXT_MAX], struct pkey pkey)
{
	snprintf(out, PKEY_TEXT_MAX, "0x%x", (unsigned)pkey.v);
	return out;
}

const char *membership_name(enum membership membership)
{
	return membership == MEMBERSHIP_FULL ? "full" : "limited";
}

bool membership_parse(enum membership *out, const char *text)
{
	if (strcmp(text, "full") == 0)
		*out = MEMBERSHIP_FULL;
	else if (strcmp(text, "limited") == 0)
		*out = MEMBERSHIP_LIMITED;
	else
		return false;
	return true;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* One PKey or one range, added to the set; NULL when it is neither. */
static const char *read_item(struct pkey_set *set, const char *text)
{
	struct pkey first, last;
	const char *p = read_pkey(&first, text);

	last = first;
	if (p && *p == '-')
		p = read_pkey(&last, p + 1);
	if (!p || last.v < first.v)
		return NULL;
	for (uint32_t v = first.v; v <= last.v; v++)
		pkey_set_add(set, (struct pkey){ (uint16_t)v });
	return p;
}

bool pkey_set_parse(struct pkey_set *out, const char *text, const char **bad)
{
	struct pkey_set set = { 0 };
	const char *p = skip_blanks(text);
	bool more = *p != '\0';

	while (more) {
		const char *item = p;
		p = read_item(&set, item);
		if (p)
			p = skip_blanks(p);
		if (!p || (*p != '\0' && *p != ',')) {
			if (bad)
				*bad = item;
			return false;
		}
		more = *p == ',';
		if (more)
			p = skip_blanks(p + 1);
	}
	*out = set;
	return true;
}

bool pkey_set_has(const struct pkey_set *set, struct pkey pkey)
{
	return pkey.v < PKEY_COUNT && (set->bits[pkey.v / 8] >> (pkey.v % 8) & 1);
}

void pkey_set_add(struct pkey_set *set, struct pkey pkey)
{
	set->bits[pkey.v / 8] |= (uint8_t)(1 << pkey.v % 8);
}

void pkey_set_remove(struct pkey_set *set, struct pkey pkey)
{
	set->bits[pkey.v / 8] &= (uint8_t) ~(1 << pkey.v % 8);
}
