#undef NDEBUG
#include "tests/unit/cni/webhook/webhook_world.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"

struct world world;

/* --- who may ask: in place of ufmsync/kube/access.c --- */

struct kube_access_ask {
	struct kube_access_ask *next;
	char *node;
	kube_access_done_fn *done;
	void *aux;
};
static struct kube_access_ask *late;

static void verdict(const char *user, const char *node, kube_access_done_fn *done, void *aux)
{
	const struct kube_identity who = { user, node };

	done(aux, KUBE_ACCESS_OK, &who, "");
}

struct kube_access_ask *kube_access_check(struct kube_access *access, const char *token, const char *method,
					  const char *path, bool node, kube_access_done_fn *done, void *aux)
{
	const struct kube_identity somebody = { "somebody", NULL };

	assert(access == (struct kube_access *)&world);
	world.asks++;
	world.node_asked = node;
	snprintf(world.method, sizeof world.method, "%s", method);
	snprintf(world.path, sizeof world.path, "%s", path);
	if (strncmp(token, "node:", 5) == 0) {
		verdict("plugin", token + 5, done, aux);
	} else if (strncmp(token, "user:", 5) == 0) {
		verdict(token + 5, "n1", done, aux);
	} else if (strcmp(token, "nonode") == 0) {
		verdict("plugin", NULL, done, aux);
	} else if (strcmp(token, "forbidden") == 0) {
		done(aux, KUBE_ACCESS_FORBIDDEN, &somebody, "may not");
	} else if (strcmp(token, "unavailable") == 0) {
		done(aux, KUBE_ACCESS_UNAVAILABLE, NULL, "is away");
	} else if (strncmp(token, "late:", 5) == 0) {
		struct kube_access_ask *ask = mem_alloc(sizeof *ask);

		*ask = (struct kube_access_ask){ late, mem_dup(token + 5), done, aux };
		late = ask;
		return ask;
	} else {
		done(aux, KUBE_ACCESS_WHO, NULL, "nobody's token");
	}
	return NULL;
}

void kube_access_cancel(struct kube_access_ask *ask)
{
	struct kube_access_ask **at = &late;

	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	free(ask->node);
	free(ask);
	world.asks_cancelled++;
}

void world_release_asks(void)
{
	while (late) {
		struct kube_access_ask *ask = late;

		late = ask->next;
		verdict("plugin", ask->node, ask->done, ask->aux);
		free(ask->node);
		free(ask);
	}
}

/* --- the world --- */

static struct world_pod *find(const char *uid)
{
	for (unsigned i = 0; i < world.n_pods; i++) {
		struct world_pod *pod = &world.pods[i];

		if (strcmp(pod->uid, uid) == 0)
			return pod;
	}
	return NULL;
}

static struct world_pod *find_known(const char *uid)
{
	struct world_pod *pod = find(uid);

	return pod && pod->known ? pod : NULL;
}

static const char *world_node(void *aux, const char *uid)
{
	struct world_pod *pod = find_known(uid);

	(void)aux;
	return pod ? pod->node : NULL;
}

static void world_each(void *aux, const char *uid, void (*visit)(void *, const struct webhook_attachment *),
		       void *visit_aux)
{
	const struct world_pod *pod = find_known(uid);

	(void)aux;
	for (unsigned i = 0; pod && i < pod->n; i++)
		visit(visit_aux, &pod->networks[i]);
}

static bool world_await(void *aux, const char *uid)
{
	struct world_pod *pod = find_known(uid);

	(void)aux;
	if (pod)
		pod->awaited++;
	return pod;
}

static void world_await_no_more(void *aux, const char *uid)
{
	(void)aux;
	find(uid)->awaited--;
}

static struct {
	uint64_t ticket;
	char name[32], uid[32];
} pending[WORLD_PODS];

static void answer_read(uint64_t ticket, const char *name, const char *uid)
{
	for (unsigned i = 0; i < world.n_pods; i++) {
		struct world_pod *pod = &world.pods[i];

		if (pod->gone || strcmp(pod->name, name) != 0 ||
		    (strcmp(pod->uid, uid) != 0 && (!pod->static_uid || strcmp(pod->static_uid, uid) != 0)))
			continue;
		pod->known |= !world.reads_show_nothing;
		webhook_pod_read(world.webhook, ticket, WEBHOOK_READ_FOUND, pod->uid, pod->node);
		return;
	}
	webhook_pod_read(world.webhook, ticket, WEBHOOK_READ_NONE, NULL, NULL);
}

