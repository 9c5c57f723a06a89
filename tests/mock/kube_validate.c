#include "tests/mock/kube_validate.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "tests/mock/kube_rules.h"

static const char *name_of(const json_t *object)
{
	const char *name = json_str(object, "metadata", "name", NULL);

	return name ? name : "";
}

/* Letters, digits, '-' and '.', beginning and ending with a letter or digit; lower case for names of objects. */
static bool plain_name(const char *text, size_t n, const char *more, bool lower)
{
	if (n == 0 || !isalnum((unsigned char)text[0]) || !isalnum((unsigned char)text[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((!isalnum((unsigned char)text[i]) && !strchr(more, text[i])) ||
		    (lower && isupper((unsigned char)text[i])))
			return false;
	return true;
}

/* "prefix.example/name" or "name" */
static bool qualified_name(const char *key)
{
	const char *slash = strchr(key, '/');
	const char *name = slash ? slash + 1 : key;

	if (slash && (slash - key > 253 || !plain_name(key, (size_t)(slash - key), "-.", true)))
		return false;
	return strlen(name) <= 63 && plain_name(name, strlen(name), "-_.", false);
}

static bool annotations_ok(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply)
{
	json_t *annotations = json_at(object, "metadata", "annotations", NULL), *value;
	const char *key;
	size_t total = 0;

	json_object_foreach(annotations, key, value)
	{
		if (!qualified_name(key))
			return mkube_fail_invalid(reply, kind, name_of(object), "FieldValueInvalid",
						  "metadata.annotations",
						  "Invalid value: name part must consist of "
						  "alphanumeric characters, '-', '_' or '.'");
		total += strlen(key) + json_string_length(value);
	}
	if (total > MKUBE_ANNOTATIONS_MAX)
		return mkube_fail_invalid(reply, kind, name_of(object), "FieldValueTooLong", "metadata.annotations",
					  "Too long: must have at most 262144 bytes");
	return true;
}

static bool labels_ok(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply)
{
	json_t *labels = json_at(object, "metadata", "labels", NULL), *value;
	const char *key;

	json_object_foreach(labels, key, value)
	{
		const char *text = json_string_value(value);

		if (!qualified_name(key) || strlen(text) > 63 ||
		    (*text && !plain_name(text, strlen(text), "-_.", false)))
			return mkube_fail_invalid(
				reply, kind, name_of(object), "FieldValueInvalid", "metadata.labels",
				"Invalid value: a valid label must be at most 63 alphanumeric characters");
	}
	return true;
}

/* "2026-01-02T03:04:05.678000Z" or with "+00:00": exactly six digits of a fraction. */
static bool is_micro_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddddd";
	int64_t ms;

	if (!text || strlen(text) < sizeof form)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	const char *zone = text + sizeof form - 1;
	if (strcmp(zone, "Z") == 0)
		return json_time_ms(&ms, text);
	return (*zone == '+' || *zone == '-') && strlen(zone) == 6 && zone[3] == ':';
}

static bool micro_time_ok(enum mkube_kind kind, const json_t *object, const json_t *at, const char *field,
			  struct mkube_reply *reply)
{
	if (!at || json_is_null(at) || is_micro_time(json_string_value(at)))
		return true;
	return mkube_fail_invalid(reply, kind, name_of(object), "FieldValueInvalid", field,
				  "Invalid value: parsing time: cannot parse as \"2006-01-02T15:04:05.000000Z07:00\"");
}

static bool lease_ok(const json_t *object, struct mkube_reply *reply)
{
	const json_t *spec = json_object_get(object, "spec"), *holder = json_object_get(spec, "holderIdentity");

	if (!micro_time_ok(MKUBE_LEASES, object, json_object_get(spec, "renewTime"), "spec.renewTime", reply) ||
	    !micro_time_ok(MKUBE_LEASES, object, json_object_get(spec, "acquireTime"), "spec.acquireTime", reply))
		return false;
	if (holder && !json_is_null(holder) && !json_is_string(holder))
		return mkube_fail_bad_request(reply, "json: cannot unmarshal into Go struct field "
						     "LeaseSpec.spec.holderIdentity of type string");
	if (json_int(spec, 1, "leaseDurationSeconds", NULL) <= 0)
		return mkube_fail_invalid(reply, MKUBE_LEASES, name_of(object), "FieldValueInvalid",
					  "spec.leaseDurationSeconds", "Invalid value: must be greater than 0");
	if (json_int(spec, 0, "leaseTransitions", NULL) < 0)
		return mkube_fail_invalid(reply, MKUBE_LEASES, name_of(object), "FieldValueInvalid",
					  "spec.leaseTransitions", "Invalid value: must be greater than or equal to 0");
	return true;
}

bool mkube_validate(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply)
{
	const char *name = name_of(object);

	if (strlen(name) >= MKUBE_NAME_MAX || !plain_name(name, strlen(name), "-.", true))
		return mkube_fail_invalid(reply, kind, name, "FieldValueInvalid", "metadata.name",
					  "Invalid value: a DNS-1123 subdomain must consist of lower case alphanumeric "
					  "characters, '-' or '.'");
	if (!annotations_ok(kind, object, reply) || !labels_ok(kind, object, reply))
		return false;
	return kind != MKUBE_LEASES || lease_ok(object, reply);
}

static bool pod_ok(const json_t *object, struct mkube_reply *reply)
{
	const json_t *containers = json_at(object, "spec", "containers", NULL);

	if (json_array_size(containers) > 0 && json_str(json_array_get(containers, 0), "name", NULL))
		return true;
	return mkube_fail_invalid(reply, MKUBE_PODS, name_of(object), "FieldValueRequired", "spec.containers",
				  "Required value");
}

static bool text_ok(const json_t *object, const char *key, size_t max, struct mkube_reply *reply)
{
	const char *text = json_str(object, key, NULL);

	if (!text || !*text)
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueRequired", key,
					  "Required value");
	if (strlen(text) > max)
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", key,
					  "Invalid value: too long");
	return true;
}

