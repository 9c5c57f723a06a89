#pragma once

#include "tests/sim/sim.h"

void sim_chaos_act(struct sim *sim); /* one random fault */

/* An operator names orphans to be removed, if there are any that can be. */
void sim_chaos_name(struct sim *sim);
