#pragma once

#include "tests/mock/ufm_server.h"

/* One request from its arrival until nothing more will come of it: that may be after its answer (apply_late) or after
 * its client has left (a write is worked on to its end). */
struct ufm_exchange {
	struct ufm_server *server;
	struct ufm_exchange *next, **link;
	struct httpd_request *request; /* NULL: answered, or the client has left */
	struct ufm_call call;
	struct ufm_fault *fault; /* NULL: none */
	struct ufm_reply reply;
	uint64_t seq;
	bool admitted, open, hung, late;
	size_t sent; /* bytes of a slow body */
	struct loop_timer timer;
	void (*step)(struct ufm_exchange *exchange); /* when the timer is over */
};

/* Linked into the server; the request's aux is the exchange. */
struct ufm_exchange *ufm_exchange_new(struct ufm_server *server, struct httpd_request *request);
/* Lets UFM, or the fault that struck, do its work; call, fault and admitted are set.  Each of these may free it. */
void ufm_exchange_begin(struct ufm_exchange *exchange);
void ufm_exchange_answer(struct ufm_exchange *exchange); /* sends the reply */
void ufm_exchange_reset(struct ufm_exchange *exchange);  /* closes the connection */
void ufm_exchange_gone(struct ufm_exchange *exchange);   /* its client has left */
void ufm_exchange_free(struct ufm_exchange *exchange);   /* without a request only */