/* The namespace of what the event is about; for something that has none it is "default". */
static bool event_namespace_ok(enum mkube_kind kind, const json_t *object, const char *about, struct mkube_reply *reply)
{
	const char *namespace = json_str(object, about, "namespace", NULL);

	if (!namespace || !*namespace)
	namespace = "default";
	if (strcmp(namespace, json_str(object, "metadata", "namespace", NULL)) == 0)
		return true;
	return mkube_fail_invalid(reply, kind, name_of(object), "FieldValueInvalid", "involvedObject.namespace",
				  "Invalid value: does not match event.namespace");
}

static bool new_event_ok(const json_t *object, struct mkube_reply *reply)
{
	const json_t *time = json_object_get(object, "eventTime"), *series = json_object_get(object, "series");
	const char *type = json_str(object, "type", NULL), *note = json_str(object, "note", NULL);

	if (!json_is_string(time))
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueRequired", "eventTime",
					  "Required value");
	if (!micro_time_ok(MKUBE_NEW_EVENTS, object, time, "eventTime", reply) ||
	    !text_ok(object, "reportingController", 253, reply) || !text_ok(object, "reportingInstance", 128, reply) ||
	    !text_ok(object, "action", 128, reply) || !text_ok(object, "reason", 128, reply))
		return false;
	if (!type || (strcmp(type, "Normal") != 0 && strcmp(type, "Warning") != 0))
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "type",
					  "Invalid value: has to be Normal or Warning");
	if (note && strlen(note) > 1024)
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "note",
					  "Invalid value: can have at most 1024 characters");
	if (series && !json_is_null(series) &&
	    (json_int(series, 0, "count", NULL) < 2 || !is_micro_time(json_str(series, "lastObservedTime", NULL))))
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "series",
					  "Invalid value: should be at least 2, with lastObservedTime");
	return event_namespace_ok(MKUBE_NEW_EVENTS, object, "regarding", reply);
}

bool mkube_validate_new(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply)
{
	switch (kind) {
	case MKUBE_PODS:
		return pod_ok(object, reply);
	case MKUBE_EVENTS:
		return event_namespace_ok(kind, object, "involvedObject", reply);
	case MKUBE_NEW_EVENTS:
		return new_event_ok(object, reply);
	default:
		return true;
	}
}
