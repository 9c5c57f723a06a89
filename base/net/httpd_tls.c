#include "base/net/httpd_tls.h"

#include <gnutls/x509.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){ .data = (unsigned char *)(uintptr_t)text, .size = (unsigned)strlen(text) };
}

int httpd_tls_check(const char *cert, const char *key, const char *client_ca, struct error *err)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t cert_pem = datum(cert), key_pem = datum(key), ca_pem = datum(client_ca ? client_ca : "");

	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return error_set(err, ERROR_OS, "cannot set up TLS");
	int result = gnutls_certificate_set_x509_key_mem(credentials, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM);
	if (result < 0)
		error_set(err, ERROR_INVALID, "server certificate and key: %s", gnutls_strerror(result));
	if (result >= 0 && client_ca) {
		result = gnutls_certificate_set_x509_trust_mem(credentials, &ca_pem, GNUTLS_X509_FMT_PEM);
		if (result == 0)
			result = GNUTLS_E_NO_CERTIFICATE_FOUND;
		if (result < 0)
			error_set(err, ERROR_INVALID, "CA of client certificates: %s", gnutls_strerror(result));
	}
	gnutls_certificate_free_credentials(credentials);
	return result < 0 ? -1 : 0;
}

static char *subject(const gnutls_datum_t *der)
{
	gnutls_x509_crt_t cert;
	gnutls_datum_t dn;
	char *name = NULL;

	if (gnutls_x509_crt_init(&cert) < 0)
		return NULL;
	if (gnutls_x509_crt_import(cert, der, GNUTLS_X509_FMT_DER) >= 0 && gnutls_x509_crt_get_dn3(cert, &dn, 0) >= 0) {
		name = mem_dup((const char *)dn.data);
		gnutls_free(dn.data);
	}
	gnutls_x509_crt_deinit(cert);
	return name;
}

bool httpd_tls_client(char **name, gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
					  .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT };
	const gnutls_datum_t *chain;
	unsigned n = 0, status = ~0u;

	*name = NULL;
	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || n == 0)
		return true;
	if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0 || status != 0)
		return false;
	*name = subject(chain);
	return *name;
}
