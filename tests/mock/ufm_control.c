#include "tests/mock/ufm_control.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/ufm_control_host.h"
#include "tests/mock/ufm_state.h"

const char ufm_control_help[] =
	"Control endpoint (http, loopback, JSON; an unknown key is an error):\n"
	"  GET    /control/state           partitions and members, sorted; ?view=fabric ?pkey=0x5 ?members=false;\n"
	"                                  ?after=REVISION&wait_ms=N waits until the revision is larger\n"
	"  PUT    /control/state           {\"partitions\": [{\"pkey\", \"partition\", \"ip_over_ib\", \"members\": "
	"[...]}]}:\n"
	"                                  replaces all; POST adds to what is there; the shape is that of GET\n"
	"  POST   /control/members         {\"pkey\", \"guid\" | \"guids\" | \"first\" and \"count\", \"membership\", "
	"\"index0\"}:\n"
	"                                  somebody else adds; DELETE: UFM forgets\n"
	"  GET    /control/switches        POST {\"missing_pkey\": \"404\", ...}: see --switch\n"
	"  POST   /control/latency         {\"write_ms\", \"read_ms\"}\n"
	"  GET    /control/faults          POST {\"match\": {\"method\", \"path_prefix\", \"pkey\", \"operation\"}, "
	"\"skip\", \"times\",\n"
	"                                  \"action\", \"code\", \"body\", \"content_type\", \"location\", "
	"\"delay_ms\",\n"
	"                                  \"chunk_bytes\", \"apply\"} -> {\"id\"}; DELETE all, or ?id=N\n"
	"  GET    /control/log             the last requests; ?after=SEQ ?limit=N ?method= ?path_prefix= ?operation= "
	"?writes=true\n"
	"                                  ?bodies=false; with wait_ms=N waits until there is one; DELETE clears\n"
	"  GET    /control/stats           counts, overlaps, index0 violations, GUIDs a write; DELETE zeroes\n"
	"  POST   /control/credentials     {\"username\", \"password\", \"token\"}: each optional; ends sessions, "
	"revokes tokens\n"
	"  POST   /control/failover        {\"down_ms\", \"answer\": \"503\" | \"502\" | \"reset\"}: sessions are "
	"lost, tokens are not\n"
	"  POST   /control/vports          {\"guid\" ..., \"node\", \"port\", \"state\", \"lid\"}: virtual ports come "
	"up;\n"
	"                                  DELETE {\"guid\" ...}: they go\n"
	"  PUT    /control/systems         {\"systems\": [{\"name\", \"ip\", \"guid\", \"ports\": [GUID, ...]}]}: the "
	"machines\n"
	"  POST   /control/reset           as at the start: state, faults, switches, credentials, log, counts;\n"
	"                                  requests that still hang or would take effect late are dropped\n"
	"  GET    /control                 this text\n"
	"Fault actions: status, html, unauthorized, hang, reset_before, reset_after_apply, apply_late,\n"
	"late_after_timeout, forget, cut_json, cut_stream, slow_body, wrong_content_type, latency.\n"
	"Operations: add, remove, set, create, delete, qos, hosts_add, hosts_remove, sharp (writes); list, get, "
	"version,\n"
	"last_updated, vports, ports, systems, job, smconf, tokens ... (reads); also read, write, any.\n";

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
	struct ufm_switches switches;
	char *username, *password, *token;
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

/* --- reads ------------------------------------------------------------------------------------------------------ */

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

/* --- changes ---------------------------------------------------------------------------------------------------- */

typedef int change_fn(struct ufm_control *control, const json_t *body, struct error *err);

static int only_keys(const json_t *body, const char *const *keys, struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)body, key, value)
	{
		size_t i = 0;
		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return error_set(err, ERROR_INVALID, "the key %.64s is not known here", key);
	}
	return 0;
}

static int add_state(struct ufm_control *control, const json_t *body, struct error *err)
{
	if (ufm_state_load(control->server->api.model, body, err) < 0)
		return -1;
	ufm_server_touched(control->server);
	return 0;
}

static int put_state(struct ufm_control *control, const json_t *body, struct error *err)
{
	struct ufm_model *trial = ufm_model_new();
	int result = ufm_state_load(trial, body, err);

	ufm_model_free(trial);
	if (result < 0)
		return -1;
	ufm_model_clear(control->server->api.model);
	return add_state(control, body, err);
}

