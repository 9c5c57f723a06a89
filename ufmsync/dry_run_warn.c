#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/dry_run_parts.h"

/* What an operator should look at before a service starts for the first time, and the sentences of the report. */

enum { NAMED_MAX = 5 }; /* of a kind; there are more in the JSON */

const char *const dry_run_not_foreseen[] = {
	"what pods, definitions and members change from now on",
	"what the fabric manager or the API server refuses (a GUID that no port has yet, annotations that are full)",
	"which GUIDs are drawn for those that have none",
	NULL,
};

const char *dry_run_fate_name(enum what_if_fate fate)
{
	static const char *const names[WHAT_IF_FATES] = { [WHAT_IF_KEPT] = "kept",
							  [WHAT_IF_JOINED] = "joined",
							  [WHAT_IF_GIVEN] = "given",
							  [WHAT_IF_CHANGED] = "changed",
							  [WHAT_IF_WAITS] = "waits" };
	return names[fate];
}

const char *dry_run_brake_name(enum engine_brake brake)
{
	return brake == ENGINE_BRAKE_OFF ? "off" : brake == ENGINE_BRAKE_UNSETTLED ? "unsettled" : "latched";
}

bool dry_run_changes(const struct dry_run *run)
{
	return run->totals.joins || run->totals.removals || run->totals.patched;
}

/* --- sentences -------------------------------------------------------------------------------------------------- */

static char *say_pkeys(const struct what_if_interface *interface)
{
	char first[PKEY_TEXT_MAX], second[PKEY_TEXT_MAX];
	const struct pkey_class *joins = interface->joins;

	if (!interface->n_joins)
		return mem_dup("");
	pkey_format(first, joins[0].pkey);
	if (interface->n_joins == 1)
		return mem_printf(" join %s%s", first, joins[0].membership == MEMBERSHIP_LIMITED ? " (limited)" : "");
	return mem_printf(" join %s, %s%s", first, pkey_format(second, joins[1].pkey),
			  joins[1].membership == MEMBERSHIP_LIMITED ? " (limited)" : "");
}

void dry_run_say(const struct what_if_interface *interface, char **would, char **why)
{
	const struct attachment_view *view = interface->view;
	char *pkeys = say_pkeys(interface), had[GUID_TEXT_MAX];
	const char *comma = *pkeys ? "," : "";

	switch (interface->fate) {
	case WHAT_IF_WAITS:
		*would = mem_printf("get none: %s", view->blocked_reason ? view->blocked_reason : "ending");
		*why = mem_dup(view->blocked_text ? view->blocked_text : "the pod is ending");
		break;
	case WHAT_IF_CHANGED:
		*would = mem_printf("get another GUID%s%s", comma, pkeys);
		*why = mem_printf("its annotation says %s, its record this one", guid_format(had, interface->had));
		break;
	case WHAT_IF_GIVEN:
		*would = mem_printf("get %s GUID%s%s", interface->known_guid ? "this" : "a", comma, pkeys);
		*why = mem_printf("%s%s", interface->known_guid ? "it asks for it" : "none is known that it was given",
				  interface->running ? "; it takes it when the pod is started anew" : "");
		break;
	case WHAT_IF_JOINED:
		*would = mem_printf("keep its GUID,%s", pkeys);
		*why = mem_dup("the fabric manager does not list it like this");
		break;
	default:
		*would = mem_dup("keep all");
		*why = mem_dup("");
	}
	free(pkeys);
	if (interface->stripped) {
		char *whole = mem_printf("%s; the membership that it has now would be nobody's", *why);
		free(*why);
		*why = whole;
	}
}

static const char *why_it_stays(const struct dry_run *run, const struct what_if_stray *stray)
{
	if (stray->kind == STRAY_IS_FOREIGN)
		return "another writer's";
	if (run->config->engine.orphans == ENGINE_ORPHANS_KEEP)
		return "UFMSYNC_ORPHANS=keep";
	if (run->totals.brake != ENGINE_BRAKE_OFF)
		return "held by the brake";
	return "";
}

void dry_run_say_stray(const struct dry_run *run, const struct what_if_stray *stray, char **would, char **why)
{
	char *carried = stray->name ? mem_printf("carried by pod %s/%s", stray->namespace, stray->name) : NULL;
	const char *stays = stray->removed_after_ms < 0 ? why_it_stays(run, stray) : "";
	const char *what = stray->kind == STRAY_IS_UNEXPECTED ? "its pod is in other PKeys" : "no pod owns it";

	if (stray->removed_after_ms >= 0)
		*would = mem_printf("be removed after %" PRId64 " s", stray->removed_after_ms / 1000);
	else
		*would = mem_dup("stay");
	*why = mem_printf("%s%s%s%s%s", carried ? carried : what,
			  carried && stray->kind == STRAY_IS_UNEXPECTED ? "; " : "",
			  carried && stray->kind == STRAY_IS_UNEXPECTED ? what : "", *stays ? "; " : "", stays);
	free(carried);
}

/* --- warnings --------------------------------------------------------------------------------------------------- */

struct reasons {
	struct {
		const char *reason; /* the engine's own: they stay */
		uint64_t n, stripped;
	} at[16];
	size_t n;
};

