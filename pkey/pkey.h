#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A partition key: 15 bits.  The top bit of the wire's 16 says full or limited membership and is a value of its own
 * here; it appears only on the wire. */
struct pkey {
	uint16_t v;
};

enum membership { MEMBERSHIP_FULL, MEMBERSHIP_LIMITED };

enum { PKEY_TEXT_MAX = 8, PKEY_FIRST = 0x1, PKEY_LAST = 0x7ffe, PKEY_MANAGEMENT = 0x7fff, PKEY_COUNT = 0x8000 };

/* As a network definition writes it: "0x"/"0X" and 1 to 4 hexadecimal digits, or decimal digits without a leading
 * zero ("1000").  No sign, no blank.  True only for 0x1-0x7ffe. */
bool pkey_parse(struct pkey *out, const char *text);
bool pkey_from_number(struct pkey *out, int64_t number);           /* a JSON number: the same bounds */
char *pkey_format(char out[PKEY_TEXT_MAX], struct pkey pkey);      /* 0x0005: for people */
char *pkey_format_wire(char out[PKEY_TEXT_MAX], struct pkey pkey); /* 0x5: UFM */
const char *membership_name(enum membership membership);           /* "full", "limited" */
bool membership_parse(enum membership *out, const char *text);

/* A set of PKeys as users write it: "0x5,0x10-0x1f". */
struct pkey_set {
	uint8_t bits[PKEY_COUNT / 8];
};
/* Blanks and line ends around the items are fine; anything else that is not a PKey or an ascending range (an empty item
 * too): false, *out as it was, and *bad (may be NULL) is where it starts.  An empty text is the empty set. */
bool pkey_set_parse(struct pkey_set *out, const char *text, const char **bad);
bool pkey_set_has(const struct pkey_set *set, struct pkey pkey);
void pkey_set_add(struct pkey_set *set, struct pkey pkey); /* 15 bits, also 0x7fff */
void pkey_set_remove(struct pkey_set *set, struct pkey pkey);

/* What can be asked for in one request: all GUIDs of a request share it. */
struct pkey_class {
	struct pkey pkey;
	enum membership membership;
	bool index0; /* the PKey stands at index 0 of the port's table */
};
