#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ufmsync/api_private.h"

/* Attachments: walked pod by pod, over as many turns as it takes. */

enum { PLACES = 16 };

/* A walk can only get lost between two turns: the pod it stands at may go.  Then it goes back to where it stood a turn
 * before, or before that. */
struct place {
	char *after; /* NULL: at the first pod */
	size_t n_items;
	uint64_t skip;
};

struct walk {
	struct api_call call;
	char *namespace, *pod, *node; /* NULL: any */
	bool by_pkey, by_state;
	struct pkey pkey;
	enum attachment_state state;
	char *after;
	uint64_t skip;  /* of the next pod's attachments: on the page before */
	uint64_t seen;  /* of the pod that is being visited */
	uint64_t taken; /* of these, looked at: on this page, or none of those wanted */
	struct place places[PLACES];
	unsigned n_places;
	uint64_t turn; /* in which the last place was remembered: one that was still known then */
};

/* --- one attachment --- */

bool api_view_guid(const struct attachment_view *view, struct guid *guid)
{
	*guid = view->has_guid || view->recorded ? view->guid : view->annotated;
	return guid->v != 0;
}

/* A follower's engine decides nothing: what a record or an annotation says was published. */
static enum attachment_state state_of(bool follower, const struct attachment_view *view)
{
	struct guid guid;

	return follower && api_view_guid(view, &guid) ? ATTACHMENT_PUBLISHED : view->state;
}

static void put_who(json_t *item, bool follower, const struct attachment_view *view)
{
	char *network = mem_printf("%s/%s", view->network_namespace, view->network_name);

	api_put(item, "namespace", api_text(view->pod_namespace));
	api_put(item, "pod", api_text(view->pod_name));
	api_put(item, "uid", api_text(view->pod_uid));
	api_put(item, "network", api_text(network));
	api_put(item, "interface", api_text(view->interface));
	api_put(item, "node", api_text(view->node));
	api_put(item, "state", json_string_nocheck(attachment_state_name(state_of(follower, view))));
	api_put(item, "since", follower ? json_null() : api_time_or_null(view->since));
	free(network);
}

json_t *api_owner(const struct api *api, const struct attachment_view *view)
{
	json_t *item = json_object();

	put_who(item, api_follows(api), view);
	return item;
}

static json_t *blocked_of(const struct attachment_view *view)
{
	if (!view->blocked_reason)
		return json_null();
	json_t *blocked = json_object();
	api_put(blocked, "reason", api_text(view->blocked_reason));
	api_put(blocked, "message", api_text(view->blocked_text ? view->blocked_text : ""));
	api_put_bool(blocked, "refused", view->refused);
	return blocked;
}

static json_t *memberships_of(const struct attachment_view *view)
{
	json_t *memberships = json_array();

	for (unsigned i = 0; i < view->n_memberships; i++) {
		const struct pkey_class *class = &view->memberships[i];
		json_t *membership = json_object();

		api_put(membership, "pkey", api_pkey(class->pkey));
		api_put(membership, "membership", json_string_nocheck(membership_name(class->membership)));
		api_put_bool(membership, "index0", class->index0);
		json_array_append_new(memberships, membership);
	}
	return memberships;
}

json_t *api_attachment(const struct api *api, const struct attachment_view *view)
{
	json_t *item = json_object();
	struct guid guid;
	struct pkey pkey;

	put_who(item, api_follows(api), view);
	api_put(item, "index", json_integer(view->index));
	api_put(item, "guid", api_view_guid(view, &guid) ? api_guid(guid) : json_null());
	api_put(item, "pkey", view->pkey_text && pkey_parse(&pkey, view->pkey_text) ? api_pkey(pkey) : json_null());
	api_put(item, "memberships", memberships_of(view));
	api_put_bool(item, "recorded", view->recorded);
	api_put_bool(item, "attachable", view->attachable);
	api_put(item, "blocked", blocked_of(view));
	return item;
}

/* --- the walk --- */

static bool is_wanted(const struct walk *walk, const struct attachment_view *view)
{
	return (!walk->namespace || strcmp(walk->namespace, view->pod_namespace) == 0) &&
	       (!walk->pod || strcmp(walk->pod, view->pod_name) == 0) &&
	       (!walk->node || strcmp(walk->node, view->node) == 0) &&
	       (!walk->by_pkey || api_has_pkey(view, walk->pkey)) &&
	       (!walk->by_state || walk->state == state_of(api_follows(walk->call.api), view));
}

