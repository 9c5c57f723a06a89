#include "ufmsync/what_if.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/what_if_parts.h"

/* The world as it is: objects as short texts, members in sets. */

enum { SEED = 1 };

struct what_if *what_if_new(void)
{
	struct what_if *world = mem_alloc(sizeof *world);

	for (int kind = 0; kind < WHAT_IF_KINDS; kind++)
		chain_init(&world->things[kind]);
	hash_init(&world->pods);
	hash_init(&world->said);
	chain_init(&world->all_said);
	return world;
}

static void thing_free(struct what_if *world, enum what_if_kind kind, struct thing *thing)
{
	chain_remove(&thing->in_kind);
	if (kind == WHAT_IF_PODS)
		hash_remove(&world->pods, &thing->node);
	world->n_things[kind]--;
	free(thing->uid);
	free(thing->was);
	free(thing->is);
	free(thing);
}

void what_if_begin(struct what_if *world, enum what_if_kind kind)
{
	while (!chain_empty(&world->things[kind]))
		thing_free(world, kind, container_of(world->things[kind].next, struct thing, in_kind));
}

void what_if_free(struct what_if *world)
{
	if (!world)
		return;
	what_if_forget_run(world);
	for (int kind = 0; kind < WHAT_IF_KINDS; kind++)
		what_if_begin(world, (enum what_if_kind)kind);
	for (int pkey = 0; pkey < PKEY_COUNT; pkey++)
		members_free(world->was[pkey]);
	hash_free(&world->pods);
	hash_free(&world->said);
	free(world);
}

/* --- what matters of an object --- */

static void keep(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value)
		json_object_set(to, key, value);
}

static void keep_all(json_t *to, const json_t *from, const char *const *keys)
{
	for (; *keys; keys++)
		keep(to, from, *keys);
}

/* The parts of `object` at `key` that are named; nothing when it has none of that name. */
static void keep_part(json_t *to, const json_t *object, const char *key, const char *const *keys)
{
	json_t *from = json_object_get(object, key), *part = json_object();

	keep_all(part, from, keys);
	if (json_is_object(from))
		json_object_set(to, key, part);
	json_decref(part);
}

static json_t *reduced(const json_t *object, enum what_if_kind kind)
{
	static const char *const pod_annotations[] = { POD_NETWORKS_KEY, POD_DEFAULT_NETWORK_KEY, POD_RECORD_KEY,
						       "kubernetes.io/config.hash", NULL };
	static const char *const namespace_annotations[] = { NAMESPACE_PKEYS_KEY, NULL };
	static const char *const metadata_keys[] = {
		"uid", "namespace", "name", "deletionTimestamp", "deletionGracePeriodSeconds", NULL
	};
	static const char *const labels[] = { "kubevirt.io/migrationJobUID", NULL };
	static const char *const specs[WHAT_IF_KINDS][3] = {
		[WHAT_IF_PODS] = { "nodeName", "hostNetwork" }, [WHAT_IF_NETWORKS] = { "config" }
	};
	static const char *const status[] = { "phase", NULL };
	json_t *to = json_object(), *from = json_object_get(object, "metadata"), *metadata = json_object();

	keep_all(metadata, from, metadata_keys);
	keep_part(metadata, from, "labels", labels);
	keep_part(metadata, from, "annotations", kind == WHAT_IF_PODS ? pod_annotations : namespace_annotations);
	json_object_set_new(to, "metadata", metadata);
	keep_part(to, object, "spec", specs[kind]);
	if (kind == WHAT_IF_PODS)
		keep_part(to, object, "status", status);
	return to;
}

void what_if_object(struct what_if *world, enum what_if_kind kind, const json_t *object)
{
	const char *uid = json_str(object, "metadata", "uid", NULL);

	if (kind == WHAT_IF_PODS && (!uid || !pod_json_may_matter(object) || what_if_find_pod(world, uid)))
		return;
	struct thing *thing = mem_alloc(sizeof *thing);
	json_t *small = reduced(object, kind);
	thing->was = json_dumps(small, JSON_COMPACT);
	json_decref(small);
	assert(thing->was); /* it was JSON before */
	chain_append(&world->things[kind], &thing->in_kind);
	world->n_things[kind]++;
	if (kind != WHAT_IF_PODS)
		return;
	const char *phase = json_str(object, "status", "phase", NULL);
	thing->running = phase && strcmp(phase, "Running") == 0;
	thing->uid = mem_dup(uid);
	hash_add(&world->pods, &thing->node, hash_text(SEED, uid));
}

struct thing *what_if_find_pod(const struct what_if *world, const char *uid)
{
	for (struct hash_node *n = hash_first(&world->pods, hash_text(SEED, uid)); n; n = hash_next(n)) {
		struct thing *thing = container_of(n, struct thing, node);
		if (strcmp(thing->uid, uid) == 0)
			return thing;
	}
	return NULL;
}

void what_if_member(struct what_if *world, struct pkey pkey, const struct member *member)
{
	assert(pkey.v < PKEY_COUNT);
	if (!world->was[pkey.v])
		world->was[pkey.v] = members_new();
	members_add(world->was[pkey.v], *member);
}

/* --- reading it --- */

struct pod *what_if_pod(const char *text)
{
	struct error err;
	json_t *object = json_parse(text, strlen(text), &err);
	struct pod *pod = pod_from_json(object);

	json_decref(object);
	return pod;
}

const struct pod_network *what_if_network(const struct pod *pod, enum pod_source source, int index)
{
	for (size_t i = 0; pod && i < pod->n_networks; i++)
		if (pod->networks[i].source == source && pod->networks[i].index == index)
			return &pod->networks[i];
	return NULL;
}

bool what_if_is_configured(const struct pod_network *network)
{
	return network && network->configured && network->wish == POD_WISH_GUID;
}
