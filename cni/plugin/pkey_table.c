#include "cni/plugin/pkey_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pkey_table_add(struct pkey_table *table, const char *text)
{
	if (text[0] != '0' || text[1] != 'x')
		return false;
	size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
	const char *rest = text + 2 + digits;
	if (digits < 1 || digits > 4 || (*rest && strcmp(rest, "\n") != 0))
		return false;
	uint16_t key = (uint16_t)strtoul(text, NULL, 16);
	if (key == 0)
		return true;
	if (table->n == PKEY_TABLE_MAX)
		return false;
	table->keys[table->n++] = key;
	return true;
}

bool pkey_table_has(const struct pkey_table *table, unsigned pkey, bool full)
{
	for (unsigned i = 0; i < table->n; i++) {
		bool is_full = table->keys[i] & PKEY_TABLE_FULL;
		if ((table->keys[i] & ~PKEY_TABLE_FULL) == (int)pkey && (is_full || !full))
			return true;
	}
	return false;
}

char *pkey_table_format(char out[PKEY_TABLE_TEXT_MAX], const struct pkey_table *table)
{
	static const char more[] = ", ...";
	size_t len = (size_t)snprintf(out, PKEY_TABLE_TEXT_MAX, "%s", table->n == 0 ? "nothing" : "");

	for (unsigned i = 0; i < table->n; i++) {
		if (len + sizeof ", 0x8005" - 1 + sizeof more > PKEY_TABLE_TEXT_MAX) {
			snprintf(out + len, PKEY_TABLE_TEXT_MAX - len, "%s", more);
			break;
		}
		len += (size_t)snprintf(out + len, PKEY_TABLE_TEXT_MAX - len, "%s0x%04x", i > 0 ? ", " : "",
					table->keys[i]);
	}
	return out;
}
