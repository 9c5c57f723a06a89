#pragma once

#include "cni/webhook/webhook_private.h"
#include "tests/unit/base/net/exchange.h"

/* A webhook behind a real server on 127.0.0.1, the world it asks, and who may ask it.  Its client is an exchange on the
 * same loop.  Tokens are plain words:
 *
 *	node:N       a plugin on node N          nonode       its token belongs to no pod
 *	late:N       the same, once released     user:U       another user, on node n1
 *	forbidden    unavailable                 anything else is nobody's */
enum { WORLD_PODS = 400, WORLD_NETWORKS = 4 };

struct world_pod {
	char uid[32], name[32], node[32];
	const char *static_uid;
	bool known, gone;
	int awaited;
	struct webhook_attachment networks[WORLD_NETWORKS];
	unsigned n;
};

struct world {
	struct webhook *webhook;
	struct httpd *httpd;
	char url[64];
	struct world_pod pods[WORLD_PODS];
	unsigned n_pods;
	bool leads, held, knows;
	const char *leader;
	const char *container; /* of whoever asks; NULL: not said */
	/* What the world does with a read: answers, says nothing until world_answer_reads(), or fails. */
	bool reads_wait, reads_fail, reads_show_nothing;
	unsigned reads, reads_pending;
	unsigned notices[WEBHOOK_UNAVAILABLE + 1];
	char detail[512]; /* of the last */
	unsigned asks, asks_cancelled;
	char method[8], path[32]; /* of the last ask */
	bool node_asked;
};
extern struct world world;

int world_setup(void **state); /* after exchange_setup(); with a timeout of 20 s */
int world_teardown(void **state);
void world_restart(const struct webhook_options *options); /* another webhook, with these limits */
void world_stop(void);                                     /* no webhook */

/* Each with its networks "ib", each a member. */
struct world_pod *world_add(const char *uid, const char *node, unsigned networks);
void world_changed(const struct world_pod *pod);
void world_release_asks(void);
void world_answer_reads(void);
struct webhook_counts world_counts(void);

/* The request of a plugin for a pod of the name p-UID. */
void world_ask(struct exchange *exchange, const char *token, const char *uid, const char *interface);
void world_ask_hint(struct exchange *exchange, const char *token, const char *uid, const char *interface,
		    const char *network, const char *hint);
void world_send(struct exchange *exchange, const char *method, const char *const *headers, const char *body);

/* Until so many wait, or were read. */
void world_until_waiting(unsigned n);
void world_until_reads(unsigned n);
/* Nothing may happen meanwhile; returns how often the loop turned. */
unsigned world_pass(int64_t ms);
/* Until all exchanges are answered: what this one is. */
void world_wait(struct exchange *exchange, int status, const char *body);
void world_wait_code(struct exchange *exchange, const char *code, bool retry, const char *words);
void world_wait_guid(struct exchange *exchange, unsigned guid);
