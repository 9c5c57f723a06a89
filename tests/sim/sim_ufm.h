#pragma once

#include "tests/sim/sim.h"

/* The model UFM: the truth about who is a member of what, and every way in which the real one is known to disappoint:
 * late effects, lost answers, refusals, outages, forgotten members, a restored backup, another writer. */

enum sim_origin {
	SIM_OURS,     /* our request put it there */
	SIM_FOREIGN,  /* another writer did */
	SIM_RESTORED, /* ours, brought back by a restored backup */
};

struct sim_entry {
	struct guid guid;
	struct pkey pkey;
	enum membership membership;
	bool index0;
	enum sim_origin origin;
	bool late;            /* landed after its request was answered, or after its sender had died */
	uint64_t incarnation; /* of the process that asked; 0: none of ours */
	int64_t since;
};

struct sim_process;
struct sim_ufm *sim_ufm_new(void);
void sim_ufm_free(struct sim_ufm *ufm);

size_t sim_ufm_count(const struct sim_ufm *ufm);
const struct sim_entry *sim_ufm_entry(const struct sim_ufm *ufm, size_t i);
const struct sim_entry *sim_ufm_find(const struct sim_ufm *ufm, struct guid guid, struct pkey pkey);
/* When the last membership of this GUID went away; 0: it never had one.  Meaningless while it has some. */
bool sim_ufm_lists(const struct sim_ufm *ufm, struct guid guid);

/* Some leave was accepted, and took effect only after its process had ended and said that nothing is left of it. */
bool sim_ufm_stole(const struct sim_ufm *ufm);

/* Requests of a process; the answer goes to that very incarnation, or to nobody when it is dead by then. */
void sim_ufm_write(struct sim *sim, struct sim_process *process, const struct engine_action *action);
void sim_ufm_list(struct sim *sim, struct sim_process *process, const struct engine_action *action);

/* What befalls it.  Each lasts `ms` of virtual time where it says so. */
void sim_ufm_put(struct sim *sim, struct sim_entry entry); /* behind everybody's back */
void sim_ufm_down(struct sim *sim, int64_t ms);            /* nothing is answered but failures */
void sim_ufm_refuse_all(struct sim *sim, int64_t ms);      /* wrong credentials */
void sim_ufm_poison_guid(struct sim *sim, int64_t ms);     /* some GUID of ours is not known to the fabric */
void sim_ufm_poison_pkey(struct sim *sim, struct pkey pkey, int64_t ms); /* refused for good */
void sim_ufm_lose(struct sim *sim, unsigned percent);                    /* members forgotten */
void sim_ufm_backup(struct sim *sim);
void sim_ufm_restore(struct sim *sim);
void sim_ufm_meddle(struct sim *sim); /* another writer adds or removes something */
void sim_ufm_heal(struct sim *sim);   /* all faults end, the other writer leaves */
