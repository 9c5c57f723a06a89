#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "tests/mock/ufm_server.h"

/* The control endpoint: plain http on loopback, without credentials, JSON in and out.  Errors are 400 or 404 with
 * {"error": text}; an unknown key is an error.  What it takes is printed by `mock-ufm --help` and by GET /control, from
 * the one text in ufm_control.c; rules for faults are described in ufm_faults.h. */
struct ufm_control;

struct ufm_control_options {
	const char *listen;
	struct ufm_server *server;
	/* What POST /control/reset goes back to; borrowed. */
	const struct ufm_switches *switches;
	const char *username, *password, *token;
};

int ufm_control_start(struct ufm_control **ret, struct loop *loop, const struct ufm_control_options *options,
		      struct error *err);
void ufm_control_stop(struct ufm_control *control); /* before the server's; NULL is fine */
unsigned ufm_control_port(const struct ufm_control *control);
extern const char ufm_control_help[];
