#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/unit/base/net/certs.h"

/* A server for tests that does on a connection exactly what a function of the test says, right or wrong.  It is a
 * process of its own with a process for each connection, so that the function may block. */

/* What the server has seen; memory shared with the test. */
struct raw_seen {
	atomic_int connections;
	atomic_int requests;
	atomic_int hangups;    /* connections on which the client's end was seen */
	char request[16384];   /* the last one, with its body where that fits */
	char server_name[256]; /* asked for in TLS; "" for none */
	char client_name[256]; /* of the client's certificate */
	char tls_version[32];
};

struct raw_peer {
	int fd;
	bool http2; /* agreed on */
	SSL *ssl;   /* NULL: plain */
	int number; /* 1 for the first connection */
	struct raw_seen *seen;
	char request[16384]; /* the last one, with its body where that fits */
	int stop_fd;         /* readable when released by raw_server_release() */
};

struct raw_server_options {
	void (*serve)(struct raw_peer *peer);
	const struct cert *tls; /* NULL: plain */
	const char *client_ca;  /* a client certificate is required */
	bool client_late;       /* ... but asked for only by raw_renegotiate() */
	int tls_max;            /* TLS1_2_VERSION, or 0 */
	bool http2;             /* ALPN h2 */
};

struct raw_server {
	pid_t pid;
	int port;
	char url[64]; /* http://127.0.0.1:PORT or https://... */
	struct raw_seen *seen;
	int release[2];
};

void raw_server_start(struct raw_server *server, const struct raw_server_options *options);
void raw_server_stop(struct raw_server *server);
/* Lets all raw_wait() return. */
void raw_server_release(struct raw_server *server);

/* For `serve`. */
bool raw_read_request(struct raw_peer *peer);                /* HTTP/1.1; false: the client closed */
bool raw_read(struct raw_peer *peer, void *bytes, size_t n); /* exactly n */
void raw_write(struct raw_peer *peer, const void *bytes, size_t n);
void raw_text(struct raw_peer *peer, const char *text);
void raw_answer(struct raw_peer *peer, int status, const char *body); /* 200 with Content-Length */
void raw_wait(struct raw_peer *peer);                                 /* for raw_server_release() */
void raw_hang(struct raw_peer *peer);                                 /* until the client closes */
void raw_reset(struct raw_peer *peer);                                /* closes with RST */
void raw_renegotiate(struct raw_peer *peer);

/* Ready-made. */
enum { RAW_BIG = 8 << 20 };
void raw_serve_hello(struct raw_peer *peer); /* 200 "hello" to each request */
void raw_serve_big(struct raw_peer *peer);   /* 200 and RAW_BIG bytes; 500 for /error */
unsigned raw_big_sum(void);                  /* of these bytes, as exchange.data_sum */
