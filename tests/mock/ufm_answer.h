#pragma once

#include "tests/mock/ufm_api.h"

/* The bodies of UFM's answers to reads, as Python's json module writes them (blanks after ',' and ':'). */

void ufm_answer_list(const struct ufm_api *api, const struct ufm_call *call, struct buf *json);
void ufm_answer_one(const struct ufm_api *api, const struct ufm_partition *partition, const struct ufm_call *call,
		    struct buf *json);
void ufm_answer_last_updated(const struct ufm_api *api, struct buf *json);
void ufm_answer_version(const struct ufm_api *api, struct buf *json);
/* False: no such parameter. */
bool ufm_answer_smconf(const struct ufm_api *api, const char *parameter, struct buf *json);
void ufm_answer_vports(const struct ufm_api *api, const struct ufm_call *call, struct ufm_clock clock,
		       struct buf *json);
void ufm_answer_job(const struct ufm_api *api, const char *id, struct buf *json);
/* {"guid": "02..", "membership": "full", "index0": true}; quick, as lists are long */
void ufm_answer_member(const struct ufm_member *member, struct buf *json);
