#pragma once

#include <jansson.h>

#include "base/net/loop.h"
#include "tests/unit/ufmsync/engine_world.h"
#include "ufmsync/api.h"

/* An engine's world with the API before it, and a fabric manager that is asked for lists and answers when it is told to. */

enum { API_WORLD_LISTS = 16 };

struct api_world_list {
	bool all, under_way;
	struct pkey pkey;
	struct pkey_list_sink sink;
};

struct api_place {
	struct world *world;
	struct loop *loop;
	struct api *api;
	struct pkey_backend backend;
	bool no_backend, leads, held;
	const char *leader, *last_error;
	struct api_world_list lists[API_WORLD_LISTS];
	size_t n_lists; /* asked for so far */
	bool hold;      /* lists are answered by api_place_list() alone; else at once, from the world's members */
	struct pkey_port ports[4]; /* virtual ports, told at once after api_place_tell_ports() */
	size_t n_ports, n_ports_lists;
	const struct error *ports_error;
	struct pkey_ports_sink ports_sink; /* under way while `done` is set */
	unsigned turns_between;            /* calls of `between` so far */
	/* Called at each turn of the loop, if set: the world changes while a question is being answered. */
	void (*between)(struct api_place *place);
};

struct api_place *api_place_new(void);              /* engine, pods and networks told, leading; nothing in it yet */
void api_place_follow(struct api_place *place);     /* another engine, told of everything, that does not lead */
void api_place_tell_ports(struct api_place *place); /* its fabric manager can, from now on */
void api_place_free(struct api_place *place);

/* One question.  `url` may have a query, which is not decoded. */
struct api_asked {
	struct api_place *place;
	struct api_call *call;
	int status; /* 0: not answered yet */
	json_t *answer;
};
void api_begin(struct api_place *place, struct api_asked *asked, const char *method, const char *url, const char *body);
void api_wait(struct api_asked *asked); /* until it is answered */
void api_asked_free(struct api_asked *asked);
/* All of it; the answer is the caller's. */
json_t *api_get(struct api_place *place, const char *url, int status);
json_t *api_post(struct api_place *place, const char *url, const char *body, int status);
/* Asserts the error's code. */
void api_refused(struct api_place *place, const char *method, const char *url, const char *body, int status,
		 const char *code);

/* The list of number `i`, in the order of asking: its members, as the world has them, and its end. */
void api_place_list(struct api_place *place, size_t i, const struct error *err);
