#include "base/net/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/net/http_private.h"

enum {
	/* What one turn of the loop spends at most on handing bytes over and on calling `done`. */
	SLICE_BYTES = 64 << 10,
	SLICE_US = 500,
	UNACKNOWLEDGED_MS = 30000,
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct http_requests *home_of(struct http_request *request)
{
	struct http *http = request->http;

	switch (request->state) {
	case HTTP_WAITING:
		return &http->waiting;
	case HTTP_RUNNING:
		return &http->running;
	case HTTP_ENDED:
		return &http->ended;
	case HTTP_CANCELLED:
		return &http->cancelled;
	case HTTP_DELIVERING:
		break;
	}
	return NULL;
}

static void enter(struct http_request *request, enum http_state state)
{
	struct http_requests *from = home_of(request), *to;

	if (from)
		TAILQ_REMOVE(from, request, link);
	request->state = state;
	to = home_of(request);
	if (to)
		TAILQ_INSERT_TAIL(to, request, link);
}

static void retire_if_unused(struct http_pool *pool)
{
	if (pool != pool->http->current[pool->kind] && pool->requests == 0 && !pool->http->in_curl)
		http_pool_free(pool);
}

static void unpause(struct http_request *request)
{
	if (request->is_paused)
		TAILQ_REMOVE(&request->http->paused, request, pause_link);
	request->is_paused = false;
}

/* Takes it away from libcurl, which then knows it no more. */
static void leave_curl(struct http_request *request, bool before_its_end)
{
	request->pool->takes_back = before_its_end && request->send_by_ms != 0;
	curl_multi_remove_handle(request->pool->multi, request->easy);
	request->pool->takes_back = false;
}

static void detach(struct http_request *request)
{
	assert(!request->http->in_curl && request->state == HTTP_RUNNING);
	unpause(request);
	leave_curl(request, false);
}

static void give_up(struct http_request *request)
{
	assert(!request->http->in_curl && request->state == HTTP_RUNNING);
	unpause(request);
	leave_curl(request, true);
}

static void request_free(struct http_request *request)
{
	struct http_requests *home = home_of(request);
	struct http_pool *pool = request->pool;

	if (home)
		TAILQ_REMOVE(home, request, link);
	loop_timer_stop(&request->deadline);
	loop_timer_stop(&request->idle);
	curl_easy_cleanup(request->easy);
	http_transfer_wipe(request);
	buf_free(&request->answer);
	free(request->method);
	free(request->host);
	free(request->peer);
	free(request->content_type);
	free(request->location);
	if (request->release)
		request->release(request->aux);
	free(request);
	pool->requests--;
	retire_if_unused(pool);
}

/* Its `error` and `sent` are set; `done` follows from the loop. */
void http_request_end(struct http_request *request)
{
	loop_timer_stop(&request->deadline);
	loop_timer_stop(&request->idle);
	enter(request, HTTP_ENDED);
}

static void fail(struct http_request *request)
{
	request->sent = request->state == HTTP_RUNNING && http_transfer_was_sent(request);
	if (request->state == HTTP_RUNNING)
		give_up(request);
	http_request_end(request);
}

static void on_deadline(struct loop_timer *timer)
{
	struct http_request *request = container_of(timer, struct http_request, deadline);
	struct http *http = request->http;

	fail(request);
	request->timed_out = true;
	error_set(&request->error, ERROR_RETRY, "%s: %s within %lld ms", request->peer,
		  request->sent ? "no complete answer" : "the request could not even be sent",
		  (long long)request->timeout_ms);
	http_settle(http);
}

static void on_idle(struct loop_timer *timer)
{
	struct http_request *request = container_of(timer, struct http_request, idle);
	struct http *http = request->http;
	int64_t now_ms = loop_now_ms();

	if (request->is_paused) /* we are the ones who wait */
		request->heard_ms = now_ms;
	if (now_ms < request->heard_ms + request->idle_timeout_ms) {
		loop_timer_at(timer, request->heard_ms + request->idle_timeout_ms);
		return;
	}
	fail(request);
	request->timed_out = true;
	error_set(&request->error, ERROR_RETRY, "%s: nothing heard for %lld ms", request->peer,
		  (long long)request->idle_timeout_ms);
	http_settle(http);
}

static void start(struct http_request *request)
{
	CURLMcode code;

	assert(!request->http->in_curl && request->state == HTTP_WAITING);
	enter(request, HTTP_RUNNING);
	code = curl_multi_add_handle(request->pool->multi, request->easy);
	assert(code == CURLM_OK); /* fails for handles used twice, and without memory */
}

static enum http_kind kind_of(const struct http *http, const struct http_request_options *options)
{
	return http->http2 && !options->data && options->body_max <= HTTP_2_BODY_MAX ? HTTP_2 : HTTP_1;
}

static bool only_reads; /* http_only_reads() */

void http_only_reads(void)
{
	only_reads = true;
}

static bool is_read(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

struct http_request *http_send(struct http *http, const struct http_request_options *options)
{
	struct http_request *request = mem_alloc(sizeof *request);
	struct error err;

	assert(!http->freed && options->method && options->url && options->done);
	assert(!only_reads || is_read(options->method));
	request->http = http;
	request->pool = http->current[kind_of(http, options)];
	request->pool->requests++;
	request->state = HTTP_DELIVERING; /* in no list yet */
	enter(request, HTTP_WAITING);
	loop_timer_init(&request->deadline, http->loop, on_deadline);
	loop_timer_init(&request->idle, http->loop, on_idle);
	if (http_transfer_prepare(request, options, &err) < 0) {
		request->error = err;
		http_request_end(request);
		loop_timer_at(&http->again, 0);
		return request;
	}
	if (request->timeout_ms > 0)
		loop_timer_at(&request->deadline, request->heard_ms + request->timeout_ms);
	if (request->idle_timeout_ms > 0)
		loop_timer_at(&request->idle, request->heard_ms + request->idle_timeout_ms);
	if (!http->in_curl)
		start(request);
	return request;
}

void http_cancel(struct http_request *request)
{
	if (request->state == HTTP_DELIVERING)
		return; /* from its own `done` */
	if (request->http->in_curl && request->state == HTTP_RUNNING) {
		unpause(request);
		http_request_end(request);
		enter(request, HTTP_CANCELLED);
		return;
	}
	if (request->state == HTTP_RUNNING)
		give_up(request);
	request_free(request);
}

bool http_slice_is_over(struct http *http)
{
	if (http->slice_bytes == 0)
		return false;
	return http->slice_bytes >= SLICE_BYTES || now_us() - http->slice_us >= SLICE_US;
}

void http_slice_count(struct http *http, size_t n)
{
	if (http->slice_bytes == 0) {
		http->slice_us = now_us();
		loop_timer_at(&http->refill, 0);
	}
	http->slice_bytes += n;
}

void http_request_pause(struct http_request *request)
{
	if (request->is_paused)
		return;
	request->is_paused = true;
	TAILQ_INSERT_TAIL(&request->http->paused, request, pause_link);
}

/* A new slice: goes on with those that had to wait, in their order. */
static void on_refill(struct loop_timer *timer)
{
	struct http *http = container_of(timer, struct http, refill);
	struct http_request *request;

	http->slice_bytes = 0;
	while (!http->freed && !http_slice_is_over(http) && (request = TAILQ_FIRST(&http->paused))) {
		unpause(request);
		http->in_curl = true;
		CURLcode code = curl_easy_pause(request->easy, CURLPAUSE_CONT);
		http->in_curl = false;
		if (code == CURLE_OK || request->state != HTTP_RUNNING || http->freed)
			continue;
		/* libcurl reports this nowhere else. */
		http_transfer_conclude(request, code);
		detach(request);
		http_request_end(request);
	}
	if (!TAILQ_EMPTY(&http->paused))
		loop_timer_at(&http->refill, 0);
	http_settle(http);
}

/* Takes over what libcurl has ended. */
static void collect(struct http_pool *pool)
{
	struct http_request *request;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(pool->multi, &left))) {
		CURLcode code = message->data.result;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		http_transfer_conclude(request, code);
		detach(request);
		http_request_end(request);
	}
}

