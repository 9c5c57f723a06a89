#include <stdio.h>

#include "base/mem.h"
#include "ufmsync/metrics.h"
#include "ufmsync/service_parts.h"

/* What /metrics tells: gauges as they are at that moment, and what was counted since the process began.  Every label has
 * a fixed set of values, and each of them is there from the start, with 0. */

enum { LABELS_MAX = 96 };

/* --- measuring --- */

/* UFM_TIMEOUT is 10 s by default, and so are most others. */
static const uint32_t call_bounds_ms[] = { 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 0 };

static void fabric_ended(void *aux, enum pkey_operation operation, enum call_outcome outcome, int64_t ms)
{
	struct service *service = aux;

	histogram_add(&service->metrics.fabric[operation][outcome], ms);
}

static void kube_ended(void *aux, enum kube_operation operation, enum call_outcome outcome, int64_t ms)
{
	struct service *service = aux;

	histogram_add(&service->metrics.kube[operation][outcome], ms);
}

void service_metrics_start(struct service *service)
{
	struct service_metrics *metrics = &service->metrics;
	const struct kube_observer observer = { kube_ended, service };

	for (int outcome = 0; outcome < CALL_OUTCOMES; outcome++) {
		for (int operation = 0; operation < PKEY_OPERATIONS; operation++)
			histogram_init(&metrics->fabric[operation][outcome], call_bounds_ms);
		for (int operation = 0; operation < KUBE_OPERATIONS; operation++)
			histogram_init(&metrics->kube[operation][outcome], call_bounds_ms);
	}
	engine_tally_init(&metrics->tally);
	metrics->process = process_stats_new(service->loop);
	service->backend->observer = (struct pkey_observer){ fabric_ended, service };
	kube_observe(service->kube, &observer);
	kube_observe(service->lease_kube, &observer);
}

void service_metrics_free(struct service *service)
{
	process_stats_free(service->metrics.process);
}

/* --- attachments and their GUIDs --- */

static void attachment_metrics(const struct service *service, const struct engine_status *status, struct buf *out)
{
	char labels[LABELS_MAX];

	metrics_head(out, "ufmsync_attachments", "gauge", "Attachments by state.");
	for (int state = 0; state < ATTACHMENT_STATES; state++) {
		snprintf(labels, sizeof labels, "state=\"%s\"", attachment_state_name((enum attachment_state)state));
		metrics_sample(out, "ufmsync_attachments", labels, status->attachments[state]);
	}
	metrics_gauge(out, "ufmsync_attachments_blocked", "Attachments that wait for a network, a PKey or a GUID.",
		      status->blocked);
	metrics_head(out, "ufmsync_attachment_member_seconds", "histogram",
		     "From when a pod's attachment was seen, and what it needs was there, until it was a member.");
	metrics_sample_histogram(out, "ufmsync_attachment_member_seconds", "", &service->metrics.tally.member);
	metrics_head(out, "ufmsync_attachment_published_seconds", "histogram",
		     "From when a pod's attachment was seen, and what it needs was there, until its annotation was "
		     "written.");
	metrics_sample_histogram(out, "ufmsync_attachment_published_seconds", "", &service->metrics.tally.published);
	metrics_gauge(out, "ufmsync_networks_ungated", "Networks in use that let pods start before they are members.",
		      status->ungated);
	metrics_gauge(out, "ufmsync_node_pkeys_max",
		      "Distinct PKeys of the node that has most, the default partition among them; a port holds 128.",
		      status->node_pkeys_max);
	metrics_gauge(out, "ufmsync_nodes_over_pkey_limit", "Nodes with more PKeys than a port's table holds.",
		      status->nodes_over);
	metrics_gauge(out, "ufmsync_pool_guids", "Size of the GUID range.", status->pool.size);
	metrics_gauge(out, "ufmsync_pool_held_guids", "GUIDs that attachments hold.", status->pool.held);
	metrics_gauge(out, "ufmsync_pool_resting_guids", "GUIDs that rest before their next use.",
		      status->pool.resting);
	metrics_gauge(out, "ufmsync_pool_blocked_guids", "GUIDs that others use.", status->pool.blocked);
}

/* --- what the fabric manager lists, against what attachments want --- */

