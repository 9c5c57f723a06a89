#include "tests/mock/kube_populate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_rules.h"

enum { COUNT_MAX = 1000000, DIGITS_MAX = 12 };

/* "p%06d" -> "p", 6, "" */
static bool split_name(const char *pattern, size_t *before, int *digits, const char **after)
{
	const char *percent = strchr(pattern, '%');

	if (!percent)
		return false;
	*before = (size_t)(percent - pattern);
	char *end;
	long width = strtol(percent + 1, &end, 10);
	if (*end != 'd' || width < 0 || width > DIGITS_MAX || strchr(end, '%'))
		return false;
	*digits = (int)width;
	*after = end + 1;
	return strlen(pattern) + DIGITS_MAX < MKUBE_NAME_MAX;
}

static void make_namespace(struct mkube_api *api, const char *name, int64_t now_ms)
{
	struct mkube_route route = { .kind = MKUBE_NAMESPACES };
	struct mkube_reply reply = { 0 };
	json_t *object = json_pack("{s:{s:s}}", "metadata", "name", name);

	if (mkube_rules_create(&route, object, now_ms, &reply))
		mkube_store_put(api->store, MKUBE_NAMESPACES, object);
	else
		json_decref(object);
	mkube_reply_free(&reply);
}

static void put_one(struct mkube_api *api, enum mkube_kind kind, const json_t *template, const char *namespace,
		    const char *name, int64_t now_ms)
{
	json_t *object = json_deep_copy(template), *metadata = json_object_get(object, "metadata");
	char uid[40];

	if (!json_is_object(metadata)) {
		metadata = json_object();
		json_object_set_new(object, "metadata", metadata);
	}
	json_object_set_new(metadata, "name", json_string(name));
	if (mkube_resources[kind].namespaced)
		json_object_set_new(metadata, "namespace", json_string(namespace));
	snprintf(uid, sizeof uid, "00000000-0000-4000-8000-%012llx", (unsigned long long)mkube_store_rv(api->store));
	json_object_set_new(metadata, "uid", json_string(uid));
	json_object_set_new(metadata, "creationTimestamp", mkube_time(now_ms));
	if (kind == MKUBE_PODS && !json_object_get(object, "status"))
		json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Running"));
	mkube_store_put(api->store, kind, object);
}

int mkube_populate(struct mkube_api *api, const json_t *order, int64_t now_ms, struct error *err)
{
	const char *resource = json_str(order, "resource", NULL), *namespace = json_str(order, "namespace", NULL);
	const char *pattern = json_str(order, "name", NULL), *after;
	json_t *template = json_object_get(order, "pod");
	int64_t count = json_int(order, 0, "count", NULL), start = json_int(order, 0, "start", NULL);
	enum mkube_kind kind = mkube_kind_find(resource ? resource : "pods");
	size_t before;
	int digits;

	if (!template)
		template = json_object_get(order, "object");
	if (kind == MKUBE_KINDS || !json_is_object(template) || count < 0 || count > COUNT_MAX || start < 0 ||
	    !pattern || !split_name(pattern, &before, &digits, &after))
		return error_set(err, ERROR_INVALID,
				 "populate takes resource, namespace, count (at most %d), start, name "
				 "with one %%d, and pod or object",
				 COUNT_MAX);
	if (mkube_resources[kind].namespaced != (namespace != NULL) ||
	    (namespace && (strlen(namespace) >= MKUBE_NAME_MAX || strchr(namespace, '/'))))
		return error_set(err, ERROR_INVALID, "a namespace is needed, or not possible, for this resource");
	if (namespace && !mkube_store_get(api->store, MKUBE_NAMESPACES, namespace))
		make_namespace(api, namespace, now_ms);
	for (int64_t i = start; i < start + count; i++) {
		char name[MKUBE_NAME_MAX];

		snprintf(name, sizeof name, "%.*s%0*lld%s", (int)before, pattern, digits, (long long)i, after);
		put_one(api, kind, template, namespace ? namespace : "", name, now_ms);
	}
	return 0;
}
