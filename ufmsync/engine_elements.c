#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Which attachments a pod asks for: the elements of its annotations, matched with what is there already and with what
 * its record says. */

enum { ELEMENTS_MAX = POD_NETWORKS_MAX + 1 };

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
	bool mine = a->published || a->by_record || a->in_patch || a->perhaps;
	/* A predecessor's patch that our watch had not shown yet.  What its record says, or where there are no records
	 * what it published, may be in use. */
	bool given_otherwise = !mine && (recorded ? recorded->guid.v != a->guid.v
						  : asks_otherwise && el->configured && !e->options.keys);
	take_element(e, a, el);
	if (given_otherwise || (other_wish && asks_otherwise && !attachment_is_fixed(a))) {
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

void engine_pod_reconcile(struct engine *e, struct engine_pod *p)
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
		} else if (e->kept_bytes > KEPT_BYTES_MAX) {
			pod_forget_texts(p->pod);
			e->kept_bytes -= p->kept;
			p->kept = 0;
		}
	}
	engine_tell_unlisted(e, p);
	engine_pod_tell(e, p);
	engine_pod_set_work(e, p, WORK_REVIEW);
}
