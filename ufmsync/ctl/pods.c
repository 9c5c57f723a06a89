#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "pkey/pkey.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/print.h"

enum { NAMESPACE, POD, NETWORK, PKEY, GUID, STATE, SINCE, NODE, MEMBERSHIPS, WAITS, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[NAMESPACE] = { .title = "NAMESPACE", .may_cut = true, .key = true },
	[POD] = { .title = "POD", .may_cut = true, .key = true },
	[NETWORK] = { .title = "NETWORK", .may_cut = true, .key = true },
	[PKEY] = { .title = "PKEY" },
	[GUID] = { .title = "GUID" },
	[STATE] = { .title = "STATE" },
	[SINCE] = { .title = "AGE", .moves = true },
	[NODE] = { .title = "NODE", .wide = true },
	[MEMBERSHIPS] = { .title = "MEMBERSHIPS", .wide = true },
	[WAITS] = { .title = "WAITS FOR", .may_cut = true, .wide = true },
};

static void begin(struct ctl *ctl, struct table *table, const json_t *page)
{
	(void)page;
	if (!ctl->all_namespaces)
		table_hide(table, NAMESPACE);
}

/* "0x0005 full index 0, 0x7000 limited" */
static char *memberships_text(const json_t *attachment)
{
	const json_t *list = json_object_get(attachment, "memberships");
	char *all = NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *membership = json_str(one, "membership", NULL);
		char pkey[CTL_PKEY_MAX];
		char *longer = mem_printf("%s%s%s %s%s", all ? all : "", all ? ", " : "",
					  ctl_pkey(pkey, json_str(one, "pkey", NULL)), membership ? membership : "?",
					  json_bool(one, 0, "index0", NULL) ? " index0" : "");
		mem_freep(&all);
		all = longer;
	}
	return all;
}

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static void row(struct ctl *ctl, struct table *table, const json_t *item)
{
	const char *namespace = json_str(item, "namespace", NULL), *state = or_dash(json_str(item, "state", NULL));
	const json_t *blocked = json_object_get(item, "blocked");
	__attribute__((cleanup(mem_freep))) char *memberships = memberships_text(item);
	__attribute__((cleanup(mem_freep))) char *network = ctl_network(item, namespace);
	const char *reason = json_str(blocked, "reason", NULL);
	char pkey[CTL_PKEY_MAX], age[CTL_AGE_MAX];

	(void)ctl;
	table_row(table, (const char *const[COLUMNS]){
				 [NAMESPACE] = namespace,
				 [POD] = json_str(item, "pod", NULL),
				 [NETWORK] = network,
				 [PKEY] = ctl_pkey(pkey, json_str(item, "pkey", NULL)),
				 [GUID] = json_str(item, "guid", NULL),
				 [STATE] = reason ? reason : state,
				 [SINCE] = ctl_age(age, json_str(item, "since", NULL), loop_wall_ms()),
				 [WAITS] = json_str(blocked, "message", NULL),
				 [NODE] = or_dash(json_str(item, "node", NULL)),
				 [MEMBERSHIPS] = memberships,
			 });
	table_colour(table, STATE, reason ? TABLE_BAD : ctl_state_colour(state));
}

/* What `pod` takes. */
static void name(struct ctl *ctl, const json_t *item)
{
	__attribute__((cleanup(mem_freep))) char *text =
		mem_printf("%s/%s", or_dash(json_str(item, "namespace", NULL)), or_dash(json_str(item, "pod", NULL)));

	ctl_print_name(ctl, text);
}

static const char *const states[] = { "wanted", "joining", "member", "published", "leaving", "resting", NULL };

static bool is_state(const char *text)
{
	for (size_t i = 0; states[i]; i++)
		if (strcmp(states[i], text) == 0)
			return true;
	return false;
}

static enum ctl_exit run(struct ctl *ctl)
{
	static const struct ctl_list list = { .columns = columns,
					      .n = COLUMNS,
					      .row = row,
					      .name = name,
					      .begin = begin,
					      .sorted = true,
					      .nothing = "no pod with an InfiniBand network" };
	const char *state = ctl_flag(ctl, "--state"), *pkey_text = ctl_flag(ctl, "--pkey");
	char wire[PKEY_TEXT_MAX];
	struct pkey pkey;

	if (state && !is_state(state))
		return ctl_usage(ctl,
				 "--state '%.50s': wanted, joining, member, published, leaving or resting is expected",
				 state);
	if (pkey_text && !ctl_pkey_parse(&pkey, pkey_text))
		return ctl_usage(ctl, "--pkey '%.50s' is not a PKey: 0x1 to 0x7ffe, or decimal", pkey_text);
	__attribute__((cleanup(mem_freep))) char *path = reach_path(
		"/v1/attachments", "namespace", ctl->all_namespaces ? NULL : ctl->namespace, "node",
		ctl_flag(ctl, "--node"), "pkey", pkey_text ? pkey_format_wire(wire, pkey) : NULL, "state", state, NULL);
	return ctl_print_list(ctl, path, &list);
}

static const struct ctl_flag flags[] = {
	{ "--node", "NODE", "only of that node" },
	{ "--pkey", "PKEY", "only with a membership in that PKey" },
	{ "--state", "STATE", "only in that state" },
	{ NULL, NULL, NULL },
};

const struct ctl_command ctl_pods = {
	.name = "pods",
	.arguments = "",
	.summary = "InfiniBand networks of pods, and what they wait for",
	.description = "One line for each InfiniBand network of each pod: its PKey, its GUID, how far it is (wanted, "
		       "joining,\n"
		       "member, published, leaving, resting; or, instead, why it waits, such as NetworkNotFound) and "
		       "for how long.\n"
		       "-o wide adds node, memberships, and what it waits for in a sentence; so does the command pod.",
	.flags = flags,
	.named = true,
	.watches = true,
	.run = run,
};
