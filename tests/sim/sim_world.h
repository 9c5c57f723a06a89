#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Virtual time, what is going to happen in it, and the story of what did.  Events of the same millisecond happen in
 * the order in which they were planned. */
struct sim;

typedef void sim_event_fn(struct sim *sim, void *aux);
typedef void sim_drop_fn(void *aux);

struct sim_event {
	int64_t at;
	uint64_t sequence;
	sim_event_fn *run;
	sim_drop_fn *drop;
	void *aux;
};

/* Where the story goes: to a stream at once, or the last lines of it into memory that survives the process. */
enum { SIM_STORY_LINES = 60, SIM_STORY_LINE_MAX = 400 };
struct sim_story {
	void *stream; /* FILE; NULL: only the lines are kept */
	uint64_t count;
	char lines[SIM_STORY_LINES][SIM_STORY_LINE_MAX];
};

struct sim_world {
	int64_t now; /* ms */
	struct sim_event *heap;
	size_t n, cap;
	uint64_t sequence;
	struct sim_story *story; /* NULL: nobody listens */
	bool failed;
	char rule[64];
	char failure[1024];
};

enum { SIM_BIRTH_MS = 1000000 }; /* virtual time does not start at 0, so that 0 is no valid moment by accident */

void sim_world_init(struct sim_world *world, struct sim_story *story);
void sim_world_free(struct sim_world *world);

/* `aux` goes to `run`, and then (or when the world ends before) to `drop`, which may be NULL. */
void sim_at(struct sim *sim, int64_t at, sim_event_fn *run, void *aux, sim_drop_fn *drop);
void sim_after(struct sim *sim, int64_t delay, sim_event_fn *run, void *aux, sim_drop_fn *drop);
int64_t sim_world_next(const struct sim_world *world); /* INT64_MAX: nothing is planned */
bool sim_world_step(struct sim *sim);                  /* runs the next event; false: there is none */

/* A line of the story. */
void sim_say(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_is_told(const struct sim *sim); /* somebody listens: worth formatting */
/* The first broken rule ends the life. `rule` is its short name, the rest says what happened. */
void sim_fail(struct sim *sim, const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool sim_failed(const struct sim *sim);
