#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_ufm_parts.h"

void sim_ufm_down(struct sim *sim, int64_t ms)
{
	sim_say(sim, "chaos    ufm is down for %lld ms", (long long)ms);
	sim->ufm->down_until = sim->world.now + ms;
}

void sim_ufm_refuse_all(struct sim *sim, int64_t ms)
{
	sim_say(sim, "chaos    ufm refuses our credentials for %lld ms", (long long)ms);
	sim->ufm->refuse_until = sim->world.now + ms;
}

static void add_poison(struct sim *sim, struct sim_poison poison)
{
	struct sim_ufm *ufm = sim->ufm;

	ufm->poisons[ufm->n_poisons < SIM_POISONS_MAX ? ufm->n_poisons++ : sim_rng_below(&sim->rng, SIM_POISONS_MAX)] =
		poison;
}

void sim_ufm_poison_guid(struct sim *sim, int64_t ms)
{
	const struct engine_options *options = &sim->plan.options;
	uint64_t size = options->last.v - options->first.v + 1;
	struct sim_poison poison = { .until = sim->world.now + ms };

	poison.guid.v = options->first.v + sim_rng_below(&sim->rng, size < 64 ? size : 64);
	sim_say(sim, "chaos    ufm does not know GUID %llx for %lld ms", (unsigned long long)poison.guid.v,
		(long long)ms);
	add_poison(sim, poison);
}

void sim_ufm_poison_pkey(struct sim *sim, struct pkey pkey, int64_t ms)
{
	sim_say(sim, "chaos    ufm refuses PKey 0x%x for %lld ms", pkey.v, (long long)ms);
	add_poison(sim, (struct sim_poison){ .pkey = pkey, .until = sim->world.now + ms });
}

void sim_ufm_lose(struct sim *sim, unsigned percent)
{
	struct sim_ufm *ufm = sim->ufm;

	for (size_t i = ufm->n; i-- > 0;) {
		if (!sim_rng_chance(&sim->rng, percent))
			continue;
		sim_say(sim, "chaos    ufm forgets %llx in 0x%x", (unsigned long long)ufm->entries[i].guid.v,
			ufm->entries[i].pkey.v);
		ufm->entries[i] = ufm->entries[--ufm->n];
	}
}

void sim_ufm_backup(struct sim *sim)
{
	struct sim_ufm *ufm = sim->ufm;

	free(ufm->backup);
	ufm->backup = mem_array(ufm->n ? ufm->n : 1, sizeof(*ufm->backup));
	if (ufm->n)
		memcpy(ufm->backup, ufm->entries, ufm->n * sizeof(*ufm->backup));
	ufm->n_backup = ufm->n;
	sim_say(sim, "chaos    ufm is backed up");
}

void sim_ufm_restore(struct sim *sim)
{
	struct sim_ufm *ufm = sim->ufm;
	size_t n = ufm->n;
	struct sim_entry *old = ufm->entries;

	if (!ufm->backup)
		return;
	sim_say(sim, "chaos    ufm is restored from its backup");
	ufm->entries = NULL;
	ufm->n = ufm->cap = 0;
	for (size_t i = 0; i < ufm->n_backup; i++) {
		struct sim_entry entry = ufm->backup[i];
		const struct sim_entry *same = NULL;

		for (size_t k = 0; k < n && !same; k++)
			if (old[k].guid.v == entry.guid.v && old[k].pkey.v == entry.pkey.v &&
			    old[k].membership == entry.membership && old[k].index0 == entry.index0)
				same = &old[k];
		if (same) { /* what a restore before this one had put there, too */
			entry = *same;
		} else if (entry.origin == SIM_OURS) {
			entry.origin = SIM_RESTORED;
			entry.since = sim->world.now;
		}
		sim_ufm_put_as(ufm, entry);
	}
	free(old);
}

/* A GUID of somebody, a PKey of somebody: what another writer of the same fabric may touch, by right or by mistake. */
static struct sim_entry draw_foreign(struct sim *sim)
{
	const struct engine_options *options = &sim->plan.options;
	uint64_t size = options->last.v - options->first.v + 1;
	struct sim_entry entry = { .origin = SIM_FOREIGN, .since = sim->world.now };

	if (sim_rng_chance(&sim->rng, 50))
		entry.guid.v = options->first.v + sim_rng_below(&sim->rng, size < 300 ? size : 300);
	else
		entry.guid.v = UINT64_C(0x0200000000000100) + sim_rng_below(&sim->rng, 50);
	if (sim_rng_chance(&sim->rng, 25) && sim_rules_grants(sim)) /* one that lives here */
		entry.guid = sim_rules_grant_at(sim, sim_rng_below(&sim->rng, sim_rules_grants(sim)))->guid;
	if (sim_rng_chance(&sim->rng, 70))
		entry.pkey.v = (uint16_t)sim_rng_between(&sim->rng, 1, 6);
	else
		entry.pkey.v = sim_rng_chance(&sim->rng, 50) ? PKEY_MANAGEMENT : 0x50;
	entry.index0 = sim_rng_chance(&sim->rng, 30);
	entry.membership = sim_rng_chance(&sim->rng, 70) ? MEMBERSHIP_FULL : MEMBERSHIP_LIMITED;
	return entry;
}

void sim_ufm_meddle(struct sim *sim)
{
	struct sim_ufm *ufm = sim->ufm;
	struct sim_entry entry = draw_foreign(sim);

	for (unsigned i = 0; i < ufm->n_insisted; i++) {
		if (!sim_ufm_at(ufm, ufm->insisted[i].guid, ufm->insisted[i].pkey)) {
			sim_say(sim, "chaos    another writer puts %llx back into 0x%x",
				(unsigned long long)ufm->insisted[i].guid.v, ufm->insisted[i].pkey.v);
			sim_ufm_put(sim, ufm->insisted[i]);
			return;
		}
	}
	if (sim_ufm_at(ufm, entry.guid, entry.pkey))
		return;
	sim_say(sim, "chaos    another writer puts %llx into 0x%x", (unsigned long long)entry.guid.v, entry.pkey.v);
	sim_ufm_put(sim, entry);
	if (ufm->n_insisted < SIM_INSISTED_MAX && sim_rng_chance(&sim->rng, 40))
		ufm->insisted[ufm->n_insisted++] = entry;
}

void sim_ufm_heal(struct sim *sim)
{
	struct sim_ufm *ufm = sim->ufm;

	ufm->down_until = ufm->refuse_until = 0;
	ufm->n_poisons = 0;
	ufm->n_insisted = 0;
}
