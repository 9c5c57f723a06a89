// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/ufmsync/api_world.h"

enum { HOUR_MS = 3600 * 1000 };

/* --- the fabric manager --- */

static void serve(struct api_place *place, struct api_world_list *list, const struct error *err)
{
	const struct world *world = place->world;

	assert_true(list->under_way);
	list->under_way = false;
	for (size_t i = 0; i < world->n_members; i++)
		if (list->all || world->members[i].pkey.v == list->pkey.v)
			list->sink.member(list->sink.aux, world->members[i].pkey, &world->members[i].member);
	list->sink.done(list->sink.aux, err);
}

void api_place_list(struct api_place *place, size_t i, const struct error *err)
{
	assert_true(i < place->n_lists);
	serve(place, &place->lists[i % API_WORLD_LISTS], err);
}

static void on_list(struct pkey_backend *backend, const struct pkey *only, const struct pkey_list_sink *sink)
{
	struct api_place *place = container_of(backend, struct api_place, backend);
	struct api_world_list *list = &place->lists[place->n_lists++ % API_WORLD_LISTS];

	assert_false(list->under_way);
	*list = (struct api_world_list){ .all = !only, .under_way = true, .sink = *sink };
	if (only)
		list->pkey = *only;
	loop_wake(place->loop);
}

static void on_list_ports(struct pkey_backend *backend, const struct pkey_ports_sink *sink)
{
	struct api_place *place = container_of(backend, struct api_place, backend);

	assert_null(place->ports_sink.done);
	place->ports_sink = *sink;
	place->n_ports_lists++;
	loop_wake(place->loop);
}

static void serve_ports(struct api_place *place)
{
	const struct pkey_ports_sink sink = place->ports_sink;

	place->ports_sink.done = NULL;
	for (size_t i = 0; i < place->n_ports; i++)
		sink.port(sink.aux, &place->ports[i]);
	sink.done(sink.aux, place->ports_error);
}

void api_place_tell_ports(struct api_place *place)
{
	static const struct pkey_backend_class class = { .name = "made up",
							 .list = on_list,
							 .list_ports = on_list_ports };

	place->backend.class = &class;
}

/* Answers come from the loop, never from inside the call. */
static void on_turn(void *aux)
{
	struct api_place *place = aux;

	for (size_t i = 0; i < API_WORLD_LISTS && !place->hold; i++)
		if (place->lists[i].under_way)
			serve(place, &place->lists[i], NULL);
	if (place->ports_sink.done)
		serve_ports(place);
	if (place->between) {
		place->turns_between++;
		place->between(place);
	}
}

/* --- the world --- */

static struct engine *the_engine(void *aux)
{
	return ((struct api_place *)aux)->world->engine;
}

static struct pkey_backend *the_backend(void *aux)
{
	struct api_place *place = aux;

	return place->no_backend ? NULL : &place->backend;
}

static bool leads(void *aux)
{
	return ((struct api_place *)aux)->leads;
}

static const char *leader(void *aux, bool *held)
{
	struct api_place *place = aux;

	*held = place->held;
	return place->leader;
}

static const char *last_error(void *aux, int64_t *wall_ms)
{
	*wall_ms = 0;
	return ((struct api_place *)aux)->last_error;
}

struct api_place *api_place_new(void)
{
	static const struct pkey_backend_class class = { .name = "made up", .list = on_list };
	struct api_place *place = mem_alloc(sizeof *place);
	const struct api_world world = { the_engine, the_backend, leads, leader, last_error, place };
	struct error err = { 0 };

	place->backend.class = &class;
	place->leads = place->held = true;
	place->leader = "us";
	assert_int_equal(loop_new(&place->loop, &err), 0);
	loop_on_turn(place->loop, on_turn, place);
	place->world = world_new();
	place->world->now = loop_now_ms() - HOUR_MS;
	place->world->mute = "LIST EVENT JOIN PATCH LEAVE";
	world_start(place->world);
	place->api = api_new(place->loop, &world);
	return place;
}

void api_place_follow(struct api_place *place)
{
	place->leads = place->held = false;
	world_engine(place->world);
	world_tell(place->world);
	world_run(place->world);
}

void api_place_free(struct api_place *place)
{
	api_free(place->api);
	world_free(place->world);
	loop_free(place->loop);
	free(place);
}

/* --- questions --- */

struct url {
	char text[512];
	const char *keys[8], *values[8];
	size_t n;
};

static void read_url(struct url *url, const char *text)
{
	char *at;

	url->n = 0;
	assert_true(strlen(text) < sizeof url->text);
	strcpy(url->text, text);
	for (at = strchr(url->text, '?'); at; at = strchr(at, '&')) {
		*at++ = '\0';
		assert_true(url->n < array_length(url->keys));
		url->keys[url->n++] = at;
	}
	for (size_t i = 0; i < url->n; i++) {
		char *value = strchr(url->keys[i], '=');

		if (value)
			*value = '\0';
		url->values[i] = value ? value + 1 : "";
	}
}

static void each_query(void *query_aux, void (*each)(void *aux, const char *key, const char *value), void *aux)
{
	const struct url *url = query_aux;

	for (size_t i = 0; i < url->n; i++)
		each(aux, url->keys[i], url->values[i]);
}

static void on_answer(void *aux, int status, const json_t *answer)
{
	struct api_asked *asked = aux;

	assert_int_equal(asked->status, 0);
	asked->status = status;
	asked->answer = json_deep_copy(answer);
	asked->call = NULL;
	loop_stop(asked->place->loop);
}

void api_begin(struct api_place *place, struct api_asked *asked, const char *method, const char *text, const char *body)
{
	struct url url;
	read_url(&url, text);
	const struct api_request request = { .method = method,
					     .path = url.text,
					     .query_aux = &url,
					     .each_query = each_query,
					     .body = body,
					     .body_len = body ? strlen(body) : 0 };

	*asked = (struct api_asked){ .place = place };
	struct api_call *call = api_ask(place->api, &request, on_answer, asked);
	assert_true((call != NULL) == (asked->status == 0));
	asked->call = call;
}

void api_wait(struct api_asked *asked)
{
	while (!asked->status)
		loop_run(asked->place->loop);
}

void api_asked_free(struct api_asked *asked)
{
	json_decref(asked->answer);
}

static json_t *ask(struct api_place *place, const char *method, const char *url, const char *body, int status)
{
	struct api_asked asked;

	api_begin(place, &asked, method, url, body);
	api_wait(&asked);
	if (asked.status != status) {
		char *text = json_dumps(asked.answer, 0);
		fail_msg("%s %s: %d %s", method, url, asked.status, text);
	}
	return asked.answer;
}

json_t *api_get(struct api_place *place, const char *url, int status)
{
	return ask(place, "GET", url, NULL, status);
}

json_t *api_post(struct api_place *place, const char *url, const char *body, int status)
{
	return ask(place, "POST", url, body, status);
}

void api_refused(struct api_place *place, const char *method, const char *url, const char *body, int status,
		 const char *code)
{
	json_t *answer = ask(place, method, url, body, status), *error = json_object_get(answer, "error");

	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	assert_true(json_string_length(json_object_get(error, "message")) > 0);
	assert_int_equal(json_object_size(answer), 1);
	assert_int_equal(json_object_size(error), 2);
	json_decref(answer);
}
