#include "tests/unit/ufmsync/engine_world_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Asking the engine, and looking at it. */

static char *uid_of(const char *pod)
{
	return mem_printf("uid-%s", strchr(pod, '/') + 1);
}

bool world_await(struct world *world, const char *pod)
{
	char *uid = uid_of(pod);
	bool known = engine_await(world->engine, uid, world->now);
	free(uid);
	return known;
}

void world_await_no_more(struct world *world, const char *pod)
{
	char *uid = uid_of(pod);
	engine_await_no_more(world->engine, uid);
	free(uid);
}

struct look {
	const char *pod;
	int index;
	uint64_t guid;
	enum attachment_state state;
	const char *blocked;
};

static void look_at(void *aux, const struct attachment_view *view)
{
	struct look *look = aux;
	if (strcmp(view->pod_name, strchr(look->pod, '/') + 1) != 0 || view->index != look->index)
		return;
	/* A pod's attachment that is over does not hide its successor. */
	if (look->state < ATTACHMENT_LEAVING)
		return;
	look->state = view->state;
	look->guid = view->has_guid ? view->guid.v : 0;
	look->blocked = view->blocked_reason ? view->blocked_reason : "";
}

static struct look look(const struct world *world, const char *pod, int index)
{
	struct look look = { pod, index, 0, ATTACHMENT_STATES, "" };
	engine_each(world->engine, look_at, &look);
	return look;
}

uint64_t world_guid(const struct world *world, const char *pod, int index)
{
	return look(world, pod, index).guid;
}

enum attachment_state world_state(const struct world *world, const char *pod, int index)
{
	return look(world, pod, index).state;
}

const char *world_blocked(const struct world *world, const char *pod, int index)
{
	return look(world, pod, index).blocked;
}

struct seek {
	const char *pod;
	int index;
	struct attachment_view view;
};

static void seek(void *aux, const struct attachment_view *view)
{
	struct seek *seek = aux;
	if (!strcmp(view->pod_name, strchr(seek->pod, '/') + 1) && view->index == seek->index &&
	    view->state < ATTACHMENT_LEAVING)
		seek->view = *view;
}

struct attachment_view world_view(const struct world *world, const char *pod, int index)
{
	struct seek found = { pod, index, { 0 } };
	engine_each(world->engine, seek, &found);
	return found.view;
}
