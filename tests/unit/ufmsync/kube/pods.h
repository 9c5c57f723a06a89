#pragma once

#include <assert.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>

#include "ufmsync/kube/pod.h"

/* Pods for tests: a plain bound one of namespace "team", with the annotations given as key, value, ..., NULL. */
static inline json_t *pod_object(const char *const *annotations)
{
	json_t *object = json_pack("{s:{s:s,s:s,s:s},s:{s:s,s:[{s:s}]},s:{s:s}}", "metadata", "uid", "u-1", "namespace",
				   "team", "name", "p", "spec", "nodeName", "n1", "containers", "name", "c", "status",
				   "phase", "Pending");

	assert(object);
	for (; annotations && *annotations; annotations += 2) {
		json_t *metadata = json_object_get(object, "metadata"), *map = json_object_get(metadata, "annotations");
		if (!map) {
			map = json_object();
			json_object_set_new(metadata, "annotations", map);
		}
		json_object_set_new(map, annotations[0], json_string(annotations[1]));
	}
	return object;
}

static inline struct pod *pod_with(const char *key, const char *text)
{
	json_t *object = pod_object((const char *const[]){ key, text, NULL });
	struct pod *pod = pod_from_json(object);

	json_decref(object);
	assert(pod);
	return pod;
}
