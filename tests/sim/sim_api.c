#include "tests/sim/sim_api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_watch.h"

enum { NETWORKS_MAX = 16, NAMESPACES_MAX = 8 };

struct sim_api {
	struct sim_pod **pods;
	size_t n_pods, cap_pods;
	struct sim_network networks[NETWORKS_MAX];
	size_t n_networks;
	struct sim_namespace namespaces[NAMESPACES_MAX];
	size_t n_namespaces;
	int64_t down_until;
};

struct sim_api *sim_api_new(void)
{
	return mem_alloc(sizeof(struct sim_api));
}

void sim_api_free(struct sim_api *api)
{
	if (!api)
		return;
	for (size_t i = 0; i < api->n_pods; i++) {
		struct sim_pod *pod = api->pods[i];

		pod_free(pod->parsed);
		free(pod->networks_text);
		free(pod->default_text);
		free(pod->record_text);
		free(pod);
	}
	for (size_t i = 0; i < api->n_networks; i++)
		network_free(api->networks[i].parsed);
	for (size_t i = 0; i < api->n_namespaces; i++)
		namespace_rule_free(api->namespaces[i].parsed);
	free(api->pods);
	free(api);
}

/* --- looking --- */

size_t sim_api_pods(const struct sim_api *api)
{
	return api->n_pods;
}

struct sim_pod *sim_api_pod(const struct sim_api *api, size_t i)
{
	return api->pods[i];
}

struct sim_pod *sim_api_find_pod(const struct sim_api *api, const char *namespace, const char *name)
{
	for (size_t i = api->n_pods; i-- > 0;) {
		struct sim_pod *pod = api->pods[i];

		if (pod->exists && strcmp(pod->name, name) == 0 && strcmp(pod->namespace, namespace) == 0)
			return pod;
	}
	return NULL;
}

/* A uid ends in the pod's number, which is its place. */
struct sim_pod *sim_api_pod_of_uid(const struct sim_api *api, const char *uid)
{
	size_t number;

	if (strlen(uid) != 36)
		return NULL;
	number = strtoul(uid + 24, NULL, 10);
	return number < api->n_pods && strcmp(api->pods[number]->uid, uid) == 0 ? api->pods[number] : NULL;
}

bool sim_pod_counts(const struct sim_pod *pod)
{
	return pod->exists && pod->node[0] && !pod->finished && !pod->host_network;
}

struct sim_network *sim_api_network(const struct sim_api *api, size_t i)
{
	return i < api->n_networks ? (struct sim_network *)&api->networks[i] : NULL;
}

struct sim_network *sim_api_find_network(const struct sim_api *api, const char *namespace, const char *name)
{
	for (size_t i = 0; i < api->n_networks; i++) {
		const struct sim_network *network = &api->networks[i];

		if (strcmp(network->name, name) == 0 && strcmp(network->namespace, namespace) == 0)
			return (struct sim_network *)network;
	}
	return NULL;
}

struct sim_namespace *sim_api_namespace(const struct sim_api *api, size_t i)
{
	return i < api->n_namespaces ? (struct sim_namespace *)&api->namespaces[i] : NULL;
}

struct sim_namespace *sim_api_find_namespace(const struct sim_api *api, const char *name)
{
	for (size_t i = 0; i < api->n_namespaces; i++) {
		if (strcmp(api->namespaces[i].name, name) == 0)
			return (struct sim_namespace *)&api->namespaces[i];
	}
	return NULL;
}

/* --- changes --- */

struct sim_pod *sim_api_create(struct sim *sim, const struct sim_pod *model)
{
	struct sim_api *api = sim->api;
	struct sim_pod *pod = mem_alloc(sizeof(*pod));

	*pod = *model;
	pod->number = (unsigned)api->n_pods;
	pod->exists = true;
	pod->born_at = sim->world.now;
	snprintf(pod->uid, sizeof(pod->uid), "5eed0000-0000-4000-8000-%012u", pod->number);
	if (api->n_pods == api->cap_pods) {
		api->cap_pods = api->cap_pods ? api->cap_pods * 2 : 32;
		api->pods = mem_resize(api->pods, api->cap_pods, sizeof(*api->pods));
	}
	api->pods[api->n_pods++] = pod;
	sim_say(sim, "api      pod %s/%s (%s) created%s%s: %s", pod->namespace, pod->name, pod->uid + 24,
		pod->node[0] ? "" : ", unbound", pod->host_network ? ", host network" : "",
		pod->networks_text ? pod->networks_text : "-");
	sim_api_changed(sim, pod);
	return pod;
}

