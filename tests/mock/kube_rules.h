#pragma once

#include <stdint.h>

#include "tests/mock/kube_reply.h"

/* What kube-apiserver sets, keeps and refuses of an object's content.  All return false with the answer made. */

enum { MKUBE_ANNOTATIONS_MAX = 262144 };

/* Of a body for `route`: kind, apiVersion, types of the members that are looked at; adds an empty metadata.  A body that
 * cannot be decoded is answered with `code`. */
bool mkube_rules_decode(const struct mkube_route *route, json_t *object, int code, struct mkube_reply *reply);
/* Name, namespace, uid, creation time, defaults; then all checks. */
bool mkube_rules_create(const struct mkube_route *route, json_t *object, int64_t now_ms, struct mkube_reply *reply);
/* Keeps what this update may not touch (status or spec, by route->sub), refuses a change of what never changes. */
bool mkube_rules_update(const struct mkube_route *route, const json_t *old, json_t *object, struct mkube_reply *reply);

/* "2026-01-02T03:04:05Z" */
json_t *mkube_time(int64_t ms);