static void member_metrics(const struct service *service, const struct engine_status *status, struct buf *out)
{
	const struct engine_tally *tally = &service->metrics.tally;
	int64_t now = loop_now_ms(), audit_ms = 0;

	if (status->last_audit >= 0)
		audit_ms = loop_wall_ms() - (now - status->last_audit);
	metrics_gauge(out, "ufmsync_leader", "1 when this replica leads.", status->leading);
	metrics_gauge(out, "ufmsync_listed", "1 once the fabric manager's complete list was read.", status->listed);
	metrics_gauge(out, "ufmsync_settled", "1 once orphans may be removed.", status->settled);
	metrics_gauge(out, "ufmsync_brake", "0 orphans are removed, 1 not settled yet, 2 latched.",
		      (uint64_t)status->brake);
	metrics_gauge(out, "ufmsync_members_wanted", "Memberships that attachments have or are to get.",
		      status->wanted);
	metrics_gauge(out, "ufmsync_members_missing", "Of them, those that were lost and are being put back.",
		      status->missing);
	metrics_gauge(out, "ufmsync_members_unexpected",
		      "Members with an attachment's GUID in a PKey that the attachment is not in.", status->unexpected);
	metrics_gauge(out, "ufmsync_orphans", "Members of our range that no pod owns.", status->orphans);
	metrics_gauge(out, "ufmsync_foreign_members", "Members of our range that another writer keeps.",
		      status->foreign);
	metrics_counters(out, "ufmsync_audits_total", "Comparisons with the fabric manager's complete list.", "outcome",
			 (const char *const[]){ "ok", "failed", NULL },
			 (const uint64_t[]){ tally->audits_ok, tally->audits_failed });
	metrics_counters(out, "ufmsync_audit_repairs_total",
			 "Lost memberships that are listed again, and members without a pod that were removed.", "kind",
			 (const char *const[]){ "joined", "removed", NULL },
			 (const uint64_t[]){ tally->joined, tally->removed });
	metrics_head(out, "ufmsync_last_audit_timestamp_seconds", "gauge",
		     "When the last comparison with a complete list ended; 0 never.");
	metrics_sample_ms(out, "ufmsync_last_audit_timestamp_seconds", "", audit_ms);
}

static void queue_metrics(const struct engine_status *status, struct buf *out)
{
	int64_t age_ms = status->oldest < 0 ? 0 : loop_now_ms() - status->oldest;

	metrics_head(out, "ufmsync_queue_length", "gauge",
		     "Memberships that wait to be joined or left, and pods whose annotation is to be written.");
	metrics_sample(out, "ufmsync_queue_length", "kind=\"join\"", status->to_join);
	metrics_sample(out, "ufmsync_queue_length", "kind=\"leave\"", status->to_leave);
	metrics_sample(out, "ufmsync_queue_length", "kind=\"patch\"", status->to_patch);
	metrics_head(out, "ufmsync_queue_oldest_seconds", "gauge",
		     "For how long the oldest attachment has been on its way to being published, or out; 0 none is.");
	metrics_sample_ms(out, "ufmsync_queue_oldest_seconds", "", age_ms);
}

/* --- requests to others --- */

/* An operation is left out with a NULL name, an outcome by `never`: those that this system cannot give. */
static void call_metrics(struct buf *out, const char *name, const char *const *operations, int n_operations,
			 const struct histogram (*calls)[CALL_OUTCOMES], unsigned never)
{
	char labels[LABELS_MAX];

	for (int operation = 0; operation < n_operations; operation++)
		for (int outcome = 0; outcome < CALL_OUTCOMES; outcome++) {
			if (!operations[operation] || never >> outcome & 1)
				continue;
			snprintf(labels, sizeof labels, "operation=\"%s\",outcome=\"%s\"", operations[operation],
				 call_outcome_name((enum call_outcome)outcome));
			metrics_sample_histogram(out, name, labels, &calls[operation][outcome]);
		}
}

