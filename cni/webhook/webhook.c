#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/mem.h"
#include "cni/webhook/answer.h"
#include "cni/webhook/webhook_private.h"

enum { ANSWER_MAX = 64 * 1024 };

/* --- refusals: what is not even looked at --- */

#define RETRY_LATER "Retry-After: 5"

struct refusal {
	int status;
	const char *code;
	const char *header; /* NULL: none */
	enum webhook_notice notice;
	size_t count; /* which of webhook_counts */
};
#define COUNT(field) offsetof(struct webhook_counts, field)
static const struct refusal unauthorized = { 401, "Unauthorized", "WWW-Authenticate: Bearer", WEBHOOK_UNAUTHENTICATED,
					     COUNT(unauthenticated) },
			    forbidden = { 403, "Forbidden", NULL, WEBHOOK_FORBIDDEN, COUNT(forbidden) },
			    wrong_node = { 403, "WrongNode", NULL, WEBHOOK_WRONG_NODE, COUNT(forbidden) },
			    bad_request = { 400, "BadRequest", NULL, WEBHOOK_BAD_REQUEST, COUNT(bad) },
			    bad_method = { 405, "MethodNotAllowed", "Allow: GET, POST", WEBHOOK_BAD_REQUEST,
					   COUNT(bad) },
			    too_large = { 413, "TooLarge", NULL, WEBHOOK_BAD_REQUEST, COUNT(bad) },
			    too_many_of_node = { 429, "TooManyOfNode", RETRY_LATER, WEBHOOK_TOO_MANY_OF_NODE,
						 COUNT(too_many_node) },
			    too_many = { 503, "TooMany", RETRY_LATER, WEBHOOK_TOO_MANY, COUNT(too_many) },
			    unavailable = { 503, "Unavailable", RETRY_LATER, WEBHOOK_UNAVAILABLE, COUNT(unavailable) };

static void answer(struct webhook *webhook, struct httpd_request *http, int status, const char *header)
{
	const char *const headers[] = { "Cache-Control: no-store", header, NULL };

	assert(!webhook->body.full);
	httpd_answer(http, status, "application/json", headers, webhook->body.data, webhook->body.len);
}

static void refuse(struct webhook *webhook, struct httpd_request *http, const struct refusal *refusal, const char *user,
		   const char *message)
{
	++*(uint64_t *)((char *)&webhook->counts + refusal->count);
	if (webhook->said) {
		char *detail = mem_printf("%d: %s%s%s: %s", refusal->status, httpd_peer(http), *user ? ", " : "", user,
					  message);

		webhook->said(webhook->said_aux, refusal->notice, detail);
		free(detail);
	}
	answer_refusal(&webhook->body, refusal->code, message);
	answer(webhook, http, refusal->status, refusal->header);
}

/* --- the end of a request --- */

static void attach_free(struct attach *attach)
{
	struct webhook *webhook = attach->webhook;

	if (attach->ask)
		kube_access_cancel(attach->ask);
	attach_leave_pod(attach);
	attach_leave_lookup(attach);
	if (attach->node)
		waiting_node_leave(&webhook->waiting, attach->node);
	loop_timer_stop(&attach->timer);
	chain_remove(&attach->all);
	webhook->counts.waiting--;
	free(attach->said);
	free(attach);
}

void attach_finish(struct attach *attach)
{
	struct webhook *webhook = attach->webhook;
	struct httpd_request *http = attach->http;

	attach_free(attach);
	answer(webhook, http, 200, NULL);
}

static void attach_refuse(struct attach *attach, const struct refusal *refusal, const char *user, const char *message)
{
	struct webhook *webhook = attach->webhook;
	struct httpd_request *http = attach->http;

	attach_free(attach);
	refuse(webhook, http, refusal, user, message);
}

void attach_decided(struct attach *attach, const char *code, const char *message, bool retry)
{
	attach->webhook->counts.refused++;
	answer_decision(&attach->webhook->body, code, message, retry);
	attach_finish(attach);
}

void attach_too_late(struct attach *attach, const char *code, const char *message)
{
	attach->webhook->counts.timed_out++;
	answer_decision(&attach->webhook->body, code, message, true);
	attach_finish(attach);
}

void attach_wrong_node(struct attach *attach)
{
	const struct attach_request *said = attach->said;
	char *message = mem_printf("pod %s/%s does not run on node %s, to which the token belongs", said->namespace,
				   said->name, attach->node->name);

	attach_refuse(attach, &wrong_node, "", message);
	free(message);
}

