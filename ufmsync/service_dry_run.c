#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/http.h"
#include "base/utf8.h"
#include "pkey/opensm.h"
#include "pkey/ufm.h"
#include "ufmsync/dry_run_parts.h"
#include "ufmsync/service_parts.h"

/* One complete list of everything there is, then nothing more is asked of anybody: the engine decides without a network. */

enum {
	READ_MS = 5 * 60 * 1000, /* all of it */
	PODS_A_LINE = 20 * 1000,
	TROUBLE_MS = 20 * 1000, /* of it with the API server, since it first did not answer */
	LEASE_FRESH = 2,        /* of its own durations */
};

/* --- how it ends ------------------------------------------------------------------------------------------------ */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("ufmsyncd: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static void answered(struct dry_run *run)
{
	if (--run->waiting == 0)
		loop_stop(run->loop);
}

static void give_up(struct dry_run *run, const struct error *err, const char *what)
{
	if (run->why.kind != ERROR_NONE)
		return;
	run->why = *err;
	error_wrap(&run->why, "%s", what);
	loop_stop(run->loop);
}

static void on_late(struct loop_timer *timer)
{
	struct dry_run *run = container_of(timer, struct dry_run, late);
	struct error err;

	error_set(&err, ERROR_RETRY, "not everything came in within %d s", READ_MS / 1000);
	give_up(run, &err, "reading");
}

static void on_signal(void *aux, int signo)
{
	struct error err;

	error_set(&err, ERROR_RETRY, "ended by signal %d", signo);
	give_up(aux, &err, "reading");
}

/* --- the API server --------------------------------------------------------------------------------------------- */

/* Whoever runs its image, wherever it is deployed. */
static void look_for_ib_kubernetes(struct dry_run *run, const json_t *pod)
{
	const json_t *containers = json_at(pod, "spec", "containers", NULL);
	const char *namespace = json_str(pod, "metadata", "namespace", NULL);
	const char *name = json_str(pod, "metadata", "name", NULL);

	for (size_t i = 0; !run->ib_kubernetes && i < json_array_size(containers); i++) {
		const char *image = json_str(json_array_get(containers, i), "image", NULL);
		const char *last = image ? strrchr(image, '/') : NULL;
		if (image && namespace && name && strncmp(last ? last + 1 : image, "ib-kubernetes", 13) == 0)
			run->ib_kubernetes = mem_printf("%s/%s", namespace, name);
	}
}

static void pods_begin(void *aux)
{
	struct dry_run *run = aux;

	run->n_pods = 0;
	what_if_begin(run->world, WHAT_IF_PODS);
}

static void pod_applied(void *aux, const json_t *object)
{
	struct dry_run *run = aux;

	look_for_ib_kubernetes(run, object);
	what_if_object(run->world, WHAT_IF_PODS, object);
	if (++run->n_pods % PODS_A_LINE == 0)
		say("%llu pods read", (unsigned long long)run->n_pods);
}

static void networks_begin(void *aux)
{
	what_if_begin(((struct dry_run *)aux)->world, WHAT_IF_NETWORKS);
}

static void network_applied(void *aux, const json_t *object)
{
	what_if_object(((struct dry_run *)aux)->world, WHAT_IF_NETWORKS, object);
}

static void namespaces_begin(void *aux)
{
	what_if_begin(((struct dry_run *)aux)->world, WHAT_IF_NAMESPACES);
}

static void namespace_applied(void *aux, const json_t *object)
{
	what_if_object(((struct dry_run *)aux)->world, WHAT_IF_NAMESPACES, object);
}

/* One list is all that is wanted: the watch that would follow never begins. */
static void end_of(struct dry_run *run, enum what_if_kind kind)
{
	kube_watch_free(run->watches[kind]);
	run->watches[kind] = NULL;
	answered(run);
}

static void pods_end(void *aux)
{
	end_of(aux, WHAT_IF_PODS);
}

static void networks_end(void *aux)
{
	end_of(aux, WHAT_IF_NETWORKS);
}

static void namespaces_end(void *aux)
{
	end_of(aux, WHAT_IF_NAMESPACES);
}

/* The watch tries again by itself; but whoever waits for an answer should not wait long for one that does not come. */
static void kube_trouble(void *aux, const struct error *err)
{
	struct dry_run *run = aux;
	int64_t now = loop_now_ms();

	if (!err)
		return;
	if (!run->trouble_since)
		run->trouble_since = now;
	if (err->kind == ERROR_AUTH || err->kind == ERROR_INVALID || now - run->trouble_since >= TROUBLE_MS)
		give_up(run, err, "API server");
	else
		say("API server: %s; tried again", err->text);
}

static void list_objects(struct dry_run *run)
{
	const struct kube_watch_options options[WHAT_IF_KINDS] = {
		[WHAT_IF_PODS] = { SERVICE_PODS_PATH, SERVICE_PODS_SELECTOR, 0, pods_begin, pod_applied, NULL, pods_end,
				   kube_trouble, run, 1 },
		[WHAT_IF_NETWORKS] = { SERVICE_NETWORKS_PATH, NULL, 0, networks_begin, network_applied, NULL,
				       networks_end, kube_trouble, run, 2 },
		[WHAT_IF_NAMESPACES] = { SERVICE_NAMESPACES_PATH, NULL, 0, namespaces_begin, namespace_applied, NULL,
					 namespaces_end, kube_trouble, run, 3 },
	};

	for (int kind = 0; kind < WHAT_IF_KINDS; kind++, run->waiting++)
		run->watches[kind] = kube_watch_new(run->loop, run->kube, &options[kind]);
}

/* Clocks may differ: a Lease that its holder left without a word looks fresh for a little longer, or shorter. */
static bool is_fresh(const json_t *spec)
{
	const char *renewed = json_str(spec, "renewTime", NULL);
	int64_t seconds = json_int(spec, 60, "leaseDurationSeconds", NULL), at;

	return renewed && json_time_ms(&at, renewed) && seconds > 0 && seconds < 3600 &&
	       loop_wall_ms() - at < LEASE_FRESH * seconds * 1000;
}

static void on_lease(void *aux, const struct kube_reply *reply)
{
	struct dry_run_lease *lease = aux;
	const json_t *spec = json_at(reply->object, "spec", NULL);

	if (!reply->error) {
		const char *holder = json_str(spec, "holderIdentity", NULL);
		lease->holder = mem_dup(holder && *holder ? holder : NULL);
		lease->fresh = is_fresh(spec);
		lease->settled = mem_dup(json_str(reply->object, "metadata", "annotations", SERVICE_SETTLED_KEY, NULL));
	} else if (reply->status != 404) {
		lease->error = *reply->error;
	}
	answered(lease->run);
}

static void read_leases(struct dry_run *run)
{
	static const char *const names[DRY_RUN_LEASES] = { SERVICE_LEASE_NAME, "ib-kubernetes-leader" };

	for (int i = 0; i < DRY_RUN_LEASES; i++, run->waiting++) {
		struct dry_run_lease *lease = &run->leases[i];
		char *path = mem_printf("/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s",
					run->config->lease_namespace, names[i]);
		struct kube_request_options options = { .method = "GET", .path = path, .done = on_lease, .aux = lease };
		lease->run = run;
		lease->name = names[i];
		kube_send(run->kube, &options);
		free(path);
	}
}

/* --- the fabric manager ----------------------------------------------------------------------------------------- */

static void on_member(void *aux, struct pkey pkey, const struct member *member)
{
	struct dry_run *run = aux;

	run->n_members++;
	what_if_member(run->world, pkey, member);
}

static void on_listed(void *aux, const struct error *err)
{
	struct dry_run *run = aux;

	if (err)
		give_up(run, err, "fabric manager");
	else
		answered(run);
}

static void on_probed(void *aux, const struct error *err)
{
	struct dry_run *run = aux;
	const struct pkey_list_sink sink = { .member = on_member, .done = on_listed, .aux = run };

	if (err) {
		give_up(run, err, "fabric manager");
		return;
	}
	if (run->config->plugin == CONFIG_PLUGIN_UFM && *ufm_version(run->backend))
		run->version = mem_dup(ufm_version(run->backend));
	run->backend->class->list(run->backend, NULL, &sink);
}

static void on_finding(void *aux, const struct opensm_finding *finding)
{
	if (finding->level != OPENSM_FINE)
		dry_run_warn(aux, "%s: %s", finding->id, finding->text);
}

/* What it lacks is a warning; the list does not need it. */
static void on_looked(void *aux, const struct error *err)
{
	struct dry_run *run = aux;
	const struct pkey_list_sink sink = { .member = on_member, .done = on_listed, .aux = run };

	(void)err;
	run->backend->class->list(run->backend, NULL, &sink);
}

static int open_fabric(struct dry_run *run, struct error *err)
{
	const struct config *config = run->config;
	struct opensm_options opensm;

	switch (config->plugin) {
	case CONFIG_PLUGIN_NOOP:
		return 0; /* it remembers nothing: no members */
	case CONFIG_PLUGIN_OPENSM:
		opensm = config->opensm;
		opensm.look_only = true;
		if (opensm_new(&run->backend, run->loop, &opensm, err) < 0)
			return error_wrap(err, "OPENSM_PARTITIONS_FILE=%s", opensm.file);
		opensm_preflight(run->backend, on_finding, on_looked, run);
		break;
	case CONFIG_PLUGIN_UFM:
		if (ufm_new(&run->backend, run->loop, &config->ufm, settings_secrets(config->settings), err) < 0)
			return -1;
		run->backend->class->probe(run->backend, on_probed, run);
		break;
	}
	run->waiting++;
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int open_kube(struct dry_run *run, struct error *err)
{
	if (kube_config_load(&run->kube_config, run->config->kubeconfig, NULL, err) < 0) {
		err->kind = ERROR_INVALID; /* a file that cannot be read is a bad setting too */
		return -1;
	}
	if (run->kube_config->insecure)
		dry_run_warn(run, "insecure-skip-tls-verify in %s: the API server's certificate is not verified",
			     run->kube_config->origin);
	return kube_new(&run->kube, run->loop, run->kube_config, "ufmsyncd-dry-run/" UFMSYNC_VERSION, err);
}

/* Nothing is left that could be asked anything. */
static void close_all(struct dry_run *run)
{
	for (int kind = 0; kind < WHAT_IF_KINDS; kind++) {
		kube_watch_free(run->watches[kind]);
		run->watches[kind] = NULL;
	}
	pkey_backend_free(run->backend);
	run->backend = NULL;
	kube_free(run->kube);
	run->kube = NULL;
	kube_config_free(run->kube_config);
	run->kube_config = NULL;
	loop_timer_stop(&run->late);
	loop_free(run->loop);
	run->loop = NULL;
}

static int read_all(struct dry_run *run, struct error *err)
{
	if (loop_new(&run->loop, err) < 0)
		return -1;
	loop_timer_init(&run->late, run->loop, on_late);
	if (open_kube(run, err) < 0 || open_fabric(run, err) < 0)
		return -1;
	list_objects(run);
	read_leases(run);
	run->asking = true;
	loop_timer_at(&run->late, loop_now_ms() + READ_MS);
	loop_on_signal(run->loop, SIGINT, on_signal, run);
	loop_on_signal(run->loop, SIGTERM, on_signal, run);
	say("reading pods, networks, namespaces and members; nothing is changed");
	loop_run(run->loop);
	if (run->why.kind == ERROR_NONE)
		return 0;
	*err = run->why;
	return -1;
}

/* --- deciding --------------------------------------------------------------------------------------------------- */

static int decide(struct dry_run *run, bool adopt, struct error *err)
{
	const char *settled = run->leases[DRY_RUN_OURS].settled;
	struct engine_options options = run->config->engine;
	int64_t now = loop_now_ms();

	if (getrandom(&options.start, sizeof options.start, 0) != (ssize_t)sizeof options.start)
		options.start = (uint64_t)loop_wall_ms();
	options.wall_offset_ms = loop_wall_ms() - now;
	options.adopt = adopt;
	return what_if_run(run->world, &options, service_says_settled(&options, settled),
			   settled && strcmp(settled, SERVICE_SETTLED_CONFIRM) == 0, now, err);
}

/* How many would keep what they have if annotations were adopted: by trying.  The world is then another one. */
static int try_adoption(struct dry_run *run, struct error *err)
{
	struct what_if_totals adopted;

	if (decide(run, true, err) < 0)
		return -1;
	what_if_totals(run->world, &adopted);
	if (run->totals.stripped > adopted.stripped)
		run->adoptable = run->totals.stripped - adopted.stripped;
	return 0;
}

static int decide_all(struct dry_run *run, struct error *err)
{
	bool adopt = run->config->engine.adopt;

	say("%llu pods and %llu members read; deciding", (unsigned long long)run->n_pods,
	    (unsigned long long)run->n_members);
	if (decide(run, adopt, err) < 0)
		return -1;
	what_if_totals(run->world, &run->totals);
	if (adopt || !run->totals.stripped)
		return 0;
	return try_adoption(run, err) < 0 ? -1 : decide(run, adopt, err);
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

void dry_run_warn(struct dry_run *run, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	utf8_one_line(text);
	run->warnings = mem_resize(run->warnings, run->n_warnings + 1, sizeof *run->warnings);
	run->warnings[run->n_warnings++] = mem_dup(text);
}

static void forget(struct dry_run *run)
{
	close_all(run);
	what_if_free(run->world);
	for (int i = 0; i < DRY_RUN_LEASES; i++) {
		free(run->leases[i].holder);
		free(run->leases[i].settled);
	}
	for (size_t i = 0; i < run->n_warnings; i++)
		free(run->warnings[i]);
	free(run->warnings);
	free(run->version);
	free(run->ib_kubernetes);
}

static int read_and_decide(struct dry_run *run, struct error *err)
{
	if (read_all(run, err) < 0)
		return -1;
	close_all(run);
	return decide_all(run, err);
}

static int print(struct dry_run *run, enum dry_run_form form, struct error *err)
{
	dry_run_judge(run);
	if (form == DRY_RUN_JSON)
		dry_run_print_json(run);
	else
		dry_run_print_table(run);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : error_set_errno(err, "standard output");
}

int dry_run(const struct config *config, enum dry_run_form form)
{
	struct dry_run run = { .config = config, .world = what_if_new() };
	struct error err = { 0 };
	int code;

	http_only_reads();
	if (read_and_decide(&run, &err) < 0 || print(&run, form, &err) < 0) {
		say("%s", err.text);
		code = run.asking || err.kind != ERROR_INVALID ? DRY_RUN_FAILED : DRY_RUN_USAGE;
	} else {
		code = dry_run_changes(&run) ? DRY_RUN_CHANGES : DRY_RUN_NOTHING;
	}
	forget(&run);
	return code;
}
