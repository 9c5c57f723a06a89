/* Who connects is taken in here, and given to microhttpd once something was said, a few in a turn of the loop.  A TLS
 * handshake costs up to a millisecond of processor time, and microhttpd does those of everybody who is ready at a stretch:
 * a thousand nodes that come back at once would keep the loop for a second.  And who says nothing costs a few hundred
 * bytes instead of a TLS session. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/net/httpd_private.h"
#include "base/net/httpd_tls.h"

enum {
	SLICE_NS = 1000 * 1000, /* of a turn */
	RETRY_MS = 100,         /* when the system has no descriptor left for one more */
};

static bool slice_is_over(const struct httpd *httpd)
{
	return loop_turn_ns(httpd->loop) > SLICE_NS;
}

static void listen_again(struct httpd *httpd)
{
	if (httpd->n_connections < httpd->max_connections)
		loop_io_want(httpd->listen_io, LOOP_READABLE);
}

/* Its descriptor is closed already, or somebody else's. */
static void forget(struct httpd *httpd, struct httpd_connection *connection)
{
	httpd_awaits_no_more(httpd, connection);
	if (connection->place == HTTPD_SILENT)
		TAILQ_REMOVE(&httpd->silent, connection, turn);
	else if (connection->place == HTTPD_SPEAKING)
		TAILQ_REMOVE(&httpd->speaking, connection, turn);
	httpd_tls_unref(connection->tls);
	free(connection);
	httpd->n_connections--;
	listen_again(httpd);
}

void httpd_connection_drop(struct httpd *httpd, struct httpd_connection *connection)
{
	if (connection->place == HTTPD_GIVEN) {
		shutdown(connection->fd, SHUT_RDWR); /* microhttpd sees its end, and closes it */
		return;
	}
	close(connection->fd);
	forget(httpd, connection);
}

/* --- those that microhttpd has --- */

void httpd_connection_started(struct httpd *httpd, struct MHD_Connection *mhd, void **socket_context)
{
	struct httpd_connection *connection = httpd->giving;

	assert(connection);
	httpd->giving = NULL;
	connection->place = HTTPD_GIVEN;
	*socket_context = connection;
	if (httpd->tls) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

		connection->tls = httpd_tls_ref(httpd->tls);
		if (httpd_tls_use(connection->tls, info->tls_session) < 0)
			shutdown(connection->fd, SHUT_RDWR); /* rather than under a certificate that was replaced */
	}
}

void httpd_connection_closed(struct httpd *httpd, void **socket_context)
{
	forget(httpd, *socket_context);
	*socket_context = NULL;
}

/* False: it has left, and nothing is lost. */
static bool give(struct httpd *httpd, struct httpd_connection *connection)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;
	char byte;

	if (getpeername(connection->fd, (struct sockaddr *)&address, &len) < 0 ||
	    recv(connection->fd, &byte, 1, MSG_PEEK) <= 0) {
		httpd_connection_drop(httpd, connection);
		return false;
	}
	TAILQ_REMOVE(&httpd->speaking, connection, turn);
	connection->place = HTTPD_GIVEN;
	httpd->giving = connection;
	httpd->idle_turns = 0;
	/* It closes what it does not take. */
	if (MHD_add_connection(httpd->daemon, connection->fd, (struct sockaddr *)&address, len) != MHD_YES &&
	    httpd->giving)
		forget(httpd, connection);
	httpd->giving = NULL;
	return true;
}

/* Once a turn; one of them at least. */
static void on_feeding(struct loop_timer *timer)
{
	struct httpd *httpd = container_of(timer, struct httpd, feeding);
	struct httpd_connection *connection;
	bool some = false;

	while ((connection = TAILQ_FIRST(&httpd->speaking)) && !(some && slice_is_over(httpd))) {
		if (!give(httpd, connection))
			continue;
		httpd_run(httpd);
		some = true;
	}
	if (connection)
		loop_timer_at(timer, loop_now_ms());
}

/* --- those that it does not have yet --- */

