#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/dry_run_parts.h"

/* For people: sums, then a line for all that is not simply kept, then what to look at. */

enum { COLUMNS = 5, WIDTH_MAX = 64 };

struct table {
	const struct dry_run *run;
	bool measuring;
	uint64_t rows;
	size_t width[COLUMNS];
};

/* A cell that is wider than the rest of its column pushes the others in its line. */
static void row(struct table *table, const char *const cells[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS && cells[i]; i++) {
		size_t width = strlen(cells[i]);
		if (table->measuring && width > table->width[i])
			table->width[i] = width < WIDTH_MAX ? width : WIDTH_MAX;
		if (table->measuring)
			continue;
		bool last = i + 1 == COLUMNS || !cells[i + 1] || !*cells[i + 1];
		printf("%s%-*s", i ? "  " : "", last ? 0 : (int)table->width[i], cells[i]);
		if (last)
			break;
	}
	if (!table->measuring)
		fputc('\n', stdout);
	table->rows++;
}

/* Twice: first for the widths. */
static void print(struct dry_run *run, const char *title, const char *const head[COLUMNS],
		  void (*rows)(struct dry_run *run, struct table *table))
{
	struct table table = { .run = run, .measuring = true };

	row(&table, head);
	rows(run, &table);
	if (table.rows == 1)
		return;
	printf("\n%s\n", title);
	table.measuring = false;
	row(&table, head);
	rows(run, &table);
}

/* --- the lists -------------------------------------------------------------------------------------------------- */

static void interface_row(void *aux, const struct what_if_interface *interface)
{
	const struct attachment_view *view = interface->view;
	struct guid guid = interface->known_guid ? view->guid : interface->had;
	char text[GUID_TEXT_MAX], *would, *why;

	if (interface->fate == WHAT_IF_KEPT)
		return;
	char *pod = mem_printf("%s/%s", view->pod_namespace, view->pod_name);
	char *network = mem_printf("%s%s%s", view->network_name, *view->interface ? "@" : "", view->interface);
	dry_run_say(interface, &would, &why);
	row(aux, (const char *const[COLUMNS]){ pod, network, guid.v ? guid_format(text, guid) : "-", would, why });
	free(would);
	free(why);
	free(pod);
	free(network);
}

static void interface_rows(struct dry_run *run, struct table *table)
{
	what_if_each(run->world, interface_row, table);
}

static void stray_row(void *aux, const struct what_if_stray *stray)
{
	struct table *table = aux;
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX], *would, *why;

	dry_run_say_stray(table->run, stray, &would, &why);
	row(table, (const char *const[COLUMNS]){ guid_format(guid, stray->member.guid), pkey_format(pkey, stray->pkey),
						 membership_name(stray->member.membership), would, why });
	free(would);
	free(why);
}

static void stray_rows(struct dry_run *run, struct table *table)
{
	what_if_each_stray(run->world, stray_row, table);
}

static void pkey_row(void *aux, const struct what_if_pkey *pkey)
{
	char text[PKEY_TEXT_MAX], was[24], joined[24], removed[24];

	if (!pkey->joined && !pkey->removed)
		return;
	snprintf(was, sizeof was, "%" PRIu64, pkey->was);
	snprintf(joined, sizeof joined, "%" PRIu64, pkey->joined);
	snprintf(removed, sizeof removed, "%" PRIu64, pkey->removed);
	row(aux, (const char *const[COLUMNS]){ pkey_format(text, pkey->pkey), was, joined, removed });
}

static void pkey_rows(struct dry_run *run, struct table *table)
{
	what_if_each_pkey(run->world, pkey_row, table);
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
	static const char *const pkeys[COLUMNS] = { "PKEY", "MEMBERS", "JOINED", "REMOVED" };
	static const char *const interfaces[COLUMNS] = { "POD", "NETWORK", "GUID", "WOULD", "WHY" };
	static const char *const strays[COLUMNS] = { "GUID", "PKEY", "MEMBERSHIP", "WOULD", "WHY" };

	print_sums(run);
	print(run, "Members that would change", pkeys, pkey_rows);
	print(run, "Interfaces that are not simply kept", interfaces, interface_rows);
	print(run, "Members of our range without a pod of theirs", strays, stray_rows);
	if (run->n_warnings)
		puts("\nLook at this first");
	for (size_t i = 0; i < run->n_warnings; i++)
		printf("- %s\n", run->warnings[i]);
	puts("\nNot foreseen here");
	for (size_t i = 0; dry_run_not_foreseen[i]; i++)
		printf("- %s\n", dry_run_not_foreseen[i]);
}
