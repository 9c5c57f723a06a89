#pragma once

#include <sys/types.h>

#include "pkey/opensm_desk.h"

/* Whether OpenSM has read the file, by what our own port shows (struct opensm_canary).  Blocks as the desk does; private to
 * pkey/opensm*.c. */

enum opensm_proof { PROOF_NONE, PROOF_READ, PROOF_REFUSED };

/* Reloads until the proof is there, or for `wait_ms`.  `had_canary`: the file before had one too, so that a port without
 * any means refusal; else only one that is still without any at the end, while a subnet manager answers that is not
 * sweeping any more.  `log`: how long OpenSM's log was before the file was there. */
int opensm_prove(struct opensm_desk *desk, bool had_canary, off_t log, int64_t wait_ms, enum opensm_proof *proof,
		 struct error *err);
/* The canary of the file shows in our port, at the latest now. */
int opensm_settle(struct opensm_desk *desk, struct error *err);

/* The GUID of our port; 0 when none is needed. */
int opensm_own_port(struct opensm_desk *desk, struct guid *guid, struct error *err);
bool opensm_has_own_canary(const struct opensm_desk *desk, struct guid own);
/* The canary of the file to be written. */
int opensm_next_canary(struct opensm_desk *desk, struct guid own, struct opensm_canary *next, struct error *err);

/* Which OpenSM is the master; guid 0 when none says so. */
struct mad_sm_info opensm_reader(struct opensm_desk *desk);
/* From now on this text has been read, by that one. */
void opensm_remember(struct opensm_desk *desk, const struct buf *text, struct mad_sm_info reader);
/* Whether it is that text still, and that OpenSM, not even restarted.  Without an answer nobody has changed anything: what
 * was read stands in the ports. */
bool opensm_remembers(struct opensm_desk *desk, const struct buf *text);

/* Whatever it was, it may be tried again; but for a question of rights.  -1. */
int opensm_retry(struct error *err);
