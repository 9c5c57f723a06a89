#include <stdio.h>
#include <string.h>

#include "tests/sim/sim_plugins.h"
#include "tests/sim/sim_rules_parts.h"

/* What those who wait see: that it is true, and that they are told of every change. */

/* --- what can be seen --- */

struct seen {
	uint64_t hash;
	char *text;
	size_t size, at;
};

static uint64_t mix(uint64_t h, uint64_t n)
{
	h = (h ^ n) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t mix_text(uint64_t h, const char *text)
{
	for (; text && *text; text++)
		h = mix(h, (unsigned char)*text);
	return mix(h, text ? 256 : 257);
}

static void see(void *aux, const struct attachment_view *view)
{
	struct seen *seen = aux;
	uint64_t h = mix(mix(0, (uint64_t)view->state), (uint64_t)view->index + 2);

	h = mix(h, (uint64_t)view->source * 16 + view->has_guid * 8u + view->recorded * 4u + view->attachable * 2u +
			   view->refused);
	h = mix(mix(h, view->guid.v), view->n_memberships);
	for (unsigned i = 0; i < view->n_memberships; i++)
		h = mix(h, (uint64_t)view->memberships[i].pkey.v * 4 + view->memberships[i].index0 * 2u +
				   (view->memberships[i].membership == MEMBERSHIP_LIMITED));
	h = mix_text(mix_text(h, view->interface), view->config_name);
	h = mix_text(mix_text(h, view->pkey_text), view->blocked_reason);
	seen->hash += mix_text(h, view->blocked_text);
	if (seen->at < seen->size)
		seen->at += (size_t)snprintf(
			seen->text + seen->at, seen->size - seen->at, " [%d] %s %llx%s%s%s %s pkey %s %s", view->index,
			attachment_state_name(view->state), (unsigned long long)view->guid.v,
			view->has_guid ? " held" : "", view->recorded ? " recorded" : "",
			view->attachable ? " attachable" : "", view->config_name,
			view->pkey_text ? view->pkey_text : "-", view->blocked_reason ? view->blocked_reason : "");
}

uint64_t sim_rules_seen(const struct engine *engine, const char *uid, char *text, size_t size)
{
	struct seen seen = { 1, text, size, 0 };

	if (!engine_pod_node(engine, uid))
		return 0;
	engine_each_of_pod(engine, uid, see, &seen);
	return seen.hash;
}

/* --- whether it is true --- */

struct attach {
	struct sim *sim;
	struct sim_process *process;
	const struct sim_pod *pod;
};

static void judge_holder(const struct attach *attach, const struct attachment_view *view)
{
	const struct sim_grant *grant = sim_rules_holder(attach->sim, view->guid);

	if (!grant || grant->pod == attach->pod || grant->pod->loose || attach->pod->loose ||
	    !sim_rules_may_know(attach->process, grant))
		return;
	sim_fail(attach->sim, "only the holder attaches", "%s/%s[%d] may attach %llx, which %s/%s has",
		 view->pod_namespace, view->pod_name, view->index, (unsigned long long)view->guid.v,
		 grant->pod->namespace, grant->pod->name);
}

/* The fabric manager has said so; and it is so, when nobody takes anything away behind our back. */
static void judge_membership(const struct attach *attach, const struct attachment_view *view,
			     const struct pkey_class *class)
{
	const struct sim *sim = attach->sim;
	const struct sim_entry *entry = sim_ufm_find(sim->ufm, view->guid, class->pkey);
	bool honest = !sim->plan.losses && !sim->plan.foreign_writer && !sim_ufm_stole(sim->ufm);

	if (!sim_rules_is_confirmed(sim_rules_mind(sim, attach->process), view->guid, class))
		sim_fail(attach->sim, "only members attach",
			 "%s/%s[%d] may attach %llx, which was not read back from 0x%x", view->pod_namespace,
			 view->pod_name, view->index, (unsigned long long)view->guid.v, class->pkey.v);
	else if (honest && (!entry || entry->membership != class->membership || entry->index0 != class->index0))
		sim_fail(attach->sim, "only members attach", "%s/%s[%d] may attach %llx, which is %s 0x%x",
			 view->pod_namespace, view->pod_name, view->index, (unsigned long long)view->guid.v,
			 entry ? "wrongly in" : "not in", class->pkey.v);
}

static bool was_given(const struct attach *attach, struct guid guid)
{
	for (size_t i = sim_rules_grants(attach->sim); i-- > 0;) {
		const struct sim_grant *grant = sim_rules_grant_at(attach->sim, i);

		if (grant->pod == attach->pod && grant->guid.v == guid.v)
			return true;
	}
	return false;
}

static void judge(void *aux, const struct attachment_view *view)
{
	const struct attach *attach = aux;

	if (!view->attachable)
		return;
	if (view->state >= ATTACHMENT_LEAVING)
		sim_fail(attach->sim, "only members attach", "%s/%s[%d] may attach what it is giving back",
			 view->pod_namespace, view->pod_name, view->index);
	judge_holder(attach, view);
	if (!attach->process->leading) {
		/* Its news may be old, but not made up. */
		if (!was_given(attach, view->guid))
			sim_fail(attach->sim, "followers follow", "%s/%s[%d] may attach %llx, which it was never given",
				 view->pod_namespace, view->pod_name, view->index, (unsigned long long)view->guid.v);
		return;
	}
	if (!view->has_guid)
		sim_fail(attach->sim, "only members attach", "%s/%s[%d] may attach without a GUID", view->pod_namespace,
			 view->pod_name, view->index);
	for (unsigned i = 0; i < view->n_memberships && attach->sim->plan.options.gate == ENGINE_GATE_MEMBER; i++)
		judge_membership(attach, view, &view->memberships[i]);
}

/* --- at every step --- */

/* While the engine has work left it may not have come to telling yet. */
static bool is_idle(const struct sim *sim, const struct sim_process *process)
{
	return engine_deadline(process->engine) > sim->world.now;
}

void sim_rules_attach(struct sim *sim, struct sim_process *process)
{
	for (size_t i = 0; i < sim_plugins_asks(sim) && !sim_failed(sim); i++) {
		const struct sim_ask *ask = sim_plugins_ask(sim, i);
		struct attach attach = { sim, process, ask->pod };
		char text[512] = " gone";

		if (ask->incarnation != process->incarnation)
			continue;
		engine_each_of_pod(process->engine, ask->pod->uid, judge, &attach);
		if (!is_idle(sim, process) || sim_rules_seen(process->engine, ask->pod->uid, NULL, 0) == ask->seen)
			continue;
		sim_rules_seen(process->engine, ask->pod->uid, text, sizeof(text));
		sim_fail(sim, "waiters are told", "process %llu has not told of a change of %s/%s, which is now:%s",
			 (unsigned long long)process->incarnation, ask->pod->namespace, ask->pod->name, text);
	}
}
