#pragma once

#include "base/error.h"

/* A listening socket for "127.0.0.1:8080", "[::1]:8443" or ":8080" (all addresses, both families where the host has
 * IPv6).  The host is a literal address: no name is looked up.  Returns the descriptor, non-blocking, and the port that
 * was bound; -1 with ERROR_INVALID (not such a text) or ERROR_OS. */
int httpd_listen(const char *listen, unsigned *port, struct error *err);
