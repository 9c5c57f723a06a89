#pragma once

#include "tests/sim/sim.h"

/* The model API server: pods, network definitions and namespaces as they are, patches checked against that, and all
 * that was ever true, for the rules. */

enum { SIM_ELEMENTS_MAX = 4, SIM_EVER_MAX = 16 };

/* What the pod's owner wants for one interface. */
struct sim_element {
	char namespace[24], name[24]; /* of the network; namespace "": the pod's own */
	char interface[16];
	enum pod_source source;
	int index;
	bool has_wish;
	struct guid wish;
	char guid_text[32]; /* what is written; "": nothing */
	bool configured;    /* forged */
	char pkey_text[16]; /* forged, or written by an earlier service */
};

struct sim_pod {
	unsigned number;
	char uid[40], namespace[24], name[24], node[16];
	bool exists, host_network, finished, terminating, containers_ended, full;
	int64_t born_at, gone_at, grace_ms; /* virtual ms */
	char *networks_text, *default_text, *record_text;
	struct pod *parsed; /* of those texts, always in step */
	struct sim_element elements[SIM_ELEMENTS_MAX];
	unsigned n_elements;
	bool loose; /* its owner has broken its annotations: only safety is owed to it */
	bool forger;
	bool visible; /* to the watches, as of the last change told */
	bool adopted; /* served by ib-kubernetes before our time */
	int64_t changed_at;
};

/* One version of a network definition, and all PKeys that the name ever had. */
struct sim_network {
	bool exists;
	char namespace[24], name[24];
	char config[256];
	struct network *parsed;
	int64_t changed_at;
	struct pkey ever[SIM_EVER_MAX];
	char ever_text[SIM_EVER_MAX][16];
	unsigned n_ever;
	bool ever_ib, ever_none; /* was an InfiniBand network; was one without a PKey */
};

struct sim_namespace {
	char name[24];
	char pkeys[32]; /* "": no annotation */
	struct namespace_rule *parsed;
	struct pkey_set ever;
	bool ever_absent;
	int64_t changed_at;
};

struct sim_process;
struct sim_api *sim_api_new(void);
void sim_api_free(struct sim_api *api);

size_t sim_api_pods(const struct sim_api *api); /* dead ones included */
struct sim_pod *sim_api_pod(const struct sim_api *api, size_t i);
struct sim_pod *sim_api_find_pod(const struct sim_api *api, const char *namespace, const char *name); /* living */
struct sim_pod *sim_api_pod_of_uid(const struct sim_api *api, const char *uid);
bool sim_pod_counts(const struct sim_pod *pod); /* exists, bound, not finished, not on the host's network */
struct sim_network *sim_api_network(const struct sim_api *api, size_t i); /* NULL: no more */
struct sim_network *sim_api_find_network(const struct sim_api *api, const char *namespace, const char *name);
struct sim_namespace *sim_api_namespace(const struct sim_api *api, size_t i); /* NULL: no more */
struct sim_namespace *sim_api_find_namespace(const struct sim_api *api, const char *name);

/* What tenants and the kubelet do; every change is told to the watches. */
struct sim_pod *sim_api_create(struct sim *sim, const struct sim_pod *model); /* uid and texts are made */
void sim_api_changed(struct sim *sim, struct sim_pod *pod);                   /* flags or texts were changed */
void sim_api_gone(struct sim *sim, struct sim_pod *pod);
void sim_api_set_network(struct sim *sim, const char *namespace, const char *name, const char *config);
void sim_api_delete_network(struct sim *sim, struct sim_network *network);
void sim_api_set_namespace(struct sim *sim, const char *name, const char *pkeys);

void sim_api_down(struct sim *sim, int64_t ms); /* writes and reads fail */
bool sim_api_is_down(const struct sim *sim);
void sim_api_heal(struct sim *sim);

/* The object as a watch or a read would bring it; NULL when it does not matter to us.  The caller owns it. */
struct pod *sim_pod_object(const struct sim_pod *pod);
struct network *sim_network_object(const struct sim_network *network);
struct namespace_rule *sim_namespace_object(const struct sim_namespace *namespace);

/* Requests of a process. */
void sim_api_patch(struct sim *sim, struct sim_process *process, const struct engine_action *action);
void sim_api_read(struct sim *sim, struct sim_process *process, const struct engine_action *action);
