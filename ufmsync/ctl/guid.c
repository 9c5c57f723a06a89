#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/facts.h"
#include "ufmsync/ctl/print.h"
#include "ufmsync/ctl/why.h"

enum { PKEY, MEMBERSHIP, KIND, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[PKEY] = { .title = "PKEY", .key = true },
	[MEMBERSHIP] = { .title = "MEMBERSHIP" },
	[KIND] = { .title = "WHAT IT IS" },
};

static const char *kind_text(const json_t *listed, enum table_colour *colour)
{
	static const struct {
		const char *kind, *text;
		enum table_colour colour;
	} kinds[] = {
		{ "orphan", "an orphan: no pod owns it", TABLE_WARNING },
		{ "unexpected", "unexpected: its pod does not want it here", TABLE_BAD },
		{ "foreign", "foreign: of our range, but left alone", TABLE_WARNING },
		{ "outside", "not of our range", TABLE_FAINT },
	};
	const char *kind = json_str(listed, "kind", NULL);

	for (size_t i = 0; kind && i < array_length(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0) {
			*colour = kinds[i].colour;
			return kinds[i].text;
		}
	bool right = json_bool(listed, 1, "right", NULL);
	*colour = right ? TABLE_GOOD : TABLE_BAD;
	return right ? "as its pod wants it" : "its pod wants another membership";
}

static void add_owner(struct facts *facts, const json_t *owner)
{
	const char *namespace = json_str(owner, "namespace", NULL), *state = json_str(owner, "state", NULL);
	const char *node = json_str(owner, "node", NULL);
	__attribute__((cleanup(mem_freep))) char *network = ctl_network(owner, NULL);
	__attribute__((cleanup(mem_freep))) char *why = ctl_why(owner);
	char pkey[CTL_PKEY_MAX];

	facts_add(facts, TABLE_PLAIN, "Owner", "pod %s/%s", namespace, json_str(owner, "pod", NULL));
	facts_add(facts, TABLE_PLAIN, "Network", "%s", network);
	facts_add(facts, TABLE_PLAIN, "PKey", "%s", ctl_pkey(pkey, json_str(owner, "pkey", NULL)));
	facts_add(facts, TABLE_PLAIN, "Node", "%s", node && *node ? node : "-");
	facts_add(facts, ctl_why_colour(owner), "State", "%s: it %s", state, why);
}

/* "Active at node1 mlx5_0/1 of node1, LID 16384" */
static void add_port(struct facts *facts, const json_t *port)
{
	const char *state = json_str(port, "state", NULL), *node = json_str(port, "node", NULL);
	const char *place = json_str(port, "port", NULL), *note = json_str(port, "note", NULL);
	const json_t *seen = json_object_get(port, "seen");
	int64_t lid = json_int(port, 0, "lid", NULL);
	char lid_text[32] = "";

	if (!json_is_true(seen)) {
		facts_add(facts, TABLE_WARNING, "Virtual port", "%s%s%s", json_is_false(seen) ? "not seen" : "unknown",
			  note ? ": " : "", note ? note : "");
		return;
	}
	if (lid > 0)
		snprintf(lid_text, sizeof lid_text, ", LID %" PRId64, lid);
	facts_add(facts, state && strcmp(state, "Active") == 0 ? TABLE_GOOD : TABLE_WARNING, "Virtual port",
		  "%s%s%s%s%s%s", state ? state : "seen", place ? " at " : "", place ? place : "", node ? " of " : "",
		  node ? node : "", lid_text);
}

static void print_listed(struct ctl *ctl, const json_t *guid)
{
	const json_t *list = json_object_get(guid, "listed");
	struct table *table;

	if (json_array_size(list) == 0)
		return;
	if (!ctl->watch)
		fputc('\n', ctl->out);
	table = table_new(columns, COLUMNS);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *membership = json_str(one, "membership", NULL);
		__attribute__((cleanup(mem_freep))) char *how = mem_printf(
			"%s%s", membership ? membership : "?", json_bool(one, 0, "index0", NULL) ? " index0" : "");
		enum table_colour colour;
		char pkey[CTL_PKEY_MAX];
		const char *kind = kind_text(one, &colour);

		table_row(table, (const char *const[COLUMNS]){ [PKEY] = ctl_pkey(pkey, json_str(one, "pkey", NULL)),
							       [MEMBERSHIP] = how,
							       [KIND] = kind });
		table_colour(table, KIND, colour);
	}
	ctl_print(ctl, table);
}

static void print(struct ctl *ctl, const json_t *guid)
{
	const json_t *owner = json_object_get(guid, "owner");
	size_t listed = json_array_size(json_object_get(guid, "listed"));
	char age[CTL_AGE_MAX];
	struct facts facts;

	facts_begin(&facts);
	facts_add(&facts, TABLE_PLAIN, "GUID", "%s%s", json_str(guid, "guid", NULL),
		  json_bool(guid, 0, "inRange", NULL) ? "" : " (not of the range that the service gives out)");
	if (json_is_object(owner))
		add_owner(&facts, owner);
	else
		facts_add(&facts, TABLE_PLAIN, "Owner", "no pod");
	facts_add(&facts, TABLE_PLAIN, "In the fabric", "a member of %zu %s", listed, listed == 1 ? "PKey" : "PKeys");
	if (json_is_object(json_object_get(guid, "port")))
		add_port(&facts, json_object_get(guid, "port"));
	facts_add_moving(&facts, "Asked", "%s ago", ctl_age(age, json_str(guid, "asOf", NULL), loop_wall_ms()));
	facts_print(&facts, ctl);
	print_listed(ctl, guid);
}

static bool is_anywhere(const json_t *guid)
{
	return json_is_object(json_object_get(guid, "owner")) || json_array_size(json_object_get(guid, "listed")) > 0;
}

static enum ctl_exit run(struct ctl *ctl)
{
	__attribute__((cleanup(json_freep))) json_t *answer = NULL;
	struct error err = { 0 };
	char text[GUID_TEXT_MAX];
	struct guid guid;

	if (!guid_parse_any(&guid, ctl->argv[0]) || !guid_usable(guid))
		return ctl_usage(ctl, "'%.50s' is not a GUID: 02:00:00:00:00:00:00:1a or 020000000000001a",
				 ctl->argv[0]);
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("/v1/guids/%s", guid_format(text, guid));
	if (reach_call(ctl->reach, "GET", path, NULL, &answer, &err) < 0)
		return ctl_fail(ctl, &err);
	if (ctl_is_table(ctl))
		print(ctl, answer);
	else
		ctl_print_json(ctl, answer);
	return is_anywhere(answer) ? CTL_DONE : CTL_NOT_FOUND;
}

const struct ctl_command ctl_guid = {
	.name = "guid",
	.arguments = "GUID",
	.least = 1,
	.most = 1,
	.summary = "Whose a GUID is, and in which PKeys it is",
	.description = "The pod that holds it, its network and node, how far it is, where the fabric manager lists it "
		       "now, and, if it\n"
		       "can tell (UFM), the state of its virtual port. UFM looks for those once a minute, if at all, "
		       "so \"not seen\" is\n"
		       "no proof. In any usual spelling: 02:00:00:00:00:00:00:1a, 020000000000001a, "
		       "0x020000000000001A. Exit code 3\n"
		       "when nobody has it.",
	.watches = true,
	.run = run,
};
