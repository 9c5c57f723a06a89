#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* What an attachment gets: the PKeys that its network names and its namespace may use, and a GUID; or why not. */

enum { POOL_AGAIN_MS = 60000 };

/* --- which network, which PKeys --- */

static bool is_shared(const struct engine *e, const char *namespace)
{
	for (size_t i = 0; e->shared[i]; i++)
		if (!strcmp(e->shared[i]->s, namespace))
			return true;
	return false;
}

/* Why the pod may not use the network and the PKey in it; NULL: it may. */
static const char *refusal(const struct engine *e, const struct attachment *a, const struct pkey *pkey)
{
	const struct space *space = a->pod->space;
	if (e->options.policy == ENGINE_POLICY_ANY)
		return NULL;
	if (strcmp(a->net->text, space->name) != 0 && !is_shared(e, a->net->text))
		return "the network is of another namespace, which shares none";
	if (!pkey || !space->rule)
		return NULL;
	switch (space->rule->has) {
	case NAMESPACE_PKEYS_ABSENT:
		return e->options.policy == ENGINE_POLICY_NAMESPACE
			       ? NULL
			       : "the pod's namespace has no annotation " NAMESPACE_PKEYS_KEY;
	case NAMESPACE_PKEYS_SET:
		return pkey_set_has(space->rule->allowed, *pkey)
			       ? NULL
			       : "it is not among those that the pod's namespace may use";
	case NAMESPACE_PKEYS_BAD:
		break;
	}
	return "the annotation " NAMESPACE_PKEYS_KEY " of the pod's namespace cannot be read";
}

static bool may_use(struct engine *e, struct attachment *a, const struct pkey *pkey)
{
	struct space *space = a->pod->space;
	char text[PKEY_TEXT_MAX];
	const char *why = refusal(e, a, pkey);
	if (why) {
		engine_attachment_block(e, a, "PKeyNotAllowed", "network %s/%s, PKey %s: %s%s%.200s", a->net->text,
					a->net->name, pkey ? pkey_format(text, *pkey) : "none", why,
					pkey && space->rule && space->rule->text ? "; it says " : "",
					pkey && space->rule && space->rule->text ? space->rule->text : "");
		engine_attachment_wait(e, a, WAIT_SPACE, &space->waiting);
		return false;
	}
	if (e->options.policy != ENGINE_POLICY_ANY && !space->rule) {
		engine_attachment_wait(e, a, WAIT_SPACE, &space->waiting);
		engine_attachment_hold(e, a, "NamespaceNotFound", "namespace %s is not known yet", space->name);
		return false;
	}
	return true;
}

static void add_seat(struct engine *e, struct attachment *a, struct pkey pkey, bool limited, bool index0)
{
	assert(a->n_seats < a->seats_max);
	struct seat *seat = &a->seats[a->n_seats++];
	seat->partition = engine_partition(e, pkey);
	seat->limited = limited;
	seat->index0 = index0;
}

static void set_seats(struct engine *e, struct attachment *a, const struct pkey *pkey)
{
	a->n_seats = 0;
	if (!pkey)
		return;
	add_seat(e, a, *pkey, false, e->options.index0);
	if (e->limited && e->options.limited.v != pkey->v)
		add_seat(e, a, e->options.limited, true, false);
}

static void set_network_texts(struct engine *e, struct attachment *a)
{
	const struct network *def = a->net->def;
	engine_text_drop(e, a->pkey_text);
	a->pkey_text = def->has_pkey == NETWORK_PKEY_VALID && def->pkey_text ? engine_text(e, def->pkey_text) : NULL;
	a->runtime_guid = def->runtime_guid;
}

