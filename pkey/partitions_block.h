#pragma once

#include "pkey/partitions.h"

/* Our part of a partitions.conf: the lines between two marker comments.  All other text is the operator's, and stays
 * byte for byte.  Pure.
 *
 *	# BEGIN ufmsync: ...
 *	ufmsync_0005=0x0005,ipoib :
 *	0x0200000000000001=full,
 *	0x0200000000000002=limited ;
 *	# END ufmsync */

/* One partition of ours as it is to stand there.  Without members it is left out: OpenSM drops it. */
struct partitions_ours {
	struct pkey pkey;
	bool ipoib, index0;
	const struct members *members; /* borrowed */
};

/* The whole new text, from what stands in the file now: our part replaced, or appended when there is none yet (behind a
 * line feed when the last line has none).  Nothing is written unless all of this holds; ERROR_INVALID names line and
 * reason otherwise, and what to do:
 *	- the operator's part parses, and has a definition of the default partition (none is ever invented);
 *	- it ends its own definitions before our part begins, and defines none of our PKeys;
 *	- there is no marker, or one of each, in order;
 *	- the result parses, and reads back as the operator's part with ours, equal in every member.
 * ERROR_LIMIT when `out` is too small.  Each PKey in `ours` once. */
int partitions_replace(struct buf *out, const char *text, size_t len, const struct partitions_ours *ours, size_t n,
		       struct error *err);

/* What our part says now: each member, in the order of the file.  ERROR_INVALID when the markers or our part are
 * damaged, or when one of its PKeys is defined outside of it too.  A file without our part has no members. */
int partitions_each_of_ours(const char *text, size_t len,
			    void (*each)(void *aux, struct pkey pkey, const struct member *member), void *aux,
			    struct error *err);
