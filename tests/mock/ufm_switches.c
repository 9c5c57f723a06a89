#include "tests/mock/ufm_switches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum kind { KIND_CHOICE, KIND_BOOL, KIND_NUMBER, KIND_TEXT };
enum { CHOICES_MAX = 3, DAY_MS = 86400000 };

struct switch_spec {
	const char *name;
	size_t offset;
	enum kind kind;
	const char *choices[CHOICES_MAX]; /* KIND_CHOICE: the first is the default */
	int least, most, otherwise;       /* KIND_NUMBER, KIND_BOOL */
	const char *text;                 /* KIND_TEXT: the default */
	const char *meaning;
};

#define AT(field)                  #field, offsetof(struct ufm_switches, field)
#define NUMBER(low, high, initial) KIND_NUMBER, .least = (low), .most = (high), .otherwise = (initial)
#define BOOL(initial)              KIND_BOOL, .least = 0, .most = 1, .otherwise = (initial)

static const struct switch_spec specs[] = {
	{ AT(missing_pkey),
	  KIND_CHOICE,
	  { "empty", "404" },
	  .meaning = "GET of a PKey that does not exist: 200 {} or 404" },
	{ AT(memberships_on_post),
	  KIND_CHOICE,
	  { "ignored", "honoured" },
	  .meaning = "POST with `memberships`: all full (seen on 6.19.1) or as documented" },
	{ AT(list_both_flags),
	  KIND_CHOICE,
	  { "guids_missing", "qos_missing", "fine" },
	  .meaning = "list with guids_data and qos_conf together" },
	{ AT(last_updated_format),
	  KIND_CHOICE,
	  { "dmy", "asctime", "null" },
	  .meaning = "last_updated: DD-MM-YYYY, HH:MM:SS in local time; asctime in UTC; always null" },
	{ AT(last_updated_zone_min), NUMBER(-720, 840, 120), .meaning = "minutes east of UTC of that local time" },
	{ AT(post_status), NUMBER(200, 202, 200), .meaning = "status of a successful POST that adds GUIDs" },
	{ AT(post_body), KIND_TEXT, .text = "{}", .meaning = "its body, of every successful write" },
	{ AT(unknown_guid),
	  KIND_CHOICE,
	  { "accept", "reject" },
	  .meaning = "adding a GUID that no port or vport has: accepted, or 404 for the whole request" },
	{ AT(management_membership),
	  KIND_CHOICE,
	  { "limited", "full", "absent" },
	  .meaning = "top-level membership of 0x7fff (6.19 and later have it)" },
	{ AT(version), KIND_TEXT, .text = "6.19.3-1", .meaning = "ufm_release_version" },
	{ AT(version_body),
	  KIND_CHOICE,
	  { "long", "short" },
	  .meaning = "ufm_version: with opensm, mft ..., or alone" },
	{ AT(remove_routes),
	  KIND_CHOICE,
	  { "both", "delete", "action" },
	  .meaning = "which of DELETE .../guids/ and actions/remove_guids_from_pkey exist (else 404 HTML)" },
	{ AT(error_format), KIND_CHOICE, { "text", "json" }, .meaning = "bodies of 4xx answers" },
	{ AT(hosts), KIND_CHOICE, { "direct", "job" }, .meaning = "hosts calls: 200, or 202 with a job's Location" },
	{ AT(vports), BOOL(0), .meaning = "discovery of virtual ports (off in a fresh UFM: an empty list)" },
	{ AT(vports_lag_ms), NUMBER(0, DAY_MS, 60000),
	  .meaning = "a virtual port is listed this long after it came up" },
	{ AT(vports_unknown_members), BOOL(0),
	  .meaning = "members that no port has are listed with LID 65535, Unknown" },
	{ AT(fabric_delay_ms), NUMBER(-1, DAY_MS, 0),
	  .meaning = "the fabric follows the model this much later; -1: never" },
	{ AT(parse_error_on_overlap), BOOL(0),
	  .meaning = "two writes at a time break partitions.conf: the fabric loses all until the next write alone" },
	{ AT(no_partition_enforcement), BOOL(0), .meaning = "as shown by app/smconf" },
	{ AT(write_ms), NUMBER(0, DAY_MS, 0), .meaning = "a write takes this long, and takes effect at its end" },
	{ AT(read_ms), NUMBER(0, DAY_MS, 0), .meaning = "a read takes this long" },
};

static int *number_at(struct ufm_switches *switches, const struct switch_spec *spec)
{
	return (int *)(void *)((char *)switches + spec->offset);
}

static char *text_at(struct ufm_switches *switches, const struct switch_spec *spec)
{
	return (char *)switches + spec->offset;
}

static void text_copy(char *to, const char *from)
{
	memcpy(to, from, strlen(from) + 1);
}

void ufm_switches_init(struct ufm_switches *switches)
{
	*switches = (struct ufm_switches){ 0 };
	for (size_t i = 0; i < array_length(specs); i++) {
		if (specs[i].kind == KIND_TEXT)
			text_copy(text_at(switches, &specs[i]), specs[i].text);
		else
			*number_at(switches, &specs[i]) = specs[i].otherwise;
	}
}

