/* A networks annotation by a tenant: read, published into, read again.  Whatever it was, the patch must leave a text that
 * says what was published and otherwise what it said before. */
#undef NDEBUG
#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pod *pod_of(enum pod_source source, const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	if (!value)
		return NULL;
	json_t *object = json_pack("{s:{s:s,s:s,s:s,s:{s:o}}}", "metadata", "uid", "u", "namespace", "team", "name",
				   "p", "annotations", pod_source_key(source), value);
	assert(object && pod_json_may_matter(object));
	struct pod *pod = pod_from_json(object);
	assert(pod);
	json_decref(object);
	return pod;
}

/* The annotation's text after the patch; NULL when nothing is replaced. */
static char *patched_text(const struct pod *pod, const struct pod_publication *publications, size_t n)
{
	struct buf patch;
	struct error err;

	buf_init(&patch, 8 << 20);
	assert(pod_patch(&patch, pod, publications, n, NULL, &err) == 0);
	json_t *json = json_parse(patch.data, patch.len, &err);
	assert(json && json_array_size(json) % 2 == 1);
	const char *text = json_str(json_array_get(json, 2), "value", NULL);
	char *copy = mem_dup(text);
	if (copy)
		assert(strcmp(json_str(json_array_get(json, 2), "op", NULL), "replace") == 0);
	json_decref(json);
	buf_free(&patch);
	return copy;
}

/* Folds the key as Go does. */
static bool is_field(const char *key, const char *name)
{
	for (; *key && *name; name++) {
		if (strncmp(key, "\xc5\xbf", 2) == 0 && *name == 's')
			key += 2;
		else if (strncmp(key, "\xe2\x84\xaa", 3) == 0 && *name == 'k')
			key += 3;
		else if (tolower((unsigned char)*key) == *name)
			key++;
		else
			return false;
	}
	return !*key && !*name;
}

/* Takes away what is ours to write, so that the rest can be compared. */
static void strip(json_t *element)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(element, next, key, value)
	{
		if (is_field(key, "cni-args")) {
			json_object_del(value, "guid");
			json_object_del(value, "pkey");
			json_object_del(value, "mellanox.infiniband.app");
			if (json_object_size(value) == 0)
				json_object_del(element, key);
		} else if (is_field(key, "infiniband-guid")) {
			json_object_del(element, key);
		}
	}
}

/* Numbers that jansson cannot hold make this blind; the unit tests look at those. */
static void assert_same_otherwise(const char *before, const char *after)
{
	json_t *was = json_loads(before, JSON_ALLOW_NUL, NULL), *is = json_loads(after, JSON_ALLOW_NUL, NULL);

	if (json_is_object(was)) {
		json_t *list = json_array();
		json_array_append_new(list, was);
		was = list;
	}
	if (was && is) {
		assert(json_array_size(was) == json_array_size(is));
		for (size_t i = 0; i < json_array_size(was); i++) {
			strip(json_array_get(was, i));
			strip(json_array_get(is, i));
		}
		assert(json_equal(was, is));
	}
	json_decref(was);
	json_decref(is);
}

static void assert_same_networks(const struct pod *before, const struct pod *after)
{
	assert(!after->problem && after->n_networks == before->n_networks);
	for (size_t i = 0; i < before->n_networks; i++) {
		assert(strcmp(before->networks[i].namespace, after->networks[i].namespace) == 0);
		assert(strcmp(before->networks[i].name, after->networks[i].name) == 0);
		assert(strcmp(before->networks[i].interface, after->networks[i].interface) == 0);
		assert(before->networks[i].index == after->networks[i].index);
	}
}

static void publish(enum pod_source source, const struct pod *pod, const struct pod_publication *publications, size_t n)
{
	char *text = patched_text(pod, publications, n);
	const char *before = source == POD_NETWORKS ? pod->networks_text : pod->default_text;

	assert((text == NULL) == pod_is_published(pod, publications, n) || n == 0);
	if (!text)
		return;
	struct pod *after = pod_of(source, text, strlen(text));
	assert(after);
	assert_same_networks(pod, after);
	assert(pod_is_published(after, publications, n));
	char *again = patched_text(after, publications, n);
	assert(!again);
	if (strpbrk(before, "[{\""))
		assert_same_otherwise(before, text);
	pod_free(after);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	unsigned how = data[0];
	enum pod_source source = how & 1 ? POD_DEFAULT_NETWORK : POD_NETWORKS;
	struct pod *pod = pod_of(source, (const char *)data + 1, size - 1);
	if (!pod)
		return 0;
	assert(pod->n_networks <= POD_NETWORKS_MAX);
	assert(!pod->problem || pod->n_networks == 0);
	struct pod_publication publications[POD_NETWORKS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < pod->n_networks; i++) {
		if (how & 2 && i % 2 == 1)
			continue;
		publications[n++] = (struct pod_publication){
			source, pod->networks[i].index, { 0x0200000000000001 + i }, how & 4 ? "0x5" : NULL, how & 8
		};
	}
	publish(source, pod, publications, n);
	pod_free(pod);
	return 0;
}
