#include "tests/mock/ufm_control.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/ufm_change.h"
#include "tests/mock/ufm_state.h"

enum { WAITERS_MAX = 256, WAIT_MAX_MS = 600000, CONTROL_BODY_MAX = 256 << 20 };

/* A GET that is answered when there is something new, or when its time is over. */
struct waiter {
	struct ufm_control *control;
	struct waiter *next, **link;
	struct httpd_request *request;
	bool of_log;
	uint64_t after;
	struct loop_timer timer;
};

struct ufm_control {
	struct loop *loop;
	struct httpd *httpd;
	struct ufm_server *server;
	struct waiter *waiters;
	size_t n_waiters;
};

static void answer(struct httpd_request *request, int status, struct buf *json)
{
	httpd_answer(request, status, "application/json", NULL, json->data, json->len);
	buf_free(json);
}

static void answer_error(struct httpd_request *request, int status, const char *text)
{
	struct buf json;

	buf_init(&json, 4096);
	buf_text(&json, "{\"error\": ");
	buf_json_string(&json, text);
	buf_text(&json, "}\n");
	answer(request, status, &json);
}

static void answer_done(struct httpd_request *request)
{
	httpd_answer(request, 200, "application/json", NULL, "{}\n", 3);
}

static uint64_t number_of(const struct httpd_request *request, const char *key, uint64_t otherwise)
{
	const char *value = httpd_query(request, key);

	return value && value[0] >= '0' && value[0] <= '9' ? strtoull(value, NULL, 10) : otherwise;
}

static bool says(const struct httpd_request *request, const char *key, const char *expected)
{
	const char *value = httpd_query(request, key);

	return value && strcmp(value, expected) == 0;
}

static void answer_state(struct ufm_control *control, struct httpd_request *request)
{
	const struct ufm_model *model = control->server->api.model;
	enum ufm_view view = says(request, "view", "fabric") ? UFM_VIEW_FABRIC : UFM_VIEW_MODEL;
	const char *only = httpd_query(request, "pkey");
	unsigned pkey = 0;
	struct buf json;

	if (only && (!ufm_pkey_parse(&pkey, only) || pkey == 0)) {
		answer_error(request, 400, "pkey is no PKey");
		return;
	}
	buf_init(&json, UFM_REPLY_MAX);
	buf_printf(&json,
		   "{\"revision\": %" PRIu64 ", \"members\": %zu, \"fabric_current\": %s, \"index0_conflicts\": %zu, "
		   "\"partitions\": ",
		   control->server->revision, ufm_model_members(model, view),
		   ufm_model_fabric_is_current(model) ? "true" : "false", ufm_model_index0_conflicts(model));
	ufm_state_print(model, view, pkey, !says(request, "members", "false"), &json);
	buf_text(&json, "}\n");
	answer(request, 200, &json);
}

static void answer_log(struct ufm_control *control, struct httpd_request *request)
{
	struct ufm_log_filter filter = {
		.after = number_of(request, "after", 0),
		.limit = number_of(request, "limit", 0),
		.method = httpd_query(request, "method"),
		.path_prefix = httpd_query(request, "path_prefix"),
		.operation = httpd_query(request, "operation"),
		.writes_only = says(request, "writes", "true"),
		.without_bodies = says(request, "bodies", "false"),
	};
	struct buf json;

	buf_init(&json, UFM_REPLY_MAX);
	buf_text(&json, "{\"requests\": ");
	ufm_log_print(control->server->log, &filter, &json);
	buf_text(&json, "}\n");
	answer(request, 200, &json);
}

static bool has_news(const struct ufm_control *control, const struct httpd_request *request, bool of_log,
		     uint64_t after)
{
	if (!of_log)
		return control->server->revision > after;
	return ufm_log_has(control->server->log, &(struct ufm_log_filter){
							 .after = after,
							 .method = httpd_query(request, "method"),
							 .path_prefix = httpd_query(request, "path_prefix"),
							 .operation = httpd_query(request, "operation"),
							 .writes_only = says(request, "writes", "true"),
						 });
}

