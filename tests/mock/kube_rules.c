#include "tests/mock/kube_rules.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_validate.h"

json_t *mkube_time(int64_t ms)
{
	char text[28];

	json_micro_time(text, ms);
	strcpy(text + 19, "Z");
	return json_string(text);
}

static json_t *new_uid(void)
{
	unsigned char b[16];
	char text[37];

	if (getrandom(b, sizeof b, 0) != sizeof b)
		return json_string("00000000-0000-4000-8000-000000000000");
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return json_string(text);
}

static bool optional(const json_t *object, const char *key, json_type type)
{
	const json_t *value = json_object_get(object, key);

	return !value || json_is_null(value) || json_typeof(value) == type;
}

/* A map of strings; null in it is "" as in Go. */
static bool string_map(json_t *metadata, const char *key)
{
	json_t *map = json_object_get(metadata, key), *value;
	const char *name;
	void *next;

	if (!optional(metadata, key, JSON_OBJECT))
		return false;
	json_object_foreach_safe(map, next, name, value)
	{
		if (json_is_null(value))
			json_object_set_new(map, name, json_string(""));
		else if (!json_is_string(value))
			return false;
	}
	if (map && json_object_size(map) == 0)
		json_object_del(metadata, key);
	return true;
}

static bool string_list(json_t *metadata, const char *key)
{
	json_t *list = json_object_get(metadata, key), *value;
	size_t i;

	if (!optional(metadata, key, JSON_ARRAY))
		return false;
	json_array_foreach(list, i, value) if (!json_is_string(value)) return false;
	if (list && json_array_size(list) == 0)
		json_object_del(metadata, key);
	return true;
}

static const char *undecodable(const struct mkube_resource *resource, json_t *object)
{
	static const char *const strings[] = { "name", "generateName", "namespace", "uid", "resourceVersion" };
	const char *kind = json_str(object, "kind", NULL), *api = json_str(object, "apiVersion", NULL);
	char expected[128];

	snprintf(expected, sizeof expected, "%s%s%s", resource->group, *resource->group ? "/" : "", resource->version);
	if (!json_is_object(object))
		return "the object is no JSON object";
	if ((kind && strcmp(kind, resource->kind) != 0) || (api && strcmp(api, expected) != 0))
		return "the object provided is unrecognized: its kind or apiVersion is not that of the URL";
	if (!optional(object, "metadata", JSON_OBJECT) || !optional(object, "spec", JSON_OBJECT) ||
	    !optional(object, "status", JSON_OBJECT))
		return "json: metadata, spec or status is no object";
	json_t *metadata = json_object_get(object, "metadata");
	if (!json_is_object(metadata)) {
		metadata = json_object();
		json_object_set_new(object, "metadata", metadata);
	}
	for (size_t i = 0; i < array_length(strings); i++)
		if (!optional(metadata, strings[i], JSON_STRING))
			return "json: cannot unmarshal into Go struct field ObjectMeta of type string";
	if (!string_map(metadata, "annotations") || !string_map(metadata, "labels"))
		return "json: cannot unmarshal into Go struct field ObjectMeta.metadata of type map[string]string";
	if (!string_list(metadata, "finalizers"))
		return "json: cannot unmarshal into Go struct field ObjectMeta.metadata.finalizers of type []string";
	return mkube_undecodable((enum mkube_kind)(resource - mkube_resources), object);
}

bool mkube_rules_decode(const struct mkube_route *route, json_t *object, int code, struct mkube_reply *reply)
{
	const struct mkube_resource *resource = &mkube_resources[route->kind];
	const char *why = undecodable(resource, object);

	if (!why)
		return true;
	if (code == 422)
		return mkube_fail_invalid(reply, route->kind, route->name, "FieldValueInvalid", "patch", why);
	return mkube_fail_bad_request(reply, why);
}

static void set_default(json_t *object, const char *key, json_t *value)
{
	const json_t *there = json_object_get(object, key);

	if (there && !json_is_null(there))
		json_decref(value);
	else
		json_object_set_new(object, key, value);
}

static json_t *member(json_t *object, const char *key)
{
	set_default(object, key, json_object());
	return json_object_get(object, key);
}

static void set_defaults(enum mkube_kind kind, json_t *object)
{
	json_t *spec, *metadata = json_object_get(object, "metadata");

	switch (kind) {
	case MKUBE_PODS:
		spec = member(object, "spec");
		set_default(spec, "restartPolicy", json_string("Always"));
		set_default(spec, "terminationGracePeriodSeconds", json_integer(30));
		set_default(spec, "dnsPolicy", json_string("ClusterFirst"));
		set_default(spec, "securityContext", json_object());
		set_default(spec, "schedulerName", json_string("default-scheduler"));
		set_default(spec, "enableServiceLinks", json_true());
		break;
	case MKUBE_NAMESPACES:
		set_default(member(object, "spec"), "finalizers", json_pack("[s]", "kubernetes"));
		set_default(member(object, "status"), "phase", json_string("Active"));
		set_default(member(metadata, "labels"), "kubernetes.io/metadata.name",
			    json_incref(json_object_get(metadata, "name")));
		break;
	default:
		break;
	}
}

/* A pod is born Pending whatever its creator says of its status. */
static void set_first_status(enum mkube_kind kind, json_t *object)
{
	if (kind == MKUBE_PODS)
		json_object_set_new(object, "status",
				    json_pack("{s:s, s:s}", "phase", "Pending", "qosClass", "BestEffort"));
	else if (kind == MKUBE_NAMESPACES)
		json_object_del(object, "status");
}

