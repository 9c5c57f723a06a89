#include "tests/sim/sim_patch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/pod.h"

/* The pod's part that a patch may touch, while it is being patched. */
struct draft {
	const struct sim_pod *pod;
	const char *texts[3]; /* borrowed from the pod or from the patch */
	bool map;
};

static const char *const keys[3] = { "k8s.v1.cni.cncf.io~1networks", "v1.multus-cni.io~1default-network",
				     "ufmsync.io~1record" };

static int which_key(const char *path)
{
	static const char annotations[] = "/metadata/annotations/";

	if (strncmp(path, annotations, sizeof(annotations) - 1) != 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		if (strcmp(path + sizeof(annotations) - 1, keys[i]) == 0)
			return i;
	}
	return -1;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static enum sim_patched test(const struct draft *draft, const char *path, const json_t *value)
{
	int key = which_key(path);

	if (strcmp(path, "/metadata/uid") == 0)
		return same(json_str(value, NULL), draft->pod->uid) ? SIM_PATCH_DONE : SIM_PATCH_TEST_FAILED;
	if (strcmp(path, "/metadata/annotations") == 0 && json_is_null(value))
		return draft->map ? SIM_PATCH_TEST_FAILED : SIM_PATCH_DONE;
	if (key < 0)
		return SIM_PATCH_MALFORMED;
	return same(json_str(value, NULL), draft->texts[key]) ? SIM_PATCH_DONE : SIM_PATCH_TEST_FAILED;
}

static enum sim_patched change(struct draft *draft, const char *path, const json_t *value, bool replace)
{
	int key = which_key(path);

	if (strcmp(path, "/metadata/annotations") == 0 && !replace && json_object_size(value) == 0) {
		draft->map = true;
		return SIM_PATCH_DONE;
	}
	if (key < 0 || !json_is_string(value) || !draft->map || (replace && !draft->texts[key]))
		return SIM_PATCH_MALFORMED;
	draft->texts[key] = json_string_value(value);
	return SIM_PATCH_DONE;
}

static enum sim_patched operate(struct draft *draft, const json_t *operation)
{
	const char *op = json_str(operation, "op", NULL), *path = json_str(operation, "path", NULL);
	const json_t *value = json_at(operation, "value", NULL);

	if (!op || !path || !value)
		return SIM_PATCH_MALFORMED;
	if (strcmp(op, "test") == 0)
		return test(draft, path, value);
	if (strcmp(op, "add") == 0 || strcmp(op, "replace") == 0)
		return change(draft, path, value, op[0] == 'r');
	return SIM_PATCH_MALFORMED;
}

static void keep(char **text, const char *next)
{
	char *copy = mem_dup(next);

	free(*text);
	*text = copy;
}

enum sim_patched sim_patch_apply(struct sim_pod *pod, const char *patch)
{
	json_t *operations = json_loads(patch, 0, NULL);
	struct draft draft = { pod,
			       { pod->networks_text, pod->default_text, pod->record_text },
			       pod->networks_text || pod->default_text || pod->record_text };
	enum sim_patched patched = json_is_array(operations) ? SIM_PATCH_DONE : SIM_PATCH_MALFORMED;

	for (size_t i = 0; patched == SIM_PATCH_DONE && i < json_array_size(operations); i++)
		patched = operate(&draft, json_array_get(operations, i));
	if (patched == SIM_PATCH_DONE) {
		keep(&pod->networks_text, draft.texts[0]);
		keep(&pod->default_text, draft.texts[1]);
		keep(&pod->record_text, draft.texts[2]);
	}
	json_decref(operations);
	return patched;
}
