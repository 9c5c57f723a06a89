#include "tests/unit/ufmsync/engine_world_parts.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What stands in the API server, as its people change it. */

struct world_pod *world_pod_at(struct world *world, const char *name)
{
	const char *slash = strchr(name, '/');
	for (size_t i = 0; i < WORLD_PODS; i++) {
		struct world_pod *pod = &world->pods[i];
		const char *its =
			pod->object
				? json_string_value(json_object_get(json_object_get(pod->object, "metadata"), "name"))
				: NULL;
		if (its && !strcmp(its, slash + 1))
			return pod;
	}
	return NULL;
}

void world_pod_tell(struct world *world, struct world_pod *pod)
{
	if (world->engine && !world->blind)
		engine_pod_applied(world->engine, world_pod_object(pod), world->now);
}

void world_pod(struct world *world, const char *name, const char *networks)
{
	char namespace[64];
	const char *slash = strchr(name, '/');
	snprintf(namespace, sizeof namespace, "%.*s", (int)(slash - name), name);
	char *uid = mem_printf("uid-%s", slash + 1);
	struct world_pod *pod = NULL;
	for (size_t i = 0; i < WORLD_PODS && !pod; i++)
		pod = world->pods[i].object ? NULL : &world->pods[i];
	assert_non_null(pod);
	pod->object = json_pack("{s:{s:s,s:s,s:s,s:{s:s}},s:{s:s},s:{s:s}}", "metadata", "uid", uid, "namespace",
				namespace, "name", slash + 1, "annotations", POD_NETWORKS_KEY, networks, "spec",
				"nodeName", "node-1", "status", "phase", "Pending");
	free(uid);
	world_pod_tell(world, pod);
}

void world_found(struct world *world, const char *pod)
{
	engine_pod_found(world->engine, world_pod_object(world_pod_at(world, pod)), world->now);
}

static json_t *annotations(struct world *world, const char *name)
{
	struct world_pod *pod = world_pod_at(world, name);
	assert_non_null(pod);
	return json_object_get(json_object_get(pod->object, "metadata"), "annotations");
}

void world_annotate(struct world *world, const char *name, const char *key, const char *value)
{
	if (value)
		json_object_set_new(annotations(world, name), key, json_string(value));
	else
		json_object_del(annotations(world, name), key);
	world_pod_tell(world, world_pod_at(world, name));
}

const char *world_annotation(struct world *world, const char *name, const char *key)
{
	const char *value = json_string_value(json_object_get(annotations(world, name), key));
	return value ? value : "";
}

void world_pod_phase(struct world *world, const char *name, const char *phase)
{
	struct world_pod *pod = world_pod_at(world, name);
	json_object_set_new(json_object_get(pod->object, "status"), "phase", json_string(phase));
	world_pod_tell(world, pod);
}

void world_pod_terminate(struct world *world, const char *name)
{
	json_t *metadata = json_object_get(world_pod_at(world, name)->object, "metadata");
	json_object_set_new(metadata, "deletionTimestamp", json_string("2026-01-02T03:04:05Z"));
	json_object_set_new(metadata, "deletionGracePeriodSeconds", json_integer(30));
	world_pod_tell(world, world_pod_at(world, name));
}

void world_pod_delete(struct world *world, const char *name, enum world_end how)
{
	struct world_pod *pod = world_pod_at(world, name);
	struct pod *last = world_pod_object(pod);
	json_decref(pod->object);
	pod->object = NULL;
	last->containers_ended = how == WORLD_ENDED;
	if (how == WORLD_SILENT)
		pod_free(last);
	else
		engine_pod_deleted(world->engine, last, world->now);
}

void world_network(struct world *world, const char *name, const char *config)
{
	char namespace[64];
	const char *slash = strchr(name, '/');
	snprintf(namespace, sizeof namespace, "%.*s", (int)(slash - name), name);
	if (!config) {
		engine_network_deleted(world->engine, namespace, slash + 1, world->now);
		return;
	}
	json_t *object = json_pack("{s:{s:s,s:s,s:s},s:{s:s}}", "metadata", "namespace", namespace, "name", slash + 1,
				   "uid", "uid-net", "spec", "config", config);
	struct network *network = network_from_json(object);
	assert_non_null(network);
	engine_network_applied(world->engine, network, world->now);
	json_decref(object);
}

void world_namespace(struct world *world, const char *name, const char *pkeys)
{
	json_t *object = json_pack("{s:{s:s,s:{}}}", "metadata", "name", name, "annotations");
	if (pkeys)
		json_object_set_new(json_object_get(json_object_get(object, "metadata"), "annotations"),
				    NAMESPACE_PKEYS_KEY, json_string(pkeys));
	engine_namespace_applied(world->engine, namespace_rule_from_json(object), world->now);
	json_decref(object);
}
