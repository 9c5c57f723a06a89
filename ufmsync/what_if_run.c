#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/what_if_parts.h"

/* The engine leads in the copied world: each of its actions is carried out at once, and when it has none its clock goes to
 * its next deadline. */

enum {
	PATCH_MAX = 2 << 20,
	STILL_LISTS = 2, /* complete lists without a change: it has come to rest */
	STEPS_MAX = 100 * 1000,
};

/* --- the world as it would be --- */

static void start_members(struct what_if *world)
{
	for (int pkey = 0; pkey < PKEY_COUNT; pkey++) {
		const struct member *member;
		size_t at = 0;
		if (!world->was[pkey])
			continue;
		world->is[pkey] = members_new();
		while ((member = members_next(world->was[pkey], &at)))
			members_add(world->is[pkey], *member);
	}
}

void what_if_forget_run(struct what_if *world)
{
	engine_free(world->engine);
	world->engine = NULL;
	for (int pkey = 0; pkey < PKEY_COUNT; pkey++) {
		members_free(world->is[pkey]);
		members_free(world->held[pkey]);
		world->is[pkey] = world->held[pkey] = NULL;
	}
	for (struct chain *at = world->things[WHAT_IF_PODS].next; at != &world->things[WHAT_IF_PODS]; at = at->next) {
		struct thing *thing = container_of(at, struct thing, in_kind);
		free(thing->is);
		thing->is = NULL;
		thing->new_networks = false;
	}
	for (size_t i = 0; i < world->n_carriers; i++) {
		free(world->carriers[i].namespace);
		free(world->carriers[i].name);
	}
	free(world->carriers);
	free(world->leaves);
	while (!chain_empty(&world->all_said)) {
		struct said *said = container_of(world->all_said.next, struct said, in_all);
		chain_remove(&said->in_all);
		hash_remove(&world->said, &said->node);
		free(said);
	}
	for (size_t i = 0; i < world->n_counts; i++)
		free(world->counts[i].reason);
	free(world->counts);
	world->carriers = NULL;
	world->leaves = NULL;
	world->counts = NULL;
	world->n_carriers = world->carriers_max = world->n_leaves = world->leaves_max = world->n_counts = 0;
	world->changes = world->lists = 0;
	world->listed = false;
}

/* --- facts --- */

static void carries(struct what_if *world, const struct pod *pod)
{
	for (size_t i = 0; i < pod->n_networks && !pod->host_network && !pod->finished; i++) {
		if (!what_if_is_configured(&pod->networks[i]))
			continue;
		if (world->n_carriers == world->carriers_max) {
			world->carriers_max = world->carriers_max ? 2 * world->carriers_max : 256;
			world->carriers = mem_resize(world->carriers, world->carriers_max, sizeof *world->carriers);
		}
		world->carriers[world->n_carriers++] =
			(struct carrier){ pod->networks[i].guid, mem_dup(pod->namespace), mem_dup(pod->name) };
	}
}

static int by_guid(const void *a, const void *b)
{
	uint64_t x = ((const struct carrier *)a)->guid.v, y = ((const struct carrier *)b)->guid.v;

	return (x > y) - (x < y);
}

static void find_carriers(struct what_if *world)
{
	for (struct chain *at = world->things[WHAT_IF_PODS].next; at != &world->things[WHAT_IF_PODS]; at = at->next) {
		struct pod *pod = what_if_pod(container_of(at, struct thing, in_kind)->was);
		if (pod)
			carries(world, pod);
		pod_free(pod);
	}
	if (world->n_carriers)
		qsort(world->carriers, world->n_carriers, sizeof *world->carriers, by_guid);
}

static void tell_pods(struct what_if *world)
{
	engine_pods_begin(world->engine, world->now);
	for (struct chain *at = world->things[WHAT_IF_PODS].next; at != &world->things[WHAT_IF_PODS]; at = at->next) {
		const struct thing *thing = container_of(at, struct thing, in_kind);
		struct pod *pod = what_if_pod(thing->is ? thing->is : thing->was);
		if (pod)
			engine_pod_applied(world->engine, pod, world->now);
	}
	engine_pods_end(world->engine, world->now);
}

static void tell(struct what_if *world, enum what_if_kind kind)
{
	for (struct chain *at = world->things[kind].next; at != &world->things[kind]; at = at->next) {
		const char *text = container_of(at, struct thing, in_kind)->was;
		struct error err;
		json_t *object = json_parse(text, strlen(text), &err);
		struct network *network = kind == WHAT_IF_NETWORKS ? network_from_json(object) : NULL;
		struct namespace_rule *rule = kind == WHAT_IF_NAMESPACES ? namespace_rule_from_json(object) : NULL;
		if (network)
			engine_network_applied(world->engine, network, world->now);
		if (rule)
			engine_namespace_applied(world->engine, rule, world->now);
		json_decref(object);
	}
}

