#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Questions of operators, each in steps that are short whatever the cluster's size. */

/* --- attachments in pages --- */

/* What no uid begins with: behind it stands a GUID that a pod which is gone still holds. */
enum { GONE_MARK = '~' };

static struct engine_pod *pod_at(const struct chain *link)
{
	return container_of((struct chain *)link, struct engine_pod, in_pods);
}

static struct engine_pod *find_place(const struct engine *e, const char *place)
{
	struct guid guid;
	if (place[0] != GONE_MARK)
		return engine_pod_find(e, place);
	const struct attachment *a = guid_parse(&guid, place + 1) ? engine_find_holder(e, guid) : NULL;
	return a && a->pod->gone ? a->pod : NULL;
}

/* Every attachment of a pod that is gone holds its GUID; one without any waits only for a request's answer. */
static const char *place_of(struct engine *e, const struct engine_pod *p)
{
	if (!p->gone)
		return p->text;
	for (const struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		const struct attachment *a = container_of((struct chain *)at, struct attachment, in_pod);
		if (!a->has_guid)
			continue;
		e->place[0] = GONE_MARK;
		guid_format(e->place + 1, a->guid);
		return e->place;
	}
	return NULL;
}

static void visit_pod(const struct engine *e, const struct engine_pod *p,
		      void (*visit)(void *aux, const struct attachment_view *view), void *aux)
{
	for (const struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment_view view;
		engine_view_of(e, &view, container_of((struct chain *)at, struct attachment, in_pod));
		visit(aux, &view);
	}
}

const char *engine_each_page(struct engine *e, const char *after, size_t pods, bool *known,
			     void (*visit)(void *aux, const struct attachment_view *view), void *aux)
{
	const struct engine_pod *last = after ? find_place(e, after) : NULL;
	const struct chain *head = last && last->gone ? &e->gone_pods : &e->pods;
	const struct chain *at = last ? last->in_pods.next : head->next;
	*known = !after || last;
	if (!*known)
		return NULL;
	for (;;) {
		if (at == head && head == &e->pods) {
			head = &e->gone_pods;
			at = head->next;
		}
		if (at == head)
			return NULL;
		const struct engine_pod *p = pod_at(at);
		const char *place = place_of(e, p);
		visit_pod(e, p, visit, aux);
		at = at->next;
		if (pods > 1)
			pods--;
		else if (place)
			return place;
	}
}

/* --- one GUID --- */

bool engine_holder(const struct engine *e, struct guid guid, struct attachment_view *view)
{
	const struct attachment *a = engine_find_holder(e, guid);
	if (!a)
		return false;
	engine_view_of(e, view, a);
	return true;
}

void engine_range(const struct engine *e, struct guid *first, struct guid *last)
{
	*first = e->options.first;
	*last = e->options.last;
}

bool engine_writes_to(const struct engine *e, struct pkey pkey)
{
	return pkey_set_has(&e->options.pkeys, pkey) && pkey.v != PKEY_MANAGEMENT;
}

static enum member_kind kind_of_stray(const struct engine *e, struct guid guid, struct pkey pkey, bool live)
{
	const struct partition *partition = e->by_pkey[pkey.v];
	const struct stray *stray = partition ? engine_stray_find(e, guid, partition) : NULL;
	switch (stray ? engine_stray_class(e, stray) : STRAY_GONE) {
	case STRAY_ORPHAN:
		return MEMBER_IS_ORPHAN;
	case STRAY_UNEXPECTED:
		return MEMBER_IS_UNEXPECTED;
	case STRAY_NOT_OURS:
	case STRAY_FOREIGN:
		return MEMBER_IS_FOREIGN;
	default: /* the last list that was read did not show it */
		if (!engine_writes_to(e, pkey))
			return MEMBER_IS_FOREIGN;
		return live ? MEMBER_IS_UNEXPECTED : MEMBER_IS_ORPHAN;
	}
}

enum member_kind engine_member_kind(const struct engine *e, struct pkey pkey, const struct member *member,
				    struct attachment_view *holder, bool *held, bool *right)
{
	assert(pkey.v < PKEY_COUNT);
	const struct attachment *a = engine_find_holder(e, member->guid);
	*held = a;
	*right = false;
	if (a)
		engine_view_of(e, holder, a);
	if (!guid_pool_in_range(e->pool, member->guid))
		return MEMBER_IS_OUTSIDE;
	for (unsigned i = 0; a && i < a->n_seats; i++) {
		const struct seat *seat = &a->seats[i];
		if (seat->partition->pkey.v != pkey.v)
			continue;
		*right = seat->limited == (member->membership == MEMBERSHIP_LIMITED) && seat->index0 == member->index0;
		return MEMBER_OF_ATTACHMENT;
	}
	return kind_of_stray(e, member->guid, pkey, a && a->state != ATTACHMENT_RESTING);
}

/* --- PKeys --- */