static void waiter_free(struct waiter *waiter)
{
	*waiter->link = waiter->next;
	if (waiter->next)
		waiter->next->link = waiter->link;
	waiter->control->n_waiters--;
	loop_timer_stop(&waiter->timer);
	free(waiter);
}

static void waiter_answer(struct waiter *waiter)
{
	struct ufm_control *control = waiter->control;
	struct httpd_request *request = waiter->request;
	bool of_log = waiter->of_log;

	httpd_set_aux(request, NULL);
	waiter_free(waiter);
	if (of_log)
		answer_log(control, request);
	else
		answer_state(control, request);
}

static void on_waited(struct loop_timer *timer)
{
	waiter_answer(container_of(timer, struct waiter, timer));
}

static void on_changed(void *aux)
{
	struct ufm_control *control = aux;

	for (struct waiter *waiter = control->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		if (has_news(control, waiter->request, waiter->of_log, waiter->after))
			waiter_answer(waiter);
	}
}

static void on_gone(void *aux, struct httpd_request *request)
{
	(void)aux;
	if (httpd_aux(request))
		waiter_free(httpd_aux(request));
}

/* True: the request is kept until there are news. */
static bool waits(struct ufm_control *control, struct httpd_request *request, bool of_log)
{
	uint64_t wait_ms = number_of(request, "wait_ms", 0), after = number_of(request, "after", 0);
	struct waiter *waiter;

	if (wait_ms == 0 || control->n_waiters == WAITERS_MAX || has_news(control, request, of_log, after))
		return false;
	waiter = mem_alloc(sizeof(*waiter));
	*waiter = (struct waiter){ .control = control, .request = request, .of_log = of_log, .after = after };
	waiter->next = control->waiters;
	waiter->link = &control->waiters;
	if (waiter->next)
		waiter->next->link = &waiter->next;
	control->waiters = waiter;
	control->n_waiters++;
	httpd_set_aux(request, waiter);
	loop_timer_init(&waiter->timer, control->loop, on_waited);
	loop_timer_at(&waiter->timer, loop_now_ms() + (int64_t)(wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS));
	return true;
}

static void get_help(struct ufm_control *control, struct httpd_request *request)
{
	(void)control;
	httpd_answer(request, 200, "text/plain", NULL, ufm_control_help, strlen(ufm_control_help));
}

static void get_state(struct ufm_control *control, struct httpd_request *request)
{
	if (!waits(control, request, false))
		answer_state(control, request);
}

static void get_log(struct ufm_control *control, struct httpd_request *request)
{
	if (!waits(control, request, true))
		answer_log(control, request);
}

static void get_switches(struct ufm_control *control, struct httpd_request *request)
{
	struct buf json;

	buf_init(&json, 64 << 10);
	ufm_switches_print(&control->server->api.switches, &json);
	buf_text(&json, "\n");
	answer(request, 200, &json);
}

static void get_faults(struct ufm_control *control, struct httpd_request *request)
{
	struct buf json;

	buf_init(&json, 64 << 10);
	buf_text(&json, "{\"faults\": ");
	ufm_faults_print(&control->server->faults, &json);
	buf_text(&json, "}\n");
	answer(request, 200, &json);
}

static void get_stats(struct ufm_control *control, struct httpd_request *request)
{
	const struct ufm_api *api = &control->server->api;
	struct buf json;

	buf_init(&json, 64 << 10);
	ufm_log_print_stats(control->server->log, &json);
	buf_printf(&json,
		   ", \"index0_violations\": %" PRIu64 ", \"index0_conflicts\": %zu, \"parse_errors\": %" PRIu64
		   ", \"writes_open\": %u, \"writes_hung\": %u, \"writes_late\": %u}\n",
		   ufm_model_index0_violations(api->model), ufm_model_index0_conflicts(api->model), api->parse_errors,
		   control->server->writes_open, control->server->writes_hung, control->server->late);
	answer(request, 200, &json);
}

/* The object in the request's body, none for an empty one; NULL: it is something else. */
static json_t *read_body(const struct httpd_request *request, struct error *err)
{
	size_t len;
	const char *text = httpd_body(request, &len);
	json_t *body = len == 0 ? json_object() : json_parse(text, len, err);

	if (body && !json_is_object(body)) {
		error_set(err, ERROR_INVALID, "the body is no JSON object");
		json_decref(body);
		return NULL;
	}
	return body;
}

