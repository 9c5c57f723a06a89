#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "tests/mock/ufm_server.h"

/* The control endpoint: plain http on loopback, without credentials, JSON in and out.  What it takes is in
 * ufm_control_help.c, which `mock-ufm --help` and GET /control print; rules for faults are described in ufm_faults.h.
 * Errors are 400 or 404 with {"error": text}. */
struct ufm_control;

int ufm_control_start(struct ufm_control **ret, struct loop *loop, const char *listen, struct ufm_server *server,
		      struct error *err);
void ufm_control_stop(struct ufm_control *control); /* before the server's; NULL is fine */
unsigned ufm_control_port(const struct ufm_control *control);
extern const char ufm_control_help[];
