#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/service_parts.h"

/* The https port: CNI plugins ask at /v1/attach, operators at all else of /v1/. */

enum {
	LOOK_MS = 2 * 1000,
	ROOM = 1024,              /* connections besides those of attaches that wait: coming, answered, refused */
	FILES_OF_OURS = 256,      /* open files that are not the port's: watches, UFM, health */
	CONNECTION_MEMORY = 4096, /* a request with its headers, a service account's token among them */
	BODY_MAX = WEBHOOK_BODY_MAX,
	IDLE_MS = 15 * 1000,
	REQUEST_MS = 20 * 1000,
};

static void answer_error(struct httpd_request *request, int status, const char *const *headers, const char *code,
			 const char *message)
{
	/* Both are words of ours, without anything that JSON would escape. */
	char *body = mem_printf("{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", code, message);

	httpd_answer(request, status, "application/json", headers, body, strlen(body));
	free(body);
}

static void on_request(void *aux, struct httpd_request *request)
{
	static const char *const again[] = { "Retry-After: 1", "Connection: close", NULL };
	struct service *service = aux;
	const char *path = httpd_path(request);

	if (!service->webhook)
		answer_error(request, 503, again, "Stopping", "this replica is stopping; ask again");
	else if (strcmp(path, "/v1/attach") == 0)
		webhook_handle(service->webhook, request);
	else if (strncmp(path, "/v1/", 4) == 0)
		service_api_handle(service, request);
	else
		answer_error(request, 404, NULL, "NotFound", "no such path; /v1/openapi.json says what there is");
}

static void on_gone(void *aux, struct httpd_request *request)
{
	struct service *service = aux;

	if (strcmp(httpd_path(request), "/v1/attach") != 0)
		service_api_gone(request);
	else if (service->webhook)
		webhook_gone(service->webhook, request);
}

static void on_refused(void *aux, enum httpd_refusal why, const char *peer)
{
	struct service *service = aux;
	const struct log_field *fields = LOG_FIELDS({ "peer", peer });

	switch (why) {
	case HTTPD_BODY_TOO_LARGE:
		service->counts.https_body_too_large++;
		log_limited(&service->https_body_limit, 5, LOG_WARN, "HTTPS_BODY_TOO_LARGE", fields,
			    "413: a request of more than %d bytes", BODY_MAX);
		return;
	case HTTPD_HEADERS_TOO_LARGE:
		service->counts.https_headers_too_large++;
		log_limited(&service->https_headers_limit, 5, LOG_WARN, "HTTPS_HEADERS_TOO_LARGE", fields,
			    "431: path and headers of more than about %d bytes", CONNECTION_MEMORY);
		return;
	case HTTPD_TOO_MANY:
		service->counts.https_too_many++;
		log_limited(&service->https_connections_limit, 5, LOG_WARN, "HTTPS_CONNECTIONS", fields,
			    "%u connections are open: further ones wait", service->https_connections_max);
		return;
	}
}

/* --- certificate and key --- */

static int take_pair(struct service *service, const struct tls_pair *pair, struct error *err)
{
	if (httpd_set_certificate(service->https, pair->cert, pair->key, err) < 0)
		return error_wrap(err, "%s, %s", service->config->tls_cert, service->config->tls_key);
	service->tls_not_after_s = pair->not_after_s;
	return 0;
}

static void look(struct service *service)
{
	struct tls_pair pair;
	struct error err = { 0 };
	enum tls_look found = tls_files_look(service->tls_files, &pair, &err);
	char until[28];

	if (found == TLS_LOOK_SAME)
		return;
	if (found == TLS_LOOK_FRESH && take_pair(service, &pair, &err) < 0)
		found = TLS_LOOK_BAD;
	if (found == TLS_LOOK_FRESH) {
		json_micro_time(until, pair.not_after_s * 1000);
		log_say(LOG_INFO, "TLS_RENEWED", LOG_FIELDS({ "valid_until", until }),
			"a new certificate is used for connections from now on");
	} else {
		log_say(LOG_ERROR, "TLS_FILES_BAD", NULL,
			"the new certificate or key cannot be used, the old one stays in use: %s", err.text);
	}
	tls_pair_free(&pair);
}

