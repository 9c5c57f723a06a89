#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "pkey/members.h"

/* One member as UFM writes it: {"guid":"02..1a","membership":"full","index0":true}, also with "port_guid" and "index_0".
 * `json` is one value whose grammar was checked (scan.h), NUL-terminated.  ERROR_RETRY: not an object, or without a GUID.
 * *odd: there is one, but it is no 64-bit number. */
int ufm_member_read(struct member *out, bool *odd, const char *json, size_t len, struct error *err);
