#include "tests/sim/sim_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_rules_parts.h"

struct sim_rules *sim_rules_new(void)
{
	return mem_alloc(sizeof(struct sim_rules));
}

void sim_rules_free(struct sim_rules *rules)
{
	if (!rules)
		return;
	for (int slot = 0; slot < SIM_SLOTS; slot++)
		sim_mind_end(&rules->minds[slot]);
	free(rules->grants);
	free(rules->told);
	free(rules);
}

void sim_rules_born(struct sim *sim, struct sim_process *process)
{
	sim_mind_begin(sim_rules_mind(sim, process), process->incarnation);
}

void sim_rules_leads(struct sim *sim, struct sim_process *process, bool settled)
{
	sim_rules_mind(sim, process)->settled = settled;
}

void sim_rules_confirmed(struct sim *sim, struct sim_process *process)
{
	struct sim_mind *mind = sim_rules_mind(sim, process);

	mind->settled = mind->confirmed = true;
	mind->too_many = false;
	for (size_t i = 0; i < mind->cap_sightings; i++)
		mind->sightings[i].came_back = mind->sightings[i].removed = false;
}

/* Wherever it is listed. */
void sim_rules_named(struct sim *sim, struct sim_process *process, struct guid guid)
{
	for (uint16_t v = PKEY_FIRST; v <= 0x1f; v++)
		sim_mind_sighting(sim_rules_mind(sim, process), guid, (struct pkey){ v })->named = true;
}

const char *sim_owner_name(const struct sim *sim, struct sim_owner owner, char out[64])
{
	const struct sim_pod *pod;

	if (!owner.pod)
		return "nobody";
	pod = sim_api_pod(sim->api, owner.pod - 1);
	snprintf(out, 64, "%s/%s (%u)[%d]", pod->namespace, pod->name, pod->number, owner.index);
	return out;
}

/* --- grants --- */

size_t sim_rules_grants(const struct sim *sim)
{
	return sim->rules->n_grants;
}

const struct sim_grant *sim_rules_grant_at(const struct sim *sim, size_t i)
{
	return &sim->rules->grants[i];
}

static struct sim_grant *find_grant(const struct sim *sim, const struct sim_pod *pod, enum pod_source source, int index)
{
	struct sim_rules *rules = sim->rules;

	for (size_t i = rules->n_grants; i-- > 0;) {
		struct sim_grant *grant = &rules->grants[i];

		if (sim_grant_lasts(grant) && grant->pod == pod && grant->source == source && grant->index == index)
			return grant;
	}
	return NULL;
}

const struct sim_grant *sim_rules_grant(const struct sim *sim, const struct sim_pod *pod, enum pod_source source,
					int index)
{
	return find_grant(sim, pod, source, index);
}

const struct sim_grant *sim_rules_holder(const struct sim *sim, struct guid guid)
{
	const struct sim_rules *rules = sim->rules;

	for (size_t i = rules->n_grants; i-- > 0;) {
		if (rules->grants[i].guid.v == guid.v && sim_grant_lasts(&rules->grants[i]))
			return &rules->grants[i];
	}
	return NULL;
}

bool sim_grant_needs(const struct sim_grant *grant, struct pkey pkey)
{
	for (unsigned i = 0; i < grant->n_memberships; i++) {
		if (grant->memberships[i].pkey.v == pkey.v)
			return true;
	}
	return false;
}

bool sim_rules_may_know(const struct sim_process *process, const struct sim_grant *grant)
{
	return grant->incarnation == process->incarnation || grant->since <= process->watches[SIM_PODS].listed_at;
}

void sim_rules_memberships(const struct sim *sim, const struct sim_process *process, struct sim_grant *grant)
{
	const struct sim_holding *holding = sim_mind_held(sim_rules_mind(sim, process), grant->guid);

	if (!holding)
		return;
	grant->n_memberships = holding->n_memberships;
	memcpy(grant->memberships, holding->memberships, sizeof(grant->memberships));
}

static bool same_memberships(const struct sim_grant *a, const struct sim_grant *b)
{
	for (unsigned i = 0; i < a->n_memberships; i++) {
		if (!sim_grant_needs(b, a->memberships[i].pkey))
			return false;
	}
	return a->n_memberships == b->n_memberships;
}

static void add_grant(struct sim *sim, const struct sim_grant *grant)
{
	struct sim_rules *rules = sim->rules;

	if (rules->n_grants == rules->cap_grants) {
		rules->cap_grants = rules->cap_grants ? rules->cap_grants * 2 : 64;
		rules->grants = mem_resize(rules->grants, rules->cap_grants, sizeof(*rules->grants));
	}
	rules->grants[rules->n_grants++] = *grant;
}

