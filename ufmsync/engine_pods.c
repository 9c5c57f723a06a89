#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_state.h"

/* Pods: their coming, changing and going. */

enum { ELEMENTS_MAX = POD_NETWORKS_MAX + 1, GONE_GRACE_MS = 10000, READ_FIRST_MS = 1000, READ_MOST_MS = 60000 };

/* --- the table of pods --- */

static struct engine_pod *pod_find(const struct engine *e, const char *uid)
{
	uint64_t hash = hash_text(e->seed, uid);
	for (struct hash_node *n = hash_first(&e->pods_by_uid, hash); n; n = hash_next(n)) {
		struct engine_pod *p = container_of(n, struct engine_pod, by_uid);
		if (!strcmp(p->text, uid))
			return p;
	}
	return NULL;
}

static struct engine_pod *pod_new(struct engine *e, const struct pod *pod)
{
	size_t uid_len = strlen(pod->uid), name_len = strlen(pod->name);
	struct engine_pod *p = mem_alloc(sizeof *p + uid_len + name_len + 2);
	memcpy(p->text, pod->uid, uid_len + 1);
	memcpy(p->text + uid_len + 1, pod->name, name_len + 1);
	p->name = p->text + uid_len + 1;
	p->space = engine_space_get(e, pod->namespace);
	chain_append(&p->space->pods, &p->in_space);
	p->node = engine_text(e, pod->node);
	p->wake.kind = WAKE_POD;
	chain_init(&p->attachments);
	chain_init(&p->in_work);
	chain_append(&e->pods, &p->in_pods);
	hash_add(&e->pods_by_uid, &p->by_uid, hash_text(e->seed, pod->uid));
	e->n_pods++;
	return p;
}

static void skip(struct chain **walk, struct chain *link)
{
	if (*walk == link)
		*walk = link->next;
}

static void pod_unlist(struct engine *e, struct engine_pod *p)
{
	if (p->gone)
		return;
	p->gone = true;
	skip(&e->vanish_at, &p->in_pods);
	skip(&e->phase_at, &p->in_pods);
	skip(&e->reconcile_at, &p->in_pods);
	chain_remove(&p->in_pods);
	chain_append(&e->gone_pods, &p->in_pods);
	hash_remove(&e->pods_by_uid, &p->by_uid);
	e->n_pods--;
	if (!p->request)
		chain_remove(&p->in_work);
	p->work = WORK_NONE;
	wake_clear(&e->wakes, &p->wake);
	engine_pod_forget(e, p);
}

void engine_pod_unref(struct engine *e, struct engine_pod *p)
{
	if (!p->gone || p->request || !chain_empty(&p->attachments))
		return;
	chain_remove(&p->in_pods);
	engine_space_leave(e, p);
	engine_text_drop(e, p->node);
	free(p);
}

void engine_pod_forget(struct engine *e, struct engine_pod *p)
{
	if (!p->pod)
		return;
	pod_free(p->pod);
	p->pod = NULL;
	e->kept_pods--;
}

static void pod_keep(struct engine *e, struct engine_pod *p, struct pod *pod)
{
	engine_pod_forget(e, p);
	p->pod = pod;
	e->kept_pods++;
}

void engine_pod_set_work(struct engine *e, struct engine_pod *p, enum pod_work work)
{
	if (p->gone || p->request || p->work == work || (p->work == WORK_READ && work == WORK_REVIEW))
		return;
	chain_remove(&p->in_work);
	p->work = (uint8_t)work;
	if (work != WORK_NONE)
		chain_append(&e->work[work], &p->in_work);
}

void engine_pod_want_read(struct engine *e, struct engine_pod *p)
{
	p->need_read = true;
	engine_pod_set_work(e, p, WORK_READ);
}

void engine_pod_over(struct engine *e, struct engine_pod *p, bool unsure)
{
	if (p->gone)
		return;
	pod_unlist(e, p);
	for (struct chain *at = p->attachments.next, *next; at != &p->attachments; at = next) {
		next = at->next;
		bool last = next == &p->attachments;
		engine_attachment_end(e, container_of(at, struct attachment, in_pod), unsure);
		if (last)
			return; /* the pod may be freed with it */
	}
	engine_pod_unref(e, p);
}

