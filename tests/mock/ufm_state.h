#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"
#include "tests/mock/ufm_model.h"

/* The whole state as JSON, for tests to compare and to seed.  Pure.
 *
 *	{"partitions": [{"pkey": "0x5", "partition": "api_pkey_0x5", "ip_over_ib": true, "sharp": false,
 *	                 "qos_conf": {"mtu_limit": 2, "service_level": 0, "rate_limit": 2.5},
 *	                 "members": [{"guid": "0200000000000001", "membership": "full", "index0": true}]}]}
 *
 * Partitions and members are sorted.  When read, only "pkey" must be there (and of a member "guid"), a member may be
 * just its GUID as a string, and 0x7fff is skipped. */

/* The value of "partitions".  pkey 0: all; without members: "n_members" alone. */
void ufm_state_print(const struct ufm_model *model, enum ufm_view view, unsigned pkey, bool members, struct buf *json);
/* Adds to what is there.  All or, on failure, nothing. */
int ufm_state_load(struct ufm_model *model, const json_t *state, struct error *err);

struct ufm_guid_list {
	struct ufm_member *members; /* owned */
	size_t n;
};
/* {"guid": G} or {"guids": [G, ...]} or {"first": G, "count": N}, with "membership" and "index0" for all of them. */
int ufm_state_read_members(struct ufm_guid_list *list, const json_t *value, struct error *err);
