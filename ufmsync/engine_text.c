#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/engine_parts.h"

struct text *engine_text(struct engine *e, const char *s)
{
	uint64_t hash = hash_text(e->seed, s);
	for (struct hash_node *n = hash_first(&e->texts, hash); n; n = hash_next(n)) {
		struct text *text = container_of(n, struct text, node);
		if (!strcmp(text->s, s))
			return engine_text_ref(text);
	}
	size_t len = strlen(s);
	struct text *text = mem_alloc(sizeof *text + len + 1);
	memcpy(text->s, s, len + 1);
	text->refs = 1;
	hash_add(&e->texts, &text->node, hash);
	return text;
}

struct text *engine_text_ref(struct text *text)
{
	if (text)
		text->refs++;
	return text;
}

void engine_text_drop(struct engine *e, struct text *text)
{
	if (!text)
		return;
	assert(text->refs);
	if (--text->refs)
		return;
	hash_remove(&e->texts, &text->node);
	free(text);
}
