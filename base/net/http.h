#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/call.h"
#include "base/error.h"
#include "base/net/loop.h"

/* HTTP client on the loop, over libcurl's multi interface (socket action).  One struct http is one pool of
 * connections with one TLS identity; it is kept alive between requests. */
struct http;

/* How a server is trusted and how we show who we are.  All texts are PEM, borrowed during the call only. */
struct http_tls {
	const char *ca; /* NULL: the system's CAs */
	/* The server's leaf must be exactly this certificate; its name, chain and dates are then not compared
	 * (whoever pins a certificate has decided).  With `ca` another one is good too, if it verifies by that and by
	 * name: for a certificate of which nobody said whether it is the server's own or its CA's. */
	const char *pin;
	const char *name;       /* expect this name in the certificate (and send it as SNI) instead of the URL's host */
	const char *cert, *key; /* client certificate, or NULL */
	bool tls12_at_most;     /* servers that ask for a client certificate by renegotiation */
	bool insecure;          /* no verification at all: only where a user said so */
};

struct http_options {
	const char *user_agent;
	/* Offer it (ALPN): many requests then share one connection.  Those with `data`, or whose answer may be larger than
	 * 1 MiB, have one of their own (HTTP/1.1) all the same. */
	bool http2;
	unsigned
		max_connections; /* to one host, of each of the two kinds; more requests wait their turn; 0: no limit */
	/* What the server's machine did not take for so long is never delivered, not even when we are dead by then: the kernel
	 * then ends the connection.  0: 30 s. */
	int64_t unacknowledged_ms;
};

int http_new(struct http **ret, struct loop *loop, const struct http_options *options, struct error *err);
/* Cancels what is under way without calling anything back.  NULL is fine. */
void http_free(struct http *http);
/* For requests from now on; connections under the old identity are not used again.  ERROR_INVALID when a PEM does
 * not parse or the key does not fit its certificate: then nothing has changed. */
int http_set_tls(struct http *http, const struct http_tls *tls, struct error *err);
/* Idle connections are closed, so that the next request opens a new one (GOAWAY, fail-over). */
void http_drop_idle(struct http *http);

struct http_reply {
	int status;               /* 0: no answer came; set also when its body was cut or refused */
	const char *content_type; /* "" when absent; these are borrowed until `done` returns */
	const char *location;     /* "" when absent */
	int64_t retry_after_ms;   /* -1 when absent or not a number of seconds */
	const char *body;         /* NUL-terminated; empty when `data` took it */
	size_t body_len;
	const struct error *error; /* NULL: an answer came whole, whatever its status.  ERROR_RETRY: unreachable, reset,
				    * timed out, cut.  ERROR_AUTH: the server's certificate was refused, or ours.
				    * ERROR_LIMIT: body larger than allowed.  Else what `data` returned. */
	bool timed_out;            /* with an error: because `timeout_ms` or `idle_timeout_ms` was over */
	bool sent;                 /* false: certain that the server saw no byte of the request (refused, no name, TLS
				    * failed before it); true: it may have acted on it */
};

enum call_outcome http_outcome(const struct http_reply *reply); /* for metrics */

/* From now on no request of this process but GET and HEAD is sent: handing any other to http_send() is a bug (assert).  There
 * is no way back.  For programs that promise to change nothing. */
void http_only_reads(void);

struct http_request;
struct http_request_options {
	const char *method; /* "GET", "PATCH", ...; all texts are copied */
	const char *url;
	const char *const *headers; /* "Name: value", ends with NULL; may be NULL.  May hold secrets: wiped after use */
	const void *body;           /* NULL: none */
	size_t body_len;
	/* loop_now_ms() from which on nothing of it is sent any more; 0: none.  Looked at when a connection is there and the
	 * next thing is to write, also for a second, unseen try; too late is ERROR_RETRY.  And when such a request is given
	 * up, the kernel drops what it still holds of it. */
	int64_t send_by_ms;
	int64_t timeout_ms;      /* of the whole exchange; 0: none (a watch) */
	int64_t idle_timeout_ms; /* nothing received for so long fails it; 0: none */
	size_t body_max;         /* of the answer, in all; 0: no limit with `data`, else 64 KiB */
	/* The status line and headers are in (final ones, not 1xx).  Optional. */
	void (*head)(void *aux, int status);
	/* Bytes of a 2xx answer's body as they arrive, at most 16 KiB a call; -1 with err ends the exchange.  Optional;
	 * without it, and for any other status, the body is collected (other statuses: cut at 64 KiB). */
	int (*data)(void *aux, const char *bytes, size_t n, struct error *err);
	/* Exactly once, from the loop, never from inside http_send(); not after http_cancel(). */
	void (*done)(void *aux, const struct http_reply *reply);
	/* The request is over in any way (after `done`, cancelled, http_free()) and nothing else will be called: the place to
	 * free `aux`.  Must not call anything here.  Optional. */
	void (*release)(void *aux);
	void *aux;
};

/* Never fails: what is wrong reaches `done`.  The handle is valid until `done` returns or http_cancel().  All of these
 * functions may be called from any callback, http_free() too.  No redirect is followed.  A request that met a kept
 * connection which the server was just closing is sent again, unseen, as long as no byte of an answer had come. */
struct http_request *http_send(struct http *http, const struct http_request_options *options);
void http_cancel(struct http_request *request);
