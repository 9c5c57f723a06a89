#pragma once

/* What the files service*.c share; nobody else includes this. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/net/httpd.h"
#include "base/net/loop.h"
#include "cni/webhook/webhook.h"
#include "pkey/backend.h"
#include "ufmsync/config.h"
#include "ufmsync/engine.h"
#include "ufmsync/kube/access.h"
#include "ufmsync/kube/client.h"
#include "ufmsync/kube/event.h"
#include "ufmsync/kube/lease.h"
#include "ufmsync/kube/watch.h"
#include "ufmsync/process_stats.h"
#include "ufmsync/service.h"
#include "ufmsync/tls_files.h"

/* What is watched: only bound pods that have not finished, as what else there is would be read for nothing. */
#define SERVICE_PODS_PATH       "/api/v1/pods"
#define SERVICE_PODS_SELECTOR   "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
#define SERVICE_NETWORKS_PATH   "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"
#define SERVICE_NAMESPACES_PATH "/api/v1/namespaces"

#define SERVICE_LEASE_NAME  "ufmsync-leader"
#define SERVICE_SETTLED_KEY "ufmsync.io/settled" /* an annotation of the Lease */
/* What an operator writes there to say: I have looked at the orphans, remove them. */
#define SERVICE_SETTLED_CONFIRM "confirm"
/* Whether the annotation says that this cluster was settled, with this range of GUIDs; NULL is fine. */
bool service_says_settled(const struct engine_options *options, const char *annotation);

enum { WEBHOOK_NOTICES = WEBHOOK_UNAVAILABLE + 1 };
enum service_kind { SERVICE_PODS, SERVICE_NETWORKS, SERVICE_NAMESPACES, SERVICE_KINDS };

struct service_metrics {
	struct histogram fabric[PKEY_OPERATIONS][CALL_OUTCOMES];
	struct histogram kube[KUBE_OPERATIONS][CALL_OUTCOMES];
	struct engine_tally tally; /* of all engines, one after the other */
	struct process_stats *process;
	int64_t ufm_not_after_s, ufm_client_not_after_s; /* certificates in use; 0: none, or not known */
};

struct service {
	struct loop *loop;
	const struct config *config;
	struct kube_config *kube_config;
	struct kube *kube, *lease_kube;
	struct kube_watch *watches[SERVICE_KINDS];
	struct kube_events *events;
	struct lease *lease;
	struct pkey_backend *backend;
	struct service_opensm *opensm;   /* NULL: another backend */
	struct secrets *secrets;         /* as last taken up; NULL: those of the settings */
	struct record_keys *record_keys; /* as last taken up; NULL: those of the config */
	struct httpd *health;
	struct httpd *https;         /* NULL, as the next three, when the port is not opened */
	struct tls_files *tls_files; /* of https */
	struct kube_access *access;
	struct webhook *webhook; /* NULL again once the service stops */
	struct service_api *api; /* NULL when the port is not opened */

	struct engine *engine;
	uint64_t generation;              /* of the engine: answers to an earlier one are dropped */
	struct service_request *requests; /* under way */
	bool writing;                     /* a write to the fabric manager is under way */
	unsigned patching;                /* patches of pods under way */
	bool confirmed;                   /* what stands on the Lease has been acted on */
	bool stopping;
	int64_t answered_by; /* of a clean end: no longer are the https port's last answers waited for */
	int64_t tls_not_after_s;
	unsigned https_connections_max;
	enum engine_brake brake;     /* as last logged */
	bool fabric_trouble, listed; /* as last logged */
	char *fabric_error;          /* what failed last, if nothing has succeeded since; else NULL */
	int64_t fabric_error_wall_ms;
	bool synced, led;                /* as last seen; led: by whichever replica */
	struct loop_timer deadline;      /* of the engine */
	struct loop_timer stop_timer;    /* of a clean end */
	struct loop_timer secrets_timer; /* looks for rotated credentials */
	struct loop_timer tls_timer;     /* and for a renewed certificate */
	struct log_limit write_limit, list_limit, kube_limit, patch_limit, event_limit, event_refused_limit,
		secrets_limit, back_limit;
	struct log_limit https_body_limit, https_headers_limit, https_connections_limit;
	struct log_limit attach_limits[WEBHOOK_NOTICES];

	struct {
		uint64_t write_ok, write_failed, list_ok, list_failed, patch_ok, patch_stale, patch_refused,
			patch_failed;
		uint64_t turns;
		uint64_t api_answered, api_refused, api_failed; /* 2xx, 4xx, 5xx to operators */
		uint64_t https_body_too_large, https_headers_too_large, https_too_many;
	} counts;
	struct service_metrics metrics;
};

/* service_facts.c: what is watched reaches the engine. */
void service_watch(struct service *service);
void service_read_pod(struct service *service, uint64_t id, const char *namespace, const char *name, const char *uid);

/* service_actions.c: what the engine wants is carried out. */
void service_act(struct service *service, const struct engine_action *action);
void service_event_trouble(void *aux, const struct error *err); /* of kube_events_on_trouble() */
void service_cancel_requests(struct service *service);
void service_cancel_patches(struct service *service);

/* A request to the API server or the fabric manager on behalf of the engine. */
struct service_request {
	struct service *service;
	struct service_request *next, **slot;
	uint64_t generation, id;
	struct http_request *http; /* to the API server; else NULL */
	char *uid;                 /* of the pod that is read or patched; else NULL */
	bool patch;                /* of a pod */
	bool join;                 /* of a write: join, else leave */
	struct pkey pkey;
	size_t n;
};
struct service_request *service_request_new(struct service *service, uint64_t id, const char *uid);
void service_request_free(struct service_request *request);
bool service_request_is_current(const struct service_request *request);

/* service_secrets.c: from now on. */
void service_look_for_secrets(struct service *service);

/* service_health.c */
int service_health_start(struct service *service, struct error *err);

/* service_metrics.c */
void service_metrics_start(struct service *service); /* the backend and the clients are there, and were not used yet */
void service_metrics_free(struct service *service);
void service_metrics_write(const struct service *service, struct buf *out);

/* service_opensm.c: what the backend for OpenSM needs besides; nothing with another one. */
int service_opensm_start(struct service *service, struct error *err);
void service_opensm_free(struct service *service);
void service_opensm_look(struct service *service); /* is the site in order?  soon, and later from time to time */
int service_opensm_set_secrets(struct service *service, const struct secrets *fresh, struct error *err);
void service_opensm_metrics(const struct service *service, struct buf *out);

/* service_https.c: the port of CNI plugins, when certificate and key are set. */
int service_https_start(struct service *service, struct error *err);
bool service_https_is_idle(const struct service *service); /* everybody has been answered */
void service_https_free(struct service *service);

/* service_api.c: what operators ask at the https port. */
void service_api_start(struct service *service);
void service_api_stop(struct service *service); /* who waits is answered 503 */
void service_api_free(struct service *service); /* the backend and the port are freed before */
void service_api_handle(struct service *service, struct httpd_request *http);
void service_api_gone(struct httpd_request *http);

/* service_attach.c: what the webhook knows of the world. */
/* The leader has read everything it must, and nobody else can lead yet. */
bool service_leads(const struct service *service);
void service_attach_start(struct service *service);
void service_attach_stop(struct service *service); /* who waits is answered 503 */
