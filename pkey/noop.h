#pragma once

#include "base/net/loop.h"
#include "pkey/backend.h"

/* Keeps members in memory: for sites that only want GUIDs, and for tests. */
struct pkey_backend *noop_new(struct loop *loop);
