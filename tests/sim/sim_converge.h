#pragma once

#include "tests/sim/sim_api.h"

/* When nothing goes wrong any more, everything that can be right is right after a while: no work is lost.  `braked`:
 * orphans may still stand because the brake holds them. */
void sim_judge_converged(struct sim *sim, bool braked);
/* No pod is left: nothing of ours is, anywhere. */
void sim_judge_empty(struct sim *sim);
/* A pod that nobody hinders has been served by now (a bound of time after it came). */
void sim_judge_served(struct sim *sim, const struct sim_pod *pod);
/* How long it may take to serve everybody when nothing goes wrong. */
int64_t sim_patience(const struct sim *sim);
