#include "ufmsync/ctl/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/print.h"

enum { STATE, CHECK, TEXT, COLUMNS, TEXT_BYTES = 1024 };

static const char *const state_names[] = { "ok", "warning", "failure" };

void doctor_say(struct doctor *doctor, enum doctor_state state, const char *check, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	utf8_one_line(text);
	doctor->failures += state == DOCTOR_FAILURE;
	doctor->warnings += state == DOCTOR_WARNING;
	json_array_append_new(doctor->items,
			      json_pack("{s:s, s:s, s:s}", "state", state_names[state], "check", check, "text", text));
}

const char *doctor_namespace(const struct doctor *doctor)
{
	const char *given = doctor->ctl->reach_options.service_namespace;

	if (given)
		return given;
	return doctor->direct ? doctor->direct->config.lease_namespace : "kube-system";
}

void doctor_names_add(struct doctor_names *names, const char *format, ...)
{
	size_t len = strlen(names->text);
	va_list ap;

	if (names->n++ >= DOCTOR_NAMES_MAX)
		return;
	if (len > 0 && len + 2 < sizeof names->text)
		len += (size_t)snprintf(names->text + len, sizeof names->text - len, ", ");
	va_start(ap, format);
	vsnprintf(names->text + len, sizeof names->text - len, format, ap);
	va_end(ap);
}

const char *doctor_names_text(struct doctor_names *names)
{
	size_t len = strlen(names->text);

	if (names->n > DOCTOR_NAMES_MAX)
		snprintf(names->text + len, sizeof names->text - len, " and %zu more", names->n - DOCTOR_NAMES_MAX);
	return names->text;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static void print_table(struct ctl *ctl, const struct doctor *doctor)
{
	static const struct table_column columns[COLUMNS] = {
		[STATE] = { .title = "STATE" },
		[CHECK] = { .title = "CHECK", .key = true },
		[TEXT] = { .title = "WHAT WAS FOUND, AND WHAT TO DO" },
	};
	static const enum table_colour colours[] = { TABLE_GOOD, TABLE_WARNING, TABLE_BAD };
	struct table *table = table_new(columns, COLUMNS);
	const json_t *item;
	size_t i;

	json_array_foreach(doctor->items, i, item)
	{
		const char *state = json_str(item, "state", NULL);
		table_row(table, (const char *const[COLUMNS]){ [STATE] = state,
							       [CHECK] = json_str(item, "check", NULL),
							       [TEXT] = json_str(item, "text", NULL) });
		for (size_t s = 0; s < array_length(state_names); s++)
			if (strcmp(state_names[s], state) == 0)
				table_colour(table, STATE, colours[s]);
	}
	ctl_print(ctl, table);
	fflush(ctl->out);
	fprintf(ctl->err, "%u %s, %u %s\n", doctor->failures, doctor->failures == 1 ? "failure" : "failures",
		doctor->warnings, doctor->warnings == 1 ? "warning" : "warnings");
}

static void print(struct ctl *ctl, const struct doctor *doctor)
{
	if (ctl_is_table(ctl)) {
		print_table(ctl, doctor);
		return;
	}
	json_t *all = json_pack("{s:i, s:i, s:O}", "failures", (int)doctor->failures, "warnings", (int)doctor->warnings,
				"items", doctor->items);
	ctl_print_json(ctl, all);
	json_decref(all);
}

/* --- the round -------------------------------------------------------------------------------------------------- */

static void look_at_everything(struct doctor *doctor)
{
	if (doctor->ctl->reach_options.way == REACH_DIRECT) {
		doctor_look_at_settings(doctor);
		doctor_look_at_fabric(doctor);
	}
	doctor_look_at_api_server(doctor);
	doctor_look_at_objects(doctor);
	doctor_look_at_rights(doctor);
	doctor_look_at_service(doctor);
}

static enum ctl_exit run(struct ctl *ctl)
{
	struct reach_options options = ctl->reach_options;
	struct doctor doctor = { .ctl = ctl };
	struct error err = { 0 };

	/* The service is looked at too, though settings and fabric are asked without it. */
	if (options.way == REACH_DIRECT)
		options.way = REACH_PROXY;
	if (reach_open(&doctor.reach, &options, &err) < 0)
		return ctl_fail(ctl, &err);
	doctor.items = json_array();
	look_at_everything(&doctor);
	print(ctl, &doctor);
	direct_close(doctor.direct);
	reach_close(doctor.reach);
	json_decref(doctor.items);
	return doctor.failures > 0 ? CTL_DIFFERS : CTL_DONE;
}

const struct ctl_command ctl_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "Looks at everything that must be in order, and says what to do; exit code 4 when something is not",
	.description = "Each line is ok, a warning or a failure, with what to do: API server, network definitions, "
		       "namespaces,\n"
		       "rights of the service and of yourself, Lease, service, its https port's certificate, records "
		       "of pods,\n"
		       "PKeys a node.  With --direct also the service's settings in the environment, its credentials "
		       "and their\n"
		       "dates, and the fabric manager itself: login, version, default partition, enforcement.",
	.local = true,
	.run = run,
};
