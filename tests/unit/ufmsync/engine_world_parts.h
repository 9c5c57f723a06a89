#pragma once

#include "tests/unit/ufmsync/engine_world.h"

/* Shared among the files of the world. */

struct world_pod *world_pod_at(struct world *world, const char *name); /* "ns/name"; NULL: none */
struct pod *world_pod_object(const struct world_pod *pod);             /* as a watch would bring it */
void world_pod_tell(struct world *world, struct world_pod *pod);       /* the watch brings it */
