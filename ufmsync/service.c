#include "ufmsync/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/mem.h"
#include "pkey/noop.h"
#include "pkey/ufm.h"
#include "ufmsync/service_parts.h"

enum {
	/* Then the loop looks at its descriptors again.  What an action starts costs more in the turns to come, so time
	 * alone would let too many start at once. */
	TURN_NS = 1000 * 1000,
	ACTIONS_A_TURN = 8,
	ANSWERS_MS = 1000,
	LINGER_MARGIN_MS = 500, /* a request's own deadline fires a little late */
};

static void pump(void *aux);

static uint64_t random_number(void)
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
		n = (uint64_t)loop_wall_ms() * 0x9e3779b97f4a7c15u;
	return n;
}

static void start_engine(struct service *service)
{
	struct engine_options options = service->config->engine;

	options.start = random_number();
	options.wall_offset_ms = loop_wall_ms() - loop_now_ms();
	if (service->record_keys)
		options.keys = service->record_keys;
	options.tally = &service->metrics.tally;
	engine_free(service->engine);
	service->engine = engine_new(&options);
	service->generation++;
	service->confirmed = false;
	if (service->webhook)
		webhook_world_renewed(service->webhook);
}

/* --- the Lease --- */

/* "settled" is true of one range of GUIDs only: with another range the next orphans are somebody else's. */
static void settled_prefix(const struct engine_options *options, char *out, size_t size)
{
	char first[GUID_TEXT_MAX], last[GUID_TEXT_MAX];

	snprintf(out, size, "%s-%s ", guid_format(first, options->first), guid_format(last, options->last));
}

bool service_says_settled(const struct engine_options *options, const char *annotation)
{
	char prefix[64];

	settled_prefix(options, prefix, sizeof prefix);
	return annotation && strncmp(annotation, prefix, strlen(prefix)) == 0;
}

/* Counts once: it stays on the Lease until a renewal has replaced it, and what the brake holds later nobody has seen. */
static void take_confirmation(struct service *service, const char *annotation)
{
	bool confirms = annotation && strcmp(annotation, SERVICE_SETTLED_CONFIRM) == 0;

	if (confirms && !service->confirmed) {
		engine_confirm(service->engine, loop_now_ms());
		log_say(LOG_INFO, "ORPHANS_CONFIRMED", NULL,
			"an operator confirmed: orphans are removed, the brake is off");
	}
	service->confirmed = confirms;
}

static void on_leading(void *aux, int64_t quiet_until, int64_t doubt_until, const char *annotation)
{
	struct service *service = aux;
	int64_t now = loop_now_ms();
	bool settled = service_says_settled(&service->config->engine, annotation);
	char wait[32];

	snprintf(wait, sizeof wait, "%" PRId64, quiet_until > now ? quiet_until - now : 0);
	log_say(LOG_INFO, "LEADING",
		LOG_FIELDS({ "identity", service->config->identity }, { "first_write_in_ms", wait },
			   { "settled", settled ? "yes" : "no" }),
		"this replica leads");
	engine_lead(service->engine, quiet_until, settled, now);
	engine_doubt(service->engine, doubt_until);
	take_confirmation(service, annotation);
	if (service->webhook)
		webhook_all_changed(service->webhook);
}

static void on_lost(void *aux)
{
	struct service *service = aux;

	service_cancel_patches(service);
	if (service->stopping)
		return;
	log_say(LOG_WARN, "LEADER_LOST", LOG_FIELDS({ "holder", lease_holder(service->lease) }),
		"the Lease could not be renewed in time; nothing is written until it is ours again");
	start_engine(service);
	kube_events_hush(service->events);
	service->listed = service->synced = false;
	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		kube_watch_restart(service->watches[kind]);
}

static const char *annotate(void *aux, const char *current)
{
	struct service *service = aux;
	static char value[128];
	char prefix[64], time[28];

	take_confirmation(service, current);
	if (!engine_is_settled(service->engine) || service_says_settled(&service->config->engine, current))
		return NULL;
	settled_prefix(&service->config->engine, prefix, sizeof prefix);
	json_micro_time(time, loop_wall_ms());
	snprintf(value, sizeof value, "%s%s", prefix, time);
	return value;
}

