#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Getters over jansson for JSON that came from outside: no getter assumes a type, none crashes on NULL. */

/* Strict: one value, nothing behind it, no duplicate keys, depth at most 64 (jansson's own limit is 2048: reject
 * deeper).  NULL and an ERROR_INVALID naming line and column on failure. */
json_t *json_parse(const char *text, size_t len, struct error *err);

/* The value at the end of the keys, or NULL; the list of keys ends with NULL.  Borrowed.
 *	json_at(pod, "metadata", "annotations", NULL) */
json_t *json_at(const json_t *root, ...) __attribute__((sentinel));
/* The string there, or NULL when absent or of another type.  Borrowed.  A string with an embedded NUL is NULL. */
const char *json_str(const json_t *root, ...) __attribute__((sentinel));
bool json_bool(const json_t *root, int otherwise, ...) __attribute__((sentinel));
int64_t json_int(const json_t *root, int64_t otherwise, ...) __attribute__((sentinel));

/* RFC 3339 as Kubernetes writes it ("2026-01-02T03:04:05Z", up to nine fraction digits) to ms since 1970. */
bool json_time_ms(int64_t *ms, const char *text);
/* "2026-01-02T03:04:05.678000Z": exactly six fraction digits, what a MicroTime takes.  What lies before 1970 or behind
 * 9999 becomes the nearest moment inside. */
void json_micro_time(char out[28], int64_t ms);

void json_freep(json_t **value); /* for __attribute__((cleanup(json_freep))) */
