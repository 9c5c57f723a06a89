#pragma once

#include <stdbool.h>

#include "tests/sim/sim_api.h"

enum sim_patched { SIM_PATCH_DONE, SIM_PATCH_TEST_FAILED, SIM_PATCH_MALFORMED };

/* Applies a JSON Patch to the pod's uid and annotations as the API server would: all operations or none. */
enum sim_patched sim_patch_apply(struct sim_pod *pod, const char *patch);
