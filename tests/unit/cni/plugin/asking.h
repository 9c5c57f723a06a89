#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "cni/plugin/attach.h"
#include "tests/unit/base/net/raw_server.h"

/* For tests of the client: a server that does on each connection what the test says, right or wrong, a node that asks
 * it, and what came of that. */

#define ASKING_TOKEN "s3cr3t-t0k3n"
/* What asked() is given. */
#define ASKING_GIVEN                                                                                                   \
	"{\"guid\":\"02:00:00:00:00:00:00:1a\",\"pkey\":\"0x5\","                                                      \
	"\"memberships\":[{\"pkey\":\"0x5\",\"membership\":\"full\",\"index0\":false}]}"

/* Longer than any test may take, so that what passes did not only run out of time; SHORT where it has to: enough for a
 * few exchanges on a busy machine, less than the pauses between four. */
enum { ASKING_LONG_MS = 60 * 1000, ASKING_SHORT_MS = 1500 };

extern struct raw_server server;
extern struct node_file node; /* set up for the server; a test may change it */
extern struct attach_answer answer;
extern struct cni_error err;
extern struct cert ca, other_ca; /* the node trusts `ca` */

int asking_make_certs(void **state);
int asking_setup(void **state);
int asking_teardown(void **state);

void asking_use_port(int port);
void asking_serve_with(const struct raw_server_options *options);
void asking_serve(void (*what)(struct raw_peer *peer)); /* TLS with a good certificate */
extern struct cert asking_good_cert;

/* Asks, and is given a GUID. */
void asked(void);
/* Asks, and fails with this code, words in message and details, and no token. */
void ask_failed(unsigned code, const char *words, const char *advice);

/* For asking_serve(). */
void serve_given(struct raw_peer *peer);
void serve_released(struct raw_peer *peer); /* after raw_server_release() */

/* A port that refuses, held by a socket that is bound but does not listen (yet): returned. */
int asking_refusing_port(int *port);