/* --- which attachments a pod asks for --- */

static const char *text_of(const struct text *text)
{
	return text ? text->s : "";
}

static bool same_element(const struct attachment *a, const struct pod_network *el, bool with_index)
{
	return !a->matched && a->source == el->source && (!with_index || a->index == el->index) &&
	       !strcmp(text_of(a->interface), el->interface) && !strcmp(a->net->name, el->name) &&
	       !strcmp(a->net->text, el->namespace);
}

static struct attachment *find_match(struct engine_pod *p, const struct pod_network *el, bool with_index)
{
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		if (same_element(a, el, with_index)) {
			a->matched = true;
			return a;
		}
	}
	return NULL;
}

static const struct record_attachment *find_recorded(const struct record *record, const struct pod_network *el)
{
	size_t namespace_len = strlen(el->namespace);
	for (size_t i = 0; record && i < record->n_attachments; i++) {
		const struct record_attachment *r = &record->attachments[i];
		if (!strncmp(r->network, el->namespace, namespace_len) && r->network[namespace_len] == '/' &&
		    !strcmp(r->network + namespace_len + 1, el->name) && !strcmp(r->interface, el->interface) &&
		    (el->interface[0] ? (r->index < 0) == (el->index < 0) : r->index == el->index))
			return r;
	}
	return NULL;
}

/* What a record says becomes a claim, unless it names PKeys or a GUID that are none of ours any more. */
static void take_record(struct engine *e, struct attachment *a, const struct record_attachment *r,
			const struct pod_network *el)
{
	a->recorded = false;
	a->n_seats = 0;
	if (!r || r->n_memberships > a->seats_max || !guid_pool_in_range(e->pool, r->guid))
		return;
	for (unsigned i = 0; i < r->n_memberships; i++)
		if (!pkey_set_has(&e->options.pkeys, r->memberships[i].pkey))
			return;
	a->recorded = true;
	a->guid = r->guid;
	for (unsigned i = 0; i < r->n_memberships; i++) {
		struct seat *seat = &a->seats[a->n_seats++];
		seat->partition = engine_partition(e, r->memberships[i].pkey);
		seat->limited = r->memberships[i].membership == MEMBERSHIP_LIMITED;
		seat->index0 = r->memberships[i].index0;
	}
	/* The network may name another PKey by now: keep the text that was published for this one. */
	struct pkey pkey;
	char text[PKEY_TEXT_MAX];
	const struct network *def = a->net->def;
	engine_text_drop(e, a->pkey_text);
	a->pkey_text = NULL;
	if (!r->n_memberships)
		;
	else if (el->pkey_text && pkey_parse(&pkey, el->pkey_text) && pkey.v == r->memberships[0].pkey.v)
		a->pkey_text = engine_text(e, el->pkey_text);
	else if (def && def->pkey_text && def->has_pkey == NETWORK_PKEY_VALID &&
		 def->pkey.v == r->memberships[0].pkey.v)
		a->pkey_text = engine_text(e, def->pkey_text);
	else
		a->pkey_text = engine_text(e, pkey_format_wire(text, r->memberships[0].pkey));
	a->runtime_guid = def && !el->runtime_guid ? def->runtime_guid : el->runtime_guid;
}

static void take_element(struct engine *e, struct attachment *a, const struct pod_network *el)
{
	a->index = (int16_t)el->index;
	a->source = (uint8_t)el->source;
	a->configured = el->configured;
	a->wish_kind = (uint8_t)el->wish;
	a->wish = el->wish == POD_WISH_GUID ? el->guid : (struct guid){ 0 };
	if (!a->has_guid && !a->recorded) {
		engine_text_drop(e, a->pkey_text);
		a->pkey_text = el->pkey_text ? engine_text(e, el->pkey_text) : NULL;
	}
}

