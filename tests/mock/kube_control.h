#pragma once

#include "tests/mock/kube_server.h"

/* The control endpoint: plain http on loopback, without credentials, JSON in and out.  Errors are 400 or 404 with
 * {"error": text}.  What it takes is printed by `mock-kube --help` and by GET /control, from the one text in
 * kube_control.c; rules for faults are described in kube_faults.h. */
int mkube_control_start(struct httpd **ret, struct mkube_server *server, const char *listen, struct error *err);
extern const char mkube_control_help[];
