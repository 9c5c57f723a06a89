#pragma once

#include <stddef.h>

#include "base/error.h"
#include "cni/installer/host.h"

/* What is brought to the node, read from our own image and volumes, and looked at before it goes anywhere: a half-written
 * or wrongly mounted file must not replace a good one. */

struct source {
	char *bytes; /* owned */
	size_t len;
};

/* A service account's token: one line of visible ASCII; without its line end. */
int source_token(struct source *ret, const char *path, struct error *err);
/* Certificates in PEM, and no key. */
int source_ca(struct source *ret, const char *path, struct error *err);
int source_plugin(struct source *ret, const char *path, struct error *err);
void source_forget(struct source *source); /* wipes */

int source_stamp(struct host_stamp *ret, const char *path, struct error *err);
