#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ufmsync/api_private.h"

/* Every PKey with its counts, which the engine keeps: nobody is asked for them. */

struct walk {
	struct api_call call;
	uint16_t from;
};

static json_t *pkey_item(const struct pkey_view *view)
{
	json_t *item = json_object();

	api_put(item, "pkey", api_pkey(view->pkey));
	api_put_bool(item, "writable", view->writable);
	api_put_count(item, "full", view->full);
	api_put_count(item, "limited", view->limited);
	api_put_count(item, "listed", view->listed);
	api_put_count(item, "missing", view->missing);
	api_put_count(item, "orphans", view->orphans);
	api_put_count(item, "foreign", view->foreign);
	return item;
}

static bool walk_step(struct api_call *call)
{
	struct walk *walk = container_of(call, struct walk, call);
	struct pkey_view view;

	if (!engine_pkey_from(api_engine(call->api), walk->from, &view)) {
		api_call_answer_list(call, NULL, NULL);
		return false;
	}
	if (json_array_size(call->items) >= call->limit) {
		char again[48];

		snprintf(again, sizeof again, "%" PRIu64 ".%u", call->revision, view.pkey.v);
		api_call_answer_list(call, NULL, again);
		return false;
	}
	json_array_append_new(call->items, pkey_item(&view));
	walk->from = (uint16_t)(view.pkey.v + 1);
	return true;
}

struct api_call *api_pkeys(struct api_question *question)
{
	const char *at = question->query[API_KEY_CONTINUE];
	uint64_t revision = ++question->api->listings, from = 0;

	if (at && (!api_number(&revision, at, UINT64_MAX, &at) || *at++ != '.' ||
		   !api_number(&from, at, PKEY_COUNT - 1, NULL)))
		return api_fail(question, 400, "BadRequest", "continue is not what a page said");
	if (!api_may(question, true))
		return NULL;
	struct walk *walk = api_call_new(question, sizeof *walk, walk_step, NULL);
	walk->call.revision = revision;
	walk->from = (uint16_t)from;
	api_call_go(&walk->call);
	return &walk->call;
}