static bool set_name(const struct mkube_route *route, json_t *metadata, struct mkube_reply *reply)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	const char *name = json_str(metadata, "name", NULL), *generate = json_str(metadata, "generateName", NULL);
	unsigned char random[5];

	if (name && *name)
		return true;
	if (!generate || !*generate || getrandom(random, sizeof random, 0) != sizeof random)
		return mkube_fail_invalid(reply, route->kind, "", "FieldValueRequired", "metadata.name",
					  "Required value: name or generateName is required");
	char *made = mem_printf("%.*s%c%c%c%c%c", 248, generate, letters[random[0] % 27], letters[random[1] % 27],
				letters[random[2] % 27], letters[random[3] % 27], letters[random[4] % 27]);
	json_object_set_new(metadata, "name", json_string(made));
	mem_freep(&made);
	return true;
}

static bool set_namespace(const struct mkube_route *route, json_t *metadata, struct mkube_reply *reply)
{
	const char *namespace = json_str(metadata, "namespace", NULL);

	if (namespace && *namespace && strcmp(namespace, route->namespace) != 0)
		return mkube_fail_bad_request(reply,
					      "the namespace of the provided object does not match the namespace "
					      "sent on the request");
	if (*route->namespace)
		json_object_set_new(metadata, "namespace", json_string(route->namespace));
	else
		json_object_del(metadata, "namespace");
	return true;
}

bool mkube_rules_create(const struct mkube_route *route, json_t *object, int64_t now_ms, struct mkube_reply *reply)
{
	json_t *metadata = json_object_get(object, "metadata");
	const char *rv = json_str(metadata, "resourceVersion", NULL);

	if (!set_name(route, metadata, reply) || !set_namespace(route, metadata, reply))
		return false;
	if (rv && *rv)
		return mkube_fail(reply, 500, NULL, NULL, "resourceVersion should not be set on objects to be created");
	json_object_set_new(metadata, "uid", new_uid());
	json_object_set_new(metadata, "creationTimestamp", mkube_time(now_ms));
	json_object_del(metadata, "deletionTimestamp");
	json_object_del(metadata, "deletionGracePeriodSeconds");
	json_object_del(metadata, "selfLink");
	set_first_status(route->kind, object);
	set_defaults(route->kind, object);
	return mkube_validate(route->kind, object, reply) && mkube_validate_new(route->kind, object, reply);
}

/* Left out means kept; another value is refused. */
static bool keep(const struct mkube_route *route, const json_t *old, json_t *metadata, const char *key,
		 struct mkube_reply *reply)
{
	const json_t *before = json_object_get(old, key), *now = json_object_get(metadata, key);
	char field[64];

	if (!now || json_is_null(now) || json_equal(before, now)) {
		if (before)
			json_object_set(metadata, key, (json_t *)(uintptr_t)before);
		else
			json_object_del(metadata, key);
		return true;
	}
	snprintf(field, sizeof field, "metadata.%s", key);
	return mkube_fail_invalid(reply, route->kind, route->name, "FieldValueInvalid", field,
				  "Invalid value: field is immutable");
}

static void keep_part(const json_t *old, json_t *object, const char *key)
{
	json_t *before = json_object_get(old, key);

	if (before)
		json_object_set(object, key, before);
	else
		json_object_del(object, key);
}

static bool same_name(const struct mkube_route *route, const json_t *old, json_t *metadata, struct mkube_reply *reply)
{
	const char *name = json_str(metadata, "name", NULL), *namespace = json_str(metadata, "namespace", NULL);
	char text[600];

	if (name && strcmp(name, route->name) != 0) {
		snprintf(text, sizeof text, "the name of the object (%.250s) does not match the name on the URL (%s)",
			 name, route->name);
		return mkube_fail_bad_request(reply, text);
	}
	if (namespace && strcmp(namespace, route->namespace) != 0)
		return mkube_fail_bad_request(reply, "the namespace of the object does not match the namespace on the "
						     "request");
	keep_part(old, metadata, "name");
	keep_part(old, metadata, "namespace");
	return true;
}

bool mkube_rules_update(const struct mkube_route *route, const json_t *old, json_t *object, struct mkube_reply *reply)
{
	static const char *const kept[] = { "uid", "deletionTimestamp", "deletionGracePeriodSeconds" };
	json_t *metadata = json_object_get(object, "metadata"), *before = json_object_get(old, "metadata");
	const char *rv = json_str(metadata, "resourceVersion", NULL);

	if (!same_name(route, before, metadata, reply))
		return false;
	if (rv && *rv && strcmp(rv, json_str(before, "resourceVersion", NULL)) != 0)
		return mkube_fail_modified(reply, route->kind, route->name);
	for (size_t i = 0; i < array_length(kept); i++)
		if (!keep(route, before, metadata, kept[i], reply))
			return false;
	keep_part(before, metadata, "resourceVersion");
	keep_part(before, metadata, "creationTimestamp"); /* silently */
	if (strcmp(route->sub, "status") == 0)
		keep_part(old, object, "spec");
	else if (mkube_resources[route->kind].has_status)
		keep_part(old, object, "status");
	set_defaults(route->kind, object);
	if (route->kind == MKUBE_PODS && !json_equal(json_object_get(old, "spec"), json_object_get(object, "spec")))
		return mkube_fail_invalid(reply, route->kind, route->name, "FieldValueForbidden", "spec",
					  "Forbidden: pod updates may not change fields other than "
					  "`spec.containers[*].image`, `spec.initContainers[*].image`, "
					  "`spec.activeDeadlineSeconds` or `spec.tolerations` (only additions to "
					  "existing tolerations)");
	return mkube_validate(route->kind, object, reply);
}