/* A deliberate fault for the simulator: the annotation taken for a record. */
static void believe_annotation(struct engine *e, struct attachment *a, const struct pod_network *el)
{
	struct record_attachment r = { .guid = el->guid };
	struct pkey pkey;
	if (!el->configured || el->wish != POD_WISH_GUID)
		return;
	if (el->pkey_text && pkey_parse(&pkey, el->pkey_text))
		r.memberships[r.n_memberships++] = (struct pkey_class){ pkey, MEMBERSHIP_FULL, e->options.index0 };
	take_record(e, a, &r, el);
}

static void element_new(struct engine *e, struct engine_pod *p, const struct pod_network *el,
			const struct record_attachment *recorded)
{
	struct net *net = engine_net_get(e, el->namespace, el->name);
	if (net->other && !recorded) {
		net->let_go = true;
		engine_net_drop(e, net);
		return;
	}
	unsigned seats = 1 + e->limited;
	if (recorded && recorded->n_memberships > seats)
		seats = recorded->n_memberships;
	struct attachment *a = engine_attachment_new(e, p, net, seats);
	a->interface = el->interface[0] ? engine_text(e, el->interface) : NULL;
	a->matched = true;
	take_record(e, a, recorded, el);
	if (engine_broken(BREAK_BELIEVE_ANNOTATION) && !a->recorded)
		believe_annotation(e, a, el);
	take_element(e, a, el);
	engine_decide(e, a);
}

struct attachment *engine_pod_replace(struct engine *e, struct attachment *old)
{
	struct net *net = engine_net_get(e, old->net->text, old->net->name);
	struct attachment *a = engine_attachment_new(e, old->pod, net, old->seats_max);
	a->interface = engine_text_ref(old->interface);
	a->matched = true;
	a->index = old->index;
	a->source = old->source;
	a->configured = old->configured;
	a->wish_kind = old->wish_kind;
	a->wish = old->wish;
	return a;
}

static void element_changed(struct engine *e, struct attachment *a, const struct pod_network *el,
			    const struct record_attachment *recorded, bool new_record)
{
	bool other_wish = el->wish != a->wish_kind || (el->wish == POD_WISH_GUID && el->guid.v != a->wish.v);
	if (!a->has_guid) {
		if (other_wish)
			engine_attachment_unwait(e, a);
		if (new_record)
			take_record(e, a, recorded, el);
		take_element(e, a, el);
		if (other_wish || new_record)
			engine_decide(e, a);
		return;
	}
	bool asks_otherwise = el->wish == POD_WISH_BAD || (el->wish == POD_WISH_GUID && el->guid.v != a->guid.v);
	bool given_otherwise = recorded && recorded->guid.v != a->guid.v; /* by a leader that died meanwhile */
	take_element(e, a, el);
	if (((other_wish && asks_otherwise) || given_otherwise) && !attachment_is_fixed(a)) {
		struct attachment *other = engine_pod_replace(e, a);
		engine_attachment_end(e, a, false);
		take_record(e, other, recorded, el);
		take_element(e, other, el);
		engine_decide(e, other);
	}
}

/* Attachments that the pod does not ask for any more leave.  An annotation that cannot be read takes nothing away. */
static void end_unmatched(struct engine *e, struct engine_pod *p)
{
	for (struct chain *at = p->attachments.next, *next; at != &p->attachments; at = next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		next = at->next;
		if (!a->matched)
			engine_attachment_end(e, a, a->used); /* its interface may still be in the running pod */
	}
}

