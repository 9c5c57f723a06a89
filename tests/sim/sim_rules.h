#pragma once

#include "tests/sim/sim_api.h"
#include "tests/sim/sim_process.h"
#include "tests/sim/sim_ufm.h"

/* The rules that always hold, as far as they can be seen from outside the engine.  They are told of everything that
 * is sent, that lands and that is answered, and look at the engine after every step.  What a rule needs to know about
 * the past it keeps itself:
 *
 *	grants    which attachment was given which GUID by an annotation patch that landed, and until when: the truth
 *	sightings what each process was told by the fabric manager: what it may know
 */

/* An attachment's GUID stands in its pod's annotation because a patch of ours put it there. */
struct sim_grant {
	struct sim_pod *pod;
	enum pod_source source;
	int index;
	struct guid guid;
	char pkey_text[16];
	struct pkey_class memberships[RECORD_MEMBERSHIPS_MAX];
	unsigned n_memberships;
	uint64_t incarnation;    /* of the process whose patch it was */
	int64_t since, ended_at; /* ended_at 0: it lasts */
	bool unsure;             /* it ended without anybody knowing that the processes had */
};

struct sim_listed {
	uint64_t id;
	bool all;
	struct pkey pkey;
	int64_t began;
	const struct sim_entry *entries;
	size_t n;
	bool complete;
};

struct sim_rules;
struct sim_rules *sim_rules_new(void);
void sim_rules_free(struct sim_rules *rules);

/* A process begins and ends. */
void sim_rules_born(struct sim *sim, struct sim_process *process);
void sim_rules_leads(struct sim *sim, struct sim_process *process, bool settled);
void sim_rules_confirmed(struct sim *sim, struct sim_process *process);
void sim_rules_named(struct sim *sim, struct sim_process *process, struct guid guid);

/* What the engine wants done, before it is carried out. */
void sim_rules_action(struct sim *sim, struct sim_process *process, const struct engine_action *action);
/* What became of it. */
void sim_rules_joins(struct sim *sim, const struct sim_entry *entry); /* about to land */
void sim_rules_write_answered(struct sim *sim, struct sim_process *process, uint64_t id, enum error_kind error);
void sim_rules_patch_answered(struct sim *sim, struct sim_process *process, uint64_t id);
void sim_rules_listed(struct sim *sim, struct sim_process *process, const struct sim_listed *listed);
/* What the attachment that holds grant->guid in this process is to be a member of. */
void sim_rules_memberships(const struct sim *sim, const struct sim_process *process, struct sim_grant *grant);
/* A patch of that process landed: the pod now says that. */
void sim_rules_granted(struct sim *sim, uint64_t incarnation, struct sim_pod *pod, const struct sim_grant *grants,
		       size_t n);
/* The pod is gone or finished (index_from 0), or does not ask for its later interfaces any more. */
void sim_rules_ended(struct sim *sim, struct sim_pod *pod, int index_from, bool unsure);

/* What somebody who asks for the pod sees, as one number; `text` gets it in words.  0: the pod is not known. */
uint64_t sim_rules_seen(const struct engine *engine, const char *uid, char *text, size_t size);

/* After every step of a process: its state against the rules. */
void sim_rules_step(struct sim *sim, struct sim_process *process);

/* The grant that lasts, or NULL. */
const struct sim_grant *sim_rules_grant(const struct sim *sim, const struct sim_pod *pod, enum pod_source source,
					int index);
const struct sim_grant *sim_rules_holder(const struct sim *sim, struct guid guid);
size_t sim_rules_grants(const struct sim *sim);
const struct sim_grant *sim_rules_grant_at(const struct sim *sim, size_t i);
bool sim_grant_needs(const struct sim_grant *grant, struct pkey pkey);
/* Whether an Event of that reason was ever sent for the pod. */
bool sim_rules_was_told(const struct sim *sim, const struct sim_pod *pod, const char *reason);
