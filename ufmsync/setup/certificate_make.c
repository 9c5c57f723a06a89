#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ufmsync/setup/certificate.h"
#include "ufmsync/setup/certificate_name.h"

enum { SERIAL_BYTES = 16, EXTENSION_MAX = 64 * 1024 };

/* What is being made. */
struct making {
	X509 *cert, *issuer; /* the issuer is the certificate itself, of a CA */
	EVP_PKEY *key;
	bool failed;
};

void certificate_pair_free(struct certificate_pair *pair)
{
	free(pair->cert);
	mem_wipe_free(pair->key);
	*pair = (struct certificate_pair){ 0 };
}

static void check(struct making *making, bool good)
{
	making->failed |= !good;
}

/* What is named first in the queue is the cause. */
static int failed(const char *what, struct error *err)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return error_set(err, ERROR_OS, "%s: %s", what, reason ? reason : "OpenSSL could not do it");
}

/* --- fields --- */

static void add_name(struct making *making, X509_NAME *name, const char *field, const char *text)
{
	check(making, X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0));
}

/* 127 random bits: never negative, and never that of another. */
static void set_serial(struct making *making, char *number, size_t size)
{
	unsigned char bytes[SERIAL_BYTES];

	check(making, RAND_bytes(bytes, sizeof bytes) == 1);
	bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
	BIGNUM *serial = BN_bin2bn(bytes, sizeof bytes, NULL);
	check(making, serial && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(making->cert)));
	BN_free(serial);
	snprintf(number, size, "%02x%02x%02x%02x", bytes[1], bytes[2], bytes[3], bytes[4]);
}

static void set_life(struct making *making, struct certificate_life life)
{
	check(making, ASN1_TIME_set(X509_getm_notBefore(making->cert), (time_t)life.from_s));
	check(making, ASN1_TIME_set(X509_getm_notAfter(making->cert), (time_t)life.until_s));
}

static void add_extension(struct making *making, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, making->issuer, making->cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	check(making, extension && X509_add_ext(making->cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* `kind`NAME,`kind`NAME... behind `before`, and `after` behind all. */
static void add_names(struct making *making, int nid, const char *before, const char *kind, const char *const *names,
		      size_t n, const char *after)
{
	struct buf buf;

	buf_init(&buf, EXTENSION_MAX);
	buf_text(&buf, before);
	for (size_t i = 0; i < n; i++)
		buf_printf(&buf, "%s%s%s", i ? "," : "", kind, names[i]);
	buf_text(&buf, after);
	check(making, !buf.full);
	if (!buf.full)
		add_extension(making, nid, buf.data);
	buf_free(&buf);
}

/* --- from beginning to end --- */

static void begin(struct making *making, char *number, size_t size)
{
	ERR_clear_error();
	making->cert = X509_new();
	making->key = EVP_EC_gen("P-256");
	if (!making->cert)
		abort();
	check(making, making->key && X509_set_version(making->cert, X509_VERSION_3) == 1 &&
			      X509_set_pubkey(making->cert, making->key) == 1);
	set_serial(making, number, size);
}

static char *text_of(BIO *bio)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);

	return mem_dup_n(text, (size_t)len);
}

/* A memory BIO wipes what it frees. */
static int finish(struct making *making, struct certificate_pair *out, EVP_PKEY *with, const char *what,
		  struct error *err)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());

	if (!cert || !key)
		abort();
	if (!making->failed)
		check(making, X509_sign(making->cert, with, EVP_sha256()) > 0);
	if (!making->failed)
		check(making, PEM_write_bio_X509(cert, making->cert) == 1 &&
				      PEM_write_bio_PrivateKey(key, making->key, NULL, NULL, 0, NULL, NULL) == 1);
	int result = making->failed ? failed(what, err) : 0;
	if (result == 0)
		*out = (struct certificate_pair){ text_of(cert), text_of(key) };
	BIO_free(cert);
	BIO_free(key);
	EVP_PKEY_free(making->key);
	X509_free(making->cert);
	return result;
}

int certificate_make_ca(struct certificate_pair *out, const char *namespace, const char *const *names, size_t n,
			struct certificate_life life, struct error *err)
{
	struct making making = { 0 };
	char number[16], common[64];

	assert(n > 0);
	begin(&making, number, sizeof number);
	making.issuer = making.cert;
	snprintf(common, sizeof common, CERTIFICATE_CA_NAME "%s", number);
	X509_NAME *name = X509_get_subject_name(making.cert);
	add_name(&making, name, "O", CERTIFICATE_ORGANISATION);
	add_name(&making, name, "OU", namespace);
	add_name(&making, name, "CN", common);
	check(&making, X509_set_issuer_name(making.cert, name) == 1);
	set_life(&making, life);
	add_extension(&making, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	add_extension(&making, NID_key_usage, "critical,keyCertSign,cRLSign");
	add_extension(&making, NID_subject_key_identifier, "hash");
	/* Whoever gets hold of this key can play nobody but this service. */
	add_names(&making, NID_name_constraints, "critical,", "permitted;DNS:", names, n,
		  ",excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::");
	return finish(&making, out, making.key, "making a CA", err);
}

static int read_ca(X509 **cert, EVP_PKEY **key, const struct certificate_pair *ca, struct error *err)
{
	BIO *cert_bio = BIO_new_mem_buf(ca->cert, -1), *key_bio = BIO_new_mem_buf(ca->key, -1);

	if (!cert_bio || !key_bio)
		abort();
	*cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
	*key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
	BIO_free(cert_bio);
	BIO_free(key_bio);
	return *cert && *key ? 0 : failed("reading the CA", err);
}

static void describe_server(struct making *making, const char *const *names, size_t n, struct certificate_life life)
{
	/* The shortest that is sure to fit into a common name; what counts are the alternative names. */
	X509_NAME *name = X509_get_subject_name(making->cert);

	add_name(making, name, "O", CERTIFICATE_ORGANISATION);
	add_name(making, name, "CN", "ufmsync server");
	check(making, X509_set_issuer_name(making->cert, X509_get_subject_name(making->issuer)) == 1);
	set_life(making, life);
	add_extension(making, NID_basic_constraints, "critical,CA:FALSE");
	add_extension(making, NID_key_usage, "critical,digitalSignature");
	add_extension(making, NID_ext_key_usage, "serverAuth");
	add_extension(making, NID_subject_key_identifier, "hash");
	add_extension(making, NID_authority_key_identifier, "keyid:always");
	add_names(making, NID_subject_alt_name, "", "DNS:", names, n, "");
}

int certificate_make_server(struct certificate_pair *out, const struct certificate_pair *ca, const char *const *names,
			    size_t n, struct certificate_life life, struct error *err)
{
	struct making making = { 0 };
	struct certificates *of_ca;
	EVP_PKEY *ca_key = NULL;
	char number[16];
	int result = -1;

	assert(n > 0);
	if (certificates_parse(&of_ca, ca->cert, err) < 0)
		return error_wrap(err, "reading the CA");
	if (read_ca(&making.issuer, &ca_key, ca, err) == 0) {
		struct certificate_life of = certificates_life(of_ca, 0);
		if (life.until_s > of.until_s)
			life.until_s = of.until_s;
		begin(&making, number, sizeof number);
		describe_server(&making, names, n, life);
		result = finish(&making, out, ca_key, "signing a certificate", err);
	}
	certificates_free(of_ca);
	X509_free(making.issuer);
	EVP_PKEY_free(ca_key);
	return result;
}