static void world_read(void *aux, const char *namespace, const char *name, const char *uid, uint64_t ticket)
{
	(void)aux;
	assert_string_equal(namespace, "ns");
	world.reads++;
	if (world.reads_wait) {
		assert_true(world.reads_pending < WORLD_PODS);
		pending[world.reads_pending].ticket = ticket;
		snprintf(pending[world.reads_pending].name, 32, "%s", name);
		snprintf(pending[world.reads_pending++].uid, 32, "%s", uid);
	} else if (world.reads_fail) {
		webhook_pod_read(world.webhook, ticket, WEBHOOK_READ_FAILED, NULL, NULL);
	} else {
		answer_read(ticket, name, uid);
	}
}

void world_answer_reads(void)
{
	for (unsigned i = 0; i < world.reads_pending; i++)
		answer_read(pending[i].ticket, pending[i].name, pending[i].uid);
	world.reads_pending = 0;
}

static bool world_leads(void *aux)
{
	(void)aux;
	return world.leads;
}

static bool world_knows(void *aux)
{
	(void)aux;
	return world.knows;
}

static const char *world_leader(void *aux, bool *held)
{
	(void)aux;
	*held = world.held;
	return world.leader;
}

static void on_said(void *aux, enum webhook_notice what, const char *detail)
{
	(void)aux;
	world.notices[what]++;
	snprintf(world.detail, sizeof world.detail, "%s", detail);
}

struct world_pod *world_add(const char *uid, const char *node, unsigned networks)
{
	struct world_pod *pod = &world.pods[world.n_pods++];

	assert_true(world.n_pods <= WORLD_PODS && networks <= WORLD_NETWORKS);
	snprintf(pod->uid, sizeof pod->uid, "%s", uid);
	snprintf(pod->name, sizeof pod->name, "p-%.20s", uid);
	snprintf(pod->node, sizeof pod->node, "%s", node);
	pod->known = true;
	pod->n = networks;
	for (unsigned i = 0; i < networks; i++)
		pod->networks[i] = (struct webhook_attachment){ .index = (int)i,
								.interface = "",
								.config_name = "ib",
								.has_guid = true,
								.attachable = true,
								.guid = { 0x0200000000000001u + i },
								.pkey_text = "0x5",
								.memberships = { { { 5 }, MEMBERSHIP_FULL, true } },
								.n_memberships = 1 };
	return pod;
}

void world_changed(const struct world_pod *pod)
{
	webhook_pod_changed(world.webhook, pod->uid);
}

struct webhook_counts world_counts(void)
{
	struct webhook_counts counts;

	webhook_counts(world.webhook, &counts);
	return counts;
}

/* --- the server --- */

static void handle(void *aux, struct httpd_request *request)
{
	(void)aux;
	webhook_handle(world.webhook, request);
}

static void gone(void *aux, struct httpd_request *request)
{
	(void)aux;
	webhook_gone(world.webhook, request);
}

void world_restart(const struct webhook_options *options)
{
	static const struct webhook_world table = { world_node,          world_each,   world_await,
						    world_await_no_more, world_read,   world_leads,
						    world_knows,         world_leader, NULL };
	static const char *const users[] = { "other-plugin", "plugin", NULL };
	struct webhook_options all = *options;

	webhook_free(world.webhook);
	all.world = &table;
	all.access = (struct kube_access *)&world;
	all.users = users;
	all.said = on_said;
	if (all.timeout_ms == 0)
		all.timeout_ms = 20000;
	world.webhook = webhook_new(exchange_loop, &all);
}

void world_stop(void)
{
	webhook_free(world.webhook);
	world.webhook = NULL;
}

int world_setup(void **state)
{
	struct httpd_options options = { .listen = "127.0.0.1:0", .body_max = 1 << 20, .handle = handle, .gone = gone };
	struct error err;

	if (exchange_setup(state) != 0 || httpd_new(&world.httpd, exchange_loop, &options, &err) < 0)
		return -1;
	snprintf(world.url, sizeof world.url, "http://127.0.0.1:%u/v1/attach", httpd_port(world.httpd));
	world.leads = world.held = world.knows = true;
	world.leader = "ufmsync-0";
	world_restart(&(struct webhook_options){ 0 });
	return 0;
}

