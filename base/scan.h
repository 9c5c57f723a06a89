#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Cuts JSON into elements as its bytes arrive, so that of a list of 100,000 pods only one is ever in memory.
 * Pure; knows strings, depth and limits, and refuses what is not JSON at the byte where it stops being so
 * (structure, literals, numbers and escapes are checked; a wanted element is checked again by whoever parses it).
 *
 * A pattern names the values that are wanted: keys separated by '/', '*' for any key or any array index, "" for
 * the whole document:
 *	list of pods:   "metadata", "items/ *"        (without the blank)
 *	watch:          "" with `many`
 *	UFM's PKeys:    "* /guids/ *", "* /partition"
 * A value inside a wanted value is not delivered again, and one that several patterns name goes to the first of them.
 * What no pattern names is checked and skipped.  No step of a pattern is empty, none longer than SCAN_KEY_MAX.
 *
 * Duplicate keys are let pass, and strings that are no UTF-8 (but not as a key for which a '*' stood): the parser of a
 * wanted element sees those. */

enum { SCAN_DEPTH_MAX = 64, SCAN_DEPTH_LIMIT = 16384, SCAN_PATTERNS_MAX = 8, SCAN_STEPS_MAX = 4, SCAN_KEY_MAX = 256 };

struct scan_value {
	unsigned pattern;                 /* index into options.patterns */
	const char *keys[SCAN_STEPS_MAX]; /* the actual key at each '*' that stood for an object's key (decoded, cut
	                                      * at SCAN_KEY_MAX: a longer one is an error), NULL for an array's index */
	unsigned n_keys;                  /* number of '*' in the pattern */
	const char *json;                 /* borrowed until the callback returns; NUL-terminated */
	size_t len;
};

/* Returns 0, or -1 with err set: scanning ends with that error.  Must not feed or free the scanner. */
typedef int scan_value_fn(void *aux, const struct scan_value *value, struct error *err);

/* The shape around what is wanted: called where a value begins that is not wanted itself but that some pattern's path
 * leads to or through.  `depth` 0 is the document; `key` is NULL for it and for an array's element; `first` is the first
 * byte, not yet checked.  So a reader notices an array that is empty, and one that stands where an object must. */
typedef int scan_begin_fn(void *aux, unsigned depth, const char *key, char first, struct error *err);

struct scan_options {
	const char *patterns[SCAN_PATTERNS_MAX]; /* ends with NULL or at its maximum; borrowed for the scanner's life */
	bool many;                               /* documents may follow each other (a watch); else one only */
	size_t max_value;                        /* bytes of one wanted value; more is ERROR_LIMIT */
	size_t max_total;                        /* bytes in all; 0: no limit (a watch) */
	unsigned max_depth;                      /* levels, up to SCAN_DEPTH_LIMIT; 0: SCAN_DEPTH_MAX */
	scan_value_fn *value;
	scan_begin_fn *begin; /* may be NULL */
	void *aux;
};

struct scan;
struct scan *scan_new(const struct scan_options *options);
void scan_free(struct scan *scan); /* NULL is fine */
/* Any cut of the input gives the same calls and the same error.  Not JSON: ERROR_INVALID; too large, deep or long:
 * ERROR_LIMIT.  After an error every further feed returns the same error. */
int scan_feed(struct scan *scan, const char *bytes, size_t n, struct error *err);
/* The input is over, nothing may be fed any more: an unfinished document (cut JSON) is ERROR_RETRY, none at all
 * (unless `many`) too. */
int scan_end(struct scan *scan, struct error *err);
