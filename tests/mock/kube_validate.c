#include "tests/mock/kube_validate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
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

static bool absent_or_micro_time(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return !value || json_is_null(value) || is_micro_time(json_string_value(value));
}

static bool is_base64(const char *text)
{
	size_t n = strlen(text),
	       plain = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

	return n % 4 == 0 && n - plain <= 2 && strspn(text + plain, "=") == n - plain;
}

/* A map of texts, those of a Secret in base64. */
static const char *undecodable_data(const json_t *object, bool base64)
{
	json_t *data = json_object_get(object, "data"), *value;
	const char *key;

	if (data && !json_is_null(data) && !json_is_object(data))
		return "json: cannot unmarshal into Go struct field .data of type map[string]string";
	json_object_foreach(data, key, value)
	{
		if (!json_is_string(value))
			return "json: cannot unmarshal into Go struct field .data of type string";
		if (base64 && !is_base64(json_string_value(value)))
			return "illegal base64 data at input byte 0";
	}
	return NULL;
}

const char *mkube_undecodable(enum mkube_kind kind, const json_t *object)
{
	static const char time[] = "parsing time: cannot parse as \"2006-01-02T15:04:05.000000Z07:00\"";
	const json_t *spec = json_object_get(object, "spec"), *holder = json_object_get(spec, "holderIdentity");
	const json_t *duration = json_object_get(spec, "leaseDurationSeconds");

	switch (kind) {
	case MKUBE_LEASES:
		if (!absent_or_micro_time(spec, "renewTime") || !absent_or_micro_time(spec, "acquireTime"))
			return time;
		if (holder && !json_is_null(holder) && !json_is_string(holder))
			return "json: cannot unmarshal into Go struct field LeaseSpec.spec.holderIdentity of type "
			       "string";
		if (duration && !json_is_null(duration) && !json_is_integer(duration))
			return "json: cannot unmarshal into Go struct field LeaseSpec.spec.leaseDurationSeconds of "
			       "type int32";
		return NULL;
	case MKUBE_EVENTS:
	case MKUBE_NEW_EVENTS:
		if (!absent_or_micro_time(object, "eventTime") ||
		    !absent_or_micro_time(json_object_get(object, "series"), "lastObservedTime"))
			return time;
		return NULL;
	case MKUBE_SECRETS:
		return undecodable_data(object, true);
	case MKUBE_CONFIG_MAPS:
		return undecodable_data(object, false);
	default:
		return NULL;
	}
}

static bool lease_ok(const json_t *object, struct mkube_reply *reply)
{
	const json_t *spec = json_object_get(object, "spec");

	if (json_int(spec, 1, "leaseDurationSeconds", NULL) <= 0)
		return mkube_fail_invalid(reply, MKUBE_LEASES, name_of(object), "FieldValueInvalid",
					  "spec.leaseDurationSeconds", "Invalid value: must be greater than 0");
	if (json_int(spec, 0, "leaseTransitions", NULL) < 0)
		return mkube_fail_invalid(reply, MKUBE_LEASES, name_of(object), "FieldValueInvalid",
					  "spec.leaseTransitions", "Invalid value: must be greater than or equal to 0");
	return true;
}

static bool secret_ok(const json_t *object, struct mkube_reply *reply)
{
	static const char *const keys[] = { "tls.crt", "tls.key" };
	const char *type = json_str(object, "type", NULL);
	char field[32];

	for (size_t i = 0; type && strcmp(type, "kubernetes.io/tls") == 0 && i < array_length(keys); i++) {
		if (json_at(object, "data", keys[i], NULL))
			continue;
		snprintf(field, sizeof field, "data[%s]", keys[i]);
		return mkube_fail_invalid(reply, MKUBE_SECRETS, name_of(object), "FieldValueRequired", field,
					  "Required value");
	}
	return true;
}

/* It may end with one '-', but not with a '.'. */
static bool generate_name_ok(const json_t *object)
{
	const char *prefix = json_str(object, "metadata", "generateName", NULL);
	size_t n = prefix ? strlen(prefix) : 0;

	if (n > 1 && prefix[n - 1] == '-')
		n--;
	return n == 0 || plain_name(prefix, n, "-.", true);
}

bool mkube_validate(enum mkube_kind kind, const json_t *object, struct mkube_reply *reply)
{
	const char *name = name_of(object);

	if (strlen(name) >= MKUBE_NAME_MAX || !plain_name(name, strlen(name), "-.", true))
		return mkube_fail_invalid(reply, kind, name, "FieldValueInvalid", "metadata.name",
					  "Invalid value: a DNS-1123 subdomain must consist of lower case alphanumeric "
					  "characters, '-' or '.'");
	if (!generate_name_ok(object))
		return mkube_fail_invalid(reply, kind, name, "FieldValueInvalid", "metadata.generateName",
					  "Invalid value: a DNS-1123 subdomain must consist of lower case alphanumeric "
					  "characters, '-' or '.'");
	if (!annotations_ok(kind, object, reply) || !labels_ok(kind, object, reply))
		return false;
	return kind == MKUBE_LEASES ? lease_ok(object, reply) : kind != MKUBE_SECRETS || secret_ok(object, reply);
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

/* What an event of a namespace other than "default" is about must have a namespace; which one is not looked at. */
static bool event_namespace_ok(enum mkube_kind kind, const json_t *object, const char *about, struct mkube_reply *reply)
{
	const char *namespace = json_str(object, about, "namespace", NULL);

	if ((namespace && *namespace) || strcmp(json_str(object, "metadata", "namespace", NULL), "default") == 0)
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
	if (!text_ok(object, "reportingController", 253, reply) || !text_ok(object, "reportingInstance", 128, reply) ||
	    !text_ok(object, "action", 128, reply) || !text_ok(object, "reason", 128, reply))
		return false;
	if (!type || (strcmp(type, "Normal") != 0 && strcmp(type, "Warning") != 0))
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "type",
					  "Invalid value: has to be Normal or Warning");
	if (note && strlen(note) > 1024)
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "message",
					  "Invalid value: can have at most 1024 characters");
	if (series && !json_is_null(series) && json_int(series, 0, "count", NULL) < 2)
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "series.count",
					  "Invalid value: should be at least 2");
	if (json_int(object, 0, "deprecatedCount", NULL) != 0)
		return mkube_fail_invalid(reply, MKUBE_NEW_EVENTS, name_of(object), "FieldValueInvalid", "count",
					  "Invalid value: needs to be unset");
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
