#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "guid/guid.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/print.h"

/* Removed by name, at most so many a call. */
enum { REMOVE_MAX = 500, QUESTION_MAX = 256 };

enum { GUID, PKEY, KIND, LISTED, SEEN, REMOVAL, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[GUID] = { .title = "GUID", .key = true },
	[PKEY] = { .title = "PKEY", .key = true },
	[KIND] = { .title = "KIND" },
	[LISTED] = { .title = "LISTED" },
	[SEEN] = { .title = "SEEN", .moves = true },
	[REMOVAL] = { .title = "REMOVAL" },
};

static bool is_kind(const json_t *item, const char *kind)
{
	const char *text = json_str(item, "kind", NULL);

	return text && strcmp(text, kind) == 0;
}

static const char *removal_text(const json_t *item)
{
	if (json_bool(item, 0, "removing", NULL))
		return "under way";
	if (!is_kind(item, "orphan"))
		return is_kind(item, "foreign") ? "never" : "by itself";
	return json_bool(item, 0, "removable", NULL) ? "possible" : "too early";
}

static void row(struct ctl *ctl, struct table *table, const json_t *item)
{
	const char *membership = json_str(item, "membership", NULL), *kind = json_str(item, "kind", NULL);
	char pkey[CTL_PKEY_MAX], age[CTL_AGE_MAX], listed[40];

	(void)ctl;
	snprintf(listed, sizeof listed, "%s%s", membership ? membership : "?",
		 json_bool(item, 0, "index0", NULL) ? ",index0" : "");
	table_row(table, (const char *const[COLUMNS]){
				 [GUID] = json_str(item, "guid", NULL),
				 [PKEY] = ctl_pkey(pkey, json_str(item, "pkey", NULL)),
				 [KIND] = kind,
				 [LISTED] = listed,
				 [SEEN] = ctl_age(age, json_str(item, "firstSeen", NULL), loop_wall_ms()),
				 [REMOVAL] = removal_text(item),
			 });
	table_colour(table, KIND, is_kind(item, "orphan") ? TABLE_WARNING : TABLE_PLAIN);
}

static void name(struct ctl *ctl, const json_t *item)
{
	const char *guid = json_str(item, "guid", NULL);

	if (guid)
		ctl_print_name(ctl, guid);
}

static enum ctl_exit list(struct ctl *ctl)
{
	static const struct ctl_list orphans = {
		.columns = columns, .n = COLUMNS, .row = row, .name = name, .begin = NULL, .nothing = "no orphans"
	};

	return ctl_print_list(ctl, "/v1/orphans", &orphans);
}

/* --- removing --------------------------------------------------------------------------------------------------- */

struct removal {
	struct ctl *ctl;
	struct table *table;
	json_t *guids; /* texts, each once, in the order of the list */
	json_t *seen;  /* the same as keys */
	json_t *early; /* named or not: orphans that may not be removed yet */
	json_int_t revision;
	bool begun;
};

static bool is_asked_for(const struct removal *removal, const char *guid)
{
	struct guid its, asked;

	if (removal->ctl->argc == 0)
		return true;
	for (int i = 0; i < removal->ctl->argc; i++)
		if (guid_parse(&its, guid) && guid_parse_any(&asked, removal->ctl->argv[i]) && its.v == asked.v)
			return true;
	return false;
}

static int on_page(void *aux, const json_t *page, struct error *err)
{
	struct removal *removal = aux;
	json_int_t revision = json_int(page, -1, "revision", NULL);

	if (removal->begun && revision != removal->revision)
		return error_set(err, ERROR_CONFLICT, "the orphans changed while they were read: ask again");
	removal->begun = true;
	removal->revision = revision;
	return 0;
}

static int on_item(void *aux, const json_t *item, struct error *err)
{
	struct removal *removal = aux;
	const char *guid = json_str(item, "guid", NULL);

	(void)err;
	if (!guid || !is_kind(item, "orphan") || json_bool(item, 0, "removing", NULL) || !is_asked_for(removal, guid))
		return 0;
	if (!json_bool(item, 0, "removable", NULL)) {
		json_object_set_new(removal->early, guid, json_true());
		return 0;
	}
	row(removal->ctl, removal->table, item);
	if (!json_object_get(removal->seen, guid)) {
		json_object_set_new(removal->seen, guid, json_true());
		json_array_append_new(removal->guids, json_string(guid));
	}
	return 0;
}

