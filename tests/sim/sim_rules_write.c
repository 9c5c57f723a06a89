#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_rules_parts.h"

/* What is asked of the fabric manager, and what it said. */

static bool in_range(const struct sim *sim, struct guid guid)
{
	return guid.v >= sim->plan.options.first.v && guid.v <= sim->plan.options.last.v;
}

static bool is_ours(const struct sim *sim, struct guid guid, struct pkey pkey)
{
	return in_range(sim, guid) && pkey.v != PKEY_MANAGEMENT && pkey_set_has(&sim->plan.options.pkeys, pkey);
}

static const struct pkey_class *membership_of(const struct sim_holding *holding, struct pkey pkey)
{
	for (unsigned i = 0; holding && i < holding->n_memberships; i++) {
		if (holding->memberships[i].pkey.v == pkey.v)
			return &holding->memberships[i];
	}
	return NULL;
}

/* --- joins --- */

/* As far as it was told.  Not between the PKeys of one attachment: each is put right by itself. */
static void judge_index0(struct sim *sim, const struct sim_mind *mind, struct guid guid, struct pkey_class class)
{
	const struct sim_holding *holding = sim_mind_held(mind, guid);

	for (uint16_t v = PKEY_FIRST; class.index0 && v <= 0x1f; v++) {
		const struct sim_sighting *other = sim_mind_seen(mind, guid, (struct pkey){ v });

		if (!membership_of(holding, (struct pkey){ v }) && sim_sighting_is_shown(other, true) && other->index0)
			sim_fail(sim, "one index 0", "join of %llx to 0x%x at index 0, which it has in 0x%x",
				 (unsigned long long)guid.v, class.pkey.v, v);
	}
}

static void judge_join(struct sim *sim, struct sim_process *process, struct guid guid, struct pkey_class class)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);
	const struct sim_holding *holding = sim_mind_held(mind, guid);
	const struct pkey_class *wanted = membership_of(holding, class.pkey);
	struct sim_sighting *sighting = sim_mind_sighting(mind, guid, class.pkey);
	const struct sim_pod *pod;
	const struct sim_grant *grant;
	char a[64];

	if (!holding || holding->looked != mind->looks || holding->state >= ATTACHMENT_LEAVING || !wanted) {
		sim_fail(sim, "join has an owner", "join of %llx to 0x%x, which nobody holds for that",
			 (unsigned long long)guid.v, class.pkey.v);
		return;
	}
	if (wanted->membership != class.membership || wanted->index0 != class.index0)
		sim_fail(sim, "join has an owner", "join of %llx to 0x%x with another membership than its holder's",
			 (unsigned long long)guid.v, class.pkey.v);
	pod = sim_api_pod(sim->api, holding->owner.pod - 1);
	grant = sim_rules_grant(sim, pod, holding->owner.source, holding->owner.index);
	if (!(grant && sim_grant_needs(grant, class.pkey)) && !sim_rules_recorded(sim, pod, guid) &&
	    !sim_rules_allowed(sim, pod, holding->owner.source, holding->owner.index, class.pkey))
		sim_fail(sim, "only what is allowed", "%s was never allowed into PKey 0x%x",
			 sim_owner_name(sim, holding->owner, a), class.pkey.v);
	judge_index0(sim, mind, guid, class);
	sighting->joined_for = holding->owner;
	if (sighting->join_answered_at != INT64_MAX)
		sighting->join_answered_before = sighting->join_answered_at;
	sighting->join_answered_at = INT64_MAX; /* nothing is known of it until it is answered */
	sighting->maybe = true;
}

/* About to land. */
void sim_rules_joins(struct sim *sim, const struct sim_entry *entry)
{
	struct sim_process *process = sim_cluster_asker(sim->cluster, entry->incarnation);
	const struct sim_holding *holding;
	const struct sim_sighting *sighting;
	char a[64], b[64];

	if (!process)
		return;
	for (size_t i = 0; entry->index0 && !entry->late && i < sim_ufm_count(sim->ufm); i++) {
		const struct sim_entry *other = sim_ufm_entry(sim->ufm, i);

		if (other->guid.v == entry->guid.v && other->pkey.v != entry->pkey.v && other->index0 && !other->late &&
		    other->origin == SIM_OURS && other->incarnation == entry->incarnation)
			sim_fail(sim, "one index 0", "GUID %llx gets index 0 in 0x%x while it has it in 0x%x",
				 (unsigned long long)entry->guid.v, entry->pkey.v, other->pkey.v);
	}
	holding = sim_mind_held(sim_rules_mind(sim, process), entry->guid);
	sighting = sim_mind_seen(sim_rules_mind(sim, process), entry->guid, entry->pkey);
	if (holding && holding->state < ATTACHMENT_LEAVING && !sim_owner_is(holding->owner, sighting->joined_for) &&
	    !membership_of(holding, entry->pkey))
		sim_fail(sim, "late joins are waited for", "a join of %llx to 0x%x for %s lands when %s holds it",
			 (unsigned long long)entry->guid.v, entry->pkey.v, sim_owner_name(sim, sighting->joined_for, a),
			 sim_owner_name(sim, holding->owner, b));
}

