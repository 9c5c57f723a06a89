#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

/* The YAML that configuration files are written in, as JSON: one document, no anchors and aliases (a few lines of which
 * unfold into gigabytes), no tags, no key twice, depth at most 32.  Plain true, false and null are those; every other
 * scalar is text, numbers too: what a number means is for its reader to say.
 *
 * JSON is read as what it is.  NULL and ERROR_INVALID naming line and column on failure. */
json_t *yaml_parse(const char *text, size_t len, struct error *err);
/* Overwrites all texts in the value, then drops it; nobody else may hold a reference.  NULL is fine. */
void yaml_wipe(json_t *value);
