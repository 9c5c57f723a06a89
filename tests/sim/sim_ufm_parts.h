#pragma once

#include "tests/sim/sim_ufm.h"

/* Shared between the requests of the model UFM (sim_ufm.c) and its misfortunes (sim_ufm_troubles.c). */

struct sim_poison {
	struct guid guid;
	struct pkey pkey; /* .v 0: the GUID is the poison */
	int64_t until;
};

enum { SIM_POISONS_MAX = 8, SIM_INSISTED_MAX = 8 };

struct sim_ufm {
	struct sim_entry *entries, *backup;
	size_t n, cap, n_backup;
	int64_t down_until, refuse_until;
	struct sim_poison poisons[SIM_POISONS_MAX];
	unsigned n_poisons;
	/* What the other writer puts back whenever it is removed. */
	struct sim_entry insisted[SIM_INSISTED_MAX];
	unsigned n_insisted;
	bool stole; /* see sim_ufm_stole() */
};

struct sim_entry *sim_ufm_at(const struct sim_ufm *ufm, struct guid guid, struct pkey pkey);
void sim_ufm_put_as(struct sim_ufm *ufm, struct sim_entry entry); /* with its own `since`, unless it is there already */
