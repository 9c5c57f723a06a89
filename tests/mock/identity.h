#pragma once

#include "base/error.h"

/* Certificates made on the spot, for mock servers and tests: EC P-256, valid from a day ago for ten years.  PEM. */
struct identity {
	char *cert, *key; /* owned */
};

int identity_new_ca(struct identity *ca, const char *name, struct error *err);
/* Signed by itself, as `openssl req -x509` makes one: what people give to a server and then to its clients.  `names` as
 * below. */
int identity_new_own(struct identity *identity, const char *name, const char *names, struct error *err);
/* A certificate for servers and clients; `names` is as in "DNS:localhost,IP:127.0.0.1", NULL for none. */
int identity_issue(struct identity *identity, const struct identity *ca, const char *name, const char *names,
		   struct error *err);
void identity_free(struct identity *identity); /* wipes the key; fine for one that was never made */
