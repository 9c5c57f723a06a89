#include "tests/mock/identity.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { DAY = 24 * 3600 };

static int failed(struct error *err, const char *what)
{
	char text[200];

	ERR_error_string_n(ERR_get_error(), text, sizeof text);
	return error_set(err, ERROR_OS, "make certificate: %s: %s", what, text);
}

static char *bio_text(BIO *bio)
{
	char *bytes;
	long n = BIO_get_mem_data(bio, &bytes);

	return mem_dup_n(bytes, n > 0 ? (size_t)n : 0);
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	int ok = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

enum kind { CA, OWN, ISSUED };

static int add_extensions(X509 *cert, X509 *issuer, enum kind kind, const char *names)
{
	if (!add_extension(cert, issuer, NID_subject_key_identifier, "hash") ||
	    !add_extension(cert, issuer, NID_authority_key_identifier, "keyid"))
		return 0;
	if (kind == OWN)
		return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
		       (!names || add_extension(cert, issuer, NID_subject_alt_name, names));
	if (kind == CA)
		return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
		       add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	return add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
	       (!names || add_extension(cert, issuer, NID_subject_alt_name, names));
}

/* `issuer` NULL: signed by itself. */
static int fill(X509 *cert, enum kind kind, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *name,
		const char *names)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	unsigned char serial[8];

	if (RAND_bytes(serial, sizeof serial) != 1)
		return 0;
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
	BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
	int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return ok && X509_set_version(cert, 2) && X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), 3650, 0, NULL) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
	       X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject) &&
	       X509_set_pubkey(cert, key) && add_extensions(cert, issuer ? issuer : cert, kind, names) &&
	       X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256());
}

static int make(struct identity *identity, enum kind kind, X509 *issuer, EVP_PKEY *issuer_key, const char *name,
		const char *names, struct error *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_secmem());
	int result = -1;

	if (!key || !cert || !cert_pem || !key_pem || !fill(cert, kind, key, issuer, issuer_key, name, names) ||
	    !PEM_write_bio_X509(cert_pem, cert) || !PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL)) {
		failed(err, name);
	} else {
		*identity = (struct identity){ .cert = bio_text(cert_pem), .key = bio_text(key_pem) };
		result = 0;
	}
	BIO_free(key_pem);
	BIO_free(cert_pem);
	X509_free(cert);
	EVP_PKEY_free(key);
	return result;
}

int identity_new_ca(struct identity *ca, const char *name, struct error *err)
{
	return make(ca, CA, NULL, NULL, name, NULL, err);
}

int identity_new_own(struct identity *identity, const char *name, const char *names, struct error *err)
{
	return make(identity, OWN, NULL, NULL, name, names, err);
}

int identity_issue(struct identity *identity, const struct identity *ca, const char *name, const char *names,
		   struct error *err)
{
	BIO *cert_pem = BIO_new_mem_buf(ca->cert, -1), *key_pem = BIO_new_mem_buf(ca->key, -1);
	X509 *issuer = cert_pem ? PEM_read_bio_X509(cert_pem, NULL, NULL, NULL) : NULL;
	EVP_PKEY *issuer_key = key_pem ? PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL) : NULL;
	int result = -1;

	if (issuer && issuer_key)
		result = make(identity, ISSUED, issuer, issuer_key, name, names, err);
	else
		failed(err, "read the CA");
	EVP_PKEY_free(issuer_key);
	X509_free(issuer);
	BIO_free(key_pem);
	BIO_free(cert_pem);
	return result;
}

void identity_free(struct identity *identity)
{
	free(identity->cert);
	mem_wipe_free(identity->key);
	*identity = (struct identity){ 0 };
}
