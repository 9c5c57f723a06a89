#include "base/net/httpd.h"

#include <assert.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/net/httpd_listen.h"
#include "base/net/httpd_private.h"
#include "base/net/httpd_tls.h"

/* microhttpd runs on its own epoll descriptor, which is readable whenever it has something to do; the loop waits for
 * that descriptor and for the time microhttpd asks for.  A request that waits is suspended in microhttpd, which then
 * does not look at its socket at all; to learn that its client left, such sockets stand in a second epoll set of
 * ours, asked for the hang-up alone.  A socket is in that set only while we hold its connection suspended, and
 * microhttpd closes no socket of a suspended connection, so the set never holds a stale descriptor. */

enum {
	CONNECTION_MEMORY = 16 << 10,
	CONNECTIONS_MAX = 1024,
	IDLE_TURNS_MAX = 16,
	IDLE_TURN_MS = 10,
};

static void on_left(void *aux, int ready)
{
	struct httpd *httpd = aux;
	struct epoll_event events[64];
	int n = epoll_wait(httpd->left_fd, events, array_length(events), 0);

	(void)ready;
	httpd->running = true;
	for (int i = 0; i < n; i++) {
		struct httpd_request *request = events[i].data.ptr;

		/* An earlier one's gone() may have answered this one: it is resumed then, but not yet freed. */
		if (!request->suspended)
			continue;
		request->aborted = true;
		if (request->held)
			httpd_request_gone(request);
		httpd_request_resume(request);
	}
	httpd->running = false;
}

/* An answer of our own, to a request that never reaches handle(). */
static void refuse(struct httpd_request *request, int status, const char *text)
{
	httpd_set_answer(
		request, status, "text/plain", NULL,
		MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

/* A client that is still sending sees our 413 only if we go on reading, so some of what is too much is read; an
 * announced length far beyond is refused at once, and the connection closed. */
static bool far_too_large(const struct httpd_request *request, uint64_t length)
{
	return length / 4 > (uint64_t)request->body.max + 16384;
}

static enum MHD_Result request_start(struct httpd_request *request)
{
	const char *length = httpd_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (!length || !far_too_large(request, strtoull(length, NULL, 10)))
		return MHD_YES;
	refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "request body too large\n");
	enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
	MHD_destroy_response(request->response);
	request->response = NULL;
	return result;
}

static enum MHD_Result take_body(struct httpd_request *request, const char *bytes, size_t *n)
{
	if (!buf_append(&request->body, bytes, *n))
		request->refused += *n;
	*n = 0;
	return far_too_large(request, request->refused) ? MHD_NO : MHD_YES;
}

static struct httpd_connection *connection_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void hand_over(struct httpd_request *request)
{
	struct httpd *httpd = request->httpd;

	httpd_awaits_no_more(httpd, connection_of(request->connection));
	request->handed = true;
	if (request->body.full) {
		refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "request body too large\n");
		return;
	}
	if (httpd->client_ca) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

		if (!httpd_tls_client(&request->client_name, info->tls_session)) {
			refuse(request, MHD_HTTP_UNAUTHORIZED, "the client certificate is not accepted\n");
			return;
		}
	}
	request->held = true;
	request->offered = true;
	httpd->handle(httpd->aux, request);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				 const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct httpd_request *request = *con_cls;
	struct httpd *httpd = cls;

	(void)version;
	httpd->idle_turns = 0;
	if (!request) {
		request = httpd_request_new(httpd, connection, method, url);
		*con_cls = request;
		return request_start(request);
	}
	if (*upload_size > 0)
		return take_body(request, upload, upload_size);
	if (!request->handed)
		hand_over(request);
	if (request->aborted)
		return MHD_NO;
	if (!request->response) {
		httpd_request_suspend(request);
		return MHD_YES;
	}
	enum MHD_Result result = MHD_queue_response(connection, request->status, request->response);
	MHD_destroy_response(request->response);
	request->response = NULL;
	return result;
}

