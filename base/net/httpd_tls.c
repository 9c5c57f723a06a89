#include "base/net/httpd_tls.h"

#include <gnutls/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){ .data = (unsigned char *)(uintptr_t)text, .size = (unsigned)strlen(text) };
}

struct httpd_tls {
	unsigned refs;
	gnutls_certificate_credentials_t credentials;
};

static int set_credentials(struct httpd_tls *tls, const char *cert, const char *key, const char *client_ca,
			   struct error *err)
{
	gnutls_datum_t cert_pem = datum(cert), key_pem = datum(key), ca_pem = datum(client_ca ? client_ca : "");
	int result = gnutls_certificate_set_x509_key_mem(tls->credentials, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM);

	if (result < 0)
		return error_set(err, ERROR_INVALID, "server certificate and key: %s", gnutls_strerror(result));
	if (!client_ca)
		return 0;
	result = gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca_pem, GNUTLS_X509_FMT_PEM);
	if (result == 0)
		result = GNUTLS_E_NO_CERTIFICATE_FOUND;
	if (result < 0)
		return error_set(err, ERROR_INVALID, "CA of client certificates: %s", gnutls_strerror(result));
	return 0;
}

int httpd_tls_new(struct httpd_tls **ret, const char *cert, const char *key, const char *client_ca, struct error *err)
{
	struct httpd_tls *tls = mem_alloc(sizeof *tls);

	tls->refs = 1;
	if (gnutls_certificate_allocate_credentials(&tls->credentials) < 0) {
		free(tls);
		return error_set(err, ERROR_OS, "cannot set up TLS");
	}
	if (set_credentials(tls, cert, key, client_ca, err) < 0) {
		httpd_tls_unref(tls);
		return -1;
	}
	*ret = tls;
	return 0;
}

struct httpd_tls *httpd_tls_ref(struct httpd_tls *tls)
{
	if (tls)
		tls->refs++;
	return tls;
}

void httpd_tls_unref(struct httpd_tls *tls)
{
	if (!tls || --tls->refs > 0)
		return;
	gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
}

int httpd_tls_use(struct httpd_tls *tls, gnutls_session_t session)
{
	return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0 ? -1 : 0;
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
