#pragma once

#include "tests/mock/kube_reply.h"

/* Why the types of a kind's own members cannot be decoded, or NULL: a MicroTime has exactly six fraction digits. */
const char *mkube_undecodable(enum mkube_kind kind, const json_t *object);
/* Checks of a whole object that is about to be stored.  False: answered 422. */
bool mkube_validate(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply);
/* Further ones of an object that is about to be created. */
bool mkube_validate_new(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply);