static void reconcile(struct engine *e, struct engine_pod *p)
{
	const struct pod *pod = p->pod;
	struct attachment *found[ELEMENTS_MAX];
	size_t n = pod->n_networks < ELEMENTS_MAX ? pod->n_networks : ELEMENTS_MAX;
	struct record *record = engine_record_seen(e, p, pod);
	p->unreconciled = false;
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		struct attachment *a = container_of(at, struct attachment, in_pod);
		a->matched = attachment_is_over(a);
	}
	for (size_t i = 0; i < n; i++)
		found[i] = find_match(p, &pod->networks[i], true);
	for (size_t i = 0; i < n; i++)
		if (!found[i] && pod->networks[i].interface[0])
			found[i] = find_match(p, &pod->networks[i], false);
	if (!pod->problem)
		end_unmatched(e, p);
	for (size_t i = 0; i < n; i++) {
		const struct pod_network *el = &pod->networks[i];
		const struct record_attachment *recorded = find_recorded(record, el);
		if (found[i])
			element_changed(e, found[i], el, recorded, record || !p->record_content);
		else
			element_new(e, p, el, recorded);
	}
	record_free(record);
	if (e->phase < PHASE_RUN) {
		if (engine_stands_as_recorded(e, p)) {
			p->stands = true;
			engine_pod_forget(e, p);
		} else if (e->kept_pods > KEPT_PODS_MAX) {
			pod_forget_texts(p->pod);
		}
	}
	engine_pod_set_work(e, p, WORK_REVIEW);
}

/* --- facts --- */

static bool none_of_ours(struct engine *e, const struct pod *pod)
{
	if (pod->problem || pod->record_text)
		return false;
	bool ours = false;
	for (size_t i = 0; i < pod->n_networks && !ours; i++) {
		struct net *net = engine_net_get(e, pod->networks[i].namespace, pod->networks[i].name);
		ours = !net->other;
		engine_net_drop(e, net);
	}
	for (size_t i = 0; i < pod->n_networks && !ours; i++) {
		struct net *net = engine_net_get(e, pod->networks[i].namespace, pod->networks[i].name);
		net->let_go = true;
		engine_net_drop(e, net);
	}
	return !ours;
}

static void pod_seen(struct engine *e, struct pod *pod)
{
	struct engine_pod *p = pod_find(e, pod->uid);
	if (pod->finished || pod->host_network || !pod->node[0]) {
		if (p && pod->finished) {
			p->finished = true;
			engine_pod_over(e, p, false);
		}
		pod_free(pod);
		return;
	}
	if (!p && ((!pod->n_networks && !pod->problem) || (e->nets_sync.synced && none_of_ours(e, pod)))) {
		pod_free(pod);
		return;
	}
	if (!p)
		p = pod_new(e, pod);
	p->mark = e->pods_sync.mark;
	p->vanished = p->need_read = false;
	wake_clear(&e->wakes, &p->wake); /* what it was for is looked at again */
	if (p->work == WORK_READ)
		engine_pod_set_work(e, p, WORK_NONE);
	p->terminating = pod->terminating;
	p->migration = pod->migration_target;
	p->refused = false; /* it changed: perhaps there is room now */
	pod_keep(e, p, pod);
	if (pod->terminating && engine_broken(BREAK_RELEASE_TERMINATING)) {
		engine_pod_over(e, p, false);
		return;
	}
	if (e->nets_sync.synced)
		reconcile(e, p);
	else
		p->unreconciled = true;
}

void engine_pod_applied(struct engine *e, struct pod *pod, int64_t now)
{
	engine_touch(e, now);
	pod_seen(e, pod);
}

static void pod_vanished(struct engine *e, struct engine_pod *p)
{
	if (e->phase == PHASE_FOLLOW) {
		engine_pod_over(e, p, false);
	} else if (engine_broken(BREAK_VANISHED_IS_SURE)) {
		engine_pod_over(e, p, false);
	} else {
		p->vanished = true;
		engine_pod_want_read(e, p);
	}
}

void engine_pod_deleted(struct engine *e, struct pod *last, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = pod_find(e, last->uid);
	bool served = last->terminating && last->grace_ms > 0 && now + e->wall_offset >= last->gone_at_ms;
	if (p) {
		if (last->finished || last->containers_ended || served)
			engine_pod_over(e, p, false);
		else
			pod_vanished(e, p);
	}
	pod_free(last);
}

void engine_pods_begin(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->pods_sync.listing = true;
	e->pods_sync.mark++;
	e->vanish_at = NULL;
}

