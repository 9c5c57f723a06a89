#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/loop.h"

/* HTTP/1.1 server on the loop, over libmicrohttpd's epoll descriptor: no thread.  A request may be answered at
 * once or any time later; waiting costs its connection and nothing else.  TLS handshakes of many who come at once are
 * spread over the loop's turns. */
struct httpd;
struct httpd_request;

/* What is refused without handle() being called. */
enum httpd_refusal {
	HTTPD_BODY_TOO_LARGE, /* answered 413; without an announced length, and far too large, just cut off */
	/* The headers need more than the connection's memory: answered 431.  (A request line that alone does is answered 414,
	 * what is no HTTP 400, and neither is told.) */
	HTTPD_HEADERS_TOO_LARGE,
	HTTPD_TOO_MANY, /* the limit of connections was just reached, by this peer: further ones wait to be accepted */
};

struct httpd_options {
	const char *listen;       /* "127.0.0.1:8080", "[::]:8443", ":8080" (all addresses); port 0: any free one */
	const char *cert, *key;   /* PEM; NULL: plain http.  Borrowed during the call only */
	const char *client_ca;    /* PEM: a client certificate is asked for and verified if given; NULL: not asked */
	unsigned max_connections; /* further ones wait to be accepted; 0: 1024 */
	/* Bytes of each connection's buffer, which holds the request's line and headers (and its own bookkeeping, about 80
	 * bytes a header) beside the body's next piece: 4 KiB suffice for a bearer token of 2.5 KiB.  TLS costs 12 KiB more
	 * for each connection.  0: 16 KiB. */
	size_t connection_memory;
	size_t body_max; /* a larger request body is answered 413 */
	/* Ends a connection on which nothing moves; not while a request waits for its answer, nor before its first byte (the
	 * next one is for that).  Rounded up to seconds; 0: never. */
	int64_t idle_timeout_ms;
	/* Ends a connection that has not brought a whole request so long after it was opened or last answered, though
	 * bytes keep coming.  0: four times idle_timeout_ms. */
	int64_t request_timeout_ms;
	/* Called once a request, its body complete.  Must answer, stream, or keep the request and do so later. */
	void (*handle)(void *aux, struct httpd_request *request);
	/* The client left before the answer (or the stream's end), or httpd_free() ends the connection: the request is
	 * invalid after this returns.  A client that closes only its sending side counts as gone.  Optional; without it
	 * a later answer to a client that left is dropped silently, and its connection is kept until then. */
	void (*gone)(void *aux, struct httpd_request *request);
	/* Optional, for log and metrics; `peer` is the client's numeric address.  Must not call anything of this server. */
	void (*refused)(void *aux, enum httpd_refusal why, const char *peer);
	void *aux;
};

int httpd_new(struct httpd **ret, struct loop *loop, const struct httpd_options *options, struct error *err);
/* Ends all connections, calling gone() for the requests still held (without gone() they are just invalid then).  Not
 * from within handle() or gone().  NULL is fine. */
void httpd_free(struct httpd *httpd);
unsigned httpd_port(const struct httpd *httpd);
/* No request is being read, waits, or has bytes of its answer left to send. */
bool httpd_is_idle(const struct httpd *httpd);
/* For connections from now on; those that are open stay as they are.  ERROR_INVALID when certificate (chain) and key do
 * not parse or do not fit each other: then nothing has changed.  Only of a server that was started with a certificate.
 * TLS 1.2 or newer, always. */
int httpd_set_certificate(struct httpd *httpd, const char *cert, const char *key, struct error *err);

/* Of the request; borrowed for its life. */
const char *httpd_method(const struct httpd_request *request);
/* Percent-decoded, without the query; "%00" stays as it is. */
const char *httpd_path(const struct httpd_request *request);
/* Decoded; NULL: absent; "" for "?key". */
const char *httpd_query(const struct httpd_request *request, const char *key);
/* All of them, in their order, decoded. */
void httpd_each_query(const struct httpd_request *request, void (*each)(void *aux, const char *key, const char *value),
		      void *aux);
const char *httpd_header(const struct httpd_request *request, const char *name); /* any case; NULL: absent */
const char *httpd_body(const struct httpd_request *request, size_t *len);
/* Subject of the client certificate that was verified ("CN=x"), or NULL when none was shown; one that does not verify is
 * answered 401 without calling handle(). */
const char *httpd_client_name(const struct httpd_request *request);
const char *httpd_peer(const struct httpd_request *request); /* numeric address, without the port */
void httpd_set_aux(struct httpd_request *request, void *aux);
void *httpd_aux(const struct httpd_request *request);

/* Each ends the request.  `headers` are "Name: value", end with NULL, may be NULL. */
void httpd_answer(struct httpd_request *request, int status, const char *content_type, const char *const *headers,
		  const void *body, size_t len);
void httpd_abort(struct httpd_request *request); /* closes the connection without a further byte */

/* An answer in pieces (chunked): start, any number of writes, end (or abort: cut in the middle). */
void httpd_stream_start(struct httpd_request *request, int status, const char *content_type,
			const char *const *headers);
/* Copies.  What a slow reader has not taken piles up: `false` once more than 16 MiB wait, and then nothing was added. */
bool httpd_stream_write(struct httpd_request *request, const void *bytes, size_t n);
void httpd_stream_end(struct httpd_request *request);
/* As end, but the connection is then closed without the last chunk: the client sees an answer that broke off. */
void httpd_stream_cut(struct httpd_request *request);
