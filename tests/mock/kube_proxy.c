#include "tests/mock/kube_proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum { URL_MAX = 16 << 10, ANSWER_MAX = 64 << 20, TIMEOUT_MS = 60 * 1000, PARTS = 3 };

/* --- where to --------------------------------------------------------------------------------------------------- */

static bool take_segment(char out[MKUBE_NAME_MAX], const char **path)
{
	size_t n = strcspn(*path, "/");

	if (n == 0 || n >= MKUBE_NAME_MAX)
		return false;
	memcpy(out, *path, n);
	out[n] = '\0';
	*path += n;
	return true;
}

static bool take_text(const char **path, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*path, text, n) != 0)
		return false;
	*path += n;
	return true;
}

bool mkube_proxy_parse(struct mkube_proxy_route *route, const char *path)
{
	if (!take_text(&path, "/api/v1/namespaces/") || !take_segment(route->namespace, &path) ||
	    !take_text(&path, "/services/") || !take_segment(route->id, &path) || !take_text(&path, "/proxy") ||
	    (*path && *path != '/'))
		return false;
	route->path = *path ? path : "/";
	return true;
}

static json_t *read_object(struct mkube_api *api, enum mkube_kind kind, const char *namespace, const char *name)
{
	char key[2 * MKUBE_NAME_MAX];
	struct error err;

	mkube_store_key(key, namespace, name);
	const struct mkube_version *version = mkube_store_get(api->store, kind, key);
	return version ? json_parse(version->text, version->len, &err) : NULL;
}

/* "https:name:port", "name:port" or "name", cut in place. */
static bool split_id(char *id, const char *parts[PARTS])
{
	char *first = strchr(id, ':'), *second = first ? strchr(first + 1, ':') : NULL;

	parts[0] = "";
	parts[1] = id;
	parts[2] = "";
	if (first)
		*first = '\0';
	if (second) {
		*second = '\0';
		parts[0] = id;
		parts[1] = first + 1;
		parts[2] = second + 1;
	} else if (first) {
		parts[2] = first + 1;
	}
	return *parts[1] && (!*parts[0] || strcmp(parts[0], "http") == 0 || strcmp(parts[0], "https") == 0);
}

/* The name of the Service's port: Endpoints know it by that.  NULL: there is none. */
static const char *port_name(const json_t *service, const char *port)
{
	const json_t *ports = json_at(service, "spec", "ports", NULL), *one;
	size_t i;

	if (strspn(port, "0123456789") != strlen(port) || !*port)
		return port;
	json_array_foreach(ports, i, one)
	{
		if (json_int(one, -1, "port", NULL) == strtoll(port, NULL, 10)) {
			const char *name = json_str(one, "name", NULL);
			return name ? name : "";
		}
	}
	return NULL;
}

static size_t any_of(size_t n)
{
	unsigned number = 0;

	if (getrandom(&number, sizeof number, 0) != sizeof number)
		number = 0;
	return number % n;
}

/* As the real one: an address counts only where it is that of the pod which it names. */
static bool is_of_pod(struct mkube_api *api, const json_t *address)
{
	const char *namespace = json_str(address, "targetRef", "namespace", NULL);
	const char *name = json_str(address, "targetRef", "name", NULL), *ip = json_str(address, "ip", NULL);
	__attribute__((cleanup(json_freep))) json_t *pod =
		namespace && name ? read_object(api, MKUBE_PODS, namespace, name) : NULL;
	const char *pod_ip = json_str(pod, "status", "podIP", NULL);

	return ip && pod_ip && strcmp(ip, pod_ip) == 0;
}

static char *target_of(struct mkube_api *api, const json_t *endpoints, const char *scheme, const char *port)
{
	const json_t *subsets = json_object_get(endpoints, "subsets");
	size_t n = json_array_size(subsets), first = n > 0 ? any_of(n) : 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *subset = json_array_get(subsets, (first + i) % n),
			     *addresses = json_object_get(subset, "addresses");
		const json_t *ports = json_object_get(subset, "ports");

		for (size_t p = 0; p < json_array_size(ports) && json_array_size(addresses) > 0; p++) {
			const char *name = json_str(json_array_get(ports, p), "name", NULL);
			const json_t *address = json_array_get(addresses, any_of(json_array_size(addresses)));

			if (strcmp(name ? name : "", port) == 0 && is_of_pod(api, address))
				return mem_printf("%s://%s:%lld", *scheme ? scheme : "http",
						  json_str(address, "ip", NULL),
						  (long long)json_int(json_array_get(ports, p), 0, "port", NULL));
		}
	}
	return NULL;
}

