#include "tests/sim/sim_ufm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_ufm_parts.h"

struct sim_ufm *sim_ufm_new(void)
{
	return mem_alloc(sizeof(struct sim_ufm));
}

void sim_ufm_free(struct sim_ufm *ufm)
{
	if (!ufm)
		return;
	free(ufm->entries);
	free(ufm->backup);
	free(ufm);
}

size_t sim_ufm_count(const struct sim_ufm *ufm)
{
	return ufm->n;
}

const struct sim_entry *sim_ufm_entry(const struct sim_ufm *ufm, size_t i)
{
	return &ufm->entries[i];
}

struct sim_entry *sim_ufm_at(const struct sim_ufm *ufm, struct guid guid, struct pkey pkey)
{
	for (size_t i = 0; i < ufm->n; i++) {
		if (ufm->entries[i].guid.v == guid.v && ufm->entries[i].pkey.v == pkey.v)
			return &ufm->entries[i];
	}
	return NULL;
}

const struct sim_entry *sim_ufm_find(const struct sim_ufm *ufm, struct guid guid, struct pkey pkey)
{
	return sim_ufm_at(ufm, guid, pkey);
}

bool sim_ufm_lists(const struct sim_ufm *ufm, struct guid guid)
{
	for (size_t i = 0; i < ufm->n; i++) {
		if (ufm->entries[i].guid.v == guid.v)
			return true;
	}
	return false;
}

void sim_ufm_put_as(struct sim_ufm *ufm, struct sim_entry entry)
{
	struct sim_entry *known = sim_ufm_at(ufm, entry.guid, entry.pkey);

	if (known) {
		entry.since = known->since;
		*known = entry;
		return;
	}
	if (ufm->n == ufm->cap) {
		ufm->cap = ufm->cap ? ufm->cap * 2 : 32;
		ufm->entries = mem_resize(ufm->entries, ufm->cap, sizeof(*ufm->entries));
	}
	ufm->entries[ufm->n++] = entry;
}

static void take(struct sim_ufm *ufm, struct guid guid, struct pkey pkey)
{
	struct sim_entry *known = sim_ufm_at(ufm, guid, pkey);

	if (known)
		*known = ufm->entries[--ufm->n];
}

void sim_ufm_put(struct sim *sim, struct sim_entry entry)
{
	entry.since = sim->world.now;
	sim_ufm_put_as(sim->ufm, entry);
}

bool sim_ufm_stole(const struct sim_ufm *ufm)
{
	return ufm->stole;
}

/* --- writes --- */

enum fate {
	FATE_FINE,        /* done, then answered */
	FATE_LATE,        /* accepted, done some time later */
	FATE_ANSWER_LOST, /* done some time, the asker times out or is cut off before */
	FATE_PARTLY,      /* accepted, but not all of it is done */
	FATE_FAILED,      /* nothing is done */
};

struct write {
	uint64_t incarnation, id;
	bool join;
	struct pkey_class class;
	struct guid *guids;
	size_t n;
	int64_t sent_at;
	bool answered;
	unsigned references; /* events that know it */
	bool delayed;
	enum error_kind error;
	const char *why;
};

static void write_release(void *aux)
{
	struct write *write = aux;

	if (--write->references)
		return;
	free(write->guids);
	free(write);
}

static void write_lands(struct sim *sim, void *aux)
{
	struct write *write = aux;
	struct sim_entry entry = { .pkey = write->class.pkey,
				   .membership = write->class.membership,
				   .index0 = write->class.index0,
				   .origin = SIM_OURS,
				   .incarnation = write->incarnation,
				   .since = sim->world.now };
	int64_t latest = write->sent_at + sim->plan.options.write_timeout_ms;

	/* Nobody cuts off what a dead process had sent: it may take all the time it has. */
	if (!write->delayed && !sim_cluster_asker(sim->cluster, write->incarnation) && sim_rng_chance(&sim->rng, 60)) {
		write->delayed = true;
		write->references++;
		sim_at(sim, sim_rng_between(&sim->rng, sim->world.now, latest), write_lands, write, write_release);
		return;
	}
	entry.late = write->answered || !sim_cluster_asker(sim->cluster, write->incarnation);
	sim_say(sim, "ufm      #%llu of process %llu lands: %s 0x%x, %zu GUIDs%s", (unsigned long long)write->id,
		(unsigned long long)write->incarnation, write->join ? "join" : "leave", write->class.pkey.v, write->n,
		entry.late ? " (late)" : "");
	for (size_t i = 0; i < write->n; i++) {
		entry.guid = write->guids[i];
		if (write->join) {
			sim_rules_joins(sim, &entry);
			sim_ufm_put_as(sim->ufm, entry);
		} else {
			sim->ufm->stole |= !sim_cluster_asker(sim->cluster, write->incarnation);
			take(sim->ufm, entry.guid, entry.pkey);
		}
	}
}

