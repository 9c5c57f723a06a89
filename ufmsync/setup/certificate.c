#include "ufmsync/setup/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ufmsync/setup/certificate_name.h"

struct certificates {
	STACK_OF(X509) * all;
};

static X509 *at(const struct certificates *certificates, size_t i)
{
	return sk_X509_value(certificates->all, (int)i);
}

/* --- reading --- */

void certificates_free(struct certificates *certificates)
{
	if (!certificates)
		return;
	sk_X509_pop_free(certificates->all, X509_free);
	free(certificates);
}

size_t certificates_count(const struct certificates *certificates)
{
	return (size_t)sk_X509_num(certificates->all);
}

/* Instead of asking on the terminal, as OpenSSL does by itself. */
static int no_pass_phrase(char *out, int size, int writing, void *aux)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)aux;
	return -1;
}

static int read_all(STACK_OF(X509) * all, const char *pem, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert;

	if (!bio)
		abort();
	ERR_clear_error();
	while ((cert = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL)) && sk_X509_num(all) < CERTIFICATES_MAX)
		sk_X509_push(all, cert);
	X509_free(cert);
	BIO_free(bio);
	/* "no start line" at the end of the text, anything else where reading fails. */
	unsigned long end = ERR_peek_last_error();
	bool clean = ERR_GET_LIB(end) == ERR_LIB_PEM && ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (cert)
		return error_set(err, ERROR_LIMIT, "more than %d certificates", CERTIFICATES_MAX);
	if (!clean)
		return error_set(err, ERROR_INVALID, "certificate number %d does not parse", sk_X509_num(all) + 1);
	return 0;
}

int certificates_parse(struct certificates **ret, const char *pem, struct error *err)
{
	struct certificates *certificates = mem_alloc(sizeof *certificates);

	certificates->all = sk_X509_new_null();
	if (!certificates->all)
		abort();
	if (read_all(certificates->all, pem, err) < 0) {
		certificates_free(certificates);
		return -1;
	}
	*ret = certificates;
	return 0;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

struct certificate_life certificates_life(const struct certificates *certificates, size_t i)
{
	return (struct certificate_life){ seconds_of(X509_get0_notBefore(at(certificates, i))),
					  seconds_of(X509_get0_notAfter(at(certificates, i))) };
}

void certificates_subject(const struct certificates *certificates, size_t i, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	if (!bio || X509_NAME_print_ex(bio, X509_get_subject_name(at(certificates, i)), 0, XN_FLAG_ONELINE) < 0)
		abort();
	long len = BIO_get_mem_data(bio, &text);
	snprintf(out, size, "%.*s", (int)len, text);
	BIO_free(bio);
}

/* --- whose it is --- */

static bool has_entry(const X509_NAME *name, int nid, const char *text, bool whole)
{
	int i = X509_NAME_get_index_by_NID(name, nid, -1);
	const ASN1_STRING *value = i < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
	size_t len = strlen(text);

	if (!value || (whole ? (size_t)ASN1_STRING_length(value) != len : (size_t)ASN1_STRING_length(value) <= len))
		return false;
	return memcmp(ASN1_STRING_get0_data(value), text, len) == 0;
}

static bool is_own_name(const X509_NAME *name, const char *namespace)
{
	return has_entry(name, NID_organizationName, CERTIFICATE_ORGANISATION, true) &&
	       has_entry(name, NID_organizationalUnitName, namespace, true) &&
	       has_entry(name, NID_commonName, CERTIFICATE_CA_NAME, false);
}

bool certificates_is_own_ca(const struct certificates *certificates, size_t i, const char *namespace)
{
	X509 *cert = at(certificates, i);
	bool own = is_own_name(X509_get_subject_name(cert), namespace) && X509_check_ca(cert) == 1 &&
		   X509_self_signed(cert, 1) == 1;

	ERR_clear_error();
	return own;
}

bool certificates_is_of_own_ca(const struct certificates *certificates, size_t i, const char *namespace)
{
	return is_own_name(X509_get_issuer_name(at(certificates, i)), namespace);
}

static bool is_in(const STACK_OF(X509) * all, const X509 *cert)
{
	for (int i = 0; i < sk_X509_num(all); i++)
		if (X509_cmp(sk_X509_value(all, i), cert) == 0)
			return true;
	return false;
}

bool certificates_is_in(const struct certificates *certificates, size_t i, const struct certificates *in)
{
	return is_in(in->all, at(certificates, i));
}

bool certificates_is_signed_by(const struct certificates *certificates, const struct certificates *ca)
{
	X509 *cert = at(certificates, 0), *issuer = at(ca, 0);
	bool is = X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) == 0 &&
		  X509_verify(cert, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return is;
}

bool certificates_are_trusted(const struct certificates *certificates, const struct certificates *cas, int64_t now_s)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (!store || !ctx || X509_STORE_CTX_init(ctx, store, at(certificates, 0), certificates->all) != 1)
		abort();
	X509_STORE_CTX_set0_trusted_stack(ctx, cas->all);
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	bool trusted = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return trusted;
}

