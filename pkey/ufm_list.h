#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "pkey/backend.h"

/* Reads UFM's list of PKeys and their members as its bytes arrive.  Pure; keeps one member at a time.
 *
 *	all:  {"0x7fff":{"partition":"management","membership":"limited","guids":[]},
 *	       "0x2fb":{"partition":"api_pkey_0x2fb","ip_over_ib":true,"guids":[{"guid":"02..","membership":"full","index0":true}]}}
 *	one:  {"partition":"api_pkey_0x2fb","ip_over_ib":true,"guids":[...]}, some releases wrap it in {"0x2fb":...};
 *	      {} where there is no such PKey
 *
 * PKeys are compared as numbers, GUIDs read as such, unknown keys ignored.  What is not certainly the whole list (cut,
 * no JSON, an HTML page, an array, an error message in an object, a partition without its guids) is an error, ERROR_RETRY;
 * too much of it ERROR_LIMIT.  A member without membership is full, one without index0 is not at index 0: UFM's defaults
 * and the schema's.  A GUID that is none is left out, unless all of them are. */
struct ufm_list;

/* `only`: the one PKey that was asked for, NULL: all.  Of `sink` (copied) `done` is not used. */
struct ufm_list *ufm_list_new(const struct pkey *only, const struct pkey_list_sink *sink);
void ufm_list_free(struct ufm_list *list); /* NULL is fine */
int ufm_list_feed(struct ufm_list *list, const char *bytes, size_t n, struct error *err);
int ufm_list_end(struct ufm_list *list, struct error *err); /* 0: it was whole */
