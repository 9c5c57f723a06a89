#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tests/mock/ufm_accounts.h"
#include "tests/mock/ufm_call.h"
#include "tests/mock/ufm_hosts.h"
#include "tests/mock/ufm_model.h"
#include "tests/mock/ufm_switches.h"

/* What UFM does with a request and what it answers.  Pure but for the random texts of sessions and tokens. */

struct ufm_clock {
	int64_t now_ms;  /* monotonic */
	int64_t wall_ms; /* since 1970 */
};

enum { UFM_REPLY_MAX = 256 << 20, UFM_REPLY_HEADER_MAX = 160 };

struct ufm_api {
	struct ufm_model *model;
	struct ufm_hosts hosts;
	struct ufm_accounts accounts;
	struct ufm_switches switches;
	int64_t changed_wall_ms; /* 0: no change since UFM's start */
	unsigned jobs;           /* ids 1 to this one exist, all completed */
	bool fabric_broken;      /* PARSE ERROR in partitions.conf */
	uint64_t parse_errors;
};

struct ufm_reply {
	int status;
	const char *content_type;          /* NULL: no body */
	char header[UFM_REPLY_HEADER_MAX]; /* one more header, or "" */
	struct buf body;
};

void ufm_reply_init(struct ufm_reply *reply);
void ufm_reply_free(struct ufm_reply *reply);

/* As in a fresh UFM; accounts and switches are the caller's to set. */
void ufm_api_init(struct ufm_api *api);
void ufm_api_free(struct ufm_api *api);

/* The call must have passed (call->refused == 0).  apply = false: answered as if done, nothing changes. */
void ufm_api_run(struct ufm_api *api, const struct ufm_call *call, struct ufm_clock clock, bool apply,
		 struct ufm_reply *reply);
/* The answer to a refused call. */
void ufm_api_refuse(const struct ufm_api *api, const struct ufm_call *call, struct ufm_reply *reply);
/* A page as the web server in front of UFM makes it: 404, 414, 502, 503 ... */
void ufm_api_html(struct ufm_reply *reply, int status);
void ufm_api_unauthorized(struct ufm_reply *reply);

/* After every change of the model, also from behind, and when ufm_model_deadline() is reached. */
void ufm_api_settle(struct ufm_api *api, struct ufm_clock clock);
/* Two writes at a time, with the switch for it on: the fabric loses everything until the next write alone. */
void ufm_api_parse_error(struct ufm_api *api);
