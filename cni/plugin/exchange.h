#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cni/plugin/cni_error.h"
#include "cni/plugin/http_answer.h"
#include "cni/plugin/node_file.h"

/* One request and its answer on a TLS connection of its own.  Blocks, never beyond a deadline (monotonic_ms()).  A peer
 * that goes away raises no SIGPIPE. */
struct exchange;

enum exchange_end {
	EXCHANGE_ANSWERED,
	EXCHANGE_UNREACHABLE, /* nothing was sent: no connection, or TLS did not come about on it in time */
	EXCHANGE_BROKEN, /* the connection ended before the whole answer was here; the request may have been taken */
	EXCHANGE_LATE,   /* the deadline passed while the answer was waited for */
	EXCHANGE_WRONG,  /* no TLS, a certificate that does not verify, no HTTP: the same again will not help */
};

/* Borrows `node` for its life.  CNI_NODE_FILE when its CA holds no certificate. */
int exchange_new(struct exchange **ret, const struct node_file *node, struct cni_error *err);
void exchange_free(struct exchange *exchange); /* NULL is fine */
/* The connection must be there by `connected_by_ms`, and the whole answer by `deadline_ms` (not before that).
 * `answer` is initialised, and complete with EXCHANGE_ANSWERED.  Else err says what happened: CNI_TRY_AGAIN, or
 * CNI_SERVICE_BROKEN with EXCHANGE_WRONG. */
enum exchange_end exchange_run(struct exchange *exchange, const char *request, size_t len, int64_t connected_by_ms,
			       int64_t deadline_ms, struct http_answer *answer, struct cni_error *err);
