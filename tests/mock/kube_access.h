#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"
#include "tests/mock/kube_reply.h"

/* TokenReview and SubjectAccessReview, answered from a list of identities that a test sets. */
struct mkube_access;
struct mkube_access *mkube_access_new(void);
void mkube_access_free(struct mkube_access *access);
int mkube_access_set(struct mkube_access *access, const json_t *identities, struct error *err);
/* TokenRequest of a service account that exists: a token that a TokenReview then knows.  What its user may is what the
 * identities say of that user. */
void mkube_access_issue(struct mkube_access *access, const char *namespace, const char *account, const char *body,
			size_t len, int64_t now_ms, struct mkube_reply *reply);
/* Is `path` one of the two?  Then *reply is the answer. */
bool mkube_access_serve(struct mkube_access *access, const char *method, const char *path, const char *body, size_t len,
			struct mkube_reply *reply);
