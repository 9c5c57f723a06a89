#pragma once

#include "tests/sim/sim.h"

void sim_chaos_act(struct sim *sim); /* one random fault */
