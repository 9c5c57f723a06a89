#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "base/error.h"

/* What httpd needs of GnuTLS, which is the TLS inside libmicrohttpd. */
#define HTTPD_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* The PEM texts parse and the key fits the certificate; libmicrohttpd itself would only say that something failed.
 * `client_ca` may be NULL. */
int httpd_tls_check(const char *cert, const char *key, const char *client_ca, struct error *err);

/* False when the client showed a certificate that does not verify, for its chain, its dates or its purpose.  True: *name
 * is the verified subject, which the caller frees, or NULL when the client showed none. */
bool httpd_tls_client(char **name, gnutls_session_t session);