static void on_timer(struct loop_timer *timer)
{
	struct attach *attach = container_of(timer, struct attach, timer);

	if (attach->pod)
		attach_pod_timed_out(attach);
	else if (attach->lookup)
		attach_lookup_timed_out(attach);
	else
		attach_refuse(attach, &unavailable, "", "nobody could say in time whose token this is");
}

void attach_set_timer(struct attach *attach, int64_t now)
{
	int64_t found_missing_ms = attach->missing_ms + attach->webhook->pace.missing_ms, due_ms = attach->deadline_ms;

	if (attach->missing_ms && found_missing_ms > now && found_missing_ms < due_ms)
		due_ms = found_missing_ms;
	loop_timer_at(&attach->timer, due_ms);
}

/* --- who may ask --- */

void leading_now(struct leading *leading, const struct webhook *webhook)
{
	const struct webhook_world *world = &webhook->world;
	bool held = false;
	const char *leader = world->leader(world->aux, &held);
	size_t len = leader ? strnlen(leader, sizeof leading->last - 1) : 0;

	if (leader)
		memcpy(leading->last, leader, len);
	leading->last[len] = '\0';
	leading->we = world->leads(world->aux);
	leading->knows = world->knows(world->aux);
	leading->anybody = leading->we || held;
}

static void answer_whether_ready(struct attach *attach)
{
	struct leading leading;

	leading_now(&leading, attach->webhook);
	answer_status(&attach->webhook->body, leading.anybody, leading.last,
		      leading.we        ? "this replica leads"
		      : leading.anybody ? "another replica leads"
					: "no replica leads");
	attach_finish(attach);
}

static bool is_user(const struct webhook *webhook, const char *name)
{
	for (char **user = webhook->users; *user; user++)
		if (strcmp(*user, name) == 0)
			return true;
	return false;
}

static void attach_read(struct attach *attach, const char *user)
{
	struct webhook *webhook = attach->webhook;
	struct error err = { 0 };
	size_t len;
	const char *body = httpd_body(attach->http, &len);

	if (attach_request_parse(&attach->said, body, len, &err) < 0) {
		attach_refuse(attach, &bad_request, user, err.text);
		return;
	}
	const char *node = webhook_node_of(webhook, attach->said->uid);
	if (!node)
		attach_look_up(attach);
	else if (strcmp(node, attach->node->name) != 0)
		attach_wrong_node(attach);
	else
		attach_of_pod(attach, attach->said->uid);
}

static void attach_granted(struct attach *attach, const struct kube_identity *who)
{
	struct webhook *webhook = attach->webhook;

	if (!is_user(webhook, who->user)) {
		attach_refuse(attach, &forbidden, who->user, "this user is none of those who may ask for pods");
		return;
	}
	if (attach->is_probe) {
		answer_whether_ready(attach);
		return;
	}
	if (!who->node || !*who->node) {
		attach_refuse(attach, &forbidden, who->user, "the token belongs to no pod that runs on a node");
		return;
	}
	attach->node = waiting_node_enter(&webhook->waiting, who->node, webhook->per_node_max);
	if (!attach->node) {
		char *message =
			mem_printf("%u requests of node %s are waiting already", webhook->per_node_max, who->node);

		attach_refuse(attach, &too_many_of_node, who->user, message);
		free(message);
		return;
	}
	attach_read(attach, who->user);
}

static void on_access(void *aux, enum kube_verdict verdict, const struct kube_identity *who, const char *why)
{
	struct attach *attach = aux;

	attach->ask = NULL;
	switch (verdict) {
	case KUBE_ACCESS_OK:
		attach_granted(attach, who);
		break;
	case KUBE_ACCESS_WHO:
		attach_refuse(attach, &unauthorized, "", why);
		break;
	case KUBE_ACCESS_FORBIDDEN:
		attach_refuse(attach, &forbidden, who->user, why);
		break;
	case KUBE_ACCESS_UNAVAILABLE:
		attach_refuse(attach, &unavailable, "", why);
		break;
	}
}

const char *webhook_token(const struct httpd_request *http)
{
	static const char scheme[] = "Bearer ";
	const char *value = httpd_header(http, "Authorization");

	if (!value)
		value = httpd_header(http, "X-Ufmsync-Token");
	else if (strncasecmp(value, scheme, sizeof scheme - 1) == 0)
		value += strspn(value + sizeof scheme - 2, " ") + sizeof scheme - 2;
	else
		value = NULL;
	return value && *value ? value : NULL;
}