static void write_answered(struct sim *sim, void *aux)
{
	struct write *write = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, write->incarnation);
	struct error err;

	write->answered = true;
	if (!process)
		return;
	if (write->error != ERROR_NONE)
		error_set(&err, write->error, "%s", write->why);
	sim_say(sim, "fact %llu   write #%llu %s", (unsigned long long)process->incarnation,
		(unsigned long long)write->id, write->error == ERROR_NONE ? "accepted" : err.text);
	process->writes--;
	if (write->error == ERROR_RETRY)
		process->unsure_until = write->sent_at + sim->plan.options.write_timeout_ms;
	sim_rules_write_answered(sim, process, write->id, write->error);
	engine_write_done(process->engine, write->id, write->error == ERROR_NONE ? NULL : &err, sim->world.now);
	sim_process_fed(sim, process);
}

static const struct sim_poison *poisoned(const struct sim *sim, const struct write *write)
{
	const struct sim_ufm *ufm = sim->ufm;

	for (unsigned i = 0; i < ufm->n_poisons && write->join; i++) {
		const struct sim_poison *poison = &ufm->poisons[i];

		if (poison->until <= sim->world.now)
			continue;
		if (poison->pkey.v && poison->pkey.v == write->class.pkey.v)
			return poison;
		for (size_t k = 0; k < write->n && !poison->pkey.v; k++) {
			if (write->guids[k].v == poison->guid.v)
				return poison;
		}
	}
	return NULL;
}

static void write_refuse(struct write *write, enum error_kind error, const char *why)
{
	write->error = error;
	write->why = why;
}

static enum fate draw_fate(struct sim *sim, struct write *write)
{
	const struct sim_poison *poison = poisoned(sim, write);

	if (sim->ufm->refuse_until > sim->world.now) {
		write_refuse(write, ERROR_AUTH, "401");
		return FATE_FAILED;
	}
	if (sim->ufm->down_until > sim->world.now) {
		write_refuse(write, ERROR_RETRY, "503");
		return FATE_FAILED;
	}
	if (poison) {
		write_refuse(write, poison->pkey.v ? ERROR_INVALID : ERROR_GONE,
			     poison->pkey.v ? "bad PKey" : "no such GUID");
		return FATE_FAILED;
	}
	if (sim->settling || !sim_rng_chance(&sim->rng, sim->plan.write_fault))
		return FATE_FINE;
	switch (sim_rng_below(&sim->rng, 6)) {
	case 0:
	case 1:
		return FATE_LATE;
	case 2:
	case 3:
		write_refuse(write, ERROR_RETRY, "no answer");
		return FATE_ANSWER_LOST;
	case 4:
		return FATE_PARTLY;
	default:
		write_refuse(write, ERROR_RETRY, "reset");
		return FATE_FAILED;
	}
}

