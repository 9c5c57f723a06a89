#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_api.h"
#include "tests/mock/kube_rules.h"
#include "tests/mock/kube_selector.h"

enum { FIELD_NODE = 2, FIELD_PHASE = 6 }; /* of a pod */

struct options {
	int64_t grace; /* seconds; -1: not said */
	const char *uid, *rv;
	json_t *body;
};

static bool parse_options(const struct mkube_request *request, struct options *options, struct mkube_reply *reply)
{
	const char *grace = mkube_query(request, "gracePeriodSeconds");
	struct error err;

	*options = (struct options){ .grace = grace ? strtoll(grace, NULL, 10) : -1 };
	if (request->len == 0)
		return true;
	options->body = json_parse(request->body, request->len, &err);
	if (!json_is_object(options->body)) {
		json_decref(options->body);
		return mkube_fail_bad_request(reply, "the body of a DELETE is a DeleteOptions");
	}
	options->grace = json_int(options->body, options->grace, "gracePeriodSeconds", NULL);
	options->uid = json_str(options->body, "preconditions", "uid", NULL);
	options->rv = json_str(options->body, "preconditions", "resourceVersion", NULL);
	return true;
}

static bool preconditions_hold(const struct mkube_request *request, const struct options *options, const json_t *object,
			       struct mkube_reply *reply)
{
	const char *uid = json_str(object, "metadata", "uid", NULL);
	const char *rv = json_str(object, "metadata", "resourceVersion", NULL);
	const char *plural = mkube_resources[request->route.kind].plural;

	if (options->uid && strcmp(options->uid, uid ? uid : "") != 0)
		return mkube_fail(
			reply, 409, "Conflict", NULL,
			"Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in precondition: "
			"%s, UID in object meta: %s",
			plural, request->route.name, options->uid, uid);
	if (options->rv && strcmp(options->rv, rv) != 0)
		return mkube_fail(reply, 409, "Conflict", NULL,
				  "Operation cannot be fulfilled on %s \"%s\": Precondition failed: ResourceVersion in "
				  "precondition: %s, ResourceVersion in object meta: %s",
				  plural, request->route.name, options->rv, rv);
	return true;
}

/* Only a bound pod that still runs is given time. */
static int64_t grace_of(const struct mkube_version *version, const json_t *object, int64_t asked)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *phase;

	if (version->resource != &mkube_resources[MKUBE_PODS] || !*mkube_version_field(version, FIELD_NODE))
		return 0;
	phase = mkube_version_field(version, FIELD_PHASE);
	if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0)
		return 0;
	if (asked >= 0)
		return asked;
	return json_int(metadata, json_int(object, 30, "spec", "terminationGracePeriodSeconds", NULL),
			"deletionGracePeriodSeconds", NULL);
}

/* Returns what the object is now, or was when it went; *removed tells which.  Borrowed until the next change. */
static struct mkube_version *delete_version(struct mkube_api *api, struct mkube_version *version, int64_t asked,
					    int64_t now_ms, bool *removed)
{
	enum mkube_kind kind = (enum mkube_kind)(version->resource - mkube_resources);
	json_t *object = mkube_version_object(version), *metadata = json_object_get(object, "metadata");
	bool terminating = json_object_get(metadata, "deletionTimestamp");
	bool held = json_array_size(json_object_get(metadata, "finalizers")) > 0;
	bool pod = kind == MKUBE_PODS;
	int64_t grace = grace_of(version, object, asked);
	int64_t old_grace = json_int(metadata, 0, "deletionGracePeriodSeconds", NULL);
	char *key = mem_dup(version->key);

	*removed = false;
	if (terminating && (grace >= old_grace && (grace > 0 || held))) {
		json_decref(object);
		free(key);
		return version;
	}
	/* A pod that goes at once is first seen with a grace period of 0. */
	if (grace > 0 || held || pod) {
		json_object_set_new(metadata, "deletionTimestamp", mkube_time(now_ms + grace * 1000));
		json_object_set_new(metadata, "deletionGracePeriodSeconds", json_integer(grace));
		version = mkube_store_put(api->store, kind, object);
	} else {
		json_decref(object);
	}
	if (grace == 0 && !held) {
		struct mkube_version *last = mkube_store_remove(api->store, kind, key);

		/* The answer for a pod is the state before; the history still holds it. */
		version = pod ? version : last;
		*removed = true;
	}
	free(key);
	return version;
}

/* The keys of a kind in a namespace ("": all), copied because deleting changes what is there. */
static char **keys_in(struct mkube_api *api, enum mkube_kind kind, const char *namespace, size_t *n)
{
	size_t all;
	struct mkube_version *const *versions = mkube_store_all(api->store, kind, &all);
	char **keys = mem_array(all, sizeof *keys);

	*n = 0;
	for (size_t i = 0; i < all; i++)
		if (!*namespace || strcmp(mkube_version_field(versions[i], MKUBE_FIELD_NAMESPACE), namespace) == 0)
			keys[(*n)++] = mem_dup(versions[i]->key);
	return keys;
}

