#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/api.h"

/* A question as an operator's client may send it: method, path, query and body, a line each; the body is the rest. */

static struct engine *engine;

static struct engine *the_engine(void *aux)
{
	(void)aux;
	return engine;
}

static struct pkey_backend *no_backend(void *aux)
{
	(void)aux;
	return NULL;
}

static bool leads(void *aux)
{
	(void)aux;
	return true;
}

static const char *leader(void *aux, bool *held)
{
	(void)aux;
	*held = true;
	return "us";
}

static const char *no_error(void *aux, int64_t *wall_ms)
{
	(void)aux;
	*wall_ms = 0;
	return NULL;
}

static char *cut_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	*rest = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	return line;
}

static void each_query(void *query_aux, void (*each)(void *aux, const char *key, const char *value), void *aux)
{
	char *query = query_aux;

	for (char *at = query, *next; *at; at = next) {
		char *value = strchr(at, '=');

		next = strchr(at, '&');
		next = next ? (*next = '\0', next + 1) : at + strlen(at);
		if (value && value < next)
			*value++ = '\0';
		each(aux, at, value && value < next ? value : "");
	}
}

static void on_answer(void *aux, int status, const json_t *answer)
{
	(void)status, (void)answer;
	*(bool *)aux = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engine_options options;
	struct error err = { 0 };
	struct loop *loop;
	char *text = mem_dup_n((const char *)data, size), *rest = text;
	bool answered = false;

	engine_options_init(&options);
	engine = engine_new(&options);
	if (loop_new(&loop, &err) < 0)
		abort();
	const struct api_world world = { the_engine, no_backend, leads, leader, no_error, NULL };
	struct api *api = api_new(loop, &world);
	struct api_request request = { .method = cut_line(&rest), .path = cut_line(&rest), .each_query = each_query };
	request.query_aux = cut_line(&rest);
	request.body = rest;
	request.body_len = (size_t)(text + size - rest);
	struct api_call *call = api_ask(api, &request, on_answer, &answered);
	if (answered == (call != NULL))
		abort();
	api_free(api);
	loop_free(loop);
	engine_free(engine);
	free(text);
	return 0;
}