static void lease_trouble(void *aux, const struct error *err)
{
	struct service *service = aux;

	if (!err) {
		log_say(LOG_INFO, "LEASE_BACK", NULL, "the Lease can be read and renewed again");
		for (int kind = 0; kind < SERVICE_KINDS; kind++)
			kube_watch_hurry(service->watches[kind]);
	} else {
		log_limited(&service->kube_limit, 5, LOG_WARN,
			    err->kind == ERROR_AUTH ? "KUBE_FORBIDDEN" : "KUBE_UNREACHABLE",
			    LOG_FIELDS({ "kind", error_kind_name(err->kind) }), "Lease: %s", err->text);
	}
}

/* --- the engine's turn --- */

static void say_state(struct service *service)
{
	struct engine_status status;
	bool led = lease_is_held(service->lease, loop_now_ms());

	engine_status(service->engine, &status);
	if (status.listed && !service->listed) {
		char n[24];
		snprintf(n, sizeof n, "%" PRIu64, status.orphans);
		log_say(LOG_INFO, "READY", LOG_FIELDS({ "orphans", n }, { "settled", status.settled ? "yes" : "no" }),
			"pods and members are known; GUIDs are given from now on");
	}
	/* Before, there was nothing to tell those who wait; or nobody to send them to. */
	if (service->webhook &&
	    ((status.listed && !service->listed) || (status.synced && !service->synced) || (led && !service->led)))
		webhook_all_changed(service->webhook);
	service->listed = status.listed;
	service->synced = status.synced;
	service->led = led;
	if (!status.listed || status.brake == service->brake)
		return;
	service->brake = status.brake;
	if (status.brake == ENGINE_BRAKE_OFF)
		log_say(LOG_INFO, "ORPHANS_FREE", NULL, "orphans are removed again");
	else
		log_say(LOG_WARN, "ORPHANS_BRAKE", NULL,
			"%s; nothing is removed: see that no other cluster uses this GUID range, then confirm by "
			"setting the "
			"annotation " SERVICE_SETTLED_KEY "=" SERVICE_SETTLED_CONFIRM " on the Lease",
			status.brake == ENGINE_BRAKE_LATCHED
				? "more than 10 and more than a quarter of the GUIDs in our range "
				  "belong to no pod"
				: "members of our range that belong to no pod were there at the start");
}

/* Runs once at the end of each turn of the loop: what the turn brought is acted on.  One step at least is done, so that
 * a turn that took long by itself does not keep the engine waiting. */
static void pump(void *aux)
{
	struct service *service = aux;
	struct engine_action action;
	int64_t now = loop_now_ms();
	unsigned n = 0;
	bool more;

	service->counts.turns++;
	do {
		more = engine_next(service->engine, now, &action);
		if (more)
			service_act(service, &action);
	} while (more && ++n < ACTIONS_A_TURN && loop_turn_ns(service->loop) < TURN_NS);
	say_state(service);
	if (more) {
		loop_wake(service->loop);
		return;
	}
	int64_t deadline = engine_deadline(service->engine);
	if (deadline <= now)
		loop_wake(service->loop);
	else if (deadline < INT64_MAX)
		loop_timer_at(&service->deadline, deadline);
	else
		loop_timer_stop(&service->deadline);
}

static void on_deadline(struct loop_timer *timer)
{
	(void)timer; /* the turn's end does the work */
}

/* --- life --- */

/* The Lease has connections of its own, so that its renewal never waits for patches that the API server is slow with. */
static int start_kube(struct service *service, struct error *err)
{
	static const char agent[] = "ufmsyncd/" UFMSYNC_VERSION;

	if (kube_config_load(&service->kube_config, service->config->kubeconfig, NULL, err) < 0) {
		err->kind = ERROR_INVALID; /* a file that cannot be read is a bad setting too */
		return -1;
	}
	if (service->kube_config->insecure)
		log_say(LOG_WARN, "KUBE_INSECURE", LOG_FIELDS({ "from", service->kube_config->origin }),
			"insecure-skip-tls-verify: the API server's certificate is not verified");
	if (kube_new(&service->kube, service->loop, service->kube_config, agent, err) < 0)
		return -1;
	return kube_new(&service->lease_kube, service->loop, service->kube_config, agent, err);
}

static int start_backend(struct service *service, struct error *err)
{
	switch (service->config->plugin) {
	case CONFIG_PLUGIN_NOOP:
		service->backend = noop_new(service->loop);
		return 0;
	case CONFIG_PLUGIN_OPENSM:
		return service_opensm_start(service, err);
	case CONFIG_PLUGIN_UFM:
		return ufm_new(&service->backend, service->loop, &service->config->ufm,
			       settings_secrets(service->config->settings), err);
	}
	return error_set(err, ERROR_INVALID, "no such plugin");
}