static void on_spoken(void *aux, int ready)
{
	struct httpd *httpd = aux;
	struct epoll_event events[64];
	int n = epoll_wait(httpd->silent_fd, events, array_length(events), 0);

	(void)ready;
	for (int i = 0; i < n; i++) {
		struct httpd_connection *connection = events[i].data.ptr;

		epoll_ctl(httpd->silent_fd, EPOLL_CTL_DEL, connection->fd, NULL);
		TAILQ_REMOVE(&httpd->silent, connection, turn);
		TAILQ_INSERT_TAIL(&httpd->speaking, connection, turn);
		connection->place = HTTPD_SPEAKING;
	}
	if (n > 0)
		loop_timer_at(&httpd->feeding, loop_now_ms());
}

static void arrive(struct httpd *httpd, int fd, const struct sockaddr *address)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
	struct httpd_connection *connection = mem_alloc(sizeof *connection);

	connection->fd = fd;
	connection->place = HTTPD_SILENT;
	event.data.ptr = connection;
	TAILQ_INSERT_TAIL(&httpd->silent, connection, turn);
	httpd_awaits(httpd, connection);
	if (++httpd->n_connections == httpd->max_connections)
		httpd_tell_refusal(httpd, HTTPD_TOO_MANY, address);
	if (epoll_ctl(httpd->silent_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		httpd_connection_drop(httpd, connection);
}

static bool is_starved(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_listening(void *aux, int ready)
{
	struct httpd *httpd = aux;
	struct sockaddr_storage address;
	int fd = 0;

	(void)ready;
	for (bool some = false; httpd->n_connections < httpd->max_connections && !(some && slice_is_over(httpd));
	     some = true) {
		socklen_t len = sizeof address;

		fd = accept4(httpd->listen_fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		arrive(httpd, fd, (struct sockaddr *)&address);
	}
	if (fd < 0 && is_starved(errno)) {
		loop_io_want(httpd->listen_io, 0);
		loop_timer_at(&httpd->listening, loop_now_ms() + RETRY_MS);
	} else if (httpd->n_connections >= httpd->max_connections) {
		loop_io_want(httpd->listen_io, 0); /* until one is closed */
	}
}

static void on_retry(struct loop_timer *timer)
{
	listen_again(container_of(timer, struct httpd, listening));
}

/* --- life --- */

int httpd_accept_init(struct httpd *httpd, struct error *err)
{
	httpd->silent_fd = epoll_create1(EPOLL_CLOEXEC);
	if (httpd->silent_fd < 0)
		return error_set_errno(err, "epoll_create1");
	httpd->silent_io = loop_io_new(httpd->loop, httpd->silent_fd, on_spoken, httpd);
	loop_io_want(httpd->silent_io, LOOP_READABLE);
	httpd->listen_io = loop_io_new(httpd->loop, httpd->listen_fd, on_listening, httpd);
	loop_io_want(httpd->listen_io, LOOP_READABLE);
	return 0;
}

void httpd_accept_prepare(struct httpd *httpd)
{
	httpd->listen_fd = -1;
	httpd->silent_fd = -1;
	TAILQ_INIT(&httpd->silent);
	TAILQ_INIT(&httpd->speaking);
	loop_timer_init(&httpd->feeding, httpd->loop, on_feeding);
	loop_timer_init(&httpd->listening, httpd->loop, on_retry);
}

void httpd_accept_end(struct httpd *httpd)
{
	struct httpd_connection *connection;

	while ((connection = TAILQ_FIRST(&httpd->silent)) || (connection = TAILQ_FIRST(&httpd->speaking)))
		httpd_connection_drop(httpd, connection);
	loop_timer_stop(&httpd->feeding);
	loop_timer_stop(&httpd->listening);
	loop_io_free(httpd->listen_io);
	loop_io_free(httpd->silent_io);
	if (httpd->silent_fd >= 0)
		close(httpd->silent_fd);
	if (httpd->listen_fd >= 0)
		close(httpd->listen_fd);
}
