#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "pkey/opensm.h"
#include "pkey/partitions_block.h"

/* A partition with our own port alone, to see in that port's P_Key table which file OpenSM has read.  No file is written
 * before the last one is proven, and of the four canaries there are (two PKeys, two levels) each write takes the next one
 * that is neither in the file nor in the port: what the port showed before, what an older copy of the file has, and what
 * an attempt had that gave way to somebody's change, is no proof of this one. */
struct opensm_canary {
	enum { CANARY_FIRST, CANARY_SECOND, CANARY_NONE } which; /* of options.canaries */
	enum membership level;
	struct guid port;
};

/* The part of the backend that blocks: it works on the worker pool, one job at a time, and owns all it needs.  Private to
 * pkey/opensm*.c. */
struct opensm_desk {
	struct opensm_options options; /* owned texts */
	struct opensm_reload reload;
	struct fabric *fabric;               /* NULL: not open */
	struct members *members[PKEY_COUNT]; /* ours, as the file says; NULL: none */
	struct opensm_canary canary;         /* in the file */
	bool proven;                         /* OpenSM has read the file with these members */
	unsigned attempt;                    /* to write: the number of its canary */
	/* The whole text of which we have seen that OpenSM read it, and which OpenSM that was.  Anything else that stands
	 * in the file is written anew, with a canary of its own, before it counts: somebody may have put an older one back,
	 * or another OpenSM may have taken over with a copy, and both have a canary that our port showed before. */
	struct buf read;
	struct mad_sm_info reader;  /* guid 0: it did not say */
	int64_t not_before_ms;      /* OpenSM refused a file: none is written until then */
	atomic_bool stopping;       /* set on the loop: whoever waits, gives up */
	bool told;                  /* without `verify`: OpenSM was told to read the file as it is */
	struct opensm_drift *drift; /* opensm_drift.h */
	struct opensm_counts counts;
	struct opensm_finding *findings; /* of a preflight or a look at ports; owned, and so are their texts */
	size_t n_findings;
};

int opensm_desk_init(struct opensm_desk *desk, const struct opensm_options *options, struct error *err);
void opensm_desk_free(struct opensm_desk *desk);

struct opensm_change {
	bool join;
	struct pkey_class class; /* leave: only the PKey counts */
	struct guid *guids;      /* owned */
	size_t n;
};
/* All changes in one file and one reload, proven.  `by_ms`: from then on (loop_now_ms()) the file stays as it is. */
int opensm_desk_write(struct opensm_desk *desk, const struct opensm_change *changes, size_t n, int64_t by_ms,
		      struct error *err);
/* desk->members become what the file says, and that is what OpenSM has read. */
int opensm_desk_read(struct opensm_desk *desk, struct error *err);
/* The fabric manager is there. */
int opensm_desk_probe(struct opensm_desk *desk, struct error *err);
/* Opens the port when it is not open yet. */
int opensm_desk_fabric(struct opensm_desk *desk, struct error *err);

/* Whoever asked for findings takes them, or opensm_desk_forget_findings(). */
void opensm_desk_find(struct opensm_desk *desk, enum opensm_finding_level level, const char *id, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));
void opensm_desk_forget_findings(struct opensm_desk *desk);

/* opensm_preflight.c: fills the findings. */
void opensm_desk_preflight(struct opensm_desk *desk);
