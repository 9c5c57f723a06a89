#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/scan.h"

/* The scanner's two halves.  The grammar (scan.c) goes over bytes by the state it is in, remembers of the open brackets
 * only one bit each, and stops where the other half has to act.  The wanted (scan_wanted.c): masks say which patterns
 * the path so far agrees with, and while a wanted value is open its bytes are kept.  Where no pattern agrees, nothing
 * but grammar runs. */

enum scan_state {
	BETWEEN,          /* before, between or behind documents */
	VALUE,            /* a value must come */
	ELEMENT_OR_CLOSE, /* behind '[' */
	KEY_OR_CLOSE,     /* behind '{' */
	KEY,              /* behind ',' of an object */
	COLON,
	AFTER,  /* behind a value inside a container */
	STRING, /* in the body of a string or a key */
	ESCAPE,
	HEX,
	LITERAL,
	NUMBER_MINUS,   /* behind '-' */
	NUMBER_ZERO,    /* the states in which a number may end: this one, */
	NUMBER_INTEGER, /* this, */
	NUMBER_DOT,
	NUMBER_FRACTION, /* this, */
	NUMBER_E,
	NUMBER_SIGN,
	NUMBER_EXPONENT, /* and this */
};

struct scan_pattern {
	unsigned n_steps;
	const char *step[SCAN_STEPS_MAX]; /* into the caller's text */
	size_t len[SCAN_STEPS_MAX];
};

struct scan {
	struct scan_options options;
	struct scan_pattern patterns[SCAN_PATTERNS_MAX];
	uint8_t all;                        /* masks of patterns: every one, */
	uint8_t ending[SCAN_STEPS_MAX + 1]; /* those with this number of steps, */
	uint8_t star[SCAN_STEPS_MAX];       /* those with '*' at this step */

	enum scan_state state;
	bool in_key; /* the string under way is a key */
	uint8_t hex_left;
	const char *literal;                     /* what of it must still come */
	uint64_t objects[SCAN_DEPTH_LIMIT / 64]; /* a bit for each open bracket, from the outermost: it is an object */
	unsigned depth;
	uint64_t documents; /* begun ones */
	uint64_t offset;    /* of the next byte to be fed */

	uint8_t live[SCAN_STEPS_MAX]; /* patterns that agree with the path to the container opened at this depth */
	uint8_t next;                 /* patterns that agree with the path to the value that comes now */
	bool key_kept;
	struct buf key; /* the body of the key under way, while key_kept */
	char stars[SCAN_STEPS_MAX][SCAN_KEY_MAX + 1];

	bool open;       /* a wanted value is being kept */
	unsigned wanted; /* its pattern */
	unsigned wanted_depth;
	struct buf value;

	bool failed, ended;
	struct error error;
};

static_assert(SCAN_DEPTH_LIMIT % 64 == 0, "one bit of `objects` for each open bracket");
static_assert(SCAN_PATTERNS_MAX <= 8, "one bit of a mask for each pattern");

/* Whether the open container at this depth, 0 the outermost, is an object and no array. */
static inline bool scan_is_object(const struct scan *scan, unsigned depth)
{
	return scan->objects[depth / 64] >> depth % 64 & 1;
}

/* Patterns that go on below the innermost open container. */
static inline uint8_t scan_live(const struct scan *scan)
{
	return scan->depth > 0 && scan->depth <= SCAN_STEPS_MAX ? scan->live[scan->depth - 1] : 0;
}

static inline void scan_begin_element(struct scan *scan)
{
	uint8_t live = scan_live(scan);

	scan->next = live ? live & scan->star[scan->depth - 1] : 0;
}

static inline void scan_begin_key(struct scan *scan)
{
	scan->next = 0;
	scan->key_kept = scan_live(scan) != 0;
	if (scan->key_kept)
		buf_clear(&scan->key);
}

/* The body of a kept key is complete; the wanted value is.  0, or -1 and scan->error. */
int scan_end_key(struct scan *scan);
int scan_deliver(struct scan *scan);
