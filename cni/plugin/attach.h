#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cni/plugin/cni_error.h"
#include "cni/plugin/node_file.h"

/* Asks the service (POST /v1/attach) what an interface gets, and waits for it. */

struct attach_question {
	const char *pod_namespace, *pod_name, *pod_uid;
	const char *interface, *network_name, *container_id;
	const char *node;      /* "" not known */
	const char *guid_hint; /* NULL: none */
	const char *
		pkey; /* that the network config names, "" none: it helps to find out which of the pod's networks it is */
};

enum { ATTACH_MEMBERSHIPS_MAX = 2 };

struct attach_answer {
	char *guid; /* canonical, owned */
	char *pkey; /* the network's own text; NULL: none; owned */
	struct attach_membership {
		unsigned pkey; /* 0x1-0x7ffe */
		bool full;
	} memberships[ATTACH_MEMBERSHIPS_MAX];
	unsigned n_memberships; /* 0 exactly when there is no pkey */
};
void attach_answer_free(struct attach_answer *answer);

/* Pure.  The body; to be freed. */
char *attach_body(const struct attach_question *question);
/* Pure: what a 200 said.  Refused: CNI_TRY_AGAIN (retry) or CNI_REFUSED, with the service's code and message, and what
 * to do; CNI_SERVICE_BROKEN when it is not as agreed.  *elsewhere: another replica, reached by a new connection, can
 * tell. */
int attach_answer_parse(struct attach_answer *answer, bool *elsewhere, const char *text, size_t len,
			struct cni_error *err);
/* Pure: the error for any other status than 200, with what its body says.  Returns -1. */
int attach_status_error(struct cni_error *err, const struct node_file *node, int status, const char *text, size_t len);
/* Pure: what a 200 to attach_probe() said. */
int attach_probe_parse(const char *text, size_t len, struct cni_error *err);

/* The whole exchange: TLS 1.2 or newer, the certificate verified against the node file's CA and name.  A service that
 * cannot be reached is tried again for connect_timeout_ms; one that breaks off, is full (429 and 503 with Retry-After)
 * or is not the leader, for as long as timeout_ms allows.  Every status has a code and a text that tells a cluster
 * operator what to do: CNI_TRY_AGAIN (away, 429, 5xx, time over), CNI_SERVICE_DENIED, CNI_SERVICE_BROKEN; a CA that
 * holds no certificate is CNI_NODE_FILE. */
int attach_ask(const struct node_file *node, const struct attach_question *question, struct attach_answer *answer,
	       struct cni_error *err);
/* GET /v1/attach, for STATUS: 0 when the service says that it is ready; else CNI_STATUS_UNAVAILABLE.  Takes
 * connect_timeout_ms at most. */
int attach_probe(const struct node_file *node, struct cni_error *err);
