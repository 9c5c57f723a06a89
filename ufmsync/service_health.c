#include <string.h>

#include "base/buf.h"
#include "ufmsync/service_parts.h"

/* /healthz: the loop turns, else nobody would answer.  /readyz: pods, networks and namespaces are known; a standby is
 * ready too, and a fabric manager that is away makes nobody unready.  /metrics: Prometheus text format. */

enum { ANSWER_MAX = 1024 * 1024 };

static void answer(struct httpd_request *request, int status, const char *type, const struct buf *body)
{
	httpd_answer(request, status, type, NULL, body->data, body->len);
}

static void on_request(void *aux, struct httpd_request *request)
{
	const struct service *service = aux;
	const char *path = httpd_path(request);
	struct buf body;

	buf_init(&body, ANSWER_MAX);
	if (strcmp(httpd_method(request), "GET") != 0 && strcmp(httpd_method(request), "HEAD") != 0) {
		buf_text(&body, "only GET\n");
		answer(request, 405, "text/plain", &body);
	} else if (strcmp(path, "/healthz") == 0) {
		buf_text(&body, "ok\n");
		answer(request, 200, "text/plain", &body);
	} else if (strcmp(path, "/readyz") == 0) {
		struct engine_status status;
		engine_status(service->engine, &status);
		buf_text(&body, status.synced ? "ok\n" : "pods, networks and namespaces are not read yet\n");
		answer(request, status.synced ? 200 : 503, "text/plain", &body);
	} else if (strcmp(path, "/metrics") == 0) {
		service_metrics_write(service, &body);
		answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
	} else {
		buf_text(&body, "/healthz, /readyz or /metrics\n");
		answer(request, 404, "text/plain", &body);
	}
	buf_free(&body);
}

int service_health_start(struct service *service, struct error *err)
{
	struct httpd_options options = {
		.listen = service->config->health_listen,
		.max_connections = 64,
		.body_max = 1024,
		.idle_timeout_ms = 30 * 1000,
		.handle = on_request,
		.aux = service,
	};

	if (httpd_new(&service->health, service->loop, &options, err) < 0)
		return error_wrap(err, "UFMSYNC_HEALTH_LISTEN=%s", service->config->health_listen);
	return 0;
}
