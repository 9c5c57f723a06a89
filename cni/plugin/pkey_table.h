#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The P_Key table of a port, as the kernel shows it: bit 15 of an entry means full member, 0x0000 an empty place.
 * Pure. */

enum { PKEY_TABLE_MAX = 1024, PKEY_TABLE_FULL = 0x8000, PKEY_TABLE_TEXT_MAX = 192 };

struct pkey_table {
	uint16_t keys[PKEY_TABLE_MAX];
	unsigned n; /* of those that are not empty */
};

/* One file of sysfs: "0x8005\n".  False: it is no such text, or the table is full. */
bool pkey_table_add(struct pkey_table *table, const char *text);
/* What a membership needs: the full one its entry with bit 15; for a limited one that will do too, as a full member may
 * talk to all that a limited one may. */
bool pkey_table_has(const struct pkey_table *table, unsigned pkey, bool full);
/* "0x7fff, 0x8005", cut with "..."; "nothing".  Returns `out`. */
char *pkey_table_format(char out[PKEY_TABLE_TEXT_MAX], const struct pkey_table *table);
