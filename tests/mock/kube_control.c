#include "tests/mock/kube_control.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_populate.h"

enum { BODY_MAX = 16 << 20 };

const char mkube_control_help[] =
	"Control endpoint (http, loopback, JSON):\n"
	"  POST   /control/faults          {\"match\": {\"verb\", \"method\", \"resource\", \"subresource\", "
	"\"namespace\",\n"
	"                                  \"name\"}, \"skip\", \"times\", \"action\", \"code\", \"reason\", "
	"\"message\",\n"
	"                                  \"body\", \"retry_after\", \"delay_ms\"} -> {\"id\"}; GET lists; DELETE all "
	"or ?id=N\n"
	"  POST   /control/latency         {\"write_ms\", \"read_ms\"}\n"
	"  POST   /control/watches/drop    ends open watches; ?how=end (cleanly), cut (the connection breaks) or gone "
	"(an\n"
	"                                  ERROR event with 410 first); ?resource=pods\n"
	"  GET    /control/watches         the open ones\n"
	"  POST   /control/bookmark        now, on every watch that takes them; ?resource=\n"
	"  POST   /control/history/expire  resuming a watch from any earlier resourceVersion gets 410; ?resource=\n"
	"  POST   /control/compact         every `continue` given out so far gets 410\n"
	"  POST   /control/restart         as when the API server restarts: both of these, and all watches are cut\n"
	"  POST   /control/populate        {\"resource\": \"pods\", \"namespace\", \"count\", \"start\", \"name\": "
	"\"p%06d\", \"pod\" |\n"
	"                                  \"object\": {...}} stores many at once, past all rules\n"
	"  PUT    /control/identities      [{\"token\", \"user\", \"uid\", \"groups\", \"extra\", \"audiences\", "
	"\"access\": [{\"verb\",\n"
	"                                  \"path\"}]}]: what TokenReview and SubjectAccessReview answer; \"*\" any "
	"verb,\n"
	"                                  \"/v1/*\" what begins so\n"
	"  GET    /control/log             {\"requests\": [{\"seq\", \"time_ms\", \"time_us\", \"method\", \"path\", "
	"\"query\", "
	"\"user_agent\",\n"
	"                                  \"body\" (cut at 4096 bytes), \"status\" (0: none yet)}]}; ?after=SEQ; "
	"DELETE clears\n"
	"  GET    /control/stats           requests by verb and resource, answers by status, patches in flight and the "
	"most\n"
	"                                  ever, open watches, lines sent, objects, resourceVersion; DELETE zeroes\n"
	"  GET    /control                 this text\n"
	"Fault actions: status, hang, reset_before, reset_after_apply, cut_stream, latency, late_answer.\n"
	"Verbs: get, list, watch, create, update, patch, delete, deletecollection.\n";

static void answer_json(struct httpd_request *request, int status, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	httpd_answer(request, status, "application/json", NULL, text, strlen(text));
	free(text);
	json_decref(object);
}

static void answer_error(struct httpd_request *request, int status, const char *text)
{
	answer_json(request, status, json_pack("{s:s}", "error", text));
}

/* `resource` of the query, MKUBE_KINDS for all; false: answered 400. */
static bool kind_asked(struct httpd_request *request, enum mkube_kind *kind)
{
	const char *resource = httpd_query(request, "resource");

	*kind = resource ? mkube_kind_find(resource) : MKUBE_KINDS;
	if (!resource || *kind != MKUBE_KINDS)
		return true;
	answer_error(request, 400, "no such resource");
	return false;
}

static json_t *body_of(struct httpd_request *request)
{
	struct error err;
	size_t len;
	const char *body = httpd_body(request, &len);
	json_t *object = json_parse(body, len, &err);

	if (!object)
		answer_error(request, 400, err.text);
	return object;
}

static void add_fault(struct mkube_server *server, struct httpd_request *request)
{
	json_t *rule = body_of(request);
	struct error err;
	unsigned id;

	if (!rule)
		return;
	if (mkube_faults_add(server->faults, rule, &id, &err) < 0)
		answer_error(request, 400, err.text);
	else
		answer_json(request, 200, json_pack("{s:i}", "id", (int)id));
	json_decref(rule);
}

static void list_faults(struct mkube_server *server, struct httpd_request *request)
{
	answer_json(request, 200, json_pack("{s:o}", "faults", mkube_faults_list(server->faults)));
}

static void remove_faults(struct mkube_server *server, struct httpd_request *request)
{
	const char *id = httpd_query(request, "id");

	mkube_faults_remove(server->faults, id ? (unsigned)strtoul(id, NULL, 10) : 0);
	if (!id)
		mkube_faults_set_latency(server->faults, 0, 0);
	answer_json(request, 200, json_object());
}

static void set_latency(struct mkube_server *server, struct httpd_request *request)
{
	json_t *body = body_of(request);

	if (!body)
		return;
	mkube_faults_set_latency(server->faults, json_int(body, 0, "write_ms", NULL),
				 json_int(body, 0, "read_ms", NULL));
	answer_json(request, 200, json_object());
	json_decref(body);
}

static void drop_watches(struct mkube_server *server, struct httpd_request *request)
{
	const char *how = httpd_query(request, "how");
	enum mkube_watch_end end = MKUBE_WATCH_CLEAN;
	enum mkube_kind kind;

	if (!kind_asked(request, &kind))
		return;
	if (how && strcmp(how, "cut") == 0) {
		end = MKUBE_WATCH_CUT;
	} else if (how && strcmp(how, "gone") == 0) {
		end = MKUBE_WATCH_GONE;
	} else if (how && strcmp(how, "end") != 0) {
		answer_error(request, 400, "how is end, cut or gone");
		return;
	}
	answer_json(request, 200, json_pack("{s:i}", "watches", (int)mkube_watches_end(server->watches, kind, end)));
}

