#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_store_private.h"

enum { FIELDS_MAX = 16 << 10 };

static const char *dotted(const json_t *object, const char *path)
{
	char copy[64];

	assert(strlen(path) < sizeof copy);
	strcpy(copy, path);
	for (char *rest = copy, *key; (key = strsep(&rest, "."));)
		object = json_object_get(object, key);
	const char *text = json_string_value(object);
	return text ? text : "";
}

static char *fields_of(const struct mkube_resource *resource, const json_t *object)
{
	struct buf fields;

	buf_init(&fields, FIELDS_MAX);
	for (unsigned i = 0; i < MKUBE_FIELDS_MAX && resource->fields[i]; i++) {
		const char *value = dotted(object, resource->fields[i]);

		if (!buf_append(&fields, value, strlen(value) + 1))
			buf_append(&fields, "", 1);
	}
	return buf_take(&fields);
}

static void move_member(json_t *to, json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value)
		json_object_set(to, key, value);
	json_object_del(from, key);
}

/* kind and apiVersion first, then metadata: so a list can leave out the first two by skipping them. */
static json_t *ordered(const struct mkube_resource *resource, json_t *object)
{
	json_t *result = json_object();
	char *api =
		*resource->group ? mem_printf("%s/%s", resource->group, resource->version) : mem_dup(resource->version);

	json_object_del(object, "kind");
	json_object_del(object, "apiVersion");
	if (resource->custom)
		json_object_set_new(result, "apiVersion", json_string(api));
	json_object_set_new(result, "kind", json_string(resource->kind));
	if (!resource->custom)
		json_object_set_new(result, "apiVersion", json_string(api));
	move_member(result, object, "metadata");
	json_object_update(result, object);
	json_decref(object);
	free(api);
	return result;
}

struct mkube_version *mkube_version_new(enum mkube_kind kind, json_t *object, uint64_t rv)
{
	const struct mkube_resource *resource = &mkube_resources[kind];
	struct mkube_version *version = mem_alloc(sizeof *version);
	char key[2 * MKUBE_NAME_MAX], number[24];

	snprintf(number, sizeof number, "%llu", (unsigned long long)rv);
	json_object_set_new(json_object_get(object, "metadata"), "resourceVersion", json_string(number));
	object = ordered(resource, object);
	version->refs = 1;
	version->rv = rv;
	version->resource = resource;
	version->fields = fields_of(resource, object);
	mkube_store_key(key, mkube_version_field(version, MKUBE_FIELD_NAMESPACE),
			mkube_version_field(version, MKUBE_FIELD_NAME));
	version->key = mem_dup(key);
	version->text = json_dumps(object, JSON_COMPACT);
	assert(version->text);
	version->len = strlen(version->text);
	version->labels = json_incref(json_at(object, "metadata", "labels", NULL));
	json_decref(object);
	return version;
}

struct mkube_version *mkube_version_ref(struct mkube_version *version)
{
	version->refs++;
	return version;
}

void mkube_version_unref(struct mkube_version *version)
{
	if (!version || --version->refs > 0)
		return;
	json_decref(version->labels);
	free(version->fields);
	free(version->text);
	free(version->key);
	free(version);
}

const char *mkube_version_field(const struct mkube_version *version, unsigned index)
{
	const char *value = version->fields;

	for (; index > 0; index--)
		value += strlen(value) + 1;
	return value;
}

json_t *mkube_version_object(const struct mkube_version *version)
{
	json_t *object = json_loadb(version->text, version->len, JSON_ALLOW_NUL, NULL);

	assert(object);
	return object;
}

const char *mkube_version_item(const struct mkube_version *version, size_t *len, bool *brace)
{
	const char *text = version->text;

	*brace = false;
	if (!version->resource->custom) {
		text = strstr(text, "\"metadata\"");
		*brace = true;
	}
	*len = version->len - (size_t)(text - version->text);
	return text;
}
