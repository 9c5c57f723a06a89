#pragma once

#include "tests/sim/sim_api.h"

/* The CNI plugins: when a pod begins to run one asks a replica which GUID its VF gets, brings the pod along if the
 * replica does not know it yet, and waits; it looks only when it is told that something has changed.
 *
 * They have a stream of chance of their own, so that a life without them is the same as ever. */
struct sim_plugins;
struct sim_process;
struct sim_plugins *sim_plugins_new(uint64_t seed);
void sim_plugins_free(struct sim_plugins *plugins);
bool sim_plugins_chance(struct sim *sim, unsigned percent); /* false in a life without them */

void sim_plugins_pod_starts(struct sim *sim, struct sim_pod *pod);
void sim_plugins_told(struct sim *sim, struct sim_process *process, const char *uid); /* ENGINE_POD_CHANGED */

/* The process has lost its watch of pods: one may come and go meanwhile that only its plugin has told of. */
void sim_plugins_watch_lost(struct sim *sim, struct sim_process *process);

/* --- for the rules --- */

/* A request that waits at a process. */
struct sim_ask {
	struct sim_pod *pod;
	uint64_t incarnation;
	uint64_t seen; /* what it saw when it was last told; see sim_rules_seen() */
};
size_t sim_plugins_asks(const struct sim *sim);
const struct sim_ask *sim_plugins_ask(const struct sim *sim, size_t i);
