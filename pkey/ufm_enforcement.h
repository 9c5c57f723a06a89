#pragma once

#include "base/error.h"
#include "base/net/loop.h"
#include "pkey/ufm.h"
#include "secrets/secrets.h"

/* Does UFM's subnet manager enforce partitions?  For a preflight: one question, on a connection of its own.  It asks for
 * the one parameter, since beside it stand the fabric's keys; nothing of the answer is kept or quoted. */

enum ufm_enforcement {
	UFM_ENFORCEMENT_UNKNOWN, /* it does not say: an older release, or this user may not ask */
	UFM_ENFORCEMENT_ON,
	UFM_ENFORCEMENT_OFF,
};
/* Pure: GET of the path gives the body. */
#define UFM_ENFORCEMENT_PATH "/app/smconf?param_name=no_partition_enforcement"
enum ufm_enforcement ufm_enforcement_read(int status, const char *body, size_t len);

struct ufm_enforcement_ask;
/* Calls `done` once, later, unless freed before.  ERROR_INVALID as ufm_new(). */
int ufm_enforcement_ask(struct ufm_enforcement_ask **ret, struct loop *loop, const struct ufm_options *options,
			const struct secrets *secrets, void (*done)(void *aux, enum ufm_enforcement enforcement),
			void *aux, struct error *err);
void ufm_enforcement_free(struct ufm_enforcement_ask *ask); /* NULL is fine; may be called from `done` */
