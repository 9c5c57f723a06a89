#include "ufmsync/ctl/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "ufmsync/ctl/yaml_out.h"

enum { TABLES_MAX = 8 };

/* --- what was printed before ------------------------------------------------------------------------------------ */

struct said {
	struct hash_node node;
	char text[];
};

/* What one round printed. */
struct round {
	struct hash texts;
	struct said **all;
	size_t n, room;
	struct table *tables[TABLES_MAX];
	size_t tables_n;
};

struct ctl_watch {
	struct round before, now;
	char *error; /* that was said last, while it lasts */
};

static void round_free(struct round *round)
{
	for (size_t i = 0; i < round->n; i++)
		free(round->all[i]);
	for (size_t i = 0; i < round->tables_n; i++)
		table_free(round->tables[i]);
	free(round->all);
	hash_free(&round->texts);
	*round = (struct round){ 0 };
	hash_init(&round->texts);
}

void ctl_watch_begin(struct ctl *ctl)
{
	ctl->seen = mem_alloc(sizeof *ctl->seen);
	hash_init(&ctl->seen->before.texts);
	hash_init(&ctl->seen->now.texts);
}

/* A round that failed has printed nothing: what was known before is still the measure. */
void ctl_watch_again(struct ctl *ctl)
{
	struct ctl_watch *seen = ctl->seen;

	if (seen->now.n == 0 && seen->now.tables_n == 0)
		return;
	mem_freep(&seen->error);
	seen->error = NULL;
	round_free(&seen->before);
	seen->before = seen->now;
	seen->now = (struct round){ 0 };
	hash_init(&seen->now.texts);
}

void ctl_watch_end(struct ctl *ctl)
{
	round_free(&ctl->seen->before);
	round_free(&ctl->seen->now);
	free(ctl->seen->error);
	hash_free(&ctl->seen->before.texts);
	hash_free(&ctl->seen->now.texts);
	free(ctl->seen);
	ctl->seen = NULL;
}

bool ctl_watch_is_news(const struct ctl *ctl, const char *error)
{
	struct ctl_watch *seen = ctl->seen;

	if (!ctl->watch || !seen)
		return true;
	if (seen->error && strcmp(seen->error, error) == 0)
		return false;
	free(seen->error);
	seen->error = mem_dup(error);
	return true;
}

static bool has(const struct round *round, const char *text)
{
	struct hash_node *node = hash_first(&round->texts, hash_text(0, text));

	for (; node; node = hash_next(node))
		if (strcmp(container_of(node, struct said, node)->text, text) == 0)
			return true;
	return false;
}

/* True when it is to be printed: it was not there the last time. */
static bool is_new(struct ctl *ctl, const char *text)
{
	struct round *now = &ctl->seen->now;
	if (has(now, text))
		return false;
	size_t size = strlen(text) + 1;
	struct said *said = mem_alloc(sizeof *said + size);
	memcpy(said->text, text, size);
	hash_add(&now->texts, &said->node, hash_text(0, text));
	if (now->n == now->room) {
		now->room = now->room ? 2 * now->room : 16;
		now->all = mem_resize(now->all, now->room, sizeof(struct said *));
	}
	now->all[now->n++] = said;
	return !has(&ctl->seen->before, text);
}

/* --- printing --------------------------------------------------------------------------------------------------- */

void ctl_print(struct ctl *ctl, struct table *table)
{
	struct table_style style = {
		.width = ctl->width, .headers = !ctl->no_headers, .colour = ctl->colour, .wide = ctl->format == CTL_WIDE
	};

	if (!ctl->watch) {
		table_print(table, &style, ctl->out);
		table_free(table);
		return;
	}
	struct round *before = &ctl->seen->before, *now = &ctl->seen->now;
	size_t i = now->tables_n;
	if (i < before->tables_n)
		table_print_changes(table, before->tables[i], &style, ctl->out);
	else
		table_print(table, &style, ctl->out);
	if (i < TABLES_MAX)
		now->tables[now->tables_n++] = table;
	else
		table_free(table);
}

void ctl_print_name(struct ctl *ctl, const char *name)
{
	if (is_new(ctl, name))
		fprintf(ctl->out, "%s\n", name);
}

/* As text, without what differs each time. */
static char *essence(const json_t *object)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)object);

	if (json_is_object(copy)) {
		json_object_del(copy, "revision");
		json_object_del(copy, "asOf");
	}
	char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	return text;
}

static void print_yaml(struct ctl *ctl, const json_t *object)
{
	if (ctl->watch)
		fputs("---\n", ctl->out);
	struct yaml_out *yaml = yaml_out_new(ctl->out);
	yaml_out_value(yaml, object);
	yaml_out_end(yaml);
}

void ctl_print_json(struct ctl *ctl, const json_t *object)
{
	__attribute__((cleanup(mem_freep))) char *text = ctl->watch ? essence(object) : NULL;

	if (text && !is_new(ctl, text))
		return;
	if (ctl->format == CTL_YAML) {
		print_yaml(ctl, object);
		return;
	}
	json_dumpf(object, ctl->out, JSON_INDENT(2));
	fputc('\n', ctl->out);
}
