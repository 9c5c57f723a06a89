#pragma once

#include "base/error.h"

/* A certificate as UFM's instructions have it made (`openssl req -x509 -newkey rsa -subj /CN=name`): RSA, signed by
 * itself, a bare common name, no subjectAltName, no key usage.  PEM; both owned by the caller, the key to be wiped.
 * days < 0: expired that long ago. */
int ufm_cert_make(char **cert, char **key, const char *name, int days, struct error *err);
