#include "base/net/httpd.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/net/httpd_listen.h"
#include "base/net/httpd_tls.h"

/* microhttpd runs on its own epoll descriptor, which is readable whenever it has something to do; the loop waits for
 * that descriptor and for the time microhttpd asks for.  A request that waits is suspended in microhttpd, which then
 * does not look at its socket at all; to learn that its client left, such sockets stand in a second epoll set of
 * ours, asked for the hang-up alone.  A socket is in that set only while we hold its connection suspended, and
 * microhttpd closes no socket of a suspended connection, so the set never holds a stale descriptor. */

enum {
	STREAM_WAITING_MAX = 16 << 20,
	STREAM_KEEP = 64 << 10, /* an emptied stream buffer larger than this is given back */
	STREAM_BLOCK = 4096,    /* only for clients of HTTP/1.0, which know no chunks */
	CONNECTION_MEMORY = 16 << 10,
	CONNECTIONS_MAX = 1024,
};

struct httpd {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_io *io, *left_io;
	int left_fd; /* epoll set of the suspended connections; -1: nobody wants to know */
	struct loop_timer timer;
	struct httpd_request *requests;
	size_t body_max;
	unsigned port;
	bool verify_clients, running;
	bool again; /* MHD_run() has something to do that neither its descriptor nor its timeout shows */
	void (*handle)(void *aux, struct httpd_request *request);
	void (*gone)(void *aux, struct httpd_request *request);
	void *aux;
};

/* Lives until both sides have let go of it: microhttpd (connection is NULL then) and the user of this module. */
struct httpd_request {
	struct httpd *httpd;
	struct httpd_request *next, **link;
	struct MHD_Connection *connection;
	const char *method, *path;
	char *client_name;
	struct buf body;
	size_t refused; /* body bytes read and thrown away because the body is too large */
	bool handed;    /* handle() was called */
	bool held;      /* the user may still answer */
	bool suspended;
	bool aborted; /* close the connection instead of going on */
	bool ended;   /* of a stream: no more will be written */
	unsigned status;
	struct MHD_Response *response; /* until microhttpd has it */
	struct buf stream;
	size_t taken; /* of stream, by microhttpd */
	void *user;
};

static void request_free(struct httpd_request *request)
{
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	if (request->response)
		MHD_destroy_response(request->response);
	buf_free(&request->body);
	buf_free(&request->stream);
	free(request->client_name);
	free(request);
}

static struct httpd_request *request_new(struct httpd *httpd, struct MHD_Connection *connection, const char *method,
					 const char *path)
{
	struct httpd_request *request = mem_alloc(sizeof *request);

	request->httpd = httpd;
	request->connection = connection;
	request->method = method;
	request->path = path;
	buf_init(&request->body, httpd->body_max);
	buf_init(&request->stream, STREAM_WAITING_MAX);
	request->next = httpd->requests;
	request->link = &httpd->requests;
	if (request->next)
		request->next->link = &request->next;
	httpd->requests = request;
	return request;
}

static int request_fd(const struct httpd_request *request)
{
	return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* Only from within a callback of microhttpd for this very connection. */
static void request_suspend(struct httpd_request *request)
{
	MHD_suspend_connection(request->connection);
	request->suspended = true;
	if (request->httpd->left_fd >= 0) {
		struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = request };

		epoll_ctl(request->httpd->left_fd, EPOLL_CTL_ADD, request_fd(request), &event);
	}
}

static void request_resume(struct httpd_request *request)
{
	if (!request->suspended)
		return;
	request->suspended = false;
	if (request->httpd->left_fd >= 0)
		epoll_ctl(request->httpd->left_fd, EPOLL_CTL_DEL, request_fd(request), NULL);
	MHD_resume_connection(request->connection);
	request->httpd->again = true;
	loop_timer_at(&request->httpd->timer, loop_now_ms());
}

/* The user has said its last word.  Without a connection nobody else knows the request any more. */
static void request_let_go(struct httpd_request *request)
{
	request->held = false;
	if (request->connection)
		request_resume(request);
	else
		request_free(request);
}

