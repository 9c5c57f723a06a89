#undef NDEBUG
#include "tests/unit/base/net/certs.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

static EVP_PKEY *read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert(key);
	return key;
}

static X509 *read_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert(cert);
	return cert;
}

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert(extension && X509_add_ext(cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void take(BIO *bio, char *out, size_t size)
{
	int n = BIO_read(bio, out, (int)size - 1);

	assert(n > 0 && (size_t)n < size - 1);
	out[n] = '\0';
	BIO_free(bio);
}

void cert_make(struct cert *out, const struct cert_spec *spec)
{
	static long serial = 1000;
	EVP_PKEY *key = spec->key_of ? read_key(spec->key_of->key) : EVP_EC_gen("P-256");
	X509 *cert = X509_new(), *issuer = spec->issuer ? read_cert(spec->issuer->cert) : NULL;
	EVP_PKEY *issuer_key = spec->issuer ? read_key(spec->issuer->key) : NULL;
	bool usual = spec->from_days == 0 && spec->to_days == 0;
	X509_NAME *subject = X509_get_subject_name(cert);
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_time_adj_ex(X509_getm_notBefore(cert), usual ? -1 : spec->from_days, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(cert), usual ? 1 : spec->to_days, 0, NULL);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)spec->common_name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(cert, key);
	if (spec->is_ca)
		extend(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (spec->names)
		extend(cert, NID_subject_alt_name, spec->names);
	assert(X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
	PEM_write_bio_X509(cert_pem, cert);
	PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
	take(cert_pem, out->cert, sizeof out->cert);
	take(key_pem, out->key, sizeof out->key);
	EVP_PKEY_free(key);
	EVP_PKEY_free(issuer_key);
	X509_free(cert);
	X509_free(issuer);
}
