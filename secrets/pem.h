#pragma once

#include <stdint.h>

#include "base/error.h"

/* Certificates and keys as people put them into a Secret: PEM, or base64 of PEM. */

/* The PEM of `text` in *out (wipe with mem_wipe_free()).  ERROR_INVALID: neither; the text says what it is, not what it
 * holds. */
int pem_decode(char **out, const char *text, struct error *err);

/* At least one certificate, all of them parse. */
int pem_check_certificate(const char *pem, struct error *err);
/* A private key that needs no pass phrase. */
int pem_check_key(const char *pem, struct error *err);
/* Both are good, and the key is that of the first certificate. */
int pem_check_pair(const char *cert, const char *key, struct error *err);
/* Until when the first certificate is valid, in seconds since 1970; 0 when that cannot be told. */
int64_t pem_not_after(const char *cert);