/* Each that was named must be there: a typing error must not pass for a removal. */
static int check_named(const struct removal *removal, struct error *err)
{
	for (int i = 0; i < removal->ctl->argc; i++) {
		const char *text = removal->ctl->argv[i];
		char name_text[GUID_TEXT_MAX];
		struct guid guid;

		guid_parse_any(&guid, text);
		guid_format(name_text, guid);
		if (json_object_get(removal->seen, name_text))
			continue;
		if (json_object_get(removal->early, name_text))
			return error_set(err, ERROR_CONFLICT,
					 "%s was seen too short a while ago (UFMSYNC_ORPHAN_GRACE): ask again later",
					 name_text);
		return error_set(err, ERROR_GONE, "%s is no orphan that can be removed: see %s orphans", name_text,
				 removal->ctl->program);
	}
	return 0;
}

static int remove_some(struct removal *removal, size_t from, size_t n, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *body = NULL, *answer = NULL;
	json_t *guids = json_array();

	for (size_t i = from; i < from + n; i++)
		json_array_append(guids, json_array_get(removal->guids, i));
	body = json_pack("{s:o, s:I}", "guids", guids, "revision", removal->revision);
	if (reach_call(removal->ctl->reach, "POST", "/v1/orphans/remove", body, &answer, err) < 0)
		return -1;
	removal->revision = json_int(answer, -1, "revision", NULL);
	return 0;
}

static enum ctl_exit remove_all(struct removal *removal)
{
	struct ctl *ctl = removal->ctl;
	size_t n = json_array_size(removal->guids);
	struct error err = { 0 };

	for (size_t at = 0, step; at < n; at += step) {
		step = n - at < REMOVE_MAX ? n - at : REMOVE_MAX;
		if (remove_some(removal, at, step, &err) == 0)
			continue;
		if (at > 0)
			error_wrap(&err, "%zu of %zu are being removed, the others are not", at, n);
		return ctl_fail(ctl, &err);
	}
	fprintf(ctl->err, "%zu %s being removed; %s orphans shows how far it is\n", n, n == 1 ? "GUID is" : "GUIDs are",
		ctl->program);
	return CTL_DONE;
}

static enum ctl_exit confirm_and_remove(struct removal *removal)
{
	struct ctl *ctl = removal->ctl;
	size_t n = json_array_size(removal->guids), early = json_object_size(removal->early);
	char question[QUESTION_MAX];

	if (early > 0)
		fprintf(ctl->err, "%zu %s seen too short a while ago to be removed\n", early,
			early == 1 ? "orphan was" : "orphans were");
	if (n == 0) {
		fprintf(ctl->err, "nothing to remove\n");
		return CTL_DONE;
	}
	ctl_print(ctl, removal->table);
	removal->table = NULL;
	if (ctl->dry_run) {
		fflush(ctl->out);
		fprintf(ctl->err, "%zu %s would be removed; nothing was changed\n", n, n == 1 ? "GUID" : "GUIDs");
		return CTL_DONE;
	}
	snprintf(question, sizeof question,
		 "Remove %s from all PKeys where %s an orphan?  Whoever uses %s loses the partition.",
		 n == 1 ? "this GUID" : "these GUIDs", n == 1 ? "it is" : "they are", n == 1 ? "it" : "them");
	return ctl_confirms(ctl, question) ? remove_all(removal) : CTL_FAILED;
}

static enum ctl_exit remove_orphans(struct ctl *ctl)
{
	struct removal removal = { .ctl = ctl, .guids = json_array(), .seen = json_object(), .early = json_object() };
	const struct reach_list pages = { on_page, on_item, &removal };
	struct error err = { 0 };
	enum ctl_exit code;

