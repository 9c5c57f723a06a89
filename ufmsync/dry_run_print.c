#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/table.h"
#include "ufmsync/dry_run_parts.h"

/* For people: sums, then a line for all that is not simply kept, then what to look at. */

/* Which run, and the table that is filled. */
struct filling {
	const struct dry_run *run;
	struct table *table;
};

static void print(struct dry_run *run, const char *title, const struct table_column *columns, size_t n,
		  void (*fill)(struct filling *filling))
{
	struct filling filling = { run, table_new(columns, n) };

	fill(&filling);
	if (table_rows(filling.table) > 0) {
		printf("\n%s\n", title);
		table_print(filling.table, &(struct table_style){ .headers = true }, stdout);
	}
	table_free(filling.table);
}

/* --- the lists -------------------------------------------------------------------------------------------------- */

static void interface_row(void *aux, const struct what_if_interface *interface)
{
	const struct filling *filling = aux;
	const struct attachment_view *view = interface->view;
	struct guid guid = interface->known_guid ? view->guid : interface->had;
	char text[GUID_TEXT_MAX], *would, *why;

	if (interface->fate == WHAT_IF_KEPT)
		return;
	char *pod = mem_printf("%s/%s", view->pod_namespace, view->pod_name);
	char *network = mem_printf("%s%s%s", view->network_name, *view->interface ? "@" : "", view->interface);
	dry_run_say(interface, &would, &why);
	table_row(filling->table,
		  (const char *const[]){ pod, network, guid.v ? guid_format(text, guid) : NULL, would, why });
	free(would);
	free(why);
	free(pod);
	free(network);
}

static void interface_rows(struct filling *filling)
{
	what_if_each(filling->run->world, interface_row, filling);
}

static void stray_row(void *aux, const struct what_if_stray *stray)
{
	const struct filling *filling = aux;
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX], *would, *why;

	dry_run_say_stray(filling->run, stray, &would, &why);
	table_row(filling->table,
		  (const char *const[]){ guid_format(guid, stray->member.guid), pkey_format(pkey, stray->pkey),
					 membership_name(stray->member.membership), would, why });
	free(would);
	free(why);
}

static void stray_rows(struct filling *filling)
{
	what_if_each_stray(filling->run->world, stray_row, filling);
}

static void pkey_row(void *aux, const struct what_if_pkey *pkey)
{
	const struct filling *filling = aux;
	char text[PKEY_TEXT_MAX], was[24], joined[24], removed[24];

	if (!pkey->joined && !pkey->removed)
		return;
	snprintf(was, sizeof was, "%" PRIu64, pkey->was);
	snprintf(joined, sizeof joined, "%" PRIu64, pkey->joined);
	snprintf(removed, sizeof removed, "%" PRIu64, pkey->removed);
	table_row(filling->table, (const char *const[]){ pkey_format(text, pkey->pkey), was, joined, removed });
}

static void pkey_rows(struct filling *filling)
{
	what_if_each_pkey(filling->run->world, pkey_row, filling);
}

/* --- the sums --------------------------------------------------------------------------------------------------- */

static void event_text(void *aux, const char *reason, bool network, uint64_t n)
{
	bool *any = aux;

	printf("%s%s on %" PRIu64 " %s%s", *any ? ", " : "", reason, n, network ? "network definition" : "pod",
	       n == 1 ? "" : "s");
	*any = true;
}

static void print_sums(struct dry_run *run)
{
	const struct what_if_totals *t = &run->totals;
	bool any = false;

	printf("Dry run: nothing was changed. A service that starts now would change %s.\n\n",
	       dry_run_changes(run) ? "what follows" : "nothing either");
	printf("Fabric      %s%s%s: %" PRIu64 " members, %" PRIu64 " of them in our range; PKeys with members: %" PRIu64
	       "\n",
	       settings_get(run->config->settings, SETTING_DAEMON_SM_PLUGIN), run->version ? " " : "",
	       run->version ? run->version : "", t->members, t->in_range, t->pkeys);
	printf("Pods        %" PRIu64 " with networks; %" PRIu64 " network definitions\n", t->pods, t->networks);
	printf("Interfaces  %" PRIu64 ": %" PRIu64 " kept as they are, %" PRIu64 " joined again, %" PRIu64
	       " given a GUID, %" PRIu64 " given another, %" PRIu64 " wait\n",
	       t->interfaces, t->fates[WHAT_IF_KEPT], t->fates[WHAT_IF_JOINED], t->fates[WHAT_IF_GIVEN],
	       t->fates[WHAT_IF_CHANGED], t->fates[WHAT_IF_WAITS]);
	printf("Writes      %" PRIu64 " memberships joined, %" PRIu64 " removed\n", t->joins, t->removals);
	printf("Patches     %" PRIu64 " pods; %" PRIu64 " of them only get their record\n", t->patched,
	       t->patched_record);
	printf("Orphans     %" PRIu64 ", %" PRIu64 " of them carried by pods; the brake is %s\n", t->orphans,
	       t->orphans_carried, dry_run_brake_name(t->brake));
	fputs("Events      ", stdout);
	what_if_each_event(run->world, event_text, &any);
	puts(any ? "" : "none");
}

void dry_run_print_table(struct dry_run *run)
{
	static const struct table_column pkeys[] = { { .title = "PKEY" },
						     { .title = "MEMBERS", .right = true },
						     { .title = "JOINED", .right = true },
						     { .title = "REMOVED", .right = true } };
	static const struct table_column interfaces[] = { { .title = "POD" },
							  { .title = "NETWORK" },
							  { .title = "GUID" },
							  { .title = "WOULD" },
							  { .title = "WHY" } };
	static const struct table_column strays[] = { { .title = "GUID" },
						      { .title = "PKEY" },
						      { .title = "MEMBERSHIP" },
						      { .title = "WOULD" },
						      { .title = "WHY" } };

	print_sums(run);
	print(run, "Members that would change", pkeys, array_length(pkeys), pkey_rows);
	print(run, "Interfaces that are not simply kept", interfaces, array_length(interfaces), interface_rows);
	print(run, "Members of our range without a pod of theirs", strays, array_length(strays), stray_rows);
	if (run->n_warnings)
		puts("\nLook at this first");
	for (size_t i = 0; i < run->n_warnings; i++)
		printf("- %s\n", run->warnings[i]);
	puts("\nNot foreseen here");
	for (size_t i = 0; dry_run_not_foreseen[i]; i++)
		printf("- %s\n", dry_run_not_foreseen[i]);
}
