#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guid/guid.h"
#include "pkey/pkey.h"

/* The body of POST /v1/attach.  Pure.
 *
 * The texts come from a node and go into URLs, tables and messages, so each has a bound and an alphabet of its own; a key
 * that is not known is left alone, so that a newer plugin may say more. */
struct attach_request {
	const char *namespace, *name, *uid; /* of the pod: DNS names; at most 64 letters, digits and '-' */
	const char *interface;              /* 1 to 15 bytes, as Linux takes them */
	const char *network_name;           /* 1 to 253 characters */
	uint64_t sandbox;                   /* which containerID: the same number for the same one; 0: not said */
	bool has_hint;                      /* one that is no usable GUID is none */
	struct guid hint;
	struct pkey pkey; /* likewise; 0: none */
};

/* To be freed with free().  ERROR_INVALID names the field. */
int attach_request_parse(struct attach_request **ret, const char *body, size_t len, struct error *err);