static int change_members(struct ufm_control *control, const json_t *body, bool add, struct error *err)
{
	static const char *const keys[] = { "pkey", "guid", "guids", "first", "count", "membership", "index0", NULL };
	struct ufm_model *model = control->server->api.model;
	const char *text = json_str(body, "pkey", NULL);
	struct ufm_settings none = { 0 };
	struct ufm_guid_list list;
	unsigned pkey = 0;

	if (only_keys(body, keys, err) < 0)
		return -1;
	if (!text || !ufm_pkey_parse(&pkey, text) || pkey == 0 || pkey == UFM_PKEY_MANAGEMENT)
		return error_set(err, ERROR_INVALID, "pkey is a string from 0x1 to 0x7ffe");
	if (ufm_state_read_members(&list, body, err) < 0)
		return -1;
	if (add && ufm_model_members(model, UFM_VIEW_MODEL) + list.n > UFM_MEMBERS_MAX) {
		free(list.members);
		return error_set(err, ERROR_LIMIT, "more than %d members", UFM_MEMBERS_MAX);
	}
	if (add && list.n > 0)
		ufm_model_add(model, pkey, &none, list.members, list.n);
	for (size_t i = 0; !add && i < list.n; i++)
		ufm_model_remove(model, pkey, &list.members[i].guid, 1);
	free(list.members);
	ufm_server_touched(control->server);
	return 0;
}

static int add_members(struct ufm_control *control, const json_t *body, struct error *err)
{
	return change_members(control, body, true, err);
}

static int remove_members(struct ufm_control *control, const json_t *body, struct error *err)
{
	return change_members(control, body, false, err);
}

static int set_switches(struct ufm_control *control, const json_t *body, struct error *err)
{
	if (ufm_switches_set(&control->server->api.switches, body, err) < 0)
		return -1;
	ufm_server_touched(control->server);
	return 0;
}

static int set_latency(struct ufm_control *control, const json_t *body, struct error *err)
{
	static const char *const keys[] = { "write_ms", "read_ms", NULL };

	if (only_keys(body, keys, err) < 0)
		return -1;
	return set_switches(control, body, err);
}

static int set_credentials(struct ufm_control *control, const json_t *body, struct error *err)
{
	static const char *const keys[] = { "username", "password", "token", NULL };

	if (only_keys(body, keys, err) < 0)
		return -1;
	ufm_accounts_change(&control->server->api.accounts, json_str(body, "username", NULL),
			    json_str(body, "password", NULL), json_str(body, "token", NULL), loop_wall_ms());
	return 0;
}

static int fail_over(struct ufm_control *control, const json_t *body, struct error *err)
{
	static const char *const keys[] = { "down_ms", "answer", NULL };
	const char *how = json_str(body, "answer", NULL);
	int64_t down_ms = json_int(body, 0, "down_ms", NULL);
	int status = !how || strcmp(how, "503") == 0 ? 503 : strcmp(how, "502") == 0 ? 502 : 0;

	if (only_keys(body, keys, err) < 0)
		return -1;
	if (down_ms < 0 || down_ms > 24 * 3600 * 1000)
		return error_set(err, ERROR_INVALID, "down_ms is a number of milliseconds, at most a day");
	if (status == 0 && strcmp(how, "reset") != 0)
		return error_set(err, ERROR_INVALID, "answer is 503, 502 or reset");
	ufm_server_fail_over(control->server, down_ms, status);
	return 0;
}

static int add_vports(struct ufm_control *control, const json_t *body, struct error *err)
{
	return ufm_control_vports_up(&control->server->api.hosts, body, loop_now_ms(), err);
}

static int remove_vports(struct ufm_control *control, const json_t *body, struct error *err)
{
	return ufm_control_vports_down(&control->server->api.hosts, body, err);
}

static int put_systems(struct ufm_control *control, const json_t *body, struct error *err)
{
	return ufm_control_systems(&control->server->api.hosts, body, err);
}

static int reset(struct ufm_control *control, const json_t *body, struct error *err)
{
	struct ufm_server *server = control->server;
	struct ufm_api *api = &server->api;

	(void)body;
	(void)err;
	ufm_server_drop_all(server);
	ufm_model_clear(api->model);
	ufm_model_forget_violations(api->model);
	ufm_faults_clear(&server->faults);
	ufm_log_clear(server->log);
	ufm_log_clear_stats(server->log);
	ufm_hosts_free(&api->hosts);
	ufm_hosts_init(&api->hosts);
	ufm_accounts_free(&api->accounts);
	ufm_accounts_init(&api->accounts, control->username, control->password, control->token, loop_wall_ms());
	api->switches = control->switches;
	api->changed_wall_ms = 0;
	api->fabric_broken = false;
	api->parse_errors = 0;
	server->down_until_ms = 0;
	ufm_server_touched(server);
	return 0;
}

