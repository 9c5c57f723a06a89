#include <string.h>

#include "tests/sim/sim_rules_parts.h"

/* What is asked of the API server: who is told which GUID, and what is put down about it. */

bool sim_rules_is_confirmed(const struct sim_mind *mind, struct guid guid, const struct pkey_class *class)
{
	const struct sim_sighting *s = sim_mind_seen(mind, guid, class->pkey);

	return sim_sighting_is_shown(s, false) && s->shown_by >= s->join_answered_at &&
	       s->membership == class->membership && s->index0 == class->index0;
}

static void judge_gate(struct sim *sim, struct sim_process *process, const struct sim_holding *holding)
{
	const struct sim_mind *mind = sim_rules_mind(sim, process);
	char a[64];

	if (sim->plan.options.gate != ENGINE_GATE_MEMBER)
		return;
	for (unsigned i = 0; i < holding->n_memberships; i++) {
		if (!sim_rules_is_confirmed(mind, holding->guid, &holding->memberships[i]))
			sim_fail(sim, "members are published",
				 "%s is to be published with %llx, which was not read back from 0x%x",
				 sim_owner_name(sim, holding->owner, a), (unsigned long long)holding->guid.v,
				 holding->memberships[i].pkey.v);
	}
}

static const struct pkey_class *class_of(const struct sim_holding *holding, struct pkey pkey)
{
	for (unsigned i = 0; i < holding->n_memberships; i++) {
		if (holding->memberships[i].pkey.v == pkey.v)
			return &holding->memberships[i];
	}
	return NULL;
}

static void judge_text(struct sim *sim, const struct sim_holding *holding, const struct pod_publication *publication)
{
	const struct pkey_class *class;
	struct pkey pkey;
	char a[64];

	if (!publication->pkey_text) {
		if (holding->n_memberships)
			sim_fail(sim, "publication form", "%s is published without its PKey",
				 sim_owner_name(sim, holding->owner, a));
		return;
	}
	class = pkey_parse(&pkey, publication->pkey_text) ? class_of(holding, pkey) : NULL;
	if (!class || class->membership != MEMBERSHIP_FULL || class->index0 != sim->plan.options.index0)
		sim_fail(sim, "publication form",
			 "%s is published with PKey %s, of which it is no full member as it should be",
			 sim_owner_name(sim, holding->owner, a), publication->pkey_text);
}

static void judge_publication(struct sim *sim, struct sim_process *process, const struct sim_pod *pod,
			      const struct pod_publication *publication)
{
	const struct sim_mind *mind = sim_rules_mind(sim, process);
	const struct sim_holding *holding = sim_mind_held(mind, publication->guid);
	struct sim_owner owner = { pod->number + 1, publication->source, publication->index };
	const struct sim_grant *grant = sim_rules_grant(sim, pod, publication->source, publication->index);
	char a[64];

	if (!holding || holding->looked != mind->looks || !sim_owner_is(holding->owner, owner) ||
	    holding->state >= ATTACHMENT_LEAVING) {
		sim_fail(sim, "publication form", "%s is published with %llx, which it does not hold",
			 sim_owner_name(sim, owner, a), (unsigned long long)publication->guid.v);
		return;
	}
	judge_text(sim, holding, publication);
	if (grant && grant->guid.v == publication->guid.v)
		return;
	if (!sim_rules_recorded(sim, pod, holding->guid))
		judge_gate(sim, process, holding);
	for (unsigned i = 0; i < holding->n_memberships; i++) {
		if (!sim_rules_recorded(sim, pod, holding->guid) &&
		    !sim_rules_allowed(sim, pod, owner.source, owner.index, holding->memberships[i].pkey))
			sim_fail(sim, "only what is allowed", "%s was never allowed into PKey 0x%x",
				 sim_owner_name(sim, owner, a), holding->memberships[i].pkey.v);
	}
}

static bool entry_is(const struct record_attachment *entry, const struct sim_holding *holding)
{
	if (entry->guid.v != holding->guid.v || entry->n_memberships != holding->n_memberships)
		return false;
	for (unsigned i = 0; i < entry->n_memberships; i++) {
		if (!class_of(holding, entry->memberships[i].pkey))
			return false;
	}
	return true;
}

static bool names(const struct record *record, struct guid guid)
{
	for (size_t i = 0; i < record->n_attachments; i++) {
		if (record->attachments[i].guid.v == guid.v)
			return true;
	}
	return false;
}

