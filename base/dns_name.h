#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the n bytes are a DNS name as hosts and certificates have it: labels of letters, digits and '-', at most 63 long,
 * that neither begin nor end with '-', dots between them, at most 253 in all.  No final dot. */
bool dns_name_is_valid(const char *text, size_t n);
