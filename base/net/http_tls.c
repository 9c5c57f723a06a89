#include "base/net/http_tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
	/* More than any bundle of CAs in use, and a bound on what a file may make us parse. */
	PEM_MAX = 8 << 20,
	/* Names shown of a certificate that is for somebody else. */
	NAMES_MAX = 4
};

struct http_identity {
	unsigned refs;
	X509_STORE *store; /* the CAs; NULL: only pinned, insecure, or not needed so far */
	bool system_cas;   /* the store is to hold the system's CAs and is made when first needed */
	X509 *pin;
	char *name;
	X509 *cert;
	STACK_OF(X509) * chain; /* what follows our certificate */
	EVP_PKEY *key;
	bool tls12_at_most;
	bool insecure;
	/* Written by the verification, read when libcurl reports its end, which is in the same call.  The host tells
	 * one of several such ends from another. */
	char *refused_host;
	char *refused;
};

bool http_identity_insecure(const struct http_identity *identity)
{
	return identity->insecure;
}

bool http_identity_has_certificate(const struct http_identity *identity)
{
	return identity->cert;
}

bool http_identity_tls12_at_most(const struct http_identity *identity)
{
	return identity->tls12_at_most;
}

struct http_identity *http_identity_ref(struct http_identity *identity)
{
	identity->refs++;
	return identity;
}

void http_identity_unref(struct http_identity *identity)
{
	if (!identity || --identity->refs > 0)
		return;
	X509_STORE_free(identity->store);
	X509_free(identity->pin);
	X509_free(identity->cert);
	sk_X509_pop_free(identity->chain, X509_free);
	EVP_PKEY_free(identity->key);
	free(identity->name);
	free(identity->refused_host);
	free(identity->refused);
	free(identity);
}

/* Instead of asking on the terminal, as OpenSSL does by itself. */
static int no_passphrase(char *out, int size, int writing, void *aux)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)aux;
	return -1;
}

static BIO *pem_open(const char *pem)
{
	size_t n = strnlen(pem, PEM_MAX + 1);

	return n > PEM_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
}

/* All certificates of a PEM text, at least one; a broken one among them fails it all. */
static STACK_OF(X509) * parse_certificates(const char *pem, const char *what, struct error *err)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = pem_open(pem);
	X509 *cert;

	ERR_clear_error();
	while (bio && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)))
		sk_X509_push(certs, cert);
	BIO_free(bio);
	unsigned long end = ERR_peek_last_error();
	bool clean = ERR_GET_LIB(end) == ERR_LIB_PEM && ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (clean && sk_X509_num(certs) > 0)
		return certs;
	if (clean)
		error_set(err, ERROR_INVALID, "%s: no certificate in it; PEM is expected (-----BEGIN CERTIFICATE-----)",
			  what);
	else
		error_set(err, ERROR_INVALID, "%s: certificate number %d in it is damaged", what,
			  sk_X509_num(certs) + 1);
	sk_X509_pop_free(certs, X509_free);
	return NULL;
}

static X509_STORE *new_store(void)
{
	X509_STORE *store = X509_STORE_new();

	/* A CA given to us is trusted as it stands, also when it is itself signed by another. */
	X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	return store;
}

static void load_system_cas(struct http_identity *identity)
{
	identity->store = new_store();
	X509_STORE_set_default_paths(identity->store);
	ERR_clear_error();
}

static int load_cas(struct http_identity *identity, const char *pem, struct error *err)
{
	STACK_OF(X509) *certs = parse_certificates(pem, "CA", err);

	if (!certs)
		return -1;
	identity->store = new_store();
	for (int i = 0; i < sk_X509_num(certs); i++)
		X509_STORE_add_cert(identity->store, sk_X509_value(certs, i));
	sk_X509_pop_free(certs, X509_free);
	ERR_clear_error();
	return 0;
}

