#pragma once

#include <openssl/ssl.h>

#include "base/error.h"
#include "base/net/http.h"

/* Parsed and checked `struct http_tls`, shared by the connections made under it.  The verification of the server is
 * ours alone, from first to last: nothing of it depends on how libcurl was built. */
struct http_identity;

/* Trusts the system's CAs, which are read when first needed: that takes some ten milliseconds. */
struct http_identity *http_identity_new_default(void);
int http_identity_new(struct http_identity **ret, const struct http_tls *tls, struct error *err);
struct http_identity *http_identity_ref(struct http_identity *identity);
void http_identity_unref(struct http_identity *identity); /* NULL is fine */

bool http_identity_insecure(const struct http_identity *identity);
bool http_identity_has_certificate(const struct http_identity *identity);
bool http_identity_tls12_at_most(const struct http_identity *identity);

/* Prepares the context of one new connection to `host` (a name or an address without brackets).  The identity must
 * outlive the context. */
int http_identity_apply(struct http_identity *identity, SSL_CTX *context, const char *host);

/* Why the certificate that `host` showed last was refused, as a sentence to put behind the host's name; NULL when
 * nothing was. */
const char *http_identity_refusal(const struct http_identity *identity, const char *host);
