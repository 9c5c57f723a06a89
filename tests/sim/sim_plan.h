#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/sim_rng.h"
#include "ufmsync/engine.h"

/* What kind of life a seed has: the service's settings, the size of the cluster, and how much goes wrong. */
struct sim_plan {
	struct engine_options options; /* wall_offset_ms is set for each process */
	bool keyed;                    /* records are signed */
	bool calm;                     /* nothing goes wrong: bounds of time hold throughout */
	int64_t life_ms;               /* of the part with workload and faults */
	int64_t tenant_gap_ms;         /* mean time between two things that tenants do */
	int64_t chaos_gap_ms;          /* mean time between two faults */
	unsigned pods_max;
	unsigned networks;
	unsigned write_fault, list_fault, patch_fault, read_fault; /* percent of the requests */
	unsigned slow;                                             /* longest usual latency of a request, ms */
	bool own_guids, forgers, tampering, nad_changes, restarts, foreign_writer, losses, standby;
	bool selector; /* the API server filters: finished pods are reported as DELETED */
	bool settled;  /* what the Lease remembers from an earlier life */
	bool history;  /* the fabric manager already lists things of ours when life begins */
};

void sim_plan_draw(struct sim_plan *plan, struct sim_rng *rng);
/* Sets of record keys, made once for the whole process, until sim_plan_end().  0: one key; 1: a new one signs, and the
 * first still verifies. */
const struct record_keys *sim_plan_keys(int set);
void sim_plan_end(void);