static struct attach *attach_new(struct webhook *webhook, struct httpd_request *http)
{
	struct attach *attach = mem_alloc(sizeof *attach);

	attach->webhook = webhook;
	attach->http = http;
	attach->deadline_ms = loop_now_ms() + webhook->timeout_ms;
	chain_init(&attach->place);
	chain_init(&attach->all);
	chain_append(&webhook->all, &attach->all);
	loop_timer_init(&attach->timer, webhook->loop, on_timer);
	loop_timer_at(&attach->timer, attach->deadline_ms);
	httpd_set_aux(http, attach);
	webhook->counts.waiting++;
	return attach;
}

void webhook_handle(struct webhook *webhook, struct httpd_request *http)
{
	const char *method = httpd_method(http), *token = webhook_token(http);
	bool is_probe = strcmp(method, "GET") == 0;
	size_t len;

	httpd_set_aux(http, NULL);
	httpd_body(http, &len);
	if (!is_probe && strcmp(method, "POST") != 0) {
		refuse(webhook, http, &bad_method, "", "only GET and POST");
	} else if (len > WEBHOOK_BODY_MAX) {
		refuse(webhook, http, &too_large, "", "the body is too large");
	} else if (!token) {
		refuse(webhook, http, &unauthorized, "", "there is no bearer token");
	} else if (webhook->counts.waiting >= webhook->waiting_max) {
		refuse(webhook, http, &too_many, "", "too many requests are waiting already");
	} else {
		struct attach *attach = attach_new(webhook, http);

		attach->is_probe = is_probe;
		/* A kept answer comes at once, and `attach` may be gone then. */
		struct kube_access_ask *ask =
			kube_access_check(webhook->access, token, method, "/v1/attach", !is_probe, on_access, attach);
		if (ask)
			attach->ask = ask;
	}
}

void webhook_gone(struct webhook *webhook, struct httpd_request *http)
{
	struct attach *attach = httpd_aux(http);

	if (!attach)
		return;
	webhook->counts.gone++;
	attach_free(attach);
}

/* --- life --- */

static char **copy_users(const char *const *users)
{
	size_t n = 0;

	while (users && users[n])
		n++;
	char **copy = mem_array(n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = mem_dup(users[i]);
	return copy;
}

static uint64_t random_number(void)
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
		n = (uint64_t)loop_wall_ms() * 0x9e3779b97f4a7c15u;
	return n;
}

struct webhook *webhook_new(struct loop *loop, const struct webhook_options *options)
{
	struct webhook *webhook = mem_alloc(sizeof *webhook);

	webhook->loop = loop;
	webhook->world = *options->world;
	webhook->access = options->access;
	webhook->users = copy_users(options->users);
	webhook->timeout_ms = options->timeout_ms ? options->timeout_ms : ATTACH_TIMEOUT_MS;
	webhook->waiting_max = options->waiting_max ? options->waiting_max : ATTACH_WAITING_MAX;
	webhook->per_node_max = options->per_node_max ? options->per_node_max : ATTACH_PER_NODE_MAX;
	webhook->pace = (struct webhook_pace){ .missing_ms = 5000,
					       .failed_pause_ms = 1000,
					       .unknown_pause_ms = 250,
					       .pause_max_ms = 5000,
					       .slice_ns = 1000 * 1000 };
	webhook->said = options->said;
	webhook->said_aux = options->aux;
	chain_init(&webhook->all);
	buf_init(&webhook->body, ANSWER_MAX);
	webhook_pods_init(webhook, random_number());
	webhook_lookups_init(webhook);
	return webhook;
}

void webhook_free(struct webhook *webhook)
{
	if (!webhook)
		return;
	webhook->stops = true;
	while (!chain_empty(&webhook->all)) {
		struct attach *attach = container_of(webhook->all.next, struct attach, all);
		struct httpd_request *http = attach->http;

		attach_free(attach);
		answer_refusal(&webhook->body, unavailable.code, "this replica stops");
		answer(webhook, http, unavailable.status, unavailable.header);
	}
	webhook_lookups_free(webhook);
	webhook_pods_free(webhook);
	buf_free(&webhook->body);
	for (char **user = webhook->users; *user; user++)
		free(*user);
	free(webhook->users);
	free(webhook);
}

void webhook_counts(const struct webhook *webhook, struct webhook_counts *counts)
{
	*counts = webhook->counts;
}
