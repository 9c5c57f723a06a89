#pragma once

#include "tests/sim/sim_api.h"

/* The people of the cluster: those who create and end pods, change networks, and try what they should not.  And the
 * kubelets, which bind, run and end what they created. */
struct sim_tenants;
struct sim_tenants *sim_tenants_new(void);
void sim_tenants_free(struct sim_tenants *tenants);

void sim_tenants_settle_in(struct sim *sim); /* namespaces, networks, and what stands there from before */
void sim_tenants_act(struct sim *sim);       /* one random thing */
struct sim_pod *sim_tenants_add(struct sim *sim, bool plain);   /* a pod; `plain`: one that nothing is wrong with */
void sim_tenants_end_all(struct sim *sim);                      /* every pod is deleted, in good order */
void sim_tenants_end_pod(struct sim *sim, struct sim_pod *pod); /* it is gone from the API server */

/* sim_tenants_texts.c: what stands in a pod's annotations as its owner writes them */
void sim_tenants_write(struct sim *sim, struct sim_pod *pod, bool short_form);
/* Somebody edits the annotations of a pod that may be published. */
void sim_tenants_tamper(struct sim *sim, struct sim_pod *pod);
/* sim_tenants_networks.c */
void sim_tenants_change_network(struct sim *sim);
void sim_tenants_change_namespace(struct sim *sim);
void sim_tenants_draw_network(struct sim *sim, const char *namespace, const char *name);
extern const char *const sim_tenant_namespaces[]; /* ends with NULL */
