#include "cni/installer/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/installer/node_text.h"

static void add(struct resolve *out, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes = NULL;

	if (address->sa_family == AF_INET) {
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	} else if (address->sa_family == AF_INET6) {
		const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		bytes = IN6_IS_ADDR_LINKLOCAL(six) ? NULL : six;
	}
	if (bytes && out->n < RESOLVE_MAX && inet_ntop(address->sa_family, bytes, text, sizeof text))
		out->addresses[out->n++] = mem_dup(text);
}

static int ask(struct addrinfo **list, const char *host)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	sigset_t may_end, before;

	sigemptyset(&may_end);
	sigaddset(&may_end, SIGTERM);
	sigaddset(&may_end, SIGINT);
	sigprocmask(SIG_UNBLOCK, &may_end, &before);
	int outcome = getaddrinfo(host, NULL, &hints, list);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return outcome;
}

int resolve(struct resolve *out, const char *host, struct error *err)
{
	struct addrinfo *list = NULL;

	*out = (struct resolve){ .n = 0 };
	if (node_text_is_address(host)) {
		out->addresses[out->n++] = mem_dup(host);
		return 0;
	}
	int outcome = ask(&list, host);
	if (outcome == EAI_SYSTEM)
		return error_set_errno(err, "resolve %s", host);
	if (outcome != 0)
		return error_set(err, outcome == EAI_NONAME ? ERROR_GONE : ERROR_RETRY, "resolve %s: %s", host,
				 gai_strerror(outcome));
	for (const struct addrinfo *a = list; a; a = a->ai_next)
		add(out, a->ai_addr);
	freeaddrinfo(list);
	if (out->n == 0)
		return error_set(err, ERROR_GONE, "resolve %s: no address that a node could use", host);
	return 0;
}

void resolve_free(struct resolve *answers)
{
	for (size_t i = 0; i < answers->n; i++)
		free(answers->addresses[i]);
	answers->n = 0;
}
