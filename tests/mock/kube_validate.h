#pragma once

#include "tests/mock/kube_reply.h"

/* Checks of a whole object that is about to be stored.  False: answered 422. */
bool mkube_validate(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply);
/* Further ones of an object that is about to be created. */
bool mkube_validate_new(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply);
