#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/metrics.h"
#include "ufmsync/service_parts.h"

/* The backend for OpenSM has more to say than that a write failed: what the site lacks, and which ports do not agree with
 * the file.  Both are logged when they begin and when they are over, not while they last. */

enum { FINDINGS_MAX = 32, LOOK_MS = 10 * 60 * 1000, LOOK_LEAST_MS = 5 * 1000 };

struct known {
	enum opensm_finding_level level;
	char *id, *text;
	bool seen; /* in the preflight under way */
};

struct service_opensm {
	struct service *service;
	struct loop_timer timer;
	struct known known[FINDINGS_MAX];
	size_t n;
	bool looking;
	int64_t looked_at;
	struct log_limit drift_limit;
};

static struct known *find_known(struct service_opensm *opensm, const struct opensm_finding *finding)
{
	/* What is fine names numbers that come and go. */
	for (size_t i = 0; i < opensm->n; i++)
		if (strcmp(opensm->known[i].id, finding->id) == 0 &&
		    (finding->level == OPENSM_FINE || strcmp(opensm->known[i].text, finding->text) == 0))
			return &opensm->known[i];
	return NULL;
}

static void on_finding(void *aux, const struct opensm_finding *finding)
{
	static const enum log_level levels[] = {
		[OPENSM_FINE] = LOG_INFO, [OPENSM_WARNING] = LOG_WARN, [OPENSM_FAILURE] = LOG_ERROR
	};
	struct service_opensm *opensm = aux;
	struct known *known = find_known(opensm, finding);

	if (known) {
		known->seen = true;
		return;
	}
	if (opensm->n < FINDINGS_MAX)
		opensm->known[opensm->n++] =
			(struct known){ finding->level, mem_dup(finding->id), mem_dup(finding->text), true };
	log_say(levels[finding->level], finding->id, NULL, "%s", finding->text);
}

static void forget(struct service_opensm *opensm, struct known *known)
{
	free(known->id);
	free(known->text);
	*known = opensm->known[--opensm->n];
}

static bool any_failure(const struct service_opensm *opensm)
{
	for (size_t i = 0; i < opensm->n; i++)
		if (opensm->known[i].level == OPENSM_FAILURE && opensm->known[i].seen)
			return true;
	return false;
}

/* What was not found any more is over; but where something failed, the rest was not looked at. */
static void drop_mended(struct service_opensm *opensm, bool failing)
{
	for (size_t i = opensm->n; i-- > 0;) {
		struct known *known = &opensm->known[i];
		bool over = !known->seen && known->level != OPENSM_FINE && (known->level == OPENSM_FAILURE || !failing);
		known->seen = false;
		if (!over)
			continue;
		log_say(LOG_INFO, "OPENSM_MENDED", LOG_FIELDS({ "was", known->id }), "this is over: %s", known->text);
		if (known->level == OPENSM_FAILURE) /* whoever waits for a later try need not */
			engine_retry(opensm->service->engine, loop_now_ms());
		forget(opensm, known);
	}
}

static void on_looked(void *aux, const struct error *err)
{
	struct service_opensm *opensm = aux;
	bool failing = any_failure(opensm);

	(void)err;
	drop_mended(opensm, failing);
	opensm->looking = false;
	opensm->looked_at = loop_now_ms();
	loop_timer_at(&opensm->timer, opensm->looked_at + (failing ? LOOK_LEAST_MS : LOOK_MS));
}

static void on_timer(struct loop_timer *timer)
{
	struct service_opensm *opensm = container_of(timer, struct service_opensm, timer);

	if (opensm->looking)
		return;
	opensm->looking = true;
	opensm_preflight(opensm->service->backend, on_finding, on_looked, opensm);
}

void service_opensm_look(struct service *service)
{
	struct service_opensm *opensm = service->opensm;

	if (!opensm || opensm->looking)
		return;
	int64_t at = opensm->looked_at ? opensm->looked_at + LOOK_LEAST_MS : 0;
	loop_timer_at(&opensm->timer, at > loop_now_ms() ? at : loop_now_ms());
}

static void on_said(void *aux, bool warning, const char *id, const char *text)
{
	struct service_opensm *opensm = aux;

	log_limited(&opensm->drift_limit, 60, warning ? LOG_WARN : LOG_INFO, id, NULL, "%s", text);
}

int service_opensm_start(struct service *service, struct error *err)
{
	struct opensm_options options = service->config->opensm;
	struct service_opensm *opensm = mem_alloc(sizeof *opensm);

	opensm->service = service;
	service->opensm = opensm;
	loop_timer_init(&opensm->timer, service->loop, on_timer);
	options.said = on_said;
	options.aux = opensm;
	if (opensm_new(&service->backend, service->loop, &options, err) < 0) {
		err->kind = ERROR_INVALID; /* whatever is wrong with the file, somebody has to change something */
		return error_wrap(err, "OPENSM_PARTITIONS_FILE=%s", options.file);
	}
	service_opensm_look(service);
	return 0;
}

void service_opensm_free(struct service *service)
{
	struct service_opensm *opensm = service->opensm;

	if (!opensm)
		return;
	loop_timer_stop(&opensm->timer);
	while (opensm->n > 0)
		forget(opensm, &opensm->known[0]);
	free(opensm);
	service->opensm = NULL;
}

int service_opensm_set_secrets(struct service *service, const struct secrets *fresh, struct error *err)
{
	uint64_t key;

	if (!config_sm_key(&key, secrets_get(fresh, SECRET_OPENSM_SM_KEY)))
		return error_set(err, ERROR_INVALID, "OPENSM_SM_KEY is no number");
	opensm_set_sm_key(service->backend, key);
	service_opensm_look(service);
	return 0;
}

void service_opensm_metrics(const struct service *service, struct buf *out)
{
	struct opensm_counts counts;
	uint64_t findings = 0;

	if (!service->opensm)
		return;
	opensm_counts(service->backend, &counts);
	for (size_t i = 0; i < service->opensm->n; i++)
		findings += service->opensm->known[i].level != OPENSM_FINE;
	metrics_counter(out, "ufmsync_opensm_reloads_total", "Times that OpenSM was told to read its partitions.",
			counts.reloads);
	metrics_counter(out, "ufmsync_opensm_files_written_total", "Partition files written.", counts.written);
	metrics_counter(out, "ufmsync_opensm_files_refused_total",
			"Of them, those that OpenSM refused and that were put back.", counts.refused);
	metrics_counter(out, "ufmsync_opensm_files_unproven_total",
			"Of them, those of which it was not seen in time that OpenSM had read them.", counts.unproven);
	metrics_counter(out, "ufmsync_opensm_ports_checked_total",
			"Memberships compared with what stands in their ports.", counts.checked);
	metrics_counter(out, "ufmsync_opensm_ports_absent_total",
			"Memberships whose port does not exist or cannot be asked, each time that it was looked for.",
			counts.absent);
	metrics_gauge(out, "ufmsync_opensm_drifted", "Memberships that their ports lack.", counts.drifted);
	metrics_gauge(out, "ufmsync_opensm_findings", "What the site lacks, as the log says.", findings);
}