/* --- names --- */

bool certificates_have_name(const struct certificates *certificates, const char *name)
{
	return X509_check_host(at(certificates, 0), name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static bool is_text(const ASN1_STRING *value, const char *text)
{
	return (size_t)ASN1_STRING_length(value) == strlen(text) &&
	       memcmp(ASN1_STRING_get0_data(value), text, strlen(text)) == 0;
}

/* One of `names`, or, `below`, what lies under one of them. */
static bool is_one_of(const ASN1_STRING *value, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_text(value, names[i]))
			return true;
	return false;
}

bool certificates_have_only(const struct certificates *certificates, const char *const *names, size_t n)
{
	GENERAL_NAMES *there = X509_get_ext_d2i(at(certificates, 0), NID_subject_alt_name, NULL, NULL);
	bool only = there && sk_GENERAL_NAME_num(there) == (int)n;

	for (int i = 0; only && i < (int)n; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(there, i);
		only = name->type == GEN_DNS && is_one_of(name->d.dNSName, names, n);
	}
	GENERAL_NAMES_free(there);
	for (size_t i = 0; only && i < n; i++)
		only = certificates_have_name(certificates, names[i]);
	return only;
}

/* `name` is what the subtree names, or lies under it. */
static bool is_within(const char *name, const GENERAL_SUBTREE *tree)
{
	if (tree->base->type != GEN_DNS)
		return false;
	const ASN1_STRING *base = tree->base->d.dNSName;
	size_t len = (size_t)ASN1_STRING_length(base), n = strlen(name);
	if (n < len || memcmp(name + n - len, ASN1_STRING_get0_data(base), len) != 0)
		return false;
	return n == len || name[n - len - 1] == '.';
}

static bool is_permitted(const char *name, const NAME_CONSTRAINTS *constraints)
{
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++)
		if (is_within(name, sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)))
			return true;
	return false;
}

bool certificates_permit(const struct certificates *certificates, const char *const *names, size_t n)
{
	NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(at(certificates, 0), NID_name_constraints, NULL, NULL);
	bool all = constraints;

	for (size_t i = 0; all && i < n; i++)
		all = is_permitted(names[i], constraints);
	NAME_CONSTRAINTS_free(constraints);
	return all;
}

/* --- writing --- */

char *certificates_text(const struct certificates *certificates, const bool *keep)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	if (!bio)
		abort();
	for (size_t i = 0; i < certificates_count(certificates); i++)
		if (keep[i] && PEM_write_bio_X509(bio, at(certificates, i)) != 1)
			abort();
	long len = BIO_get_mem_data(bio, &text);
	char *out = mem_dup_n(text, (size_t)len);
	BIO_free(bio);
	return out;
}
