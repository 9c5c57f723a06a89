#pragma once

#include "tests/sim/sim_mind.h"

/* Shared among the files of the rules. */

struct sim_told {
	unsigned pod;
	char reason[32];
};

struct sim_rules {
	struct sim_grant *grants;
	size_t n_grants, cap_grants;
	struct sim_told *told;
	size_t n_told, cap_told;
	struct sim_mind minds[SIM_SLOTS];
};

static inline struct sim_mind *sim_rules_mind(const struct sim *sim, const struct sim_process *process)
{
	return &sim->rules->minds[process->slot];
}

static inline bool sim_grant_lasts(const struct sim_grant *grant)
{
	return !grant->ended_at;
}

static inline struct sim_owner sim_grant_owner(const struct sim_grant *grant)
{
	return (struct sim_owner){ grant->pod->number + 1, grant->source, grant->index };
}

/* Whether the process can know of a grant: it made it, or has listed the pods since. */
bool sim_rules_may_know(const struct sim_process *process, const struct sim_grant *grant);
/* Whether that interface may ever have been let into that PKey. */
bool sim_rules_allowed(const struct sim *sim, const struct sim_pod *pod, enum pod_source source, int index,
		       struct pkey pkey);
const struct pod_network *sim_rules_element(const struct sim_pod *pod, enum pod_source source, int index);
/* Whether the pod carries a valid record that names the GUID. */
bool sim_rules_recorded(const struct sim *sim, const struct sim_pod *pod, struct guid guid);

/* Takes in what the engine holds now, and judges what it decided since the last look. */
void sim_rules_look(struct sim *sim, struct sim_process *process);

void sim_rules_write(struct sim *sim, struct sim_process *process, const struct engine_action *action);
void sim_rules_list(struct sim *sim, struct sim_process *process, const struct engine_action *action);
void sim_rules_patch(struct sim *sim, struct sim_process *process, const struct engine_action *action);

/* The fabric manager has listed it, by a list that was sent after its join was answered, and has not denied it since. */
bool sim_rules_is_confirmed(const struct sim_mind *mind, struct guid guid, const struct pkey_class *class);
/* Those who wait see the truth, and are told when it changes. */
void sim_rules_attach(struct sim *sim, struct sim_process *process);

/* For texts of failures: "a/p3[0]". */
const char *sim_owner_name(const struct sim *sim, struct sim_owner owner, char out[64]);