bool engine_pkey_from(const struct engine *e, uint16_t from, struct pkey_view *view)
{
	for (unsigned v = from; v < PKEY_COUNT; v++) {
		const struct partition *partition = e->by_pkey[v];
		*view = (struct pkey_view){ .pkey = { (uint16_t)v },
					    .writable = engine_writes_to(e, (struct pkey){ (uint16_t)v }),
					    .listed = e->listed_of[v] };
		if (partition) {
			view->full = partition->members[0];
			view->limited = partition->members[1];
			view->missing = partition->missing;
			view->orphans = partition->classes[STRAY_ORPHAN];
			view->foreign = partition->classes[STRAY_FOREIGN] + partition->classes[STRAY_NOT_OURS];
		}
		if (view->full || view->limited || view->listed || view->missing || view->orphans || view->foreign)
			return true;
	}
	return false;
}

/* --- strays --- */

const char *stray_kind_name(enum stray_kind kind)
{
	static const char *const names[] = {
		[STRAY_IS_ORPHAN] = "orphan",
		[STRAY_IS_UNEXPECTED] = "unexpected",
		[STRAY_IS_FOREIGN] = "foreign",
	};

	return names[kind];
}

uint64_t engine_strays_revision(const struct engine *e)
{
	return e->strays_revision;
}

static void visit_stray(const struct engine *e, const struct stray *stray,
			void (*visit)(void *aux, const struct stray_view *view), void *aux)
{
	static const enum stray_kind kinds[STRAY_CLASSES] = {
		[STRAY_NOT_OURS] = STRAY_IS_FOREIGN,
		[STRAY_FOREIGN] = STRAY_IS_FOREIGN,
		[STRAY_ORPHAN] = STRAY_IS_ORPHAN,
		[STRAY_UNEXPECTED] = STRAY_IS_UNEXPECTED,
	};
	const struct stray_view view = {
		.guid = stray->sighting->guid,
		.pkey = stray->partition->pkey,
		.membership = stray->limited ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL,
		.index0 = stray->index0,
		.kind = kinds[stray->counted - 1],
		.removing = stray->state != STRAY_SEEN || stray->named,
		.removable = engine_stray_is_removable(e, stray),
		.first_seen = stray->sighted && !e->observing ? stray->first_seen : -1,
	};
	visit(aux, &view);
}

static const struct partition *partition_at(const struct engine *e, const struct chain *link)
{
	return link == &e->partitions ? NULL : container_of((struct chain *)link, struct partition, in_partitions);
}

/* The link behind the place; NULL: it is not known any more. */
static const struct chain *link_behind(const struct engine *e, const struct stray_place *place,
				       const struct partition *partition)
{
	if (!place->guid.v)
		return partition->strays.next;
	const struct stray *stray = engine_stray_find(e, place->guid, partition);
	return stray ? stray->in_partition.next : NULL;
}

bool engine_each_stray(const struct engine *e, struct stray_place *place, size_t steps, bool *lost,
		       void (*visit)(void *aux, const struct stray_view *view), void *aux)
{
	const struct partition *partition =
		place->begun ? e->by_pkey[place->pkey.v % PKEY_COUNT] : partition_at(e, e->partitions.next);
	if (!place->begun)
		*place = (struct stray_place){ .revision = e->strays_revision };
	const struct chain *at = partition ? link_behind(e, place, partition) : NULL;
	*lost = place->revision != e->strays_revision || (place->begun && !at);
	place->begun = true;
	while (!*lost && partition) {
		for (; at != &partition->strays; at = at->next) {
			const struct stray *stray = container_of((struct chain *)at, struct stray, in_partition);
			if (!steps)
				return true;
			steps--;
			place->pkey = partition->pkey;
			place->guid = stray->sighting->guid;
			if (stray->counted != STRAY_GONE + 1)
				visit_stray(e, stray, visit, aux);
		}
		partition = partition_at(e, partition->in_partitions.next);
		if (!partition)
			break;
		at = partition->strays.next;
		place->pkey = partition->pkey;
		place->guid = (struct guid){ 0 };
		if (!steps)
			return true;
		steps--;
	}
	return false;
}

static bool is_removable(const struct engine *e, struct guid guid)
{
	const struct sighting *sighting = engine_sighting(e, guid);
	bool any = false;
	for (const struct chain *at = sighting ? sighting->strays.next : NULL; sighting && at != &sighting->strays;
	     at = at->next)
		any |= engine_stray_is_removable(e, container_of((struct chain *)at, struct stray, in_sighting));
	return any;
}

static void remove_named(struct engine *e, struct guid guid)
{
	struct sighting *sighting = engine_sighting(e, guid);
	for (struct chain *at = sighting->strays.next; at != &sighting->strays; at = at->next) {
		struct stray *stray = container_of(at, struct stray, in_sighting);
		if (!engine_stray_is_removable(e, stray))
			continue;
		stray->named = true;
		if (stray->state == STRAY_SEEN)
			engine_stray_remove(e, stray);
	}
}

bool engine_remove_orphans(struct engine *e, const struct guid *guids, size_t n, uint64_t revision, size_t *which,
			   int64_t now)
{
	engine_touch(e, now);
	*which = n;
	if (revision != e->strays_revision)
		return false;
	for (size_t i = 0; i < n; i++) {
		*which = i;
		if (!is_removable(e, guids[i]))
			return false;
	}
	for (size_t i = 0; i < n; i++)
		remove_named(e, guids[i]);
	return true;
}
