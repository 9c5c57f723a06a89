#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* JSON read where it stands: which bytes of a text are which value.  For JSON of other people that is to be edited in
 * one place and must otherwise survive byte for byte (a number such as 1e400 has no other faithful form than its text).
 * Pure.  Duplicate keys are the reader's to judge. */

enum { JSON_TEXT_DEPTH_MAX = 64 };

struct json_span {
	const char *at; /* borrowed from the text; NULL: no such value */
	size_t len;     /* without the blanks around it */
};

/* The whole text is one JSON value; ERROR_INVALID says at which byte it is not.  `text` must be valid UTF-8.  Only spans
 * that come from a checked text may be given to the functions below. */
int json_text_check(struct json_span *root, const char *text, size_t len, struct error *err);

/* '{', '[', '"', '0' (any number), 't' (true), 'f' (false), 'n' (null); '\0': no such value. */
char json_span_type(struct json_span span);
/* The string's value; NULL when it is none, or has a NUL within.  The caller frees it. */
char *json_span_string(struct json_span span);
bool json_span_is(struct json_span span, const char *string); /* is a string of this value, however it is escaped */

/* Elements of an array, members of an object, in their order.
 *	for (struct json_walk walk = json_walk_in(span); json_walk_next(&walk);) use(walk.key, walk.value); */
struct json_walk {
	struct json_span key, value; /* key: of a member, with its quotes */
	const char *next, *end;
	bool object;
};
struct json_walk json_walk_in(struct json_span container); /* of anything but an array or object: nothing comes */
bool json_walk_next(struct json_walk *walk);

/* A copy of foreign text for use in a message: at most `max` bytes, no half character, control characters as '?'. */
char *json_text_cut(const char *text, size_t len, size_t max);
