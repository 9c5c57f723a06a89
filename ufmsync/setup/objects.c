#include "ufmsync/setup/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/yaml.h"
#include "ufmsync/setup/base64.h"

#define MANAGED_BY "app.kubernetes.io/managed-by"
#define US         "ufmsync-setup"

static const struct {
	const char *name, *kind, *plural, *type;
} table[] = {
	[SETUP_RECORD_KEY] = { "ufmsync-record-key", "Secret", "secrets", "Opaque" },
	[SETUP_CA_KEY] = { "ufmsync-ca-key", "Secret", "secrets", "kubernetes.io/tls" },
	[SETUP_TLS] = { "ufmsync-tls", "Secret", "secrets", "kubernetes.io/tls" },
	[SETUP_CA] = { "ufmsync-ca", "ConfigMap", "configmaps", NULL },
};
_Static_assert(array_length(table) == SETUP_OBJECTS, "each object has its row");

void setup_objects_clear(struct setup_objects *objects)
{
	for (int i = 0; i < SETUP_OBJECTS; i++)
		yaml_wipe(objects->at[i]);
	*objects = (struct setup_objects){ 0 };
}

const char *setup_object_name(enum setup_object object)
{
	return table[object].name;
}

const char *setup_object_kind(enum setup_object object)
{
	return table[object].kind;
}

char *setup_object_path(enum setup_object object, const char *namespace, bool named)
{
	return mem_printf("/api/v1/namespaces/%s/%s%s%s", namespace, table[object].plural, named ? "/" : "",
			  named ? table[object].name : "");
}

/* --- reading --- */

static bool is_secret(enum setup_object object)
{
	return table[object].type;
}

int setup_text(char **out, const struct setup_objects *objects, enum setup_object object, const char *key,
	       struct error *err)
{
	const json_t *value = json_at(objects->at[object], "data", key, NULL);
	const char *text = json_str(objects->at[object], "data", key, NULL);

	if (!value) {
		*out = mem_dup("");
		return 0;
	}
	*out = !text ? NULL : is_secret(object) ? base64_text(text) : mem_dup(text);
	return *out ? 0 : error_set(err, ERROR_INVALID, "%s is no text", key);
}

bool setup_is_managed(const struct setup_objects *objects, enum setup_object object)
{
	const char *by = json_str(objects->at[object], "metadata", "labels", MANAGED_BY, NULL);

	return by && strcmp(by, US) == 0;
}

/* --- writing --- */

static json_t *child(json_t *object, const char *key)
{
	if (!json_is_object(json_object_get(object, key)))
		json_object_set_new(object, key, json_object());
	return json_object_get(object, key);
}

static json_t *brand_new(enum setup_object object, const char *namespace)
{
	json_t *new =
		json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s, s:s}}}", "apiVersion", "v1", "kind", table[object].kind,
			  "metadata", "name", table[object].name, "namespace", namespace, "labels",
			  "app.kubernetes.io/name", "ufmsync", "app.kubernetes.io/part-of", "ufmsync", MANAGED_BY, US);

	if (!new)
		abort();
	if (is_secret(object))
		json_object_set_new(new, "type", json_string(table[object].type));
	return new;
}

json_t *setup_object_new(const struct setup_objects *objects, enum setup_object object, const char *namespace)
{
	json_t *new = objects->at[object] ? json_deep_copy(objects->at[object]) : brand_new(object, namespace);

	if (!new)
		abort();
	/* Our Secrets are asked for by what is in them; a ConfigMap's certificates may be of many. */
	if (is_secret(object))
		json_object_set_new(child(child(new, "metadata"), "labels"), MANAGED_BY, json_string(US));
	return new;
}

void setup_set_text(json_t *to, enum setup_object object, const char *key, const char *text)
{
	char *encoded = is_secret(object) ? base64_of(text, strlen(text)) : NULL;

	json_object_set_new(child(to, "data"), key, json_string(encoded ? encoded : text));
	mem_wipe_free(encoded);
}

void setup_set_annotation(json_t *to, const char *key, const char *text)
{
	json_object_set_new(child(child(to, "metadata"), "annotations"), key, json_string(text));
}