static void tell_all(struct what_if *world)
{
	engine_networks_begin(world->engine, world->now);
	tell(world, WHAT_IF_NETWORKS);
	engine_networks_end(world->engine, world->now);
	engine_namespaces_begin(world->engine, world->now);
	tell(world, WHAT_IF_NAMESPACES);
	engine_namespaces_end(world->engine, world->now);
	tell_pods(world);
}

/* --- actions --- */

static void changed(struct what_if *world)
{
	world->changes++;
	world->lists = 0;
}

static void note_leave(struct what_if *world, struct pkey pkey, const struct member *member)
{
	struct attachment_view holder;
	bool held = engine_holder(world->engine, member->guid, &holder) && holder.state != ATTACHMENT_RESTING;

	if (world->n_leaves == world->leaves_max) {
		world->leaves_max = world->leaves_max ? 2 * world->leaves_max : 256;
		world->leaves = mem_resize(world->leaves, world->leaves_max, sizeof *world->leaves);
	}
	world->leaves[world->n_leaves++] = (struct leave){ *member, pkey, held ? STRAY_IS_UNEXPECTED : STRAY_IS_ORPHAN,
							   world->now - world->begun };
}

static void act_write(struct what_if *world, const struct engine_action *action)
{
	struct pkey_class class = action->write.class;
	struct members **is = &world->is[class.pkey.v];

	if (!*is)
		*is = members_new();
	for (size_t i = 0; i < action->write.n; i++) {
		struct guid guid = action->write.guids[i];
		const struct member *member = members_find(*is, guid);
		if (action->kind == ENGINE_JOIN) {
			members_add(*is, (struct member){ guid, class.membership, class.index0 });
		} else if (member) {
			note_leave(world, class.pkey, member);
			members_remove(*is, guid);
		}
	}
	changed(world);
	engine_write_done(world->engine, action->id, NULL, world->now);
}

static void list_one(struct what_if *world, uint64_t id, int pkey)
{
	const struct member *member;
	size_t at = 0;

	while (world->is[pkey] && (member = members_next(world->is[pkey], &at)))
		engine_listed_member(world->engine, id, (struct pkey){ (uint16_t)pkey }, member);
}

static void act_list(struct what_if *world, uint64_t id, bool all, struct pkey only)
{
	if (!all)
		list_one(world, id, only.v);
	for (int pkey = 0; all && pkey < PKEY_COUNT; pkey++)
		list_one(world, id, pkey);
	world->lists += all;
	engine_list_done(world->engine, id, NULL, world->now);
}

/* What pod_patch() makes: only strings are put into the map of annotations. */
static char *patched(const struct thing *thing, const struct buf *patch, bool *new_networks)
{
	static const char prefix[] = "/metadata/annotations/";
	const char *text = thing->is ? thing->is : thing->was;
	struct error err;
	json_t *object = json_parse(text, strlen(text), &err), *operations = json_parse(patch->data, patch->len, &err);
	json_t *metadata = json_object_get(object, "metadata");

	assert(metadata && operations);
	for (size_t i = 0; i < json_array_size(operations); i++) {
		const json_t *operation = json_array_get(operations, i);
		const char *path = json_str(operation, "path", NULL), *what = json_str(operation, "op", NULL);
		if (strcmp(what, "test") == 0)
			continue;
		if (!json_object_get(metadata, "annotations"))
			json_object_set_new(metadata, "annotations", json_object());
		if (strncmp(path, prefix, strlen(prefix)) != 0)
			continue; /* the empty map */
		char *key = mem_dup(path + strlen(prefix));
		for (char *escape; (escape = strstr(key, "~1"));) {
			*escape = '/';
			memmove(escape + 1, escape + 2, strlen(escape + 2) + 1);
		}
		*new_networks |= strcmp(key, POD_RECORD_KEY) != 0;
		json_object_set(json_object_get(metadata, "annotations"), key, json_object_get(operation, "value"));
		free(key);
	}
	char *result = json_dumps(object, JSON_COMPACT);
	assert(result);
	json_decref(object);
	json_decref(operations);
	return result;
}

static void act_patch(struct what_if *world, const struct engine_action *action)
{
	const struct pod *pod = action->patch.pod;
	struct thing *thing = what_if_find_pod(world, pod->uid);
	uint64_t id = action->id;
	struct error err;
	struct buf patch;

	assert(thing);
	buf_init(&patch, PATCH_MAX);
	if (pod_patch(&patch, pod, action->patch.publications, action->patch.n, action->patch.record, &err) < 0) {
		engine_patch_done(world->engine, id, ENGINE_PATCH_REFUSED, err.text, world->now);
	} else {
		char *is = patched(thing, &patch, &thing->new_networks);
		free(thing->is);
		thing->is = is;
		changed(world);
		engine_patch_done(world->engine, id, ENGINE_PATCHED, NULL, world->now);
		engine_pod_applied(world->engine, what_if_pod(is), world->now);
	}
	buf_free(&patch);
}

