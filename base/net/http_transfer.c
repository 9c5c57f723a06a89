/* One request as libcurl sees it: what is set before, and the callbacks while it runs. */
#include <assert.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/net/http_error.h"
#include "base/net/http_private.h"

enum {
	PIECE = 8 << 10,     /* handed to `data` at once */
	HEAD_MAX = 64 << 10, /* status line and headers of an answer */
	BODY_DEFAULT = 64 << 10,
	OTHER_BODY_MAX = 64 << 10, /* of an answer that is not 2xx */
	VALUE_MAX = 4096,          /* of a header we keep */
	CONNECT_TIMEOUT_MS = 10000,
	CONNECTION_IDLE_S = 60, /* not used again after */
	CONNECTION_AGE_S = 600, /* a new address of the server is noticed at the latest then */
};

static bool is_token(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
			return false;
	return n > 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* Nothing of a header but its place is told in an error: it may be a secret. */
static int add_headers(struct http_request *request, const char *const *headers, struct error *err)
{
	bool has_type = false;

	for (size_t i = 0; headers && headers[i]; i++) {
		const char *colon = strchr(headers[i], ':');

		if (!colon || !is_token(headers[i], (size_t)(colon - headers[i])) || colon[1] != ' ' || !colon[2] ||
		    !is_printable(colon))
			return error_set(err, ERROR_INVALID, "%s: header number %zu of the request is malformed",
					 request->peer, i + 1);
		has_type |= strncasecmp(headers[i], "Content-Type:", 13) == 0;
		request->headers = curl_slist_append(request->headers, headers[i]);
	}
	/* libcurl adds these by itself: one waits a second for old servers, the other is wrong for JSON. */
	request->headers = curl_slist_append(request->headers, "Expect:");
	if (!has_type)
		request->headers = curl_slist_append(request->headers, "Content-Type:");
	return 0;
}

void http_transfer_wipe(struct http_request *request)
{
	for (struct curl_slist *header = request->headers; header; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
	if (request->body)
		explicit_bzero(request->body, request->body_len);
	free(request->body);
	request->body = NULL;
}

static int check_url(struct http_request *request, CURLU *url, const char *text, struct error *err)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *password = NULL;
	int result = -1;

	if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
		error_set(err, ERROR_INVALID, "not an http or https URL");
	} else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK ||
		   curl_url_get(url, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK) {
		error_set(err, ERROR_INVALID, "%s:%s: a URL must not hold a user or password", host, port);
	} else {
		size_t n = strlen(host);

		request->peer = mem_printf("%s:%s", host, port);
		if (host[0] == '[')
			request->host = mem_dup_n(host + 1, n - 2);
		else
			request->host = mem_dup_n(host, n > 1 && host[n - 1] == '.' ? n - 1 : n);
		result = 0;
	}
	if (password)
		explicit_bzero(password, strlen(password));
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_free(password);
	return result;
}

static void heard(struct http_request *request)
{
	request->heard_ms = loop_now_ms();
}

/* Nothing more of it is wanted: libcurl ends it when told so. */
static bool is_given_up(const struct http_request *request)
{
	return request->state != HTTP_RUNNING || request->http->freed;
}

static void keep_value(char **kept, const char *value, size_t n)
{
	free(*kept);
	*kept = mem_dup_n(value, n > VALUE_MAX ? VALUE_MAX : n);
}

static int64_t parse_retry_after(const char *value, size_t n)
{
	int64_t seconds = 0;

	if (n == 0 || n > 9)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		seconds = seconds * 10 + (value[i] - '0');
	}
	return seconds * 1000;
}

static void parse_header(struct http_request *request, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);

	if (!colon)
		return;
	size_t name = (size_t)(colon - line);
	const char *value = colon + 1, *end = line + n;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (name == 12 && strncasecmp(line, "Content-Type", name) == 0)
		keep_value(&request->content_type, value, (size_t)(end - value));
	else if (name == 8 && strncasecmp(line, "Location", name) == 0)
		keep_value(&request->location, value, (size_t)(end - value));
	else if (name == 11 && strncasecmp(line, "Retry-After", name) == 0)
		request->retry_after_ms = parse_retry_after(value, (size_t)(end - value));
}

/* "HTTP/1.1 200 OK", "HTTP/2 200": libcurl has checked that a number is there. */
static void parse_status(struct http_request *request, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);

	request->status = 0;
	for (const char *p = space ? space + 1 : line + n; p < line + n && isdigit((unsigned char)*p); p++)
		if (request->status < 1000)
			request->status = request->status * 10 + (*p - '0');
	keep_value(&request->content_type, "", 0);
	keep_value(&request->location, "", 0);
	request->retry_after_ms = -1;
}