/* Rule 1, in its hardest form: what two living pods find in their annotations. */
static void grant(struct sim *sim, const struct sim_grant *new)
{
	struct sim_grant *before = find_grant(sim, new->pod, new->source, new->index);
	const struct sim_grant *other = sim_rules_holder(sim, new->guid);
	char a[64], b[64];

	if (other && other != before && !other->pod->loose) {
		sim_fail(sim, "one holder", "GUID %llx is published for %s while it is published for living %s",
			 (unsigned long long)new->guid.v, sim_owner_name(sim, sim_grant_owner(new), a),
			 sim_owner_name(sim, sim_grant_owner(other), b));
		return;
	}
	if (before && !new->pod->loose && (before->guid.v != new->guid.v || !same_memberships(before, new))) {
		sim_fail(sim, "published stays", "living %s had GUID %llx and got %llx, or other memberships",
			 sim_owner_name(sim, sim_grant_owner(new), a), (unsigned long long)before->guid.v,
			 (unsigned long long)new->guid.v);
		return;
	}
	if (before && before->guid.v == new->guid.v)
		return;
	if (before)
		before->ended_at = sim->world.now;
	add_grant(sim, new);
}

void sim_rules_granted(struct sim *sim, uint64_t incarnation, struct sim_pod *pod, const struct sim_grant *grants,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sim_grant new = grants[i];

		new.pod = pod;
		new.incarnation = incarnation;
		new.since = sim->world.now;
		if (sim_rules_element(pod, new.source, new.index) && !pod->finished)
			grant(sim, &new);
	}
}

void sim_rules_ended(struct sim *sim, struct sim_pod *pod, int index_from, bool unsure)
{
	struct sim_rules *rules = sim->rules;

	for (size_t i = 0; i < rules->n_grants; i++) {
		struct sim_grant *grant = &rules->grants[i];

		if (!sim_grant_lasts(grant) || grant->pod != pod || (index_from > 0 && grant->index < index_from))
			continue;
		grant->ended_at = sim->world.now;
		grant->unsure = unsure;
	}
}

/* --- who may what --- */

const struct pod_network *sim_rules_element(const struct sim_pod *pod, enum pod_source source, int index)
{
	for (size_t i = 0; i < pod->parsed->n_networks; i++) {
		const struct pod_network *network = &pod->parsed->networks[i];

		if (network->source == source && network->index == index)
			return network;
	}
	return NULL;
}

static bool is_shared(const struct sim *sim, const char *namespace)
{
	for (const char *const *shared = sim->plan.options.shared_namespaces; *shared; shared++) {
		if (strcmp(*shared, namespace) == 0)
			return true;
	}
	return false;
}

bool sim_rules_allowed(const struct sim *sim, const struct sim_pod *pod, enum pod_source source, int index,
		       struct pkey pkey)
{
	const struct pod_network *element = sim_rules_element(pod, source, index);
	const struct sim_namespace *namespace = sim_api_find_namespace(sim->api, pod->namespace);
	const struct sim_network *network =
		element ? sim_api_find_network(sim->api, element->namespace, element->name) : NULL;
	bool known = false;

	if (!element || pod->loose)
		return true; /* it is not what it was when this was decided */
	if (!network || !network->ever_ib)
		return false;
	if (pkey.v == sim->plan.options.limited.v)
		return network->n_ever > 0;
	for (unsigned i = 0; i < network->n_ever; i++)
		known |= network->ever[i].v == pkey.v;
	if (!known || sim->plan.options.policy == ENGINE_POLICY_ANY)
		return known;
	if (strcmp(element->namespace, pod->namespace) != 0 && !is_shared(sim, element->namespace))
		return false;
	return (namespace->ever_absent && sim->plan.options.policy == ENGINE_POLICY_NAMESPACE) ||
	       pkey_set_has(&namespace->ever, pkey);
}

bool sim_rules_recorded(const struct sim *sim, const struct sim_pod *pod, struct guid guid)
{
	struct record *record;
	struct error err;
	bool found = false;

	if (!sim->plan.options.keys || !pod->record_text ||
	    record_open(&record, sim->plan.options.keys, pod->record_text, pod->uid, &err) < 0)
		return false;
	for (size_t i = 0; i < record->n_attachments; i++)
		found |= record->attachments[i].guid.v == guid.v;
	record_free(record);
	return found;
}

/* --- what the engine says --- */