/* Does what had to wait until libcurl returned. */
static void catch_up(struct http *http)
{
	struct http_request *request;
	struct http_pool *pool, *next;

	while ((request = TAILQ_FIRST(&http->cancelled))) {
		leave_curl(request, true);
		request_free(request);
	}
	for (pool = TAILQ_FIRST(&http->pools); pool; pool = next) {
		next = TAILQ_NEXT(pool, link);
		collect(pool);
		retire_if_unused(pool);
	}
	while ((request = TAILQ_FIRST(&http->waiting)))
		start(request);
}

static void deliver(struct http_request *request)
{
	struct http_reply reply = {
		.status = request->status,
		.content_type = request->content_type ? request->content_type : "",
		.location = request->location ? request->location : "",
		.retry_after_ms = request->retry_after_ms,
		.body = request->answer.data,
		.body_len = request->answer.len,
		.error = request->error.kind != ERROR_NONE ? &request->error : NULL,
		.timed_out = request->timed_out,
		.sent = request->sent,
	};

	http_transfer_wipe(request);
	enter(request, HTTP_DELIVERING);
	request->done(request->aux, &reply);
	request_free(request);
}

static void destroy(struct http *http)
{
	struct http_requests *lists[] = { &http->waiting, &http->running, &http->ended, &http->cancelled };

	for (size_t i = 0; i < array_length(lists); i++) {
		struct http_request *request;

		while ((request = TAILQ_FIRST(lists[i]))) {
			if (request->state == HTTP_RUNNING)
				give_up(request);
			else if (request->state == HTTP_CANCELLED)
				leave_curl(request, true);
			request_free(request);
		}
	}
	while (!TAILQ_EMPTY(&http->pools))
		http_pool_free(TAILQ_FIRST(&http->pools));
	loop_timer_stop(&http->again);
	loop_timer_stop(&http->refill);
	free(http->user_agent);
	free(http);
	curl_global_cleanup();
}