static void post_fault(struct ufm_control *control, struct httpd_request *request)
{
	struct error err;
	__attribute__((cleanup(json_freep))) json_t *body = read_body(request, &err);
	struct buf json;
	unsigned id;

	if (!body || ufm_faults_add(&control->server->faults, body, &id, &err) < 0) {
		answer_error(request, 400, err.text);
		return;
	}
	buf_init(&json, 64);
	buf_printf(&json, "{\"id\": %u}\n", id);
	answer(request, 200, &json);
}

static void delete_faults(struct ufm_control *control, struct httpd_request *request)
{
	const char *id = httpd_query(request, "id");

	if (!id)
		ufm_faults_clear(&control->server->faults);
	else if (!ufm_faults_remove(&control->server->faults, (unsigned)number_of(request, "id", 0))) {
		answer_error(request, 404, "there is no rule of that id");
		return;
	}
	answer_done(request);
}

static void delete_log(struct ufm_control *control, struct httpd_request *request)
{
	ufm_log_clear(control->server->log);
	answer_done(request);
}

static void delete_stats(struct ufm_control *control, struct httpd_request *request)
{
	ufm_log_clear_stats(control->server->log);
	ufm_model_forget_violations(control->server->api.model);
	control->server->api.parse_errors = 0;
	answer_done(request);
}

static const struct route {
	const char *method, *path;
	void (*handle)(struct ufm_control *control, struct httpd_request *request);
} routes[] = {
	{ "GET", "/control", get_help },
	{ "GET", "/control/state", get_state },
	{ "GET", "/control/switches", get_switches },
	{ "GET", "/control/faults", get_faults },
	{ "POST", "/control/faults", post_fault },
	{ "DELETE", "/control/faults", delete_faults },
	{ "GET", "/control/log", get_log },
	{ "DELETE", "/control/log", delete_log },
	{ "GET", "/control/stats", get_stats },
	{ "DELETE", "/control/stats", delete_stats },
};

static void apply_change(struct ufm_control *control, const struct ufm_change *change, struct httpd_request *request)
{
	struct error err;
	__attribute__((cleanup(json_freep))) json_t *body = read_body(request, &err);

	if (!body || change->apply(control->server, body, &err) < 0)
		answer_error(request, 400, err.text);
	else
		httpd_answer(request, 200, "application/json", NULL, "{}\n", 3);
}

static void on_request(void *aux, struct httpd_request *request)
{
	const struct ufm_change *change = ufm_change_find(httpd_method(request), httpd_path(request));

	if (change) {
		apply_change(aux, change, request);
		return;
	}
	for (size_t i = 0; i < array_length(routes); i++) {
		if (strcmp(routes[i].path, httpd_path(request)) == 0 &&
		    strcmp(routes[i].method, httpd_method(request)) == 0) {
			routes[i].handle(aux, request);
			return;
		}
	}
	answer_error(request, 404, "there is no such thing; GET /control says what there is");
}

int ufm_control_start(struct ufm_control **ret, struct loop *loop, const char *listen, struct ufm_server *server,
		      struct error *err)
{
	struct ufm_control *control = mem_alloc(sizeof(*control));
	struct httpd_options httpd = { .listen = listen,
				       .max_connections = WAITERS_MAX * 2,
				       .body_max = CONTROL_BODY_MAX,
				       .idle_timeout_ms = 600000,
				       .handle = on_request,
				       .gone = on_gone,
				       .aux = control };

	control->loop = loop;
	control->server = server;
	if (httpd_new(&control->httpd, loop, &httpd, err) < 0) {
		ufm_control_stop(control);
		return error_wrap(err, "control endpoint");
	}
	server->changed = on_changed;
	server->aux = control;
	*ret = control;
	return 0;
}

void ufm_control_stop(struct ufm_control *control)
{
	if (!control)
		return;
	control->server->changed = NULL;
	httpd_free(control->httpd);
	assert(!control->waiters);
	free(control);
}

unsigned ufm_control_port(const struct ufm_control *control)
{
	return httpd_port(control->httpd);
}
