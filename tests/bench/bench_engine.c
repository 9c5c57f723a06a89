/* What the engine costs by itself: 100,000 attachments are joined, published, released and forgotten in a world that
 * answers at once.  Every patch is signed, and comes back as the watch would bring it.  Prints one line of JSON; nothing
 * is compared here, tests/bench/run says what the target is. */

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ufmsync/engine.h"

enum { PODS = 12500, INTERFACES = 8, PKEYS = 16, MINUTES = 60 };

static struct engine *engine;
static int64_t now = 1000;
static struct members *fabric[PKEYS];
static size_t fabric_bytes; /* of the heap */
static int64_t longest_ns, spent_ns;
static uint64_t patches, writes, reads;

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

static size_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static unsigned pod_number(const char *uid)
{
	return (unsigned)strtoul(uid + sizeof "3f2a5c3e-0000-4000-8000", NULL, 10);
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
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s{\"name\":\"ib\",\"interface\":\"net%u\"}",
			 i ? "," : "", i + 1);
	}
	strcat(text, "]");
	pod->networks_text = mem_dup(text);
	pod->texts_known = pod->has_annotations = true;
	return pod;
}

static void feed_pods(void)
{
	engine_pods_begin(engine, now);
	for (unsigned i = 0; i < PODS; i++)
		engine_pod_applied(engine, make_pod(i), now);
	engine_pods_end(engine, now);
}

/* The pod as the watch shows it after the patch. */
static struct pod *make_patched(const struct engine_action *action)
{
	struct pod *pod = make_pod(pod_number(action->patch.pod->uid));

	for (size_t i = 0; i < action->patch.n; i++) {
		const struct pod_publication *publication = &action->patch.publications[i];
		struct pod_network *network = &pod->networks[publication->index];
		network->wish = POD_WISH_GUID;
		network->guid = network->args_guid = publication->guid;
		network->configured = true;
		network->pkey_text = mem_dup(publication->pkey_text);
	}
	pod->record_text = mem_dup(action->patch.record);
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

static void list_one(uint64_t id, unsigned i)
{
	size_t at = 0;
	const struct member *member;

	while ((member = members_next(fabric[i], &at)))
		engine_listed_member(engine, id, (struct pkey){ (uint16_t)(i + 1) }, member);
}

static void write_members(const struct engine_action *action)
{
	struct members *members = fabric[action->write.class.pkey.v - 1];
	size_t before = heap_bytes();

	writes++;
	for (size_t i = 0; i < action->write.n; i++)
		if (action->kind == ENGINE_JOIN)
			members_add(members, (struct member){ action->write.guids[i], MEMBERSHIP_FULL,
							      action->write.class.index0 });
		else
			members_remove(members, action->write.guids[i]);
	fabric_bytes += heap_bytes() - before;
}

static void act(const struct engine_action *action)
{
	uint64_t id = action->id;
	struct pod *pod;

	switch (action->kind) {
	case ENGINE_JOIN:
	case ENGINE_LEAVE:
		write_members(action);
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
		pod = make_patched(action);
		engine_patch_done(engine, id, ENGINE_PATCHED, NULL, now);
		engine_pod_applied(engine, pod, now);
		return;
	case ENGINE_READ_POD:
		reads++; /* more pods wait than texts are kept for */
		engine_pod_read(engine, id, ENGINE_READ_FOUND, make_pod(pod_number(action->read_pod.uid)), now);
		return;
	case ENGINE_LIST_PODS: /* a new leader's first wish: nothing is patched yet */
		feed_pods();
		return;
	case ENGINE_POD_CHANGED:
	case ENGINE_EVENT:
		return;
	}
}

/* Until `state` holds `wanted` attachments and nothing is left to do now. */
static void run_until(enum attachment_state state, uint64_t wanted)
{
	struct engine_status status;
	struct engine_action action;
	int64_t end = now + MINUTES * 60000;

	for (;;) {
		int64_t begin = cpu_ns();
		bool found = engine_next(engine, now, &action);
		int64_t took = cpu_ns() - begin;
		spent_ns += took;
		if (took > longest_ns)
			longest_ns = took;
		if (found) {
			act(&action);
			continue;
		}
		engine_status(engine, &status);
		int64_t deadline = engine_deadline(engine);
		if (deadline <= now)
			continue;
		if (status.attachments[state] == wanted)
			return;
		if (deadline > end) {
			fprintf(stderr, "bench_engine: %" PRIu64 " attachments are %s, %" PRIu64 " of all blocked\n",
				status.attachments[state], attachment_state_name(state), status.blocked);
			exit(1);
		}
		now = deadline;
	}
}

static void begin_step(void)
{
	longest_ns = spent_ns = 0;
	patches = writes = reads = 0;
}

static void end_step(const char *name, double empty, const char *end)
{
	double model = (double)fabric_bytes / (1 << 20);

	printf("\"%s\": {\"mb\": %.1f, \"model_mb\": %.1f, \"cpu_ms\": %.1f, \"longest_ms\": %.3f, \"patches\": "
	       "%" PRIu64 ", \"writes\": %" PRIu64 ", \"reads\": %" PRIu64 "}%s",
	       name, resident_mb() - empty - model, model, (double)spent_ns / 1e6, (double)longest_ns / 1e6, patches,
	       writes, reads, end);
}

static void feed(void)
{
	engine_namespaces_begin(engine, now);
	for (unsigned i = 0; i < PKEYS; i++) {
		struct namespace_rule *rule = mem_alloc(sizeof *rule);
		rule->name = mem_printf("tenant-%u", i);
		engine_namespace_applied(engine, rule, now);
	}
	engine_namespaces_end(engine, now);
	engine_networks_begin(engine, now);
	for (unsigned i = 0; i < PKEYS; i++)
		engine_network_applied(engine, make_network(i), now);
	engine_networks_end(engine, now);
	feed_pods();
}

int main(void)
{
	const uint64_t all = (uint64_t)PODS * INTERFACES;
	struct engine_options options;
	struct record_keys *keys;
	struct error err;

	if (record_keys_parse(&keys, "YSByZWNvcmQga2V5IG9mIDMyIGJ5dGVzIG9yIG1vcmU=", &err) < 0) {
		fprintf(stderr, "bench_engine: %s\n", err.text);
		return 1;
	}
	engine_options_init(&options);
	options.keys = keys;
	engine = engine_new(&options);
	for (unsigned i = 0; i < PKEYS; i++)
		fabric[i] = members_new();
	double empty = resident_mb();

	printf("{\"attachments\": %" PRIu64 ", \"pods\": %d, ", all, PODS);
	feed();
	end_step("known", empty, ", ");
	engine_lead(engine, now, true, now);
	run_until(ATTACHMENT_PUBLISHED, all);
	end_step("published", empty, ", ");
	begin_step();
	for (unsigned i = 0; i < PODS; i++) {
		struct pod *last = make_pod(i);
		last->terminating = last->containers_ended = true;
		engine_pod_deleted(engine, last, now);
	}
	run_until(ATTACHMENT_PUBLISHED, 0);
	run_until(ATTACHMENT_LEAVING, 0);
	run_until(ATTACHMENT_RESTING, 0);
	end_step("released", empty, "}\n");
	engine_free(engine);
	record_keys_free(keys);
	for (unsigned i = 0; i < PKEYS; i++)
		members_free(fabric[i]);
	return 0;
}
