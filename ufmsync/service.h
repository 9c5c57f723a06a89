#pragma once

#include "base/error.h"
#include "base/net/loop.h"
#include "ufmsync/config.h"

/* The service made of its parts: watches feed the engine, the engine's actions go to the fabric manager and the API
 * server, the Lease says whether they may. */
struct service;

int service_new(struct service **ret, struct loop *loop, const struct config *config, struct error *err);
/* A clean end: the write and the patches under way finish, the Lease is given back, then the loop stops. */
void service_stop(struct service *service);
void service_free(struct service *service); /* NULL is fine */