static void print_takes(const struct switch_spec *spec, struct buf *text)
{
	switch (spec->kind) {
	case KIND_CHOICE:
		for (size_t i = 0; i < CHOICES_MAX && spec->choices[i]; i++)
			buf_printf(text, "%s%s", i ? "|" : "", spec->choices[i]);
		break;
	case KIND_BOOL:
		buf_text(text, "true|false");
		break;
	case KIND_NUMBER:
		buf_printf(text, "%d..%d", spec->least, spec->most);
		break;
	case KIND_TEXT:
		buf_printf(text, "text of at most %d bytes", UFM_SWITCH_TEXT_MAX - 1);
		break;
	}
}

static const struct switch_spec *find(const char *name, struct error *err)
{
	for (size_t i = 0; i < array_length(specs); i++)
		if (strcmp(specs[i].name, name) == 0)
			return &specs[i];
	error_set(err, ERROR_INVALID, "there is no switch %.64s", name);
	return NULL;
}

static int refuse(const struct switch_spec *spec, struct error *err)
{
	struct buf takes;

	buf_init(&takes, 200);
	print_takes(spec, &takes);
	error_set(err, ERROR_INVALID, "switch %s takes %s", spec->name, takes.data);
	buf_free(&takes);
	return -1;
}

static int set_text(struct ufm_switches *switches, const struct switch_spec *spec, const char *text, struct error *err)
{
	if (spec->kind == KIND_TEXT && strlen(text) < UFM_SWITCH_TEXT_MAX) {
		text_copy(text_at(switches, spec), text);
		return 0;
	}
	for (int i = 0; spec->kind == KIND_CHOICE && i < CHOICES_MAX && spec->choices[i]; i++) {
		if (strcmp(spec->choices[i], text) == 0) {
			*number_at(switches, spec) = i;
			return 0;
		}
	}
	return refuse(spec, err);
}

static int set_number(struct ufm_switches *switches, const struct switch_spec *spec, long long value, struct error *err)
{
	if (value < spec->least || value > spec->most)
		return refuse(spec, err);
	*number_at(switches, spec) = (int)value;
	return 0;
}

int ufm_switches_set(struct ufm_switches *switches, const json_t *values, struct error *err)
{
	struct ufm_switches changed = *switches;
	const char *name;
	json_t *value;

	if (!json_is_object(values))
		return error_set(err, ERROR_INVALID, "the switches must be a JSON object");
	json_object_foreach((json_t *)values, name, value)
	{
		const struct switch_spec *spec = find(name, err);
		int result;
		if (!spec)
			return -1;
		if (json_is_string(value))
			result = set_text(&changed, spec, json_string_value(value), err);
		else if (json_is_integer(value) && spec->kind == KIND_NUMBER)
			result = set_number(&changed, spec, json_integer_value(value), err);
		else if (json_is_boolean(value) && spec->kind == KIND_BOOL)
			result = set_number(&changed, spec, json_is_true(value), err);
		else
			result = refuse(spec, err);
		if (result < 0)
			return -1;
	}
	*switches = changed;
	return 0;
}

int ufm_switches_set_text(struct ufm_switches *switches, const char *name_is_value, struct error *err)
{
	const char *equals = strchr(name_is_value, '=');
	__attribute__((cleanup(mem_freep))) char *name = NULL;
	const struct switch_spec *spec;
	long long number;
	char *end;

	if (!equals)
		return error_set(err, ERROR_INVALID, "a switch is given as name=value");
	name = mem_dup_n(name_is_value, (size_t)(equals - name_is_value));
	spec = find(name, err);
	if (!spec)
		return -1;
	if (spec->kind == KIND_BOOL && (strcmp(equals + 1, "true") == 0 || strcmp(equals + 1, "false") == 0))
		return set_number(switches, spec, equals[1] == 't', err);
	if (spec->kind != KIND_NUMBER)
		return set_text(switches, spec, equals + 1, err);
	errno = 0;
	number = strtoll(equals + 1, &end, 10);
	if (errno != 0 || end == equals + 1 || *end != '\0')
		return refuse(spec, err);
	return set_number(switches, spec, number, err);
}

void ufm_switches_print(const struct ufm_switches *switches, struct buf *json)
{
	struct ufm_switches copy = *switches;

	for (size_t i = 0; i < array_length(specs); i++) {
		const struct switch_spec *spec = &specs[i];
		buf_printf(json, "%s\"%s\": ", i ? ", " : "{", spec->name);
		if (spec->kind == KIND_TEXT)
			buf_json_string(json, text_at(&copy, spec));
		else if (spec->kind == KIND_CHOICE)
			buf_json_string(json, spec->choices[*number_at(&copy, spec)]);
		else if (spec->kind == KIND_BOOL)
			buf_text(json, *number_at(&copy, spec) ? "true" : "false");
		else
			buf_printf(json, "%d", *number_at(&copy, spec));
	}
	buf_text(json, "}");
}

void ufm_switches_help(struct buf *text)
{
	for (size_t i = 0; i < array_length(specs); i++) {
		const struct switch_spec *spec = &specs[i];
		buf_printf(text, "  %s=", spec->name);
		print_takes(spec, text);
		if (spec->kind == KIND_NUMBER)
			buf_printf(text, " (%d)", spec->otherwise);
		if (spec->kind == KIND_TEXT)
			buf_printf(text, " (%s)", spec->text);
		if (spec->kind == KIND_BOOL)
			buf_text(text, spec->otherwise ? " (true)" : " (false)");
		buf_printf(text, "\n      %s\n", spec->meaning);
	}
}