/* The record says what is held, and of every interface that is published. */
static void judge_entries(struct sim *sim, struct sim_process *process, const struct sim_pod *pod,
			  const struct record *record, const struct engine_action *action)
{
	const struct sim_mind *mind = sim_rules_mind(sim, process);

	for (size_t i = 0; i < record->n_attachments; i++) {
		const struct sim_holding *holding = sim_mind_held(mind, record->attachments[i].guid);

		if (!holding || holding->owner.pod != pod->number + 1 || !entry_is(&record->attachments[i], holding))
			sim_fail(sim, "record form", "the record of %s/%s names %llx, which is not held so",
				 pod->namespace, pod->name, (unsigned long long)record->attachments[i].guid.v);
	}
	for (size_t i = 0; i < sim_rules_grants(sim); i++) {
		const struct sim_grant *grant = sim_rules_grant_at(sim, i);

		if (grant->pod == pod && sim_grant_lasts(grant) && !pod->loose && sim_rules_may_know(process, grant) &&
		    !names(record, grant->guid))
			sim_fail(sim, "record form", "the record of living %s/%s forgets %llx", pod->namespace,
				 pod->name, (unsigned long long)grant->guid.v);
	}
	for (size_t i = 0; i < action->patch.n; i++) {
		if (!names(record, action->patch.publications[i].guid))
			sim_fail(sim, "record form", "the record of %s/%s lacks %llx, which is published",
				 pod->namespace, pod->name, (unsigned long long)action->patch.publications[i].guid.v);
	}
}

static void judge_record(struct sim *sim, struct sim_process *process, const struct sim_pod *pod,
			 const struct engine_action *action)
{
	const struct record_keys *keys = sim->plan.options.keys;
	const char *before = action->patch.pod->record_text;
	const char *text = action->patch.record ? action->patch.record : before;
	struct record *record, *old;
	struct error err;

	if (!keys) {
		if (action->patch.record)
			sim_fail(sim, "record form", "a record without a key");
		return;
	}
	if (!text || record_open(&record, keys, text, pod->uid, &err) < 0) {
		sim_fail(sim, "record form", "%s/%s is published without a valid record", pod->namespace, pod->name);
		return;
	}
	judge_entries(sim, process, pod, record, action);
	if (before && record_open(&old, keys, before, pod->uid, &err) == 0) {
		if (record->since_ms < old->since_ms)
			sim_fail(sim, "record form", "`since` of %s/%s goes back from %lld to %lld", pod->namespace,
				 pod->name, (long long)old->since_ms, (long long)record->since_ms);
		record_free(old);
	}
	record_free(record);
}

void sim_rules_patch(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	const struct sim_pod *pod = sim_api_pod_of_uid(sim->api, action->patch.pod->uid);
	struct sim_mind *mind = sim_rules_mind(sim, process);

	if (!pod || !action->patch.pod->texts_known) {
		sim_fail(sim, "publication form", "a patch of a pod whose texts are not known");
		return;
	}
	for (unsigned i = 0; i < mind->n_patches; i++) {
		if (mind->patches[i].pod == pod->number)
			sim_fail(sim, "one patch a pod", "%s/%s is patched while a patch is under way", pod->namespace,
				 pod->name);
	}
	if (mind->n_patches >= sim->plan.options.patches_max)
		sim_fail(sim, "one patch a pod", "more than %u patches under way", sim->plan.options.patches_max);
	if (pod->host_network)
		sim_fail(sim, "only what is allowed", "%s/%s is on the host's network and is published", pod->namespace,
			 pod->name);
	sim_rules_look(sim, process);
	for (size_t i = 0; i < action->patch.n && !sim_failed(sim); i++)
		judge_publication(sim, process, pod, &action->patch.publications[i]);
	if (!sim_failed(sim))
		judge_record(sim, process, pod, action);
	if (mind->n_patches < SIM_PATCHES_MAX) {
		mind->patches[mind->n_patches].id = action->id;
		mind->patches[mind->n_patches++].pod = pod->number;
	}
}

void sim_rules_patch_answered(struct sim *sim, struct sim_process *process, uint64_t id)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);

	for (unsigned i = 0; i < mind->n_patches; i++) {
		if (mind->patches[i].id != id)
			continue;
		mind->patches[i] = mind->patches[--mind->n_patches];
		return;
	}
}
