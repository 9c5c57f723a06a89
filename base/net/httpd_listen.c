#include "base/net/httpd_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool parse_port(unsigned *port, const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits])
		return false;
	*port = (unsigned)strtoul(text, NULL, 10);
	return *port <= 65535;
}

static bool parse(union address *address, const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 1] = "";
	unsigned port;

	*address = (union address){ 0 };
	if (!colon || !parse_port(&port, colon + 1))
		return false;
	bool v6 = *text == '[' && colon > text && colon[-1] == ']';
	size_t len = v6 ? (size_t)(colon - text) - 2 : (size_t)(colon - text);
	if (len >= sizeof host)
		return false;
	memcpy(host, v6 ? text + 1 : text, len);
	if (v6 || len == 0) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons((uint16_t)port);
		return len == 0 ? !v6 : inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1;
	}
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1;
}

static int try_listen(const union address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;
	bool v6 = address->any.sa_family == AF_INET6;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, &address->any, v6 ? sizeof address->v6 : sizeof address->v4) < 0 || listen(fd, SOMAXCONN) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int httpd_listen(const char *text, unsigned *port, struct error *err)
{
	union address address;

	if (!parse(&address, text))
		return error_set(err, ERROR_INVALID,
				 "'%s' is no address to listen on (127.0.0.1:8080, [::1]:8080, :8080)", text);
	int fd = try_listen(&address);
	if (fd < 0 && *text == ':' && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		address = (union address){ .v4 = { .sin_family = AF_INET, .sin_port = address.v6.sin6_port } };
		fd = try_listen(&address);
	}
	if (fd < 0)
		return error_set_errno(err, "listen on %s", text);
	socklen_t len = sizeof address;
	if (getsockname(fd, &address.any, &len) < 0) {
		error_set_errno(err, "listen on %s", text);
		close(fd);
		return -1;
	}
	*port = ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
	return fd;
}