static void request_gone(struct httpd_request *request)
{
	request->held = false;
	request->httpd->gone(request->httpd->aux, request);
}

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
			request_gone(request);
		request_resume(request);
	}
	httpd->running = false;
}

static ssize_t on_more(void *cls, uint64_t position, char *out, size_t max)
{
	struct httpd_request *request = cls;
	size_t n = request->stream.len - request->taken;

	(void)position;
	if (request->aborted)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0 && request->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		request_suspend(request);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(out, request->stream.data + request->taken, n);
	request->taken += n;
	if (request->taken == request->stream.len) {
		request->taken = 0;
		buf_clear(&request->stream);
		if (request->stream.cap > STREAM_KEEP)
			buf_free(&request->stream);
	}
	return (ssize_t)n;
}

static void add_headers(struct MHD_Response *response, const char *content_type, const char *const *headers)
{
	if (content_type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	for (size_t i = 0; headers && headers[i]; i++) {
		const char *colon = strchr(headers[i], ':');

		assert(colon);
		char *name = mem_dup_n(headers[i], (size_t)(colon - headers[i]));
		/* A value that would break out of its line is refused there and left out. */
		MHD_add_response_header(response, name, colon + 1 + strspn(colon + 1, " "));
		free(name);
	}
}

static void set_answer(struct httpd_request *request, int status, const char *content_type, const char *const *headers,
		       struct MHD_Response *response)
{
	assert(response && !request->response);
	add_headers(response, content_type, headers);
	request->response = response;
	request->status = (unsigned)status;
}

/* An answer of our own, to a request that never reaches handle(). */
static void refuse(struct httpd_request *request, int status, const char *text)
{
	set_answer(request, status, "text/plain", NULL,
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

static void hand_over(struct httpd_request *request)
{
	struct httpd *httpd = request->httpd;

	request->handed = true;
	if (request->body.full) {
		refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "request body too large\n");
		return;
	}
	if (httpd->verify_clients) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

		if (!httpd_tls_client(&request->client_name, info->tls_session)) {
			refuse(request, MHD_HTTP_UNAUTHORIZED, "the client certificate is not accepted\n");
			return;
		}
	}
	request->held = true;
	httpd->handle(httpd->aux, request);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				 const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct httpd_request *request = *con_cls;

	(void)version;
	if (!request) {
		request = request_new(cls, connection, method, url);
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
		request_suspend(request);
		return MHD_YES;
	}
	enum MHD_Result result = MHD_queue_response(connection, request->status, request->response);
	MHD_destroy_response(request->response);
	request->response = NULL;
	return result;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	struct httpd_request *request = *con_cls;

	(void)cls;
	(void)connection;
	(void)code;
	if (!request)
		return;
	*con_cls = NULL;
	request->connection = NULL;
	if (request->held && !request->httpd->gone)
		return; /* freed when it is answered */
	if (request->held)
		request_gone(request);
	request_free(request);
}

/* At the limit of connections microhttpd does not listen; it does again at the run after the one that closed one. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct httpd *httpd = cls;

	(void)connection;
	(void)socket_context;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED)
		httpd->again = true;
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

static void run(struct httpd *httpd)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	httpd->running = true;
	httpd->again = false;
	MHD_run(httpd->daemon);
	httpd->running = false;
	if (httpd->again)
		loop_timer_at(&httpd->timer, loop_now_ms());
	else if (MHD_get_timeout(httpd->daemon, &wait_ms) == MHD_YES)
		loop_timer_at(&httpd->timer, loop_now_ms() + (int64_t)wait_ms);
	else
		loop_timer_stop(&httpd->timer);
}

static void on_ready(void *aux, int ready)
{
	(void)ready;
	run(aux);
}

static void on_timer(struct loop_timer *timer)
{
	run(container_of(timer, struct httpd, timer));
}

static int start_daemon(struct httpd *httpd, const struct httpd_options *options, int fd, struct error *err)
{
	struct MHD_OptionItem more[5] = { { MHD_OPTION_END, 0, NULL } };
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
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
		flags, 0, NULL, NULL, on_access, httpd, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, httpd, MHD_OPTION_UNESCAPE_CALLBACK,
		on_unescape, NULL, MHD_OPTION_CONNECTION_LIMIT,
		options->max_connections > 0 ? options->max_connections : CONNECTIONS_MAX,
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
	httpd->verify_clients = options->client_ca;
	httpd->handle = options->handle;
	httpd->gone = options->gone;
	httpd->aux = options->aux;
	httpd->left_fd = -1;
	loop_timer_init(&httpd->timer, loop, on_timer);
	if (options->cert && httpd_tls_check(options->cert, options->key, options->client_ca, err) < 0)
		return -1;
	if (options->gone && watch_departures(httpd, err) < 0)
		return -1;
	int fd = httpd_listen(options->listen, &httpd->port, err);
	if (fd < 0)
		return -1;
	if (start_daemon(httpd, options, fd, err) < 0) {
		close(fd);
		return -1;
	}
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
		request_resume(request);
	loop_io_free(httpd->io);
	if (httpd->daemon)
		MHD_stop_daemon(httpd->daemon);
	while (httpd->requests)
		request_free(httpd->requests);
	loop_timer_stop(&httpd->timer);
	loop_io_free(httpd->left_io);
	if (httpd->left_fd >= 0)
		close(httpd->left_fd);
	free(httpd);
}

unsigned httpd_port(const struct httpd *httpd)
{
	return httpd->port;
}

const char *httpd_method(const struct httpd_request *request)
{
	return request->connection ? request->method : "";
}

const char *httpd_path(const struct httpd_request *request)
{
	return request->connection ? request->path : "";
}

static const char *lookup(const struct httpd_request *request, enum MHD_ValueKind kind, const char *key)
{
	const char *value = NULL;
	size_t len;

	if (!request->connection ||
	    MHD_lookup_connection_value_n(request->connection, kind, key, strlen(key), &value, &len) != MHD_YES)
		return NULL;
	return value ? value : "";
}

const char *httpd_query(const struct httpd_request *request, const char *key)
{
	return lookup(request, MHD_GET_ARGUMENT_KIND, key);
}

const char *httpd_header(const struct httpd_request *request, const char *name)
{
	return lookup(request, MHD_HEADER_KIND, name);
}

const char *httpd_body(const struct httpd_request *request, size_t *len)
{
	*len = request->body.len;
	return request->body.data;
}

const char *httpd_client_name(const struct httpd_request *request)
{
	return request->client_name;
}

void httpd_set_aux(struct httpd_request *request, void *aux)
{
	request->user = aux;
}

void *httpd_aux(const struct httpd_request *request)
{
	return request->user;
}

void httpd_answer(struct httpd_request *request, int status, const char *content_type, const char *const *headers,
		  const void *body, size_t len)
{
	assert(request->held);
	if (request->connection)
		set_answer(request, status, content_type, headers,
			   MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY));
	request_let_go(request);
}

void httpd_abort(struct httpd_request *request)
{
	assert(request->held);
	request->aborted = true;
	/* Now, and below TLS: so that no closing word of it goes out either. */
	if (request->connection)
		shutdown(request_fd(request), SHUT_RDWR);
	request_let_go(request);
}

void httpd_stream_start(struct httpd_request *request, int status, const char *content_type, const char *const *headers)
{
	assert(request->held);
	if (!request->connection)
		return;
	set_answer(request, status, content_type, headers,
		   MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_more, request, NULL));
	request_resume(request);
}

bool httpd_stream_write(struct httpd_request *request, const void *bytes, size_t n)
{
	struct buf *stream = &request->stream;

	assert(request->held && !request->ended);
	if (!request->connection)
		return true;
	if (n > stream->max - (stream->len - request->taken))
		return false;
	if (n > stream->max - stream->len) {
		stream->len -= request->taken;
		memmove(stream->data, stream->data + request->taken, stream->len);
		request->taken = 0;
	}
	buf_append(stream, bytes, n);
	request_resume(request);
	return true;
}

void httpd_stream_end(struct httpd_request *request)
{
	assert(request->held);
	request->ended = true;
	request_let_go(request);
}
