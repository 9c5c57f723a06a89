#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

/* Patches as kube-apiserver applies them (its library's ways included).  Both change `*object`, which the caller holds
 * the only reference to; after a failure it is in no defined state. */

/* RFC 6902.  A missing member tests equal to null, a member of a missing container is an error; unless `strict` (newer
 * servers) replace also adds.  ERROR_INVALID: this is no array of operations (400); ERROR_CONFLICT: an operation is none,
 * does not apply, or a test failed (422). */
int mkube_json_patch(json_t **object, const json_t *patch, bool strict, struct error *err);

/* RFC 7396. */
void mkube_merge_patch(json_t **object, const json_t *patch);
