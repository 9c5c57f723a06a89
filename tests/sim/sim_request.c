#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim_api.h"
#include "tests/sim/sim_patch.h"
#include "tests/sim/sim_rules.h"

/* Requests to the model API server: patches that meet the pod as it is by then, and reads. */

struct request {
	uint64_t incarnation, id;
	unsigned references;
	char *namespace, *name, *uid;
	/* of a patch */
	char *patch;
	struct sim_grant *grants;
	size_t n_grants;
	bool lost, failed, delayed;
	int64_t sent_at;
	enum engine_patched patched;
	/* of a read */
	enum engine_read how;
	struct pod *pod;
};

static void request_release(void *aux)
{
	struct request *request = aux;

	if (--request->references)
		return;
	free(request->namespace);
	free(request->name);
	free(request->uid);
	free(request->patch);
	free(request->grants);
	pod_free(request->pod);
	free(request);
}

/* --- patches --- */

static void patch_apply(struct sim *sim, struct request *request, struct sim_pod *pod)
{
	/* A pod whose annotations are full takes back what it has, and nothing more. */
	if (pod->full) {
		request->patched = ENGINE_PATCH_REFUSED;
		return;
	}
	switch (sim_patch_apply(pod, request->patch)) {
	case SIM_PATCH_TEST_FAILED:
		request->patched = ENGINE_PATCH_STALE;
		break;
	case SIM_PATCH_MALFORMED:
		sim_fail(sim, "patch form", "the patch of %s/%s cannot be applied: %s", pod->namespace, pod->name,
			 request->patch);
		break;
	case SIM_PATCH_DONE:
		request->patched = ENGINE_PATCHED;
		sim_api_changed(sim, pod);
		/* What a dead process writes without a record, no other can know from a forgery. */
		pod->loose |= !sim->plan.keyed && !sim_cluster_asker(sim->cluster, request->incarnation);
		sim_rules_granted(sim, request->incarnation, pod, request->grants, request->n_grants);
		break;
	}
}

static void patch_lands(struct sim *sim, void *aux)
{
	struct request *request = aux;
	struct sim_pod *pod = sim_api_find_pod(sim->api, request->namespace, request->name);
	int64_t latest = request->sent_at + sim->plan.options.write_timeout_ms;

	if (!request->delayed && !sim_cluster_asker(sim->cluster, request->incarnation) &&
	    sim_rng_chance(&sim->rng, 50)) {
		request->delayed = true;
		request->references++;
		sim_at(sim, sim_rng_between(&sim->rng, sim->world.now, latest), patch_lands, request, request_release);
		return;
	}
	if (!pod)
		request->patched = ENGINE_PATCH_GONE;
	else
		patch_apply(sim, request, pod);
	sim_say(sim, "api      patch #%llu of process %llu on %s/%s: %d", (unsigned long long)request->id,
		(unsigned long long)request->incarnation, request->namespace, request->name, (int)request->patched);
}

static void patch_answered(struct sim *sim, void *aux)
{
	static const char *const names[] = { "patched", "stale", "refused", "gone", "unknown" };
	struct request *request = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, request->incarnation);
	enum engine_patched patched = request->lost || request->failed ? ENGINE_PATCH_RETRY : request->patched;

	if (!process)
		return;
	process->patches--;
	if (patched == ENGINE_PATCH_RETRY &&
	    process->unsure_until < request->sent_at + sim->plan.options.write_timeout_ms)
		process->unsure_until = request->sent_at + sim->plan.options.write_timeout_ms;
	sim_say(sim, "fact %llu   patch #%llu of %s/%s: %s", (unsigned long long)process->incarnation,
		(unsigned long long)request->id, request->namespace, request->name, names[patched]);
	sim_rules_patch_answered(sim, process, request->id);
	engine_patch_done(process->engine, request->id, patched,
			  patched == ENGINE_PATCH_REFUSED ? "annotations are too long" : NULL, sim->world.now);
	sim_process_fed(sim, process);
}

