#pragma once

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The non-blocking TCP socket below an exchange. */

/* Connected to a numeric address until the deadline; the descriptor, or -1. */
int exchange_socket_open(const char *address, const char *port, int64_t deadline_ms, struct error *err);
/* Until it is readable (or writable), has failed, or the deadline has passed: false. */
bool exchange_socket_wait(int fd, bool writable, int64_t deadline_ms);

/* OpenSSL's own socket BIO writes so that a peer which has gone raises SIGPIPE; this one does not. */
BIO_METHOD *exchange_socket_method(void);                   /* to be freed with BIO_meth_free() after its last BIO */
BIO *exchange_socket_bio(const BIO_METHOD *method, int fd); /* the descriptor stays its opener's */
