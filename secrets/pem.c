#include "secrets/pem.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "secrets/secrets.h"

static bool has_pem(const char *text)
{
	return strstr(text, "-----BEGIN ") != NULL;
}

/* The text without blanks and line ends, if that is base64 in whole groups; else NULL. */
static char *base64_only(const char *text, size_t *len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = mem_alloc(strlen(text) + 1);
	size_t n = 0, padding = 0;
	bool good = true;

	for (const char *p = text; *p && good; p++) {
		if (strchr(" \t\r\n", *p))
			continue;
		padding += *p == '=';
		good = *p == '=' ? padding <= 2 : padding == 0 && strchr(alphabet, *p) != NULL;
		out[n++] = *p;
	}
	if (good && n > 0 && n % 4 == 0) {
		*len = n;
		return out;
	}
	mem_wipe_free(out);
	return NULL;
}

static char *base64_decode(const char *text)
{
	size_t len = 0;
	char *packed = base64_only(text, &len);

	if (!packed)
		return NULL;
	/* The padding decodes to NULs, which end the text where it ends. */
	char *out = mem_alloc(len / 4 * 3 + 1);
	int n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)packed, (int)len);
	mem_wipe_free(packed);
	if (n > 0)
		return out;
	free(out);
	return NULL;
}

int pem_decode(char **out, const char *text, struct error *err)
{
	if (has_pem(text)) {
		*out = mem_dup(text);
		return 0;
	}
	char *decoded = base64_decode(text);
	if (decoded && has_pem(decoded)) {
		*out = decoded;
		return 0;
	}
	mem_wipe_free(decoded);
	return error_set(err, ERROR_INVALID, "neither PEM nor base64 of PEM");
}

static BIO *reader(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);

	if (!bio)
		abort();
	return bio;
}

/* OpenSSL would ask for a pass phrase on the terminal. */
static int no_pass_phrase(char *out, int size, int writing, void *asked)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static X509 *next_certificate(BIO *bio)
{
	bool asked;

	return PEM_read_bio_X509(bio, NULL, no_pass_phrase, &asked);
}

int pem_check_certificate(const char *pem, struct error *err)
{
	BIO *bio = reader(pem);
	unsigned n = 0;

	ERR_clear_error();
	for (X509 *cert; (cert = next_certificate(bio)); n++)
		X509_free(cert);
	/* Reading ends with "no start line" at the end of the text and with anything else where it fails. */
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	if (n == 0)
		return error_set(err, ERROR_INVALID, "no certificate that parses");
	if (!at_end)
		return error_set(err, ERROR_INVALID, "certificate number %u does not parse", n + 1);
	return 0;
}

int pem_check_key(const char *pem, struct error *err)
{
	BIO *bio = reader(pem);
	bool asked = false;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, &asked);
	bool good = key != NULL;

	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	if (asked)
		return error_set(err, ERROR_INVALID,
				 "the key is encrypted; only one without a pass phrase can be used");
	return good ? 0 : error_set(err, ERROR_INVALID, "no private key that parses");
}

bool secrets_is_certificate(const char *pem)
{
	struct error err;

	return pem_check_certificate(pem, &err) == 0;
}

bool secrets_is_self_signed(const char *pem)
{
	BIO *bio = reader(pem);
	X509 *cert = next_certificate(bio);
	bool self_signed = cert && X509_self_signed(cert, 1) == 1;

	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return self_signed;
}

int pem_check_pair(const char *cert, const char *key, struct error *err)
{
	bool asked;

	if (pem_check_certificate(cert, err) < 0)
		return error_wrap(err, "certificate");
	if (pem_check_key(key, err) < 0)
		return error_wrap(err, "key");
	BIO *cert_bio = reader(cert), *key_bio = reader(key);
	X509 *first = next_certificate(cert_bio);
	EVP_PKEY *private = PEM_read_bio_PrivateKey(key_bio, NULL, no_pass_phrase, &asked);
	bool fits = first && private && X509_check_private_key(first, private) == 1;

	EVP_PKEY_free(private);
	X509_free(first);
	BIO_free(key_bio);
	BIO_free(cert_bio);
	ERR_clear_error();
	return fits ? 0 : error_set(err, ERROR_INVALID, "the key is not that of the first certificate");
}

int64_t pem_not_after(const char *cert)
{
	BIO *bio = reader(cert);
	X509 *first = next_certificate(bio);
	struct tm tm;
	int64_t seconds = 0;

	if (first && ASN1_TIME_to_tm(X509_get0_notAfter(first), &tm) == 1)
		seconds = (int64_t)timegm(&tm);
	X509_free(first);
	BIO_free(bio);
	ERR_clear_error();
	return seconds;
}
