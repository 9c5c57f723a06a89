#include "cni/webhook/waiting.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void waiting_init(struct waiting *waiting, uint64_t seed, size_t remembered_max)
{
	*waiting = (struct waiting){ .seed = seed, .remembered_max = remembered_max };
	hash_init(&waiting->pods);
	hash_init(&waiting->nodes);
	chain_init(&waiting->calm);
	chain_init(&waiting->stirred);
	chain_init(&waiting->remembered);
}

static void free_pod(struct waiting *waiting, struct waiting_pod *pod)
{
	hash_remove(&waiting->pods, &pod->by_uid);
	chain_remove(&pod->place);
	free(pod->given);
	free(pod);
}

static void drop_oldest(struct waiting *waiting)
{
	free_pod(waiting, container_of(waiting->remembered.next, struct waiting_pod, place));
	waiting->n_remembered--;
}

void waiting_free(struct waiting *waiting)
{
	while (!chain_empty(&waiting->remembered))
		drop_oldest(waiting);
	assert(waiting->pods.count == 0 && waiting->nodes.count == 0);
	hash_free(&waiting->pods);
	hash_free(&waiting->nodes);
}

struct waiting_pod *waiting_pod_find(const struct waiting *waiting, const char *uid)
{
	struct hash_node *node = hash_first(&waiting->pods, hash_text(waiting->seed, uid));

	for (; node; node = hash_next(node)) {
		struct waiting_pod *pod = container_of(node, struct waiting_pod, by_uid);

		if (strcmp(pod->uid, uid) == 0)
			return pod;
	}
	return NULL;
}

static struct waiting_pod *new_pod(struct waiting *waiting, const char *uid)
{
	size_t size = strlen(uid) + 1;
	struct waiting_pod *pod = mem_alloc(sizeof *pod + size);

	memcpy(pod->uid, uid, size);
	chain_init(&pod->place);
	chain_init(&pod->requests);
	hash_add(&waiting->pods, &pod->by_uid, hash_text(waiting->seed, uid));
	return pod;
}

struct waiting_pod *waiting_pod_join(struct waiting *waiting, const char *uid, struct chain *request)
{
	struct waiting_pod *pod = waiting_pod_find(waiting, uid);

	if (!pod)
		pod = new_pod(waiting, uid);
	else if (chain_empty(&pod->requests))
		waiting->n_remembered--;
	if (chain_empty(&pod->requests)) {
		chain_remove(&pod->place);
		chain_append(&waiting->calm, &pod->place);
	}
	chain_append(&pod->requests, request);
	return pod;
}

void waiting_pod_rest(struct waiting *waiting, struct waiting_pod *pod, int64_t now)
{
	assert(chain_empty(&pod->requests));
	if (pod->n_given == 0) {
		free_pod(waiting, pod);
		return;
	}
	pod->last_ms = now;
	chain_remove(&pod->place);
	chain_append(&waiting->remembered, &pod->place);
	if (++waiting->n_remembered > waiting->remembered_max)
		drop_oldest(waiting);
}

void waiting_pod_gave(struct waiting_pod *pod, const char *interface, int index, uint64_t sandbox)
{
	size_t n = 0;

	for (size_t i = 0; i < pod->n_given; i++)
		if (pod->given[i].index != index && strcmp(pod->given[i].interface, interface) != 0)
			pod->given[n++] = pod->given[i];
	if (n == pod->n_given)
		pod->given = mem_resize(pod->given, n + 1, sizeof *pod->given);
	struct attach_given *given = &pod->given[n];
	snprintf(given->interface, sizeof given->interface, "%s", interface);
	given->index = index;
	given->sandbox = sandbox;
	pod->n_given = n + 1;
}

void waiting_forget(struct waiting *waiting, int64_t before_ms)
{
	while (!chain_empty(&waiting->remembered) &&
	       container_of(waiting->remembered.next, struct waiting_pod, place)->last_ms < before_ms)
		drop_oldest(waiting);
}

void waiting_stir(struct waiting *waiting, struct waiting_pod *pod)
{
	if (chain_empty(&pod->requests))
		return;
	chain_remove(&pod->place);
	chain_append(&waiting->stirred, &pod->place);
}

void waiting_stir_all(struct waiting *waiting)
{
	chain_splice(&waiting->stirred, &waiting->calm);
}

struct waiting_pod *waiting_next_stirred(struct waiting *waiting)
{
	if (chain_empty(&waiting->stirred))
		return NULL;
	struct waiting_pod *pod = container_of(waiting->stirred.next, struct waiting_pod, place);
	chain_remove(&pod->place);
	chain_append(&waiting->calm, &pod->place);
	return pod;
}

static struct waiting_node *find_node(const struct waiting *waiting, const char *name)
{
	struct hash_node *link = hash_first(&waiting->nodes, hash_text(waiting->seed, name));

	for (; link; link = hash_next(link)) {
		struct waiting_node *node = container_of(link, struct waiting_node, by_name);

		if (strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

struct waiting_node *waiting_node_enter(struct waiting *waiting, const char *name, unsigned max)
{
	struct waiting_node *node = find_node(waiting, name);

	if (node && node->requests >= max)
		return NULL;
	if (!node) {
		size_t size = strlen(name) + 1;

		node = mem_alloc(sizeof *node + size);
		memcpy(node->name, name, size);
		hash_add(&waiting->nodes, &node->by_name, hash_text(waiting->seed, name));
	}
	node->requests++;
	return node;
}

void waiting_node_leave(struct waiting *waiting, struct waiting_node *node)
{
	if (--node->requests > 0)
		return;
	hash_remove(&waiting->nodes, &node->by_name);
	free(node);
}
