#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ufmsync/api_private.h"

/* The members of one PKey: what the fabric manager lists now, each joined to who holds it. */

struct walk {
	struct api_call call;
	size_t at;
};

static json_t *member_item(const struct api_snapshot *snapshot, const struct member *member)
{
	struct attachment_view space;
	const struct attachment_view *holder;
	bool right, certain;
	enum member_kind kind =
		api_judge(snapshot->api, snapshot->index, snapshot->pkey, member, &space, &holder, &right, &certain);
	json_t *item = json_object();

	api_put(item, "guid", api_guid(member->guid));
	api_put(item, "membership", json_string_nocheck(membership_name(member->membership)));
	api_put_bool(item, "index0", member->index0);
	api_put(item, "kind", json_string_nocheck(api_kind_name(kind)));
	api_put(item, "right", certain ? json_boolean(right) : json_null());
	api_put(item, "owner", holder ? api_owner(snapshot->api, holder) : json_null());
	return item;
}

static json_t *counts_of(const struct api_snapshot *snapshot)
{
	json_t *counts = json_object();

	api_put_count(counts, "members", snapshot->n);
	api_put_count(counts, "full", snapshot->full);
	api_put_count(counts, "limited", snapshot->n - snapshot->full);
	for (int kind = 0; kind < MEMBER_KINDS; kind++)
		api_put_count(counts, api_kind_name((enum member_kind)kind), snapshot->kinds[kind]);
	return counts;
}

static void answer(struct walk *walk)
{
	const struct api_snapshot *snapshot = walk->call.snapshot;
	json_t *extra = json_object();
	char again[48];

	snprintf(again, sizeof again, "%" PRIu64 ".%zu", snapshot->revision, walk->at);
	api_put(extra, "pkey", api_pkey(snapshot->pkey));
	api_put_bool(extra, "writable", engine_writes_to(api_engine(walk->call.api), snapshot->pkey));
	api_put(extra, "asOf", api_wall(snapshot->wall_ms));
	api_put(extra, "counts", counts_of(snapshot));
	api_call_answer_list(&walk->call, extra, walk->at < snapshot->n ? again : NULL);
}

/* A PKey without members that neither the fabric manager nor we know of. */
static bool is_nothing(const struct api_snapshot *snapshot)
{
	struct pkey_view view;

	return !snapshot->exists && (!engine_pkey_from(api_engine(snapshot->api), snapshot->pkey.v, &view) ||
				     view.pkey.v != snapshot->pkey.v);
}

static bool walk_step(struct api_call *call)
{
	struct walk *walk = container_of(call, struct walk, call);
	const struct api_snapshot *snapshot = call->snapshot;

	if (is_nothing(snapshot)) {
		api_call_fail(call, 404, "NotFound", "the fabric manager has no such PKey, and no pod wants it");
		return false;
	}
	for (int i = 0; i < 16 && walk->at < snapshot->n && json_array_size(call->items) < call->limit; i++)
		json_array_append_new(call->items, member_item(snapshot, &snapshot->members[walk->at++]));
	if (walk->at < snapshot->n && json_array_size(call->items) < call->limit)
		return true;
	answer(walk);
	return false;
}

struct api_call *api_members(struct api_question *question)
{
	const char *at = question->query[API_KEY_CONTINUE];
	struct api_snapshot *snapshot = NULL;
	uint64_t revision, offset = 0;
	struct pkey pkey;

	if (!api_pkey_parse(&pkey, question->name))
		return api_fail(question, 400, "BadRequest", "the path does not end with a PKey (\"0x5\")");
	if (at && (!api_number(&revision, at, UINT64_MAX, &at) || *at++ != '.' ||
		   !api_number(&offset, at, API_MEMBERS_MAX, NULL)))
		return api_fail(question, 400, "BadRequest", "continue is not what a page said");
	if (!api_may(question, false))
		return NULL;
	if (at) {
		snapshot = api_snapshot_find(question->api, revision);
		if (!snapshot || snapshot->pkey.v != pkey.v || offset > snapshot->n)
			return api_fail(question, 410, "Expired",
					"this list is not kept any more; start again without continue");
	}
	struct walk *walk = api_call_new(question, sizeof *walk, walk_step, NULL);
	walk->at = offset;
	if (!snapshot)
		return api_fabric_ask(&walk->call, pkey) ? &walk->call : NULL;
	api_snapshot_use(snapshot);
	walk->call.snapshot = snapshot;
	walk->call.revision = revision;
	api_call_go(&walk->call);
	return &walk->call;
}
