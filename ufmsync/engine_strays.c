#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Strays: GUIDs of our range that the fabric manager lists where no attachment of ours sits.  Each keeps its GUID from
 * being given; those in PKeys of ours are orphans and are removed, if the brake lets us. */

enum { FEW_ORPHANS = 10 };

struct sighting *engine_sighting(const struct engine *e, struct guid guid)
{
	uint64_t hash = hash_number(e->seed, guid.v);
	for (struct hash_node *n = hash_first(&e->sightings, hash); n; n = hash_next(n)) {
		struct sighting *sighting = container_of(n, struct sighting, node);
		if (sighting->guid.v == guid.v)
			return sighting;
	}
	return NULL;
}

struct stray *engine_stray_find(const struct engine *e, struct guid guid, const struct partition *partition)
{
	struct sighting *sighting = engine_sighting(e, guid);
	if (!sighting)
		return NULL;
	for (struct chain *at = sighting->strays.next; at != &sighting->strays; at = at->next) {
		struct stray *stray = container_of(at, struct stray, in_sighting);
		if (stray->partition == partition)
			return stray;
	}
	return NULL;
}

/* --- counting --- */

enum stray_class engine_stray_class(const struct engine *e, const struct stray *stray)
{
	const struct attachment *holder = engine_find_holder(e, stray->sighting->guid);
	if (stray->state == STRAY_REMOVED)
		return STRAY_GONE;
	if (!stray->partition->ours)
		return STRAY_NOT_OURS;
	if (stray->foreign > e->epoch)
		return STRAY_FOREIGN;
	return holder && holder->state != ATTACHMENT_RESTING ? STRAY_UNEXPECTED : STRAY_ORPHAN;
}

static void uncount(struct engine *e, struct stray *stray)
{
	e->strays[stray->counted - 1]--;
	stray->partition->classes[stray->counted - 1]--;
}

static void count(struct engine *e, struct stray *stray)
{
	enum stray_class class = engine_stray_class(e, stray);
	if (stray->counted == class + 1)
		return;
	if (stray->counted)
		uncount(e, stray);
	e->strays[class]++;
	stray->partition->classes[class]++;
	stray->counted = (uint8_t)(class + 1);
	stray->named &= class == STRAY_ORPHAN;
	e->strays_revision++;
}

void engine_strays_classify(struct engine *e, struct guid guid)
{
	struct sighting *sighting = engine_sighting(e, guid);
	if (!sighting)
		return;
	for (struct chain *at = sighting->strays.next; at != &sighting->strays; at = at->next)
		count(e, container_of(at, struct stray, in_sighting));
}

static void set_ripe(struct engine *e, struct stray *stray, bool ripe)
{
	if (stray->ripe != ripe)
		e->n_ripe = ripe ? e->n_ripe + 1 : e->n_ripe - 1;
	stray->ripe = ripe;
}

/* --- coming and going --- */

static struct sighting *sighting_get(struct engine *e, struct guid guid)
{
	struct sighting *sighting = engine_sighting(e, guid);
	if (sighting)
		return sighting;
	sighting = mem_alloc(sizeof *sighting);
	sighting->guid = guid;
	chain_init(&sighting->strays);
	hash_add(&e->sightings, &sighting->node, hash_number(e->seed, guid.v));
	return sighting;
}

static void forget_oldest_tombstone(struct engine *e)
{
	if (e->n_tombstones > TOMBSTONES_MAX)
		engine_stray_free(e, container_of(e->tombstones.next, struct stray, in_queue));
}

struct stray *engine_stray_add(struct engine *e, struct guid guid, struct partition *partition)
{
	struct sighting *sighting = engine_sighting(e, guid);
	if (e->n_strays >= STRAYS_MAX || (sighting && sighting->n >= STRAYS_OF_GUID_MAX))
		return NULL;
	sighting = sighting_get(e, guid);
	struct stray *stray = mem_alloc(sizeof *stray);
	stray->sighting = sighting;
	stray->partition = partition;
	chain_init(&stray->in_queue);
	chain_append(&sighting->strays, &stray->in_sighting);
	chain_append(&partition->strays, &stray->in_partition);
	sighting->n++;
	sighting->listed++;
	e->n_strays++;
	count(e, stray);
	engine_guid_block(e, guid);
	return stray;
}

