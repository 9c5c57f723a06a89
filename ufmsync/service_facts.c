#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/kube/network.h"
#include "ufmsync/kube/pod.h"
#include "ufmsync/service_parts.h"

static void pods_begin(void *aux)
{
	struct service *service = aux;

	engine_pods_begin(service->engine, loop_now_ms());
}

static void pods_end(void *aux)
{
	struct service *service = aux;

	engine_pods_end(service->engine, loop_now_ms());
}

static void pod_applied(void *aux, const json_t *object)
{
	struct service *service = aux;
	struct pod *pod = pod_from_json(object);

	if (pod)
		engine_pod_applied(service->engine, pod, loop_now_ms());
}

static void pod_deleted(void *aux, const json_t *object)
{
	struct service *service = aux;
	struct pod *pod = pod_from_json(object);

	if (pod)
		engine_pod_deleted(service->engine, pod, loop_now_ms());
}

static void networks_begin(void *aux)
{
	struct service *service = aux;

	engine_networks_begin(service->engine, loop_now_ms());
}

static void networks_end(void *aux)
{
	struct service *service = aux;

	engine_networks_end(service->engine, loop_now_ms());
}

static void network_applied(void *aux, const json_t *object)
{
	struct service *service = aux;
	struct network *network = network_from_json(object);

	if (network)
		engine_network_applied(service->engine, network, loop_now_ms());
}

static void network_deleted(void *aux, const json_t *object)
{
	struct service *service = aux;
	struct network *network = network_from_json(object);

	if (network)
		engine_network_deleted(service->engine, network->namespace, network->name, loop_now_ms());
	network_free(network);
}

static void namespaces_begin(void *aux)
{
	struct service *service = aux;

	engine_namespaces_begin(service->engine, loop_now_ms());
}

static void namespaces_end(void *aux)
{
	struct service *service = aux;

	engine_namespaces_end(service->engine, loop_now_ms());
}

static void namespace_applied(void *aux, const json_t *object)
{
	struct service *service = aux;
	struct namespace_rule *rule = namespace_rule_from_json(object);

	if (rule)
		engine_namespace_applied(service->engine, rule, loop_now_ms());
}

static void namespace_deleted(void *aux, const json_t *object)
{
	struct service *service = aux;
	struct namespace_rule *rule = namespace_rule_from_json(object);

	if (rule)
		engine_namespace_deleted(service->engine, rule->name, loop_now_ms());
	namespace_rule_free(rule);
}

static void kube_trouble(void *aux, const struct error *err)
{
	struct service *service = aux;

	if (!err)
		log_say(LOG_INFO, "KUBE_BACK", NULL, "the API server answers again");
	else
		log_limited(&service->kube_limit, 5, LOG_WARN,
			    err->kind == ERROR_AUTH ? "KUBE_FORBIDDEN" : "KUBE_UNREACHABLE",
			    LOG_FIELDS({ "kind", error_kind_name(err->kind) }), "%s", err->text);
}

void service_watch(struct service *service)
{
	struct kube_watch_options options[SERVICE_KINDS] = {
		[SERVICE_PODS] = { SERVICE_PODS_PATH, SERVICE_PODS_SELECTOR, 0, pods_begin, pod_applied, pod_deleted,
				   pods_end, kube_trouble, service, 1 },
		[SERVICE_NETWORKS] = { SERVICE_NETWORKS_PATH, NULL, 0, networks_begin, network_applied, network_deleted,
				       networks_end, kube_trouble, service, 2 },
		[SERVICE_NAMESPACES] = { SERVICE_NAMESPACES_PATH, NULL, 0, namespaces_begin, namespace_applied,
					 namespace_deleted, namespaces_end, kube_trouble, service, 3 },
	};

	for (int kind = 0; kind < SERVICE_KINDS; kind++) {
		options[kind].random ^= (uint64_t)loop_wall_ms() * 0x9e3779b97f4a7c15u;
		service->watches[kind] = kube_watch_new(service->loop, service->kube, &options[kind]);
	}
}

/* A pod of that name with another uid is somebody else: the one that was asked for is gone. */
static void pod_read(void *aux, const struct kube_reply *reply)
{
	struct service_request *request = aux;
	struct service *service = request->service;
	enum engine_read how = ENGINE_READ_FAILED;
	struct pod *pod = NULL;

	request->http = NULL;
	if (!reply->error) {
		pod = pod_from_json(reply->object);
		how = pod ? ENGINE_READ_FOUND : ENGINE_READ_FAILED;
	} else if (reply->status == 404) {
		how = ENGINE_READ_GONE;
	}
	if (pod && strcmp(pod->uid, request->uid) != 0) {
		pod_free(pod);
		pod = NULL;
		how = ENGINE_READ_GONE;
	}
	if (service_request_is_current(request))
		engine_pod_read(service->engine, request->id, how, pod, loop_now_ms());
	else
		pod_free(pod);
	service_request_free(request);
}

void service_read_pod(struct service *service, uint64_t id, const char *namespace, const char *name, const char *uid)
{
	struct service_request *request = service_request_new(service, id, uid);
	char *path = mem_printf("/api/v1/namespaces/%s/pods/%s", namespace, name);
	struct kube_request_options options = {
		.operation = KUBE_GET_POD, .method = "GET", .path = path, .done = pod_read, .aux = request
	};

	request->http = kube_send(service->kube, &options);
	free(path);
}
