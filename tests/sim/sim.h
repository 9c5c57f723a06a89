#pragma once

#include "tests/sim/sim_plan.h"
#include "tests/sim/sim_rng.h"
#include "tests/sim/sim_world.h"

/* One simulated life of a cluster: the engine between a model UFM and a model API server.
 *
 *	tenants, chaos -> api (pods, networks) -> watches -> process (engine) -> ufm, api
 *	plugins (asking) -----------------------------------------^       rules look at everything */
struct sim {
	struct sim_rng rng;
	struct sim_world world;
	struct sim_plan plan;
	struct sim_api *api;
	struct sim_ufm *ufm;
	struct sim_cluster *cluster; /* the processes and their Lease */
	struct sim_tenants *tenants;
	struct sim_plugins *plugins;
	struct sim_rules *rules;
	bool settling; /* no fault and no workload begins any more */
};

/* What became of a seed. */
struct sim_result {
	uint64_t seed;
	bool failed;
	char rule[64];
	char failure[1024];
	uint64_t actions, facts, steps;
	int64_t virtual_ms;
};

void sim_run(uint64_t seed, struct sim_story *story, struct sim_result *result);

/* The wall clock of the simulated world: virtual time 0 is this long after 1970. */
#define SIM_WALL_BASE_MS INT64_C(1767312000000) /* 2026-01-02T00:00:00Z */
