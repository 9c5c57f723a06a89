#include <string.h>

#include "tests/sim/sim_rules_parts.h"

/* What the engine holds, seen after every step: who was given which GUID since the last look, and whether it was free
 * to give. */

struct look {
	struct sim *sim;
	struct sim_process *process;
	struct sim_mind *mind;
	uint64_t free_guids;
	uint64_t states[ATTACHMENT_STATES];
	uint64_t wanted; /* memberships of those that live */
	bool under_way;
};

static bool in_range(const struct sim *sim, struct guid guid)
{
	return guid.v >= sim->plan.options.first.v && guid.v <= sim->plan.options.last.v;
}

static bool view_needs(const struct attachment_view *view, struct pkey pkey)
{
	for (unsigned i = 0; i < view->n_memberships; i++) {
		if (view->memberships[i].pkey.v == pkey.v)
			return true;
	}
	return false;
}

static bool is_wished(const struct sim_pod *pod, struct sim_owner owner, struct guid guid)
{
	const struct pod_network *element = sim_rules_element(pod, owner.source, owner.index);

	return element && element->wish == POD_WISH_GUID && element->guid.v == guid.v;
}

/* A GUID that somebody uses: as far as this process can know of it. */
static void judge_holder(struct look *look, struct sim_owner owner, struct guid guid)
{
	const struct sim_grant *grant = sim_rules_holder(look->sim, guid);
	char a[64], b[64];

	if (!grant || grant->pod->loose || sim_owner_is(sim_grant_owner(grant), owner))
		return;
	if (!sim_rules_may_know(look->process, grant))
		return;
	sim_fail(look->sim, "one holder", "GUID %llx is given to %s though it is published for living %s",
		 (unsigned long long)guid.v, sim_owner_name(look->sim, owner, a),
		 sim_owner_name(look->sim, sim_grant_owner(grant), b));
}

static const struct sim_grant *last_ended(const struct sim *sim, struct guid guid)
{
	const struct sim_grant *last = NULL;

	for (size_t i = 0; i < sim_rules_grants(sim); i++) {
		const struct sim_grant *grant = sim_rules_grant_at(sim, i);

		if (grant->guid.v == guid.v && grant->ended_at && (!last || grant->ended_at > last->ended_at))
			last = grant;
	}
	return last;
}

/* It learned only later, from a list, that the pod was gone: by then its grace period may have been over. */
static bool missed_the_end(const struct look *look, const struct sim_grant *last)
{
	return last->pod->terminating && look->process->watches[SIM_PODS].listed_at >= last->ended_at;
}

static bool is_listed_for(const struct look *look, const struct attachment_view *view)
{
	bool listed = false;

	for (unsigned i = 0; i < view->n_memberships; i++)
		listed |=
			sim_sighting_is_shown(sim_mind_seen(look->mind, view->guid, view->memberships[i].pkey), false);
	return listed;
}

/* The rest of its last holder.  Of a holder that this process never knew, a small pool remembers at least that somebody
 * may just have had it. */
static void judge_rest(struct look *look, const struct attachment_view *view, const struct sim_holding *holding,
		       struct sim_owner owner, bool wished)
{
	const struct engine_options *options = &look->sim->plan.options;
	const struct sim_grant *last = last_ended(look->sim, holding->guid);
	int64_t now = look->sim->world.now, since, least;
	bool knew, generous = look->free_guids > 0 && look->mind->free_guids > 0;
	char a[64], b[64];

	if (!last || last->pod->loose || sim_owner_is(sim_grant_owner(last), owner))
		return;
	knew = sim_owner_is(holding->owner, sim_grant_owner(last));
	if (!knew && holding->owner.pod)
		return; /* it was given in between, and came back unused: that rest was spent then */
	if (!knew && wished && is_listed_for(look, view))
		return; /* who asks for what is listed where it belongs is taken for its owner */
	if (!knew && (options->last.v - options->first.v >= 4095 || last->since > look->process->lead_at))
		return;
	since = knew ? last->ended_at : look->process->born_at;
	least = wished || generous ? options->rest_ms : options->rest_early_ms;
	if (least > options->rest_ms)
		least = options->rest_ms;
	if (knew && last->unsure && !missed_the_end(look, last))
		least = options->rest_unsure_ms;
	if (now - since >= least)
		return;
	sim_fail(look->sim, "rest", "GUID %llx is given to %s %lld ms after the end of %s, %s%lld ms are the least",
		 (unsigned long long)holding->guid.v, sim_owner_name(look->sim, owner, a), (long long)(now - since),
		 sim_owner_name(look->sim, sim_grant_owner(last), b),
		 knew && last->unsure ? "which was not sure, " : "", (long long)least);
}

