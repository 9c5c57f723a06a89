#include "tests/mock/ufm_cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#include "base/mem.h"

enum { KEY_BITS = 2048, DAY_S = 24 * 3600 };

static bool extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	bool added;

	X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	added = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

static bool fill(X509 *cert, EVP_PKEY *key, const char *name, int days)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int first_day = days < 0 ? days - 1 : -1;
	unsigned char serial[16];
	BIGNUM *number;
	bool ok;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return ok && X509_set_version(cert, 2) && X509_time_adj_ex(X509_getm_notBefore(cert), first_day, 0, NULL) &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
	       X509_set_issuer_name(cert, subject) && X509_set_pubkey(cert, key) &&
	       extend(cert, NID_subject_key_identifier, "hash") &&
	       extend(cert, NID_authority_key_identifier, "keyid") &&
	       extend(cert, NID_basic_constraints, "critical,CA:TRUE") && X509_sign(cert, key, EVP_sha256()) > 0;
}

static char *text_of(BIO *bio)
{
	char *bytes;
	long n = BIO_get_mem_data(bio, &bytes);

	return mem_dup_n(bytes, n > 0 ? (size_t)n : 0);
}

int ufm_cert_make(char **cert, char **key, const char *name, int days, struct error *err)
{
	EVP_PKEY *pair = EVP_RSA_gen(KEY_BITS);
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
	X509 *x509 = X509_new();
	int result = 0;

	if (pair && x509 && cert_pem && key_pem && fill(x509, pair, name, days) && PEM_write_bio_X509(cert_pem, x509) &&
	    PEM_write_bio_PrivateKey(key_pem, pair, NULL, NULL, 0, NULL, NULL)) {
		*cert = text_of(cert_pem);
		*key = text_of(key_pem);
	} else {
		char text[200];
		ERR_error_string_n(ERR_get_error(), text, sizeof(text));
		result = error_set(err, ERROR_OS, "make a certificate for %s: %s", name, text);
	}
	BIO_free(key_pem);
	BIO_free(cert_pem);
	X509_free(x509);
	EVP_PKEY_free(pair);
	return result;
}
