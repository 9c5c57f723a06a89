#pragma once

#include <jansson.h>
#include <stdbool.h>

/* encoding/json of Go takes a key for a field's also when the case of letters differs, two letters beyond ASCII included
 * (U+017F for s, U+212A for k), and the last such key of an object wins.  So a config written by a tenant could hold
 * another value for a field that was just checked or set.  Pure. */

/* Would Go take `key` for `name` (ASCII), although they are not the same? */
bool lookalike(const char *key, const char *name);
/* Removes all members whose key is a lookalike of one of `names` (ends with NULL); NULL is no object, and fine. */
void lookalike_drop(json_t *object, const char *const *names);
