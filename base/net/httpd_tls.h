#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "base/error.h"

/* What httpd needs of GnuTLS, which is the TLS inside libmicrohttpd. */
#define HTTPD_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* A server's certificate and key, and the CA of its clients, shared by the connections that were opened under them:
 * microhttpd knows only the ones it was started with, and these take their place. */
struct httpd_tls;
/* ERROR_INVALID when a PEM text does not parse, or the key does not fit the certificate; microhttpd itself would only say
 * that something failed.  `client_ca` may be NULL. */
int httpd_tls_new(struct httpd_tls **ret, const char *cert, const char *key, const char *client_ca, struct error *err);
struct httpd_tls *httpd_tls_ref(struct httpd_tls *tls); /* NULL is fine, also below */
void httpd_tls_unref(struct httpd_tls *tls);
/* For a session that has not begun its handshake; a reference must be held until it is over. */
int httpd_tls_use(struct httpd_tls *tls, gnutls_session_t session);

/* False when the client showed a certificate that does not verify, for its chain, its dates or its purpose.  True: *name
 * is the verified subject, which the caller frees, or NULL when the client showed none. */
bool httpd_tls_client(char **name, gnutls_session_t session);