void sim_api_changed(struct sim *sim, struct sim_pod *pod)
{
	bool was_visible = pod->visible;

	pod->changed_at = sim->world.now;
	pod_free(pod->parsed);
	pod->parsed = sim_pod_object(pod);
	pod->visible = sim_watch_sees(sim, pod);
	sim_watch_pod(sim, pod, was_visible);
}

void sim_api_gone(struct sim *sim, struct sim_pod *pod)
{
	sim_say(sim, "api      pod %s/%s is gone", pod->namespace, pod->name);
	pod->exists = false;
	sim_api_changed(sim, pod);
}

static void remember_network(struct sim_network *network)
{
	const struct network *parsed = network->parsed;

	if (parsed->kind != NETWORK_IB)
		return;
	network->ever_ib = true;
	network->ever_none |= parsed->has_pkey == NETWORK_PKEY_NONE;
	if (parsed->has_pkey != NETWORK_PKEY_VALID || network->n_ever == SIM_EVER_MAX)
		return;
	snprintf(network->ever_text[network->n_ever], sizeof(network->ever_text[0]), "%s", parsed->pkey_text);
	network->ever[network->n_ever++] = parsed->pkey;
}

void sim_api_set_network(struct sim *sim, const char *namespace, const char *name, const char *config)
{
	struct sim_api *api = sim->api;
	struct sim_network *network = sim_api_find_network(api, namespace, name);

	if (!network) {
		assert(api->n_networks < NETWORKS_MAX);
		network = &api->networks[api->n_networks++];
		snprintf(network->namespace, sizeof(network->namespace), "%s", namespace);
		snprintf(network->name, sizeof(network->name), "%s", name);
	}
	network->exists = true;
	network->changed_at = sim->world.now;
	snprintf(network->config, sizeof(network->config), "%s", config);
	network_free(network->parsed);
	network->parsed = sim_network_object(network);
	remember_network(network);
	sim_say(sim, "api      network %s/%s is %s", namespace, name, config);
	sim_watch_network(sim, network);
}

void sim_api_delete_network(struct sim *sim, struct sim_network *network)
{
	sim_say(sim, "api      network %s/%s is deleted", network->namespace, network->name);
	network->exists = false;
	network->changed_at = sim->world.now;
	sim_watch_network(sim, network);
}

void sim_api_set_namespace(struct sim *sim, const char *name, const char *pkeys)
{
	struct sim_api *api = sim->api;
	struct sim_namespace *namespace = sim_api_find_namespace(api, name);

	if (!namespace) {
		assert(api->n_namespaces < NAMESPACES_MAX);
		namespace = &api->namespaces[api->n_namespaces++];
		snprintf(namespace->name, sizeof(namespace->name), "%s", name);
	}
	namespace->changed_at = sim->world.now;
	snprintf(namespace->pkeys, sizeof(namespace->pkeys), "%s", pkeys);
	namespace_rule_free(namespace->parsed);
	namespace->parsed = sim_namespace_object(namespace);
	namespace->ever_absent |= namespace->parsed->has == NAMESPACE_PKEYS_ABSENT;
	for (size_t i = 0; namespace->parsed->allowed && i < sizeof(namespace->ever.bits); i++)
	namespace->ever.bits[i] |= namespace->parsed->allowed->bits[i];
	sim_say(sim, "api      namespace %s allows '%s'", name, pkeys);
	sim_watch_namespace(sim, namespace);
}

void sim_api_down(struct sim *sim, int64_t ms)
{
	sim_say(sim, "chaos    api server is down for %lld ms", (long long)ms);
	sim->api->down_until = sim->world.now + ms;
}

bool sim_api_is_down(const struct sim *sim)
{
	return sim->api->down_until > sim->world.now;
}

void sim_api_heal(struct sim *sim)
{
	sim->api->down_until = 0;
}