void sim_ufm_write(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct write *write = mem_alloc(sizeof(*write));
	int64_t limit = sim->plan.options.write_timeout_ms;
	int64_t answer, land = -1;
	enum fate fate;

	*write = (struct write){ .incarnation = process->incarnation,
				 .id = action->id,
				 .join = action->kind == ENGINE_JOIN,
				 .class = action->write.class,
				 .n = action->write.n,
				 .sent_at = sim->world.now };
	write->guids = mem_array(write->n ? write->n : 1, sizeof(*write->guids));
	memcpy(write->guids, action->write.guids, write->n * sizeof(*write->guids));
	fate = draw_fate(sim, write);
	answer = sim_rng_between(&sim->rng, 1, sim->plan.slow);
	switch (fate) {
	case FATE_FINE:
		land = sim_rng_between(&sim->rng, 0, answer);
		break;
	case FATE_LATE:
		land = sim_rng_between(&sim->rng, answer, limit);
		break;
	case FATE_ANSWER_LOST:
		land = sim_rng_between(&sim->rng, 0, limit);
		answer = sim_rng_chance(&sim->rng, 60) ? limit : answer;
		break;
	case FATE_PARTLY:
		land = sim_rng_between(&sim->rng, 0, answer);
		write->n = (size_t)sim_rng_below(&sim->rng, write->n + 1);
		break;
	case FATE_FAILED:
		answer = sim_rng_chance(&sim->rng, 10) ? limit : answer;
		break;
	}
	write->references = land >= 0 ? 2 : 1;
	process->writes++;
	if (land >= 0)
		sim_after(sim, land, write_lands, write, write_release);
	sim_after(sim, answer, write_answered, write, write_release);
}

/* --- lists --- */

struct listing {
	uint64_t incarnation, id;
	bool all;
	struct pkey pkey;
	int64_t began;
	struct sim_entry *entries;
	size_t n, told;
	enum error_kind error;
	bool held;
};

static void listing_release(void *aux)
{
	struct listing *listing = aux;

	if (listing->held) {
		listing->held = false;
		return;
	}
	free(listing->entries);
	free(listing);
}

static void listing_looks(struct sim *sim, void *aux)
{
	const struct sim_ufm *ufm = sim->ufm;
	struct listing *listing = aux;

	listing->entries = mem_array(ufm->n ? ufm->n : 1, sizeof(*listing->entries));
	for (size_t i = 0; i < ufm->n; i++) {
		if (listing->all || ufm->entries[i].pkey.v == listing->pkey.v)
			listing->entries[listing->n++] = ufm->entries[i];
	}
}

static void listing_tell(struct sim_process *process, struct listing *listing, size_t until)
{
	for (; listing->told < until; listing->told++) {
		const struct sim_entry *entry = &listing->entries[listing->told];
		struct member member = { entry->guid, entry->membership, entry->index0 };

		engine_listed_member(process->engine, listing->id, entry->pkey, &member);
	}
}

static void listing_answered(struct sim *sim, void *aux)
{
	struct listing *listing = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, listing->incarnation);
	struct error err;

	if (!process)
		return;
	process->lists--;
	if (listing->error == ERROR_NONE) {
		listing_tell(process, listing, listing->n);
	} else {
		listing_tell(process, listing, (size_t)sim_rng_below(&sim->rng, listing->n + 1));
		error_set(&err, listing->error, "the list was cut");
	}
	sim_say(sim, "fact %llu   list #%llu %s, %zu members", (unsigned long long)process->incarnation,
		(unsigned long long)listing->id,
		listing->error == ERROR_NONE ? "complete" : error_kind_name(listing->error), listing->told);
	sim_rules_listed(sim, process,
			 &(struct sim_listed){ listing->id, listing->all, listing->pkey, listing->began,
					       listing->entries, listing->n, listing->error == ERROR_NONE });
	engine_list_done(process->engine, listing->id, listing->error == ERROR_NONE ? NULL : &err, sim->world.now);
	sim_process_fed(sim, process);
}

void sim_ufm_list(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct listing *listing = mem_alloc(sizeof(*listing));
	int64_t answer = sim_rng_between(&sim->rng, 1, sim->plan.slow), look = sim_rng_between(&sim->rng, 0, answer);

	*listing = (struct listing){ .incarnation = process->incarnation,
				     .id = action->id,
				     .all = action->list.all,
				     .pkey = action->list.pkey,
				     .began = sim->world.now,
				     .held = true };
	if (sim->ufm->refuse_until > sim->world.now)
		listing->error = ERROR_AUTH;
	else if (sim->ufm->down_until > sim->world.now ||
		 (!sim->settling && sim_rng_chance(&sim->rng, sim->plan.list_fault)))
		listing->error = ERROR_RETRY;
	if (listing->error == ERROR_RETRY && sim_rng_chance(&sim->rng, 30))
		answer = sim->plan.options.write_timeout_ms;
	process->lists++;
	sim_after(sim, look, listing_looks, listing, listing_release);
	sim_after(sim, answer, listing_answered, listing, listing_release);
}
