#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ufmsync/api_private.h"

/* Whose a GUID is.  A leader's engine has a table of that; one that follows does not, and is walked for it: what records
 * and annotations of pods name. */

enum { STEP_PODS = 8, SEED = 5 };

struct entry {
	struct hash_node by_guid;
	struct guid guid;
	struct attachment_view view; /* its texts are those behind it */
	char text[];
};

struct api_index {
	struct api *api;
	struct hash entries;
	char *after;
	bool done;
};

struct api_index *api_index_new(struct api *api)
{
	struct api_index *index = mem_alloc(sizeof *index);

	index->api = api;
	hash_init(&index->entries);
	return index;
}

void api_index_free(struct api_index *index)
{
	if (!index)
		return;
	struct hash *table = &index->entries;
	for (size_t i = 0; i < table->base + table->split; i++) {
		for (struct hash_node *node = table->buckets[i], *next; node; node = next) {
			next = node->next;
			free(container_of(node, struct entry, by_guid));
		}
	}
	hash_free(table);
	free(index->after);
	free(index);
}

const struct attachment_view *api_index_find(const struct api_index *index, struct guid guid)
{
	struct hash_node *node = hash_first(&index->entries, hash_number(SEED, guid.v));

	while (node && container_of(node, struct entry, by_guid)->guid.v != guid.v)
		node = hash_next(node);
	return node ? &container_of(node, struct entry, by_guid)->view : NULL;
}

static void add(void *aux, const struct attachment_view *view)
{
	struct api_index *index = aux;
	struct guid guid;

	if (!api_view_guid(view, &guid) || api_index_find(index, guid))
		return;
	const char *const texts[] = { view->pod_namespace,     view->pod_name,     view->pod_uid,   view->node,
				      view->network_namespace, view->network_name, view->interface, view->pkey_text };
	size_t size = 0;
	for (size_t i = 0; i < array_length(texts); i++)
		size += texts[i] ? strlen(texts[i]) + 1 : 0;
	struct entry *entry = mem_alloc(sizeof *entry + size);
	struct attachment_view *copy = &entry->view;
	const char **copies[] = { &copy->pod_namespace,     &copy->pod_name,     &copy->pod_uid,   &copy->node,
				  &copy->network_namespace, &copy->network_name, &copy->interface, &copy->pkey_text };
	char *at = entry->text;
	*copy = *view;
	copy->config_name = "";
	copy->blocked_reason = copy->blocked_text = NULL;
	for (size_t i = 0; i < array_length(texts); i++) {
		if (!texts[i])
			continue;
		*copies[i] = at;
		at = stpcpy(at, texts[i]) + 1;
	}
	entry->guid = guid;
	hash_add(&index->entries, &entry->by_guid, hash_number(SEED, guid.v));
}

bool api_index_step(struct api_index *index)
{
	bool known;

	if (index->done)
		return false;
	const char *next = engine_each_page(api_engine(index->api), index->after, STEP_PODS, &known, add, index);
	if (!known) { /* the pod it stood at is gone: from the first, what is known stays */
		free(index->after);
		index->after = NULL;
		return true;
	}
	char *after = mem_dup(next);
	free(index->after);
	index->after = after;
	index->done = !after;
	return !index->done;
}

bool api_has_pkey(const struct attachment_view *view, struct pkey wanted)
{
	struct pkey pkey;

	for (unsigned i = 0; i < view->n_memberships; i++)
		if (view->memberships[i].pkey.v == wanted.v)
			return true;
	return view->pkey_text && pkey_parse(&pkey, view->pkey_text) && pkey.v == wanted.v;
}

static enum member_kind judge_by_index(const struct attachment_view *holder, struct pkey pkey,
				       enum member_kind otherwise)
{
	if (!holder || otherwise == MEMBER_IS_OUTSIDE)
		return otherwise;
	return api_has_pkey(holder, pkey) ? MEMBER_OF_ATTACHMENT : MEMBER_IS_UNEXPECTED;
}

static bool is_right(const struct attachment_view *holder, struct pkey pkey, const struct member *member)
{
	for (unsigned i = 0; i < holder->n_memberships; i++) {
		const struct pkey_class *class = &holder->memberships[i];

		if (class->pkey.v == pkey.v)
			return class->membership == member->membership && class->index0 == member->index0;
	}
	return false;
}

enum member_kind api_judge(const struct api *api, const struct api_index *index, struct pkey pkey,
			   const struct member *member, struct attachment_view *space,
			   const struct attachment_view **holder, bool *right, bool *certain)
{
	bool held;
	enum member_kind kind = engine_member_kind(api_engine(api), pkey, member, space, &held, right);

	*holder = held ? space : NULL;
	*certain = kind == MEMBER_OF_ATTACHMENT;
	if (!index)
		return kind;
	*holder = api_index_find(index, member->guid);
	kind = judge_by_index(*holder, pkey, kind);
	/* An annotation does not say which memberships it was given; a record does. */
	*certain = *holder && kind == MEMBER_OF_ATTACHMENT && (*holder)->n_memberships > 0;
	*right = *certain && is_right(*holder, pkey, member);
	return kind;
}

const char *api_kind_name(enum member_kind kind)
{
	static const char *const names[MEMBER_KINDS] = {
		[MEMBER_OF_ATTACHMENT] = "attachment", [MEMBER_IS_ORPHAN] = "orphan",
		[MEMBER_IS_UNEXPECTED] = "unexpected", [MEMBER_IS_FOREIGN] = "foreign",
		[MEMBER_IS_OUTSIDE] = "outside",
	};

	return names[kind];
}
