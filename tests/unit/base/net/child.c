#undef NDEBUG
#include "tests/unit/base/net/child.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

static void child_left(void *aux, int events)
{
	(void)events;
	loop_stop(aux);
}

void child_run(struct loop *loop, unsigned port, void (*client)(unsigned port))
{
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		alarm(60);
		client(port);
		_exit(0);
	}
	close(ends[1]);
	struct loop_io *io = loop_io_new(loop, ends[0], child_left, loop);
	loop_io_want(io, LOOP_READABLE);
	loop_run(loop);
	loop_io_free(io);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int child_dial(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	child_check(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	return fd;
}

void child_say(int fd, const char *text)
{
	size_t len = strlen(text);

	for (size_t n = 0; n < len;) {
		ssize_t sent = send(fd, text + n, len - n, MSG_NOSIGNAL);
		child_check(sent > 0);
		n += (size_t)sent;
	}
}

bool child_read_until(int fd, char *text, size_t size, const char *end)
{
	size_t n = 0, tail = strlen(end);

	while (n + 1 < size && read(fd, text + n, 1) == 1) {
		text[++n] = '\0';
		if (n >= tail && memcmp(text + n - tail, end, tail) == 0)
			return true;
	}
	text[n] = '\0';
	return false;
}

int child_read_head(int fd, char *head, size_t size)
{
	if (!child_read_until(fd, head, size, "\r\n\r\n"))
		return 0;
	child_check(strncmp(head, "HTTP/1.1 ", 9) == 0);
	return atoi(head + 9);
}

int child_read_reply(int fd, char *body, size_t size)
{
	char head[4096];
	int status = child_read_head(fd, head, sizeof head);

	if (status == 0)
		return 0;
	const char *length = strcasestr(head, "content-length:");
	child_check(length);
	size_t len = (size_t)atoi(length + 15);
	child_check(len < size && recv(fd, body, len, MSG_WAITALL) == (ssize_t)len);
	body[len] = '\0';
	return status;
}

int child_ask(int fd, const char *path, char *body, size_t size)
{
	char text[512];

	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	child_say(fd, text);
	return child_read_reply(fd, body, size);
}
