#include <stdlib.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

/* Records: which one stands in a pod's annotation, and which one should. */

/* Whether the record is to name it: also what a patch of unknown outcome may have published. */
static bool is_on_record(const struct engine *e, const struct attachment *a)
{
	return engine_is_included(e, a) || ((a->in_patch || a->perhaps) && !attachment_is_over(a) && a->has_guid);
}

static uint64_t content_of_attachment(const struct engine *e, const struct record_attachment *r)
{
	uint64_t h = hash_text(e->seed, r->network);
	h = hash_text(h, r->interface);
	h = hash_number(h, (uint64_t)(int64_t)r->index);
	h = hash_number(h, r->guid.v);
	for (unsigned i = 0; i < r->n_memberships; i++)
		h = hash_number(h, (uint64_t)r->memberships[i].pkey.v << 8 |
					   (uint64_t)(r->memberships[i].membership == MEMBERSHIP_LIMITED) << 1 |
					   r->memberships[i].index0);
	return h;
}

/* Of what a record says, whatever its order, time and key.  Never 0. */
static uint64_t content_of(const struct engine *e, const struct record *record)
{
	uint64_t h = 1 + record->n_attachments;
	for (size_t i = 0; i < record->n_attachments; i++)
		h += content_of_attachment(e, &record->attachments[i]);
	return h ? h : 1;
}

static struct record *record_wanted(struct engine *e, const struct engine_pod *p)
{
	struct record *record = mem_alloc(sizeof *record);
	record->uid = mem_dup(p->text);
	record->attachments = mem_array(POD_NETWORKS_MAX + 1, sizeof *record->attachments);
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		const struct attachment *a = container_of(at, struct attachment, in_pod);
		if (!is_on_record(e, a) || record->n_attachments > POD_NETWORKS_MAX)
			continue;
		struct record_attachment *r = &record->attachments[record->n_attachments++];
		r->network = mem_printf("%s/%s", a->net->text, a->net->name);
		r->interface = mem_dup(a->interface ? a->interface->s : "");
		r->index = a->index;
		r->guid = a->guid;
		for (unsigned i = 0; i < a->n_seats; i++)
			r->memberships[r->n_memberships++] = (struct pkey_class){
				a->seats[i].partition->pkey,
				a->seats[i].limited ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL,
				a->seats[i].index0,
			};
	}
	return record;
}

struct record *engine_record_seen(struct engine *e, struct engine_pod *p, const struct pod *pod)
{
	if (!pod->texts_known)
		return NULL;
	if (!pod->record_text || !e->options.keys || engine_broken(BREAK_IGNORE_RECORDS)) {
		p->record_text = p->record_content = 0;
		return NULL;
	}
	uint64_t hash = hash_text(e->seed, pod->record_text);
	if (hash == p->record_text)
		return NULL;
	p->record_text = hash;
	p->record_content = 0;
	struct record *record;
	struct error err;
	if (record_open(&record, e->options.keys, pod->record_text, pod->uid, &err) < 0)
		return NULL;
	p->record_content = content_of(e, record);
	p->since = record->since_ms;
	if (record->since_ms > e->since_max)
		e->since_max = record->since_ms;
	return record;
}

bool engine_stands_as_recorded(struct engine *e, struct engine_pod *p)
{
	size_t n = 0;
	for (struct chain *at = p->attachments.next; at != &p->attachments; at = at->next) {
		const struct attachment *a = container_of(at, struct attachment, in_pod);
		if (a->has_guid || !a->recorded || n > POD_NETWORKS_MAX)
			return false;
		e->publications[n++] = (struct pod_publication){ .source = (enum pod_source)a->source,
								 .index = a->index,
								 .guid = a->guid,
								 .pkey_text = a->pkey_text ? a->pkey_text->s : NULL,
								 .runtime_guid = a->runtime_guid };
	}
	return n && pod_is_published(p->pod, e->publications, n);
}

bool engine_record_is_right(struct engine *e, const struct engine_pod *p, uint64_t *content)
{
	*content = 0;
	if (!e->options.keys)
		return true;
	struct record *record = record_wanted(e, p);
	*content = content_of(e, record);
	/* A text that is no record of ours is overwritten only where we have something to say. */
	bool right = *content == p->record_content || (!record->n_attachments && !p->record_content);
	record_free(record);
	return right;
}

void engine_make_record(struct engine *e, struct engine_pod *p)
{
	free(e->record);
	e->record = NULL;
	p->sent_content = p->sent_text = 0;
	if (!e->options.keys)
		return;
	struct record *record = record_wanted(e, p);
	if (record->n_attachments || p->record_content) {
		int64_t wall = e->now + e->wall_offset;
		e->since_max = wall > e->since_max ? wall : e->since_max + 1;
		record->since_ms = e->since_max;
		e->record = record_sign(e->options.keys, record);
		p->sent_content = content_of(e, record);
		p->sent_text = hash_text(e->seed, e->record);
		p->since = record->since_ms;
	}
	record_free(record);
}
