#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/facts.h"
#include "ufmsync/ctl/print.h"

enum { GUID, MEMBERSHIP, POD, NETWORK, STATE, SINCE, NODE, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[GUID] = { .title = "GUID", .key = true },
	[MEMBERSHIP] = { .title = "MEMBERSHIP", .key = true },
	[POD] = { .title = "POD", .may_cut = true },
	[NETWORK] = { .title = "NETWORK", .may_cut = true },
	[STATE] = { .title = "STATE" },
	[SINCE] = { .title = "AGE", .moves = true },
	[NODE] = { .title = "NODE", .wide = true },
};

static long long count(const json_t *page, const char *key)
{
	return json_int(page, 0, "counts", key, NULL);
}

/* What is above the table; scripts, which want no titles, do not want it either. */
static void begin(struct ctl *ctl, struct table *table, const json_t *page)
{
	char pkey[CTL_PKEY_MAX], age[CTL_AGE_MAX];
	struct facts facts;

	(void)table;
	if (ctl->no_headers)
		return;
	facts_begin(&facts);
	facts_add(&facts, TABLE_PLAIN, "PKey", "%s%s", ctl_pkey(pkey, json_str(page, "pkey", NULL)),
		  json_bool(page, 1, "writable", NULL) ? "" : " (the service may not write to it)");
	facts_add(&facts, TABLE_PLAIN, "Members", "%lld: %lld full, %lld limited", count(page, "members"),
		  count(page, "full"), count(page, "limited"));
	facts_add(&facts, count(page, "orphan") + count(page, "unexpected") > 0 ? TABLE_WARNING : TABLE_PLAIN,
		  "Of which", "%lld of pods, %lld orphan, %lld unexpected, %lld foreign, %lld outside our range",
		  count(page, "attachment"), count(page, "orphan"), count(page, "unexpected"), count(page, "foreign"),
		  count(page, "outside"));
	facts_add_moving(&facts, "Listed", "%s ago", ctl_age(age, json_str(page, "asOf", NULL), loop_wall_ms()));
	facts_print(&facts, ctl);
	if (!ctl->watch)
		fputc('\n', ctl->out);
}

static enum table_colour kind_colour(const char *kind)
{
	if (strcmp(kind, "outside") == 0)
		return TABLE_FAINT;
	return strcmp(kind, "unexpected") == 0 ? TABLE_BAD : TABLE_WARNING;
}

/* The owner's state where all is well, else what is wrong. */
static const char *state_text(const json_t *item, enum table_colour *colour)
{
	const char *kind = json_str(item, "kind", NULL), *state = json_str(item, "owner", "state", NULL);

	if (!kind || strcmp(kind, "attachment") != 0) {
		*colour = kind_colour(kind ? kind : "");
		return kind;
	}
	if (!json_bool(item, 1, "right", NULL)) {
		*colour = TABLE_BAD;
		return "wrong membership";
	}
	*colour = ctl_state_colour(state ? state : "");
	return state;
}

static void row(struct ctl *ctl, struct table *table, const json_t *item)
{
	const json_t *owner = json_object_get(item, "owner");
	const char *namespace = json_str(owner, "namespace", NULL), *pod = json_str(owner, "pod", NULL);
	const char *node = json_str(owner, "node", NULL), *membership = json_str(item, "membership", NULL);
	__attribute__((cleanup(mem_freep))) char *full_name = pod ? mem_printf("%s/%s", namespace, pod) : NULL;
	__attribute__((cleanup(mem_freep))) char *network = ctl_network(owner, namespace);
	__attribute__((cleanup(mem_freep))) char *how =
		mem_printf("%s%s", membership ? membership : "?", json_bool(item, 0, "index0", NULL) ? " index0" : "");
	enum table_colour colour;
	char age[CTL_AGE_MAX];
	const char *state = state_text(item, &colour);

	(void)ctl;
	table_row(table, (const char *const[COLUMNS]){
				 [GUID] = json_str(item, "guid", NULL),
				 [MEMBERSHIP] = how,
				 [POD] = full_name,
				 [NETWORK] = network,
				 [STATE] = state,
				 [SINCE] = ctl_age(age, json_str(owner, "since", NULL), loop_wall_ms()),
				 [NODE] = node && *node ? node : NULL,
			 });
	table_colour(table, STATE, colour);
}

static void name(struct ctl *ctl, const json_t *item)
{
	const char *guid = json_str(item, "guid", NULL);

	if (guid)
		ctl_print_name(ctl, guid);
}

static enum ctl_exit run(struct ctl *ctl)
{
	static const struct ctl_list list = {
		.columns = columns, .n = COLUMNS, .row = row, .name = name, .begin = begin, .nothing = "no member"
	};
	char wire[PKEY_TEXT_MAX];
	struct pkey pkey;

	if (!ctl_pkey_parse(&pkey, ctl->argv[0]))
		return ctl_usage(ctl, "'%.50s' is not a PKey: 0x1 to 0x7ffe, or decimal", ctl->argv[0]);
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("/v1/pkeys/%s", pkey_format_wire(wire, pkey));
	return ctl_print_list(ctl, path, &list);
}

const struct ctl_command ctl_pkey_command = {
	.name = "pkey",
	.arguments = "PKEY",
	.least = 1,
	.most = 1,
	.summary = "The members of a PKey, and whose they are",
	.description = "What the fabric manager lists in this PKey now, one line a member, joined to the pod that owns "
		       "it. STATE is how\n"
		       "far the pod's attachment is, or what is wrong: orphan (of our range, of no pod), unexpected "
		       "(its pod does not\n"
		       "want it here), wrong membership; foreign (left alone) and outside (not of our range) are none "
		       "of our business.",
	.named = true,
	.watches = true,
	.run = run,
};
