#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/compare.h"
#include "ufmsync/ctl/print.h"

/* More than so many are no pods that were just coming or going. */
enum { DOUBTS_MAX = 200 };

struct diff {
	struct ctl *ctl;
	struct compare *compare;
	struct pkey *pkeys; /* to be asked for */
	size_t n, room;
	struct pkey pkey; /* being asked for */
};

/* --- asking ----------------------------------------------------------------------------------------------------- */

static int malformed(struct error *err)
{
	return error_set(err, ERROR_RETRY, "the service's answer is not understood: is it of another version?");
}

/* Only who has compared with the fabric manager knows whose a member is. */
static int on_page(void *aux, const json_t *page, struct error *err)
{
	(void)aux;
	if (json_is_true(json_object_get(page, "authoritative")))
		return 0;
	return error_set(err, ERROR_RETRY,
			 "no replica leads now, so nobody can tell whose a member is: ask again, or with --direct");
}

static int on_attachment(void *aux, const json_t *item, struct error *err)
{
	struct diff *diff = aux;

	return compare_attachment(diff->compare, item) < 0 ? malformed(err) : 0;
}

static int on_pkey(void *aux, const json_t *item, struct error *err)
{
	struct diff *diff = aux;
	const char *text = json_str(item, "pkey", NULL);
	struct pkey pkey;

	if (text && strcmp(text, "0x7fff") == 0)
		return 0; /* everybody's */
	if (!text || !pkey_parse(&pkey, text))
		return malformed(err);
	if (diff->n == diff->room) {
		diff->room = diff->room ? 2 * diff->room : 32;
		diff->pkeys = mem_resize(diff->pkeys, diff->room, sizeof *diff->pkeys);
	}
	diff->pkeys[diff->n++] = pkey;
	return 0;
}

static int on_member(void *aux, const json_t *item, struct error *err)
{
	struct diff *diff = aux;

	return compare_member(diff->compare, diff->pkey, item) < 0 ? malformed(err) : 0;
}

static int ask_members(struct diff *diff, struct error *err)
{
	const struct reach_list list = { on_page, on_member, diff };
	char path[64], text[PKEY_TEXT_MAX];

	for (size_t i = 0; i < diff->n; i++) {
		diff->pkey = diff->pkeys[i];
		snprintf(path, sizeof path, "/v1/pkeys/%s", pkey_format_wire(text, diff->pkey));
		/* A PKey that the fabric manager does not know has no members. */
		if (reach_each(diff->ctl->reach, path, &list, err) < 0 && err->kind != ERROR_GONE)
			return -1;
	}
	return 0;
}

static int ask(struct diff *diff, const struct pkey *only, struct error *err)
{
	const struct reach_list attachments = { on_page, on_attachment, diff }, pkeys = { on_page, on_pkey, diff };

	/* All of them, also for one PKey: who is in it wrongly wants another. */
	if (reach_each(diff->ctl->reach, "/v1/attachments", &attachments, err) < 0)
		return -1;
	if (only) {
		diff->pkeys = mem_array(1, sizeof *diff->pkeys);
		diff->pkeys[diff->n++] = *only;
	} else if (reach_each(diff->ctl->reach, "/v1/pkeys", &pkeys, err) < 0) {
		return -1;
	}
	return ask_members(diff, err);
}

/* --- doubts ----------------------------------------------------------------------------------------------------- */

static bool is_listed_in(const json_t *guid, struct pkey pkey)
{
	const json_t *listed = json_object_get(guid, "listed"), *one;
	size_t i;

	json_array_foreach(listed, i, one)
	{
		const char *text = json_str(one, "pkey", NULL);
		struct pkey its;
		if (text && pkey_parse(&its, text) && its.v == pkey.v)
			return true;
	}
	return false;
}