static void note_event(struct sim *sim, const struct engine_action *action)
{
	struct sim_rules *rules = sim->rules;
	const struct sim_pod *pod;

	if (action->event.network) {
		if (!sim_api_find_network(sim->api, action->event.namespace, action->event.name))
			sim_fail(sim, "event form", "an Event for a network that never was: %s/%s",
				 action->event.namespace, action->event.name);
		return;
	}
	pod = sim_api_pod_of_uid(sim->api, action->event.uid);

	if (!pod) {
		sim_fail(sim, "event form", "an Event for a pod that never was: %s", action->event.uid);
		return;
	}
	if (sim_rules_was_told(sim, pod, action->event.reason))
		return;
	if (rules->n_told == rules->cap_told) {
		rules->cap_told = rules->cap_told ? rules->cap_told * 2 : 64;
		rules->told = mem_resize(rules->told, rules->cap_told, sizeof(*rules->told));
	}
	rules->told[rules->n_told].pod = pod->number;
	snprintf(rules->told[rules->n_told++].reason, sizeof(rules->told->reason), "%s", action->event.reason);
}

bool sim_rules_was_told(const struct sim *sim, const struct sim_pod *pod, const char *reason)
{
	for (size_t i = 0; i < sim->rules->n_told; i++) {
		if (sim->rules->told[i].pod == pod->number && strcmp(sim->rules->told[i].reason, reason) == 0)
			return true;
	}
	return false;
}

static void tell_action(struct sim *sim, const struct sim_process *process, const struct engine_action *action)
{
	static const char *const names[] = { "JOIN",     "LEAVE",     "LIST",  "PATCH",
					     "READ_POD", "LIST_PODS", "EVENT", "POD_CHANGED" };
	char what[256] = "", guids[200] = "";
	size_t at = 0;

	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		for (size_t i = 0; i < action->write.n && at + 20 < sizeof(guids); i++)
			at += (size_t)snprintf(guids + at, sizeof(guids) - at, " %llx",
					       (unsigned long long)action->write.guids[i].v);
		snprintf(what, sizeof(what), "0x%x%s%s:%s", action->write.class.pkey.v,
			 action->write.class.membership == MEMBERSHIP_LIMITED ? " limited" : "",
			 action->write.class.index0 ? " index0" : "", guids);
		break;
	case ENGINE_LIST:
		if (action->list.all)
			snprintf(what, sizeof(what), "all");
		else
			snprintf(what, sizeof(what), "0x%x", action->list.pkey.v);
		break;
	case ENGINE_PATCH:
		for (size_t i = 0; i < action->patch.n && at + 60 < sizeof(guids); i++)
			at += (size_t)snprintf(
				guids + at, sizeof(guids) - at, " [%d] %llx %s", action->patch.publications[i].index,
				(unsigned long long)action->patch.publications[i].guid.v,
				action->patch.publications[i].pkey_text ? action->patch.publications[i].pkey_text
									: "-");
		snprintf(what, sizeof(what), "%s/%s%s%s", action->patch.pod->namespace, action->patch.pod->name, guids,
			 action->patch.record ? ", record" : "");
		break;
	case ENGINE_READ_POD:
		snprintf(what, sizeof(what), "%s/%s", action->read_pod.namespace, action->read_pod.name);
		break;
	case ENGINE_LIST_PODS:
		break;
	case ENGINE_POD_CHANGED:
		snprintf(what, sizeof(what), "%s", action->pod_changed.uid);
		break;
	case ENGINE_EVENT:
		snprintf(what, sizeof(what), "%s/%s %s: %s", action->event.namespace, action->event.name,
			 action->event.reason, action->event.text);
		break;
	}
	sim_say(sim, "act  %llu   %s #%llu %s", (unsigned long long)process->incarnation, names[action->kind],
		(unsigned long long)(action->kind == ENGINE_EVENT || action->kind == ENGINE_LIST_PODS ? 0 : action->id),
		what);
}

void sim_rules_action(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	if (sim_is_told(sim))
		tell_action(sim, process, action);
	if (!process->leading && action->kind != ENGINE_READ_POD && action->kind != ENGINE_LIST_PODS &&
	    action->kind != ENGINE_POD_CHANGED) {
		sim_fail(sim, "only the leader acts", "a process without the Lease wants something done");
		return;
	}
	if (action->kind != ENGINE_EVENT && action->kind != ENGINE_LIST_PODS && action->kind != ENGINE_POD_CHANGED &&
	    !sim_mind_take_id(sim_rules_mind(sim, process), action->id)) {
		sim_fail(sim, "ids are new", "id %llu was used before", (unsigned long long)action->id);
		return;
	}
	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		sim_rules_write(sim, process, action);
		break;
	case ENGINE_LIST:
		sim_rules_list(sim, process, action);
		break;
	case ENGINE_PATCH:
		sim_rules_patch(sim, process, action);
		break;
	case ENGINE_EVENT:
		note_event(sim, action);
		break;
	default:
		break;
	}
}

void sim_rules_step(struct sim *sim, struct sim_process *process)
{
	sim_rules_look(sim, process);
	sim_rules_attach(sim, process);
}
