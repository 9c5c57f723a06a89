#pragma once

#include <stdbool.h>

#include "cni/installer/host.h"

/* Of several installers on one node the one that was started last works, and the others stand back for as long as it
 * lives.  An update of the DaemonSet starts the new pod before the old one goes: both have a token, both write theirs, and
 * were the old one the last to do so, the node would be left with a token that is dead a moment later.
 *
 * A file in our folder says whose turn it is, by a lock that the kernel lets go with its process: whatever way the newer
 * one ends, an older one that is still there goes on. */

#define TURN_FILE ".turn"

struct turn;

struct turn *turn_new(void);
void turn_free(struct turn *turn); /* lets it go; NULL is fine */

/* *ours: is it our turn?  Taken by the first call in any case, by a later one when nobody alive has it. */
int turn_take(struct turn *turn, const struct host_folder *folder, bool *ours, struct error *err);
