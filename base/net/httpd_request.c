#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/net/httpd_private.h"

enum {
	STREAM_WAITING_MAX = 16 << 20,
	STREAM_KEEP = 64 << 10, /* an emptied stream buffer larger than this is given back */
	STREAM_BLOCK = 4096,    /* only for clients of HTTP/1.0, which know no chunks */
	SUSPENDED_A_MS = 2048,  /* how many may be looked at for an answer that is not gathered with others */
	RESUMED_A_TURN = 32,
};

void httpd_request_free(struct httpd_request *request)
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

const struct sockaddr *httpd_address(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info ? info->client_addr : NULL;
}

void httpd_peer_text(char out[INET6_ADDRSTRLEN], const struct sockaddr *address)
{
	out[0] = '\0';
	if (address && address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, out, INET6_ADDRSTRLEN);
	} else if (address && address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

		/* On a socket for both families the old ones come as ::ffff:192.0.2.1. */
		if (IN6_IS_ADDR_V4MAPPED(v6))
			inet_ntop(AF_INET, v6->s6_addr + 12, out, INET6_ADDRSTRLEN);
		else
			inet_ntop(AF_INET6, v6, out, INET6_ADDRSTRLEN);
	}
}

struct httpd_request *httpd_request_new(struct httpd *httpd, struct MHD_Connection *connection, const char *method,
					const char *path)
{
	struct httpd_request *request = mem_alloc(sizeof *request);

	request->httpd = httpd;
	request->connection = connection;
	request->method = method;
	request->path = path;
	httpd_peer_text(request->peer, httpd_address(connection));
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

void httpd_request_suspend(struct httpd_request *request)
{
	MHD_suspend_connection(request->connection);
	request->suspended = true;
	request->httpd->n_suspended++;
	if (request->httpd->left_fd >= 0) {
		struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = request };

		epoll_ctl(request->httpd->left_fd, EPOLL_CTL_ADD, request_fd(request), &event);
	}
}

/* microhttpd looks at every suspended connection whenever one of them is resumed: with thousands of them a few answers
 * are gathered first.  And it writes all answers that are there at a stretch: so not too many of them. */
void httpd_request_resume(struct httpd_request *request)
{
	struct httpd *httpd = request->httpd;
	int64_t now = loop_now_ms();

	if (!request->suspended)
		return;
	request->suspended = false;
	if (httpd->left_fd >= 0)
		epoll_ctl(httpd->left_fd, EPOLL_CTL_DEL, request_fd(request), NULL);
	TAILQ_INSERT_TAIL(&httpd->resuming, request, resume_link);
	if (++httpd->n_resuming == 1)
		loop_timer_at(&httpd->resume, now + httpd->n_suspended / SUSPENDED_A_MS);
	else if (httpd->n_resuming == RESUMED_A_TURN)
		loop_timer_at(&httpd->resume, now);
}

void httpd_resume(struct httpd *httpd, unsigned n)
{
	struct httpd_request *request;

	while (n-- > 0 && (request = TAILQ_FIRST(&httpd->resuming))) {
		TAILQ_REMOVE(&httpd->resuming, request, resume_link);
		httpd->n_resuming--;
		httpd->n_suspended--;
		MHD_resume_connection(request->connection);
	}
	if (httpd->n_resuming > 0)
		loop_timer_at(&httpd->resume, loop_now_ms());
	else
		loop_timer_stop(&httpd->resume);
}

static void on_resume(struct loop_timer *timer)
{
	struct httpd *httpd = container_of(timer, struct httpd, resume);

	httpd_resume(httpd, RESUMED_A_TURN);
	httpd->idle_turns = 0;
	httpd_run(httpd);
}

void httpd_resume_init(struct httpd *httpd)
{
	TAILQ_INIT(&httpd->resuming);
	loop_timer_init(&httpd->resume, httpd->loop, on_resume);
}

/* The user has said its last word.  Without a connection nobody else knows the request any more. */
static void request_let_go(struct httpd_request *request)
{
	request->held = false;
	if (request->connection)
		httpd_request_resume(request);
	else
		httpd_request_free(request);
}

void httpd_request_gone(struct httpd_request *request)
{
	request->held = false;
	request->httpd->gone(request->httpd->aux, request);
}

static ssize_t on_more(void *cls, uint64_t position, char *out, size_t max)
{
	struct httpd_request *request = cls;
	size_t n = request->stream.len - request->taken;

	(void)position;
	if (request->aborted)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0 && request->ended)
		return request->cut ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		httpd_request_suspend(request);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(out, request->stream.data + request->taken, n);
	request->taken += n;
	request->httpd->idle_turns = 0; /* it goes on by microhttpd's own turns, one piece each */
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

void httpd_set_answer(struct httpd_request *request, int status, const char *content_type, const char *const *headers,
		      struct MHD_Response *response)
{
	assert(response && !request->response);
	add_headers(response, content_type, headers);
	request->response = response;
	request->status = (unsigned)status;
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

struct each_query {
	void (*each)(void *aux, const char *key, const char *value);
	void *aux;
};

static enum MHD_Result on_query(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	const struct each_query *query = cls;

	(void)kind;
	query->each(query->aux, key, value ? value : "");
	return MHD_YES;
}

void httpd_each_query(const struct httpd_request *request, void (*each)(void *aux, const char *key, const char *value),
		      void *aux)
{
	struct each_query query = { .each = each, .aux = aux };

	if (request->connection)
		MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, on_query, &query);
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

const char *httpd_peer(const struct httpd_request *request)
{
	return request->peer;
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
		httpd_set_answer(request, status, content_type, headers,
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
	httpd_set_answer(request, status, content_type, headers,
			 MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_more, request, NULL));
	httpd_request_resume(request);
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
	httpd_request_resume(request);
	return true;
}

void httpd_stream_cut(struct httpd_request *request)
{
	request->cut = true;
	httpd_stream_end(request);
}

void httpd_stream_end(struct httpd_request *request)
{
	assert(request->held);
	request->ended = true;
	request_let_go(request);
}
