#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "tests/mock/ufm_call.h"

/* Rules for what goes wrong.  The first rule that matches a request, in the order they were made, decides; then it has
 * one time less.  Pure.  A rule as POST /control/faults takes it (only `action` must be there):
 *
 *	{"match": {"method": "POST", "path_prefix": "/ufmRest/resources", "pkey": "0x5",
 *	           "guid": "0200000000000001",   a request that names it, whatever else it names
 *	           "operation": "add|remove|list|get|version|...|read|write|any"},
 *	 "skip": 2,          let that many matches pass first
 *	 "times": 3,         then strike that often; 0, or absent: until cleared
 *	 "action": ...,
 *	 "code": 503, "body": "...", "content_type": "text/plain", "location": "...", "delay_ms": 500, "chunk_bytes": 16,
 *	 "apply": true}
 *
 *	action              what happens                                                     takes effect?
 *	status              `code` (500) with `body`, `content_type`, `location`             only with "apply": true
 *	html                a web server's page with `code` (503)                            no
 *	unauthorized        401, plain text                                                  no
 *	hang                no answer until the client leaves                                no
 *	reset_before        connection closed without an answer                              no
 *	reset_after_apply   the same                                                         yes
 *	apply_late          normal answer at once                                            `delay_ms` later
 *	late_after_timeout  no answer                                                        `delay_ms` later
 *	forget              normal answer                                                    no
 *	cut_json            whole answer whose body ends in its middle                       yes
 *	cut_stream          connection closed in the middle of the body                      yes
 *	slow_body           body in pieces of `chunk_bytes` (16), `delay_ms` (100) apart     yes
 *	wrong_content_type  normal answer labelled `content_type` (text/html)                yes
 *	latency             normal answer `delay_ms` later than it would have been           at that time
 *
 * With status, html, unauthorized and reset_before `delay_ms` is how long the server thinks before it does so. */

enum ufm_action {
	UFM_ACTION_NONE,
	UFM_ACTION_STATUS,
	UFM_ACTION_HTML,
	UFM_ACTION_UNAUTHORIZED,
	UFM_ACTION_HANG,
	UFM_ACTION_RESET_BEFORE,
	UFM_ACTION_RESET_AFTER_APPLY,
	UFM_ACTION_APPLY_LATE,
	UFM_ACTION_LATE_AFTER_TIMEOUT,
	UFM_ACTION_FORGET,
	UFM_ACTION_CUT_JSON,
	UFM_ACTION_CUT_STREAM,
	UFM_ACTION_SLOW_BODY,
	UFM_ACTION_WRONG_CONTENT_TYPE,
	UFM_ACTION_LATENCY,
	UFM_ACTIONS,
};
const char *ufm_action_name(enum ufm_action action);

enum { UFM_FAULTS_MAX = 64, UFM_FAULT_BODY_MAX = 1 << 20 };

struct ufm_fault {
	unsigned id;
	char *method, *path_prefix; /* NULL: any */
	bool has_guid;
	uint64_t guid;
	unsigned pkey;                /* UFM_PKEY_COUNT: any */
	enum ufm_operation operation; /* UFM_OP_NONE: any */
	bool reads_only, writes_only;
	uint64_t skip, times; /* still to come; times 0: no end */
	bool endless;
	enum ufm_action action;
	int code;
	char *body, *content_type, *location; /* NULL: none given */
	int64_t delay_ms;
	uint64_t chunk_bytes;
	bool apply;
	uint64_t hits;
};

struct ufm_faults {
	struct ufm_fault *rules[UFM_FAULTS_MAX];
	size_t n;
	unsigned last_id;
};

void ufm_faults_clear(struct ufm_faults *faults); /* ids go on */
bool ufm_faults_remove(struct ufm_faults *faults, unsigned id);
/* 0 and *id, or why the rule is none. */
int ufm_faults_add(struct ufm_faults *faults, const json_t *rule, unsigned *id, struct error *err);
/* A copy of the rule that strikes, to be freed with ufm_fault_free(); NULL: none. */
struct ufm_fault *ufm_faults_strike(struct ufm_faults *faults, const char *method, const char *path,
				    const struct ufm_call *call);
void ufm_fault_free(struct ufm_fault *fault);
void ufm_faults_print(const struct ufm_faults *faults, struct buf *json);
