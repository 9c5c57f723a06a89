#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ufmsync/service_parts.h"

enum { PATCH_MAX = 2 << 20 }; /* bytes; the API server takes 3 MiB */

struct service_request *service_request_new(struct service *service, uint64_t id, const char *uid)
{
	struct service_request *request = mem_alloc(sizeof *request);

	request->service = service;
	request->generation = service->generation;
	request->id = id;
	request->uid = mem_dup(uid);
	request->next = service->requests;
	request->slot = &service->requests;
	if (request->next)
		request->next->slot = &request->next;
	service->requests = request;
	return request;
}

void service_request_free(struct service_request *request)
{
	*request->slot = request->next;
	if (request->next)
		request->next->slot = request->slot;
	free(request->uid);
	free(request);
}

bool service_request_is_current(const struct service_request *request)
{
	return request->generation == request->service->generation;
}

void service_cancel_requests(struct service *service)
{
	while (service->requests) {
		if (service->requests->http)
			http_cancel(service->requests->http);
		service_request_free(service->requests);
	}
}

/* Nothing of ours goes to pods when the Lease may be another's.  A patch that has been sent may still be carried out: its
 * tests see to it that the pod then is as we knew it. */
void service_cancel_patches(struct service *service)
{
	struct service_request *next;

	for (struct service_request *request = service->requests; request; request = next) {
		next = request->next;
		if (!request->patch)
			continue;
		http_cancel(request->http);
		service->patching--;
		service_request_free(request);
	}
}

static void fabric_state(struct service *service, const struct error *err)
{
	bool trouble = err && err->kind != ERROR_INVALID && err->kind != ERROR_GONE;

	if (!err && service->fabric_trouble)
		log_limited(&service->back_limit, 10, LOG_INFO, "FABRIC_BACK", NULL,
			    "the fabric manager answers again");
	if (trouble != service->fabric_trouble)
		service_opensm_look(service); /* which says why, and when it is over */
	service->fabric_trouble = trouble;
	if (err && !trouble)
		return; /* it answers, and refuses one request */
	free(service->fabric_error);
	service->fabric_error = err ? mem_dup(err->text) : NULL;
	service->fabric_error_wall_ms = loop_wall_ms();
}

static const char *fabric_error_id(const struct error *err)
{
	switch (err->kind) {
	case ERROR_AUTH:
		return "FABRIC_LOGIN_REFUSED";
	case ERROR_INVALID:
	case ERROR_GONE:
		return "FABRIC_REFUSED";
	default:
		return "FABRIC_UNREACHABLE";
	}
}

static void on_write_done(void *aux, const struct error *err)
{
	struct service_request *request = aux;
	struct service *service = request->service;
	char pkey[PKEY_TEXT_MAX];

	service->writing = false;
	fabric_state(service, err);
	if (err) {
		service->counts.write_failed++;
		log_limited(&service->write_limit, 10, LOG_WARN, fabric_error_id(err),
			    LOG_FIELDS({ "pkey", pkey_format(pkey, request->pkey) },
				       { "kind", error_kind_name(err->kind) }),
			    "%s %zu GUIDs: %s", request->join ? "join" : "remove", request->n, err->text);
	} else {
		service->counts.write_ok++;
		log_say(LOG_DEBUG, "WRITTEN", LOG_FIELDS({ "pkey", pkey_format(pkey, request->pkey) }),
			"%s %zu GUIDs: accepted", request->join ? "join" : "remove", request->n);
	}
	if (service_request_is_current(request))
		engine_write_done(service->engine, request->id, err, loop_now_ms());
	service_request_free(request);
}

/* The one place from which a write goes to the fabric manager, and with it the time from which on the Lease may be
 * another's: the backend looks at the clock again as the last thing before bytes leave, since the process may be stopped,
 * or a connection take long, in between. */
static void act_write(struct service *service, const struct engine_action *action)
{
	int64_t now = loop_now_ms();
	struct error err = { 0 };

	if (service->writing || service->stopping || !lease_may_write(service->lease, now)) {
		error_set(&err, ERROR_RETRY, "%s",
			  service->writing    ? "a write of before is still under way"
			  : service->stopping ? "the service is stopping"
					      : "the Lease may be another's by now");
		engine_write_done(service->engine, action->id, &err, now);
		return;
	}
	struct service_request *request = service_request_new(service, action->id, NULL);
	request->join = action->kind == ENGINE_JOIN;
	request->pkey = action->write.class.pkey;
	request->n = action->write.n;
	service->writing = true;
	if (request->join)
		service->backend->class->join(service->backend, action->write.class, action->write.guids,
					      action->write.n, lease_write_by(service->lease), on_write_done, request);
	else
		service->backend->class->leave(service->backend, action->write.class.pkey, action->write.guids,
					       action->write.n, lease_write_by(service->lease), on_write_done, request);
}

static void on_member(void *aux, struct pkey pkey, const struct member *member)
{
	struct service_request *request = aux;

	if (service_request_is_current(request))
		engine_listed_member(request->service->engine, request->id, pkey, member);
}

static void on_list_done(void *aux, const struct error *err)
{
	struct service_request *request = aux;
	struct service *service = request->service;

	fabric_state(service, err);
	if (err) {
		service->counts.list_failed++;
		log_limited(&service->list_limit, 10, LOG_WARN, fabric_error_id(err),
			    LOG_FIELDS({ "kind", error_kind_name(err->kind) }), "list members: %s", err->text);
	} else {
		service->counts.list_ok++;
	}
	if (service_request_is_current(request))
		engine_list_done(service->engine, request->id, err, loop_now_ms());
	service_request_free(request);
}

