#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/doctor.h"
#include "ufmsync/kube/network.h"

#define NETWORKS_PATH "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"

enum { PAGE = 500 };

void doctor_look_at_api_server(struct doctor *doctor)
{
	__attribute__((cleanup(json_freep))) json_t *version = NULL;
	struct error err;

	if (reach_kube(doctor->reach, "GET", "/version", NULL, &version, &err) < 0) {
		doctor_say(doctor, DOCTOR_FAILURE, "API server", "%s", err.text);
		return;
	}
	const char *text = json_str(version, "gitVersion", NULL);
	doctor_say(doctor, DOCTOR_OK, "API server", "answers, version %s", text ? text : "not said");
}

/* Each object of a kind, page by page. */
static int each_object(struct doctor *doctor, const char *path, void (*visit)(void *aux, const json_t *object),
		       void *aux, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *next = NULL;

	do {
		__attribute__((cleanup(json_freep))) json_t *page = NULL;
		__attribute__((cleanup(mem_freep))) char *limit = mem_printf("%d", PAGE);
		__attribute__((cleanup(mem_freep))) char *url =
			reach_path(path, "limit", limit, "continue", next, NULL);
		const json_t *items, *item;
		size_t i;

		if (reach_kube(doctor->reach, "GET", url, NULL, &page, err) < 0)
			return -1;
		items = json_object_get(page, "items");
		json_array_foreach(items, i, item) visit(aux, item);
		const char *token = json_str(page, "metadata", "continue", NULL);
		free(next);
		next = token && *token ? mem_dup(token) : NULL;
	} while (next);
	return 0;
}

/* --- networks --------------------------------------------------------------------------------------------------- */

struct networks {
	size_t n;
	struct doctor_names bad, unreadable, ungated;
};

static void see_network(void *aux, const json_t *object)
{
	struct networks *networks = aux;
	struct network *network = network_from_json(object);

	if (!network)
		return;
	if (network->kind == NETWORK_UNREADABLE)
		doctor_names_add(&networks->unreadable, "%s/%s (%s)", network->namespace, network->name,
				 network->problem ? network->problem : "not understood");
	networks->n += network->kind == NETWORK_IB;
	if (network->kind == NETWORK_IB && network->has_pkey == NETWORK_PKEY_BAD)
		doctor_names_add(&networks->bad, "%s/%s (%s)", network->namespace, network->name,
				 network->pkey_text ? network->pkey_text : "?");
	if (network->kind == NETWORK_IB && !network->gated)
		doctor_names_add(&networks->ungated, "%s/%s", network->namespace, network->name);
	network_free(network);
}

static void say_networks(struct doctor *doctor, struct networks *networks)
{
	doctor_say(doctor, DOCTOR_OK, "networks", "%zu InfiniBand %s", networks->n,
		   networks->n == 1 ? "network" : "networks");
	if (networks->bad.n > 0)
		doctor_say(doctor, DOCTOR_FAILURE, "networks",
			   "pkey is not one of 0x1-0x7ffe, so their pods never start: correct it in %s",
			   doctor_names_text(&networks->bad));
	if (networks->unreadable.n > 0)
		doctor_say(doctor, DOCTOR_WARNING, "networks", "spec.config cannot be read: correct %s",
			   doctor_names_text(&networks->unreadable));
	if (networks->ungated.n > 0)
		doctor_say(doctor, DOCTOR_WARNING, "networks",
			   "pods start before they are members: put type ufmsync around ib-sriov, or "
			   "\"ibKubernetesEnabled\": true into it, in %s",
			   doctor_names_text(&networks->ungated));
}

static void look_at_networks(struct doctor *doctor)
{
	struct networks networks = { 0 };
	struct error err;

	if (each_object(doctor, NETWORKS_PATH, see_network, &networks, &err) == 0)
		say_networks(doctor, &networks);
	else if (err.kind == ERROR_GONE)
		doctor_say(doctor, DOCTOR_FAILURE, "networks",
			   "the kind NetworkAttachmentDefinition is not known here: install multus, or its "
			   "CustomResourceDefinition network-attachment-definitions.k8s.cni.cncf.io");
	else
		doctor_say(doctor, err.kind == ERROR_AUTH ? DOCTOR_WARNING : DOCTOR_FAILURE, "networks",
			   "not looked at: %s", err.text);
}

/* --- namespaces ------------------------------------------------------------------------------------------------- */

struct namespaces {
	size_t ruled;
	struct doctor_names bad;
};

static void see_namespace(void *aux, const json_t *object)
{
	struct namespaces *namespaces = aux;
	struct namespace_rule *rule = namespace_rule_from_json(object);

	if (!rule)
		return;
	namespaces->ruled += rule->has != NAMESPACE_PKEYS_ABSENT;
	if (rule->has == NAMESPACE_PKEYS_BAD)
		doctor_names_add(&namespaces->bad, "%s (%.60s)", rule->name, rule->text ? rule->text : "");
	namespace_rule_free(rule);
}

static void look_at_namespaces(struct doctor *doctor)
{
	struct namespaces namespaces = { 0 };
	struct error err;

	if (each_object(doctor, "/api/v1/namespaces", see_namespace, &namespaces, &err) < 0) {
		doctor_say(doctor, err.kind == ERROR_AUTH ? DOCTOR_WARNING : DOCTOR_FAILURE, "namespaces",
			   "not looked at: %s", err.text);
		return;
	}
	if (namespaces.bad.n > 0)
		doctor_say(doctor, DOCTOR_FAILURE, "namespaces",
			   "the annotation " NAMESPACE_PKEYS_KEY
			   " cannot be read, so nothing is allowed: write PKeys and "
			   "ranges such as 0x5,0x10-0x1f in %s",
			   doctor_names_text(&namespaces.bad));
	else
		doctor_say(doctor, DOCTOR_OK, "namespaces", "%zu with the annotation " NAMESPACE_PKEYS_KEY,
			   namespaces.ruled);
}

void doctor_look_at_objects(struct doctor *doctor)
{
	look_at_networks(doctor);
	look_at_namespaces(doctor);
}
