#undef NDEBUG
#include "tests/unit/base/net/raw_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static ssize_t read_some(struct raw_peer *peer, void *bytes, size_t n)
{
	ssize_t got = peer->ssl ? SSL_read(peer->ssl, bytes, (int)n) : read(peer->fd, bytes, n);

	if (got <= 0)
		atomic_fetch_add(&peer->seen->hangups, 1);
	return got;
}

bool raw_read(struct raw_peer *peer, void *bytes, size_t n)
{
	char *at = bytes;

	while (n > 0) {
		ssize_t got = read_some(peer, at, n);
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

void raw_write(struct raw_peer *peer, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n > 0) {
		ssize_t put =
			peer->ssl ? SSL_write(peer->ssl, at, n > 1 << 20 ? 1 << 20 : (int)n) : write(peer->fd, at, n);
		if (put <= 0)
			_exit(0); /* the client went away */
		at += put;
		n -= (size_t)put;
	}
}

void raw_text(struct raw_peer *peer, const char *text)
{
	raw_write(peer, text, strlen(text));
}

bool raw_read_request(struct raw_peer *peer)
{
	char *request = peer->request, *length;
	size_t n = 0;

	for (;;) {
		char byte;
		if (!raw_read(peer, &byte, 1))
			return false;
		assert(n + 1 < sizeof peer->request);
		request[n++] = byte;
		request[n] = '\0';
		if (n >= 4 && strcmp(request + n - 4, "\r\n\r\n") == 0)
			break;
	}
	length = strcasestr(request, "\r\nContent-Length:");
	size_t body = length ? strtoul(length + 17, NULL, 10) : 0;
	size_t kept = body < sizeof peer->request - n ? body : 0; /* all of it or nothing */
	if (!raw_read(peer, request + n, kept))
		return false;
	request[n + kept] = '\0';
	for (char dropped[4096]; body > kept; body -= body - kept < sizeof dropped ? body - kept : sizeof dropped)
		if (!raw_read(peer, dropped, body - kept < sizeof dropped ? body - kept : sizeof dropped))
			return false;
	memcpy(peer->seen->request, request, sizeof peer->seen->request);
	atomic_fetch_add(&peer->seen->requests, 1);
	return true;
}

void raw_answer(struct raw_peer *peer, int status, const char *body)
{
	char head[200];

	snprintf(head, sizeof head, "HTTP/1.1 %d Text\r\nContent-Length: %zu\r\n\r\n", status, strlen(body));
	raw_text(peer, head);
	raw_text(peer, body);
}

void raw_wait(struct raw_peer *peer)
{
	struct pollfd poll_fd = { .fd = peer->stop_fd, .events = POLLIN };

	while (poll(&poll_fd, 1, -1) < 0 && errno == EINTR)
		;
}

void raw_hang(struct raw_peer *peer)
{
	char bytes[4096];

	while (read_some(peer, bytes, sizeof bytes) > 0)
		;
}

void raw_reset(struct raw_peer *peer)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(peer->fd);
	_exit(0);
}

static void note_client(struct raw_peer *peer)
{
	X509 *cert = SSL_get1_peer_certificate(peer->ssl);

	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, peer->seen->client_name,
					  sizeof peer->seen->client_name);
	X509_free(cert);
}

static int accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