/* It was wanted when the attachments were read, and not listed somewhat later: is it still so? */
static int is_doubtful(struct diff *diff, const struct difference *difference, bool *doubtful, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *guid = NULL;
	char path[64], text[GUID_TEXT_MAX];
	const char *uid = json_str(difference->owner, "uid", NULL), *now, *state;

	snprintf(path, sizeof path, "/v1/guids/%s", guid_format(text, difference->guid));
	if (reach_call(diff->ctl->reach, "GET", path, NULL, &guid, err) < 0)
		return -1;
	now = json_str(guid, "owner", "uid", NULL);
	state = json_str(guid, "owner", "state", NULL);
	*doubtful = is_listed_in(guid, difference->pkey) || !now || !uid || strcmp(now, uid) != 0 || !state ||
		    strcmp(state, "leaving") == 0 || strcmp(state, "resting") == 0;
	return 0;
}

static int drop_doubtful(struct diff *diff, struct error *err)
{
	size_t asked = 0;

	if (diff->ctl->reach_options.way == REACH_DIRECT)
		return 0; /* all of one moment */
	for (size_t i = 0; i < compare_count(diff->compare) && asked < DOUBTS_MAX;) {
		const struct difference *difference = compare_at(diff->compare, i);
		bool doubtful = false;
		if (difference->problem == PROBLEM_NOT_A_MEMBER) {
			asked++;
			if (is_doubtful(diff, difference, &doubtful, err) < 0)
				return -1;
		}
		if (doubtful)
			compare_drop(diff->compare, i);
		else
			i++;
	}
	return 0;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

enum { PROBLEM, PKEY, GUID, LISTED, WANTED, POD, NETWORK, NODE, COLUMNS };

static const struct table_column columns[COLUMNS] = {
	[PROBLEM] = { .title = "PROBLEM" },
	[PKEY] = { .title = "PKEY", .key = true },
	[GUID] = { .title = "GUID", .key = true },
	[LISTED] = { .title = "LISTED" },
	[WANTED] = { .title = "WANTED" },
	[POD] = { .title = "POD", .may_cut = true },
	[NETWORK] = { .title = "NETWORK", .may_cut = true, .wide = true },
	[NODE] = { .title = "NODE", .may_cut = true, .wide = true },
};

enum { CLASS_MAX = 40 };

static const char *class_text(char out[CLASS_MAX], bool counts, bool elsewhere, struct pkey_class class)
{
	char pkey[PKEY_TEXT_MAX];

	if (!counts)
		return NULL;
	if (elsewhere)
		snprintf(out, CLASS_MAX, "in %s", pkey_format(pkey, class.pkey));
	else
		snprintf(out, CLASS_MAX, "%s%s", membership_name(class.membership), class.index0 ? ",index0" : "");
	return out;
}

static void add_row(struct table *table, const struct difference *difference)
{
	char pkey[PKEY_TEXT_MAX], guid[GUID_TEXT_MAX], has[CLASS_MAX], wants[CLASS_MAX];
	const json_t *owner = difference->owner;
	const char *namespace = json_str(owner, "namespace", NULL), *pod = json_str(owner, "pod", NULL);
	__attribute__((cleanup(mem_freep))) char *name = pod ? mem_printf("%s/%s", namespace, pod) : NULL;

	table_row(table,
		  (const char *const[COLUMNS]){
			  [PROBLEM] = problem_name(difference->problem),
			  [PKEY] = pkey_format(pkey, difference->pkey),
			  [GUID] = guid_format(guid, difference->guid),
			  [LISTED] = class_text(has, difference->listed, false, difference->has),
			  [WANTED] = class_text(wants, difference->wanted, difference->elsewhere, difference->wants),
			  [POD] = name,
			  [NETWORK] = json_str(owner, "network", NULL),
			  [NODE] = json_str(owner, "node", NULL),
		  });
	table_colour(table, PROBLEM, problem_differs(difference->problem) ? TABLE_BAD : TABLE_FAINT);
}

static json_t *class_json(bool counts, struct pkey_class class)
{
	char pkey[PKEY_TEXT_MAX];

	if (!counts)
		return json_null();
	return json_pack("{s:s, s:s, s:b}", "pkey", pkey_format_wire(pkey, class.pkey), "membership",
			 membership_name(class.membership), "index0", class.index0);
}

static json_t *owner_json(const json_t *owner)
{
	static const char *const keys[] = { "namespace", "pod", "uid", "network", "interface", "node", "state" };
	json_t *object = owner ? json_object() : json_null();

	for (size_t i = 0; owner && i < array_length(keys); i++)
		json_object_set(object, keys[i], json_object_get(owner, keys[i]));
	return object;
}

static json_t *all_json(const struct compare *compare, bool differ)
{
	json_t *items = json_array();

	for (size_t i = 0; i < compare_count(compare); i++) {
		const struct difference *difference = compare_at(compare, i);
		char pkey[PKEY_TEXT_MAX], guid[GUID_TEXT_MAX];
		json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "problem",
						       problem_code(difference->problem), "pkey",
						       pkey_format_wire(pkey, difference->pkey), "guid",
						       guid_format(guid, difference->guid), "listed",
						       class_json(difference->listed, difference->has), "wanted",
						       class_json(difference->wanted, difference->wants), "owner",
						       owner_json(difference->owner)));
	}
	return json_pack("{s:b, s:I, s:I, s:o}", "differs", differ, "right", (json_int_t)compare_right(compare),
			 "outside", (json_int_t)compare_outside(compare), "items", items);
}