/* Fills the seats from the network's definition; false when blocked. */
static bool decide_network(struct engine *e, struct attachment *a)
{
	const struct net *net = a->net;
	const struct network *def = net->def;
	if (!def) {
		engine_attachment_block(e, a, "NetworkNotFound", "network %s/%s does not exist", net->text, net->name);
		return false;
	}
	if (def->kind == NETWORK_UNREADABLE) {
		engine_attachment_block(e, a, "NetworkUnreadable", "network %s/%s: %s", net->text, net->name,
					def->problem ? def->problem : "its config is not understood");
		return false;
	}
	const struct pkey *pkey = def->has_pkey == NETWORK_PKEY_VALID ? &def->pkey : NULL;
	if (def->has_pkey == NETWORK_PKEY_BAD || (pkey && !pkey_set_has(&e->options.pkeys, *pkey))) {
		engine_attachment_block(e, a, "BadPKey", "network %s/%s: pkey %s %s", net->text, net->name,
					def->pkey_text ? def->pkey_text : "",
					pkey ? "is outside UFM_PKEY_RANGE" : "is not one of 0x1-0x7ffe");
		return false;
	}
	if (!may_use(e, a, pkey))
		return false;
	set_network_texts(e, a);
	set_seats(e, a, pkey);
	return true;
}

/* --- which GUID --- */

static struct guid_wait *find_wait(const struct engine *e, struct guid guid)
{
	uint64_t hash = hash_number(e->seed, guid.v);
	for (struct hash_node *n = hash_first(&e->guid_waits, hash); n; n = hash_next(n)) {
		struct guid_wait *wait = container_of(n, struct guid_wait, node);
		if (wait->guid.v == guid.v)
			return wait;
	}
	return NULL;
}

static void wait_for_guid(struct engine *e, struct attachment *a)
{
	struct guid_wait *wait = find_wait(e, a->wish);
	if (!wait) {
		wait = mem_alloc(sizeof *wait);
		wait->guid = a->wish;
		chain_init(&wait->waiting);
		hash_add(&e->guid_waits, &wait->node, hash_number(e->seed, a->wish.v));
	}
	engine_attachment_wait(e, a, WAIT_GUID, &wait->waiting);
}

void engine_guid_unwait(struct engine *e, struct guid guid)
{
	struct guid_wait *wait = find_wait(e, guid);
	if (!wait || !chain_empty(&wait->waiting))
		return;
	hash_remove(&e->guid_waits, &wait->node);
	free(wait);
}

/* Whether the fabric manager lists the GUID in no other PKeys than those that `a` would join; or, `also`, in one of these
 * whatever the others. */
static bool listed_where_it_goes(const struct engine *e, const struct attachment *a, struct guid guid, bool also)
{
	const struct sighting *sighting = engine_sighting(e, guid);
	if (!sighting)
		return true;
	uint32_t own = 0;
	for (unsigned i = 0; i < a->n_seats; i++) {
		const struct stray *stray = engine_stray_find(e, guid, a->seats[i].partition);
		own += stray && stray->state == STRAY_SEEN;
	}
	return own == sighting->listed || (also && own);
}

/* Takes this very GUID out of the pool for `a`.  `known`: that it is listed where `a` would join is no reason against
 * it.  `sure`: a record says whose it is, so neither rest nor listings count. */
static enum guid_claim claim(struct engine *e, struct attachment *a, struct guid guid, bool known, bool sure)
{
	if (!guid_pool_in_range(e->pool, guid))
		return GUID_CLAIM_OUT_OF_RANGE;
	if (e->stray_overflow && !sure)
		return GUID_CLAIM_BLOCKED;
	struct attachment *holder = engine_find_holder(e, guid);
	if (holder && holder->state != ATTACHMENT_RESTING && !engine_broken(BREAK_IGNORE_HOLDER))
		return GUID_CLAIM_HELD;
	enum guid_claim result = guid_pool_claim(e->pool, guid, sure && !holder, e->now);
	if (result == GUID_CLAIM_BLOCKED && known && !holder && !guid_pool_rest_end(e->pool, guid) &&
	    listed_where_it_goes(e, a, guid, e->phase == PHASE_ADOPT))
		result = guid_pool_claim(e->pool, guid, true, e->now);
	/* What stands published is believed at this moment; a rest of which no holder is known is only a guess. */
	if (result == GUID_CLAIM_RESTING && !holder && e->phase == PHASE_ADOPT &&
	    listed_where_it_goes(e, a, guid, true))
		result = guid_pool_claim(e->pool, guid, true, e->now);
	if (engine_broken(BREAK_IGNORE_HOLDER) && result == GUID_CLAIM_HELD)
		return GUID_CLAIM_OK;
	if (result == GUID_CLAIM_OK && holder)
		engine_attachment_free(e, holder); /* its rest is over */
	return result;
}

