#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ufmsync/dry_run_parts.h"

/* One JSON object; its long lists go out element by element. */

struct list {
	const struct dry_run *run;
	bool any;
};

static void put(struct list *list, json_t *element)
{
	fputs(list->any ? ",\n    " : "\n    ", stdout);
	json_dumpf(element, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(element);
	list->any = true;
}

static void open_list(struct list *list, const char *name)
{
	list->any = false;
	printf(",\n  \"%s\": [", name);
}

static void close_list(const struct list *list)
{
	fputs(list->any ? "\n  ]" : "]", stdout);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *guid_text(struct guid guid)
{
	char text[GUID_TEXT_MAX];

	return guid.v ? json_string(guid_format(text, guid)) : json_null();
}

static json_t *pkey_text(struct pkey pkey)
{
	char text[PKEY_TEXT_MAX];

	return json_string(pkey_format(text, pkey));
}

static json_t *classes(const struct pkey_class *at, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:o,s:s,s:b}", "pkey", pkey_text(at[i].pkey), "membership",
						      membership_name(at[i].membership), "index0", at[i].index0));
	return list;
}

static void put_interface(void *aux, const struct what_if_interface *interface)
{
	const struct attachment_view *view = interface->view;
	struct guid known = interface->known_guid ? view->guid : (struct guid){ 0 };
	char *would, *why, *network = mem_printf("%s/%s", view->network_namespace, view->network_name);

	dry_run_say(interface, &would, &why);
	put(aux, json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:s?,s:s,s:s,s:b,s:b}", "namespace",
			   view->pod_namespace, "pod", view->pod_name, "node", view->node, "index", view->index,
			   "interface", view->interface, "network", network, "fate", dry_run_fate_name(interface->fate),
			   "guid", guid_text(known), "carries", guid_text(interface->had), "memberships",
			   classes(view->memberships, view->has_guid ? view->n_memberships : 0), "joins",
			   classes(interface->joins, interface->n_joins), "reason", view->blocked_reason, "would",
			   would, "why", why, "running", interface->running, "stripped", interface->stripped));
	free(would);
	free(why);
	free(network);
}

static void put_stray(void *aux, const struct what_if_stray *stray)
{
	struct list *list = aux;
	char *would, *why, *pod = stray->name ? mem_printf("%s/%s", stray->namespace, stray->name) : NULL;

	dry_run_say_stray(list->run, stray, &would, &why);
	put(list, json_pack("{s:o,s:o,s:s,s:s,s:b,s:o,s:s?,s:s,s:s}", "guid", guid_text(stray->member.guid), "pkey",
			    pkey_text(stray->pkey), "membership", membership_name(stray->member.membership), "kind",
			    stray_kind_name(stray->kind), "removed", stray->removed_after_ms >= 0, "afterSeconds",
			    stray->removed_after_ms < 0 ? json_null() : json_integer(stray->removed_after_ms / 1000),
			    "pod", pod, "would", would, "why", why));
	free(would);
	free(why);
	free(pod);
}

static void put_twice(void *aux, const struct what_if_twice *twice)
{
	char *one = mem_printf("%s/%s", twice->namespace, twice->name);
	char *other = mem_printf("%s/%s", twice->other_namespace, twice->other_name);

	put(aux, json_pack("{s:o,s:[s,s]}", "guid", guid_text(twice->guid), "pods", one, other));
	free(one);
	free(other);
}

static void put_pkey(void *aux, const struct what_if_pkey *pkey)
{
	put(aux, json_pack("{s:o,s:o,s:o,s:o}", "pkey", pkey_text(pkey->pkey), "members", number(pkey->was), "joined",
			   number(pkey->joined), "removed", number(pkey->removed)));
}

static void put_event(void *aux, const char *reason, bool network, uint64_t n)
{
	put(aux, json_pack("{s:s,s:s,s:o}", "reason", reason, "on", network ? "network" : "pod", "objects", number(n)));
}

static json_t *sums(const struct dry_run *run)
{
	const struct what_if_totals *t = &run->totals;
	json_t *fates = json_object();

	for (int i = 0; i < WHAT_IF_FATES; i++)
		json_object_set_new(fates, dry_run_fate_name((enum what_if_fate)i), number(t->fates[i]));
	return json_pack("{s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:s?}", "changes",
			 dry_run_changes(run), "pods", number(t->pods), "networks", number(t->networks), "interfaces",
			 number(t->interfaces), "fates", fates, "members", number(t->members), "membersInRange",
			 number(t->in_range), "joins", number(t->joins), "removals", number(t->removals), "patches",
			 number(t->patched), "patchesOfRecordAlone", number(t->patched_record), "orphans",
			 number(t->orphans), "orphansCarried", number(t->orphans_carried), "stripped",
			 number(t->stripped), "brake", dry_run_brake_name(t->brake), "fabricVersion", run->version);
}

void dry_run_print_json(struct dry_run *run)
{
	struct list list = { .run = run };
	json_t *summary = sums(run);

	fputs("{\n  \"summary\": ", stdout);
	json_dumpf(summary, stdout, JSON_COMPACT);
	json_decref(summary);
	open_list(&list, "warnings");
	for (size_t i = 0; i < run->n_warnings; i++)
		put(&list, json_string(run->warnings[i]));
	close_list(&list);
	open_list(&list, "notForeseen");
	for (size_t i = 0; dry_run_not_foreseen[i]; i++)
		put(&list, json_string(dry_run_not_foreseen[i]));
	close_list(&list);
	open_list(&list, "pkeys");
	what_if_each_pkey(run->world, put_pkey, &list);
	close_list(&list);
	open_list(&list, "events");
	what_if_each_event(run->world, put_event, &list);
	close_list(&list);
	open_list(&list, "strays");
	what_if_each_stray(run->world, put_stray, &list);
	close_list(&list);
	open_list(&list, "carriedTwice");
	what_if_each_twice(run->world, put_twice, &list);
	close_list(&list);
	open_list(&list, "interfaces");
	what_if_each(run->world, put_interface, &list);
	close_list(&list);
	fputs("\n}\n", stdout);
}
