/* What the engine costs by itself: 100,000 attachments are joined, published and released in a world that answers at
 * once.  Prints memory and time; nothing is compared, tests/bench/run says what the target is. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ufmsync/engine.h"

enum { PODS = 12500, INTERFACES = 8, PKEYS = 16 };

static struct engine *engine;
static int64_t now = 1000;
static struct members *fabric[PKEYS];
static int64_t longest_ns;
static uint64_t patches;

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double resident_mb(void)
{
	char line[256];
	long kb = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kb = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return (double)kb / 1024;
}

static struct pod *make_pod(unsigned n)
{
	struct pod *pod = mem_alloc(sizeof *pod);
	char text[1024] = "[";

	pod->uid = mem_printf("3f2a5c3e-0000-4000-8000-%012u", n);
	pod->namespace = mem_printf("tenant-%u", n % PKEYS);
	pod->name = mem_printf("training-job-worker-%u", n);
	pod->node = mem_printf("gpu-node-%u", n / 8);
	pod->networks = mem_array(INTERFACES, sizeof *pod->networks);
	pod->n_networks = INTERFACES;
	for (unsigned i = 0; i < INTERFACES; i++) {
		struct pod_network *network = &pod->networks[i];
		network->source = POD_NETWORKS;
		network->index = (int)i;
		network->namespace = mem_dup(pod->namespace);
		network->name = mem_dup("ib");
		network->interface = mem_printf("net%u", i + 1);
		snprintf(text + strlen(text), sizeof text - strlen(text), "{\"name\":\"ib\",\"interface\":\"net%u\"},",
			 i + 1);
	}
	pod->networks_text = mem_dup(text);
	pod->texts_known = true;
	return pod;
}

static struct network *make_network(unsigned n)
{
	struct network *network = mem_alloc(sizeof *network);

	network->namespace = mem_printf("tenant-%u", n);
	network->name = mem_dup("ib");
	network->kind = NETWORK_IB;
	network->has_pkey = NETWORK_PKEY_VALID;
	network->pkey.v = (uint16_t)(n + 1);
	network->pkey_text = mem_printf("0x%x", n + 1);
	network->gated = true;
	network->config_name = mem_dup("ib");
	return network;
}

static struct namespace_rule *make_namespace(unsigned n)
{
	struct namespace_rule *rule = mem_alloc(sizeof *rule);

	rule->name = mem_printf("tenant-%u", n);
	return rule;
}

static void list_one(uint64_t id, unsigned i)
{
	size_t at = 0;
	const struct member *member;

	while ((member = members_next(fabric[i], &at)))
		engine_listed_member(engine, id, (struct pkey){ (uint16_t)(i + 1) }, member);
}

static void act(const struct engine_action *action)
{
	uint64_t id = action->id;

	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		for (size_t i = 0; i < action->write.n; i++) {
			struct members *members = fabric[action->write.class.pkey.v - 1];
			if (action->kind == ENGINE_JOIN)
				members_add(members, (struct member){ action->write.guids[i], MEMBERSHIP_FULL,
								      action->write.class.index0 });
			else
				members_remove(members, action->write.guids[i]);
		}
		engine_write_done(engine, id, NULL, now);
		return;
	case ENGINE_LIST:
		if (!action->list.all)
			list_one(id, action->list.pkey.v - 1u);
		else
			for (unsigned i = 0; i < PKEYS; i++)
				list_one(id, i);
		engine_list_done(engine, id, NULL, now);
		return;
	case ENGINE_PATCH:
		patches++;
		engine_patch_done(engine, id, ENGINE_PATCHED, NULL, now);
		return;
	case ENGINE_READ_POD:
		engine_pod_read(engine, id, ENGINE_READ_GONE, NULL, now);
		return;
	case ENGINE_LIST_PODS:
	case ENGINE_EVENT:
		return;
	}
}

/* Until `state` holds all attachments; the processor time that the engine's own functions took. */
static int64_t run_until(enum attachment_state state)
{
	struct engine_status status;
	struct engine_action action;
	int64_t spent = 0;

	for (uint64_t turn = 0;; turn++) {
		int64_t begin = cpu_ns();
		bool found = engine_next(engine, now, &action);
		int64_t took = cpu_ns() - begin;
		spent += took;
		if (took > longest_ns)
			longest_ns = took;
		if (found) {
			act(&action);
			continue;
		}
		engine_status(engine, &status);
		if (status.attachments[state] == (uint64_t)PODS * INTERFACES)
			return spent;
		int64_t deadline = engine_deadline(engine);
		now = deadline > now && deadline < INT64_MAX ? deadline : now + 1;
	}
}

int main(void)
{
	struct engine_options options;
	double empty = resident_mb();

	engine_options_init(&options);
	options.first.v = UINT64_C(0x0200000000000000);
	options.last.v = UINT64_C(0x02ffffffffffffff);
	engine = engine_new(&options);
	for (unsigned i = 0; i < PKEYS; i++)
		fabric[i] = members_new();
	engine_namespaces_begin(engine, now);
	for (unsigned i = 0; i < PKEYS; i++)
		engine_namespace_applied(engine, make_namespace(i), now);
	engine_namespaces_end(engine, now);
	engine_networks_begin(engine, now);
	for (unsigned i = 0; i < PKEYS; i++)
		engine_network_applied(engine, make_network(i), now);
	engine_networks_end(engine, now);
	engine_pods_begin(engine, now);
	for (unsigned i = 0; i < PODS; i++)
		engine_pod_applied(engine, make_pod(i), now);
	engine_pods_end(engine, now);
	printf("%u attachments known (%u pods): %.1f MB\n", PODS * INTERFACES, PODS, resident_mb() - empty);

	engine_lead(engine, now, true, now);
	int64_t spent = run_until(ATTACHMENT_PUBLISHED);
	double fabric_mb = 0;
	for (unsigned i = 0; i < PKEYS; i++)
		fabric_mb += (double)members_count(fabric[i]) * sizeof(struct member) * 2 / 1e6;
	printf("published: %.1f MB (of it about %.1f MB are the model of the fabric), %.0f ms in engine_next, %" PRIu64
	       " patches, longest call %.2f ms\n",
	       resident_mb() - empty, fabric_mb, (double)spent / 1e6, patches, (double)longest_ns / 1e6);
	engine_free(engine);
	for (unsigned i = 0; i < PKEYS; i++)
		members_free(fabric[i]);
	return 0;
}
