#pragma once

#include "tests/mock/kube_store.h"

/* Steals `object`, whose metadata has a name. */
struct mkube_version *mkube_version_new(enum mkube_kind kind, json_t *object, uint64_t rv);
