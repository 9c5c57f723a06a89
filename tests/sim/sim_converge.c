#include "tests/sim/sim_converge.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_ufm.h"

static bool in_range(const struct sim *sim, struct guid guid)
{
	return guid.v >= sim->plan.options.first.v && guid.v <= sim->plan.options.last.v;
}

static bool is_ours(const struct sim *sim, const struct sim_entry *entry)
{
	return in_range(sim, entry->guid) && pkey_set_has(&sim->plan.options.pkeys, entry->pkey);
}

/* --- what the engine holds --- */

struct hold {
	struct guid guid;
	const char *uid;
	enum pod_source source;
	int index;
	bool found, needs, resting, blocked, attachable;
	struct pkey pkey;
	enum attachment_state state;
	int64_t since;
	const char *reason;
};

static void find_guid(void *aux, const struct attachment_view *view)
{
	struct hold *hold = aux;

	if (!view->has_guid || view->guid.v != hold->guid.v)
		return;
	hold->found = true;
	hold->resting = view->state == ATTACHMENT_RESTING;
	for (unsigned i = 0; i < view->n_memberships; i++)
		hold->needs |= view->memberships[i].pkey.v == hold->pkey.v && view->state < ATTACHMENT_LEAVING;
}

static void find_owner(void *aux, const struct attachment_view *view)
{
	struct hold *hold = aux;

	if (strcmp(view->pod_uid, hold->uid) != 0 || view->source != hold->source || view->index != hold->index ||
	    view->state >= ATTACHMENT_LEAVING)
		return;
	hold->found = true;
	hold->state = view->state;
	hold->since = view->since;
	hold->attachable = view->attachable;
	hold->guid = view->has_guid ? view->guid : (struct guid){ 0 };
	hold->reason = view->blocked_reason;
}

/* --- a GUID that could be given --- */

static bool is_free(const struct sim *sim, const struct sim_process *leader, struct guid guid)
{
	struct hold hold = { .guid = guid };

	if (sim_ufm_lists(sim->ufm, guid) || sim_rules_holder(sim, guid))
		return false;
	engine_each(leader->engine, find_guid, &hold);
	return !hold.found;
}

static bool any_free(const struct sim *sim, const struct sim_process *leader)
{
	uint64_t size = sim->plan.options.last.v - sim->plan.options.first.v + 1;
	struct engine_status status;

	engine_status(leader->engine, &status);
	if (status.pool.resting)
		return false; /* they may have been everything else; a later look will tell */
	for (uint64_t i = 0; i < size && i < 300; i++) {
		if (is_free(sim, leader, (struct guid){ sim->plan.options.first.v + i }))
			return true;
	}
	return size > 300;
}

/* How long it may take to serve everybody when nothing goes wrong: one write after the other. */
int64_t sim_patience(const struct sim *sim)
{
	int64_t guids = (int64_t)sim->plan.pods_max * 4, batch = (int64_t)sim->plan.options.batch_max;
	int64_t writes = 2 * (guids / batch + 8); /* two memberships each; a few classes */

	return 20000 + writes * sim->plan.slow * 2 + (int64_t)sim->plan.pods_max * 200;
}

/* --- one interface --- */

static bool annotation_says(const struct pod_network *element, const struct sim_grant *grant)
{
	return element->configured && element->guid.v == grant->guid.v;
}

/* It stands at index 0 of another PKey, which the brake does not let it leave. */
static bool is_braked(const struct sim *sim, const struct sim_grant *grant, const struct hold *hold)
{
	const struct sim_process *leader = sim_cluster_leader(sim->cluster);
	struct engine_status status;

	engine_status(leader->engine, &status);
	return hold->found && hold->guid.v == grant->guid.v && hold->reason && strcmp(hold->reason, "GUIDTaken") == 0 &&
	       (status.brake != ENGINE_BRAKE_OFF || sim->plan.options.orphans == ENGINE_ORPHANS_KEEP);
}

