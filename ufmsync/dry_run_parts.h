#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/net/loop.h"
#include "pkey/backend.h"
#include "ufmsync/dry_run.h"
#include "ufmsync/kube/client.h"
#include "ufmsync/kube/watch.h"
#include "ufmsync/what_if.h"

/* What the files dry_run*.c and service_dry_run.c share; nobody else includes this. */

/* A Lease of whoever writes to the same pods and fabric. */
struct dry_run_lease {
	struct dry_run *run;
	const char *name;
	bool asked, fresh;  /* fresh: its holder renewed it a short while ago */
	char *holder;       /* NULL: nobody */
	char *settled;      /* the annotation; NULL: none */
	struct error error; /* why it could not be read; ERROR_NONE: it was, or there is none */
};

enum { DRY_RUN_OURS, DRY_RUN_IB_KUBERNETES, DRY_RUN_LEASES };

struct dry_run {
	const struct config *config;
	struct loop *loop;
	struct kube_config *kube_config;
	struct kube *kube;
	struct pkey_backend *backend;
	struct kube_watch *watches[WHAT_IF_KINDS];
	struct loop_timer late;
	unsigned waiting;      /* for so many answers */
	bool asking;           /* the settings are good so far */
	struct error why;      /* why it failed; ERROR_NONE: it did not */
	int64_t trouble_since; /* 0: none yet */
	uint64_t n_pods, n_members;

	/* found */
	struct what_if *world;
	char *version; /* of the fabric manager; NULL: not known */
	struct dry_run_lease leases[DRY_RUN_LEASES];
	char *ib_kubernetes; /* a pod that runs it: "kube-system/ib-kubernetes-x"; NULL: none was seen */
	struct what_if_totals totals;
	uint64_t adoptable; /* stripped interfaces that UFMSYNC_ADOPT=annotation would keep */

	char **warnings;
	size_t n_warnings;
};

void dry_run_warn(struct dry_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* dry_run_warn.c: what an operator should look at, of what was found. */
void dry_run_judge(struct dry_run *run);

/* What it would do with an interface, and why, for people; two texts to be freed. */
void dry_run_say(const struct what_if_interface *interface, char **would, char **why);
void dry_run_say_stray(const struct dry_run *run, const struct what_if_stray *stray, char **would, char **why);
const char *dry_run_fate_name(enum what_if_fate fate); /* "kept", "joined", ...: stable */
const char *dry_run_brake_name(enum engine_brake brake);
bool dry_run_changes(const struct dry_run *run);
extern const char *const dry_run_not_foreseen[]; /* ends with NULL */

void dry_run_print_table(struct dry_run *run);
void dry_run_print_json(struct dry_run *run);
