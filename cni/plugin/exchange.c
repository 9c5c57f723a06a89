#include "cni/plugin/exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cni/plugin/exchange_socket.h"

enum { READ_AT_ONCE = 16 << 10 };

struct exchange {
	const struct node_file *node;
	SSL_CTX *ctx;
	BIO_METHOD *method;
};

/* --- TLS settings --- */

static bool is_address(const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* How many certificates the PEM text holds; they are all that is trusted. */
static int trust(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	int n = 0;
	X509 *cert;

	while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

static bool expect_name(SSL_CTX *ctx, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return (is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name)
				 : X509_VERIFY_PARAM_set1_host(param, name, 0)) == 1;
}

int exchange_new(struct exchange **ret, const struct node_file *node, struct cni_error *err)
{
	/* No configuration file of the node's OpenSSL: it may name modules that a static program cannot load. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	struct exchange *exchange = mem_alloc(sizeof *exchange);
	exchange->node = node;
	exchange->method = exchange_socket_method();
	exchange->ctx = SSL_CTX_new(TLS_client_method());
	if (!exchange->ctx)
		abort();
	SSL_CTX_set_min_proto_version(exchange->ctx, TLS1_2_VERSION);
	SSL_CTX_set_security_level(exchange->ctx, 2);
	SSL_CTX_set_options(exchange->ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(exchange->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(exchange->ctx, SSL_SESS_CACHE_OFF);
	if (trust(exchange->ctx, node->ca) > 0 && expect_name(exchange->ctx, node->server_name)) {
		*ret = exchange;
		return 0;
	}
	exchange_free(exchange);
	cni_fail(err, CNI_NODE_FILE, "the CA file %s holds no certificate", node->ca_path);
	return cni_fail_details(err, "The node installer writes it beside the node file; look at its log on this node");
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	SSL_CTX_free(exchange->ctx);
	BIO_meth_free(exchange->method);
	free(exchange);
}

/* --- what went wrong --- */

/* Of the operation that failed just now; empties OpenSSL's queue. */
static const char *reason(int ssl_error)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = ERR_reason_error_string(code);

	ERR_clear_error();
	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		return "it closed the connection";
	if (ssl_error == SSL_ERROR_SYSCALL)
		return errno ? strerror(errno) : "it closed the connection";
	return text ? text : "unknown error";
}

static enum exchange_end fail(struct exchange *exchange, enum exchange_end end, const char *what, const char *why,
			      struct cni_error *err)
{
	const struct node_file *node = exchange->node;
	const char *open = strchr(node->address, ':') ? "[" : "", *close = *open ? "]" : "";

	cni_fail(err, end == EXCHANGE_WRONG ? CNI_SERVICE_BROKEN : CNI_TRY_AGAIN, "the service at %s%s%s:%s %s: %s",
		 open, node->address, close, node->port, what, why);
	if (end == EXCHANGE_WRONG)
		cni_fail_details(err, "Look whether this address of the node file is the service ufmsync's https port");
	else if (end == EXCHANGE_UNREACHABLE)
		cni_fail_details(err, "Look whether the service's pods are ready, and whether this node reaches the "
				      "address (kube-proxy, a network policy, a firewall)");
	else
		cni_fail_details(err, "The container runtime tries again; the service's log tells more");
	return end;
}

static enum exchange_end bad_certificate(struct exchange *exchange, long verify, struct cni_error *err)
{
	const struct node_file *node = exchange->node;

	cni_fail(err, CNI_SERVICE_BROKEN, "the certificate of the service at %s port %s does not verify: %s",
		 node->address, node->port, X509_verify_cert_error_string(verify));
	cni_fail_details(
		err,
		"It must be valid for %s and be signed by a certificate of %s. Look whether the node installer "
		"copied the CA that the service's certificate is of, and whether that has expired",
		node->server_name, node->ca_path);
	return EXCHANGE_WRONG;
}

static bool peer_went(int ssl_error, unsigned long code)
{
	return ssl_error == SSL_ERROR_SYSCALL || ssl_error == SSL_ERROR_ZERO_RETURN ||
	       (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

/* --- the connection --- */

/* 1: the operation may be done again.  0: the deadline has passed.  -1: it failed for good (*ssl_error). */
static int wait_for(SSL *ssl, int fd, int result, int64_t deadline_ms, int *ssl_error)
{
	*ssl_error = SSL_get_error(ssl, result);
	if (*ssl_error != SSL_ERROR_WANT_READ && *ssl_error != SSL_ERROR_WANT_WRITE)
		return -1;
	return exchange_socket_wait(fd, *ssl_error == SSL_ERROR_WANT_WRITE, deadline_ms);
}

static enum exchange_end handshake(struct exchange *exchange, SSL *ssl, int fd, int64_t deadline_ms,
				   struct cni_error *err)
{
	int result, again, ssl_error;

	for (;;) {
		ERR_clear_error();
		errno = 0;
		result = SSL_connect(ssl);
		if (result == 1)
			return EXCHANGE_ANSWERED;
		again = wait_for(ssl, fd, result, deadline_ms, &ssl_error);
		if (again == 0)
			return fail(exchange, EXCHANGE_UNREACHABLE, "cannot be reached", "no TLS handshake in time",
				    err);
		if (again < 0)
			break;
	}
	long verify = SSL_get_verify_result(ssl);
	if (verify != X509_V_OK) {
		ERR_clear_error();
		return bad_certificate(exchange, verify, err);
	}
	bool went = peer_went(ssl_error, ERR_peek_last_error());
	return fail(exchange, went ? EXCHANGE_UNREACHABLE : EXCHANGE_WRONG,
		    went ? "cannot be reached" : "does not speak TLS 1.2 or newer as it should", reason(ssl_error),
		    err);
}

static enum exchange_end send_request(struct exchange *exchange, SSL *ssl, int fd, const char *request, size_t len,
				      int64_t deadline_ms, struct cni_error *err)
{
	size_t written;
	int ssl_error;

	/* Without partial writes it is all or nothing, and the same call again until then. */
	for (;;) {
		ERR_clear_error();
		errno = 0;
		int result = SSL_write_ex(ssl, request, len, &written);
		if (result == 1)
			return EXCHANGE_ANSWERED;
		int again = wait_for(ssl, fd, result, deadline_ms, &ssl_error);
		if (again == 0)
			return fail(exchange, EXCHANGE_LATE, "took no request", "the time is over", err);
		if (again < 0)
			return fail(exchange, EXCHANGE_BROKEN, "broke off", reason(ssl_error), err);
	}
}

static enum exchange_end read_answer(struct exchange *exchange, SSL *ssl, int fd, int64_t deadline_ms,
				     struct http_answer *answer, struct cni_error *err)
{
	char bytes[READ_AT_ONCE];
	struct error why;
	int ssl_error;
	size_t n;

	while (answer->step != HTTP_ANSWER_COMPLETE) {
		ERR_clear_error();
		errno = 0;
		int result = SSL_read_ex(ssl, bytes, sizeof bytes, &n);
		if (result == 1 && http_answer_feed(answer, bytes, n, &why) < 0)
			return fail(exchange, EXCHANGE_WRONG, "does not answer as agreed", why.text, err);
		if (result == 1)
			continue; /* not for ever: an answer has its bounds */
		int again = wait_for(ssl, fd, result, deadline_ms, &ssl_error);
		if (again == 0)
			return fail(exchange, EXCHANGE_LATE, "gave no answer", "the time is over", err);
		if (again < 0)
			return fail(exchange, EXCHANGE_BROKEN, "broke off", reason(ssl_error), err);
	}
	return EXCHANGE_ANSWERED;
}

static enum exchange_end talk(struct exchange *exchange, SSL *ssl, int fd, const char *request, size_t len,
			      int64_t connected_by_ms, int64_t deadline_ms, struct http_answer *answer,
			      struct cni_error *err)
{
	enum exchange_end end = handshake(exchange, ssl, fd, connected_by_ms, err);

	if (end == EXCHANGE_ANSWERED)
		end = send_request(exchange, ssl, fd, request, len, deadline_ms, err);
	if (end == EXCHANGE_ANSWERED)
		end = read_answer(exchange, ssl, fd, deadline_ms, answer, err);
	if (end == EXCHANGE_ANSWERED)
		SSL_shutdown(ssl); /* politely, but nobody waits for the other side's */
	ERR_clear_error();
	return end;
}

enum exchange_end exchange_run(struct exchange *exchange, const char *request, size_t len, int64_t connected_by_ms,
			       int64_t deadline_ms, struct http_answer *answer, struct cni_error *err)
{
	const struct node_file *node = exchange->node;
	struct error why;

	int fd = exchange_socket_open(node->address, node->port, connected_by_ms, &why);
	if (fd < 0)
		return fail(exchange, EXCHANGE_UNREACHABLE, "cannot be reached", why.text, err);
	SSL *ssl = SSL_new(exchange->ctx);
	if (!ssl)
		abort();
	BIO *bio = exchange_socket_bio(exchange->method, fd);
	SSL_set_bio(ssl, bio, bio);
	if (!is_address(node->server_name))
		SSL_set_tlsext_host_name(ssl, node->server_name);
	enum exchange_end end = talk(exchange, ssl, fd, request, len, connected_by_ms, deadline_ms, answer, err);
	SSL_free(ssl);
	close(fd);
	return end;
}