/* It stands at index 0 of a PKey that we may never touch, and says so: index 0 of ours waits for that. */
static bool is_kept_elsewhere(const struct sim *sim, const struct hold *hold)
{
	if (!hold->found || !hold->reason || strcmp(hold->reason, "GUIDTaken") != 0)
		return false;
	for (size_t i = 0; i < sim_ufm_count(sim->ufm); i++) {
		const struct sim_entry *entry = sim_ufm_entry(sim->ufm, i);
		bool ours = pkey_set_has(&sim->plan.options.pkeys, entry->pkey) && entry->pkey.v != PKEY_MANAGEMENT;

		if (entry->guid.v == hold->guid.v && entry->index0 && !entry->late && !ours)
			return true;
	}
	return false;
}

static void judge_granted(struct sim *sim, const struct sim_pod *pod, const struct pod_network *element,
			  const struct sim_grant *grant, const struct hold *hold)
{
	if (is_braked(sim, grant, hold) || is_kept_elsewhere(sim, hold))
		return;
	if (!hold->found || hold->guid.v != grant->guid.v || hold->state != ATTACHMENT_PUBLISHED) {
		sim_fail(sim, "published stays", "%s/%s[%d] was published with %llx; the engine says %s %llx %s",
			 pod->namespace, pod->name, element->index, (unsigned long long)grant->guid.v,
			 hold->found ? attachment_state_name(hold->state) : "nothing", (unsigned long long)hold->guid.v,
			 hold->reason ? hold->reason : "");
		return;
	}
	if (!hold->attachable)
		sim_fail(sim, "members attach", "%s/%s[%d] is a member with %llx, and may not attach it",
			 pod->namespace, pod->name, element->index, (unsigned long long)grant->guid.v);
	if (!annotation_says(element, grant) && !pod->full)
		sim_fail(sim, "no work is lost", "%s/%s[%d]: the annotation does not say %llx any more", pod->namespace,
			 pod->name, element->index, (unsigned long long)grant->guid.v);
	for (unsigned i = 0; i < grant->n_memberships; i++) {
		const struct pkey_class *class = &grant->memberships[i];
		const struct sim_entry *entry = sim_ufm_find(sim->ufm, grant->guid, class->pkey);

		if (!entry || entry->membership != class->membership || entry->index0 != class->index0)
			sim_fail(sim, "published is listed", "%s/%s[%d]: %llx is %s 0x%x", pod->namespace, pod->name,
				 element->index, (unsigned long long)grant->guid.v, entry ? "wrongly in" : "not in",
				 class->pkey.v);
	}
}

static void judge_waiting(struct sim *sim, const struct sim_pod *pod, const struct pod_network *element,
			  const struct hold *hold)
{
	const struct sim_process *leader = sim_cluster_leader(sim->cluster);

	if (is_kept_elsewhere(sim, hold))
		return;
	if (element->wish == POD_WISH_GUID ? !is_free(sim, leader, element->guid) : !any_free(sim, leader))
		return;
	sim_fail(sim, "no work is lost", "%s/%s[%d] could be served and is not: %s %s", pod->namespace, pod->name,
		 element->index, hold->found ? attachment_state_name(hold->state) : "unknown to the engine",
		 hold->reason ? hold->reason : "");
}

static void judge_refused(struct sim *sim, const struct sim_pod *pod, const struct pod_network *element,
			  const struct hold *hold, enum sim_verdict verdict)
{
	const char *reason = verdict == SIM_BAD_PKEY ? "BadPKey" : verdict == SIM_NOT_ALLOWED ? "PKeyNotAllowed" : NULL;

	if (hold->found && hold->state == ATTACHMENT_PUBLISHED)
		sim_fail(sim, "only what is allowed", "%s/%s[%d] is published though it should be refused (%d)",
			 pod->namespace, pod->name, element->index, (int)verdict);
	if (verdict == SIM_NOT_OURS && hold->found && hold->guid.v)
		sim_fail(sim, "only what is allowed", "%s/%s[%d] is none of our business and is held", pod->namespace,
			 pod->name, element->index);
	/* While something else holds it up, that is what it is told. */
	if (reason && !hold->reason && !pod->terminating && !sim_rules_was_told(sim, pod, reason))
		sim_fail(sim, "refusals are told", "%s/%s[%d] never heard of %s", pod->namespace, pod->name,
			 element->index, reason);
}

