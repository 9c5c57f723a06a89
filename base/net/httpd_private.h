#pragma once

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/net/httpd.h"

/* What httpd.c (the server), httpd_accept.c (who connects), httpd_request.c (the life of a request and its answer) and
 * httpd_patience.c (how long a request is waited for) share. */

TAILQ_HEAD(httpd_connections, httpd_connection);

enum httpd_place {
	HTTPD_SILENT,   /* connected, and has said nothing yet */
	HTTPD_SPEAKING, /* waits for its turn to be given to microhttpd */
	HTTPD_GIVEN,
};

struct httpd_connection {
	TAILQ_ENTRY(httpd_connection) link; /* while awaited */
	TAILQ_ENTRY(httpd_connection) turn; /* until given */
	enum httpd_place place;
	int fd;
	struct httpd_tls *tls; /* that it was opened under; NULL: plain http */
	int64_t due_ms;
	bool awaited; /* a request of it is */
};

struct httpd {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_io *io, *left_io;
	int left_fd; /* epoll set of the suspended connections; -1: nobody wants to know */
	struct loop_timer timer;
	int listen_fd, silent_fd; /* silent_fd: epoll set of the silent */
	struct loop_io *listen_io, *silent_io;
	struct httpd_connections silent, speaking;
	struct httpd_connection *giving; /* while microhttpd is taking it */
	struct loop_timer feeding, listening;
	struct httpd_request *requests;
	TAILQ_HEAD(httpd_resuming, httpd_request) resuming; /* suspended for microhttpd until `resume` */
	struct loop_timer resume;
	unsigned n_suspended, n_resuming;
	struct httpd_tls *tls; /* of connections from now on; NULL: plain http */
	char *client_ca;       /* PEM; NULL: clients need no certificate */
	unsigned n_connections, max_connections;
	struct httpd_connections awaited; /* the first is due first */
	struct loop_timer patience;
	int64_t request_timeout_ms; /* 0: any */
	size_t body_max;
	unsigned port;
	bool running;
	unsigned idle_turns; /* in which nothing was brought by its descriptor, nor by anybody else */
	void (*handle)(void *aux, struct httpd_request *request);
	void (*gone)(void *aux, struct httpd_request *request);
	void (*refused)(void *aux, enum httpd_refusal why, const char *peer);
	void *aux;
};

/* Lives until both sides have let go of it: microhttpd (connection is NULL then) and the user of this module. */
struct httpd_request {
	struct httpd *httpd;
	struct httpd_request *next, **link;
	TAILQ_ENTRY(httpd_request) resume_link;
	struct MHD_Connection *connection;
	const char *method, *path;
	char peer[INET6_ADDRSTRLEN];
	char *client_name;
	struct buf body;
	size_t refused; /* body bytes read and thrown away because the body is too large */
	bool handed;    /* all of it is here */
	bool offered;   /* handle() was called */
	bool held;      /* the user may still answer */
	bool suspended;
	bool aborted; /* close the connection instead of going on */
	bool ended;   /* of a stream: no more will be written */
	bool cut;     /* of a stream: and it ends without its last chunk */
	unsigned status;
	struct MHD_Response *response; /* until microhttpd has it */
	struct buf stream;
	size_t taken; /* of stream, by microhttpd */
	void *user;
};

struct httpd_request *httpd_request_new(struct httpd *httpd, struct MHD_Connection *connection, const char *method,
					const char *path);
void httpd_request_free(struct httpd_request *request);
/* Only from within a callback of microhttpd for this very connection. */
void httpd_request_suspend(struct httpd_request *request);
void httpd_request_resume(struct httpd_request *request); /* nothing happens when it is not suspended */
void httpd_request_gone(struct httpd_request *request);   /* takes it from the user */
void httpd_resume_init(struct httpd *httpd);
void httpd_resume(struct httpd *httpd, unsigned n); /* so many of those that are to be */
/* The response is handed to microhttpd when it next asks for it. */
void httpd_set_answer(struct httpd_request *request, int status, const char *content_type, const char *const *headers,
		      struct MHD_Response *response);

/* NULL: not known. */
const struct sockaddr *httpd_address(struct MHD_Connection *connection);
void httpd_peer_text(char out[INET6_ADDRSTRLEN], const struct sockaddr *address); /* numeric; "" when not known */
void httpd_tell_refusal(struct httpd *httpd, enum httpd_refusal why, const struct sockaddr *peer);
void httpd_run(struct httpd *httpd); /* whatever there is to do, now */

void httpd_accept_prepare(struct httpd *httpd);
int httpd_accept_init(struct httpd *httpd, struct error *err); /* begins; listen_fd is set */
void httpd_accept_end(struct httpd *httpd);                    /* microhttpd has none any more */
void httpd_connection_started(struct httpd *httpd, struct MHD_Connection *mhd, void **socket_context);
void httpd_connection_closed(struct httpd *httpd, void **socket_context);
void httpd_connection_drop(struct httpd *httpd, struct httpd_connection *connection);

void httpd_patience_init(struct httpd *httpd, int64_t request_timeout_ms);
void httpd_awaits(struct httpd *httpd, struct httpd_connection *connection); /* from now on */
void httpd_awaits_no_more(struct httpd *httpd, struct httpd_connection *connection);