static int load_pin(struct http_identity *identity, const char *pin, struct error *err)
{
	STACK_OF(X509) *certs = parse_certificates(pin, "pinned certificate", err);

	if (!certs)
		return -1;
	identity->pin = sk_X509_shift(certs);
	sk_X509_pop_free(certs, X509_free);
	return 0;
}

static int load_client_certificate(struct http_identity *identity, const char *cert, const char *key, struct error *err)
{
	if (!cert || !key)
		return error_set(err, ERROR_INVALID, "client certificate: %s is missing",
				 cert ? "its key" : "the certificate");
	identity->chain = parse_certificates(cert, "client certificate", err);
	if (!identity->chain)
		return -1;
	identity->cert = sk_X509_shift(identity->chain);
	BIO *bio = pem_open(key);
	identity->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!identity->key)
		return error_set(
			err, ERROR_INVALID,
			"client key: no private key can be read from it; PEM without a passphrase is expected");
	if (X509_check_private_key(identity->cert, identity->key) != 1) {
		ERR_clear_error();
		return error_set(err, ERROR_INVALID,
				 "client key: it belongs to another certificate than the one given");
	}
	return 0;
}

/* What OpenSSL would refuse later (a key too short, a signature too weak) is refused now. */
static int try_out(struct http_identity *identity, struct error *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int result = 0;

	if (!context || http_identity_apply(identity, context, "127.0.0.1") < 0) {
		const char *reason = ERR_reason_error_string(ERR_peek_last_error());
		result = error_set(err, ERROR_INVALID, "client certificate: not usable: %s",
				   reason ? reason : "unknown reason");
	}
	SSL_CTX_free(context);
	ERR_clear_error();
	return result;
}

static int load_trust(struct http_identity *identity, const struct http_tls *tls, struct error *err)
{
	identity->insecure = tls->insecure;
	if (tls->insecure)
		return 0;
	if (tls->pin && load_pin(identity, tls->pin, err) < 0)
		return -1;
	if (tls->ca)
		return load_cas(identity, tls->ca, err);
	if (!tls->pin)
		load_system_cas(identity);
	return 0;
}

static int load(struct http_identity *identity, const struct http_tls *tls, struct error *err)
{
	if (load_trust(identity, tls, err) < 0)
		return -1;
	identity->tls12_at_most = tls->tls12_at_most;
	identity->name = tls->name && *tls->name ? mem_dup(tls->name) : NULL;
	if (!tls->cert && !tls->key)
		return 0;
	if (load_client_certificate(identity, tls->cert, tls->key, err) < 0)
		return -1;
	return try_out(identity, err);
}

struct http_identity *http_identity_new_default(void)
{
	struct http_identity *identity = mem_alloc(sizeof *identity);

	identity->refs = 1;
	identity->system_cas = true;
	return identity;
}

int http_identity_new(struct http_identity **ret, const struct http_tls *tls, struct error *err)
{
	struct http_identity *identity = mem_alloc(sizeof *identity);

	identity->refs = 1;
	if (load(identity, tls, err) < 0) {
		http_identity_unref(identity);
		return -1;
	}
	*ret = identity;
	return 0;
}

static bool is_address(const char *host)
{
	unsigned char binary[16];

	return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

/* An IPv6 address has many spellings; anything else stays as it is. */
static char *normal_address(const char *host)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, host, &address) == 1 && inet_ntop(AF_INET6, &address, text, sizeof text))
		return mem_dup(text);
	return mem_dup(host);
}

/* "UFM (SHA-256 AB:CD...)": the fingerprint is written as `openssl x509 -fingerprint -sha256` does. */
static void print_certificate(struct buf *text, X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char subject[128] = "";

	X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
	X509_digest(cert, EVP_sha256(), digest, &n);
	buf_printf(text, "%s (SHA-256 ", subject);
	for (unsigned i = 0; i < n; i++)
		buf_printf(text, "%s%02X", i > 0 ? ":" : "", digest[i]);
	buf_text(text, ")");
}