/* --- leaves --- */

/* A published attachment of a living pod needs it, and it stands as it should. */
static bool needed_by_grant(struct sim *sim, struct sim_process *process, struct guid guid, struct pkey pkey)
{
	const struct sim_grant *grant = sim_rules_holder(sim, guid);
	const struct sim_entry *entry = sim_ufm_find(sim->ufm, guid, pkey);
	char a[64];

	if (!grant || grant->pod->loose || !sim_rules_may_know(process, grant) || !sim_grant_needs(grant, pkey))
		return false;
	for (unsigned i = 0; entry && i < grant->n_memberships; i++) {
		const struct pkey_class *class = &grant->memberships[i];

		if (class->pkey.v == pkey.v &&
		    (class->membership != entry->membership || class->index0 != entry->index0))
			return false;
	}
	sim_fail(sim, "no leave of the living", "GUID %llx is to leave 0x%x, which living %s needs",
		 (unsigned long long)guid.v, pkey.v, sim_owner_name(sim, sim_grant_owner(grant), a));
	return true;
}

static void judge_orphan(struct sim *sim, const struct sim_mind *mind, const struct sim_sighting *sighting)
{
	const struct engine_options *options = &sim->plan.options;
	unsigned long long guid = sighting->guid.v;
	unsigned pkey = sighting->pkey.v;

	bool named = sighting->named;

	if (!named && options->orphans == ENGINE_ORPHANS_KEEP)
		sim_fail(sim, "orphans: keep", "orphan %llx in 0x%x is removed though orphans are kept", guid, pkey);
	if (!named && options->orphans == ENGINE_ORPHANS_BRAKE && !mind->settled && mind->orphan_at_first)
		sim_fail(sim, "orphans: brake", "orphan %llx in 0x%x is removed before the cluster is settled", guid,
			 pkey);
	if (!named && options->orphans == ENGINE_ORPHANS_BRAKE && mind->too_many)
		sim_fail(sim, "orphans: brake", "orphan %llx in 0x%x is removed though there were too many", guid,
			 pkey);
	if (sighting->times < (named ? 1 : 2) || sim->world.now - sighting->first_seen < options->orphan_grace_ms)
		sim_fail(sim, "orphans: seen twice",
			 "orphan %llx in 0x%x is removed after %u sightings, %lld ms after the first", guid, pkey,
			 sighting->times, (long long)(sim->world.now - sighting->first_seen));
	/* Of a GUID that was given since, nobody remembers who else had used it. */
	if (sighting->came_back && !sim_mind_held(mind, sighting->guid))
		sim_fail(sim, "orphans: another writer's",
			 "%llx in 0x%x came back after its removal and is removed again", guid, pkey);
}

static void judge_leave(struct sim *sim, struct sim_process *process, struct guid guid, struct pkey pkey)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);
	struct sim_sighting *sighting = sim_mind_sighting(mind, guid, pkey);
	const struct sim_holding *holding = sim_mind_held(mind, guid);
	bool held = holding && holding->looked == mind->looks;
	const struct pkey_class *wanted = held ? membership_of(holding, pkey) : NULL;

	if (needed_by_grant(sim, process, guid, pkey))
		return;
	if (wanted && holding->state < ATTACHMENT_LEAVING && sighting->membership == wanted->membership &&
	    sighting->index0 == wanted->index0 && sim_sighting_is_shown(sighting, true))
		sim_fail(sim, "no leave of the living", "GUID %llx is to leave 0x%x, which its own attachment needs",
			 (unsigned long long)guid.v, pkey.v);
	if (!sighting->needed && !held) {
		judge_orphan(sim, mind, sighting);
		sighting->removed = true;
		sighting->came_back = false;
		sighting->removed_at = INT64_MAX;
	}
	sighting->leave_answered_at = INT64_MAX;
}

