#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/loop.h"
#include "pkey/backend.h"
#include "pkey/opensm_reload.h"
#include "pkey/umad.h"

/* The backend for sites without UFM: members stand in our part of OpenSM's partitions.conf (partitions_block.h), OpenSM
 * is told to read it, and the fabric is asked whether it did.
 *
 * join and leave: the file is read, changed, written and reloaded as one job; success means that OpenSM has accepted this
 * very file.  Proof is the canary: a partition of ours with our own port alone, whose PKey is one of two, the other one
 * with each write; SubnGet(PKeyTable) on our own port shows which file OpenSM has read.  The reload is repeated after 2 s
 * without proof, given up after `prove_ms`: ERROR_RETRY, and until a later proof no list succeeds (a member in a file that
 * nobody has read is no member).  A file that OpenSM refused (our port is a full member of the default partition alone, or
 * the log says so) is put back to its predecessor at once, and no other is written for five minutes: ERROR_RETRY.
 *
 * list: our part of the file, once it is proven.  What this process has not itself seen this very OpenSM read (at its first
 * list, and after any change by somebody else, or a restart of OpenSM) is written anew for that, with the same members.
 * Without `verify` a reload counts as proof.
 *
 * A PKey stands at index 0 of a port's table when its class says so: one flag for the whole partition, which OpenSM gives
 * to all members.  Clients that take index 0 for the default partition break by it, so it is only asked for where a
 * setting says so.
 *
 * A change that does not get into the file within `prove_ms` of its join or leave never does (ERROR_RETRY): another leader
 * on this host waits for no longer than that.
 *
 * Drift: after each list of all members, some of their ports are asked for their own tables, round robin.  A port that
 * lacks its key for `drift_ms` is said once, and once again when it has it: OpenSM does not repair what others wrote into a
 * port, so nothing is reloaded for it.  Ports that do not exist, or cannot be asked, are neither here nor there.
 *
 * Writes wait for a file that parses: an operator's broken line is ERROR_RETRY with its line and reason, for as long as it
 * stands there. */

struct opensm_options {
	const char *file;        /* OPENSM_PARTITIONS_FILE */
	const char *reload;      /* OPENSM_RELOAD */
	bool verify;             /* OPENSM_VERIFY: smp (true) or none */
	struct pkey canaries[2]; /* OPENSM_CANARY_PKEYS */
	const char *log;         /* OPENSM_LOG: OpenSM's own log, NULL: not given */
	struct fabric_options fabric;
	bool ip_over_ib; /* ENABLE_IP_OVER_IB */
	/* Somebody only looks, perhaps beside a service at work: list is our part of the file as it stands, proven or not;
	 * nothing is written, reloaded or tidied up; join and leave are ERROR_INVALID. */
	bool look_only;
	int64_t prove_ms; /* 0: 10 s */
	int64_t drift_ms; /* 0: 30 s */
	/* Something an operator should know of a member's port; from the loop.  `id` is stable: log it.  May be NULL. */
	void (*said)(void *aux, bool warning, const char *id, const char *text);
	void *aux;
};

/* All of `options` is copied.  ERROR_INVALID: a bad setting, or a file that cannot be used (partitions_file_check()).
 * A missing device or SM is no error here: probe() and the preflight say so. */
int opensm_new(struct pkey_backend **ret, struct loop *loop, const struct opensm_options *options, struct error *err);

void opensm_set_sm_key(struct pkey_backend *backend, uint64_t sm_key); /* from the next job on */

struct opensm_counts {
	uint64_t reloads;  /* that OpenSM was told to do */
	uint64_t written;  /* files */
	uint64_t refused;  /* of them by OpenSM, and put back */
	uint64_t unproven; /* of them nobody saw OpenSM read in time */
	uint64_t checked;  /* looks at members' ports */
	uint64_t absent;   /* looks at ports that do not exist, or cannot be asked */
	uint64_t drifted;  /* now: memberships that their ports lack */
};
/* As of the last job that ended. */
void opensm_counts(const struct pkey_backend *backend, struct opensm_counts *counts);

/* What an operator should have in order, each with what to do; found at start, and anew on demand. */
enum opensm_finding_level { OPENSM_FINE, OPENSM_WARNING, OPENSM_FAILURE };
struct opensm_finding {
	enum opensm_finding_level level;
	const char *id;   /* "OPENSM_NO_DEVICE" ...: opensm_preflight.c lists them */
	const char *text; /* a sentence, and what to do */
};
/* Calls `finding` for each, then `done`; later, from the loop. */
void opensm_preflight(struct pkey_backend *backend, void (*finding)(void *aux, const struct opensm_finding *finding),
		      pkey_done_fn *done, void *aux);