static void print_table(struct ctl *ctl, const struct compare *compare, size_t differ)
{
	struct table *table = table_new(columns, COLUMNS);
	unsigned long long right = compare_right(compare), outside = compare_outside(compare);

	for (size_t i = 0; i < compare_count(compare); i++)
		add_row(table, compare_at(compare, i));
	if (table_rows(table) > 0)
		ctl_print(ctl, table);
	else
		table_free(table);
	fflush(ctl->out);
	fprintf(ctl->err, "%zu %s, %llu right", differ, differ == 1 ? "difference" : "differences", right);
	if (outside > 0)
		fprintf(ctl->err, "; %llu members outside our range of GUIDs are not looked at", outside);
	fputc('\n', ctl->err);
}

static enum ctl_exit report(struct ctl *ctl, const struct compare *compare)
{
	size_t differ = 0;

	for (size_t i = 0; i < compare_count(compare); i++)
		differ += problem_differs(compare_at(compare, i)->problem);
	if (ctl_is_table(ctl)) {
		print_table(ctl, compare, differ);
	} else {
		json_t *all = all_json(compare, differ > 0);
		ctl_print_json(ctl, all);
		json_decref(all);
	}
	return differ > 0 ? CTL_DIFFERS : CTL_DONE;
}

static enum ctl_exit run(struct ctl *ctl)
{
	struct diff diff = { .ctl = ctl };
	struct error err = { 0 };
	struct pkey only;
	enum ctl_exit code;

	if (ctl->argc > 0 && !ctl_pkey_parse(&only, ctl->argv[0]))
		return ctl_usage(ctl, "'%.50s' is not a PKey: 0x1 to 0x7ffe, or decimal", ctl->argv[0]);
	diff.compare = compare_new();
	if (ask(&diff, ctl->argc > 0 ? &only : NULL, &err) < 0) {
		code = ctl_fail(ctl, &err);
	} else {
		compare_end(diff.compare, ctl->argc > 0 ? &only : NULL);
		code = drop_doubtful(&diff, &err) < 0 ? ctl_fail(ctl, &err) : report(ctl, diff.compare);
	}
	compare_free(diff.compare);
	free(diff.pkeys);
	return code;
}

const struct ctl_command ctl_diff = {
	.name = "diff",
	.arguments = "[PKEY]",
	.most = 1,
	.summary = "What pods are to have against what the fabric manager lists; exit code 4 when they differ",
	.description =
		"Both directions: members that no pod owns (no pod), pods that are no members any more (not a "
		"member),\n"
		"full instead of limited or another index (membership), GUIDs listed in a PKey that their pod does "
		"not\n"
		"want (other PKey), and members of our range that are another writer's (foreign).  What is joining or\n"
		"leaving right now is shown in brackets and is no difference.  With a PKEY only that one.  The "
		"members\n"
		"are as the fabric manager lists them now; which PKeys there are, as of the last audit.",
	.run = run,
};
