#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_api.h"
#include "tests/mock/kube_patch.h"
#include "tests/mock/kube_rules.h"

static bool dry_run(const struct mkube_request *request)
{
	const char *value = mkube_query(request, "dryRun");

	return value && strcmp(value, "All") == 0;
}

static json_t *parse_body(const struct mkube_request *request, struct mkube_reply *reply)
{
	struct error err;
	json_t *object = json_parse(request->body, request->len, &err);

	if (!object)
		mkube_fail(reply, 400, "BadRequest", NULL, "couldn't get version/kind; json parse error: %s", err.text);
	return object;
}

static bool fail_media_type(struct mkube_reply *reply, const char *accepted)
{
	return mkube_fail(reply, 415, "UnsupportedMediaType", NULL,
			  "the body of the request was in an unknown format - accepted media types include: %s",
			  accepted);
}

static bool is_type(const struct mkube_request *request, const char *type)
{
	const char *value = request->content_type ? request->content_type : "";
	size_t len = strlen(type);

	return strncmp(value, type, len) == 0 && strchr("; ", value[len]);
}

static json_t *parse_object(const struct mkube_request *request, struct mkube_reply *reply)
{
	if (request->content_type && !is_type(request, "application/json")) {
		fail_media_type(reply, "application/json");
		return NULL;
	}
	json_t *object = parse_body(request, reply);
	if (object && !mkube_rules_decode(&request->route, object, 400, reply)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static bool namespace_takes(struct mkube_api *api, const struct mkube_route *route, const char *name,
			    struct mkube_reply *reply)
{
	if (!mkube_resources[route->kind].namespaced)
		return true;
	struct mkube_version *namespace = mkube_store_get(api->store, MKUBE_NAMESPACES, route->namespace);
	if (!namespace)
		return mkube_fail_not_found(reply, MKUBE_NAMESPACES, route->namespace);
	if (strstr(namespace->text, "\"deletionTimestamp\""))
		return mkube_fail(reply, 403, "Forbidden",
				  json_pack("{s:s, s:s, s:[{s:s, s:s, s:s}]}", "name", name, "kind",
					    mkube_resources[route->kind].plural, "causes", "reason",
					    "NamespaceTerminating", "message", "namespace is being terminated", "field",
					    "metadata.namespace"),
				  "%s \"%s\" is forbidden: unable to create new content in namespace %s because it is "
				  "being terminated",
				  mkube_resources[route->kind].plural, name, route->namespace);
	return true;
}

/* Steals `object`, which has passed all rules. */
static void store(struct mkube_api *api, const struct mkube_request *request, json_t *object, int status,
		  struct mkube_reply *reply)
{
	if (dry_run(request)) {
		struct mkube_version *preview = mkube_store_preview(api->store, request->route.kind, object);

		mkube_reply_version(reply, status, preview);
		mkube_version_unref(preview);
		return;
	}
	mkube_reply_version(reply, status, mkube_store_put(api->store, request->route.kind, object));
}

static void create_object(struct mkube_api *api, const struct mkube_request *request, json_t *object,
			  struct mkube_reply *reply)
{
	char key[2 * MKUBE_NAME_MAX];
	const char *name;

	if (!mkube_rules_create(&request->route, object, request->now_ms, reply)) {
		json_decref(object);
		return;
	}
	name = json_str(object, "metadata", "name", NULL);
	mkube_store_key(key, request->route.namespace, name);
	if (!namespace_takes(api, &request->route, name, reply)) {
		json_decref(object);
	} else if (mkube_store_get(api->store, request->route.kind, key)) {
		mkube_fail_exists(reply, request->route.kind, name);
		json_decref(object);
	} else {
		store(api, request, object, 201, reply);
	}
}

void mkube_create(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	json_t *object = parse_object(request, reply);

	if (object)
		create_object(api, request, object, reply);
}

/* The last finalizer was taken from an object that only waited for that. */
static bool is_finished(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");

	return json_object_get(metadata, "deletionTimestamp") &&
	       json_int(metadata, 0, "deletionGracePeriodSeconds", NULL) == 0 &&
	       json_array_size(json_object_get(metadata, "finalizers")) == 0;
}

/* Steals `object`, the wanted state of `old`. */
static void replace(struct mkube_api *api, const struct mkube_request *request, struct mkube_version *old,
		    json_t *object, struct mkube_reply *reply)
{
	const struct mkube_route *route = &request->route;
	json_t *before = mkube_version_object(old);

	if (!mkube_rules_update(route, before, object, reply)) {
		json_decref(object);
	} else if (json_equal(before, object)) {
		mkube_reply_version(reply, 200, old);
		json_decref(object);
	} else if (is_finished(object) && route->kind != MKUBE_NAMESPACES && !dry_run(request)) {
		mkube_reply_version(reply, 200, old);
		mkube_store_remove(api->store, route->kind, old->key);
		json_decref(object);
		mkube_namespace_emptied(api, route->namespace);
	} else {
		store(api, request, object, 200, reply);
	}
	json_decref(before);
}

static struct mkube_version *find(struct mkube_api *api, const struct mkube_route *route)
{
	char key[2 * MKUBE_NAME_MAX];

	mkube_store_key(key, route->namespace, route->name);
	return mkube_store_get(api->store, route->kind, key);
}

void mkube_update(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	const struct mkube_resource *resource = &mkube_resources[request->route.kind];
	struct mkube_version *old = find(api, &request->route);
	json_t *object = parse_object(request, reply);

	if (!object)
		return;
	const char *rv = json_str(object, "metadata", "resourceVersion", NULL);
	const char *uid = json_str(object, "metadata", "uid", NULL);
	if (!old && resource->update_creates) {
		json_object_set_new(json_object_get(object, "metadata"), "name", json_string(request->route.name));
		json_object_del(json_object_get(object, "metadata"), "resourceVersion");
		create_object(api, request, object, reply);
		return;
	}
	if (!old)
		mkube_fail_not_found(reply, request->route.kind, request->route.name);
	else if ((!rv || !*rv) && resource->update_needs_version)
		mkube_fail_invalid(reply, request->route.kind, request->route.name, "FieldValueInvalid",
				   "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update");
	else if (uid && *uid && !strstr(old->text, uid))
		mkube_fail(reply, 409, "Conflict", NULL,
			   "Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in precondition: %s",
			   resource->plural, request->route.name, uid);
	else
		replace(api, request, old, json_incref(object), reply);
	json_decref(object);
}

static bool apply(const struct mkube_api *api, const struct mkube_request *request, json_t **object,
		  const json_t *patch, struct mkube_reply *reply)
{
	struct error err;

	if (is_type(request, "application/merge-patch+json")) {
		if (!json_is_object(patch))
			return mkube_fail_invalid(reply, request->route.kind, "", "FieldValueInvalid", "patch",
						  "Invalid value: json: cannot unmarshal into Go value of type "
						  "map[string]interface {}");
		mkube_merge_patch(object, patch);
		return true;
	}
	if (mkube_json_patch(object, patch, api->newer, &err) == 0)
		return true;
	if (err.kind == ERROR_LIMIT)
		return mkube_fail(reply, 413, "RequestEntityTooLarge", NULL,
				  "The allowed maximum operations in a JSON "
				  "patch is 10000");
	if (err.kind == ERROR_INVALID)
		return mkube_fail_bad_request(reply, err.text);
	/* Nothing in the answer says which operation failed. */
	return mkube_fail(reply, 422, "Invalid", json_object(),
			  "the server rejected our request due to an error in our request");
}

void mkube_patch(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	struct mkube_version *old = find(api, &request->route);

	if (!is_type(request, "application/json-patch+json") && !is_type(request, "application/merge-patch+json")) {
		fail_media_type(reply, "application/json-patch+json, application/merge-patch+json");
		return;
	}
	json_t *patch = parse_body(request, reply);
	if (!patch)
		return;
	if (!old) {
		mkube_fail_not_found(reply, request->route.kind, request->route.name);
	} else {
		json_t *object = mkube_version_object(old);

		if (apply(api, request, &object, patch, reply) &&
		    mkube_rules_decode(&request->route, object, 422, reply))
			replace(api, request, old, object, reply);
		else
			json_decref(object);
	}
	json_decref(patch);
}

void mkube_bind(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	const struct mkube_route *route = &request->route;
	struct mkube_version *old = find(api, route);
	json_t *binding = parse_body(request, reply);

	if (!binding)
		return;
	const char *node = json_str(binding, "target", "name", NULL);
	if (!old) {
		mkube_fail_not_found(reply, route->kind, route->name);
	} else if (!node || !*node) {
		mkube_fail(reply, 422, "Invalid", json_object(),
			   "Binding \"%s\" is invalid: target.name: Required value", route->name);
	} else if (*mkube_version_field(old, 2)) {
		mkube_fail(reply, 409, "Conflict", json_pack("{s:s, s:s}", "name", route->name, "kind", "pods/binding"),
			   "Operation cannot be fulfilled on pods/binding \"%s\": pod %s is already assigned to node "
			   "\"%s\"",
			   route->name, route->name, mkube_version_field(old, 2));
	} else {
		json_t *pod = mkube_version_object(old);

		json_object_set_new(json_object_get(pod, "spec"), "nodeName", json_string(node));
		json_object_set_new(json_object_get(pod, "status"), "conditions",
				    json_pack("[{s:s, s:s, s:n, s:o}]", "type", "PodScheduled", "status", "True",
					      "lastProbeTime", "lastTransitionTime", mkube_time(request->now_ms)));
		mkube_store_put(api->store, route->kind, pod);
		mkube_reply_success(reply, 201, NULL);
	}
	json_decref(binding);
}
