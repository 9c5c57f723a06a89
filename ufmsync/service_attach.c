#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/service_parts.h"

/* What the webhook knows of the world: the engine, the API server and the Lease. */

enum { READ_MS = 10 * 1000 };

static const char *world_node(void *aux, const char *uid)
{
	struct service *service = aux;

	return engine_pod_node(service->engine, uid);
}

bool service_leads(const struct service *service)
{
	struct engine_status status;

	engine_status(service->engine, &status);
	return status.leading && status.listed && lease_may_write(service->lease, loop_now_ms());
}

static bool world_leads(void *aux)
{
	return service_leads(aux);
}

static bool world_knows(void *aux)
{
	struct service *service = aux;
	struct engine_status status;

	engine_status(service->engine, &status);
	return status.synced;
}

struct visit {
	void (*visit)(void *aux, const struct webhook_attachment *attachment);
	void *aux;
	bool leads;
	bool records; /* they are written: what the leader gave is known here too, later */
};

static void on_attachment(void *aux, const struct attachment_view *view)
{
	const struct visit *visit = aux;
	struct webhook_attachment attachment = {
		.index = view->index,
		.interface = view->interface,
		.config_name = view->config_name,
		.has_guid = view->has_guid || (!visit->leads && view->recorded),
		.guid = view->guid,
		.pkey_text = view->pkey_text,
		.n_memberships = view->n_memberships,
		.reason = view->blocked_reason,
		.text = view->blocked_text,
		.refused = view->refused,
	};

	_Static_assert(sizeof attachment.memberships == sizeof view->memberships, "as many memberships");
	/* A process that was stopped for a while may not know yet that another leads, which may have decided otherwise. */
	attachment.attachable = view->attachable && (visit->leads || view->recorded);
	memcpy(attachment.memberships, view->memberships, sizeof attachment.memberships);
	if (!attachment.reason && !attachment.attachable && !visit->leads && !visit->records) {
		attachment.reason = "NotLeader";
		attachment.text =
			"this replica does not lead, and without UFMSYNC_RECORD_KEY only the leader can answer";
	}
	visit->visit(visit->aux, &attachment);
}

static void world_each(void *aux, const char *uid,
		       void (*visit)(void *visit_aux, const struct webhook_attachment *attachment), void *visit_aux)
{
	struct service *service = aux;
	struct visit each = { .visit = visit,
			      .aux = visit_aux,
			      .leads = world_leads(aux),
			      .records = service->record_keys || service->config->record_keys };

	engine_each_of_pod(service->engine, uid, on_attachment, &each);
}

static bool world_await(void *aux, const char *uid)
{
	struct service *service = aux;

	return engine_await(service->engine, uid, loop_now_ms());
}

static void world_await_no_more(void *aux, const char *uid)
{
	struct service *service = aux;

	engine_await_no_more(service->engine, uid);
}

static const char *world_leader(void *aux, bool *held)
{
	struct service *service = aux;

	*held = lease_is_held(service->lease, loop_now_ms());
	return lease_holder(service->lease);
}

/* --- a pod that the watch has not shown yet --- */

/* CNI knows a static pod by the hash of its manifest, and the API server by its mirror's uid. */
static bool is_asked_for(const struct pod *pod, const char *uid)
{
	return strcmp(pod->uid, uid) == 0 || (pod->static_uid && strcmp(pod->static_uid, uid) == 0);
}

static void on_pod_read(void *aux, const struct kube_reply *reply)
{
	struct service_request *request = aux;
	struct service *service = request->service;
	struct pod *pod = reply->error ? NULL : pod_from_json(reply->object);
	uint64_t ticket = request->id;

	request->http = NULL;
	if (!service->webhook) {
		pod_free(pod);
	} else if (pod && is_asked_for(pod, request->uid)) {
		char *uid = mem_dup(pod->uid), *node = mem_dup(pod->node);
		engine_pod_found(service->engine, pod, loop_now_ms());
		webhook_pod_read(service->webhook, ticket, WEBHOOK_READ_FOUND, uid, node);
		free(uid);
		free(node);
	} else {
		bool none = pod || reply->status == 404;
		pod_free(pod);
		webhook_pod_read(service->webhook, ticket, none ? WEBHOOK_READ_NONE : WEBHOOK_READ_FAILED, NULL, NULL);
	}
	service_request_free(request);
}

/* Both come from whoever asks, and make a path that is read with our rights. */
static bool is_object_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	return n > 0 && n <= 253 && text[n] == '\0' && text[0] != '.';
}

static void world_read(void *aux, const char *namespace, const char *name, const char *uid, uint64_t ticket)
{
	struct service *service = aux;
	struct kube_request_options options = {
		.operation = KUBE_GET_POD, .method = "GET", .timeout_ms = READ_MS, .done = on_pod_read
	};

	if (!is_object_name(namespace) || !is_object_name(name)) {
		webhook_pod_read(service->webhook, ticket, WEBHOOK_READ_NONE, NULL, NULL);
		return;
	}
	struct service_request *request = service_request_new(service, ticket, uid);
	char *path = mem_printf("/api/v1/namespaces/%s/pods/%s", namespace, name);
	options.path = path;
	options.aux = request;
	request->http = kube_send(service->kube, &options);
	free(path);
}

/* --- the log --- */

static void on_said(void *aux, enum webhook_notice what, const char *detail)
{
	static const char *const ids[] = {
		[WEBHOOK_UNAUTHENTICATED] = "ATTACH_UNAUTHENTICATED", [WEBHOOK_FORBIDDEN] = "ATTACH_FORBIDDEN",
		[WEBHOOK_WRONG_NODE] = "ATTACH_WRONG_NODE",           [WEBHOOK_BAD_REQUEST] = "ATTACH_BAD_REQUEST",
		[WEBHOOK_TOO_MANY_OF_NODE] = "ATTACH_NODE_BUSY",      [WEBHOOK_TOO_MANY] = "ATTACH_BUSY",
		[WEBHOOK_UNAVAILABLE] = "ATTACH_UNAVAILABLE",
	};
	struct service *service = aux;

	_Static_assert(array_length(ids) == array_length(service->attach_limits), "a limit each");
	log_limited(&service->attach_limits[what], 5, LOG_WARN, ids[what], NULL, "%s", detail);
}

/* --- life --- */

void service_attach_start(struct service *service)
{
	const struct webhook_world world = {
		.node = world_node,
		.each = world_each,
		.await = world_await,
		.await_no_more = world_await_no_more,
		.read = world_read,
		.leads = world_leads,
		.knows = world_knows,
		.leader = world_leader,
		.aux = service,
	};
	struct webhook_options options = {
		.world = &world,
		.users = (const char *const *)service->config->attach_users,
		.timeout_ms = service->config->attach_timeout_ms,
		.waiting_max = service->config->attach_waiting_max,
		.per_node_max = service->config->attach_per_node_max,
		.said = on_said,
		.aux = service,
	};

	service->access = kube_access_new(service->loop, service->kube);
	options.access = service->access;
	service->webhook = webhook_new(service->loop, &options);
}

void service_attach_stop(struct service *service)
{
	struct webhook *webhook = service->webhook;

	service->webhook = NULL; /* what comes from now on is answered by the port itself */
	webhook_free(webhook);
	kube_access_free(service->access);
	service->access = NULL;
}