/* The other index 0 is gone: what was held back by it may be joined. */
static void release_held_back(struct engine *e, struct guid guid)
{
	struct attachment *a = engine_find_holder(e, guid);
	if (!a || attachment_is_over(a))
		return;
	for (unsigned i = 0; i < a->n_seats; i++)
		if (a->seats[i].state == SEAT_JOIN_QUEUED)
			engine_seat_join(e, &a->seats[i]);
}

static void unlisted(struct engine *e, struct stray *stray)
{
	struct guid guid = stray->sighting->guid;
	stray->sighting->listed--;
	/* As if it had been ours.  A removal that may still land must not meet the next owner. */
	int64_t rest = e->options.rest_ms;
	if (stray->tried_again && rest < e->options.write_timeout_ms)
		rest = e->options.write_timeout_ms;
	if (!stray->sighting->listed)
		guid_pool_rest(e->pool, guid, e->now + rest, stray->tried_again, e->now);
	engine_guid_block(e, guid);
	if (stray->index0)
		release_held_back(e, stray->sighting->guid);
}

void engine_stray_free(struct engine *e, struct stray *stray)
{
	struct sighting *sighting = stray->sighting;
	engine_stray_unqueue(e, stray);
	set_ripe(e, stray, false);
	if (stray->state == STRAY_REMOVED)
		e->n_tombstones--;
	bool was_listed = stray->state != STRAY_REMOVED;
	chain_remove(&stray->in_queue);
	if (e->sweep.at == &stray->in_partition)
		e->sweep.at = stray->in_partition.next;
	chain_remove(&stray->in_partition);
	chain_remove(&stray->in_sighting);
	e->strays_revision += stray->counted != STRAY_GONE + 1;
	uncount(e, stray);
	e->n_strays--;
	sighting->n--;
	if (was_listed)
		unlisted(e, stray);
	free(stray);
	if (!sighting->n) {
		hash_remove(&e->sightings, &sighting->node);
		free(sighting);
	}
}

void engine_stray_listed(struct engine *e, struct list *list, struct pkey pkey, const struct member *member)
{
	struct partition *partition = engine_partition(e, pkey);
	struct stray *stray = engine_stray_find(e, member->guid, partition);
	if (!stray)
		stray = engine_stray_add(e, member->guid, partition);
	if (!stray) {
		list->overflow |= e->n_strays >= STRAYS_MAX; /* nothing is given until they fit */
		return;
	}
	bool was_index0 = stray->index0;
	stray->seen[list->partition ? 0 : 1] = list->seq;
	stray->limited = member->membership == MEMBERSHIP_LIMITED;
	stray->index0 = member->index0;
	if (was_index0 && !stray->index0)
		release_held_back(e, member->guid);
}

/* --- judging --- */

static void removed(struct engine *e, struct stray *stray)
{
	engine_stray_unqueue(e, stray);
	stray->state = STRAY_REMOVED;
	e->tally->removed += stray->tried;
	stray->tried = false;
	set_ripe(e, stray, false);
	chain_remove(&stray->in_queue); /* of the foreigners, perhaps */
	chain_append(&e->tombstones, &stray->in_queue);
	e->n_tombstones++;
	count(e, stray);
	unlisted(e, stray);
	stray->tried_again = false;
	forget_oldest_tombstone(e);
}

static void came_back(struct engine *e, struct stray *stray, const struct list *list)
{
	chain_remove(&stray->in_queue);
	e->n_tombstones--;
	stray->sighting->listed++;
	stray->state = STRAY_SEEN;
	stray->sighted = true;
	stray->first_seen = list->done_at;
	stray->foreign = engine_broken(BREAK_FOREIGN_AGAIN) ? 0 : e->epoch + 1;
	if (stray->foreign)
		chain_append(&e->foreigners, &stray->in_queue);
	count(e, stray);
	engine_guid_block(e, stray->sighting->guid);
}

static void sighted(struct engine *e, struct stray *stray, const struct list *list)
{
	if (!stray->sighted) {
		stray->sighted = true;
		stray->first_seen = list->done_at;
		set_ripe(e, stray, engine_broken(BREAK_REMOVE_AT_FIRST_SIGHT));
	} else if (list->handed_at - stray->first_seen >= e->options.orphan_grace_ms) {
		set_ripe(e, stray, true);
	}
}