static void empty_namespace(struct mkube_api *api, const char *namespace, int64_t now_ms)
{
	bool removed;
	size_t n;

	for (unsigned kind = 0; kind < MKUBE_KINDS; kind++) {
		if (!mkube_resources[kind].namespaced)
			continue;
		char **keys = keys_in(api, kind, namespace, &n);
		for (size_t i = 0; i < n; i++) {
			delete_version(api, mkube_store_get(api->store, kind, keys[i]), -1, now_ms, &removed);
			free(keys[i]);
		}
		free(keys);
	}
}

void mkube_namespace_emptied(struct mkube_api *api, const char *namespace)
{
	struct mkube_version *version = mkube_store_get(api->store, MKUBE_NAMESPACES, namespace);
	size_t n;

	if (!version || !strstr(version->text, "\"deletionTimestamp\""))
		return;
	for (unsigned kind = 0; kind < MKUBE_KINDS; kind++) {
		if (!mkube_resources[kind].namespaced)
			continue;
		struct mkube_version *const *versions = mkube_store_all(api->store, kind, &n);
		for (size_t i = 0; i < n; i++)
			if (strcmp(mkube_version_field(versions[i], MKUBE_FIELD_NAMESPACE), namespace) == 0)
				return;
	}
	mkube_store_remove(api->store, MKUBE_NAMESPACES, version->key);
}

/* As with kube-controller-manager running: what is in it goes, each in its own way, and then the namespace. */
static void delete_namespace(struct mkube_api *api, const struct mkube_request *request, json_t *object,
			     struct mkube_reply *reply)
{
	json_t *metadata = json_object_get(object, "metadata");

	if (!json_object_get(metadata, "deletionTimestamp")) {
		json_object_set_new(metadata, "deletionTimestamp", mkube_time(request->now_ms));
		json_object_set_new(json_object_get(object, "status"), "phase", json_string("Terminating"));
		mkube_reply_version(reply, 200, mkube_store_put(api->store, MKUBE_NAMESPACES, json_incref(object)));
		empty_namespace(api, request->route.name, request->now_ms);
		mkube_namespace_emptied(api, request->route.name);
	} else {
		mkube_fail(reply, 409, "Conflict", NULL,
			   "Operation cannot be fulfilled on namespaces \"%s\": The system is ensuring all content is "
			   "removed from this namespace.",
			   request->route.name);
	}
}

static void delete_one(struct mkube_api *api, const struct mkube_request *request, struct mkube_version *version,
		       const json_t *object, int64_t grace, struct mkube_reply *reply)
{
	const struct mkube_resource *resource = version->resource;
	const char *uid = json_str(object, "metadata", "uid", NULL);
	bool removed;

	version = delete_version(api, version, grace, request->now_ms, &removed);
	if (!removed || request->route.kind == MKUBE_PODS) {
		mkube_reply_version(reply, 200, version);
	} else {
		json_t *details = json_pack("{s:s, s:s, s:s}", "name", request->route.name, "kind", resource->plural,
					    "uid", uid ? uid : "");
		if (*resource->group)
			json_object_set_new(details, "group", json_string(resource->group));
		mkube_reply_success(reply, 200, details);
	}
	mkube_namespace_emptied(api, request->route.namespace);
}

void mkube_delete(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	char key[2 * MKUBE_NAME_MAX];
	struct options options;

	mkube_store_key(key, request->route.namespace, request->route.name);
	struct mkube_version *version = mkube_store_get(api->store, request->route.kind, key);
	if (!version) {
		mkube_fail_not_found(reply, request->route.kind, request->route.name);
		return;
	}
	if (!parse_options(request, &options, reply))
		return;
	json_t *object = mkube_version_object(version);
	if (preconditions_hold(request, &options, object, reply)) {
		if (request->route.kind == MKUBE_NAMESPACES)
			delete_namespace(api, request, object, reply);
		else
			delete_one(api, request, version, object, options.grace, reply);
	}
	json_decref(object);
	json_decref(options.body);
}

void mkube_delete_collection(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	struct mkube_selector selector;
	struct options options;
	struct error err;
	bool removed;
	size_t n;

	if (mkube_selector_parse(&selector, &mkube_resources[request->route.kind],
				 mkube_query(request, "fieldSelector"), mkube_query(request, "labelSelector"),
				 &err) < 0) {
		mkube_fail_bad_request(reply, err.text);
		return;
	}
	if (!parse_options(request, &options, reply)) {
		mkube_selector_free(&selector);
		return;
	}
	mkube_list(api, request, reply);
	char **keys = keys_in(api, request->route.kind, request->route.namespace, &n);
	for (size_t i = 0; i < n; i++) {
		struct mkube_version *version = mkube_store_get(api->store, request->route.kind, keys[i]);

		if (mkube_selector_match(&selector, version))
			delete_version(api, version, options.grace, request->now_ms, &removed);
		free(keys[i]);
	}
	free(keys);
	mkube_namespace_emptied(api, request->route.namespace);
	json_decref(options.body);
	mkube_selector_free(&selector);
}
