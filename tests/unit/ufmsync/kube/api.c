#undef NDEBUG
#include "tests/unit/ufmsync/kube/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

struct loop *api_loop;
struct httpd *api_httpd;
struct kube *api_kube;
struct buf api_log;
struct api_request api_requests[API_REQUESTS_MAX];
unsigned api_n;

static api_serve_fn *serve_fn;
static bool (*condition)(void);
static struct loop_timer watchdog;
static bool too_late;

static char *copy(const char *text)
{
	return mem_dup(text);
}

static void handle(void *aux, struct httpd_request *request)
{
	size_t len;
	const char *body = httpd_body(request, &len);

	(void)aux;
	assert_true(api_n < API_REQUESTS_MAX);
	api_requests[api_n++] = (struct api_request){
		.method = copy(httpd_method(request)),
		.path = copy(httpd_path(request)),
		.authorization = copy(httpd_header(request, "authorization")),
		.content_type = copy(httpd_header(request, "content-type")),
		.body = mem_dup_n(body ? body : "", len),
		.continue_token = copy(httpd_query(request, "continue")),
		.version = copy(httpd_query(request, "resourceVersion")),
		.selector = copy(httpd_query(request, "fieldSelector")),
		.limit = copy(httpd_query(request, "limit")),
		.watch = copy(httpd_query(request, "watch")),
		.bookmarks = copy(httpd_query(request, "allowWatchBookmarks")),
		.timeout_seconds = copy(httpd_query(request, "timeoutSeconds")),
	};
	serve_fn(request, api_n - 1);
}

void api_serve(api_serve_fn *serve)
{
	serve_fn = serve;
}

static void on_turn(void *aux)
{
	(void)aux;
	if (condition && condition())
		loop_stop(api_loop);
}

static void on_watchdog(struct loop_timer *timer)
{
	(void)timer;
	too_late = true;
	loop_stop(api_loop);
}

void api_until(bool (*true_now)(void))
{
	condition = true_now;
	too_late = false;
	loop_timer_at(&watchdog, loop_now_ms() + 10000);
	loop_wake(api_loop);
	loop_run(api_loop);
	loop_timer_stop(&watchdog);
	condition = NULL;
	if (too_late)
		fail_msg("not in time; %u requests; heard: %s", api_n, api_log.data);
}

static const char *wanted_log;
static bool is_logged(void)
{
	return strcmp(api_log.data, wanted_log) == 0;
}

void api_until_log(const char *wanted)
{
	wanted_log = wanted;
	api_until(is_logged);
}

static unsigned wanted_requests;
static bool has_requests(void)
{
	return api_n >= wanted_requests;
}

void api_until_requests(unsigned n)
{
	wanted_requests = n;
	api_until(has_requests);
}

void api_connect(const struct kube_config *config)
{
	char server[64];
	struct kube_config with = *config;
	struct error err;

	kube_free(api_kube);
	api_kube = NULL;
	snprintf(server, sizeof server, "http://127.0.0.1:%u", httpd_port(api_httpd));
	with.server = server;
	with.origin = (char *)"test";
	assert_int_equal(kube_new(&api_kube, api_loop, &with, "ufmsync-test", &err), 0);
}

int api_setup(void **state)
{
	const struct httpd_options options = {
		.listen = "127.0.0.1:0", .max_connections = 100, .body_max = 1 << 20, .handle = handle
	};
	struct error err;

	(void)state;
	if (loop_new(&api_loop, &err) < 0 || httpd_new(&api_httpd, api_loop, &options, &err) < 0)
		return -1;
	loop_on_turn(api_loop, on_turn, NULL);
	loop_timer_init(&watchdog, api_loop, on_watchdog);
	buf_init(&api_log, 1 << 20);
	api_connect(&(struct kube_config){ 0 });
	return 0;
}

static void forget(struct api_request *request)
{
	free(request->method);
	free(request->path);
	free(request->authorization);
	free(request->content_type);
	free(request->body);
	free(request->continue_token);
	free(request->version);
	free(request->selector);
	free(request->limit);
	free(request->watch);
	free(request->bookmarks);
	free(request->timeout_seconds);
}

int api_teardown(void **state)
{
	(void)state;
	kube_free(api_kube);
	api_kube = NULL;
	httpd_free(api_httpd);
	loop_free(api_loop);
	buf_free(&api_log);
	while (api_n > 0)
		forget(&api_requests[--api_n]);
	return 0;
}

void api_json(struct httpd_request *request, int status, const char *json)
{
	httpd_answer(request, status, "application/json", NULL, json, strlen(json));
}

void api_stream(struct httpd_request *request, const char *json)
{
	httpd_stream_start(request, 200, "application/json", NULL);
	assert_true(httpd_stream_write(request, json, strlen(json)));
}
