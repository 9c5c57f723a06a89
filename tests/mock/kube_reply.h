#pragma once

#include <jansson.h>
#include <stddef.h>

#include "tests/mock/kube_store.h"

/* An answer that is ready to go out. */
struct mkube_reply {
	int status;           /* 0: none yet */
	unsigned retry_after; /* seconds; 0: not said */
	char *body;           /* JSON; owned */
	size_t len;
};

void mkube_reply_free(struct mkube_reply *reply);
void mkube_reply_version(struct mkube_reply *reply, int status, const struct mkube_version *version);
void mkube_reply_json(struct mkube_reply *reply, int status, json_t *object); /* steals */

/* A Status of a failure.  `reason` is what clients decide by ("NotFound"), NULL: none; `details` may be NULL, is stolen.
 * All return false so that a rule may say `return mkube_fail(...)`. */
bool mkube_fail(struct mkube_reply *reply, int code, const char *reason, json_t *details, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The common ones, worded as kube-apiserver words them. */
bool mkube_fail_not_found(struct mkube_reply *reply, enum mkube_kind kind, const char *name);
bool mkube_fail_exists(struct mkube_reply *reply, enum mkube_kind kind, const char *name);
bool mkube_fail_modified(struct mkube_reply *reply, enum mkube_kind kind, const char *name);
bool mkube_fail_bad_request(struct mkube_reply *reply, const char *text);
/* 422 for one field of an object; `reason` as in "FieldValueInvalid". */
bool mkube_fail_invalid(struct mkube_reply *reply, enum mkube_kind kind, const char *name, const char *reason,
			const char *field, const char *text);
void mkube_reply_success(struct mkube_reply *reply, int status, json_t *details); /* steals, may be NULL */
