#pragma once

#include <stddef.h>

#include "base/error.h"

/* A name's addresses, in the system's order.  Blocks as long as the resolver does; SIGTERM and SIGINT, which the program
 * otherwise keeps blocked while files are in flight, may end it meanwhile. */

enum { RESOLVE_MAX = 64 };

struct resolve {
	char *addresses[RESOLVE_MAX]; /* numeric, owned */
	size_t n;
};

/* At least one address, or an error.  An address is its own answer; link-local ones mean nothing to others and are left
 * out. */
int resolve(struct resolve *out, const char *host, struct error *err);
void resolve_free(struct resolve *answers);