/* What the fabric manager lists is in use, whoever put it there. */
static void judge_listed(struct look *look, const struct attachment_view *view, struct sim_owner owner, bool wished)
{
	char a[64];

	for (uint16_t v = PKEY_FIRST; v <= PKEY_MANAGEMENT; v = v == 0x1f   ? 0x50
								: v == 0x50 ? PKEY_MANAGEMENT
									    : v + 1) {
		struct pkey pkey = { v };
		const struct sim_sighting *sighting = sim_mind_seen(look->mind, view->guid, pkey);

		if (!sim_sighting_is_shown(sighting, true) || (wished && view_needs(view, pkey)))
			continue;
		sim_fail(look->sim, "listed is taken", "GUID %llx is given to %s though it was listed in PKey 0x%x",
			 (unsigned long long)view->guid.v, sim_owner_name(look->sim, owner, a), v);
		return;
	}
}

static void judge_decision(struct look *look, const struct attachment_view *view, const struct sim_holding *holding,
			   struct sim_owner owner)
{
	const struct sim_pod *pod = sim_api_pod(look->sim->api, owner.pod - 1);
	const struct sim_grant *own = sim_rules_grant(look->sim, pod, owner.source, owner.index);
	bool wished = is_wished(pod, owner, view->guid);

	if (own && own->guid.v == view->guid.v)
		return;
	judge_holder(look, owner, view->guid);
	if (sim_rules_recorded(look->sim, pod, view->guid) || pod->loose)
		return;
	judge_rest(look, view, holding, owner, wished);
	if (!look->sim->plan.options.adopt || !wished)
		judge_listed(look, view, owner, wished);
}

/* It rests from now on: so the fabric manager must have shown that it has left.  (A later list may show it again: then
 * it must leave again, and is not given before.) */
static void judge_left(struct look *look, const struct sim_holding *holding)
{
	char a[64];

	for (unsigned i = 0; i < holding->n_memberships; i++) {
		struct pkey pkey = holding->memberships[i].pkey;
		const struct sim_sighting *s = sim_mind_seen(look->mind, holding->guid, pkey);

		if (!s || (!s->maybe && !s->shown_by))
			continue;
		if (s->hidden_by && s->hidden_by >= s->leave_answered_at && s->hidden_by >= s->join_answered_at)
			continue;
		sim_fail(look->sim, "left before rest",
			 "GUID %llx of %s rests, but no list since its last write showed that it left 0x%x",
			 (unsigned long long)holding->guid.v, sim_owner_name(look->sim, holding->owner, a), pkey.v);
	}
}

static void judge_early(struct look *look, const struct attachment_view *view)
{
	const struct sim_process *process = look->process;

	if (!process->leading)
		sim_fail(look->sim, "only the leader acts", "a process without the Lease holds GUID %llx",
			 (unsigned long long)view->guid.v);
	else if (!look->mind->listed || !process->watches[SIM_PODS].synced || !process->watches[SIM_NETWORKS].synced ||
		 !process->watches[SIM_NAMESPACES].synced)
		sim_fail(look->sim, "nothing before all is known",
			 "GUID %llx is given before everything was listed once", (unsigned long long)view->guid.v);
	else if (!in_range(look->sim, view->guid) || !guid_usable(view->guid))
		sim_fail(look->sim, "ranges", "GUID %llx outside the pool is given", (unsigned long long)view->guid.v);
}

