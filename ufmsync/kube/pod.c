#include "ufmsync/kube/pod.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/pod_networks.h"

const char *pod_source_key(enum pod_source source)
{
	return source == POD_NETWORKS ? POD_NETWORKS_KEY : POD_DEFAULT_NETWORK_KEY;
}

static bool is_terminated(const json_t *status)
{
	return json_is_object(json_at(status, "state", "terminated", NULL));
}

/* None may ever run again: those of the pod itself are all reported, and all of them terminated. */
static bool have_containers_ended(const json_t *object)
{
	const json_t *status = json_at(object, "status", NULL);
	const json_t *main = json_at(status, "containerStatuses", NULL);
	static const char *const kinds[] = { "initContainerStatuses", "containerStatuses",
					     "ephemeralContainerStatuses" };

	if (json_array_size(main) == 0 ||
	    json_array_size(main) < json_array_size(json_at(object, "spec", "containers", NULL)))
		return false;
	for (size_t kind = 0; kind < array_length(kinds); kind++) {
		const json_t *statuses = json_at(status, kinds[kind], NULL);
		for (size_t i = 0; i < json_array_size(statuses); i++) {
			if (!is_terminated(json_array_get(statuses, i)))
				return false;
		}
	}
	return true;
}

static void read_life(struct pod *pod, const json_t *object)
{
	const char *phase = json_str(object, "status", "phase", NULL);
	const char *deleted = json_str(object, "metadata", "deletionTimestamp", NULL);
	const char *node = json_str(object, "spec", "nodeName", NULL);

	pod->node = mem_dup(node ? node : "");
	pod->host_network = json_bool(object, false, "spec", "hostNetwork", NULL);
	pod->finished = phase && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0);
	pod->containers_ended = have_containers_ended(object);
	pod->migration_target = json_str(object, "metadata", "labels", "kubevirt.io/migrationJobUID", NULL) != NULL;
	if (!deleted)
		return;
	pod->terminating = true;
	if (!json_time_ms(&pod->gone_at_ms, deleted))
		pod->gone_at_ms = 0;
	int64_t grace = json_int(object, 0, "metadata", "deletionGracePeriodSeconds", NULL);
	pod->grace_ms = grace < 0 ? 0 : grace > INT64_MAX / 1000 ? INT64_MAX : grace * 1000;
}

static void add_problem(struct pod *pod, const char *text)
{
	char *before = pod->problem;

	pod->problem = before ? mem_printf("%s; %s", before, text) : mem_dup(text);
	free(before);
}

/* No NUL, and no control characters but those between values: no annotation has others by intention, and as encoders
 * differ in how they spell some of them, a patch could not test for such a text. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' && !strchr("\t\n\r", *text))
			return false;
	}
	return true;
}

/* A copy of the annotation's text; `odd`: it is there, but not as plain text. */
static char *read_text(const json_t *annotations, const char *key, bool *odd)
{
	const char *text = json_str(annotations, key, NULL);
	bool plain = text && is_plain(text);

	*odd = !plain && json_object_get(annotations, key);
	return plain ? mem_dup(text) : NULL;
}

static char *read_networks(struct pod *pod, const json_t *annotations, enum pod_source source)
{
	struct error err;
	bool odd;
	char *text = read_text(annotations, pod_source_key(source), &odd);

	if (odd) {
		error_set(&err, ERROR_INVALID, "%s: holds a control character", pod_source_key(source));
		add_problem(pod, err.text);
	} else if (text && *text && pod_networks_parse(pod, source, text, &err) < 0) {
		add_problem(pod, err.text);
	}
	return text;
}

struct pod *pod_from_json(const json_t *object)
{
	const char *uid = json_str(object, "metadata", "uid", NULL);
	const char *namespace = json_str(object, "metadata", "namespace", NULL);
	const char *name = json_str(object, "metadata", "name", NULL);
	const json_t *annotations = json_at(object, "metadata", "annotations", NULL);

	if (!uid || !namespace || !name || !*uid || !*namespace || !*name)
		return NULL;
	struct pod *pod = mem_alloc(sizeof *pod);
	pod->uid = mem_dup(uid);
	pod->namespace = mem_dup(namespace);
	pod->name = mem_dup(name);
	pod->has_annotations = json_is_object(annotations);
	pod->static_uid = mem_dup(json_str(annotations, "kubernetes.io/config.hash", NULL));
	read_life(pod, object);
	pod->networks_text = read_networks(pod, annotations, POD_NETWORKS);
	pod->default_text = read_networks(pod, annotations, POD_DEFAULT_NETWORK);
	pod->record_text = read_text(annotations, POD_RECORD_KEY, &pod->record_odd);
	pod->texts_known = true;
	return pod;
}

bool pod_json_may_matter(const json_t *object)
{
	const json_t *annotations = json_at(object, "metadata", "annotations", NULL);

	return json_object_get(annotations, POD_NETWORKS_KEY) ||
	       json_object_get(annotations, POD_DEFAULT_NETWORK_KEY) || json_object_get(annotations, POD_RECORD_KEY);
}

void pod_forget_texts(struct pod *pod)
{
	free(pod->networks_text);
	free(pod->default_text);
	free(pod->record_text);
	pod->networks_text = pod->default_text = pod->record_text = NULL;
	pod->texts_known = false;
}

void pod_free(struct pod *pod)
{
	if (!pod)
		return;
	pod_forget_texts(pod);
	for (size_t i = 0; i < pod->n_networks; i++)
		pod_network_release(&pod->networks[i]);
	free(pod->networks);
	free(pod->uid);
	free(pod->namespace);
	free(pod->name);
	free(pod->node);
	free(pod->problem);
	free(pod->static_uid);
	free(pod);
}