static void refuse_wish(struct engine *e, struct attachment *a, enum guid_claim why)
{
	char text[GUID_TEXT_MAX];
	guid_format(text, a->wish);
	wait_for_guid(e, a);
	switch (why) {
	case GUID_CLAIM_HELD:
		engine_attachment_block(e, a, "GUIDTaken", "GUID %s belongs to another attachment%s", text,
					a->pod->migration ? "; it is given when the migration's source is gone" : "");
		break;
	case GUID_CLAIM_RESTING:
		engine_attachment_block(
			e, a, "GUIDTaken",
			"GUID %s rests: it was given back a short while ago; it is given when its rest is over", text);
		wake_set(&e->wakes, &a->wake, guid_pool_rest_end(e->pool, a->wish) + 1);
		break;
	case GUID_CLAIM_BLOCKED:
		engine_attachment_block(e, a, "GUIDTaken", "the fabric manager lists GUID %s for somebody else", text);
		break;
	case GUID_CLAIM_OUT_OF_RANGE:
		engine_attachment_unwait(e, a);
		engine_attachment_block(e, a, "GUIDOutOfRange", "GUID %s is outside this cluster's pool", text);
		break;
	case GUID_CLAIM_OK:
		break;
	}
}

static void decide_wish(struct engine *e, struct attachment *a)
{
	bool known = e->phase < PHASE_RUN || (a->configured && !e->options.keys);
	enum guid_claim result = claim(e, a, a->wish, known, false);
	if (result != GUID_CLAIM_OK) {
		refuse_wish(e, a, result);
		return;
	}
	a->used = a->configured; /* perhaps by us, before a restart */
	if (e->observing)
		a->by_record = a->published = a->configured; /* there is no more to know of it */
	engine_attachment_reserve(e, a, a->wish);
}

static void wait_for_pool(struct engine *e, struct attachment *a, int64_t again)
{
	engine_attachment_wait(e, a, WAIT_POOL, &e->pool_waiting);
	engine_attachment_block(e, a, "PoolExhausted", "no GUID is free in the pool");
	if (e->n_unconfirmed) {
		int64_t audit = e->listed_all_at + e->options.rest_early_ms;
		if (audit <= e->now)
			e->audit_due = true;
		else if (audit < again)
			again = audit;
	}
	if (again > e->now + POOL_AGAIN_MS)
		again = e->now + POOL_AGAIN_MS;
	wake_sooner(&e->wakes, &e->pool_wake, again > e->now ? again : e->now + 1);
}

/* Where no records are kept: whose annotation says that this very GUID, which the pool has just given out early, is
 * its own. */
static struct attachment *asker_of(struct engine *e, struct guid guid)
{
	struct guid_wait *wait = e->options.keys || !e->guid_waits.count ? NULL : find_wait(e, guid);
	for (struct chain *at = wait ? wait->waiting.next : NULL; wait && at != &wait->waiting; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_wait);
		if (!a->configured || a->pod->terminating)
			continue;
		engine_attachment_unwait(e, a); /* `wait` may be gone with it */
		return decide_network(e, a) ? a : NULL;
	}
	return NULL;
}