/* After each call into libcurl, and whenever something has ended without it. */
void http_settle(struct http *http)
{
	int64_t began_us = now_us();

	assert(!http->in_curl && !http->settling);
	http->settling = true;
	if (!http->freed)
		catch_up(http);
	while (!http->freed && !TAILQ_EMPTY(&http->ended)) {
		deliver(TAILQ_FIRST(&http->ended));
		if (now_us() - began_us >= SLICE_US)
			break;
	}
	http->settling = false;
	if (http->freed)
		destroy(http);
	else if (!TAILQ_EMPTY(&http->ended))
		loop_timer_at(&http->again, 0);
}

static void on_again(struct loop_timer *timer)
{
	http_settle(container_of(timer, struct http, again));
}

/* The verification of servers is written against OpenSSL; another TLS library would ignore it. */
static int check_curl(struct error *err)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	if (!info->ssl_version || strncmp(info->ssl_version, "OpenSSL/", 8) != 0)
		return error_set(err, ERROR_OS, "libcurl %s is built on %s, and OpenSSL is needed", info->version,
				 info->ssl_version ? info->ssl_version : "no TLS library");
	return 0;
}

int http_new(struct http **ret, struct loop *loop, const struct http_options *options, struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERROR_OS, "libcurl does not start");
	if (check_curl(err) < 0) {
		curl_global_cleanup();
		return -1;
	}
	struct http *http = mem_alloc(sizeof *http);
	struct http_identity *identity = http_identity_new_default();
	http->loop = loop;
	http->user_agent = mem_dup(options->user_agent);
	http->http2 = options->http2;
	http->max_connections = options->max_connections;
	http->unacknowledged_ms =
		options->unacknowledged_ms > 0 ? (unsigned)options->unacknowledged_ms : UNACKNOWLEDGED_MS;
	TAILQ_INIT(&http->pools);
	TAILQ_INIT(&http->waiting);
	TAILQ_INIT(&http->running);
	TAILQ_INIT(&http->ended);
	TAILQ_INIT(&http->cancelled);
	TAILQ_INIT(&http->paused);
	loop_timer_init(&http->again, loop, on_again);
	loop_timer_init(&http->refill, loop, on_refill);
	for (enum http_kind kind = HTTP_1; kind < HTTP_KINDS; kind++)
		http->current[kind] = http_pool_new(http, kind, identity);
	http_identity_unref(identity);
	*ret = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	if (http->in_curl || http->settling)
		http->freed = true;
	else
		destroy(http);
}

static void renew_pools(struct http *http, struct http_identity *identity)
{
	for (enum http_kind kind = HTTP_1; kind < HTTP_KINDS; kind++) {
		struct http_pool *old = http->current[kind];

		http->current[kind] = http_pool_new(http, kind, identity);
		retire_if_unused(old);
	}
}

int http_set_tls(struct http *http, const struct http_tls *tls, struct error *err)
{
	struct http_identity *identity;

	if (http_identity_new(&identity, tls, err) < 0)
		return -1;
	renew_pools(http, identity);
	http_identity_unref(identity);
	return 0;
}

void http_drop_idle(struct http *http)
{
	struct http_identity *identity = http_identity_ref(http->current[HTTP_1]->identity);

	renew_pools(http, identity);
	http_identity_unref(identity);
}
