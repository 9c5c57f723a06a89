#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cni/installer/options.h"

/* Brings a node into the state that the options name: HOST_BIN/ufmsync, and in HOST_CONF/ufmsync.d ca.crt, token and
 * ufmsync.conf; or, with --remove, none of them.  Logs what it did and what it could not do. */
struct installer;

struct installer *installer_new(const struct options *options); /* borrowed */
void installer_free(struct installer *installer);               /* NULL is fine */

/* One look at everything; what is not as it should be is made so, each thing by itself: one that fails keeps no other
 * back.  True: all is as it should be.  `now_ms`: any clock that never goes back. */
bool installer_pass(struct installer *installer, int64_t now_ms);

/* Changes nothing and resolves no name: says on `out` what is not as it should be.  True: nothing. */
bool installer_check(const struct options *options, FILE *out);