static void print_general_name(struct buf *text, const GENERAL_NAME *name)
{
	char address[INET6_ADDRSTRLEN];

	if (name->type == GEN_DNS) {
		const ASN1_IA5STRING *dns = name->d.dNSName;
		buf_printf(text, "%.*s", ASN1_STRING_length(dns) > 100 ? 100 : ASN1_STRING_length(dns),
			   (const char *)ASN1_STRING_get0_data(dns));
	} else {
		const ASN1_OCTET_STRING *ip = name->d.iPAddress;
		bool v4 = ASN1_STRING_length(ip) == 4;
		if ((v4 || ASN1_STRING_length(ip) == 16) &&
		    inet_ntop(v4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), address, sizeof address))
			buf_text(text, address);
	}
}

static void print_names(struct buf *text, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char common_name[100];
	int shown = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS && name->type != GEN_IPADD)
			continue;
		if (shown == NAMES_MAX) {
			buf_text(text, ", ...");
			break;
		}
		buf_text(text, shown++ > 0 ? ", " : "");
		print_general_name(text, name);
	}
	GENERAL_NAMES_free(names);
	if (shown > 0)
		return;
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, common_name, sizeof common_name) > 0)
		buf_printf(text, "%s (only a common name, which never stands for an IP address)", common_name);
	else
		buf_text(text, "nobody (no name in it)");
}

static void print_date(struct buf *text, const ASN1_TIME *date)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(date, &tm) == 1)
		buf_printf(text, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			   tm.tm_hour, tm.tm_min);
}

static void explain(struct buf *text, int error, X509 *cert, const char *expected)
{
	char issuer[128] = "";

	X509_NAME_oneline(X509_get_issuer_name(cert), issuer, sizeof issuer);
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		buf_text(text, "its certificate is for ");
		print_names(text, cert);
		buf_printf(text, " and not for %s: use a name of the certificate, or pin it", expected);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		buf_text(text, "its certificate expired on ");
		print_date(text, X509_get0_notAfter(cert));
		buf_text(text, ": renew it (or correct this machine's clock)");
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		buf_text(text, "its certificate is valid only from ");
		print_date(text, X509_get0_notBefore(cert));
		buf_text(text, ": is this machine's clock right?");
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		buf_printf(text,
			   "its certificate is signed by an unknown authority (%s): trust that authority, or pin ",
			   issuer);
		print_certificate(text, cert);
		break;
	default:
		buf_printf(text, "its certificate is refused: %s", X509_verify_cert_error_string(error));
	}
}

/* What was expected of the certificate, as http_identity_refusal() will be asked for it. */
static char *expected_name(X509_VERIFY_PARAM *param)
{
	const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
	char *address = host ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param);
	char *name = host ? mem_dup(host) : normal_address(address ? address : "");

	OPENSSL_free(address);
	return name;
}

static void note_refusal(struct http_identity *identity, X509_VERIFY_PARAM *param, int error, X509 *cert)
{
	struct buf text;

	free(identity->refused_host);
	free(identity->refused);
	identity->refused_host = expected_name(param);
	buf_init(&text, 512);
	if (!cert) {
		buf_text(&text, "it shows no certificate");
	} else if (identity->pin && !identity->store) {
		buf_text(&text, "it shows another certificate than the pinned one: ");
		print_certificate(&text, cert);
		buf_text(&text, "; pinned is ");
		print_certificate(&text, identity->pin);
	} else {
		if (identity->pin)
			buf_text(&text, "it shows neither the given certificate nor one that verifies by it: ");
		explain(&text, error, cert, identity->refused_host);
	}
	identity->refused = buf_take(&text);
}

const char *http_identity_refusal(const struct http_identity *identity, const char *host)
{
	char *expected = normal_address(identity->name ? identity->name : host);
	bool same = identity->refused && strcmp(expected, identity->refused_host) == 0;

	free(expected);
	return same ? identity->refused : NULL;
}