static void note(struct look *look, const struct attachment_view *view, struct sim_holding *holding,
		 struct sim_owner owner)
{
	holding->owner = owner;
	holding->state = view->state;
	holding->looked = look->mind->looks;
	holding->published |= view->state == ATTACHMENT_PUBLISHED;
	holding->n_memberships = view->n_memberships;
	memcpy(holding->memberships, view->memberships, sizeof(holding->memberships));
	for (unsigned i = 0; i < view->n_memberships && view->state < ATTACHMENT_RESTING; i++) {
		struct sim_sighting *s = sim_mind_sighting(look->mind, view->guid, view->memberships[i].pkey);

		s->needed = true;
		s->removed = s->came_back = false;
	}
}

static void tell(struct look *look, const struct attachment_view *view, const struct sim_holding *holding, bool new)
{
	if (new || holding->state != view->state)
		sim_say(look->sim, "state %llu  %s/%s[%d] %llx %s -> %s",
			(unsigned long long)look->process->incarnation, view->pod_namespace, view->pod_name,
			view->index, (unsigned long long)view->guid.v,
			new ? "(new)" : attachment_state_name(holding->state), attachment_state_name(view->state));
}

static void visit(void *aux, const struct attachment_view *view)
{
	struct look *look = aux;
	const struct sim_pod *pod = sim_api_pod_of_uid(look->sim->api, view->pod_uid);
	struct sim_holding *holding;
	struct sim_owner owner;
	bool new;

	look->states[view->state]++;
	if (view->has_guid && view->state < ATTACHMENT_LEAVING)
		look->wanted += view->n_memberships;
	look->under_way |= view->has_guid && view->state != ATTACHMENT_PUBLISHED && view->state != ATTACHMENT_RESTING;
	if (!view->has_guid || sim_failed(look->sim))
		return;
	if (!pod) {
		sim_fail(look->sim, "view form", "an attachment of a pod that never was: %s", view->pod_uid);
		return;
	}
	owner = (struct sim_owner){ pod->number + 1, view->source, view->index };
	judge_early(look, view);
	holding = sim_mind_holding(look->mind, view->guid);
	if (holding->looked == look->mind->looks)
		sim_fail(look->sim, "one holder", "GUID %llx has two attachments at once",
			 (unsigned long long)view->guid.v);
	new = !sim_owner_is(holding->owner, owner) ||
	      (holding->state >= ATTACHMENT_LEAVING && view->state < ATTACHMENT_LEAVING);
	if (sim_is_told(look->sim))
		tell(look, view, holding, new);
	if (new && view->state < ATTACHMENT_LEAVING)
		judge_decision(look, view, holding, owner);
	if (!new && view->state == ATTACHMENT_RESTING && holding->state != ATTACHMENT_RESTING)
		judge_left(look, holding);
	note(look, view, holding, owner);
}

/* What is counted as it goes is what a walk over everything finds. */
static void judge_counts(const struct look *look, const struct engine_status *status)
{
	struct sim *sim = look->sim;

	for (int state = 0; state < ATTACHMENT_STATES; state++) {
		if (look->states[state] != status->attachments[state])
			sim_fail(sim, "the status adds up", "%llu attachments are %s, the status says %llu",
				 (unsigned long long)look->states[state],
				 attachment_state_name((enum attachment_state)state),
				 (unsigned long long)status->attachments[state]);
	}
	if (look->wanted != status->wanted)
		sim_fail(sim, "the status adds up", "%llu memberships are wanted, the status says %llu",
			 (unsigned long long)look->wanted, (unsigned long long)status->wanted);
	if (look->under_way ? status->oldest < 0 || status->oldest > sim->world.now
			    : status->oldest >= 0 && !status->missing)
		sim_fail(sim, "the status adds up", "%s is on its way, the status says since %lld",
			 look->under_way ? "something" : "nothing", (long long)status->oldest);
}

void sim_rules_look(struct sim *sim, struct sim_process *process)
{
	struct look look = { .sim = sim, .process = process, .mind = sim_rules_mind(sim, process) };
	struct engine_status status;

	engine_status(process->engine, &status);
	look.free_guids = status.pool.size - status.pool.held - status.pool.resting - status.pool.blocked;
	look.mind->looks++;
	engine_each(process->engine, visit, &look);
	look.mind->free_guids = look.free_guids;
	judge_counts(&look, &status);
}