/* What an operator named is tried again at each audit, as what is removed by itself is. */
static void try_again(struct engine *e, struct stray *stray, const struct list *list)
{
	if (stray->named && !list->partition && stray->state == STRAY_SEEN)
		engine_stray_remove(e, stray);
}

static void still_there(struct engine *e, struct stray *stray, const struct list *list)
{
	sighted(e, stray, list);
	try_again(e, stray, list);
}

void engine_stray_judge(struct engine *e, const struct list *list, struct stray *stray)
{
	bool seen = stray->seen[list->partition ? 0 : 1] == list->seq;
	uint64_t latest = stray->seen[0] > stray->seen[1] ? stray->seen[0] : stray->seen[1];
	if (!seen && latest > list->seq)
		return; /* a list that was sent later showed it */
	switch ((enum stray_state)stray->state) {
	case STRAY_SEEN:
	case STRAY_QUEUED:
		if (seen)
			still_there(e, stray, list);
		else if (stray->tried || stray->foreign)
			removed(e, stray); /* our doing, if late; or another writer's, who may do it again */
		else
			engine_stray_free(e, stray);
		break;
	case STRAY_SENT:
		break;
	case STRAY_CHECK:
		if (stray->after >= list->seq) {
			e->sweep.judged_later = true;
		} else if (seen) {
			stray->state = STRAY_SEEN; /* the next audit tries again */
			try_again(e, stray, list);
		} else {
			removed(e, stray);
		}
		break;
	case STRAY_REMOVED:
		if (seen)
			came_back(e, stray, list);
		break;
	}
}

/* --- the brake --- */

bool engine_may_remove(const struct engine *e)
{
	if (e->phase != PHASE_RUN || e->observing || e->options.orphans == ENGINE_ORPHANS_KEEP)
		return false;
	return e->options.orphans == ENGINE_ORPHANS_REMOVE || (e->settled && !e->latched) ||
	       engine_broken(BREAK_REMOVE_UNSETTLED);
}

bool engine_stray_wants_removal(const struct engine *e, const struct stray *stray)
{
	if (stray->state != STRAY_SEEN || !stray->ripe)
		return false;
	enum stray_class class = engine_stray_class(e, stray);
	return class == STRAY_ORPHAN || class == STRAY_UNEXPECTED;
}

/* Also behind the brake: an operator who names a GUID has looked at it.  But what has only just been seen may belong to a
 * pod of which the watch has not told yet. */
bool engine_stray_is_removable(const struct engine *e, const struct stray *stray)
{
	return e->phase == PHASE_RUN && !e->observing && e->now >= e->quiet_until && stray->sighted &&
	       engine_stray_class(e, stray) == STRAY_ORPHAN &&
	       (stray->ripe || e->now - stray->first_seen >= e->options.orphan_grace_ms ||
		engine_broken(BREAK_REMOVE_AT_FIRST_SIGHT));
}

/* Asked once more, when the removal is sent. */
bool engine_stray_is_to_go(const struct engine *e, const struct stray *stray)
{
	if (stray->named)
		return engine_stray_is_removable(e, stray);
	return engine_may_remove(e) && engine_stray_wants_removal(e, stray);
}

void engine_strays_listed_all(struct engine *e)
{
	uint64_t orphans = e->strays[STRAY_ORPHAN];
	bool many = orphans > FEW_ORPHANS && orphans * 4 > e->in_range;
	if (!many)
		e->confirmed_orphans = 0;
	/* What the operator has seen and confirmed does not latch again, more of it does. */
	if (many && e->phase == PHASE_RUN && orphans > e->confirmed_orphans + FEW_ORPHANS)
		e->latched = true;
}

/* Another writer's count as orphans again: the operator knows whose they are. */
void engine_strays_confirmed(struct engine *e)
{
	while (!chain_empty(&e->foreigners)) {
		struct stray *stray = container_of(e->foreigners.next, struct stray, in_queue);
		chain_remove(&stray->in_queue);
		count(e, stray);
	}
}

void engine_strays_free(struct engine *e)
{
	for (struct chain *at = e->partitions.next, *next; at != &e->partitions; at = next) {
		struct partition *partition = container_of(at, struct partition, in_partitions);
		next = at->next;
		while (!chain_empty(&partition->strays))
			engine_stray_free(e, container_of(partition->strays.next, struct stray, in_partition));
		free(partition);
	}
}