/* The whole certificate, not only its key or a digest of it. */
static bool is_pinned(const struct http_identity *identity, X509 *cert)
{
	unsigned char *a = NULL, *b = NULL;
	int a_len = cert ? i2d_X509(cert, &a) : -1, b_len = i2d_X509(identity->pin, &b);
	bool same = a_len > 0 && a_len == b_len && memcmp(a, b, (size_t)a_len) == 0;

	OPENSSL_free(a);
	OPENSSL_free(b);
	return same;
}

/* Verifies against our own store: what libcurl may have put into the context's store does not count. */
static int verify_chain(struct http_identity *identity, X509_STORE_CTX *theirs, X509 **bad)
{
	X509_STORE_CTX *ours = X509_STORE_CTX_new();
	int error = X509_V_ERR_UNSPECIFIED;

	if (ours &&
	    X509_STORE_CTX_init(ours, identity->store, X509_STORE_CTX_get0_cert(theirs),
				X509_STORE_CTX_get0_untrusted(theirs)) == 1 &&
	    X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ours), X509_STORE_CTX_get0_param(theirs)) == 1) {
		bool good = X509_verify_cert(ours) == 1;
		error = X509_STORE_CTX_get_error(ours);
		if (!good && error == X509_V_OK)
			error = X509_V_ERR_UNSPECIFIED;
		if (!good && X509_STORE_CTX_get_current_cert(ours)) {
			*bad = X509_STORE_CTX_get_current_cert(ours);
			X509_up_ref(*bad);
		}
	}
	X509_STORE_CTX_free(ours);
	return error;
}

/* OpenSSL asks this in place of its own verification, also when a server renegotiates. */
static int verify(X509_STORE_CTX *theirs, void *aux)
{
	struct http_identity *identity = aux;
	X509 *leaf = X509_STORE_CTX_get0_cert(theirs), *bad = NULL;
	int error;

	if (identity->system_cas && !identity->store)
		load_system_cas(identity);
	if (identity->pin && is_pinned(identity, leaf))
		error = X509_V_OK;
	else if (identity->store)
		error = verify_chain(identity, theirs, &bad);
	else
		error = X509_V_ERR_CERT_REJECTED;
	if (error != X509_V_OK)
		note_refusal(identity, X509_STORE_CTX_get0_param(theirs), error, bad ? bad : leaf);
	X509_free(bad);
	X509_STORE_CTX_set_error(theirs, error);
	return error == X509_V_OK;
}

static int identity_slot(void)
{
	static int slot = -1;

	if (slot < 0)
		slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return slot;
}

/* libcurl has put the URL's host into the new connection as the name to ask for; this is the last moment to say
 * otherwise, right before the first message is made. */
static void on_handshake(const SSL *ssl, int where, int ret)
{
	const struct http_identity *identity = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), identity_slot());

	(void)ret;
	if (!(where & SSL_CB_HANDSHAKE_START))
		return;
	SSL_set_tlsext_host_name((SSL *)ssl, is_address(identity->name) ? NULL : identity->name);
}

static int expect_name(SSL_CTX *context, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);

	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : -1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 ? 0 : -1;
}

int http_identity_apply(struct http_identity *identity, SSL_CTX *context, const char *host)
{
	SSL_CTX_set_verify(context, identity->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (!identity->insecure) {
		if (expect_name(context, identity->name ? identity->name : host) < 0)
			return -1;
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
					    X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
		SSL_CTX_set_cert_verify_callback(context, verify, identity);
	}
	if (identity->name) {
		SSL_CTX_set_ex_data(context, identity_slot(), identity);
		SSL_CTX_set_info_callback(context, on_handshake);
	}
	if (!identity->cert)
		return 0;
	SSL_CTX_set_post_handshake_auth(context, 1);
	if (SSL_CTX_use_certificate(context, identity->cert) != 1 ||
	    SSL_CTX_set1_chain(context, identity->chain) != 1 || SSL_CTX_use_PrivateKey(context, identity->key) != 1)
		return -1;
	return 0;
}