static void decide_generated(struct engine *e, struct attachment *a)
{
	struct guid guid;
	int64_t again = INT64_MAX;
	if (e->observing)
		return; /* it is the leader's to give */
	for (;;) {
		struct guid_pool_use use = guid_pool_use(e->pool);
		bool early = use.held + use.resting + use.blocked >= use.size;
		if ((!chain_empty(&e->pool_waiting) && !e->pool_turn) || e->stray_overflow ||
		    !guid_pool_allocate(e->pool, e->options.rest_early_ms, e->now, &guid, &again)) {
			wait_for_pool(e, a, again);
			return;
		}
		struct attachment *rested = engine_find_holder(e, guid);
		if (rested)
			engine_attachment_free(e, rested);
		struct attachment *asker = asker_of(e, guid);
		struct attachment *taker = asker ? asker : a;
		taker->used = early; /* if it is given back unused it goes on resting */
		engine_attachment_reserve(e, taker, guid);
		if (!asker)
			return;
	}
}

/* Where no records are kept, what stands published in an annotation is the best there is to know; and where annotations
 * are adopted, the fabric manager has no say in networks without a PKey. */
static bool is_believed(const struct engine *e, const struct attachment *a)
{
	const struct network *def = a->net->def;
	if (!a->configured || a->wish_kind != POD_WISH_GUID)
		return false;
	if (e->observing && !a->pod->record_content)
		return true;
	return !e->options.keys || (e->options.adopt && def && def->has_pkey == NETWORK_PKEY_NONE);
}

static bool may_decide(const struct engine *e, const struct attachment *a)
{
	if (a->has_guid || attachment_is_over(a) || a->pod->gone)
		return false;
	if (a->pod->terminating && !a->recorded && e->phase >= PHASE_GENERATED)
		return false; /* it will not start any more */
	if (e->phase == PHASE_ADOPT)
		return is_believed(e, a);
	return e->phase >= PHASE_GENERATED || (e->phase == PHASE_WISHES && a->wish_kind == POD_WISH_GUID);
}

void engine_decide(struct engine *e, struct attachment *a)
{
	if (!may_decide(e, a))
		return;
	engine_attachment_unwait(e, a);
	if (a->recorded)
		engine_claim_record(e, a);
	if (a->has_guid)
		return;
	if (a->net->other) {
		a->net->let_go = true;
		engine_attachment_end(e, a, false);
		return;
	}
	if (!decide_network(e, a))
		return;
	if (a->wish_kind == POD_WISH_BAD)
		engine_attachment_block(e, a, "GUIDOutOfRange",
					"what is asked for is no GUID: eight pairs of hexadecimal digits with colons, "
					"neither zero nor all-ones");
	else if (a->wish_kind == POD_WISH_GUID)
		decide_wish(e, a);
	else
		decide_generated(e, a);
}

/* --- at the start --- */

/* Two valid records name one GUID: the one signed later wins. */
static bool displaces(const struct engine *e, const struct attachment *a, const struct attachment *holder)
{
	return e->phase == PHASE_RECORDS && holder->by_record && !attachment_is_over(holder) &&
	       a->pod->since > holder->pod->since;
}

void engine_claim_record(struct engine *e, struct attachment *a)
{
	assert(a->recorded && !a->has_guid);
	struct attachment *holder = engine_find_holder(e, a->guid);
	bool ok;
	if (holder && displaces(e, a, holder)) {
		engine_attachment_displace(e, holder);
		ok = true; /* the pool still holds it */
	} else {
		/* Also when it comes later, as what a dead leader had patched: a rest of which no holder is known is
		 * only a guess. */
		ok = claim(e, a, a->guid, true, true) == GUID_CLAIM_OK;
	}
	if (!ok) {
		a->recorded = false;
		a->n_seats = 0;
		engine_pod_tell(e, a->pod);
		return;
	}
	a->by_record = a->used = true;
	a->time_member = a->time_published = false; /* this was before us */
	a->published = a->pod->stands;
	engine_attachment_reserve(e, a, a->guid);
}