/* Its first use is that on_completed() is called for every request from here on, also one whose headers are too long. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	(void)cls;
	(void)uri;
	(void)connection;
	return NULL; /* no struct httpd_request yet */
}

void httpd_tell_refusal(struct httpd *httpd, enum httpd_refusal why, const struct sockaddr *peer)
{
	char text[INET6_ADDRSTRLEN];

	if (!httpd->refused)
		return;
	httpd_peer_text(text, peer);
	httpd->refused(httpd->aux, why, text);
}

/* A request that handle() never saw: by what microhttpd or we answered instead. */
static void tell_unoffered(struct httpd *httpd, struct MHD_Connection *connection, const struct httpd_request *request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
	unsigned status = info ? info->http_status : 0;

	if (status == MHD_HTTP_CONTENT_TOO_LARGE || (request && request->refused > 0))
		httpd_tell_refusal(httpd, HTTPD_BODY_TOO_LARGE, httpd_address(connection));
	else if (status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
		httpd_tell_refusal(httpd, HTTPD_HEADERS_TOO_LARGE, httpd_address(connection));
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	struct httpd_request *request = *con_cls;

	(void)code;
	httpd_awaits(cls, connection_of(connection)); /* the next one */
	if (!request || !request->offered)
		tell_unoffered(cls, connection, request);
	if (!request)
		return;
	*con_cls = NULL;
	request->connection = NULL;
	if (request->held && !request->httpd->gone)
		return; /* freed when it is answered */
	if (request->held)
		httpd_request_gone(request);
	httpd_request_free(request);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		httpd_connection_started(cls, connection, socket_context);
	else
		httpd_connection_closed(cls, socket_context);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place.  What is no escape stays as it is, and so does %00, which would cut the text short for us but not for
 * whoever looked at the request before us. */
static size_t on_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
	char *out = text;

	(void)cls;
	(void)connection;
	for (const char *in = text; *in; in++) {
		int high = *in == '%' ? hex(in[1]) : -1;
		int low = high >= 0 ? hex(in[2]) : -1;

		if (low >= 0 && (high | low) != 0) {
			*out++ = (char)(high << 4 | low);
			in += 2;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
	return (size_t)(out - text);
}

/* While a TLS handshake waits for its client, microhttpd takes the connection for readable and asks to be run again at
 * once, without end: half a ClientHello would keep a core busy.  What comes in shows in the descriptor; the rest, such as
 * bytes that TLS has read ahead, is done in a few turns, or more slowly. */
static int64_t patient(struct httpd *httpd, int64_t wait_ms)
{
	if (wait_ms > 0 || ++httpd->idle_turns < IDLE_TURNS_MAX)
		return wait_ms;
	return IDLE_TURN_MS;
}

void httpd_run(struct httpd *httpd)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	httpd->running = true;
	MHD_run(httpd->daemon);
	httpd->running = false;
	if (MHD_get_timeout(httpd->daemon, &wait_ms) == MHD_YES)
		loop_timer_at(&httpd->timer, loop_now_ms() + patient(httpd, (int64_t)wait_ms));
	else
		loop_timer_stop(&httpd->timer);
}

static void on_ready(void *aux, int ready)
{
	struct httpd *httpd = aux;

	(void)ready;
	httpd->idle_turns = 0;
	httpd_run(httpd);
}

static void on_timer(struct loop_timer *timer)
{
	httpd_run(container_of(timer, struct httpd, timer));
}

static int start_daemon(struct httpd *httpd, const struct httpd_options *options, struct error *err)
{
	struct MHD_OptionItem more[5] = { { MHD_OPTION_END, 0, NULL } };
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
	size_t n = 0;

	if (options->cert) {
		flags |= MHD_USE_TLS;
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->cert };
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key };
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
						     (void *)(uintptr_t)HTTPD_TLS_PRIORITIES };
		if (options->client_ca)
			more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0,
							     (void *)(uintptr_t)options->client_ca };
		more[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	}
	httpd->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_access, httpd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, httpd, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL, MHD_OPTION_CONNECTION_LIMIT, httpd->max_connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		options->connection_memory > 0 ? options->connection_memory : (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((options->idle_timeout_ms + 999) / 1000),
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	if (!httpd->daemon)
		return error_set(err, ERROR_OS, "cannot start the HTTP server");
	return 0;
}