static void fabric_metrics(const struct service *service, struct buf *out)
{
	static const char *const two[] = { "ok", "failed", NULL };
	const char *names[PKEY_OPERATIONS];
	unsigned every = (1u << CALL_OUTCOMES) - 1;
	unsigned of_files = 1u << CALL_OK | 1u << CALL_REFUSED | 1u << CALL_FORBIDDEN | 1u << CALL_UNAVAILABLE;

	metrics_counters(out, "ufmsync_fabric_writes_total", "Writes to the fabric manager.", "outcome", two,
			 (const uint64_t[]){ service->counts.write_ok, service->counts.write_failed });
	metrics_counters(out, "ufmsync_fabric_lists_total", "Lists read from the fabric manager.", "outcome", two,
			 (const uint64_t[]){ service->counts.list_ok, service->counts.list_failed });
	for (int operation = 0; operation < PKEY_OPERATIONS; operation++)
		names[operation] = pkey_operation_name((enum pkey_operation)operation);
	if (service->config->plugin == CONFIG_PLUGIN_UFM) {
		metrics_head(out, "ufmsync_ufm_request_duration_seconds", "histogram", "Requests to UFM.");
		call_metrics(out, "ufmsync_ufm_request_duration_seconds", names, PKEY_OPERATIONS,
			     service->metrics.fabric, 0);
	} else if (service->config->plugin == CONFIG_PLUGIN_OPENSM) {
		names[PKEY_LIST_PORTS] = NULL;
		metrics_head(out, "ufmsync_opensm_job_duration_seconds", "histogram",
			     "Jobs on OpenSM's partition file, its reload and the proof included.");
		call_metrics(out, "ufmsync_opensm_job_duration_seconds", names, PKEY_OPERATIONS,
			     service->metrics.fabric, every & ~of_files);
	}
	service_opensm_metrics(service, out);
}

static void watch_metrics(const struct service *service, struct buf *out)
{
	static const char *const labels[SERVICE_KINDS] = { [SERVICE_PODS] = "resource=\"pods\"",
							   [SERVICE_NETWORKS] = "resource=\"networks\"",
							   [SERVICE_NAMESPACES] = "resource=\"namespaces\"" };
	struct kube_watch_counts counts[SERVICE_KINDS];
	char both[LABELS_MAX];

	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		kube_watch_count(service->watches[kind], &counts[kind]);
	metrics_head(out, "ufmsync_watch_connected", "gauge", "1 while a watch is open.");
	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		metrics_sample(out, "ufmsync_watch_connected", labels[kind], counts[kind].connected);
	metrics_head(out, "ufmsync_watch_lists_total", "counter",
		     "Complete lists begun: the first, and again after each gap.");
	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		metrics_sample(out, "ufmsync_watch_lists_total", labels[kind], counts[kind].lists);
	metrics_head(out, "ufmsync_watch_expired_total", "counter",
		     "Times that the API server had forgotten where we were (410).");
	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		metrics_sample(out, "ufmsync_watch_expired_total", labels[kind], counts[kind].expired);
	metrics_head(out, "ufmsync_watch_ends_total", "counter",
		     "Watches by how they ended; ok when their time was over.");
	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		for (int outcome = 0; outcome < CALL_OUTCOMES; outcome++) {
			snprintf(both, sizeof both, "%s,outcome=\"%s\"", labels[kind],
				 call_outcome_name((enum call_outcome)outcome));
			metrics_sample(out, "ufmsync_watch_ends_total", both, counts[kind].ends[outcome]);
		}
}

static void kube_metrics(const struct service *service, struct buf *out)
{
	struct kube_events_counts events = kube_events_counts(service->events);
	const char *names[KUBE_OPERATIONS];

	for (int operation = 0; operation < KUBE_OPERATIONS; operation++)
		names[operation] = kube_operation_name((enum kube_operation)operation);
	names[KUBE_OTHER] = NULL;
	metrics_head(out, "ufmsync_kube_request_duration_seconds", "histogram",
		     "Requests to the API server, watches not among them.");
	call_metrics(out, "ufmsync_kube_request_duration_seconds", names, KUBE_OPERATIONS, service->metrics.kube, 0);
	metrics_counters(out, "ufmsync_pod_patches_total", "Patches of pods' annotations.", "outcome",
			 (const char *const[]){ "ok", "stale", "refused", "failed", NULL },
			 (const uint64_t[]){ service->counts.patch_ok, service->counts.patch_stale,
					     service->counts.patch_refused, service->counts.patch_failed });
	metrics_counters(out, "ufmsync_events_total", "Events on pods and networks by what became of them.", "outcome",
			 (const char *const[]){ "sent", "series", "dropped", "closed", "refused", "failed", NULL },
			 (const uint64_t[]){ events.created, events.series, events.dropped, events.closed,
					     events.refused, events.failed });
	watch_metrics(service, out);
}

/* --- who asks us --- */