static void count_reason(void *aux, const struct what_if_interface *interface)
{
	struct reasons *reasons = aux;
	const char *reason = interface->view->blocked_reason;
	size_t i = 0;

	if (interface->fate != WHAT_IF_WAITS || !reason)
		return;
	while (i < reasons->n && strcmp(reasons->at[i].reason, reason) != 0)
		i++;
	if (i == array_length(reasons->at))
		return;
	if (i == reasons->n)
		reasons->at[reasons->n++].reason = reason;
	reasons->at[i].n++;
	reasons->at[i].stripped += interface->stripped;
}

static void warn_of_reasons(struct dry_run *run)
{
	static const char *const hints[][2] = {
		{ "BadPKey", "Correct the definition, or UFM_PKEY_RANGE" },
		{ "GUIDOutOfRange", "GUID_POOL_RANGE_START and GUID_POOL_RANGE_END must be those of ib-kubernetes" },
		{ "PKeyNotAllowed", "UFMSYNC_PKEY_POLICY=any lets them, as ib-kubernetes does" },
		{ "NetworkNotFound",
		  "The definition was deleted after the pod's start; with UFMSYNC_ADOPT=annotation and "
		  "the definition back it keeps what it has" },
		{ "GUIDTaken", "See what is said of the same GUIDs" },
	};
	struct reasons reasons = { 0 };

	what_if_each(run->world, count_reason, &reasons);
	for (size_t i = 0; i < reasons.n; i++) {
		const char *hint = "";
		for (size_t k = 0; k < array_length(hints); k++)
			if (strcmp(hints[k][0], reasons.at[i].reason) == 0)
				hint = hints[k][1];
		dry_run_warn(run, "interfaces that wait for %s: %" PRIu64 "%s%s", reasons.at[i].reason, reasons.at[i].n,
			     *hint ? ". " : "", hint);
	}
}

struct named {
	struct dry_run *run;
	uint64_t n;
};

static void warn_of_twice(void *aux, const struct what_if_twice *twice)
{
	struct named *named = aux;
	char guid[GUID_TEXT_MAX];

	if (named->n++ < NAMED_MAX)
		dry_run_warn(
			named->run,
			"GUID %s is carried by pod %s/%s and by pod %s/%s: one of them keeps it, the other has to be "
			"started anew",
			guid_format(guid, twice->guid), twice->namespace, twice->name, twice->other_namespace,
			twice->other_name);
}

static void warn_of_others(struct dry_run *run)
{
	const struct dry_run_lease *ours = &run->leases[DRY_RUN_OURS], *theirs = &run->leases[DRY_RUN_IB_KUBERNETES];

	if (run->ib_kubernetes)
		dry_run_warn(run, "ib-kubernetes runs (pod %s): scale it to 0 before the service starts",
			     run->ib_kubernetes);
	else if (theirs->holder && theirs->fresh)
		dry_run_warn(run, "ib-kubernetes runs (%s holds the Lease %s): scale it to 0 before the service starts",
			     theirs->holder, theirs->name);
	if (ours->holder && ours->fresh)
		dry_run_warn(run,
			     "a service runs already (%s holds the Lease %s): this is what it would do after a restart",
			     ours->holder, ours->name);
	for (int i = 0; i < DRY_RUN_LEASES; i++)
		if (run->leases[i].error.kind != ERROR_NONE &&
		    (i == DRY_RUN_OURS || run->leases[i].error.kind != ERROR_AUTH)) /* the service may not see theirs */
			dry_run_warn(run, "Lease %s: %s%s", run->leases[i].name, run->leases[i].error.text,
				     i == DRY_RUN_OURS ? "; taken as not settled" : "");
}

static void warn_of_strays(struct dry_run *run)
{
	const struct what_if_totals *totals = &run->totals;

	if (totals->stripped)
		dry_run_warn(run,
			     "interfaces that carry the GUID of a member and would not keep it: %" PRIu64
			     ", of which UFMSYNC_ADOPT=annotation would keep %" PRIu64
			     ". Confirm no orphans while this is so: running pods would lose their partition",
			     totals->stripped, run->adoptable);
	if (totals->running_given)
		dry_run_warn(
			run,
			"interfaces of running pods that would be given a GUID: %" PRIu64
			". What they have now comes from nobody that is known here; they take the new one when their "
			"pods are started anew",
			totals->running_given);
	if (totals->orphans && run->config->engine.orphans == ENGINE_ORPHANS_REMOVE)
		dry_run_warn(run, "UFMSYNC_ORPHANS=remove: no brake holds back the orphans, which are %" PRIu64,
			     totals->orphans);
	else if (totals->orphans && totals->brake != ENGINE_BRAKE_OFF)
		dry_run_warn(run,
			     "orphans that the brake holds until an operator confirms (ufmsyncctl orphans --confirm): "
			     "%" PRIu64 ". See that no other cluster uses this range",
			     totals->orphans);
}

void dry_run_judge(struct dry_run *run)
{
	struct named named = { run, 0 };

	for (size_t i = 0; settings_notice(run->config->settings, i); i++)
		dry_run_warn(run, "%s", settings_notice(run->config->settings, i));
	warn_of_others(run);
	warn_of_strays(run);
	warn_of_reasons(run);
	what_if_each_twice(run->world, warn_of_twice, &named);
	if (named.n > NAMED_MAX)
		dry_run_warn(run, "further GUIDs that are carried twice: %" PRIu64 ". -o json names them",
			     named.n - NAMED_MAX);
	if (run->totals.ungated)
		dry_run_warn(run,
			     "network definitions in use that let pods start before they are members: %" PRIu64
			     ". \"ibKubernetesEnabled\": true in them, or type ufmsync around them",
			     run->totals.ungated);
}
