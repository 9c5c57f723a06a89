#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/what_if_parts.h"

/* The world as it was and as it would be, side by side. */

static bool same_class(const struct member *member, const struct pkey_class *class)
{
	return member && member->membership == class->membership && member->index0 == class->index0;
}

static const struct member *member_of(struct members *const sets[PKEY_COUNT], struct pkey pkey, struct guid guid)
{
	return sets[pkey.v] ? members_find(sets[pkey.v], guid) : NULL;
}

/* --- interfaces --- */

struct interfaces {
	struct what_if *world;
	struct pod *was;       /* of the pod that is being visited */
	struct record *record; /* its own; NULL: none that is believed */
	bool running;
	void (*visit)(void *aux, const struct what_if_interface *interface);
	void *aux;
};

static void find_joins(const struct what_if *world, struct what_if_interface *interface)
{
	const struct attachment_view *view = interface->view;

	for (unsigned i = 0; view->has_guid && i < view->n_memberships; i++) {
		const struct pkey_class *class = &view->memberships[i];
		if (!same_class(member_of(world->was, class->pkey, view->guid), class) &&
		    same_class(member_of(world->is, class->pkey, view->guid), class))
			interface->joins[interface->n_joins++] = *class;
	}
}

static bool is_stripped(const struct what_if *world, const struct pod_network *network)
{
	struct guid guid = network->guid;
	struct pkey pkey;

	return network->pkey_text && pkey_parse(&pkey, network->pkey_text) && pkey_set_has(&world->ours, pkey) &&
	       guid.v >= world->first.v && guid.v <= world->last.v && member_of(world->was, pkey, guid) &&
	       !member_of(world->held, pkey, guid);
}

static enum what_if_fate fate_of(const struct what_if_interface *interface)
{
	const struct attachment_view *view = interface->view;

	if (!view->has_guid)
		return WHAT_IF_WAITS;
	if (interface->had.v && interface->had.v != view->guid.v)
		return WHAT_IF_CHANGED;
	if (!interface->had.v && !interface->was_recorded)
		return WHAT_IF_GIVEN;
	return interface->n_joins ? WHAT_IF_JOINED : WHAT_IF_KEPT;
}

static void next_pod(struct interfaces *all, const char *uid)
{
	const struct thing *thing = uid ? what_if_find_pod(all->world, uid) : NULL;
	const struct record_keys *keys = all->world->keys;
	struct error err;

	pod_free(all->was);
	record_free(all->record);
	all->record = NULL;
	all->was = thing ? what_if_pod(thing->was) : NULL;
	all->running = thing && thing->running;
	if (keys && all->was && all->was->record_text)
		record_open(&all->record, keys, all->was->record_text, uid, &err); /* NULL: it is not believed */
}

static bool is_recorded(const struct record *record, const struct attachment_view *view)
{
	for (size_t i = 0; record && view->has_guid && i < record->n_attachments; i++)
		if (record->attachments[i].index == view->index && record->attachments[i].guid.v == view->guid.v)
			return true;
	return false;
}

static void visit_view(void *aux, const struct attachment_view *view)
{
	struct interfaces *all = aux;
	struct what_if_interface interface = { .view = view };

	if (view->state == ATTACHMENT_LEAVING || view->state == ATTACHMENT_RESTING)
		return; /* what was recorded, and is no longer asked for: among the strays */
	if (!all->was || strcmp(all->was->uid, view->pod_uid) != 0)
		next_pod(all, view->pod_uid);
	const struct pod_network *network = what_if_network(all->was, view->source, view->index);
	if (what_if_is_configured(network))
		interface.had = network->guid;
	interface.running = all->running;
	interface.was_recorded = is_recorded(all->record, view);
	bool wished = network && network->wish == POD_WISH_GUID && network->guid.v == view->guid.v;
	interface.known_guid = view->has_guid && (interface.was_recorded || wished);
	find_joins(all->world, &interface);
	interface.fate = fate_of(&interface);
	interface.stripped = network && interface.had.v && is_stripped(all->world, network);
	all->visit(all->aux, &interface);
}

void what_if_each(struct what_if *world, void (*visit)(void *aux, const struct what_if_interface *interface), void *aux)
{
	struct interfaces all = { .world = world, .visit = visit, .aux = aux };

	engine_each(world->engine, visit_view, &all);
	next_pod(&all, NULL);
}

/* --- strays --- */

struct strays {
	struct what_if *world;
	void (*visit)(void *aux, const struct what_if_stray *stray);
	void *aux;
};

static int guid_against(const void *key, const void *element)
{
	uint64_t guid = ((const struct guid *)key)->v, its = ((const struct carrier *)element)->guid.v;

	return (guid > its) - (guid < its);
}

static void visit_stray(const struct strays *all, struct what_if_stray *stray)
{
	const struct what_if *world = all->world;
	const struct carrier *carrier = world->n_carriers ? bsearch(&stray->member.guid, world->carriers,
								    world->n_carriers, sizeof *carrier, guid_against)
							  : NULL;

	if (carrier) {
		stray->namespace = carrier->namespace;
		stray->name = carrier->name;
	}
	all->visit(all->aux, stray);
}

