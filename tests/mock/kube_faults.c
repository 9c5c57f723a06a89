#include "tests/mock/kube_faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { RULES_MAX = 1000, DELAY_MAX_MS = 3600 * 1000, ACTION_LATENCY = 100, ACTION_LATE_ANSWER };

struct rule {
	struct rule *next;
	unsigned id;
	int action; /* enum mkube_action, or one of the delays */
	int64_t skip, times, used;
	bool endless;
	json_t *json;
};

struct mkube_faults {
	struct rule *first;
	unsigned last_id, n;
	int64_t write_ms, read_ms;
};

static const struct {
	const char *name;
	int action;
} actions[] = {
	{ "status", MKUBE_ANSWER },
	{ "hang", MKUBE_HANG },
	{ "reset_before", MKUBE_RESET },
	{ "reset_after_apply", MKUBE_RESET_AFTER },
	{ "cut_stream", MKUBE_CUT },
	{ "latency", ACTION_LATENCY },
	{ "late_answer", ACTION_LATE_ANSWER },
};

struct mkube_faults *mkube_faults_new(void)
{
	return mem_alloc(sizeof(struct mkube_faults));
}

void mkube_faults_free(struct mkube_faults *faults)
{
	if (!faults)
		return;
	mkube_faults_remove(faults, 0);
	free(faults);
}

static int check_keys(const json_t *object, const char *const *known, struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		size_t i;

		for (i = 0; known[i] && strcmp(known[i], key) != 0; i++)
			;
		if (!known[i])
			return error_set(err, ERROR_INVALID, "a rule knows no '%s'", key);
	}
	return 0;
}

static int check(const json_t *rule, int *action, struct error *err)
{
	static const char *const keys[] = { "match",   "skip",        "times", "action",   "code", "reason",
					    "message", "retry_after", "body",  "delay_ms", NULL };
	static const char *const match_keys[] = {
		"verb", "method", "resource", "subresource", "namespace", "name", NULL
	};
	const char *name = json_str(rule, "action", NULL), *resource = json_str(rule, "match", "resource", NULL);
	int64_t delay = json_int(rule, 0, "delay_ms", NULL), status = json_int(rule, 500, "code", NULL);

	if (!json_is_object(rule))
		return error_set(err, ERROR_INVALID, "a rule is an object");
	if (check_keys(rule, keys, err) < 0 || check_keys(json_object_get(rule, "match"), match_keys, err) < 0)
		return -1;
	*action = -1;
	for (size_t i = 0; name && i < array_length(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			*action = actions[i].action;
	if (*action < 0)
		return error_set(err, ERROR_INVALID, "'%s' is no action", name ? name : "");
	if (resource && mkube_kind_find(resource) == MKUBE_KINDS)
		return error_set(err, ERROR_INVALID, "'%s' is no resource here", resource);
	if (delay < 0 || delay > DELAY_MAX_MS || status < 200 || status > 599)
		return error_set(err, ERROR_INVALID, "delay_ms or code out of range");
	return 0;
}

int mkube_faults_add(struct mkube_faults *faults, const json_t *json, unsigned *id, struct error *err)
{
	struct rule **end = &faults->first;
	int action = -1;

	if (check(json, &action, err) < 0)
		return -1;
	if (faults->n == RULES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d rules", RULES_MAX);
	struct rule *rule = mem_alloc(sizeof *rule);
	rule->id = *id = ++faults->last_id;
	rule->action = action;
	rule->skip = json_int(json, 0, "skip", NULL);
	rule->times = json_int(json, 0, "times", NULL);
	rule->endless = rule->times <= 0;
	rule->json = json_deep_copy(json);
	while (*end)
		end = &(*end)->next;
	*end = rule;
	faults->n++;
	return 0;
}

json_t *mkube_faults_list(const struct mkube_faults *faults)
{
	json_t *list = json_array();

	for (const struct rule *rule = faults->first; rule; rule = rule->next) {
		json_t *copy = json_deep_copy(rule->json);

		json_object_set_new(copy, "id", json_integer(rule->id));
		json_object_set_new(copy, "used", json_integer(rule->used));
		json_array_append_new(list, copy);
	}
	return list;
}

void mkube_faults_remove(struct mkube_faults *faults, unsigned id)
{
	for (struct rule **at = &faults->first; *at;) {
		struct rule *rule = *at;

		if (id != 0 && rule->id != id) {
			at = &rule->next;
			continue;
		}
		*at = rule->next;
		json_decref(rule->json);
		free(rule);
		faults->n--;
	}
}

static bool names(const struct rule *rule, const char *key, const char *value)
{
	const char *wanted = json_str(rule->json, "match", key, NULL);

	return !wanted || strcmp(wanted, value) == 0;
}

static bool matches(const struct rule *rule, const struct mkube_route *route, const char *method, const char *verb)
{
	const char *resource = json_str(rule->json, "match", "resource", NULL);
	char full[128];

	mkube_resource_name(full, sizeof full, &mkube_resources[route->kind]);
	if (resource && strcmp(resource, full) != 0 && strcmp(resource, mkube_resources[route->kind].plural) != 0)
		return false;
	return names(rule, "verb", verb) && names(rule, "method", method) && names(rule, "subresource", route->sub) &&
	       names(rule, "namespace", route->namespace) && names(rule, "name", route->name);
}

static void make_reply(const struct rule *rule, struct mkube_reply *reply)
{
	const char *reason = json_str(rule->json, "reason", NULL), *message = json_str(rule->json, "message", NULL);
	int status = (int)json_int(rule->json, 500, "code", NULL);
	json_t *body = json_object_get(rule->json, "body");

	if (body)
		mkube_reply_json(reply, status, json_incref(body));
	else
		mkube_fail(reply, status, reason ? reason : "InternalError", NULL, "%s",
			   message ? message : "refused on purpose");
	reply->retry_after = (unsigned)json_int(rule->json, 0, "retry_after", NULL);
}

void mkube_faults_set_latency(struct mkube_faults *faults, int64_t write_ms, int64_t read_ms)
{
	faults->write_ms = write_ms;
	faults->read_ms = read_ms;
}

static bool strikes(struct rule *rule)
{
	if (rule->skip > 0) {
		rule->skip--;
		return false;
	}
	if (!rule->endless)
		rule->times--;
	rule->used++;
	return true;
}

void mkube_faults_judge(struct mkube_faults *faults, const struct mkube_route *route, const char *method,
			const char *verb, struct mkube_verdict *verdict)
{
	*verdict = (struct mkube_verdict){ .action = MKUBE_PASS };
	if (strcmp(verb, "watch") != 0)
		verdict->delay_ms = strcmp(method, "GET") == 0 ? faults->read_ms : faults->write_ms;
	for (struct rule *rule = faults->first; rule; rule = rule->next) {
		if ((!rule->endless && rule->times == 0) || !matches(rule, route, method, verb) || !strikes(rule))
			continue;
		if (rule->action == ACTION_LATENCY) {
			verdict->delay_ms += json_int(rule->json, 0, "delay_ms", NULL);
		} else if (rule->action == ACTION_LATE_ANSWER) {
			verdict->delay_after_ms += json_int(rule->json, 0, "delay_ms", NULL);
		} else {
			verdict->action = (enum mkube_action)rule->action;
			if (verdict->action == MKUBE_ANSWER)
				make_reply(rule, &verdict->reply);
			return;
		}
	}
}
