#pragma once

#include "tests/sim/sim.h"

/* The processes of the service and their Lease: each is an engine, what the wiring around it must remember, and a way
 * to die.  A slot is a replica of the Deployment; an incarnation is one start of it. */

enum { SIM_SLOTS = 2 };
enum sim_kind { SIM_PODS, SIM_NETWORKS, SIM_NAMESPACES, SIM_KINDS };

/* A watch: what was sent for another generation than the present one is lost with the connection. */
struct sim_watch {
	uint64_t generation;
	bool listing;      /* changes are queued behind the end of the list */
	bool begun;        /* a list was begun and not ended */
	bool synced;       /* a list has ended once */
	int64_t last_at;   /* nothing overtakes anything */
	int64_t listed_at; /* the moment that the last ended list shows */
	int64_t pending_listed_at;
};

struct sim_process {
	int slot;
	uint64_t incarnation;
	struct engine *engine;
	int64_t born_at, lead_at, quiet_until; /* lead_at: 0, a follower */
	bool leading, draining;
	bool pump_planned;
	struct sim_watch watches[SIM_KINDS];
	/* Requests under way. */
	unsigned writes, lists, patches, reads;
	int64_t unsure_until; /* something it sent without learning its outcome may land until then */
	int64_t spin_at;
	unsigned spins; /* asked in a row, at the same moment, with nothing to do */
	int64_t second;
	unsigned in_second; /* actions */
};

struct sim_cluster;
struct sim_cluster *sim_cluster_new(void);
void sim_cluster_free(struct sim_cluster *cluster);
struct sim_process *sim_cluster_process(const struct sim_cluster *cluster, int slot); /* NULL: not running */
struct sim_process *sim_cluster_leader(const struct sim_cluster *cluster);            /* NULL: none leads */
/* The process that asked, if it still lives. */
struct sim_process *sim_cluster_asker(const struct sim_cluster *cluster, uint64_t incarnation);

void sim_cluster_start(struct sim *sim, int slot);
void sim_cluster_kill(struct sim *sim, struct sim_process *process);
void sim_cluster_release(struct sim *sim, struct sim_process *process); /* a clean end: own requests first */
void sim_cluster_ensure(struct sim *sim);                               /* somebody runs, or soon will */
uint64_t sim_cluster_facts(const struct sim_cluster *cluster);
uint64_t sim_cluster_actions(const struct sim_cluster *cluster);

/* After each fact given to its engine: carries out what the engine wants done now. */
void sim_process_fed(struct sim *sim, struct sim_process *process);
/* The next moment at which an engine wants to be asked; and asks those that are due. */
int64_t sim_cluster_deadline(const struct sim *sim);
void sim_cluster_run_due(struct sim *sim);