static void on_probed(void *aux, const struct error *err)
{
	struct service *service = aux;

	if (err)
		log_say(LOG_WARN, err->kind == ERROR_AUTH ? "FABRIC_LOGIN_REFUSED" : "FABRIC_UNREACHABLE",
			LOG_FIELDS({ "kind", error_kind_name(err->kind) }), "%s", err->text);
	else
		log_say(LOG_INFO, "FABRIC_FOUND",
			LOG_FIELDS({ "backend", service->backend->class->name },
				   { "version", service->config->plugin == CONFIG_PLUGIN_UFM
							? ufm_version(service->backend)
							: NULL }),
			"the fabric manager answers");
}

int service_new(struct service **ret, struct loop *loop, const struct config *config, struct error *err)
{
	struct service *service = mem_alloc(sizeof *service);

	service->loop = loop;
	service->config = config;
	loop_timer_init(&service->deadline, loop, on_deadline);
	loop_timer_init(&service->secrets_timer, loop, NULL);
	loop_timer_init(&service->tls_timer, loop, NULL);
	loop_timer_init(&service->stop_timer, loop, NULL);
	if (start_backend(service, err) < 0 || start_kube(service, err) < 0 || service_health_start(service, err) < 0 ||
	    service_https_start(service, err) < 0) {
		service_free(service);
		return -1;
	}
	service_metrics_start(service);
	start_engine(service);
	service->events = kube_events_new(loop, service->kube, "ufmsync.io/ufmsyncd", config->identity);
	kube_events_on_trouble(service->events, service_event_trouble, service);
	struct lease_options lease = {
		.namespace = config->lease_namespace,
		.name = SERVICE_LEASE_NAME,
		.identity = config->identity,
		.annotation = SERVICE_SETTLED_KEY,
		.times = config->lease,
		.linger_ms = config->engine.write_timeout_ms + LINGER_MARGIN_MS,
		.leading = on_leading,
		.lost = on_lost,
		.annotate = annotate,
		.trouble = lease_trouble,
		.aux = service,
	};
	service->lease = lease_new(loop, service->lease_kube, &lease);
	service_watch(service);
	service->backend->class->probe(service->backend, on_probed, service);
	service_look_for_secrets(service);
	loop_on_turn(loop, pump, service);
	*ret = service;
	return 0;
}

static void released(void *aux)
{
	struct service *service = aux;

	log_say(LOG_INFO, "STOPPED", NULL, "stopped");
	loop_stop(service->loop);
}

static void try_stop(struct loop_timer *timer)
{
	struct service *service = container_of(timer, struct service, stop_timer);

	/* Their own deadlines end this wait; a client that does not take its answer has a second. */
	if (service->writing || service->patching > 0 ||
	    (!service_https_is_idle(service) && loop_now_ms() < service->answered_by))
		loop_timer_at(timer, loop_now_ms() + 20);
	else
		lease_release(service->lease, engine_quiet_until(service->engine), released, service);
}

void service_stop(struct service *service)
{
	if (service->stopping)
		return;
	service->stopping = true;
	log_say(LOG_INFO, "STOPPING", NULL, "what is being written is finished, then the Lease is given back");
	service->answered_by = loop_now_ms() + ANSWERS_MS;
	service_api_stop(service);
	service_attach_stop(service);
	loop_timer_init(&service->stop_timer, service->loop, try_stop);
	loop_timer_at(&service->stop_timer, 0);
}

void service_free(struct service *service)
{
	if (!service)
		return;
	loop_on_turn(service->loop, NULL, NULL);
	loop_timer_stop(&service->deadline);
	loop_timer_stop(&service->secrets_timer);
	loop_timer_stop(&service->stop_timer);
	service_api_stop(service);
	service_attach_stop(service);
	service_https_free(service);
	for (int kind = 0; kind < SERVICE_KINDS; kind++)
		kube_watch_free(service->watches[kind]);
	lease_free(service->lease);
	kube_events_free(service->events);
	pkey_backend_free(service->backend);
	service_api_free(service);
	service_opensm_free(service);
	service_cancel_requests(service);
	httpd_free(service->health);
	kube_free(service->kube);
	kube_free(service->lease_kube);
	kube_config_free(service->kube_config);
	engine_free(service->engine);
	record_keys_free(service->record_keys);
	service_metrics_free(service);
	secrets_free(service->secrets);
	free(service->fabric_error);
	free(service);
}
