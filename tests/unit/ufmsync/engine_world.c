#include "tests/unit/ufmsync/engine_world_parts.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { WALL = 1000000 };

/* --- the transcript --- */

static void say(struct world *world, const char *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct world *world, const char *kind, const char *format, ...)
{
	char line[4096];
	va_list args;
	if (world->mute && strstr(world->mute, kind))
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	char *longer = mem_printf("%s%s %s\n", world->log, kind, line);
	free(world->log);
	world->log = longer;
}

void world_forget(struct world *world)
{
	free(world->log);
	world->log = mem_dup("");
}

void world_expect(struct world *world, const char *lines)
{
	assert_string_equal(world->log, lines);
	world_forget(world);
}

bool world_said(const struct world *world, const char *text)
{
	return strstr(world->log, text);
}

/* --- its making --- */

struct world *world_new(void)
{
	struct world *world = mem_alloc(sizeof *world);
	struct error err;
	world->log = mem_dup("");
	world->now = 1000;
	world->mute = "LIST EVENT LIST_PODS";
	engine_options_init(&world->options);
	world->options.first = (struct guid){ GUID_1 };
	world->options.last = (struct guid){ GUID_1 + 0xfffff };
	world->options.wall_offset_ms = WALL;
	assert_int_equal(record_keys_parse(&world->keys, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", &err), 0);
	world->options.keys = world->keys;
	return world;
}

static void drop_held(struct world *world)
{
	for (size_t i = 0; i < world->n_lists; i++)
		free(world->lists[i].members);
	world->n_lists = world->n_writes = world->n_patches = 0;
}

void world_engine(struct world *world)
{
	engine_free(world->engine);
	drop_held(world);
	world->engine = engine_new(&world->options);
}

struct pod *world_pod_object(const struct world_pod *pod)
{
	return pod_from_json(pod->object);
}

void world_tell(struct world *world)
{
	struct engine *engine = world->engine;
	engine_networks_begin(engine, world->now);
	engine_namespaces_begin(engine, world->now);
	static const char *const names[] = { "a", "b", "default", "kube-system" };
	for (size_t i = 0; i < array_length(names); i++)
		world_namespace(world, names[i], NULL);
	engine_namespaces_end(engine, world->now);
	engine_networks_end(engine, world->now);
	engine_pods_begin(engine, world->now);
	for (size_t i = 0; i < WORLD_PODS; i++)
		if (world->pods[i].object)
			engine_pod_applied(engine, world_pod_object(&world->pods[i]), world->now);
	engine_pods_end(engine, world->now);
}

void world_lead(struct world *world, bool settled)
{
	engine_lead(world->engine, world->now, settled, world->now);
	world_run(world);
}

void world_start(struct world *world)
{
	world_engine(world);
	world_tell(world);
	world_lead(world, true);
}

void world_free(struct world *world)
{
	engine_free(world->engine);
	drop_held(world);
	record_keys_free(world->keys);
	for (size_t i = 0; i < WORLD_PODS; i++)
		json_decref(world->pods[i].object);
	free(world->log);
	free(world);
}

/* --- the fabric --- */

static long member_at(const struct world *world, uint16_t pkey, uint64_t guid)
{
	for (size_t i = 0; i < world->n_members; i++)
		if (world->members[i].pkey.v == pkey && world->members[i].member.guid.v == guid)
			return (long)i;
	return -1;
}

static void member_put(struct world *world, uint16_t pkey, struct member member)
{
	long at = member_at(world, pkey, member.guid.v);
	if (at < 0)
		at = (long)world->n_members++;
	assert_true(at < WORLD_MEMBERS);
	world->members[at] = (struct world_member){ { pkey }, member };
}

void world_member_set(struct world *world, uint16_t pkey, uint64_t guid, bool index0)
{
	member_put(world, pkey, (struct member){ { guid }, MEMBERSHIP_FULL, index0 });
}

void world_member_drop(struct world *world, uint16_t pkey, uint64_t guid)
{
	long at = member_at(world, pkey, guid);
	if (at >= 0)
		world->members[at] = world->members[--world->n_members];
}

bool world_is_member(const struct world *world, uint16_t pkey, uint64_t guid)
{
	return member_at(world, pkey, guid) >= 0;
}

size_t world_count(const struct world *world, uint16_t pkey)
{
	size_t n = 0;
	for (size_t i = 0; i < world->n_members; i++)
		n += world->members[i].pkey.v == pkey;
	return n;
}

static void write_apply(struct world *world, const struct world_write *write)
{
	for (size_t i = 0; i < write->n; i++) {
		if (write->is_join)
			member_put(world, write->class.pkey.v,
				   (struct member){ write->guids[i], write->class.membership, write->class.index0 });
		else
			world_member_drop(world, write->class.pkey.v, write->guids[i].v);
	}
}

static void write_end(struct world *world, const struct world_write *write, enum error_kind kind, bool applied)
{
	struct error err = { .kind = kind, .text = "made up" };
	if ((kind == ERROR_NONE || applied) && !world->late)
		write_apply(world, write);
	engine_write_done(world->engine, write->id, kind == ERROR_NONE ? NULL : &err, world->now);
}

static void list_end(struct world *world, const struct world_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->all || list->members[i].pkey.v == list->pkey.v)
			engine_listed_member(world->engine, list->id, list->members[i].pkey, &list->members[i].member);
	free(list->members);
	engine_list_done(world->engine, list->id, NULL, world->now);
}

void world_write_answer(struct world *world, enum error_kind kind, bool applied)
{
	assert_true(world->n_writes > 0);
	struct world_write write = world->writes[0];
	memmove(world->writes, world->writes + 1, --world->n_writes * sizeof write);
	write_end(world, &write, kind, applied);
	world_run(world);
}

void world_list_answer(struct world *world)
{
	assert_true(world->n_lists > 0);
	struct world_list list = world->lists[0];
	memmove(world->lists, world->lists + 1, --world->n_lists * sizeof list);
	list_end(world, &list);
	world_run(world);
}

static void do_write(struct world *world, const struct engine_action *action)
{
	char pkey[PKEY_TEXT_MAX];
	struct world_write write = { .id = action->id,
				     .is_join = action->kind == ENGINE_JOIN,
				     .class = action->write.class,
				     .n = action->write.n };
	assert_true(write.n > 0 && write.n <= array_length(write.guids));
	memcpy(write.guids, action->write.guids, write.n * sizeof write.guids[0]);
	pkey_format_wire(pkey, write.class.pkey);
	if (write.is_join)
		say(world, "JOIN", "%s %s%s n=%zu", pkey, membership_name(write.class.membership),
		    write.class.index0 ? " index0" : "", write.n);
	else
		say(world, "LEAVE", "%s n=%zu", pkey, write.n);
	bool bad = false;
	for (size_t i = 0; i < write.n; i++)
		bad |= world->bad_guid.v && write.guids[i].v == world->bad_guid.v;
	if (world->hold_writes) {
		assert_true(world->n_writes < array_length(world->writes));
		world->writes[world->n_writes++] = write;
	} else {
		write_end(world, &write, bad ? ERROR_INVALID : world->write_error, world->applied && !bad);
	}
}

static void do_list(struct world *world, const struct engine_action *action)
{
	char pkey[PKEY_TEXT_MAX];
	struct world_list list = { .id = action->id, .all = action->list.all, .pkey = action->list.pkey };
	say(world, "LIST", "%s", list.all ? "all" : pkey_format_wire(pkey, list.pkey));
	list.n = world->n_members;
	list.members = mem_array(list.n + 1, sizeof *list.members);
	memcpy(list.members, world->members, list.n * sizeof *list.members);
	if (world->hold_lists) {
		assert_true(world->n_lists < array_length(world->lists));
		world->lists[world->n_lists++] = list;
	} else {
		list_end(world, &list);
	}
}

/* --- the API server --- */

static json_t *patch_value(json_t *pod, const char *path, json_t *set)
{
	json_t *metadata = json_object_get(pod, "metadata");
	if (!strcmp(path, "/metadata/uid"))
		return json_object_get(metadata, "uid");
	static const char prefix[] = "/metadata/annotations/";
	assert_int_equal(strncmp(path, prefix, sizeof prefix - 1), 0);
	char key[128] = "";
	size_t n = 0;
	for (const char *p = path + sizeof prefix - 1; *p; p++) {
		bool slash = p[0] == '~' && p[1] == '1';
		assert_true(n < sizeof key - 1);
		key[n++] = slash ? '/' : *p;
		p += slash;
	}
	json_t *all = json_object_get(metadata, "annotations");
	if (set)
		json_object_set(all, key, set);
	return json_object_get(all, key);
}

/* False: a test failed. */
static bool patch_apply(json_t *pod, const char *text)
{
	json_t *patch = json_loads(text, JSON_ALLOW_NUL, NULL), *op;
	json_t *draft = json_deep_copy(pod);
	bool ok = true;
	size_t i;
	assert_non_null(patch);
	json_array_foreach(patch, i, op)
	{
		const char *what = json_string_value(json_object_get(op, "op"));
		const char *path = json_string_value(json_object_get(op, "path"));
		json_t *value = json_object_get(op, "value");
		json_t *is = patch_value(draft, path, strcmp(what, "test") ? value : NULL);
		if (!strcmp(what, "test"))
			ok &= is ? json_equal(is, value) : json_is_null(value);
	}
	if (ok)
		json_object_update(pod, draft);
	json_decref(draft);
	json_decref(patch);
	return ok;
}

static void do_patch(struct world *world, const struct engine_action *action)
{
	struct error err;
	struct buf text;
	const struct pod *pod = action->patch.pod;
	say(world, "PATCH", "%s/%s n=%zu%s", pod->namespace, pod->name, action->patch.n,
	    action->patch.record ? " record" : "");
	buf_init(&text, 1 << 20);
	assert_int_equal(pod_patch(&text, pod, action->patch.publications, action->patch.n, action->patch.record, &err),
			 0);
	char *name = mem_printf("%s/%s", pod->namespace, pod->name);
	struct world_pod *its = world_pod_at(world, name);
	enum engine_patched how = its ? world->patch_answer : ENGINE_PATCH_GONE;
	if (how == ENGINE_PATCHED && !patch_apply(its->object, text.data))
		how = ENGINE_PATCH_STALE;
	buf_free(&text);
	free(name);
	if (world->hold_patches) {
		world->patches[world->n_patches++] = action->id;
		return;
	}
	engine_patch_done(world->engine, action->id, how, "made up", world->now);
	if (how == ENGINE_PATCHED)
		world_pod_tell(world, its);
}

void world_patch_answer(struct world *world, enum engine_patched how)
{
	assert_true(world->n_patches > 0);
	uint64_t id = world->patches[0];
	memmove(world->patches, world->patches + 1, --world->n_patches * sizeof id);
	engine_patch_done(world->engine, id, how, "made up", world->now);
	world_run(world);
}

static void do_read(struct world *world, const struct engine_action *action)
{
	char *name = mem_printf("%s/%s", action->read_pod.namespace, action->read_pod.name);
	say(world, "READ", "%s", name);
	struct world_pod *pod = world_pod_at(world, name);
	enum engine_read how = world->reads_fail ? ENGINE_READ_FAILED : pod ? ENGINE_READ_FOUND : ENGINE_READ_GONE;
	engine_pod_read(world->engine, action->id, how, how == ENGINE_READ_FOUND ? world_pod_object(pod) : NULL,
			world->now);
	free(name);
}

/* --- running --- */

static void do_action(struct world *world, const struct engine_action *action)
{
	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		do_write(world, action);
		break;
	case ENGINE_LIST:
		do_list(world, action);
		break;
	case ENGINE_PATCH:
		do_patch(world, action);
		break;
	case ENGINE_READ_POD:
		do_read(world, action);
		break;
	case ENGINE_LIST_PODS:
		say(world, "LIST_PODS", "-");
		engine_pods_begin(world->engine, world->now);
		for (size_t i = 0; i < WORLD_PODS; i++)
			if (world->pods[i].object && !world->blind)
				engine_pod_applied(world->engine, world_pod_object(&world->pods[i]), world->now);
		engine_pods_end(world->engine, world->now);
		break;
	case ENGINE_POD_CHANGED:
		say(world, "CHANGED", "%s", action->pod_changed.uid);
		break;
	case ENGINE_EVENT:
		say(world, "EVENT", "%s%s/%s %s: %s", action->event.network ? "network " : "", action->event.namespace,
		    action->event.name, action->event.reason, action->event.text);
		break;
	}
}

void world_run(struct world *world)
{
	struct engine_action action;
	for (int rounds = 0;; rounds++) {
		assert_true(rounds < 100000);
		if (engine_next(world->engine, world->now, &action))
			do_action(world, &action);
		else if (engine_deadline(world->engine) > world->now)
			return;
	}
}

void world_pass(struct world *world, int64_t ms)
{
	int64_t until = world->now + ms;
	world_run(world);
	for (int64_t at; (at = engine_deadline(world->engine)) <= until; world_run(world))
		world->now = at > world->now ? at : world->now;
	world->now = until;
	world_run(world);
}