static bool is_success(const struct http_request *request)
{
	return request->status / 100 == 2;
}

static void end_head(struct http_request *request)
{
	if (request->status < 200)
		return; /* 1xx: another head follows */
	request->head_done = true;
	buf_init(&request->answer, is_success(request) ? request->body_max : OTHER_BODY_MAX);
	if (request->head)
		request->head(request->aux, request->status);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *aux)
{
	struct http_request *request = aux;
	size_t len = n;

	(void)size; /* always 1 */
	if (is_given_up(request))
		return CURL_WRITEFUNC_ERROR;
	heard(request);
	request->head_bytes += n;
	if (request->head_bytes > HEAD_MAX) {
		error_set(&request->error, ERROR_LIMIT, "%s: the answer's headers are larger than %d bytes",
			  request->peer, HEAD_MAX);
		return CURL_WRITEFUNC_ERROR;
	}
	while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
		len--;
	if (request->head_done)
		return n; /* a trailer */
	if (len == 0)
		end_head(request);
	else if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
		parse_status(request, bytes, len);
	else
		parse_header(request, bytes, len);
	return n;
}

static bool hand_over(struct http_request *request, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t piece = n < PIECE ? n : PIECE;

		http_slice_count(request->http, piece);
		if (request->data(request->aux, bytes, piece, &request->error) < 0) {
			assert(request->error.kind != ERROR_NONE);
			return false;
		}
		if (is_given_up(request))
			return false;
		bytes += piece;
		n -= piece;
	}
	return true;
}

static bool collect(struct http_request *request, const char *bytes, size_t n)
{
	size_t room = request->answer.max - request->answer.len;

	if (n <= room)
		return buf_append(&request->answer, bytes, n);
	buf_append(&request->answer, bytes, room);
	if (is_success(request))
		error_set(&request->error, ERROR_LIMIT, "%s: the answer is larger than the %zu bytes allowed",
			  request->peer, request->answer.max);
	else
		request->cut = true;
	return false;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *aux)
{
	struct http_request *request = aux;
	bool streamed = request->data && is_success(request);

	(void)size;
	if (is_given_up(request))
		return CURL_WRITEFUNC_ERROR;
	heard(request);
	if (streamed && http_slice_is_over(request->http)) {
		http_request_pause(request);
		return CURL_WRITEFUNC_PAUSE; /* libcurl keeps these bytes and gives them again */
	}
	request->total += n;
	if (streamed && request->body_max > 0 && request->total > request->body_max) {
		error_set(&request->error, ERROR_LIMIT, "%s: the answer is larger than the %zu bytes allowed",
			  request->peer, request->body_max);
		return CURL_WRITEFUNC_ERROR;
	}
	if (streamed ? hand_over(request, bytes, n) : collect(request, bytes, n))
		return n;
	return CURL_WRITEFUNC_ERROR;
}

static CURLcode on_tls_context(CURL *easy, void *context, void *aux)
{
	struct http_request *request = aux;

	(void)easy;
	return http_identity_apply(request->pool->identity, context, request->host) < 0 ? CURLE_SSL_CERTPROBLEM
											: CURLE_OK;
}

/* A peer that vanished without a word is noticed in half a minute, with data under way and without. */
static int on_new_socket(void *aux, curl_socket_t fd, curlsocktype purpose)
{
	const struct http_pool *pool = aux;
	const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 15 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)pool->http->unacknowledged_ms },
	};

	(void)purpose;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < array_length(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
	return CURL_SOCKOPT_OK;
}

/* Else the kernel would go on delivering what we gave up, for as long as it takes. */
static int on_close_socket(void *aux, curl_socket_t fd)
{
	const struct http_pool *pool = aux;
	const struct linger now = { .l_onoff = 1 };

	if (pool->takes_back)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	return close(fd);
}

/* The last step before bytes are written: what came before (a name looked up, a handshake, a process that was stopped)
 * may have taken long.  Between this look and the kernel's there is only libcurl's way to write(). */
static int on_ready_to_send(void *aux, char *peer, char *own, int peer_port, int own_port)
{
	struct http_request *request = aux;

	(void)peer, (void)own, (void)peer_port, (void)own_port;
	if (request->send_by_ms == 0 || loop_now_ms() < request->send_by_ms)
		return CURL_PREREQFUNC_OK;
	error_set(&request->error, ERROR_RETRY, "%s: too late to send the request", request->peer);
	return CURL_PREREQFUNC_ABORT;
}

/* The answer to a request goes to it, and the request to where it is meant for: no redirect, no proxy of the
 * environment, no .netrc, no other protocol. */