static void on_attachment(void *aux, const struct attachment_view *view)
{
	struct walk *walk = aux;

	if (walk->seen++ < walk->skip || walk->taken < walk->seen - 1)
		return;
	if (is_wanted(walk, view)) {
		if (json_array_size(walk->call.items) >= walk->call.limit)
			return; /* on the next page */
		json_array_append_new(walk->call.items, api_attachment(walk->call.api, view));
	}
	walk->taken = walk->seen;
}

static void remember_place(struct walk *walk, size_t n_items)
{
	if (walk->n_places == PLACES) {
		free(walk->places[0].after);
		memmove(&walk->places[0], &walk->places[1], (PLACES - 1) * sizeof walk->places[0]);
		walk->n_places--;
	}
	walk->places[walk->n_places++] =
		(struct place){ .after = mem_dup(walk->after), .n_items = n_items, .skip = walk->skip };
}

/* To where a turn before began, if that is known; false: nowhere. */
static bool go_back(struct walk *walk)
{
	if (walk->n_places == 0)
		return false;
	struct place *place = &walk->places[--walk->n_places];
	free(walk->after);
	walk->after = place->after;
	walk->skip = place->skip;
	while (json_array_size(walk->call.items) > place->n_items)
		json_array_remove(walk->call.items, json_array_size(walk->call.items) - 1);
	return true;
}

static void full(struct walk *walk)
{
	char *again = mem_printf("%" PRIu64 ".%" PRIu64 ".%s", walk->call.revision, walk->taken,
				 walk->after ? walk->after : "");

	api_call_answer_list(&walk->call, NULL, again);
	free(again);
}

static bool walk_step(struct api_call *call)
{
	struct walk *walk = container_of(call, struct walk, call);
	struct engine *engine = api_engine(call->api);
	bool known;

	size_t n_items = json_array_size(call->items);
	walk->seen = 0;
	walk->taken = walk->skip;
	const char *next = engine_each_page(engine, walk->after, 1, &known, on_attachment, walk);
	if (!known) {
		if (go_back(walk))
			return true;
		api_call_fail(call, 410, "Expired",
			      "the pod at which this page begins has gone; start again without continue");
		return false;
	}
	if (walk->turn != call->turns)
		remember_place(walk, n_items);
	walk->turn = call->turns;
	if (walk->taken < walk->seen) {
		full(walk);
		return false;
	}
	if (!next) {
		api_call_answer_list(call, NULL, NULL);
		return false;
	}
	char *after = mem_dup(next);
	free(walk->after);
	walk->after = after;
	walk->skip = 0;
	return true;
}

static void walk_end(struct api_call *call)
{
	struct walk *walk = container_of(call, struct walk, call);

	free(walk->namespace);
	free(walk->pod);
	free(walk->node);
	free(walk->after);
	for (unsigned i = 0; i < walk->n_places; i++)
		free(walk->places[i].after);
}

/* --- the question --- */

static bool state_parse(enum attachment_state *state, const char *text)
{
	for (int i = 0; i < ATTACHMENT_STATES; i++) {
		if (strcmp(attachment_state_name((enum attachment_state)i), text) == 0) {
			*state = (enum attachment_state)i;
			return true;
		}
	}
	return false;
}

struct api_call *api_attachments(struct api_question *question)
{
	const char *const *query = question->query;
	const char *pkey_text = query[API_KEY_PKEY], *state_text = query[API_KEY_STATE], *at = query[API_KEY_CONTINUE];
	struct pkey pkey = { 0 };
	enum attachment_state state = ATTACHMENT_WANTED;
	uint64_t revision = ++question->api->listings, skip = 0;

	if (pkey_text && !api_pkey_parse(&pkey, pkey_text))
		return api_fail(question, 400, "BadRequest", "pkey is not a PKey (\"0x5\")");
	if (state_text && !state_parse(&state, state_text))
		return api_fail(question, 400, "BadRequest", "state is none of those of an attachment");
	if (at && (!api_number(&revision, at, UINT64_MAX, &at) || *at++ != '.' ||
		   !api_number(&skip, at, UINT32_MAX, &at) || *at++ != '.'))
		return api_fail(question, 400, "BadRequest", "continue is not what a page said");
	if (!api_may(question, false))
		return NULL;
	struct walk *walk = api_call_new(question, sizeof *walk, walk_step, walk_end);
	walk->call.revision = revision;
	walk->namespace = mem_dup(query[API_KEY_NAMESPACE]);
	walk->pod = mem_dup(query[API_KEY_POD]);
	walk->node = mem_dup(query[API_KEY_NODE]);
	walk->by_pkey = pkey_text != NULL;
	walk->pkey = pkey;
	walk->by_state = state_text != NULL;
	walk->state = state;
	walk->after = at && *at ? mem_dup(at) : NULL;
	walk->skip = skip;
	api_call_go(&walk->call);
	return &walk->call;
}
