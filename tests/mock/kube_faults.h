#pragma once

#include <jansson.h>

#include "base/error.h"
#include "tests/mock/kube_api.h"

/* What goes wrong on purpose: rules that POST /control/faults takes (what else the control port does is in
 * kube_control.c and --help).  Rules are asked in the order they were made: latencies add up, the first other action
 * decides.  A rule, of which only `action` must be there:
 *
 *	{"match": {"verb": "patch", "method": "PATCH", "resource": "pods", "subresource": "", "namespace": "a", "name": "b"},
 *	 "skip": 0,          let that many matches pass first
 *	 "times": 1,         then strike that often; 0, or absent: until cleared
 *	 "action": ...,
 *	 "code": 503, "reason": "...", "message": "...", "body": {...}, "retry_after": 1, "delay_ms": 500}
 *
 *	action              what happens                                                     takes effect?
 *	status              a Status with `code` (500), `reason`, `message`, or `body`       no
 *	hang                no answer until the client leaves                                no
 *	reset_before        connection closed without an answer                              no
 *	reset_after_apply   the same                                                         yes
 *	cut_stream          connection closed in the middle of the answer's body             yes
 *	latency             all of it `delay_ms` later                                       at that time
 *	late_answer         the answer `delay_ms` later                                      at once
 *
 * Verbs: get list watch create update patch delete deletecollection.  A watch knows
 * status, hang, reset_before and latency only; of an object to be created the name is not known. */

enum mkube_action { MKUBE_PASS, MKUBE_ANSWER, MKUBE_HANG, MKUBE_RESET, MKUBE_RESET_AFTER, MKUBE_CUT };

struct mkube_verdict {
	enum mkube_action action;
	int64_t delay_ms, delay_after_ms;
	struct mkube_reply reply; /* for MKUBE_ANSWER; the caller's */
};

struct mkube_faults;
struct mkube_faults *mkube_faults_new(void);
void mkube_faults_free(struct mkube_faults *faults);
int mkube_faults_add(struct mkube_faults *faults, const json_t *rule, unsigned *id, struct error *err);
json_t *mkube_faults_list(const struct mkube_faults *faults);
void mkube_faults_remove(struct mkube_faults *faults, unsigned id); /* 0: all */
/* Every write, or every read but a watch, comes so much later. */
void mkube_faults_set_latency(struct mkube_faults *faults, int64_t write_ms, int64_t read_ms);
void mkube_faults_judge(struct mkube_faults *faults, const struct mkube_route *route, const char *method,
			const char *verb, struct mkube_verdict *verdict);
