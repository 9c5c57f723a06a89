#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "ufmsync/service_parts.h"

/* /healthz: the loop turns, else nobody would answer.  /readyz: pods, networks and namespaces are known; a standby is
 * ready too, and a fabric manager that is away makes nobody unready.  /metrics: Prometheus text format. */

enum { ANSWER_MAX = 64 * 1024 };

static void metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static void outcomes(struct buf *out, const char *name, const char *help, const char *const *labels,
		     const uint64_t *values)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
	for (size_t i = 0; labels[i]; i++)
		buf_printf(out, "%s{outcome=\"%s\"} %" PRIu64 "\n", name, labels[i], values[i]);
}

static void attach_metrics(const struct service *service, struct buf *out)
{
	static const char *const labels[] = { "attached",    "refused",     "timed_out", "unauthenticated",
					      "forbidden",   "bad_request", "node_busy", "busy",
					      "unavailable", "client_left", NULL };
	struct webhook_counts counts = { 0 };
	uint64_t reviews = 0, kept = 0;

	if (service->webhook)
		webhook_counts(service->webhook, &counts);
	if (service->access)
		kube_access_counts(service->access, &reviews, &kept);
	metric(out, "ufmsync_attach_waiting", "gauge", "CNI plugins that wait for their membership.", counts.waiting);
	outcomes(out, "ufmsync_attach_requests_total", "Requests of CNI plugins by how they ended.", labels,
		 (const uint64_t[]){ counts.attached, counts.refused, counts.timed_out, counts.unauthenticated,
				     counts.forbidden, counts.bad, counts.too_many_node, counts.too_many,
				     counts.unavailable, counts.gone });
	outcomes(out, "ufmsync_api_requests_total", "Questions of operators by how they ended.",
		 (const char *const[]){ "answered", "refused", "failed", NULL },
		 (const uint64_t[]){ service->counts.api_answered, service->counts.api_refused,
				     service->counts.api_failed });
	metric(out, "ufmsync_access_reviews_total", "counter", "Reviews of tokens that the API server was asked for.",
	       reviews);
	metric(out, "ufmsync_access_kept_total", "counter", "Checks of tokens that a kept answer served.", kept);
	buf_text(out, "# HELP ufmsync_https_refused_total Requests and connections that the https port refused.\n"
		      "# TYPE ufmsync_https_refused_total counter\n");
	buf_printf(out,
		   "ufmsync_https_refused_total{why=\"body\"} %" PRIu64
		   "\nufmsync_https_refused_total{why=\"headers\"} %" PRIu64
		   "\nufmsync_https_refused_total{why=\"connections\"} %" PRIu64 "\n",
		   service->counts.https_body_too_large, service->counts.https_headers_too_large,
		   service->counts.https_too_many);
	if (service->https)
		buf_printf(out,
			   "# HELP ufmsync_https_certificate_expiry_timestamp_seconds Until when the https certificate "
			   "is valid.\n# TYPE ufmsync_https_certificate_expiry_timestamp_seconds gauge\n"
			   "ufmsync_https_certificate_expiry_timestamp_seconds %" PRId64 "\n",
			   service->tls_not_after_s);
}

static void metrics(const struct service *service, struct buf *out)
{
	static const char *const two[] = { "ok", "failed", NULL };
	static const char *const four[] = { "ok", "stale", "refused", "failed", NULL };
	struct engine_status status;

	engine_status(service->engine, &status);
	buf_text(out, "# HELP ufmsync_build_info Version of this program.\n# TYPE ufmsync_build_info gauge\n"
		      "ufmsync_build_info{version=\"" UFMSYNC_VERSION "\"} 1\n");
	buf_text(out, "# HELP ufmsync_attachments Attachments by state.\n# TYPE ufmsync_attachments gauge\n");
	for (int state = 0; state < ATTACHMENT_STATES; state++)
		buf_printf(out, "ufmsync_attachments{state=\"%s\"} %" PRIu64 "\n",
			   attachment_state_name((enum attachment_state)state), status.attachments[state]);
	metric(out, "ufmsync_attachments_blocked", "gauge", "Attachments that wait for a network, a PKey or a GUID.",
	       status.blocked);
	metric(out, "ufmsync_leader", "gauge", "1 when this replica leads.", status.leading);
	metric(out, "ufmsync_listed", "gauge", "1 once the fabric manager's complete list was read.", status.listed);
	metric(out, "ufmsync_settled", "gauge", "1 once orphans may be removed.", status.settled);
	metric(out, "ufmsync_brake", "gauge", "0 orphans are removed, 1 not settled yet, 2 latched.",
	       (uint64_t)status.brake);
	metric(out, "ufmsync_orphans", "gauge", "Members of our range that no pod owns.", status.orphans);
	metric(out, "ufmsync_foreign_members", "gauge", "Members of our range that another writer keeps.",
	       status.foreign);
	metric(out, "ufmsync_members_missing", "gauge", "Memberships that the last list did not show.", status.missing);
	metric(out, "ufmsync_networks_ungated", "gauge", "Networks in use that let pods start before they are members.",
	       status.ungated);
	metric(out, "ufmsync_pool_guids", "gauge", "Size of the GUID range.", status.pool.size);
	metric(out, "ufmsync_pool_held_guids", "gauge", "GUIDs that attachments hold.", status.pool.held);
	metric(out, "ufmsync_pool_resting_guids", "gauge", "GUIDs that rest before their next use.",
	       status.pool.resting);
	metric(out, "ufmsync_pool_blocked_guids", "gauge", "GUIDs that others use.", status.pool.blocked);
	outcomes(out, "ufmsync_fabric_writes_total", "Writes to the fabric manager.", two,
		 (const uint64_t[]){ service->counts.write_ok, service->counts.write_failed });
	outcomes(out, "ufmsync_fabric_lists_total", "Lists read from the fabric manager.", two,
		 (const uint64_t[]){ service->counts.list_ok, service->counts.list_failed });
	outcomes(out, "ufmsync_pod_patches_total", "Patches of pods' annotations.", four,
		 (const uint64_t[]){ service->counts.patch_ok, service->counts.patch_stale,
				     service->counts.patch_refused, service->counts.patch_failed });
	buf_printf(out,
		   "# HELP ufmsync_loop_turn_seconds_max Processor time of the event loop's longest turn.\n"
		   "# TYPE ufmsync_loop_turn_seconds_max gauge\nufmsync_loop_turn_seconds_max %.6f\n",
		   (double)loop_longest_turn_ns(service->loop) / 1e9);
	metric(out, "ufmsync_loop_long_turns_total", "counter",
	       "Turns of the event loop that took more than 2 ms of processor time.", loop_long_turns(service->loop));
	metric(out, "ufmsync_loop_turns_total", "counter", "Turns of the event loop.", service->counts.turns);
	attach_metrics(service, out);
	service_opensm_metrics(service, out);
	metric(out, "ufmsync_events_dropped_total", "counter", "Events that were not sent, too many being under way.",
	       service->events ? kube_events_dropped(service->events) : 0);
}

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
		metrics(service, &body);
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
