#pragma once

#include "tests/sim/sim_api.h"

/* What the design says about one interface of a pod, from the truth alone. */
enum sim_verdict {
	SIM_FINE,     /* a GUID is due to it, any or the one it wishes */
	SIM_NOT_OURS, /* another type of network, or a pod that does not count */
	SIM_NO_NETWORK,
	SIM_UNREADABLE,
	SIM_BAD_PKEY,
	SIM_NOT_ALLOWED,
	SIM_BAD_WISH, /* no GUID, or outside the pool */
	SIM_UNCLEAR,  /* the design leaves it open */
};

enum sim_verdict sim_oracle(const struct sim *sim, const struct sim_pod *pod, const struct pod_network *element);
