#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ufmsync/api_private.h"

/* What is listed without an owner: shown, removed by name, confirmed. */

enum { STEPS = 32 };

struct walk {
	struct api_call call;
	struct stray_place place;
	bool again; /* a further page: it cannot start anew */
};

static json_t *stray_item(const struct stray_view *view)
{
	json_t *item = json_object();

	api_put(item, "guid", api_guid(view->guid));
	api_put(item, "pkey", api_pkey(view->pkey));
	api_put(item, "membership", json_string_nocheck(membership_name(view->membership)));
	api_put_bool(item, "index0", view->index0);
	api_put(item, "kind", json_string_nocheck(stray_kind_name(view->kind)));
	api_put_bool(item, "removing", view->removing);
	api_put_bool(item, "removable", view->removable);
	api_put(item, "firstSeen", api_time_or_null(view->first_seen));
	return item;
}

static void on_stray(void *aux, const struct stray_view *view)
{
	struct walk *walk = aux;

	json_array_append_new(walk->call.items, stray_item(view));
}

static bool lost(struct walk *walk)
{
	if (walk->again) {
		api_call_fail(&walk->call, 410, "Expired", "the orphans have changed; start again without continue");
		return false;
	}
	api_discard(walk->call.api, walk->call.items);
	walk->call.items = json_array();
	walk->place = (struct stray_place){ .begun = false };
	return true;
}

static void page_is_full(struct walk *walk)
{
	char again[80];

	snprintf(again, sizeof again, "%" PRIu64 ".%u.%" PRIu64, walk->place.revision, walk->place.pkey.v,
		 walk->place.guid.v);
	api_call_answer_list(&walk->call, NULL, again);
}

static bool walk_step(struct api_call *call)
{
	struct walk *walk = container_of(call, struct walk, call);
	size_t room = call->limit - json_array_size(call->items);
	bool is_lost;

	if (room == 0) {
		page_is_full(walk);
		return false;
	}
	bool more = engine_each_stray(api_engine(call->api), &walk->place, room < STEPS ? room : STEPS, &is_lost,
				      on_stray, walk);
	if (is_lost)
		return lost(walk);
	call->revision = walk->place.revision;
	if (!more)
		api_call_answer_list(call, NULL, NULL);
	return more;
}

struct api_call *api_orphans(struct api_question *question)
{
	const char *at = question->query[API_KEY_CONTINUE];
	uint64_t pkey = 0;
	struct stray_place place = { .begun = at != NULL };

	if (at && (!api_number(&place.revision, at, UINT64_MAX, &at) || *at++ != '.' ||
		   !api_number(&pkey, at, PKEY_COUNT - 1, &at) || *at++ != '.' ||
		   !api_number(&place.guid.v, at, UINT64_MAX, NULL)))
		return api_fail(question, 400, "BadRequest", "continue is not what a page said");
	if (!api_may(question, true))
		return NULL;
	place.pkey = (struct pkey){ (uint16_t)pkey };
	struct walk *walk = api_call_new(question, sizeof *walk, walk_step, NULL);
	walk->place = place;
	walk->again = at != NULL;
	api_call_go(&walk->call);
	return &walk->call;
}

/* --- removing --- */

struct removal {
	struct guid guids[API_REMOVE_MAX];
	size_t n;
	uint64_t revision;
};

static int read_guids(struct removal *removal, const json_t *guids, struct error *err)
{
	size_t n = json_array_size(guids);

	if (!json_is_array(guids) || n == 0 || n > API_REMOVE_MAX)
		return error_set(err, ERROR_INVALID, "guids is not a list of 1 to %d GUIDs", API_REMOVE_MAX);
	for (removal->n = 0; removal->n < n; removal->n++) {
		const char *text = json_string_value(json_array_get(guids, removal->n));

		if (!text || !guid_parse_any(&removal->guids[removal->n], text))
			return error_set(err, ERROR_INVALID, "guids[%zu] is not a GUID", removal->n);
	}
	return 0;
}

static int read_removal(struct removal *removal, const struct api_request *request, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *root =
		json_parse(request->body ? request->body : "", request->body ? request->body_len : 0, err);
	const char *key;
	json_t *value;

	if (!root)
		return -1;
	if (!json_is_object(root))
		return error_set(err, ERROR_INVALID, "the body is not a JSON object");
	json_object_foreach(root, key, value)
	{
		if (strcmp(key, "guids") != 0 && strcmp(key, "revision") != 0)
			return error_set(err, ERROR_INVALID, "\"%.64s\" is not known here", key);
	}
	value = json_object_get(root, "revision");
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return error_set(err, ERROR_INVALID, "revision is not the number of a list of orphans");
	removal->revision = (uint64_t)json_integer_value(value);
	return read_guids(removal, json_object_get(root, "guids"), err);
}

struct api_call *api_orphans_remove(struct api_question *question)
{
	struct removal removal = { .n = 0 };
	struct error err = { 0 };
	char text[GUID_TEXT_MAX];
	size_t which;

	if (read_removal(&removal, question->request, &err) < 0)
		return api_fail(question, 400, "BadRequest", "%s", err.text);
	if (!api_may(question, true))
		return NULL;
	struct engine *engine = api_engine(question->api);
	if (!engine_remove_orphans(engine, removal.guids, removal.n, removal.revision, &which, loop_now_ms())) {
		if (which < removal.n)
			return api_fail(question, 409, "Changed",
					"%s is no orphan, or was seen only a moment ago; nothing is removed",
					guid_format(text, removal.guids[which]));
		return api_fail(question, 409, "Changed",
				"the orphans have changed since revision %" PRIu64
				"; nothing is removed: list them anew",
				removal.revision);
	}
	json_t *answer = json_object();
	api_put_count(answer, "accepted", removal.n);
	api_put_count(answer, "revision", engine_strays_revision(engine));
	return api_answer(question, 202, answer);
}

struct api_call *api_orphans_confirm(struct api_question *question)
{
	struct engine_status status;

	if (!api_no_body(question) || !api_may(question, true))
		return NULL;
	engine_status(api_engine(question->api), &status);
	engine_confirm(api_engine(question->api), loop_now_ms());
	json_t *answer = json_object();
	api_put_count(answer, "orphans", status.orphans);
	return api_answer(question, 200, answer);
}
