#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pkey/noop.h"
#include "pkey/opensm.h"
#include "pkey/ufm.h"
#include "ufmsync/ctl/direct.h"
#include "ufmsync/kube/network.h"
#include "ufmsync/kube/pod.h"

/* One complete list of everything there is, then nothing more. */

/* --- how it ends ------------------------------------------------------------------------------------------------ */

static void wake_feeder(struct direct *direct)
{
	if (!direct->feeding)
		return;
	direct->feeding->done = true;
	direct->feeding = NULL;
	loop_stop(direct->reach->loop);
}

static void give_up(struct direct *direct, const struct error *why)
{
	if (!direct->feeding)
		return;
	direct->why = *why;
	wake_feeder(direct);
}

static void on_late(struct loop_timer *timer)
{
	struct direct *direct = container_of(timer, struct direct, late);
	struct engine_status status;
	struct error err;

	engine_status(direct->engine, &status);
	error_set(&err, ERROR_RETRY, "%s did not come in whole within %lld s; --request-timeout gives it more time",
		  !status.synced ? "pods, networks and namespaces" : "the fabric manager's list",
		  (long long)direct_timeout_ms(direct) / 1000);
	give_up(direct, &err);
}

/* --- the API server --------------------------------------------------------------------------------------------- */

static void pods_begin(void *aux)
{
	engine_pods_begin(((struct direct *)aux)->engine, loop_now_ms());
}

static void pod_applied(void *aux, const json_t *object)
{
	struct direct *direct = aux;
	struct pod *pod = pod_from_json(object);

	if (pod)
		engine_pod_applied(direct->engine, pod, loop_now_ms());
}

static void networks_begin(void *aux)
{
	engine_networks_begin(((struct direct *)aux)->engine, loop_now_ms());
}

static void network_applied(void *aux, const json_t *object)
{
	struct direct *direct = aux;
	struct network *network = network_from_json(object);

	if (network)
		engine_network_applied(direct->engine, network, loop_now_ms());
}

static void namespaces_begin(void *aux)
{
	engine_namespaces_begin(((struct direct *)aux)->engine, loop_now_ms());
}

static void namespace_applied(void *aux, const json_t *object)
{
	struct direct *direct = aux;
	struct namespace_rule *rule = namespace_rule_from_json(object);

	if (rule)
		engine_namespace_applied(direct->engine, rule, loop_now_ms());
}

/* One list is all that is wanted of each. */
static void stop_watch(struct direct *direct, int kind)
{
	kube_watch_free(direct->watches[kind]);
	direct->watches[kind] = NULL;
}

static void pods_end(void *aux)
{
	struct direct *direct = aux;

	engine_pods_end(direct->engine, loop_now_ms());
	stop_watch(direct, DIRECT_PODS);
}

static void networks_end(void *aux)
{
	struct direct *direct = aux;

	engine_networks_end(direct->engine, loop_now_ms());
	stop_watch(direct, DIRECT_NETWORKS);
}

static void namespaces_end(void *aux)
{
	struct direct *direct = aux;

	engine_namespaces_end(direct->engine, loop_now_ms());
	stop_watch(direct, DIRECT_NAMESPACES);
}

/* A tool that tries again by itself only keeps its user waiting. */
static void kube_trouble(void *aux, const struct error *err)
{
	struct direct *direct = aux;
	struct error why;

	if (!err)
		return;
	why = *err;
	error_wrap(&why, "API server");
	give_up(direct, &why);
}

static void watch_all(struct direct *direct)
{
	static const char *const pod_selector = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed";
	const struct kube_watch_options options[DIRECT_KINDS] = {
		[DIRECT_PODS] = { "/api/v1/pods", pod_selector, 0, pods_begin, pod_applied, NULL, pods_end,
				  kube_trouble, direct, 1 },
		[DIRECT_NETWORKS] = { "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions", NULL, 0,
				      networks_begin, network_applied, NULL, networks_end, kube_trouble, direct, 2 },
		[DIRECT_NAMESPACES] = { "/api/v1/namespaces", NULL, 0, namespaces_begin, namespace_applied, NULL,
					namespaces_end, kube_trouble, direct, 3 },
	};

	for (int kind = 0; kind < DIRECT_KINDS; kind++)
		direct->watches[kind] = kube_watch_new(direct->reach->loop, direct->reach->kube, &options[kind]);
}