static void post_fault(struct ufm_control *control, struct httpd_request *request, const json_t *body)
{
	struct error err;
	struct buf json;
	unsigned id;

	if (ufm_faults_add(&control->server->faults, body, &id, &err) < 0) {
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

/* --- routes ----------------------------------------------------------------------------------------------------- */

static const struct route {
	const char *method, *path;
	void (*read)(struct ufm_control *control, struct httpd_request *request); /* takes no body */
	change_fn *change;                                                        /* takes a JSON object */
} routes[] = {
	{ "GET", "/control", get_help, NULL },
	{ "GET", "/control/state", get_state, NULL },
	{ "PUT", "/control/state", NULL, put_state },
	{ "POST", "/control/state", NULL, add_state },
	{ "POST", "/control/members", NULL, add_members },
	{ "DELETE", "/control/members", NULL, remove_members },
	{ "GET", "/control/switches", get_switches, NULL },
	{ "POST", "/control/switches", NULL, set_switches },
	{ "POST", "/control/latency", NULL, set_latency },
	{ "GET", "/control/faults", get_faults, NULL },
	{ "POST", "/control/faults", NULL, NULL },
	{ "DELETE", "/control/faults", delete_faults, NULL },
	{ "GET", "/control/log", get_log, NULL },
	{ "DELETE", "/control/log", delete_log, NULL },
	{ "GET", "/control/stats", get_stats, NULL },
	{ "DELETE", "/control/stats", delete_stats, NULL },
	{ "POST", "/control/credentials", NULL, set_credentials },
	{ "POST", "/control/failover", NULL, fail_over },
	{ "POST", "/control/vports", NULL, add_vports },
	{ "DELETE", "/control/vports", NULL, remove_vports },
	{ "PUT", "/control/systems", NULL, put_systems },
	{ "POST", "/control/reset", NULL, reset },
};

static void run_change(struct ufm_control *control, const struct route *route, struct httpd_request *request)
{
	__attribute__((cleanup(json_freep))) json_t *body = NULL;
	size_t len;
	const char *text = httpd_body(request, &len);
	struct error err;

	body = len == 0 ? json_object() : json_parse(text, len, &err);
	if (!json_is_object(body))
		answer_error(request, 400, body ? "the body is no JSON object" : err.text);
	else if (!route->change)
		post_fault(control, request, body);
	else if (route->change(control, body, &err) < 0)
		answer_error(request, 400, err.text);
	else
		answer_done(request);
}

static void on_request(void *aux, struct httpd_request *request)
{
	struct ufm_control *control = aux;
	bool path_known = false;

	for (size_t i = 0; i < array_length(routes); i++) {
		if (strcmp(routes[i].path, httpd_path(request)) != 0)
			continue;
		path_known = true;
		if (strcmp(routes[i].method, httpd_method(request)) != 0)
			continue;
		if (routes[i].read)
			routes[i].read(control, request);
		else
			run_change(control, &routes[i], request);
		return;
	}
	answer_error(request, path_known ? 405 : 404, "not here; GET /control says what there is");
}

int ufm_control_start(struct ufm_control **ret, struct loop *loop, const struct ufm_control_options *options,
		      struct error *err)
{
	struct ufm_control *control = mem_alloc(sizeof(*control));
	struct httpd_options httpd = { .listen = options->listen,
				       .max_connections = WAITERS_MAX * 2,
				       .body_max = CONTROL_BODY_MAX,
				       .idle_timeout_ms = 600000,
				       .handle = on_request,
				       .gone = on_gone,
				       .aux = control };

	control->loop = loop;
	control->server = options->server;
	control->switches = *options->switches;
	control->username = mem_dup(options->username);
	control->password = mem_dup(options->password);
	control->token = mem_dup(options->token);
	if (httpd_new(&control->httpd, loop, &httpd, err) < 0) {
		ufm_control_stop(control);
		return error_wrap(err, "control endpoint");
	}
	options->server->changed = on_changed;
	options->server->aux = control;
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
	free(control->username);
	mem_wipe_free(control->password);
	mem_wipe_free(control->token);
	free(control);
}

unsigned ufm_control_port(const struct ufm_control *control)
{
	return httpd_port(control->httpd);
}