static void unavailable(struct mkube_reply *reply, const char *text)
{
	mkube_fail(reply, 503, "ServiceUnavailable", NULL, "%s", text);
}

char *mkube_proxy_target(struct mkube_api *api, const struct mkube_proxy_route *route, struct mkube_reply *reply)
{
	__attribute__((cleanup(json_freep))) json_t *service = NULL, *endpoints = NULL;
	char id[MKUBE_NAME_MAX], text[2 * MKUBE_NAME_MAX + 64];
	const char *parts[PARTS];

	snprintf(id, sizeof id, "%s", route->id);
	if (!split_id(id, parts)) {
		mkube_fail(reply, 400, "BadRequest", NULL, "invalid service request \"%s\"", route->id);
		return NULL;
	}
	service = read_object(api, MKUBE_SERVICES, route->namespace, parts[1]);
	if (!service) {
		mkube_fail_not_found(reply, MKUBE_SERVICES, parts[1]);
		return NULL;
	}
	const char *port = port_name(service, parts[2]);
	if (!port) {
		snprintf(text, sizeof text, "no service port %s found for service \"%s\"", parts[2], parts[1]);
		unavailable(reply, text);
		return NULL;
	}
	endpoints = read_object(api, MKUBE_ENDPOINTS, route->namespace, parts[1]);
	if (!endpoints) {
		mkube_fail_not_found(reply, MKUBE_ENDPOINTS, parts[1]);
		return NULL;
	}
	char *target = target_of(api, endpoints, parts[0], port);
	if (!target) {
		snprintf(text, sizeof text, "no endpoints available for service \"%s\"", parts[1]);
		unavailable(reply, text);
	}
	return target;
}

/* --- there and back --------------------------------------------------------------------------------------------- */

struct mkube_proxied {
	struct http_request *request;
	bool newer;
	void (*done)(void *aux, struct mkube_reply *reply);
	void *aux;
};

static void on_answer(void *aux, const struct http_reply *http)
{
	struct mkube_proxied *proxied = aux;
	struct mkube_reply reply = { 0 };

	if (http->error && proxied->newer) {
		mkube_fail(&reply, 503, "ServiceUnavailable", NULL, "error trying to reach service: %s",
			   http->error->text);
	} else if (http->error) {
		reply.status = 503;
		reply.body = mem_printf("Error trying to reach service: '%s'", http->error->text);
		reply.len = strlen(reply.body);
	} else {
		reply.status = http->status;
		reply.body = mem_dup_n(http->body, http->body_len);
		reply.len = http->body_len;
	}
	proxied->done(proxied->aux, &reply);
}

static void add_query(void *aux, const char *key, const char *value)
{
	struct buf *url = aux;

	buf_printf(url, "%c%s=", strchr(url->data, '?') ? '&' : '?', key);
	for (; *value; value++)
		buf_printf(url, strchr("&=%#+ ", *value) ? "%%%02X" : "%c", (unsigned char)*value);
}

struct mkube_proxied *mkube_proxy_send(struct http *http, bool newer, struct httpd_request *request, const char *target,
				       const char *path, void (*done)(void *aux, struct mkube_reply *reply), void *aux)
{
	static const char *const passed[] = { "X-Ufmsync-Token", "Content-Type", "Accept", "User-Agent" };
	struct mkube_proxied *proxied = mem_alloc(sizeof *proxied);
	char *lines[array_length(passed) + 1] = { NULL };
	struct buf url;
	size_t len, n = 0;
	const char *body = httpd_body(request, &len);

	*proxied = (struct mkube_proxied){ .newer = newer, .done = done, .aux = aux };
	buf_init(&url, URL_MAX);
	buf_printf(&url, "%s%s", target, path);
	httpd_each_query(request, add_query, &url);
	for (size_t i = 0; i < array_length(passed); i++)
		if (httpd_header(request, passed[i]))
			lines[n++] = mem_printf("%s: %s", passed[i], httpd_header(request, passed[i]));
	proxied->request = http_send(http, &(struct http_request_options){
						   .method = httpd_method(request),
						   .url = url.data,
						   .headers = (const char *const *)lines,
						   .body = len > 0 ? body : NULL,
						   .body_len = len,
						   .timeout_ms = TIMEOUT_MS,
						   .body_max = ANSWER_MAX,
						   .done = on_answer,
						   .release = free,
						   .aux = proxied,
					   });
	for (size_t i = 0; i < n; i++)
		mem_wipe_free(lines[i]);
	buf_free(&url);
	return proxied;
}

void mkube_proxy_cancel(struct mkube_proxied *proxied)
{
	http_cancel(proxied->request);
}