/* --- the fabric manager ----------------------------------------------------------------------------------------- */

int direct_new_backend(struct direct *direct, struct error *err)
{
	const struct config *config = &direct->config;
	struct loop *loop = direct->reach->loop;
	struct opensm_options opensm;

	switch (config->plugin) {
	case CONFIG_PLUGIN_NOOP:
		break;
	case CONFIG_PLUGIN_OPENSM:
		opensm = config->opensm;
		opensm.look_only = true;
		return opensm_new(&direct->backend, loop, &opensm, err);
	case CONFIG_PLUGIN_UFM:
		return ufm_new(&direct->backend, loop, &config->ufm, settings_secrets(config->settings), err);
	}
	return error_set(err, ERROR_INVALID,
			 "--direct: with DAEMON_SM_PLUGIN=noop only the service knows who is a member: ask it, without "
			 "--direct");
}

struct list {
	struct direct *direct;
	uint64_t id;
};

static void on_member(void *aux, struct pkey pkey, const struct member *member)
{
	struct list *list = aux;

	engine_listed_member(list->direct->engine, list->id, pkey, member);
}

/* Not called when it is forgotten: the backend is freed first, and what `aux` was with the list. */
static void on_listed(void *aux, const struct error *err)
{
	struct list *list = aux;
	struct direct *direct = list->direct;

	engine_list_done(direct->engine, list->id, err, loop_now_ms());
	if (err)
		give_up(direct, err);
}

/* --- the engine's turn ------------------------------------------------------------------------------------------ */

/* There is one list of all members while it is being fed. */
static void begin_list(struct direct *direct, struct list *list, uint64_t id)
{
	const struct pkey_list_sink sink = { .member = on_member, .done = on_listed, .aux = list };

	*list = (struct list){ .direct = direct, .id = id };
	direct->backend->class->list(direct->backend, NULL, &sink);
}

struct feeder {
	struct direct *direct;
	struct list list;
};

static void on_turn(void *aux)
{
	struct feeder *feeder = aux;
	struct direct *direct = feeder->direct;
	struct engine_status status;
	struct engine_action action;
	int64_t now = loop_now_ms();

	while (engine_next(direct->engine, now, &action))
		begin_list(direct, &feeder->list, action.id);
	engine_status(direct->engine, &status);
	if (engine_deadline(direct->engine) <= now) {
		loop_wake(direct->reach->loop);
	} else if (status.listed && !direct->watches[DIRECT_PODS] && !direct->watches[DIRECT_NETWORKS] &&
		   !direct->watches[DIRECT_NAMESPACES]) {
		direct->fed = true;
		wake_feeder(direct);
	}
}

static void new_engine(struct direct *direct)
{
	struct engine_options options = direct->config.engine;

	options.start = (uint64_t)loop_wall_ms();
	options.wall_offset_ms = loop_wall_ms() - loop_now_ms();
	if (direct->unverified)
		options.keys = direct->unverified;
	direct->engine = engine_new(&options);
	engine_observe(direct->engine, loop_now_ms());
}

int direct_feed(struct direct *direct, struct error *err)
{
	struct reach *reach = direct->reach;
	struct reach_exchange exchange = { .reach = reach };
	struct feeder feeder = { .direct = direct };

	direct_forget(direct);
	if (reach_open_kube(reach, err) < 0 || direct_new_backend(direct, err) < 0)
		return -1;
	new_engine(direct);
	watch_all(direct);
	loop_timer_init(&direct->late, reach->loop, on_late);
	loop_timer_at(&direct->late, loop_now_ms() + direct_timeout_ms(direct));
	loop_on_turn(reach->loop, on_turn, &feeder);
	direct->feeding = &exchange;
	reach_wait(&exchange, "reading pods and members");
	direct->feeding = NULL;
	loop_on_turn(reach->loop, NULL, NULL);
	loop_timer_stop(&direct->late);
	if (direct->fed)
		return 0;
	*err = direct->why;
	direct_forget(direct);
	return -1;
}

void direct_forget(struct direct *direct)
{
	for (int kind = 0; kind < DIRECT_KINDS; kind++)
		stop_watch(direct, kind);
	pkey_backend_free(direct->backend);
	direct->backend = NULL;
	api_free(direct->api);
	direct->api = NULL;
	engine_free(direct->engine);
	direct->engine = NULL;
	direct->fed = false;
}