/* What the pod will hold if this lands, for the rules. */
static void note_grants(struct sim *sim, struct sim_process *process, struct request *request,
			const struct engine_action *action)
{
	request->n_grants = action->patch.n;
	request->grants = mem_array(action->patch.n ? action->patch.n : 1, sizeof(*request->grants));
	for (size_t i = 0; i < action->patch.n; i++) {
		const struct pod_publication *publication = &action->patch.publications[i];
		struct sim_grant *grant = &request->grants[i];

		grant->source = publication->source;
		grant->index = publication->index;
		grant->guid = publication->guid;
		sim_rules_memberships(sim, process, grant);
		if (publication->pkey_text)
			strncpy(grant->pkey_text, publication->pkey_text, sizeof(grant->pkey_text) - 1);
	}
}

static bool write_patch(struct sim *sim, struct request *request, const struct engine_action *action)
{
	struct error err;
	struct buf patch;

	buf_init(&patch, 1 << 20);
	if (pod_patch(&patch, action->patch.pod, action->patch.publications, action->patch.n, action->patch.record,
		      &err) < 0) {
		sim_fail(sim, "patch form", "the engine wants a patch that cannot be written: %s", err.text);
		buf_free(&patch);
		return false;
	}
	request->patch = buf_take(&patch);
	return true;
}

void sim_api_patch(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct request *request = mem_alloc(sizeof(*request));
	int64_t answer = sim_rng_between(&sim->rng, 1, 100), land;
	bool fault = !sim->settling && sim_rng_chance(&sim->rng, sim->plan.patch_fault);

	request->incarnation = process->incarnation;
	request->id = action->id;
	request->references = 1;
	request->sent_at = sim->world.now;
	request->namespace = mem_dup(action->patch.pod->namespace);
	request->name = mem_dup(action->patch.pod->name);
	note_grants(sim, process, request, action);
	if (!write_patch(sim, request, action)) {
		request_release(request);
		return;
	}
	process->patches++;
	land = sim_rng_between(&sim->rng, 0, answer);
	if (sim_api_is_down(sim)) {
		request->failed = true;
	} else if (fault && sim_rng_chance(&sim->rng, 40)) {
		request->failed = true;
	} else if (fault) {
		request->lost = true;
		land = sim_rng_between(&sim->rng, 0, sim->plan.options.write_timeout_ms);
		answer = sim_rng_chance(&sim->rng, 60) ? sim->plan.options.write_timeout_ms : answer;
	}
	if (!request->failed) {
		request->references++;
		sim_after(sim, land, patch_lands, request, request_release);
	}
	sim_after(sim, answer, patch_answered, request, request_release);
}

/* --- reads --- */

static void read_looks(struct sim *sim, void *aux)
{
	struct request *request = aux;
	struct sim_pod *pod = sim_api_find_pod(sim->api, request->namespace, request->name);

	if (request->failed) {
		request->how = ENGINE_READ_FAILED;
	} else if (pod && strcmp(pod->uid, request->uid) == 0) {
		request->how = ENGINE_READ_FOUND;
		request->pod = sim_pod_object(pod);
	} else {
		request->how = ENGINE_READ_GONE;
	}
}

static void read_answered(struct sim *sim, void *aux)
{
	static const char *const names[] = { "found", "gone", "failed" };
	struct request *request = aux;
	struct sim_process *process = sim_cluster_asker(sim->cluster, request->incarnation);
	struct pod *pod = request->pod;

	if (!process)
		return;
	process->reads--;
	sim_say(sim, "fact %llu   read #%llu of %s/%s: %s", (unsigned long long)process->incarnation,
		(unsigned long long)request->id, request->namespace, request->name, names[request->how]);
	request->pod = NULL;
	engine_pod_read(process->engine, request->id, request->how, pod, sim->world.now);
	sim_process_fed(sim, process);
}

void sim_api_read(struct sim *sim, struct sim_process *process, const struct engine_action *action)
{
	struct request *request = mem_alloc(sizeof(*request));
	int64_t answer = sim_rng_between(&sim->rng, 1, 50);

	request->incarnation = process->incarnation;
	request->id = action->id;
	request->references = 2;
	request->namespace = mem_dup(action->read_pod.namespace);
	request->name = mem_dup(action->read_pod.name);
	request->uid = mem_dup(action->read_pod.uid);
	request->failed = sim_api_is_down(sim) || (!sim->settling && sim_rng_chance(&sim->rng, sim->plan.read_fault));
	process->reads++;
	sim_after(sim, sim_rng_between(&sim->rng, 0, answer), read_looks, request, request_release);
	sim_after(sim, answer, read_answered, request, request_release);
}