static int set_routing(struct http_request *request, const char *url)
{
	CURL *easy = request->easy;
	int bad = 0;

	bad |= (int)curl_easy_setopt(easy, CURLOPT_URL, url);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= (int)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	bad |= (int)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_AGE_S);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, request->pool);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, request->pool);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready_to_send);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Else giving a request up waits for the thread that looks its name up. */
	bad |= (int)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	/* Requests wait for a connection that may turn out to carry them all.  The handshake of TLS tells; without TLS only
	 * the first answer would, which may be long in coming, and it would be HTTP/1.1. */
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PIPEWAIT, strncasecmp(url, "https:", 6) == 0 ? 1L : 0L);
	return bad;
}

static int set_tls(struct http_request *request)
{
	CURL *easy = request->easy;
	const struct http_identity *identity = request->pool->identity;
	long version = CURL_SSLVERSION_TLSv1_2;
	int bad = 0;

	if (http_identity_tls12_at_most(identity))
		version |= CURL_SSLVERSION_MAX_TLSv1_2;
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SSLVERSION, version);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, http_identity_insecure(identity) ? 0L : 1L);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L); /* http_tls.c does, in the handshake */
	bad |= (int)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	/* A resumed session would not show the certificate again. */
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, request);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
				     request->pool->kind == HTTP_2 ? (long)CURL_HTTP_VERSION_2TLS
								   : (long)CURL_HTTP_VERSION_1_1);
	return bad;
}

/* See enum http_kind.  Of this memory only what an answer really takes is ever touched. */
static long buffer_size(const struct http_request *request)
{
	size_t body = request->body_max > OTHER_BODY_MAX ? request->body_max : OTHER_BODY_MAX;

	return request->pool->kind == HTTP_2 ? (long)(HEAD_MAX + body + PIECE) : PIECE;
}

static int set_message(struct http_request *request)
{
	CURL *easy = request->easy;
	const char *method = request->method;
	int bad = 0;

	if (strcmp(method, "HEAD") == 0)
		bad |= (int)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (request->body || (strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0)) {
		bad |= (int)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
		bad |= (int)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
	}
	bad |= (int)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_USERAGENT, request->http->user_agent);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer_size(request));
	bad |= (int)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->detail);
	bad |= (int)curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	return bad;
}

static void copy_options(struct http_request *request, const struct http_request_options *options)
{
	request->head = options->head;
	request->data = options->data;
	request->done = options->done;
	request->release = options->release;
	request->aux = options->aux;
	request->send_by_ms = options->send_by_ms;
	request->timeout_ms = options->timeout_ms;
	request->idle_timeout_ms = options->idle_timeout_ms;
	request->body_max = options->body_max == 0 && !options->data ? BODY_DEFAULT : options->body_max;
	request->retry_after_ms = -1;
	buf_init(&request->answer, 0);
	request->method = mem_dup(options->method);
	if (options->body) {
		request->body = mem_dup_n(options->body, options->body_len);
		request->body_len = options->body_len;
	}
	heard(request);
}

int http_transfer_prepare(struct http_request *request, const struct http_request_options *options, struct error *err)
{
	CURLU *url = curl_url();
	int result = -1;

	copy_options(request, options);
	request->easy = curl_easy_init();
	assert(url && request->easy);
	if (!is_token(request->method, strlen(request->method)))
		error_set(err, ERROR_INVALID, "the request's method is malformed");
	else if (check_url(request, url, options->url, err) == 0 && add_headers(request, options->headers, err) == 0)
		result = 0;
	if (result == 0) {
		int bad = set_routing(request, options->url) | set_tls(request) | set_message(request);
		assert(bad == 0);
	}
	curl_url_cleanup(url);
	return result;
}

bool http_transfer_was_sent(const struct http_request *request)
{
	long bytes = 0;

	curl_easy_getinfo(request->easy, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes > 0 || request->head_bytes > 0;
}

void http_transfer_conclude(struct http_request *request, CURLcode code)
{
	struct http_failure failure = {
		.code = code,
		.detail = request->detail,
		.peer = request->peer,
		.client_certificate = http_identity_has_certificate(request->pool->identity),
	};
	long os_errno = 0;

	request->sent = http_transfer_was_sent(request);
	if (request->error.kind != ERROR_NONE || request->cut || (code == CURLE_OK && request->head_done))
		return;
	curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
	failure.os_errno = (int)os_errno;
	failure.sent = request->sent;
	failure.refusal = http_identity_refusal(request->pool->identity, request->host);
	if (code == CURLE_OK)
		failure.code = CURLE_GOT_NOTHING;
	request->timed_out = code == CURLE_OPERATION_TIMEDOUT;
	http_explain(&request->error, &failure);
}
