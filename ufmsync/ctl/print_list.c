#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/ctl/print.h"
#include "ufmsync/ctl/yaml_out.h"

/* A list on its way from the service to the output: pages come in, items go out. */
struct listing {
	struct ctl *ctl;
	const struct ctl_list *list;
	struct table *table;
	struct yaml_out *yaml;
	bool begun, any;
};

/* --- JSON: what the service says of the list, then its items as they come --------------------------------------- */

static void print_indented(FILE *out, const char *text, const char *indent)
{
	for (const char *line = text; line;) {
		const char *end = strchr(line, '\n');
		size_t n = end ? (size_t)(end - line) + 1 : strlen(line);

		if (line != text)
			fputs(indent, out);
		fwrite(line, 1, n, out);
		line = end ? end + 1 : NULL;
	}
}

static bool is_of_one_page(const char *key)
{
	return strcmp(key, "items") == 0 || strcmp(key, "continue") == 0;
}

static void begin_json(struct listing *listing, const json_t *page)
{
	FILE *out = listing->ctl->out;
	const char *key;
	json_t *value;

	fputs("{\n", out);
	json_object_foreach((json_t *)(uintptr_t)page, key, value)
	{
		if (is_of_one_page(key))
			continue;
		char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
		fprintf(out, "  \"%s\": ", key);
		print_indented(out, text, "  ");
		fputs(",\n", out);
		free(text);
	}
	fputs("  \"items\": [", out);
}

static void item_json(struct listing *listing, const json_t *item)
{
	char *text = json_dumps(item, JSON_INDENT(2));

	fputs(listing->any ? ",\n    " : "\n    ", listing->ctl->out);
	print_indented(listing->ctl->out, text, "    ");
	free(text);
}

static void end_json(struct listing *listing)
{
	fputs(listing->any ? "\n  ]\n}\n" : "]\n}\n", listing->ctl->out);
}

/* --- YAML ------------------------------------------------------------------------------------------------------- */

static void begin_yaml(struct listing *listing, const json_t *page)
{
	const char *key;
	json_t *value;

	listing->yaml = yaml_out_new(listing->ctl->out);
	yaml_out_map_begin(listing->yaml);
	json_object_foreach((json_t *)(uintptr_t)page, key, value)
	{
		if (is_of_one_page(key))
			continue;
		yaml_out_key(listing->yaml, key);
		yaml_out_value(listing->yaml, value);
	}
	yaml_out_key(listing->yaml, "items");
	yaml_out_list_begin(listing->yaml);
}

static void end_yaml(struct listing *listing)
{
	yaml_out_list_end(listing->yaml);
	yaml_out_map_end(listing->yaml);
	yaml_out_end(listing->yaml);
}

/* --- pages and items -------------------------------------------------------------------------------------------- */

/* With --watch there is no end to wait for: each item is a document. */
static bool is_document(const struct listing *listing)
{
	return !ctl_is_table(listing->ctl) && listing->ctl->format != CTL_NAME && !listing->ctl->watch;
}

static int on_page(void *aux, const json_t *page, struct error *err)
{
	struct listing *listing = aux;

	(void)err;
	if (listing->begun)
		return 0;
	listing->begun = true;
	if (listing->table && listing->list->begin)
		listing->list->begin(listing->ctl, listing->table, page);
	if (is_document(listing)) {
		if (listing->ctl->format == CTL_YAML)
			begin_yaml(listing, page);
		else
			begin_json(listing, page);
	}
	return 0;
}

static int on_item(void *aux, const json_t *item, struct error *err)
{
	struct listing *listing = aux;

	(void)err;
	if (listing->table)
		listing->list->row(listing->ctl, listing->table, item);
	else if (listing->ctl->format == CTL_NAME)
		listing->list->name(listing->ctl, item);
	else if (!is_document(listing))
		ctl_print_json(listing->ctl, item);
	else if (listing->yaml)
		yaml_out_value(listing->yaml, item);
	else
		item_json(listing, item);
	listing->any = true;
	return 0;
}

/* Also after a failure: what was begun is ended, so that what came is readable. */
static void end(struct listing *listing)
{
	if (listing->yaml)
		end_yaml(listing);
	else if (listing->begun && is_document(listing))
		end_json(listing);
}

enum ctl_exit ctl_print_list(struct ctl *ctl, const char *path, const struct ctl_list *list)
{
	struct listing listing = { .ctl = ctl, .list = list };
	const struct reach_list pages = { .page = on_page, .item = on_item, .aux = &listing };
	struct error err = { 0 };

	if (ctl_is_table(ctl))
		listing.table = table_new(list->columns, list->n);
	int status = reach_each(ctl->reach, path, &pages, &err);
	end(&listing);
	if (status < 0) {
		table_free(listing.table);
		return ctl_fail(ctl, &err);
	}
	if (!listing.table)
		return CTL_DONE;
	if (list->sorted)
		table_sort(listing.table);
	if (table_rows(listing.table) == 0 && list->nothing && !ctl->watch) {
		fflush(ctl->out);
		fprintf(ctl->err, "%s\n", list->nothing);
		table_free(listing.table);
	} else {
		ctl_print(ctl, listing.table);
	}
	return CTL_DONE;
}
