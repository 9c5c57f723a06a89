#pragma once

#include <jansson.h>

#include "base/error.h"
#include "tests/mock/kube_reply.h"

/* TokenReview and SubjectAccessReview, answered from a list of identities that a test sets. */
struct mkube_access;
struct mkube_access *mkube_access_new(void);
void mkube_access_free(struct mkube_access *access);
int mkube_access_set(struct mkube_access *access, const json_t *identities, struct error *err);
/* Is `path` one of the two?  Then *reply is the answer. */
bool mkube_access_serve(struct mkube_access *access, const char *method, const char *path, const char *body, size_t len,
			struct mkube_reply *reply);
