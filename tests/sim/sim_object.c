#include "tests/sim/sim_api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

/* The objects of the API server as JSON, read by the same code that reads the real ones. */

static void put_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new_nocheck(object, key, json_string_nocheck(text));
}

static void put_deletion(json_t *metadata, const struct sim_pod *pod)
{
	int64_t seconds = (pod->gone_at - SIM_BIRTH_MS) / 1000; /* a life ends long before midnight */
	char text[32];

	if (!pod->terminating)
		return;
	snprintf(text, sizeof(text), "2026-01-%02dT%02d:%02d:%02dZ", (int)(2 + seconds / 86400 % 28),
		 (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60));
	put_text(metadata, "deletionTimestamp", text);
	json_object_set_new_nocheck(metadata, "deletionGracePeriodSeconds", json_integer(pod->grace_ms / 1000));
}

static json_t *pod_status(const struct sim_pod *pod)
{
	json_t *status = json_object();

	put_text(status, "phase", pod->finished ? "Succeeded" : pod->node[0] ? "Running" : "Pending");
	if (pod->containers_ended) {
		json_t *terminated = json_pack("[{s:{s:{s:i}}}]", "state", "terminated", "exitCode", 0);

		json_object_set_new_nocheck(status, "containerStatuses", terminated);
	}
	return status;
}

static json_t *pod_json(const struct sim_pod *pod)
{
	json_t *object = json_object(), *metadata = json_object(), *annotations = json_object(), *spec = json_object();

	put_text(metadata, "uid", pod->uid);
	put_text(metadata, "namespace", pod->namespace);
	put_text(metadata, "name", pod->name);
	put_deletion(metadata, pod);
	put_text(annotations, POD_NETWORKS_KEY, pod->networks_text);
	put_text(annotations, POD_DEFAULT_NETWORK_KEY, pod->default_text);
	put_text(annotations, POD_RECORD_KEY, pod->record_text);
	json_object_set_new_nocheck(metadata, "annotations", annotations);
	put_text(spec, "nodeName", pod->node[0] ? pod->node : NULL);
	if (pod->host_network)
		json_object_set_new_nocheck(spec, "hostNetwork", json_true());
	json_object_set_new_nocheck(object, "metadata", metadata);
	json_object_set_new_nocheck(object, "spec", spec);
	json_object_set_new_nocheck(object, "status", pod_status(pod));
	return object;
}

struct pod *sim_pod_object(const struct sim_pod *pod)
{
	json_t *object = pod_json(pod);
	struct pod *parsed = pod_from_json(object);

	json_decref(object);
	assert(parsed);
	return parsed;
}

struct network *sim_network_object(const struct sim_network *network)
{
	json_t *object = json_pack("{s:{s:s,s:s},s:{s:s}}", "metadata", "namespace", network->namespace, "name",
				   network->name, "spec", "config", network->config);
	struct network *parsed = network_from_json(object);

	json_decref(object);
	assert(parsed);
	return parsed;
}

struct namespace_rule *sim_namespace_object(const struct sim_namespace *namespace)
{
	json_t *object = json_pack("{s:{s:s}}", "metadata", "name", namespace->name);
	struct namespace_rule *parsed;

	if (namespace->pkeys[0])
		json_object_set_new(json_object_get(object, "metadata"), "annotations",
				    json_pack("{s:s}", NAMESPACE_PKEYS_KEY, namespace->pkeys));
	parsed = namespace_rule_from_json(object);
	json_decref(object);
	assert(parsed);
	return parsed;
}
