#include "cni/plugin/exchange_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cni/plugin/monotonic.h"

/* --- connecting --- */

/* Numeric only: a static binary has no resolver, and a node may not resolve the cluster's names anyway. */
static socklen_t socket_address(struct sockaddr_storage *out, const char *address, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	*out = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
	return sizeof *v6;
}

bool exchange_socket_wait(int fd, bool writable, int64_t deadline_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = writable ? POLLOUT : POLLIN };

	for (;;) {
		int64_t left = deadline_ms - monotonic_ms();
		if (left <= 0)
			return false;
		int n = poll(&poll_fd, 1, left < INT_MAX ? (int)left : INT_MAX);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return true; /* what is wrong shows in the next read or write */
	}
}

/* errno tells why not. */
static bool finish_connect(int fd, int64_t deadline_ms)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (!exchange_socket_wait(fd, true, deadline_ms)) {
		errno = ETIMEDOUT;
		return false;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
		errno = error;
	return error == 0;
}

int exchange_socket_open(const char *address, const char *port, int64_t deadline_ms, struct error *err)
{
	struct sockaddr_storage to;
	socklen_t len = socket_address(&to, address, port);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return error_set_errno(err, "socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	/* Interrupted, it goes on by itself. */
	if (connect(fd, (struct sockaddr *)&to, len) == 0 ||
	    ((errno == EINPROGRESS || errno == EINTR) && finish_connect(fd, deadline_ms)))
		return fd;
	error_set_errno(err, "connect");
	close(fd);
	return -1;
}

/* --- what OpenSSL reads and writes with --- */

static int fd_of(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int bio_write(BIO *bio, const char *bytes, int n)
{
	ssize_t sent;

	BIO_clear_retry_flags(bio);
	do
		sent = send(fd_of(bio), bytes, (size_t)n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_write(bio);
	return (int)sent;
}

static int bio_read(BIO *bio, char *bytes, int n)
{
	ssize_t got;

	BIO_clear_retry_flags(bio);
	do
		got = recv(fd_of(bio), bytes, (size_t)n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	return (int)got;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *exchange_socket_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "exchange");

	if (!method)
		abort();
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_ctrl(method, bio_ctrl);
	return method;
}

BIO *exchange_socket_bio(const BIO_METHOD *method, int fd)
{
	BIO *bio = BIO_new(method);

	if (!bio)
		abort();
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	return bio;
}