	removal.table = table_new(columns, COLUMNS);
	if (reach_each(ctl->reach, "/v1/orphans", &pages, &err) < 0 || check_named(&removal, &err) < 0)
		code = ctl_fail(ctl, &err);
	else
		code = confirm_and_remove(&removal);
	table_free(removal.table);
	json_decref(removal.guids);
	json_decref(removal.seen);
	json_decref(removal.early);
	return code;
}

/* --- confirming ------------------------------------------------------------------------------------------------- */

static enum ctl_exit confirm(struct ctl *ctl)
{
	__attribute__((cleanup(json_freep))) json_t *status = NULL, *answer = NULL;
	struct error err = { 0 };
	char question[QUESTION_MAX];

	if (reach_call(ctl->reach, "GET", "/v1/status", NULL, &status, &err) < 0)
		return ctl_fail(ctl, &err);
	long long orphans = json_int(status, 0, "orphans", NULL);
	if (ctl->dry_run) {
		fprintf(ctl->err, "%lld %s would be confirmed and then removed; nothing was changed\n", orphans,
			orphans == 1 ? "orphan" : "orphans");
		return CTL_DONE;
	}
	snprintf(
		question, sizeof question,
		"Confirm that all %lld orphans belong to nobody?  The service then removes them, and the brake is off.",
		orphans);
	if (!ctl_confirms(ctl, question))
		return CTL_FAILED;
	if (reach_call(ctl->reach, "POST", "/v1/orphans/confirm", NULL, &answer, &err) < 0)
		return ctl_fail(ctl, &err);
	orphans = json_int(answer, 0, "orphans", NULL);
	fprintf(ctl->err, "%lld %s confirmed; %s orphans shows how far their removal is\n", orphans,
		orphans == 1 ? "orphan" : "orphans", ctl->program);
	return CTL_DONE;
}

static enum ctl_exit run(struct ctl *ctl)
{
	bool removes = ctl_flag(ctl, "--remove"), confirms = ctl_flag(ctl, "--confirm");
	struct guid guid;

	if (removes && confirms)
		return ctl_usage(ctl, "--remove and --confirm are two things: choose one");
	if (ctl->argc > 0 && !removes)
		return ctl_usage(ctl, "GUIDs are named to be removed: with --remove");
	if ((removes || confirms) && ctl->reach_options.way == REACH_DIRECT)
		return ctl_usage(ctl, "--direct only looks: only the service removes orphans");
	if ((removes || confirms) && ctl->watch)
		return ctl_usage(ctl, "--watch only lists");
	if (!removes && !confirms && (ctl->yes || ctl->dry_run))
		return ctl_usage(ctl, "--yes and --dry-run belong to --remove and --confirm");
	for (int i = 0; i < ctl->argc; i++)
		if (!guid_parse_any(&guid, ctl->argv[i]))
			return ctl_usage(ctl, "'%.50s' is not a GUID: 02:00:00:00:00:00:00:1a", ctl->argv[i]);
	return removes ? remove_orphans(ctl) : confirms ? confirm(ctl) : list(ctl);
}

static const struct ctl_flag flags[] = {
	{ "--remove", NULL, "asks, then has the service remove all of them, or the named GUIDs" },
	{ "--confirm", NULL, "says that all of them belong to nobody: releases the brake, and they are removed" },
	{ "--yes", NULL, "does not ask" },
	{ "--dry-run", NULL, "says what would be done, and does nothing" },
	{ NULL, NULL, NULL },
};

const struct ctl_command ctl_orphans = {
	.name = "orphans",
	.arguments = "[GUID ...]",
	.most = 500,
	.summary = "Members of our range of GUIDs that no pod owns; removes or confirms them",
	.description = "Lists what the fabric manager has in our range where no pod wants it: orphans (nobody's), "
		       "unexpected ones\n"
		       "(of a pod that wants another PKey; they go by themselves), and foreign ones (of another "
		       "writer, or in a\n"
		       "PKey that is not ours; never removed).  --remove removes orphans, brake or not: it names each "
		       "and asks\n"
		       "first, and nothing is done if the list has changed meanwhile.",
	.flags = flags,
	.operates = true,
	.named = true,
	.watches = true,
	.run = run,
};
