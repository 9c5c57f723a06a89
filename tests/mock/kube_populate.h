#pragma once

#include "base/error.h"
#include "tests/mock/kube_api.h"

/* Stores many objects at once, past all rules:
 *	{"resource": "pods", "namespace": "a", "count": 1000, "start": 0, "name": "p%06d", "pod": {...}}
 * `pod` (or `object`) is copied for each, %d in `name` is its number; uid and times are set, a pod without a status is
 * Running, the namespace is made if it is not there. */
int mkube_populate(struct mkube_api *api, const json_t *order, int64_t now_ms, struct error *err);