static void still_there(void *aux, const struct stray_view *view)
{
	struct what_if_stray stray = { .member = { view->guid, view->membership, view->index0 },
				       .pkey = view->pkey,
				       .kind = view->kind,
				       .removed_after_ms = -1 };

	visit_stray(aux, &stray);
}

void what_if_each_stray(struct what_if *world, void (*visit)(void *aux, const struct what_if_stray *stray), void *aux)
{
	struct strays all = { world, visit, aux };
	struct stray_place place = { 0 };
	bool lost;

	for (size_t i = 0; i < world->n_leaves; i++) {
		const struct leave *leave = &world->leaves[i];
		struct what_if_stray stray = {
			.member = leave->member, .pkey = leave->pkey, .kind = leave->kind, .removed_after_ms = leave->at
		};
		visit_stray(&all, &stray);
	}
	while (engine_each_stray(world->engine, &place, SIZE_MAX, &lost, still_there, &all))
		;
}

void what_if_each_twice(struct what_if *world, void (*visit)(void *aux, const struct what_if_twice *twice), void *aux)
{
	for (size_t i = 1; i < world->n_carriers; i++) {
		const struct carrier *one = &world->carriers[i - 1], *other = &world->carriers[i];
		struct what_if_twice twice = { one->guid, one->namespace, one->name, other->namespace, other->name };
		if (one->guid.v == other->guid.v)
			visit(aux, &twice);
	}
}

/* --- sums --- */

static void count_add(void *aux, const struct member *member)
{
	(void)member;
	((struct what_if_pkey *)aux)->joined++;
}

static void count_remove(void *aux, const struct member *member)
{
	(void)member;
	((struct what_if_pkey *)aux)->removed++;
}

void what_if_each_pkey(struct what_if *world, void (*visit)(void *aux, const struct what_if_pkey *pkey), void *aux)
{
	struct members *none = members_new();

	for (int i = 0; i < PKEY_COUNT; i++) {
		const struct members *was = world->was[i] ? world->was[i] : none;
		const struct members *is = world->is[i] ? world->is[i] : none;
		struct what_if_pkey pkey = { .pkey = { (uint16_t)i }, .was = members_count(was) };
		members_difference(is, was, count_add, count_remove, &pkey);
		if (pkey.was || pkey.joined)
			visit(aux, &pkey);
	}
	members_free(none);
}

void what_if_each_event(struct what_if *world, void (*visit)(void *aux, const char *reason, bool network, uint64_t n),
			void *aux)
{
	for (size_t i = 0; i < world->n_counts; i++)
		visit(aux, world->counts[i].reason, world->counts[i].network, world->counts[i].n);
}

static void add_interface(void *aux, const struct what_if_interface *interface)
{
	struct what_if_totals *totals = aux;

	totals->interfaces++;
	totals->fates[interface->fate]++;
	totals->stripped += interface->stripped;
	totals->running_given +=
		interface->running && (interface->fate == WHAT_IF_GIVEN || interface->fate == WHAT_IF_CHANGED);
}

static void add_stray(void *aux, const struct what_if_stray *stray)
{
	struct what_if_totals *totals = aux;

	totals->orphans += stray->kind == STRAY_IS_ORPHAN;
	totals->orphans_carried += stray->kind == STRAY_IS_ORPHAN && stray->name;
}

static void add_pkey(void *aux, const struct what_if_pkey *pkey)
{
	struct what_if_totals *totals = aux;

	totals->pkeys += pkey->was > 0;
	totals->members += pkey->was;
	totals->joins += pkey->joined;
	totals->removals += pkey->removed;
}

static void add_twice(void *aux, const struct what_if_twice *twice)
{
	(void)twice;
	((struct what_if_totals *)aux)->twice++;
}

static void add_in_range(const struct what_if *world, struct what_if_totals *totals)
{
	for (int pkey = 0; pkey < PKEY_COUNT; pkey++) {
		const struct member *member;
		if (!world->was[pkey])
			continue;
		for (size_t at = members_from(world->was[pkey], world->first);
		     (member = members_next(world->was[pkey], &at)) && member->guid.v <= world->last.v;)
			totals->in_range++;
	}
}

void what_if_totals(struct what_if *world, struct what_if_totals *totals)
{
	struct engine_status status;

	engine_status(world->engine, &status);
	*totals = (struct what_if_totals){ .pods = world->n_things[WHAT_IF_PODS],
					   .networks = world->n_things[WHAT_IF_NETWORKS],
					   .ungated = status.ungated,
					   .brake = world->brake,
					   .took_ms = world->now - world->begun };
	what_if_each(world, add_interface, totals);
	what_if_each_stray(world, add_stray, totals);
	what_if_each_twice(world, add_twice, totals);
	what_if_each_pkey(world, add_pkey, totals);
	add_in_range(world, totals);
	for (struct chain *at = world->things[WHAT_IF_PODS].next; at != &world->things[WHAT_IF_PODS]; at = at->next) {
		const struct thing *thing = container_of(at, struct thing, in_kind);
		totals->patched += thing->is != NULL;
		totals->patched_record += thing->is && !thing->new_networks;
	}
}