void engine_pods_end(struct engine *e, int64_t now)
{
	engine_touch(e, now);
	e->pods_sync.listing = false;
	e->pods_sync.synced = true;
	e->vanish_at = e->pods.next;
}

/* --- reading a pod --- */

static struct engine_pod *take_request(struct engine *e, uint64_t id)
{
	for (struct chain *at = e->requesting.next; at != &e->requesting; at = at->next) {
		struct engine_pod *p = container_of(at, struct engine_pod, in_work);
		if (p->request != id || !p->reading)
			continue;
		chain_remove(&p->in_work);
		p->request = 0;
		p->reading = false;
		e->reads--;
		return p;
	}
	return NULL;
}

static void read_gone(struct engine *e, struct engine_pod *p, bool vanished)
{
	if (vanished) {
		engine_pod_over(e, p, true);
		return;
	}
	/* The watch is about to tell how it ended; if it does not, it vanished. */
	p->vanished = true;
	wake_set(&e->wakes, &p->wake, e->now + GONE_GRACE_MS);
}

void engine_pod_read(struct engine *e, uint64_t id, enum engine_read how, struct pod *pod, int64_t now)
{
	engine_touch(e, now);
	struct engine_pod *p = take_request(e, id);
	if (!p || p->gone) {
		pod_free(pod);
		if (p)
			engine_pod_unref(e, p);
		return;
	}
	if (how == ENGINE_READ_FOUND && (!pod || strcmp(pod->uid, p->text) != 0)) {
		pod_free(pod);
		how = ENGINE_READ_GONE;
	}
	bool vanished = p->vanished;
	switch (how) {
	case ENGINE_READ_FOUND:
		p->failures = vanished ? p->failures + (p->failures < 20) : 0;
		bool over = pod->finished || engine_broken(BREAK_RELEASE_TERMINATING);
		pod_seen(e, pod);
		if (!vanished || over)
			return;
		/* It is there although the watch says it is not: ask until they agree. */
		p->vanished = true;
		wake_set(&e->wakes, &p->wake,
			 now + engine_backoff(e, p->failures, READ_FIRST_MS, READ_MOST_MS, p->by_uid.hash));
		return;
	case ENGINE_READ_GONE:
		read_gone(e, p, vanished);
		return;
	case ENGINE_READ_FAILED:
		p->failures += p->failures < 20;
		wake_set(&e->wakes, &p->wake,
			 now + engine_backoff(e, p->failures, READ_FIRST_MS, READ_MOST_MS, p->by_uid.hash));
		return;
	}
}

/* --- walks --- */

void engine_pods_work(struct engine *e, size_t *budget)
{
	while (*budget && e->reconcile_at) {
		if (e->reconcile_at == &e->pods) {
			e->reconcile_at = NULL;
			break;
		}
		struct engine_pod *p = container_of(e->reconcile_at, struct engine_pod, in_pods);
		e->reconcile_at = e->reconcile_at->next;
		--*budget;
		if (p->unreconciled)
			reconcile(e, p);
	}
	while (*budget && e->vanish_at && !e->reconcile_at) {
		if (e->vanish_at == &e->pods) {
			e->vanish_at = NULL;
			break;
		}
		struct engine_pod *p = container_of(e->vanish_at, struct engine_pod, in_pods);
		e->vanish_at = e->vanish_at->next;
		--*budget;
		if (p->mark != e->pods_sync.mark)
			pod_vanished(e, p);
	}
}

static void free_all(struct engine *e, struct chain *pods)
{
	while (!chain_empty(pods)) {
		struct engine_pod *p = container_of(pods->next, struct engine_pod, in_pods);
		pod_unlist(e, p);
		chain_remove(&p->in_work);
		p->request = 1; /* keeps it until its last attachment is gone */
		while (!chain_empty(&p->attachments))
			engine_attachment_free(e, container_of(p->attachments.next, struct attachment, in_pod));
		p->request = 0;
		engine_pod_unref(e, p);
	}
}

void engine_pods_free(struct engine *e)
{
	free_all(e, &e->pods);
	free_all(e, &e->gone_pods);
}