static int watch_departures(struct httpd *httpd, struct error *err)
{
	httpd->left_fd = epoll_create1(EPOLL_CLOEXEC);
	if (httpd->left_fd < 0)
		return error_set_errno(err, "epoll_create1");
	httpd->left_io = loop_io_new(httpd->loop, httpd->left_fd, on_left, httpd);
	loop_io_want(httpd->left_io, LOOP_READABLE);
	return 0;
}

static void httpd_freep(struct httpd **httpd)
{
	httpd_free(*httpd);
}

int httpd_new(struct httpd **ret, struct loop *loop, const struct httpd_options *options, struct error *err)
{
	__attribute__((cleanup(httpd_freep))) struct httpd *httpd = mem_alloc(sizeof *httpd);

	assert(options->handle && !options->cert == !options->key && (options->cert || !options->client_ca));
	httpd->loop = loop;
	httpd->body_max = options->body_max;
	httpd->client_ca = mem_dup(options->client_ca);
	httpd->max_connections = options->max_connections > 0 ? options->max_connections : CONNECTIONS_MAX;
	httpd->handle = options->handle;
	httpd->gone = options->gone;
	httpd->refused = options->refused;
	httpd->aux = options->aux;
	httpd->left_fd = -1;
	httpd_accept_prepare(httpd);
	httpd_resume_init(httpd);
	loop_timer_init(&httpd->timer, loop, on_timer);
	httpd_patience_init(httpd, options->request_timeout_ms > 0 ? options->request_timeout_ms
								   : 4 * options->idle_timeout_ms);
	if (options->cert && httpd_tls_new(&httpd->tls, options->cert, options->key, options->client_ca, err) < 0)
		return -1;
	if (options->gone && watch_departures(httpd, err) < 0)
		return -1;
	httpd->listen_fd = httpd_listen(options->listen, &httpd->port, err);
	if (httpd->listen_fd < 0 || start_daemon(httpd, options, err) < 0 || httpd_accept_init(httpd, err) < 0)
		return -1;
	int epoll_fd = MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	httpd->io = loop_io_new(loop, epoll_fd, on_ready, httpd);
	loop_io_want(httpd->io, LOOP_READABLE);
	*ret = httpd;
	httpd = NULL;
	return 0;
}

void httpd_free(struct httpd *httpd)
{
	if (!httpd)
		return;
	assert(!httpd->running);
	/* microhttpd must not be stopped while a connection is suspended; nothing runs until it is stopped. */
	for (struct httpd_request *request = httpd->requests; request; request = request->next)
		httpd_request_resume(request);
	httpd_resume(httpd, UINT_MAX);
	loop_io_free(httpd->io);
	if (httpd->daemon)
		MHD_stop_daemon(httpd->daemon);
	httpd_accept_end(httpd);
	while (httpd->requests)
		httpd_request_free(httpd->requests);
	loop_timer_stop(&httpd->timer);
	loop_timer_stop(&httpd->patience);
	loop_io_free(httpd->left_io);
	if (httpd->left_fd >= 0)
		close(httpd->left_fd);
	httpd_tls_unref(httpd->tls);
	free(httpd->client_ca);
	free(httpd);
}

int httpd_set_certificate(struct httpd *httpd, const char *cert, const char *key, struct error *err)
{
	struct httpd_tls *tls;

	assert(httpd->tls);
	if (httpd_tls_new(&tls, cert, key, httpd->client_ca, err) < 0)
		return -1;
	httpd_tls_unref(httpd->tls);
	httpd->tls = tls;
	return 0;
}

unsigned httpd_port(const struct httpd *httpd)
{
	return httpd->port;
}

bool httpd_is_idle(const struct httpd *httpd)
{
	return !httpd->requests;
}