static void on_look(struct loop_timer *timer)
{
	struct service *service = container_of(timer, struct service, tls_timer);

	loop_timer_at(timer, loop_now_ms() + LOOK_MS);
	look(service);
}

/* --- life --- */

/* What attaches that wait may not take: the descriptors with which UFM and the API server are reached. */
static unsigned connections_max(const struct service *service)
{
	unsigned wanted = service->config->attach_waiting_max + ROOM;
	struct rlimit limit;
	char may[24], would[24];

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted + FILES_OF_OURS)
		return wanted;
	unsigned most =
		(unsigned)(limit.rlim_cur > 2 * FILES_OF_OURS ? limit.rlim_cur - FILES_OF_OURS : limit.rlim_cur / 2);
	snprintf(may, sizeof may, "%u", most);
	snprintf(would, sizeof would, "%u", wanted);
	log_say(LOG_WARN, "FILES_LIMIT", LOG_FIELDS({ "connections", may }, { "wanted", would }),
		"the limit of open files (%" PRIu64
		") is too low for UFMSYNC_ATTACH_WAITING_MAX: fewer CNI plugins can wait",
		(uint64_t)limit.rlim_cur);
	return most;
}

static int open_port(struct service *service, const struct tls_pair *pair, struct error *err)
{
	struct httpd_options options = {
		.listen = service->config->listen,
		.cert = pair->cert,
		.key = pair->key,
		.max_connections = service->https_connections_max,
		.connection_memory = CONNECTION_MEMORY,
		.body_max = BODY_MAX,
		.idle_timeout_ms = IDLE_MS,
		.request_timeout_ms = REQUEST_MS,
		.handle = on_request,
		.gone = on_gone,
		.refused = on_refused,
		.aux = service,
	};

	if (httpd_new(&service->https, service->loop, &options, err) < 0)
		return error_wrap(err, "UFMSYNC_LISTEN=%s", service->config->listen);
	return 0;
}

int service_https_start(struct service *service, struct error *err)
{
	const struct config *config = service->config;
	struct tls_pair pair;
	char until[28], port[16];

	if (!config->tls_cert) {
		log_say(LOG_WARN, "HTTPS_OFF", NULL,
			"UFMSYNC_TLS_CERT and UFMSYNC_TLS_KEY are not set: %s is not opened, and the CNI plugin "
			"(network "
			"type ufmsync) cannot attach pods; networks of type ib-sriov alone work",
			config->listen);
		return 0;
	}
	if (tls_files_new(&service->tls_files, &pair, config->tls_cert, config->tls_key, err) < 0) {
		err->kind = ERROR_INVALID; /* a file that cannot be read is a bad setting too */
		return error_wrap(err, "UFMSYNC_TLS_CERT, UFMSYNC_TLS_KEY");
	}
	service->https_connections_max = connections_max(service);
	int result = open_port(service, &pair, err);
	service->tls_not_after_s = pair.not_after_s;
	tls_pair_free(&pair);
	if (result < 0)
		return -1;
	service_attach_start(service);
	service_api_start(service);
	json_micro_time(until, service->tls_not_after_s * 1000);
	snprintf(port, sizeof port, "%u", httpd_port(service->https));
	log_say(LOG_INFO, "HTTPS_OPEN", LOG_FIELDS({ "port", port }, { "valid_until", until }),
		"CNI plugins may ask at /v1/attach, operators at what /v1/openapi.json names");
	loop_timer_init(&service->tls_timer, service->loop, on_look);
	loop_timer_at(&service->tls_timer, loop_now_ms() + LOOK_MS);
	return 0;
}

bool service_https_is_idle(const struct service *service)
{
	return !service->https || httpd_is_idle(service->https);
}

void service_https_free(struct service *service)
{
	loop_timer_stop(&service->tls_timer);
	httpd_free(service->https);
	tls_files_free(service->tls_files);
	service->https = NULL;
	service->tls_files = NULL;
}
