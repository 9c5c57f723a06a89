#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/net/http.h"
#include "base/net/http_tls.h"

/* Shared by http.c (the life of clients and requests), http_pool.c (libcurl on the loop) and http_transfer.c (one
 * request as libcurl sees it).
 *
 * libcurl must not be called from within its own callbacks, and the callbacks of our users may do anything: so `in_curl`
 * marks the time that a call into libcurl lasts, what they ask for then is only noted, and http_settle() does it when
 * the call has returned. */

TAILQ_HEAD(http_requests, http_request);
TAILQ_HEAD(http_pools, http_pool);
TAILQ_HEAD(http_sockets, http_socket);

/* Answers that are collected share HTTP/2 connections, where that is allowed; those that stream (lists, watches) get an
 * HTTP/1.1 connection of their own.  It is not only fairer: libcurl 7.88 stops delivering an HTTP/2 stream, without a
 * word, when the last piece of its body finds its buffer full because another stream was read at that time.  So the
 * buffer of a request over HTTP/2 holds the whole answer, and none that may be larger goes there.  The two kinds live
 * apart because libcurl remembers for a host as a whole whether its connections can be shared. */
enum http_kind { HTTP_1, HTTP_2, HTTP_KINDS };
enum { HTTP_2_BODY_MAX = 1 << 20 };

/* Connections of one kind made under one identity.  A new identity gets a new pool; the old one lives on for what is
 * under way. */
struct http_pool {
	struct http *http;
	enum http_kind kind;
	CURLM *multi;
	struct http_identity *identity;
	struct http_sockets sockets;
	struct loop_timer timeout; /* as libcurl wants it */
	size_t requests;           /* that stand on it, started or not */
	bool takes_back;           /* a connection that is closed now is reset */
	TAILQ_ENTRY(http_pool) link;
};

struct http {
	struct loop *loop;
	char *user_agent;
	bool http2;
	unsigned max_connections;
	unsigned unacknowledged_ms;
	struct http_pool *current[HTTP_KINDS];
	struct http_pools pools; /* the current ones, and those that still have requests */

	/* A request is in one of these, by its `state`, until `done` is called. */
	struct http_requests waiting, running, ended, cancelled;
	struct http_requests paused; /* some of `running` */
	struct loop_timer again;     /* more is ended than one turn should deliver */
	struct loop_timer refill;    /* ends a slice */
	size_t slice_bytes;          /* handed over in this slice */
	int64_t slice_us;            /* when the slice began */
	bool in_curl;
	bool settling;
	bool freed; /* http_free() was called while one of the two above held */
};

enum http_state { HTTP_WAITING, HTTP_RUNNING, HTTP_ENDED, HTTP_CANCELLED, HTTP_DELIVERING };

struct http_request {
	struct http *http;
	struct http_pool *pool;
	enum http_state state;
	bool is_paused;
	TAILQ_ENTRY(http_request) link;
	TAILQ_ENTRY(http_request) pause_link;

	void (*head)(void *aux, int status);
	int (*data)(void *aux, const char *bytes, size_t n, struct error *err);
	void (*done)(void *aux, const struct http_reply *reply);
	void (*release)(void *aux);
	void *aux;
	int64_t timeout_ms, idle_timeout_ms, send_by_ms;
	struct loop_timer deadline, idle;
	int64_t heard_ms; /* when something last came */

	CURL *easy;
	char *method, *host, *peer; /* host without brackets; peer is host:port */
	struct curl_slist *headers;
	char *body;
	size_t body_len;
	char detail[CURL_ERROR_SIZE];

	size_t head_bytes;
	bool head_done;
	int status;
	char *content_type, *location;
	int64_t retry_after_ms;
	size_t body_max;
	size_t total; /* bytes of the body so far */
	struct buf answer;
	bool cut;  /* stopped on purpose: enough of an error page */
	bool sent; /* valid once ended */
	bool timed_out;
	struct error error;
};

/* http_pool.c */
struct http_pool *http_pool_new(struct http *http, enum http_kind kind, struct http_identity *identity);
void http_pool_free(struct http_pool *pool); /* closes all connections; no request is on it */

/* http_transfer.c */
int http_transfer_prepare(struct http_request *request, const struct http_request_options *options, struct error *err);
void http_transfer_wipe(struct http_request *request);
/* Fills in `sent` and, unless the answer came whole, `error`. */
void http_transfer_conclude(struct http_request *request, CURLcode code);
bool http_transfer_was_sent(const struct http_request *request);

/* http.c */
void http_settle(struct http *http);
void http_request_end(struct http_request *request);
bool http_slice_is_over(struct http *http);
void http_slice_count(struct http *http, size_t n);
void http_request_pause(struct http_request *request);