static void act_list(struct service *service, const struct engine_action *action)
{
	struct service_request *request = service_request_new(service, action->id, NULL);
	struct pkey_list_sink sink = { .member = on_member, .done = on_list_done, .aux = request };

	service->backend->class->list(service->backend, action->list.all ? NULL : &action->list.pkey, &sink);
}

static enum engine_patched patched(struct service *service, const struct kube_reply *reply)
{
	switch (kube_patch_result(reply)) {
	case KUBE_PATCH_DONE:
		service->counts.patch_ok++;
		return ENGINE_PATCHED;
	case KUBE_PATCH_STALE:
		service->counts.patch_stale++;
		return ENGINE_PATCH_STALE;
	case KUBE_PATCH_REFUSED:
		service->counts.patch_refused++;
		return ENGINE_PATCH_REFUSED;
	case KUBE_PATCH_GONE:
		return ENGINE_PATCH_GONE;
	case KUBE_PATCH_RETRY:
		break;
	}
	service->counts.patch_failed++;
	log_limited(&service->patch_limit, 5, LOG_WARN,
		    reply->error->kind == ERROR_AUTH ? "KUBE_FORBIDDEN" : "KUBE_UNREACHABLE", NULL, "%s",
		    reply->error->text);
	return ENGINE_PATCH_RETRY;
}

static void on_patched(void *aux, const struct kube_reply *reply)
{
	struct service_request *request = aux;
	struct service *service = request->service;
	enum engine_patched how = patched(service, reply);

	service->patching--;
	request->http = NULL;
	if (service_request_is_current(request))
		engine_patch_done(service->engine, request->id, how, reply->error ? reply->error->text : NULL,
				  loop_now_ms());
	service_request_free(request);
}

static void act_patch(struct service *service, const struct engine_action *action)
{
	const struct pod *pod = action->patch.pod;
	struct error err = { 0 };
	struct buf patch;

	if (service->stopping || !lease_may_write(service->lease, loop_now_ms())) {
		engine_patch_done(service->engine, action->id, ENGINE_PATCH_RETRY, NULL, loop_now_ms());
		return;
	}
	buf_init(&patch, PATCH_MAX);
	if (pod_patch(&patch, pod, action->patch.publications, action->patch.n, action->patch.record, &err) < 0) {
		engine_patch_done(service->engine, action->id, ENGINE_PATCH_REFUSED, err.text, loop_now_ms());
	} else if (patch.full) {
		engine_patch_done(service->engine, action->id, ENGINE_PATCH_REFUSED,
				  "the annotations are too large to patch", loop_now_ms());
	} else {
		char *path = mem_printf("/api/v1/namespaces/%s/pods/%s", pod->namespace, pod->name);
		struct service_request *request = service_request_new(service, action->id, pod->uid);
		struct kube_request_options options = {
			.operation = KUBE_PATCH_POD,
			.method = "PATCH",
			.path = path,
			.content_type = "application/json-patch+json",
			.body = patch.data,
			.body_len = patch.len,
			.send_by_ms = lease_write_by(service->lease),
			.timeout_ms = 10 * 1000,
			.metadata_only = true,
			.done = on_patched,
			.aux = request,
		};
		request->patch = true;
		request->http = kube_send(service->kube, &options);
		service->patching++;
		free(path);
	}
	buf_free(&patch);
}

static void act_event(struct service *service, const struct engine_action *action)
{
	struct kube_event event = {
		.namespace = action->event.namespace,
		.network = action->event.network,
		.name = action->event.name,
		.uid = action->event.uid,
		.warning = action->event.warning,
		.reason = action->event.reason,
		.note = action->event.text,
		.action = "Attach",
	};

	kube_events_say(service->events, &event);
	log_limited(&service->event_limit, 600, action->event.warning ? LOG_WARN : LOG_INFO,
		    event.network ? "NETWORK_EVENT" : "POD_EVENT",
		    LOG_FIELDS({ "namespace", event.namespace }, { event.network ? "network" : "pod", event.name },
			       { "reason", event.reason }),
		    "%s", event.note);
}

void service_event_trouble(void *aux, const struct error *err)
{
	struct service *service = aux;

	if (!err)
		log_say(LOG_INFO, "KUBE_BACK", NULL, "Events are written again");
	else if (err->kind == ERROR_AUTH)
		log_say(LOG_WARN, "KUBE_FORBIDDEN", NULL,
			"Events cannot be written, nobody sees on a pod why it waits: %s; the ClusterRole must allow "
			"create and patch on events of events.k8s.io",
			err->text);
	else
		log_limited(&service->event_refused_limit, 5, LOG_WARN, "EVENT_REFUSED",
			    LOG_FIELDS({ "kind", error_kind_name(err->kind) }), "an Event was refused: %s", err->text);
}

void service_act(struct service *service, const struct engine_action *action)
{
	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		act_write(service, action);
		return;
	case ENGINE_LIST:
		act_list(service, action);
		return;
	case ENGINE_PATCH:
		act_patch(service, action);
		return;
	case ENGINE_READ_POD:
		service_read_pod(service, action->id, action->read_pod.namespace, action->read_pod.name,
				 action->read_pod.uid);
		return;
	case ENGINE_LIST_PODS:
		kube_watch_restart(service->watches[SERVICE_PODS]);
		return;
	case ENGINE_POD_CHANGED:
		if (service->webhook)
			webhook_pod_changed(service->webhook, action->pod_changed.uid); /* only takes note of it */
		return;
	case ENGINE_EVENT:
		act_event(service, action);
		return;
	}
}