static void judge_element(struct sim *sim, const struct sim_pod *pod, const struct pod_network *element)
{
	const struct sim_process *leader = sim_cluster_leader(sim->cluster);
	const struct sim_grant *grant = sim_rules_grant(sim, pod, element->source, element->index);
	struct hold hold = { .uid = pod->uid, .source = element->source, .index = element->index };
	enum sim_verdict verdict = sim_oracle(sim, pod, element);

	engine_each(leader->engine, find_owner, &hold);
	/* A GUID may have become free just now: it is served, but not yet at the end of it. */
	if (hold.found && hold.guid.v && sim->world.now - hold.since < sim_patience(sim))
		return;
	if (pod->loose || (verdict == SIM_UNCLEAR && !grant))
		return;
	if (grant)
		judge_granted(sim, pod, element, grant, &hold);
	else if (verdict == SIM_FINE && !pod->full && !pod->terminating)
		judge_waiting(sim, pod, element, &hold);
	else if (verdict != SIM_FINE &&
		 !(hold.found && hold.state == ATTACHMENT_MEMBER)) /* decided when it was allowed */
		judge_refused(sim, pod, element, &hold, verdict);
}

/* --- what the fabric manager lists --- */

static bool is_owned(const struct sim *sim, const struct sim_entry *entry)
{
	const struct sim_process *leader = sim_cluster_leader(sim->cluster);
	const struct sim_grant *grant = sim_rules_holder(sim, entry->guid);
	struct hold hold = { .guid = entry->guid, .pkey = entry->pkey };

	engine_each(leader->engine, find_guid, &hold);
	return hold.needs || (grant && (grant->pod->loose || sim_grant_needs(grant, entry->pkey)));
}

static void judge_entry(struct sim *sim, const struct sim_entry *entry, const struct engine_status *status, bool braked)
{
	if (!is_ours(sim, entry) || is_owned(sim, entry))
		return;
	if (braked || sim->plan.options.orphans == ENGINE_ORPHANS_KEEP || status->foreign)
		return;
	if (entry->origin == SIM_FOREIGN && sim_rules_holder(sim, entry->guid))
		return; /* another writer's idea of a GUID that lives here */
	sim_fail(sim, "nothing is leaked", "%llx stands in 0x%x, and nobody needs it there (%s)",
		 (unsigned long long)entry->guid.v, entry->pkey.v,
		 entry->origin == SIM_OURS      ? "we put it there"
		 : entry->origin == SIM_FOREIGN ? "foreign"
						: "restored");
}

static void judge_fabric(struct sim *sim, bool braked)
{
	const struct sim_process *leader = sim_cluster_leader(sim->cluster);
	struct engine_status status;

	engine_status(leader->engine, &status);
	for (size_t i = 0; i < sim_ufm_count(sim->ufm); i++)
		judge_entry(sim, sim_ufm_entry(sim->ufm, i), &status, braked || status.brake != ENGINE_BRAKE_OFF);
}

/* Also those that only a plugin had brought. */
static void judge_forgotten(struct sim *sim, const struct sim_process *process)
{
	for (size_t i = 0; i < sim_api_pods(sim->api); i++) {
		const struct sim_pod *pod = sim_api_pod(sim->api, i);

		if (!pod->exists && engine_pod_node(process->engine, pod->uid))
			sim_fail(sim, "the gone are forgotten", "process %llu still knows %s/%s",
				 (unsigned long long)process->incarnation, pod->namespace, pod->name);
	}
}

struct in_use {
	const struct sim_network *network;
	bool used;
};

static void find_use(void *aux, const struct attachment_view *view)
{
	struct in_use *use = aux;

	use->used |= view->state < ATTACHMENT_LEAVING && strcmp(view->network_name, use->network->name) == 0 &&
		     strcmp(view->network_namespace, use->network->namespace) == 0;
}

static void judge_ungated(struct sim *sim, const struct sim_process *process)
{
	const struct sim_network *network;
	struct engine_status status;
	uint64_t ungated = 0;

	for (size_t i = 0; (network = sim_api_network(sim->api, i)); i++) {
		struct in_use use = { network, false };

		if (!network->exists || network->parsed->kind != NETWORK_IB || network->parsed->gated)
			continue;
		engine_each(process->engine, find_use, &use);
		ungated += use.used;
	}
	engine_status(process->engine, &status);
	if (status.ungated != ungated)
		sim_fail(sim, "the status adds up", "%llu networks in use let pods start early, the status says %llu",
			 (unsigned long long)ungated, (unsigned long long)status.ungated);
}