static void act_read(struct what_if *world, const struct engine_action *action)
{
	const struct thing *thing = what_if_find_pod(world, action->read_pod.uid);
	struct pod *pod = thing ? what_if_pod(thing->is ? thing->is : thing->was) : NULL;

	engine_pod_read(world->engine, action->id, pod ? ENGINE_READ_FOUND : ENGINE_READ_GONE, pod, world->now);
}

static void count_event(struct what_if *world, const char *reason, bool network)
{
	for (size_t i = 0; i < world->n_counts; i++)
		if (world->counts[i].network == network && strcmp(world->counts[i].reason, reason) == 0) {
			world->counts[i].n++;
			return;
		}
	world->counts = mem_resize(world->counts, world->n_counts + 1, sizeof *world->counts);
	world->counts[world->n_counts++] = (struct said_count){ mem_dup(reason), network, 1 };
}

/* The same text on the same object becomes one Event with a count. */
static void act_event(struct what_if *world, const struct engine_action *action)
{
	uint64_t hash = hash_text(
		hash_text(hash_text(hash_text(0, action->event.namespace), action->event.name), action->event.reason),
		action->event.text);

	if (hash_first(&world->said, hash))
		return;
	struct said *said = mem_alloc(sizeof *said);
	hash_add(&world->said, &said->node, hash);
	chain_append(&world->all_said, &said->in_all);
	count_event(world, action->event.reason, action->event.network);
}

static void act(struct what_if *world, const struct engine_action *action)
{
	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		act_write(world, action);
		return;
	case ENGINE_LIST:
		act_list(world, action->id, action->list.all, action->list.pkey);
		return;
	case ENGINE_PATCH:
		act_patch(world, action);
		return;
	case ENGINE_READ_POD:
		act_read(world, action);
		return;
	case ENGINE_LIST_PODS:
		tell_pods(world);
		return;
	case ENGINE_EVENT:
		act_event(world, action);
		return;
	case ENGINE_POD_CHANGED:
		return; /* nobody waits here */
	}
}

/* --- time --- */

static void act_now(struct what_if *world)
{
	struct engine_action action;

	do {
		while (engine_next(world->engine, world->now, &action))
			act(world, &action);
	} while (engine_deadline(world->engine) <= world->now);
}

static void note_brake(struct what_if *world)
{
	struct engine_status status;

	engine_status(world->engine, &status);
	if (!world->listed)
		world->brake = status.brake;
	world->listed = status.listed;
}

/* Until nothing changes any more; then behind the orphans' grace, and the same again. */
static int let_time_pass(struct what_if *world, int64_t grace_ms, struct error *err)
{
	bool behind_grace = false;

	for (int step = 0; step < STEPS_MAX; step++) {
		act_now(world);
		note_brake(world);
		int64_t deadline = engine_deadline(world->engine);
		if (world->lists >= STILL_LISTS) {
			if (behind_grace)
				return 0;
			behind_grace = true;
			world->lists = 0;
			if (deadline < world->begun + grace_ms)
				deadline = world->begun + grace_ms;
		}
		if (deadline == INT64_MAX)
			return 0;
		world->now = deadline;
	}
	return error_set(err, ERROR_LIMIT, "what the service would do did not come to an end within %d steps",
			 STEPS_MAX);
}

static void note_held(void *aux, const struct attachment_view *view)
{
	struct what_if *world = aux;

	if (!view->has_guid || view->state == ATTACHMENT_LEAVING || view->state == ATTACHMENT_RESTING)
		return;
	for (unsigned i = 0; i < view->n_memberships; i++) {
		const struct pkey_class *class = &view->memberships[i];
		struct members **held = &world->held[class->pkey.v];
		if (!*held)
			*held = members_new();
		members_add(*held, (struct member){ view->guid, class->membership, class->index0 });
	}
}

int what_if_run(struct what_if *world, const struct engine_options *options, bool settled, bool confirmed, int64_t now,
		struct error *err)
{
	what_if_forget_run(world);
	world->ours = options->pkeys;
	world->keys = options->keys;
	world->first = options->first;
	world->last = options->last;
	world->begun = world->now = now;
	start_members(world);
	find_carriers(world);
	world->engine = engine_new(options);
	tell_all(world);
	act_now(world);
	engine_lead(world->engine, now, settled, now);
	if (confirmed)
		engine_confirm(world->engine, now);
	if (let_time_pass(world, options->orphan_grace_ms, err) < 0)
		return -1;
	engine_each(world->engine, note_held, world);
	return 0;
}