/* --- both --- */

static void judge_frame(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);
	int64_t now = sim->world.now;

	if (mind->write.id)
		sim_fail(sim, "one write at a time", "a write is sent while #%llu is under way",
			 (unsigned long long)mind->write.id);
	if (now < process->quiet_until)
		sim_fail(sim, "quiet after a leader", "a write %lld ms before the quiet time is over",
			 (long long)(process->quiet_until - now));
	if (!mind->listed || !process->watches[SIM_PODS].synced || !process->watches[SIM_NETWORKS].synced ||
	    !process->watches[SIM_NAMESPACES].synced)
		sim_fail(sim, "nothing before all is known", "a write before everything was listed once");
	if (action->write.n == 0 || action->write.n > sim->plan.options.batch_max)
		sim_fail(sim, "batch size", "%zu GUIDs in a write", action->write.n);
	for (size_t i = 0; i < action->write.n; i++) {
		if (!is_ours(sim, action->write.guids[i], action->write.class.pkey))
			sim_fail(sim, "ranges", "a write touches %llx in 0x%x, which is not ours",
				 (unsigned long long)action->write.guids[i].v, action->write.class.pkey.v);
		for (size_t k = 0; k < i; k++) {
			if (action->write.guids[k].v == action->write.guids[i].v)
				sim_fail(sim, "batch size", "GUID %llx twice in a write",
					 (unsigned long long)action->write.guids[i].v);
		}
	}
}

void sim_rules_write(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);

	sim_rules_look(sim, process);
	judge_frame(sim, process, action);
	for (size_t i = 0; i < action->write.n && !sim_failed(sim); i++) {
		if (action->kind == ENGINE_JOIN)
			judge_join(sim, process, action->write.guids[i], action->write.class);
		else
			judge_leave(sim, process, action->write.guids[i], action->write.class.pkey);
	}
	free(mind->write.guids);
	mind->write.id = action->id;
	mind->write.join = action->kind == ENGINE_JOIN;
	mind->write.pkey = action->write.class.pkey;
	mind->write.n = action->write.n;
	mind->write.guids = mem_array(action->write.n + 1, sizeof(*mind->write.guids));
	memcpy(mind->write.guids, action->write.guids, action->write.n * sizeof(*mind->write.guids));
}

void sim_rules_write_answered(struct sim *sim, struct sim_process *process, uint64_t id, enum error_kind error)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);
	bool refused = error == ERROR_INVALID || error == ERROR_GONE || error == ERROR_AUTH;

	if (mind->write.id != id) /* only when two were under way, which was said already */
		return;
	mind->write.id = 0;
	for (size_t i = 0; i < mind->write.n; i++) {
		struct sim_sighting *sighting = sim_mind_sighting(mind, mind->write.guids[i], mind->write.pkey);

		if (mind->write.join) {
			/* A refused one changes nothing. */
			sighting->join_answered_at = refused ? sighting->join_answered_before : sim->world.now;
			sighting->maybe &= !refused;
		} else {
			sighting->leave_answered_at = sim->world.now;
			if (sighting->removed_at == INT64_MAX)
				sighting->removed_at = sim->world.now;
		}
	}
}

/* --- lists --- */

void sim_rules_list(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);

	for (unsigned i = 0; i < mind->n_lists; i++) {
		if (mind->lists[i].all == action->list.all &&
		    (action->list.all || mind->lists[i].pkey.v == action->list.pkey.v))
			sim_fail(sim, "lists do not overlap", "a list of %s0x%x is sent while one is under way",
				 action->list.all ? "all beside " : "", action->list.pkey.v);
	}
	if (mind->n_lists == SIM_LISTS_MAX) {
		sim_fail(sim, "lists do not overlap", "more than %d lists under way", SIM_LISTS_MAX);
		return;
	}
	mind->lists[mind->n_lists].id = action->id;
	mind->lists[mind->n_lists].all = action->list.all;
	mind->lists[mind->n_lists++].pkey = action->list.pkey;
}

static void note_shown(struct sim *sim, struct sim_mind *mind, const struct sim_listed *listed)
{
	for (size_t i = 0; i < listed->n; i++) {
		const struct sim_entry *entry = &listed->entries[i];
		struct sim_sighting *sighting = sim_mind_sighting(mind, entry->guid, entry->pkey);

		if (!sighting->times++)
			sighting->first_seen = sim->world.now;
		if (listed->began >= sighting->shown_by) {
			sighting->shown_by = listed->began;
			sighting->shown_end = sim->world.now;
			sighting->membership = entry->membership;
			sighting->index0 = entry->index0;
		}
	}
}

