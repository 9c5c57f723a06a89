#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/net/loop.h"

/* For tests of a server that runs in this process: its client is a child with plain blocking sockets. */

/* In the child: a check that fails ends it, with file and line on stderr. */
#define child_check(condition)                                                                                         \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "client: %s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

/* Runs the loop until the client, forked off here, has returned; fails the test when one of its checks did. */
void child_run(struct loop *loop, unsigned port, void (*client)(unsigned port));

int child_dial(unsigned port);
void child_say(int fd, const char *text);
/* Up to and with `end`, byte by byte so that nothing behind it is taken; false when the connection closes first. */
bool child_read_until(int fd, char *text, size_t size, const char *end);
/* The status; 0 when the connection closes first. */
int child_read_head(int fd, char *head, size_t size);
int child_read_reply(int fd, char *body, size_t size);
int child_ask(int fd, const char *path, char *body, size_t size); /* GET */
