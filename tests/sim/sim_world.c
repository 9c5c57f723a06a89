#include "tests/sim/sim_world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

void sim_world_init(struct sim_world *world, struct sim_story *story)
{
	memset(world, 0, sizeof(*world));
	world->now = SIM_BIRTH_MS;
	world->story = story;
}

void sim_world_free(struct sim_world *world)
{
	for (size_t i = 0; i < world->n; i++) {
		if (world->heap[i].drop)
			world->heap[i].drop(world->heap[i].aux);
	}
	free(world->heap);
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

void sim_at(struct sim *sim, int64_t at, sim_event_fn *run, void *aux, sim_drop_fn *drop)
{
	struct sim_world *world = &sim->world;
	struct sim_event event = { at < world->now ? world->now : at, world->sequence++, run, drop, aux };
	size_t i = world->n;

	if (world->n == world->cap) {
		world->cap = world->cap ? world->cap * 2 : 64;
		world->heap = mem_resize(world->heap, world->cap, sizeof(*world->heap));
	}
	world->n++;
	for (; i > 0 && before(&event, &world->heap[(i - 1) / 2]); i = (i - 1) / 2)
		world->heap[i] = world->heap[(i - 1) / 2];
	world->heap[i] = event;
}

void sim_after(struct sim *sim, int64_t delay, sim_event_fn *run, void *aux, sim_drop_fn *drop)
{
	sim_at(sim, sim->world.now + delay, run, aux, drop);
}

int64_t sim_world_next(const struct sim_world *world)
{
	return world->n ? world->heap[0].at : INT64_MAX;
}

static struct sim_event pop(struct sim_world *world)
{
	struct sim_event first = world->heap[0], last = world->heap[--world->n];
	size_t i = 0;

	for (size_t child = 1; child < world->n; child = 2 * i + 1) {
		if (child + 1 < world->n && before(&world->heap[child + 1], &world->heap[child]))
			child++;
		if (!before(&world->heap[child], &last))
			break;
		world->heap[i] = world->heap[child];
		i = child;
	}
	world->heap[i] = last;
	return first;
}

bool sim_world_step(struct sim *sim)
{
	struct sim_event event;

	if (!sim->world.n)
		return false;
	event = pop(&sim->world);
	assert(event.at >= sim->world.now);
	sim->world.now = event.at;
	event.run(sim, event.aux);
	if (event.drop)
		event.drop(event.aux);
	return true;
}

bool sim_is_told(const struct sim *sim)
{
	return sim->world.story;
}

__attribute__((format(printf, 2, 0))) static void tell(struct sim *sim, const char *format, va_list args)
{
	struct sim_story *story = sim->world.story;
	char *line = story->lines[story->count++ % SIM_STORY_LINES];
	int64_t ms = sim->world.now - SIM_BIRTH_MS;
	int n = snprintf(line, SIM_STORY_LINE_MAX, "%6lld.%03lld  ", (long long)(ms / 1000), (long long)(ms % 1000));

	vsnprintf(line + n, SIM_STORY_LINE_MAX - (size_t)n, format, args);
	if (story->stream)
		fprintf(story->stream, "%s\n", line);
}

void sim_say(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (!sim->world.story)
		return;
	va_start(args, format);
	tell(sim, format, args);
	va_end(args);
}

void sim_fail(struct sim *sim, const char *rule, const char *format, ...)
{
	struct sim_world *world = &sim->world;
	va_list args;

	if (world->failed)
		return;
	world->failed = true;
	snprintf(world->rule, sizeof(world->rule), "%s", rule);
	va_start(args, format);
	vsnprintf(world->failure, sizeof(world->failure), format, args);
	va_end(args);
	sim_say(sim, "BROKEN [%s] %s", rule, world->failure);
}

bool sim_failed(const struct sim *sim)
{
	return sim->world.failed;
}
