#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/direct.h"

enum {
	TIMEOUT_MS = 120 * 1000, /* a big cluster is read whole */
	FRESH_MS = 500,          /* who asked nothing for so long wants to see the world as it is now */
};

/* --- life ------------------------------------------------------------------------------------------------------- */

int64_t direct_timeout_ms(const struct direct *direct)
{
	int64_t timeout = direct->reach->options->timeout_ms;

	return timeout > 0 ? timeout : TIMEOUT_MS;
}

static void say(const struct reach *reach, const char *text)
{
	if (!reach->options->quiet)
		fprintf(stderr, "note: %s\n", text);
}

static void say_what_counts(const struct direct *direct)
{
	const struct settings *settings = direct->config.settings;

	if (!settings_is_set(settings, SETTING_GUID_POOL_RANGE_START) ||
	    !settings_is_set(settings, SETTING_GUID_POOL_RANGE_END))
		say(direct->reach,
		    "GUID_POOL_RANGE_START and GUID_POOL_RANGE_END are not both set as for the service: the "
		    "default range decides which members are ours");
	if (direct->unverified)
		say(direct->reach, "UFMSYNC_RECORD_KEY is not set: what pods' records say is believed unverified");
}

int direct_open(struct direct **ret, struct reach *reach, struct error *err)
{
	char *argv[] = { (char *)"ufmsyncctl", NULL };
	const struct settings_source source = { .argc = 1, .argv = argv, .environ = environ };
	struct direct *direct = mem_alloc(sizeof *direct);

	direct->reach = reach;
	if (config_load(&direct->config, &source, err) < 0) {
		free(direct);
		return error_wrap(err, "--direct takes ufmsyncd's settings from the environment");
	}
	if (!direct->config.record_keys)
		direct->unverified = record_keys_unverified();
	*ret = direct;
	return 0;
}

void direct_close(struct direct *direct)
{
	if (!direct)
		return;
	direct_forget(direct);
	record_keys_free(direct->unverified);
	config_free(&direct->config);
	free(direct->holder);
	free(direct);
}

static int open_direct(struct reach *reach, struct error *err)
{
	if (direct_open(&reach->direct, reach, err) < 0)
		return -1;
	say_what_counts(reach->direct);
	return 0;
}

static void close_direct(struct reach *reach)
{
	direct_close(reach->direct);
	reach->direct = NULL;
}

/* --- what the answers come from --------------------------------------------------------------------------------- */

static struct engine *get_engine(void *aux)
{
	return ((struct direct *)aux)->engine;
}

static struct pkey_backend *get_backend(void *aux)
{
	return ((struct direct *)aux)->backend;
}

/* It knows as much as a leader would. */
static bool leads(void *aux)
{
	(void)aux;
	return true;
}

static const char *leader(void *aux, bool *held)
{
	struct direct *direct = aux;

	*held = direct->held;
	return direct->holder;
}

static const char *last_error(void *aux, int64_t *wall_ms)
{
	(void)aux, (void)wall_ms;
	return NULL;
}

static bool is_fresh(const struct direct *direct, const struct direct_query *query)
{
	if (!direct->fed)
		return false;
	return direct_query_get((void *)(uintptr_t)query, "continue") || loop_now_ms() - direct->asked_ms < FRESH_MS;
}

static int prepare(struct direct *direct, const struct direct_query *query, struct error *err)
{
	const struct api_world world = { get_engine, get_backend, leads, leader, last_error, direct };

	if (is_fresh(direct, query))
		return 0;
	if (direct_feed(direct, err) < 0)
		return -1;
	direct->api = api_new(direct->reach->loop, &world);
	return 0;
}

/* --- the Lease -------------------------------------------------------------------------------------------------- */