static void list_watches(struct mkube_server *server, struct httpd_request *request)
{
	answer_json(request, 200, json_pack("{s:o}", "watches", mkube_watches_list(server->watches)));
}

static void bookmark(struct mkube_server *server, struct httpd_request *request)
{
	enum mkube_kind kind;

	if (kind_asked(request, &kind))
		answer_json(request, 200,
			    json_pack("{s:i}", "watches", (int)mkube_watches_bookmark(server->watches, kind)));
}

static void expire_history(struct mkube_server *server, enum mkube_kind only)
{
	for (unsigned kind = 0; kind < MKUBE_KINDS; kind++)
		if (only == MKUBE_KINDS || only == kind)
			mkube_history_expire(server->api.store, kind);
}

static void expire(struct mkube_server *server, struct httpd_request *request)
{
	enum mkube_kind kind;

	if (!kind_asked(request, &kind))
		return;
	expire_history(server, kind);
	answer_json(request, 200, json_object());
}

static void compact(struct mkube_server *server, struct httpd_request *request)
{
	mkube_store_compact(server->api.store);
	answer_json(request, 200, json_object());
}

static void restart(struct mkube_server *server, struct httpd_request *request)
{
	mkube_watches_end(server->watches, MKUBE_KINDS, MKUBE_WATCH_CUT);
	expire_history(server, MKUBE_KINDS);
	mkube_store_compact(server->api.store);
	answer_json(request, 200, json_object());
}

static void populate(struct mkube_server *server, struct httpd_request *request)
{
	json_t *order = body_of(request);
	struct error err;

	if (!order)
		return;
	if (mkube_populate(&server->api, order, loop_wall_ms(), &err) < 0)
		answer_error(request, 400, err.text);
	else
		answer_json(request, 200, json_object());
	json_decref(order);
}

static void set_identities(struct mkube_server *server, struct httpd_request *request)
{
	json_t *identities = body_of(request);
	struct error err;

	if (!identities)
		return;
	if (mkube_access_set(server->access, identities, &err) < 0)
		answer_error(request, 400, err.text);
	else
		answer_json(request, 200, json_object());
	json_decref(identities);
}

static void show_log(struct mkube_server *server, struct httpd_request *request)
{
	const char *after = httpd_query(request, "after");

	answer_json(request, 200,
		    json_pack("{s:o}", "requests", mkube_log_list(server->log, after ? strtoull(after, NULL, 10) : 0)));
}

static void clear_log(struct mkube_server *server, struct httpd_request *request)
{
	mkube_log_clear(server->log);
	answer_json(request, 200, json_object());
}

static void show_stats(struct mkube_server *server, struct httpd_request *request)
{
	json_t *stats = mkube_log_stats(server->log), *objects = json_object(), *watches;
	char name[128];
	size_t n;

	for (unsigned kind = 0; kind < MKUBE_KINDS; kind++) {
		mkube_store_all(server->api.store, kind, &n);
		mkube_resource_name(name, sizeof name, &mkube_resources[kind]);
		json_object_set_new(objects, name, json_integer((json_int_t)n));
	}
	watches = mkube_watches_list(server->watches);
	json_object_set_new(stats, "objects", objects);
	json_object_set_new(stats, "watches", json_integer((json_int_t)json_array_size(watches)));
	json_object_set_new(stats, "lines_sent", json_integer((json_int_t)mkube_watches_sent(server->watches)));
	json_object_set_new(stats, "resourceVersion", json_integer((json_int_t)mkube_store_rv(server->api.store)));
	json_decref(watches);
	answer_json(request, 200, stats);
}

static void reset_stats(struct mkube_server *server, struct httpd_request *request)
{
	mkube_log_reset_stats(server->log);
	answer_json(request, 200, json_object());
}

static void show_help(struct mkube_server *server, struct httpd_request *request)
{
	(void)server;
	httpd_answer(request, 200, "text/plain", NULL, mkube_control_help, strlen(mkube_control_help));
}

static const struct {
	const char *method, *path;
	void (*serve)(struct mkube_server *server, struct httpd_request *request);
} routes[] = {
	{ "POST", "/control/faults", add_fault },
	{ "GET", "/control/faults", list_faults },
	{ "DELETE", "/control/faults", remove_faults },
	{ "POST", "/control/latency", set_latency },
	{ "POST", "/control/watches/drop", drop_watches },
	{ "GET", "/control/watches", list_watches },
	{ "POST", "/control/bookmark", bookmark },
	{ "POST", "/control/history/expire", expire },
	{ "POST", "/control/compact", compact },
	{ "POST", "/control/restart", restart },
	{ "POST", "/control/populate", populate },
	{ "PUT", "/control/identities", set_identities },
	{ "GET", "/control/log", show_log },
	{ "DELETE", "/control/log", clear_log },
	{ "GET", "/control/stats", show_stats },
	{ "DELETE", "/control/stats", reset_stats },
	{ "GET", "/control", show_help },
};

static void on_request(void *aux, struct httpd_request *request)
{
	struct mkube_server *server = aux;

	for (size_t i = 0; i < array_length(routes); i++)
		if (strcmp(routes[i].method, httpd_method(request)) == 0 &&
		    strcmp(routes[i].path, httpd_path(request)) == 0) {
			routes[i].serve(server, request);
			mkube_server_tick(server);
			return;
		}
	answer_error(request, 404, "GET /control says what there is");
}

int mkube_control_start(struct httpd **ret, struct mkube_server *server, const char *listen, struct error *err)
{
	struct httpd_options options = { .listen = listen, .body_max = BODY_MAX, .handle = on_request, .aux = server };

	return httpd_new(ret, server->loop, &options, err);
}
