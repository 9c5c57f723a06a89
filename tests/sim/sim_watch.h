#pragma once

#include "tests/sim/sim_api.h"
#include "tests/sim/sim_process.h"

/* Lists and watches of the API server: in order within a kind, late, sometimes two changes as one, sometimes cut off
 * and listed anew. */

/* Lists everything of that kind, then watches. */
void sim_watch_list(struct sim *sim, struct sim_process *process, enum sim_kind kind);
/* The connection breaks: what was on its way is lost, a new list follows. */
void sim_watch_drop(struct sim *sim, struct sim_process *process, enum sim_kind kind);

/* A change, told to every process. */
void sim_watch_pod(struct sim *sim, struct sim_pod *pod, bool was_visible);
void sim_watch_network(struct sim *sim, const struct sim_network *network);
void sim_watch_namespace(struct sim *sim, const struct sim_namespace *namespace);
/* Whether the watch's selector lets the pod through. */
bool sim_watch_sees(const struct sim *sim, const struct sim_pod *pod);