int world_teardown(void **state)
{
	struct webhook *webhook = world.webhook;

	httpd_free(world.httpd);
	webhook_free(webhook);
	assert(!late);
	for (unsigned i = 0; i < world.n_pods; i++)
		assert(world.pods[i].awaited == 0);
	world = (struct world){ 0 };
	return exchange_teardown(state);
}

/* --- its client --- */

void world_send(struct exchange *exchange, const char *method, const char *const *headers, const char *body)
{
	exchange_send(exchange, &(struct http_request_options){ .method = method,
								.url = world.url,
								.headers = headers,
								.body = body,
								.body_len = body ? strlen(body) : 0 });
}

void world_ask_hint(struct exchange *exchange, const char *token, const char *uid, const char *interface,
		    const char *network, const char *hint)
{
	char *authorization = mem_printf("Authorization: Bearer %s", token);
	const char *const headers[] = { authorization, NULL };
	char *body = mem_printf("{\"pod\":{\"namespace\":\"ns\",\"name\":\"p-%s\",\"uid\":\"%s\"},\"interface\":\"%s\","
				"\"networkName\":\"%s\",\"guid\":\"%s\",\"containerID\":\"%s\"}",
				uid, uid, interface, network, hint, world.container ? world.container : "");

	world_send(exchange, "POST", headers, body);
	free(body);
	free(authorization);
}

void world_ask(struct exchange *exchange, const char *token, const char *uid, const char *interface)
{
	world_ask_hint(exchange, token, uid, interface, "ib", "");
}

static bool (*wanted)(unsigned n);
static unsigned wanted_n;

static void on_turn(void *aux)
{
	(void)aux;
	if (wanted(wanted_n))
		loop_stop(exchange_loop);
}

static void until(bool (*is)(unsigned n), unsigned n)
{
	wanted = is;
	wanted_n = n;
	loop_on_turn(exchange_loop, on_turn, NULL);
	while (!is(n))
		loop_run(exchange_loop);
	loop_on_turn(exchange_loop, NULL, NULL);
}

static bool so_many_wait(unsigned n)
{
	return world_counts().waiting == n;
}

static bool so_many_reads(unsigned n)
{
	return world.reads >= n;
}

void world_until_waiting(unsigned n)
{
	until(so_many_wait, n);
}

void world_until_reads(unsigned n)
{
	until(so_many_reads, n);
}

static void on_passed(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static void on_passing_turn(void *aux)
{
	++*(unsigned *)aux;
}

unsigned world_pass(int64_t ms)
{
	struct loop_timer timer;
	unsigned turns = 0;

	loop_timer_init(&timer, exchange_loop, on_passed);
	loop_timer_at(&timer, loop_now_ms() + ms);
	loop_on_turn(exchange_loop, on_passing_turn, &turns);
	while (loop_timer_is_set(&timer))
		loop_run(exchange_loop);
	loop_on_turn(exchange_loop, NULL, NULL);
	return turns;
}

void world_wait(struct exchange *exchange, int status, const char *body)
{
	exchange_wait();
	exchange_assert_answered(exchange, status, body);
	json_t *json = json_parse(exchange->body, exchange->body_len, &(struct error){ 0 });
	assert_non_null(json);
	json_decref(json);
	assert_string_equal(exchange->content_type, "application/json");
	exchange_free(exchange);
}

void world_wait_code(struct exchange *exchange, const char *code, bool retry, const char *words)
{
	exchange_wait();
	exchange_assert_answered(exchange, 200, NULL);
	json_t *json = json_parse(exchange->body, exchange->body_len, &(struct error){ 0 });
	const char *message = json_str(json, "error", "message", NULL);
	assert_string_equal(json_str(json, "error", "code", NULL), code);
	assert_int_equal(json_bool(json, !retry, "error", "retry", NULL), retry);
	if (!strstr(message, words))
		fail_msg("not about %s: %s", words, message);
	json_decref(json);
	exchange_free(exchange);
}

void world_wait_guid(struct exchange *exchange, unsigned guid)
{
	char *expected =
		mem_printf("{\"guid\":\"02:00:00:00:00:00:00:%02x\",\"pkey\":\"0x5\",\"memberships\":[{\"pkey\":"
			   "\"0x5\",\"membership\":\"full\",\"index0\":true}]}",
			   guid);

	world_wait(exchange, 200, expected);
	free(expected);
}
