#pragma once

#include "pkey/opensm_desk.h"

/* Looks from time to time at the ports of our members: does what stands in the port agree with the file that OpenSM has
 * read?  Somebody else may have written the table, it may be full, or an OpenSM with another file may manage that port.
 * Blocks as the desk does; private to pkey/opensm*.c. */
struct opensm_drift;
struct opensm_drift *opensm_drift_new(void);
void opensm_drift_free(struct opensm_drift *drift); /* NULL is fine */

/* The next some of the members' ports, and those that lacked a key the last time: findings are what has become sure since.
 * For a proven desk; at most some hundred milliseconds but for a port that does not answer. */
void opensm_drift_look(struct opensm_desk *desk);
