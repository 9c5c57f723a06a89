/* libcurl's multi interface on our loop: it names sockets to watch and one time to be called at. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/net/http_private.h"

enum {
	STREAMS_MAX = 250,    /* of one HTTP/2 connection; the server's own limit counts too */
	IDLE_CONNECTIONS = 64 /* kept at most */
};

struct http_socket {
	struct http_pool *pool;
	curl_socket_t fd;
	struct loop_io *io;
	TAILQ_ENTRY(http_socket) link;
};

static void act(struct http_pool *pool, curl_socket_t fd, int events)
{
	struct http *http = pool->http;
	int running;

	assert(!http->in_curl);
	http->in_curl = true;
	curl_multi_socket_action(pool->multi, fd, events, &running);
	http->in_curl = false;
	http_settle(http);
}

static void on_ready(void *aux, int events)
{
	struct http_socket *socket = aux;

	act(socket->pool, socket->fd,
	    (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void on_timeout(struct loop_timer *timer)
{
	act(container_of(timer, struct http_pool, timeout), CURL_SOCKET_TIMEOUT, 0);
}

static void socket_free(struct http_socket *socket)
{
	TAILQ_REMOVE(&socket->pool->sockets, socket, link);
	loop_io_free(socket->io);
	free(socket);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *aux, void *known)
{
	struct http_pool *pool = aux;
	struct http_socket *socket = known;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			socket_free(socket);
		return 0;
	}
	if (!socket) {
		socket = mem_alloc(sizeof *socket);
		socket->pool = pool;
		socket->fd = fd;
		socket->io = loop_io_new(pool->http->loop, fd, on_ready, socket);
		TAILQ_INSERT_TAIL(&pool->sockets, socket, link);
		curl_multi_assign(pool->multi, fd, socket);
	}
	loop_io_want(socket->io,
		     (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *aux)
{
	struct http_pool *pool = aux;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_stop(&pool->timeout);
	else
		loop_timer_at(&pool->timeout, loop_now_ms() + timeout_ms);
	return 0;
}

struct http_pool *http_pool_new(struct http *http, enum http_kind kind, struct http_identity *identity)
{
	struct http_pool *pool = mem_alloc(sizeof *pool);
	int bad = 0;

	pool->http = http;
	pool->kind = kind;
	pool->identity = http_identity_ref(identity);
	TAILQ_INIT(&pool->sockets);
	loop_timer_init(&pool->timeout, http->loop, on_timeout);
	pool->multi = curl_multi_init();
	assert(pool->multi);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_MAX);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)http->max_connections);
	bad |= (int)curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
	assert(bad == 0);
	TAILQ_INSERT_TAIL(&http->pools, pool, link);
	return pool;
}

void http_pool_free(struct http_pool *pool)
{
	assert(pool->requests == 0 && !pool->http->in_curl);
	TAILQ_REMOVE(&pool->http->pools, pool, link);
	/* Ours go first, for libcurl closes the descriptors. */
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, NULL);
	while (!TAILQ_EMPTY(&pool->sockets))
		socket_free(TAILQ_FIRST(&pool->sockets));
	loop_timer_stop(&pool->timeout);
	curl_multi_cleanup(pool->multi);
	http_identity_unref(pool->identity);
	free(pool);
}