/* By the clock on the wall, which is good enough for a reader. */
static void read_lease(struct direct *direct)
{
	const char *namespace = direct->reach->options->service_namespace;
	__attribute__((cleanup(json_freep))) json_t *lease = NULL;
	__attribute__((cleanup(mem_freep))) char *path =
		mem_printf("/apis/coordination.k8s.io/v1/namespaces/%s/leases/ufmsync-leader",
			   namespace ? namespace : direct->config.lease_namespace);
	struct error ignored;
	int64_t renewed;

	free(direct->holder);
	direct->holder = NULL;
	direct->held = false;
	if (reach_kube(direct->reach, "GET", path, NULL, &lease, &ignored) < 0)
		return;
	const char *holder = json_str(lease, "spec", "holderIdentity", NULL);
	const char *time = json_str(lease, "spec", "renewTime", NULL);
	int64_t duration_ms = json_int(lease, 0, "spec", "leaseDurationSeconds", NULL) * 1000;
	direct->holder = mem_dup(holder && *holder ? holder : NULL);
	direct->held = direct->holder && time && json_time_ms(&renewed, time) && loop_wall_ms() < renewed + duration_ms;
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static void on_answer(void *aux, int status, const json_t *object)
{
	struct direct *direct = aux;
	struct reach_exchange *exchange = direct->asking;

	direct->asking = NULL;
	direct->call = NULL;
	exchange->answer->status = status;
	exchange->answer->object = json_deep_copy(object);
	exchange->done = true;
	loop_stop(direct->reach->loop);
}

static void on_late(struct loop_timer *timer)
{
	struct direct *direct = container_of(timer, struct direct, late);

	error_set(&direct->asking->answer->error, ERROR_RETRY,
		  "the fabric manager did not answer within %lld s; --request-timeout gives it more time",
		  (long long)direct_timeout_ms(direct) / 1000);
	api_cancel(direct->call);
	direct->call = NULL;
	direct->asking->done = true;
	direct->asking = NULL;
	loop_stop(direct->reach->loop);
}

static void ask(struct direct *direct, struct direct_query *query, struct reach_answer *answer)
{
	struct reach_exchange exchange = { .reach = direct->reach, .answer = answer };
	const struct api_request request = {
		.method = "GET", .path = query->path, .query = direct_query_get, .query_aux = query, .body = ""
	};

	direct->asking = &exchange;
	struct api_call *call = api_ask(direct->api, &request, on_answer, direct);
	if (direct->asking) /* not answered at once */
		direct->call = call;
	loop_timer_init(&direct->late, direct->reach->loop, on_late);
	loop_timer_at(&direct->late, loop_now_ms() + direct_timeout_ms(direct));
	reach_wait(&exchange, "asking the fabric manager");
	loop_timer_stop(&direct->late);
	if (answer->error.kind != ERROR_NONE)
		direct_forget(direct); /* with the list that nobody waits for any more */
	direct->asked_ms = loop_now_ms();
}

/* We answer, and do not lead. */
static void mend_status(json_t *status)
{
	json_t *leader_object = json_object_get(status, "leader");

	if (json_is_object(leader_object))
		json_object_set_new(leader_object, "here", json_false());
}

static int ask_direct(struct reach *reach, const char *method, const char *path, const char *body,
		      struct reach_answer *answer, struct error *err)
{
	struct direct *direct = reach->direct;
	struct direct_query query;

	(void)body;
	if (strcmp(method, "GET") != 0)
		return error_set(
			err, ERROR_INVALID,
			"--direct only looks: what changes something is asked of the service, without --direct");
	if (direct_query_parse(&query, path, err) < 0)
		return -1;
	bool status = strcmp(query.path, "/v1/status") == 0;
	if (status)
		read_lease(direct);
	int result = prepare(direct, &query, err);
	if (result == 0)
		ask(direct, &query, answer);
	if (status)
		mend_status(answer->object);
	direct_query_free(&query);
	return result;
}

const struct reach_class reach_direct = { .open = open_direct, .close = close_direct, .ask = ask_direct };
