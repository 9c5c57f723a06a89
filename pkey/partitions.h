#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "guid/guid.h"
#include "pkey/members.h"
#include "pkey/pkey.h"

/* OpenSM's partition configuration (partitions.conf), read as OpenSM 3.3 itself reads it.  Pure.
 *
 * A file that OpenSM refuses opens the whole fabric: every port becomes a full member of the default partition and every
 * other P_Key is taken from all ports.  So this parser never accepts what OpenSM refuses.  It refuses besides what OpenSM
 * accepts but reads otherwise than it looks, or differently from one time to the next; these reasons have a number each,
 * so that a test can count them. */

enum partitions_refusal {
	PARTITIONS_FINE,
	/* OpenSM refuses these too: */
	PARTITIONS_EMPTY,         /* no definition in the whole file */
	PARTITIONS_NO_DEFINITION, /* no ':' on the first line of one */
	PARTITIONS_BAD_PKEY,      /* no number */
	PARTITIONS_BAD_PORT,      /* neither a keyword nor a number */
	/* OpenSM reads these, in a way that nobody would expect: */
	PARTITIONS_BARE_SEMICOLON, /* a ';' with nothing before it: OpenSM reads on in what an earlier line left */
	PARTITIONS_LONG_LINE,      /* more than 4094 bytes: the rest becomes a line of its own */
	PARTITIONS_CONTROL,        /* a control character that is neither tab nor line feed; NUL, carriage return */
	PARTITIONS_ODD_NUMBER,     /* a sign, or more than 16 (PKey) or 64 (GUID) bits: OpenSM cuts them off */
	PARTITIONS_NO_PKEY,        /* no PKey, or 0: OpenSM picks one, by what it has seen before */
	PARTITIONS_COLON,          /* a ':' in a list of ports: the ';' of the definition before is missing */
	PARTITIONS_MGID,           /* not a multicast GID, or no flag behind it: OpenSM reads on behind its end */
	PARTITIONS_TOO_LARGE,      /* more than PARTITIONS_TEXT_MAX */
	PARTITIONS_REFUSALS
};

enum { PARTITIONS_TEXT_MAX = 64 << 20, PARTITIONS_LINE_MAX = 4094 };

enum partitions_who {
	PARTITIONS_PORT, /* `guid` */
	PARTITIONS_SELF, /* the port of the subnet manager */
	PARTITIONS_ALL,
	PARTITIONS_ALL_CAS,
	PARTITIONS_ALL_SWITCHES,
	PARTITIONS_ALL_ROUTERS,
};

enum partitions_level {
	PARTITIONS_LIMITED,
	PARTITIONS_FULL,
	PARTITIONS_BOTH /* full where OpenSM does not allow both */
};

struct partitions_entry {
	struct guid guid;
	uint8_t who, level; /* enum partitions_who, enum partitions_level */
};

/* One definition.  Several may have the same PKey: OpenSM merges them, and the last entry for a port wins. */
struct partitions_definition {
	uint16_t pkey; /* 15 bits; 0x7fff is the default partition */
	bool ipoib, index0;
	unsigned line;                    /* its first, from 1 */
	size_t at, end;                   /* bytes of the text: from its first to behind its ';' */
	struct partitions_entry *entries; /* in the order of the file */
	size_t n;
};

struct partitions {
	struct partitions_definition *definitions;
	size_t n;
	bool open; /* the last one has no ';': whatever is appended becomes part of it */
};

/* ERROR_INVALID names line and reason; *why (may be NULL) is the reason's number. */
int partitions_parse(struct partitions **ret, const char *text, size_t len, enum partitions_refusal *why,
		     struct error *err);
void partitions_free(struct partitions *partitions); /* NULL is fine */

/* What a port is in a partition when OpenSM has read this (without its option allow_both_pkeys). */
enum partitions_kind { PARTITIONS_CA, PARTITIONS_SWITCH, PARTITIONS_ROUTER };
struct partitions_port {
	struct guid guid;
	enum partitions_kind kind;
	bool is_sm;
};
/* False: no member.  In the default partition everybody is, at least a limited one. */
bool partitions_member(const struct partitions *partitions, uint16_t pkey, const struct partitions_port *port,
		       enum membership *membership);