/* What the annotation says is taken over where the fabric manager agrees. */
static void take_over(struct engine *e, struct attachment *a)
{
	struct pkey pkey;
	if (!a->configured || a->wish_kind != POD_WISH_GUID || !a->net->def || a->net->def->kind != NETWORK_IB)
		return;
	if (!a->pkey_text || !pkey_parse(&pkey, a->pkey_text->s) || !pkey_set_has(&e->options.pkeys, pkey))
		return;
	const struct stray *stray = engine_stray_find(e, a->wish, engine_partition(e, pkey));
	if (!stray || stray->state == STRAY_REMOVED || !may_use(e, a, &pkey))
		return;
	a->runtime_guid = a->net->def->runtime_guid;
	set_seats(e, a, &pkey);
	if (claim(e, a, a->wish, true, false) != GUID_CLAIM_OK) {
		a->n_seats = 0;
		return;
	}
	a->by_record = a->used = true;
	engine_attachment_reserve(e, a, a->wish);
}

/* For going over from ib-kubernetes, or where there are no records. */
void engine_adopt(struct engine *e, struct attachment *a)
{
	if (e->options.adopt && !a->recorded)
		take_over(e, a);
	if (!a->has_guid && is_believed(e, a))
		engine_decide(e, a);
}

/* --- changes --- */

static bool same_network(const struct engine *e, const struct attachment *a)
{
	const struct network *def = a->net->def;
	if (!def || def->kind != NETWORK_IB || def->has_pkey == NETWORK_PKEY_BAD)
		return false;
	if (def->has_pkey == NETWORK_PKEY_NONE)
		return !a->n_seats;
	return a->n_seats && a->seats[0].partition->pkey.v == def->pkey.v && pkey_set_has(&e->options.pkeys, def->pkey);
}

void engine_network_changed(struct engine *e, struct attachment *a)
{
	if (attachment_is_over(a))
		return;
	engine_pod_tell(e, a->pod);
	if (!a->has_guid && a->net->other && !a->recorded) {
		a->net->let_go = true;
		engine_attachment_end(e, a, false);
	} else if (!a->has_guid) {
		engine_decide(e, a);
	} else if (attachment_is_fixed(a)) {
		return;
	} else if (same_network(e, a)) {
		set_network_texts(e, a);
	} else {
		struct attachment *other = engine_pod_replace(e, a);
		engine_attachment_end(e, a, false);
		engine_decide(e, other);
	}
}

/* The rule of its namespace changed. */
void engine_space_changed(struct engine *e, struct attachment *a)
{
	const struct network *def = a->net->def;
	const struct pkey *pkey = def && def->has_pkey == NETWORK_PKEY_VALID ? &def->pkey : NULL;
	if (a->has_guid)
		pkey = a->n_seats ? &a->seats[0].partition->pkey : NULL;
	if (attachment_is_over(a) || attachment_is_fixed(a) || !refusal(e, a, pkey))
		return;
	if (!a->has_guid) {
		engine_decide(e, a);
		return;
	}
	struct attachment *other = engine_pod_replace(e, a);
	engine_attachment_end(e, a, false);
	engine_decide(e, other);
}

static void try_pool(struct engine *e, size_t *budget)
{
	while (*budget && e->pool_try && !chain_empty(&e->pool_waiting)) {
		struct attachment *a = container_of(e->pool_waiting.next, struct attachment, in_wait);
		engine_spend(budget, DECISION_COST);
		chain_remove(&a->in_wait);
		a->wait = WAIT_NOT;
		e->pool_turn = true;
		engine_decide(e, a);
		e->pool_turn = false;
		/* Still nothing: it stays the first in the line. */
		if (!chain_empty(&e->pool_waiting) && e->pool_waiting.prev == &a->in_wait) {
			chain_remove(&a->in_wait);
			chain_insert(&e->pool_waiting, &a->in_wait);
			e->pool_try = false;
		}
	}
	if (chain_empty(&e->pool_waiting))
		e->pool_try = false;
}

void engine_decide_work(struct engine *e, size_t *budget)
{
	while (*budget && !chain_empty(&e->decisions)) {
		struct attachment *a = container_of(e->decisions.next, struct attachment, in_wait);
		engine_spend(budget, DECISION_COST);
		chain_remove(&a->in_wait);
		a->wait = WAIT_NOT;
		engine_decide(e, a);
	}
	try_pool(e, budget);
}