static bool is_in(const struct sim_listed *listed, const struct sim_sighting *sighting)
{
	for (size_t i = 0; i < listed->n; i++) {
		if (listed->entries[i].guid.v == sighting->guid.v && listed->entries[i].pkey.v == sighting->pkey.v)
			return true;
	}
	return false;
}

static void note_hidden(struct sim *sim, struct sim_mind *mind, const struct sim_listed *listed)
{
	for (size_t i = 0; i < mind->cap_sightings; i++) {
		struct sim_sighting *sighting = &mind->sightings[i];

		if (!sighting->used || (!listed->all && sighting->pkey.v != listed->pkey.v) || is_in(listed, sighting))
			continue;
		/* One that began before the last that showed it knows no better; one that began before our own removal was
		 * answered may only show that. */
		if (listed->began >= sighting->shown_by && listed->began >= sighting->leave_answered_at)
			sighting->times = 0;
		if (listed->began >= sighting->hidden_by) {
			sighting->hidden_by = listed->began;
			sighting->hidden_end = sim->world.now;
		}
		if (listed->began >= sighting->join_answered_at)
			sighting->maybe = false;
		if (listed->began >= sighting->leave_answered_at && listed->began >= sighting->join_answered_at) {
			const struct sim_holding *holding = sim_mind_held(mind, sighting->guid);

			sighting->needed = holding && holding->state < ATTACHMENT_RESTING &&
					   membership_of(holding, sighting->pkey);
		}
		if (sighting->removed && listed->began >= sighting->removed_at)
			sighting->came_back = true; /* if it is ever shown again */
	}
}

/* Nobody can have a right to it: no pod names it, nothing was ever published, this process never touched it. */
static bool is_certain_orphan(const struct sim *sim, const struct sim_process *process, const struct sim_entry *entry)
{
	const struct sim_mind *mind = sim_rules_mind(sim, process);
	const struct sim_sighting *sighting = sim_mind_seen(mind, entry->guid, entry->pkey);

	if (!is_ours(sim, entry->guid, entry->pkey) || sim_mind_held(mind, entry->guid) || sighting->needed ||
	    sighting->removed || sighting->came_back)
		return false;
	for (size_t i = 0; i < sim_rules_grants(sim); i++) {
		if (sim_rules_grant_at(sim, i)->guid.v == entry->guid.v)
			return false;
	}
	for (size_t i = 0; i < sim_api_pods(sim->api); i++) {
		const struct sim_pod *pod = sim_api_pod(sim->api, i);

		for (size_t k = 0; k < pod->parsed->n_networks; k++) {
			if (pod->parsed->networks[k].guid.v == entry->guid.v)
				return false;
		}
	}
	return true;
}

/* The brake, from what is certain: there may be more orphans than these, never fewer. */
static void judge_brake(struct sim *sim, struct sim_process *process, const struct sim_listed *listed)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);
	struct guid certain[64], all[256];
	size_t n_certain = 0, n_all = 0;

	for (size_t i = 0; i < listed->n; i++) {
		const struct sim_entry *entry = &listed->entries[i];
		bool known = false, counted = false;

		if (!is_ours(sim, entry->guid, entry->pkey))
			continue;
		for (size_t k = 0; k < n_all; k++)
			known |= all[k].v == entry->guid.v;
		if (!known && n_all < 256)
			all[n_all++] = entry->guid;
		for (size_t k = 0; k < n_certain; k++)
			counted |= certain[k].v == entry->guid.v;
		if (!counted && n_certain < 64 && is_certain_orphan(sim, process, entry))
			certain[n_certain++] = entry->guid;
	}
	if (!mind->listed && n_certain > 0)
		mind->orphan_at_first = true;
	if (!mind->confirmed && n_certain > 10 && n_certain * 4 > n_all)
		mind->too_many = true;
}

void sim_rules_listed(struct sim *sim, struct sim_process *process, const struct sim_listed *listed)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);

	for (unsigned i = 0; i < mind->n_lists; i++) {
		if (mind->lists[i].id != listed->id)
			continue;
		mind->lists[i] = mind->lists[--mind->n_lists];
		break;
	}
	if (!listed->complete)
		return;
	note_hidden(sim, mind, listed);
	note_shown(sim, mind, listed);
	if (!listed->all)
		return;
	judge_brake(sim, process, listed);
	mind->listed = true;
}
