#include "cni/webhook/pod_view.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TEXTS_MAX = 1 << 20 }; /* 64 interfaces with every text as long as it may be are far below it */

/* Where in `texts` each text begins: the buffer moves while it grows. */
struct pod_view_places {
	size_t interface, config_name, pkey_text, reason, text;
};

void pod_view_init(struct pod_view *view)
{
	*view = (struct pod_view){ 0 };
	buf_init(&view->texts, TEXTS_MAX);
}

void pod_view_free(struct pod_view *view)
{
	free(view->attachments);
	free(view->candidates);
	free(view->places);
	buf_free(&view->texts);
}

static size_t keep(struct buf *texts, const char *text)
{
	size_t place = texts->len;

	return text && buf_append(texts, text, strlen(text) + 1) ? place : SIZE_MAX;
}

static const char *kept(const struct buf *texts, size_t place, const char *otherwise)
{
	return place == SIZE_MAX ? otherwise : texts->data + place;
}

static void grow(struct pod_view *view)
{
	view->cap = view->cap ? 2 * view->cap : 16;
	view->attachments = mem_resize(view->attachments, view->cap, sizeof *view->attachments);
	view->candidates = mem_resize(view->candidates, view->cap, sizeof *view->candidates);
	view->places = mem_resize(view->places, view->cap, sizeof *view->places);
}

static void visit(void *aux, const struct webhook_attachment *attachment)
{
	struct pod_view *view = aux;

	if (view->n == view->cap)
		grow(view);
	view->places[view->n] = (struct pod_view_places){
		.interface = keep(&view->texts, attachment->interface),
		.config_name = keep(&view->texts, attachment->config_name),
		.pkey_text = keep(&view->texts, attachment->pkey_text),
		.reason = keep(&view->texts, attachment->reason),
		.text = keep(&view->texts, attachment->text),
	};
	view->attachments[view->n++] = *attachment;
}

void pod_view_read(struct pod_view *view, const struct webhook_world *world, const char *uid)
{
	view->n = 0;
	buf_clear(&view->texts);
	world->each(world->aux, uid, visit, view);
	for (size_t i = 0; i < view->n; i++) {
		struct webhook_attachment *copy = &view->attachments[i];
		const struct pod_view_places *places = &view->places[i];

		copy->interface = kept(&view->texts, places->interface, "");
		copy->config_name = kept(&view->texts, places->config_name, "");
		copy->pkey_text = kept(&view->texts, places->pkey_text, NULL);
		copy->reason = kept(&view->texts, places->reason, NULL);
		copy->text = kept(&view->texts, places->text, NULL);
		view->candidates[i] = (struct attach_candidate){ copy->index,    copy->interface, copy->config_name,
								 copy->has_guid, copy->guid,      { 0 } };
		if (copy->pkey_text && !pkey_parse(&view->candidates[i].pkey, copy->pkey_text))
			view->candidates[i].pkey.v = 0;
	}
}