/* As Apache does for a folder that requires a certificate: after the request was read, before it is answered. */
void raw_renegotiate(struct raw_peer *peer)
{
	char byte;

	SSL_set_verify(peer->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
	if (SSL_renegotiate(peer->ssl) != 1 || SSL_do_handshake(peer->ssl) != 1)
		_exit(0);
	/* Reading is what drives the new handshake; it returns when that is over. */
	SSL_clear_mode(peer->ssl, SSL_MODE_AUTO_RETRY);
	SSL_peek(peer->ssl, &byte, 0);
	SSL_set_mode(peer->ssl, SSL_MODE_AUTO_RETRY);
	if (!SSL_is_init_finished(peer->ssl))
		_exit(0);
	note_client(peer);
}

/* HTTP/2 where the client offers it, else none named, which is HTTP/1.1. */
static int choose_http2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
			unsigned in_len, void *aux)
{
	(void)ssl;
	(void)aux;
	if (SSL_select_next_proto((unsigned char **)out, out_len, (const unsigned char *)"\x02h2", 3, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(const struct raw_server_options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	BIO *cert_pem = BIO_new_mem_buf(options->tls->cert, -1), *key_pem = BIO_new_mem_buf(options->tls->key, -1);
	X509 *cert = PEM_read_bio_X509(cert_pem, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL);

	assert(SSL_CTX_use_certificate(context, cert) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
	if (options->tls_max)
		SSL_CTX_set_max_proto_version(context, options->tls_max);
	if (options->tls_max && options->tls_max < TLS1_2_VERSION) {
		SSL_CTX_set_security_level(context, 0); /* else OpenSSL itself offers nothing so old */
		SSL_CTX_set_min_proto_version(context, options->tls_max);
	}
	if (options->http2)
		SSL_CTX_set_alpn_select_cb(context, choose_http2, NULL);
	if (options->client_ca) {
		BIO *ca_pem = BIO_new_mem_buf(options->client_ca, -1);
		X509 *ca = PEM_read_bio_X509(ca_pem, NULL, NULL, NULL);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
		SSL_CTX_add_client_CA(context, ca);
		if (!options->client_late)
			SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"raw", 3);
	SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_options(context, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION); /* as Apache does */
	return context;
}

/* Noted before the handshake ends, so that the test sees it whenever the client does. */
static int on_server_name(SSL *ssl, int *alert, void *aux)
{
	struct raw_seen *seen = aux;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	snprintf(seen->server_name, sizeof seen->server_name, "%s", name ? name : "");
	return SSL_TLSEXT_ERR_OK;
}

/* A close with bytes unread would be a reset, which takes away what was just sent: an alert, an answer. */
static _Noreturn void leave(struct raw_peer *peer)
{
	char bytes[4096];

	shutdown(peer->fd, SHUT_WR);
	while (read(peer->fd, bytes, sizeof bytes) > 0)
		;
	_exit(0);
}

static void talk(struct raw_peer *peer, const struct raw_server_options *options)
{
	if (options->tls) {
		SSL_CTX *context = make_context(options);
		SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
		SSL_CTX_set_tlsext_servername_arg(context, peer->seen);
		peer->ssl = SSL_new(context);
		SSL_set_fd(peer->ssl, peer->fd);
		if (SSL_accept(peer->ssl) != 1)
			leave(peer);
		snprintf(peer->seen->tls_version, sizeof peer->seen->tls_version, "%s", SSL_get_version(peer->ssl));
		note_client(peer);
		const unsigned char *protocol;
		unsigned n;
		SSL_get0_alpn_selected(peer->ssl, &protocol, &n);
		peer->http2 = n == 2 && memcmp(protocol, "h2", 2) == 0;
	}
	options->serve(peer);
	if (peer->ssl)
		SSL_shutdown(peer->ssl);
	leave(peer);
}

static void run(struct raw_server *server, int listener, const struct raw_server_options *options)
{
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	close(server->release[1]);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		struct raw_peer peer = {
			.fd = fd,
			.number = 1 + atomic_fetch_add(&server->seen->connections, 1),
			.seen = server->seen,
			.stop_fd = server->release[0],
		};
		pid_t pid = fork();
		assert(pid >= 0);
		if (pid == 0) {
			close(listener);
			talk(&peer, options);
		}
		close(fd);
	}
}

void raw_server_start(struct raw_server *server, const struct raw_server_options *options)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();

	*server = (struct raw_server){ 0 };
	assert(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 128) == 0);
	assert(getsockname(listener, (struct sockaddr *)&address, &len) == 0 && pipe(server->release) == 0);
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof server->url, "http%s://127.0.0.1:%d", options->tls ? "s" : "", server->port);
	server->seen = mmap(NULL, sizeof *server->seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(server->seen != MAP_FAILED);
	fflush(NULL);
	server->pid = fork();
	assert(server->pid >= 0);
	if (server->pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		run(server, listener, options);
	}
	setpgid(server->pid, server->pid);
	close(listener);
	close(server->release[0]);
}

void raw_server_release(struct raw_server *server)
{
	assert(write(server->release[1], "x", 1) == 1);
}

void raw_server_stop(struct raw_server *server)
{
	kill(-server->pid, SIGKILL);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(server->release[1]);
	munmap(server->seen, sizeof *server->seen);
}

void raw_serve_hello(struct raw_peer *peer)
{
	while (raw_read_request(peer))
		raw_answer(peer, 200, "hello");
}

unsigned raw_big_sum(void)
{
	unsigned sum = 0;

	for (size_t i = 0; i < RAW_BIG; i++)
		sum = sum * 31 + (unsigned char)(i * 7 + (i >> 11));
	return sum;
}

void raw_serve_big(struct raw_peer *peer)
{
	char head[100], *bytes = malloc(RAW_BIG);

	for (size_t i = 0; i < RAW_BIG; i++)
		bytes[i] = (char)(i * 7 + (i >> 11));
	while (raw_read_request(peer)) {
		snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n",
			 strstr(peer->request, "/error") ? "500 Oh" : "200 OK", RAW_BIG);
		raw_text(peer, head);
		raw_write(peer, bytes, RAW_BIG);
	}
}