enum { NODES_MAX = 64 };

struct census {
	struct {
		const char *name;
		struct pkey_set pkeys;
		uint64_t n; /* the default partition among them */
	} nodes[NODES_MAX];
	size_t n;
};

static void take_census(void *aux, const struct attachment_view *view)
{
	struct census *census = aux;
	size_t i = 0;

	if (!view->has_guid || view->state >= ATTACHMENT_LEAVING || !view->n_memberships)
		return;
	while (i < census->n && strcmp(census->nodes[i].name, view->node) != 0)
		i++;
	if (i == NODES_MAX)
		return;
	if (i == census->n) {
		census->nodes[census->n++].n = 1;
		census->nodes[i].name = view->node;
	}
	for (unsigned k = 0; k < view->n_memberships; k++) {
		census->nodes[i].n += !pkey_set_has(&census->nodes[i].pkeys, view->memberships[k].pkey);
		pkey_set_add(&census->nodes[i].pkeys, view->memberships[k].pkey);
	}
}

static void judge_nodes(struct sim *sim, const struct sim_process *process)
{
	struct census *census = mem_alloc(sizeof(*census));
	struct engine_status status;
	uint64_t most = 0;

	engine_each(process->engine, take_census, census);
	for (size_t i = 0; i < census->n; i++)
		most = census->nodes[i].n > most ? census->nodes[i].n : most;
	engine_status(process->engine, &status);
	if (census->n < NODES_MAX && status.node_pkeys_max != most)
		sim_fail(sim, "the status adds up", "a node has %llu PKeys, the status says %llu",
			 (unsigned long long)most, (unsigned long long)status.node_pkeys_max);
	free(census);
}

void sim_judge_converged(struct sim *sim, bool braked)
{
	if (sim_failed(sim))
		return;
	for (int slot = 0; slot < SIM_SLOTS; slot++) {
		const struct sim_process *process = sim_cluster_process(sim->cluster, slot);

		if (!process)
			continue;
		judge_forgotten(sim, process);
		judge_ungated(sim, process);
		judge_nodes(sim, process);
	}
	if (!sim_cluster_leader(sim->cluster)) {
		sim_fail(sim, "no work is lost", "nobody leads");
		return;
	}
	for (size_t i = 0; i < sim_api_pods(sim->api); i++) {
		const struct sim_pod *pod = sim_api_pod(sim->api, i);

		for (size_t k = 0; pod->exists && k < pod->parsed->n_networks; k++)
			judge_element(sim, pod, &pod->parsed->networks[k]);
	}
	judge_fabric(sim, braked);
}

void sim_judge_empty(struct sim *sim)
{
	const struct sim_process *leader = sim_cluster_leader(sim->cluster);
	struct engine_status status;

	if (sim_failed(sim) || !leader)
		return;
	engine_status(leader->engine, &status);
	for (int state = ATTACHMENT_WANTED; state < ATTACHMENT_RESTING; state++) {
		if (status.attachments[state])
			sim_fail(sim, "nothing is leaked", "no pod is left, and %llu attachments are %s",
				 (unsigned long long)status.attachments[state],
				 attachment_state_name((enum attachment_state)state));
	}
	if (status.wanted || status.node_pkeys_max || status.to_join || status.to_patch || status.oldest >= 0)
		sim_fail(sim, "the status adds up",
			 "no pod is left: %llu wanted, %llu PKeys, %llu to join, %llu to patch",
			 (unsigned long long)status.wanted, (unsigned long long)status.node_pkeys_max,
			 (unsigned long long)status.to_join, (unsigned long long)status.to_patch);
	if (status.pool.held)
		sim_fail(sim, "nothing is leaked", "no pod is left, and %llu GUIDs are held",
			 (unsigned long long)status.pool.held);
	judge_fabric(sim, false);
}

void sim_judge_served(struct sim *sim, const struct sim_pod *pod)
{
	if (sim_failed(sim) || !sim_cluster_leader(sim->cluster) || !sim_pod_counts(pod))
		return;
	for (size_t k = 0; k < pod->parsed->n_networks; k++)
		judge_element(sim, pod, &pod->parsed->networks[k]);
}
