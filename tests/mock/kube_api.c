#include "tests/mock/kube_api.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/mock/kube_rules.h"

enum { BODY_MAX = 3 << 20 };

const char *mkube_query(const struct mkube_request *request, const char *key)
{
	return request->query ? request->query(request->aux, key) : NULL;
}

bool mkube_query_rv(const struct mkube_request *request, uint64_t *rv, bool *given, struct mkube_reply *reply)
{
	const char *text = mkube_query(request, "resourceVersion");

	*rv = 0;
	*given = text && *text;
	if (!*given)
		return true;
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 18)
		return mkube_fail(reply, 500, NULL, NULL,
				  "resourceVersion: Invalid value: strconv.ParseUint: parsing \"%s\": invalid syntax",
				  text);
	*rv = strtoull(text, NULL, 10);
	return true;
}

static bool is_watch(const struct mkube_request *request)
{
	const char *watch = mkube_query(request, "watch");

	return watch && (strcmp(watch, "1") == 0 || strcmp(watch, "true") == 0);
}

const char *mkube_verb(const struct mkube_request *request)
{
	static const struct {
		const char *method, *on_object, *on_collection;
	} verbs[] = {
		{ "GET", "get", "list" },
		{ "POST", "create", "create" },
		{ "PUT", "update", NULL },
		{ "PATCH", "patch", NULL },
		{ "DELETE", "delete", "deletecollection" },
	};

	for (size_t i = 0; i < array_length(verbs); i++) {
		if (strcmp(verbs[i].method, request->method) != 0)
			continue;
		if (*request->route.name)
			return verbs[i].on_object;
		return i == 0 && is_watch(request) ? "watch" : verbs[i].on_collection;
	}
	return NULL;
}

static bool fail_method(struct mkube_reply *reply)
{
	return mkube_fail(reply, 405, "MethodNotAllowed", json_object(),
			  "the server does not allow this method on the requested resource");
}

static void get(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	char key[2 * MKUBE_NAME_MAX];

	mkube_store_key(key, request->route.namespace, request->route.name);
	struct mkube_version *version = mkube_store_get(api->store, request->route.kind, key);
	if (version)
		mkube_reply_version(reply, 200, version);
	else
		mkube_fail_not_found(reply, request->route.kind, request->route.name);
}

static bool sub_known(const struct mkube_request *request, const char *verb)
{
	const char *sub = request->route.sub;

	if (strcmp(sub, "status") == 0)
		return mkube_resources[request->route.kind].has_status && strchr("gup", *verb); /* get, update, patch */
	if (strcmp(sub, "token") == 0)
		return request->route.kind == MKUBE_SERVICE_ACCOUNTS && strcmp(verb, "create") == 0;
	if (strcmp(sub, "binding") == 0)
		return request->route.kind == MKUBE_PODS && strcmp(verb, "create") == 0;
	return !*sub && !(strcmp(verb, "create") == 0 && *request->route.name);
}

void mkube_serve(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply)
{
	static const struct {
		const char *verb;
		void (*serve)(struct mkube_api *api, const struct mkube_request *request, struct mkube_reply *reply);
	} table[] = {
		{ "get", get },
		{ "list", mkube_list },
		{ "create", mkube_create },
		{ "update", mkube_update },
		{ "patch", mkube_patch },
		{ "delete", mkube_delete },
		{ "deletecollection", mkube_delete_collection },
	};
	const char *verb = mkube_verb(request);

	if (!verb || !sub_known(request, verb)) {
		fail_method(reply);
		return;
	}
	if (request->len > BODY_MAX) {
		mkube_fail(reply, 413, "RequestEntityTooLarge", NULL, "Request entity too large: limit is %d",
			   BODY_MAX);
		return;
	}
	if (strcmp(request->route.sub, "binding") == 0) {
		mkube_bind(api, request, reply);
		return;
	}
	if (strcmp(verb, "create") == 0 && mkube_resources[request->route.kind].namespaced &&
	    !*request->route.namespace) {
		fail_method(reply);
		return;
	}
	for (size_t i = 0; i < array_length(table); i++)
		if (strcmp(table[i].verb, verb) == 0)
			table[i].serve(api, request, reply);
}

void mkube_begin(struct mkube_api *api, int64_t now_ms)
{
	static const char *const names[] = { "default", "kube-node-lease", "kube-public", "kube-system" };
	struct mkube_route route = { .kind = MKUBE_NAMESPACES };
	struct mkube_reply reply = { 0 };

	for (size_t i = 0; i < array_length(names); i++) {
		json_t *object = json_pack("{s:{s:s}}", "metadata", "name", names[i]);

		mkube_rules_create(&route, object, now_ms, &reply);
		mkube_store_put(api->store, MKUBE_NAMESPACES, object);
	}
}
