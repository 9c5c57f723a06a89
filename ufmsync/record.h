#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guid/guid.h"
#include "pkey/pkey.h"

/* What was decided for a pod, signed, kept in the pod's annotation `ufmsync.io/record`: after a restart the only thing
 * in a pod that is believed.  Pure.
 *
 *	1.<base64url(payload)>.<base64url(HMAC-SHA256(key, "1.<base64url(payload)>"))>      (no padding)
 *	payload: compact JSON {"uid","since","attachments":[{"network":"ns/name","index","interface","guid",
 *		"memberships":[{"pkey":"0x5","membership":"full","index0":true}]}]} */

enum { RECORD_MEMBERSHIPS_MAX = 2, RECORD_TEXT_MAX = 64 * 1024 };

struct record_attachment {
	char *network;   /* namespace/name */
	int index;       /* -1: the default network */
	char *interface; /* "" when none was asked for */
	struct guid guid;
	struct pkey_class memberships[RECORD_MEMBERSHIPS_MAX];
	unsigned n_memberships; /* 0: GUID only */
};

struct record {
	char *uid;        /* of the pod: a record copied to another pod is worth nothing there */
	int64_t since_ms; /* wall time of signing; never decreasing */
	struct record_attachment *attachments;
	size_t n_attachments;
};

struct record_keys;
/* "base64,base64": each at least 32 bytes; the first signs, all verify.  Errors name position and length only. */
int record_keys_parse(struct record_keys **ret, const char *text, struct error *err);
/* Believes every record that is in order, whoever wrote it, and signs none: for tools of operators, who seldom have the
 * key, and who only look.  Never for what gives or takes anything: tests/layers keeps it out of the service. */
struct record_keys *record_keys_unverified(void);
void record_keys_free(struct record_keys *keys); /* wipes; NULL is fine */

/* The annotation's text; the caller frees it. */
char *record_sign(const struct record_keys *keys, const struct record *record);
/* ERROR_AUTH: not signed by any of the keys; ERROR_INVALID: signed but not ours to understand, or of another pod. */
int record_open(struct record **ret, const struct record_keys *keys, const char *text, const char *uid,
		struct error *err);
void record_free(struct record *record); /* NULL is fine */