static void https_metrics(const struct service *service, struct buf *out)
{
	struct webhook_counts counts = { 0 };
	uint64_t reviews = 0, kept = 0;

	if (service->webhook)
		webhook_counts(service->webhook, &counts);
	if (service->access)
		kube_access_counts(service->access, &reviews, &kept);
	metrics_gauge(out, "ufmsync_attach_waiting", "CNI plugins that wait for their membership.", counts.waiting);
	metrics_counters(out, "ufmsync_attach_requests_total", "Requests of CNI plugins by how they ended.", "outcome",
			 (const char *const[]){ "attached", "refused", "timed_out", "unauthenticated", "forbidden",
						"bad_request", "node_busy", "busy", "unavailable", "client_left",
						NULL },
			 (const uint64_t[]){ counts.attached, counts.refused, counts.timed_out, counts.unauthenticated,
					     counts.forbidden, counts.bad, counts.too_many_node, counts.too_many,
					     counts.unavailable, counts.gone });
	metrics_counters(out, "ufmsync_api_requests_total", "Questions of operators by how they ended.", "outcome",
			 (const char *const[]){ "answered", "refused", "failed", NULL },
			 (const uint64_t[]){ service->counts.api_answered, service->counts.api_refused,
					     service->counts.api_failed });
	metrics_counter(out, "ufmsync_access_reviews_total", "Reviews of tokens that the API server was asked for.",
			reviews);
	metrics_counter(out, "ufmsync_access_kept_total", "Checks of tokens that a kept answer served.", kept);
	metrics_counters(out, "ufmsync_https_refused_total", "Requests and connections that the https port refused.",
			 "why", (const char *const[]){ "body", "headers", "connections", NULL },
			 (const uint64_t[]){ service->counts.https_body_too_large,
					     service->counts.https_headers_too_large, service->counts.https_too_many });
}

static void certificate_metrics(const struct service *service, struct buf *out)
{
	static const char name[] = "ufmsync_certificate_expiry_timestamp_seconds";
	const struct service_metrics *metrics = &service->metrics;
	const struct {
		const char *labels;
		int64_t not_after_s;
	} all[] = {
		{ "certificate=\"https\"", service->https ? service->tls_not_after_s : 0 },
		{ "certificate=\"ufm\"", metrics->ufm_not_after_s },
		{ "certificate=\"ufm_client\"", metrics->ufm_client_not_after_s },
	};

	metrics_head(out, name, "gauge", "Until when the certificates are valid that are set; the first of each file.");
	for (size_t i = 0; i < array_length(all); i++)
		if (all[i].not_after_s > 0)
			metrics_sample(out, name, all[i].labels, (uint64_t)all[i].not_after_s);
}

/* --- the process --- */

static void process_metrics(const struct service *service, struct buf *out)
{
	struct process_figures figures;

	process_stats_read(service->metrics.process, &figures);
	metrics_head(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
	metrics_sample_ms(out, "process_cpu_seconds_total", "", figures.cpu_ms);
	metrics_gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.", figures.resident_bytes);
	metrics_gauge(out, "process_virtual_memory_bytes", "Virtual memory size in bytes.", figures.virtual_bytes);
	metrics_gauge(out, "process_open_fds", "Number of open file descriptors.", figures.open_files);
	metrics_gauge(out, "process_max_fds", "Maximum number of open file descriptors.", figures.open_files_max);
	metrics_head(out, "process_start_time_seconds", "gauge",
		     "Start time of the process since unix epoch in seconds.");
	metrics_sample_ms(out, "process_start_time_seconds", "", figures.started_wall_ms);
}

static void loop_metrics(const struct service *service, struct buf *out)
{
	metrics_head(out, "ufmsync_loop_turn_seconds_max", "gauge", "Processor time of the event loop's longest turn.");
	buf_printf(out, "ufmsync_loop_turn_seconds_max %.6f\n", (double)loop_longest_turn_ns(service->loop) / 1e9);
	metrics_counter(out, "ufmsync_loop_long_turns_total",
			"Turns of the event loop that took more than 2 ms of processor time.",
			loop_long_turns(service->loop));
	metrics_counter(out, "ufmsync_loop_turns_total", "Turns of the event loop.", service->counts.turns);
}

void service_metrics_write(const struct service *service, struct buf *out)
{
	struct engine_status status;

	engine_status(service->engine, &status);
	metrics_head(out, "ufmsync_build_info", "gauge", "Version of this program.");
	metrics_sample(out, "ufmsync_build_info", "version=\"" UFMSYNC_VERSION "\"", 1);
	attachment_metrics(service, &status, out);
	member_metrics(service, &status, out);
	queue_metrics(&status, out);
	fabric_metrics(service, out);
	kube_metrics(service, out);
	https_metrics(service, out);
	certificate_metrics(service, out);
	loop_metrics(service, out);
	process_metrics(service, out);
}
